/* The integer GEMM for AVX-512 VNNI: vpdpbusd multiplies four u8 by four s8 and adds the products
 * without saturation. 14 x 32 outputs: 28 sums, two vectors of B and one of A fill 31 registers. */
#include "qgemm_v16.h"

#define QISA avx512vnni
#define QLONG fzk_qgemm_u8s8_avx512
enum { R_MAX = 14 };
#define TILES(X)                                                                                   \
    X(1, 4) X(2, 4) X(3, 2) X(4, 2) X(5, 1) X(6, 1) X(7, 1) X(8, 1) X(9, 1) X(10, 1) X(11, 1)      \
    X(12, 1) X(13, 1) X(14, 1)

struct qa { vi x; };
struct qb { vi x; };

FZK_INLINE struct qa qa_of(vi x) { return (struct qa){x}; }
FZK_INLINE struct qb qb_of(vi x) { return (struct qb){x}; }
FZK_INLINE vi q_dot(vi acc, struct qa a, struct qb b) { return _mm512_dpbusd_epi32(acc, a.x, b.x); }

#include "qgemm_tile.h"
