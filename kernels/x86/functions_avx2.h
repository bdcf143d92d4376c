/* 256-bit vectors in the terms of functions_tile.h: a look into a table of 8 floats is one vpermps,
 * into one of 16 two of them and a blend. */
#ifndef FZ_KERNELS_FUNCTIONS_AVX2_H
#define FZ_KERNELS_FUNCTIONS_AVX2_H

#include <immintrin.h>
#include <stdint.h>

#include "fold.h"
#include "x86.h"

typedef __m256 VEC;
/* The low three bits of LOW are those of the index; the sign bit of HALF is the fourth. */
typedef struct {
    __m256i low;
    __m256 half;
} IDX;
enum { LANES = 8, WIDE = 2 };

FZK_INLINE __m256i v_bits(VEC x) { return _mm256_castps_si256(x); }
FZK_INLINE VEC v_of_bits(__m256i x) { return _mm256_castsi256_ps(x); }

FZK_INLINE VEC v_set(float x) { return _mm256_set1_ps(x); }
FZK_INLINE VEC v_fma(VEC a, VEC b, VEC c) { return _mm256_fmadd_ps(a, b, c); }
FZK_INLINE VEC v_fnma(VEC a, VEC b, VEC c) { return _mm256_fnmadd_ps(a, b, c); }
FZK_INLINE VEC v_add(VEC a, VEC b) { return _mm256_add_ps(a, b); }
FZK_INLINE VEC v_sub(VEC a, VEC b) { return _mm256_sub_ps(a, b); }
FZK_INLINE VEC v_mul(VEC a, VEC b) { return _mm256_mul_ps(a, b); }
FZK_INLINE VEC v_div(VEC a, VEC b) { return _mm256_div_ps(a, b); }
FZK_INLINE VEC v_min(VEC a, VEC b) { return _mm256_min_ps(a, b); }
FZK_INLINE VEC v_max(VEC a, VEC b) { return _mm256_max_ps(a, b); }

FZK_INLINE VEC v_sign_bit(void) { return v_set(-0.0f); }
FZK_INLINE VEC v_abs(VEC x) { return _mm256_andnot_ps(v_sign_bit(), x); }
FZK_INLINE VEC v_negative_abs(VEC x) { return _mm256_or_ps(v_sign_bit(), x); }
FZK_INLINE VEC v_with_sign(VEC y, VEC x) {
    return _mm256_or_ps(v_abs(y), _mm256_and_ps(v_sign_bit(), x));
}
FZK_INLINE VEC v_if_signed(VEC x, VEC a, VEC b) { return _mm256_blendv_ps(b, a, x); }

FZK_INLINE IDX v_index(VEC x, int shift) {
    __m256i i = shift ? _mm256_srli_epi32(v_bits(x), shift) : v_bits(x);
    return (IDX){i, v_of_bits(_mm256_slli_epi32(v_bits(x), 28 - shift))};
}
FZK_INLINE VEC v_look8(const float *t, IDX i) {
    return _mm256_permutevar8x32_ps(_mm256_load_ps(t), i.low);
}
FZK_INLINE VEC v_look16(const float *t, IDX i) {
    return _mm256_blendv_ps(v_look8(t, i), v_look8(t + 8, i), i.half);
}
FZK_INLINE VEC v_look16_from(float from, VEC g, VEC x, const float *t, IDX i) {
    VEC there = _mm256_cmp_ps(g, v_set(from), _CMP_NLT_UQ);
    return _mm256_blendv_ps(x, v_look16(t, i), there);
}

/* The powers of two 2^(k/2) and 2^(k - k/2). */
FZK_INLINE VEC v_exp_scale(VEC y, VEC t, VEC k) {
    (void)k;
    __m256i n = _mm256_srli_epi32(v_bits(t), 3), half = _mm256_srli_epi32(v_bits(t), 4);
    y = v_mul(y, v_of_bits(_mm256_slli_epi32(half, 23)));
    return v_mul(y, v_of_bits(_mm256_slli_epi32(_mm256_sub_epi32(n, half), 23)));
}
/* 2^(k + 64) is a normal number for k >= -151; 2^-64 rounds. */
FZK_INLINE VEC v_exp_scale_down(VEC y, VEC t, VEC k) {
    (void)k;
    __m256i n = _mm256_sub_epi32(v_bits(t), _mm256_set1_epi32((254 - 127 - 64) * 8));
    n = _mm256_slli_epi32(_mm256_srli_epi32(n, 3), 23);
    return v_mul(v_mul(y, v_of_bits(n)), v_set(0x1p-64f));
}

/* Tails are masked without a branch; whole vectors are known to the compiler. */
#define KNOWN_WHOLE(n) (__builtin_constant_p(n) && (n) >= LANES)
FZK_INLINE __m256i v_first(int64_t n) {
    const __m256i lane = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
    return _mm256_cmpgt_epi32(_mm256_set1_epi32((int32_t)n), lane);
}
FZK_INLINE VEC v_load(const float *p, int64_t n) {
    return KNOWN_WHOLE(n) ? _mm256_loadu_ps(p) : _mm256_maskload_ps(p, v_first(n));
}
FZK_INLINE void v_store(float *p, VEC v, int64_t n) {
    if (KNOWN_WHOLE(n)) _mm256_storeu_ps(p, v);
    else _mm256_maskstore_ps(p, v_first(n), v);
}

FZK_INLINE VEC v_fill(VEC v, int64_t n, VEC x) {
    return _mm256_blendv_ps(x, v, v_of_bits(v_first(n)));
}
FZK_INLINE float v_fold_max(VEC x) { return fold_max8(x); }
FZK_INLINE float v_fold_sum(const VEC *s) { return fold_sum8(_mm256_add_ps(s[0], s[1])); }

#include "tiles/functions_tile.h"

#endif
