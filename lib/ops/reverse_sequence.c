/* ReverseSequence: the first so many steps of each sequence of a batch, backwards. */
#include "ops/move.h"

struct params {
    int64_t batch_axis, time_axis;
};

static fz_status_t lower(struct fz_lower *lower, struct fz_node *node, void *params) {
    struct params *p = params;
    (void)lower;
    FZ_TRY(fzi_attr_int(node, "batch_axis", 1, &p->batch_axis));
    return fzi_attr_int(node, "time_axis", 0, &p->time_axis);
}

static fz_status_t infer(const struct fz_op *op, const struct fz_call *call) {
    const struct params *p = call->params;
    const fz_tensor_t *in = call->in[0], *lengths = call->in[1];
    FZ_TRY(fzi_move_type(op, call, 0));
    FZ_TRY(fzi_infer_type(op, call, 1, FZ_T(I64)));
    if (p->batch_axis < 0 || p->batch_axis > 1 || p->time_axis != 1 - p->batch_axis)
        return fzi_error(FZ_E_SHAPE, "%s: batch axis %lld, time axis %lld", op->name,
                         (long long)p->batch_axis, (long long)p->time_axis);
    if (in->rank >= 0 && in->rank < 2)
        return fzi_error(FZ_E_SHAPE, "%s: the input has rank %d", op->name, in->rank);
    if (lengths->rank >= 0 && lengths->rank != 1)
        return fzi_error(FZ_E_SHAPE, "%s: the lengths are not a list", op->name);
    if (in->rank >= 0 && lengths->rank == 1 && lengths->dims[0] >= 0 &&
        in->dims[p->batch_axis] >= 0 && lengths->dims[0] != in->dims[p->batch_axis])
        return fzi_error(FZ_E_SHAPE, "%s: %lld lengths for a batch of %lld", op->name,
                         (long long)lengths->dims[0], (long long)in->dims[p->batch_axis]);
    fzi_infer_like(call, 0, in->dtype, in);
    return FZ_OK;
}

/* Copies STEPS steps of sequence B from step FIRST on, backwards or as they are. */
static void copy_steps(const struct fz_call *call, int64_t b, int64_t first, int64_t steps,
                       bool backwards) {
    const struct params *p = call->params;
    const fz_tensor_t *in = call->in[0];
    struct fz_move move = {.width = fzi_type_width(in->dtype)};
    int64_t inner = fzi_move_span(in, 2, in->rank), strides[2] = {in->dims[1] * inner, inner};
    int64_t step = strides[p->time_axis], to = b * strides[p->batch_axis] + first * step;
    int64_t from = backwards ? to + (steps - 1) * step : to;
    if (steps <= 0) return;
    fzi_move_dim(&move, steps, backwards ? -step : step, step);
    fzi_move_dim(&move, inner, 1, 1);
    fzi_move_run(call->env, &move, fzi_move_at(in, from), fzi_move_at(call->out[0], to));
}

static fz_status_t run(const struct fz_op *op, const struct fz_call *call) {
    const struct params *p = call->params;
    const fz_tensor_t *in = call->in[0];
    const int64_t *lengths = call->in[1]->data;
    int64_t batch = in->dims[p->batch_axis], time = in->dims[p->time_axis];
    for (int64_t b = 0; b < batch; b++)
        if (lengths[b] < 0 || lengths[b] > time)
            return fzi_error(FZ_E_VALUE, "%s: length %lld of %lld steps", op->name,
                             (long long)lengths[b], (long long)time);
    if (call->out[0]->size == 0) return FZ_OK;
    for (int64_t b = 0; b < batch; b++) {
        copy_steps(call, b, 0, lengths[b], true);
        copy_steps(call, b, lengths[b], time - lengths[b], false);
    }
    return FZ_OK;
}

const struct fz_op fz_ops_reverse_sequence[] = {
    {.name = "ReverseSequence", .domain = "", .since = 10, .rev = 1, .flags = FZ_OP_ANY_TYPE,
     .min_in = 2, .max_in = 2, .min_out = 1, .max_out = 1, .attrs = "batch_axis time_axis",
     .params_size = sizeof(struct params), .lower = lower, .infer = infer, .run = run},
    {0},
};
