/* fz quantize. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <frozen/quantize.h>

#include "cli.h"

struct arguments {
    const char *out, *weights, *opset, *calibration, *percentile, *samples, *labels, *max_drop,
        *min_sqnr, *block, *report, *json, *threads;
    bool static_, dynamic, fp16, symmetric, per_row, no_bias, no_equalise, smooth, nearest;
    struct list exclude, only, types, fixed, operands;
};

/* ---- progress, and Ctrl-C, which ends the work where nothing is half written */

static volatile sig_atomic_t interrupted;

static void interrupt(int signal) {
    (void)signal;
    interrupted = 1;
}

struct clock {
    char phase[32];
    struct timespec start;
};

/* A phase's time left is guessed from what its share has taken. */
static int progress(void *context, double done, const char *phase) {
    struct clock *c = context;
    struct timespec now;
    if (interrupted) return 1;
    if (!isatty(STDERR_FILENO)) return 0;
    clock_gettime(CLOCK_MONOTONIC, &now);
    if (strcmp(c->phase, phase) != 0) {
        snprintf(c->phase, sizeof c->phase, "%s", phase);
        c->start = now;
    }
    double passed = (double)(now.tv_sec - c->start.tv_sec) +
                    (double)(now.tv_nsec - c->start.tv_nsec) * 1e-9;
    char text[64];
    if (done > 0.01 && passed > 1)
        snprintf(text, sizeof text, "%s, %.0f s left", phase, passed / done * (1 - done));
    else snprintf(text, sizeof text, "%s", phase);
    return show_progress(NULL, done, text);
}

/* ---- options */

static bool choose_kind(const struct arguments *a, int32_t *kind) {
    bool int8 = a->weights && strcmp(a->weights, "int8") == 0;
    bool int4 = a->weights && strcmp(a->weights, "int4") == 0;
    if (a->static_ + a->dynamic + a->fp16 + (a->weights != NULL) != 1)
        return trouble("choose one of --static, --dynamic, --weight-only int8|int4, --fp16"), false;
    if (a->weights && !int8 && !int4)
        return trouble("--weight-only is int8 or int4, not '%s'", a->weights), false;
    *kind = a->static_ ? FZ_QUANTIZE_STATIC
            : a->dynamic ? FZ_QUANTIZE_DYNAMIC
            : a->fp16 ? FZ_QUANTIZE_FP16
            : int8 ? FZ_QUANTIZE_WEIGHTS_INT8 : FZ_QUANTIZE_WEIGHTS_INT4;
    return true;
}

static bool choose_method(const char *name, int32_t *method) {
    static const char *const names[] = {"default", "minmax", "percentile", "entropy", "mse"};
    *method = 0;
    if (!name) return true;
    for (int32_t i = 1; i < 5; i++)
        if (strcmp(name, names[i]) == 0) return *method = i, true;
    return trouble("--method is minmax, percentile, entropy or mse, not '%s'", name), false;
}

static bool number(const char *text, const char *option, double low, double high, double *out) {
    *out = 0;
    return !text || parse_number(text, option, low, high, out);
}

/* 0.5% or 0.005. */
static bool share(const char *text, double *out) {
    char plain[32];
    size_t n = text ? strlen(text) : 0;
    *out = 0;
    if (!text) return true;
    if (!n || n >= sizeof plain || text[n - 1] != '%') return number(text, "--max-drop", 0, 1, out);
    memcpy(plain, text, n - 1);
    plain[n - 1] = 0;
    bool good = number(plain, "--max-drop", 0, 100, out);
    *out /= 100;
    return good;
}

static bool read_fixed(const struct list *list, fz_fixed_input_t *fixed) {
    for (size_t i = 0; i < list->n; i++) {
        char *name;
        const char *value;
        double n;
        if (!split_pair(list->items[i], &name, &value)) return false;
        fixed[i].name = name;
        if (!parse_number(value, "--fix", -1e15, 1e15, &n)) return false;
        fixed[i].value = (int64_t)n;
    }
    return true;
}

static uint64_t flags_of(const struct arguments *a) {
    return (a->symmetric ? FZ_QUANTIZE_SYMMETRIC : 0u) |
           (a->no_bias ? FZ_QUANTIZE_NO_BIAS_CORRECTION : 0u) |
           (a->no_equalise ? FZ_QUANTIZE_NO_EQUALISATION : 0u) |
           (a->smooth ? FZ_QUANTIZE_SMOOTH : 0u) | (a->nearest ? FZ_QUANTIZE_NO_FEEDBACK : 0u) |
           (a->per_row ? FZ_QUANTIZE_PER_ROW : 0u);
}

static bool set_options(const struct arguments *a, fz_fixed_input_t *fixed,
                        fz_quantize_options_t *o) {
    double opset, block, threads;
    if (!choose_kind(a, &o->kind) || !choose_method(a->calibration, &o->calibration)) return false;
    if (!number(a->opset, "--opset", 13, 28, &opset) ||
        !number(a->block, "--block", 16, 256, &block) ||
        !number(a->threads, "--threads", 0, 1024, &threads) ||
        !number(a->percentile, "--percentile", 50, 100, &o->percentile) ||
        !number(a->min_sqnr, "--min-sqnr", 0, 200, &o->min_sqnr) ||
        !share(a->max_drop, &o->max_drop))
        return false;
    if (!read_fixed(&a->fixed, fixed)) return false;
    o->opset = (int32_t)opset;
    o->block_size = (int32_t)block;
    o->threads = (int32_t)threads;
    o->samples = a->samples;
    o->labels = a->labels;
    o->flags = flags_of(a);
    o->exclude = a->exclude.items, o->n_exclude = a->exclude.n;
    o->only = a->only.items, o->n_only = a->only.n;
    o->op_types = a->types.items, o->n_op_types = a->types.n;
    o->fixed = fixed, o->n_fixed = a->fixed.n;
    o->report = a->report;
    o->json = a->json;
    return true;
}

static int quantize(const struct arguments *a, fz_fixed_input_t *fixed) {
    struct clock clock = {0};
    fz_quantize_options_t options = {.size = sizeof options, .progress = progress,
                                     .progress_context = &clock};
    char hex[65];
    if (!set_options(a, fixed, &options)) return TROUBLE;
    struct sigaction action = {.sa_handler = interrupt};
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    fz_status_t status = fz_quantize_file(a->operands.items[0], a->out, &options, hex);
    end_progress();
    if (status != FZ_OK) return trouble("%s", fz_last_error());
    printf("%s  %s\n", hex, a->out);
    return GOOD;
}

int verb_quantize(int argc, char **argv) {
    struct arguments a = {0};
    const struct option options[] = {
        {"-o", &a.out, NULL, NULL}, {"--output", &a.out, NULL, NULL},
        {"--static", NULL, &a.static_, NULL}, {"--dynamic", NULL, &a.dynamic, NULL},
        {"--weight-only", &a.weights, NULL, NULL}, {"--fp16", NULL, &a.fp16, NULL},
        {"--opset", &a.opset, NULL, NULL}, {"--calib", &a.samples, NULL, NULL},
        {"--method", &a.calibration, NULL, NULL}, {"--percentile", &a.percentile, NULL, NULL},
        {"--symmetric", NULL, &a.symmetric, NULL}, {"--per-row", NULL, &a.per_row, NULL},
        {"--block", &a.block, NULL, NULL}, {"--rtn", NULL, &a.nearest, NULL},
        {"--smooth", NULL, &a.smooth, NULL}, {"--no-equalise", NULL, &a.no_equalise, NULL},
        {"--no-bias-correction", NULL, &a.no_bias, NULL},
        {"--exclude", NULL, NULL, &a.exclude}, {"--only", NULL, NULL, &a.only},
        {"--op-type", NULL, NULL, &a.types}, {"--fix", NULL, NULL, &a.fixed},
        {"--labels", &a.labels, NULL, NULL}, {"--max-drop", &a.max_drop, NULL, NULL},
        {"--min-sqnr", &a.min_sqnr, NULL, NULL}, {"--report", &a.report, NULL, NULL},
        {"--json", &a.json, NULL, NULL}, {"--threads", &a.threads, NULL, NULL},
    };
    if (!parse(argc, argv, options, sizeof options / sizeof *options, &a.operands)) return TROUBLE;
    if (a.operands.n != 1 || !a.out)
        return trouble("usage: fz quantize IN.onnx -o OUT.onnx|OUT.fz --static --calib DIR "
                       "| --dynamic | --weight-only int8|int4 | --fp16");
    fz_fixed_input_t *fixed = must(calloc(a.fixed.n + 1, sizeof *fixed));
    int status = quantize(&a, fixed);
    for (size_t i = 0; i < a.fixed.n; i++) free((void *)fixed[i].name);
    free(fixed);
    return status;
}
