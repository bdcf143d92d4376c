/* Packing of a transposed matrix (row_stride = 1) for NEON: blocks of 4 columns x 16 steps of k, a
 * whole cache line of each column. What is not transposed is copied by the version of c/. */
#include "arm.h"

enum { SIDE = 4, DEPTH = 16 };

/* Four columns of B, four of k, to four rows of a panel. */
FZK_INLINE void turn_four(float *to, const float *b, int64_t col_stride) {
    float32x4_t c0 = vld1q_f32(b), c1 = vld1q_f32(b + col_stride);
    float32x4_t c2 = vld1q_f32(b + 2 * col_stride), c3 = vld1q_f32(b + 3 * col_stride);
    float32x4x2_t low = vzipq_f32(c0, c2), high = vzipq_f32(c1, c3);
    float32x4x2_t first = vzipq_f32(low.val[0], high.val[0]);
    float32x4x2_t last = vzipq_f32(low.val[1], high.val[1]);
    vst1q_f32(to, first.val[0]);
    vst1q_f32(to + FZK_PANEL, first.val[1]);
    vst1q_f32(to + 2 * FZK_PANEL, last.val[0]);
    vst1q_f32(to + 3 * FZK_PANEL, last.val[1]);
}

FZK_INLINE void turn(float *to, const float *b, int64_t col_stride) {
    FZK_UNROLL
    for (int i = 0; i < DEPTH; i += 4) turn_four(to + i * FZK_PANEL, b + i, col_stride);
}

#include "tiles/pack_b_f32_panel.h"

void fzk_pack_b_f32_neon(const struct fzk_pack_b_f32 *p) {
    if (p->row_stride != 1 || p->col_stride == 1) fzk_pack_b_f32_c(p);
    else pack_transposed(p);
}
