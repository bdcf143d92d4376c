/* Elementwise kernels and pooling of 8-bit values. A signed byte enters as unsigned with its top
 * bit flipped, which adds 128 to it and to its zero point. */
#include "qgemm_out.h"
#include "qpool_window.h"

enum { BLOCK = 64, ADD = 0, MUL = 1 };

/* One operand's bytes: STEP 1, or 0 for a scalar. */
struct operand {
    const uint8_t *data;
    int64_t step;
    int32_t za;
    float scale;
};

/* Dequantises N values from element I on. */
static inline void values(struct operand o, int64_t i, int64_t n, uint8_t flip, float *x) {
    const uint8_t *data = o.data + i * o.step;
    if (o.step == 0) {
        float all = (float)((int32_t)(uint8_t)(*data ^ flip) - o.za) * o.scale;
        for (int64_t l = 0; l < n; l++) x[l] = all;
    } else {
        for (int64_t l = 0; l < n; l++)
            x[l] = (float)((int32_t)(uint8_t)(data[l] ^ flip) - o.za) * o.scale;
    }
}

/* Elements I .. I + N. The blocks of floats let C be A or B without hindering vectors. */
static inline void block(const struct fzk_qbinary *q, int operation, int64_t i, int64_t n) {
    uint8_t flip = q->is_signed ? 0x80 : 0, *c = (uint8_t *)q->c + i;
    struct operand a = {q->a, q->a_step, q->za + flip, q->sa};
    struct operand b = {q->b, q->b_step, q->zb + flip, q->sb};
    float x[BLOCK], y[BLOCK], sc = q->sc;
    int32_t zc = q->zc, lo = q->lo, hi = q->hi;
    values(a, i, n, flip, x);
    values(b, i, n, flip, y);
    for (int64_t l = 0; l < n; l++) x[l] = operation == ADD ? x[l] + y[l] : x[l] * y[l];
    for (int64_t l = 0; l < n; l++) c[l] = (uint8_t)fzk_q_round(x[l] / sc, zc, lo, hi);
}

static inline void binary(const struct fzk_qbinary *q, int operation) {
    int64_t i = 0;
    for (; i + BLOCK <= q->n; i += BLOCK) block(q, operation, i, BLOCK);
    if (i < q->n) block(q, operation, i, q->n - i);
}

void FZK_NAME(qadd_u8)(const struct fzk_qbinary *q) { binary(q, ADD); }
void FZK_NAME(qmul_u8)(const struct fzk_qbinary *q) { binary(q, MUL); }

void FZK_NAME(lut_u8)(const struct fzk_qlut *l) {
    for (int64_t i = 0; i < l->n; i++) l->y[i] = l->table[l->x[i]];
}

/* ---- pooling */

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
