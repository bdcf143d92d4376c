/* The windows of pooling over an image of bytes. */
#ifndef FZ_KERNELS_QPOOL_WINDOW_H
#define FZ_KERNELS_QPOOL_WINDOW_H

#include "kernels.h"

/* The taps of one dimension that lie inside: FIRST, up to and without END. */
static inline int64_t first_tap(int64_t at, int64_t dilation) {
    return at >= 0 ? 0 : (-at + dilation - 1) / dilation;
}
static inline int64_t end_tap(int64_t at, int64_t dilation, int64_t taps, int64_t size) {
    int64_t end = at >= size ? 0 : (size - at + dilation - 1) / dilation;
    return end < taps ? end : taps;
}

/* The window of one output pixel, clipped to the image. */
struct window {
    int64_t corner; /* offset of tap (0, 0), which may lie outside */
    int64_t r0, r1, s0, s1, row_step, col_step;
};

static inline struct window window_of(const struct fzk_qpool *p, int64_t y, int64_t x) {
    int64_t top = y * p->stride_y - p->pad_y, left = x * p->stride_x - p->pad_x;
    return (struct window){
        .corner = top * p->a_row + left * p->a_col,
        .r0 = first_tap(top, p->dilation_y), .r1 = end_tap(top, p->dilation_y, p->kh, p->h),
        .s0 = first_tap(left, p->dilation_x), .s1 = end_tap(left, p->dilation_x, p->kw, p->w),
        .row_step = p->dilation_y * p->a_row, .col_step = p->dilation_x * p->a_col};
}

#endif
