/* Bias correction: what rounding adds to the mean of a layer's results is taken out of its bias
 * (Nagel et al., "Data-free quantization through weight equalization and bias correction", 2019,
 * with measured means). On inputs that are much alike, as pages that are mostly paper, this mean is
 * most of the error. */

#include "quantize/quantizer.h"

static fz_status_t no_memory(void) { return fzi_error(FZ_E_NOMEM, "no memory for a bias"); }

static bool is(const struct fz_node *node, const char *type) {
    return !*node->domain && strcmp(node->type, type) == 0;
}

/* ---- means */

/* What is known about the means of LAYER's input by channel, or NULL. */
static const struct fz_stat *means_of(struct fz_quantizer *q, const struct fz_layer *layer) {
    const struct fz_stat *stat = fzi_stat_of(q, layer->in);
    return stat && stat->n_channels > 0 && stat->per_channel ? stat : NULL;
}

struct means {
    const double *before, *after; /* sums of the float numbers, of those that the layer reads */
    double n;
    int64_t n_channels;
};

/* One output's weights: N_IN inputs from channel FIRST on, each with INNER weights; those of input
 * i lie from AT + i * STEP on. */
struct row {
    int64_t first, n_in, inner, at, step;
};

static struct row row_of(const struct fz_tensor *w, int32_t axis, int64_t group, int64_t c) {
    if (w->rank == 2)
        return (struct row){0, w->dims[1 - axis], 1, axis ? c : c * w->dims[1],
                            axis ? w->dims[1] : 1};
    struct row r = {c / (w->dims[0] / group) * w->dims[1], w->dims[1], 1, 0, 0};
    for (int32_t d = 2; d < w->rank; d++) r.inner *= w->dims[d];
    r.step = r.inner;
    r.at = c * r.n_in * r.inner;
    return r;
}

/* E[rounded] - E[float] of one output. */
static double shift(const float *x, const int8_t *y, double scale, const struct row *r,
                    const struct means *m) {
    double sum = 0;
    for (int64_t i = 0; i < r->n_in && r->first + i < m->n_channels; i++) {
        double before = 0, after = 0;
        for (int64_t e = 0; e < r->inner; e++) {
            before += (double)x[r->at + i * r->step + e];
            after += y[r->at + i * r->step + e] * scale;
        }
        sum += (m->after[r->first + i] * after - m->before[r->first + i] * before) / m->n;
    }
    return sum;
}

static bool same_scale(const struct fz_scale *a, const struct fz_scale *b) {
    return a->zero == b->zero && !(a->scale < b->scale) && !(a->scale > b->scale);
}

void fzi_bias_correct(struct fz_quantizer *q, const struct fz_node *node,
                      const struct fz_layer *layer, const struct fz_rounded *r, float *bias) {
    const struct fz_stat *stat = means_of(q, layer);
    int64_t group = 1;
    if (!stat || q->options->flags & FZ_QUANTIZE_NO_BIAS_CORRECTION) return;
    if (fzi_attr_int(node, "group", 1, &group) != FZ_OK || group < 1) return;
    struct means m = {stat->sums, stat->sums, (double)stat->per_channel, stat->n_channels};
    if (r->x && stat->rounded && same_scale(r->x, &stat->rounded_scale)) m.after = stat->rounded;
    const fz_tensor_t *w = &r->w->t;
    if (w->rank > 2 && w->dims[0] % group) return;
    for (int64_t c = 0; c < w->dims[r->axis]; c++) {
        struct row row = row_of(w, r->axis, group, c);
        double scale = (double)((const float *)r->scales->t.data)[c];
        bias[c] -= (float)shift(w->data, r->numbers->t.data, scale, &row, &m);
    }
}

/* ---- where a bias is */

fz_status_t fzi_bias_values(struct fz_stage *stage, const struct fz_node *node, int64_t n,
                            float **out) {
    const struct fz_value *b = fzi_in(node, 2);
    *out = NULL;
    if (!is(node, "Conv") && !is(node, "Gemm")) return FZ_OK;
    if (b && (!fzi_is_constant(b) || b->t.dtype != FZ_TYPE_F32 || b->t.rank != 1 ||
              b->t.dims[0] != n))
        return FZ_OK;
    *out = fzi_arena_array(&stage->arena, (size_t)n, sizeof **out);
    if (!*out) return no_memory();
    if (b) memcpy(*out, b->t.data, (size_t)n * sizeof **out);
    return FZ_OK;
}

fz_status_t fzi_bias_append(struct fz_stage *stage, struct fz_node *node) {
    if (node->n_in > 2) return FZ_OK;
    struct fz_value **in = fzi_arena_array(&stage->arena, 3, sizeof *in);
    if (!in) return no_memory();
    for (uint32_t i = 0; i < node->n_in; i++) in[i] = node->in[i];
    node->in = in;
    node->n_in = 3;
    return FZ_OK;
}

fz_status_t fzi_bias_set(struct fz_stage *stage, struct fz_node *node, const char *base,
                         const float *bias, int64_t n) {
    const struct fz_value *old = fzi_in(node, 2);
    const char *name = old ? old->name : fzi_arena_format(&stage->arena, "%s_bias", base);
    struct fz_value *v = name ? fzi_stage_constant(stage, name, FZ_TYPE_F32, 1, &n) : NULL;
    if (!v) return no_memory();
    memcpy(v->t.data, bias, v->t.size);
    FZ_TRY(fzi_bias_append(stage, node));
    node->in[2] = v;
    return FZ_OK;
}

float *fzi_bias_behind(struct fz_stage *stage, const struct fz_node *node, struct fz_node *add,
                       int64_t n) {
    if (!is(node, "MatMul") || !add || !is(add, "Add")) return NULL;
    uint32_t k = add->in[0] == node->out[0] ? 1 : 0;
    const struct fz_value *row = add->in[k];
    if (!fzi_is_constant(row) || row->t.dtype != FZ_TYPE_F32 || row->t.rank != 1 ||
        row->t.dims[0] != n)
        return NULL;
    struct fz_value *own = fzi_stage_constant(stage, row->name, FZ_TYPE_F32, 1, &n);
    if (!own) return NULL;
    memcpy(own->t.data, row->t.data, row->t.size);
    add->in[k] = own;
    return own->t.data;
}
