/* The depthwise integer convolution for Arm's dotprod. A enters as s8. */
#include "arm.h"

#define QISA dotprod
enum { A_AS_S8 = 1 };
#include "qdwconv_group.h"

FZK_INLINE int32x4_t q_dot(int32x4_t acc, uint8x16_t a, int8x16_t w) {
    return vdotq_s32(acc, vreinterpretq_s8_u8(a), w);
}

#include "qdwconv_quads.h"
#include "qdwconv_tile.h"
