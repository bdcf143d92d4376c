/* Matrix products: params, packing, and what MatMul, Gemm and their frozen forms share. */
#ifndef FZ_OPS_MATMUL_H
#define FZ_OPS_MATMUL_H

#include "ops/act.h"

/* frozen.MatMul: x [..., k] times packed constant weights [k, n], plus bias [n], plus residual (of
 * the output's shape), then the activation. Inputs: x, weights, bias, residual. */
struct fz_frozen_matmul_params {
    int64_t k, n;
    int64_t blas;      /* 1: weights are [k][n], for the profile blas */
    struct fz_act act;
};

/* FZ_E_SHAPE: names input I of an operator with these params, which does not fit them. */
fz_status_t fzi_frozen_matmul_misfit(const struct fz_op *op, const struct fz_call *call,
                                     uint32_t i);

/* Makes the constant input 1 of frozen.MatMul from W: [k, n], or [n, k] if TRANS. The layout is
 * [ceil(n / 32)][k][32], or [k][n] with BLAS. */
fz_status_t fzi_matmul_pack(struct fz_graph *graph, const struct fz_value *w, bool trans, bool blas,
                            struct fz_value **packed);

/* ---- frozen.SparseMatMul: the same with weights that are zero in many blocks. Its inputs: x,
 * stored rows, bias, residual, and two tables. */
enum {
    FZ_SPARSE_K = 4,       /* inputs of a block; a panel has 32 outputs */
    /* The density in percent up to which packed weights were faster than dense ones: on a BERT by
     * 1.2 at 60, by nothing at 70. */
    FZ_SPARSE_PERCENT = 60
};

/* Weights of K inputs and N outputs: that of input i for output j lies at w[i * row + j *
 * column]. */
struct fz_sparse_source {
    const float *w;
    int64_t k, n, row, column;
};
/* How many rows of 32 numbers are stored, of K for each panel. */
int64_t fzi_sparse_rows(const struct fz_sparse_source *source);
/* True if they are few enough to win. */
bool fzi_sparse_wins(const struct fz_sparse_source *source);
/* Makes stored rows, segments and panels (inputs 1, 4 and 5) in IN. */
fz_status_t fzi_sparse_pack(struct fz_graph *graph, const char *name,
                            const struct fz_sparse_source *source, struct fz_value *in[3]);

/* frozen.MatMulDyn: y = (a [.., m, k] times b [.., k, n], or [.., n, k] with trans_b) scaled by a
 * binary32 multiplication or division after the chain. Batch dims broadcast; ranks are 2 or
 * more. */
enum { FZ_SCALE_NONE = 0, FZ_SCALE_MUL = 1, FZ_SCALE_DIV = 2 };
struct fz_matmul_dyn_params {
    int64_t trans_b;
    int64_t scale_kind;
    double scale;
};

/* ---- inside of the family */

/* BATCH products c = a times packed b, each m x n, dense and behind each other; A's and B's
 * matrices are found by broadcasting: DIMS of the batch, steps in matrices. Then scale, bias,
 * residual, activation, in this order; scale, bias and residual never come together. */
struct fz_product {
    const struct fz_env *env;
    int64_t m, n, k, batch;
    int32_t rank;                /* of the batch */
    int64_t dims[FZ_RANK_MAX], a_step[FZ_RANK_MAX], b_step[FZ_RANK_MAX];
    const float *a, *b;          /* b: panels */
    const float *ahead;          /* panels of the next product, worth fetching; or NULL */
    const float *bias, *residual;
    float *c;
    struct fz_act act;
    int64_t scale_kind;
    float scale;
};
void fzi_product_run(const struct fz_product *p);

/* The numbers of A's and B's matrices in product I. */
void fzi_product_find(const struct fz_product *p, int64_t i, int64_t *a, int64_t *b);
/* Applies the scale to N values. */
void fzi_product_rescale(const struct fz_product *p, float *x, int64_t n);
/* The same by OpenBLAS (env->blas is set) from B as it is, transposed with TRANS; no activation.
 * FZ_E_SHAPE for dims beyond 2^30. */
fz_status_t fzi_product_blas(const struct fz_product *p, const float *b, bool trans);

/* Packs COUNT matrices of k x n, whose element (i, j) lies at b[i * row + j * col], on all
 * threads. */
void fzi_product_pack(const struct fz_env *env, const float *b, int64_t count, int64_t k, int64_t n,
                      bool trans, float *out);
/* Bytes of COUNT packed matrices; false on overflow. */
bool fzi_product_packed_size(int64_t count, int64_t k, int64_t n, size_t *size);

/* A product of float64 or integer matrices by strides, for the types that have no kernel: multiply,
 * then add; float64 in blocks of FZK_K_BLOCK as float32, integers modulo 2^n. */
struct fz_plain_product {
    int32_t dtype;
    int64_t m, n, k;
    const void *a, *b;
    void *c;                     /* dense */
    int64_t a_row, a_col, b_row, b_col;
};
void fzi_plain_product(const struct fz_plain_product *p);

#endif
