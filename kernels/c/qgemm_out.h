/* What becomes of an int32 sum: the bits of requantising and of float output. */
#ifndef FZ_KERNELS_QGEMM_OUT_H
#define FZ_KERNELS_QGEMM_OUT_H

#include "kernel.h"

/* min(max(rne(t) + zp, lo), hi) as if exact; NaN counts as t = 0. The clamp comes first: it has
 * integer bounds, so it commutes with rounding, and leaves |t| <= 383. There t + 1.5 * 2^23 has the
 * unit 1 in its last place, so the addition rounds to an integer, ties to even. */
static inline int32_t fzk_q_round(float t, int32_t zp, int32_t lo, int32_t hi) {
    const float magic = 12582912.0f;
    float least = (float)(lo - zp), most = (float)(hi - zp);
    t = t == t ? t : 0.0f;
    t = t < least ? least : t;
    t = t > most ? most : t;
    return (int32_t)((t + magic) - magic) + zp;
}

/* The element of A, C or the residual where row i begins. */
static inline int64_t fzk_q_row(int64_t i, int64_t run, int64_t ld, int64_t run_stride) {
    return run ? i / run * run_stride + i % run * ld : i * ld;
}

static inline void fzk_q_out_8(const struct fzk_qout *o, const int32_t *acc, int64_t j,
                               int64_t count, uint8_t *c) {
    int32_t zp = o->zp, lo = o->lo, hi = o->hi;
    float scale[FZK_PANEL];
    for (int64_t l = 0; l < count; l++) scale[l] = o->scale[o->n_scale == 1 ? 0 : j + l];
    for (int64_t l = 0; l < count; l++)
        c[l] = (uint8_t)fzk_q_round((float)acc[l] * scale[l], zp, lo, hi);
}

static inline void fzk_q_out_f32(const struct fzk_qout *o, const int32_t *acc, int64_t i, int64_t j,
                                 int64_t count, const float *residual, float *c) {
    float row_scale = o->row_scale ? o->row_scale[i] : o->a_scale, y[FZK_PANEL];
    for (int64_t l = 0; l < count; l++)
        y[l] = (float)acc[l] * (row_scale * o->scale[o->n_scale == 1 ? 0 : j + l]);
    for (int64_t l = 0; o->bias_f32 && l < count; l++) y[l] = y[l] + o->bias_f32[j + l];
    for (int64_t l = 0; residual && l < count; l++) y[l] = y[l] + residual[l];
    for (int64_t l = 0; o->clip && l < count; l++) {
        float t = o->lo_f > y[l] ? o->lo_f : y[l];
        y[l] = o->hi_f < t ? o->hi_f : t;
    }
    memcpy(c, y, (size_t)count * sizeof *c);
}

/* Writes COUNT <= 32 columns from column J on of row I. */
static inline void fzk_q_out(const struct fzk_qout *o, int64_t run, const uint32_t *sums,
                             int64_t i, int64_t j, int64_t count) {
    int64_t at = fzk_q_row(i, run, o->ldc, o->c_run_stride) + j;
    int32_t acc[FZK_PANEL];
    for (int64_t l = 0; l < count; l++)
        acc[l] = (int32_t)(sums[l] + (o->bias_i32 ? (uint32_t)o->bias_i32[j + l] : 0));
    if (o->kind == FZK_QOUT_I32) {
        memcpy((int32_t *)o->c + at, acc, (size_t)count * sizeof *acc);
    } else if (o->kind == FZK_QOUT_8) {
        fzk_q_out_8(o, acc, j, count, (uint8_t *)o->c + at);
    } else {
        const float *residual = o->residual;
        if (residual) residual += fzk_q_row(i, run, o->ldr, o->r_run_stride) + j;
        fzk_q_out_f32(o, acc, i, j, count, residual, (float *)o->c + at);
    }
}

#endif
