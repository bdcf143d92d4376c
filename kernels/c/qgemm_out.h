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

/* The element of C (or of the residual) for row i, column 0. */
static inline int64_t fzk_q_row(int64_t i, int64_t run, int64_t ld, int64_t run_stride) {
    return run ? i / run * run_stride + i % run * ld : i * ld;
}

static inline float fzk_q_float(const struct fzk_qout *o, int32_t acc, int64_t i, int64_t j,
                                const float *residual) {
    float row_scale = o->row_scale ? o->row_scale[i] : o->a_scale;
    float scale = row_scale * o->scale[o->n_scale == 1 ? 0 : j];
    float y = (float)acc * scale;
    if (o->bias_f32) y = y + o->bias_f32[j];
    if (residual) y = y + residual[j];
    if (o->clip) {
        float t = o->lo_f > y ? o->lo_f : y;
        y = o->hi_f < t ? o->hi_f : t;
    }
    return y;
}

/* Writes COUNT columns from column J on of row I. */
static inline void fzk_q_out(const struct fzk_qout *o, int64_t run, const uint32_t *sums,
                             int64_t i, int64_t j, int64_t count) {
    int64_t at = fzk_q_row(i, run, o->ldc, o->c_run_stride) + j;
    const float *residual =
        o->residual ? o->residual + fzk_q_row(i, run, o->ldr, o->r_run_stride) : NULL;
    for (int64_t l = 0; l < count; l++) {
        uint32_t bias = o->bias_i32 ? (uint32_t)o->bias_i32[j + l] : 0;
        int32_t acc = (int32_t)(sums[l] + bias);
        if (o->kind == FZK_QOUT_I32) {
            ((int32_t *)o->c)[at + l] = acc;
        } else if (o->kind == FZK_QOUT_8) {
            float t = (float)acc * o->scale[o->n_scale == 1 ? 0 : j + l];
            ((uint8_t *)o->c)[at + l] = (uint8_t)fzk_q_round(t, o->zp, o->lo, o->hi);
        } else {
            ((float *)o->c)[at + l] = fzk_q_float(o, acc, i, j + l, residual);
        }
    }
}

#endif
