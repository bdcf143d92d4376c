/* Concat: inputs one behind the other along an axis. */
#include "ops/move.h"

struct params {
    int64_t axis;
};

static fz_status_t lower(struct fz_lower *lower, struct fz_node *node, void *params) {
    struct params *p = params;
    (void)lower;
    if (node->opset >= 4 && !fzi_attr(node, "axis"))
        return fzi_error(FZ_E_FORMAT, "Concat needs the attribute 'axis'");
    return fzi_attr_int(node, "axis", 1, &p->axis);
}

static fz_status_t check_inputs(const struct fz_op *op, const struct fz_call *call,
                                int32_t *rank) {
    *rank = FZ_RANK_UNKNOWN;
    for (uint32_t i = 0; i < call->n_in; i++) {
        const fz_tensor_t *in = call->in[i];
        if (!in) return fzi_error(FZ_E_FORMAT, "%s: input %u is absent", op->name, i);
        FZ_TRY(fzi_move_type(op, call, i));
        if (in->dtype != call->in[0]->dtype)
            return fzi_error(FZ_E_TYPE, "%s: input %u is %s, input 0 %s", op->name, i,
                             fz_type_name(in->dtype), fz_type_name(call->in[0]->dtype));
        if (in->rank < 0) continue;
        if (*rank >= 0 && in->rank != *rank)
            return fzi_error(FZ_E_SHAPE, "%s: input %u has rank %d, others %d", op->name, i,
                             in->rank, *rank);
        *rank = in->rank;
    }
    return FZ_OK;
}

/* A known dimension decides; a symbol is better than nothing. */
static fz_status_t join(const struct fz_op *op, uint32_t i, int32_t d, int64_t n, int64_t *out) {
    if (*out >= 0 && n >= 0 && n != *out)
        return fzi_error(FZ_E_SHAPE, "%s: dimension %d of input %u is %lld, of others %lld",
                         op->name, d, i, (long long)n, (long long)*out);
    if (*out < 0 && n != FZ_DIM_UNKNOWN) *out = n;
    return FZ_OK;
}

static fz_status_t add(const struct fz_op *op, int64_t n, int64_t *sum) {
    if (n == 0) return FZ_OK;
    if (*sum == 0) *sum = n;
    else if (n < 0 || *sum < 0) *sum = FZ_DIM_UNKNOWN;
    else if (!fzi_add_i64(*sum, n, sum))
        return fzi_error(FZ_E_SHAPE, "%s: the sum of dimensions is too large", op->name);
    return FZ_OK;
}

static fz_status_t infer(const struct fz_op *op, const struct fz_call *call) {
    const struct params *p = call->params;
    int64_t dims[FZ_RANK_MAX];
    int32_t rank, axis;
    FZ_TRY(check_inputs(op, call, &rank));
    if (rank < 0) return fzi_move_infer_rank(call, -1);
    FZ_TRY(fzi_move_axis(op, p->axis, rank, &axis));
    for (int32_t d = 0; d < rank; d++) dims[d] = d == axis ? 0 : FZ_DIM_UNKNOWN;
    for (uint32_t i = 0; i < call->n_in; i++)
        for (int32_t d = 0; d < rank; d++) {
            int64_t n = call->in[i]->rank < 0 ? FZ_DIM_UNKNOWN : call->in[i]->dims[d];
            FZ_TRY(d == axis ? add(op, n, &dims[d]) : join(op, i, d, n, &dims[d]));
        }
    fzi_infer_shape(call, 0, call->in[0]->dtype, rank, dims);
    return FZ_OK;
}

/* Images side by side along their channels: row by row. */
static bool rows(const struct fz_op *op, const struct fz_call *call, struct fz_rows *rows,
                 int64_t *align) {
    const struct params *p = call->params;
    int32_t axis, rank = call->out[0]->rank;
    if (fzi_move_axis(op, p->axis, rank, &axis) != FZ_OK || axis < 2) return false;
    for (uint32_t i = 0; i < call->n_in; i++) rows[i] = (struct fz_rows){1, 1, 0};
    *align = 1;
    return true;
}

static fz_status_t run(const struct fz_op *op, const struct fz_call *call) {
    const struct params *p = call->params;
    const fz_tensor_t *out = call->out[0];
    int32_t axis;
    int64_t at = 0;
    FZ_TRY(fzi_move_axis(op, p->axis, out->rank, &axis));
    int64_t row = fzi_move_span(out, axis, out->rank);
    for (uint32_t i = 0; i < call->n_in; i++) {
        const fz_tensor_t *in = call->in[i];
        struct fz_move move = {.width = fzi_type_width(in->dtype)};
        int64_t part = fzi_move_span(in, axis, in->rank);
        fzi_move_dim(&move, fzi_move_span(out, 0, axis), part, row);
        fzi_move_dim(&move, part, 1, 1);
        fzi_move_run(call->env, &move, in->data, fzi_move_at(out, at));
        at += part;
    }
    return FZ_OK;
}

const struct fz_op fz_ops_concat[] = {
    {.name = "Concat", .domain = "", .since = 1, .rev = 1, .flags = FZ_OP_ANY_TYPE | FZ_OP_JOINS,
     .min_in = 1, .max_in = 255, .min_out = 1, .max_out = 1, .attrs = "axis",
     .params_size = sizeof(struct params), .lower = lower, .infer = infer, .run = run,
     .rows = rows},
    {0},
};
