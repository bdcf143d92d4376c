/* Narrow weights to binary32, and the float GEMM over them: each weight is rounded once, on its
 * own, as DequantizeLinear does; then the chains of gemm_f32. */
#include "kernel.h"

enum { CHUNK = 32 }; /* rows that are widened at a time; blocks of k end where one ends */

static inline float of_f16(uint16_t h) {
    uint32_t m = (uint32_t)(h & 0x7FFF) << 13, sign = (uint32_t)(h & 0x8000) << 16;
    uint32_t u = fzk_bits(fzk_float(m) * 0x1p112f);
    return fzk_float((m >= 0x0F800000 ? m + 0x70000000 : u) | sign);
}

/* Element J of row K of the panel at B, as an integer. */
static inline int32_t field(const struct fzk_narrow *w, const uint8_t *b, int64_t k, int64_t j) {
    if (w->form == FZK_NARROW_8) return b[k * FZK_PANEL + j];
    int64_t fields = fzk_narrow_fields(w->form), bits = 32 / fields;
    uint32_t word;
    memcpy(&word, b + (k / fields * FZK_PANEL + j) * 4, sizeof word);
    return (int32_t)(word >> k % fields * bits & ((1u << bits) - 1));
}

/* Row K of panel PANEL, all 32 columns. */
static void row(const struct fzk_narrow *w, int64_t panel, int64_t k, float *to) {
    const uint8_t *b = (const uint8_t *)w->b + panel * fzk_narrow_size(w->form, w->k);
    const uint16_t *half = (const uint16_t *)(const void *)b + k * FZK_PANEL;
    if (w->form == FZK_NARROW_F16) {
        for (int j = 0; j < FZK_PANEL; j++) to[j] = of_f16(half[j]);
    } else if (w->form == FZK_NARROW_BF16) {
        for (int j = 0; j < FZK_PANEL; j++) to[j] = fzk_float((uint32_t)half[j] << 16);
    } else {
        int64_t at = (panel * fzk_narrow_blocks(w) + k / w->block) * FZK_PANEL;
        for (int j = 0; j < FZK_PANEL; j++) {
            int32_t zero = w->zero ? w->zero[at + j] : w->middle;
            to[j] = (float)(field(w, b, k, j) - zero) * w->scale[at + j];
        }
    }
}

void FZK_NAME(narrow_to_f32)(float *to, const struct fzk_narrow *w, int64_t panels) {
    for (int64_t p = 0; p < panels; p++)
        for (int64_t k = 0; k < w->k; k++, to += FZK_PANEL) row(w, p, k, to);
}

/* s[j] = fma(a[k], b[k][j], s[j]) for LEN rows of B. */
static void steps(float *s, const float *a, float (*b)[FZK_PANEL], int64_t len) {
    for (int64_t k = 0; k < len; k++)
        for (int j = 0; j < FZK_PANEL; j++) s[j] = fzk_fma(a[k], b[k][j], s[j]);
}

/* The chains of row I and of panel P. */
static void chains(const struct fzk_ngemm_f32 *g, int64_t i, int64_t p, float *y) {
    float s[FZK_PANEL] = {0}, b[CHUNK][FZK_PANEL];
    for (int64_t k = 0; k < g->w.k; k += CHUNK) {
        int64_t len = g->w.k - k < CHUNK ? g->w.k - k : CHUNK;
        if (k && k % FZK_K_BLOCK == 0)
            for (int j = 0; j < FZK_PANEL; j++) {
                y[j] = k == FZK_K_BLOCK ? s[j] : y[j] + s[j];
                s[j] = 0;
            }
        for (int64_t r = 0; r < len; r++) row(&g->w, p, k + r, b[r]);
        steps(s, g->a + i * g->lda + k, b, len);
    }
    for (int j = 0; j < FZK_PANEL; j++) y[j] = g->w.k > FZK_K_BLOCK ? y[j] + s[j] : s[j];
}

/* Bias, residual, clip. */
static float finish(const struct fzk_ngemm_f32 *g, float x, int64_t i, int64_t j) {
    if (g->bias) x = x + g->bias[j];
    if (g->residual) x = x + g->residual[i * g->ldr + j];
    if (!g->clip) return x;
    x = g->lo > x ? g->lo : x;
    return g->hi < x ? g->hi : x;
}

void FZK_NAME(ngemm_f32)(const struct fzk_ngemm_f32 *g) {
    for (int64_t j = 0; j < g->n; j += FZK_PANEL)
        for (int64_t i = 0; i < g->m; i++) {
            float y[FZK_PANEL];
            int64_t width = g->n - j < FZK_PANEL ? g->n - j : FZK_PANEL;
            chains(g, i, j / FZK_PANEL, y);
            for (int64_t c = 0; c < width; c++)
                g->c[i * g->ldc + j + c] = finish(g, y[c], i, j + c);
        }
}
