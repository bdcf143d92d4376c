/* fz run. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "cli.h"

struct arguments {
    const char *folder, *threads, *expect;
    struct list inputs, operands;
};

static int print_outputs(const fz_model_t *model, const fz_tensor_t *outputs, const char *folder) {
    char path[4096], text[256];
    for (size_t i = 0; i < fz_model_output_count(model); i++) {
        fz_io_t io;
        fz_model_output(model, i, &io);
        printf("%zu %s %s\n", i, io.name, shape_text(&outputs[i], text, sizeof text));
        if (!folder) continue;
        snprintf(path, sizeof path, "%s/output_%zu.npy", folder, i);
        if (!write_npy(path, &outputs[i])) return TROUBLE;
    }
    return GOOD;
}

static int run(const struct arguments *a, fz_model_t *model, const struct inputs *inputs) {
    double threads = 1;
    if (a->threads && !parse_number(a->threads, "--threads", 0, 1024, &threads)) return TROUBLE;
    fz_session_options_t options = {.size = sizeof options,
                                    .threads = threads == 0 ? -1 : (int32_t)threads};
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
    free(outputs);
    fz_session_close(session);
    return status;
}

int verb_run(int argc, char **argv) {
    struct arguments a = {0};
    const struct option options[] = {
        {"--input", NULL, NULL, &a.inputs},      {"--output-dir", &a.folder, NULL, NULL},
        {"--threads", &a.threads, NULL, NULL},   {"--expect", &a.expect, NULL, NULL},
    };
    if (!parse(argc, argv, options, sizeof options / sizeof *options, &a.operands)) return TROUBLE;
    if (a.operands.n != 1) return trouble("usage: fz run MODEL --input NAME=FILE.npy ...");
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
