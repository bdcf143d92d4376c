/* The depthwise integer convolution for AVX-VNNI. */
#include "qgemm_v8.h"

#define QISA avxvnni
enum { ANY_WIDTH = 0 };

struct qa { vi x; };
struct qb { vi x; };

FZK_INLINE struct qa qa_of(vi x) { return (struct qa){x}; }
FZK_INLINE struct qb qb_of(vi x) { return (struct qb){x}; }
FZK_INLINE vi q_dot(vi acc, struct qa a, struct qb b) {
    return _mm256_dpbusd_avx_epi32(acc, a.x, b.x);
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
