/* Maximum and average over windows for NEON, 32 channels at a time; the taps of a window in
 * row-major order. fmax is the maximum of the contract: NaN wins, +0 > -0. */
#include "c/pool_f32_window.h"
#include "functions_neon.h"

enum { VECS = FZK_PANEL / LANES };

/* N channels from C on, VECS vectors of them. */
FZK_INLINE void reduce(int max, int vecs, const struct fzk_pool_f32 *p, const struct window *w,
                       int64_t c, int64_t n, float divisor, float *out) {
    VEC s[VECS];
    FZK_UNROLL
    for (int v = 0; v < vecs; v++) s[v] = v_set(max ? -__builtin_inff() : 0);
    const int64_t step = p->dilation_w * p->in_pixel;
    for (int64_t ky = w->y.first; ky < w->y.end; ky++) {
        const float *x = tap(p, w, ky, w->x.first, c);
        for (int64_t kx = w->x.first; kx < w->x.end; kx++, x += step) {
            FZK_UNROLL
            for (int v = 0; v < vecs; v++) {
                VEC at = v_load(x + v * LANES, n - v * LANES);
                s[v] = max ? v_max(s[v], at) : v_add(s[v], at);
            }
        }
    }
    FZK_UNROLL
    for (int v = 0; v < vecs; v++) {
        if (!max) s[v] = v_div(s[v], v_set(divisor));
        v_store(out + v * LANES, s[v], n - v * LANES);
    }
}

FZK_INLINE void pool(int max, const struct fzk_pool_f32 *p) {
    for (int64_t y = p->row_begin; y < p->row_end; y++)
        for (int64_t x = 0; x < p->out_width; x++) {
            struct window w = window_at(p, y, x);
            float divisor = max ? 1 : divisor_of(p, &w);
            float *out = p->out + y * p->out_row + x * p->out_pixel;
            int64_t c = 0;
            for (; c + VECS * LANES <= p->channels; c += VECS * LANES)
                reduce(max, VECS, p, &w, c, VECS * LANES, divisor, out + c);
            for (; c + LANES <= p->channels; c += LANES)
                reduce(max, 1, p, &w, c, LANES, divisor, out + c);
            if (c < p->channels) reduce(max, 1, p, &w, c, p->channels - c, divisor, out + c);
        }
}

void fzk_maxpool_f32_neon(const struct fzk_pool_f32 *p) { pool(1, p); }
void fzk_avgpool_f32_neon(const struct fzk_pool_f32 *p) { pool(0, p); }
