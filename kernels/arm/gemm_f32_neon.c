/* The float GEMM for NEON: tiles of up to 6 rows x 16 columns whose sums stay in registers.
 *
 * 6 x 4 accumulators, four consecutive elements of A for each row and two vectors of B fill the 32
 * registers. Fused multiply-adds take an element of A out of its vector, so that four steps of k
 * need but one load of each row. A panel of 32 columns is done in two halves; up to three rows take
 * it whole, and one row two of them at once. */
#include <string.h>

#include "fma.h"
#define FINISH fzk_finish_f32_c
#include "tiles/gemm_f32_sweep.h"

enum {
    LANES = 4,
    MAX_ROWS = 6,
    MAX_VECS = 16,               /* of one tile's row */
    VECS = FZK_PANEL / LANES,    /* of a panel's row */
    HALF = FZK_PANEL / 2,        /* columns of a half panel */
    GROUP_SIZE = 192 * 1024      /* bytes of panels that one sweep over the rows shares: of L2 */
};

/* Where row R of a tile starts: the later half of the rows lies from A1 on. */
FZK_INLINE const float *row_at(int rows, int r, const float *a0, const float *a1, int64_t lda) {
    const int half = (rows + 1) / 2;
    return r < half ? a0 + r * lda : a1 + (r - half) * lda;
}

/* N vectors of B from number AT on, counted through rows of VECS. B1 is the second panel, if there
 * is one. The loads happen here, in pairs. */
FZK_INLINE void load_b(int n, float32x4_t *to, int vecs, const float *b, const float *b1, int at) {
    FZK_UNROLL
    for (int i = 0; i < n; i++) {
        int k = (at + i) / vecs, v = (at + i) % vecs;
        to[i] = vld1q_f32((v < VECS ? b : b1) + k * FZK_PANEL + v % VECS * LANES);
    }
    if (n == 1) __asm__ volatile("" : "+w"(to[0]));
    FZK_UNROLL
    for (int i = 0; i + 1 < n; i += 2) __asm__ volatile("" : "+w"(to[i]), "+w"(to[i + 1]));
}

/* acc[r][v] += a[r][k] * b[k][v] for four steps of k. Where there are registers for it, a few
 * vectors of B are loaded together, else each one while the one before is in use. */
FZK_INLINE void four_steps(int rows, int vecs, float32x4_t (*acc)[MAX_VECS], const float32x4_t *a,
                           const float *b, const float *b1) {
    const int spare = 32 - rows * vecs - rows, group = spare >= 8 ? 8 : spare >= 4 ? 4 : 1;
    const int size = group < vecs ? group : vecs, total = LANES * vecs;
    float32x4_t now[8], next;
    load_b(size, now, vecs, b, b1, 0);
    FZK_UNROLL
    for (int i = 0; i < total; i += size) {
        if (size > 1 && i > 0) load_b(size, now, vecs, b, b1, i);
        if (size == 1 && i + 1 < total) load_b(1, &next, vecs, b, b1, i + 1);
        FZK_UNROLL
        for (int j = 0; j < size; j++) {
            int v = (i + j) % vecs, lane = (i + j) / vecs;
            FZK_UNROLL
            for (int r = 0; r < rows; r++) acc[r][v] = fma4_lane(acc[r][v], now[j], a[r], lane);
        }
        if (size == 1) now[0] = next;
    }
}

/* LEN steps. */
FZK_INLINE void steps(int rows, int vecs, float32x4_t (*acc)[MAX_VECS], const float *a0,
                      const float *a1, int64_t lda, const float *b, int64_t panel_stride,
                      int64_t len) {
    const float *b1 = b + panel_stride;
    FZK_FORGET(b1); /* else it is added at every load */
    FZK_NO_UNROLL
    for (; len >= LANES; len -= LANES) {
        float32x4_t a[MAX_ROWS];
        FZK_UNROLL
        for (int r = 0; r < rows; r++) a[r] = vld1q_f32(row_at(rows, r, a0, a1, lda));
        four_steps(rows, vecs, acc, a, b, b1);
        a0 += LANES;
        a1 += LANES;
        b += LANES * FZK_PANEL;
        b1 += LANES * FZK_PANEL;
    }
    FZK_NO_UNROLL
    for (; len > 0; len--, a0++, a1++, b += FZK_PANEL, b1 += FZK_PANEL) {
        float a[MAX_ROWS];
        FZK_UNROLL
        for (int r = 0; r < rows; r++) a[r] = *row_at(rows, r, a0, a1, lda);
        FZK_UNROLL
        for (int v = 0; v < vecs; v++) {
            float32x4_t bv;
            load_b(1, &bv, vecs, b, b1, v);
            FZK_UNROLL
            for (int r = 0; r < rows; r++) acc[r][v] = fma4_by(acc[r][v], bv, a[r]);
        }
    }
}

/* Ends a block of k: Y becomes or takes in the sums, which start again at +0. */
FZK_INLINE void fold(int rows, int vecs, float32x4_t (*acc)[MAX_VECS], float *y, int first) {
    FZK_UNROLL
    for (int r = 0; r < rows; r++) {
        FZK_UNROLL
        for (int v = 0; v < vecs; v++) {
            float *at = y + (r * vecs + v) * LANES;
            vst1q_f32(at, first ? acc[r][v] : vaddq_f32(vld1q_f32(at), acc[r][v]));
            acc[r][v] = vdupq_n_f32(0);
        }
    }
}

/* Copies N columns of ROWS rows. */
__attribute__((noinline)) static void copy(int rows, int64_t n, float *to, int64_t to_row,
                                           const float *from, int64_t from_row) {
    for (int r = 0; r < rows; r++, to += to_row, from += from_row)
        memcpy(to, from, (size_t)n * sizeof *to);
}

/* Bias, residual, clip and store of a tile. */
FZK_INLINE void finish(int rows, int vecs, float32x4_t (*acc)[MAX_VECS], const struct tile *t,
                       float *c, int64_t ldc, const float *bias, const float *residual,
                       int64_t ldr) {
    float32x4_t lo = vdupq_n_f32(t->g->lo), hi = vdupq_n_f32(t->g->hi);
    FZK_UNROLL
    for (int v = 0; v < vecs; v++) {
        if (bias) {
            float32x4_t x = vld1q_f32(bias + v * LANES);
            FZK_UNROLL
            for (int r = 0; r < rows; r++) acc[r][v] = vaddq_f32(acc[r][v], x);
        }
        if (residual) {
            FZK_UNROLL
            for (int r = 0; r < rows; r++)
                acc[r][v] = vaddq_f32(acc[r][v], vld1q_f32(residual + r * ldr + v * LANES));
        }
        if (t->clip) {
            FZK_UNROLL
            for (int r = 0; r < rows; r++) acc[r][v] = at_most(hi, at_least(lo, acc[r][v]));
        }
        FZK_UNROLL
        for (int r = 0; r < rows; r++) vst1q_f32(c + r * ldc + v * LANES, acc[r][v]);
    }
}

/* The chains of a tile, whose B starts at B. k runs through the segments; a block of FZK_K_BLOCK
 * may end inside of one. Y holds the sum of earlier blocks, if there are any. */
FZK_INLINE void chains(int rows, int vecs, const struct tile *t, const float *b, float *y,
                       float32x4_t (*acc)[MAX_VECS]) {
    const struct fzk_gemm_f32 *g = t->g;
    int64_t room = FZK_K_BLOCK, skip = t->k.skip, k_left = t->k.len;
    int first = !t->k.resumed;
    FZK_UNROLL
    for (int r = 0; r < rows; r++) {
        FZK_UNROLL
        for (int v = 0; v < vecs; v++) acc[r][v] = vdupq_n_f32(0);
    }
    for (int64_t s = t->k.segment; k_left > 0; s++, skip = 0) {
        const int64_t off = g->segments[s].off + skip;
        const float *a0 = t->a0 + off, *a1 = t->a1 + off;
        int64_t left = g->segments[s].len - skip;
        if (left > k_left) left = k_left;
        k_left -= left;
        while (left > 0) {
            if (room == 0) {
                fold(rows, vecs, acc, y, first);
                first = 0;
                room = FZK_K_BLOCK;
            }
            int64_t len = left < room ? left : room;
            steps(rows, vecs, acc, a0, a1, g->lda, b, g->k * FZK_PANEL, len);
            a0 += len;
            a1 += len;
            b += len * FZK_PANEL;
            left -= len;
            room -= len;
        }
    }
    if (first) return;
    FZK_UNROLL
    for (int r = 0; r < rows; r++) {
        FZK_UNROLL
        for (int v = 0; v < vecs; v++)
            acc[r][v] = vaddq_f32(vld1q_f32(y + (r * vecs + v) * LANES), acc[r][v]);
    }
}

/* A tile from column COLUMN of its first panel on, of whose columns N are there. Where that is not
 * all, what the epilogue reads and writes goes through copies of the whole width. */
FZK_INLINE void part(int rows, int vecs, const struct tile *t, int64_t column, int64_t n) {
    const struct fzk_gemm_f32 *g = t->g;
    const int64_t width = vecs * LANES;
    float32x4_t acc[MAX_ROWS][MAX_VECS];
    float y[MAX_ROWS * FZK_PANEL], padded[2 * FZK_PANEL];
    float *c = t->c + column;
    FZK_ANY(y);
    if (t->k.resumed) copy(rows, n < width ? n : width, y, width, c, g->ldc);
    chains(rows, vecs, t, t->b + column, y, acc);
    const float *bias = t->bias ? t->bias + column : NULL;
    const float *residual = t->residual ? t->residual + column : NULL;
    if (n >= width) {
        finish(rows, vecs, acc, t, c, g->ldc, bias, residual, g->ldr);
        return;
    }
    FZK_ANY(padded);
    if (bias) copy(1, n, padded, 0, bias, 0);
    if (residual) copy(rows, n, y, width, residual, g->ldr);
    finish(rows, vecs, acc, t, y, width, bias ? padded : NULL, residual ? y : NULL, width);
    copy(rows, n, c, g->ldc, y, width);
}

/* The last panel of a matrix often has no more than 8, 16 or 24 columns. */
#define PART(rows, vecs)                                                                           \
    static void part_##rows##_##vecs(const struct tile *t, int64_t column, int64_t n) {            \
        part(rows, vecs, t, column, n);                                                            \
    }
#define WHOLE(rows)                                                                                \
    PART(rows, 2) PART(rows, 4) PART(rows, 8)                                                      \
    static void tile_##rows(const struct tile *t) {                                                \
        if (t->width <= 8) part_##rows##_2(t, 0, t->width);                                        \
        else if (t->width <= HALF) part_##rows##_4(t, 0, t->width);                                \
        else part_##rows##_8(t, 0, t->width);                                                      \
    }
#define HALVES(rows)                                                                               \
    PART(rows, 2) PART(rows, 4)                                                                    \
    static void tile_##rows(const struct tile *t) {                                                \
        for (int64_t column = 0; column < t->width; column += HALF) {                              \
            int64_t n = t->width - column;                                                         \
            if (n <= 8) part_##rows##_2(t, column, n);                                             \
            else part_##rows##_4(t, column, n);                                                    \
        }                                                                                          \
    }
WHOLE(1) WHOLE(2) WHOLE(3) HALVES(4) HALVES(5) HALVES(6)

static void tile_1_2(const struct tile *t) { part(1, 2 * VECS, t, 0, FZK_PANEL + t->width); }

static const tile_fn single[MAX_ROWS + 1] = {NULL, tile_1, tile_2, tile_3, tile_4, tile_5, tile_6};

void fzk_gemm_f32_neon(const struct fzk_gemm_f32 *g) {
    if (g->m <= 0 || g->n <= 0) return;
    if (g->m <= 3 && one_run(g))
        skinny(g, g->m == 1 ? 2 : 1, g->m == 1 ? tile_1_2 : single[g->m], single[g->m]);
    else sweep(g, GROUP_SIZE, MAX_ROWS, single);
}
