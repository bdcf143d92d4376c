/* Compress and NonZero: what a condition selects, and where elements are not zero. Only run knows
 * how many there are. */
#include "ops/move.h"

struct params {
    int64_t axis, flat; /* flat: no axis, the input is taken as one row */
};

static fz_status_t lower(struct fz_lower *lower, struct fz_node *node, void *params) {
    struct params *p = params;
    (void)lower;
    p->flat = !fzi_attr(node, "axis");
    return fzi_attr_int(node, "axis", 0, &p->axis);
}

static fz_status_t infer_compress(const struct fz_op *op, const struct fz_call *call) {
    const struct params *p = call->params;
    const fz_tensor_t *in = call->in[0];
    int32_t axis;
    FZ_TRY(fzi_move_type(op, call, 0));
    FZ_TRY(fzi_infer_type(op, call, 1, FZ_T(BOOL)));
    if (call->in[1]->rank > 1)
        return fzi_error(FZ_E_SHAPE, "%s: the condition is not a list", op->name);
    if (p->flat) return fzi_move_infer_rank(call, 1);
    if (in->rank < 0) return fzi_move_infer_rank(call, -1);
    FZ_TRY(fzi_move_axis(op, p->axis, in->rank, &axis));
    fzi_infer_like(call, 0, in->dtype, in);
    if (call->out[0]) call->out[0]->dims[axis] = FZ_DIM_UNKNOWN;
    return FZ_OK;
}

/* A condition longer than the axis must not hold behind its end; a shorter one selects no more. */
static fz_status_t count_selected(const struct fz_op *op, const fz_tensor_t *condition,
                                  int64_t dim, int64_t *n) {
    const uint8_t *holds = condition->data;
    int64_t length = fzi_tensor_count(condition);
    *n = 0;
    for (int64_t i = 0; i < length; i++) {
        if (holds[i] && i >= dim)
            return fzi_error(FZ_E_VALUE, "%s: selects place %lld of %lld", op->name, (long long)i,
                             (long long)dim);
        *n += holds[i] != 0;
    }
    return FZ_OK;
}

static fz_status_t run_compress(const struct fz_op *op, const struct fz_call *call) {
    const struct params *p = call->params;
    const fz_tensor_t *in = call->in[0], *condition = call->in[1];
    fz_tensor_t row = {.dtype = in->dtype, .rank = 1, .data = in->data};
    int64_t dims[FZ_RANK_MAX], n, to = 0;
    int32_t axis = 0;
    row.dims[0] = fzi_tensor_count(in);
    if (p->flat) in = &row;
    else FZ_TRY(fzi_move_axis(op, p->axis, in->rank, &axis));
    FZ_TRY(count_selected(op, condition, in->dims[axis], &n));
    for (int32_t d = 0; d < in->rank; d++) dims[d] = d == axis ? n : in->dims[d];
    FZ_TRY(call->env->resize(call, 0, in->rank, dims));
    fz_tensor_t *out = call->out[0];
    if (!out || out->size == 0) return FZ_OK;
    int64_t inner = fzi_move_span(in, axis + 1, in->rank), outer = fzi_move_span(in, 0, axis);
    for (int64_t i = 0; i < fzi_tensor_count(condition); i++) {
        struct fz_move move = {.width = fzi_type_width(in->dtype)};
        if (!((const uint8_t *)condition->data)[i]) continue;
        fzi_move_dim(&move, outer, in->dims[axis] * inner, n * inner);
        fzi_move_dim(&move, inner, 1, 1);
        fzi_move_run(call->env, &move, fzi_move_at(in, i * inner), fzi_move_at(out, to++ * inner));
    }
    return FZ_OK;
}

/* ---- NonZero */

static fz_status_t infer_nonzero(const struct fz_op *op, const struct fz_call *call) {
    int32_t rank = call->in[0]->rank;
    int64_t dims[2] = {rank < 0 ? FZ_DIM_UNKNOWN : rank, FZ_DIM_UNKNOWN};
    FZ_TRY(fzi_infer_type(op, call, 0, FZ_T_NUMBER | FZ_T(BOOL)));
    fzi_infer_shape(call, 0, FZ_TYPE_I64, 2, dims);
    return FZ_OK;
}

/* -0 is zero, NaN is not. */
static bool is_nonzero(const fz_tensor_t *t, int64_t i) {
    switch (t->dtype) {
    case FZ_TYPE_F32: return ((const float *)t->data)[i] != 0;
    case FZ_TYPE_F64: return ((const double *)t->data)[i] != 0;
    case FZ_TYPE_F16:
    case FZ_TYPE_BF16: return (((const uint16_t *)t->data)[i] & 0x7FFF) != 0;
    default: return fzi_tensor_int(t, i) != 0;
    }
}

static fz_status_t run_nonzero(const struct fz_op *op, const struct fz_call *call) {
    const fz_tensor_t *in = call->in[0];
    int64_t count = fzi_tensor_count(in), n = 0, to = 0;
    (void)op;
    for (int64_t i = 0; i < count; i++) n += is_nonzero(in, i);
    FZ_TRY(call->env->resize(call, 0, 2, (const int64_t[2]){in->rank, n}));
    if (!call->out[0]) return FZ_OK;
    int64_t *out = call->out[0]->data;
    for (int64_t i = 0; i < count; i++) {
        int64_t rest = i;
        if (!is_nonzero(in, i)) continue;
        for (int32_t d = in->rank; d-- > 0; rest /= in->dims[d])
            out[d * n + to] = rest % in->dims[d];
        to++;
    }
    return FZ_OK;
}

const struct fz_op fz_ops_compress[] = {
    {.name = "Compress", .domain = "", .since = 9, .rev = 1,
     .flags = FZ_OP_ANY_TYPE | FZ_OP_LATE_SHAPE, .min_in = 2, .max_in = 2, .min_out = 1,
     .max_out = 1, .attrs = "axis", .params_size = sizeof(struct params), .lower = lower,
     .infer = infer_compress, .run = run_compress},
    {.name = "NonZero", .domain = "", .since = 9, .rev = 1,
     .flags = FZ_OP_ANY_TYPE | FZ_OP_LATE_SHAPE, .min_in = 1, .max_in = 1, .min_out = 1,
     .max_out = 1, .infer = infer_nonzero, .run = run_nonzero},
    {0},
};
