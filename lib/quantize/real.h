/* Arithmetic of binary64 without a mathematical library: the same results on every host. */
#ifndef FZ_REAL_H
#define FZ_REAL_H

#include "base/base.h"

#define FZ_INFINITY (__builtin_inf())

static inline double fzi_size(double x) { return x < 0 ? -x : x; }
static inline double fzi_least(double a, double b) { return b < a ? b : a; }
static inline double fzi_most(double a, double b) { return b > a ? b : a; }
static inline double fzi_root(double x) { return __builtin_sqrt(x); }

/* The nearest integer, half to even. From 2^52 on all numbers are integers. */
static inline double fzi_nearest(double x) {
    const double big = 0x1p52;
    volatile double shifted = x < 0 ? x - big : x + big;
    if (!(fzi_size(x) < big)) return x;
    return x < 0 ? shifted + big : shifted - big;
}

/* 2^E for -1022 <= E <= 1023. */
static inline double fzi_power(int32_t e) {
    uint64_t bits = (uint64_t)(e + 1023) << 52;
    double x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

/* The E with 2^(E - 1) <= X < 2^E of a normal X > 0; *FRACTION, unless NULL, gets X / 2^E. */
static inline int32_t fzi_exponent(double x, double *fraction) {
    uint64_t bits;
    memcpy(&bits, &x, sizeof bits);
    int32_t e = (int32_t)(bits >> 52 & 2047) - 1022;
    bits = (bits & 0xFFFFFFFFFFFFFull) | (uint64_t)1022 << 52;
    if (fraction) memcpy(fraction, &bits, sizeof bits);
    return e;
}

/* The natural logarithm of a normal X > 0, by the series of atanh. */
static inline double fzi_logarithm(double x) {
    double m;
    int32_t e = fzi_exponent(x, &m);
    if (m < 0.70710678118654752) {
        m *= 2;
        e--;
    }
    double z = (m - 1) / (m + 1), zz = z * z, sum = 0;
    for (int k = 27; k >= 1; k -= 2) sum = sum * zz + 1.0 / k;
    return 2 * z * sum + e * 0.69314718055994531;
}

#endif
