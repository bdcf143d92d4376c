/* Maximum and average over windows. Channels go side by side, 32 at a time; the taps of a window in
 * row-major order. */
#include "extremes.h"
#include "pool_f32_window.h"
#include "tiles/unroll.h"

enum { HALF = FZK_PANEL / 2 };

/* N <= 32 channels; a constant for panels and halves, which makes the loops plain vectors. The last
 * half panel moves back to overlap what is done. */
static inline void maximum(const struct fzk_pool_f32 *p, const struct window *w, int64_t c,
                           int64_t n, float *out) {
    int32_t key[FZK_PANEL];
    FZK_NO_UNROLL
    for (int64_t i = 0; i < n; i++) key[i] = FZK_KEY_LEAST;
    for (int64_t ky = w->y.first; ky < w->y.end; ky++)
        for (int64_t kx = w->x.first; kx < w->x.end; kx++) {
            const float *x = tap(p, w, ky, kx, c);
            FZK_NO_UNROLL
            for (int64_t i = 0; i < n; i++) {
                int32_t k = fzk_max_key(x[i]);
                key[i] = k > key[i] ? k : key[i];
            }
        }
    FZK_NO_UNROLL
    for (int64_t i = 0; i < n; i++) out[i] = fzk_of_key(key[i]);
}

static inline void average(const struct fzk_pool_f32 *p, const struct window *w, int64_t c,
                           int64_t n, float divisor, float *out) {
    float s[FZK_PANEL] = {0};
    for (int64_t ky = w->y.first; ky < w->y.end; ky++)
        for (int64_t kx = w->x.first; kx < w->x.end; kx++) {
            const float *x = tap(p, w, ky, kx, c);
            FZK_NO_UNROLL
            for (int64_t i = 0; i < n; i++) s[i] = s[i] + x[i];
        }
    FZK_NO_UNROLL
    for (int64_t i = 0; i < n; i++) out[i] = s[i] / divisor;
}

void FZK_NAME(maxpool_f32)(const struct fzk_pool_f32 *p) {
    for (int64_t y = p->row_begin; y < p->row_end; y++)
        for (int64_t x = 0; x < p->out_width; x++) {
            struct window w = window_at(p, y, x);
            float *out = p->out + y * p->out_row + x * p->out_pixel;
            int64_t c = 0;
            for (; c + FZK_PANEL <= p->channels; c += FZK_PANEL)
                maximum(p, &w, c, FZK_PANEL, out + c);
            for (; c < p->channels && p->channels >= HALF; c += HALF) {
                if (c + HALF > p->channels) c = p->channels - HALF;
                maximum(p, &w, c, HALF, out + c);
            }
            if (c < p->channels) maximum(p, &w, c, p->channels - c, out + c);
        }
}

void FZK_NAME(avgpool_f32)(const struct fzk_pool_f32 *p) {
    for (int64_t y = p->row_begin; y < p->row_end; y++)
        for (int64_t x = 0; x < p->out_width; x++) {
            struct window w = window_at(p, y, x);
            float divisor = divisor_of(p, &w), *out = p->out + y * p->out_row + x * p->out_pixel;
            int64_t c = 0;
            for (; c + FZK_PANEL <= p->channels; c += FZK_PANEL)
                average(p, &w, c, FZK_PANEL, divisor, out + c);
            for (; c < p->channels && p->channels >= HALF; c += HALF) {
                if (c + HALF > p->channels) c = p->channels - HALF;
                average(p, &w, c, HALF, divisor, out + c);
            }
            if (c < p->channels) average(p, &w, c, p->channels - c, divisor, out + c);
        }
}
