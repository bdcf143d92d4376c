/* The depthwise integer convolution for Arm's i8mm: usdot takes u8 as they are. s8 go the way of
 * dotprod. */
#include "arm.h"

#define QISA i8mm_u8
enum { A_AS_S8 = 0 };
#include "qdwconv_group.h"

FZK_INLINE int32x4_t q_dot(int32x4_t acc, uint8x16_t a, int8x16_t w) {
    return vusdotq_s32(acc, a, w);
}

void fzk_qdwconv_u8s8_i8mm_u8(const struct fzk_qdwconv *d);

#include "qdwconv_quads.h"
#include "qdwconv_tile.h"

void fzk_qdwconv_u8s8_i8mm(const struct fzk_qdwconv *d) {
    if (d->a_signed) fzk_qdwconv_u8s8_dotprod(d);
    else fzk_qdwconv_u8s8_i8mm_u8(d);
}
