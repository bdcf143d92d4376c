/* What a scatter does where an element is there already. */
#ifndef FZ_OPS_COMBINE_H
#define FZ_OPS_COMBINE_H

#include "ops/op.h"

enum fz_combine { FZ_COMBINE_NONE, FZ_COMBINE_ADD, FZ_COMBINE_MUL, FZ_COMBINE_MIN,
                  FZ_COMBINE_MAX, FZ_COMBINES };

/* Combines N elements of UPDATE into DST, in order. */
typedef void (*fz_combine_fn)(void *dst, const void *update, int64_t n);

/* The function for DTYPE; NULL if there is none. Integers wrap, bool adds as "or" and multiplies as
 * "and"; of a NaN and a number the NaN is both the larger and the smaller, +0 is above -0. */
fz_combine_fn fzi_combine_find(int32_t dtype, enum fz_combine how);
/* Attribute `reduction`. */
fz_status_t fzi_combine_lower(const struct fz_node *node, int64_t *how);
/* FZ_E_UNSUPPORTED unless input 0 can be combined in that manner. */
fz_status_t fzi_combine_check(const struct fz_op *op, const struct fz_call *call, int64_t how);

#endif
