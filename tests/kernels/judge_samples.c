/* What cannot be walked whole: binary64, and functions of two arguments. The samples are the same
 * everywhere, so that their digests are, too. */
#include <float.h>
#include <math.h>

#include "judge.h"

enum { PIECE = 4096 };
struct sample {
    const struct fzk_table *k;
    const struct judged *f;
};

static uint64_t seed_of(uint32_t piece) { return 0x9E3779B97F4A7C15 * (piece + 1); }

/* ---- binary64 */

/* Half of the arguments have uniformly distributed bit patterns, half are of moderate size. */
static void piece_f64(void *arg, uint32_t i, struct found *out) {
    const struct sample *s = arg;
    double x[PIECE], y[PIECE];
    uint64_t seed = seed_of(i);
    for (int j = 0; j < PIECE; j += 2) {
        uint64_t u = next_random(&seed);
        x[j] = double_of(u);
        u = next_random(&seed);
        x[j + 1] = ldexp((double)(int64_t)(u << 8), 8 - 63 - (int)(u >> 57 & 15));
    }
    s->k->unary_f64(s->f->fn, y, x, PIECE, 0, 0);
    for (int j = 0; j < PIECE; j++) {
        out->digest = digest_word(out->digest, bits64_of(y[j]));
        double e = error_f64(s->f, x[j], y[j]);
        if (e > 0.5) found_bad(out, 0, x[j], e);
    }
}
void sample_f64(const struct fzk_table *k, const struct judged *f, uint64_t n, struct found *out) {
    struct sample s = {k, f};
    in_pieces((uint32_t)(n / PIECE), piece_f64, &s, out);
}

/* ---- pow on binary32 */

static _Thread_local double exponent_now;
static void m_pow(mpfr_t y, mpfr_t x) {
    mpfr_t t;
    mpfr_init2(t, 53);
    mpfr_set_d(t, exponent_now, MPFR_RNDN);
    mpfr_pow(y, x, t, MPFR_RNDN);
    mpfr_clear(t);
}
static const struct judged pow_judged = {.name = "pow", .exact = m_pow, .trust = 48};

/* A base and an exponent of one of eight kinds: results of any size, near 1, near the ends of the
 * range; integer and broken exponents; bases near 1; anything at all. */
static void pow_pair(uint64_t *seed, float *x, float *y) {
    uint64_t u = next_random(seed), v = next_random(seed);
    float a = float_of((uint32_t)(v >> 8 & INT32_MAX)), w = (float)(int32_t)v * 0x1p-31f;
    if (!(a > 0 && a <= FLT_MAX)) a = 2;
    float octaves = (float)fabs(log2((double)a)) + 0x1p-20f;
    *x = a, *y = w * 150 / octaves;
    switch (u >> 60) {
    case 0: *y = float_of((uint32_t)u), *x = float_of((uint32_t)v); break;
    case 1: *y = w / octaves * 0x1p-10f; break;
    case 2: *y = (128 + w) / octaves; break;
    case 3: *y = -(138 + 14 * w) / octaves; break;
    case 4: *y = (float)((int32_t)(u & 63) - 32), *x = w * 16; break;
    case 5: *y = (float)((int32_t)(u & 63) - 32) / 4, *x = rintf(a * 64) / 64; break;
    case 6: *x = 1 + w * 0x1p-8f, *y *= 64; break;
    case 7: *x = 1 + (float)((int32_t)(u & 63) - 32) * 0x1p-23f, *y = w * 0x1p31f; break;
    default: break;
    }
}

static void judge_pow(float x, float y, float z, struct found *out) {
    double r = pow((double)x, (double)y), t = 0x1p-48;
    float lo = (float)(r * (1 - t)), hi = (float)(r * (1 + t));
    if (bits_of(lo) != bits_of(hi)) {
        exponent_now = (double)y;
        lo = correct_f32(&pow_judged, x);
    }
    if (bits_of(lo) != bits_of(z))
        found_bad(out, bits_of(x), (double)x, error_f32((double)z, r, (double)x, false));
}
static void piece_pow(void *arg, uint32_t i, struct found *out) {
    const struct sample *s = arg;
    float x[PIECE], y[PIECE], z[PIECE];
    uint64_t seed = seed_of(i);
    for (int j = 0; j < PIECE; j++) pow_pair(&seed, &x[j], &y[j]);
    s->k->binary_f32(FZK_BINARY_POW, z, x, y, PIECE, 1, 1);
    for (int j = 0; j < PIECE; j++) {
        out->digest = digest_word(out->digest, bits_of(z[j]));
        judge_pow(x[j], y[j], z[j], out);
    }
}
void sample_pow(const struct fzk_table *k, uint64_t n, struct found *out) {
    struct sample s = {k, &pow_judged};
    in_pieces((uint32_t)(n / PIECE), piece_pow, &s, out);
}

/* Powers that binary64 holds exactly, among them all that lie halfway between two numbers of
 * binary32: (m 2^e)^d to the n/d is m^n 2^(e n), for odd m and d = 1, 2, 4, 8. */
static void judge_exact(const struct sample *s, double m, int e, int d, int n, struct found *out) {
    double base = pow(m, d), value = ldexp(pow(m, n), e * n);
    float x = (float)ldexp(base, e * d), y = (float)n / (float)d, z;
    if (ldexp(base, e * d) != (double)x || x == 0) return;
    s->k->binary_f32(FZK_BINARY_POW, &z, &x, &y, 1, 1, 1);
    out->digest = digest_word(out->digest, bits_of(z));
    if (bits_of(z) != bits_of((float)value))
        found_bad(out, bits_of(x), (double)y, error_f32((double)z, value, 1, false));
}
static void piece_exact(void *arg, uint32_t i, struct found *out) {
    int d = 1 << i / 400, n = (int)(i % 400) - 200;
    if (n == 0) return;
    for (double m = 1; m == 1 || (n > 0 && m < 4096 && pow(m, n) <= 0x1p25 && pow(m, d) <= 0x1p24);
         m += 2) {
        int from = (-152 - (int)log2(pow(m, n))) / n, to = 129 / n;
        for (int e = (from < to ? from : to) - 1; e <= (from < to ? to : from) + 1; e++)
            if (e * d > -160 && e * d < 130) judge_exact(arg, m, e, d, n, out);
    }
}
void sample_pow_exact(const struct fzk_table *k, uint64_t n, struct found *out) {
    struct sample s = {k, &pow_judged};
    (void)n;
    in_pieces(1600, piece_exact, &s, out);
}

/* ---- on binary64: pow by MPFR, and remainders, which are exact */

static void piece_pow_f64(void *arg, uint32_t i, struct found *out) {
    const struct sample *s = arg;
    uint64_t seed = seed_of(i);
    for (int j = 0; j < PIECE; j++) {
        uint64_t u = next_random(&seed), v = next_random(&seed);
        double x = double_of(u & INT64_MAX), w = (double)(int64_t)v * 0x1p-63, z;
        if (!(x > 0 && x <= DBL_MAX)) continue;
        double y = w * 1100 / (fabs(log2(x)) + 1e-12);
        s->k->binary_f64(FZK_BINARY_POW, &z, &x, &y, 1, 1, 1);
        out->digest = digest_word(out->digest, bits64_of(z));
        exponent_now = y;
        double e = error_f64(&pow_judged, x, z);
        if (e > 0.5) found_bad(out, 0, x, e);
    }
}
void sample_pow_f64(const struct fzk_table *k, uint64_t n, struct found *out) {
    struct sample s = {k, &pow_judged};
    in_pieces((uint32_t)(n / PIECE), piece_pow_f64, &s, out);
}

static void piece_fmod(void *arg, uint32_t i, struct found *out) {
    const struct sample *s = arg;
    uint64_t seed = seed_of(i);
    for (int j = 0; j < PIECE; j++) {
        uint64_t u = next_random(&seed), v = next_random(&seed);
        double x = double_of(u), y = double_of(v), z;
        float a = float_of((uint32_t)u), b = float_of((uint32_t)v), c;
        s->k->binary_f64(FZK_BINARY_FMOD, &z, &x, &y, 1, 1, 1);
        s->k->binary_f32(FZK_BINARY_FMOD, &c, &a, &b, 1, 1, 1);
        out->digest = digest_word(out->digest, bits64_of(z));
        out->digest = digest_word(out->digest, bits_of(c));
        if (bits64_of(z) != bits64_of(fmod(x, y)) || bits_of(c) != bits_of(fmodf(a, b)))
            found_bad(out, bits_of(a), x, INFINITY);
    }
}
void sample_fmod(const struct fzk_table *k, uint64_t n, struct found *out) {
    struct sample s = {k, NULL};
    in_pieces((uint32_t)(n / PIECE), piece_fmod, &s, out);
}
