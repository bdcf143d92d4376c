/* The fz_model_ functions that look inside: constants, steps, the original ONNX file. */
#include "exec/model.h"

/* The value that is constant INDEX. Each constant has one. */
static const struct fz_plan_value *value_of(const struct fz_plan *plan, size_t index) {
    for (size_t i = 0; i < plan->n_values; i++)
        if (plan->values[i].kind == FZ_VALUE_CONST && plan->values[i].source == index)
            return &plan->values[i];
    return NULL;
}

fz_status_t fz_model_constant(const fz_model_t *model, size_t index, fz_constant_t *out) {
    if (!model || !out || index >= model->plan.n_consts)
        return fzi_error(FZ_E_USAGE, "fz_model_constant: there is no constant %zu", index);
    const struct fz_plan *plan = &model->plan;
    const struct fz_plan_value *v = value_of(plan, index);
    *out = (fz_constant_t){.name = ""};
    if (!v) return FZ_OK;
    out->name = plan->strings + v->name;
    out->tensor = model->values[v - plan->values];
    return FZ_OK;
}

fz_status_t fz_model_step(const fz_model_t *model, size_t index, fz_step_t *out) {
    if (!model || !out || index >= model->plan.n_steps)
        return fzi_error(FZ_E_USAGE, "fz_model_step: there is no step %zu", index);
    const struct fz_plan *plan = &model->plan;
    const struct fz_plan_step *step = &plan->steps[index];
    const struct fz_plan_op *op = &plan->ops[step->op];
    *out = (fz_step_t){.domain = plan->strings + op->domain,
                       .op = plan->strings + op->name,
                       .node = plan->strings + step->name,
                       .opset = (int32_t)(op->opset & ~FZ_PLAN_CUSTOM),
                       .rev = model->ops[step->op]->rev,
                       .n_inputs = step->n_in,
                       .n_outputs = step->n_out,
                       .params = plan->params + step->params,
                       .params_size = step->params_size};
    return FZ_OK;
}

const char *fz_model_step_value(const fz_model_t *model, size_t index, uint32_t arg) {
    if (!model || index >= model->plan.n_steps) return NULL;
    const struct fz_plan *plan = &model->plan;
    const struct fz_plan_step *step = &plan->steps[index];
    if (arg >= (uint64_t)step->n_in + step->n_out) return NULL;
    uint32_t v = plan->args[step->args + arg];
    return v == FZ_NONE ? "" : plan->strings + plan->values[v].name;
}

fz_status_t fz_model_onnx(const fz_model_t *model, const void **data, size_t *size) {
    uint64_t bytes = 0;
    if (data) *data = NULL;
    if (size) *size = 0;
    if (!model || !data || !size) return fzi_error(FZ_E_USAGE, "fz_model_onnx: a pointer is NULL");
    if (!fzi_artifact_section(&model->info, FZ_SECTION_ONNX, data, &bytes, NULL) || bytes == 0) {
        *data = NULL;
        return fzi_error(FZ_E_UNSUPPORTED, "the file does not hold the ONNX file that it was made "
                                           "from: freeze with --keep-onnx");
    }
    *size = (size_t)bytes;
    return FZ_OK;
}
