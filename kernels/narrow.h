/* Float products with weights that are stored narrow: halves, or integers of 8, 4 or 2 bits with a
 * scale, and maybe a zero point, for each column of each block of k. */
#ifndef FZ_KERNELS_NARROW_H
#define FZ_KERNELS_NARROW_H

#include <stdint.h>

#include "gemm.h"

/* How weights are stored. The numbers stand in files. */
enum {
    FZK_NARROW_F16 = 0,
    FZK_NARROW_BF16 = 1,
    FZK_NARROW_8 = 2,
    FZK_NARROW_4 = 3,
    FZK_NARROW_2 = 4,
    FZK_NARROW_FORMS
};

/* Panels of 32 columns and K rows. Row k of a panel is 32 halves or bytes; or, of 4 and 2 bits, a
 * field of 32 words: word k / n of a column holds n = 8 or 16 rows, the first one in the lowest
 * bits, zeros past K. So a panel has fzk_narrow_size() bytes.
 *
 * A half is the number that it is; NaN is the canonical one only. An integer q, never negative,
 * stands for (float)(q - zero) * scale, one rounding: SCALE and ZERO have 32 numbers for each block
 * of BLOCK rows, panel by panel. BLOCK is a multiple of 16, or at least K. */
struct fzk_narrow {
    int32_t form;
    int32_t middle;      /* the zero point of all blocks, at most 255; used if ZERO is NULL */
    int64_t k, block;    /* block is not used with halves */
    const void *b;
    const float *scale;  /* NULL with halves */
    const uint8_t *zero; /* or NULL */
};

/* C[i][j] = act(chain over k of A[i][k] * W[k][j] + bias[j] + residual[i][j]): the bits of gemm_f32
 * over the numbers that W stands for. */
struct fzk_ngemm_f32 {
    struct fzk_narrow w;
    int64_t m, n;
    const float *a;
    int64_t lda;
    float *c;
    int64_t ldc;
    const float *bias;     /* n values or NULL */
    const float *residual; /* NULL: none */
    int64_t ldr;
    int64_t clip;          /* 1: t = lo > x ? lo : x; y = hi < t ? hi : t */
    float lo, hi;
};

/* Rows of k in one element (word, half or byte) of a panel. */
static inline int64_t fzk_narrow_fields(int64_t form) {
    return form == FZK_NARROW_4 ? 8 : form == FZK_NARROW_2 ? 16 : 1;
}

/* Bytes of one element. */
static inline int64_t fzk_narrow_width(int64_t form) {
    return form <= FZK_NARROW_BF16 ? 2 : form == FZK_NARROW_8 ? 1 : 4;
}

/* Bytes of a panel of K rows. */
static inline int64_t fzk_narrow_size(int64_t form, int64_t k) {
    int64_t fields = fzk_narrow_fields(form);
    return (k + fields - 1) / fields * FZK_PANEL * fzk_narrow_width(form);
}

/* Blocks of K rows. */
static inline int64_t fzk_narrow_blocks(const struct fzk_narrow *w) {
    return w->scale ? (w->k + w->block - 1) / w->block : 0;
}

#endif
