/* Packing of a transposed matrix (row_stride = 1) for AVX2: blocks of 8 x 8 turned in registers.
 * What is not transposed is copied by the version of c/ that is compiled for the same level. */
#include <immintrin.h>

#include "x86.h"

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

/* A panel of WIDTH columns; what does not fill a block goes element by element. */
static void panel(float *to, const float *b, int64_t k, int64_t width, int64_t col_stride) {
    for (int64_t k0 = 0; k0 < k; k0 += 8)
        for (int64_t j0 = 0; j0 < FZK_PANEL; j0 += 8) {
            if (k0 + 8 <= k && j0 + 8 <= width) {
                turn(to + k0 * FZK_PANEL + j0, b + j0 * col_stride + k0, col_stride);
                continue;
            }
            for (int64_t i = k0; i < k0 + 8 && i < k; i++)
                for (int64_t j = j0; j < j0 + 8; j++)
                    to[i * FZK_PANEL + j] = j < width ? b[j * col_stride + i] : 0.0f;
        }
}

void fzk_pack_b_f32_avx2(const struct fzk_pack_b_f32 *p) {
    if (p->row_stride != 1 || p->col_stride == 1) {
        fzk_pack_b_f32_v3(p);
        return;
    }
    for (int64_t j = 0; j < p->n; j += FZK_PANEL) {
        int64_t width = p->n - j < FZK_PANEL ? p->n - j : FZK_PANEL;
        panel(p->to + j * p->k, p->b + j * p->col_stride, p->k, width, p->col_stride);
    }
}
