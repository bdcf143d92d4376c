/* The rows of the integer GEMM: what the hand-written versions of every instruction set share.
 * Included where A_AS_S8 (qgemm_panel.h) and BLOCK_ROWS are defined.
 *
 * The zero points enter through the initial values of the sums, for
 *     sum (a - za)(b - zb) = sum a b - za * sum b + zb * (k * za - sum a)   (modulo 2^32). */
#ifndef FZ_KERNELS_QGEMM_BLOCK_H
#define FZ_KERNELS_QGEMM_BLOCK_H

#include "qgemm_panel.h"

/* Some rows of A and C, on their way through all panels. */
struct block {
    int64_t rows, kq; /* kq: quads of k */
    int64_t a_row[BLOCK_ROWS], c_row[BLOCK_ROWS], r_row[BLOCK_ROWS];
    float row_scale[BLOCK_ROWS];
    uint32_t minus_za[BLOCK_ROWS], excess[BLOCK_ROWS]; /* -za, and k * za - sum of a */
    uint32_t *wide; /* the rows made ready for the tiles, or NULL */
};

/* Sum of a row's bytes, as multiplied. */
static uint32_t row_sum(const struct fzk_qgemm *g, const uint8_t *a) {
    uint32_t sum = 0;
    uint8_t flip = g->a_signed ? 0x80 : 0; /* to u8, whose sums need no sign */
    for (int64_t i = 0; i < g->n_segments; i++)
        for (int64_t k = 0; k < g->segments[i].len; k++)
            sum += (uint8_t)(a[g->segments[i].off + k] ^ flip);
    bool s8 = A_AS_S8 == 1 || (A_AS_S8 == 2 && g->a_signed);
    return s8 ? sum - 128 * (uint32_t)g->k : sum;
}

/* Offsets of rows I0 .. I0 + ROWS, STEP apart, of runs of RUN rows (0: one run). */
static inline void fill_rows(int64_t i0, int64_t rows, int64_t run, int64_t step,
                             int64_t run_stride, int64_t *offsets) {
    int64_t y = run ? i0 / run : 0, x = i0 - y * run;
    for (int64_t r = 0; r < rows; x = 0, y++) {
        int64_t count = run && run - x < rows - r ? run - x : rows - r;
        int64_t at = y * run_stride + x * step;
        for (int64_t l = 0; l < count; l++, at += step) offsets[r + l] = at;
        r += count;
    }
}

static inline void fill_zero_points(const struct fzk_qgemm *g, int64_t i0, struct block *k) {
    for (int64_t r = 0; r < k->rows; r++) {
        uint32_t za = (uint32_t)(g->za_rows ? g->za_rows[i0 + r] : g->za) + a_offset(g->a_signed);
        k->minus_za[r] = -za;
        const uint8_t *a = (const uint8_t *)g->a + k->a_row[r];
        k->excess[r] = g->zb ? (uint32_t)g->k * za - row_sum(g, a) : 0;
    }
}

static inline void fill_block(const struct fzk_qgemm *g, int64_t i0, int64_t rows,
                              struct block *k) {
    const struct fzk_qout *o = &g->out;
    k->rows = rows;
    fill_rows(i0, rows, g->run, g->lda, g->run_stride, k->a_row);
    fill_rows(i0, rows, g->run, o->ldc, o->c_run_stride, k->c_row);
    if (o->residual) fill_rows(i0, rows, g->run, o->ldr, o->r_run_stride, k->r_row);
    if (o->kind == FZK_QOUT_F32)
        for (int64_t r = 0; r < rows; r++)
            k->row_scale[r] = o->row_scale ? o->row_scale[i0 + r] : o->a_scale;
    if (g->za_rows || g->zb) fill_zero_points(g, i0, k);
}

/* Initial sums of a tile whose rows have zero points of their own, or whose weights have some. */
static void fill_init(const struct fzk_qgemm *g, const struct block *k, const struct panel *p,
                      int64_t r0, int64_t rows, int64_t j, int32_t (*init)[FZK_PANEL]) {
    for (int64_t r = 0; r < rows; r++) {
        uint32_t minus_za = k->minus_za[r0 + r], excess = k->excess[r0 + r];
        for (int l = 0; l < FZK_PANEL; l++) {
            uint32_t x = (uint32_t)p->init[l] + minus_za * (uint32_t)g->col_sum[j + l];
            init[r][l] = (int32_t)(x + excess * (uint32_t)p->zb[l]);
        }
    }
}

#endif
