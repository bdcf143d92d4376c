/* Layer normalisation and root mean square normalisation over rows of N contiguous values, sums by
 * lanes.h. Y may be X. */
#include "functions.h"
#include "lanes.h"

/* y = (x - mean) * r, then fma(., gain, bias), or . * gain, or . + bias, as there are. */
static void scale_row(const struct fzk_norm_f32 *g, float *y, const float *x, float mean, float r,
                      const float *gain, const float *bias) {
    int64_t n = g->n;
    if (gain && bias) {
        EACH for (int64_t i = 0; i < n; i++) y[i] = fzk_fma((x[i] - mean) * r, gain[i], bias[i]);
    } else if (gain) {
        EACH for (int64_t i = 0; i < n; i++) y[i] = ((x[i] - mean) * r) * gain[i];
    } else if (bias) {
        EACH for (int64_t i = 0; i < n; i++) y[i] = (x[i] - mean) * r + bias[i];
    } else {
        EACH for (int64_t i = 0; i < n; i++) y[i] = (x[i] - mean) * r;
    }
}

/* The same with one gain and bias for the whole row. */
static void scale_channel(const struct fzk_norm_f32 *g, float *y, const float *x, float mean,
                          float r, int64_t channel) {
    int64_t n = g->n;
    if (g->gain && g->bias) {
        const float a = g->gain[channel], b = g->bias[channel];
        EACH for (int64_t i = 0; i < n; i++) y[i] = fzk_fma((x[i] - mean) * r, a, b);
    } else if (g->gain) {
        const float a = g->gain[channel];
        EACH for (int64_t i = 0; i < n; i++) y[i] = ((x[i] - mean) * r) * a;
    } else if (g->bias) {
        const float b = g->bias[channel];
        EACH for (int64_t i = 0; i < n; i++) y[i] = (x[i] - mean) * r + b;
    } else {
        scale_row(g, y, x, mean, r, NULL, NULL);
    }
}

void FZK_NAME(norm_f32)(const struct fzk_norm_f32 *g) {
    const float n = (float)g->n;
    for (int64_t i = 0; i < g->rows; i++) {
        const float *x = g->x + i * g->n;
        float *y = g->y + i * g->n;
        float mean = g->rms ? 0 : fzk_lanes_sum(FZK_TERM_X, x, g->n, 0) / n;
        float var = fzk_lanes_sum(FZK_TERM_SQUARE, x, g->n, mean) / n;
        float r = 1 / __builtin_sqrtf(var + g->eps);
        if (g->channels) scale_channel(g, y, x, mean, r, i % g->channels);
        else scale_row(g, y, x, mean, r, g->gain, g->bias);
        if (g->mean) g->mean[i] = mean;
        if (g->inv_std) g->inv_std[i] = r;
    }
}
