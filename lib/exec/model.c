/* Prepares a verified plan for sessions. */
#include "exec/model.h"

#include "exec/profile.h"

static fz_status_t resolve_ops(struct fz_model *model) {
    const struct fz_plan *plan = &model->plan;
    for (size_t i = 0; i < plan->n_ops; i++) {
        model->ops[i] = fzi_plan_find_op(plan, i);
        if (!model->ops[i])
            return fzi_error(FZ_E_UNSUPPORTED, "this library has no such operator %s",
                             plan->strings + plan->ops[i].name);
    }
    return FZ_OK;
}

/* A constant of strings lies in the plan as pairs of offset and size in its strings; T gets what
 * operators know. */
static fz_status_t unpack_strings(struct fz_model *model, fz_tensor_t *t) {
    const uint32_t *pairs = t->data;
    size_t n = t->size / 8;
    struct fz_string *strings = fzi_arena_array(&model->arena, n, sizeof *strings);
    if (!strings) return fzi_error(FZ_E_NOMEM, "no memory for the model");
    for (size_t i = 0; i < n; i++)
        strings[i] = (struct fz_string){model->plan.strings + pairs[2 * i], pairs[2 * i + 1]};
    t->data = strings;
    t->size = n * sizeof *strings;
    return FZ_OK;
}

static fz_status_t describe(struct fz_model *model, uint32_t v, fz_tensor_t *t) {
    const struct fz_plan *plan = &model->plan;
    const struct fz_plan_value *record = &plan->values[v];
    t->dtype = (int32_t)record->dtype;
    t->rank = record->rank == FZ_NONE ? FZ_RANK_UNKNOWN : (int32_t)record->rank;
    for (int32_t d = 0; d < t->rank; d++) t->dims[d] = plan->dims[record->dims + (uint32_t)d];
    if (record->kind != FZ_VALUE_CONST) return FZ_OK;
    t->data = (void *)model->const_data[record->source];
    t->size = plan->consts[record->source].size;
    return t->dtype == FZ_TYPE_STRING ? unpack_strings(model, t) : FZ_OK;
}

static void place_constants(struct fz_model *model, const void *const *const_data) {
    const struct fz_plan *plan = &model->plan;
    for (size_t i = 0; i < plan->n_consts; i++) {
        const struct fz_plan_const *c = &plan->consts[i];
        const uint8_t *section =
            c->section == FZ_SECTION_WEIGHTS ? plan->weights : plan->tables;
        model->const_data[i] = const_data ? const_data[i] : section + c->off;
    }
}

/* Notes in LAST the last step of block 0 at which each value is read; a nested block reads when the
 * step of block 0 that holds it runs. */
static void note_uses(const struct fz_plan *plan, uint32_t block, uint32_t top, uint32_t *last) {
    const struct fz_plan_block *b = &plan->blocks[block];
    for (uint32_t i = 0; i < b->n_steps; i++) {
        const struct fz_plan_step *step = &plan->steps[b->step + i];
        uint32_t at = block ? top : i;
        const uint32_t *args = plan->args + step->args;
        for (uint32_t j = 0; j < step->n_in; j++)
            if (args[j] != FZ_NONE) last[args[j]] = at;
        for (uint32_t j = 0; j < step->n_sub; j++)
            note_uses(plan, args[step->n_in + step->n_out + j], at, last);
    }
    for (uint32_t i = 0; i < b->n_outputs; i++)
        last[plan->args[b->outputs + i]] = block ? top : FZ_NONE;
}

fz_status_t fzi_model_prepare(struct fz_model *model, const void *const *const_data) {
    const struct fz_plan *plan = &model->plan;
    model->ops = fzi_arena_array(&model->arena, plan->n_ops, sizeof *model->ops);
    model->const_data = fzi_arena_array(&model->arena, plan->n_consts, sizeof *model->const_data);
    model->values = fzi_arena_array(&model->arena, plan->n_values, sizeof *model->values);
    model->last_use = fzi_arena_array(&model->arena, plan->n_values, sizeof *model->last_use);
    if (!model->ops || !model->const_data || !model->values || !model->last_use)
        return fzi_error(FZ_E_NOMEM, "no memory for the model");
    FZ_TRY(resolve_ops(model));
    place_constants(model, const_data);
    for (uint32_t v = 0; v < plan->n_values; v++)
        FZ_TRY(describe(model, v, &model->values[v]));
    memset(model->last_use, 0xFF, plan->n_values * sizeof *model->last_use);
    note_uses(plan, 0, 0, model->last_use);
    fzk_table_fill(&model->kernels, fzk_cpu_mask());
    return FZ_OK;
}

bool fzi_model_is_static(const struct fz_model *model) {
    for (size_t i = 0; i < model->plan.n_inputs; i++)
        if (!fzi_shape_known(&model->values[model->plan.io[i].value])) return false;
    return true;
}

void fzi_model_release(struct fz_model *model) {
    fzi_profile_leave(model);
    fzi_seal_release(&model->seal);
    fzi_arena_free(&model->arena);
}
