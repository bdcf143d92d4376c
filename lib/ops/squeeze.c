/* Squeeze and Unsqueeze: dimensions of one go, or come. */
#include "ops/move.h"

struct params {
    struct fz_list axes; /* before opset 13; then input 1 */
};

static fz_status_t lower(struct fz_lower *lower, struct fz_node *node, void *params) {
    struct params *p = params;
    (void)lower;
    return fzi_move_list(node, "axes", &p->axes);
}

/* Without axes every dimension of one goes. */
static fz_status_t squeeze_all(const struct fz_call *call, uint32_t *mask, bool *known) {
    const fz_tensor_t *in = call->in[0];
    for (int32_t d = 0; d < in->rank; d++) {
        if (in->dims[d] < 0) *known = false;
        if (in->dims[d] == 1) *mask |= 1u << d;
    }
    return FZ_OK;
}

static fz_status_t infer_squeeze(const struct fz_op *op, const struct fz_call *call) {
    const struct params *p = call->params;
    const fz_tensor_t *in = call->in[0];
    int64_t axes[FZ_RANK_MAX], dims[FZ_RANK_MAX];
    int32_t n, rank = 0;
    uint32_t mask = 0;
    bool known = true;
    FZ_TRY(fzi_move_values(op, call, 1, &p->axes, axes, &n));
    if (n == -2) {
        int64_t length = fzi_move_length(call, 1);
        return fzi_move_infer_rank(call, in->rank < 0 || length <= 0 ? -1 : in->rank - length);
    }
    if (in->rank < 0) return fzi_move_infer_rank(call, -1);
    if (n == 0) FZ_TRY(squeeze_all(call, &mask, &known));
    else FZ_TRY(fzi_infer_axes(op, call, FZ_OP_MAX_IN, axes, n, in->rank, &mask, &known));
    if (!known) return fzi_move_infer_rank(call, -1);
    for (int32_t d = 0; d < in->rank; d++) {
        if (!(mask >> d & 1)) dims[rank++] = in->dims[d];
        else if (in->dims[d] >= 0 && in->dims[d] != 1)
            return fzi_error(FZ_E_SHAPE, "%s: dimension %d is %lld, not 1", op->name, d,
                             (long long)in->dims[d]);
    }
    fzi_infer_shape(call, 0, in->dtype, rank, dims);
    return FZ_OK;
}

static fz_status_t infer_unsqueeze(const struct fz_op *op, const struct fz_call *call) {
    const struct params *p = call->params;
    const fz_tensor_t *in = call->in[0];
    int64_t axes[FZ_RANK_MAX], dims[FZ_RANK_MAX];
    int32_t n, from = 0;
    uint32_t mask;
    bool known;
    FZ_TRY(fzi_move_values(op, call, 1, &p->axes, axes, &n));
    int64_t length = n == -2 ? fzi_move_length(call, 1) : n;
    if (in->rank < 0 || length < 0) return fzi_move_infer_rank(call, -1);
    if (length > FZ_RANK_MAX - in->rank)
        return fzi_error(FZ_E_SHAPE, "%s: rank %lld is over %d", op->name,
                         (long long)(in->rank + length), FZ_RANK_MAX);
    int32_t rank = in->rank + (int32_t)length;
    if (n == -2) return fzi_move_infer_rank(call, rank);
    FZ_TRY(fzi_infer_axes(op, call, FZ_OP_MAX_IN, axes, n, rank, &mask, &known));
    for (int32_t d = 0; d < rank; d++) dims[d] = mask >> d & 1 ? 1 : in->dims[from++];
    fzi_infer_shape(call, 0, in->dtype, rank, dims);
    return FZ_OK;
}

#define VIEW                                                                                       \
    .domain = "", .rev = 1, .flags = FZ_OP_ANY_TYPE | FZ_OP_VIEW, .min_in = 1, .min_out = 1,       \
    .max_out = 1, .params_size = sizeof(struct params), .lower = lower, .run = fzi_move_view

const struct fz_op fz_ops_squeeze[] = {
    {.name = "Squeeze", .since = 1, .until = 12, .max_in = 1, .attrs = "axes",
     .infer = infer_squeeze, VIEW},
    {.name = "Squeeze", .since = 13, .max_in = 2, .infer = infer_squeeze, VIEW},
    {.name = "Unsqueeze", .since = 1, .until = 12, .max_in = 1, .attrs = "axes",
     .infer = infer_unsqueeze, VIEW},
    {.name = "Unsqueeze", .since = 13, .max_in = 2, .infer = infer_unsqueeze, VIEW},
    {0},
};
