/* Linear quantisation: q = round half to even of t, plus zero point, as if exact, then saturated;
 * NaN counts as t = 0. */
#include "kernel.h"
#include "loop.h"

/* Rounding by adding 1.5 * 2^23 is exact for |t| < 2^22, and from |t| = 1,000 on every q is
 * saturated, for a zero point lies in [-128, 255]. */
static inline int32_t quantize(float t, int32_t zero, int32_t lo, int32_t hi) {
    float c = t > -1000 ? t : -1000;
    c = c > 1000 ? 1000 : c;
    c = t != t ? 0 : c;
    int32_t q = (int32_t)(fzk_bits(c + 0x1.8p23f) - fzk_bits(0x1.8p23f)) + zero;
    q = q < lo ? lo : q;
    return q > hi ? hi : q;
}

void FZK_NAME(quantize_f32_u8)(uint8_t *y, const float *x, int64_t n, float scale, int32_t zero) {
    for (int64_t i = 0; i < n; i++) y[i] = (uint8_t)quantize(x[i] / scale, zero, 0, 255);
}
void FZK_NAME(quantize_f32_i8)(int8_t *y, const float *x, int64_t n, float scale, int32_t zero) {
    for (int64_t i = 0; i < n; i++) y[i] = (int8_t)quantize(x[i] / scale, zero, -128, 127);
}

void FZK_NAME(dequantize_u8_f32)(float *y, const uint8_t *x, int64_t n, float scale,
                                 int32_t zero) {
    for (int64_t i = 0; i < n; i++) y[i] = (float)((int32_t)x[i] - zero) * scale;
}
void FZK_NAME(dequantize_i8_f32)(float *y, const int8_t *x, int64_t n, float scale, int32_t zero) {
    for (int64_t i = 0; i < n; i++) y[i] = (float)((int32_t)x[i] - zero) * scale;
}

/* t = (float)acc * m, with one m for each column or, if STEP is 0, for all. */
INLINE void row_u8(uint8_t *y, const int32_t *acc, const float *m, int64_t step, int64_t n,
                   int32_t zero) {
    EACH for (int64_t j = 0; j < n; j++)
        y[j] = (uint8_t)quantize((float)acc[j] * m[j * step], zero, 0, 255);
}
INLINE void row_i8(int8_t *y, const int32_t *acc, const float *m, int64_t step, int64_t n,
                   int32_t zero) {
    EACH for (int64_t j = 0; j < n; j++)
        y[j] = (int8_t)quantize((float)acc[j] * m[j * step], zero, -128, 127);
}

void FZK_NAME(requantize_u8)(const struct fzk_requantize *g) {
    uint8_t *y = g->y;
    const int64_t n = g->n, rows = g->rows, ldy = g->ldy;
    for (int64_t i = 0; i < rows; i++) {
        if (g->m_step) row_u8(y + i * ldy, g->acc + i * g->ldacc, g->m, 1, n, g->zero);
        else row_u8(y + i * ldy, g->acc + i * g->ldacc, g->m, 0, n, g->zero);
    }
}
void FZK_NAME(requantize_i8)(const struct fzk_requantize *g) {
    int8_t *y = g->y;
    const int64_t n = g->n, rows = g->rows, ldy = g->ldy;
    for (int64_t i = 0; i < rows; i++) {
        if (g->m_step) row_i8(y + i * ldy, g->acc + i * g->ldacc, g->m, 1, n, g->zero);
        else row_i8(y + i * ldy, g->acc + i * g->ldacc, g->m, 0, n, g->zero);
    }
}
