/* SequenceConstruct, SequenceEmpty, SequenceAt, SequenceInsert, SequenceErase, SequenceLength. */
#include "ops/move.h"
#include "ops/nested.h"

struct params {
    int64_t dtype;
};

/* ---- making one */

static fz_status_t lower_empty(struct fz_lower *lower, struct fz_node *node, void *params) {
    struct params *p = params;
    (void)lower;
    return fzi_attr_int(node, "dtype", FZ_TYPE_F32, &p->dtype);
}

static fz_status_t infer_empty(const struct fz_op *op, const struct fz_call *call) {
    const struct params *p = call->params;
    if (p->dtype <= 0 || p->dtype > FZ_TYPE_I2)
        return fzi_error(FZ_E_TYPE, "%s: unknown element type %lld", op->name,
                         (long long)p->dtype);
    return fzi_nested_infer(op, call, 0, FZ_KIND_SEQUENCE, (int32_t)p->dtype, 0);
}

static fz_status_t run_empty(const struct fz_op *op, const struct fz_call *call) {
    (void)op, (void)call;
    return FZ_OK;
}

static fz_status_t infer_construct(const struct fz_op *op, const struct fz_call *call) {
    for (uint32_t i = 0; i < call->n_in; i++) {
        if (!call->in[i]) return fzi_error(FZ_E_FORMAT, "%s: input %u is absent", op->name, i);
        if (call->in[i]->dtype != call->in[0]->dtype || fzi_type_is_nested(call->in[i]->dtype))
            return fzi_error(FZ_E_TYPE, "%s: input %u is %s, input 0 %s", op->name, i,
                             fz_type_name(call->in[i]->dtype), fz_type_name(call->in[0]->dtype));
    }
    return fzi_nested_infer(op, call, 0, FZ_KIND_SEQUENCE, call->in[0]->dtype, call->n_in);
}

static fz_status_t run_construct(const struct fz_op *op, const struct fz_call *call) {
    fz_tensor_t *items = call->out[0]->data;
    (void)op;
    for (uint32_t i = 0; i < call->n_in; i++)
        FZ_TRY(fzi_nested_keep(call->env, call->in[i], &items[i]));
    return FZ_OK;
}

/* ---- positions */

/* Input I, if it is there, is one integer. */
static fz_status_t infer_position(const struct fz_op *op, const struct fz_call *call, uint32_t i) {
    int64_t at;
    bool known;
    return fzi_move_has(call, i) ? fzi_move_scalar(op, call, i, &at, &known) : FZ_OK;
}

/* Reads input I, a position below LIMIT that may count from END; DEF if it is absent. */
static fz_status_t position(const struct fz_op *op, const struct fz_call *call, uint32_t i,
                            int64_t end, int64_t limit, int64_t def, int64_t *out) {
    *out = def;
    if (fzi_move_has(call, i)) {
        *out = fzi_tensor_int(call->in[i], 0);
        if (*out < 0) *out += end;
    }
    if (*out >= 0 && *out < limit) return FZ_OK;
    return fzi_error(FZ_E_VALUE, "%s: there is no such position in a sequence of %lld", op->name,
                     (long long)end);
}

/* ---- SequenceAt */

static fz_status_t infer_at(const struct fz_op *op, const struct fz_call *call) {
    FZ_TRY(fzi_nested_kind(op, call, 0, FZ_KIND_SEQUENCE));
    FZ_TRY(infer_position(op, call, 1));
    fzi_nested_infer_open(call, 0, fz_type_element(call->in[0]->dtype));
    return FZ_OK;
}

static fz_status_t run_at(const struct fz_op *op, const struct fz_call *call) {
    int64_t n = call->in[0]->dims[0], at;
    FZ_TRY(position(op, call, 1, n, n, 0, &at));
    fz_tensor_t item = fzi_value_item(call->in[0], at);
    return fzi_nested_give(call, &item);
}

/* ---- SequenceInsert, SequenceErase */

static fz_status_t infer_change(const struct fz_op *op, const struct fz_call *call, int64_t more,
                                uint32_t at) {
    int64_t n = fzi_nested_count(call, 0);
    FZ_TRY(fzi_nested_kind(op, call, 0, FZ_KIND_SEQUENCE));
    FZ_TRY(infer_position(op, call, at));
    if (n + more < 0 && n >= 0)
        return fzi_error(FZ_E_VALUE, "%s: the sequence is empty", op->name);
    return fzi_nested_infer(op, call, 0, FZ_KIND_SEQUENCE, fz_type_element(call->in[0]->dtype),
                            n < 0 ? n : n + more);
}

static fz_status_t infer_insert(const struct fz_op *op, const struct fz_call *call) {
    FZ_TRY(infer_change(op, call, 1, 2));
    if (call->in[1]->dtype != fz_type_element(call->in[0]->dtype))
        return fzi_error(FZ_E_TYPE, "%s: %s goes into no sequence of %s", op->name,
                         fz_type_name(call->in[1]->dtype),
                         fz_type_name(fz_type_element(call->in[0]->dtype)));
    return FZ_OK;
}

static fz_status_t infer_erase(const struct fz_op *op, const struct fz_call *call) {
    return infer_change(op, call, -1, 1);
}

/* N descriptions from place FROM of the input on to place TO of the output. */
static void copy_items(const struct fz_call *call, int64_t to, int64_t from, int64_t n) {
    fz_tensor_t *items = call->out[0]->data;
    const fz_tensor_t *old = call->in[0]->data;
    if (n > 0) memcpy(items + to, old + from, (size_t)n * sizeof *items);
}

static fz_status_t run_insert(const struct fz_op *op, const struct fz_call *call) {
    int64_t n = call->in[0]->dims[0], at;
    FZ_TRY(position(op, call, 2, n, n + 1, n, &at));
    copy_items(call, 0, 0, at);
    copy_items(call, at + 1, at, n - at);
    return fzi_nested_keep(call->env, call->in[1], (fz_tensor_t *)call->out[0]->data + at);
}

static fz_status_t run_erase(const struct fz_op *op, const struct fz_call *call) {
    int64_t n = call->in[0]->dims[0], at;
    FZ_TRY(position(op, call, 1, n, n, n - 1, &at));
    copy_items(call, 0, 0, at);
    copy_items(call, at, at + 1, n - at - 1);
    return FZ_OK;
}

/* ---- SequenceLength */

static fz_status_t infer_length(const struct fz_op *op, const struct fz_call *call) {
    FZ_TRY(fzi_nested_kind(op, call, 0, FZ_KIND_SEQUENCE));
    fzi_infer_shape(call, 0, FZ_TYPE_I64, 0, NULL);
    return FZ_OK;
}

static fz_status_t run_length(const struct fz_op *op, const struct fz_call *call) {
    (void)op;
    *(int64_t *)call->out[0]->data = call->in[0]->dims[0];
    return FZ_OK;
}

enum { FLAGS = FZ_OP_ANY_TYPE | FZ_OP_NESTED };

const struct fz_op fz_ops_sequence[] = {
    {.name = "SequenceConstruct", .domain = "", .since = 11, .rev = 1, .flags = FLAGS, .min_in = 1,
     .max_in = 255, .min_out = 1, .max_out = 1, .infer = infer_construct, .run = run_construct},
    {.name = "SequenceEmpty", .domain = "", .since = 11, .rev = 1, .flags = FLAGS, .min_in = 0,
     .max_in = 0, .min_out = 1, .max_out = 1, .attrs = "dtype",
     .params_size = sizeof(struct params), .lower = lower_empty, .infer = infer_empty,
     .run = run_empty},
    {.name = "SequenceAt", .domain = "", .since = 11, .rev = 1,
     .flags = FLAGS | FZ_OP_LATE_SHAPE, .min_in = 2, .max_in = 2, .min_out = 1, .max_out = 1,
     .infer = infer_at, .run = run_at},
    {.name = "SequenceInsert", .domain = "", .since = 11, .rev = 1, .flags = FLAGS, .min_in = 2,
     .max_in = 3, .min_out = 1, .max_out = 1, .infer = infer_insert, .run = run_insert},
    {.name = "SequenceErase", .domain = "", .since = 11, .rev = 1, .flags = FLAGS, .min_in = 1,
     .max_in = 2, .min_out = 1, .max_out = 1, .infer = infer_erase, .run = run_erase},
    {.name = "SequenceLength", .domain = "", .since = 11, .rev = 1,
     .flags = FLAGS | FZ_OP_SHAPE_INPUT, .min_in = 1, .max_in = 1, .min_out = 1, .max_out = 1,
     .infer = infer_length, .run = run_length},
    {0},
};
