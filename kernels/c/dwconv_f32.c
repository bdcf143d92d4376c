/* The depthwise float convolution: one chain of fma per output, taps row by row, blocks of 256
 * taps added in order, then bias and clip.
 *
 * The chains of a few neighbouring pixels and of a vector or more of channels go side by side, so
 * that they stay in registers and a weight serves several pixels. */
#include "finish.h"

enum {
    PIXELS = 4,
    COLUMNS = FZK_LANES == 16 ? 32 : 16, /* channels of a tile */
    VECS = COLUMNS / FZK_LANES
};

/* Adds one tap to the chains: IN is its pixel for the first output, STEP the way to the next. N
 * channels are there; a constant COLUMNS makes every load a whole one. */
FZK_VEC_INLINE void add_tap(int pixels, fzk_vec (*s)[VECS], const float *in, int64_t step,
                            const float *w, int64_t n) {
    fzk_vec wv[VECS];
    FZK_UNROLLED
    for (int v = 0; v < VECS; v++) wv[v] = fzk_load(w + v * FZK_LANES, FZK_LANES);
    FZK_UNROLLED
    for (int x = 0; x < pixels; x++) {
        FZK_UNROLLED
        for (int v = 0; v < VECS; v++) {
            fzk_vec at = fzk_load(in + x * step + v * FZK_LANES, n - v * FZK_LANES);
            s[x][v] = fzk_vec_fma(at, wv[v], s[x][v]);
        }
    }
}

/* Ends a block: y = s for the first one, else y = y + s; the next starts at +0. */
FZK_VEC_INLINE void fold(int pixels, bool first, fzk_vec (*y)[VECS], fzk_vec (*s)[VECS]) {
    FZK_UNROLLED
    for (int x = 0; x < pixels; x++) {
        FZK_UNROLLED
        for (int v = 0; v < VECS; v++) {
            y[x][v] = first ? s[x][v] : y[x][v] + s[x][v];
            s[x][v] = (fzk_vec){0};
        }
    }
}

FZK_VEC_INLINE void chains(const struct fzk_dwconv_f32 *d, int pixels, const float *in,
                           const float *w, int64_t n, fzk_vec (*y)[VECS]) {
    fzk_vec s[PIXELS][VECS] = {0};
    int64_t room = FZK_K_BLOCK;
    bool first = true;
    for (int64_t ky = 0; ky < d->kernel_h; ky++)
        for (int64_t kx = 0; kx < d->kernel_w; kx++, w += FZK_PANEL, room--) {
            if (room == 0) {
                fold(pixels, first, y, s);
                first = false;
                room = FZK_K_BLOCK;
            }
            add_tap(pixels, s,
                    in + ky * d->dilation_h * d->in_row + kx * d->dilation_w * d->in_pixel,
                    d->stride_w * d->in_pixel, w, n);
        }
    fold(pixels, first, y, s);
}

/* N channels from CHANNEL on of PIXELS outputs from (Y, X) on. */
FZK_VEC_INLINE void tile(const struct fzk_dwconv_f32 *d, int pixels, int64_t y, int64_t x,
                         int64_t channel, int64_t n) {
    const float *in = d->in + y * d->stride_h * d->in_row + x * d->stride_w * d->in_pixel + channel;
    const float *w = d->weights + channel / FZK_PANEL * FZK_PANEL * d->kernel_h * d->kernel_w;
    float *out = d->out + y * d->out_row + x * d->out_pixel + channel;
    fzk_vec sums[PIXELS][VECS] = {0};
    chains(d, pixels, in, w + channel % FZK_PANEL, n, sums);
    for (int p = 0; p < pixels; p++)
        for (int v = 0; v < VECS && v * FZK_LANES < n; v++) {
            fzk_vec value = sums[p][v];
            int64_t left = n - v * FZK_LANES;
            const float *bias = d->bias ? d->bias + channel + v * FZK_LANES : NULL;
            value = fzk_finish_call(value, left, bias, NULL, d->round);
            if (d->clip) value = fzk_clip(value, d->lo, d->hi);
            fzk_store(out + p * d->out_pixel + v * FZK_LANES, value, left);
        }
}

FZK_VEC_INLINE void row(const struct fzk_dwconv_f32 *d, int64_t y, int64_t channel, int64_t n) {
    int64_t x = 0;
    for (; x + PIXELS <= d->width; x += PIXELS) tile(d, PIXELS, y, x, channel, n);
    for (; x < d->width; x++) tile(d, 1, y, x, channel, n);
}

void FZK_NAME(dwconv_f32)(const struct fzk_dwconv_f32 *d) {
    for (int64_t y = d->row_begin; y < d->row_end; y++) {
        int64_t c = 0;
        for (; c + COLUMNS <= d->channels; c += COLUMNS) row(d, y, c, COLUMNS);
        if (c < d->channels) row(d, y, c, d->channels - c);
    }
}
