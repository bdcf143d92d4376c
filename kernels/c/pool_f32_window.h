/* The windows of pooling over an image of floats. */
#ifndef FZ_KERNELS_POOL_F32_WINDOW_H
#define FZ_KERNELS_POOL_F32_WINDOW_H

#include "kernels.h"

/* Taps [first, end) of one axis whose positions START + tap * DILATION lie in [LOW, HIGH). */
struct range {
    int64_t first, end;
};

static inline struct range taps(int64_t start, int64_t n, int64_t dilation, int64_t low,
                                int64_t high) {
    if (dilation == 1) { /* by far the most, and a division takes as long as a few taps */
        int64_t least = start < low ? low - start : 0, most = start < high ? high - start : 0;
        return (struct range){least, most < n ? most : n};
    }
    int64_t first = start < low ? (low - start + dilation - 1) / dilation : 0;
    int64_t end = start < high ? (high - start + dilation - 1) / dilation : 0;
    return (struct range){first, end < n ? end : n};
}

/* A window: its taps inside of the image, and where the first tap would be. */
struct window {
    struct range y, x;
    int64_t row, column;
};

static inline struct window window_at(const struct fzk_pool_f32 *p, int64_t y, int64_t x) {
    struct window w = {.row = y * p->stride_h - p->pad_h, .column = x * p->stride_w - p->pad_w};
    w.y = taps(w.row, p->kernel_h, p->dilation_h, 0, p->height);
    w.x = taps(w.column, p->kernel_w, p->dilation_w, 0, p->width);
    return w;
}

static inline const float *tap(const struct fzk_pool_f32 *p, const struct window *w, int64_t ky,
                               int64_t kx, int64_t c) {
    return p->in + (w->row + ky * p->dilation_h) * p->in_row +
           (w->column + kx * p->dilation_w) * p->in_pixel + c;
}

/* The number of taps that an average counts. */
static inline float divisor_of(const struct fzk_pool_f32 *p, const struct window *w) {
    struct range y = w->y, x = w->x;
    if (p->count_pad) {
        y = taps(w->row, p->kernel_h, p->dilation_h, -p->pad_h, p->height + p->end_h);
        x = taps(w->column, p->kernel_w, p->dilation_w, -p->pad_w, p->width + p->end_w);
    }
    return (float)((y.end - y.first) * (x.end - x.first));
}

#endif
