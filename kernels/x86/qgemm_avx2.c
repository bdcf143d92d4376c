/* The integer GEMM for AVX2: bytes are widened to 16 bits, even ones and odd ones apart, and
 * vpmaddwd adds two exact products. (vpmaddubsw would saturate.) 4 x 16 outputs. */
#include "qgemm_v8.h"

#define QISA avx2
enum { R_MAX = 4 };
#define TILES(X) X(1, 2) X(2, 1) X(3, 1) X(4, 1)

struct qa { vi even, odd; };
struct qb { vi even, odd; };

FZK_INLINE struct qa qa_of(vi x) {
    return (struct qa){_mm256_and_si256(x, _mm256_set1_epi16(0xFF)), _mm256_srli_epi16(x, 8)};
}
#define QWIDE
FZK_INLINE struct qa qa_wide(const uint32_t pair[2]) {
    return (struct qa){vi_set((int32_t)pair[0]), vi_set((int32_t)pair[1])};
}
FZK_INLINE struct qb qb_of(vi x) {
    return (struct qb){_mm256_srai_epi16(_mm256_slli_epi16(x, 8), 8), _mm256_srai_epi16(x, 8)};
}
FZK_INLINE vi q_dot(vi acc, struct qa a, struct qb b) {
    acc = vi_add(acc, _mm256_madd_epi16(a.even, b.even));
    return vi_add(acc, _mm256_madd_epi16(a.odd, b.odd));
}

#include "qgemm_tile.h"
