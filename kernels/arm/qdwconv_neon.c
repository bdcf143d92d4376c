/* The depthwise integer convolution for NEON without dot products: two taps at a time, in the way
 * of qgemm_neon.c, with the complement taken of every other tap's bytes instead of the weights. A
 * enters as s8, x = a - 128, but odd taps as ~x = 127 - a:
 *     x0 * w0 - ~x1 * w1    =    (a0 - 128) * w0 + (a1 - 127) * w1
 * lies in [-32640, 32640]. The sums are too large by the odd taps' weights: that goes into their
 * initial values. */
#include "arm.h"

#define QISA neon
enum { A_AS_S8 = 1 };
#include "qdwconv_group.h"

FZK_INLINE int8x16_t tap(const uint8_t *p, int64_t n, uint8x16_t flip, const struct way way) {
    return vreinterpretq_s8_u8(veorq_u8(tap_load(p, n, way), flip));
}

/* Adds an even and an odd tap. */
FZK_INLINE void add_taps(int8x16_t x0, int8x16_t x1, int8x16_t w0, int8x16_t w1,
                         const struct way way, int32x4_t acc[N_VECTORS]) {
    int16x8_t low = vmull_s8(vget_low_s8(x0), vget_low_s8(w0)), high;
    if (way.width == CHANNELS) high = vmull_high_s8(x0, w0);
    low = vmlsl_s8(low, vget_low_s8(x1), vget_low_s8(w1));
    if (way.width == CHANNELS) high = vmlsl_high_s8(high, x1, w1);
    acc[0] = vaddw_s16(acc[0], vget_low_s16(low));
    acc[1] = vaddw_high_s16(acc[1], low);
    if (way.width < CHANNELS) return;
    acc[2] = vaddw_s16(acc[2], vget_low_s16(high));
    acc[3] = vaddw_high_s16(acc[3], high);
}

FZK_INLINE void sum_taps(const struct group *g, const uint8_t *a, int64_t a_step,
                         const struct way way, int32x4_t acc[2][N_VECTORS]) {
    const int64_t n = g->n;
    const uint8x16_t even = vdupq_n_u8(g->flip), odd = vmvnq_u8(even);
    FZK_UNROLL
    for (int v = 0; v < N_VECTORS; v++) acc[0][v] = acc[1][v] = vld1q_s32(g->init + 4 * v);
    const int64_t *offset = g->offsets, *end = offset + g->taps;
    const int8_t *w = g->w;
    const uint8_t *behind = a + a_step;
    FZK_NO_UNROLL
    for (; offset < end; offset += 2, w += 2 * CHANNELS) {
        const int64_t o0 = offset[0], o1 = offset[1];
        int8x16_t w0 = vld1q_s8(w), w1 = vld1q_s8(w + CHANNELS);
        add_taps(tap(a + o0, n, even, way), tap(a + o1, n, odd, way), w0, w1, way, acc[0]);
        if (way.paired)
            add_taps(tap(behind + o0, n, even, way), tap(behind + o1, n, odd, way), w0, w1, way,
                     acc[1]);
    }
}

/* An odd number of taps gets one more, whose weights are zero. */
static void fill_taps(const struct fzk_qdwconv *d, struct group *g) {
    int64_t *to = g->offsets;
    for (int64_t r = 0; r < d->kh; r++)
        for (int64_t s = 0; s < d->kw; s++)
            *to++ = r * d->dilation_y * d->a_row + s * d->dilation_x * d->a_col;
    if (d->kh * d->kw % 2) *to = to[-1];
    g->taps = (d->kh * d->kw + 1) / 2 * 2;
    g->flip = a_flip(d->a_signed);
    g->paired = d->m_cols > 1;
    g->single = false;
}

/* The weights tap by tap, without those that only fill quads. */
static void fill_group(const struct fzk_qdwconv *d, int64_t ch, struct group *g) {
    const int64_t row_quads = (d->kw + 3) / FZK_QUAD;
    const int8_t *w = d->w + (ch / FZK_PANEL * d->kh * row_quads * FZK_PANEL + ch % FZK_PANEL) *
                                 FZK_QUAD;
    int8_t *to = g->w;
    for (int64_t r = 0; r < d->kh; r++)
        for (int64_t q = 0; q < row_quads; q++, w += FZK_PANEL * FZK_QUAD)
            for (int64_t s = q * FZK_QUAD; s < d->kw && s < (q + 1) * FZK_QUAD; s++)
                for (int64_t c = 0; c < CHANNELS; c++)
                    *to++ = c < g->n ? w[c * FZK_QUAD + s % FZK_QUAD] : 0;
    if (d->kh * d->kw % 2) memset(to, 0, CHANNELS);
    for (int64_t t = 1; t < g->taps; t += 2)
        for (int64_t c = 0; c < CHANNELS; c++)
            g->init[c] = (int32_t)((uint32_t)g->init[c] - (uint32_t)g->w[t * CHANNELS + c]);
}

#include "qdwconv_tile.h"
