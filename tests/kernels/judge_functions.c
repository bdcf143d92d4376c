/* The references of judge: every function in binary64 by libm, and in any precision by MPFR. */
#include <math.h>

#include "judge.h"

/* ---- binary64 */

static double neg(double x) { return -x; }
static double sign(double x) { return x > 0 ? 1 : x < 0 ? -1 : x == 0 ? 0 : x; }
static double reciprocal(double x) { return 1 / x; }
static double sigmoid(double x) { return x < 0 ? exp(x) / (1 + exp(x)) : 1 / (1 + exp(-x)); }
static double softplus(double x) { return x > 0 ? x + log1p(exp(-x)) : log1p(exp(x)); }
static double softsign(double x) { return x / (1 + fabs(x)); }
static double silu(double x) { return x * sigmoid(x); }
static double mish(double x) { return x * tanh(softplus(x)); }
static double gelu(double x) { return x / 2 * erfc(-x * M_SQRT1_2); }
static double gelu_tanh(double x) {
    return x * sigmoid(2 * sqrt(2 / M_PI) * (x + 0.044715 * x * x * x));
}
static double square(double x) { return x * x; }
static double cube(double x) { return x * x * x; }
static double root(double x) { return pow(x, 0.5); }

/* ---- MPFR. Intermediate results have 40 bits more than the result. */

#define ROW(name) static void m_##name(mpfr_t y, mpfr_t x) { mpfr_##name(y, x, MPFR_RNDN); }
ROW(abs) ROW(neg) ROW(rint_floor) ROW(rint_ceil) ROW(rint_roundeven) ROW(sqrt) ROW(exp) ROW(exp2)
ROW(expm1) ROW(log) ROW(log2) ROW(log1p) ROW(sin) ROW(cos) ROW(tan) ROW(asin) ROW(acos) ROW(atan)
ROW(sinh) ROW(cosh) ROW(tanh) ROW(asinh) ROW(acosh) ROW(atanh) ROW(erf) ROW(sqr)
#undef ROW

static void more(mpfr_t t, mpfr_t y) { mpfr_init2(t, mpfr_get_prec(y) + 40); }
static void m_sign(mpfr_t y, mpfr_t x) {
    if (mpfr_nan_p(x)) mpfr_set_nan(y);
    else mpfr_set_si(y, mpfr_sgn(x), MPFR_RNDN);
}
static void m_reciprocal(mpfr_t y, mpfr_t x) { mpfr_ui_div(y, 1, x, MPFR_RNDN); }
static void m_cube(mpfr_t y, mpfr_t x) { mpfr_pow_ui(y, x, 3, MPFR_RNDN); }
static void m_root(mpfr_t y, mpfr_t x) {
    mpfr_t t;
    mpfr_init2(t, 2);
    mpfr_set_d(t, 0.5, MPFR_RNDN);
    mpfr_pow(y, x, t, MPFR_RNDN);
    mpfr_clear(t);
}
/* 1 / (1 + exp(-x)) */
static void m_sigmoid(mpfr_t y, mpfr_t x) {
    mpfr_t t;
    more(t, y);
    mpfr_neg(t, x, MPFR_RNDN);
    mpfr_exp(t, t, MPFR_RNDN);
    mpfr_add_ui(t, t, 1, MPFR_RNDN);
    mpfr_ui_div(y, 1, t, MPFR_RNDN);
    mpfr_clear(t);
}
/* x + log1p(exp(-x)) for x > 0, else log1p(exp(x)) */
static void m_softplus(mpfr_t y, mpfr_t x) {
    mpfr_t t;
    more(t, y);
    mpfr_abs(t, x, MPFR_RNDN);
    mpfr_neg(t, t, MPFR_RNDN);
    mpfr_exp(t, t, MPFR_RNDN);
    mpfr_log1p(t, t, MPFR_RNDN);
    if (mpfr_sgn(x) > 0) mpfr_add(y, x, t, MPFR_RNDN);
    else mpfr_set(y, t, MPFR_RNDN);
    mpfr_clear(t);
}
static void m_softsign(mpfr_t y, mpfr_t x) {
    mpfr_t t;
    more(t, y);
    mpfr_abs(t, x, MPFR_RNDN);
    mpfr_add_ui(t, t, 1, MPFR_RNDN);
    mpfr_div(y, x, t, MPFR_RNDN);
    mpfr_clear(t);
}
static void m_silu(mpfr_t y, mpfr_t x) {
    mpfr_t t;
    more(t, y);
    m_sigmoid(t, x);
    mpfr_mul(y, x, t, MPFR_RNDN);
    mpfr_clear(t);
}
static void m_mish(mpfr_t y, mpfr_t x) {
    mpfr_t t;
    more(t, y);
    m_softplus(t, x);
    mpfr_tanh(t, t, MPFR_RNDN);
    mpfr_mul(y, x, t, MPFR_RNDN);
    mpfr_clear(t);
}
/* x/2 erfc(-x / sqrt 2); erfc is 0 or 2 in any precision long before |x| = 2^20. */
static void m_gelu(mpfr_t y, mpfr_t x) {
    mpfr_t t;
    more(t, y);
    if (mpfr_cmpabs_ui(x, 1 << 20) > 0) {
        mpfr_set_ui(t, mpfr_sgn(x) > 0 ? 2 : 0, MPFR_RNDN);
    } else {
        mpfr_sqrt_ui(t, 2, MPFR_RNDN);
        mpfr_div(t, x, t, MPFR_RNDN);
        mpfr_neg(t, t, MPFR_RNDN);
        mpfr_erfc(t, t, MPFR_RNDN);
    }
    mpfr_mul(t, t, x, MPFR_RNDN);
    mpfr_div_2ui(y, t, 1, MPFR_RNDN);
    mpfr_clear(t);
}
/* x sigmoid(2 u), u = sqrt(2 / pi) (x + 0.044715 x^3) */
static void m_gelu_tanh(mpfr_t y, mpfr_t x) {
    mpfr_t t, u;
    more(t, y), more(u, y);
    mpfr_sqr(t, x, MPFR_RNDN);
    mpfr_mul_ui(t, t, 44715, MPFR_RNDN);
    mpfr_div_ui(t, t, 1000000, MPFR_RNDN);
    mpfr_add_ui(t, t, 1, MPFR_RNDN);
    mpfr_mul(t, t, x, MPFR_RNDN);
    mpfr_const_pi(u, MPFR_RNDN);
    mpfr_ui_div(u, 8, u, MPFR_RNDN);
    mpfr_sqrt(u, u, MPFR_RNDN);
    mpfr_mul(t, t, u, MPFR_RNDN);
    m_sigmoid(u, t);
    mpfr_mul(y, u, x, MPFR_RNDN);
    mpfr_clear(t), mpfr_clear(u);
}

/* ---- the table. glibc's functions err by at most 4 units of 2^-53 (its manual lists them): 2^-48
 * leaves a factor of eight. The composites' arguments are rounded, which counts up to 200 fold. */

#define ANY(NAME, name, ref, exact, parity, bound)                                                 \
    {name, FZK_FN_##NAME, 0, ref, exact, 48, false, parity, bound}
#define FN(NAME, name, ref, exact, bound) ANY(NAME, name, ref, exact, 0, bound)
#define ODD(NAME, name, ref, exact, bound) ANY(NAME, name, ref, exact, -1, bound)
#define EVEN(NAME, name, ref, exact, bound) ANY(NAME, name, ref, exact, 1, bound)
#define COMPOSITE(NAME, name) {#name, FZK_FN_##NAME, 0, name, m_##name, 42, true, 0, 2}
#define POWER(name, e, ref, exact) {name, -1, e, ref, exact, 48, false, 0, 0}
const struct judged judged[] = {
    FN(ABS, "abs", fabs, m_abs, 0.5),
    FN(NEG, "neg", neg, m_neg, 0.5),
    FN(SIGN, "sign", sign, m_sign, 0.5),
    FN(FLOOR, "floor", floor, m_rint_floor, 0.5),
    FN(CEIL, "ceil", ceil, m_rint_ceil, 0.5),
    FN(ROUND, "round", rint, m_rint_roundeven, 0.5),
    FN(SQRT, "sqrt", sqrt, m_sqrt, 0.5),
    FN(RECIPROCAL, "reciprocal", reciprocal, m_reciprocal, 0.5),
    FN(EXP, "exp", exp, m_exp, 1),
    FN(EXP2, "exp2", exp2, m_exp2, 1.1),
    FN(EXPM1, "expm1", expm1, m_expm1, 2),
    FN(LOG, "log", log, m_log, 1),
    FN(LOG2, "log2", log2, m_log2, 2),
    FN(LOG1P, "log1p", log1p, m_log1p, 1),
    ODD(SIN, "sin", sin, m_sin, 1),
    EVEN(COS, "cos", cos, m_cos, 1),
    ODD(TAN, "tan", tan, m_tan, 2.1),
    ODD(ASIN, "asin", asin, m_asin, 2),
    FN(ACOS, "acos", acos, m_acos, 2),
    ODD(ATAN, "atan", atan, m_atan, 2),
    ODD(SINH, "sinh", sinh, m_sinh, 2),
    EVEN(COSH, "cosh", cosh, m_cosh, 2),
    ODD(TANH, "tanh", tanh, m_tanh, 1.5),
    ODD(ASINH, "asinh", asinh, m_asinh, 2),
    FN(ACOSH, "acosh", acosh, m_acosh, 2),
    ODD(ATANH, "atanh", atanh, m_atanh, 2),
    ODD(ERF, "erf", erf, m_erf, 1.5),
    FN(SIGMOID, "sigmoid", sigmoid, m_sigmoid, 2),
    FN(SOFTPLUS, "softplus", softplus, m_softplus, 2),
    ODD(SOFTSIGN, "softsign", softsign, m_softsign, 1.5),
    COMPOSITE(GELU, gelu),
    COMPOSITE(GELU_TANH, gelu_tanh),
    COMPOSITE(SILU, silu),
    COMPOSITE(MISH, mish),
    POWER("pow(x,2)", 2, square, m_sqr),
    POWER("pow(x,3)", 3, cube, m_cube),
    POWER("pow(x,0.5)", 0.5f, root, m_root),
};
const int32_t n_judged = (int32_t)(sizeof judged / sizeof judged[0]);
