/* Inside of judge: the functions with their references, and what a walk over inputs finds. */
#ifndef FZ_TESTS_KERNELS_JUDGE_H
#define FZ_TESTS_KERNELS_JUDGE_H

#include <mpfr.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "kernels.h"

/* One function. REF is its value in binary64 with a relative error below 2^-TRUST: most results are
 * judged by it. EXACT is its value in as many bits as Y has, with a relative error below
 * 2^(30 - bits of Y): the others are judged by that. */
struct judged {
    const char *name;
    int32_t fn;     /* FZK_FN_*, or -1: the power with EXPONENT */
    float exponent;
    double (*ref)(double x);
    void (*exact)(mpfr_t y, mpfr_t x);
    int32_t trust;
    bool absolute;  /* errors in spacings at max(1, |x|), not at the result */
    int32_t parity; /* -1: f(-x) = -f(x), 1: f(-x) = f(x), 0: neither */
    double bound;   /* of binary64's error, in ulp; 0: binary64 is not judged */
};
extern const struct judged judged[];
extern const int32_t n_judged;

/* What a walk, or a part of one, has found. */
enum { MAX_LISTED = 64 };
struct found {
    uint64_t digest; /* FNV-1a over the outputs' words in order, every NaN as the canonical one */
    uint64_t misrounded;
    uint32_t listed[MAX_LISTED], n_listed; /* the first misrounded inputs */
    double error, x;                       /* the largest error of misrounded results, and where */
};
#define DIGEST_START 0xcbf29ce484222325
static inline uint64_t digest_word(uint64_t digest, uint64_t word) {
    return (digest ^ word) * 0x100000001b3;
}
/* PART follows on TOTAL. */
void found_add(struct found *total, const struct found *part);
void found_bad(struct found *f, uint32_t input, double x, double error);

static inline uint32_t bits_of(float x) {
    uint32_t u;
    memcpy(&u, &x, 4);
    return u == 0x80000000 || x == x ? u : 0x7FC00000;
}
static inline float float_of(uint32_t u) {
    float x;
    memcpy(&x, &u, 4);
    return x;
}
static inline uint64_t bits64_of(double x) {
    uint64_t u;
    memcpy(&u, &x, 8);
    return x == x ? u : 0x7FF8000000000000;
}
static inline double double_of(uint64_t u) {
    double x;
    memcpy(&x, &u, 8);
    return x;
}
/* The next number of a sequence that is the same everywhere. */
static inline uint64_t next_random(uint64_t *seed) {
    *seed = *seed * 6364136223846793005 + 1442695040888963407;
    return *seed ^ *seed >> 29;
}

/* The correctly rounded f(X), by MPFR with as many bits as it takes. */
float correct_f32(const struct judged *f, float x);
/* |Y - R| in spacings of binary32 at R, or at max(1, |X|) if ABSOLUTE. */
double error_f32(double y, double r, double x, bool absolute);
/* f(X) against Y in spacings of binary64. */
double error_f64(const struct judged *f, double x, double y);

/* Binary64, and functions of two arguments: on samples. False if a bound is broken. */
void sample_f64(const struct fzk_table *k, const struct judged *f, uint64_t n, struct found *out);
void sample_pow(const struct fzk_table *k, uint64_t n, struct found *out);
void sample_pow_exact(const struct fzk_table *k, uint64_t n, struct found *out);
void sample_pow_f64(const struct fzk_table *k, uint64_t n, struct found *out);
void sample_fmod(const struct fzk_table *k, uint64_t n, struct found *out);

/* All of it in pieces over the threads: PIECE(arg, i, out) for i < N, added up in order. */
void in_pieces(uint32_t n, void (*piece)(void *arg, uint32_t i, struct found *out), void *arg,
               struct found *total);

#endif
