/* What the operators between floats and quantised integers share. */
#ifndef FZ_OPS_QUANT_H
#define FZ_OPS_QUANT_H

#include "ops/op.h"

/* How scales lie along a tensor: [outer][n][inner] elements; element (o, a, i) has scale number
 *   per tensor  0;   per axis  a;   blocked  (o * n_blocks + a / block) * inner + i. */
struct fz_quant_grid {
    int64_t outer, n, inner;
    int64_t n_blocks;     /* along the axis; blocked only */
    int64_t block;        /* elements of a block; 0: not blocked */
    bool per_axis;
};

/* Reads GRID from X's and SCALE's shapes, both known, and the attributes. FZ_E_SHAPE names OP. */
fz_status_t fzi_quant_grid(const struct fz_op *op, const fz_tensor_t *x, const fz_tensor_t *scale,
                           int64_t axis, int64_t block, struct fz_quant_grid *grid);

/* Calls ELEMENTS(job, i, n, s) for rows [BEGIN, END) of GRID, numbered over outer and axis: N
 * elements from I on share scale number S. The grid is per axis or blocked. */
typedef void (*fz_quant_fn)(const void *job, int64_t i, int64_t n, int64_t s);
void fzi_quant_rows(const struct fz_quant_grid *grid, int64_t begin, int64_t end,
                    fz_quant_fn elements, const void *job);

/* Smallest and largest value of an integer type of at most 32 bits. */
int64_t fzi_quant_low(int32_t dtype);
int64_t fzi_quant_high(int32_t dtype);
/* x / scale, rounded half to even (NaN counts as 0), plus zero, saturated to [low, high]. */
int64_t fzi_quant_round(float x, float scale, int64_t zero, int64_t low, int64_t high);
/* Writes integer V to element I of T, which is zeroed where types below 8 bits are packed. */
void fzi_quant_put(const fz_tensor_t *t, int64_t i, int64_t v);
/* Types of quantised floats: 8 bits, or 4. */
#define FZ_QUANT_FLOATS (FZ_T(F8E4M3FN) | FZ_T(F8E4M3FNUZ) | FZ_T(F8E5M2) | FZ_T(F8E5M2FNUZ) | \
                         FZ_T(F4E2M1))
/* Scale number I as binary32: of a float type, E8M0 or int32. */
float fzi_quant_scale(const struct fzk_table *k, const fz_tensor_t *scale, int64_t i);
/* The zero point of scale number I: 0 without a tensor. */
static inline int64_t fzi_quant_zero(const fz_tensor_t *zero, int64_t i) {
    return zero ? fzi_tensor_int(zero, i) : 0;
}

/* The scale and the zero point that DynamicQuantizeLinear gives N numbers. */
void fzi_quant_choose(const struct fzk_table *k, const float *x, int64_t n, float *scale,
                      int32_t *zero);

/* A scale or zero point of one element as a scalar; FZ_E_SHAPE unless T has one element. */
fz_status_t fzi_quant_scalar_shape(const struct fz_op *op, const fz_tensor_t *t, const char *what);

#endif
