/* As many floats as a register of the target holds, as one value: for c/. */
#ifndef FZ_KERNELS_VEC_H
#define FZ_KERNELS_VEC_H

#include "kernel.h"

#if defined(__AVX512F__)
#include <immintrin.h>
enum { FZK_LANES = 16 };
#elif defined(__AVX__)
#include <immintrin.h>
enum { FZK_LANES = 8 };
#else
enum { FZK_LANES = 4 };
#endif
typedef float fzk_vec __attribute__((vector_size(FZK_LANES * 4)));

/* For loops over vectors that must become registers: functions that get their bounds as constants
 * are FZK_VEC_INLINE, the loops FZK_UNROLLED. */
#define FZK_VEC_INLINE static inline __attribute__((always_inline))
#ifdef __clang__
#define FZK_UNROLLED _Pragma("clang loop unroll(full)")
#else
#define FZK_UNROLLED _Pragma("GCC unroll 16")
#endif

/* Fewer lanes than a register has, none for n <= 0: with masks where there are any. */
#if defined(__AVX512F__)
FZK_VEC_INLINE __mmask16 fzk_mask(int64_t n) {
    return n > 0 ? (__mmask16)((1u << n) - 1) : 0;
}
#endif
FZK_VEC_INLINE fzk_vec fzk_load_some(const float *p, int64_t n) {
#if defined(__AVX512F__)
    return (fzk_vec)_mm512_maskz_loadu_ps(fzk_mask(n), p);
#else
    fzk_vec v = {0};
    for (int64_t i = 0; i < n; i++) v[i] = p[i];
    return v;
#endif
}
FZK_VEC_INLINE void fzk_store_some(float *p, fzk_vec v, int64_t n) {
#if defined(__AVX512F__)
    _mm512_mask_storeu_ps(p, fzk_mask(n), (__m512)v);
#else
    for (int64_t i = 0; i < n; i++) p[i] = v[i];
#endif
}

/* The first N lanes from P, the others +0. N >= FZK_LANES is one load. */
FZK_VEC_INLINE fzk_vec fzk_load(const float *p, int64_t n) {
    fzk_vec v;
    if (n < FZK_LANES) return fzk_load_some(p, n);
    memcpy(&v, p, sizeof v);
    return v;
}

FZK_VEC_INLINE void fzk_store(float *p, fzk_vec v, int64_t n) {
    if (n >= FZK_LANES) memcpy(p, &v, sizeof v);
    else fzk_store_some(p, v, n);
}

FZK_VEC_INLINE fzk_vec fzk_splat(float x) { return x - (fzk_vec){0}; }

/* a * b + c with one rounding in each lane; one instruction where there is one. */
FZK_VEC_INLINE fzk_vec fzk_vec_fma(fzk_vec a, fzk_vec b, fzk_vec c) {
    fzk_vec s = c;
    for (int i = 0; i < FZK_LANES; i++) s[i] = fzk_fma(a[i], b[i], c[i]);
    return s;
}

/* The rules' clip: t = lo > x ? lo : x; hi < t ? hi : t. */
FZK_VEC_INLINE fzk_vec fzk_clip(fzk_vec x, float lo, float hi) {
    typedef int32_t mask __attribute__((vector_size(FZK_LANES * 4)));
    fzk_vec low = fzk_splat(lo), high = fzk_splat(hi);
    mask below = low > x;
    fzk_vec t = (fzk_vec)((below & (mask)low) | (~below & (mask)x));
    mask above = high < t;
    return (fzk_vec)((above & (mask)high) | (~above & (mask)t));
}

#endif
