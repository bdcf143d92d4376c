/* The quantised operators of com.microsoft: DequantizeLinear of each input, the operator on real
 * numbers, QuantizeLinear of its result. The passes then compute on the integers what they know
 * how to compute on them, as they do with any model in QDQ form. */
#include "ops/compose.h"

enum kind { ADD, MUL, WHERE, CONCAT, AVERAGE_POOL, GLOBAL_AVERAGE_POOL, SIGMOID, LEAKY_RELU,
            SOFTMAX };

/* Inputs I, I + 1 and I + 2 are a number, its scale and its zero point, which may be absent. */
static struct fz_value *real(struct fz_compose *e, uint32_t i) {
    const struct fz_node *node = e->node;
    return fzi_compose(e, "DequantizeLinear",
                      FZ_IN(fzi_in(node, i), fzi_in(node, i + 1), fzi_in(node, i + 2)),
                      FZ_NO_ATTRS);
}

/* Y by the scale and zero point of inputs I and I + 1. Without a zero point it gets the type of
 * input 0. */
static struct fz_value *quantised(struct fz_compose *e, struct fz_value *y, uint32_t i) {
    struct fz_value *zero = fzi_in(e->node, i + 1);
    int32_t dtype = e->node->in[0]->t.dtype;
    if (zero || !dtype)
        return fzi_compose(e, "QuantizeLinear", FZ_IN(y, fzi_in(e->node, i), zero), FZ_NO_ATTRS);
    return fzi_compose(e, "QuantizeLinear", FZ_IN(y, fzi_in(e->node, i)),
                      FZ_ATTRS(FZ_ATTR_OF_INT("output_dtype", dtype)));
}

static fz_status_t finish(struct fz_compose *e, struct fz_value *y, uint32_t i) {
    e->out[0] = quantised(e, y, i);
    return fzi_compose_done(e);
}

static fz_status_t two(struct fz_lower *lower, struct fz_node *node) {
    struct fz_compose e = {.lower = lower, .node = node};
    fzi_compose_need(&e, 1 << 1 | 1 << 3 | 1 << 4 | 1 << 6);
    FZ_TRY(e.status);
    struct fz_value *a = real(&e, 0), *b = real(&e, 3);
    return finish(&e, fzi_compose(&e, node->op->kind == ADD ? "Add" : "Mul", FZ_IN(a, b),
                                 FZ_NO_ATTRS), 6);
}

static fz_status_t where(struct fz_lower *lower, struct fz_node *node) {
    struct fz_compose e = {.lower = lower, .node = node};
    struct fz_value *a = real(&e, 1), *b = real(&e, 4);
    struct fz_value *y = fzi_compose(&e, "Where", FZ_IN(node->in[0], a, b), FZ_NO_ATTRS);
    e.out[0] = fzi_compose(&e, "QuantizeLinear", FZ_IN(y, node->in[7], node->in[8]), FZ_NO_ATTRS);
    return fzi_compose_done(&e);
}

static fz_status_t concat(struct fz_lower *lower, struct fz_node *node) {
    struct fz_compose e = {.lower = lower, .node = node};
    struct fz_value **parts = fzi_arena_array(lower->graph->arena, node->n_in, sizeof *parts);
    struct fz_attr attrs[1];
    size_t n_attrs = 0, n = 0;
    if (!parts) return fzi_error(FZ_E_NOMEM, "no memory for inputs");
    if (node->n_in % 3 != 2)
        return fzi_error(FZ_E_FORMAT, "%s does not take %u inputs", node->type, node->n_in);
    fzi_compose_keep(&e, "axis", attrs, &n_attrs);
    for (uint32_t i = 2; i < node->n_in; i += 3) {
        if (!node->in[i] || !node->in[i + 1])
            return fzi_error(FZ_E_FORMAT, "%s: input %u is absent", node->type, i);
        parts[n++] = real(&e, i);
    }
    struct fz_value *y = fzi_compose(&e, "Concat", parts, n, attrs, n_attrs);
    e.out[0] = fzi_compose(&e, "QuantizeLinear", FZ_IN(y, node->in[0], node->in[1]), FZ_NO_ATTRS);
    return fzi_compose_done(&e);
}

/* X with its channels moved to dimension 1, or (BACK) to the end. */
static struct fz_value *move_channels(struct fz_compose *e, struct fz_value *x, int32_t rank,
                                      bool back) {
    int64_t perm[FZ_RANK_MAX];
    if (rank < 3) {
        fzi_compose_fail(e, fzi_error(FZ_E_SHAPE, "%s: an input of rank %d", e->node->type, rank));
        return NULL;
    }
    for (int32_t i = 0; i < rank; i++) perm[i] = back ? i + 1 : i - 1;
    perm[0] = 0;
    perm[back ? rank - 1 : 1] = back ? 1 : rank - 1;
    return fzi_compose_transpose(e, x, perm, rank);
}

static fz_status_t pool(struct fz_lower *lower, struct fz_node *node) {
    struct fz_compose e = {.lower = lower, .node = node};
    static const char *const names[] = {"auto_pad", "ceil_mode", "count_include_pad",
                                        "kernel_shape", "pads", "strides"};
    struct fz_attr attrs[FZ_COUNT(names)];
    size_t n = 0;
    int64_t last = 0;
    FZ_TRY(fzi_attr_int(node, "channels_last", 0, &last));
    bool global = node->op->kind == GLOBAL_AVERAGE_POOL;
    for (size_t i = 0; i < FZ_COUNT(names) && !global; i++)
        fzi_compose_keep(&e, names[i], attrs, &n);
    fzi_compose_need(&e, 1 << 1 | 1 << 3);
    FZ_TRY(e.status);
    struct fz_value *x = real(&e, 0);
    int32_t rank = last ? fzi_compose_rank(&e, node->in[0], "the input") : 0;
    if (last && e.status == FZ_OK) x = move_channels(&e, x, rank, false);
    x = fzi_compose(&e, global ? "GlobalAveragePool" : "AveragePool", FZ_IN(x), attrs, n);
    if (last && e.status == FZ_OK) x = move_channels(&e, x, rank, true);
    return finish(&e, x, 3);
}

static fz_status_t one(struct fz_lower *lower, struct fz_node *node) {
    struct fz_compose e = {.lower = lower, .node = node};
    struct fz_attr attrs[1];
    size_t n = 0;
    bool leaky = node->op->kind == LEAKY_RELU;
    fzi_compose_need(&e, 1 << 1 | 1 << 3);
    FZ_TRY(e.status);
    if (leaky) fzi_compose_keep(&e, "alpha", attrs, &n);
    const char *type = leaky ? "LeakyRelu" : "Sigmoid";
    return finish(&e, fzi_compose(&e, type, FZ_IN(real(&e, 0)), attrs, n), 3);
}

/* Before opset 13, Softmax goes over all dimensions from its axis on. */
static fz_status_t softmax(struct fz_lower *lower, struct fz_node *node) {
    struct fz_compose e = {.lower = lower, .node = node};
    struct fz_attr attrs[1];
    size_t n = 0;
    int64_t opset;
    FZ_TRY(fzi_attr_int(node, "opset", 0, &opset));
    if (opset < 1 || opset > INT16_MAX)
        return fzi_error(FZ_E_FORMAT, "%s: opset %lld", node->type, (long long)opset);
    fzi_compose_need(&e, 1 << 1 | 1 << 3);
    FZ_TRY(e.status);
    fzi_compose_keep(&e, "axis", attrs, &n);
    struct fz_node *made = fzi_compose_node(&e, "", "Softmax", opset < 13 ? 11 : FZ_COMPOSE_OPSET,
                                           FZ_IN(real(&e, 0)), 1, attrs, n);
    return finish(&e, made ? made->out[0] : NULL, 3);
}

/* QLinearConv of ai.onnx, whose images may have their channels last. */
static fz_status_t conv(struct fz_lower *lower, struct fz_node *node) {
    struct fz_compose e = {.lower = lower, .node = node};
    static const char *const names[] = {"auto_pad", "dilations", "group", "kernel_shape", "pads",
                                        "strides"};
    struct fz_value *in[9] = {0};
    struct fz_attr attrs[FZ_COUNT(names)];
    size_t n = 0;
    int64_t last;
    FZ_TRY(fzi_attr_int(node, "channels_last", 0, &last));
    for (size_t i = 0; i < FZ_COUNT(names); i++) fzi_compose_keep(&e, names[i], attrs, &n);
    for (uint32_t i = 0; i < 9; i++) in[i] = fzi_in(node, i);
    int32_t rank = last ? fzi_compose_rank(&e, in[0], "the input") : 0;
    if (last && e.status == FZ_OK) in[0] = move_channels(&e, in[0], rank, false);
    struct fz_value *y = fzi_compose(&e, "QLinearConv", in, 9, attrs, n);
    if (last && e.status == FZ_OK) y = move_channels(&e, y, rank, true);
    e.out[0] = y;
    return fzi_compose_done(&e);
}

/* The int32 bias C at the scale alpha * a_scale * b_scale. */
static struct fz_value *gemm_bias(struct fz_compose *e, double alpha) {
    struct fz_node *node = e->node;
    if (!fzi_in(node, 6)) return NULL;
    struct fz_value *scale = fzi_compose(e, "Mul", FZ_IN(node->in[1], node->in[4]), FZ_NO_ATTRS);
    if (alpha != 1)
        scale = fzi_compose(e, "Mul", FZ_IN(scale, fzi_compose_float(e, alpha)), FZ_NO_ATTRS);
    return fzi_compose(e, "DequantizeLinear", FZ_IN(node->in[6], scale),
                      FZ_ATTRS(FZ_ATTR_OF_INT("axis", -1)));
}

static fz_status_t gemm(struct fz_lower *lower, struct fz_node *node) {
    struct fz_compose e = {.lower = lower, .node = node};
    struct fz_attr attrs[3];
    size_t n = 0;
    int64_t trans_b;
    double alpha;
    FZ_TRY(fzi_attr_int(node, "transB", 0, &trans_b));
    FZ_TRY(fzi_attr_float(node, "alpha", 1, &alpha));
    fzi_compose_need(&e, 1 << 1 | 1 << 3 | 1 << 4);
    FZ_TRY(e.status);
    fzi_compose_keep(&e, "alpha", attrs, &n);
    fzi_compose_keep(&e, "transA", attrs, &n);
    fzi_compose_keep(&e, "transB", attrs, &n);
    struct fz_value *b = fzi_compose(&e, "DequantizeLinear",
                                    FZ_IN(node->in[3], node->in[4], fzi_in(node, 5)),
                                    FZ_ATTRS(FZ_ATTR_OF_INT("axis", trans_b ? 0 : 1)));
    struct fz_value *c = gemm_bias(&e, alpha);
    struct fz_value *y = fzi_compose(&e, "Gemm", FZ_IN(real(&e, 0), b, c), attrs, n);
    if (fzi_in(node, 7)) return finish(&e, y, 7);
    e.out[0] = y;
    return fzi_compose_done(&e);
}

#define ROW(onnx, row, least, most, known, how)                                                    \
    {.name = onnx, .domain = "com.microsoft", .since = 1, .rev = 1, .min_in = least,               \
     .max_in = most, .min_out = 1, .max_out = 1, .attrs = known, .kind = row, .compose = how}
#define POOL "auto_pad ceil_mode channels_last count_include_pad kernel_shape pads strides"

const struct fz_op fz_ops_qlinear[] = {
    ROW("QLinearAdd", ADD, 1, 8, "", two),
    ROW("QLinearMul", MUL, 1, 8, "", two),
    ROW("QLinearWhere", WHERE, 9, 9, "", where),
    ROW("QLinearConcat", CONCAT, 3, 255, "axis", concat),
    ROW("QLinearAveragePool", AVERAGE_POOL, 1, 5, POOL, pool),
    ROW("QLinearGlobalAveragePool", GLOBAL_AVERAGE_POOL, 1, 5, "channels_last", pool),
    ROW("QLinearSigmoid", SIGMOID, 1, 5, "", one),
    ROW("QLinearLeakyRelu", LEAKY_RELU, 1, 5, "alpha", one),
    ROW("QLinearSoftmax", SOFTMAX, 1, 5, "axis opset", softmax),
    ROW("QLinearConv", 0, 8, 9, "auto_pad channels_last dilations group kernel_shape pads strides",
        conv),
    ROW("QGemm", 0, 1, 9, "alpha transA transB", gemm),
    {0},
};
