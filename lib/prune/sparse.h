/* Zeros in a pattern: which weights go, and what the others become. */
#ifndef FZ_PRUNE_SPARSE_H
#define FZ_PRUNE_SPARSE_H

#include "prune/linear.h"

enum fz_sparse_kind { FZ_SPARSE_OFF, FZ_SPARSE_N_OF_M, FZ_SPARSE_BLOCKS };

struct fz_sparse {
    enum fz_sparse_kind kind;
    int64_t n, m;    /* N_OF_M: of M neighbouring inputs N stay, for each output alone */
    double density;  /* BLOCKS: the share of those of FZ_SPARSE_K inputs and 32 outputs that stay */
};

/* "2:4", "block:0.3"; NULL is OFF. FZ_E_USAGE. */
fz_status_t fzi_sparse_parse(const char *text, struct fz_sparse *out);
/* True if LINEAR can have the pattern: blocks are for products without taps. */
bool fzi_sparse_fits(const struct fz_sparse *sparse, const struct fz_linear *linear);
/* Sets weights of the K x N matrix W to 0. H is X^T X over the inputs, positive definite, and the
 * others make up for what goes; NULL: the smallest ones go and the others stay as they are. */
fz_status_t fzi_sparse_apply(const struct fz_sparse *sparse, double *w, const double *h, int64_t k,
                             int64_t n);

#endif
