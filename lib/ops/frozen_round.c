/* frozen.RoundHalf: binary32 numbers rounded to half precision (attribute `round`, FZK_ROUND_F16 or
 * FZK_ROUND_BF16) and kept in binary32: what Casts there and back give. */
#include "ops/act.h"

enum { GRAIN = 32768 }; /* elements of a task */

struct params {
    int64_t round;
};

static fz_status_t lower(struct fz_lower *lower, struct fz_node *node, void *params) {
    struct params *p = params;
    (void)lower;
    return fzi_attr_int(node, "round", 0, &p->round);
}

static fz_status_t infer(const struct fz_op *op, const struct fz_call *call) {
    const struct params *p = call->params;
    if (p->round != FZK_ROUND_F16 && p->round != FZK_ROUND_BF16)
        return fzi_error(FZ_E_FORMAT, "%s: unknown rounding %lld", op->name, (long long)p->round);
    FZ_TRY(fzi_infer_type(op, call, 0, FZ_T(F32)));
    fzi_infer_like(call, 0, FZ_TYPE_F32, call->in[0]);
    return FZ_OK;
}

static void round_range(void *arg, int64_t begin, int64_t end) {
    const struct fz_call *call = arg;
    const struct params *p = call->params;
    const float *x = call->in[0]->data;
    float *y = call->out[0]->data;
    if (x != y) memcpy(y + begin, x + begin, (size_t)(end - begin) * sizeof *y);
    fzi_round_run(call->env->k, p->round, y + begin, end - begin);
}

/* A part stays in the nearest cache between the copy and the rounding. */
static void task(void *arg, int64_t begin, int64_t end) {
    enum { NEAR = 2048 };
    for (int64_t i = begin; i < end; i += NEAR)
        round_range(arg, i, fzi_min_i64(i + NEAR, end));
}

static fz_status_t run(const struct fz_op *op, const struct fz_call *call) {
    struct fz_call copy = *call;
    (void)op;
    fzi_run_range(call->env, fzi_tensor_count(call->out[0]), GRAIN, task, &copy);
    return FZ_OK;
}

const struct fz_op fz_ops_frozen_round[] = {
    {.name = "RoundHalf", .domain = "frozen", .since = 1, .rev = 1, .flags = FZ_OP_IN_PLACE,
     .min_in = 1, .max_in = 1, .min_out = 1, .max_out = 1, .attrs = "round",
     .params_size = sizeof(struct params), .lower = lower, .infer = infer, .run = run},
    {0},
};
