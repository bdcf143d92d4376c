/* The rules of operators that compute: which dimensions of inputs, weights and outputs are one. */
#include "prune/depend.h"

static int32_t rank_of(const struct fz_depend *d, const struct fz_value *v) {
    return fzi_depend_value(d, v)->rank;
}

static int64_t dim_of(const struct fz_depend *d, const struct fz_value *v, int32_t i) {
    return fzi_depend_value(d, v)->dims[i];
}

/* Aligned at the last dimension, as NumPy broadcasts; what is stretched is free. */
static bool broadcast(struct fz_depend *d, const struct fz_value *in, const struct fz_value *out,
                      int32_t but_last) {
    int32_t shift = rank_of(d, out) - rank_of(d, in);
    for (int32_t i = 0; i < rank_of(d, in) - but_last; i++) {
        if (i + shift < 0 || dim_of(d, in, i) != dim_of(d, out, i + shift)) continue;
        if (!fzi_depend_unify(d, in, i, out, i + shift)) return false;
    }
    return true;
}

/* Element by element, any number of inputs. */
static bool elementwise(struct fz_depend *d, const struct fz_node *node) {
    for (uint32_t o = 0; o < node->n_out; o++)
        for (uint32_t i = 0; node->out[o] && i < node->n_in; i++)
            if (node->in[i] && !broadcast(d, node->in[i], node->out[o], 0)) return false;
    return true;
}

/* PRelu's slope is broadcast one way, which is the same where the shapes fit. Dropout's other
 * inputs are scalars. */
static bool first_only(struct fz_depend *d, const struct fz_node *node) {
    return fzi_depend_same(d, node->in[0], node->out[0], 0) &&
           (!fzi_out(node, 1) || fzi_depend_fix_all(d, node->out[1]));
}

/* ---- products */

/* A product of groups and channels of a group, or the groups alone. */
static struct fz_dim *channels_of(struct fz_depend *d, struct fz_dim *group, struct fz_dim *each) {
    struct fz_dim *parts[] = {group, each};
    return each->size == 1 ? group : fzi_dim_of(d->arena, FZ_DIM_PRODUCT, parts, 2);
}

/* Groups are a dimension of their own: channels are groups times channels of a group, so whole
 * groups may go (all of a depthwise convolution's), or the same output of each group. Weights are
 * [outputs of all groups, inputs of one], those of a ConvTranspose the other way round. */
static bool grouped(struct fz_depend *d, const struct fz_node *node, int64_t groups,
                    bool transposed) {
    const struct fz_value *x = node->in[0], *w = node->in[1], *y = node->out[0];
    struct fz_dim *group = fzi_dim_new(d->arena, groups);
    struct fz_dim *in = fzi_dim_new(d->arena, dim_of(d, x, 1) / groups);
    struct fz_dim *out = fzi_dim_new(d->arena, dim_of(d, y, 1) / groups);
    if (!group || !in || !out) return false;
    if (in->size > 1) fzi_dim_fix(in);
    struct fz_dim *all_in = channels_of(d, group, in), *all_out = channels_of(d, group, out);
    return all_in && all_out && fzi_depend_give(d, x, 1, all_in) &&
           fzi_depend_give(d, y, 1, all_out) &&
           fzi_depend_give(d, w, 0, transposed ? all_in : all_out) &&
           fzi_depend_give(d, w, 1, transposed ? out : in);
}

static bool convolution(struct fz_depend *d, const struct fz_node *node, bool transposed) {
    const struct fz_value *x = node->in[0], *w = node->in[1], *y = node->out[0];
    int64_t groups = fzi_depend_int(node, "group", 1);
    int32_t in_axis = transposed ? 0 : 1, out_axis = 1 - in_axis;
    bool ok = fzi_depend_unify(d, x, 0, y, 0);
    if (groups > 1) {
        ok = ok && grouped(d, node, groups, transposed);
    } else {
        ok = ok && fzi_depend_unify(d, x, 1, w, in_axis) && fzi_depend_unify(d, y, 1, w, out_axis);
    }
    for (int32_t i = 2; ok && i < rank_of(d, x); i++)
        ok = fzi_depend_fix(d, x, i) && fzi_depend_fix(d, y, i) && fzi_depend_fix(d, w, i);
    return ok && (!fzi_in(node, 2) || fzi_depend_unify(d, y, 1, node->in[2], 0));
}

static bool conv(struct fz_depend *d, const struct fz_node *node) {
    return convolution(d, node, false);
}

static bool conv_transpose(struct fz_depend *d, const struct fz_node *node) {
    return convolution(d, node, true);
}

static bool gemm(struct fz_depend *d, const struct fz_node *node) {
    int32_t a = fzi_depend_int(node, "transA", 0) != 0, b = fzi_depend_int(node, "transB", 0) != 0;
    const struct fz_value *y = node->out[0];
    return fzi_depend_unify(d, node->in[0], 1 - a, node->in[1], b) &&
           fzi_depend_unify(d, node->in[0], a, y, 0) &&
           fzi_depend_unify(d, node->in[1], 1 - b, y, 1) &&
           (!fzi_in(node, 2) || broadcast(d, node->in[2], y, 0));
}

static bool matmul(struct fz_depend *d, const struct fz_node *node) {
    const struct fz_value *a = node->in[0], *b = node->in[1], *y = node->out[0];
    int32_t ra = rank_of(d, a), rb = rank_of(d, b), ry = rank_of(d, y);
    if (ra < 2 || rb < 2) return fzi_depend_fix_node(d, node);
    for (int32_t i = 0; i < ra - 2; i++)
        if (dim_of(d, a, i) == dim_of(d, y, i + ry - ra) &&
            !fzi_depend_unify(d, a, i, y, i + ry - ra))
            return false;
    for (int32_t i = 0; i < rb - 2; i++)
        if (dim_of(d, b, i) == dim_of(d, y, i + ry - rb) &&
            !fzi_depend_unify(d, b, i, y, i + ry - rb))
            return false;
    return fzi_depend_unify(d, a, ra - 1, b, rb - 2) && fzi_depend_unify(d, a, ra - 2, y, ry - 2) &&
           fzi_depend_unify(d, b, rb - 1, y, ry - 1);
}

/* A recurrent layer's own state stays; what it reads may shrink. X [length, batch, n], W
 * [directions, gates, n]. */
static bool recurrent(struct fz_depend *d, const struct fz_node *node) {
    const struct fz_value *x = node->in[0], *w = node->in[1];
    for (uint32_t i = 2; i < node->n_in; i++)
        if (!fzi_depend_fix_all(d, node->in[i])) return false;
    for (uint32_t i = 0; i < node->n_out; i++)
        if (!fzi_depend_fix_all(d, node->out[i])) return false;
    return fzi_depend_fix(d, x, 0) && fzi_depend_fix(d, x, 1) && fzi_depend_fix(d, w, 0) &&
           fzi_depend_fix(d, w, 1) && fzi_depend_unify(d, x, 2, w, 2);
}

/* ---- norms, pools, reductions */

/* Numbers of one channel each, behind an image. */
static bool channels(struct fz_depend *d, const struct fz_node *node) {
    if (rank_of(d, node->in[0]) < 2) return fzi_depend_fix_node(d, node);
    if (!fzi_depend_same(d, node->in[0], node->out[0], 0)) return false;
    for (uint32_t i = 1; i < node->n_in; i++)
        if (node->in[i] && !fzi_depend_unify(d, node->in[0], 1, node->in[i], 0)) return false;
    for (uint32_t i = 1; i < node->n_out; i++)
        if (!fzi_depend_fix_all(d, node->out[i])) return false;
    return true;
}

/* Its input over all of the dimensions from AXIS on is one sum: those keep their sizes. */
static bool fix_from(struct fz_depend *d, const struct fz_node *node, int64_t axis, bool only) {
    const struct fz_value *x = node->in[0];
    int32_t first;
    if (!fzi_axis(axis, rank_of(d, x), &first)) return fzi_depend_fix_node(d, node);
    for (int32_t i = first; i < (only ? first + 1 : rank_of(d, x)); i++)
        if (!fzi_depend_fix(d, x, i)) return false;
    for (uint32_t i = 1; i < node->n_in; i++)
        if (!fzi_depend_fix_all(d, node->in[i])) return false;
    for (uint32_t i = 1; i < node->n_out; i++)
        if (!fzi_depend_fix_all(d, node->out[i])) return false;
    return fzi_depend_same(d, x, node->out[0], 0);
}

static bool layer_norm(struct fz_depend *d, const struct fz_node *node) {
    return fix_from(d, node, fzi_depend_int(node, "axis", -1), false);
}

static bool lp_norm(struct fz_depend *d, const struct fz_node *node) {
    return fix_from(d, node, fzi_depend_int(node, "axis", -1), true);
}

static bool softmax(struct fz_depend *d, const struct fz_node *node) {
    bool newer = node->opset >= 13;
    return fix_from(d, node, fzi_depend_int(node, "axis", newer ? -1 : 1), newer);
}

/* Neighbouring channels meet in a sum. */
static bool lrn(struct fz_depend *d, const struct fz_node *node) {
    return fix_from(d, node, 1, true);
}

static bool pool(struct fz_depend *d, const struct fz_node *node) {
    const struct fz_value *x = node->in[0], *y = node->out[0];
    for (int32_t i = 2; i < rank_of(d, x); i++)
        if (!fzi_depend_fix(d, x, i) || !fzi_depend_fix(d, y, i)) return false;
    return (!fzi_out(node, 1) || fzi_depend_fix_all(d, node->out[1])) &&
           fzi_depend_unify(d, x, 0, y, 0) && fzi_depend_unify(d, x, 1, y, 1);
}

/* Where the sizes of both sides are equal an index is its own; sizes that are given as a list hold
 * the old number of channels. */
static bool resize(struct fz_depend *d, const struct fz_node *node) {
    const struct fz_value *x = node->in[0], *y = node->out[0];
    if (fzi_in(node, 3)) return fzi_depend_fix_node(d, node);
    for (int32_t i = 0; i < rank_of(d, x); i++) {
        bool whole = i < 2 && dim_of(d, x, i) == dim_of(d, y, i);
        if (!(whole ? fzi_depend_unify(d, x, i, y, i)
                    : fzi_depend_fix(d, x, i) && fzi_depend_fix(d, y, i)))
            return false;
    }
    return true;
}

/* True if the pads of dimension I are known to be 0. */
static bool unpadded(const struct fz_depend *d, const struct fz_node *node, int32_t i) {
    const struct fz_attr *attr = fzi_attr(node, "pads");
    int32_t rank = rank_of(d, node->in[0]);
    if (fzi_in(node, 3) || (!attr && !fzi_in(node, 1))) return false;
    if (attr) return attr->n == 2 * (size_t)rank && !attr->ints[i] && !attr->ints[i + rank];
    const fz_tensor_t *pads = fzi_depend_value(d, node->in[1]);
    return fzi_tensor_count(pads) == 2 * rank && !fzi_tensor_int(pads, i) &&
           !fzi_tensor_int(pads, i + rank);
}

static bool pad(struct fz_depend *d, const struct fz_node *node) {
    const struct fz_value *x = node->in[0], *y = node->out[0];
    for (int32_t i = 0; i < rank_of(d, x); i++)
        if (!(unpadded(d, node, i) ? fzi_depend_unify(d, x, i, y, i)
                                   : fzi_depend_fix(d, x, i) && fzi_depend_fix(d, y, i)))
            return false;
    return true;
}

/* The axes of a reduction as bits, from the list or from the second input; all if there is none. */
static bool reduced_axes(const struct fz_depend *d, const struct fz_node *node, uint32_t *mask) {
    const struct fz_attr *attr = fzi_attr(node, "axes");
    const fz_tensor_t *list = fzi_in(node, 1) ? fzi_depend_value(d, node->in[1]) : NULL;
    int64_t n = attr ? (int64_t)attr->n : list ? fzi_tensor_count(list) : 0;
    int32_t rank = rank_of(d, node->in[0]), axis;
    *mask = n || fzi_depend_int(node, "noop_with_empty_axes", 0) ? 0 : UINT32_MAX;
    for (int64_t i = 0; i < n; i++) {
        int64_t a = attr ? attr->ints[i] : fzi_tensor_int(list, i);
        if (!fzi_axis(a, rank, &axis)) return false;
        *mask |= 1u << axis;
    }
    return true;
}

static bool reduce(struct fz_depend *d, const struct fz_node *node) {
    const struct fz_value *x = node->in[0], *y = node->out[0];
    uint32_t mask;
    if (!reduced_axes(d, node, &mask)) return fzi_depend_fix_node(d, node);
    bool keep = fzi_depend_int(node, "keepdims", 1) != 0;
    for (int32_t i = 0, o = 0; i < rank_of(d, x); i++) {
        bool gone = mask >> i & 1;
        if (!(gone ? fzi_depend_fix(d, x, i) : fzi_depend_unify(d, x, i, y, o))) return false;
        o += !gone || keep;
    }
    return true;
}

/* ---- the table */

struct rule {
    fz_rule_fn run;
    const char *names; /* of ai.onnx and com.microsoft, separated by blanks */
};

static const struct rule table[] = {
    {elementwise,
     "Add Sub Mul Div Pow Min Max Sum Mean Mod Where Equal Greater Less GreaterOrEqual LessOrEqual "
     "And Or Xor PRelu Relu LeakyRelu ThresholdedRelu Elu Selu Celu Sigmoid HardSigmoid HardSwish "
     "Tanh Softplus Softsign Mish Gelu FastGelu QuickGelu BiasGelu Swish Erf Exp Log Sqrt "
     "Reciprocal Neg Abs Floor Ceil Round Sign Not Clip Identity Cast Sin Cos"},
    {first_only, "Dropout"},
    {conv, "Conv"},
    {conv_transpose, "ConvTranspose"},
    {gemm, "Gemm"},
    {matmul, "MatMul"},
    {recurrent, "LSTM GRU RNN"},
    {channels, "BatchNormalization InstanceNormalization"},
    {layer_norm, "LayerNormalization SimplifiedLayerNormalization RMSNormalization"},
    {lp_norm, "LpNormalization"},
    {softmax, "Softmax LogSoftmax Hardmax"},
    {lrn, "LRN"},
    {pool, "MaxPool AveragePool LpPool GlobalAveragePool GlobalMaxPool GlobalLpPool"},
    {resize, "Resize Upsample"},
    {pad, "Pad"},
    {reduce, "ReduceMean ReduceSum ReduceMax ReduceMin ReduceProd ReduceL1 ReduceL2 ReduceLogSum "
             "ReduceLogSumExp ReduceSumSquare"},
    {fzi_rule_reshape, "Reshape Flatten Squeeze Unsqueeze"},
    {fzi_rule_transpose, "Transpose"},
    {fzi_rule_concat, "Concat"},
    {fzi_rule_split, "Split"},
    {fzi_rule_slice, "Slice"},
    {fzi_rule_gather, "Gather"},
    {fzi_rule_shape, "Shape Size"},
};

static bool named(const char *list, const char *name) {
    size_t n = strlen(name);
    for (const char *at = strstr(list, name); at; at = strstr(at + 1, name))
        if ((at == list || at[-1] == ' ') && (at[n] == ' ' || at[n] == 0)) return true;
    return false;
}

fz_rule_fn fzi_depend_rule(const struct fz_node *node) {
    if (*node->domain && strcmp(node->domain, "com.microsoft") != 0) return NULL;
    for (size_t i = 0; i < FZ_COUNT(table); i++)
        if (named(table[i].names, node->type)) return table[i].run;
    return NULL;
}
