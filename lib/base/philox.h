/* Philox4x32-10, the counter-based random generator of Salmon et al. (2011): equal arguments give
 * equal numbers, in any order, on any machine. */
#ifndef FZ_PHILOX_H
#define FZ_PHILOX_H

#include "base/base.h"

/* Writes the four numbers at place COUNTER of stream STREAM of the generator keyed by SEED. The
 * counter's words are COUNTER's two, low first, then STREAM's two. */
void fzi_philox(uint64_t seed, uint64_t stream, uint64_t counter, uint32_t out[4]);

/* Uniform in [-1, 1): the upper 24 bits of X, so every value is exact. */
static inline float fzi_philox_unit(uint32_t x) {
    return (float)(int32_t)(x >> 8) * 0x1p-23f - 1.0f;
}

#endif
