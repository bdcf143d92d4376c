/* The depthwise integer convolution: the definition, tap by tap, modulo 2^32. */
#include "qgemm_out.h"

/* Adds four taps of 32 channels, WIDTH of them real, of one output pixel. */
static inline void add_quad(const uint8_t *const pixel[FZK_QUAD], const int8_t *w, int64_t width,
                            uint8_t flip, int32_t za, uint32_t sums[FZK_PANEL]) {
    for (int64_t j = 0; j < width; j++) {
        int32_t sum = 0;
        for (int t = 0; t < FZK_QUAD; t++)
            sum += ((int32_t)(uint8_t)(pixel[t][j] ^ flip) - za) * w[j * FZK_QUAD + t];
        sums[j] += (uint32_t)sum;
    }
}

/* Adds one kernel row. Taps that only fill the last quad have zero weights; they read the last
 * real tap's pixel. */
static inline void add_row(const struct fzk_qdwconv *d, const uint8_t *a, const int8_t *w,
                           int64_t width, uint32_t sums[FZK_PANEL]) {
    uint8_t flip = d->a_signed ? 0x80 : 0;
    for (int64_t s = 0; s < d->kw; s += FZK_QUAD, w += FZK_PANEL * FZK_QUAD) {
        const uint8_t *pixel[FZK_QUAD];
        for (int64_t t = 0; t < FZK_QUAD; t++)
            pixel[t] = a + (s + t < d->kw ? s + t : d->kw - 1) * d->dilation_x * d->a_col;
        if (width == FZK_PANEL) add_quad(pixel, w, FZK_PANEL, flip, d->za + flip, sums);
        else add_quad(pixel, w, width, flip, d->za + flip, sums);
    }
}

void FZK_NAME(qdwconv_u8s8)(const struct fzk_qdwconv *d) {
    int64_t row_size = (d->kw + FZK_QUAD - 1) / FZK_QUAD * FZK_PANEL * FZK_QUAD;
    int64_t rows = d->twice ? 2 * d->kh : d->kh;
    for (int64_t i = 0; i < d->m_rows * d->m_cols; i++) {
        const uint8_t *corner = (const uint8_t *)d->a + i / d->m_cols * d->stride_y * d->a_row +
                                i % d->m_cols * d->stride_x * d->a_col;
        for (int64_t c0 = 0; c0 < d->c; c0 += FZK_PANEL) {
            int64_t width = d->c - c0 < FZK_PANEL ? d->c - c0 : FZK_PANEL;
            uint32_t sums[FZK_PANEL] = {0};
            for (int64_t r = 0; r < rows; r++) {
                const uint8_t *a = corner + r % d->kh * d->dilation_y * d->a_row + c0;
                const int8_t *w = d->w + (c0 / FZK_PANEL * rows + r) * row_size;
                add_row(d, a, w, width, sums);
            }
            fzk_q_out(&d->out, d->m_cols, sums, i, c0, width);
        }
    }
}
