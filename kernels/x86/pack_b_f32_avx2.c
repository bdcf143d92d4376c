/* Packing of a transposed matrix (row_stride = 1) for AVX2: blocks of 8 x 8 turned in registers.
 * What is not transposed is copied by the version of c/ that is compiled for the same level. */
#include <immintrin.h>

#include "x86.h"

enum { SIDE = 8, DEPTH = 8 };

/* Eight columns of B, eight of k, to eight rows of a panel: the usual three rounds of shuffles. */
FZK_INLINE void turn(float *to, const float *b, int64_t col_stride) {
    __m256 r[8], s[8];
    FZK_UNROLL
    for (int i = 0; i < 8; i++) r[i] = _mm256_loadu_ps(b + i * col_stride);
    FZK_UNROLL
    for (int i = 0; i < 8; i += 2) {
        s[i] = _mm256_unpacklo_ps(r[i], r[i + 1]);
        s[i + 1] = _mm256_unpackhi_ps(r[i], r[i + 1]);
    }
    FZK_UNROLL
    for (int i = 0; i < 8; i += 4) {
        r[i] = _mm256_shuffle_ps(s[i], s[i + 2], 0x44);
        r[i + 1] = _mm256_shuffle_ps(s[i], s[i + 2], 0xEE);
        r[i + 2] = _mm256_shuffle_ps(s[i + 1], s[i + 3], 0x44);
        r[i + 3] = _mm256_shuffle_ps(s[i + 1], s[i + 3], 0xEE);
    }
    FZK_UNROLL
    for (int i = 0; i < 4; i++) {
        _mm256_storeu_ps(to + i * FZK_PANEL, _mm256_permute2f128_ps(r[i], r[i + 4], 0x20));
        _mm256_storeu_ps(to + (i + 4) * FZK_PANEL, _mm256_permute2f128_ps(r[i], r[i + 4], 0x31));
    }
}

#include "tiles/pack_b_f32_panel.h"

void fzk_pack_b_f32_avx2(const struct fzk_pack_b_f32 *p) {
    if (p->row_stride != 1 || p->col_stride == 1) fzk_pack_b_f32_v3(p);
    else pack_transposed(p);
}
