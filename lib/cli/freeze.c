/* fz freeze. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli.h"

struct arguments {
    const char *out, *numerics, *range, *seed;
    bool keep, no_winograd, literal, no_kat, sparse;
    struct list dims, kat, operands;
};

static bool read_kat(const struct list *list, fz_kat_input_t *inputs) {
    for (size_t i = 0; i < list->n; i++) {
        char *name;
        const char *file;
        if (!split_pair(list->items[i], &name, &file)) return false;
        inputs[i].name = name;
        if (!read_npy(file, &inputs[i].tensor)) return false;
    }
    return true;
}

static uint64_t flags_of(const struct arguments *a) {
    uint64_t flags = 0;
    if (a->keep) flags |= FZ_FREEZE_KEEP_ONNX;
    if (a->no_winograd) flags |= FZ_FREEZE_NO_WINOGRAD;
    if (a->literal) flags |= FZ_FREEZE_LITERAL_QDQ;
    if (a->sparse) flags |= FZ_FREEZE_SPARSE;
    if (a->no_kat) flags |= FZ_FREEZE_NO_KAT;
    if (a->range && strcmp(a->range, "per-row") == 0) flags |= FZ_FREEZE_RANGE_PER_ROW;
    return flags;
}

static int freeze(const struct arguments *a, fz_dim_binding_t *dims, fz_kat_input_t *kat) {
    double seed = 0;
    if (a->range && strcmp(a->range, "per-row") != 0 && strcmp(a->range, "tensor") != 0)
        return trouble("--dynamic-range is tensor or per-row, not '%s'", a->range);
    if (a->seed && !parse_number(a->seed, "--seed", 0, 1e15, &seed)) return TROUBLE;
    if (!read_dims(&a->dims, dims) || !read_kat(&a->kat, kat)) return TROUBLE;
    fz_freeze_options_t options = {.size = sizeof options,
                                   .numerics = a->numerics,
                                   .dims = dims,
                                   .n_dims = a->dims.n,
                                   .kat_inputs = kat,
                                   .n_kat_inputs = a->kat.n,
                                   .flags = flags_of(a),
                                   .kat_seed = (uint64_t)seed,
                                   .progress = show_progress};
    if (!load_custom(&options.custom)) return TROUBLE;
    char hex[65];
    fz_status_t status = fz_freeze_file(a->operands.items[0], a->out, &options, hex);
    end_progress();
    if (status != FZ_OK) return trouble("%s", fz_last_error());
    printf("%s  %s\n", hex, a->out);
    return GOOD;
}

int verb_freeze(int argc, char **argv) {
    struct arguments a = {0};
    const struct option options[] = {
        {"-o", &a.out, NULL, NULL},           {"--output", &a.out, NULL, NULL},
        {"--numerics", &a.numerics, NULL, NULL}, {"--dim", NULL, NULL, &a.dims},
        {"--keep-onnx", NULL, &a.keep, NULL}, {"--no-winograd", NULL, &a.no_winograd, NULL},
        {"--literal-qdq", NULL, &a.literal, NULL}, {"--no-kat", NULL, &a.no_kat, NULL},
        {"--dynamic-range", &a.range, NULL, NULL}, {"--kat-input", NULL, NULL, &a.kat},
        {"--seed", &a.seed, NULL, NULL},      {"--sparse", NULL, &a.sparse, NULL},
        {"--custom", NULL, NULL, &custom_libraries},
    };
    if (!parse(argc, argv, options, sizeof options / sizeof *options, &a.operands)) return TROUBLE;
    if (a.operands.n != 1 || !a.out) return trouble("usage: fz freeze IN.onnx -o OUT.fz");
    fz_dim_binding_t *dims = must(calloc(a.dims.n + 1, sizeof *dims));
    fz_kat_input_t *kat = must(calloc(a.kat.n + 1, sizeof *kat));
    int status = freeze(&a, dims, kat);
    for (size_t i = 0; i < a.dims.n; i++) free((void *)dims[i].name);
    for (size_t i = 0; i < a.kat.n; i++) {
        free((void *)kat[i].name);
        free_tensor(&kat[i].tensor);
    }
    free(dims);
    free(kat);
    return status;
}
