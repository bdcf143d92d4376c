/* The profile blas: products of two run-time matrices, in the same fixed blocks. */
#include "blas/blas.h"
#include "ops/matmul.h"

struct cut {
    const struct fz_product *p;
    const float *b;
    bool trans;
    int64_t rows, columns; /* blocks of one product */
};

/* Blocks [begin, end), numbered through columns, rows, matrices. */
static void unit(void *arg, int64_t begin, int64_t end) {
    const struct cut *cut = arg;
    const struct fz_product *p = cut->p;
    for (int64_t u = begin; u < end; u++) {
        int64_t j = u % cut->columns * FZK_BLAS_COLUMNS;
        int64_t i = u / cut->columns % cut->rows * FZK_BLAS_ROWS;
        int64_t matrix = u / cut->columns / cut->rows, a, b;
        fzi_product_find(p, matrix, &a, &b);
        struct fzk_blas_block block = {
            .m = fzi_min_i64(FZK_BLAS_ROWS, p->m - i), .n = fzi_min_i64(FZK_BLAS_COLUMNS, p->n - j),
            .k = p->k, .a = p->a + (a * p->m + i) * p->k, .lda = p->k,
            .b = cut->b + b * p->k * p->n + (cut->trans ? j * p->k : j),
            .ldb = cut->trans ? p->k : p->n, .c = p->c + (matrix * p->m + i) * p->n + j,
            .ldc = p->n, .trans_b = cut->trans};
        fzk_blas_multiply(p->env->blas, &block);
    }
}

fz_status_t fzi_product_blas(const struct fz_product *p, const float *b, bool trans) {
    if (p->k >= 1 << 30 || p->n >= 1 << 30)
        return fzi_error(FZ_E_SHAPE, "a matrix is too large for OpenBLAS");
    struct cut cut = {p, b, trans, fzi_ceil_div(p->m, FZK_BLAS_ROWS),
                      fzi_ceil_div(p->n, FZK_BLAS_COLUMNS)};
    fzi_run_range(p->env, p->batch * cut.rows * cut.columns, 1, unit, &cut);
    for (int64_t i = 0; i < p->batch * p->m; i++) {
        float *c = p->c + i * p->n;
        if (p->bias)
            for (int64_t j = 0; j < p->n; j++) c[j] = c[j] + p->bias[j];
        if (p->residual)
            for (int64_t j = 0; j < p->n; j++) c[j] = c[j] + p->residual[i * p->n + j];
    }
    fzi_product_rescale(p, p->c, p->batch * p->m * p->n);
    return FZ_OK;
}
