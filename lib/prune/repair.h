/* One-shot repair: the products of a pruned graph, one after the other, give again what those of the
 * original gave, as well as linear least squares can. */
#ifndef FZ_PRUNE_REPAIR_H
#define FZ_PRUNE_REPAIR_H

#include "prune/linear.h"
#include "prune/sample.h"

/* For each product in order, on what the products before it give by now, finds the weights (and the
 * bias, where there is one) that come nearest to the original's outputs:
 * W = W0 + (X^T X + d I)^-1 X^T (Y - X W0), X from AFTER, Y from BEFORE, d a share of the mean of the
 * diagonal. Products before the first that lost inputs are left alone. ORIGINAL lists those of
 * BEFORE; DEPEND says what of their outputs is left. */
fz_status_t fzi_repair(struct fz_trace *before, struct fz_trace *after,
                       const struct fz_depend *depend, const struct fz_linear *original, uint32_t n,
                       const struct fz_samples *samples);

/* Adds the rows of L in a run of TRACE to M, at most FZ_SAMPLE_ROWS of them, evenly taken. */
enum { FZ_SAMPLE_ROWS = 1024 };

#endif
