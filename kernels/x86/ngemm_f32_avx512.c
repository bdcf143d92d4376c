/* Products with narrow weights for AVX-512. Integers of 4 and 2 bits become floats by one look-up,
 * for which a permutation heeds the lowest four bits of each index only. */
#include <immintrin.h>

#include "x86.h"

enum { LANES = 16, MAX_ROWS = 4, SLIM = 2, WIDE = 4, LOOKS_UP = 1 };
typedef __m512 vec, table;
typedef __m512i words;

FZK_INLINE vec splat(float x) { return _mm512_set1_ps(x); }
FZK_INLINE vec load(const float *p) { return _mm512_loadu_ps(p); }
FZK_INLINE __mmask16 first(int64_t n) { return n >= 16 ? 0xFFFF : (__mmask16)((1u << n) - 1); }
FZK_INLINE vec load_some(const float *p, int64_t n) { return _mm512_maskz_loadu_ps(first(n), p); }
FZK_INLINE void store_some(float *p, vec x, int64_t n) { _mm512_mask_storeu_ps(p, first(n), x); }
FZK_INLINE vec add(vec a, vec b) { return _mm512_add_ps(a, b); }
FZK_INLINE vec sub(vec a, vec b) { return _mm512_sub_ps(a, b); }
FZK_INLINE vec mul(vec a, vec b) { return _mm512_mul_ps(a, b); }
FZK_INLINE vec muladd(vec a, vec b, vec c) { return _mm512_fmadd_ps(a, b, c); }
FZK_INLINE vec clamp(vec x, float lo, float hi) {
    return _mm512_min_ps(splat(hi), _mm512_max_ps(splat(lo), x));
}
FZK_INLINE vec halves(const uint16_t *p) {
    return _mm512_cvtph_ps(_mm256_loadu_si256((const __m256i *)(const void *)p));
}
FZK_INLINE vec bhalves(const uint16_t *p) {
    __m256i h = _mm256_loadu_si256((const __m256i *)(const void *)p);
    return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(h), 16));
}
FZK_INLINE vec bytes(const uint8_t *p) {
    __m128i b = _mm_loadu_si128((const __m128i *)(const void *)p);
    return _mm512_cvtepi32_ps(_mm512_cvtepu8_epi32(b));
}
FZK_INLINE words load_words(const uint32_t *p) { return _mm512_loadu_si512(p); }
FZK_INLINE words shift(words w, int n) { return _mm512_srl_epi32(w, _mm_cvtsi32_si128(n)); }

/* The numbers of the 16 indices less MIDDLE: exact. */
FZK_INLINE table make_table(int form, int32_t middle) {
    const __m512i i = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
    __m512i q = form == 4 ? _mm512_and_si512(i, _mm512_set1_epi32(3)) : i;
    return _mm512_cvtepi32_ps(_mm512_sub_epi32(q, _mm512_set1_epi32(middle)));
}
FZK_INLINE vec lookup(int form, words w, int i, const table *values) {
    return _mm512_permutexvar_ps(i ? _mm512_srli_epi32(w, (unsigned)(i * (form == 3 ? 4 : 2))) : w,
                                 *values);
}
FZK_INLINE vec field(int form, words w, int i) {
    const table values = make_table(form, 0);
    return lookup(form, w, i, &values);
}

#include "tiles/ngemm_f32_tile.h"

void fzk_ngemm_f32_avx512(const struct fzk_ngemm_f32 *g) { multiply(g); }

void fzk_narrow_to_f32_avx512(float *to, const struct fzk_narrow *w, int64_t panels) {
    unpack(to, w, panels);
}
