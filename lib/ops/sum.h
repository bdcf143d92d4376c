/* Sums of binary64 values by the rules of the kernels. */
#ifndef FZ_OPS_SUM_H
#define FZ_OPS_SUM_H

#include "kernels.h"

/* 16 lanes, element i in lane i modulo 16, each lane in blocks of 256, then the tree. */
double fzi_sum_f64(const double *x, int64_t n);
/* The same of squares, each rounded, and of absolute values. */
double fzi_sum_squares_f64(const double *x, int64_t n);
double fzi_sum_sizes_f64(const double *x, int64_t n);

/* The chain of a product: blocks of FZK_K_BLOCK products, each rounded. Begins as zeros. */
struct fz_chain {
    double sum, blocks;
    int64_t k;
};
static inline void fzi_chain_add(struct fz_chain *c, double a, double b) {
    if (c->k && c->k % FZK_K_BLOCK == 0) {
        c->blocks = c->k == FZK_K_BLOCK ? c->sum : c->blocks + c->sum;
        c->sum = 0;
    }
    c->sum = c->sum + a * b;
    c->k++;
}
static inline double fzi_chain_end(const struct fz_chain *c) {
    return c->k <= FZK_K_BLOCK ? c->sum : c->blocks + c->sum;
}

#endif
