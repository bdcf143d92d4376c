/* OneHot: an index becomes a row that is ON at its place and OFF elsewhere. */
#include "ops/move.h"

struct params {
    int64_t axis;
};

static fz_status_t lower(struct fz_lower *lower, struct fz_node *node, void *params) {
    struct params *p = params;
    (void)lower;
    return fzi_attr_int(node, "axis", -1, &p->axis);
}

/* The depth may be of any number type; a float one is cut to an integer. */
static fz_status_t read_depth(const struct fz_op *op, const struct fz_call *call, int64_t *out) {
    const fz_tensor_t *depth = call->in[1];
    FZ_TRY(fzi_infer_type(op, call, 1, FZ_T_NUMBER));
    *out = FZ_DIM_UNKNOWN;
    if (!fzi_shape_known(depth)) return FZ_OK;
    if (fzi_tensor_count(depth) != 1)
        return fzi_error(FZ_E_SHAPE, "%s: the depth is not one number", op->name);
    if (!depth->data) return FZ_OK;
    double d = fzi_tensor_float(depth, 0);
    if (!(d >= 0 && d < 0x1p53))
        return fzi_error(FZ_E_VALUE, "%s: the depth is no count", op->name);
    *out = (int64_t)d;
    return FZ_OK;
}

static fz_status_t infer(const struct fz_op *op, const struct fz_call *call) {
    const struct params *p = call->params;
    const fz_tensor_t *in = call->in[0], *values = call->in[2];
    int64_t dims[FZ_RANK_MAX], depth;
    int32_t axis;
    FZ_TRY(fzi_infer_type(op, call, 0, FZ_T_NUMBER));
    FZ_TRY(fzi_move_type(op, call, 2));
    FZ_TRY(read_depth(op, call, &depth));
    if (fzi_shape_known(values) && (values->rank != 1 || values->dims[0] != 2))
        return fzi_error(FZ_E_SHAPE, "%s: the values are not two", op->name);
    fzi_infer_unknown(call, 0, values->dtype);
    if (in->rank < 0) return FZ_OK;
    if (in->rank == FZ_RANK_MAX)
        return fzi_error(FZ_E_SHAPE, "%s: rank %d is over %d", op->name, in->rank + 1,
                         FZ_RANK_MAX);
    FZ_TRY(fzi_move_axis(op, p->axis, in->rank + 1, &axis));
    for (int32_t d = 0; d <= in->rank; d++)
        dims[d] = d == axis ? depth : in->dims[d - (d > axis)];
    fzi_infer_shape(call, 0, values->dtype, in->rank + 1, dims);
    return FZ_OK;
}

/* Index I as an integer in [-depth, depth), negative ones counted from the end; -1 if it is none
 * of these: such a row stays off. */
static int64_t read_index(const fz_tensor_t *t, int64_t i, int64_t depth) {
    int64_t at;
    if (fzi_type_is_float(t->dtype)) {
        double d = fzi_tensor_float(t, i);
        if (!(d >= -(double)depth && d < (double)depth)) return -1;
        at = (int64_t)d;
        if ((double)at != d) return -1;
    } else {
        at = fzi_tensor_int(t, i);
        if (t->dtype == FZ_TYPE_U64 && at < 0) return -1;
    }
    if (at < -depth || at >= depth) return -1;
    return at < 0 ? at + depth : at;
}

static fz_status_t run(const struct fz_op *op, const struct fz_call *call) {
    const struct params *p = call->params;
    const fz_tensor_t *in = call->in[0], *values = call->in[2], *out = call->out[0];
    size_t width = fzi_type_width(values->dtype);
    int32_t axis;
    if (out->size == 0) return FZ_OK;
    FZ_TRY(fzi_move_axis(op, p->axis, out->rank, &axis));
    int64_t depth = out->dims[axis], inner = fzi_move_span(out, axis + 1, out->rank);
    int64_t n = fzi_tensor_count(in);
    fzi_move_fill(out->data, fzi_tensor_count(out), values->data, width);
    for (int64_t i = 0; i < n; i++) {
        int64_t at = read_index(in, i, depth);
        if (at >= 0)
            memcpy(fzi_move_at(out, (i / inner * depth + at) * inner + i % inner),
                   fzi_move_at(values, 1), width);
    }
    return FZ_OK;
}

const struct fz_op fz_ops_one_hot[] = {
    {.name = "OneHot", .domain = "", .since = 9, .rev = 1, .flags = FZ_OP_ANY_TYPE,
     .min_in = 3, .max_in = 3, .min_out = 1, .max_out = 1, .attrs = "axis",
     .params_size = sizeof(struct params), .lower = lower, .infer = infer, .run = run},
    {0},
};
