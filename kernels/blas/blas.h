/* The bridge to OpenBLAS, for models of the numerics profile "blas". The library is loaded when
 * such a model is opened, never linked. Its bits hold for one version, one core and calls of one
 * thread over a partition that never depends on the number of threads: see FZK_BLAS_ROWS. */
#ifndef FZ_KERNELS_BLAS_H
#define FZ_KERNELS_BLAS_H

#include <stdint.h>

enum {
    FZK_BLAS_ROWS = 256,     /* rows and columns of C that one call computes, from (0, 0) on */
    FZK_BLAS_COLUMNS = 1024
};

struct fz_blas {
    /* cblas_sgemm. ORDER 101 is row-major; TRANS 111 no, 112 yes. */
    void (*sgemm)(int order, int trans_a, int trans_b, int m, int n, int k, float alpha,
                  const float *a, int lda, const float *b, int ldb, float beta, float *c, int ldc);
    void *library;
    int one_at_a_time;           /* a build without threads: its buffers bear one call at a time */
    char version[32], core[32]; /* "0.3.21", "Haswell": what the profile's name is made of */
};

/* Loads LIBRARY ("libopenblas.so.0") into *OUT. A threaded build's process-wide number of threads
 * is set to 1. NULL on success, else what is wrong, a constant text; *OUT is then zeroed. */
const char *fzk_blas_open(const char *library, struct fz_blas *out);
void fzk_blas_close(struct fz_blas *blas);

/* C = A times B for m x n results, all row-major: rows of A, B and C lie LDA, LDB, LDC elements
 * apart. TRANS_B: B is n x k. m <= FZK_BLAS_ROWS, n <= FZK_BLAS_COLUMNS; k, lda, ldb, ldc <
 * 2^31. */
struct fzk_blas_block {
    int64_t m, n, k;
    const float *a, *b;
    float *c;
    int64_t lda, ldb, ldc;
    int64_t trans_b;
};
void fzk_blas_multiply(const struct fz_blas *blas, const struct fzk_blas_block *block);

#endif
