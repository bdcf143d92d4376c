/* A tensor seen by the dimensions that an operator reduces: [outer][n][inner], where n counts the
 * reduced elements in row-major order. If the reduced dimensions are not adjacent, the elements are
 * first gathered into that order. */
#ifndef FZ_OPS_AXES_H
#define FZ_OPS_AXES_H

#include "tensor/tensor.h"

struct fz_axes {
    int64_t outer, n, inner;
    bool direct;  /* the tensor already lies so */
    int32_t rank; /* of the order that gather makes */
    int64_t dims[FZ_RANK_MAX], step[FZ_RANK_MAX]; /* step: elements of the tensor */
};

/* Sees T, of known shape, by the dimensions in MASK. */
void fzi_axes_init(struct fz_axes *axes, const fz_tensor_t *t, uint32_t mask);
/* Copies all elements of WIDTH bytes from X, in the tensor's order, to Y in that of AXES; and
 * back. */
void fzi_axes_gather(const struct fz_axes *axes, size_t width, void *y, const void *x);
void fzi_axes_scatter(const struct fz_axes *axes, size_t width, void *y, const void *x);

#endif
