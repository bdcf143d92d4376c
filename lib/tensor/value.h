/* Values whose elements hold pointers: strings, and sequences, optionals and maps, whose elements
 * are fz_tensor_t. */
#ifndef FZ_VALUE_H
#define FZ_VALUE_H

#include "tensor/tensor.h"

/* Checks the elements of T, and all that they point to, which a caller has described. T itself has
 * been checked and measured. FZ_E_TYPE, FZ_E_SHAPE. */
fz_status_t fzi_value_check(const fz_tensor_t *t);

/* Copies all that T's elements point to into HEAP, and points the elements there; every NaN becomes
 * its type's canonical quiet one. */
fz_status_t fzi_value_own(struct fz_arena *heap, fz_tensor_t *t);

/* Element I of the sequence, optional or map T, measured. It must be there. */
fz_tensor_t fzi_value_item(const fz_tensor_t *t, int64_t i);

/* Every NaN in T becomes its type's canonical quiet one. Other types than 16, 32 and 64-bit floats
 * are left alone. */
void fzi_value_canonicalise(fz_tensor_t *t);

#endif
