/* The order of elements: what TopK, ArgMax, Unique and NonMaxSuppression sort by. NaN is above
 * +infinity, all NaNs are equal, and so are +0 and -0. */
#ifndef FZ_OPS_ORDER_H
#define FZ_OPS_ORDER_H

#include "ops/op.h"

/* Bits of a binary64 number as an integer that compares as the number does. */
static inline uint64_t fzi_order_bits(double x) {
    uint64_t bits;
    if (x != x) return UINT64_MAX;
    x += 0.0; /* -0 becomes +0 */
    memcpy(&bits, &x, 8);
    return bits >> 63 ? ~bits : bits | 1ull << 63;
}

/* A number that compares as element I does within a tensor of T's type, a number or bool. */
static inline uint64_t fzi_order_key(const fz_tensor_t *t, int64_t i) {
    switch (t->dtype) {
    case FZ_TYPE_F32: return fzi_order_bits((double)((const float *)t->data)[i]);
    case FZ_TYPE_F64: return fzi_order_bits(((const double *)t->data)[i]);
    case FZ_TYPE_F16:
    case FZ_TYPE_BF16: return fzi_order_bits(fzi_tensor_float(t, i));
    case FZ_TYPE_U64: return ((const uint64_t *)t->data)[i];
    default: return (uint64_t)fzi_tensor_int(t, i) ^ 1ull << 63;
    }
}

/* Negative, zero or positive as place A is before, beside or behind place B. */
typedef int (*fz_order_fn)(const void *arg, int64_t a, int64_t b);
/* Sorts the N places at ORDER; equal ones keep their order. TEMP has room for N. */
void fzi_order_sort(int64_t *order, int64_t *temp, int64_t n, fz_order_fn compare,
                    const void *arg);

#endif
