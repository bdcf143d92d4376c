/* Elementwise kernels and pooling of 8-bit values for NEON. The bits are those of
 * c/qgemm_elementwise.c. */
#include <stdbool.h>

#include "bytes.h"
#include "c/qpool_window.h"

enum { ADD, MUL, STEP = 16, PARTS = STEP / 4 };

/* ---- addition and multiplication */

/* One operand: STEP is 1, or 0 for a scalar, and the top bit of s8 is flipped. */
struct operand {
    const uint8_t *data;
    int64_t step;
    uint8x16_t flip;
    uint16x8_t minus_za;
    float32x4_t scale, all;
};

FZK_INLINE void widen(uint8x16_t bytes, const struct operand *o, float32x4_t x[PARTS]) {
    uint8x16_t b = veorq_u8(bytes, o->flip);
    int16x8_t low = vreinterpretq_s16_u16(vaddw_u8(o->minus_za, vget_low_u8(b)));
    int16x8_t high = vreinterpretq_s16_u16(vaddw_high_u8(o->minus_za, b));
    x[0] = vmulq_f32(vcvtq_f32_s32(vmovl_s16(vget_low_s16(low))), o->scale);
    x[1] = vmulq_f32(vcvtq_f32_s32(vmovl_high_s16(low)), o->scale);
    x[2] = vmulq_f32(vcvtq_f32_s32(vmovl_s16(vget_low_s16(high))), o->scale);
    x[3] = vmulq_f32(vcvtq_f32_s32(vmovl_high_s16(high)), o->scale);
}

/* The first N of sixteen bytes, the others 0. */
FZK_INLINE uint8x16_t some_bytes(const uint8_t *p, int64_t n) {
    uint8_t all[STEP] = {0};
    if (n >= STEP) return vld1q_u8(p);
    memcpy(all, p, (size_t)n);
    return vld1q_u8(all);
}
FZK_INLINE void some_store(uint8_t *p, uint8x16_t bytes, int64_t n) {
    uint8_t all[STEP];
    if (n >= STEP) vst1q_u8(p, bytes);
    else {
        vst1q_u8(all, bytes);
        memcpy(p, all, (size_t)n);
    }
}

static struct operand operand_of(const void *data, int64_t step, int32_t za, float scale,
                                 uint8_t flip) {
    struct operand o = {.data = data, .step = step, .flip = vdupq_n_u8(flip),
                        .minus_za = vdupq_n_u16((uint16_t)-(za + flip)),
                        .scale = vdupq_n_f32(scale)};
    float32x4_t x[PARTS];
    widen(vdupq_n_u8(*(const uint8_t *)data), &o, x);
    o.all = x[0];
    return o;
}

/* Elements I .. I + N, at most 16. */
FZK_INLINE void values(const struct operand *o, int64_t i, int64_t n, float32x4_t x[PARTS]) {
    if (o->step) widen(some_bytes(o->data + i, n), o, x);
    else x[0] = x[1] = x[2] = x[3] = o->all;
}

FZK_INLINE uint8x16_t part(const struct operand *a, const struct operand *b, int64_t i, int64_t n,
                           float32x4_t sc, struct ending e, const int operation) {
    float32x4_t x[PARTS], y[PARTS];
    int32x4_t q[PARTS];
    values(a, i, n, x);
    values(b, i, n, y);
    FZK_UNROLL
    for (int p = 0; p < PARTS; p++) {
        float32x4_t r = operation == ADD ? vaddq_f32(x[p], y[p]) : vmulq_f32(x[p], y[p]);
        q[p] = rounded(vdivq_f32(r, sc));
    }
    return end_16(q, e);
}

FZK_INLINE void binary(const struct fzk_qbinary *q, const int operation) {
    if (q->n <= 0) return;
    const uint8_t flip = q->is_signed ? 0x80 : 0;
    const struct operand a = operand_of(q->a, q->a_step, q->za, q->sa, flip);
    const struct operand b = operand_of(q->b, q->b_step, q->zb, q->sb, flip);
    const struct ending e = ending_of(q->zc, q->lo, q->hi);
    const float32x4_t sc = vdupq_n_f32(q->sc);
    const int64_t n = q->n;
    uint8_t *c = q->c;
    int64_t i = 0;
    for (; i + STEP <= n; i += STEP) vst1q_u8(c + i, part(&a, &b, i, STEP, sc, e, operation));
    if (i < n) some_store(c + i, part(&a, &b, i, n - i, sc, e, operation), n - i);
}

void fzk_qadd_u8_neon(const struct fzk_qbinary *q) { binary(q, ADD); }
void fzk_qmul_u8_neon(const struct fzk_qbinary *q) { binary(q, MUL); }

/* ---- tables: 256 bytes in sixteen registers, looked up in four quarters */

/* An index outside of a quarter gives 0 at first, then leaves what was found. */
FZK_INLINE uint8x16_t look_up(uint8x16x4_t t0, uint8x16x4_t t1, uint8x16x4_t t2, uint8x16x4_t t3,
                              uint8x16_t x) {
    const uint8x16_t size = vdupq_n_u8(64);
    uint8x16_t x1 = vsubq_u8(x, size), x2 = vsubq_u8(x1, size), x3 = vsubq_u8(x2, size);
    uint8x16_t y = vqtbx4q_u8(vqtbl4q_u8(t0, x), t1, x1);
    return vqtbx4q_u8(vqtbx4q_u8(y, t2, x2), t3, x3);
}

void fzk_lut_u8_neon(const struct fzk_qlut *l) {
    const uint8_t *t = l->table, *x = l->x;
    const uint8x16x4_t t0 = vld1q_u8_x4(t), t1 = vld1q_u8_x4(t + 64), t2 = vld1q_u8_x4(t + 128),
                       t3 = vld1q_u8_x4(t + 192);
    const int64_t n = l->n;
    uint8_t *y = l->y;
    int64_t i = 0;
    for (; i + STEP <= n; i += STEP) vst1q_u8(y + i, look_up(t0, t1, t2, t3, vld1q_u8(x + i)));
    for (; i < n; i++) y[i] = t[x[i]];
}

/* ---- maximum pooling */

FZK_INLINE uint8x16_t greater(uint8x16_t a, uint8x16_t b, const bool is_signed) {
    if (!is_signed) return vmaxq_u8(a, b);
    return vreinterpretq_u8_s8(vmaxq_s8(vreinterpretq_s8_u8(a), vreinterpretq_s8_u8(b)));
}

/* VECTORS times 16 channels from IN, where the window's corner is; N of them if that is less. */
FZK_INLINE void max_channels(const struct window *w, const uint8_t *in, uint8_t *out, int64_t n,
                             const int vectors, const bool is_signed) {
    uint8x16_t most[4];
    FZK_UNROLL
    for (int v = 0; v < vectors; v++) most[v] = vdupq_n_u8(is_signed ? 0x80 : 0);
    for (int64_t r = w->r0; r < w->r1; r++)
        for (int64_t s = w->s0; s < w->s1; s++) {
            const uint8_t *tap = in + r * w->row_step + s * w->col_step;
            FZK_UNROLL
            for (int v = 0; v < vectors; v++)
                most[v] = greater(most[v], some_bytes(tap + 16 * v, n), is_signed);
        }
    FZK_UNROLL
    for (int v = 0; v < vectors; v++) some_store(out + 16 * v, most[v], n);
}

/* One pixel. A rest of channels overlaps those before, if there are any. */
FZK_INLINE void max_pixel(const uint8_t *in, int64_t c, const struct window *w, uint8_t *out,
                          const bool is_signed) {
    int64_t i = 0;
    for (; i + 64 <= c; i += 64) max_channels(w, in + i, out + i, 64, 4, is_signed);
    for (; i + 16 <= c; i += 16) max_channels(w, in + i, out + i, 16, 1, is_signed);
    if (i == c) return;
    if (c >= 16) max_channels(w, in + c - 16, out + c - 16, 16, 1, is_signed);
    else max_channels(w, in, out, c, 1, is_signed);
}

FZK_INLINE void max_rows(const struct fzk_qpool *p, const bool is_signed) {
    for (int64_t y = p->y0; y < p->y1; y++)
        for (int64_t x = 0; x < p->out_w; x++) {
            const struct window w = window_of(p, y, x);
            max_pixel((const uint8_t *)p->a + w.corner, p->c, &w,
                      (uint8_t *)p->out + y * p->out_row + x * p->out_col, is_signed);
        }
}

void fzk_qmaxpool_u8_neon(const struct fzk_qpool *p) {
    if (p->is_signed) max_rows(p, true);
    else max_rows(p, false);
}

/* ---- average pooling */

enum { MAX_TAPS = 256 }; /* 256 * 255 fits 16 bits; larger windows take the reference */

/* What the outputs of a window need at their end. */
struct mean {
    int32x4_t zero; /* the window's zero points, with those of flipped bytes */
    float32x4_t scale;
    struct ending e;
};

/* VECTORS times 16 channels of a window, N channels if that is less. */
FZK_INLINE void mean_channels(const struct window *w, const uint8_t *in, uint8_t *out, int64_t n,
                              uint8_t flip, const int vectors, const struct mean *m) {
    uint16x8_t sums[4][2];
    FZK_UNROLL
    for (int v = 0; v < vectors; v++) sums[v][0] = sums[v][1] = vdupq_n_u16(0);
    for (int64_t r = w->r0; r < w->r1; r++)
        for (int64_t s = w->s0; s < w->s1; s++) {
            const uint8_t *tap = in + r * w->row_step + s * w->col_step;
            FZK_UNROLL
            for (int v = 0; v < vectors; v++) {
                uint8x16_t x = veorq_u8(some_bytes(tap + 16 * v, n), vdupq_n_u8(flip));
                sums[v][0] = vaddw_u8(sums[v][0], vget_low_u8(x));
                sums[v][1] = vaddw_high_u8(sums[v][1], x);
            }
        }
    FZK_UNROLL
    for (int v = 0; v < vectors; v++) {
        int32x4_t q[PARTS];
        FZK_UNROLL
        for (int p = 0; p < PARTS; p++) {
            uint16x8_t half = sums[v][p / 2];
            uint32x4_t x = p % 2 ? vmovl_high_u16(half) : vmovl_u16(vget_low_u16(half));
            int32x4_t sum = vsubq_s32(vreinterpretq_s32_u32(x), m->zero);
            q[p] = rounded(vmulq_f32(vcvtq_f32_s32(sum), m->scale));
        }
        some_store(out + 16 * v, end_16(q, m->e), n);
    }
}

static void mean_pixel(const struct fzk_qpool *p, const struct window *w, struct ending e,
                       uint8_t *out) {
    const uint8_t flip = p->is_signed ? 0x80 : 0, *in = (const uint8_t *)p->a + w->corner;
    const int64_t c = p->c, taps = (w->r1 - w->r0) * (w->s1 - w->s0);
    const int64_t count = p->count_pad ? p->kh * p->kw : taps;
    const struct mean m = {vdupq_n_s32((int32_t)taps * (p->za + flip)),
                           vdupq_n_f32(p->scale / (float)count), e};
    int64_t i = 0;
    for (; i + 64 <= c; i += 64) mean_channels(w, in + i, out + i, 64, flip, 4, &m);
    for (; i + 16 <= c; i += 16) mean_channels(w, in + i, out + i, 16, flip, 1, &m);
    if (i < c) mean_channels(w, in + i, out + i, c - i, flip, 1, &m);
}

void fzk_qavgpool_u8_c(const struct fzk_qpool *p); /* the reference */

void fzk_qavgpool_u8_neon(const struct fzk_qpool *p) {
    if (p->kh > MAX_TAPS || p->kw > MAX_TAPS || p->kh * p->kw > MAX_TAPS) {
        fzk_qavgpool_u8_c(p);
        return;
    }
    const struct ending e = ending_of(p->zp, p->lo, p->hi);
    for (int64_t y = p->y0; y < p->y1; y++)
        for (int64_t x = 0; x < p->out_w; x++) {
            const struct window w = window_of(p, y, x);
            mean_pixel(p, &w, e, (uint8_t *)p->out + y * p->out_row + x * p->out_col);
        }
}
