/* Attributes, checks and sizes of convolutions. */
#include "ops/conv.h"

/* No kernel, stride, dilation or pad may reach this, so that products of two of them fit 63
 * bits. */
enum { LIMIT = 1 << 30 };

/* Reads a list attribute of SPATIAL numbers into the last entries of OUT, which keeps its
 * others. */
static fz_status_t read_list(const struct fz_node *node, const char *name, int64_t spatial,
                             int64_t out[3]) {
    const int64_t *list = NULL;
    size_t n = 0;
    FZ_TRY(fzi_attr_ints(node, name, &list, &n));
    if (!list) return FZ_OK;
    if (n != (size_t)spatial)
        return fzi_error(FZ_E_FORMAT, "attribute '%s' has %zu numbers for %lld dimensions", name, n,
                         (long long)spatial);
    for (size_t i = 0; i < n; i++) out[3 - n + i] = list[i];
    return FZ_OK;
}

/* With auto_pad ONNX ignores pads, and so does this. */
static fz_status_t read_pads(const struct fz_node *node, int64_t spatial,
                             struct fz_conv_params *p) {
    const int64_t *list = NULL;
    size_t n = 0;
    FZ_TRY(fzi_attr_ints(node, "pads", &list, &n));
    if (!list || p->auto_pad != FZ_PAD_GIVEN) return FZ_OK;
    if (n != 2 * (size_t)spatial)
        return fzi_error(FZ_E_FORMAT, "attribute 'pads' has %zu numbers for %lld dimensions", n,
                         (long long)spatial);
    for (int64_t i = 0; i < spatial; i++) {
        p->before[3 - spatial + i] = list[i];
        p->after[3 - spatial + i] = list[spatial + i];
    }
    return FZ_OK;
}

/* The number of spatial dimensions: from the weights' or the input's rank, else from a list. */
static fz_status_t count_spatial(const struct fz_node *node, int64_t *out) {
    static const char *const lists[] = {"kernel_shape", "strides", "dilations"};
    for (uint32_t i = 0; i < 2; i++) {
        const struct fz_value *v = fzi_in(node, 1 - i);
        if (v && v->t.rank >= 0) {
            *out = v->t.rank - 2;
            return FZ_OK;
        }
    }
    for (size_t i = 0; i < FZ_COUNT(lists); i++) {
        const int64_t *list = NULL;
        size_t n = 0;
        FZ_TRY(fzi_attr_ints(node, lists[i], &list, &n));
        if (list) {
            *out = n > 8 ? 8 : (int64_t)n;
            return FZ_OK;
        }
    }
    *out = 2;
    return FZ_OK;
}

/* Missing leading dimensions get a kernel of 1: every later line works in three. */
fz_status_t fzi_conv_lower(struct fz_lower *lower, const struct fz_node *node, bool transpose,
                           struct fz_conv_params *p) {
    static const char *const pad_names[] = {"NOTSET", "SAME_UPPER", "SAME_LOWER", "VALID", NULL};
    FZ_TRY(count_spatial(node, &p->spatial));
    if (p->spatial < 1 || p->spatial > 3)
        return fzi_error(FZ_E_UNSUPPORTED, "a convolution over %lld dimensions",
                         (long long)p->spatial);
    for (int d = 0; d < 3; d++) {
        p->kernel[d] = d < 3 - p->spatial ? 1 : 0;
        p->stride[d] = p->dilation[d] = 1;
    }
    FZ_TRY(fzi_attr_choice(node, "auto_pad", pad_names, FZ_PAD_GIVEN, &p->auto_pad));
    FZ_TRY(read_list(node, "kernel_shape", p->spatial, p->kernel));
    FZ_TRY(read_list(node, "strides", p->spatial, p->stride));
    FZ_TRY(read_list(node, "dilations", p->spatial, p->dilation));
    FZ_TRY(read_pads(node, p->spatial, p));
    FZ_TRY(fzi_attr_int(node, "group", 1, &p->group));
    if (transpose) {
        FZ_TRY(read_list(node, "output_padding", p->spatial, p->output_padding));
        FZ_TRY(read_list(node, "output_shape", p->spatial, p->output_shape));
    }
    p->blas = lower && lower->numerics && strcmp(lower->numerics, "blas") == 0;
    return FZ_OK;
}

/* In [low, LIMIT). */
static bool within(int64_t v, int64_t low) { return v >= low && v < LIMIT; }

/* Params may come from a file that anybody has written. */
fz_status_t fzi_conv_check(const struct fz_op *op, const struct fz_conv_params *p) {
    bool good = p->spatial >= 1 && p->spatial <= 3 && p->auto_pad >= 0 && p->auto_pad <= 3 &&
                within(p->group, 1) && within(p->cin, 0) && within(p->cout, 0) &&
                (p->blas == 0 || p->blas == 1);
    for (int d = 0; d < 3; d++) {
        int64_t low = good && d < 3 - p->spatial ? 1 : 0;
        good = good && within(p->kernel[d], low) && within(p->stride[d], 1) &&
               within(p->dilation[d], 1) && within(p->before[d], 0) && within(p->after[d], 0) &&
               within(p->output_padding[d], 0) && within(p->output_shape[d], 0);
        if (low && (p->kernel[d] != 1 || p->stride[d] != 1 || p->before[d] || p->after[d] ||
                    p->output_padding[d] || p->output_shape[d]))
            good = false;
    }
    if (!good) return fzi_error(FZ_E_FORMAT, "%s: parameters out of range", op->name);
    return fzi_act_check(op, &p->act, !p->blas && strcmp(op->name, "Conv") == 0);
}

/* SAME shares the padding out as ONNX says: the odd one behind for UPPER, in front for LOWER. */
fz_status_t fzi_conv_dim(const struct fz_op *op, const struct fz_conv_params *p, int d, int64_t in,
                         int64_t *out, int64_t *before) {
    int64_t extent = (p->kernel[d] - 1) * p->dilation[d] + 1, stride = p->stride[d];
    int64_t pads = p->auto_pad == FZ_PAD_GIVEN ? p->before[d] + p->after[d] : 0;
    bool same = p->auto_pad == FZ_PAD_SAME_UPPER || p->auto_pad == FZ_PAD_SAME_LOWER;
    *before = p->auto_pad == FZ_PAD_GIVEN ? p->before[d] : 0;
    if (in < 0) {
        /* An unknown size, symbols included, survives where the output is as large as the input. */
        *out = stride == 1 && (same || pads == extent - 1) ? in : FZ_DIM_UNKNOWN;
        return FZ_OK;
    }
    if (same) {
        *out = fzi_ceil_div(in, stride);
        int64_t total = fzi_max_i64(0, (*out - 1) * stride + extent - in);
        *before = p->auto_pad == FZ_PAD_SAME_UPPER ? total / 2 : total - total / 2;
        return FZ_OK;
    }
    if (in > INT64_MAX / 4 || in + pads < extent)
        return fzi_error(FZ_E_SHAPE, "%s: a kernel over %lld points does not fit an input of %lld",
                         op->name, (long long)extent, (long long)(in + pads));
    *out = (in + pads - extent) / stride + 1;
    return FZ_OK;
}

/* True if the product of all of these fits an int64_t below the limit of tensor sizes. */
static bool fits(const int64_t *list, int n) {
    int64_t product = 4;
    for (int i = 0; i < n; i++)
        if (!fzi_mul_i64(product, fzi_max_i64(list[i], 1), &product)) return false;
    return product <= INT64_MAX >> 8;
}

/* True if some tap lies outside of the image. */
static bool is_padded(const struct fz_conv_params *p, const struct fz_conv_geometry *g) {
    for (int d = 0; d < 3; d++)
        if (g->before[d] || (g->out[d] - 1) * p->stride[d] + g->extent[d] > g->in[d]) return true;
    return false;
}

fz_status_t fzi_conv_measure(const struct fz_op *op, const struct fz_conv_params *p, int64_t n,
                             const int64_t in[3], struct fz_conv_geometry *g) {
    *g = (struct fz_conv_geometry){.n = n, .cin_g = p->cin / p->group,
                                   .cout_g = p->cout / p->group};
    int64_t spans[3];
    for (int d = 0; d < 3; d++) {
        FZ_TRY(fzi_conv_dim(op, p, d, in[d], &g->out[d], &g->before[d]));
        g->in[d] = in[d];
        g->extent[d] = (p->kernel[d] - 1) * p->dilation[d] + 1;
        spans[d] = fzi_max_i64((g->out[d] - 1) * p->stride[d] + g->extent[d], in[d]);
    }
    g->padded = is_padded(p, g);
    /* Nothing that a run addresses is larger than the padded input, the output, the gathered input,
     * the packed weights (columns rounded up to panels) or Winograd's 16 products. */
    int64_t c = p->cin, o = p->cout + 32 * p->group;
    const int64_t padded[] = {n + 1, spans[0] + 64, spans[1] + 64, spans[2] + 64, c, 64};
    const int64_t output[] = {n + 1, g->out[0] + 64, g->out[1] + 64, g->out[2] + 64, o, 64};
    const int64_t weights[] = {p->kernel[0], p->kernel[1], p->kernel[2], c, o, 16};
    if (!fits(padded, 6) || !fits(output, 6) || !fits(weights, 6))
        return fzi_error(FZ_E_SHAPE, "%s: the convolution is too large", op->name);
    g->taps = p->kernel[0] * p->kernel[1] * p->kernel[2];
    g->k = g->taps * g->cin_g;
    g->panels = fzi_ceil_div(g->cout_g, FZK_PANEL);
    if (fzi_conv_uses_blas(p) && (g->k >= LIMIT || p->cout >= LIMIT))
        return fzi_error(FZ_E_SHAPE, "%s: too many channels for OpenBLAS", op->name);
    return FZ_OK;
}

/* Sizes along the rows are those of the windows; all else is checked as for whole images. */
fz_status_t fzi_conv_measure_band(const struct fz_op *op, const struct fz_conv_params *p,
                                  const struct fz_call *call, struct fz_conv_geometry *g) {
    const fz_tensor_t *x = call->in[0], *y = call->out[0];
    int64_t extent = (p->kernel[1] - 1) * p->dilation[1] + 1;
    const int64_t in[3] = {1, (y->dims[1] - 1) * p->stride[1] + extent, x->dims[2]};
    FZ_TRY(fzi_conv_measure(op, p, x->dims[0], in, g));
    g->in[1] = x->dims[1];
    g->out[1] = y->dims[1];
    g->before[1] = call->band->before;
    g->padded = is_padded(p, g);
    return FZ_OK;
}

uint64_t fzi_conv_macs(const struct fz_conv_geometry *g, const struct fz_conv_params *p) {
    return (uint64_t)(g->n * g->out[0] * g->out[1] * g->out[2]) * (uint64_t)p->cout *
           (uint64_t)g->k;
}

fz_status_t fzi_conv_lower_frozen(struct fz_lower *lower, const struct fz_node *node,
                                  bool transpose, struct fz_conv_params *p) {
    struct fz_node bare = *node; /* the packed weights' rank says nothing about the image's */
    bare.n_in = 0;
    FZ_TRY(fzi_conv_lower(lower, &bare, transpose, p));
    FZ_TRY(fzi_attr_int(node, "cin", 0, &p->cin));
    FZ_TRY(fzi_attr_int(node, "cout", 0, &p->cout));
    FZ_TRY(fzi_attr_int(node, "algorithm", 0, &p->algorithm));
    return fzi_act_lower(node, &p->act);
}

/* Each algorithm promises its kernel a shape; a plan that breaks the promise is refused here. */
fz_status_t fzi_conv_check_frozen(const struct fz_op *op, const struct fz_conv_params *p) {
    FZ_TRY(fzi_conv_check(op, p));
    bool good = p->cin >= 1 && p->cout >= 1 && p->cin % p->group == 0 && p->cout % p->group == 0;
    for (int d = 0; d < 3; d++)
        if (p->kernel[d] < 1) good = false;
    if (p->algorithm == FZ_CONV_DEPTHWISE)
        good = good && p->group == p->cin && p->group == p->cout && p->spatial <= 2;
    else if (p->algorithm == FZ_CONV_WINOGRAD)
        good = good && p->spatial == 2 && p->group == 1 && p->kernel[1] == 3 && p->kernel[2] == 3 &&
               p->stride[1] == 1 && p->stride[2] == 1 && p->dilation[1] == 1 && p->dilation[2] == 1;
    else good = good && p->algorithm == FZ_CONV_GEMM;
    if (!good) return fzi_error(FZ_E_FORMAT, "%s: parameters contradict each other", op->name);
    return FZ_OK;
}

/* A length that is unknown yet is good. */
fz_status_t fzi_infer_bias(const struct fz_op *op, const struct fz_call *call, uint32_t i,
                           int64_t n) {
    const fz_tensor_t *t = i < call->n_in ? call->in[i] : NULL;
    char text[160];
    if (!t) return FZ_OK;
    FZ_TRY(fzi_infer_type(op, call, i, t->dtype == call->in[0]->dtype ? FZ_T_ANY : 0));
    if (t->rank < 0 || (t->rank == 1 && (t->dims[0] == n || t->dims[0] < 0))) return FZ_OK;
    return fzi_error(FZ_E_SHAPE, "%s: a bias of %s for %lld channels", op->name,
                     fzi_shape_text(t, text, sizeof text), (long long)n);
}

/* True if no known dimension of the two differs. */
static bool agree(const fz_tensor_t *a, const fz_tensor_t *b) {
    if (a->rank < 0 || b->rank < 0) return true;
    for (int32_t i = 0; i < a->rank && a->rank == b->rank; i++)
        if (a->dims[i] >= 0 && b->dims[i] >= 0 && a->dims[i] != b->dims[i]) return false;
    return a->rank == b->rank;
}

fz_status_t fzi_conv_check_inputs(const struct fz_op *op, const struct fz_call *call,
                                  const struct fz_conv_params *p, const fz_tensor_t *out) {
    fz_tensor_t packed = {.dtype = FZ_TYPE_F32};
    const fz_tensor_t *w = call->in[1], *residual = call->n_in > 3 ? call->in[3] : NULL;
    char text[2][160];
    if (!w) return fzi_error(FZ_E_FORMAT, "%s: the weights are absent", op->name);
    FZ_TRY(fzi_infer_type(op, call, 1, FZ_T(F32)));
    FZ_TRY(fzi_infer_type(op, call, 3, FZ_T(F32)));
    FZ_TRY(fzi_infer_bias(op, call, 2, p->cout));
    packed.rank = fzi_conv_packed_dims(p, packed.dims);
    if (!agree(w, &packed))
        return fzi_error(FZ_E_SHAPE, "%s: packed weights of %s instead of %s", op->name,
                         fzi_shape_text(w, text[0], sizeof text[0]),
                         fzi_shape_text(&packed, text[1], sizeof text[1]));
    if (residual && !agree(residual, out))
        return fzi_error(FZ_E_SHAPE, "%s: a residual of %s for an output of %s", op->name,
                         fzi_shape_text(residual, text[0], sizeof text[0]),
                         fzi_shape_text(out, text[1], sizeof text[1]));
    return FZ_OK;
}
