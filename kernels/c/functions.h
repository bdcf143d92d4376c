/* The functions on binary32.
 *
 * exp, expm1, log, tanh, sigmoid, erf and what is made of them are one fixed expression each in
 * binary32 with fma, below 2 ulp; the others are binary64 functions rounded once, below 0.51 ulp.
 * All but the trigonometric ones are free of branches, so that loops over them vectorise. NaN in
 * gives NaN out. Polynomials are minimax over the named interval, found by Remez exchange,
 * coefficients then rounded to binary32. tests/kernels/accuracy.c prints every error. */
#ifndef FZ_KERNELS_FUNCTIONS_H
#define FZ_KERNELS_FUNCTIONS_H

#include "pow_f64.h"

#define F32_INF __builtin_inff()
#define F32_NAN __builtin_nanf("")
#define F32_MAGIC 0x1.8p23f /* x + MAGIC has x rounded to an integer in its low bits, |x| < 2^22 */
#define F32_LOG2E 0x1.715476p0f
#define F32_LN2_HI 0x1.62e43p-1f /* ln 2 = HI + LO with an error of 2^-54 */
#define F32_LN2_LO -0x1.05c61p-29f

static inline float f32_abs(float x) { return fzk_float(fzk_bits(x) & INT32_MAX); }
static inline float f32_neg(float x) { return fzk_float(fzk_bits(x) ^ 1u << 31); }
static inline float f32_with_sign(float x, float sign) {
    return fzk_float((fzk_bits(x) & INT32_MAX) | (fzk_bits(sign) & 1u << 31));
}
static inline float f32_sign(float x) { return x > 0 ? 1 : x < 0 ? -1 : x == 0 ? 0 : x; }
static inline float f32_sqrt(float x) { return __builtin_sqrtf(x); }
static inline float f32_reciprocal(float x) { return 1 / x; }

/* Half to even: adding 2^23 drops the fraction bits. From 2^23 on everything is an integer. */
static inline float f32_round(float x) {
    float t = (f32_abs(x) + 0x1p23f) - 0x1p23f;
    return f32_abs(x) < 0x1p23f ? f32_with_sign(t, x) : x;
}
static inline float f32_floor(float x) {
    float t = f32_round(x);
    return t > x ? t - 1 : t;
}
static inline float f32_ceil(float x) {
    float t = f32_round(x);
    return t < x ? f32_with_sign(t + 1, x) : t;
}

/* x = k ln 2 + r, |r| <= 0.3466; exp(r) = 1 + r + r^2 Q(r). */
static inline float f32_exp_poly(float r) {
    float p = 0x1.6ceb62p-10f;
    p = fzk_fma(p, r, 0x1.122bdap-7f);
    p = fzk_fma(p, r, 0x1.555534p-5f);
    p = fzk_fma(p, r, 0x1.5554aap-3f);
    return fzk_fma(p, r, 0x1p-1f);
}
static inline float f32_expm1_of(float r) { return fzk_fma(f32_exp_poly(r), r * r, r); }
/* The rounding error of 1 + r goes into the small term. */
static inline float f32_exp_of(float r) {
    float s = 1 + r, e = (1 - s) + r;
    return s + fzk_fma(f32_exp_poly(r), r * r, e);
}

/* x - k ln 2 for k = t - bias, where t = x log2(e) + bias. */
static inline float f32_ln2_rest(float x, float t, float bias) {
    float k = t - bias, r = fzk_fma(k, -F32_LN2_HI, x);
    return fzk_fma(k, -F32_LN2_LO, r);
}

/* 2^k exp(r). The magic number holds 2 * 127, so that half of its low bits is the exponent of
 * 2^(k/2) and the other half that of 2^(k - k/2): the product of both covers subnormal results and
 * overflow. Selects at the end cost less than clamps at the start. */
static inline float f32_exp(float x) {
    const float bias = F32_MAGIC + 254;
    float t = fzk_fma(x, F32_LOG2E, bias);
    float y = f32_exp_of(f32_ln2_rest(x, t, bias));
    uint32_t k = fzk_bits(t), half = k >> 1;
    y = y * fzk_float(half << 23) * fzk_float((k - half) << 23);
    y = x > 89 ? F32_INF : y;
    return x < -104 ? 0 : y;
}

/* exp(x) for x <= 0, the same bits: 2^(k + 64) is a normal number there, and 2^-64 rounds once. */
static inline float f32_exp_negative(float x) {
    const float bias = F32_MAGIC + 127 + 64;
    float c = x < -104 ? -104 : x;
    float t = fzk_fma(c, F32_LOG2E, bias);
    float y = f32_exp_of(f32_ln2_rest(c, t, bias));
    return y * fzk_float(fzk_bits(t) << 23) * 0x1p-64f;
}

/* 2^k (p + 1) - 1 as 2 (t p + (t - 1/2)) with t = 2^(k-1), which does not overflow at k = 128. */
static inline float f32_expm1(float x) {
    const float bias = F32_MAGIC + 126;
    float t = fzk_fma(x, F32_LOG2E, bias);
    float p = f32_expm1_of(f32_ln2_rest(x, t, bias)), h = fzk_float(fzk_bits(t) << 23);
    float y = fzk_fma(h, p, h - 0.5f) * 2;
    y = x > 89 ? F32_INF : y;
    y = x < -20 ? -1 : y;
    return f32_abs(x) < 0x1p-25f ? x : y;
}

/* x = 2^k (1 + f), sqrt(1/2) <= 1 + f < sqrt 2; log(1 + f) = f - f^2/2 + f^3 P(f). */
static inline float f32_log(float x) {
    bool tiny = x < 0x1p-126f;
    uint32_t i = fzk_bits(tiny ? x * 0x1p23f : x) - 0x3F3504F3;
    float k = (float)((int32_t)i >> 23) - (tiny ? 23 : 0);
    float f = fzk_float((i & 0x7FFFFF) + 0x3F3504F3) - 1, z = f * f;
    float p = 0x1.1b42a2p-4f;
    p = fzk_fma(p, f, -0x1.e2ea4p-4f);
    p = fzk_fma(p, f, 0x1.e650fep-4f);
    p = fzk_fma(p, f, -0x1.fb4314p-4f);
    p = fzk_fma(p, f, 0x1.2332b6p-3f);
    p = fzk_fma(p, f, -0x1.5562e4p-3f);
    p = fzk_fma(p, f, 0x1.99a546p-3f);
    p = fzk_fma(p, f, -0x1.ffffeep-3f);
    p = fzk_fma(p, f, 0x1.555546p-2f);
    float y = fzk_fma(f * z, p, k * F32_LN2_LO);
    y = fzk_fma(k, F32_LN2_HI, f + fzk_fma(z, -0.5f, y));
    y = x < F32_INF ? y : x;
    return x > 0 ? y : x == 0 ? -F32_INF : x < 0 ? F32_NAN : x;
}

/* |x| < 0.5625: x + x z P(z), z = x^2. Else 1 - 2 / (exp(2 |x|) + 1), which is 1 from 9.02 on. */
static inline float f32_tanh(float x) {
    const float bias = F32_MAGIC + 127;
    float a = f32_abs(x), c = 2 * (a > 10 ? 10 : a), z = x * x;
    float q = -0x1.95e5fep-8f;
    q = fzk_fma(q, z, 0x1.585d06p-6f);
    q = fzk_fma(q, z, -0x1.b90f8p-5f);
    q = fzk_fma(q, z, 0x1.110c9ep-3f);
    q = fzk_fma(q, z, -0x1.55554ap-2f);
    float t = fzk_fma(c, F32_LOG2E, bias);
    float p = f32_expm1_of(f32_ln2_rest(c, t, bias)), s = fzk_float(fzk_bits(t) << 23);
    float y = 1 - 2 / fzk_fma(s, p, s + 1);
    return f32_with_sign(a < 0.5625f ? fzk_fma(a * z, q, a) : y, x);
}

/* With e = exp(-|x|), so that nothing overflows: 1 / (1 + e) as 1 - e / (1 + e), and e / (1 + e) as
 * e - e e / (1 + e). The rounding errors of 1 + e and of the division then hardly count. */
static inline float f32_sigmoid(float x) {
    float e = f32_exp_negative(-f32_abs(x)), n = x < 0 ? e : 1;
    return fzk_fma(-n, e / (1 + e), n);
}

/* 2^f - 1, |f| <= 1/2, with an error of 2^-26. */
static inline float f32_exp2m1_of(float f) {
    float p = 0x1.448fc4p-13f;
    p = fzk_fma(p, f, 0x1.5f47a2p-10f);
    p = fzk_fma(p, f, 0x1.3b29aap-7f);
    p = fzk_fma(p, f, 0x1.c6aedp-5f);
    p = fzk_fma(p, f, 0x1.ebfbep-3f);
    p = fzk_fma(p, f, 0x1.62e43p-1f);
    return p * f;
}

/* |x| < 1: x + x P(x^2). Else 1 - 2^-q with q = -log2(erfc |x|) as a polynomial over [1, 3.93]; the
 * result is 1 from 3.92 on. */
static inline float f32_erf(float x) {
    float a = f32_abs(x), z = x * x;
    float p = 0x1.4771fcp-14f;
    p = fzk_fma(p, z, -0x1.a3515ep-11f);
    p = fzk_fma(p, z, 0x1.53f224p-8f);
    p = fzk_fma(p, z, -0x1.b7f71ap-6f);
    p = fzk_fma(p, z, 0x1.ce2ce6p-4f);
    p = fzk_fma(p, z, -0x1.81273ep-2f);
    p = fzk_fma(p, z, 0x1.06eba8p-3f);
    float c = a > 3.93f ? 3.93f : a;
    float q = -0x1.18bbc4p-12f;
    q = fzk_fma(q, c, 0x1.15efb2p-8f);
    q = fzk_fma(q, c, -0x1.01b53p-5f);
    q = fzk_fma(q, c, 0x1.307038p-3f);
    q = fzk_fma(q, c, 0x1.d76e84p-1f);
    q = fzk_fma(q, c, 0x1.a03fe6p0f);
    q = fzk_fma(q, c, 0x1.0b8ffap-11f);
    float t = (F32_MAGIC + 127) - q, f = ((F32_MAGIC + 127) - t) - q;
    float s = fzk_float(fzk_bits(t) << 23);
    float big = fzk_fma(-s, f32_exp2m1_of(f), 1 - s);
    return a < 1 ? fzk_fma(x, p, x) : f32_with_sign(big, x);
}

/* ---- composites: fixed expressions over the functions above, so that a fused activation has the
 * bits of the separate operators. The order of operations is that of the ONNX function bodies; a
 * product and a sum are two roundings unless fma is written. */

static inline float f32_softsign(float x) { return x / (1 + f32_abs(x)); }
static inline float f32_gelu(float x) { return 0.5f * x * (1 + f32_erf(x * 0x1.6a09e6p-1f)); }
/* x + 0.044715 x^3 as fma(0.044715 x^2, x, x). */
static inline float f32_gelu_tanh(float x) {
    float u = 0x1.988454p-1f * fzk_fma(0.044715f * (x * x), x, x);
    return 0.5f * x * (1 + f32_tanh(u));
}
static inline float f32_swish(float x, float a, float b) {
    (void)b;
    return x * f32_sigmoid(a * x);
}
static inline float f32_silu(float x) { return x * f32_sigmoid(x); }
/* tanh(log(1 + e)) = n / (n + 2) with n = e (e + 2): no logarithm. It is 1 from x = 10 on. */
static inline float f32_mish(float x) {
    float e = f32_exp(x > 20 ? 20 : x), n = e * (e + 2);
    return x * (n / (n + 2));
}
/* The bounds of relu and clip let NaN and -0 pass: maxps(lo, x), minps(hi, t). */
static inline float f32_relu(float x) { return 0 > x ? 0 : x; }
static inline float f32_clip(float x, float a, float b) {
    float t = a > x ? a : x;
    return b < t ? b : t;
}
static inline float f32_affine(float x, float a, float b) { return a * x + b; }
static inline float f32_hard_sigmoid(float x, float a, float b) {
    return f32_clip(a * x + b, 0, 1);
}
static inline float f32_hard_swish(float x) { return x * f32_hard_sigmoid(x, 1.0f / 6, 0.5f); }
static inline float f32_leaky_relu(float x, float a, float b) {
    (void)b;
    return x < 0 ? a * x : x;
}
static inline float f32_thresholded_relu(float x, float a, float b) {
    (void)b;
    return x > a ? x : 0;
}
static inline float f32_elu(float x, float a, float b) {
    (void)b;
    return x < 0 ? a * f32_expm1(x) : x;
}
static inline float f32_selu(float x, float a, float b) {
    return x > 0 ? b * x : b * (a * f32_expm1(x));
}
static inline float f32_celu(float x, float a, float b) {
    float t = a * f32_expm1(x / a);
    (void)b;
    return (0 > x ? 0 : x) + (0 < t ? 0 : t);
}
static inline float f32_shrink(float x, float a, float b) {
    return x < -a ? x + b : x > a ? x - b : 0;
}
static inline float f32_scaled_tanh(float x, float a, float b) { return a * f32_tanh(b * x); }

/* ---- by binary64: an error of at most 2^-50 before the one rounding to binary32 makes all but one
 * result in many millions correctly rounded */

static inline float f32_exp2(float x) { return (float)f64_exp2(x); }
static inline float f32_log2(float x) { return (float)f64_log2(x); }
static inline float f32_log1p(float x) { return (float)f64_log1p(x); }
static inline float f32_softplus(float x) { return (float)f64_softplus(x); }
static inline float f32_sin(float x) { return (float)f64_sin(x); }
static inline float f32_cos(float x) { return (float)f64_cos(x); }
static inline float f32_tan(float x) { return (float)f64_tan(x); }
static inline float f32_asin(float x) { return (float)f64_asin(x); }
static inline float f32_acos(float x) { return (float)f64_acos(x); }
static inline float f32_atan(float x) { return (float)f64_atan(x); }
static inline float f32_sinh(float x) { return (float)f64_sinh(x); }
static inline float f32_cosh(float x) { return (float)f64_cosh(x); }
static inline float f32_asinh(float x) { return (float)f64_asinh(x); }
static inline float f32_acosh(float x) { return (float)f64_acosh(x); }
static inline float f32_atanh(float x) { return (float)f64_atanh(x); }

#endif
