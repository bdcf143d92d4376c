/* What operators share that make numbers of a chosen type: windows, filter banks, random ones. */
#ifndef FZ_OPS_GENERATE_H
#define FZ_OPS_GENERATE_H

#include "ops/op.h"

enum { FZ_GENERATE_BLOCK = 512 };

/* FZ_E_UNSUPPORTED unless DTYPE, an attribute's value, is in SET. */
fz_status_t fzi_generate_type(const struct fz_op *op, int64_t dtype, uint64_t set);
/* Writes N numbers to T from element FIRST on: float types round to nearest even (half precision by
 * way of binary32), integers truncate and saturate, NaN gives 0, bool is x != 0. */
void fzi_generate_store(const fz_tensor_t *t, int64_t first, int64_t n, const double *x);

#endif
