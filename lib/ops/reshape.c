/* Reshape and Flatten: the same elements under other dims. */
#include "ops/move.h"

struct params {
    int64_t allow_zero; /* a 0 in the target is a dimension of 0, not "as in the input" */
    struct fz_list shape;
    int64_t axis;       /* Flatten */
};

static fz_status_t lower(struct fz_lower *lower, struct fz_node *node, void *params) {
    struct params *p = params;
    (void)lower;
    FZ_TRY(fzi_attr_int(node, "allowzero", 0, &p->allow_zero));
    FZ_TRY(fzi_attr_int(node, "axis", 1, &p->axis));
    return fzi_move_list(node, "shape", &p->shape);
}

/* A target's entries in three kinds: copied from the input, given, or to be worked out. */
struct target {
    int64_t dims[FZ_RANK_MAX];
    int32_t rank, open; /* open: the place of -1, or -1 */
    uint32_t copied;    /* input dims that the target takes over */
};

static fz_status_t read_target(const struct fz_op *op, const struct fz_call *call,
                               struct target *to) {
    const struct params *p = call->params;
    const fz_tensor_t *in = call->in[0];
    bool zero = false;
    to->open = -1;
    to->copied = 0;
    for (int32_t d = 0; d < to->rank; d++) {
        int64_t n = to->dims[d];
        if (n < -1 || (n == -1 && to->open >= 0))
            return fzi_error(FZ_E_VALUE, "%s: %lld at place %d of the shape", op->name,
                             (long long)n, d);
        if (n == -1) to->open = d;
        zero = zero || (n == 0 && p->allow_zero);
        if (n != 0 || p->allow_zero) continue;
        if (in->rank >= 0 && d >= in->rank)
            return fzi_error(FZ_E_SHAPE, "%s: place %d of the shape copies a missing dimension",
                             op->name, d);
        to->dims[d] = in->rank < 0 ? FZ_DIM_UNKNOWN : in->dims[d];
        to->copied |= 1u << d;
    }
    if (zero && to->open >= 0)
        return fzi_error(FZ_E_VALUE, "%s: the shape has both a 0 and a -1", op->name);
    return FZ_OK;
}

static fz_status_t mismatch(const struct fz_op *op, const fz_tensor_t *in,
                            const struct target *to) {
    char text[2][160];
    fz_tensor_t t = {.dtype = in->dtype};
    fzi_shape_set(&t, to->rank, to->dims);
    return fzi_error(FZ_E_SHAPE, "%s: %s cannot become %s", op->name,
                     fzi_shape_text(in, text[0], sizeof text[0]),
                     fzi_shape_text(&t, text[1], sizeof text[1]));
}

/* Beside a copied dimension of 0 the others do not matter. */
static bool copies_zero(const fz_tensor_t *in, const struct target *to) {
    for (int32_t d = 0; d < in->rank; d++)
        if (to->copied >> d & 1 && in->dims[d] == 0) return true;
    return false;
}

/* What remains of both shapes when the copied dimensions are taken away must have equally many
 * elements; that decides the open dimension, which may also be the input's one remaining symbol. */
static fz_status_t resolve(const struct fz_op *op, const struct fz_call *call,
                           struct target *to) {
    const fz_tensor_t *in = call->in[0];
    fz_tensor_t left = {.dtype = in->dtype}, right = left;
    if (in->rank < 0) return FZ_OK;
    for (int32_t d = 0; d < in->rank; d++)
        if (!(to->copied >> d & 1)) left.dims[left.rank++] = in->dims[d];
    for (int32_t d = 0; d < to->rank; d++)
        if (!(to->copied >> d & 1) && d != to->open) right.dims[right.rank++] = to->dims[d];
    int64_t given, n;
    if (!fzi_dims_count(right.dims, 0, right.rank, &given)) return mismatch(op, in, to);
    if (to->open >= 0 && given == 0) return mismatch(op, in, to);
    if (fzi_dims_count(left.dims, 0, left.rank, &n)) {
        if (to->open < 0 ? n != given && !copies_zero(in, to) : n % given != 0)
            return mismatch(op, in, to);
        if (to->open >= 0) to->dims[to->open] = n / given;
        return FZ_OK;
    }
    /* The input's dims are open: N x 3 x 4 as -1 x 12 is N x 12. */
    if (to->open < 0) return FZ_OK;
    int64_t symbol = 1, known = 1;
    for (int32_t d = 0; d < left.rank; d++) {
        if (left.dims[d] >= 0) {
            if (!fzi_mul_i64(known, left.dims[d], &known)) return mismatch(op, in, to);
        } else symbol = symbol == 1 ? left.dims[d] : FZ_DIM_UNKNOWN;
    }
    to->dims[to->open] = known == given ? symbol : FZ_DIM_UNKNOWN;
    return FZ_OK;
}

static fz_status_t infer_reshape(const struct fz_op *op, const struct fz_call *call) {
    const struct params *p = call->params;
    struct target to;
    FZ_TRY(fzi_move_values(op, call, 1, &p->shape, to.dims, &to.rank));
    if (to.rank == -2) return fzi_move_infer_rank(call, fzi_move_length(call, 1));
    FZ_TRY(read_target(op, call, &to));
    FZ_TRY(resolve(op, call, &to));
    fzi_infer_shape(call, 0, call->in[0]->dtype, to.rank, to.dims);
    return FZ_OK;
}

static fz_status_t infer_flatten(const struct fz_op *op, const struct fz_call *call) {
    const struct params *p = call->params;
    const fz_tensor_t *in = call->in[0];
    if (in->rank < 0) return fzi_move_infer_rank(call, 2);
    if (p->axis < -in->rank || p->axis > in->rank)
        return fzi_error(FZ_E_SHAPE, "%s: axis %lld is outside of rank %d", op->name,
                         (long long)p->axis, in->rank);
    int32_t axis = (int32_t)(p->axis < 0 ? p->axis + in->rank : p->axis);
    int64_t dims[2] = {fzi_move_product(in, 0, axis), fzi_move_product(in, axis, in->rank)};
    fzi_infer_shape(call, 0, in->dtype, 2, dims);
    return FZ_OK;
}

#define VIEW                                                                                       \
    .domain = "", .rev = 1, .flags = FZ_OP_ANY_TYPE | FZ_OP_VIEW, .min_in = 1, .min_out = 1,       \
    .max_out = 1, .params_size = sizeof(struct params), .lower = lower, .run = fzi_move_view

const struct fz_op fz_ops_reshape[] = {
    {.name = "Reshape", .since = 1, .until = 4, .max_in = 1, .attrs = "shape consumed_inputs",
     .infer = infer_reshape, VIEW},
    {.name = "Reshape", .since = 5, .max_in = 2, .attrs = "allowzero", .infer = infer_reshape,
     VIEW},
    {.name = "Flatten", .since = 1, .max_in = 1, .attrs = "axis", .infer = infer_flatten, VIEW},
    {0},
};
