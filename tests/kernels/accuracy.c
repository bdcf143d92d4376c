/* Prints the largest error of every function, in units in the last place of the exact result, over
 * a stratified sample: every STEP-th binary32 bit pattern, and as many binary64 values of uniformly
 * distributed bit patterns and of moderate size. The reference is long double libm, which has 11
 * bits more than binary64 where long double does. Fails if an error is above the function's bound.
 *
 * usage: accuracy [STEP]   1 tries every binary32 value; the default is 4099. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "c/functions.h"

typedef long double ld;

struct row {
    const char *name;
    float (*f)(float);
    double (*d)(double);
    ld (*ref)(ld);
    double bound_f, bound_d; /* in ulp */
};

static ld neg(ld x) { return -x; }
static ld sign(ld x) { return x > 0 ? 1 : x < 0 ? -1 : x == 0 ? 0 : x; }
static ld reciprocal(ld x) { return 1 / x; }
static ld sigmoid(ld x) { return x < 0 ? expl(x) / (1 + expl(x)) : 1 / (1 + expl(-x)); }
static ld softplus(ld x) { return (x > 0 ? x : 0) + log1pl(expl(-fabsl(x))); }
static ld softsign(ld x) { return x / (1 + fabsl(x)); }
static ld silu(ld x) { return x * sigmoid(x); }
static ld mish(ld x) { return x * tanhl(softplus(x)); }
static ld gelu(ld x) { return x / 2 * erfcl(-x / sqrtl(2)); }
static ld gelu_tanh(ld x) {
    ld u = sqrtl(2 / M_PIl) * (x + 0.044715L * x * x * x);
    return x / 2 * (1 + tanhl(u));
}

/* The composites that lose relative accuracy where they are tiny, for they are fixed expressions
 * over sigmoid, erf and tanh: their errors are measured in the spacing at max(1, |x|). */
static bool composite(const struct row *r) {
    return r->ref == gelu || r->ref == gelu_tanh || r->ref == silu || r->ref == mish;
}
#define ROW(name, ref, bf, bd) {#name, f32_##name, f64_##name, ref, bf, bd}
static const struct row rows[] = {
    ROW(abs, fabsl, 0, 0), ROW(neg, neg, 0, 0), ROW(sign, sign, 0, 0), ROW(floor, floorl, 0, 0),
    ROW(ceil, ceill, 0, 0), ROW(round, rintl, 0, 0), ROW(sqrt, sqrtl, 0.501, 0.501),
    ROW(reciprocal, reciprocal, 0.501, 0.501), ROW(exp, expl, 0.85, 1),
    ROW(exp2, exp2l, 0.501, 1.1),
    ROW(expm1, expm1l, 2, 2), ROW(log, logl, 1, 1), ROW(log2, log2l, 0.501, 2),
    ROW(log1p, log1pl, 0.501, 1), ROW(sin, sinl, 0.501, 1), ROW(cos, cosl, 0.501, 1),
    ROW(tan, tanl, 0.501, 2.1), ROW(asin, asinl, 0.501, 2), ROW(acos, acosl, 0.501, 2),
    ROW(atan, atanl, 0.501, 2), ROW(sinh, sinhl, 0.501, 2), ROW(cosh, coshl, 0.501, 2),
    ROW(tanh, tanhl, 1.5, 1.5), ROW(asinh, asinhl, 0.501, 2), ROW(acosh, acoshl, 0.501, 2),
    ROW(atanh, atanhl, 0.501, 2), ROW(erf, erfl, 1, 1.5), ROW(sigmoid, sigmoid, 2, 2),
    ROW(softplus, softplus, 0.501, 2), ROW(softsign, softsign, 1.5, 1.5), ROW(silu, silu, 2, 2),
    ROW(mish, mish, 2, 2), ROW(gelu, gelu, 2, 2), ROW(gelu_tanh, gelu_tanh, 2, 2),
};

/* |y - exact| in spacings of the format with DIGITS bits and least exponent MIN_EXP. */
static double error(const struct row *r, ld x, ld y, ld exact, ld max, int digits, int min_exp) {
    if (exact != exact) return y != y ? 0 : INFINITY;
    if (fabsl(exact) > max && fabsl(y) > max) return (exact > 0) == (y > 0) ? 0 : INFINITY;
    if (y == exact) return 0;
    int e;
    frexpl(fabsl(exact) < max ? exact : max, &e);
    if (composite(r)) frexpl(fmaxl(1, fabsl(x)), &e);
    if (e < min_exp) e = min_exp;
    /* An overflow counts from the largest number plus half a spacing. */
    if (fabsl(y) > max) return (double)((ldexpl(1, e) - fabsl(exact)) / ldexpl(1, e - digits));
    return (double)(fabsl(y - exact) / ldexpl(1, e - digits));
}

struct worst {
    double error;
    ld x;
};

static void try_f32(const struct row *r, struct worst *w, uint32_t bits) {
    float x = fzk_float(bits);
    double e = error(r, x, r->f(x), r->ref(x), FLT_MAX, 24, -125);
    if (!(e <= w->error)) *w = (struct worst){e, x};
}
static void try_f64(const struct row *r, struct worst *w, double x) {
    double e = error(r, x, r->d(x), r->ref(x), DBL_MAX, 53, -1021);
    if (!(e <= w->error)) *w = (struct worst){e, x};
}

static uint64_t next(uint64_t *seed) {
    *seed = *seed * 6364136223846793005 + 1442695040888963407;
    return *seed ^ *seed >> 29;
}

/* Powers of random bases to exponents that keep the result in range, and remainders, which are
 * exact, of any two numbers. */
static bool try_pairs(uint64_t n) {
    struct row pow_row = {.name = "pow"}, fmod_row = {.name = "fmod"};
    double pow_f = 0, pow_d = 0, mod_f = 0, mod_d = 0;
    uint64_t seed = 7;
    for (uint64_t i = 0; i < n; i++) {
        uint64_t u = next(&seed), v = next(&seed);
        float x = fzk_float((uint32_t)(u & INT32_MAX)), y = fzk_float((uint32_t)(v >> 32));
        if (x == x && y == y && x < F32_INF && f32_abs(y) < F32_INF) {
            double e = error(&fmod_row, x, f32_abs((float)f64_fmod(x, y)), fmodl(x, fabsl(y)),
                             FLT_MAX, 24, -125);
            mod_f = fmax(mod_f, e);
        }
        float span = (float)(150 / (fabs(log2(x)) + 1e-6)), w = (float)(int32_t)v * 0x1p-31f * span;
        if (x > 0 && x < F32_INF)
            pow_f = fmax(pow_f, error(&pow_row, x, f32_pow(x, w), powl(x, w), FLT_MAX, 24, -125));
        double a = f64_from(u & INT64_MAX), b = (double)(int64_t)v * 0x1p-63;
        if (!(a > 0 && a < F64_INF)) continue;
        double c = b * 1100 / (fabs(log2(a)) + 1e-12);
        pow_d = fmax(pow_d, error(&pow_row, a, f64_pow(a, c), powl(a, c), DBL_MAX, 53, -1021));
        c = f64_from(v & INT64_MAX);
        if (!(c > 0 && c < F64_INF)) continue;
        mod_d = fmax(mod_d, error(&fmod_row, a, f64_fmod(a, c), fmodl(a, c), DBL_MAX, 53, -1021));
    }
    printf("%-12s %9.4f %-22s %9.4f\n%-12s %9.4f %-22s %9.4f\n", "pow", pow_f, "", pow_d, "fmod",
           mod_f, "", mod_d);
    return pow_f <= 0.501 && (pow_d <= 1.5 || LDBL_MANT_DIG <= 53) && mod_f == 0 && mod_d == 0;
}

int main(int argc, char **argv) {
    uint64_t step = argc > 1 ? strtoull(argv[1], NULL, 10) : 4099, seed = 1;
    if (!step) return 2;
    printf("%-12s %9s %-22s %9s %s\n", "function", "f32 ulp", "at", "f64 ulp", "at");
    bool good = try_pairs((1ull << 32) / step);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const struct row *r = &rows[i];
        struct worst f = {0, 0}, d = {0, 0};
        for (uint64_t u = 0; u < 1ull << 32; u += step) {
            try_f32(r, &f, (uint32_t)u);
            seed = seed * 6364136223846793005 + 1442695040888963407;
            if (step < 1000 && u % 1000) continue;
            try_f64(r, &d, f64_from(seed ^ seed >> 29));
            int shift = (int)(seed >> 33 & 15);
            try_f64(r, &d, ldexp((double)(int64_t)(seed << 8), 8 - 63 - shift));
        }
        printf("%-12s %9.4f %-22La %9.4f %La\n", r->name, f.error, f.x, d.error, d.x);
        if (!(f.error <= r->bound_f) || (LDBL_MANT_DIG > 53 && !(d.error <= r->bound_d))) {
            printf("%s: above the bound of %g, %g\n", r->name, r->bound_f, r->bound_d);
            good = false;
        }
    }
    return good ? 0 : 1;
}
