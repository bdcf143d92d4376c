/* The packed float GEMM: one chain of fma per output and block of 256 k, blocks added in order,
 * then bias, residual, clip.
 *
 * The chains of a few rows and a part of a panel go side by side, so that they stay in registers
 * on any target and an element of B serves several rows. */
#include "finish.h"

enum {
    ROWS = 4,
    COLUMNS = FZK_LANES == 16 ? 32 : 16, /* of one tile: enough chains, few enough registers */
    VECS = COLUMNS / FZK_LANES
};

static inline const float *row_of(const struct fzk_gemm_f32 *g, int64_t i) {
    int64_t run = g->run ? g->run : g->m;
    return g->a + i / run * g->run_stride + i % run * g->lda;
}

/* s[r][v] = fma(a[r][k], b[k][v], s[r][v]) over LEN steps of k. */
FZK_VEC_INLINE void steps(int rows, fzk_vec (*s)[VECS], const float *const *a, const float *b,
                         int64_t len) {
    for (int64_t k = 0; k < len; k++, b += FZK_PANEL) {
        fzk_vec bv[VECS];
        FZK_UNROLLED
        for (int v = 0; v < VECS; v++) bv[v] = fzk_load(b + v * FZK_LANES, FZK_LANES);
        FZK_UNROLLED
        for (int r = 0; r < rows; r++) {
            fzk_vec ar = fzk_splat(a[r][k]);
            FZK_UNROLLED
            for (int v = 0; v < VECS; v++) s[r][v] = fzk_vec_fma(ar, bv[v], s[r][v]);
        }
    }
}

/* Ends a block: y = s for the first one, else y = y + s; the next starts at +0. */
FZK_VEC_INLINE void fold(int rows, bool first, fzk_vec (*y)[VECS], fzk_vec (*s)[VECS]) {
    FZK_UNROLLED
    for (int r = 0; r < rows; r++) {
        FZK_UNROLLED
        for (int v = 0; v < VECS; v++) {
            y[r][v] = first ? s[r][v] : y[r][v] + s[r][v];
            s[r][v] = (fzk_vec){0};
        }
    }
}

/* The chains of ROWS rows from I on and of COLUMNS columns from J on. */
FZK_VEC_INLINE void chains(const struct fzk_gemm_f32 *g, int rows, int64_t i, int64_t j,
                          fzk_vec (*y)[VECS]) {
    fzk_vec s[ROWS][VECS] = {0};
    const float *b = g->b + j / FZK_PANEL * FZK_PANEL * g->k + j % FZK_PANEL;
    int64_t room = FZK_K_BLOCK;
    bool first = true;
    for (int64_t t = 0; t < g->n_segments; t++) {
        int64_t off = g->segments[t].off, end = off + g->segments[t].len, len;
        for (; off < end; off += len, b += len * FZK_PANEL, room -= len) {
            if (room == 0) {
                fold(rows, first, y, s);
                first = false;
                room = FZK_K_BLOCK;
            }
            len = end - off < room ? end - off : room;
            const float *a[ROWS];
            FZK_UNROLLED
            for (int r = 0; r < rows; r++) a[r] = row_of(g, i + r) + off;
            steps(rows, s, a, b, len);
        }
    }
    fold(rows, first, y, s);
}

/* Bias, residual, rounding, clip and store of the N columns of row I from J on. */
FZK_VEC_INLINE void finish(const struct fzk_gemm_f32 *g, fzk_vec x, int64_t i, int64_t j,
                           int64_t n) {
    x = fzk_finish_call(x, n, g->bias ? g->bias + j : NULL,
                        g->residual ? g->residual + i * g->ldr + j : NULL, g->round);
    if (g->clip) x = fzk_clip(x, g->lo, g->hi);
    fzk_store(g->c + i * g->ldc + j, x, n);
}

/* ROWS rows from I on, COLUMNS columns from J on; what lies past n is not stored. */
FZK_VEC_INLINE void tile(const struct fzk_gemm_f32 *g, int rows, int64_t i, int64_t j) {
    fzk_vec y[ROWS][VECS] = {0};
    chains(g, rows, i, j, y);
    FZK_UNROLLED
    for (int r = 0; r < rows; r++) {
        FZK_UNROLLED
        for (int v = 0; v < VECS; v++) {
            int64_t column = j + v * FZK_LANES;
            if (column < g->n) finish(g, y[r][v], i + r, column, g->n - column);
        }
    }
}

void FZK_NAME(gemm_f32)(const struct fzk_gemm_f32 *g) {
    for (int64_t j = 0; j < g->n; j += COLUMNS) {
        int64_t i = 0;
        for (; i + ROWS <= g->m; i += ROWS) tile(g, ROWS, i, j);
        for (; i < g->m; i++) tile(g, 1, i, j);
    }
}
