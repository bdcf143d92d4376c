/* 512-bit vectors in the terms of qgemm_tile.h: 16 lanes of 32 bits. */
#ifndef FZ_KERNELS_QGEMM_V16_H
#define FZ_KERNELS_QGEMM_V16_H

#include <immintrin.h>
#include <stdbool.h>
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
FZK_INLINE vi vi_xor(vi a, vi b) { return _mm512_xor_si512(a, b); }
FZK_INLINE void vi_save(int32_t *p, vi v) { _mm512_store_si512(p, v); } /* aligned */
FZK_INLINE void vi_store(int32_t *p, vi v, int64_t n) {
    if (n >= VL) _mm512_storeu_si512(p, v);
    else _mm512_mask_storeu_epi32(p, lanes(n), v);
}

FZK_INLINE vf vf_set(float x) { return _mm512_set1_ps(x); }
FZK_INLINE vf vf_load(const float *p) { return _mm512_loadu_ps(p); }
FZK_INLINE vf vf_load_n(const float *p, int64_t n) {
    return n >= VL ? _mm512_loadu_ps(p) : _mm512_maskz_loadu_ps(lanes(n), p);
}
FZK_INLINE void vf_store(float *p, vf v, int64_t n) {
    if (n >= VL) _mm512_storeu_ps(p, v);
    else _mm512_mask_storeu_ps(p, lanes(n), v);
}
FZK_INLINE vf vf_add(vf a, vf b) { return _mm512_add_ps(a, b); }
FZK_INLINE vf vf_mul(vf a, vf b) { return _mm512_mul_ps(a, b); }
/* a > b ? a : b, and a < b ? a : b: the second operand where they are equal or one is NaN. */
FZK_INLINE vf vf_max(vf a, vf b) { return _mm512_max_ps(a, b); }
FZK_INLINE vf vf_min(vf a, vf b) { return _mm512_min_ps(a, b); }
FZK_INLINE vf vf_of(vi v) { return _mm512_cvtepi32_ps(v); }
FZK_INLINE vi vf_round(vf v) { return _mm512_cvtps_epi32(v); }

/* True if all lanes are smaller than 1 in magnitude. */
FZK_INLINE bool vf_below_1(vf v) {
    return !_mm512_cmp_ps_mask(_mm512_abs_ps(v), vf_set(1), _CMP_NLT_UQ);
}

FZK_INLINE vi vi_set16(int32_t x) { return _mm512_set1_epi16((short)x); }
FZK_INLINE vi vi_adds16(vi a, vi b) { return _mm512_adds_epi16(a, b); }
FZK_INLINE vi vi_set8(int32_t x) { return _mm512_set1_epi8((char)x); }
FZK_INLINE vi vi_max_u8(vi a, vi b) { return _mm512_max_epu8(a, b); }
FZK_INLINE vi vi_min_u8(vi a, vi b) { return _mm512_min_epu8(a, b); }

/* A row's 2 * VL sums as 16 bits, saturated, in the order of the lanes; two such rows as u8,
 * saturated, in natural order, the second row behind the first; and row I of these to memory. */
FZK_INLINE vi vi_pack16(vi a, vi b) { return _mm512_packs_epi32(a, b); }
FZK_INLINE vi vi_pack_rows(vi a, vi b) {
    return _mm512_permutexvar_epi32(
        _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15),
        _mm512_packus_epi16(a, b));
}
FZK_INLINE void vi_store_row(uint8_t *p, vi rows, int i, int64_t n) {
    __m256i row = i ? _mm512_extracti64x4_epi64(rows, 1) : _mm512_castsi512_si256(rows);
    if (n >= 2 * VL) _mm256_storeu_si256((__m256i *)p, row);
    else _mm256_mask_storeu_epi8(p, (__mmask32)((1u << n) - 1), row);
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
