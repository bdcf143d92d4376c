/* fz run. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "cli.h"
#ifdef FZ_HAVE_STORE
#include <frozen/log.h>
#endif

struct arguments {
    const char *folder, *threads, *expect, *receipt, *log, *key, *keep;
    struct list inputs, operands;
};

/* A tensor as PATH, with ".npy" behind it; the values of a sequence, an optional or a map with
 * their numbers. PATH has room. */
static int write_value(char *path, size_t size, const fz_tensor_t *t) {
    size_t n = strlen(path);
    if (fz_type_kind(t->dtype) == FZ_KIND_TENSOR) {
        snprintf(path + n, size - n, ".npy");
        return write_npy(path, t) ? GOOD : TROUBLE;
    }
    for (int64_t i = 0; i < t->dims[0]; i++) {
        snprintf(path + n, size - n, "_%lld", (long long)i);
        if (write_value(path, size, (const fz_tensor_t *)t->data + i) != GOOD) return TROUBLE;
    }
    return GOOD;
}

static int print_outputs(const fz_model_t *model, const fz_tensor_t *outputs, const char *folder) {
    char path[4096], text[256];
    for (size_t i = 0; i < fz_model_output_count(model); i++) {
        fz_io_t io;
        fz_model_output(model, i, &io);
        printf("%zu %s %s\n", i, io.name, shape_text(&outputs[i], text, sizeof text));
        if (!folder) continue;
        snprintf(path, sizeof path, "%s/output_%zu", folder, i);
        if (write_value(path, sizeof path, &outputs[i]) != GOOD) return TROUBLE;
    }
    return GOOD;
}

/* The inputs as DIR/DIGEST/input_I.npy, where fz replay finds them. */
static int keep_inputs(const char *dir, const struct inputs *inputs) {
    char path[4096];
    uint8_t digest[32];
    if (fz_tensor_digest(inputs->tensors, inputs->n, digest) != FZ_OK)
        return library_trouble("inputs");
    int n = snprintf(path, sizeof path - 128, "%s/", dir);
    if (n < 0 || (size_t)n >= sizeof path - 128) return trouble("the path is too long");
    for (int i = 0; i < 32; i++) n += snprintf(path + n, 3, "%02x", digest[i]);
    if ((mkdir(dir, 0777) != 0 && errno != EEXIST) || (mkdir(path, 0777) != 0 && errno != EEXIST))
        return trouble("cannot create '%s': %s", path, strerror(errno));
    for (size_t i = 0; i < inputs->n; i++) {
        snprintf(path + n, sizeof path - (size_t)n, "/input_%zu.npy", i);
        if (!write_npy(path, &inputs->tensors[i])) return TROUBLE;
    }
    return GOOD;
}

static int write_receipt(const char *path, const char *receipt) {
    FILE *file = fopen(path, "wb");
    if (!file) return trouble("cannot create '%s': %s", path, strerror(errno));
    bool good = fprintf(file, "%s\n", receipt) > 0;
    if (fclose(file) != 0 || !good) return trouble("cannot write '%s'", path);
    return GOOD;
}

/* What is asked for of the run that succeeded. */
static int record(const struct arguments *a, const fz_session_t *session,
                  const struct inputs *inputs) {
    char receipt[2048];
    if (a->keep && keep_inputs(a->keep, inputs) != GOOD) return TROUBLE;
    if (!a->receipt && !a->log) return GOOD;
    if (fz_session_receipt(session, receipt, sizeof receipt, NULL) != FZ_OK)
        return library_trouble("receipt");
    if (a->receipt && write_receipt(a->receipt, receipt) != GOOD) return TROUBLE;
#ifdef FZ_HAVE_STORE
    if (a->log && fz_log_append(a->log, receipt, a->key, NULL) != FZ_OK)
        return library_trouble("log");
#endif
    return GOOD;
}

static int run(const struct arguments *a, fz_model_t *model, const struct inputs *inputs) {
    double threads = 1;
    if (a->threads && !parse_number(a->threads, "--threads", 0, 1024, &threads)) return TROUBLE;
    fz_session_options_t options = {.size = sizeof options,
                                    .threads = threads == 0 ? -1 : (int32_t)threads,
                                    .flags = a->receipt || a->log ? FZ_SESSION_RECEIPTS : 0};
    if (a->folder && mkdir(a->folder, 0777) != 0 && errno != EEXIST)
        return trouble("cannot create '%s': %s", a->folder, strerror(errno));
    fz_session_t *session;
    if (fz_session_create(model, &options, &session) != FZ_OK) return library_trouble("session");
    size_t n = fz_model_output_count(model);
    fz_tensor_t *outputs = must(calloc(n + 1, sizeof *outputs));
    int status = GOOD;
    if (fz_session_run(session, inputs->tensors, inputs->n, outputs, n) != FZ_OK)
        status = trouble("%s", fz_last_error());
    else
        status = print_outputs(model, outputs, a->folder);
    if (status == GOOD) status = record(a, session, inputs);
    free(outputs);
    fz_session_close(session);
    return status;
}

int verb_run(int argc, char **argv) {
    struct arguments a = {0};
    const struct option options[] = {
        {"--input", NULL, NULL, &a.inputs},      {"--output-dir", &a.folder, NULL, NULL},
        {"--threads", &a.threads, NULL, NULL},   {"--expect", &a.expect, NULL, NULL},
        {"--receipt", &a.receipt, NULL, NULL},   {"--keep-inputs", &a.keep, NULL, NULL},
        {"--custom", NULL, NULL, &custom_libraries},
#ifdef FZ_HAVE_STORE
        {"--log", &a.log, NULL, NULL},           {"--key", &a.key, NULL, NULL},
#endif
    };
    if (!parse(argc, argv, options, sizeof options / sizeof *options, &a.operands)) return TROUBLE;
    if (a.operands.n != 1) return trouble("usage: fz run MODEL --input NAME=FILE.npy ...");
    if (a.key && !a.log) return trouble("--key signs the entry of a log: --log LOG");
    fz_open_options_t open_options = {.size = sizeof open_options, .expect = a.expect};
    fz_model_t *model;
    if (!open_model(a.operands.items[0], &open_options, &model)) return TROUBLE;
    struct inputs inputs;
    int status = TROUBLE;
    if (collect_inputs(model, &a.inputs, NULL, false, &inputs)) {
        status = run(&a, model, &inputs);
        free_inputs(&inputs);
    }
    fz_model_close(model);
    return status;
}
