/* CenterCropPad: the middle of a tensor, cut or surrounded by zeros so that its axes get given
 * lengths. */
#include "ops/move.h"

struct params {
    struct fz_list axes; /* empty: all */
};

static fz_status_t lower(struct fz_lower *lower, struct fz_node *node, void *params) {
    struct params *p = params;
    (void)lower;
    return fzi_move_list(node, "axes", &p->axes);
}

/* The output's dims; FZ_DIM_UNKNOWN along the axes while their lengths are not known. */
static fz_status_t find_dims(const struct fz_op *op, const struct fz_call *call, int64_t *dims) {
    const struct params *p = call->params;
    const fz_tensor_t *in = call->in[0];
    int64_t lengths[FZ_RANK_MAX], axes[FZ_RANK_MAX];
    int32_t n, n_axes;
    uint32_t seen = 0;
    FZ_TRY(fzi_infer_list(op, call, 1, lengths, FZ_RANK_MAX, &n));
    FZ_TRY(fzi_move_values(op, call, FZ_OP_MAX_IN, &p->axes, axes, &n_axes));
    if (n_axes == 0)
        for (n_axes = 0; n_axes < in->rank; n_axes++) axes[n_axes] = n_axes;
    if (n >= 0 && n != n_axes)
        return fzi_error(FZ_E_SHAPE, "%s: %d lengths for %d axes", op->name, n, n_axes);
    for (int32_t d = 0; d < in->rank; d++) dims[d] = in->dims[d];
    for (int32_t i = 0; i < n_axes; i++) {
        int32_t d;
        FZ_TRY(fzi_move_axis(op, axes[i], in->rank, &d));
        if (seen >> d & 1) return fzi_error(FZ_E_SHAPE, "%s: axis %d is named twice", op->name, d);
        seen |= 1u << d;
        dims[d] = n < 0 ? FZ_DIM_UNKNOWN : lengths[i];
        if (n >= 0 && lengths[i] < 0)
            return fzi_error(FZ_E_VALUE, "%s: a length of %lld", op->name, (long long)lengths[i]);
    }
    return FZ_OK;
}

static fz_status_t infer(const struct fz_op *op, const struct fz_call *call) {
    int64_t dims[FZ_RANK_MAX];
    FZ_TRY(fzi_move_type(op, call, 0));
    FZ_TRY(fzi_infer_type(op, call, 1, FZ_T(I32) | FZ_T(I64)));
    if (call->in[0]->rank < 0) return fzi_move_infer_rank(call, -1);
    FZ_TRY(find_dims(op, call, dims));
    fzi_infer_shape(call, 0, call->in[0]->dtype, call->in[0]->rank, dims);
    return FZ_OK;
}

/* What is odd goes to the end, of a cut as well as of a border. */
static fz_status_t run(const struct fz_op *op, const struct fz_call *call) {
    const fz_tensor_t *in = call->in[0], *out = call->out[0];
    struct fz_move move = {.width = fzi_type_width(in->dtype)};
    int64_t from[FZ_RANK_MAX], to[FZ_RANK_MAX], at_in = 0, at_out = 0;
    (void)op;
    if (!out->size) return FZ_OK;
    memset(out->data, 0, out->size);
    if (!in->size) return FZ_OK;
    fzi_move_strides(in->rank, in->dims, from);
    fzi_move_strides(out->rank, out->dims, to);
    for (int32_t d = 0; d < out->rank; d++) {
        int64_t cut = fzi_max_i64(0, in->dims[d] - out->dims[d]) / 2;
        int64_t border = fzi_max_i64(0, out->dims[d] - in->dims[d]) / 2;
        at_in += cut * from[d];
        at_out += border * to[d];
        fzi_move_dim(&move, fzi_min_i64(in->dims[d], out->dims[d]), from[d], to[d]);
    }
    fzi_move_run(call->env, &move, fzi_move_at(in, at_in), fzi_move_at(out, at_out));
    return FZ_OK;
}

const struct fz_op fz_ops_center_crop_pad[] = {
    {.name = "CenterCropPad", .domain = "", .since = 18, .rev = 1, .flags = FZ_OP_ANY_TYPE,
     .min_in = 2, .max_in = 2, .min_out = 1, .max_out = 1, .attrs = "axes",
     .params_size = sizeof(struct params), .lower = lower, .infer = infer, .run = run},
    {0},
};
