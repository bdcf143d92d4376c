/* Arguments of the elementwise functions, reductions, normalisations and conversions. */
#ifndef FZ_KERNELS_NUMERIC_H
#define FZ_KERNELS_NUMERIC_H

#include <stdint.h>

/* The unary functions: FN1 and FNR have no parameters (FNR
 * reduces its argument), FN2 has two, a and b. Each row NAME, name is
 * FZK_FN_NAME, served by f32_name and f64_name of c/functions.h and c/functions_f64.h. The order is
 * the numbering. Append only: numbers may be stored. */
#define FZK_FUNCTIONS(FN1, FNR, FN2)                                                               \
    FN1(ABS, abs)                                                                                  \
    FN1(NEG, neg)                                                                                  \
    FN1(SIGN, sign)             /* NaN stays NaN, -0 gives +0 */                                   \
    FN1(FLOOR, floor)                                                                              \
    FN1(CEIL, ceil)                                                                                \
    FN1(ROUND, round)           /* half to even */                                                 \
    FN1(SQRT, sqrt)                                                                                \
    FN1(RECIPROCAL, reciprocal) /* 1 / x */                                                        \
    FN1(EXP, exp)                                                                                  \
    FN1(EXP2, exp2)                                                                                \
    FN1(EXPM1, expm1)                                                                              \
    FN1(LOG, log)                                                                                  \
    FN1(LOG2, log2)                                                                                \
    FN1(LOG1P, log1p)                                                                              \
    FNR(SIN, sin)                                                                                  \
    FNR(COS, cos)                                                                                  \
    FNR(TAN, tan)                                                                                  \
    FN1(ASIN, asin)                                                                                \
    FN1(ACOS, acos)                                                                                \
    FN1(ATAN, atan)                                                                                \
    FN1(SINH, sinh)                                                                                \
    FN1(COSH, cosh)                                                                                \
    FN1(TANH, tanh)                                                                                \
    FN1(ASINH, asinh)                                                                              \
    FN1(ACOSH, acosh)                                                                              \
    FN1(ATANH, atanh)                                                                              \
    FN1(ERF, erf)                                                                                  \
    FN1(SIGMOID, sigmoid)       /* 1 / (1 + exp(-x)) */                                            \
    FN1(SOFTPLUS, softplus)     /* log(1 + exp(x)) */                                              \
    FN1(SOFTSIGN, softsign)     /* x / (1 + |x|) */                                                \
    FN1(GELU, gelu)             /* x/2 * (1 + erf(x / sqrt 2)) */                                  \
    FN1(GELU_TANH, gelu_tanh)   /* x/2 * (1 + tanh(sqrt(2 / pi) * (x + 0.044715 x^3))) */          \
    FN1(SILU, silu)             /* x * sigmoid(x) */                                               \
    FN1(MISH, mish)             /* x * tanh(softplus(x)) */                                        \
    FN1(HARD_SWISH, hard_swish) /* x * hard_sigmoid(x, 1/6, 1/2) */                                \
    FN1(RELU, relu)             /* 0 > x ? 0 : x */                                                \
    FN2(SWISH, swish)           /* x * sigmoid(a x) */                                             \
    FN2(HARD_SIGMOID, hard_sigmoid) /* max(0, min(1, a x + b)) */                                  \
    FN2(LEAKY_RELU, leaky_relu) /* x < 0 ? a x : x */                                              \
    FN2(THRESHOLDED_RELU, thresholded_relu) /* x > a ? x : 0 */                                    \
    FN2(ELU, elu)               /* x < 0 ? a (exp(x) - 1) : x */                                   \
    FN2(SELU, selu)             /* x > 0 ? b x : b (a (exp(x) - 1)) */                             \
    FN2(CELU, celu)             /* max(0, x) + min(0, a (exp(x / a) - 1)) */                       \
    FN2(CLIP, clip)             /* t = a > x ? a : x; y = b < t ? b : t */                         \
    FN2(SHRINK, shrink)         /* x < -a ? x + b : x > a ? x - b : 0 */                           \
    FN2(AFFINE, affine)         /* a x + b, two roundings */                                       \
    FN2(SCALED_TANH, scaled_tanh) /* a tanh(b x) */                                                \
    FN2(HARD_SWISH_AFFINE, hard_swish_affine) /* a hard_swish(x) + b, two roundings */

enum fzk_fn {
#define FZK_FN_ROW(NAME, name) FZK_FN_##NAME,
    FZK_FUNCTIONS(FZK_FN_ROW, FZK_FN_ROW, FZK_FN_ROW)
#undef FZK_FN_ROW
    FZK_FN_COUNT
};

/* The binary functions. MAX and MIN: NaN wins, +0 > -0. FMOD: exact, the sign of x. MOD: the sign
 * of the divisor. PRELU: x < 0 ? x * slope : x. */
enum fzk_binary_fn {
    FZK_BINARY_ADD,
    FZK_BINARY_SUB,
    FZK_BINARY_MUL,
    FZK_BINARY_DIV,
    FZK_BINARY_MAX,
    FZK_BINARY_MIN,
    FZK_BINARY_POW,
    FZK_BINARY_FMOD,
    FZK_BINARY_MOD,
    FZK_BINARY_PRELU,
    FZK_BINARY_COUNT
};

/* reduce_f32(op, y, x, outer, n, inner): [outer][n][inner] to [outer][inner]. */
enum fzk_reduce_op {
    FZK_REDUCE_SUM,
    FZK_REDUCE_SUM_SQUARE,
    FZK_REDUCE_SUM_ABS,
    FZK_REDUCE_MEAN,
    FZK_REDUCE_PROD, /* one chain in order, from 1 */
    FZK_REDUCE_MAX,
    FZK_REDUCE_MIN,
    FZK_REDUCE_COUNT
};

/* Rows of N: y = (x - mean) * r with r = 1 / sqrt(mean of (x - mean)^2 + eps), then gain and bias:
 * fma(y, gain, bias); y * gain; y + bias; or nothing, as there are. */
struct fzk_norm_f32 {
    int64_t rows, n;
    const float *x;
    float *y; /* may be x */
    const float *gain, *bias; /* n values each or NULL */
    int64_t channels; /* not 0: gain and bias are this many values, row i has number i % channels */
    float *mean, *inv_std; /* rows values each or NULL: mean and r */
    float eps;
    int32_t rms; /* 1: mean is 0 */
};

/* Rows of N: y = ((x - mean) / sqrt(var + eps)) * gain + bias, var the mean of (x - mean)^2, the
 * result of each of these nine operations rounded as ROUND says (FZK_ROUND_F16 or FZK_ROUND_BF16 of
 * gemm.h). */
struct fzk_norm_half_f32 {
    int64_t rows, n;
    const float *x;
    float *y; /* may be x */
    const float *gain, *bias; /* n values each */
    float eps;
    int64_t round;
};

/* y[i] = TABLE[h], h the pattern of x[i] rounded to binary16, or to bfloat16; 65,536 entries of the
 * same type. */
struct fzk_half_table {
    int64_t n;
    const float *x;
    float *y; /* may be x */
    const uint16_t *table;
    int64_t bf16;
};

/* q of rows of N accumulators: t = (float)acc * m[j * m_step], rounded half to even, plus zero,
 * saturated. y is uint8_t for requantize_u8, int8_t for requantize_i8; strides in elements. */
struct fzk_requantize {
    int64_t rows, n;
    const int32_t *acc;
    int64_t ldacc;
    void *y;
    int64_t ldy;
    const float *m;
    int64_t m_step; /* 0 or 1 */
    int32_t zero;
};

/* Formats of f32_to_f8 and f8_to_f32. Out of range: the largest number if SATURATE, else infinity
 * or NaN, as the format has them. F4E2M1 has neither: it always saturates, NaN gives 0. */
enum fzk_f8 {
    FZK_F8E4M3FN,
    FZK_F8E4M3FNUZ,
    FZK_F8E5M2,
    FZK_F8E5M2FNUZ,
    FZK_F4E2M1,
    FZK_F8_COUNT
};

/* Rounding of f32_to_e8m0: away from zero, towards zero, to nearest with ties up. */
enum fzk_e8m0_round { FZK_E8M0_UP, FZK_E8M0_DOWN, FZK_E8M0_NEAREST };

#endif
