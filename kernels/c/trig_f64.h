/* Sine, cosine, tangent and their inverses on binary64, with exact range reduction for every finite
 * argument.
 *
 * The reduction has a part without branches for |x| <= F64_TRIG_SMALL, which vectorises, and one in
 * integers for the rest; f64_sin_small and the like are the functions with the first part only. The
 * tangent on binary32 is f64_tan_plain or f64_tan_small, rounded. */
#ifndef FZ_KERNELS_TRIG_F64_H
#define FZ_KERNELS_TRIG_F64_H

#include "functions_f64.h"

#define F64_TRIG_SMALL 0x1p20 /* k * PIO2_1, _2 and _3 are exact below: 20 + 33 bits */
#define F64_PIO2 0x1.921fb54442d18p0
#define F64_PIO2_LO 0x1.1a62633145c07p-54
#define F64_PIO2_1 0x1.921fb544p0 /* pi/2 = 1 + 2 + 3 + 4, 33 bits each but the last */
#define F64_PIO2_2 0x1.0b4611a6p-34
#define F64_PIO2_3 0x1.3198a2ep-69
#define F64_PIO2_4 0x1.b839a252049c1p-104
#define F64_2_PI 0x1.45f306dc9c883p-1

/* x = k pi/2 + hi + lo, |hi| <= pi/4; only k's two low bits are kept. */
struct f64_angle {
    double hi, lo;
    uint64_t k;
};

/* The rounding error of s = a + b. */
static inline double f64_sum_error(double a, double b, double s) {
    double z = s - a;
    return (a - (s - z)) + (b - z);
}

/* The error of p = a * b, by splitting both into 26 bits; |a|, |b| < 2^900. */
static inline double f64_product_error(double a, double b, double p) {
    double ca = a * 134217729.0, cb = b * 134217729.0;
    double ah = ca - (ca - a), al = a - ah, bh = cb - (cb - b), bl = b - bh;
    return ((ah * bh - p) + ah * bl + al * bh) + al * bl;
}

/* Cody and Waite: three exact products are taken off, their errors are kept. */
static inline struct f64_angle f64_reduce_small(double x) {
    double t = x * F64_2_PI + F64_MAGIC, k = t - F64_MAGIC;
    double a = x - k * F64_PIO2_1, b = -(k * F64_PIO2_2), c = -(k * F64_PIO2_3);
    double r = a + b, e = f64_sum_error(a, b, r);
    double y = r + c;
    e = (e + f64_sum_error(r, c, y)) - k * F64_PIO2_4;
    double hi = y + e;
    return (struct f64_angle){hi, (y - hi) + e, f64_bits(t)};
}

/* 2^64 (a * b) as high and low word. */
static inline uint64_t f64_mul_high(uint64_t a, uint64_t b) {
    uint64_t a1 = a >> 32, a0 = a & 0xFFFFFFFF, b1 = b >> 32, b0 = b & 0xFFFFFFFF;
    uint64_t m = a1 * b0 + (a0 * b0 >> 32), l = a0 * b1 + (m & 0xFFFFFFFF);
    return a1 * b1 + (m >> 32) + (l >> 32);
}

/* Payne and Hanek: x = m 2^e with an integer m of 53 bits; of m 2^e (2/pi) mod 4 only the bits of
 * 2/pi from weight 2^(1-e) on count, and 192 of them leave an error below 2^-137, while no binary64
 * is nearer than 2^-62 to a multiple of pi/2. */
static inline struct f64_angle f64_reduce_large(double x) {
    static const uint64_t two_over_pi[21] = { /* the first word is 0: weight 2^0 and above */
        0,
        0xa2f9836e4e441529, 0xfc2757d1f534ddc0, 0xdb6295993c439041, 0xfe5163abdebbc561,
        0xb7246e3a424dd2e0, 0x06492eea09d1921c, 0xfe1deb1cb129a73e, 0xe88235f52ebb4484,
        0xe99c7026b45f7e41, 0x3991d639835339f4, 0x9c845f8bbdf9283b, 0x1ff897ffde05980f,
        0xef2f118b5a0a6d1f, 0x6d367ecf27cb09b7, 0x4f463f669e5fea2d, 0x7527bac7ebe5f17b,
        0x3d0739f78a5292ea, 0x6bfb5fb11f8d5d08, 0x56033046fc7b6bab, 0xf0cfbc209af4361d};
    uint64_t bits = f64_bits(x), m = (bits & 0xFFFFFFFFFFFFF) | 1ull << 52;
    uint32_t at = (uint32_t)(bits >> 52 & 0x7FF) - 1075 + 62, i = at / 64, s = at % 64;
    uint64_t w[3];
    for (int j = 0; j < 3; j++) {
        const uint64_t *t = two_over_pi + i + j;
        w[j] = s ? t[0] << s | t[1] >> (64 - s) : t[0];
    }
    uint64_t p2 = m * w[2], p1 = m * w[1], p0 = m * w[0] + f64_mul_high(m, w[1]);
    uint64_t carry = f64_mul_high(m, w[2]);
    p1 += carry;
    p0 += p1 < carry;
    /* Two bits of quadrant, then the fraction as a signed number of 128 bits. */
    uint64_t f0 = p0 << 2 | p1 >> 62, f1 = p1 << 2 | p2 >> 62, k = (p0 >> 62) + (f0 >> 63);
    bool negative = f0 >> 63;
    if (negative) {
        f1 = ~f1 + 1;
        f0 = ~f0 + (f1 == 0);
    }
    double a = (double)(f0 >> 32) * 0x1p-32, b = (double)(f0 & 0xFFFFFFFF) * 0x1p-64;
    double c = (double)(f1 >> 32) * 0x1p-96 + (double)(f1 & 0xFFFFFFFF) * 0x1p-128;
    double h = a + b, l = (b - (h - a)) + c, y = h + l;
    l = (h - y) + l;
    double hi = y * F64_PIO2, lo = f64_product_error(y, F64_PIO2, hi);
    lo += y * F64_PIO2_LO + l * F64_PIO2;
    bool flip = negative != (bits >> 63 != 0);
    return (struct f64_angle){flip ? -hi : hi, flip ? -lo : lo, bits >> 63 ? -k : k};
}

static inline struct f64_angle f64_reduce(double x) {
    if (f64_abs(x) <= F64_TRIG_SMALL) return f64_reduce_small(x);
    if (f64_abs(x) < F64_INF) return f64_reduce_large(x);
    return (struct f64_angle){F64_NAN, 0, 0};
}

/* sin(hi + lo) = hi + (lo (1 - hi^2/2) + hi^3 P(hi^2)), |hi| <= pi/4: what is added to hi. */
static inline double f64_sin_rest(struct f64_angle a) {
    double z = a.hi * a.hi;
    double p = 0x1.5d92745c5e4fcp-33;
    p = p * z - 0x1.ae5e64fb95bfep-26;
    p = p * z + 0x1.71de35772b16dp-19;
    p = p * z - 0x1.a01a019c12958p-13;
    p = p * z + 0x1.111111110f895p-7;
    p = p * z - 0x1.5555555555549p-3;
    return a.hi * z * p + (a.lo - 0.5 * z * a.lo);
}
static inline double f64_sin_angle(struct f64_angle a) { return a.hi + f64_sin_rest(a); }

/* cos(hi + lo) = 1 - hi^2/2 + (hi^4 P(hi^2) - hi lo). The square's upper part h^2, of hi's upper 26
 * bits, is exact; the rounding error of 1 - h^2/2 and the square's rest are added. Returns what is
 * added to *W = 1 - h^2/2. */
static inline double f64_cos_rest(struct f64_angle a, double *w) {
    double z = a.hi * a.hi, h = f64_from(f64_bits(a.hi) & ~0x7FFFFFFull);
    double p = -0x1.8fb000765bf77p-37;
    p = p * z + 0x1.1ee9ef513a822p-29;
    p = p * z - 0x1.27e4f8104445ap-22;
    p = p * z + 0x1.a01a019cbcd87p-16;
    p = p * z - 0x1.6c16c16c1521p-10;
    p = p * z + 0x1.555555555554cp-5;
    double half = 0.5 * h * h, rest = 0.5 * (a.hi - h) * (a.hi + h) + a.hi * a.lo;
    *w = 1 - half;
    return ((1 - *w) - half) + (z * z * p - rest);
}
static inline double f64_cos_angle(struct f64_angle a) {
    double w, rest = f64_cos_rest(a, &w);
    return w + rest;
}

static inline double f64_sin_of(struct f64_angle a, uint64_t quarter) {
    uint64_t k = a.k + quarter;
    double s = f64_sin_angle(a), c = f64_cos_angle(a), y = k & 1 ? c : s;
    return f64_from(f64_bits(y) ^ (k & 2) << 62);
}
static inline double f64_tan_of(struct f64_angle a) {
    double s = f64_sin_angle(a), c = f64_cos_angle(a);
    double n = a.k & 1 ? -c : s, d = a.k & 1 ? s : c;
    return n / d;
}
/* The same with the rounding errors of sine and cosine: (n + nl) / (d + dl). */
static inline double f64_tan_fine(struct f64_angle a) {
    double w, sr = f64_sin_rest(a), cr = f64_cos_rest(a, &w), s = a.hi + sr, c = w + cr;
    double sl = sr - (s - a.hi), cl = cr - (c - w);
    double n = a.k & 1 ? -c : s, d = a.k & 1 ? s : c, q = n / d;
    double nl = a.k & 1 ? -cl : sl, dl = a.k & 1 ? sl : cl;
    return q + (nl - q * dl) / d;
}

static inline double f64_sin_small(double x) {
    double y = f64_sin_of(f64_reduce_small(x), 0);
    return x == 0 ? x : y;
}
static inline double f64_cos_small(double x) { return f64_sin_of(f64_reduce_small(x), 1); }
static inline double f64_tan_small(double x) {
    double y = f64_tan_of(f64_reduce_small(x));
    return x == 0 ? x : y;
}
static inline double f64_sin(double x) {
    double y = f64_sin_of(f64_reduce(x), 0);
    return x == 0 ? x : y;
}
static inline double f64_cos(double x) { return f64_sin_of(f64_reduce(x), 1); }
static inline double f64_tan_plain(double x) {
    double y = f64_tan_of(f64_reduce(x));
    return x == 0 ? x : y;
}
static inline double f64_tan(double x) {
    double y = f64_tan_fine(f64_reduce(x));
    return x == 0 ? x : y;
}

/* |x| is brought to |t| <= tan(pi/8) by atan x = pi/4 + atan((x-1)/(x+1)) or pi/2 - atan(1/x). */
static inline double f64_atan(double x) {
    double a = f64_abs(x);
    bool mid = a > 0x1.a827999fcef32p-2, big = a > 0x1.3504f333f9de6p1;
    double n = big ? -1 : mid ? a - 1 : a, d = big ? a : mid ? a + 1 : 1, t = n / d;
    double base = big ? F64_PIO2 : mid ? F64_PIO2 / 2 : 0;
    double lo = big ? F64_PIO2_LO : mid ? F64_PIO2_LO / 2 : 0;
    double z = t * t;
    double p = -0x1.26780722fdeccp-6;
    p = p * z + 0x1.385c3a825cdbp-5;
    p = p * z - 0x1.9d0cdface319dp-5;
    p = p * z + 0x1.df1d86e4de6c2p-5;
    p = p * z - 0x1.10ecce5046179p-4;
    p = p * z + 0x1.3b113481acf0bp-4;
    p = p * z - 0x1.745cfa9b1c5bap-4;
    p = p * z + 0x1.c71c70f7f06d1p-4;
    p = p * z - 0x1.24924922e344fp-3;
    p = p * z + 0x1.99999999962dcp-3;
    p = p * z - 0x1.5555555555543p-2;
    return f64_with_sign(base + (t + (t * z * p + lo)), x);
}

/* (asin(sqrt z) / sqrt z - 1) for 0 <= z <= 1/4. */
static inline double f64_asin_poly(double z) {
    double p = 0x1.0aaf50464a279p-5;
    p = p * z - 0x1.55d9001825f99p-6;
    p = p * z + 0x1.61e58524ab44cp-6;
    p = p * z + 0x1.ec59feed7faebp-9;
    p = p * z + 0x1.60c165f6334edp-7;
    p = p * z + 0x1.759ea0e7e9c3fp-7;
    p = p * z + 0x1.ca1c074a79de9p-7;
    p = p * z + 0x1.1c4a1bfc49e46p-6;
    p = p * z + 0x1.6e8bdc069665ep-6;
    p = p * z + 0x1.f1c71ab3e1a5ap-6;
    p = p * z + 0x1.6db6db71ad3d3p-5;
    p = p * z + 0x1.333333332ec08p-4;
    p = p * z + 0x1.555555555557p-3;
    return z * p;
}
/* |x| > 1/2: asin x = pi/2 - 2 asin(sqrt((1 - x) / 2)); outside of [-1, 1] the root is NaN. */
static inline double f64_asin(double x) {
    double a = f64_abs(x);
    bool big = a > 0.5;
    double z = big ? (1 - a) * 0.5 : a * a, s = big ? f64_sqrt(z) : a;
    double p = s * f64_asin_poly(z);
    double y = big ? F64_PIO2 - (2 * s + (2 * p - F64_PIO2_LO)) : a + p;
    return f64_with_sign(y, x);
}
static inline double f64_acos(double x) {
    double a = f64_abs(x);
    bool big = a > 0.5;
    double z = big ? (1 - a) * 0.5 : a * a, s = big ? f64_sqrt(z) : x;
    double p = s * f64_asin_poly(z);
    double near = 2 * s + 2 * p, far = 2 * F64_PIO2 - (2 * s + (2 * p - 2 * F64_PIO2_LO));
    double mid = F64_PIO2 - (s + (p - F64_PIO2_LO));
    return big ? (x > 0 ? near : far) : mid;
}

#endif
