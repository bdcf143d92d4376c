/* The depthwise integer convolution for AVX2, by the exact widening of qgemm_avx2.c. */
#include "qgemm_v8.h"

#define QISA avx2
enum { ANY_WIDTH = 0 };

struct qa { vi even, odd; };
struct qb { vi even, odd; };

FZK_INLINE struct qa qa_of(vi x) {
    return (struct qa){_mm256_and_si256(x, _mm256_set1_epi16(0xFF)), _mm256_srli_epi16(x, 8)};
}
FZK_INLINE struct qb qb_of(vi x) {
    return (struct qb){_mm256_srai_epi16(_mm256_slli_epi16(x, 8), 8), _mm256_srai_epi16(x, 8)};
}
FZK_INLINE vi q_dot(vi acc, struct qa a, struct qb b) {
    acc = vi_add(acc, _mm256_madd_epi16(a.even, b.even));
    return vi_add(acc, _mm256_madd_epi16(a.odd, b.odd));
}

FZK_INLINE vi bytes_load(const uint8_t *p, int64_t n) {
    if (n >= FZK_PANEL) return vi_load(p);
    return _mm256_maskload_epi32((const int *)p, lanes(n / 4));
}
FZK_INLINE void bytes_store(uint8_t *p, vi v, int64_t n) {
    if (n >= FZK_PANEL) _mm256_storeu_si256((vi *)p, v);
    else _mm256_maskstore_epi32((int *)p, lanes(n / 4), v);
}

#include "qdwconv_tile.h"
