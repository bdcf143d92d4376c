/* What operators on sequences, optionals and maps share. */
#include "ops/nested.h"

fz_status_t fzi_nested_kind(const struct fz_op *op, const struct fz_call *call, uint32_t i,
                            int32_t kind) {
    static const char *const names[] = {"tensor", "sequence", "optional", "map"};
    int32_t dtype = call->in[i]->dtype;
    if (fz_type_kind(dtype) == kind) return FZ_OK;
    return fzi_error(FZ_E_TYPE, "%s: input %u is %s, not a %s", op->name, i, fz_type_name(dtype),
                     names[kind]);
}

fz_status_t fzi_nested_infer(const struct fz_op *op, const struct fz_call *call, uint32_t i,
                             int32_t kind, int32_t dtype, int64_t n) {
    int32_t type = fzi_type_nest(kind, dtype);
    if (!type) return fzi_error(FZ_E_TYPE, "%s cannot hold %s", op->name, fz_type_name(dtype));
    int64_t count = n < 0 ? FZ_DIM_UNKNOWN : n;
    fzi_infer_shape(call, i, type, 1, &count);
    return FZ_OK;
}

int64_t fzi_nested_count(const struct fz_call *call, uint32_t i) {
    const fz_tensor_t *t = call->in[i];
    return t->rank == 1 && t->dims[0] >= 0 ? t->dims[0] : FZ_DIM_UNKNOWN;
}

void fzi_nested_infer_open(const struct fz_call *call, uint32_t i, int32_t dtype) {
    int64_t unknown = FZ_DIM_UNKNOWN;
    if (fzi_type_is_nested(dtype)) fzi_infer_shape(call, i, dtype, 1, &unknown);
    else fzi_infer_unknown(call, i, dtype);
}

fz_status_t fzi_nested_keep(const struct fz_env *env, const fz_tensor_t *t, fz_tensor_t *to) {
    *to = *t;
    FZ_TRY(fzi_tensor_measure(to));
    to->data = to->size ? fzi_arena_copy(env->heap, t->data, to->size) : NULL;
    if (to->size && !to->data)
        return fzi_error(FZ_E_LIMIT, "the values of sequences need more memory than there is");
    return FZ_OK;
}

fz_status_t fzi_nested_give(const struct fz_call *call, const fz_tensor_t *t) {
    if (!call->out[0]) return FZ_OK;
    FZ_TRY(call->env->resize(call, 0, t->rank, t->dims));
    if (t->size) memcpy(call->out[0]->data, t->data, t->size);
    return FZ_OK;
}
