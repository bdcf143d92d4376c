/* Levelling: the channels of an activation share one scale, so those that reach far leave few
 * numbers to the others. Channel c is divided by s_c, and the weights that read it are multiplied
 * with s_c (as SmoothQuant does it, Xiao et al., 2023, here for convolutions, with s chosen by the
 * noise that is foretold). The division goes into the constants or the filters that make the
 * channel where only scalings and sums lie between; else it is a node, if that is worth one. */
#include "export/export.h"
#include "quantize/filters.h"
#include "quantize/quantizer.h"
#include "quantize/real.h"

enum { POWERS = 9 }; /* s = peak^(k/8) / weights^(1-k/8), k < POWERS */

/* A channel that the samples hardly move may be moved by other inputs: it is not spread further. */
static const double most_spread = 64;
/* Noise that is left, as a share, for which the constants change, and for which a node is added. */
static const double worth_constants = 0.9, worth_node = 0.5;

static fz_status_t no_memory(void) { return fzi_error(FZ_E_NOMEM, "no memory to level channels"); }

static bool is(const struct fz_node *node, const char *type) {
    return !*node->domain && strcmp(node->type, type) == 0;
}

struct level {
    struct fz_quantizer *q;
    struct fz_stage *stage;
    struct fz_value *value;
    const struct fz_stat *stat;
    struct fz_filters *readers;
    size_t n_readers;
    int64_t n;                 /* channels */
    double *norms;             /* of each channel's weights in all readers: sum of squares */
    double *weights;           /* their largest size in readers of one group */
    double *factors, *trial;   /* s */
    bool mixed;                /* a reader sums over channels */
};

/* ---- the noise that is foretold */

/* x^(k/8) */
static double eighths(double x, int k) {
    double root = fzi_root(fzi_root(fzi_root(x))), y = 1;
    for (int i = 0; i < k; i++) y *= root;
    return y;
}

/* Rounding x_c / s_c to 255 steps of the whole range, seen through the weights w * s_c. */
static double noise_of_activation(const struct level *l, const double *s) {
    double reach = 0, sum = 0;
    for (int64_t c = 0; c < l->n; c++) reach = fzi_most(reach, l->stat->peaks[c] / s[c]);
    for (int64_t c = 0; c < l->n; c++) sum += l->norms[c] * s[c] * s[c];
    double low = l->stat->low, high = l->stat->high, peak = fzi_most(high, -low);
    double step = reach * (peak > 0 ? (high - low) / peak : 1) / 255;
    return sum * step * step;
}

/* Rounding w * s_c to 127 steps for each output, seen through what x_c / s_c varies: bias
 * correction makes good for the mean. */
static double noise_of_weights(const struct level *l, const double *s) {
    double sum = 0, n = (double)l->stat->per_channel;
    for (size_t r = 0; r < l->n_readers; r++) {
        const struct fz_filters *f = &l->readers[r];
        const float *w = f->node->in[1]->t.data;
        double inputs = 0, steps = 0;
        if (fzi_filters_depthwise(f)) continue;
        for (int64_t c = 0; c < l->n; c++) {
            double mean = l->stat->sums[c] / n, square = l->stat->squares[c] / n;
            inputs += (double)f->inner * fzi_most(square - mean * mean, 0) / (s[c] * s[c]);
        }
        for (int64_t o = 0; o < f->outs; o++) {
            double most = 0;
            for (int64_t c = 0; c < l->n; c++) {
                struct fz_runs runs = {(o * f->ins + c) * f->inner, 0, 1, f->inner};
                most = fzi_most(most, fzi_runs_peak(w, runs) * s[c]);
            }
            steps += most * most / (127.0 * 127.0);
        }
        sum += inputs * steps;
    }
    return sum;
}

static double noise(const struct level *l, const double *s) {
    return noise_of_activation(l, s) + noise_of_weights(l, s);
}

/* ---- factors */

static void sum_weights(struct level *l) {
    for (size_t r = 0; r < l->n_readers; r++) {
        const struct fz_filters *f = &l->readers[r];
        const float *w = f->node->in[1]->t.data;
        for (int64_t c = 0; c < l->n; c++) {
            struct fz_runs runs = fzi_filters_input(f, c);
            for (int64_t k = 0; k < runs.count; k++)
                for (int64_t i = 0; i < runs.length; i++) {
                    double x = (double)w[runs.first + k * runs.step + i];
                    l->norms[c] += x * x;
                }
            if (f->group == 1) l->weights[c] = fzi_most(l->weights[c], fzi_runs_peak(w, runs));
        }
    }
}

static double most_of(const double *x, int64_t n) {
    double most = 0;
    for (int64_t i = 0; i < n; i++) most = fzi_most(most, x[i]);
    return most;
}

/* s for power K, the largest 1. */
static void choose(const struct level *l, int k, double *s) {
    double peaks = most_of(l->stat->peaks, l->n), weights = most_of(l->weights, l->n);
    for (int64_t c = 0; c < l->n; c++) {
        double p = fzi_most(l->stat->peaks[c], peaks / most_spread);
        double w = fzi_most(l->weights[c], weights / most_spread);
        s[c] = l->mixed ? eighths(p, k) / eighths(w, 8 - k) : p;
    }
    double most = most_of(s, l->n);
    for (int64_t c = 0; c < l->n; c++) s[c] = fzi_most(s[c] / most, 1 / most_spread);
}

/* The share of the noise that is left with the best factors. */
static double best_factors(struct level *l) {
    for (int64_t c = 0; c < l->n; c++) l->trial[c] = 1;
    double before = noise(l, l->trial), least = before;
    for (int k = l->mixed ? 0 : POWERS - 1; k < POWERS; k++) {
        choose(l, k, l->trial);
        double now = noise(l, l->trial);
        if (!(now < least)) continue;
        least = now;
        memcpy(l->factors, l->trial, (size_t)l->n * sizeof *l->factors);
    }
    return before > 0 ? least / before : 1;
}

/* ---- where the division goes */

/* Where channel C of a value of RANK dimensions lies in the constant V; -1 for another shape. */
static int64_t place(const struct fz_value *v, int32_t rank, int64_t n, int64_t c) {
    int32_t axis = v->t.rank - rank + 1;
    for (int32_t d = 0; d < v->t.rank; d++)
        if (v->t.dims[d] != 1 && (d != axis || v->t.dims[d] != n)) return -1;
    return fzi_tensor_count(&v->t) == 1 ? 0 : c;
}

static bool by_channel(const struct level *l, const struct fz_value *v) {
    return fzi_is_constant(v) && v->t.dtype == FZ_TYPE_F32 && v->t.rank <= l->value->t.rank &&
           place(v, l->value->t.rank, l->n, 0) >= 0;
}

/* Input I of NODE by channel, divided by the factors, or multiplied with them. */
static bool divide_constant(const struct level *l, struct fz_node *node, uint32_t i, bool divide) {
    const struct fz_value *old = node->in[i];
    int32_t rank = l->value->t.rank;
    int64_t dims[FZ_RANK_MAX];
    for (int32_t d = 0; d < rank; d++) dims[d] = d == 1 ? l->n : 1;
    struct fz_value *v = fzi_stage_constant(l->stage, old->name, FZ_TYPE_F32, rank, dims);
    if (!v) return false;
    for (int64_t c = 0; c < l->n; c++) {
        double x = (double)((const float *)old->t.data)[place(old, rank, l->n, c)];
        ((float *)v->t.data)[c] = (float)(divide ? x / l->factors[c] : x * l->factors[c]);
    }
    node->in[i] = v;
    return true;
}

static bool divide_filters(const struct level *l, const struct fz_filters *f) {
    struct fz_graph *g = l->stage->graph;
    float *w = fzi_own_input(g, f->node, 1);
    float *b = fzi_in(f->node, 2) ? fzi_own_input(g, f->node, 2) : NULL;
    if (!w || (!b && fzi_in(f->node, 2))) return false;
    for (int64_t c = 0; c < l->n; c++) {
        fzi_runs_scale(w, fzi_filters_output(f, c), 1 / l->factors[c]);
        if (b) b[c] = (float)((double)b[c] / l->factors[c]);
    }
    return true;
}

/* Keeps factors of channels: f(a x) = a f(x) for a > 0. */
static bool keeps_factors(const struct fz_node *node) {
    return is(node, "Relu") || is(node, "LeakyRelu") || is(node, "AveragePool") ||
           is(node, "GlobalAveragePool") || (is(node, "MaxPool") && !fzi_out(node, 1));
}

/* The input of the sum NODE that is no constant, or -1. */
static int other_of_sum(const struct level *l, const struct fz_node *node) {
    if ((!is(node, "Add") && !is(node, "Sub")) || node->n_in != 2) return -1;
    return by_channel(l, node->in[1]) ? 0 : by_channel(l, node->in[0]) ? 1 : -1;
}

/* The constant that a Mul or Div by channel applies, or -1. */
static int factor_of(const struct level *l, const struct fz_node *node) {
    if (is(node, "Div")) return by_channel(l, node->in[1]) ? 1 : -1;
    if (!is(node, "Mul")) return -1;
    return by_channel(l, node->in[1]) ? 1 : by_channel(l, node->in[0]) ? 0 : -1;
}

/* Finds what the division can go into, and with APPLY puts it there. */
static bool absorb(const struct level *l, bool apply) {
    const struct fz_value *v = l->value;
    bool own = v->n_uses == l->n_readers;
    while (own && v->producer && v->graph == l->stage->graph && v->t.rank == l->value->t.rank) {
        struct fz_node *node = v->producer;
        struct fz_filters f;
        int i = factor_of(l, node), other = other_of_sum(l, node);
        if (i >= 0) return !apply || divide_constant(l, node, (uint32_t)i, is(node, "Mul"));
        if (fzi_filters_read(node, &f))
            return f.outs == l->n && (!apply || divide_filters(l, &f));
        if (other < 0 && !keeps_factors(node)) return false;
        if (other >= 0 && apply && !divide_constant(l, node, (uint32_t)(1 - other), true))
            return false;
        v = node->in[other < 0 ? 0 : other];
        own = v->n_uses == 1;
    }
    return false;
}

/* A Mul in front of the readers. */
static fz_status_t insert(const struct level *l) {
    struct fz_arena *a = &l->stage->arena;
    const char *name = l->value->name;
    int32_t rank = l->value->t.rank;
    int64_t dims[FZ_RANK_MAX];
    for (int32_t d = 0; d < rank; d++) dims[d] = d == 1 ? l->n : 1;
    struct fz_node *node =
        fzi_stage_node(l->q, l->stage, l->readers[0].node, "Mul",
                       fzi_arena_format(a, "%s_level", name), 2,
                       fzi_arena_format(a, "%s_levelled", name));
    struct fz_value *v = fzi_stage_constant(l->stage, fzi_arena_format(a, "%s_levels", name),
                                            FZ_TYPE_F32, rank, dims);
    const char *own = node ? fzi_arena_string(&l->q->arena, node->out[0]->name) : NULL;
    if (!node || !v || !own) return no_memory();
    for (int64_t c = 0; c < l->n; c++) ((float *)v->t.data)[c] = (float)(1 / l->factors[c]);
    node->in[0] = l->value;
    node->in[1] = v;
    node->out[0]->t = l->value->t;
    for (size_t r = 0; r < l->n_readers; r++) {
        fzi_layer_of(l->q, l->readers[r].node)->in = own;
        l->readers[r].node->in[0] = node->out[0];
    }
    return FZ_OK;
}

static fz_status_t multiply_readers(const struct level *l) {
    for (size_t r = 0; r < l->n_readers; r++) {
        const struct fz_filters *f = &l->readers[r];
        float *w = fzi_own_input(l->stage->graph, f->node, 1);
        if (!w) return no_memory();
        for (int64_t c = 0; c < l->n; c++)
            fzi_runs_scale(w, fzi_filters_input(f, c), l->factors[c]);
    }
    return FZ_OK;
}

/* ---- values */

static bool is_reader(const struct level *l, struct fz_node *node, struct fz_filters *f) {
    if (node->n_in < 2 || node->in[0] != l->value || !fzi_layer_of(l->q, node)) return false;
    if (!fzi_filters_read(node, f)) return false;
    return fzi_filters_depthwise(f) ? f->outs == l->n : f->group == 1 && f->ins == l->n;
}

/* The layers that read the value from NODE on. */
static void find_readers(struct level *l, struct fz_node *node) {
    struct fz_filters f;
    for (; node; node = node->next)
        if (is_reader(l, node, &f)) {
            l->mixed |= !fzi_filters_depthwise(&f);
            l->readers[l->n_readers++] = f;
        }
}

static fz_status_t level(struct level *l) {
    double *room = fzi_calloc((size_t)(4 * l->n), sizeof *room);
    if (!room) return no_memory();
    l->norms = room;
    l->weights = room + l->n;
    l->factors = room + 2 * l->n;
    l->trial = room + 3 * l->n;
    sum_weights(l);
    double left = best_factors(l);
    bool constants = left < worth_constants && absorb(l, false);
    fz_status_t status = FZ_OK;
    if (constants || left < worth_node) {
        status = multiply_readers(l);
        if (status == FZ_OK && constants) status = absorb(l, true) ? FZ_OK : no_memory();
        else if (status == FZ_OK) status = insert(l);
    }
    fzi_free(room);
    return status;
}

static fz_status_t level_all(struct fz_quantizer *q, struct fz_stage *s) {
    struct fz_filters *readers = fzi_arena_array(&s->arena, q->n_layers, sizeof *readers);
    if (!readers) return no_memory();
    for (struct fz_node *node = s->graph->first; node; node = node->next) {
        struct fz_value *v = node->n_in ? node->in[0] : NULL;
        const struct fz_stat *stat = v && fzi_layer_of(q, node) ? fzi_stat_of(q, v->name) : NULL;
        if (!stat || stat->n_channels < 2 || !stat->per_channel || v->t.rank < 3) continue;
        struct level l = {.q = q, .stage = s, .value = v, .stat = stat, .readers = readers,
                          .n = stat->n_channels};
        find_readers(&l, node);
        if (l.n_readers && l.readers[0].node == node) FZ_TRY(level(&l));
    }
    return fzi_export_memory(s->graph, &q->arena, &q->base, &q->base_size);
}

fz_status_t fzi_quantize_level(struct fz_quantizer *q) {
    return fzi_stage_of_base(q, level_all);
}
