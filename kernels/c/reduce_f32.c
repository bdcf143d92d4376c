/* Reductions over the middle axis of [outer][n][inner]: sums by lanes.h, products as one chain,
 * maximum and minimum by extremes.h. N = 0 gives 0, 1, -inf, inf; a mean of nothing is NaN. */
#include "extremes.h"
#include "lanes.h"

enum { WIDTH = 64 }; /* columns taken together */

/* The sums of WIDTH columns (or the W < WIDTH last ones): lane after lane, block after block. */
INLINE void sum_columns(enum fzk_term term, float *y, const float *x, int64_t n, int64_t inner,
                        int64_t w) {
    float lane[FZK_SUM_LANES][WIDTH] = {{0}};
    for (int64_t from = 0; from < n; from += FZK_SUM_SPAN) {
        int64_t to = n - from < FZK_SUM_SPAN ? n : from + FZK_SUM_SPAN;
        for (int64_t l = 0; l < FZK_SUM_LANES && from + l < to; l++) {
            float s[WIDTH] = {0};
            for (int64_t i = from + l; i < to; i += FZK_SUM_LANES)
                for (int64_t j = 0; j < w; j++)
                    s[j] = fzk_add_term(term, s[j], x[i * inner + j]);
            for (int64_t j = 0; j < w; j++) lane[l][j] = lane[l][j] + s[j];
        }
    }
    for (int half = FZK_SUM_LANES / 2; half > 0; half /= 2)
        for (int l = 0; l < half; l++)
            for (int64_t j = 0; j < w; j++) lane[l][j] = lane[l][j] + lane[l + half][j];
    for (int64_t j = 0; j < w; j++) y[j] = lane[0][j];
}

INLINE void sum(enum fzk_term term, float *y, const float *x, int64_t n, int64_t inner) {
    if (inner == 1) {
        y[0] = fzk_lanes_sum(term, x, n, 0);
        return;
    }
    int64_t j = 0;
    for (; j + WIDTH <= inner; j += WIDTH) sum_columns(term, y + j, x + j, n, inner, WIDTH);
    if (j < inner) sum_columns(term, y + j, x + j, n, inner, inner - j);
}

/* No inlining of the three together: each is a function of its own. */
static void sum_x(float *y, const float *x, int64_t n, int64_t inner) {
    sum(FZK_TERM_X, y, x, n, inner);
}
static void sum_square(float *y, const float *x, int64_t n, int64_t inner) {
    sum(FZK_TERM_SQUARE, y, x, n, inner);
}
static void sum_abs(float *y, const float *x, int64_t n, int64_t inner) {
    sum(FZK_TERM_ABS, y, x, n, inner);
}
static void mean(float *y, const float *x, int64_t n, int64_t inner) {
    sum_x(y, x, n, inner);
    for (int64_t j = 0; j < inner; j++) y[j] = y[j] / (float)n;
}

static void prod(float *y, const float *x, int64_t n, int64_t inner) {
    for (int64_t j = 0; j < inner; j++) y[j] = 1;
    for (int64_t i = 0; i < n; i++)
        EACH for (int64_t j = 0; j < inner; j++) y[j] = y[j] * x[i * inner + j];
}

static void max(float *y, const float *x, int64_t n, int64_t inner) {
    if (inner == 1) {
        y[0] = fzk_of_key(fzk_row_max_key(x, n));
        return;
    }
    for (int64_t j = 0; j < inner; j++) y[j] = -__builtin_inff();
    for (int64_t i = 0; i < n; i++)
        EACH for (int64_t j = 0; j < inner; j++) y[j] = fzk_max(y[j], x[i * inner + j]);
}
static void min(float *y, const float *x, int64_t n, int64_t inner) {
    if (inner == 1) {
        y[0] = fzk_of_key(fzk_row_min_key(x, n));
        return;
    }
    for (int64_t j = 0; j < inner; j++) y[j] = __builtin_inff();
    for (int64_t i = 0; i < n; i++)
        EACH for (int64_t j = 0; j < inner; j++) y[j] = fzk_min(y[j], x[i * inner + j]);
}

void FZK_NAME(reduce_f32)(int32_t op, float *y, const float *x, int64_t outer, int64_t n,
                          int64_t inner) {
    static void (*const reduce[FZK_REDUCE_COUNT])(float *, const float *, int64_t, int64_t) = {
        [FZK_REDUCE_SUM] = sum_x, [FZK_REDUCE_SUM_SQUARE] = sum_square,
        [FZK_REDUCE_SUM_ABS] = sum_abs, [FZK_REDUCE_MEAN] = mean, [FZK_REDUCE_PROD] = prod,
        [FZK_REDUCE_MAX] = max, [FZK_REDUCE_MIN] = min};
    if (op < 0 || op >= FZK_REDUCE_COUNT) return;
    for (int64_t i = 0; i < outer; i++) reduce[op](y + i * inner, x + i * n * inner, n, inner);
}

/* Range of N values and 0; a NaN gives NaN for both. */
void FZK_NAME(minmax_f32)(float *lo_hi, const float *x, int64_t n) {
    int32_t lo = fzk_row_min_key(x, n), hi = fzk_row_max_key(x, n);
    lo_hi[0] = lo < -1 ? fzk_of_key(lo) : 0; /* -1 is the key of -0 */
    lo_hi[1] = hi > 0 ? fzk_of_key(hi) : 0;
}
