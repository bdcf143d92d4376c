/* Conversions between binary16 and binary32 for NEON, by the instructions for them. These round to
 * nearest even and keep subnormals; a NaN becomes the canonical one on the way to binary16. */
#include "arm.h"

enum { LANES = 4, WIDE_LANES = 16 };

FZK_INLINE float32x4_t widen(uint16x4_t x) { return vcvt_f32_f16(vreinterpret_f16_u16(x)); }

FZK_INLINE uint16x4_t narrow(float32x4_t x) {
    uint16x4_t h = vreinterpret_u16_f16(vcvt_f16_f32(x)), number = vmovn_u32(vceqq_f32(x, x));
    return vbsl_u16(number, h, vdup_n_u16(0x7E00));
}

void fzk_f16_to_f32_neon(float *y, const uint16_t *x, int64_t n) {
    FZK_NO_UNROLL
    for (; n >= WIDE_LANES; n -= WIDE_LANES, x += WIDE_LANES, y += WIDE_LANES) {
        FZK_UNROLL
        for (int i = 0; i < WIDE_LANES; i += LANES) vst1q_f32(y + i, widen(vld1_u16(x + i)));
    }
    FZK_NO_UNROLL
    for (; n > 0; n--) vst1q_lane_f32(y++, widen(vld1_dup_u16(x++)), 0);
}

void fzk_f32_to_f16_neon(uint16_t *y, const float *x, int64_t n) {
    FZK_NO_UNROLL
    for (; n >= WIDE_LANES; n -= WIDE_LANES, x += WIDE_LANES, y += WIDE_LANES) {
        FZK_UNROLL
        for (int i = 0; i < WIDE_LANES; i += LANES) vst1_u16(y + i, narrow(vld1q_f32(x + i)));
    }
    FZK_NO_UNROLL
    for (; n > 0; n--) vst1_lane_u16(y++, narrow(vld1q_dup_f32(x++)), 0);
}
