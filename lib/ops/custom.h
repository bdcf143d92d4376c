/* Operators that the caller brings along: the set that he makes (custom_set.c), and the rows by
 * which its callbacks are operators like others (custom.c).
 *
 * A row's inputs are the operator's own, up to max_inputs, and then one constant for each attribute
 * of the table: so attributes lie in the frozen file as typed tensors and are proved like those. */
#ifndef FZ_OPS_CUSTOM_H
#define FZ_OPS_CUSTOM_H

#include <frozen/custom.h>

#include "ops/op.h"

enum { FZ_CUSTOM_INPUTS = 16, FZ_CUSTOM_OUTPUTS = 16, FZ_CUSTOM_ATTRS = 16 };

/* What a caller has registered. Never changes once it is made. */
struct fz_custom_entry {
    fz_custom_op_t op;    /* with copies of all names */
    const char *attrs;    /* the attributes' names, separated by blanks */
    const char *identity; /* "3 sha256:<64 hex digits>": version and digest */
};
struct fz_custom {
    struct fz_arena arena;
    struct fz_custom_entry *entries;
    size_t n;
};

/* One operator: OP is what its functions are called with. libfrozen and libfrozen-freeze make rows
 * of their own of one set, for each has its own copies of these functions. */
struct fz_custom_row {
    struct fz_op op;
    const struct fz_custom_entry *entry;
};
struct fz_custom_ops {
    const struct fz_custom_row *rows;
    size_t n;
};

/* Copies and checks the N tables at OPS. */
fz_status_t fzi_custom_create(const fz_custom_op_t *const *ops, size_t n, struct fz_custom **out);
void fzi_custom_free(struct fz_custom *custom);

/* The rows of CUSTOM, which may be NULL and must outlive them, in ARENA. */
fz_status_t fzi_custom_bind(const struct fz_custom *custom, struct fz_arena *arena,
                            struct fz_custom_ops *out);
/* The row with the greatest opset up to OPSET, or with just that one if EXACT; NULL if there is
 * none. OPS may be NULL. */
const struct fz_custom_row *fzi_custom_find(const struct fz_custom_ops *ops, const char *domain,
                                            const char *name, int32_t opset, bool exact);

#endif
