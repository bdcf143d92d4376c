/* The functions on binary32.
 *
 * exp, expm1, tanh, sigmoid, erf and what is made of them are one fixed expression each in binary32
 * with fma, below 2 ulp; the others are correctly rounded, by way of binary64. All but the
 * trigonometric ones are free of branches, so that loops over them vectorise. NaN in gives NaN out.
 * Polynomials are minimax over the named interval, found by Remez exchange, coefficients then
 * rounded. tests/kernels/functions.txt holds every error. */
#ifndef FZ_KERNELS_FUNCTIONS_H
#define FZ_KERNELS_FUNCTIONS_H

#include "pow_f64.h"
#include "tables_f32.h"

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
/* x - k ln 2 for k = t - bias, where t = x log2(e) + bias. */
static inline float f32_ln2_rest(float x, float t, float bias) {
    float k = t - bias, r = fzk_fma(k, -F32_LN2_HI, x);
    return fzk_fma(k, -F32_LN2_LO, r);
}

/* exp(x) = 2^k 2^(j/8) exp(r), |r| <= 0.0434. t has k + j/8 to the nearest eighth in its low bits,
 * with 2 * 127 added to k, so that half of it is the exponent of 2^(k/2) and the rest that of
 * 2^(k - k/2): the product of both covers overflow, and subnormal results with one rounding. */
static inline float f32_exp(float x) {
    const float bias = F32_MAGIC / 8 + 254;
    float c = x > 89 ? 89 : x;
    c = c < -104 ? -104 : c;
    float t = fzk_fma(c, F32_LOG2E, bias), r = f32_ln2_rest(c, t, bias);
    float p = fzk_fma(r, 0x1.555a6p-5f, 0x1.555c78p-3f);
    p = fzk_fma(r * r, fzk_fma(p, r, 0.5f), r);
    uint32_t i = fzk_bits(t), k = i >> 3, half = i >> 4;
    float power = fzk_exp2_eighths[i & 7];
    float y = power + fzk_fma(power, p, fzk_exp2_rests[i & 7]);
    return y * fzk_float(half << 23) * fzk_float((k - half) << 23);
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

/* An odd function that rises to 1, by the polynomials of tables_f32.h. */
static inline float f32_by_cells(const struct fzk_cells *t, int degree, float x) {
    float a = f32_abs(x), c = a > t->limit ? t->limit : a, g = fzk_fma(c, t->scale, t->start);
    uint32_t i = fzk_bits(g) >> t->shift & 15;
    float u = c - t->centre[i], p = t->c[degree - 1][i];
    for (int k = degree - 2; k >= 0; k--) p = fzk_fma(u, p, t->c[k][i]);
    return f32_with_sign(fzk_fma(u, p, g < t->first ? c : t->value[i]), x);
}
static inline float f32_tanh(float x) { return f32_by_cells(&fzk_tanh_cells, FZK_TANH_DEGREE, x); }
static inline float f32_erf(float x) { return f32_by_cells(&fzk_erf_cells, FZK_ERF_DEGREE, x); }

/* With e = exp(-|x|), so that nothing overflows: 1 / (1 + e) as 1 - e / (1 + e), and e / (1 + e) as
 * e - e e / (1 + e). The rounding errors of 1 + e and of the division then hardly count. */
static inline float f32_sigmoid(float x) {
    float e = f32_exp(-f32_abs(x)), n = x < 0 ? e : 1;
    return fzk_fma(-n, e / (1 + e), n);
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
    float e = f32_exp(x > 20 ? 20 : x), n = fzk_fma(e, e, e + e);
    return x * (n / (n + 2));
}
/* The bounds of relu and clip let NaN and -0 pass: maxps(lo, x), minps(hi, t). For a lower bound of
 * 0 clang takes Arm's fmax, which makes -0 +0: it gets to see integers instead. */
static inline float f32_relu(float x) {
#if defined(__clang__) && defined(__aarch64__)
    return fzk_bits(x) - 0x80000001 <= 0xFF800000 - 0x80000001 ? 0 : x;
#else
    return 0 > x ? 0 : x;
#endif
}
static inline float f32_at_most(float hi, float x) { return hi < x ? hi : x; }
static inline float f32_clip(float x, float a, float b) { return f32_at_most(b, a > x ? a : x); }
static inline float f32_affine(float x, float a, float b) { return a * x + b; }
static inline float f32_hard_sigmoid(float x, float a, float b) {
    return f32_at_most(1, f32_relu(a * x + b));
}
static inline float f32_hard_swish(float x) { return x * f32_hard_sigmoid(x, 1.0f / 6, 0.5f); }
static inline float f32_hard_swish_affine(float x, float a, float b) {
    return a * f32_hard_swish(x) + b;
}
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
    return f32_relu(x) + f32_at_most(0, t);
}
static inline float f32_shrink(float x, float a, float b) {
    return x < -a ? x + b : x > a ? x - b : 0;
}
static inline float f32_scaled_tanh(float x, float a, float b) { return a * f32_tanh(b * x); }

/* ---- correctly rounded: evaluated in binary64, then rounded to binary32. An error of 2^-52 before
 * the rounding matters to few of the 2^32 arguments: those whose results lie next to the middle of
 * two numbers of binary32. A walk over all arguments (tests/kernels/judge.c) has found them. There
 * the result is moved by one unit in the last place: up by (argument == the one), down by
 * -(argument == the other), on bit patterns, which is free of branches. */

static inline float f32_moved(float y, int32_t units) {
    return fzk_float(fzk_bits(y) + (uint32_t)units);
}

/* x = 2^k (1 + f), sqrt(1/2) <= 1 + f < sqrt 2, f exact; s = f / (2 + f); log(1 + f) = s P(s^2). */
static inline float f32_log(float x) {
    bool tiny = x < 0x1p-126f;
    uint32_t u = fzk_bits(x), i = fzk_bits(tiny ? x * 0x1p23f : x) - 0x3F3504F3;
    float k = (float)((int32_t)i >> 23) - (tiny ? 23 : 0);
    double f = (double)(fzk_float((i & 0x7FFFFF) + 0x3F3504F3) - 1);
    double s = f / (2 + f), z = s * s, w = z * z;
    double p = 0x1.58759d0d54908p-3 * z + 0x1.732c515297128p-3;
    double q = 0x1.c722769d22857p-3 * z + 0x1.2492417a92f7dp-2;
    double r = 0x1.999999a28e992p-2 * z + 0x1.555555555397ap-1;
    float y = (float)((double)k * F64_LN2 + s * (((p * w + q) * w + r) * z + 2));
    y = f32_moved(y, (u == 0x4C5D65A5) + (u == 0x65D890D3) + (u == 0x6F31A8EC));
    y = x < F32_INF ? y : x;
    return x > 0 ? y : x == 0 ? -F32_INF : x < 0 ? F32_NAN : x;
}
static inline float f32_exp2(float x) {
    uint32_t u = fzk_bits(x);
    return f32_moved((float)f64_exp2(x), (u == 0x3B429D37) + (u == 0xBCF3A937));
}
static inline float f32_log2(float x) { return (float)f64_log2(x); }
static inline float f32_log1p(float x) {
    uint32_t u = fzk_bits(x);
    int32_t up = (u == 0x35400003) + (u == 0x3710001B) + (u == 0x65D890D3) + (u == 0x6F31A8EC);
    int32_t down = (u == 0x3EFD81AD) + (u == 0x41078FEB) + (u == 0xB53FFFFD) + (u == 0xB70FFFE5);
    return f32_moved((float)f64_log1p(x), up - down + (u == 0xBB0EC8C4));
}
/* exp(r) for |r| <= 0.3466 */
static inline double f64_exp_small(double r) {
    double p = 0x1.1f960d1898259p-29;
    p = p * r + 0x1.af5fb391035fdp-26;
    p = p * r + 0x1.27e4c5330fda7p-22;
    p = p * r + 0x1.71ddf7d27e48fp-19;
    p = p * r + 0x1.a01a01b0ea8dcp-16;
    p = p * r + 0x1.a01a01b013914p-13;
    p = p * r + 0x1.6c16c16c143a8p-10;
    p = p * r + 0x1.111111110f647p-7;
    p = p * r + 0x1.555555555555ap-5;
    p = p * r + 0x1.5555555555559p-3;
    p = p * r + 0x1p-1;
    return (p * r + 1) * r + 1;
}
/* max(0, x) + log(1 + e), e = exp(-|x|) = 2^k exp(r); log(1 + e) = s P(s^2), s = e / (2 + e). */
static inline float f32_softplus(float x) {
    double a = -(double)f32_abs(x), c = a < -110 ? -110 : a;
    double k = (c * F64_LOG2E + F64_MAGIC) - F64_MAGIC;
    double r = (c - k * F64_LN2_HI) - k * F64_LN2_LO;
    double e = f64_exp_small(r) * f64_pow2(k), s = e / (2 + e), z = s * s;
    double p = 0x1.5c5f8855843bbp-3;
    p = p * z + 0x1.55cba643806d4p-4;
    p = p * z + 0x1.efd26740afb43p-4;
    p = p * z + 0x1.1068210255c5cp-3;
    p = p * z + 0x1.3b1dd4babc488p-3;
    p = p * z + 0x1.745cb44d14703p-3;
    p = p * z + 0x1.c71c741a61237p-3;
    p = p * z + 0x1.24924920905bep-2;
    p = p * z + 0x1.99999999a06d7p-2;
    p = p * z + 0x1.5555555555535p-1;
    float y = (float)((x > 0 ? (double)x : 0) + s * (p * z + 2));
    return f32_moved(y, fzk_bits(x) == 0x39EA41D0);
}
/* The sine, cosine and tangent of X from Y, its binary64 value: unary_f32.c takes that of small
 * arguments from another function. */
static inline float f32_sin_rounded(float x, double y) {
    uint32_t u = fzk_bits(f32_abs(x));
    return f32_moved((float)y, -(u == 0x46199998));
}
static inline float f32_cos_rounded(float x, double y) {
    uint32_t u = fzk_bits(f32_abs(x));
    return f32_moved((float)y, (u == 0x6115CB11) - (u == 0x5F18B878));
}
static inline float f32_tan_rounded(float x, double y) {
    (void)x;
    return (float)y;
}
static inline float f32_sin(float x) { return f32_sin_rounded(x, f64_sin(x)); }
static inline float f32_cos(float x) { return f32_cos_rounded(x, f64_cos(x)); }
static inline float f32_tan(float x) { return f32_tan_rounded(x, f64_tan_plain(x)); }
static inline float f32_asin(float x) { return (float)f64_asin(x); }
static inline float f32_acos(float x) {
    uint32_t u = fzk_bits(x);
    return f32_moved((float)f64_acos(x), (u == 0x39826222) + (u == 0x328885A3));
}
static inline float f32_atan(float x) {
    return f32_moved((float)f64_atan(x), fzk_bits(f32_abs(x)) == 0x3D8D6B23);
}
static inline float f32_sinh(float x) {
    return f32_moved((float)f64_sinh(x), -(fzk_bits(f32_abs(x)) == 0x3A1285FF));
}
static inline float f32_cosh(float x) { return (float)f64_cosh(x); }
static inline float f32_asinh(float x) {
    uint32_t u = fzk_bits(f32_abs(x));
    int32_t up = (u == 0x4BDD65A5) + (u == 0x655890D3), down = u == 0x5E68984E;
    return f32_moved((float)f64_asinh(x), up - down);
}
static inline float f32_acosh(float x) {
    uint32_t u = fzk_bits(x);
    return f32_moved((float)f64_acosh(x), (u == 0x655890D3) - (u == 0x5E68984E));
}
static inline float f32_atanh(float x) { return (float)f64_atanh(x); }

#endif
