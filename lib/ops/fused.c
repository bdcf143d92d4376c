/* Operators of com.microsoft that are two or three of ai.onnx: products with a factor, transposed
 * operands or an activation, convolutions with a residual and an activation, dynamically quantised
 * products, pools over channels that come last. */
#include "ops/compose.h"

/* ---- activations */

enum { MOST_PARAMS = 3, WITH_STATE = 27 /* the opset that has operators with a state */ };

/* The attributes of an activation by their names, for values in the order of the list. */
static const struct {
    const char *name, *params[MOST_PARAMS];
} activations[] = {
    {"Relu", {NULL}},
    {"Sigmoid", {NULL}},
    {"Tanh", {NULL}},
    {"Softplus", {NULL}},
    {"Softsign", {NULL}},
    {"LeakyRelu", {"alpha"}},
    {"Elu", {"alpha"}},
    {"ThresholdedRelu", {"alpha"}},
    {"HardSigmoid", {"alpha", "beta"}},
    {"Selu", {"alpha", "gamma"}},
};

static struct fz_value *clip(struct fz_compose *e, struct fz_value *y, const float *params,
                             size_t n) {
    struct fz_value *low = n > 0 ? fzi_compose_float(e, (double)params[0]) : NULL;
    struct fz_value *high = n > 1 ? fzi_compose_float(e, (double)params[1]) : NULL;
    return fzi_compose(e, "Clip", FZ_IN(y, low, high), FZ_NO_ATTRS);
}

/* The activation that attribute `activation` names, with N numbers; Y if there is none. */
static struct fz_value *activate(struct fz_compose *e, struct fz_value *y, const float *params,
                                 size_t n) {
    const struct fz_attr *name = fzi_attr(e->node, "activation");
    struct fz_attr attrs[MOST_PARAMS];
    if (!name || name->kind != FZ_ATTR_STRING || name->n == 0) return y;
    if (strcmp(name->s, "Clip") == 0) return clip(e, y, params, n);
    if (strcmp(name->s, "HardSwish") == 0 && n == 0)
        return fzi_compose(e, "HardSwish", FZ_IN(y), FZ_NO_ATTRS);
    for (size_t i = 0; i < FZ_COUNT(activations); i++) {
        if (strcmp(activations[i].name, name->s) != 0) continue;
        size_t used = 0;
        for (; used < n && used < MOST_PARAMS && activations[i].params[used]; used++)
            attrs[used] = (struct fz_attr)FZ_ATTR_OF_FLOAT(activations[i].params[used],
                                                           params[used]);
        return fzi_compose(e, name->s, FZ_IN(y), attrs, used);
    }
    fzi_compose_fail(e, fzi_error(FZ_E_UNSUPPORTED, "%s: activation '%s'", e->node->type, name->s));
    return NULL;
}

/* ---- products */

/* X with its last two dimensions changed over, or (BATCH) its first one moved before the last. */
static struct fz_value *turn(struct fz_compose *e, struct fz_value *x, bool swap, bool batch) {
    int64_t perm[FZ_RANK_MAX];
    if (!swap && !batch) return x;
    int32_t rank = fzi_compose_rank(e, x, "the factors");
    if (rank < 2) return x;
    for (int32_t i = 0; i < rank; i++) perm[i] = batch && i < rank - 1 ? i + 1 : i;
    if (batch) perm[rank - 2] = 0;
    if (swap) {
        int64_t last = perm[rank - 1];
        perm[rank - 1] = perm[rank - 2];
        perm[rank - 2] = last;
    }
    return fzi_compose_transpose(e, x, perm, rank);
}

static fz_status_t fused_matmul(struct fz_lower *lower, struct fz_node *node) {
    struct fz_compose e = {.lower = lower, .node = node};
    int64_t a, b, batch_a, batch_b;
    double alpha;
    FZ_TRY(fzi_attr_int(node, "transA", 0, &a));
    FZ_TRY(fzi_attr_int(node, "transB", 0, &b));
    FZ_TRY(fzi_attr_int(node, "transBatchA", 0, &batch_a));
    FZ_TRY(fzi_attr_int(node, "transBatchB", 0, &batch_b));
    FZ_TRY(fzi_attr_float(node, "alpha", 1, &alpha));
    struct fz_value *left = turn(&e, node->in[0], a != 0, batch_a != 0);
    struct fz_value *right = turn(&e, node->in[1], b != 0, batch_b != 0);
    struct fz_value *y = fzi_compose(&e, "MatMul", FZ_IN(left, right), FZ_NO_ATTRS);
    if (alpha != 1)
        y = fzi_compose(&e, "Mul", FZ_IN(y, fzi_compose_float(&e, alpha)), FZ_NO_ATTRS);
    e.out[0] = y;
    return fzi_compose_done(&e);
}

static fz_status_t fused_gemm(struct fz_lower *lower, struct fz_node *node) {
    struct fz_compose e = {.lower = lower, .node = node};
    static const char *const names[] = {"alpha", "beta", "transA", "transB"};
    static const char *const numbers[] = {"activation_alpha", "activation_beta",
                                          "activation_gamma"};
    struct fz_attr attrs[FZ_COUNT(names)];
    float params[FZ_COUNT(numbers)];
    size_t n = 0, n_params = 0;
    for (size_t i = 0; i < FZ_COUNT(names); i++) fzi_compose_keep(&e, names[i], attrs, &n);
    for (; n_params < FZ_COUNT(numbers) && fzi_attr(node, numbers[n_params]); n_params++) {
        double value;
        FZ_TRY(fzi_attr_float(node, numbers[n_params], 0, &value));
        params[n_params] = (float)value;
    }
    struct fz_value *y = fzi_compose(&e, "Gemm", FZ_IN(node->in[0], node->in[1], fzi_in(node, 2)),
                                    attrs, n);
    e.out[0] = activate(&e, y, params, n_params);
    return fzi_compose_done(&e);
}

static fz_status_t fused_conv(struct fz_lower *lower, struct fz_node *node) {
    struct fz_compose e = {.lower = lower, .node = node};
    static const char *const names[] = {"auto_pad", "dilations", "group", "kernel_shape", "pads",
                                        "strides"};
    struct fz_attr attrs[FZ_COUNT(names)];
    const float *params = NULL;
    size_t n = 0, n_params = 0;
    for (size_t i = 0; i < FZ_COUNT(names); i++) fzi_compose_keep(&e, names[i], attrs, &n);
    FZ_TRY(fzi_attr_floats(node, "activation_params", &params, &n_params));
    struct fz_value *y = fzi_compose(&e, "Conv", FZ_IN(node->in[0], node->in[1], fzi_in(node, 2)),
                                    attrs, n);
    if (fzi_in(node, 3)) y = fzi_compose(&e, "Add", FZ_IN(y, node->in[3]), FZ_NO_ATTRS);
    e.out[0] = activate(&e, y, params, n_params);
    return fzi_compose_done(&e);
}

/* ---- dynamic quantisation */

/* As exporters write it, so that the passes know it. */
static fz_status_t dynamic_matmul(struct fz_lower *lower, struct fz_node *node) {
    struct fz_compose e = {.lower = lower, .node = node};
    struct fz_node *q = fzi_compose_node(&e, "", "DynamicQuantizeLinear", FZ_COMPOSE_OPSET,
                                        FZ_IN(node->in[0]), 3, FZ_NO_ATTRS);
    if (!q) return e.status;
    struct fz_value *sum = fzi_compose(&e, "MatMulInteger",
                                      FZ_IN(q->out[0], node->in[1], q->out[2], fzi_in(node, 3)),
                                      FZ_NO_ATTRS);
    struct fz_value *scale = fzi_compose(&e, "Mul", FZ_IN(q->out[1], node->in[2]), FZ_NO_ATTRS);
    sum = fzi_compose_cast(&e, sum, FZ_TYPE_F32);
    struct fz_value *y = fzi_compose(&e, "Mul", FZ_IN(sum, scale), FZ_NO_ATTRS);
    if (fzi_in(node, 4)) y = fzi_compose(&e, "Add", FZ_IN(y, node->in[4]), FZ_NO_ATTRS);
    e.out[0] = y;
    return fzi_compose_done(&e);
}

/* ---- pools */

static fz_status_t nhwc_max_pool(struct fz_lower *lower, struct fz_node *node) {
    struct fz_compose e = {.lower = lower, .node = node};
    static const char *const names[] = {"auto_pad", "ceil_mode", "dilations", "kernel_shape",
                                        "pads", "strides"};
    struct fz_attr attrs[FZ_COUNT(names)];
    int64_t there[FZ_RANK_MAX], back[FZ_RANK_MAX];
    size_t n = 0;
    int32_t rank = fzi_compose_rank(&e, node->in[0], "the input");
    FZ_TRY(e.status);
    if (rank < 3) return fzi_error(FZ_E_SHAPE, "%s: an input of rank %d", node->type, rank);
    for (int32_t i = 0; i < rank; i++) {
        there[i] = i == 0 ? 0 : i == 1 ? rank - 1 : i - 1;
        back[i] = i == 0 ? 0 : i == rank - 1 ? 1 : i + 1;
    }
    for (size_t i = 0; i < FZ_COUNT(names); i++) fzi_compose_keep(&e, names[i], attrs, &n);
    struct fz_value *x = fzi_compose_transpose(&e, node->in[0], there, rank);
    struct fz_value *y = fzi_compose(&e, "MaxPool", FZ_IN(x), attrs, n);
    e.out[0] = fzi_compose_transpose(&e, y, back, rank);
    return fzi_compose_done(&e);
}

/* ---- operators with a state, which ai.onnx has in the same form */

static fz_status_t with_state(struct fz_lower *lower, struct fz_node *node) {
    struct fz_compose e = {.lower = lower, .node = node};
    static const char *const names[] = {"activation", "chunk_size", "kv_num_heads", "q_num_heads",
                                        "scale", "update_rule"};
    static const char *const odd[] = {"channels_last", "input_channel_offset", "input_channels",
                                      "state_length", "state_update_capacity", "state_window"};
    struct fz_attr attrs[FZ_COUNT(names)];
    size_t n = 0;
    int64_t value, ndim, dilation;
    FZ_TRY(fzi_attr_int(node, "ndim", 1, &ndim));
    FZ_TRY(fzi_attr_int(node, "dilation", 1, &dilation));
    for (size_t i = 0; i < FZ_COUNT(odd); i++) {
        FZ_TRY(fzi_attr_int(node, odd[i], 0, &value));
        if (value) return fzi_error(FZ_E_UNSUPPORTED, "%s: %s", node->type, odd[i]);
    }
    if (ndim != 1 || dilation != 1)
        return fzi_error(FZ_E_UNSUPPORTED, "%s: more than one dimension, or dilation", node->type);
    for (size_t i = 0; i < FZ_COUNT(names); i++) fzi_compose_keep(&e, names[i], attrs, &n);
    struct fz_node *made = fzi_compose_node(&e, "", node->type, WITH_STATE, node->in, node->n_in, 2,
                                            attrs, n);
    for (uint32_t i = 0; made && i < 2; i++) e.out[i] = made->out[i];
    return fzi_compose_done(&e);
}

#define ROW(onnx, least, most, known, how)                                                         \
    {.name = onnx, .domain = "com.microsoft", .since = 1, .rev = 1, .min_in = least,               \
     .max_in = most, .min_out = 1, .max_out = 1, .attrs = known, .compose = how}

const struct fz_op fz_ops_fused[] = {
    ROW("FusedMatMul", 2, 2, "alpha transA transB transBatchA transBatchB", fused_matmul),
    ROW("TransposeMatMul", 2, 2, "alpha transA transB transBatchA transBatchB", fused_matmul),
    ROW("FusedGemm", 2, 3, "activation activation_alpha activation_beta activation_gamma alpha "
        "beta transA transB", fused_gemm),
    ROW("FusedConv", 2, 4, "activation activation_params auto_pad dilations group kernel_shape "
        "pads strides", fused_conv),
    ROW("DynamicQuantizeMatMul", 3, 5, "", dynamic_matmul),
    ROW("NhwcMaxPool", 1, 1, "auto_pad ceil_mode dilations kernel_shape pads strides",
        nhwc_max_pool),
    {.name = "CausalConvWithState", .domain = "com.microsoft", .since = 1, .rev = 1, .min_in = 2,
     .max_in = 4, .min_out = 1, .max_out = 2,
     .attrs = "activation channels_last dilation input_channel_offset input_channels ndim "
              "state_channels_last state_length state_update_capacity state_window",
     .compose = with_state},
    {.name = "LinearAttention", .domain = "com.microsoft", .since = 1, .rev = 1, .min_in = 3,
     .max_in = 6, .min_out = 1, .max_out = 2,
     .attrs = "chunk_size kv_num_heads q_num_heads scale state_window update_rule",
     .compose = with_state},
    {0},
};
