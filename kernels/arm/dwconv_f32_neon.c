/* The depthwise float convolution for NEON: 4 channels, tiles of 2 x 7 outputs. */
#include "fma.h"

/* The first N < 4 lanes. */
FZK_INLINE float32x4_t load_first(const float *p, int64_t n) {
    float32x4_t v = vld1q_lane_f32(p, vdupq_n_f32(0), 0);
    if (n > 1) v = vld1q_lane_f32(p + 1, v, 1);
    if (n > 2) v = vld1q_lane_f32(p + 2, v, 2);
    return v;
}

FZK_INLINE void store_first(float *p, int64_t n, float32x4_t v) {
    vst1q_lane_f32(p, v, 0);
    if (n > 1) vst1q_lane_f32(p + 1, v, 1);
    if (n > 2) vst1q_lane_f32(p + 2, v, 2);
}

#define VEC float32x4_t
#define MASK int64_t
#define LOAD(p, mask) load_first(p, mask)
#define LOAD_WHOLE(p) vld1q_f32(p)
#define STORE(p, mask, v) store_first(p, mask, v)
#define TILE_LOAD(p, mask) vld1q_f32(p)
#define TILE_STORE(p, mask, v) vst1q_f32(p, v)
#define TILE_MASKED 0
#define MEMORY_OPERANDS 0
#define FIRST(n) (n)
#define SPLAT(x) vdupq_n_f32(x)
#define ZERO() vdupq_n_f32(0)
#define ADD(a, b) vaddq_f32(a, b)
#define FMADD(a, b, c) fma4(c, a, b)
#define MIN(a, b) at_most(a, b)
#define MAX(a, b) at_least(a, b)
enum { LANES = 4, PIXELS = 7 };

#define FINISH fzk_finish_f32_c

#include "tiles/dwconv_f32_tile.h"

void fzk_dwconv_f32_neon(const struct fzk_dwconv_f32 *d) { dwconv(d); }
