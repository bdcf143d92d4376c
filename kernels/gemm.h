/* Float GEMM over packed weights, which is also every convolution but depthwise. */
#ifndef FZ_KERNELS_GEMM_H
#define FZ_KERNELS_GEMM_H

#include <stdint.h>

enum {
    FZK_PANEL = 32,      /* columns of a packed panel */
    FZK_K_BLOCK = 256    /* terms of one chain; see README.md */
};

/* Where a result is rounded to a 16-bit type on its way out: the type, and behind which sums. The
 * number stays in binary32; a NaN becomes the canonical one. The numbers stand in files. */
enum {
    FZK_ROUND_F16 = 1,
    FZK_ROUND_BF16 = 2,
    FZK_ROUND_TYPE = 3,     /* the bits of the type; 0: nothing is rounded */
    FZK_ROUND_SUM = 4,      /* the chain */
    FZK_ROUND_BIAS = 8,     /* behind the bias, whether there is one or not */
    FZK_ROUND_RESIDUAL = 16 /* behind the residual */
};

/* A run of LEN consecutive k whose A elements lie at row + OFF, row + OFF + 1 ... */
struct fzk_segment {
    int64_t off; /* in elements */
    int64_t len;
};

/* C[i][j] = act(chain over k of A[i][k] * B[k][j] + bias[j] + residual[i][j]), 0 <= i < m, 0 <= j
 * < n. A plain GEMM has one segment {0, K}; a convolution over a zero-padded NHWC image has one
 * per kernel row (contiguous taps) or per tap (dilated), in canonical order.
 *
 * B is packed in panels [ceil(n/32)][K][32], columns past n zero. Rows of C and residual are ldc
 * and ldr elements apart. Rows of A come in runs, a convolution's output rows: row i starts at a +
 * i / run * run_stride + i % run * lda; run = 0 means one run of all m rows. C overlaps no input,
 * but residual may be C itself (same pointer, same stride) where nothing is rounded. k runs through
 * the segments in order, in blocks of FZK_K_BLOCK that ignore segment borders. m, n >= 0; K = 0
 * gives +0 for the chain. */
struct fzk_gemm_f32 {
    int64_t m, n, k; /* k: sum of the segments' lengths */
    const float *a;
    int64_t lda, run, run_stride;
    const struct fzk_segment *segments;
    int64_t n_segments;
    const float *b;
    const void *ahead;     /* what the caller reads next, worth fetching, about as many bytes as the
                              panels have; or NULL. No bit depends on it. */
    int64_t down;          /* 1: few rows meet the last panels first, which are still near if B was
                              gone through upwards just before. No bit depends on it. */
    float *c;
    int64_t ldc;
    const float *bias;     /* n values or NULL */
    const float *residual; /* NULL: none */
    int64_t ldr;
    int64_t clip;          /* 1: t = lo > x ? lo : x; y = hi < t ? hi : t */
    float lo, hi;
    int64_t round;         /* FZK_ROUND_ bits */
};

/* The end of a product alone: C[i][j] = act(C[i][j] + bias[j] + residual[i][j]), each sum rounded
 * as ROUND says, 0 <= i < m, 0 <= j < n. Residual is C itself or does not overlap it. */
struct fzk_finish_f32 {
    int64_t m, n;
    float *c;
    int64_t ldc;
    const float *bias;     /* n values or NULL */
    const float *residual; /* NULL: none */
    int64_t ldr;
    int64_t clip;
    float lo, hi;
    int64_t round;
};

/* Packs B (k x n, element (i, j) at b + i * row_stride + j * col_stride) into panels
 * [ceil(n/32)][k][32], columns past n zero. The fast cases are col_stride = 1 (B itself) and
 * row_stride = 1 (its transpose). */
struct fzk_pack_b_f32 {
    float *to; /* ceil(n/32) * k * 32 elements */
    const float *b;
    int64_t k, n, row_stride, col_stride;
};

#endif
