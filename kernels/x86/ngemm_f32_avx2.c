/* Products with narrow weights for AVX2. */
#include <immintrin.h>

#include "x86.h"

enum { LANES = 8, MAX_ROWS = 2, SLIM = 2, WIDE = 2, LOOKS_UP = 0 };
typedef __m256 vec;
typedef __m256i words;
typedef vec table;

/* The first N lanes, of N < 8. */
FZK_INLINE __m256i first(int64_t n) {
    const __m256i i = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
    return _mm256_cmpgt_epi32(_mm256_set1_epi32((int)n), i);
}
FZK_INLINE vec splat(float x) { return _mm256_set1_ps(x); }
FZK_INLINE vec load(const float *p) { return _mm256_loadu_ps(p); }
FZK_INLINE vec load_some(const float *p, int64_t n) {
    return n >= LANES ? load(p) : _mm256_maskload_ps(p, first(n));
}
FZK_INLINE void store_some(float *p, vec x, int64_t n) {
    if (n >= LANES) _mm256_storeu_ps(p, x);
    else _mm256_maskstore_ps(p, first(n), x);
}
FZK_INLINE vec add(vec a, vec b) { return _mm256_add_ps(a, b); }
FZK_INLINE vec sub(vec a, vec b) { return _mm256_sub_ps(a, b); }
FZK_INLINE vec mul(vec a, vec b) { return _mm256_mul_ps(a, b); }
FZK_INLINE vec muladd(vec a, vec b, vec c) { return _mm256_fmadd_ps(a, b, c); }
FZK_INLINE vec clamp(vec x, float lo, float hi) {
    return _mm256_min_ps(splat(hi), _mm256_max_ps(splat(lo), x));
}
FZK_INLINE vec halves(const uint16_t *p) {
    return _mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)(const void *)p));
}
FZK_INLINE vec bhalves(const uint16_t *p) {
    __m128i h = _mm_loadu_si128((const __m128i *)(const void *)p);
    return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(h), 16));
}
FZK_INLINE vec bytes(const uint8_t *p) {
    __m128i b = _mm_loadl_epi64((const __m128i *)(const void *)p);
    return _mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(b));
}
FZK_INLINE words load_words(const uint32_t *p) {
    return _mm256_loadu_si256((const __m256i *)(const void *)p);
}
FZK_INLINE words shift(words w, int n) { return _mm256_srl_epi32(w, _mm_cvtsi32_si128(n)); }

FZK_INLINE table make_table(int form, int32_t middle) {
    (void)form;
    return splat((float)middle);
}
FZK_INLINE vec field(int form, words w, int i) {
    const int bits = form == 3 ? 4 : 2;
    words q = i ? _mm256_srli_epi32(w, i * bits) : w;
    return _mm256_cvtepi32_ps(_mm256_and_si256(q, _mm256_set1_epi32((1 << bits) - 1)));
}
FZK_INLINE vec lookup(int form, words w, int i, const table *values) {
    return sub(field(form, w, i), *values);
}

#include "tiles/ngemm_f32_tile.h"

void fzk_ngemm_f32_avx2(const struct fzk_ngemm_f32 *g) { multiply(g); }

void fzk_narrow_to_f32_avx2(float *to, const struct fzk_narrow *w, int64_t panels) {
    unpack(to, w, panels);
}
