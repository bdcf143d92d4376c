/* The fz_custom_ functions. */
#include "ops/custom.h"

fz_status_t fz_custom_create(const fz_custom_op_t *const *ops, size_t n, fz_custom_t **out) {
    if (!out) return fzi_error(FZ_E_USAGE, "fz_custom_create: OUT is NULL");
    *out = NULL;
    if (n && !ops) return fzi_error(FZ_E_USAGE, "fz_custom_create: OPS is NULL");
    return fzi_custom_create(ops, n, out);
}

void fz_custom_close(fz_custom_t *custom) { fzi_custom_free(custom); }
