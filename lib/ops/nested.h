/* What operators on sequences, optionals and maps share. Their elements are fz_tensor_t whose bytes
 * nobody changes: what makes a new one out of an old one copies descriptions only. */
#ifndef FZ_OPS_NESTED_H
#define FZ_OPS_NESTED_H

#include "ops/op.h"
#include "tensor/value.h"

/* FZ_E_TYPE unless input I is a value of KIND. */
fz_status_t fzi_nested_kind(const struct fz_op *op, const struct fz_call *call, uint32_t i,
                            int32_t kind);
/* Output I is a KIND of values of DTYPE; N of them, negative if that is not known. */
fz_status_t fzi_nested_infer(const struct fz_op *op, const struct fz_call *call, uint32_t i,
                             int32_t kind, int32_t dtype, int64_t n);
/* How many values input I holds; FZ_DIM_UNKNOWN if that is not known. */
int64_t fzi_nested_count(const struct fz_call *call, uint32_t i);
/* Output I is a value of DTYPE, of which no more is known. */
void fzi_nested_infer_open(const struct fz_call *call, uint32_t i, int32_t dtype);
/* Describes in *TO a copy of T in the heap. */
fz_status_t fzi_nested_keep(const struct fz_env *env, const fz_tensor_t *t, fz_tensor_t *to);
/* Copies T, a value that input 0 holds, to output 0, which takes its shape. */
fz_status_t fzi_nested_give(const struct fz_call *call, const fz_tensor_t *t);

#endif
