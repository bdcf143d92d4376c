/* Packs int8 weights for the integer kernels. Compiled once, for the baseline. */
#include "qgemm.h"

#include <string.h>

#include "kernels.h"

int64_t fzk_qpack_kq(const struct fzk_segment *segments, int64_t n_segments) {
    int64_t kq = 0;
    for (int64_t s = 0; s < n_segments; s++) kq += (segments[s].len + FZK_QUAD - 1) / FZK_QUAD;
    return kq;
}

static int64_t panels(int64_t n) { return (n + FZK_PANEL - 1) / FZK_PANEL; }

int64_t fzk_qpack_b_size(const struct fzk_segment *segments, int64_t n_segments, int64_t n) {
    return panels(n) * FZK_PANEL * FZK_QUAD * fzk_qpack_kq(segments, n_segments);
}

/* The stored form of one weight. */
static int8_t weight(const void *data, int64_t at, int64_t is_unsigned, int64_t offset) {
    int64_t w = is_unsigned ? ((const uint8_t *)data)[at] : ((const int8_t *)data)[at];
    return (int8_t)(w - offset);
}

/* One panel: columns j0 .. j0 + 31, those past n zero. Returns where the next begins. */
static int8_t *pack_panel(const struct fzk_qpack *p, int64_t j0, int8_t *b) {
    int64_t width = p->n - j0 < FZK_PANEL ? p->n - j0 : FZK_PANEL, k0 = 0;
    for (int64_t s = 0; s < p->n_segments; k0 += p->segments[s].len, s++) {
        int64_t len = p->segments[s].len;
        for (int64_t k = 0; k < len; k++) {
            int8_t *quad = b + k / FZK_QUAD * FZK_PANEL * FZK_QUAD + k % FZK_QUAD;
            int64_t at = (k0 + k) * p->k_step + j0 * p->n_step;
            for (int64_t j = 0; j < width; j++) {
                int8_t w = weight(p->data, at + j * p->n_step, p->is_unsigned, p->offset);
                quad[j * FZK_QUAD] = w;
                p->col_sum[j0 + j] = (int32_t)((uint32_t)p->col_sum[j0 + j] + (uint32_t)w);
            }
        }
        b += (len + FZK_QUAD - 1) / FZK_QUAD * FZK_PANEL * FZK_QUAD;
    }
    return b;
}

void fzk_qpack_b(const struct fzk_qpack *p) {
    memset(p->b, 0, (size_t)fzk_qpack_b_size(p->segments, p->n_segments, p->n));
    memset(p->col_sum, 0, (size_t)(panels(p->n) * FZK_PANEL) * sizeof *p->col_sum);
    int8_t *b = p->b;
    for (int64_t j = 0; j < p->n; j += FZK_PANEL) b = pack_panel(p, j, b);
}

int64_t fzk_qpack_depthwise_size(int64_t c, int64_t kh, int64_t kw) {
    return panels(c) * FZK_PANEL * FZK_QUAD * kh * ((kw + FZK_QUAD - 1) / FZK_QUAD);
}

void fzk_qpack_depthwise(const struct fzk_qpack_dw *p) {
    int64_t quads = (p->kw + FZK_QUAD - 1) / FZK_QUAD;
    memset(p->w, 0, (size_t)fzk_qpack_depthwise_size(p->c, p->kh, p->kw));
    memset(p->col_sum, 0, (size_t)(panels(p->c) * FZK_PANEL) * sizeof *p->col_sum);
    for (int64_t ch = 0; ch < p->c; ch++) {
        uint32_t sum = 0;
        for (int64_t r = 0; r < p->kh; r++)
            for (int64_t s = 0; s < p->kw; s++) {
                int8_t w = weight(p->data, (r * p->kw + s) * p->tap_step + ch * p->c_step,
                                  p->is_unsigned, p->offset);
                int64_t quad = (ch / FZK_PANEL * p->kh + r) * quads + s / FZK_QUAD;
                p->w[(quad * FZK_PANEL + ch % FZK_PANEL) * FZK_QUAD + s % FZK_QUAD] = w;
                sum += (uint32_t)w;
            }
        p->col_sum[ch] = (int32_t)sum;
    }
}
