/* Identity: the output is the input's bytes. */
#include "ops/op.h"

static fz_status_t infer(const struct fz_op *op, const struct fz_call *call) {
    (void)op;
    fzi_infer_like(call, 0, call->in[0]->dtype, call->in[0]);
    return FZ_OK;
}

static fz_status_t run(const struct fz_op *op, const struct fz_call *call) {
    (void)op;
    if (call->out[0]->size && call->out[0]->data != call->in[0]->data)
        memcpy(call->out[0]->data, call->in[0]->data, call->out[0]->size);
    return FZ_OK;
}

const struct fz_op fz_ops_identity[] = {
    {.name = "Identity", .domain = "", .since = 1, .rev = 1,
     .flags = FZ_OP_ANY_TYPE | FZ_OP_VIEW | FZ_OP_IN_PLACE | FZ_OP_NESTED,
     .min_in = 1, .max_in = 1, .min_out = 1, .max_out = 1, .infer = infer, .run = run},
    {0},
};
