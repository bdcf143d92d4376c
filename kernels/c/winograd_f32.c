/* The transforms of Winograd F(2x2, 3x3): rows first, then columns, terms left to right. */
#include "finish.h"

/* B^T = [1 0 -1 0; 0 1 1 0; 0 -1 1 0; 0 1 0 -1] times a column. */
static inline void times_bt(fzk_vec out[4], fzk_vec a, fzk_vec b, fzk_vec c, fzk_vec d) {
    out[0] = a - c;
    out[1] = b + c;
    out[2] = c - b;
    out[3] = b - d;
}

/* A^T = [1 1 1 0; 0 1 -1 -1] times a column. */
static inline void times_at(fzk_vec out[2], fzk_vec a, fzk_vec b, fzk_vec c, fzk_vec d) {
    out[0] = (a + b) + c;
    out[1] = (b - c) - d;
}

/* A vector of channels (N of them real) of one tile whose top left pixel is (Y, X). */
static inline void input_tile(const struct fzk_winograd_input_f32 *w, int64_t y, int64_t x,
                              int64_t c, int64_t n, float *v) {
    fzk_vec d[4][4], rows[4][4]; /* d[column][row]: rows is column by column, too */
    const float *from = w->in + y * w->in_row + x * w->in_pixel + c;
    for (int j = 0; j < 4; j++) {
        for (int i = 0; i < 4; i++) {
            bool inside = y + i < w->height && x + j < w->width;
            d[j][i] = inside ? fzk_load(from + i * w->in_row + j * w->in_pixel, n) : (fzk_vec){0};
        }
        times_bt(rows[j], d[j][0], d[j][1], d[j][2], d[j][3]);
    }
    for (int i = 0; i < 4; i++) {
        fzk_vec out[4];
        times_bt(out, rows[0][i], rows[1][i], rows[2][i], rows[3][i]);
        for (int j = 0; j < 4; j++) fzk_store(v + (i * 4 + j) * w->v_matrix + c, out[j], n);
    }
}

void FZK_NAME(winograd_input_f32)(const struct fzk_winograd_input_f32 *w) {
    for (int64_t tile = w->tile_begin; tile < w->tile_end; tile++) {
        int64_t y = tile / w->tiles_x * 2, x = tile % w->tiles_x * 2, c = 0;
        float *v = w->v + (tile - w->tile_begin) * w->v_row;
        for (; c + FZK_LANES <= w->channels; c += FZK_LANES) input_tile(w, y, x, c, FZK_LANES, v);
        if (c < w->channels) input_tile(w, y, x, c, w->channels - c, v);
    }
}

/* Bias, residual, clip and store of N channels of an output pixel. */
static inline void finish(const struct fzk_winograd_output_f32 *w, int64_t y, int64_t x, int64_t c,
                          int64_t n, fzk_vec value) {
    const float *residual =
        w->residual ? w->residual + y * w->residual_row + x * w->residual_pixel + c : NULL;
    value = fzk_finish(value, n, w->bias ? w->bias + c : NULL, residual, w->round);
    if (w->clip) value = fzk_clip(value, w->lo, w->hi);
    fzk_store(w->out + y * w->out_row + x * w->out_pixel + c, value, n);
}

static inline void output_tile(const struct fzk_winograd_output_f32 *w, int64_t y, int64_t x,
                               int64_t c, int64_t n, const float *m) {
    fzk_vec rows[4][2];
    for (int j = 0; j < 4; j++) {
        fzk_vec d[4];
        for (int i = 0; i < 4; i++) d[i] = fzk_load(m + (i * 4 + j) * w->m_matrix + c, n);
        times_at(rows[j], d[0], d[1], d[2], d[3]);
    }
    for (int i = 0; i < 2 && y + i < w->height; i++) {
        fzk_vec out[2];
        times_at(out, rows[0][i], rows[1][i], rows[2][i], rows[3][i]);
        for (int j = 0; j < 2 && x + j < w->width; j++) finish(w, y + i, x + j, c, n, out[j]);
    }
}

void FZK_NAME(winograd_output_f32)(const struct fzk_winograd_output_f32 *w) {
    for (int64_t tile = w->tile_begin; tile < w->tile_end; tile++) {
        int64_t y = tile / w->tiles_x * 2, x = tile % w->tiles_x * 2, c = 0;
        const float *m = w->m + (tile - w->tile_begin) * w->m_row;
        for (; c + FZK_LANES <= w->channels; c += FZK_LANES) output_tile(w, y, x, c, FZK_LANES, m);
        if (c < w->channels) output_tile(w, y, x, c, w->channels - c, m);
    }
}
