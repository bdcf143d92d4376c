/* Loop: a body with carried values, run until a count or a condition ends it; what the body gives
 * beside them is stacked. */
#include "ops/control.h"

struct loop {
    const fz_tensor_t *in[FZ_CONTROL_MAX];  /* of the body: number, condition, carried values */
    const fz_tensor_t *out[FZ_CONTROL_MAX]; /* of its last run */
    uint32_t n_carried, n_out;
    int64_t max, number; /* iterations; max INT64_MAX: no limit */
    bool go;
};

static fz_status_t infer_control(struct fz_node *node, bool inner) {
    if (node->n_sub != 1 || node->n_in < 2) return fzi_error(FZ_E_FORMAT, "Loop needs a body");
    struct fz_graph *body = node->sub[0];
    uint32_t n_carried = node->n_in - 2;
    if (body->n_inputs != n_carried + 2 || body->n_outputs < n_carried + 1 ||
        body->n_outputs - 1 != node->n_out || body->n_outputs > FZ_CONTROL_MAX)
        return fzi_error(FZ_E_FORMAT, "the body of Loop has other inputs or outputs than Loop");
    fz_tensor_t scalar = {0}, open = {.rank = FZ_RANK_UNKNOWN};
    if (inner) {
        fzi_control_declare(body->inputs[0], FZ_TYPE_I64, &scalar);
        fzi_control_declare(body->inputs[1], FZ_TYPE_BOOL, &scalar);
        for (uint32_t i = 0; i < n_carried; i++) {
            if (!node->in[i + 2]) return fzi_error(FZ_E_FORMAT, "a carried value has no start");
            fzi_control_declare(body->inputs[i + 2], node->in[i + 2]->t.dtype, &open);
        }
    }
    for (uint32_t i = 0; i < node->n_out && !inner; i++)
        if (node->out[i]) {
            node->out[i]->t.dtype = body->outputs[i + 1]->t.dtype;
            node->out[i]->t.rank = FZ_RANK_UNKNOWN;
        }
    return FZ_OK;
}

/* Reads the limits and points the body's first inputs to Loop's. */
static fz_status_t start(const struct fz_call *call, struct loop *loop) {
    loop->n_carried = call->n_in - 2;
    loop->max = INT64_MAX;
    loop->go = true;
    if (call->n_in > FZ_CONTROL_MAX) return fzi_error(FZ_E_LIMIT, "too many carried values");
    if (call->in[0]) {
        if (call->in[0]->dtype != FZ_TYPE_I64 || fzi_tensor_count(call->in[0]) != 1)
            return fzi_error(FZ_E_TYPE, "the trip count must be one int64");
        loop->max = fzi_tensor_int(call->in[0], 0);
    }
    if (call->in[1]) FZ_TRY(fzi_control_flag(call->in[1], &loop->go));
    for (uint32_t i = 0; i < loop->n_carried; i++) loop->in[i + 2] = call->in[i + 2];
    return FZ_OK;
}

static fz_status_t iterate(const struct fz_call *call, struct loop *loop) {
    uint8_t go = loop->go;
    fz_tensor_t number = {.dtype = FZ_TYPE_I64, .data = &loop->number, .size = 8};
    fz_tensor_t flag = {.dtype = FZ_TYPE_BOOL, .data = &go, .size = 1};
    loop->in[0] = &number;
    loop->in[1] = &flag;
    loop->n_out = FZ_CONTROL_MAX;
    FZ_TRY(call->env->eval(call, 0, loop->in, loop->n_carried + 2, loop->out, &loop->n_out));
    if (loop->n_out != call->n_out + 1) return fzi_error(FZ_E_FORMAT, "the body has other outputs");
    FZ_TRY(fzi_control_flag(loop->out[0], &loop->go));
    for (uint32_t i = 0; i < loop->n_carried; i++) loop->in[i + 2] = loop->out[i + 1];
    for (uint32_t i = loop->n_carried; i < call->n_out; i++)
        FZ_TRY(fzi_control_append(call, i, loop->number, 0, loop->out[i + 1]));
    loop->number++;
    return FZ_OK;
}

static fz_status_t run(const struct fz_op *op, const struct fz_call *call) {
    (void)op;
    struct loop loop = {0};
    FZ_TRY(start(call, &loop));
    while (loop.go && loop.number < loop.max) FZ_TRY(iterate(call, &loop));
    for (uint32_t i = 0; i < loop.n_carried; i++)
        FZ_TRY(fzi_control_output(call, i, loop.in[i + 2]));
    int64_t none = 0;
    for (uint32_t i = loop.n_carried; i < call->n_out && loop.number == 0; i++)
        FZ_TRY(call->env->resize(call, i, 1, &none));
    return FZ_OK;
}

const struct fz_op fz_ops_loop[] = {
    {.name = "Loop", .domain = "", .since = 1, .rev = 1, .flags = FZ_OP_CONTROL | FZ_OP_ANY_TYPE,
     .min_in = 0, .max_in = FZ_CONTROL_MAX, .min_out = 1, .max_out = FZ_CONTROL_MAX,
     .attrs = "body", .infer_control = infer_control, .run = run},
    {0},
};
