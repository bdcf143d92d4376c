/* MaxUnpool: each element goes to its index within the image that the kernel, strides and pads
 * give (of all images and channels, counted flat); everything else is 0. With a larger
 * output_shape that image lies in its first corner. */
#include "ops/move.h"

struct params {
    struct fz_list kernel, strides, pads;
};

static fz_status_t lower(struct fz_lower *lower, struct fz_node *node, void *params) {
    struct params *p = params;
    (void)lower;
    if (!fzi_attr(node, "kernel_shape"))
        return fzi_error(FZ_E_FORMAT, "attribute 'kernel_shape' is missing");
    FZ_TRY(fzi_move_list(node, "kernel_shape", &p->kernel));
    FZ_TRY(fzi_move_list(node, "strides", &p->strides));
    return fzi_move_list(node, "pads", &p->pads);
}

/* Entry I of LIST, DEF if the list is empty; false if it is not one of [0, 2^31). */
static bool entry(const struct fz_list *list, int32_t i, int64_t def, int64_t *out) {
    *out = list->n ? list->at[i] : def;
    return *out >= 0 && *out <= INT32_MAX;
}

/* The shape that X's is the pooling of. */
static fz_status_t unpooled(const struct fz_op *op, const struct fz_call *call, fz_tensor_t *y) {
    const struct params *p = call->params;
    const fz_tensor_t *x = call->in[0];
    int32_t n = x->rank - 2;
    *y = *x;
    if (n < 1 || p->kernel.n != n || (p->strides.n && p->strides.n != n) ||
        (p->pads.n && p->pads.n != 2 * n) || 2 * n > FZ_RANK_MAX)
        return fzi_error(FZ_E_SHAPE, "%s: the attributes do not fit rank %d", op->name, x->rank);
    for (int32_t d = 0; d < n; d++) {
        int64_t kernel, stride, before, behind, size = FZ_DIM_UNKNOWN;
        if (!entry(&p->kernel, d, 1, &kernel) || !entry(&p->strides, d, 1, &stride) ||
            !entry(&p->pads, d, 0, &before) || !entry(&p->pads, n + d, 0, &behind))
            return fzi_error(FZ_E_FORMAT, "%s: an attribute is out of range", op->name);
        if (x->dims[d + 2] > INT32_MAX)
            return fzi_error(FZ_E_SHAPE, "%s: the input is too large", op->name);
        if (x->dims[d + 2] >= 0) size = (x->dims[d + 2] - 1) * stride - before - behind + kernel;
        if (x->dims[d + 2] >= 0 && size < 0)
            return fzi_error(FZ_E_SHAPE, "%s: the output has a negative size", op->name);
        y->dims[d + 2] = size;
    }
    return FZ_OK;
}

static fz_status_t infer(const struct fz_op *op, const struct fz_call *call) {
    const fz_tensor_t *x = call->in[0], *index = call->in[1];
    int64_t shape[FZ_RANK_MAX], count;
    fz_tensor_t y;
    int32_t n;
    FZ_TRY(fzi_infer_type(op, call, 0, FZ_T(F32) | FZ_T(F64)));
    FZ_TRY(fzi_infer_type(op, call, 1, FZ_T(I64)));
    FZ_TRY(fzi_infer_type(op, call, 2, FZ_T(I64)));
    FZ_TRY(fzi_infer_list(op, call, 2, shape, FZ_RANK_MAX, &n));
    fzi_infer_unknown(call, 0, x->dtype);
    if (x->rank < 0) return FZ_OK;
    FZ_TRY(unpooled(op, call, &y));
    if (fzi_shape_known(x) && fzi_shape_known(index) && !fzi_shape_equal(x, index))
        return fzi_error(FZ_E_SHAPE, "%s: not one index for each element", op->name);
    if (fzi_shape_known(&y) && !fzi_dims_count(y.dims, 0, y.rank, &count))
        return fzi_error(FZ_E_SHAPE, "%s: the output is too large", op->name);
    if (n == -2) return fzi_move_infer_rank(call, x->rank);
    if (n >= 0 && n != x->rank)
        return fzi_error(FZ_E_SHAPE, "%s: output_shape has %d numbers", op->name, n);
    for (int32_t d = 0; d < n; d++) {
        if (shape[d] < 0 || shape[d] < y.dims[d])
            return fzi_error(FZ_E_VALUE, "%s: output_shape is too small", op->name);
        y.dims[d] = shape[d];
    }
    fzi_infer_like(call, 0, x->dtype, &y);
    return FZ_OK;
}

/* Where element FLAT of a tensor of SMALL's shape lies in one of LARGE's. */
static int64_t place(const fz_tensor_t *small, const fz_tensor_t *large, int64_t flat) {
    int64_t at = 0, step = 1;
    for (int32_t d = small->rank - 1; d >= 0; d--) {
        at += flat % small->dims[d] * step;
        flat /= small->dims[d];
        step *= large->dims[d];
    }
    return at;
}

static fz_status_t run(const struct fz_op *op, const struct fz_call *call) {
    const fz_tensor_t *x = call->in[0], *out = call->out[0];
    const int64_t *index = call->in[1]->data;
    int64_t n = fzi_tensor_count(x), limit;
    fz_tensor_t y;
    FZ_TRY(unpooled(op, call, &y));
    limit = fzi_tensor_count(&y);
    if (out->size) memset(out->data, 0, out->size);
    for (int64_t i = 0; i < n; i++) {
        if (i % 65536 == 0) FZ_TRY(call->env->poll(call->env));
        if (index[i] < 0 || index[i] >= limit)
            return fzi_error(FZ_E_VALUE, "%s: index %lld of %lld", op->name, (long long)index[i],
                             (long long)limit);
        int64_t to = place(&y, out, index[i]);
        if (x->dtype == FZ_TYPE_F32) ((float *)out->data)[to] = ((const float *)x->data)[i];
        else ((double *)out->data)[to] = ((const double *)x->data)[i];
    }
    return FZ_OK;
}

const struct fz_op fz_ops_max_unpool[] = {
    {.name = "MaxUnpool", .domain = "", .since = 9, .rev = 1, .min_in = 2, .max_in = 3,
     .min_out = 1, .max_out = 1, .attrs = "kernel_shape pads strides",
     .params_size = sizeof(struct params), .lower = lower, .infer = infer, .run = run},
    {0},
};
