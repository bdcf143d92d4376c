/* The integer GEMM for AVX-VNNI: vpdpbusd in 256 bits. 6 x 16 outputs: 12 sums, two vectors of B
 * and one of A fill 15 registers. */
#include "qgemm_v8.h"

#define QISA avxvnni
#define QLONG fzk_qgemm_u8s8_avx2
enum { R_MAX = 6 };
#define TILES(X) X(1, 4) X(2, 2) X(3, 2) X(4, 1) X(5, 1) X(6, 1)

struct qa { vi x; };
struct qb { vi x; };

FZK_INLINE struct qa qa_of(vi x) { return (struct qa){x}; }
FZK_INLINE struct qb qb_of(vi x) { return (struct qb){x}; }
FZK_INLINE vi q_dot(vi acc, struct qa a, struct qb b) {
    return _mm256_dpbusd_avx_epi32(acc, a.x, b.x);
}

#include "qgemm_tile.h"
