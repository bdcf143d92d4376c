/* The depthwise float convolution: one chain of fma per output, taps row by row, blocks of 256 taps
 * added in order, then bias and clip. */
#include "kernel.h"

/* The chains of N <= 32 channels of one output pixel whose window starts at IN. */
static inline void pixel(const struct fzk_dwconv_f32 *d, const float *in, const float *w, int64_t n,
                         float y[FZK_PANEL]) {
    float s[FZK_PANEL] = {0};
    int64_t in_block = 0;
    bool first = true;
    for (int64_t ky = 0; ky < d->kernel_h; ky++)
        for (int64_t kx = 0; kx < d->kernel_w; kx++, w += FZK_PANEL) {
            const float *at = in + ky * d->dilation_h * d->in_row + kx * d->dilation_w * d->in_pixel;
            if (in_block == FZK_K_BLOCK) {
                for (int64_t c = 0; c < n; c++) {
                    y[c] = first ? s[c] : y[c] + s[c];
                    s[c] = 0;
                }
                in_block = 0;
                first = false;
            }
            for (int64_t c = 0; c < n; c++) s[c] = fzk_fma(at[c], w[c], s[c]);
            in_block++;
        }
    for (int64_t c = 0; c < n; c++) y[c] = first ? s[c] : y[c] + s[c];
}

static inline void finish(const struct fzk_dwconv_f32 *d, int64_t channel, int64_t n, const float *y,
                          float *out) {
    for (int64_t c = 0; c < n; c++) {
        float x = y[c];
        if (d->bias) x = x + d->bias[channel + c];
        if (d->clip) {
            float t = d->lo > x ? d->lo : x;
            x = d->hi < t ? d->hi : t;
        }
        out[c] = x;
    }
}

/* N is a constant where this is called for whole panels: then the loops become plain vectors. */
static inline void row(const struct fzk_dwconv_f32 *d, int64_t y, int64_t channel, int64_t n) {
    const float *in = d->in + y * d->stride_h * d->in_row + channel;
    const float *w = d->weights + channel * d->kernel_h * d->kernel_w;
    float *out = d->out + y * d->out_row + channel;
    for (int64_t x = 0; x < d->width; x++) {
        float sums[FZK_PANEL];
        pixel(d, in + x * d->stride_w * d->in_pixel, w, n, sums);
        finish(d, channel, n, sums, out + x * d->out_pixel);
    }
}

void FZK_NAME(dwconv_f32)(const struct fzk_dwconv_f32 *d) {
    for (int64_t y = d->row_begin; y < d->row_end; y++) {
        int64_t c = 0;
        for (; c + FZK_PANEL <= d->channels; c += FZK_PANEL) row(d, y, c, FZK_PANEL);
        if (c < d->channels) row(d, y, c, d->channels - c);
    }
}
