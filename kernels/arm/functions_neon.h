/* NEON's vectors in the terms of functions_tile.h: a look into a table of 16 floats is one tbl over
 * the 64 bytes of four registers. Its indices count bytes; they are made once for all tables.
 * Minimum and maximum keep NaN whichever argument it is, which no function here can tell. */
#ifndef FZ_KERNELS_FUNCTIONS_NEON_H
#define FZ_KERNELS_FUNCTIONS_NEON_H

#include "arm.h"

typedef float32x4_t VEC;
typedef uint32x4_t IDX;
enum { LANES = 4, WIDE = 4 };

FZK_INLINE uint32x4_t v_bits(VEC x) { return vreinterpretq_u32_f32(x); }
FZK_INLINE VEC v_of_bits(uint32x4_t x) { return vreinterpretq_f32_u32(x); }

FZK_INLINE VEC v_set(float x) { return vdupq_n_f32(x); }
FZK_INLINE VEC v_fma(VEC a, VEC b, VEC c) { return vfmaq_f32(c, a, b); }
FZK_INLINE VEC v_fnma(VEC a, VEC b, VEC c) { return vfmsq_f32(c, a, b); }
FZK_INLINE VEC v_add(VEC a, VEC b) { return vaddq_f32(a, b); }
FZK_INLINE VEC v_sub(VEC a, VEC b) { return vsubq_f32(a, b); }
FZK_INLINE VEC v_mul(VEC a, VEC b) { return vmulq_f32(a, b); }
FZK_INLINE VEC v_div(VEC a, VEC b) { return vdivq_f32(a, b); }
FZK_INLINE VEC v_min(VEC a, VEC b) { return vminq_f32(a, b); }
FZK_INLINE VEC v_max(VEC a, VEC b) { return vmaxq_f32(a, b); }

FZK_INLINE uint32x4_t v_sign_bit(void) { return vdupq_n_u32(1u << 31); }
FZK_INLINE VEC v_abs(VEC x) { return vabsq_f32(x); }
FZK_INLINE VEC v_negative_abs(VEC x) { return v_of_bits(vorrq_u32(v_bits(x), v_sign_bit())); }
FZK_INLINE VEC v_with_sign(VEC y, VEC x) { return vbslq_f32(v_sign_bit(), x, y); }
FZK_INLINE VEC v_if_signed(VEC x, VEC a, VEC b) {
    return vbslq_f32(vcltzq_s32(vreinterpretq_s32_f32(x)), a, b);
}

FZK_INLINE IDX v_index(VEC x, int shift) {
    return shift ? vshlq_u32(v_bits(x), vdupq_n_s32(-shift)) : v_bits(x);
}
/* The bytes of element I & MASK. */
FZK_INLINE uint8x16_t v_bytes(IDX i, uint32_t mask) {
    uint32x4_t first = vdupq_n_u32(0x03020100), step = vdupq_n_u32(0x04040404);
    return vreinterpretq_u8_u32(vmlaq_u32(first, vandq_u32(i, vdupq_n_u32(mask)), step));
}
FZK_INLINE VEC v_look8(const float *t, IDX i) {
    uint8x16x2_t table = vld1q_u8_x2((const uint8_t *)t);
    return vreinterpretq_f32_u8(vqtbl2q_u8(table, v_bytes(i, 7)));
}
FZK_INLINE VEC v_look16(const float *t, IDX i) {
    uint8x16x4_t table = vld1q_u8_x4((const uint8_t *)t);
    return vreinterpretq_f32_u8(vqtbl4q_u8(table, v_bytes(i, 15)));
}
FZK_INLINE VEC v_look16_from(float from, VEC g, VEC x, const float *t, IDX i) {
    return vbslq_f32(vcltq_f32(g, v_set(from)), x, v_look16(t, i));
}

/* The powers of two 2^(k/2) and 2^(k - k/2). */
FZK_INLINE VEC v_exp_scale(VEC y, VEC t, VEC k) {
    (void)k;
    uint32x4_t n = vshrq_n_u32(v_bits(t), 3), half = vshrq_n_u32(v_bits(t), 4);
    y = v_mul(y, v_of_bits(vshlq_n_u32(half, 23)));
    return v_mul(y, v_of_bits(vshlq_n_u32(vsubq_u32(n, half), 23)));
}
/* 2^(k + 64) is a normal number for k >= -151; 2^-64 rounds. */
FZK_INLINE VEC v_exp_scale_down(VEC y, VEC t, VEC k) {
    (void)k;
    uint32x4_t n = vsubq_u32(v_bits(t), vdupq_n_u32((254 - 127 - 64) * 8));
    return v_mul(v_mul(y, v_of_bits(vshlq_n_u32(vshrq_n_u32(n, 3), 23))), v_set(0x1p-64f));
}

FZK_INLINE VEC v_load(const float *p, int64_t n) {
    if (n >= LANES) return vld1q_f32(p);
    VEC v = v_set(0);
    if (n > 0) v = vld1q_lane_f32(p, v, 0);
    if (n > 1) v = vld1q_lane_f32(p + 1, v, 1);
    if (n > 2) v = vld1q_lane_f32(p + 2, v, 2);
    return v;
}
FZK_INLINE void v_store(float *p, VEC v, int64_t n) {
    if (n >= LANES) {
        vst1q_f32(p, v);
        return;
    }
    if (n > 0) vst1q_lane_f32(p, v, 0);
    if (n > 1) vst1q_lane_f32(p + 1, v, 1);
    if (n > 2) vst1q_lane_f32(p + 2, v, 2);
}

FZK_INLINE VEC v_fill(VEC v, int64_t n, VEC x) {
    static const int32_t number[LANES] = {0, 1, 2, 3};
    int32_t there = n < 0 ? 0 : n > LANES ? LANES : (int32_t)n;
    return vbslq_f32(vcltq_s32(vld1q_s32(number), vdupq_n_s32(there)), v, x);
}
FZK_INLINE float v_fold_max(VEC x) { return vmaxvq_f32(x); }
/* Lanes l + 8, then + 4, + 2, + 1. */
FZK_INLINE float v_fold_sum(const VEC *s) {
    VEC x = v_add(v_add(s[0], s[2]), v_add(s[1], s[3]));
    float32x2_t y = vadd_f32(vget_low_f32(x), vget_high_f32(x));
    return vget_lane_f32(y, 0) + vget_lane_f32(y, 1);
}

#include "tiles/functions_tile.h"

#endif
