/* Activations on results of convolutions and matrix products: the function of the operator that was
 * there, applied to the rounded result. */
#include "ops/act.h"

/* A and b are read as binary32 and kept as such: what the kernels take. */
fz_status_t fzi_act_lower(const struct fz_node *node, struct fz_act *act) {
    FZ_TRY(fzi_attr_int(node, "act", FZ_ACT_NONE, &act->kind));
    FZ_TRY(fzi_attr_float(node, "a", 0, &act->a));
    FZ_TRY(fzi_attr_float(node, "b", 0, &act->b));
    return fzi_attr_int(node, "round", 0, &act->round);
}

/* The kind indexes the kernels' table of functions, so it must be one of them. */
fz_status_t fzi_act_check(const struct fz_op *op, const struct fz_act *act, bool rounds) {
    int64_t type = act->round & FZK_ROUND_TYPE;
    if (act->round && (!rounds || !type || type == FZK_ROUND_TYPE || act->round < 0 ||
                       act->round >= 2 * FZ_ACT_ROUND))
        return fzi_error(FZ_E_FORMAT, "%s: unknown rounding %lld", op->name,
                         (long long)act->round);
    if (act->kind < 0 || act->kind >= FZ_ACT_FN + FZK_FN_COUNT)
        return fzi_error(FZ_E_FORMAT, "%s: unknown activation %lld", op->name,
                         (long long)act->kind);
    return FZ_OK;
}

void fzi_act_clip(const struct fz_act *act, struct fzk_gemm_f32 *g) {
    g->clip = act->kind == FZ_ACT_CLIP;
    g->lo = (float)act->a;
    g->hi = (float)act->b;
    g->round = act->round & ~(int64_t)FZ_ACT_ROUND;
}

int64_t fzi_round_type(int32_t dtype) {
    return dtype == FZ_TYPE_F16 ? FZK_ROUND_F16 : dtype == FZ_TYPE_BF16 ? FZK_ROUND_BF16 : 0;
}

void fzi_round_run(const struct fzk_table *k, int64_t round, float *x, int64_t n) {
    int64_t type = round & FZK_ROUND_TYPE;
    if (type) k->finish_f32(&(struct fzk_finish_f32){.m = 1, .n = n, .c = x,
                                                     .round = type | FZK_ROUND_SUM});
}

/* Clip costs nothing inside of the GEMM kernel; every other function is a pass over the result
 * while it is still in the cache. */
bool fzi_act_runs(const struct fz_act *act) {
    return act->kind != FZ_ACT_NONE && act->kind != FZ_ACT_CLIP;
}

void fzi_act_run(const struct fzk_table *k, const struct fz_act *act, float *x, int64_t n) {
    enum { NEAR = 2048 }; /* floats that stay in the nearest cache between the two */
    int64_t round = act->round & FZ_ACT_ROUND ? act->round : 0;
    if (!fzi_act_runs(act)) return;
    for (int64_t step; n > 0; x += step, n -= step) {
        step = round ? fzi_min_i64(n, NEAR) : n;
        k->unary_f32((int32_t)(act->kind - FZ_ACT_FN), x, x, step, (float)act->a, (float)act->b);
        fzi_round_run(k, round, x, step);
    }
}
