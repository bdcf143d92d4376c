/* Layer normalisation as half precision has it when it is written as nine operators: each result
 * is rounded to the 16-bit type and kept in binary32, sums by lanes.h. Y may be X. */
#include "finish.h"
#include "lanes.h"

FZK_VEC_INLINE float round_one(float x, int64_t round) {
    return fzk_round(fzk_splat(x), round)[0];
}

/* The mean of R(d d), d = R(x - MEAN), which goes to Y. Lanes past N add R(0 0) = +0. */
FZK_VEC_INLINE float mean_square(float *y, const float *x, int64_t n, float mean, int64_t round) {
    enum { VECS = FZK_SUM_LANES / FZK_LANES };
    fzk_vec sum[VECS] = {0};
    float lanes[FZK_SUM_LANES];
    for (int64_t i = 0; i < n;) {
        int64_t end = n - i < FZK_SUM_SPAN ? n : i + FZK_SUM_SPAN;
        fzk_vec s[VECS] = {0};
        for (; i < end; i += FZK_SUM_LANES) {
            FZK_UNROLLED
            for (int v = 0; v < VECS; v++) {
                int64_t at = i + v * FZK_LANES, left = n - at;
                fzk_store(y + at, fzk_round(fzk_load(x + at, left) - fzk_splat(mean), round), left);
                fzk_vec d = fzk_load(y + at, left);
                s[v] = s[v] + fzk_round(d * d, round);
            }
        }
        FZK_UNROLLED
        for (int v = 0; v < VECS; v++) sum[v] = sum[v] + s[v];
    }
    memcpy(lanes, sum, sizeof lanes);
    return round_one(fzk_lanes_fold(lanes) / (float)n, round);
}

FZK_VEC_INLINE void rows(const struct fzk_norm_half_f32 *g, int64_t round) {
    const int64_t n = g->n;
    for (int64_t i = 0; i < g->rows; i++) {
        const float *x = g->x + i * n;
        float *y = g->y + i * n;
        float mean = round_one(fzk_lanes_sum(FZK_TERM_X, x, n, 0) / (float)n, round);
        float var = mean_square(y, x, n, mean, round);
        float root = round_one(__builtin_sqrtf(round_one(var + g->eps, round)), round);
        for (int64_t j = 0; j < n; j += FZK_LANES) {
            int64_t left = n - j;
            fzk_vec v = fzk_round(fzk_load(y + j, left) / fzk_splat(root), round);
            v = fzk_round(v * fzk_load(g->gain + j, left), round);
            v = fzk_round(v + fzk_load(g->bias + j, left), round);
            fzk_store(y + j, v, left);
        }
    }
}

void FZK_NAME(norm_half_f32)(const struct fzk_norm_half_f32 *g) {
    if (g->round == FZK_ROUND_F16) rows(g, FZK_ROUND_F16);
    else rows(g, FZK_ROUND_BF16);
}
