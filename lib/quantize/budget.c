/* The accuracy budget: which layers stay float.
 *
 * Each layer is quantised alone to see what it costs. The most sensitive ones stay float, as few as
 * meet the budget. Noises add up, nearly: their sum says where to look for that number, trials say
 * where it is, and then each layer that is kept is tried again if there is room for it. */
#include <stdlib.h>

#include "quantize/quantizer.h"
#include "quantize/real.h"

enum { PROBE_SAMPLES = 4, SEARCH_SAMPLES = 8, MAX_RETRIES = 12, TRIALS = 10 };

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

struct search {
    struct fz_quantizer *q;
    struct fz_layer **all;  /* that may be quantised; once probed, the most sensitive first */
    size_t n;
    struct fz_score score;  /* of the last trial */
    double factor;          /* the noise of all layers together, as a share of their sum */
    size_t trials;
    size_t limit;           /* samples of a trial */
};

/* The layers that may be quantised, in the order of the graph. */
static bool list(struct search *s) {
    struct fz_quantizer *q = s->q;
    s->all = fzi_arena_array(&q->arena, q->n_layers, sizeof *s->all);
    for (size_t i = 0; s->all && i < q->n_layers; i++)
        if (q->layers[i].can) s->all[s->n++] = &q->layers[i];
    return s->all;
}

/* 10^(-DECIBEL / 10), to three digits or so: noise as a share of the signal. */
static double noise_of(double decibel) {
    double x = -decibel * 0.33219280948873623, y = 1, rest; /* as a power of 2 */
    int32_t whole = (int32_t)x - (x < 0);
    rest = (x - whole) * 0.69314718055994531;
    for (int k = 12; k >= 1; k--) y = 1 + y * rest / k;
    return y * fzi_power(whole < -1000 ? -1000 : whole > 1000 ? 1000 : whole);
}

static fz_status_t probe(struct search *s) {
    struct fz_quantizer *q = s->q;
    q->phase = "sensitivity";
    q->phase_part = 1.0 / (double)s->n;
    for (size_t i = 0; i < s->n; i++) {
        struct fz_score score;
        q->phase_done = (double)i / (double)s->n;
        for (size_t k = 0; k < s->n; k++)
            s->all[k]->state = k == i ? FZ_LAYER_QUANTISED : FZ_LAYER_BUDGET;
        FZ_TRY(try_it(q, PROBE_SAMPLES, &score));
        s->all[i]->sensitivity = fzi_score_sqnr(&score);
    }
    return FZ_OK;
}

/* The most sensitive first; equals in the order of the graph. */
static int by_sensitivity(const void *a, const void *b) {
    const struct fz_layer *x = *(struct fz_layer *const *)a, *y = *(struct fz_layer *const *)b;
    if (x->sensitivity != y->sensitivity) return x->sensitivity < y->sensitivity ? -1 : 1;
    return x < y ? -1 : x > y;
}

/* One trial of the layers' states; about TRIALS of them are made, and a later one takes half of
 * what is left. */
static fz_status_t trial(struct search *s, bool *good) {
    struct fz_quantizer *q = s->q;
    q->phase = "budget";
    q->phase_part = s->trials < TRIALS ? 1.0 / (TRIALS + 1) : (1 - q->phase_done) / 2;
    FZ_TRY(try_it(q, s->limit, &s->score));
    q->phase_done += q->phase_part;
    s->trials++;
    *good = meets(q, &s->score);
    return FZ_OK;
}

/* Whether the budget is met with the first KEPT layers float. */
static fz_status_t try_kept(struct search *s, size_t kept, bool *good) {
    for (size_t i = 0; i < s->n; i++)
        s->all[i]->state = i < kept ? FZ_LAYER_BUDGET : FZ_LAYER_QUANTISED;
    return trial(s, good);
}

static double sum_from(const struct search *s, size_t first) {
    double sum = 0;
    for (size_t i = first; i < s->n; i++) sum += noise_of(s->all[i]->sensitivity);
    return sum;
}

/* How many the sum of the noises says must stay float; the middle if accuracy is what counts. */
static size_t guess(const struct search *s) {
    double allowed = noise_of(s->q->options->min_sqnr);
    size_t kept = 1;
    if (!(s->q->options->min_sqnr > 0)) return (s->n + 1) / 2;
    while (kept + 1 < s->n && s->factor * sum_from(s, kept) > allowed) kept++;
    return kept;
}

/* LOW does not meet the budget, all layers do or nothing does. From AT on steps double until the
 * number is between, then it is halved. */
static fz_status_t find_kept(struct search *s, size_t low, size_t at, size_t *kept) {
    size_t high = s->n, step = 1;
    bool found = !(s->q->options->min_sqnr > 0);
    while (high - low > 1) {
        bool good;
        if (at <= low) at = low + 1;
        if (at >= high) at = high - 1;
        FZ_TRY(try_kept(s, at, &good));
        if (good) high = at;
        else low = at;
        found |= low > 0 && high < s->n;
        at = found ? low + (high - low) / 2 : good ? (high > step ? high - step : 0) : low + step;
        step *= 2;
    }
    *kept = high;
    return FZ_OK;
}

/* Noise is sought on a few samples first; then all of them count. */
static fz_status_t find_on_all(struct search *s, size_t *kept) {
    bool good = false;
    s->limit = s->q->options->max_drop > 0 ? SIZE_MAX : SEARCH_SAMPLES;
    FZ_TRY(find_kept(s, 0, guess(s), kept));
    s->limit = SIZE_MAX;
    FZ_TRY(try_kept(s, *kept, &good));
    if (!good && *kept < s->n) FZ_TRY(find_kept(s, *kept, *kept + 1, kept));
    return FZ_OK;
}

/* Whether there is room for LAYER, judging by its noise alone. */
static bool has_room(const struct search *s, double noise, const struct fz_layer *layer) {
    double allowed = noise_of(s->q->options->min_sqnr);
    return !(s->q->options->min_sqnr > 0) || noise + noise_of(layer->sensitivity) <= 1.25 * allowed;
}

/* Gives each of the kept layers, the least sensitive first, another chance. */
static fz_status_t retry(struct search *s, size_t kept) {
    bool good;
    FZ_TRY(try_kept(s, kept, &good));
    if (!good)
        return fzi_error(FZ_E_VALUE, "the budget is not met even with all layers float");
    double noise = noise_of(fzi_score_sqnr(&s->score));
    for (size_t i = kept, tries = 0; i > 0 && tries < MAX_RETRIES; i--) {
        if (!has_room(s, noise, s->all[i - 1])) continue;
        tries++;
        s->all[i - 1]->state = FZ_LAYER_QUANTISED;
        FZ_TRY(trial(s, &good));
        if (good) noise = noise_of(fzi_score_sqnr(&s->score));
        else s->all[i - 1]->state = FZ_LAYER_BUDGET;
    }
    return FZ_OK;
}

static fz_status_t search(struct search *s) {
    size_t kept;
    bool good;
    FZ_TRY(trial(s, &good));
    s->q->why = "the budget is met with every layer quantised";
    if (good || !s->n) return FZ_OK;
    s->q->why = "the most sensitive layers, quantised one at a time, stay float";
    FZ_TRY(probe(s));
    s->q->phase_done = 0;
    qsort(s->all, s->n, sizeof *s->all, by_sensitivity);
    double sum = sum_from(s, 0);
    s->factor = sum > 0 ? noise_of(fzi_score_sqnr(&s->score)) / sum : 1;
    FZ_TRY(find_on_all(s, &kept));
    return retry(s, kept);
}

fz_status_t fzi_quantize_budget(struct fz_quantizer *q) {
    struct search s = {.q = q, .limit = SIZE_MAX};
    if (!list(&s)) return fzi_error(FZ_E_NOMEM, "no memory for layers");
    fz_status_t status = search(&s);
    q->phase = NULL;
    return status;
}
