/* Factors and shifts per channel, and the convolutions that take them in. */
#ifndef FZ_PASSES_AFFINE_H
#define FZ_PASSES_AFFINE_H

#include "passes/passes.h"

/* y = x * scale + shift for each of N channels, in binary64. */
struct fz_affine {
    int64_t n;
    double *scale, *shift;
};
/* Room for N channels in the graph's arena, zeroed. */
fz_status_t fzi_affine_make(const struct fz_graph *graph, int64_t n, struct fz_affine *a);

/* The Conv or ConvTranspose with constant weights that makes V, which has one reader, and has N
 * output channels (-1: any number), or NULL. */
struct fz_node *fzi_affine_conv(const struct fz_value *v, int64_t n);
/* CONV's weights and bias, the latter named NAME, take A in, each rounded once; NODE, which
 * computed it from CONV's output, goes. */
fz_status_t fzi_affine_fold(struct fz_pass *pass, struct fz_graph *graph, struct fz_node *node,
                            struct fz_node *conv, const char *name, const struct fz_affine *a);

#endif
