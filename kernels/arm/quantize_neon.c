/* Quantisation and conversions of floats to integers for NEON, whose conversions saturate and make
 * 0 of NaN by themselves. The bits are those of c/quantize.c and c/convert.c. */
#include "bytes.h"

enum { STEP = 16, PARTS = STEP / 4 };

enum { QUANTIZE, REQUANTIZE, TRUNCATE };

/* Sixteen numbers, by OPERATION: x / m, (float)x * m with M's values m_step apart, or x. */
FZK_INLINE uint8x16_t part(const void *x, const float *m, int64_t m_step, float32x4_t all,
                           struct ending e, const int operation) {
    int32x4_t q[PARTS];
    FZK_UNROLL
    for (int p = 0; p < PARTS; p++) {
        if (operation == QUANTIZE)
            q[p] = rounded(vdivq_f32(vld1q_f32((const float *)x + 4 * p), all));
        else if (operation == REQUANTIZE)
            q[p] = rounded(vmulq_f32(vcvtq_f32_s32(vld1q_s32((const int32_t *)x + 4 * p)),
                                     m_step ? vld1q_f32(m + 4 * p) : all));
        else q[p] = vcvtq_s32_f32(vld1q_f32((const float *)x + 4 * p));
    }
    return end_16(q, e);
}

/* N numbers of four bytes; the last few by way of copies. */
FZK_INLINE void row(uint8_t *y, const void *x, const float *m, int64_t m_step, int64_t n,
                    struct ending e, const int operation) {
    if (n <= 0) return;
    const float32x4_t all = vdupq_n_f32(m ? *m : 1);
    int64_t i = 0;
    for (; i + STEP <= n; i += STEP)
        vst1q_u8(y + i,
                 part((const char *)x + 4 * i, m_step ? m + i : m, m_step, all, e, operation));
    if (i == n) return;
    const size_t rest = (size_t)(n - i);
    float some[STEP] = {0}, some_m[STEP] = {0};
    uint8_t bytes[STEP];
    memcpy(some, (const char *)x + 4 * i, rest * 4);
    if (m_step) memcpy(some_m, m + i, rest * 4);
    vst1q_u8(bytes, part(some, some_m, m_step, all, e, operation));
    memcpy(y + i, bytes, rest);
}

void fzk_quantize_f32_u8_neon(uint8_t *y, const float *x, int64_t n, float scale, int32_t zero) {
    row(y, x, &scale, 0, n, ending_of(zero, 0, 255), QUANTIZE);
}
void fzk_quantize_f32_i8_neon(int8_t *y, const float *x, int64_t n, float scale, int32_t zero) {
    row((uint8_t *)y, x, &scale, 0, n, ending_of(zero, -128, 127), QUANTIZE);
}

FZK_INLINE void requantize(const struct fzk_requantize *g, struct ending e) {
    const int64_t n = g->n;
    for (int64_t i = 0; i < g->rows; i++) {
        uint8_t *y = (uint8_t *)g->y + i * g->ldy;
        if (g->m_step) row(y, g->acc + i * g->ldacc, g->m, 1, n, e, REQUANTIZE);
        else row(y, g->acc + i * g->ldacc, g->m, 0, n, e, REQUANTIZE);
    }
}
void fzk_requantize_u8_neon(const struct fzk_requantize *g) {
    requantize(g, ending_of(g->zero, 0, 255));
}
void fzk_requantize_i8_neon(const struct fzk_requantize *g) {
    requantize(g, ending_of(g->zero, -128, 127));
}

void fzk_f32_to_u8_neon(uint8_t *y, const float *x, int64_t n) {
    row(y, x, NULL, 0, n, ending_of(0, 0, 255), TRUNCATE);
}
void fzk_f32_to_i8_neon(int8_t *y, const float *x, int64_t n) {
    row((uint8_t *)y, x, NULL, 0, n, ending_of(0, -128, 127), TRUNCATE);
}
void fzk_f32_to_i32_neon(int32_t *y, const float *x, int64_t n) {
    int64_t i = 0;
    for (; i + 4 <= n; i += 4) vst1q_s32(y + i, vcvtq_s32_f32(vld1q_f32(x + i)));
    for (; i < n; i++) y[i] = vcvts_s32_f32(x[i]);
}
