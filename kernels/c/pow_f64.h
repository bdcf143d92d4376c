/* The power and the remainder, on binary64 and binary32, with the special cases of IEEE 754. */
#ifndef FZ_KERNELS_POW_F64_H
#define FZ_KERNELS_POW_F64_H

#include "trig_f64.h"

/* The magnitude R of |x|^y made the power of x and y: sign, domain, and the cases that are 1. */
static inline double f64_pow_cases(double x, double y, double r) {
    double ax = f64_abs(x), ay = f64_abs(y), half = y * 0.5;
    bool integer = f64_round(y) == y, odd = integer & (f64_round(half) != half);
    r = f64_from(f64_bits(r) ^ (odd ? f64_bits(x) & 1ull << 63 : 0));
    bool domain = (x < 0) & (ax < F64_INF) & (ay < F64_INF) & !integer;
    bool one = (x == 1) | (y == 0) | ((ax == 1) & (ay == F64_INF));
    r = domain ? F64_NAN : r;
    return one ? 1 : r;
}

/* The exponents that models raise whole tensors to have cheap expressions of their own: x^2 and
 * x^3 by products, of which x * x is exact in binary64, x^(1/2) by the root, but with the power's
 * -0 and -inf. */
static inline float f32_square(float x) { return x * x; }
static inline float f32_cube(float x) { return (float)((double)x * (double)x * (double)x); }
static inline float f32_root(float x) {
    float y = __builtin_sqrtf(x + 0.0f);
    return x == -__builtin_inff() ? -x : y;
}

/* R, or the number of 25 bits within 2^-44 of it: a power that lies halfway between two numbers of
 * binary32 has no more bits, and must round as the tie that it is. Veltkamp's splitting; where it
 * overflows, the comparison is false. */
static inline double f64_snap25(double r) {
    double c = r * (0x1p28 + 1), t = c - (c - r);
    return f64_abs(t - r) <= r * 0x1p-44 ? t : r;
}

/* A binary32 power: |y log x| < 104 where the result is neither 0 nor infinite, so that binary64's
 * error of 2^-53 in the logarithm is one of 2^-45 in the result, before the one rounding. */
static inline float f32_pow(float x, float y) {
    double l = f64_log(f64_abs(x));
    float r = (float)f64_pow_cases(x, y, f64_snap25(f64_exp((double)y * l)));
    r = y == 2 ? f32_square(x) : r;
    r = y == 3 ? f32_cube(x) : r;
    return y == 0.5f ? f32_root(x) : r;
}

/* log x as hi + lo with an error near 2^-64: x = 2^k (1 + f), s = f / (2 + f) in two words,
 * log(1 + f) = 2 s + s^3 (2/3 + s^2 Q(s^2)). */
static inline double f64_log_pair(double x, double *lo) {
    bool tiny = x < 0x1p-1022;
    uint64_t i = f64_bits(tiny ? x * 0x1p54 : x) + (0x3FF0000000000000 - 0x3FE6A09E667F3BCD);
    double k = f64_from(i >> 52 | 0x4330000000000000) - (0x1p52 + 1023) - (tiny ? 54 : 0);
    double f = f64_from((i & 0xFFFFFFFFFFFFF) + 0x3FE6A09E667F3BCD) - 1;
    double d = 2 + f, dl = f - (d - 2), s = f / d, ps = s * d;
    double sl = (((f - ps) - f64_product_error(s, d, ps)) - s * dl) / d;
    double z = s * s, zl = f64_product_error(s, s, z) + 2 * s * sl;
    double p = 0x1.bb59748d4f5c9p-4;
    p = p * z + 0x1.abfd0ce1371f9p-4;
    p = p * z + 0x1.e1fbc4b1bd59ep-4;
    p = p * z + 0x1.1110d348edd1p-3;
    p = p * z + 0x1.3b13b1e97d54cp-3;
    p = p * z + 0x1.745d1744ba35p-3;
    p = p * z + 0x1.c71c71c71d546p-3;
    p = p * z + 0x1.249249249249p-2;
    p = p * z + 0x1.999999999999ap-2;
    p = z * p;
    /* c = 2/3 + p, then s z c, each as a pair. */
    double c = 0x1.5555555555555p-1 + p;
    double cl = f64_sum_error(0x1.5555555555555p-1, p, c) + 0x1.5555555555555p-55;
    double u = s * z, ul = f64_product_error(s, z, u) + (s * zl + sl * z);
    double v = u * c, vl = f64_product_error(u, c, v) + (u * cl + ul * c);
    /* k ln 2 + 2 s + v, largest first. */
    double a = k * F64_LN2_HI, b = 2 * s, h = a + b;
    double e = f64_sum_error(a, b, h), g = h + v;
    e += f64_sum_error(h, v, g) + (vl + 2 * sl) + k * F64_LN2_LO;
    double hi = g + e;
    *lo = (g - hi) + e;
    return hi;
}

/* y log x as a pair, then the exponential. Beyond |y| = 2^64 only |x| = 1 stays finite and not 0;
 * the clamps keep the pair's arithmetic free of infinities. */
static inline double f64_pow(double x, double y) {
    double ax = f64_abs(x), lo, big = y > 0x1p64 ? 0x1p64 : y < -0x1p64 ? -0x1p64 : y;
    if (!(ax > 0 && ax < F64_INF)) return f64_pow_cases(x, y, f64_exp(y * f64_log(ax)));
    double l = f64_log_pair(ax, &lo), p = big * l;
    double e = f64_abs(p) < 1000 ? f64_product_error(big, l, p) + big * lo : 0;
    return f64_pow_cases(x, y, f64_exp_scaled(p, e, 0));
}

/* x - y trunc(x / y), exactly: the mantissas' remainder, shifted down bit by bit. */
static inline double f64_fmod(double x, double y) {
    double ax = f64_abs(x), ay = f64_abs(y);
    if (!(ax < F64_INF) || !(ay > 0)) return F64_NAN;
    if (ay > ax) return x;
    uint64_t a = f64_bits(ax), b = f64_bits(ay);
    int32_t ea = (int32_t)(a >> 52), eb = (int32_t)(b >> 52);
    a = ea ? (a & 0xFFFFFFFFFFFFF) | 1ull << 52 : a;
    b = eb ? (b & 0xFFFFFFFFFFFFF) | 1ull << 52 : b;
    if (!ea) ea = 1;
    if (!eb) eb = 1;
    /* Both are integers below 2^53: eleven bits of the exponents' difference at a time. */
    a %= b;
    for (int32_t d = ea - eb; d > 0 && a;) {
        int32_t s = d < 11 ? d : 11;
        a = (a << s) % b;
        d -= s;
    }
    /* a * 2^(eb - 1075), exact: a < b. */
    double r = (double)a;
    r = eb > 1022 ? r * 0x1p-52 * f64_pow2(eb - 1023) : r * f64_pow2(eb - 1022) * 0x1p-53;
    return f64_with_sign(r, x);
}

/* The remainder with the divisor's sign. */
static inline double f64_mod(double x, double y) {
    double r = f64_fmod(x, y);
    if (r == 0) return f64_with_sign(r, y);
    return (r < 0) != (y < 0) ? r + y : r;
}

#endif
