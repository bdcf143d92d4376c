/* fz bench: time from nothing to the first answer, then many runs. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "cli.h"

struct arguments {
    const char *open, *threads, *seconds;
    bool json, steps;
    struct list shapes, inputs, operands;
};

struct result {
    double load_ms, first_ms, min_ms, p50_ms, p90_ms, p99_ms;
    size_t runs;
    long rss_kb;
    uint64_t allocs;
};

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e3 + (double)t.tv_nsec * 1e-6;
}

/* The process's largest resident size in KiB, from VmHWM. */
static long peak_rss(void) {
    char line[256];
    long kb = 0;
    FILE *file = fopen("/proc/self/status", "r");
    while (file && fgets(line, sizeof line, file))
        if (sscanf(line, "VmHWM: %ld", &kb) == 1) break;
    if (file) fclose(file);
    return kb;
}

static int by_size(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Runs for SECONDS, at least 5 times, and sorts the times. */
static bool measure(fz_session_t *session, const struct inputs *inputs, fz_tensor_t *outputs,
                    size_t n_outputs, double seconds, struct result *r) {
    size_t capacity = 0;
    double *times = NULL, end = now() + seconds * 1e3;
    fz_session_stats_t before, after;
    fz_session_stats(session, &before);
    while (now() < end || r->runs < 5) {
        if (r->runs == capacity)
            times = must(realloc(times, (capacity = capacity * 2 + 1024) * sizeof *times));
        double start = now();
        fz_status_t status =
            fz_session_run(session, inputs->tensors, inputs->n, outputs, n_outputs);
        times[r->runs++] = now() - start;
        if (status != FZ_OK) return free(times), false;
    }
    fz_session_stats(session, &after);
    r->allocs = after.n_allocations - before.n_allocations;
    qsort(times, r->runs, sizeof *times, by_size);
    r->min_ms = times[0];
    r->p50_ms = times[r->runs / 2];
    r->p90_ms = times[(size_t)((double)r->runs * 0.9)];
    r->p99_ms = times[(size_t)((double)r->runs * 0.99)];
    free(times);
    return true;
}

static void print(const struct result *r, bool json) {
    const char *format =
        json ? "{\"load_ms\": %.4f, \"first_ms\": %.4f, \"min_ms\": %.5f, \"p50_ms\": %.5f, "
               "\"p90_ms\": %.5f, \"p99_ms\": %.5f, \"runs\": %zu, \"rss_kb\": %ld, "
               "\"allocs\": %llu}\n"
             : "load %.3f ms  first %.3f ms  min %.4f ms  p50 %.4f ms  p90 %.4f ms  p99 %.4f ms  "
               "runs %zu  rss %ld kB  allocations %llu\n";
    printf(format, r->load_ms, r->first_ms, r->min_ms, r->p50_ms, r->p90_ms, r->p99_ms, r->runs,
           r->rss_kb, (unsigned long long)r->allocs);
}

/* ---- --steps: where the time of one run goes: each step's fastest of TRACED runs */

enum { TRACED = 15 };

struct step {
    char op[32], node[64], shape[64];
    double us;
    bool known;
};
struct steps {
    struct step *rows;
    size_t n; /* at most; a step of a subgraph that runs several times counts once */
};

static void trace(void *context, size_t step, const char *op, const char *node,
                  const char *const *names, const fz_tensor_t *outputs, size_t n_outputs,
                  uint64_t ns) {
    struct steps *s = context;
    double us = (double)ns * 1e-3;
    (void)names;
    if (step >= s->n) return;
    struct step *row = &s->rows[step];
    if (!row->known || us < row->us) row->us = us;
    if (row->known) return;
    row->known = true;
    snprintf(row->op, sizeof row->op, "%s", op);
    snprintf(row->node, sizeof row->node, "%s", node);
    if (n_outputs) shape_text(&outputs[0], row->shape, sizeof row->shape);
}

struct share {
    const char *op;
    double us;
    size_t n;
};

static int by_share(const void *a, const void *b) {
    double x = ((const struct share *)a)->us, y = ((const struct share *)b)->us;
    return (x < y) - (x > y);
}

/* The steps of each operator together, the largest share first. */
static void print_shares(const struct steps *s) {
    struct share *shares = must(calloc(s->n + 1, sizeof *shares));
    size_t n = 0;
    for (size_t i = 0; i < s->n; i++) {
        const struct step *row = &s->rows[i];
        size_t at = 0;
        if (!row->known) continue;
        while (at < n && strcmp(shares[at].op, row->op) != 0) at++;
        if (at == n) shares[n++].op = row->op;
        shares[at].us += row->us;
        shares[at].n++;
    }
    qsort(shares, n, sizeof *shares, by_share);
    for (size_t i = 0; i < n; i++)
        printf("%9.4f ms %5zu x %s\n", shares[i].us * 1e-3, shares[i].n, shares[i].op);
    free(shares);
}

static int print_steps(const fz_model_t *model, fz_session_t *session,
                       const struct inputs *inputs, fz_tensor_t *outputs, size_t n_outputs) {
    fz_model_stats_t stats;
    if (fz_model_stats(model, &stats) != FZ_OK) return trouble("%s", fz_last_error());
    struct steps s = {must(calloc((size_t)stats.n_steps + 1, sizeof *s.rows)),
                      (size_t)stats.n_steps};
    fz_session_set_trace(session, trace, &s);
    for (int i = 0; i < TRACED; i++) {
        memset(outputs, 0, n_outputs * sizeof *outputs);
        fz_session_run(session, inputs->tensors, inputs->n, outputs, n_outputs);
    }
    fz_session_set_trace(session, NULL, NULL);
    for (size_t i = 0; i < s.n; i++)
        if (s.rows[i].known)
            printf("%5zu %9.3f us  %-24s %-40s %s\n", i, s.rows[i].us, s.rows[i].op,
                   s.rows[i].node, s.rows[i].shape);
    print_shares(&s);
    free(s.rows);
    return GOOD;
}

static int bench(const struct arguments *a, fz_model_t *model, struct result *r,
                 const struct inputs *inputs, double threads, double seconds) {
    fz_session_options_t options = {.size = sizeof options,
                                    .threads = threads == 0 ? -1 : (int32_t)threads};
    fz_session_t *session;
    size_t n = fz_model_output_count(model);
    fz_tensor_t *outputs = must(calloc(n + 1, sizeof *outputs));
    double start = now();
    if (fz_session_create(model, &options, &session) != FZ_OK) return library_trouble("session");
    r->load_ms += now() - start;
    start = now();
    bool good = fz_session_run(session, inputs->tensors, inputs->n, outputs, n) == FZ_OK;
    r->first_ms = now() - start;
    /* Once more: outputs and buffers have their final size then. */
    good = good && fz_session_run(session, inputs->tensors, inputs->n, outputs, n) == FZ_OK;
    good = good && measure(session, inputs, outputs, n, seconds, r);
    int status = good ? GOOD : trouble("%s", fz_last_error());
    r->rss_kb = peak_rss();
    if (good && a->steps) status = print_steps(model, session, inputs, outputs, n);
    if (good) print(r, a->json);
    free(outputs);
    fz_session_close(session);
    return status;
}

static int run(const struct arguments *a) {
    double threads = 1, seconds = 1;
    bool map = a->open && strcmp(a->open, "map") == 0;
    if (a->open && !map && strcmp(a->open, "sealed") != 0)
        return trouble("--open is sealed or map, not '%s'", a->open);
    if (a->threads && !parse_number(a->threads, "--threads", 0, 1024, &threads)) return TROUBLE;
    if (a->seconds && !parse_number(a->seconds, "--seconds", 0, 86400, &seconds)) return TROUBLE;
    fz_open_options_t options = {.size = sizeof options, .flags = map ? FZ_OPEN_MAP : 0,
                                 .threads = threads == 1 ? 1 : 2};
    struct result r = {0};
    fz_model_t *model;
    double start = now();
    if (!open_model(a->operands.items[0], &options, &model)) return TROUBLE;
    r.load_ms = now() - start;
    struct inputs inputs;
    int status = TROUBLE;
    if (collect_inputs(model, &a->inputs, &a->shapes, true, &inputs)) {
        status = bench(a, model, &r, &inputs, threads, seconds);
        free_inputs(&inputs);
    }
    fz_model_close(model);
    return status;
}

int verb_bench(int argc, char **argv) {
    struct arguments a = {0};
    const struct option options[] = {
        {"--open", &a.open, NULL, NULL},       {"--shape", NULL, NULL, &a.shapes},
        {"--input", NULL, NULL, &a.inputs},    {"--threads", &a.threads, NULL, NULL},
        {"--seconds", &a.seconds, NULL, NULL}, {"--json", NULL, &a.json, NULL},
        {"--steps", NULL, &a.steps, NULL},     {"--custom", NULL, NULL, &custom_libraries},
    };
    if (!parse(argc, argv, options, sizeof options / sizeof *options, &a.operands)) return TROUBLE;
    int status = a.operands.n == 1 ? run(&a) : trouble("usage: fz bench MODEL [options]");
    return status;
}
