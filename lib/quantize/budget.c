/* The accuracy budget: which layers stay float.
 *
 * Each layer is quantised alone to see what it costs. The most sensitive ones stay float, as few as
 * meet the budget: their number is found by bisection, and then each of them is tried again. */
#include <stdlib.h>

#include "quantize/quantizer.h"

enum { PROBE_SAMPLES = 16, MAX_RETRIES = 24 };

static bool meets(const struct fz_quantizer *q, const struct fz_score *s) {
    const fz_quantize_options_t *o = q->options;
    if (o->min_sqnr > 0 && fzi_score_sqnr(s) < o->min_sqnr) return false;
    double lost = s->right_float > s->right ? (double)(s->right_float - s->right) : 0;
    return !(o->max_drop > 0) || lost <= o->max_drop * (double)s->right_float;
}

static fz_status_t try_it(struct fz_quantizer *q, size_t limit, struct fz_score *score) {
    struct fz_stage s;
    FZ_TRY(fzi_quantize_build(q, &s));
    fz_status_t status = fzi_quantize_score(q, &s, limit, false, score);
    fzi_stage_close(&s);
    return status;
}

/* The layers that may be quantised, in the order of the graph. */
static struct fz_layer **list(struct fz_quantizer *q, size_t *n) {
    struct fz_layer **all = fzi_arena_array(&q->arena, q->n_layers, sizeof *all);
    *n = 0;
    for (size_t i = 0; all && i < q->n_layers; i++)
        if (q->layers[i].can) all[(*n)++] = &q->layers[i];
    return all;
}

static fz_status_t probe(struct fz_quantizer *q, struct fz_layer **all, size_t n) {
    for (size_t i = 0; i < n; i++) {
        struct fz_score score;
        for (size_t k = 0; k < n; k++)
            all[k]->state = k == i ? FZ_LAYER_QUANTISED : FZ_LAYER_BUDGET;
        FZ_TRY(try_it(q, PROBE_SAMPLES, &score));
        all[i]->sensitivity = fzi_score_sqnr(&score);
        FZ_TRY(fzi_quantize_report_progress(q, (double)(i + 1) / (double)n, "sensitivity"));
    }
    return FZ_OK;
}

/* The most sensitive first; equals in the order of the graph. */
static int by_sensitivity(const void *a, const void *b) {
    const struct fz_layer *x = *(struct fz_layer *const *)a, *y = *(struct fz_layer *const *)b;
    if (x->sensitivity != y->sensitivity) return x->sensitivity < y->sensitivity ? -1 : 1;
    return x < y ? -1 : x > y;
}

/* Whether the budget is met with the first KEPT layers float. */
static fz_status_t try_kept(struct fz_quantizer *q, struct fz_layer **all, size_t n, size_t kept,
                            bool *good) {
    struct fz_score score;
    for (size_t i = 0; i < n; i++)
        all[i]->state = i < kept ? FZ_LAYER_BUDGET : FZ_LAYER_QUANTISED;
    FZ_TRY(try_it(q, SIZE_MAX, &score));
    *good = meets(q, &score);
    return FZ_OK;
}

static fz_status_t bisect(struct fz_quantizer *q, struct fz_layer **all, size_t n, size_t *kept) {
    size_t low = 0, high = n; /* LOW does not meet the budget; HIGH does or is all of them */
    bool good;
    FZ_TRY(try_kept(q, all, n, n, &good));
    if (!good)
        return fzi_error(FZ_E_VALUE, "the budget is not met even with all layers float");
    while (high - low > 1) {
        size_t middle = low + (high - low) / 2;
        FZ_TRY(try_kept(q, all, n, middle, &good));
        if (good) high = middle;
        else low = middle;
    }
    *kept = high;
    return FZ_OK;
}

/* Gives each of the kept layers, the least sensitive first, another chance. */
static fz_status_t retry(struct fz_quantizer *q, struct fz_layer **all, size_t n, size_t kept) {
    for (size_t i = 0; i < n; i++)
        all[i]->state = i < kept ? FZ_LAYER_BUDGET : FZ_LAYER_QUANTISED;
    for (size_t i = kept, tries = 0; i > 0 && tries < MAX_RETRIES; i--, tries++) {
        struct fz_score score;
        all[i - 1]->state = FZ_LAYER_QUANTISED;
        FZ_TRY(try_it(q, SIZE_MAX, &score));
        if (!meets(q, &score)) all[i - 1]->state = FZ_LAYER_BUDGET;
    }
    return FZ_OK;
}

fz_status_t fzi_quantize_budget(struct fz_quantizer *q) {
    struct fz_score score;
    size_t n, kept = 0;
    struct fz_layer **all = list(q, &n);
    if (!all) return fzi_error(FZ_E_NOMEM, "no memory for layers");
    FZ_TRY(try_it(q, SIZE_MAX, &score));
    q->why = "the budget is met with every layer quantised";
    if (meets(q, &score)) return FZ_OK;
    q->why = "the most sensitive layers, quantised one at a time, stay float";
    FZ_TRY(probe(q, all, n));
    qsort(all, n, sizeof *all, by_sensitivity);
    FZ_TRY(bisect(q, all, n, &kept));
    return retry(q, all, n, kept);
}
