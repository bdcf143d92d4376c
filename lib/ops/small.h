/* Element types below those of wide.h: 8- and 4-bit floats, 4- and 2-bit integers. */
#ifndef FZ_OPS_SMALL_H
#define FZ_OPS_SMALL_H

#include "base/base.h"

enum { FZ_SMALL_UP, FZ_SMALL_DOWN, FZ_SMALL_NEAREST }; /* round modes of float8_e8m0fnu */

/* True for float8_*, float4_e2m1fn. */
bool fzi_small_is_float(int32_t dtype);
/* True for int4, uint4, int2, uint2, which are packed; float4_e2m1fn is packed too. */
bool fzi_small_is_int(int32_t dtype);

/* The value of the code CODE, exact. */
float fzi_small_decode(int32_t dtype, uint8_t code);
/* The code of X by ONNX's table of Cast: nearest even, and beyond the largest value that one
 * (SATURATE) or infinity, NaN where the type has no infinity. */
uint8_t fzi_small_encode(int32_t dtype, float x, bool saturate, int64_t round_mode);

/* Element I of the packed array P of elements of BITS bits; the first one lies in the low bits. */
static inline uint8_t fzi_small_get(const uint8_t *p, int64_t i, int32_t bits) {
    int32_t per_byte = 8 / bits;
    return (uint8_t)(p[i / per_byte] >> (i % per_byte * bits) & ((1 << bits) - 1));
}
static inline void fzi_small_put(uint8_t *p, int64_t i, int32_t bits, uint8_t value) {
    int32_t per_byte = 8 / bits, shift = (int32_t)(i % per_byte) * bits, mask = (1 << bits) - 1;
    uint8_t *byte = &p[i / per_byte];
    *byte = (uint8_t)((*byte & ~(mask << shift)) | (value & mask) << shift);
}

#endif
