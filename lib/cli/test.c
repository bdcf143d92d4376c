/* fz test: runs ONNX test folders, DIR/model.onnx with DIR/test_data_set_N/{input,output}_I.pb. */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "difference.h"

enum { MANY = 256 };

struct bounds {
    double rtol, atol, range;
    double threads;
};

struct tally {
    size_t passed, failed;
};

/* Reads DIR/KIND_0.pb, KIND_1.pb ... until one is missing, each of the type that DESCRIBE gives.
 * False after a message. */
static bool read_values(const char *dir, const char *kind, const fz_model_t *model,
                        fz_status_t (*describe)(const fz_model_t *, size_t, fz_io_t *),
                        fz_tensor_t *values, fz_tensor_file_t **files, size_t *n) {
    char path[4200];
    for (*n = 0; *n < MANY; ++*n) {
        fz_io_t io = {0};
        snprintf(path, sizeof path, "%s/%s_%zu.pb", dir, kind, *n);
        if (access(path, F_OK) != 0) return true;
        if (describe(model, *n, &io) != FZ_OK) io.dtype = 0; /* the run will count them */
        if (fz_value_read_onnx(path, io.dtype, &values[*n], &files[*n]) != FZ_OK) return false;
    }
    return true;
}

static bool compare(const char *name, size_t i, const fz_tensor_t *want, const fz_tensor_t *got,
                    const struct bounds *b, char *why, size_t size) {
    char have[256], expect[256];
    struct difference d = difference_of(want, got, b->rtol, b->atol, b->range);
    if (!d.shapes) {
        snprintf(why, size, "output %zu is %s, expected %s", i,
                 shape_text(got, have, sizeof have), shape_text(want, expect, sizeof expect));
        return false;
    }
    if (d.n_wrong == 0) return true;
    snprintf(why, size, "output %zu '%s': %lld of %lld elements differ, at most by %g (range %g)",
             i, name, (long long)d.n_wrong, (long long)count_of(want), d.max_abs, d.range);
    return false;
}

static bool run_set(fz_model_t *model, const char *dir, const struct bounds *b, char *why,
                    size_t size) {
    static fz_tensor_t inputs[MANY], expected[MANY], outputs[MANY];
    static fz_tensor_file_t *in_files[MANY], *out_files[MANY];
    size_t n_in = 0, n_out = 0;
    bool good = read_values(dir, "input", model, fz_model_input, inputs, in_files, &n_in) &&
                read_values(dir, "output", model, fz_model_output, expected, out_files, &n_out);
    fz_session_t *session = NULL;
    fz_session_options_t options = {.size = sizeof options, .threads = (int32_t)b->threads};
    memset(outputs, 0, sizeof outputs);
    good = good && fz_session_create(model, &options, &session) == FZ_OK;
    good = good && fz_session_run(session, inputs, n_in, outputs, n_out) == FZ_OK;
    if (!good) snprintf(why, size, "%s", fz_last_error());
    for (size_t i = 0; good && i < n_out; i++) {
        fz_io_t io;
        fz_model_output(model, i, &io);
        good = compare(io.name, i, &expected[i], &outputs[i], b, why, size);
    }
    fz_session_close(session);
    for (size_t i = 0; i < n_in; i++) fz_tensor_file_close(in_files[i]);
    for (size_t i = 0; i < n_out; i++) fz_tensor_file_close(out_files[i]);
    return good;
}

static void run_folder(const char *dir, const struct bounds *b, struct tally *tally) {
    char path[4096], why[1024] = "";
    snprintf(path, sizeof path, "%s/model.onnx", dir);
    fz_model_t *model = NULL;
    fz_freeze_options_t options = {.size = sizeof options, .flags = FZ_FREEZE_NO_KAT};
    bool good = load_custom(&options.custom) &&
                fz_freeze_open(path, &options, NULL, &model) == FZ_OK;
    if (!good) snprintf(why, sizeof why, "%s", fz_last_error());
    for (char *c = why; *c; c++)
        if (*c == '\n') *c = ' '; /* a line for each folder */
    size_t sets = 0;
    for (; good; sets++) {
        snprintf(path, sizeof path, "%s/test_data_set_%zu", dir, sets);
        if (access(path, F_OK) != 0) break;
        good = run_set(model, path, b, why, sizeof why);
    }
    if (good && sets == 0) {
        good = false;
        snprintf(why, sizeof why, "no test_data_set_0");
    }
    fz_model_close(model);
    if (good) tally->passed++;
    else tally->failed++;
    printf("%s %s%s%s\n", good ? "pass" : "FAIL", dir, good ? "" : ": ", why);
    fflush(stdout);
}

static int by_name(const void *a, const void *b) {
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* DIR is a test folder, or holds test folders. */
static void run_tree(const char *dir, const struct bounds *b, struct tally *tally) {
    char path[4096];
    snprintf(path, sizeof path, "%s/model.onnx", dir);
    if (access(path, F_OK) == 0) {
        run_folder(dir, b, tally);
        return;
    }
    DIR *handle = opendir(dir);
    if (!handle) {
        printf("FAIL %s: cannot be opened\n", dir);
        tally->failed++;
        return;
    }
    char **names = NULL;
    size_t n = 0;
    for (struct dirent *e; (e = readdir(handle));) {
        snprintf(path, sizeof path, "%s/%s/model.onnx", dir, e->d_name);
        if (e->d_name[0] == '.' || access(path, F_OK) != 0) continue;
        names = must(realloc(names, (n + 1) * sizeof *names));
        snprintf(path, sizeof path, "%s/%s", dir, e->d_name);
        names[n++] = must(strdup(path));
    }
    closedir(handle);
    if (n == 0) {
        printf("FAIL %s: no model.onnx in it or one folder below\n", dir);
        tally->failed++;
    }
    if (n) qsort(names, n, sizeof *names, by_name);
    for (size_t i = 0; i < n; i++) {
        run_folder(names[i], b, tally);
        free(names[i]);
    }
    free(names);
}

int verb_test(int argc, char **argv) {
    const char *rtol = "1e-3", *atol = "1e-7", *range = "0", *threads = "1";
    struct list operands = {0};
    const struct option options[] = {
        {"--rtol", &rtol, NULL, NULL},   {"--atol", &atol, NULL, NULL},
        {"--range", &range, NULL, NULL}, {"--threads", &threads, NULL, NULL},
        {"--custom", NULL, NULL, &custom_libraries},
    };
    if (!parse(argc, argv, options, 5, &operands)) return TROUBLE;
    if (operands.n == 0) return trouble("usage: fz test DIR...");
    /* --range alone is a bound by range only. */
    bool by_range = strcmp(range, "0") != 0;
    struct bounds b = {.threads = 1};
    if (by_range && strcmp(rtol, "1e-3") == 0) rtol = "0";
    if (!parse_number(rtol, "--rtol", 0, 1e9, &b.rtol) ||
        !parse_number(atol, "--atol", 0, 1e9, &b.atol) ||
        !parse_number(range, "--range", 0, 1e9, &b.range) ||
        !parse_number(threads, "--threads", 1, 1024, &b.threads))
        return TROUBLE;
    struct tally tally = {0};
    for (size_t i = 0; i < operands.n; i++) run_tree(operands.items[i], &b, &tally);
    printf("%zu passed, %zu failed\n", tally.passed, tally.failed);
    return tally.failed ? FAILED : GOOD;
}
