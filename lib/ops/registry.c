/* Finding operators in the table that the build makes. */
#include "ops/op.h"

#include "ops/table.h"

/* Opening a small file spends a good part of its time here: most names differ at their start. */
static bool same(const struct fz_op *op, const char *domain, const char *name) {
    return op->name[0] == name[0] && strcmp(op->name, name) == 0 && strcmp(op->domain, domain) == 0;
}

static bool serves(const struct fz_op *op, int32_t opset) {
    if (opset == 0) return op->until == 0;
    return opset >= op->since && (op->until == 0 || opset <= op->until);
}

const struct fz_op *fzi_op_at(size_t i) {
    for (size_t f = 0; fzi_op_files[f]; f++)
        for (const struct fz_op *op = fzi_op_files[f]; op->name; op++)
            if (i-- == 0) return op;
    return NULL;
}

const struct fz_op *fzi_op_find(const char *domain, const char *name, int32_t opset) {
    for (size_t f = 0; fzi_op_files[f]; f++)
        for (const struct fz_op *op = fzi_op_files[f]; op->name; op++)
            if (same(op, domain, name) && serves(op, opset)) return op;
    return NULL;
}

bool fzi_op_known(const char *domain, const char *name) {
    for (size_t f = 0; fzi_op_files[f]; f++)
        for (const struct fz_op *op = fzi_op_files[f]; op->name; op++)
            if (same(op, domain, name)) return true;
    return false;
}
