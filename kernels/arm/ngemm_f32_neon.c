/* Products with narrow weights for NEON. */
#include <string.h>

#include "arm.h"

enum { LANES = 4, MAX_ROWS = 4, SLIM = 4, WIDE = 4, LOOKS_UP = 0 };
typedef float32x4_t vec;
typedef uint32x4_t words;
typedef vec table;

FZK_INLINE vec splat(float x) { return vdupq_n_f32(x); }
FZK_INLINE vec load(const float *p) { return vld1q_f32(p); }
FZK_INLINE vec load_some(const float *p, int64_t n) {
    float some[LANES] = {0};
    if (n >= LANES) return load(p);
    for (int64_t i = 0; i < n; i++) some[i] = p[i];
    return load(some);
}
FZK_INLINE void store_some(float *p, vec x, int64_t n) {
    float some[LANES];
    if (n >= LANES) {
        vst1q_f32(p, x);
        return;
    }
    vst1q_f32(some, x);
    for (int64_t i = 0; i < n; i++) p[i] = some[i];
}
FZK_INLINE vec add(vec a, vec b) { return vaddq_f32(a, b); }
FZK_INLINE vec sub(vec a, vec b) { return vsubq_f32(a, b); }
FZK_INLINE vec mul(vec a, vec b) { return vmulq_f32(a, b); }
FZK_INLINE vec muladd(vec a, vec b, vec c) { return vfmaq_f32(c, a, b); }
/* Comparisons, for fmin and fmax of Arm differ in NaN and -0 from the rule. */
FZK_INLINE vec clamp(vec x, float lo, float hi) {
    vec t = vbslq_f32(vcgtq_f32(splat(lo), x), splat(lo), x);
    return vbslq_f32(vcltq_f32(splat(hi), t), splat(hi), t);
}
FZK_INLINE vec halves(const uint16_t *p) {
    return vcvt_f32_f16(vreinterpret_f16_u16(vld1_u16(p)));
}
FZK_INLINE vec bhalves(const uint16_t *p) {
    return vreinterpretq_f32_u32(vshll_n_u16(vld1_u16(p), 16));
}
FZK_INLINE vec bytes(const uint8_t *p) {
    uint32_t four;
    memcpy(&four, p, sizeof four);
    uint8x8_t b = vcreate_u8(four);
    return vcvtq_f32_u32(vmovl_u16(vget_low_u16(vmovl_u8(b))));
}
FZK_INLINE words load_words(const uint32_t *p) { return vld1q_u32(p); }
FZK_INLINE words shift(words w, int n) { return vshlq_u32(w, vdupq_n_s32(-n)); }

FZK_INLINE table make_table(int form, int32_t middle) {
    (void)form;
    return splat((float)middle);
}
FZK_INLINE vec field(int form, words w, int i) {
    const int bits = form == 3 ? 4 : 2;
    words q = i ? shift(w, i * bits) : w;
    return vcvtq_f32_u32(vandq_u32(q, vdupq_n_u32((1u << bits) - 1)));
}
FZK_INLINE vec lookup(int form, words w, int i, const table *values) {
    return sub(field(form, w, i), *values);
}

#include "tiles/ngemm_f32_tile.h"

void fzk_ngemm_f32_neon(const struct fzk_ngemm_f32 *g) { multiply(g); }

void fzk_narrow_to_f32_neon(float *to, const struct fzk_narrow *w, int64_t panels) {
    unpack(to, w, panels);
}
