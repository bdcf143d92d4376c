/* Moving scales between layers: what a layer divides a channel by, the next one multiplies it with.
 *
 * Across convolutions (Nagel et al., "Data-free quantization through weight equalization and bias
 * correction", 2019): s = fzi_root(r1 * r2) / r2 gives channel c the same largest weight on both
 * sides. Behind a LayerNormalization (Xiao et al., "SmoothQuant", 2023, with alpha = 1/2):
 * s_j = fzi_root(max |X_j| / max |W_j|) moves outliers of activations into weights. */

#include "export/export.h"
#include "quantize/quantizer.h"
#include "quantize/real.h"

enum { SWEEPS = 4 };

static fz_status_t no_memory(void) { return fzi_error(FZ_E_NOMEM, "no memory to equalise"); }

static bool is(const struct fz_node *node, const char *type) {
    return node && !*node->domain && strcmp(node->type, type) == 0;
}

/* A copy of input I of NODE that is its own, as numbers to change. */
static float *own(struct fz_graph *graph, struct fz_node *node, uint32_t i) {
    const struct fz_value *old = node->in[i];
    struct fz_value *v = fzi_graph_new_constant(graph, old->name, FZ_TYPE_F32, old->t.rank,
                                                old->t.dims);
    if (!v) return NULL;
    if (old->t.size) memcpy(v->t.data, old->t.data, old->t.size);
    node->in[i] = v;
    return v->t.data;
}

/* ---- across convolutions */

struct conv {
    struct fz_node *node;
    int64_t outs, ins, inner, group; /* ins: of a group */
};

static bool read_conv(struct fz_node *node, struct conv *c) {
    const struct fz_value *w = node && node->n_in > 1 ? node->in[1] : NULL;
    if (!is(node, "Conv") || !fzi_is_constant(w) || w->t.dtype != FZ_TYPE_F32 || w->t.rank < 3)
        return false;
    const struct fz_value *b = fzi_in(node, 2);
    if (b && (!fzi_is_constant(b) || b->t.dtype != FZ_TYPE_F32 || b->t.rank != 1)) return false;
    *c = (struct conv){node, w->t.dims[0], w->t.dims[1], 1, 1};
    for (int32_t d = 2; d < w->t.rank; d++) c->inner *= w->t.dims[d];
    return fzi_attr_int(node, "group", 1, &c->group) == FZ_OK;
}

/* The convolution that alone reads C's result, at once or through a Relu. */
static bool next_conv(const struct conv *c, struct conv *next) {
    struct fz_node *reader = fzi_value_reader(c->node->out[0]);
    if (is(reader, "Relu")) reader = fzi_value_reader(reader->out[0]);
    if (!reader || !read_conv(reader, next)) return false;
    bool depthwise = next->group == c->outs && next->ins == 1 && next->outs == c->outs;
    return depthwise || (next->group == 1 && next->ins == c->outs);
}

/* Weights of input channel CHANNEL: runs of c->inner, COUNT of them, STEP apart, from FIRST on. */
static void input_runs(const struct conv *c, int64_t channel, int64_t *first, int64_t *step,
                       int64_t *count) {
    *first = channel * c->inner;
    *step = c->ins * c->inner;
    *count = c->group == 1 ? c->outs : 1;
}

static double peak(const float *w, int64_t first, int64_t step, int64_t count, int64_t run) {
    double most = 0;
    for (int64_t k = 0; k < count; k++)
        for (int64_t i = 0; i < run; i++) {
            double size = fzi_size((double)w[first + k * step + i]);
            if (size > most) most = size;
        }
    return most;
}

static void scale_by(float *w, int64_t first, int64_t step, int64_t count, int64_t run, double s) {
    for (int64_t k = 0; k < count; k++)
        for (int64_t i = 0; i < run; i++)
            w[first + k * step + i] = (float)((double)w[first + k * step + i] * s);
}

static fz_status_t balance(struct fz_graph *graph, const struct conv *a, const struct conv *b) {
    float *w = own(graph, a->node, 1), *v = own(graph, b->node, 1);
    float *bias = fzi_in(a->node, 2) ? own(graph, a->node, 2) : NULL;
    if (!w || !v || (!bias && fzi_in(a->node, 2))) return no_memory();
    int64_t run = a->ins * a->inner, first, step, count;
    for (int64_t c = 0; c < a->outs; c++) {
        input_runs(b, c, &first, &step, &count);
        double r1 = peak(w, c * run, 0, 1, run), r2 = peak(v, first, step, count, b->inner);
        if (!(r1 > 1e-12) || !(r2 > 1e-12)) continue;
        double s = fzi_root(r1 * r2) / r2;
        scale_by(w, c * run, 0, 1, run, 1 / s);
        scale_by(v, first, step, count, b->inner, s);
        if (bias) bias[c] = (float)((double)bias[c] / s);
    }
    return FZ_OK;
}

fz_status_t fzi_quantize_equalise(struct fz_quantizer *q, struct fz_pass *pass) {
    (void)q;
    fzi_graph_count_uses(pass->graph);
    for (int sweep = 0; sweep < SWEEPS; sweep++)
        for (struct fz_node *node = pass->graph->first; node; node = node->next) {
            struct conv a, b;
            if (read_conv(node, &a) && next_conv(&a, &b)) FZ_TRY(balance(pass->graph, &a, &b));
        }
    return FZ_OK;
}

/* ---- behind a LayerNormalization */

static bool reads(const struct fz_node *node, const struct fz_value *v) {
    for (uint32_t i = 0; i < node->n_in; i++)
        if (node->in[i] == v) return true;
    return false;
}

/* True if every reader of V is a layer whose activation it is; their number must be that of all
 * uses. */
static bool only_layers(struct fz_quantizer *q, const struct fz_graph *graph,
                        const struct fz_value *v) {
    uint32_t n = 0;
    for (const struct fz_node *node = graph->first; node; node = node->next) {
        if (!reads(node, v)) continue;
        if (!fzi_layer_of(q, node) || node->in[0] != v || node->in[1]->t.rank != 2) return false;
        n++;
    }
    return n > 0 && n == v->n_uses;
}

/* The largest weight of input J, or all of its weights times S. */
static double input_weights(const struct fz_node *node, float *w, int64_t j, double s) {
    int64_t rows = node->in[1]->t.dims[0], columns = node->in[1]->t.dims[1];
    bool transposed = fzi_weight_axis(node) == 0;
    int64_t first = transposed ? j : j * columns, step = transposed ? columns : 1;
    int64_t n = transposed ? rows : columns;
    if (s != 1) scale_by(w, first, step, n, 1, s);
    return peak(w, first, step, n, 1);
}

static bool is_row(const struct fz_value *v, int64_t n) {
    return fzi_is_constant(v) && v->t.dtype == FZ_TYPE_F32 && v->t.rank == 1 && v->t.dims[0] == n;
}

static fz_status_t smooth(struct fz_graph *graph, struct fz_node *norm,
                          const struct fz_stat *stat) {
    const struct fz_value *v = norm->out[0];
    float *gain = own(graph, norm, 1), *shift = fzi_in(norm, 2) ? own(graph, norm, 2) : NULL;
    double *peaks = fzi_arena_array(graph->arena, (size_t)stat->n_channels, sizeof *peaks);
    if (!gain || !peaks || (!shift && fzi_in(norm, 2))) return no_memory();
    for (struct fz_node *node = graph->first; node; node = node->next) {
        if (!reads(node, v)) continue;
        if (!own(graph, node, 1)) return no_memory();
        for (int64_t j = 0; j < stat->n_channels; j++)
            peaks[j] = fzi_most(peaks[j], input_weights(node, node->in[1]->t.data, j, 1));
    }
    for (int64_t j = 0; j < stat->n_channels; j++) {
        if (!(peaks[j] > 1e-12) || !(stat->peaks[j] > 1e-12)) continue;
        double s = fzi_root(stat->peaks[j] / peaks[j]);
        gain[j] = (float)((double)gain[j] / s);
        if (shift) shift[j] = (float)((double)shift[j] / s);
        for (struct fz_node *node = graph->first; node; node = node->next)
            if (reads(node, v)) input_weights(node, node->in[1]->t.data, j, s);
    }
    return FZ_OK;
}

static fz_status_t smooth_all(struct fz_quantizer *q, struct fz_stage *s) {
    for (struct fz_node *node = s->graph->first; node; node = node->next) {
        if (!is(node, "LayerNormalization") || !only_layers(q, s->graph, node->out[0])) continue;
        const struct fz_stat *stat = fzi_stat_of(q, node->out[0]->name);
        if (!stat || stat->n_channels <= 0 || !is_row(node->in[1], stat->n_channels)) continue;
        if (fzi_in(node, 2) && !is_row(node->in[2], stat->n_channels)) continue;
        FZ_TRY(smooth(s->graph, node, stat));
    }
    return fzi_export_memory(s->graph, &q->arena, &q->base, &q->base_size);
}

fz_status_t fzi_quantize_smooth(struct fz_quantizer *q) {
    struct fz_stage s;
    FZ_TRY(fzi_stage_open(q, q->base, q->base_size, &s));
    fz_status_t status = smooth_all(q, &s);
    fzi_stage_close(&s);
    return status;
}
