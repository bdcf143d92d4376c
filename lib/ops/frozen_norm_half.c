/* frozen.NormHalf: a layer normalisation over the last dimension that is written as nine operators
 * of half precision, in one step: ((x - mean) / sqrt(var + epsilon)) * gain + bias, each result
 * rounded to the type `round` (FZK_ROUND_F16 or FZK_ROUND_BF16) and kept in binary32. */
#include "ops/op.h"

enum { GRAIN = 4096 }; /* elements of a task */

struct params {
    int64_t round;
    double eps; /* a binary32 value */
};

static fz_status_t lower(struct fz_lower *lower, struct fz_node *node, void *params) {
    struct params *p = params;
    (void)lower;
    FZ_TRY(fzi_attr_int(node, "round", 0, &p->round));
    return fzi_attr_float(node, "epsilon", 0, &p->eps);
}

static fz_status_t infer(const struct fz_op *op, const struct fz_call *call) {
    const struct params *p = call->params;
    const fz_tensor_t *x = call->in[0];
    int64_t n;
    if (p->round != FZK_ROUND_F16 && p->round != FZK_ROUND_BF16)
        return fzi_error(FZ_E_FORMAT, "%s: unknown rounding %lld", op->name, (long long)p->round);
    for (uint32_t i = 0; i < 3; i++) FZ_TRY(fzi_infer_type(op, call, i, FZ_T(F32)));
    fzi_infer_like(call, 0, FZ_TYPE_F32, x);
    if (x->rank < 0) return FZ_OK;
    if (x->rank < 1) return fzi_error(FZ_E_SHAPE, "%s: the input has no rows", op->name);
    n = x->dims[x->rank - 1];
    for (uint32_t i = 1; i < 3; i++) {
        const fz_tensor_t *t = call->in[i];
        bool good = t->rank < 0 || (t->rank == 1 && (t->dims[0] < 0 || n < 0 || t->dims[0] == n));
        if (!good)
            return fzi_error(FZ_E_SHAPE, "%s: input %u is no row of %lld", op->name, i,
                             (long long)n);
    }
    return FZ_OK;
}

static void norm_range(void *arg, int64_t begin, int64_t end) {
    const struct fz_call *call = arg;
    const struct params *p = call->params;
    const fz_tensor_t *x = call->in[0];
    struct fzk_norm_half_f32 g = {.rows = end - begin, .n = x->dims[x->rank - 1],
                                  .gain = call->in[1]->data, .bias = call->in[2]->data,
                                  .eps = (float)p->eps, .round = p->round};
    g.x = (const float *)x->data + begin * g.n;
    g.y = (float *)call->out[0]->data + begin * g.n;
    call->env->k->norm_half_f32(&g);
}

static fz_status_t run(const struct fz_op *op, const struct fz_call *call) {
    const fz_tensor_t *x = call->in[0];
    struct fz_call copy = *call;
    (void)op;
    if (!call->out[0]->size) return FZ_OK;
    int64_t n = x->dims[x->rank - 1];
    fzi_run_range(call->env, fzi_tensor_count(x) / n, fzi_max_i64(1, GRAIN / n), norm_range, &copy);
    return FZ_OK;
}

const struct fz_op fz_ops_frozen_norm_half[] = {
    {.name = "NormHalf", .domain = "frozen", .since = 1, .rev = 1, .min_in = 3, .max_in = 3,
     .min_out = 1, .max_out = 1, .attrs = "round epsilon", .params_size = sizeof(struct params),
     .lower = lower, .infer = infer, .run = run},
    {0},
};
