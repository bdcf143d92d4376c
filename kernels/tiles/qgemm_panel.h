/* The columns of the integer kernels, 32 at a time: what the hand-written versions of every
 * instruction set share. Included where A_AS_S8 is defined: 1 if the kernel multiplies A as s8, 0
 * if as u8, 2 if as what it is. Bytes of the other kind have their top bit flipped, which adds or
 * takes 128 from them and from their zero point. */
#ifndef FZ_KERNELS_QGEMM_PANEL_H
#define FZ_KERNELS_QGEMM_PANEL_H

#include <stdbool.h>
#include <string.h>

#include "kernels.h"
#include "tiles/unroll.h"

/* What flips the top bit of A's bytes where that is needed, else 0. */
static inline uint8_t a_flip(bool a_signed) {
    return A_AS_S8 == 2 || a_signed == (A_AS_S8 == 1) ? 0 : 0x80;
}

/* What the flip adds to bytes of A, modulo 2^32. */
static inline uint32_t a_offset(bool a_signed) {
    return !a_flip(a_signed) ? 0 : A_AS_S8 ? -128u : 128u;
}

/* Columns of one panel, padded to 32. */
struct panel {
    int32_t init[FZK_PANEL] __attribute__((aligned(64)));
    float scale[FZK_PANEL] __attribute__((aligned(64)));
    float bias[FZK_PANEL] __attribute__((aligned(64)));
    int32_t zb[FZK_PANEL] __attribute__((aligned(64)));
};

/* A NaN scale makes every t NaN, which counts as 0. An infinite one gives NaN for a sum of 0, else
 * saturates: so does the largest finite number. */
FZK_INLINE float bounded(float scale) {
    if (scale != scale) return 0;
    const float most = 0x1.fffffep127f;
    scale = scale > most ? most : scale;
    return scale < -most ? -most : scale;
}

FZK_INLINE void fill_columns(const struct fzk_qgemm *g, int64_t j, int64_t width, struct panel *p) {
    const struct fzk_qout *o = &g->out;
    uint32_t za = (uint32_t)g->za + a_offset(g->a_signed);
    if (g->za_rows || g->zb) za = 0;
    for (int64_t l = 0; l < width; l++) p->init[l] = (int32_t)(-za * (uint32_t)g->col_sum[j + l]);
    if (o->bias_i32)
        for (int64_t l = 0; l < width; l++)
            p->init[l] = (int32_t)((uint32_t)p->init[l] + (uint32_t)o->bias_i32[j + l]);
    if (g->zb)
        for (int64_t l = 0; l < width; l++) p->zb[l] = g->zb[j + l];
    if (o->kind == FZK_QOUT_I32) return;
    if (o->n_scale != 1)
        for (int64_t l = 0; l < width; l++) p->scale[l] = o->scale[j + l];
    if (o->kind == FZK_QOUT_8)
        for (int64_t l = 0; l < width; l++) p->scale[l] = bounded(p->scale[l]);
    if (o->bias_f32)
        for (int64_t l = 0; l < width; l++) p->bias[l] = o->bias_f32[j + l];
}

/* An absent bias is -0: it changes no bit. */
static void clear_panel(struct panel *p) {
    memset(p, 0, sizeof *p);
    for (int l = 0; l < FZK_PANEL; l++) p->bias[l] = -0.0f;
}

/* Columns J .. J + 31; those past n keep what they have. */
static void fill_panel(const struct fzk_qgemm *g, int64_t j, struct panel *p) {
    if (g->out.kind != FZK_QOUT_I32 && g->out.n_scale == 1)
        for (int l = 0; l < FZK_PANEL; l++) p->scale[l] = g->out.scale[0];
    if (g->n - j >= FZK_PANEL) fill_columns(g, j, FZK_PANEL, p);
    else fill_columns(g, j, g->n - j, p);
}

#endif
