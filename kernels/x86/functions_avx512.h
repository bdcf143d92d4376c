/* 512-bit vectors in the terms of functions_tile.h: a look into a table of 16 floats is one
 * vpermps, and vscalefps multiplies by a power of two with one rounding. */
#ifndef FZ_KERNELS_FUNCTIONS_AVX512_H
#define FZ_KERNELS_FUNCTIONS_AVX512_H

#include <immintrin.h>
#include <stdint.h>

#include "fold.h"
#include "x86.h"

typedef __m512 VEC;
typedef __m512i IDX;
enum { LANES = 16, WIDE = 4 };

FZK_INLINE IDX v_bits(VEC x) { return _mm512_castps_si512(x); }
FZK_INLINE VEC v_of_bits(IDX x) { return _mm512_castsi512_ps(x); }

FZK_INLINE VEC v_set(float x) { return _mm512_set1_ps(x); }
FZK_INLINE VEC v_fma(VEC a, VEC b, VEC c) { return _mm512_fmadd_ps(a, b, c); }
FZK_INLINE VEC v_fnma(VEC a, VEC b, VEC c) { return _mm512_fnmadd_ps(a, b, c); }
FZK_INLINE VEC v_add(VEC a, VEC b) { return _mm512_add_ps(a, b); }
FZK_INLINE VEC v_sub(VEC a, VEC b) { return _mm512_sub_ps(a, b); }
FZK_INLINE VEC v_mul(VEC a, VEC b) { return _mm512_mul_ps(a, b); }
FZK_INLINE VEC v_div(VEC a, VEC b) { return _mm512_div_ps(a, b); }
FZK_INLINE VEC v_min(VEC a, VEC b) { return _mm512_min_ps(a, b); }
FZK_INLINE VEC v_max(VEC a, VEC b) { return _mm512_max_ps(a, b); }

FZK_INLINE VEC v_abs(VEC x) {
    return v_of_bits(_mm512_and_si512(v_bits(x), _mm512_set1_epi32(INT32_MAX)));
}
FZK_INLINE VEC v_negative_abs(VEC x) {
    return v_of_bits(_mm512_or_si512(v_bits(x), _mm512_set1_epi32(INT32_MIN)));
}
/* 0xD8: the third operand, the sign bit, takes the second, else the first. */
FZK_INLINE VEC v_with_sign(VEC y, VEC x) {
    const IDX sign = _mm512_set1_epi32(INT32_MIN);
    return v_of_bits(_mm512_ternarylogic_epi32(v_bits(y), v_bits(x), sign, 0xD8));
}
FZK_INLINE VEC v_if_signed(VEC x, VEC a, VEC b) {
    return _mm512_mask_mov_ps(b, _mm512_movepi32_mask(v_bits(x)), a);
}

FZK_INLINE IDX v_index(VEC x, int shift) {
    return shift ? _mm512_srli_epi32(v_bits(x), (unsigned)shift) : v_bits(x);
}
FZK_INLINE VEC v_look8(const float *t, IDX i) {
    return _mm512_permutexvar_ps(i, _mm512_broadcast_f32x8(_mm256_load_ps(t)));
}
FZK_INLINE VEC v_look16(const float *t, IDX i) {
    return _mm512_permutexvar_ps(i, _mm512_load_ps(t));
}
FZK_INLINE VEC v_look16_from(float from, VEC g, VEC x, const float *t, IDX i) {
    __mmask16 there = _mm512_cmp_ps_mask(g, v_set(from), _CMP_NLT_UQ);
    return _mm512_mask_permutexvar_ps(x, there, i, _mm512_load_ps(t));
}

FZK_INLINE VEC v_exp_scale(VEC y, VEC t, VEC k) {
    (void)t;
    return _mm512_scalef_ps(y, k);
}
FZK_INLINE VEC v_exp_scale_down(VEC y, VEC t, VEC k) { return v_exp_scale(y, t, k); }

/* Tails are masked without a branch; whole vectors are known to the compiler. */
#define KNOWN_WHOLE(n) (__builtin_constant_p(n) && (n) >= LANES)
/* The first N lanes, N < 256. */
FZK_INLINE __mmask16 v_first(int64_t n) {
    return (__mmask16)_bzhi_u32(0xFFFF, n < 0 ? 0 : (uint32_t)n);
}
FZK_INLINE VEC v_load(const float *p, int64_t n) {
    return KNOWN_WHOLE(n) ? _mm512_loadu_ps(p) : _mm512_maskz_loadu_ps(v_first(n), p);
}
FZK_INLINE void v_store(float *p, VEC v, int64_t n) {
    if (KNOWN_WHOLE(n)) _mm512_storeu_ps(p, v);
    else _mm512_mask_storeu_ps(p, v_first(n), v);
}

FZK_INLINE VEC v_fill(VEC v, int64_t n, VEC x) {
    return _mm512_mask_mov_ps(x, v_first(n), v);
}
FZK_INLINE float v_fold_max(VEC x) { return _mm512_reduce_max_ps(x); }
FZK_INLINE float v_fold_sum(const VEC *s) {
    return fold_sum8(_mm256_add_ps(_mm512_castps512_ps256(*s), _mm512_extractf32x8_ps(*s, 1)));
}

#include "tiles/functions_tile.h"

#endif
