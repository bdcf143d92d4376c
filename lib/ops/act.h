/* Activations that a convolution or a matrix product applies to its result. */
#ifndef FZ_OPS_ACT_H
#define FZ_OPS_ACT_H

#include "numeric.h"
#include "ops/op.h"

/* FZ_ACT_FN + f is function f of kernels/numeric.h with parameters a and b. Clip is min(b, max(a,
 * x)) inside of the GEMM kernel; Relu is clip with 0 and +inf. The numbers stand in files. */
enum {
    FZ_ACT_NONE = 0,
    FZ_ACT_CLIP = 1,
    FZ_ACT_FN = 2,
    FZ_ACT_SIGMOID = FZ_ACT_FN + FZK_FN_SIGMOID,
    FZ_ACT_SILU = FZ_ACT_FN + FZK_FN_SILU,
    FZ_ACT_HARD_SWISH = FZ_ACT_FN + FZK_FN_HARD_SWISH,
    FZ_ACT_HARD_SWISH_AFFINE = FZ_ACT_FN + FZK_FN_HARD_SWISH_AFFINE, /* times a, plus b */
    FZ_ACT_TANH = FZ_ACT_FN + FZK_FN_TANH,
    FZ_ACT_LEAKY_RELU = FZ_ACT_FN + FZK_FN_LEAKY_RELU, /* a = alpha */
    FZ_ACT_GELU = FZ_ACT_FN + FZK_FN_GELU,
    FZ_ACT_GELU_TANH = FZ_ACT_FN + FZK_FN_GELU_TANH
};

/* Part of params structs. a and b hold binary32 values. ROUND: where results of half precision that
 * are kept in binary32 are rounded: FZK_ROUND_ bits, and FZ_ACT_ROUND behind the function. */
enum { FZ_ACT_ROUND = 32 };
struct fz_act {
    int64_t kind;
    double a, b;
    int64_t round;
};

/* Reads attributes act, a, b and round: for the frozen forms' tests. */
fz_status_t fzi_act_lower(const struct fz_node *node, struct fz_act *act);
/* FZ_E_FORMAT unless ACT is of a known kind and rounds as it can; ROUNDS false: not at all. */
fz_status_t fzi_act_check(const struct fz_op *op, const struct fz_act *act, bool rounds);
/* FZK_ROUND_ bits of type DTYPE, 0 if that is no half precision. */
int64_t fzi_round_type(int32_t dtype);
/* Rounds N values at X to the type in ROUND; 0: changes nothing. */
void fzi_round_run(const struct fzk_table *k, int64_t round, float *x, int64_t n);
/* Sets the clip and rounding members of G; leaves every other kind to fzi_act_run. */
void fzi_act_clip(const struct fz_act *act, struct fzk_gemm_f32 *g);
/* True if fzi_act_run has work to do: any kind but none and clip. */
bool fzi_act_runs(const struct fz_act *act);
/* Replaces N values at X. Kind clip and none change nothing. */
void fzi_act_run(const struct fzk_table *k, const struct fz_act *act, float *x, int64_t n);

#endif
