/* The ends of the integer kernels for Arm: sums of columns become outputs. The bits are those of
 * c/qgemm_out.h. */
#ifndef FZ_KERNELS_ARM_QGEMM_FINISH_H
#define FZ_KERNELS_ARM_QGEMM_FINISH_H

#include "bytes.h"
#include "tiles/qgemm_panel.h"

#define CAT_(a, b) a##b
#define CAT(a, b) CAT_(a, b)

/* Some rows of sums on their way into C. Offsets and pointers are to the first row. */
struct finish {
    const int32_t (*sums)[FZK_PANEL];
    const struct fzk_qout *out;   /* its C and residual begin at the first column */
    int64_t n;                    /* columns, at most 32 */
    const int64_t *c_row, *r_row; /* offsets of the rows in C and the residual */
    const float *scale, *bias;    /* of the columns */
    const float *row_scale;       /* of the rows */
};

FZK_INLINE uint8x8_t requantise(int32x4_t acc0, int32x4_t acc1, float32x4_t scale0,
                                float32x4_t scale1, struct ending e) {
    return end_8(rounded(vmulq_f32(vcvtq_f32_s32(acc0), scale0)),
                 rounded(vmulq_f32(vcvtq_f32_s32(acc1), scale1)), e);
}

/* The first N of eight bytes, or all of them if N is more. */
FZK_INLINE void bytes_store(uint8_t *to, uint8x8_t bytes, int64_t n) {
    uint8_t all[8];
    if (n >= 8) vst1_u8(to, bytes);
    else {
        vst1_u8(all, bytes);
        memcpy(to, all, (size_t)n);
    }
}

/* Sixteen columns from column L on, or the last ones: at most eight, N of them. */
FZK_INLINE void finish_columns(const struct finish *f, int64_t rows, int64_t l, int64_t n,
                               const bool wide, struct ending e) {
    const int32_t *acc = f->sums[0] + l;
    const int64_t *c_row = f->c_row;
    uint8_t *c = (uint8_t *)f->out->c + l;
    float32x4_t scale[4];
    FZK_UNROLL
    for (int v = 0; v < 4; v++) scale[v] = vld1q_f32(f->scale + l + (wide ? 4 * v : 4 * (v % 2)));
    for (int64_t r = 0; r < rows; r++, acc += FZK_PANEL) {
        uint8x8_t low = requantise(vld1q_s32(acc), vld1q_s32(acc + 4), scale[0], scale[1], e);
        if (!wide) {
            bytes_store(c + c_row[r], low, n);
            continue;
        }
        uint8x8_t high = requantise(vld1q_s32(acc + 8), vld1q_s32(acc + 12), scale[2], scale[3], e);
        vst1q_u8(c + c_row[r], vcombine_u8(low, high));
    }
}

static void finish_8(const struct finish *f, int64_t rows) {
    const struct ending e = ending_of(f->out->zp, f->out->lo, f->out->hi);
    const int64_t n = f->n;
    int64_t l = 0;
    for (; l + 16 <= n; l += 16) finish_columns(f, rows, l, 16, true, e);
    for (; l < n; l += 8) finish_columns(f, rows, l, n - l, false, e);
}

static void finish_i32(const struct finish *f, int64_t rows) {
    for (int64_t r = 0; r < rows; r++)
        memcpy((int32_t *)f->out->c + f->c_row[r], f->sums[r], (size_t)f->n * 4);
}

/* The first N of four floats. */
FZK_INLINE float32x4_t floats_load(const float *p, int64_t n) {
    float all[4] = {0};
    if (n >= 4) return vld1q_f32(p);
    memcpy(all, p, (size_t)n * 4);
    return vld1q_f32(all);
}
FZK_INLINE void floats_store(float *p, float32x4_t v, int64_t n) {
    float all[4];
    if (n >= 4) vst1q_f32(p, v);
    else {
        vst1q_f32(all, v);
        memcpy(p, all, (size_t)n * 4);
    }
}

/* Absent bias and clip are -0 and the infinities: they change no bit. NaN and -0 pass the clip, as
 * they do not with fmax and fmin. */
static void finish_f32(const struct finish *f, int64_t rows) {
    float32x4_t lo = vdupq_n_f32(f->out->clip ? f->out->lo_f : -__builtin_inff());
    float32x4_t hi = vdupq_n_f32(f->out->clip ? f->out->hi_f : __builtin_inff());
    const int64_t n = f->n;
    for (int64_t r = 0; r < rows; r++) {
        float *c = (float *)f->out->c + f->c_row[r];
        const float *residual = f->out->residual ? f->out->residual + f->r_row[r] : NULL;
        for (int64_t l = 0; l < n; l += 4) {
            float32x4_t scale = vmulq_n_f32(vld1q_f32(f->scale + l), f->row_scale[r]);
            float32x4_t x = vmulq_f32(vcvtq_f32_s32(vld1q_s32(f->sums[r] + l)), scale);
            x = vaddq_f32(x, vld1q_f32(f->bias + l));
            if (residual) x = vaddq_f32(x, floats_load(residual + l, n - l));
            x = vbslq_f32(vcgtq_f32(lo, x), lo, x);
            floats_store(c + l, vbslq_f32(vcltq_f32(hi, x), hi, x), n - l);
        }
    }
}

static void finish_rows(const struct finish *f, int64_t rows) {
    if (f->out->kind == FZK_QOUT_8) finish_8(f, rows);
    else if (f->out->kind == FZK_QOUT_F32) finish_f32(f, rows);
    else finish_i32(f, rows);
}

#endif
