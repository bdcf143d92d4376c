/* For NEON: rounded numbers become bytes, with a zero point and saturation. */
#ifndef FZ_KERNELS_ARM_BYTES_H
#define FZ_KERNELS_ARM_BYTES_H

#include <string.h>

#include "arm.h"

/* -128 <= zp <= 255, -128 <= lo <= hi <= 255. */
struct ending {
    int16x8_t zp, lo, hi;
};

FZK_INLINE struct ending ending_of(int32_t zp, int32_t lo, int32_t hi) {
    return (struct ending){vdupq_n_s16((int16_t)zp), vdupq_n_s16((int16_t)lo),
                           vdupq_n_s16((int16_t)hi)};
}

/* min(max(x + zp, lo), hi) of eight numbers: 16 bits that saturate hold everything that zp and the
 * clamp can still tell apart. */
FZK_INLINE uint8x8_t end_8(int32x4_t x0, int32x4_t x1, struct ending e) {
    int16x8_t x = vqaddq_s16(vqmovn_high_s32(vqmovn_s32(x0), x1), e.zp);
    return vreinterpret_u8_s8(vmovn_s16(vminq_s16(vmaxq_s16(x, e.lo), e.hi)));
}
FZK_INLINE uint8x16_t end_16(const int32x4_t x[4], struct ending e) {
    return vcombine_u8(end_8(x[0], x[1], e), end_8(x[2], x[3], e));
}

/* fcvtns rounds to nearest even, saturates, and makes 0 of NaN. */
FZK_INLINE int32x4_t rounded(float32x4_t x) { return vcvtnq_s32_f32(x); }

#endif
