/* The products with constant weights of a graph: what pruning takes from and repairs.
 *
 * A convolution, a Gemm and a MatMul look alike here: rows of K numbers times a K x N matrix. K
 * goes by input channel and, within it, by tap, as the weights of a Conv lie. One with groups has
 * rows of its own for each: those of group g make columns [g * N / groups, (g + 1) * N / groups).
 */
#ifndef FZ_PRUNE_LINEAR_H
#define FZ_PRUNE_LINEAR_H

#include "prune/depend.h"

enum { FZ_LINEAR_MAX_K = 4096 }; /* larger ones are pruned by magnitude and not repaired */

struct fz_linear {
    const struct fz_node *node;
    struct fz_value *weight, *bias; /* bias: N constants that are added behind; NULL: none */
    const struct fz_node *sum;      /* an Add of the output (with its bias) and `beside`, if that is
                                       the output's only reader; or NULL */
    const struct fz_value *beside;
    bool shared;                    /* the weight has other readers: it is not repaired */
    bool conv, by_column;           /* a Conv; weights [K, N] rather than [N, K] */
    int64_t k, n, taps, groups;
};

/* Finds all products of GRAPH whose weights are float32 constants; *LIST and *N in ARENA. */
fz_status_t fzi_linear_find(const struct fz_trace *trace, struct fz_arena *arena,
                            struct fz_linear **list, uint32_t *n);
/* Describes NODE again after its weight's shape has changed; false if it is no such product. */
bool fzi_linear_describe(const struct fz_trace *trace, const struct fz_node *node,
                         struct fz_linear *out);

/* How many rows the last run has; row R of the input of GROUP (K numbers), and (N numbers) of
 * VALUE, which is the output or laid out as it is. */
int64_t fzi_linear_rows(const struct fz_linear *linear, const struct fz_trace *trace);
void fzi_linear_input(const struct fz_linear *linear, const struct fz_trace *trace, int64_t group,
                      int64_t r, double *row);
void fzi_linear_output(const struct fz_linear *linear, const struct fz_trace *trace,
                       const struct fz_value *value, int64_t r, double *row);

/* The weights as a K x N matrix, and back, rounded. */
void fzi_linear_get(const struct fz_linear *linear, double *w);
void fzi_linear_set(const struct fz_linear *linear, const double *w);

/* Sums over rows that a least-squares fit needs, of K inputs and N targets. */
struct fz_moments {
    int64_t k, n;
    double count;
    double *xx;  /* K x K, the upper triangle until fzi_moments_finish */
    double *xy;  /* K x N */
    double *x, *y;
};
bool fzi_moments_new(struct fz_arena *arena, struct fz_moments *m, int64_t k, int64_t n);
void fzi_moments_add(struct fz_moments *m, const double *x, const double *y);
/* Fills the other triangle; CENTRED: takes the means out of the products. */
void fzi_moments_finish(struct fz_moments *m, bool centred);

#endif
