/* Finding the operators that a plan names. */
#include "plan/plan.h"

static const struct fz_op *find_custom(const struct fz_plan *plan, const struct fz_plan_op *op) {
    const struct fz_custom_row *row =
        fzi_custom_find(plan->custom, plan->strings + op->domain, plan->strings + op->name,
                        (int32_t)(op->opset & ~FZ_PLAN_CUSTOM), true);
    bool same = row && strcmp(row->entry->identity, plan->strings + op->rev) == 0;
    return same ? &row->op : NULL;
}

/* An operator is one of this library only if its revision is the same: the file promises bits. */
const struct fz_op *fzi_plan_find_op(const struct fz_plan *plan, size_t i) {
    const struct fz_plan_op *record = &plan->ops[i];
    if (record->opset & FZ_PLAN_CUSTOM) return find_custom(plan, record);
    const struct fz_op *op = fzi_op_find(plan->strings + record->domain,
                                         plan->strings + record->name, (int32_t)record->opset);
    return op && op->run && op->rev >= 0 && (uint32_t)op->rev == record->rev ? op : NULL;
}
