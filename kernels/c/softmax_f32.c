/* Softmax and its logarithm over rows of N contiguous values: m = max, e_i = exp(x_i - m),
 * s = the sum of e by lanes.h, then e_i / s or (x_i - m) - log(s). Y may be X. */
#include "extremes.h"
#include "functions.h"
#include "lanes.h"

/* E = exp(x - m); x - m is NaN where m is infinite or NaN. */
static void exp_from(float *e, const float *x, int64_t n, float m) {
    EACH for (int64_t i = 0; i < n; i++) e[i] = f32_exp(x[i] - m);
}

void FZK_NAME(softmax_f32)(float *y, const float *x, int64_t rows, int64_t n) {
    for (int64_t r = 0; r < rows; r++, x += n, y += n) {
        exp_from(y, x, n, fzk_of_key(fzk_row_max_key(x, n)));
        float s = fzk_lanes_sum(FZK_TERM_X, y, n, 0);
        EACH for (int64_t i = 0; i < n; i++) y[i] = y[i] / s;
    }
}

/* The sum of exp(x - m) without a place for all of them: a block of lanes at a time. */
static float exp_sum(const float *x, int64_t n, float m) {
    float lanes[FZK_SUM_LANES] = {0}, e[FZK_SUM_SPAN];
    for (int64_t i = 0; i < n; i += FZK_SUM_SPAN) {
        int64_t size = n - i < FZK_SUM_SPAN ? n - i : FZK_SUM_SPAN;
        exp_from(e, x + i, size, m);
        fzk_lanes_block(FZK_TERM_X, lanes, e, size, 0);
    }
    return fzk_lanes_fold(lanes);
}

void FZK_NAME(logsoftmax_f32)(float *y, const float *x, int64_t rows, int64_t n) {
    for (int64_t r = 0; r < rows; r++, x += n, y += n) {
        float m = fzk_of_key(fzk_row_max_key(x, n)), s = f32_log(exp_sum(x, n, m));
        EACH for (int64_t i = 0; i < n; i++) y[i] = (x[i] - m) - s;
    }
}
