/* 512-bit vectors in the terms of qgemm_tile.h: 16 lanes of 32 bits. */
#ifndef FZ_KERNELS_QGEMM_V16_H
#define FZ_KERNELS_QGEMM_V16_H

#include <immintrin.h>
#include <stdint.h>

#include "x86.h"

enum { VL = 16 };
typedef __m512i vi;
typedef __m512 vf;

/* The first N of 16 lanes, N >= 1; all of them if N is more. */
FZK_INLINE __mmask16 lanes(int64_t n) { return n >= VL ? 0xFFFF : (__mmask16)((1u << n) - 1); }

FZK_INLINE vi vi_set(int32_t x) { return _mm512_set1_epi32(x); }
FZK_INLINE vi vi_load(const void *p) { return _mm512_loadu_si512(p); }
FZK_INLINE vi vi_add(vi a, vi b) { return _mm512_add_epi32(a, b); }
FZK_INLINE vi vi_flip(vi v) { return _mm512_xor_si512(v, vi_set((int32_t)0x80808080)); }
FZK_INLINE void vi_store(int32_t *p, vi v, int64_t n) { _mm512_mask_storeu_epi32(p, lanes(n), v); }

FZK_INLINE vf vf_set(float x) { return _mm512_set1_ps(x); }
FZK_INLINE vf vf_load(const float *p) { return _mm512_loadu_ps(p); }
FZK_INLINE vf vf_load_n(const float *p, int64_t n) { return _mm512_maskz_loadu_ps(lanes(n), p); }
FZK_INLINE void vf_store(float *p, vf v, int64_t n) { _mm512_mask_storeu_ps(p, lanes(n), v); }
FZK_INLINE vf vf_add(vf a, vf b) { return _mm512_add_ps(a, b); }
FZK_INLINE vf vf_mul(vf a, vf b) { return _mm512_mul_ps(a, b); }
/* a > b ? a : b, and a < b ? a : b: the second operand where they are equal or one is NaN. */
FZK_INLINE vf vf_max(vf a, vf b) { return _mm512_max_ps(a, b); }
FZK_INLINE vf vf_min(vf a, vf b) { return _mm512_min_ps(a, b); }
FZK_INLINE vf vf_of(vi v) { return _mm512_cvtepi32_ps(v); }
FZK_INLINE vi vf_round(vf v) { return _mm512_cvtps_epi32(v); }

/* Low bytes of the first N lanes of A, then B. */
FZK_INLINE void vi_store_bytes2(uint8_t *p, vi a, vi b, int64_t n) {
    __m256i both = _mm256_inserti128_si256(_mm256_castsi128_si256(_mm512_cvtepi32_epi8(a)),
                                           _mm512_cvtepi32_epi8(b), 1);
    if (n >= 2 * VL) _mm256_storeu_si256((__m256i *)p, both);
    else _mm256_mask_storeu_epi8(p, (__mmask32)((1u << n) - 1), both);
}
FZK_INLINE void vi_store_bytes(uint8_t *p, vi a, int64_t n) {
    _mm_mask_storeu_epi8(p, lanes(n), _mm512_cvtepi32_epi8(a));
}

/* REST (1 to 3) bytes as a dword in every lane; the other bytes are zero and not read. */
FZK_INLINE vi bytes_tail(const uint8_t *p, int64_t rest) {
    return _mm512_broadcastd_epi32(_mm_maskz_loadu_epi8((__mmask16)((1u << rest) - 1), p));
}
FZK_INLINE vi bytes_quad(const uint8_t *p) {
    int32_t x;
    __builtin_memcpy(&x, p, 4);
    return _mm512_set1_epi32(x);
}

#endif
