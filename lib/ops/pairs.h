/* Elementwise operators of two operands that broadcast: the body that arithmetic, comparisons,
 * logic and their like share. A row gives one function per wide type of the first operand. */
#ifndef FZ_OPS_PAIRS_H
#define FZ_OPS_PAIRS_H

#include "ops/wide.h"

/* Y[i] = f(A[i * a_step], B[i * b_step]), 0 <= i < n, on wide elements; a step is 0 or 1. Y may be
 * A or B where that one's step is 1. */
typedef void (*fz_pair_fn)(const struct fzk_table *k, int64_t n, const void *a, int64_t a_step,
                           const void *b, int64_t b_step, void *y);

/* Element i of the output depends on elements i alone, so that operands may be the output. */
#if defined(__clang__)
#define FZ_EACH
#else
#define FZ_EACH _Pragma("GCC ivdep")
#endif

/* Defines a pair function over elements a of type TA and b of type TB. */
#define FZ_PAIR(name, ta, tb, ty, expr)                                                            \
    static void name(const struct fzk_table *k, int64_t n, const void *pa, int64_t a_step,         \
                     const void *pb, int64_t b_step, void *py) {                                   \
        const ta *x1 = pa;                                                                         \
        const tb *x2 = pb;                                                                         \
        ty *y = py;                                                                                \
        (void)k;                                                                                   \
        if (a_step && b_step) {                                                                    \
            FZ_EACH for (int64_t i = 0; i < n; i++) {                                              \
                const ta a = x1[i];                                                                \
                const tb b = x2[i];                                                                \
                y[i] = (ty)(expr);                                                                 \
            }                                                                                      \
        } else if (a_step) {                                                                       \
            const tb b = x2[0];                                                                    \
            FZ_EACH for (int64_t i = 0; i < n; i++) {                                              \
                const ta a = x1[i];                                                                \
                y[i] = (ty)(expr);                                                                 \
            }                                                                                      \
        } else {                                                                                   \
            const ta a = x1[0];                                                                    \
            FZ_EACH for (int64_t i = 0; i < n; i++) {                                              \
                const tb b = x2[i * b_step];                                                       \
                y[i] = (ty)(expr);                                                                 \
            }                                                                                      \
        }                                                                                          \
    }

/* Defines pair functions NAME_f32 and NAME_f64 that are the kernels' binary function FN. */
#define FZ_PAIR_KERNEL(name, fn)                                                                   \
    static void name##_f32(const struct fzk_table *k, int64_t n, const void *a, int64_t a_step,    \
                           const void *b, int64_t b_step, void *y) {                               \
        k->binary_f32(fn, y, a, b, n, a_step, b_step);                                             \
    }                                                                                              \
    static void name##_f64(const struct fzk_table *k, int64_t n, const void *a, int64_t a_step,    \
                           const void *b, int64_t b_step, void *y) {                               \
        k->binary_f64(fn, y, a, b, n, a_step, b_step);                                             \
    }

/* Params of every operator of the family. `axis` and `broadcast` are those of opsets 1 to 6. */
struct fz_pairs_params {
    int64_t legacy;    /* 1: operands fit only as axis and broadcast say */
    int64_t broadcast;
    int64_t axis;
    int64_t has_axis;
    int64_t option;    /* the row's own: fmod, direction */
    int64_t round;     /* FZK_ROUND_F16, FZK_ROUND_BF16: float32 results are rounded; or 0 */
};

/* Reads axis and broadcast where OP ends at opset 6. */
fz_status_t fzi_pairs_lower(struct fz_lower *lower, struct fz_node *node, void *params);
/* Checks that A and B fit and gives OUT their common rank and dims. */
fz_status_t fzi_pairs_shape(const struct fz_op *op, const struct fz_call *call,
                            const struct fz_pairs_params *params, fz_tensor_t *out);
/* Runs FN over inputs 0 and 1 of CALL into output 0. SWAP: FN's first operand is input 1. */
fz_status_t fzi_pairs_run(const struct fz_call *call, const struct fz_pairs_params *params,
                          fz_pair_fn fn, bool swap);

#endif
