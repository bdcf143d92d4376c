/* The packed float GEMM: one chain of fma per output and block of 256 k, blocks added in order, then
 * bias, residual, clip. */
#include "kernel.h"

/* One output row of one panel: 32 chains side by side. */
static void row(const struct fzk_gemm_f32 *g, const float *a, const float *b, float y[FZK_PANEL]) {
    float s[FZK_PANEL] = {0};
    int64_t in_block = 0;
    bool first = true;
    for (int j = 0; j < FZK_PANEL; j++) y[j] = 0;
    for (int64_t t = 0; t < g->n_segments; t++) {
        const float *at = a + g->segments[t].off;
        for (int64_t k = 0; k < g->segments[t].len; k++, b += FZK_PANEL) {
            if (in_block == FZK_K_BLOCK) {
                for (int j = 0; j < FZK_PANEL; j++) {
                    y[j] = first ? s[j] : y[j] + s[j];
                    s[j] = 0;
                }
                in_block = 0;
                first = false;
            }
            for (int j = 0; j < FZK_PANEL; j++) s[j] = fzk_fma(at[k], b[j], s[j]);
            in_block++;
        }
    }
    for (int j = 0; j < FZK_PANEL; j++) y[j] = first ? s[j] : y[j] + s[j];
}

void FZK_NAME(gemm_f32)(const struct fzk_gemm_f32 *g) {
    int64_t run = g->run ? g->run : g->m;
    for (int64_t n = 0; n < g->n; n += FZK_PANEL) {
        const float *panel = g->b + n * g->k;
        int64_t width = g->n - n < FZK_PANEL ? g->n - n : FZK_PANEL;
        for (int64_t i = 0; i < g->m; i++) {
            float y[FZK_PANEL];
            row(g, g->a + i / run * g->run_stride + i % run * g->lda, panel, y);
            float *c = g->c + i * g->ldc + n;
            for (int64_t j = 0; j < width; j++) {
                float x = y[j];
                if (g->bias) x = x + g->bias[n + j];
                if (g->residual) x = x + g->residual[i * g->ldr + n + j];
                if (g->clip) {
                    float t = g->lo > x ? g->lo : x;
                    x = g->hi < t ? g->hi : t;
                }
                c[j] = x;
            }
        }
    }
}
