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

struct runner {
    fz_model_t *model;
    fz_session_t *session;
    fz_tensor_t *out;
    size_t n_out;
    int64_t *index;        /* of the layers' results among the outputs */
    double seconds;
};

/* Two of them, the float one first, and what is summed up. */
struct match {
    struct fz_quantizer *q;
    struct runner run[2];
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

static fz_status_t run_both(struct match *m, const fz_tensor_t *in) {
    for (int i = 0; i < 2; i++) {
        struct runner *r = &m->run[i];
        memset(r->out, 0, r->n_out * sizeof *r->out);
        double start = now();
        FZ_TRY(theirs(fz_session_run(r->session, in, m->q->graph->n_inputs, r->out, r->n_out)));
        r->seconds += now() - start;
    }
    return FZ_OK;
}

static void add_sample(struct match *m) {
    const fz_tensor_t *a = m->run[0].out, *b = m->run[1].out;
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
        status = run_both(m, in);
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

static fz_status_t score(struct match *m, struct fz_stage *plain, struct fz_stage *quantised,
                         size_t limit) {
    m->signal = fzi_arena_array(&plain->arena, m->q->n_layers, sizeof *m->signal);
    m->noise = fzi_arena_array(&plain->arena, m->q->n_layers, sizeof *m->noise);
    if (!m->signal || !m->noise) return no_memory();
    FZ_TRY(open_runner(m, plain, 0));
    FZ_TRY(open_runner(m, quantised, 1));
    FZ_TRY(walk(m, limit, m->layers ? "measure" : "compare"));
    return finish(m);
}

fz_status_t fzi_quantize_score(struct fz_quantizer *q, struct fz_stage *stage, size_t limit,
                               bool layers, struct fz_score *out) {
    struct fz_stage plain;
    *out = (struct fz_score){0};
    FZ_TRY(fzi_stage_open(q, q->base, q->base_size, &plain));
    struct match m = {.q = q, .n_public = plain.graph->n_outputs, .layers = layers, .score = out};
    fz_status_t status = score(&m, &plain, stage, limit);
    close_runner(&m.run[0]);
    close_runner(&m.run[1]);
    fzi_stage_close(&plain);
    return status;
}
