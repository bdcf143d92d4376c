/* What follows a chain: bias and residual, each sum rounded to a 16-bit type if that is asked for.
 *
 * binary16: fraction bits below the tenth are rounded off, half to even, by adding half a unit less
 * the last bit; below 2^-14 adding 1/2, whose last bit is worth 2^-24, rounds to multiples of that;
 * what rounds to 2^16 is infinite. bfloat16: the same with the upper half of binary32. */
#ifndef FZ_KERNELS_FINISH_H
#define FZ_KERNELS_FINISH_H

#include "vec.h"

typedef uint32_t fzk_uvec __attribute__((vector_size(FZK_LANES * 4)));

/* A where MASK is set, else B. */
FZK_VEC_INLINE fzk_uvec fzk_either(fzk_uvec mask, fzk_uvec a, fzk_uvec b) {
    return (mask & a) | (~mask & b);
}

FZK_VEC_INLINE fzk_uvec fzk_all(uint32_t x) { return x - (fzk_uvec){0}; }

/* Y, with a canonical NaN where X is any. */
FZK_VEC_INLINE fzk_vec fzk_keep_nan(fzk_vec x, fzk_uvec y) {
    return (fzk_vec)fzk_either((fzk_uvec)(x != x), fzk_all(0x7FC00000), y);
}

FZK_VEC_INLINE fzk_vec fzk_round_bf16(fzk_vec x) {
    fzk_uvec u = (fzk_uvec)x;
    return fzk_keep_nan(x, (u + 0x7FFF + (u >> 16 & 1)) & 0xFFFF0000);
}

FZK_VEC_INLINE fzk_vec fzk_round_f16(fzk_vec x) {
#if defined(__AVX512F__)
    __m512 y = _mm512_cvtph_ps(_mm512_cvtps_ph((__m512)x, _MM_FROUND_TO_NEAREST_INT));
    __mmask16 none = _mm512_cmp_ps_mask((__m512)x, (__m512)x, _CMP_UNORD_Q);
    return (fzk_vec)_mm512_mask_mov_ps(y, none, _mm512_set1_ps(__builtin_nanf("")));
#elif defined(__F16C__)
    __m256 y = _mm256_cvtph_ps(_mm256_cvtps_ph((__m256)x, _MM_FROUND_TO_NEAREST_INT));
    __m256 none = _mm256_cmp_ps((__m256)x, (__m256)x, _CMP_UNORD_Q);
    return (fzk_vec)_mm256_blendv_ps(y, _mm256_set1_ps(__builtin_nanf("")), none);
#else
    fzk_uvec u = (fzk_uvec)x & INT32_MAX, sign = (fzk_uvec)x & 0x80000000;
    fzk_uvec normal = (u + 0xFFF + (u >> 13 & 1)) & 0xFFFFE000;
    fzk_uvec small = (fzk_uvec)(((fzk_vec)u + fzk_splat(0.5f)) - fzk_splat(0.5f));
    fzk_uvec y = fzk_either((fzk_uvec)(u < 0x38800000), small, normal);
    y = fzk_either((fzk_uvec)(u >= 0x477FF000), fzk_all(0x7F800000), y);
    return fzk_keep_nan(x, y | sign);
#endif
}

/* Through the type of ROUND. */
FZK_VEC_INLINE fzk_vec fzk_round(fzk_vec x, int64_t round) {
    int64_t type = round & FZK_ROUND_TYPE;
    if (type == FZK_ROUND_F16) return fzk_round_f16(x);
    return type == FZK_ROUND_BF16 ? fzk_round_bf16(x) : x;
}

/* N lanes; BIAS and RESIDUAL: where they begin, or NULL. */
FZK_VEC_INLINE fzk_vec fzk_finish_rounded(fzk_vec x, int64_t n, const float *bias,
                                          const float *residual, int64_t round) {
    if (round & FZK_ROUND_SUM) x = fzk_round(x, round);
    if (bias) x = x + fzk_load(bias, n);
    if (round & FZK_ROUND_BIAS) x = fzk_round(x, round);
    if (residual) x = x + fzk_load(residual, n);
    return round & FZK_ROUND_RESIDUAL ? fzk_round(x, round) : x;
}

/* That, once for all tiles of a file. */
__attribute__((noinline, unused)) static fzk_vec fzk_finish_call(fzk_vec x, int64_t n,
                                                                 const float *bias,
                                                                 const float *residual,
                                                                 int64_t round) {
    return fzk_finish_rounded(x, n, bias, residual, round);
}

FZK_VEC_INLINE fzk_vec fzk_finish(fzk_vec x, int64_t n, const float *bias, const float *residual,
                                  int64_t round) {
    if (round) return fzk_finish_call(x, n, bias, residual, round);
    if (bias) x = x + fzk_load(bias, n);
    return residual ? x + fzk_load(residual, n) : x;
}

#endif
