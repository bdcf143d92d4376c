/* A matrix with any strides into the GEMM's panels [ceil(n/32)][K][32], zero past n. */
#include "kernel.h"

/* Rows lie in memory one element after the other (a transposed matrix): 16 of k at a time, so that
 * what is written stays in the first-level cache. */
static void columns(float *to, const float *b, int64_t k, int64_t width, int64_t row_stride,
                    int64_t col_stride) {
    for (int64_t k0 = 0; k0 < k; k0 += 16) {
        int64_t n = k - k0 < 16 ? k - k0 : 16;
        for (int64_t j = 0; j < width; j++)
            for (int64_t i = 0; i < n; i++)
                to[(k0 + i) * FZK_PANEL + j] = b[(k0 + i) * row_stride + j * col_stride];
    }
}

/* Half a panel's row of WIDTH numbers, the rest zero; whole ones need no call. */
static inline void half_row(float *to, const float *b, int64_t width) {
    enum { HALF = FZK_PANEL / 2 };
    if (width >= HALF) {
        memcpy(to, b, HALF * sizeof *to);
        return;
    }
    memset(to, 0, HALF * sizeof *to);
    for (int64_t j = 0; j < width; j++) to[j] = b[j];
}

static void rows(float *to, const float *b, int64_t k, int64_t width, int64_t row_stride) {
    for (int64_t i = 0; i < k; i++, to += FZK_PANEL, b += row_stride) {
        half_row(to, b, width);
        half_row(to + FZK_PANEL / 2, b + FZK_PANEL / 2, width - FZK_PANEL / 2);
    }
}

void FZK_NAME(pack_b_f32)(const struct fzk_pack_b_f32 *p) {
    for (int64_t j = 0; j < p->n; j += FZK_PANEL) {
        int64_t width = p->n - j < FZK_PANEL ? p->n - j : FZK_PANEL;
        const float *b = p->b + j * p->col_stride;
        float *to = p->to + j * p->k;
        if (p->col_stride == 1) {
            rows(to, b, p->k, width, p->row_stride);
            continue;
        }
        if (width < FZK_PANEL) memset(to, 0, (size_t)p->k * FZK_PANEL * sizeof *to);
        columns(to, b, p->k, width, p->row_stride, p->col_stride);
    }
}
