/* fz prune. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <frozen/prune.h>

#include "cli.h"

struct arguments {
    const char *out, *structured, *time, *sparse, *calib;
    bool report;
    struct list excluded, dims, operands;
};

static void print_line(void *context, const char *line) {
    (void)context;
    end_progress();
    printf("%s\n", line);
}

static void print_change(const char *what, uint64_t before, uint64_t after) {
    if (before)
        printf("%-9s %llu -> %llu (%.1f %%)\n", what, (unsigned long long)before,
               (unsigned long long)after, 100.0 * (double)after / (double)before);
}

static void print_result(const fz_prune_result_t *r) {
    print_change("macs", r->macs_before, r->macs_after);
    print_change("time", r->time_before, r->time_after);
    printf("weights   %llu -> %llu bytes, %.1f %% of them zeros\n",
           (unsigned long long)r->weights_before, (unsigned long long)r->weights_after,
           r->weights_after ? 100.0 * (double)r->zeros_after / (double)r->weights_after : 0);
    if (r->n_samples) printf("samples   %llu\n", (unsigned long long)r->n_samples);
    else printf("samples   none: chosen by the weights alone, nothing is repaired\n");
}

static int prune(const struct arguments *a, fz_dim_binding_t *dims) {
    fz_prune_options_t options = {.size = sizeof options, .sparse = a->sparse,
                                  .exclude = a->excluded.items, .n_exclude = a->excluded.n,
                                  .calib = a->calib, .dims = dims, .n_dims = a->dims.n,
                                  .progress = show_progress};
    fz_prune_result_t result = {.size = sizeof result};
    if (a->structured && !parse_number(a->structured, "--structured", 0, 1, &options.structured))
        return TROUBLE;
    if (a->time && !parse_number(a->time, "--time", 0, 1, &options.time)) return TROUBLE;
    if (!read_dims(&a->dims, dims)) return TROUBLE;
    if (a->report) options.report = print_line;
    fz_status_t status = fz_prune_file(a->operands.items[0], a->out, &options, &result);
    end_progress();
    if (status != FZ_OK) return trouble("%s", fz_last_error());
    print_result(&result);
    return GOOD;
}

int verb_prune(int argc, char **argv) {
    struct arguments a = {0};
    const struct option options[] = {
        {"-o", &a.out, NULL, NULL},          {"--output", &a.out, NULL, NULL},
        {"--structured", &a.structured, NULL, NULL}, {"--sparse", &a.sparse, NULL, NULL},
        {"--time", &a.time, NULL, NULL},     {"--calib", &a.calib, NULL, NULL},
        {"--exclude", NULL, NULL, &a.excluded}, {"--dim", NULL, NULL, &a.dims},
        {"--report", NULL, &a.report, NULL},
    };
    if (!parse(argc, argv, options, sizeof options / sizeof *options, &a.operands)) return TROUBLE;
    if (a.operands.n != 1 || !a.out || (!a.structured && !a.time && !a.sparse))
        return trouble("usage: fz prune IN.onnx -o OUT --structured SHARE");
    fz_dim_binding_t *dims = must(calloc(a.dims.n + 1, sizeof *dims));
    int status = prune(&a, dims);
    for (size_t i = 0; i < a.dims.n; i++) free((void *)dims[i].name);
    free(dims);
    return status;
}
