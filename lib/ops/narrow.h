/* Products with weights that are stored narrow: params and packing. */
#ifndef FZ_OPS_NARROW_H
#define FZ_OPS_NARROW_H

#include "ops/act.h"

/* frozen.MatMulNarrow: x [..., k] times weights [k, n] in one of the forms of kernels/narrow.h,
 * plus bias [n], plus residual (of the output's shape), then the activation. */
struct fz_narrow_params {
    int64_t k, n;
    int64_t form;   /* FZK_NARROW_... */
    int64_t block;  /* rows of k with one scale; 0 with halves */
    int64_t middle; /* the zero point where there are no others */
    struct fz_act act;
};

/* Its inputs: scale and zero [panels, blocks, 32] or absent. The first four are frozen.MatMul's. */
enum {
    FZ_NARROW_X,
    FZ_NARROW_W,
    FZ_NARROW_BIAS,
    FZ_NARROW_RESIDUAL,
    FZ_NARROW_SCALE,
    FZ_NARROW_ZERO,
    FZ_NARROW_INPUTS
};

/* The narrowest form of halves that holds all of W, a float32 matrix, bit by bit; -1: none. */
int64_t fzi_narrow_half_form(const fz_tensor_t *w);

/* Fills P but for its activation, and the constant inputs of IN, from W, a float32 matrix [k, n],
 * or [n, k] if TRANS, that fits FORM. */
fz_status_t fzi_narrow_pack_halves(struct fz_graph *graph, const struct fz_value *w, bool trans,
                                   int64_t form, struct fz_narrow_params *p, struct fz_value **in);

/* Integers by their places: element (k, n) is get(source, k, n), less ZERO(source, block, n), times
 * SCALE(source, block, n). Integers and zero points are 0 to 255, 15 or 3. */
struct fz_narrow_source {
    const void *data;
    int64_t (*get)(const void *data, int64_t k, int64_t n);
    int64_t (*zero)(const void *data, int64_t block, int64_t n);
    float (*scale)(const void *data, int64_t block, int64_t n);
};
/* The same from SOURCE; P has k, n, form and block set. */
fz_status_t fzi_narrow_pack(struct fz_graph *graph, const char *name,
                            const struct fz_narrow_source *source, struct fz_narrow_params *p,
                            struct fz_value **in);

/* ---- MatMulNBits of com.microsoft: integers of 8, 4 or 2 bits, bytes [n][blocks][bytes of a
 * block], and a scale for each block of each column */
struct fz_nbits_params {
    int64_t k, n, bits, block;
};
enum { FZ_NBITS_X, FZ_NBITS_W, FZ_NBITS_SCALE, FZ_NBITS_ZERO, FZ_NBITS_GROUP, FZ_NBITS_BIAS };

/* Fills P and IN from NODE, a MatMulNBits. *READY is false, and nothing filled, if it does not read
 * what has a narrow form: constants, integers as zero points, blocks in their order. */
fz_status_t fzi_nbits_pack(struct fz_graph *graph, const struct fz_node *node,
                           struct fz_narrow_params *p, struct fz_value **in, bool *ready);

#endif
