/* What If, Loop and Scan share. */
#ifndef FZ_OPS_CONTROL_H
#define FZ_OPS_CONTROL_H

#include "ops/op.h"

enum { FZ_CONTROL_MAX = 128 }; /* inputs or outputs of a subgraph */

/* The single bool in T. */
fz_status_t fzi_control_flag(const fz_tensor_t *t, bool *out);
/* Copies T to output I of the call, which takes its shape. */
fz_status_t fzi_control_output(const struct fz_call *call, uint32_t i, const fz_tensor_t *t);
/* Puts T, slice STEP of output I along AXIS 0, behind the slices before it; COUNT is how many there
 * will be if that is known, else 0. */
fz_status_t fzi_control_append(const struct fz_call *call, uint32_t i, int64_t step, int64_t count,
                               const fz_tensor_t *t);
/* A subgraph input takes type and shape of T where it has none of its own. */
void fzi_control_declare(struct fz_value *input, int32_t dtype, const fz_tensor_t *t);

#endif
