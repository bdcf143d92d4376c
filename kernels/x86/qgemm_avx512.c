/* The integer GEMM for AVX-512 without VNNI: the way of qgemm_avx2.c in wider vectors. 8 x 32
 * outputs. */
#include "qgemm_v16.h"

#define QISA avx512
enum { R_MAX = 8 };
#define TILES(X) X(1, 2) X(2, 1) X(3, 1) X(4, 1) X(5, 1) X(6, 1) X(7, 1) X(8, 1)

struct qa { vi even, odd; };
struct qb { vi even, odd; };

FZK_INLINE struct qa qa_of(vi x) {
    return (struct qa){_mm512_and_si512(x, _mm512_set1_epi16(0xFF)), _mm512_srli_epi16(x, 8)};
}
#define QWIDE
FZK_INLINE struct qa qa_wide(const uint32_t pair[2]) {
    return (struct qa){vi_set((int32_t)pair[0]), vi_set((int32_t)pair[1])};
}
FZK_INLINE struct qb qb_of(vi x) {
    return (struct qb){_mm512_srai_epi16(_mm512_slli_epi16(x, 8), 8), _mm512_srai_epi16(x, 8)};
}
FZK_INLINE vi q_dot(vi acc, struct qa a, struct qb b) {
    acc = vi_add(acc, _mm512_madd_epi16(a.even, b.even));
    return vi_add(acc, _mm512_madd_epi16(a.odd, b.odd));
}

#include "qgemm_tile.h"
