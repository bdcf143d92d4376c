/* Packing of a transposed matrix (row_stride = 1) by blocks that are turned in registers. The
 * including file defines
 *   SIDE, DEPTH                 columns of a block, its steps of k
 *   turn(to, b, col_stride)     one block into DEPTH rows of a panel */
#ifndef FZ_KERNELS_PACK_B_F32_PANEL_H
#define FZ_KERNELS_PACK_B_F32_PANEL_H

/* N rows of SIDE zeros. */
FZK_INLINE void clear(float *to, int64_t n) {
    for (int64_t i = 0; i < n; i++)
        for (int64_t j = 0; j < SIDE; j++) to[i * FZK_PANEL + j] = 0;
}

/* A panel of WIDTH columns; what does not fill a block goes element by element. */
static void panel(float *to, const float *b, int64_t k, int64_t width, int64_t col_stride) {
    for (int64_t k0 = 0; k0 < k; k0 += DEPTH)
        for (int64_t j0 = 0; j0 < FZK_PANEL; j0 += SIDE) {
            if (k0 + DEPTH <= k && j0 + SIDE <= width) {
                turn(to + k0 * FZK_PANEL + j0, b + j0 * col_stride + k0, col_stride);
                continue;
            }
            if (j0 >= width) {
                clear(to + k0 * FZK_PANEL + j0, k - k0 < DEPTH ? k - k0 : DEPTH);
                continue;
            }
            for (int64_t i = k0; i < k0 + DEPTH && i < k; i++)
                for (int64_t j = j0; j < j0 + SIDE; j++)
                    to[i * FZK_PANEL + j] = j < width ? b[j * col_stride + i] : 0.0f;
        }
}

static void pack_transposed(const struct fzk_pack_b_f32 *p) {
    for (int64_t j = 0; j < p->n; j += FZK_PANEL) {
        int64_t width = p->n - j < FZK_PANEL ? p->n - j : FZK_PANEL;
        panel(p->to + j * p->k, p->b + j * p->col_stride, p->k, width, p->col_stride);
    }
}

#endif
