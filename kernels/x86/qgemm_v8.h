/* 256-bit vectors in the terms of qgemm_tile.h: 8 lanes of 32 bits. */
#ifndef FZ_KERNELS_QGEMM_V8_H
#define FZ_KERNELS_QGEMM_V8_H

#include <immintrin.h>
#include <stdbool.h>
#include <stdint.h>

#include "x86.h"

enum { VL = 8 };
typedef __m256i vi;
typedef __m256 vf;

/* The first N of 8 lanes, N >= 1; all of them if N is more. */
FZK_INLINE __m256i lanes(int64_t n) {
    return _mm256_cmpgt_epi32(_mm256_set1_epi32(n < VL ? (int)n : VL),
                              _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
}

FZK_INLINE vi vi_set(int32_t x) { return _mm256_set1_epi32(x); }
FZK_INLINE vi vi_load(const void *p) { return _mm256_loadu_si256(p); }
FZK_INLINE vi vi_add(vi a, vi b) { return _mm256_add_epi32(a, b); }
FZK_INLINE vi vi_xor(vi a, vi b) { return _mm256_xor_si256(a, b); }
FZK_INLINE void vi_save(int32_t *p, vi v) { _mm256_store_si256((vi *)p, v); } /* aligned */
FZK_INLINE void vi_store(int32_t *p, vi v, int64_t n) {
    if (n >= VL) _mm256_storeu_si256((vi *)p, v);
    else _mm256_maskstore_epi32(p, lanes(n), v);
}

FZK_INLINE vf vf_set(float x) { return _mm256_set1_ps(x); }
FZK_INLINE vf vf_load(const float *p) { return _mm256_loadu_ps(p); }
FZK_INLINE vf vf_load_n(const float *p, int64_t n) {
    return n >= VL ? _mm256_loadu_ps(p) : _mm256_maskload_ps(p, lanes(n));
}
FZK_INLINE void vf_store(float *p, vf v, int64_t n) {
    if (n >= VL) _mm256_storeu_ps(p, v);
    else _mm256_maskstore_ps(p, lanes(n), v);
}
FZK_INLINE vf vf_add(vf a, vf b) { return _mm256_add_ps(a, b); }
FZK_INLINE vf vf_mul(vf a, vf b) { return _mm256_mul_ps(a, b); }
/* a > b ? a : b, and a < b ? a : b: the second operand where they are equal or one is NaN. */
FZK_INLINE vf vf_max(vf a, vf b) { return _mm256_max_ps(a, b); }
FZK_INLINE vf vf_min(vf a, vf b) { return _mm256_min_ps(a, b); }
FZK_INLINE vf vf_of(vi v) { return _mm256_cvtepi32_ps(v); }
FZK_INLINE vi vf_round(vf v) { return _mm256_cvtps_epi32(v); }

/* True if all lanes are smaller than 1 in magnitude. */
FZK_INLINE bool vf_below_1(vf v) {
    vf size = _mm256_andnot_ps(vf_set(-0.0f), v);
    return !_mm256_movemask_ps(_mm256_cmp_ps(size, vf_set(1), _CMP_NLT_UQ));
}

FZK_INLINE vi vi_set16(int32_t x) { return _mm256_set1_epi16((short)x); }
FZK_INLINE vi vi_adds16(vi a, vi b) { return _mm256_adds_epi16(a, b); }
FZK_INLINE vi vi_set8(int32_t x) { return _mm256_set1_epi8((char)x); }
FZK_INLINE vi vi_max_u8(vi a, vi b) { return _mm256_max_epu8(a, b); }
FZK_INLINE vi vi_min_u8(vi a, vi b) { return _mm256_min_epu8(a, b); }

/* A row's 2 * VL sums as 16 bits, saturated, in the order of the lanes; two such rows as u8,
 * saturated, in natural order, the second row behind the first; and row I of these to memory. */
FZK_INLINE vi vi_pack16(vi a, vi b) { return _mm256_packs_epi32(a, b); }
FZK_INLINE vi vi_pack_rows(vi a, vi b) {
    return _mm256_permutevar8x32_epi32(_mm256_packus_epi16(a, b),
                                       _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7));
}
FZK_INLINE void vi_store_row(uint8_t *p, vi rows, int i, int64_t n) {
    __m128i row = i ? _mm256_extracti128_si256(rows, 1) : _mm256_castsi256_si128(rows);
    uint8_t all[2 * VL];
    if (n >= 2 * VL) _mm_storeu_si128((__m128i *)p, row);
    else {
        _mm_storeu_si128((__m128i *)all, row);
        __builtin_memcpy(p, all, (size_t)n);
    }
}

/* REST (1 to 3) bytes as a dword in every lane; the other bytes are zero and not read. */
FZK_INLINE vi bytes_tail(const uint8_t *p, int64_t rest) {
    uint32_t x = p[0];
    if (rest > 1) x |= (uint32_t)p[1] << 8;
    if (rest > 2) x |= (uint32_t)p[2] << 16;
    return _mm256_set1_epi32((int32_t)x);
}
FZK_INLINE vi bytes_quad(const uint8_t *p) {
    int32_t x;
    __builtin_memcpy(&x, p, 4);
    return _mm256_set1_epi32(x);
}

#endif
