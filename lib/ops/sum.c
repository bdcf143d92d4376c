/* Sums of binary64 values: 16 lanes in blocks of 256, then the tree, as those of binary32. */
#include "ops/sum.h"

#include "base/base.h"

enum { LANES = 16, SPAN = LANES * 256 };

enum form { PLAIN, SQUARES, SIZES };

static double term(double x, enum form form) {
    return form == SQUARES ? x * x : form == SIZES ? __builtin_fabs(x) : x;
}

static double sum_of(const double *x, int64_t n, enum form form) {
    double lane[LANES] = {0};
    for (int64_t from = 0; from < n; from += SPAN) {
        double s[LANES] = {0};
        int64_t to = fzi_min_i64(n, from + SPAN);
        for (int64_t i = from; i < to; i++) s[i % LANES] += term(x[i], form);
        for (int l = 0; l < LANES; l++) lane[l] += s[l];
    }
    for (int half = LANES / 2; half > 0; half /= 2)
        for (int l = 0; l < half; l++) lane[l] += lane[l + half];
    return lane[0];
}

double fzi_sum_f64(const double *x, int64_t n) { return sum_of(x, n, PLAIN); }

double fzi_sum_squares_f64(const double *x, int64_t n) { return sum_of(x, n, SQUARES); }

double fzi_sum_sizes_f64(const double *x, int64_t n) { return sum_of(x, n, SIZES); }
