/* Two models side by side: how far the quantised one is from the float one. */
#include <time.h>

#include "quantize/quantizer.h"
#include "quantize/real.h"

static fz_status_t no_memory(void) { return fzi_error(FZ_E_NOMEM, "no memory to compare"); }

static fz_status_t theirs(fz_status_t status) {
    return status == FZ_OK ? FZ_OK : fzi_error(status, "%s", fz_last_error());
}

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static double decibel(double signal, double noise) {
    if (!(noise > 0) || noise < signal * 1e-20) return 200;
    return signal > 0 ? 4.3429448190325183 * fzi_logarithm(signal / noise) : 0;
}

double fzi_score_sqnr(const struct fz_score *score) {
    double worst = 200;
    for (uint32_t i = 0; i < score->n_outputs; i++)
        worst = fzi_least(worst, decibel(score->signal[i], score->noise[i]));
    return worst;
}

/* ---- the float model, whose outputs are the same in every comparison */

static const size_t kept_memory = (size_t)512 << 20;

struct answer {
    fz_tensor_t *out; /* copies; NULL: not kept */
    double seconds;
};

struct fz_reference {
    fz_model_t *model;
    fz_session_t *session;
    fz_tensor_t *out;       /* of the last run */
    uint32_t n_out;
    struct answer *answers; /* of the first samples */
    size_t n, capacity, used;
};

static fz_status_t open_reference(struct fz_quantizer *q) {
    struct fz_stage s;
    struct fz_reference *r = fzi_arena_alloc(&q->arena, sizeof *r);
    if (!r) return no_memory();
    q->reference = r;
    FZ_TRY(fzi_stage_open(q, q->base, q->base_size, &s));
    r->n_out = s.graph->n_outputs;
    r->out = fzi_arena_array(&q->arena, r->n_out, sizeof *r->out);
    fz_status_t status = r->out ? fzi_stage_run(q, &s, &r->model, &r->session) : no_memory();
    fzi_stage_close(&s);
    return status;
}

void fzi_quantize_forget(struct fz_quantizer *q) {
    struct fz_reference *r = q->reference;
    if (!r) return;
    for (size_t i = 0; i < r->n; i++)
        for (uint32_t k = 0; r->answers[i].out && k < r->n_out; k++)
            fzi_free(r->answers[i].out[k].data);
    for (size_t i = 0; i < r->n; i++) fzi_free(r->answers[i].out);
    fzi_free(r->answers);
    fz_session_close(r->session);
    fz_model_close(r->model);
    q->reference = NULL;
}

/* Keeps the last answer as that of sample R->n, as long as there is room; without memory it is
 * computed again. */
static void keep(struct fz_reference *r, double seconds) {
    size_t size = 0;
    for (uint32_t k = 0; k < r->n_out; k++) size += r->out[k].size;
    if (size > kept_memory - r->used) return;
    if (r->n == r->capacity) {
        size_t more = r->capacity ? 2 * r->capacity : 64;
        struct answer *grown = fzi_calloc(more, sizeof *grown);
        if (!grown) return;
        if (r->n) memcpy(grown, r->answers, r->n * sizeof *grown);
        fzi_free(r->answers);
        r->answers = grown;
        r->capacity = more;
    }
    fz_tensor_t *out = fzi_calloc(r->n_out, sizeof *out);
    bool good = out;
    for (uint32_t k = 0; good && k < r->n_out; k++) {
        out[k] = r->out[k];
        out[k].data = fzi_calloc(r->out[k].size + 1, 1);
        good = out[k].data;
        if (good && r->out[k].size) memcpy(out[k].data, r->out[k].data, r->out[k].size);
    }
    for (uint32_t k = 0; !good && out && k < r->n_out; k++) fzi_free(out[k].data);
    if (!good) {
        fzi_free(out);
        return;
    }
    r->answers[r->n++] = (struct answer){out, seconds};
    r->used += size;
}

/* The float model's outputs for sample I, which IN holds. */
static fz_status_t ask_reference(struct fz_quantizer *q, size_t i, const fz_tensor_t *in,
                                 const fz_tensor_t **out, double *seconds) {
    struct fz_reference *r = q->reference;
    if (i < r->n) {
        *out = r->answers[i].out;
        *seconds += r->answers[i].seconds;
        return FZ_OK;
    }
    memset(r->out, 0, r->n_out * sizeof *r->out);
    double start = now();
    FZ_TRY(theirs(fz_session_run(r->session, in, q->graph->n_inputs, r->out, r->n_out)));
    double passed = now() - start;
    if (i == r->n) keep(r, passed);
    *out = r->out;
    *seconds += passed;
    return FZ_OK;
}

/* ---- two models */

struct runner {
    fz_model_t *model;
    fz_session_t *session;
    fz_tensor_t *out;
    size_t n_out;
    int64_t *index;        /* of the layers' results among the outputs */
    double seconds;
};

/* Two of them, the float one first, and what is summed up. Without a look at layers the reference
 * is the first. */
struct match {
    struct fz_quantizer *q;
    struct runner run[2];
    const fz_tensor_t *plain; /* the float model's outputs */
    uint32_t n_public;
    bool layers;
    double *signal, *noise; /* of each layer */
    struct fz_score *score;
};

static fz_status_t open_runner(struct match *m, struct fz_stage *s, int which) {
    struct runner *r = &m->run[which];
    struct fz_quantizer *q = m->q;
    size_t n = m->layers ? q->n_layers : 0;
    const char **names = fzi_arena_array(&s->arena, n, sizeof *names);
    r->index = fzi_arena_array(&s->arena, n, sizeof *r->index);
    if (!names || !r->index) return no_memory();
    for (size_t i = 0; i < n; i++) names[i] = q->layers[i].out;
    FZ_TRY(fzi_stage_observe(s, names, n, r->index));
    r->n_out = s->graph->n_outputs;
    r->out = fzi_arena_array(&s->arena, r->n_out, sizeof *r->out);
    if (!r->out) return no_memory();
    return fzi_stage_run(q, s, &r->model, &r->session);
}

static void close_runner(struct runner *r) {
    fz_session_close(r->session);
    fz_model_close(r->model);
}

static void compare(const fz_tensor_t *a, const fz_tensor_t *b, double *signal, double *noise) {
    if (a->dtype != FZ_TYPE_F32 || b->dtype != FZ_TYPE_F32 || !fzi_shape_equal(a, b)) return;
    const float *x = a->data, *y = b->data;
    for (int64_t i = 0; i < fzi_tensor_count(a); i++) {
        double d = (double)y[i] - (double)x[i];
        *signal += (double)x[i] * (double)x[i];
        *noise += d == d ? d * d : FZ_INFINITY;
    }
}

/* Rows of T whose largest element is where LABELS say, from row FIRST on. */
static uint64_t count_right(const struct fz_quantizer *q, const fz_tensor_t *t, uint64_t first,
                            uint64_t *rows) {
    int64_t width = t->rank > 0 ? t->dims[t->rank - 1] : 0;
    uint64_t right = 0;
    *rows = 0;
    if (t->dtype != FZ_TYPE_F32 || width < 1) return 0;
    const float *x = t->data;
    for (int64_t r = 0; r < fzi_tensor_count(t) / width; r++, x += width, ++*rows) {
        int64_t best = 0;
        for (int64_t i = 1; i < width; i++)
            if (x[i] > x[best]) best = i;
        right += first + *rows < q->n_labels && q->labels[first + *rows] == best;
    }
    return right;
}

static fz_status_t run_one(struct match *m, struct runner *r, const fz_tensor_t *in) {
    memset(r->out, 0, r->n_out * sizeof *r->out);
    double start = now();
    FZ_TRY(theirs(fz_session_run(r->session, in, m->q->graph->n_inputs, r->out, r->n_out)));
    r->seconds += now() - start;
    return FZ_OK;
}

static fz_status_t run_both(struct match *m, size_t sample, const fz_tensor_t *in) {
    m->plain = m->run[0].out;
    if (m->layers) FZ_TRY(run_one(m, &m->run[0], in));
    else FZ_TRY(ask_reference(m->q, sample, in, &m->plain, &m->run[0].seconds));
    return run_one(m, &m->run[1], in);
}

static void add_sample(struct match *m) {
    const fz_tensor_t *a = m->plain, *b = m->run[1].out;
    struct fz_score *s = m->score;
    uint64_t rows;
    s->n_outputs = m->n_public < FZ_SCORE_OUTPUTS ? m->n_public : FZ_SCORE_OUTPUTS;
    for (uint32_t i = 0; i < m->n_public; i++) {
        uint32_t k = i < FZ_SCORE_OUTPUTS ? i : FZ_SCORE_OUTPUTS - 1;
        compare(&a[i], &b[i], &s->signal[k], &s->noise[k]);
    }
    if (m->q->labels) {
        s->right_float += count_right(m->q, &a[0], s->rows, &rows);
        s->right += count_right(m->q, &b[0], s->rows, &rows);
        s->rows += rows;
    }
    for (size_t i = 0; m->layers && i < m->q->n_layers; i++)
        compare(&a[m->run[0].index[i]], &b[m->run[1].index[i]], &m->signal[i], &m->noise[i]);
}

static fz_status_t walk(struct match *m, size_t limit, const char *phase) {
    struct fz_quantizer *q = m->q;
    fz_tensor_t *in = fzi_calloc(q->graph->n_inputs + 1, sizeof *in);
    fz_status_t status = in ? FZ_OK : no_memory();
    bool found = true;
    size_t n = q->n_samples && q->n_samples < limit ? q->n_samples : limit;
    for (size_t i = 0; status == FZ_OK && found && i < limit; i++) {
        status = fzi_quantize_sample(q, i, in, &found);
        if (status != FZ_OK || !found) break;
        status = run_both(m, i, in);
        if (status == FZ_OK) add_sample(m);
        if (status == FZ_OK)
            status = fzi_quantize_report_progress(q, (double)(i + 1) / (double)n, phase);
    }
    fzi_free(in);
    return status;
}

static fz_status_t finish(struct match *m) {
    struct fz_quantizer *q = m->q;
    m->score->seconds_float = m->run[0].seconds;
    m->score->seconds = m->run[1].seconds;
    for (size_t i = 0; m->layers && i < q->n_layers; i++) {
        q->layers[i].sqnr = decibel(m->signal[i], m->noise[i]);
        q->layers[i].measured = true;
    }
    if (q->labels && m->score->rows > q->n_labels)
        return fzi_error(FZ_E_VALUE, "there are %zu labels for more rows of the first output",
                         q->n_labels);
    return FZ_OK;
}

static fz_status_t score(struct match *m, struct fz_stage *quantised, size_t limit) {
    struct fz_quantizer *q = m->q;
    struct fz_stage plain = {0};
    fz_status_t status = FZ_OK;
    m->signal = fzi_arena_array(&quantised->arena, q->n_layers, sizeof *m->signal);
    m->noise = fzi_arena_array(&quantised->arena, q->n_layers, sizeof *m->noise);
    if (!m->signal || !m->noise) return no_memory();
    if (m->layers) {
        status = fzi_stage_open(q, q->base, q->base_size, &plain);
        if (status == FZ_OK) status = open_runner(m, &plain, 0);
    } else if (!q->reference) {
        status = open_reference(q);
    }
    if (status == FZ_OK) status = open_runner(m, quantised, 1);
    if (status == FZ_OK) status = walk(m, limit, m->layers ? "measure" : "compare");
    if (status == FZ_OK) status = finish(m);
    fzi_stage_close(&plain);
    return status;
}

fz_status_t fzi_quantize_score(struct fz_quantizer *q, struct fz_stage *stage, size_t limit,
                               bool layers, struct fz_score *out) {
    *out = (struct fz_score){0};
    struct match m = {.q = q, .n_public = stage->graph->n_outputs, .layers = layers, .score = out};
    fz_status_t status = score(&m, stage, limit);
    close_runner(&m.run[0]);
    close_runner(&m.run[1]);
    return status;
}
