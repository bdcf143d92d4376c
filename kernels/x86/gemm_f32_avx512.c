/* The float GEMM for AVX-512: tiles of up to 14 rows x 32 columns whose sums stay in registers.
 *
 * 14 x 2 accumulators, two vectors of B and one broadcast element of A fill 31 of the 32 registers.
 * Few rows take several panels at once instead. */
#include <immintrin.h>

#include "x86.h"
#define FINISH fzk_finish_f32_v4
#include "tiles/gemm_f32_sweep.h"

enum {
    MAX_ROWS = 14,
    MAX_VECS = 8,            /* of one tile's row */
    VECS = FZK_PANEL / 16,   /* vectors of a panel's row */
    NEAR_B = 512 * 1024,     /* bytes of B: up to here two streams of it are the fastest, from L2 */
    GROUP_SIZE = 384 * 1024  /* bytes of panels that one sweep over the rows shares: part of L2 */
};

/* Row R of a half tile: x86 addresses scale by 1, 2, 4, so that three strides reach seven rows. */
FZK_INLINE const float *row_at(const char *base, int r, int64_t by1, int64_t by3, int64_t by5) {
    int64_t off = r == 0 ? 0 : r == 1 ? by1 : r == 2 ? 2 * by1 : r == 3 ? by3 : r == 4 ? 4 * by1
                : r == 5 ? by5 : 2 * by3;
    return (const float *)(base + off);
}

/* acc[r][v] += a[r][k] * b[k][v] over LEN steps. */
FZK_INLINE void steps(int rows, int vecs, __m512 (*acc)[MAX_VECS], const float *a0,
                      const float *a1, int64_t lda, const float *b, int64_t panel_stride,
                      const float *next, int64_t step, int64_t len) {
    const int half = (rows + 1) / 2;
    const int64_t by1 = lda * 4, by3 = lda * 12, by5 = lda * 20;
    const char *base0 = (const char *)a0, *base1 = (const char *)a1;
    FZK_NO_UNROLL
    for (int64_t k = 0; k < len; k++) {
        __m512 bv[MAX_VECS];
        /* Few rows by many columns are as fast as memory: what they wait for is on its way. */
        if (vecs <= VECS) {
            _mm_prefetch((const char *)next, _MM_HINT_T1);
            /* Many rows share what is fetched, or wait for multiplications anyway. */
            if (rows <= 4) _mm_prefetch((const char *)(next + 16), _MM_HINT_T1);
            next += step;
        }
        FZK_UNROLL
        for (int v = 0; v < vecs; v++)
            bv[v] = _mm512_loadu_ps(b + (v / VECS) * panel_stride + v % VECS * 16);
        FZK_UNROLL
        for (int r = 0; r < rows; r++) {
            __m512 ar = _mm512_set1_ps(*(r < half ? row_at(base0, r, by1, by3, by5)
                                                  : row_at(base1, r - half, by1, by3, by5)));
            FZK_UNROLL
            for (int v = 0; v < vecs; v++)
                acc[r][v] = _mm512_fmadd_ps(ar, bv[v], acc[r][v]);
        }
        b += FZK_PANEL;
        base0 += 4;
        base1 += 4;
    }
}

/* Ends a block of k: Y becomes or takes in the sums, which start again at +0. */
FZK_INLINE void fold(int rows, int vecs, __m512 (*acc)[MAX_VECS], __m512 *y, int first) {
    FZK_UNROLL
    for (int r = 0; r < rows; r++) {
        FZK_UNROLL
        for (int v = 0; v < vecs; v++) {
            __m512 *at = &y[r * vecs + v];
            *at = first ? acc[r][v] : _mm512_add_ps(*at, acc[r][v]);
            acc[r][v] = _mm512_setzero_ps();
        }
    }
}

/* Vector V of the tile's VECS: whole, but in the last panel. */
FZK_INLINE __mmask16 column_mask(const struct tile *t, int vecs, int v) {
    int64_t left = v / VECS == (vecs - 1) / VECS ? t->width - v % VECS * 16 : 16;
    return left >= 16 ? 0xFFFF : left <= 0 ? 0 : (__mmask16)((1u << left) - 1);
}

/* Takes the sum of earlier parts of k out of C. */
FZK_INLINE void resume(int rows, int vecs, __m512 *y, const struct tile *t) {
    FZK_UNROLL
    for (int v = 0; v < vecs; v++) {
        __mmask16 mask = column_mask(t, vecs, v);
        FZK_UNROLL
        for (int r = 0; r < rows; r++)
            y[r * vecs + v] = _mm512_maskz_loadu_ps(mask, t->c + r * t->g->ldc + v * 16);
    }
}

/* Bias, residual, clip, and the store. */
FZK_INLINE void finish(int rows, int vecs, __m512 (*acc)[MAX_VECS],
                       const struct tile *t) {
    const struct fzk_gemm_f32 *g = t->g;
    FZK_UNROLL
    for (int v = 0; v < vecs; v++) {
        __mmask16 mask = column_mask(t, vecs, v);
        if (t->bias) {
            __m512 bias = _mm512_maskz_loadu_ps(mask, t->bias + v * 16);
            FZK_UNROLL
            for (int r = 0; r < rows; r++) acc[r][v] = _mm512_add_ps(acc[r][v], bias);
        }
        if (t->residual) {
            FZK_UNROLL
            for (int r = 0; r < rows; r++) {
                __m512 x = _mm512_maskz_loadu_ps(mask, t->residual + r * g->ldr + v * 16);
                acc[r][v] = _mm512_add_ps(acc[r][v], x);
            }
        }
        if (t->clip) {
            __m512 lo = _mm512_set1_ps(g->lo), hi = _mm512_set1_ps(g->hi);
            FZK_UNROLL
            for (int r = 0; r < rows; r++)
                acc[r][v] = _mm512_min_ps(hi, _mm512_max_ps(lo, acc[r][v]));
        }
        FZK_UNROLL
        for (int r = 0; r < rows; r++)
            _mm512_mask_storeu_ps(t->c + r * g->ldc + v * 16, mask, acc[r][v]);
    }
}

/* Fetches where the sums go, and the residual: a far cache answers while k runs. */
FZK_INLINE void fetch_ahead(int rows, int vecs, const struct tile *t) {
    const struct fzk_gemm_f32 *g = t->g;
    FZK_UNROLL
    for (int r = 0; r < rows; r++) {
        FZK_UNROLL
        for (int v = 0; v < vecs; v++) {
            __builtin_prefetch(t->c + r * g->ldc + v * 16, 1, 3);
            if (t->residual) __builtin_prefetch(t->residual + r * g->ldr + v * 16, 0, 3);
        }
    }
}

/* A whole tile. k runs through the segments; a block of FZK_K_BLOCK may end inside of one. */
FZK_INLINE void tile(int rows, int vecs, const struct tile *t) {
    const struct fzk_gemm_f32 *g = t->g;
    __m512 acc[MAX_ROWS][MAX_VECS], y[MAX_ROWS * MAX_VECS];
    FZK_UNROLL
    for (int r = 0; r < rows; r++) {
        FZK_UNROLL
        for (int v = 0; v < vecs; v++) acc[r][v] = _mm512_setzero_ps();
    }
    FZK_ANY(y);
    fetch_ahead(rows, vecs, t);
    if (t->k.resumed) resume(rows, vecs, y, t);
    const float *b = t->b, *next = t->next;
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
            steps(rows, vecs, acc, a0, a1, g->lda, b, g->k * FZK_PANEL, next, t->step,
                  len);
            a0 += len;
            a1 += len;
            b += len * FZK_PANEL;
            next += len * t->step;
            left -= len;
            room -= len;
        }
    }
    if (!first) {
        FZK_UNROLL
        for (int r = 0; r < rows; r++) {
            FZK_UNROLL
            for (int v = 0; v < vecs; v++)
                acc[r][v] = _mm512_add_ps(y[r * vecs + v], acc[r][v]);
        }
    }
    finish(rows, vecs, acc, t);
}

#define TILE(rows, vecs)                                                                           \
    static void tile_##rows##_##vecs(const struct tile *t) { tile(rows, vecs, t); }
/* The last panel of a matrix often has no more than 16 columns. */
#define WIDTHS(rows)                                                                               \
    TILE(rows, 1) TILE(rows, 2)                                                                    \
    static void tile_##rows(const struct tile *t) {                                                \
        if (t->width > 16) tile_##rows##_2(t);                                                     \
        else tile_##rows##_1(t);                                                                   \
    }
WIDTHS(1) WIDTHS(2) WIDTHS(3) WIDTHS(4) WIDTHS(5) WIDTHS(6) WIDTHS(7)
WIDTHS(8) WIDTHS(9) WIDTHS(10) WIDTHS(11) WIDTHS(12) WIDTHS(13) WIDTHS(14)
TILE(1, 4) TILE(1, 8) TILE(2, 8) TILE(3, 4) TILE(4, 4)

static const tile_fn single[MAX_ROWS + 1] = {
    NULL, tile_1, tile_2, tile_3, tile_4, tile_5, tile_6, tile_7,
    tile_8, tile_9, tile_10, tile_11, tile_12, tile_13, tile_14};
static const tile_fn several[5] = {NULL, tile_1_8, tile_2_8, tile_3_4, tile_4_4};

void fzk_gemm_f32_avx512(const struct fzk_gemm_f32 *g) {
    if (g->m <= 0 || g->n <= 0) return;
    if (g->m == 1 && g->n * g->k <= NEAR_B / 4 && one_run(g)) skinny(g, 2, tile_1_4, single[1]);
    else if (g->m <= 4 && one_run(g)) skinny(g, g->m <= 2 ? 4 : 2, several[g->m], single[g->m]);
    else sweep(g, GROUP_SIZE, MAX_ROWS, single);
}
