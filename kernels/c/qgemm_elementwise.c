/* Elementwise kernels and pooling of 8-bit values. A signed byte enters as unsigned with its top bit
 * flipped, which adds 128 to it and to its zero point. */
#include "qgemm_out.h"

/* How to read the bytes of one operand. */
struct operand {
    const uint8_t *data;
    int32_t za;
    float scale;
};

static inline float value(struct operand o, int64_t i, uint8_t flip) {
    return (float)((int32_t)(uint8_t)(o.data[i] ^ flip) - o.za) * o.scale;
}

static inline uint8_t quantize(const struct fzk_qbinary *q, float r) {
    return (uint8_t)fzk_q_round(r / q->sc, q->zc, q->lo, q->hi);
}

enum operation { ADD, MUL };

static inline float apply(enum operation operation, float x, float y) {
    return operation == ADD ? x + y : x * y;
}

static inline void binary(const struct fzk_qbinary *q, enum operation operation) {
    uint8_t flip = q->is_signed ? 0x80 : 0, *c = q->c;
    struct operand a = {q->a, q->za + flip, q->sa}, b = {q->b, q->zb + flip, q->sb};
    if (q->a_step && q->b_step) {
        for (int64_t i = 0; i < q->n; i++)
            c[i] = quantize(q, apply(operation, value(a, i, flip), value(b, i, flip)));
    } else if (q->a_step) {
        float y = q->n ? value(b, 0, flip) : 0;
        for (int64_t i = 0; i < q->n; i++)
            c[i] = quantize(q, apply(operation, value(a, i, flip), y));
    } else {
        float x = q->n ? value(a, 0, flip) : 0;
        for (int64_t i = 0; i < q->n; i++)
            c[i] = quantize(q, apply(operation, x, value(b, q->b_step ? i : 0, flip)));
    }
}

void FZK_NAME(qadd_u8)(const struct fzk_qbinary *q) { binary(q, ADD); }
void FZK_NAME(qmul_u8)(const struct fzk_qbinary *q) { binary(q, MUL); }

void FZK_NAME(lut_u8)(const struct fzk_qlut *l) {
    for (int64_t i = 0; i < l->n; i++) l->y[i] = l->table[l->x[i]];
}

/* ---- pooling */

/* The taps of one dimension that lie inside: FIRST, up to and without END. */
static inline int64_t first_tap(int64_t at, int64_t dilation) {
    return at >= 0 ? 0 : (-at + dilation - 1) / dilation;
}
static inline int64_t end_tap(int64_t at, int64_t dilation, int64_t taps, int64_t size) {
    int64_t end = at >= size ? 0 : (size - at + dilation - 1) / dilation;
    return end < taps ? end : taps;
}

/* The window of one output pixel, clipped to the image. */
struct window {
    int64_t corner; /* offset of tap (0, 0), which may lie outside */
    int64_t r0, r1, s0, s1, row_step, col_step;
};

static inline struct window window_of(const struct fzk_qpool *p, int64_t y, int64_t x) {
    int64_t top = y * p->stride_y - p->pad_y, left = x * p->stride_x - p->pad_x;
    return (struct window){
        .corner = top * p->a_row + left * p->a_col,
        .r0 = first_tap(top, p->dilation_y), .r1 = end_tap(top, p->dilation_y, p->kh, p->h),
        .s0 = first_tap(left, p->dilation_x), .s1 = end_tap(left, p->dilation_x, p->kw, p->w),
        .row_step = p->dilation_y * p->a_row, .col_step = p->dilation_x * p->a_col};
}

static inline void max_bytes(uint8_t *out, const uint8_t *in, int64_t n, bool is_signed) {
    if (is_signed) {
        int8_t *o = (int8_t *)out;
        const int8_t *v = (const int8_t *)in;
        for (int64_t i = 0; i < n; i++) o[i] = v[i] > o[i] ? v[i] : o[i];
    } else {
        for (int64_t i = 0; i < n; i++) out[i] = in[i] > out[i] ? in[i] : out[i];
    }
}

static void max_pixel(const struct fzk_qpool *p, struct window w, uint8_t *out) {
    bool first = true;
    for (int64_t r = w.r0; r < w.r1; r++)
        for (int64_t s = w.s0; s < w.s1; s++) {
            const uint8_t *in =
                (const uint8_t *)p->a + (w.corner + r * w.row_step + s * w.col_step);
            if (first) memcpy(out, in, (size_t)p->c);
            else max_bytes(out, in, p->c, p->is_signed);
            first = false;
        }
}

void FZK_NAME(qmaxpool_u8)(const struct fzk_qpool *p) {
    for (int64_t y = p->y0; y < p->y1; y++)
        for (int64_t x = 0; x < p->out_w; x++)
            max_pixel(p, window_of(p, y, x),
                      (uint8_t *)p->out + y * p->out_row + x * p->out_col);
}

enum { CHANNELS = 64 }; /* summed at a time */

/* Channels C0 .. C0 + N of one output pixel. */
static inline void average(const struct fzk_qpool *p, struct window w, int64_t c0, int64_t n,
                           uint8_t *out) {
    uint8_t flip = p->is_signed ? 0x80 : 0;
    int32_t sums[CHANNELS] = {0};
    for (int64_t r = w.r0; r < w.r1; r++)
        for (int64_t s = w.s0; s < w.s1; s++) {
            const uint8_t *in =
                (const uint8_t *)p->a + (w.corner + r * w.row_step + s * w.col_step + c0);
            for (int64_t l = 0; l < n; l++) sums[l] += (uint8_t)(in[l] ^ flip);
        }
    int64_t taps = (w.r1 - w.r0) * (w.s1 - w.s0);
    float scale = p->scale / (float)(p->count_pad ? p->kh * p->kw : taps);
    int32_t zero = (int32_t)taps * (p->za + flip);
    for (int64_t l = 0; l < n; l++)
        out[c0 + l] = (uint8_t)fzk_q_round((float)(sums[l] - zero) * scale, p->zp, p->lo, p->hi);
}

void FZK_NAME(qavgpool_u8)(const struct fzk_qpool *p) {
    for (int64_t y = p->y0; y < p->y1; y++)
        for (int64_t x = 0; x < p->out_w; x++) {
            uint8_t *out = (uint8_t *)p->out + y * p->out_row + x * p->out_col;
            struct window w = window_of(p, y, x);
            int64_t c0 = 0;
            for (; c0 + CHANNELS <= p->c; c0 += CHANNELS) average(p, w, c0, CHANNELS, out);
            if (c0 < p->c) average(p, w, c0, p->c - c0, out);
        }
}
