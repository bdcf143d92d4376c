/* Expand and Tile: repeat a tensor along dimensions. */
#include "ops/move.h"

/* ---- Expand: NumPy broadcasting against a list of dims */

/* Only the rank of the list is known: dims of the input other than 1 stay. */
static fz_status_t infer_by_rank(const struct fz_call *call) {
    const fz_tensor_t *in = call->in[0];
    int64_t dims[FZ_RANK_MAX], length = fzi_move_length(call, 1);
    if (in->rank < 0 || length < 0 || length > FZ_RANK_MAX) return fzi_move_infer_rank(call, -1);
    int32_t rank = (int32_t)fzi_max_i64(in->rank, length);
    for (int32_t d = 0; d < rank; d++) {
        int32_t at = d - (rank - in->rank);
        bool fixed = at >= 0 && (in->dims[at] > 1 || in->dims[at] == 0);
        dims[d] = fixed ? in->dims[at] : FZ_DIM_UNKNOWN;
    }
    fzi_infer_shape(call, 0, in->dtype, rank, dims);
    return FZ_OK;
}

static fz_status_t infer_expand(const struct fz_op *op, const struct fz_call *call) {
    fz_tensor_t target = {.dtype = call->in[0]->dtype}, joined = target;
    FZ_TRY(fzi_move_type(op, call, 0));
    FZ_TRY(fzi_infer_list(op, call, 1, target.dims, FZ_RANK_MAX, &target.rank));
    if (target.rank == -2) return infer_by_rank(call);
    for (int32_t d = 0; d < target.rank; d++)
        if (target.dims[d] < 0)
            return fzi_error(FZ_E_VALUE, "%s: %lld at place %d of the shape", op->name,
                             (long long)target.dims[d], d);
    const fz_tensor_t *both[2] = {call->in[0], &target};
    FZ_TRY(fzi_infer_broadcast(op, both, 2, &joined));
    fzi_infer_like(call, 0, target.dtype, &joined);
    return FZ_OK;
}

static fz_status_t run_expand(const struct fz_op *op, const struct fz_call *call) {
    const fz_tensor_t *in = call->in[0], *out = call->out[0];
    struct fz_move move = {.width = fzi_type_width(in->dtype)};
    int64_t from[FZ_RANK_MAX], to[FZ_RANK_MAX];
    (void)op;
    fzi_move_strides(in->rank, in->dims, from);
    fzi_move_strides(out->rank, out->dims, to);
    for (int32_t d = 0; d < out->rank; d++) {
        int32_t at = d - (out->rank - in->rank);
        fzi_move_dim(&move, out->dims[d], at >= 0 && in->dims[at] != 1 ? from[at] : 0, to[d]);
    }
    fzi_move_run(call->env, &move, in->data, out->data);
    return FZ_OK;
}

/* ---- Tile: NumPy's tile; before opset 6 along one axis */

static fz_status_t repeat_dim(const struct fz_op *op, int64_t *dim, int64_t times) {
    if (times < 0)
        return fzi_error(FZ_E_VALUE, "%s: %lld repetitions", op->name, (long long)times);
    if (times == 1) return FZ_OK;
    if (*dim < 0) *dim = times == 0 ? 0 : FZ_DIM_UNKNOWN;
    else if (!fzi_mul_i64(*dim, times, dim))
        return fzi_error(FZ_E_SHAPE, "%s: %lld repetitions are too many", op->name,
                         (long long)times);
    return FZ_OK;
}

static fz_status_t infer_tile_axis(const struct fz_op *op, const struct fz_call *call) {
    const fz_tensor_t *in = call->in[0];
    int64_t times, axis, dims[FZ_RANK_MAX];
    bool known_times, known_axis;
    int32_t at;
    FZ_TRY(fzi_move_type(op, call, 0));
    FZ_TRY(fzi_move_scalar(op, call, 1, &times, &known_times));
    FZ_TRY(fzi_move_scalar(op, call, 2, &axis, &known_axis));
    if (in->rank < 0 || !known_axis) return fzi_move_infer_rank(call, in->rank);
    FZ_TRY(fzi_move_axis(op, axis, in->rank, &at));
    for (int32_t d = 0; d < in->rank; d++) dims[d] = in->dims[d];
    if (known_times) FZ_TRY(repeat_dim(op, &dims[at], times));
    else dims[at] = FZ_DIM_UNKNOWN;
    fzi_infer_shape(call, 0, in->dtype, in->rank, dims);
    return FZ_OK;
}

static fz_status_t infer_tile(const struct fz_op *op, const struct fz_call *call) {
    const fz_tensor_t *in = call->in[0];
    int64_t times[FZ_RANK_MAX], dims[FZ_RANK_MAX];
    int32_t n;
    FZ_TRY(fzi_move_type(op, call, 0));
    FZ_TRY(fzi_infer_list(op, call, 1, times, FZ_RANK_MAX, &n));
    int64_t length = fzi_move_length(call, 1);
    if (in->rank >= 0 && length >= 0 && length != in->rank)
        return fzi_error(FZ_E_SHAPE, "%s: %lld repetitions for rank %d", op->name,
                         (long long)length, in->rank);
    if (n == -2 || in->rank < 0)
        return fzi_move_infer_rank(call, in->rank >= 0 ? in->rank : length);
    for (int32_t d = 0; d < n; d++) {
        dims[d] = in->dims[d];
        FZ_TRY(repeat_dim(op, &dims[d], times[d]));
    }
    fzi_infer_shape(call, 0, in->dtype, n, dims);
    return FZ_OK;
}

/* Output dimension d is (times, dim): the outer one stands still in the source. */
static fz_status_t run_tile(const struct fz_op *op, const struct fz_call *call) {
    const fz_tensor_t *in = call->in[0], *out = call->out[0];
    struct fz_move move = {.width = fzi_type_width(in->dtype)};
    int64_t from[FZ_RANK_MAX], to[FZ_RANK_MAX];
    (void)op;
    if (out->size == 0) return FZ_OK;
    fzi_move_strides(in->rank, in->dims, from);
    fzi_move_strides(out->rank, out->dims, to);
    for (int32_t d = 0; d < out->rank; d++) {
        fzi_move_dim(&move, out->dims[d] / in->dims[d], 0, to[d] * in->dims[d]);
        fzi_move_dim(&move, in->dims[d], from[d], to[d]);
    }
    fzi_move_run(call->env, &move, in->data, out->data);
    return FZ_OK;
}

const struct fz_op fz_ops_expand[] = {
    {.name = "Expand", .domain = "", .since = 8, .rev = 1, .flags = FZ_OP_ANY_TYPE,
     .min_in = 2, .max_in = 2, .min_out = 1, .max_out = 1, .infer = infer_expand,
     .run = run_expand},
    {.name = "Tile", .domain = "", .since = 1, .until = 5, .rev = 1, .flags = FZ_OP_ANY_TYPE,
     .min_in = 3, .max_in = 3, .min_out = 1, .max_out = 1, .infer = infer_tile_axis,
     .run = run_tile},
    {.name = "Tile", .domain = "", .since = 6, .rev = 1, .flags = FZ_OP_ANY_TYPE,
     .min_in = 2, .max_in = 2, .min_out = 1, .max_out = 1, .infer = infer_tile,
     .run = run_tile},
    {0},
};
