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

enum { BATCH = 16 };

/* Means and deviations of a few rows at a time, so that the long chains at the end of one row's
 * sums overlap with the next row's. */
static void batch(const struct fzk_norm_f32 *g, int64_t from, int64_t rows) {
    const int64_t n = g->n;
    float mean[BATCH] = {0}, r[BATCH];
    const float *x = g->x + from * n;
    for (int64_t i = 0; i < rows && !g->rms; i++)
        mean[i] = fzk_lanes_sum(FZK_TERM_X, x + i * n, n, 0) / (float)n;
    for (int64_t i = 0; i < rows; i++) {
        float var = fzk_lanes_sum(FZK_TERM_SQUARE, x + i * n, n, mean[i]) / (float)n;
        r[i] = 1 / __builtin_sqrtf(var + g->eps);
    }
    for (int64_t i = 0; i < rows; i++) {
        int64_t row = from + i;
        float *y = g->y + row * n;
        if (g->channels) scale_channel(g, y, x + i * n, mean[i], r[i], row % g->channels);
        else scale_row(g, y, x + i * n, mean[i], r[i], g->gain, g->bias);
        if (g->mean) g->mean[row] = mean[i];
        if (g->inv_std) g->inv_std[row] = r[i];
    }
}

void FZK_NAME(norm_f32)(const struct fzk_norm_f32 *g) {
    /* As many rows as the first-level cache holds. */
    int64_t most = g->n > 0 ? 6144 / g->n : BATCH;
    most = most < 1 ? 1 : most > BATCH ? BATCH : most;
    for (int64_t i = 0; i < g->rows; i += most)
        batch(g, i, g->rows - i < most ? g->rows - i : most);
}
