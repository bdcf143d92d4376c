/* The packed integer GEMM: the definition, term by term, modulo 2^32. */
#include "qgemm_out.h"

/* Adds the LEN terms of one segment to 32 sums; returns the panel behind them. Taps that only fill
 * the last quad count as zero, whatever the zero points are. Four products of differences are below
 * 4 * 383 * 383, far inside 31 bits. */
static const int8_t *add_segment(const uint8_t *a, int64_t len, bool a_signed, int32_t za,
                                 const int8_t *b, const int32_t zb[FZK_PANEL],
                                 uint32_t sums[FZK_PANEL]) {
    for (int64_t k = 0; k < len; k += FZK_QUAD, b += FZK_PANEL * FZK_QUAD) {
        int32_t x[FZK_QUAD] = {0};
        for (int64_t t = 0; t < FZK_QUAD && k + t < len; t++)
            x[t] = (a_signed ? (int8_t)a[k + t] : a[k + t]) - za;
        for (int j = 0; j < FZK_PANEL; j++) {
            int32_t sum = 0;
            for (int t = 0; t < FZK_QUAD; t++) sum += x[t] * (b[j * FZK_QUAD + t] - zb[j]);
            sums[j] += (uint32_t)sum;
        }
    }
    return b;
}

void FZK_NAME(qgemm_u8s8)(const struct fzk_qgemm *g) {
    const int8_t *panel = g->b;
    int64_t kq = 0;
    for (int64_t s = 0; s < g->n_segments; s++) kq += (g->segments[s].len + 3) / FZK_QUAD;
    for (int64_t j = 0; j < g->n; j += FZK_PANEL, panel += kq * FZK_PANEL * FZK_QUAD) {
        int64_t width = g->n - j < FZK_PANEL ? g->n - j : FZK_PANEL;
        int32_t zb[FZK_PANEL] = {0};
        if (g->zb) memcpy(zb, g->zb + j, (size_t)width * sizeof *zb);
        for (int64_t i = 0; i < g->m; i++) {
            const uint8_t *a = (const uint8_t *)g->a + fzk_q_row(i, g->run, g->lda, g->run_stride);
            int32_t za = g->za_rows ? g->za_rows[i] : g->za;
            uint32_t sums[FZK_PANEL] = {0};
            const int8_t *b = panel;
            for (int64_t s = 0; s < g->n_segments; s++)
                b = add_segment(a + g->segments[s].off, g->segments[s].len, g->a_signed, za, b, zb,
                                sums);
            fzk_q_out(&g->out, g->run, sums, i, j, width);
        }
    }
}
