/* The float GEMM for AVX2 and FMA: tiles of up to 6 rows x 16 columns whose sums stay in
 * registers.
 *
 * 6 x 2 accumulators, two vectors of B and one broadcast element of A fill 15 of the 16 registers.
 * A panel of 32 columns is done in two halves; up to three rows take it whole, and one row two of
 * them at once. */
#include <immintrin.h>

#include "x86.h"
#define FINISH fzk_finish_f32_v3
#include "tiles/gemm_f32_sweep.h"

enum {
    MAX_ROWS = 6,
    MAX_VECS = 8,            /* of one tile's row */
    VECS = FZK_PANEL / 8,    /* of a panel's row */
    GROUP_SIZE = 192 * 1024  /* bytes of panels that one sweep over the rows shares: part of L2 */
};

/* acc[r][v] += a[r][k] * b[k][v] over LEN steps. */
FZK_INLINE void steps(int rows, int vecs, __m256 (*acc)[MAX_VECS], const float *a0,
                      const float *a1, int64_t lda, const float *b, int64_t panel_stride,
                      const float *next, int64_t step, int64_t len) {
    const int half = (rows + 1) / 2;
    FZK_NO_UNROLL
    for (int64_t k = 0; k < len; k++) {
        __m256 bv[MAX_VECS], ar[MAX_ROWS];
        _mm_prefetch((const char *)next, _MM_HINT_T1);
        next += step;
        /* One row reads B straight into its fma; several keep what is used again: B or A. */
        if (vecs <= 2) {
            FZK_UNROLL
            for (int v = 0; v < vecs; v++) bv[v] = _mm256_loadu_ps(b + v * 8);
        }
        FZK_UNROLL
        for (int r = 0; r < rows; r++) {
            ar[r] = _mm256_broadcast_ss(r < half ? a0 + r * lda : a1 + (r - half) * lda);
            if (vecs <= 2) {
                FZK_UNROLL
                for (int v = 0; v < vecs; v++) acc[r][v] = _mm256_fmadd_ps(ar[r], bv[v], acc[r][v]);
            }
        }
        if (vecs > 2) {
            FZK_UNROLL
            for (int v = 0; v < vecs; v++) {
                __m256 one = _mm256_loadu_ps(b + (v / VECS) * panel_stride + v % VECS * 8);
                FZK_UNROLL
                for (int r = 0; r < rows; r++) acc[r][v] = _mm256_fmadd_ps(ar[r], one, acc[r][v]);
            }
        }
        b += FZK_PANEL;
        a0++;
        a1++;
    }
}

/* Ends a block of k: Y becomes or takes in the sums, which start again at +0. */
FZK_INLINE void fold(int rows, int vecs, __m256 (*acc)[MAX_VECS], __m256 *y, int first) {
    FZK_UNROLL
    for (int r = 0; r < rows; r++) {
        FZK_UNROLL
        for (int v = 0; v < vecs; v++) {
            __m256 *at = &y[r * vecs + v];
            *at = first ? acc[r][v] : _mm256_add_ps(*at, acc[r][v]);
            acc[r][v] = _mm256_setzero_ps();
        }
    }
}

/* The first LEFT of eight lanes, as vmaskmovps wants them. */
FZK_INLINE __m256i lanes(int64_t left) {
    const __m256i index = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
    return _mm256_cmpgt_epi32(_mm256_set1_epi32(left > 8 ? 8 : left < 0 ? 0 : (int)left), index);
}

/* Takes the sum of earlier parts of k out of C, whose columns end after LEFT. */
FZK_INLINE void resume(int rows, int vecs, __m256 *y, const float *c, int64_t ldc, int64_t left) {
    FZK_UNROLL
    for (int v = 0; v < vecs; v++) {
        __m256i mask = lanes(left - v * 8);
        FZK_UNROLL
        for (int r = 0; r < rows; r++)
            y[r * vecs + v] = _mm256_maskload_ps(c + r * ldc + v * 8, mask);
    }
}

/* Bias, residual, clip and store of a tile: all columns or, if MASKED, those up to LEFT. */
FZK_INLINE void finish(int rows, int vecs, __m256 (*acc)[MAX_VECS], const struct tile *t, float *c,
                       int64_t column, int64_t left, int masked) {
    const struct fzk_gemm_f32 *g = t->g;
    FZK_UNROLL
    for (int v = 0; v < vecs; v++) {
        __m256i mask = lanes(left - v * 8);
        if (t->bias) {
            const float *at = t->bias + column + v * 8;
            __m256 bias = masked ? _mm256_maskload_ps(at, mask) : _mm256_loadu_ps(at);
            FZK_UNROLL
            for (int r = 0; r < rows; r++) acc[r][v] = _mm256_add_ps(acc[r][v], bias);
        }
        if (t->residual) {
            FZK_UNROLL
            for (int r = 0; r < rows; r++) {
                const float *at = t->residual + r * g->ldr + column + v * 8;
                __m256 x = masked ? _mm256_maskload_ps(at, mask) : _mm256_loadu_ps(at);
                acc[r][v] = _mm256_add_ps(acc[r][v], x);
            }
        }
        if (t->clip) {
            __m256 lo = _mm256_set1_ps(g->lo), hi = _mm256_set1_ps(g->hi);
            FZK_UNROLL
            for (int r = 0; r < rows; r++)
                acc[r][v] = _mm256_min_ps(hi, _mm256_max_ps(lo, acc[r][v]));
        }
        FZK_UNROLL
        for (int r = 0; r < rows; r++) {
            if (masked) _mm256_maskstore_ps(c + r * g->ldc + v * 8, mask, acc[r][v]);
            else _mm256_storeu_ps(c + r * g->ldc + v * 8, acc[r][v]);
        }
    }
}

/* Fetches where the sums go, and the residual: a far cache answers while k runs. */
FZK_INLINE void fetch_ahead(int rows, const struct tile *t, int64_t column) {
    const struct fzk_gemm_f32 *g = t->g;
    FZK_UNROLL
    for (int r = 0; r < rows; r++) {
        __builtin_prefetch(t->c + r * g->ldc + column, 1, 3);
        if (t->residual) __builtin_prefetch(t->residual + r * g->ldr + column, 0, 3);
    }
}

/* A tile from column COLUMN of its first panel on. k runs through the segments; a block of
 * FZK_K_BLOCK may end inside of one. */
FZK_INLINE void part(int rows, int vecs, const struct tile *t, int64_t column, int64_t width) {
    const struct fzk_gemm_f32 *g = t->g;
    __m256 acc[MAX_ROWS][MAX_VECS], y[MAX_ROWS * MAX_VECS];
    FZK_UNROLL
    for (int r = 0; r < rows; r++) {
        FZK_UNROLL
        for (int v = 0; v < vecs; v++) acc[r][v] = _mm256_setzero_ps();
    }
    FZK_ANY(y);
    fetch_ahead(rows, t, column);
    if (t->k.resumed) resume(rows, vecs, y, t->c + column, g->ldc, width - column);
    const int64_t step = t->step / 2; /* a half of the columns fetches a half */
    const float *b = t->b + column, *next = t->next + (column ? step * t->k.len : 0);
    int64_t room = FZK_K_BLOCK, skip = t->k.skip, k_left = t->k.len;
    int first = !t->k.resumed;
    for (int64_t s = t->k.segment; k_left > 0; s++, skip = 0) {
        const int64_t off = g->segments[s].off + skip;
        const float *a0 = t->a0 + off, *a1 = t->a1 + off;
        if (t->next_by_off) next = t->next + off;
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
            steps(rows, vecs, acc, a0, a1, g->lda, b, g->k * FZK_PANEL, next, step, len);
            a0 += len;
            a1 += len;
            b += len * FZK_PANEL;
            next += len * step;
            left -= len;
            room -= len;
        }
    }
    if (!first) {
        FZK_UNROLL
        for (int r = 0; r < rows; r++) {
            FZK_UNROLL
            for (int v = 0; v < vecs; v++)
                acc[r][v] = _mm256_add_ps(y[r * vecs + v], acc[r][v]);
        }
    }
    if (width - column >= vecs * 8) finish(rows, vecs, acc, t, t->c + column, column, 0, 0);
    else finish(rows, vecs, acc, t, t->c + column, column, width - column, 1);
}

#define WHOLE(rows)                                                                                \
    static void tile_##rows(const struct tile *t) { part(rows, VECS, t, 0, t->width); }
#define HALVES(rows)                                                                               \
    static void half_##rows(const struct tile *t, int64_t column) {                                \
        part(rows, VECS / 2, t, column, t->width);                                                 \
    }                                                                                              \
    static void tile_##rows(const struct tile *t) {                                                \
        half_##rows(t, 0);                                                                         \
        if (t->width > FZK_PANEL / 2) half_##rows(t, FZK_PANEL / 2);                               \
    }
WHOLE(1) WHOLE(2) WHOLE(3) HALVES(4) HALVES(5) HALVES(6)

static void tile_1_2(const struct tile *t) { part(1, 2 * VECS, t, 0, FZK_PANEL + t->width); }

static const tile_fn single[MAX_ROWS + 1] = {NULL, tile_1, tile_2, tile_3, tile_4, tile_5, tile_6};

void fzk_gemm_f32_avx2(const struct fzk_gemm_f32 *g) {
    if (g->m <= 0 || g->n <= 0) return;
    if (g->m <= 3 && one_run(g))
        skinny(g, g->m == 1 ? 2 : 1, g->m == 1 ? tile_1_2 : single[g->m], single[g->m]);
    else sweep(g, GROUP_SIZE, MAX_ROWS, single);
}
