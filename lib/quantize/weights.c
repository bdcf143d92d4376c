/* Weight-only quantisation: DequantizeLinear in front of the layers, int8 by channel or uint4 in
 * blocks; and half precision: Cast in front of whoever reads the weights. */

#include "quantize/quantizer.h"
#include "quantize/real.h"

enum { MAX_FEEDBACK = 4096, MAX_ROWS = 16384, SMALLEST_HALF = 256 };
static const size_t moments_memory = (size_t)1 << 30;

static fz_status_t no_memory(void) { return fzi_error(FZ_E_NOMEM, "no memory for weights"); }

static bool is(const struct fz_node *node, const char *type) {
    return strcmp(node->type, type) == 0 && !*node->domain;
}

/* ---- int8 */

/* The float bias, or the row that is added, makes good for the weights' mean error. */
static fz_status_t correct(struct fz_quantizer *q, struct fz_stage *s, struct fz_node *node,
                           const struct fz_rounded *r) {
    int64_t n = r->w->t.dims[r->axis];
    float *bias;
    if (!q->n_stats) return FZ_OK;
    FZ_TRY(fzi_bias_values(s, node, n, &bias));
    float *row = bias ? bias : fzi_bias_behind(s, node, fzi_value_reader(node->out[0]), n);
    if (row) fzi_bias_correct(q, node, fzi_layer_of(q, node), r, row);
    return bias ? fzi_bias_set(s, node, r->w->name, bias, n) : FZ_OK;
}

static fz_status_t set_int8(struct fz_quantizer *q, struct fz_stage *s, struct fz_node *node,
                            uint32_t i) {
    struct fz_value *numbers, *scales;
    int32_t axis = fzi_weight_axis(node);
    int64_t n = node->in[i]->t.dims[axis];
    char *name = fzi_arena_format(&s->arena, "%s_zero_point", node->in[i]->name);
    FZ_TRY(fzi_weight_int8(s, node->in[i], axis, NULL, 1, false, &numbers, &scales));
    struct fz_value *zeros = name ? fzi_stage_constant(s, name, FZ_TYPE_I8, 1, &n) : NULL;
    if (!zeros) return no_memory();
    struct fz_rounded rounded = {node->in[i], numbers, scales, axis, NULL};
    if (i == 1) FZ_TRY(correct(q, s, node, &rounded));
    return fzi_weight_dequantize(q, s, node, i, numbers, scales, zeros, axis, 0);
}

static fz_status_t int8_layer(struct fz_quantizer *q, struct fz_stage *s, struct fz_node *node) {
    bool recurrent = is(node, "LSTM") || is(node, "GRU") || is(node, "RNN");
    FZ_TRY(set_int8(q, s, node, 1));
    const struct fz_value *r = fzi_in(node, 2);
    bool second = recurrent && fzi_is_constant(r) && r->t.dtype == FZ_TYPE_F32;
    return second ? set_int8(q, s, node, 2) : FZ_OK;
}

/* ---- int4 */

/* Where element (input k, output n) of NODE's weights lies, as steps. A convolution's inputs are
 * the elements of its filter, so its outputs come first. */
static void layout(const struct fz_node *node, int64_t *k, int64_t *n, int64_t *k_step,
                   int64_t *n_step) {
    const fz_tensor_t *w = &node->in[1]->t;
    int32_t axis = fzi_weight_axis(node);
    int64_t all = fzi_tensor_count(w);
    *n = w->dims[axis];
    *k = *n ? all / *n : 0;
    *k_step = axis == 0 ? 1 : *n;
    *n_step = axis == 0 ? *k : 1;
}

static struct fz_blocks *make_blocks(struct fz_quantizer *q, const struct fz_node *node) {
    struct fz_blocks *b = fzi_arena_alloc(&q->arena, sizeof *b);
    int64_t k_step, n_step;
    if (!b) return NULL;
    layout(node, &b->k, &b->n, &k_step, &n_step);
    /* ONNX's blocks lie along one dimension: a filter has one for each output. */
    b->block = is(node, "Conv") ? b->k : q->options->block_size;
    if (b->block > b->k) b->block = b->k;
    size_t n_scales = (size_t)(fzi_ceil_div(b->k, b->block) * b->n);
    b->numbers = fzi_arena_alloc(&q->arena, (size_t)(b->k * b->n));
    b->scales = fzi_arena_array(&q->arena, n_scales, sizeof *b->scales);
    b->zeros = fzi_arena_alloc(&q->arena, n_scales);
    b->w = fzi_calloc((size_t)(b->k * b->n), sizeof *b->w);
    if (!b->numbers || !b->scales || !b->zeros || !b->w) return fzi_free(b->w), NULL;
    const float *w = node->in[1]->t.data;
    for (int64_t k = 0; k < b->k; k++)
        for (int64_t n = 0; n < b->n; n++)
            b->w[k * b->n + n] = (double)w[k * k_step + n * n_step];
    return b;
}

/* ---- second moments of the layers' inputs */

struct moments {
    struct fz_layer *layer;
    double *h;
    int64_t k, rows;
};

/* Adds X^T X of the rows of T, upper half, as long as there are few of them. */
static fz_status_t add_moments(struct fz_quantizer *q, void *arg, size_t i, const fz_tensor_t *t) {
    struct moments *m = (struct moments *)arg + i;
    (void)q;
    if (t->dtype != FZ_TYPE_F32 || t->rank < 1 || t->dims[t->rank - 1] != m->k) return FZ_OK;
    const float *x = t->data;
    int64_t rows = fzi_tensor_count(t) / (m->k ? m->k : 1);
    for (int64_t r = 0; r < rows && m->rows < MAX_ROWS; r++, m->rows++, x += m->k)
        for (int64_t a = 0; a < m->k; a++) {
            double f = (double)x[a];
            /* Also false for a NaN, which then makes nothing worse. */
            if (!(f > 0 || f < 0)) continue;
            for (int64_t b = a; b < m->k; b++) m->h[a * m->k + b] += f * (double)x[b];
        }
    return FZ_OK;
}

static void round_layer(const struct moments *m) {
    struct fz_blocks *b = m->layer->blocks;
    if (!m->h || !m->rows || fzi_blocks_feedback(b, m->h) != FZ_OK) fzi_blocks_nearest(b);
    fzi_free(b->w);
    b->w = NULL;
}

/* Rounds the N layers at M, with one run over the samples. */
static fz_status_t round_group(struct fz_quantizer *q, struct moments *m, size_t n) {
    const char **names = fzi_arena_array(&q->arena, n, sizeof *names);
    if (!names) return no_memory();
    for (size_t i = 0; i < n; i++) names[i] = m[i].layer->in;
    fz_status_t status = fzi_quantize_observe(q, names, n, add_moments, m);
    for (size_t i = 0; i < n; i++) {
        if (status == FZ_OK) round_layer(&m[i]);
        fzi_free(m[i].h);
    }
    return status;
}

static bool has_samples(const struct fz_quantizer *q) {
    return (q->data || q->options->sample) && !(q->options->flags & FZ_QUANTIZE_NO_FEEDBACK);
}

/* The few weights of a filter share one scale, for which 4 bits are not enough: convolutions keep 8
 * unless they are asked for. */
static bool in_blocks(const struct fz_quantizer *q, const struct fz_node *node) {
    const fz_quantize_options_t *o = q->options;
    if (o->kind != FZ_QUANTIZE_WEIGHTS_INT4 || is(node, "ConvTranspose")) return false;
    bool named = false;
    for (size_t i = 0; i < o->n_op_types; i++) named |= strcmp(o->op_types[i], "Conv") == 0;
    return named || !is(node, "Conv");
}

/* Rounds every layer once; the numbers stay with it. */
static fz_status_t round_all(struct fz_quantizer *q, struct fz_stage *s) {
    struct moments *m = fzi_arena_array(&q->arena, q->n_layers, sizeof *m);
    size_t n = 0, used = 0;
    if (!m) return no_memory();
    for (struct fz_node *node = s->graph->first; node; node = node->next) {
        struct fz_layer *layer = fzi_layer_of(q, node);
        if (!layer || layer->blocks || !in_blocks(q, node)) continue;
        if (!(layer->blocks = make_blocks(q, node))) return no_memory();
        int64_t k = layer->blocks->k;
        m[n] = (struct moments){layer, NULL, k, 0};
        if (!has_samples(q) || is(node, "Conv") || k > MAX_FEEDBACK) {
            round_layer(&m[n]);
            continue;
        }
        size_t size = (size_t)(k * k) * sizeof(double);
        if (n && used + size > moments_memory) {
            FZ_TRY(round_group(q, m, n));
            m[0] = m[n];
            n = used = 0;
        }
        if (!(m[n].h = fzi_calloc((size_t)(k * k), sizeof(double)))) return no_memory();
        used += size;
        n++;
    }
    return n ? round_group(q, m, n) : FZ_OK;
}

static void put4(uint8_t *data, int64_t at, uint8_t number) {
    data[at / 2] = (uint8_t)(data[at / 2] | number << (at % 2 ? 4 : 0));
}

/* Constants of NODE's weights: numbers as the weights lie, scales and zero points as its blocks. */
static fz_status_t set_blocks(struct fz_quantizer *q, struct fz_stage *s, struct fz_node *node,
                              const struct fz_blocks *b) {
    const struct fz_value *w = node->in[1];
    int64_t k, n, k_step, n_step, blocks = fzi_ceil_div(b->k, b->block);
    int32_t axis = fzi_weight_axis(node);
    bool conv = is(node, "Conv");
    layout(node, &k, &n, &k_step, &n_step);
    int64_t dims[2] = {axis ? blocks : n, axis ? n : blocks};
    struct fz_arena *a = &s->arena;
    char *names[3] = {fzi_arena_format(a, "%s_quantized", w->name),
                      fzi_arena_format(a, "%s_scale", w->name),
                      fzi_arena_format(a, "%s_zero_point", w->name)};
    if (!names[0] || !names[1] || !names[2]) return no_memory();
    struct fz_value *numbers = fzi_stage_constant(s, names[0], FZ_TYPE_U4, w->t.rank, w->t.dims);
    struct fz_value *scales = fzi_stage_constant(s, names[1], FZ_TYPE_F32, conv ? 1 : 2, dims);
    struct fz_value *zeros = fzi_stage_constant(s, names[2], FZ_TYPE_U4, conv ? 1 : 2, dims);
    if (!numbers || !scales || !zeros) return no_memory();
    for (int64_t i = 0; i < k; i++)
        for (int64_t c = 0; c < n; c++)
            put4(numbers->t.data, i * k_step + c * n_step, b->numbers[i * n + c]);
    for (int64_t i = 0; i < blocks; i++)
        for (int64_t c = 0; c < n; c++) {
            int64_t at = axis ? i * n + c : c * blocks + i;
            ((float *)scales->t.data)[at] = b->scales[i * n + c];
            put4(zeros->t.data, at, b->zeros[i * n + c]);
        }
    return fzi_weight_dequantize(q, s, node, 1, numbers, scales, zeros, conv ? 0 : 1 - axis,
                                 conv ? 0 : (int32_t)b->block);
}

fz_status_t fzi_quantize_weights(struct fz_quantizer *q, struct fz_stage *s) {
    bool int4 = q->options->kind == FZ_QUANTIZE_WEIGHTS_INT4;
    if (int4) FZ_TRY(round_all(q, s));
    for (struct fz_node *node = s->graph->first; node; node = node->next) {
        struct fz_layer *layer = fzi_layer_of(q, node);
        if (!layer) continue;
        if (in_blocks(q, node)) FZ_TRY(set_blocks(q, s, node, layer->blocks));
        else FZ_TRY(int8_layer(q, s, node));
    }
    return FZ_OK;
}

/* ---- half precision */

static struct fz_value *halved(struct fz_stage *s, const struct fz_value *w) {
    char *name = fzi_arena_format(&s->arena, "%s_float16", w->name);
    struct fz_value *v = name ? fzi_stage_constant(s, name, FZ_TYPE_F16, w->t.rank, w->t.dims)
                              : NULL;
    for (int64_t i = 0; v && i < fzi_tensor_count(&w->t); i++)
        ((uint16_t *)v->t.data)[i] = fzi_f32_to_f16(((const float *)w->t.data)[i]);
    return v;
}

/* Large enough to be worth a node, and without a number that half precision has not. */
static bool can_halve(const struct fz_value *v) {
    if (!fzi_is_constant(v) || v->t.dtype != FZ_TYPE_F32) return false;
    int64_t n = fzi_tensor_count(&v->t);
    for (int64_t i = 0; i < n; i++)
        if (!(fzi_size((double)((const float *)v->t.data)[i]) <= 65504)) return false;
    return n >= SMALLEST_HALF;
}

static fz_status_t halve(struct fz_quantizer *q, struct fz_stage *s, struct fz_value *w) {
    struct fz_value *half = halved(s, w);
    char *label = fzi_arena_format(&s->arena, "%s_Cast", w->name);
    char *name = fzi_arena_format(&s->arena, "%s_float32", w->name);
    if (!half || !label || !name) return no_memory();
    struct fz_node *cast = fzi_stage_node(q, s, s->graph->first, "Cast", label, 1, name);
    if (!cast) return FZ_E_NOMEM;
    cast->in[0] = half;
    FZ_TRY(fzi_stage_attr(s, cast, "to", FZ_TYPE_F32));
    fzi_graph_replace(s->graph, w, cast->out[0]);
    return FZ_OK;
}

fz_status_t fzi_quantize_half(struct fz_quantizer *q, struct fz_stage *s) {
    for (struct fz_node *node = s->graph->first; node; node = node->next)
        for (uint32_t i = 0; i < node->n_in; i++) {
            bool kept = false;
            for (size_t e = 0; e < q->options->n_exclude; e++)
                kept |= strcmp(q->options->exclude[e], node->name) == 0;
            if (!kept && can_halve(node->in[i])) FZ_TRY(halve(q, s, node->in[i]));
        }
    return FZ_OK;
}
