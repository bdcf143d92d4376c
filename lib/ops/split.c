/* Split: parts of a tensor along an axis. */
#include "ops/move.h"

struct params {
    int64_t axis;
    int64_t n_parts; /* outputs of the node; num_outputs if that is given */
    int64_t uneven;  /* the last part may be smaller (opset 18) */
};

/* Sizes of the parts, an attribute before opset 13, are input 1 in every opset. */
static fz_status_t lower(struct fz_lower *lower, struct fz_node *node, void *params) {
    struct params *p = params;
    const int64_t *sizes = NULL;
    size_t n = 0;
    FZ_TRY(fzi_attr_int(node, "axis", 0, &p->axis));
    FZ_TRY(fzi_attr_int(node, "num_outputs", node->n_out, &p->n_parts));
    FZ_TRY(fzi_attr_ints(node, "split", &sizes, &n));
    p->uneven = fzi_attr(node, "num_outputs") != NULL;
    if (n == 0 || fzi_in(node, 1)) return FZ_OK;
    return fzi_lower_constant(lower, node, 1, FZ_TYPE_I64, (int64_t)n, sizes);
}

/* The sizes that input 1 gives must be as many as the outputs and must add up. */
static fz_status_t check_sizes(const struct fz_op *op, const struct fz_call *call, int64_t dim) {
    const fz_tensor_t *sizes = call->in[1];
    int64_t n = fzi_move_length(call, 1), sum = 0;
    if (n >= 0 && n < call->n_out)
        return fzi_error(FZ_E_SHAPE, "%s: %lld sizes for %u outputs", op->name, (long long)n,
                         call->n_out);
    if (n < 0 || !sizes->data) return FZ_OK;
    for (int64_t i = 0; i < n; i++) {
        int64_t part = fzi_tensor_int(sizes, i);
        if (part < 0 || !fzi_add_i64(sum, part, &sum))
            return fzi_error(FZ_E_VALUE, "%s: a part of size %lld", op->name, (long long)part);
    }
    if (dim >= 0 && sum != dim)
        return fzi_error(FZ_E_SHAPE, "%s: the parts are %lld together, the axis %lld", op->name,
                         (long long)sum, (long long)dim);
    return FZ_OK;
}

/* Size of part I of an axis of DIM; FZ_DIM_UNKNOWN if that is not known. */
static int64_t part_size(const struct fz_call *call, int64_t dim, uint32_t i) {
    const struct params *p = call->params;
    if (fzi_move_has(call, 1)) {
        bool known = call->in[1]->data && fzi_move_length(call, 1) >= 0;
        return known ? fzi_tensor_int(call->in[1], i) : FZ_DIM_UNKNOWN;
    }
    if (p->n_parts == 1) return dim;
    if (dim < 0) return FZ_DIM_UNKNOWN;
    int64_t size = dim / p->n_parts + (dim % p->n_parts != 0), begin;
    if (!fzi_mul_i64(size, i, &begin)) return 0;
    return fzi_min_i64(size, dim - fzi_min_i64(dim, begin));
}

static fz_status_t check(const struct fz_op *op, const struct fz_call *call, int64_t dim) {
    const struct params *p = call->params;
    if (fzi_move_has(call, 1)) {
        FZ_TRY(fzi_infer_type(op, call, 1, FZ_T(I32) | FZ_T(I64)));
        if (call->in[1]->rank > 1)
            return fzi_error(FZ_E_SHAPE, "%s: input 1 is not a list", op->name);
        return check_sizes(op, call, dim);
    }
    if (p->n_parts < 1 || p->n_parts < call->n_out)
        return fzi_error(FZ_E_SHAPE, "%s: %lld parts for %u outputs", op->name,
                         (long long)p->n_parts, call->n_out);
    if (dim >= 0 && !p->uneven && dim % p->n_parts)
        return fzi_error(FZ_E_SHAPE, "%s: an axis of %lld has no %lld equal parts", op->name,
                         (long long)dim, (long long)p->n_parts);
    return FZ_OK;
}

static fz_status_t infer(const struct fz_op *op, const struct fz_call *call) {
    const struct params *p = call->params;
    const fz_tensor_t *in = call->in[0];
    int32_t axis = 0;
    FZ_TRY(fzi_move_type(op, call, 0));
    if (in->rank >= 0) FZ_TRY(fzi_move_axis(op, p->axis, in->rank, &axis));
    FZ_TRY(check(op, call, in->rank < 0 ? FZ_DIM_UNKNOWN : in->dims[axis]));
    for (uint32_t i = 0; i < call->n_out; i++) {
        fzi_infer_like(call, i, in->dtype, in);
        if (call->out[i] && in->rank >= 0)
            call->out[i]->dims[axis] = part_size(call, in->dims[axis], i);
    }
    return FZ_OK;
}

static fz_status_t run(const struct fz_op *op, const struct fz_call *call) {
    const struct params *p = call->params;
    const fz_tensor_t *in = call->in[0];
    int32_t axis;
    int64_t at = 0;
    FZ_TRY(fzi_move_axis(op, p->axis, in->rank, &axis));
    int64_t inner = fzi_move_span(in, axis + 1, in->rank);
    for (uint32_t i = 0; i < call->n_out; i++) {
        struct fz_move move = {.width = fzi_type_width(in->dtype)};
        int64_t size = part_size(call, in->dims[axis], i), part = size * inner;
        if (call->out[i] && call->out[i]->dims[axis] != size)
            return fzi_error(FZ_E_SHAPE, "%s: part %u has changed its size", op->name, i);
        fzi_move_dim(&move, fzi_move_span(in, 0, axis), in->dims[axis] * inner, part);
        fzi_move_dim(&move, part, 1, 1);
        if (call->out[i])
            fzi_move_run(call->env, &move, fzi_move_at(in, at), call->out[i]->data);
        at += part;
    }
    return FZ_OK;
}

const struct fz_op fz_ops_split[] = {
    {.name = "Split", .domain = "", .since = 1, .rev = 1, .flags = FZ_OP_ANY_TYPE,
     .min_in = 1, .max_in = 2, .min_out = 1, .max_out = 255, .attrs = "axis split num_outputs",
     .params_size = sizeof(struct params), .lower = lower, .infer = infer, .run = run},
    {0},
};
