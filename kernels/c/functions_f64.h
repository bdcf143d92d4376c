/* The functions on binary64, each one fixed expression of separately rounded operations, and,
 * through them, most of those functions on binary32 that are not hot: a double result rounded once.
 *
 * All are free of branches, tables and integer conversions, so that loops over them vectorise; what
 * needs a branch lives in trig_f64.h and pow_f64.h. NaN in gives NaN out. Errors are below 2 ulp
 * (tests/kernels/functions.txt holds them). Polynomials are minimax over the named interval, found
 * by Remez exchange on the relative error, coefficients then rounded to binary64. */
#ifndef FZ_KERNELS_FUNCTIONS_F64_H
#define FZ_KERNELS_FUNCTIONS_F64_H

#include "kernel.h"

static inline uint64_t f64_bits(double x) {
    uint64_t u;
    memcpy(&u, &x, 8);
    return u;
}
static inline double f64_from(uint64_t u) {
    double x;
    memcpy(&x, &u, 8);
    return x;
}

#define F64_INF __builtin_inf()
#define F64_NAN __builtin_nan("")
#define F64_MAGIC 0x1.8p52 /* x + MAGIC has x rounded to an integer in its low bits, |x| < 2^51 */
#define F64_LN2 0x1.62e42fefa39efp-1
#define F64_LOG2E 0x1.71547652b82fep0
#define F64_LN2_HI 0x1.62e42ffp-1 /* ln 2 to 32 bits: k * LN2_HI is exact for |k| < 2^21 */
#define F64_LN2_LO -0x1.718432a1b0e26p-35

static inline double f64_abs(double x) { return f64_from(f64_bits(x) & INT64_MAX); }
static inline double f64_neg(double x) { return f64_from(f64_bits(x) ^ 1ull << 63); }
static inline double f64_with_sign(double x, double sign) {
    return f64_from((f64_bits(x) & INT64_MAX) | (f64_bits(sign) & 1ull << 63));
}
static inline double f64_sign(double x) { return x > 0 ? 1 : x < 0 ? -1 : x == 0 ? 0 : x; }
static inline double f64_sqrt(double x) { return __builtin_sqrt(x); }
static inline double f64_reciprocal(double x) { return 1 / x; }

/* NaN wins, +0 > -0. */
static inline double f64_max(double a, double b) {
    double y = a > b || (a == b && !(f64_bits(a) >> 63)) ? a : b;
    return a != a ? a : y;
}
static inline double f64_min(double a, double b) {
    double y = a < b || (a == b && f64_bits(a) >> 63) ? a : b;
    return a != a ? a : y;
}

/* Half to even: adding 2^52 drops the fraction bits. From 2^52 on everything is an integer. */
static inline double f64_round(double x) {
    double t = (f64_abs(x) + 0x1p52) - 0x1p52;
    return f64_abs(x) < 0x1p52 ? f64_with_sign(t, x) : x;
}
static inline double f64_floor(double x) {
    double t = f64_round(x);
    return t > x ? t - 1 : t;
}
static inline double f64_ceil(double x) {
    double t = f64_round(x);
    return t < x ? f64_with_sign(t + 1, x) : t;
}

/* 2^k for an integer -1022 <= k <= 1023. */
static inline double f64_pow2(double k) { return f64_from(f64_bits(k + (F64_MAGIC + 1023)) << 52); }

/* y * 2^k in two steps, so that the result may be subnormal or overflow; |k| <= 2044. */
static inline double f64_scale(double y, double k) {
    double half = (k * 0.5 + F64_MAGIC) - F64_MAGIC;
    return y * f64_pow2(half) * f64_pow2(k - half);
}

/* x = k ln 2 + r, |r| <= 0.3466; returns exp(r) - 1 = r + r^2 Q(r). |x| < 1500. */
static inline double f64_expm1_reduced(double x, double *k) {
    *k = (x * F64_LOG2E + F64_MAGIC) - F64_MAGIC;
    double hi = x - *k * F64_LN2_HI, lo = *k * F64_LN2_LO;
    double r = hi - lo, c = (hi - r) - lo;
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
    return r + (r * r * p + (c + c * r));
}

/* exp(x + lo) * 2^e for a small correction lo; beyond the bounds the result is 0 or infinite. */
static inline double f64_exp_scaled(double x, double lo, double e) {
    double c = x > 720 ? 720 : x, k;
    c = c < -760 ? -760 : c;
    double p = f64_expm1_reduced(c, &k);
    return f64_scale(1 + (p + (lo + p * lo)), k + e);
}
static inline double f64_exp(double x) { return f64_exp_scaled(x, 0, 0); }

/* 2^x = 2^k exp((x - k) ln 2). */
static inline double f64_exp2(double x) {
    double c = x > 1030 ? 1030 : x, k0;
    c = c < -1080 ? -1080 : c;
    double k = (c + F64_MAGIC) - F64_MAGIC, f = c - k;
    double hi = f * F64_LN2, p = f64_expm1_reduced(hi, &k0);
    return f64_scale(1 + p, k + k0);
}

/* 2^k (p + 1) - 1 as 2 (t p + (t - 1/2)) with t = 2^(k-1), for which t does not overflow. */
static inline double f64_expm1(double x) {
    double c = x > 710 ? 710 : x, k;
    c = c < -40 ? -40 : c;
    double p = f64_expm1_reduced(c, &k), t = f64_pow2(k - 1);
    double y = ((t - 0.5) + t * p) * 2;
    return f64_abs(x) < 0x1p-54 ? x : y;
}

/* log(u) + c for a finite normal or scaled u > 0 and a small correction c: u = 2^k (1 + f) with
 * sqrt(1/2) <= 1 + f < sqrt 2, s = f / (2 + f), log(1 + f) = f - (f^2/2 - s (f^2/2 + s^2 R(s^2))).
 * */
static inline double f64_log_reduced(double u, double k0, double c) {
    uint64_t i = f64_bits(u) + (0x3FF0000000000000 - 0x3FE6A09E667F3BCD);
    double k = f64_from(i >> 52 | 0x4330000000000000) - (0x1p52 + 1023) + k0;
    double f = f64_from((i & 0xFFFFFFFFFFFFF) + 0x3FE6A09E667F3BCD) - 1;
    double s = f / (2 + f), z = s * s, half = 0.5 * f * f;
    double p = 0x1.2e44e9816d701p-3;
    p = p * z + 0x1.39b648375ca9ap-3;
    p = p * z + 0x1.7465612c023fdp-3;
    p = p * z + 0x1.c71c56b1ab3d3p-3;
    p = p * z + 0x1.2492493b7ccacp-2;
    p = p * z + 0x1.999999998856cp-2;
    p = p * z + 0x1.5555555555573p-1;
    double lo = s * (half + z * p) + (k * F64_LN2_LO + c);
    return k * F64_LN2_HI - ((half - lo) - f);
}

/* The results of log outside of (0, inf), Y inside. */
static inline double f64_log_domain(double x, double y) {
    y = x < F64_INF ? y : x;
    return x > 0 ? y : x == 0 ? -F64_INF : x < 0 ? F64_NAN : x;
}
static inline double f64_log(double x) {
    bool tiny = x < 0x1p-1022;
    double u = tiny ? x * 0x1p54 : x;
    return f64_log_domain(x, f64_log_reduced(u, tiny ? -54 : 0, 0));
}
static inline double f64_log2(double x) {
    bool tiny = x < 0x1p-1022;
    double u = tiny ? x * 0x1p54 : x;
    uint64_t i = f64_bits(u) + (0x3FF0000000000000 - 0x3FE6A09E667F3BCD);
    double k = f64_from(i >> 52 | 0x4330000000000000) - (0x1p52 + 1023);
    double m = f64_from((i & 0xFFFFFFFFFFFFF) + 0x3FE6A09E667F3BCD);
    double y = (k - (tiny ? 54 : 0)) + f64_log_reduced(m, 0, 0) * F64_LOG2E;
    return f64_log_domain(x, y);
}

/* log(u) with u = 1 + x rounded, plus the rounding error over u. */
static inline double f64_log1p(double x) {
    double u = 1 + x, c = x >= 1 ? 1 - (u - x) : x - (u - 1);
    double y = f64_log_reduced(u, 0, x < 0x1p60 ? c / u : 0);
    y = f64_log_domain(u, y);
    return x == 0 ? x : y;
}

/* |x| < 1: x + x z P(z), z = x^2. Else h - 1 / (4 h) with h = exp(|x|) / 2. */
static inline double f64_sinh(double x) {
    double a = f64_abs(x), z = x * x;
    double p = 0x1.b4ce40465b065p-41;
    p = p * z + 0x1.611a3e9068ef6p-33;
    p = p * z + 0x1.ae646759c4111p-26;
    p = p * z + 0x1.71de3a460989dp-19;
    p = p * z + 0x1.a01a01a029043p-13;
    p = p * z + 0x1.11111111110a2p-7;
    p = p * z + 0x1.5555555555556p-3;
    double h = f64_exp_scaled(a, 0, -1), y = h - 0.25 / h;
    return f64_with_sign(a < 1 ? a + a * z * p : y, x);
}
static inline double f64_cosh(double x) {
    double h = f64_exp_scaled(f64_abs(x), 0, -1);
    return h + 0.25 / h;
}
/* |x| < 0.5625: x + x z P(z), z = x^2. Else 1 - 2 / (exp(2 |x|) + 1), which is 1 from 19.1 on. */
static inline double f64_tanh(double x) {
    double a = f64_abs(x), z = x * x;
    double p = 0x1.a1713b8cc3c61p-15;
    p = p * z - 0x1.b539aab1379abp-13;
    p = p * z + 0x1.2f0dbb91bc8e2p-11;
    p = p * z - 0x1.7cdad2b8e07e6p-10;
    p = p * z + 0x1.d6c39f03e5074p-9;
    p = p * z - 0x1.226dc9c80fa7ap-7;
    p = p * z + 0x1.664f450d54d9fp-6;
    p = p * z - 0x1.ba1ba1a9ca0f9p-5;
    p = p * z + 0x1.11111110fe267p-3;
    p = p * z - 0x1.5555555555467p-2;
    double y = 1 - 2 / (f64_exp(2 * a) + 1);
    return f64_with_sign(a < 0.5625 ? a + a * z * p : y, x);
}
static inline double f64_asinh(double x) {
    double a = f64_abs(x), z = a * a;
    bool big = a > 0x1p28;
    double y = f64_log1p(big ? a - 1 : a + z / (1 + f64_sqrt(1 + z)));
    y = big ? y + F64_LN2 : y;
    return f64_with_sign(a < 0x1p-28 ? a : y, x);
}
static inline double f64_acosh(double x) {
    double t = x - 1;
    bool big = x > 0x1p28;
    double y = f64_log1p(big ? t : t + f64_sqrt(2 * t + t * t));
    y = big ? y + F64_LN2 : y;
    return x < 1 ? F64_NAN : y;
}
static inline double f64_atanh(double x) {
    double a = f64_abs(x), y = 0.5 * f64_log1p(2 * a / (1 - a));
    return f64_with_sign(a < 0x1p-28 ? a : y, x);
}

/* |x| < 1: x + x P(x^2). Else 1 - erfc with erfc = exp(-x^2) Q(t), t = (|x| - 5/2) / (|x| + 5/2),
 * which is 0 beside 1 from |x| = 6 on. */
static inline double f64_erf(double x) {
    double a = f64_abs(x), z = x * x;
    double p = 0x1.0579b4df66246p-34;
    p = p * z - 0x1.386ac4ca4337ap-30;
    p = p * z + 0x1.f7a41391f2137p-27;
    p = p * z - 0x1.5f1d36e57e9d3p-23;
    p = p * z + 0x1.b9def1a25d43cp-20;
    p = p * z - 0x1.f4d1df39a88e3p-17;
    p = p * z + 0x1.f9a321a122eaep-14;
    p = p * z - 0x1.c02db3d8ed52fp-11;
    p = p * z + 0x1.565bcd0db02f5p-8;
    p = p * z - 0x1.b82ce3128499dp-6;
    p = p * z + 0x1.ce2f21a042b2p-4;
    p = p * z - 0x1.812746b0379e6p-2;
    p = p * z + 0x1.06eba8214db69p-3;
    double c = a > 6 ? 6 : a, t = (c - 2.5) / (c + 2.5);
    double q = 0x1.f0534a44d66bbp-18;
    q = q * t + 0x1.13c14f2df6e61p-16;
    q = q * t - 0x1.2e9d265338375p-15;
    q = q * t - 0x1.0ff078112f7c5p-13;
    q = q * t + 0x1.de9641290e5c8p-13;
    q = q * t + 0x1.cb39c8d3608dep-11;
    q = q * t - 0x1.5a56fe0ed73b9p-9;
    q = q * t - 0x1.05bb2ccc3c1fp-8;
    q = q * t + 0x1.470ba1fd4e24ep-5;
    q = q * t - 0x1.00115437243ap-3;
    q = q * t + 0x1.01c11a735b6fbp-2;
    q = q * t - 0x1.7ca88dec21848p-2;
    q = q * t + 0x1.afbb3f3b7343dp-3;
    double big = 1 - f64_exp(-c * c) * q;
    return a < 1 ? x + x * p : f64_with_sign(big, x);
}

/* With e = exp(-|x|), so that nothing overflows: 1 / (1 + e) as 1 - e / (1 + e), and e / (1 + e) as
 * e - e e / (1 + e). */
static inline double f64_sigmoid(double x) {
    double e = f64_exp(-f64_abs(x)), n = x < 0 ? e : 1;
    return n - n * (e / (1 + e));
}
static inline double f64_softplus(double x) {
    return (x > 0 ? x : 0) + f64_log1p(f64_exp(-f64_abs(x)));
}
static inline double f64_softsign(double x) { return x / (1 + f64_abs(x)); }
static inline double f64_gelu(double x) {
    return 0.5 * x * (1 + f64_erf(x * 0x1.6a09e667f3bcdp-1));
}
static inline double f64_gelu_tanh(double x) {
    double u = 0x1.9884533d43651p-1 * (x + 0.044715 * (x * x * x));
    return 0.5 * x * (1 + f64_tanh(u));
}
static inline double f64_swish(double x, double a, double b) {
    (void)b;
    return x * f64_sigmoid(a * x);
}
static inline double f64_silu(double x) { return x * f64_sigmoid(x); }
/* tanh(log(1 + e)) = n / (n + 2) with n = e (e + 2); it is 1 from x = 20 on. */
static inline double f64_mish(double x) {
    double e = f64_exp(x > 20 ? 20 : x), n = e * (e + 2), y = x * (n / (n + 2));
    return x > 20 ? x : y;
}
/* As f32_relu. */
static inline double f64_relu(double x) {
#if defined(__clang__) && defined(__aarch64__)
    const uint64_t below = 0x8000000000000001, infinite = 0xFFF0000000000000;
    return f64_bits(x) - below <= infinite - below ? 0 : x;
#else
    return 0 > x ? 0 : x;
#endif
}
static inline double f64_at_most(double hi, double x) { return hi < x ? hi : x; }
static inline double f64_clip(double x, double a, double b) {
    return f64_at_most(b, a > x ? a : x);
}
static inline double f64_affine(double x, double a, double b) { return a * x + b; }
static inline double f64_hard_sigmoid(double x, double a, double b) {
    return f64_at_most(1, f64_relu(a * x + b));
}
static inline double f64_hard_swish(double x) { return x * f64_hard_sigmoid(x, 1.0 / 6, 0.5); }
static inline double f64_hard_swish_affine(double x, double a, double b) {
    return a * f64_hard_swish(x) + b;
}
static inline double f64_leaky_relu(double x, double a, double b) {
    (void)b;
    return x < 0 ? a * x : x;
}
static inline double f64_thresholded_relu(double x, double a, double b) {
    (void)b;
    return x > a ? x : 0;
}
static inline double f64_elu(double x, double a, double b) {
    (void)b;
    return x < 0 ? a * f64_expm1(x) : x;
}
static inline double f64_selu(double x, double a, double b) {
    return x > 0 ? b * x : b * (a * f64_expm1(x));
}
static inline double f64_celu(double x, double a, double b) {
    double t = a * f64_expm1(x / a);
    (void)b;
    return f64_relu(x) + f64_at_most(0, t);
}
static inline double f64_shrink(double x, double a, double b) {
    return x < -a ? x + b : x > a ? x - b : 0;
}
static inline double f64_scaled_tanh(double x, double a, double b) { return a * f64_tanh(b * x); }

#endif
