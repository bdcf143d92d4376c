/* The transforms of Winograd F(2x2, 3x3) for NEON, four channels at a time. Tiles inside of the
 * image have loops without questions; the others, and channels beyond a multiple of four, ask for
 * every element. */
#include "fma.h"

enum { LANES = 4 };

/* The first N lanes, the others +0. */
static float32x4_t load(const float *p, int64_t n) {
    if (n >= LANES) return vld1q_f32(p);
    float32x4_t v = vdupq_n_f32(0);
    if (n > 0) v = vld1q_lane_f32(p, v, 0);
    if (n > 1) v = vld1q_lane_f32(p + 1, v, 1);
    if (n > 2) v = vld1q_lane_f32(p + 2, v, 2);
    return v;
}

static void store(float *p, int64_t n, float32x4_t v) {
    if (n >= LANES) {
        vst1q_f32(p, v);
        return;
    }
    if (n > 0) vst1q_lane_f32(p, v, 0);
    if (n > 1) vst1q_lane_f32(p + 1, v, 1);
    if (n > 2) vst1q_lane_f32(p + 2, v, 2);
}

/* B^T = [1 0 -1 0; 0 1 1 0; 0 -1 1 0; 0 1 0 -1] times a column. */
FZK_INLINE void times_bt(float32x4_t out[4], float32x4_t a, float32x4_t b, float32x4_t c,
                         float32x4_t d) {
    out[0] = vsubq_f32(a, c);
    out[1] = vaddq_f32(b, c);
    out[2] = vsubq_f32(c, b);
    out[3] = vsubq_f32(b, d);
}

/* A^T = [1 1 1 0; 0 1 -1 -1] times a column. */
FZK_INLINE void times_at(float32x4_t out[2], float32x4_t a, float32x4_t b, float32x4_t c,
                         float32x4_t d) {
    out[0] = vaddq_f32(vaddq_f32(a, b), c);
    out[1] = vsubq_f32(vsubq_f32(b, c), d);
}

/* A grid of vectors: element (i, j) lies off[j] bytes behind row[i]. The compiler would add up each
 * address anew. */
struct grid {
    const char *row[4];
    int64_t off[4];
};

FZK_INLINE struct grid grid_of(const void *at, int64_t row, int64_t column) {
    struct grid g;
    FZK_UNROLL
    for (int i = 0; i < 4; i++) {
        g.row[i] = (const char *)at + i * row * 4;
        g.off[i] = i * column * 4;
        FZK_FORGET(g.off[i]);
    }
    return g;
}

FZK_INLINE float *at(const struct grid *g, int i, int j) {
    return (float *)(uintptr_t)(g->row[i] + g->off[j]);
}

/* To the next four channels. */
FZK_INLINE void advance(int rows, struct grid *g) {
    FZK_UNROLL
    for (int i = 0; i < rows; i++) {
        g->row[i] += LANES * 4;
        FZK_FORGET(g->row[i]);
    }
}

/* N channels of a tile: ROWS x COLUMNS of its pixels lie inside, the others are +0. */
FZK_INLINE void input(const struct grid *in, const struct grid *v, int64_t n, int64_t rows,
                      int64_t columns) {
    float32x4_t column[4][4], out[4];
    FZK_UNROLL
    for (int j = 0; j < 4; j++) {
        float32x4_t d[4];
        FZK_UNROLL
        for (int i = 0; i < 4; i++) d[i] = load(at(in, i, j), i < rows && j < columns ? n : 0);
        times_bt(column[j], d[0], d[1], d[2], d[3]);
    }
    FZK_UNROLL
    for (int i = 0; i < 4; i++) {
        times_bt(out, column[0][i], column[1][i], column[2][i], column[3][i]);
        FZK_UNROLL
        for (int j = 0; j < 4; j++) store(at(v, i, j), n, out[j]);
    }
}

/* The channels from C on of a tile. WHOLE: only whole vectors are done, and of tiles inside of the
 * image; else what is left is done with questions. Returns the first channel not done. */
FZK_INLINE int64_t input_tile(const struct fzk_winograd_input_f32 *w, int64_t tile, int64_t c,
                              int whole) {
    int64_t y = tile / w->tiles_x * 2, x = tile % w->tiles_x * 2, channels = w->channels;
    int64_t rows = w->height - y, columns = w->width - x;
    struct grid in = grid_of(w->in + y * w->in_row + x * w->in_pixel + c, w->in_row, w->in_pixel);
    struct grid v = grid_of(w->v + (tile - w->tile_begin) * w->v_row + c, 4 * w->v_matrix,
                            w->v_matrix);
    if (whole && (rows < 4 || columns < 4)) return c;
    for (; whole ? c + LANES <= channels : c < channels; c += LANES) {
        if (whole) input(&in, &v, LANES, 4, 4);
        else input(&in, &v, channels - c, rows, columns);
        advance(4, &in);
        advance(4, &v);
    }
    return c;
}

__attribute__((noinline)) static void input_rest(const struct fzk_winograd_input_f32 *w,
                                                 int64_t tile, int64_t c) {
    input_tile(w, tile, c, 0);
}

void fzk_winograd_input_f32_neon(const struct fzk_winograd_input_f32 *w) {
    for (int64_t tile = w->tile_begin; tile < w->tile_end; tile++) {
        int64_t c = input_tile(w, tile, 0, 1);
        if (c < w->channels) input_rest(w, tile, c);
    }
}

/* What an output tile needs. */
struct target {
    struct grid m, out, residual;
    const float *bias;
    int has_bias, has_residual, clip;
    float32x4_t lo, hi;
};

/* N channels of an output tile, of which ROWS x COLUMNS pixels are written. */
FZK_INLINE void output(const struct target *t, int64_t n, int64_t rows, int64_t columns) {
    float32x4_t column[4][2];
    FZK_UNROLL
    for (int j = 0; j < 4; j++) {
        float32x4_t d[4];
        FZK_UNROLL
        for (int i = 0; i < 4; i++) d[i] = load(at(&t->m, i, j), n);
        times_at(column[j], d[0], d[1], d[2], d[3]);
    }
    FZK_UNROLL
    for (int i = 0; i < 2; i++) {
        float32x4_t y[2];
        times_at(y, column[0][i], column[1][i], column[2][i], column[3][i]);
        FZK_UNROLL
        for (int j = 0; j < 2; j++) {
            if (i >= rows || j >= columns) continue;
            if (t->has_bias) y[j] = vaddq_f32(y[j], load(t->bias, n));
            if (t->has_residual) y[j] = vaddq_f32(y[j], load(at(&t->residual, i, j), n));
            if (t->clip) y[j] = at_most(t->hi, at_least(t->lo, y[j]));
            store(at(&t->out, i, j), n, y[j]);
        }
    }
}

/* As input_tile. */
FZK_INLINE int64_t output_tile(const struct fzk_winograd_output_f32 *w, int64_t tile, int64_t c,
                               int whole) {
    int64_t y = tile / w->tiles_x * 2, x = tile % w->tiles_x * 2, channels = w->channels;
    int64_t rows = w->height - y, columns = w->width - x;
    const float *residual = w->residual ? w->residual : w->out;
    struct target t = {.bias = (w->bias ? w->bias : w->out) + c, .has_bias = w->bias != NULL,
                       .has_residual = w->residual != NULL, .clip = w->clip != 0,
                       .lo = vdupq_n_f32(w->lo), .hi = vdupq_n_f32(w->hi)};
    t.m = grid_of(w->m + (tile - w->tile_begin) * w->m_row + c, 4 * w->m_matrix, w->m_matrix);
    t.out = grid_of(w->out + y * w->out_row + x * w->out_pixel + c, w->out_row, w->out_pixel);
    t.residual = grid_of(residual + y * w->residual_row + x * w->residual_pixel + c,
                         w->residual_row, w->residual_pixel);
    if (whole && (rows < 2 || columns < 2)) return c;
    for (; whole ? c + LANES <= channels : c < channels; c += LANES) {
        if (whole) output(&t, LANES, 2, 2);
        else output(&t, channels - c, rows, columns);
        advance(4, &t.m);
        advance(2, &t.out);
        advance(2, &t.residual);
        t.bias += LANES;
    }
    return c;
}

__attribute__((noinline)) static void output_rest(const struct fzk_winograd_output_f32 *w,
                                                  int64_t tile, int64_t c) {
    output_tile(w, tile, c, 0);
}

void fzk_winograd_output_f32_neon(const struct fzk_winograd_output_f32 *w) {
    if (w->round) {
        fzk_winograd_output_f32_c(w);
        return;
    }
    for (int64_t tile = w->tile_begin; tile < w->tile_end; tile++) {
        int64_t c = output_tile(w, tile, 0, 1);
        if (c < w->channels) output_rest(w, tile, c);
    }
}
