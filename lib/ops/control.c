/* What If, Loop and Scan share. */
#include "ops/control.h"

fz_status_t fzi_control_flag(const fz_tensor_t *t, bool *out) {
    if (t->dtype != FZ_TYPE_BOOL || !fzi_shape_known(t) || fzi_tensor_count(t) != 1)
        return fzi_error(FZ_E_TYPE, "a condition must be one bool");
    *out = *(const uint8_t *)t->data != 0;
    return FZ_OK;
}

fz_status_t fzi_control_output(const struct fz_call *call, uint32_t i, const fz_tensor_t *t) {
    if (!call->out[i]) return FZ_OK;
    if (call->out[i]->dtype != t->dtype)
        return fzi_error(FZ_E_TYPE, "output %u is %s, the subgraph gives %s", i,
                         fz_type_name(call->out[i]->dtype), fz_type_name(t->dtype));
    FZ_TRY(call->env->resize(call, i, t->rank, t->dims));
    if (call->out[i]->size) memcpy(call->out[i]->data, t->data, call->out[i]->size);
    return FZ_OK;
}

static bool is_stackable(int32_t dtype) {
    return fz_type_bits(dtype) >= 8 || dtype == FZ_TYPE_STRING;
}

fz_status_t fzi_control_append(const struct fz_call *call, uint32_t i, int64_t step, int64_t count,
                               const fz_tensor_t *t) {
    fz_tensor_t *out = call->out[i];
    if (!out) return FZ_OK;
    if (t->rank >= FZ_RANK_MAX || !is_stackable(t->dtype) || out->dtype != t->dtype)
        return fzi_error(FZ_E_UNSUPPORTED, "scan output %u cannot be stacked", i);
    for (int32_t d = 0; step > 0 && d < t->rank; d++)
        if (out->rank != t->rank + 1 || out->dims[d + 1] != t->dims[d])
            return fzi_error(FZ_E_SHAPE, "scan output %u changes its shape at iteration %lld", i,
                             (long long)step);
    int64_t dims[FZ_RANK_MAX];
    dims[0] = count > step ? count : step + 1;
    memcpy(dims + 1, t->dims, (size_t)t->rank * sizeof *dims);
    FZ_TRY(call->env->resize(call, i, t->rank + 1, dims));
    if (t->size) memcpy((char *)out->data + (size_t)step * t->size, t->data, t->size);
    return FZ_OK;
}

void fzi_control_declare(struct fz_value *input, int32_t dtype, const fz_tensor_t *t) {
    if (!input->t.dtype) input->t.dtype = dtype;
    if (input->t.rank == FZ_RANK_UNKNOWN && t) fzi_shape_copy(&input->t, t);
}
