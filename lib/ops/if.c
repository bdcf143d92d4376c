/* If: runs one of two subgraphs and gives its outputs. */
#include "ops/control.h"

static const fz_tensor_t *branch_output(const struct fz_node *node, uint32_t branch, uint32_t i) {
    return i < node->sub[branch]->n_outputs ? &node->sub[branch]->outputs[i]->t : NULL;
}

/* What both branches agree on. */
static fz_status_t infer_control(struct fz_node *node, bool inner) {
    if (node->n_sub != 2) return fzi_error(FZ_E_FORMAT, "If needs two subgraphs");
    for (uint32_t i = 0; i < 2 && inner; i++)
        if (node->sub[i]->n_inputs || node->sub[i]->n_outputs != node->n_out)
            return fzi_error(FZ_E_FORMAT, "a branch has other inputs or outputs than If");
    for (uint32_t i = 0; i < node->n_out && !inner; i++) {
        const fz_tensor_t *a = branch_output(node, 0, i), *b = branch_output(node, 1, i);
        if (a->dtype != b->dtype)
            return fzi_error(FZ_E_TYPE, "the branches give %s and %s", fz_type_name(a->dtype),
                             fz_type_name(b->dtype));
        if (!node->out[i]) continue;
        fz_tensor_t *t = &node->out[i]->t;
        t->dtype = a->dtype;
        t->rank = a->rank == b->rank ? a->rank : FZ_RANK_UNKNOWN;
        for (int32_t d = 0; d < t->rank; d++)
            t->dims[d] = a->dims[d] == b->dims[d] ? a->dims[d] : FZ_DIM_UNKNOWN;
    }
    return FZ_OK;
}

static fz_status_t run(const struct fz_op *op, const struct fz_call *call) {
    (void)op;
    bool taken;
    FZ_TRY(fzi_control_flag(call->in[0], &taken));
    const fz_tensor_t *out[FZ_CONTROL_MAX];
    uint32_t n = FZ_CONTROL_MAX;
    FZ_TRY(call->env->eval(call, taken ? 0 : 1, NULL, 0, out, &n));
    for (uint32_t i = 0; i < call->n_out && i < n; i++)
        FZ_TRY(fzi_control_output(call, i, out[i]));
    return FZ_OK;
}

const struct fz_op fz_ops_if[] = {
    {.name = "If", .domain = "", .since = 1, .rev = 1, .flags = FZ_OP_CONTROL | FZ_OP_ANY_TYPE,
     .min_in = 1, .max_in = 1, .min_out = 1, .max_out = FZ_CONTROL_MAX,
     .attrs = "then_branch else_branch", .infer_control = infer_control, .run = run},
    {0},
};
