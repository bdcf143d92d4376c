/* Activations that a convolution or a matrix product applies to its result. */
#ifndef FZ_OPS_ACT_H
#define FZ_OPS_ACT_H

#include "ops/op.h"

/* A kind's number never changes: it stands in files. */
enum fz_act_kind {
    FZ_ACT_NONE = 0,
    FZ_ACT_CLIP = 1, /* a = low, b = high; Relu is 0, +inf */
    FZ_ACT_SIGMOID = 2,
    FZ_ACT_SILU = 3,
    FZ_ACT_HARDSWISH = 4,
    FZ_ACT_TANH = 5,
    FZ_ACT_LEAKY_RELU = 6, /* a = alpha */
    FZ_ACT_GELU = 7,       /* the exact form, by erf */
    FZ_ACT_GELU_TANH = 8,
    FZ_ACT_HARD_SIGMOID = 9, /* a = alpha, b = beta */
    FZ_ACT_ELU = 10,         /* a = alpha */
    FZ_ACT_MISH = 11,
    FZ_ACT_SOFTPLUS = 12,
    FZ_ACT_ERF = 13,
    FZ_ACT_KINDS = 14
};

/* Part of params structs. a and b hold binary32 values. */
struct fz_act {
    int64_t kind;
    double a, b;
};

/* FZ_E_FORMAT unless ACT is of a known kind. */
fz_status_t fzi_act_check(const struct fz_op *op, const struct fz_act *act);
/* Sets the clip members of G; leaves every other kind to fzi_act_run. */
void fzi_act_clip(const struct fz_act *act, struct fzk_gemm_f32 *g);
/* True if fzi_act_run has work to do: any kind but none and clip. */
bool fzi_act_runs(const struct fz_act *act);
/* Replaces N values at X. Kind clip and none change nothing. */
void fzi_act_run(const struct fzk_table *k, const struct fz_act *act, float *x, int64_t n);

#endif
