/* The depthwise integer convolution for AVX-512 VNNI, in vectors of 256 bits: wider ones would only
 * waste lanes where there are 32 channels. */
#include "qgemm_v8.h"

#define QISA avx512vnni
enum { ANY_WIDTH = 1 };

struct qa { vi x; };
struct qb { vi x; };

FZK_INLINE struct qa qa_of(vi x) { return (struct qa){x}; }
FZK_INLINE struct qb qb_of(vi x) { return (struct qb){x}; }
FZK_INLINE vi q_dot(vi acc, struct qa a, struct qb b) { return _mm256_dpbusd_epi32(acc, a.x, b.x); }

FZK_INLINE vi bytes_load(const uint8_t *p, int64_t n) {
    if (n >= FZK_PANEL) return vi_load(p);
    return _mm256_maskz_loadu_epi8((__mmask32)((1u << n) - 1), p);
}
FZK_INLINE void bytes_store(uint8_t *p, vi v, int64_t n) {
    if (n >= FZK_PANEL) _mm256_storeu_si256((vi *)p, v);
    else _mm256_mask_storeu_epi8(p, (__mmask32)((1u << n) - 1), v);
}

#include "qdwconv_tile.h"
