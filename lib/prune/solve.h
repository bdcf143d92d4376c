/* Symmetric positive definite systems in binary64: small, plain, in one fixed order of operations,
 * each rounded, so that the same numbers come out on every machine. */
#ifndef FZ_PRUNE_SOLVE_H
#define FZ_PRUNE_SOLVE_H

#include "base/base.h"

/* Adds SHARE times the mean of the diagonal to the diagonal of the N x N matrix A (1 where that is
 * 0), so that it can be factored whatever the data are. */
void fzi_solve_damp(double *a, int64_t n, double share);
/* A = L L^T; L takes the place of the lower triangle. False if A is not positive definite (or has a
 * NaN). */
bool fzi_solve_factor(double *a, int64_t n);
/* Solves L L^T X = B for the N x M matrix B in place. */
void fzi_solve_with(const double *l, int64_t n, double *b, int64_t m);
/* A becomes its inverse. WORK holds N x N numbers. False as fzi_solve_factor. */
bool fzi_solve_invert(double *a, int64_t n, double *work);

#endif
