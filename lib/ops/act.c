/* Activations on results of convolutions and matrix products: the function of the operator that was
 * there, applied to the rounded result. */
#include "ops/act.h"

/* A and b are read as binary32 and kept as such: what the kernels take. */
fz_status_t fzi_act_lower(const struct fz_node *node, struct fz_act *act) {
    FZ_TRY(fzi_attr_int(node, "act", FZ_ACT_NONE, &act->kind));
    FZ_TRY(fzi_attr_float(node, "a", 0, &act->a));
    return fzi_attr_float(node, "b", 0, &act->b);
}

/* The kind indexes the kernels' table of functions, so it must be one of them. */
fz_status_t fzi_act_check(const struct fz_op *op, const struct fz_act *act) {
    if (act->kind < 0 || act->kind >= FZ_ACT_FN + FZK_FN_COUNT)
        return fzi_error(FZ_E_FORMAT, "%s: unknown activation %lld", op->name,
                         (long long)act->kind);
    return FZ_OK;
}

void fzi_act_clip(const struct fz_act *act, struct fzk_gemm_f32 *g) {
    g->clip = act->kind == FZ_ACT_CLIP;
    g->lo = (float)act->a;
    g->hi = (float)act->b;
}

/* Clip costs nothing inside of the GEMM kernel; every other function is a pass over the result
 * while it is still in the cache. */
bool fzi_act_runs(const struct fz_act *act) {
    return act->kind != FZ_ACT_NONE && act->kind != FZ_ACT_CLIP;
}

void fzi_act_run(const struct fzk_table *k, const struct fz_act *act, float *x, int64_t n) {
    if (!fzi_act_runs(act)) return;
    k->unary_f32((int32_t)(act->kind - FZ_ACT_FN), x, x, n, (float)act->a, (float)act->b);
}
