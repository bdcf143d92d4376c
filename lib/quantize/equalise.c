/* Moving scales between layers: what a layer divides a channel by, the next one multiplies it with.
 *
 * Across convolutions (Nagel et al., "Data-free quantization through weight equalization and bias
 * correction", 2019): s = fzi_root(r1 * r2) / r2 gives channel c the same largest weight on both
 * sides. Behind a LayerNormalization (Xiao et al., "SmoothQuant", 2023, with alpha = 1/2):
 * s_j = fzi_root(max |X_j| / max |W_j|) moves outliers of activations into weights. */

#include "export/export.h"
#include "quantize/filters.h"
#include "quantize/quantizer.h"
#include "quantize/real.h"

enum { SWEEPS = 4 };

static fz_status_t no_memory(void) { return fzi_error(FZ_E_NOMEM, "no memory to equalise"); }

static bool is(const struct fz_node *node, const char *type) {
    return node && !*node->domain && strcmp(node->type, type) == 0;
}

/* ---- across convolutions */

/* The convolution that alone reads C's result, at once or through a Relu. */
static bool next_conv(const struct fz_filters *c, struct fz_filters *next) {
    struct fz_node *reader = fzi_value_reader(c->node->out[0]);
    if (is(reader, "Relu")) reader = fzi_value_reader(reader->out[0]);
    if (!reader || !fzi_filters_read(reader, next)) return false;
    bool depthwise = fzi_filters_depthwise(next) && next->outs == c->outs;
    return depthwise || (next->group == 1 && next->ins == c->outs);
}

static fz_status_t balance(struct fz_graph *graph, const struct fz_filters *a,
                           const struct fz_filters *b) {
    float *w = fzi_own_input(graph, a->node, 1), *v = fzi_own_input(graph, b->node, 1);
    float *bias = fzi_in(a->node, 2) ? fzi_own_input(graph, a->node, 2) : NULL;
    if (!w || !v || (!bias && fzi_in(a->node, 2))) return no_memory();
    for (int64_t c = 0; c < a->outs; c++) {
        struct fz_runs out = fzi_filters_output(a, c), in = fzi_filters_input(b, c);
        double r1 = fzi_runs_peak(w, out), r2 = fzi_runs_peak(v, in);
        if (!(r1 > 1e-12) || !(r2 > 1e-12)) continue;
        double s = fzi_root(r1 * r2) / r2;
        fzi_runs_scale(w, out, 1 / s);
        fzi_runs_scale(v, in, s);
        if (bias) bias[c] = (float)((double)bias[c] / s);
    }
    return FZ_OK;
}

fz_status_t fzi_quantize_equalise(struct fz_quantizer *q, struct fz_pass *pass) {
    (void)q;
    fzi_graph_count_uses(pass->graph);
    for (int sweep = 0; sweep < SWEEPS; sweep++)
        for (struct fz_node *node = pass->graph->first; node; node = node->next) {
            struct fz_filters a, b;
            if (fzi_filters_read(node, &a) && next_conv(&a, &b))
                FZ_TRY(balance(pass->graph, &a, &b));
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
    struct fz_runs runs = {first, step, n, 1};
    if (s != 1) fzi_runs_scale(w, runs, s);
    return fzi_runs_peak(w, runs);
}

static bool is_row(const struct fz_value *v, int64_t n) {
    return fzi_is_constant(v) && v->t.dtype == FZ_TYPE_F32 && v->t.rank == 1 && v->t.dims[0] == n;
}

static fz_status_t smooth(struct fz_graph *graph, struct fz_node *norm,
                          const struct fz_stat *stat) {
    const struct fz_value *v = norm->out[0];
    float *gain = fzi_own_input(graph, norm, 1);
    float *shift = fzi_in(norm, 2) ? fzi_own_input(graph, norm, 2) : NULL;
    double *peaks = fzi_arena_array(graph->arena, (size_t)stat->n_channels, sizeof *peaks);
    if (!gain || !peaks || (!shift && fzi_in(norm, 2))) return no_memory();
    for (struct fz_node *node = graph->first; node; node = node->next) {
        if (!reads(node, v)) continue;
        if (!fzi_own_input(graph, node, 1)) return no_memory();
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
    return fzi_stage_of_base(q, smooth_all);
}
