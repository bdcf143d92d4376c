/* Maximum and minimum by IEEE 754-2019: NaN wins, +0 > -0. Each value has an integer key in the
 * order of the values, so that any order of comparisons gives the same bits, and loops vectorise.
 * */
#ifndef FZ_KERNELS_EXTREMES_H
#define FZ_KERNELS_EXTREMES_H

#include "kernel.h"

/* NaN has the largest key of max_key and the least one of min_key. */
static inline int32_t fzk_order(float x) {
    int32_t u = (int32_t)fzk_bits(x);
    return u ^ ((u >> 31) & INT32_MAX);
}
static inline int32_t fzk_max_key(float x) { return x != x ? INT32_MAX : fzk_order(x); }
static inline int32_t fzk_min_key(float x) { return x != x ? INT32_MIN : fzk_order(x); }
static inline float fzk_of_key(int32_t key) {
    uint32_t u = (uint32_t)(key ^ ((key >> 31) & INT32_MAX));
    return fzk_float(key == INT32_MAX || key == INT32_MIN ? 0x7FC00000 : u);
}

#define FZK_KEY_LEAST ((int32_t)0x807FFFFF)  /* of -inf: the maximum of nothing */
#define FZK_KEY_LARGEST ((int32_t)0x7F800000) /* of +inf */

static inline float fzk_max(float a, float b) {
    int32_t x = fzk_max_key(a), y = fzk_max_key(b);
    return fzk_of_key(x > y ? x : y);
}
static inline float fzk_min(float a, float b) {
    int32_t x = fzk_min_key(a), y = fzk_min_key(b);
    return fzk_of_key(x < y ? x : y);
}

/* The key of the maximum or minimum of N values. NaN is counted apart: a select of its own key
 * would keep gcc from vectorising the loop. */
static inline int32_t fzk_row_max_key(const float *x, int64_t n) {
    int32_t m = FZK_KEY_LEAST, nan = 0;
    for (int64_t i = 0; i < n; i++) {
        int32_t k = fzk_order(x[i]);
        m = k > m ? k : m;
        nan |= x[i] != x[i];
    }
    return nan ? INT32_MAX : m;
}
static inline int32_t fzk_row_min_key(const float *x, int64_t n) {
    int32_t m = FZK_KEY_LARGEST, nan = 0;
    for (int64_t i = 0; i < n; i++) {
        int32_t k = fzk_order(x[i]);
        m = k < m ? k : m;
        nan |= x[i] != x[i];
    }
    return nan ? INT32_MIN : m;
}

#endif
