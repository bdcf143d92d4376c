/* ConcatFromSequence: the tensors of a sequence one behind the other, along an axis of theirs or
 * along a new one. */
#include "ops/move.h"
#include "ops/nested.h"

struct params {
    int64_t axis, new_axis;
};

static fz_status_t lower(struct fz_lower *lower, struct fz_node *node, void *params) {
    struct params *p = params;
    (void)lower;
    if (!fzi_attr(node, "axis"))
        return fzi_error(FZ_E_FORMAT, "ConcatFromSequence needs the attribute 'axis'");
    FZ_TRY(fzi_attr_int(node, "axis", 0, &p->axis));
    return fzi_attr_int(node, "new_axis", 0, &p->new_axis);
}

static fz_status_t infer(const struct fz_op *op, const struct fz_call *call) {
    FZ_TRY(fzi_nested_kind(op, call, 0, FZ_KIND_SEQUENCE));
    int32_t dtype = fz_type_element(call->in[0]->dtype);
    if (fzi_type_is_nested(dtype) || (fz_type_bits(dtype) < 8 && dtype != FZ_TYPE_STRING))
        return fzi_error(FZ_E_UNSUPPORTED, "%s: a sequence of %s", op->name, fz_type_name(dtype));
    fzi_infer_unknown(call, 0, dtype);
    return FZ_OK;
}

/* The shape of the result, with the sum of the tensors' sizes along AXIS. */
static fz_status_t join(const struct fz_op *op, const fz_tensor_t *sequence, bool makes_axis,
                        int32_t axis, fz_tensor_t *out) {
    int64_t sum = 0;
    for (int64_t i = 0; i < sequence->dims[0]; i++) {
        fz_tensor_t item = fzi_value_item(sequence, i);
        if (item.rank != out->rank)
            return fzi_error(FZ_E_SHAPE, "%s: tensors of ranks %d and %d", op->name, out->rank,
                             item.rank);
        for (int32_t d = 0; d < item.rank; d++)
            if (item.dims[d] != out->dims[d] && (makes_axis || d != axis))
                return fzi_error(FZ_E_SHAPE, "%s: tensors differ in dimension %d", op->name, d);
        if (!fzi_add_i64(sum, makes_axis ? 1 : item.dims[axis], &sum))
            return fzi_error(FZ_E_SHAPE, "%s: the result is too large", op->name);
    }
    for (int32_t d = out->rank; makes_axis && d > axis; d--) out->dims[d] = out->dims[d - 1];
    out->rank += makes_axis;
    out->dims[axis] = sum;
    return FZ_OK;
}

/* Copies the tensors' blocks behind AXIS, which lie STRIDE elements apart in the result. */
static fz_status_t copy_all(const struct fz_call *call, int32_t axis) {
    const fz_tensor_t *out = call->out[0];
    int64_t outer = fzi_move_span(out, 0, axis), stride = fzi_move_span(out, axis, out->rank);
    int64_t at = 0;
    for (int64_t i = 0; i < call->in[0]->dims[0]; i++) {
        fz_tensor_t item = fzi_value_item(call->in[0], i);
        struct fz_move move = {.width = fzi_type_width(item.dtype)};
        int64_t block = outer ? fzi_tensor_count(&item) / outer : 0;
        FZ_TRY(call->env->poll(call->env));
        fzi_move_dim(&move, outer, block, stride);
        fzi_move_dim(&move, block, 1, 1);
        if (item.size) fzi_move_run(call->env, &move, item.data, fzi_move_at(out, at));
        at += block;
    }
    return FZ_OK;
}

static fz_status_t run(const struct fz_op *op, const struct fz_call *call) {
    const struct params *p = call->params;
    bool makes_axis = p->new_axis != 0;
    int32_t axis;
    if (call->in[0]->dims[0] == 0)
        return fzi_error(FZ_E_VALUE, "%s: the sequence is empty", op->name);
    fz_tensor_t out = fzi_value_item(call->in[0], 0);
    if (out.rank + makes_axis > FZ_RANK_MAX)
        return fzi_error(FZ_E_SHAPE, "%s: rank %d is over %d", op->name, out.rank + 1,
                         FZ_RANK_MAX);
    FZ_TRY(fzi_move_axis(op, p->axis, out.rank + makes_axis, &axis));
    FZ_TRY(join(op, call->in[0], makes_axis, axis, &out));
    FZ_TRY(call->env->resize(call, 0, out.rank, out.dims));
    return copy_all(call, axis);
}

const struct fz_op fz_ops_concat_from_sequence[] = {
    {.name = "ConcatFromSequence", .domain = "", .since = 11, .rev = 1,
     .flags = FZ_OP_ANY_TYPE | FZ_OP_NESTED | FZ_OP_LATE_SHAPE, .min_in = 1, .max_in = 1,
     .min_out = 1, .max_out = 1, .attrs = "axis new_axis", .params_size = sizeof(struct params),
     .lower = lower, .infer = infer, .run = run},
    {0},
};
