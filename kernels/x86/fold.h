/* Eight lanes become one: l + 4, l + 2, l + 1. */
#ifndef FZ_KERNELS_FOLD_H
#define FZ_KERNELS_FOLD_H

#include <immintrin.h>

#include "tiles/unroll.h"

FZK_INLINE float fold_sum8(__m256 x) {
    __m128 y = _mm_add_ps(_mm256_castps256_ps128(x), _mm256_extractf128_ps(x, 1));
    y = _mm_add_ps(y, _mm_movehl_ps(y, y));
    return _mm_cvtss_f32(_mm_add_ss(y, _mm_movehdup_ps(y)));
}
FZK_INLINE float fold_max8(__m256 x) {
    __m128 y = _mm_max_ps(_mm256_castps256_ps128(x), _mm256_extractf128_ps(x, 1));
    y = _mm_max_ps(y, _mm_movehl_ps(y, y));
    return _mm_cvtss_f32(_mm_max_ss(y, _mm_movehdup_ps(y)));
}

#endif
