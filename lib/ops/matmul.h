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

/* Makes the constant input 1 of frozen.MatMul from W: [k, n], or [n, k] if TRANS. The layout is
 * [ceil(n / 32)][k][32], or [k][n] with BLAS. */
fz_status_t fzi_matmul_pack(struct fz_graph *graph, const struct fz_value *w, bool trans, bool blas,
                            struct fz_value **packed);

/* frozen.MatMulDyn: y = (a [.., m, k] times b [.., k, n], or [.., n, k] with trans_b) scaled by a
 * binary32 multiplication or division after the chain. Batch dims broadcast; ranks are 2 or more. */
enum { FZ_SCALE_NONE = 0, FZ_SCALE_MUL = 1, FZ_SCALE_DIV = 2 };
struct fz_matmul_dyn_params {
    int64_t trans_b;
    int64_t scale_kind;
    double scale;
};

/* Panels [ceil(n / 32)][k][32] of B, whose element (i, j) lies at b[i * row + j * col]. */
void fzi_pack_panels(const float *b, int64_t k, int64_t n, int64_t row, int64_t col, float *out);

#endif
