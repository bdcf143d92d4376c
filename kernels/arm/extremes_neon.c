/* Maxima and minima for NEON, whose fmax and fmin are those of the contract: NaN wins, +0 > -0. The
 * other operations of the same kernels are those of c/. */
#include "functions_neon.h"

FZK_INLINE VEC larger(int max, VEC a, VEC b) { return max ? v_max(a, b) : v_min(a, b); }
FZK_INLINE wide w_larger(int max, wide a, wide b) { return max ? w_max(a, b) : w_min(a, b); }
FZK_INLINE float least(int max) { return max ? -__builtin_inff() : __builtin_inff(); }

/* ---- two arguments */

FZK_INLINE void pairs(int max, float *y, const float *a, const float *b, int64_t n, int64_t a_step,
                      int64_t b_step) {
    if (n <= 0) return;
    const wide a0 = w_set(a[0]), b0 = w_set(b[0]);
    int64_t i = 0;
    FZK_NO_UNROLL
    for (; i + WIDE_LANES <= n; i += WIDE_LANES) {
        wide u = a_step ? w_load(a + i, WIDE_LANES) : a0;
        wide v = b_step ? w_load(b + i, WIDE_LANES) : b0;
        w_store(y + i, w_larger(max, u, v), WIDE_LANES);
    }
    if (i == n) return;
    wide u = a_step ? w_load(a + i, n - i) : a0, v = b_step ? w_load(b + i, n - i) : b0;
    w_store(y + i, w_larger(max, u, v), n - i);
}

void fzk_binary_f32_neon(int32_t fn, float *y, const float *a, const float *b, int64_t n,
                         int64_t a_step, int64_t b_step) {
    if (fn == FZK_BINARY_MAX) pairs(1, y, a, b, n, a_step, b_step);
    else if (fn == FZK_BINARY_MIN) pairs(0, y, a, b, n, a_step, b_step);
    else fzk_binary_f32_c(fn, y, a, b, n, a_step, b_step);
}

/* ---- reductions */

static float row(int max, const float *x, int64_t n) {
    wide s = w_set(least(max));
    int64_t i = 0;
    for (; i + WIDE_LANES <= n; i += WIDE_LANES)
        s = w_larger(max, s, w_load(x + i, WIDE_LANES));
    VEC y = larger(max, larger(max, s.v[0], s.v[1]), larger(max, s.v[2], s.v[3]));
    for (; i + LANES <= n; i += LANES) y = larger(max, y, vld1q_f32(x + i));
    if (i < n) y = larger(max, y, v_fill(v_load(x + i, n - i), n - i, v_set(least(max))));
    return max ? vmaxvq_f32(y) : vminvq_f32(y);
}

/* WIDTH columns of N rows. */
FZK_INLINE void columns(int max, float *y, const float *x, int64_t n, int64_t inner,
                        int64_t width) {
    wide s = w_set(least(max));
    for (int64_t i = 0; i < n; i++, x += inner) s = w_larger(max, s, w_load(x, width));
    w_store(y, s, width);
}

FZK_INLINE void extreme(int max, float *y, const float *x, int64_t outer, int64_t n,
                        int64_t inner) {
    for (; outer > 0; outer--, x += n * inner, y += inner) {
        int64_t j = 0;
        if (inner == 1) {
            y[0] = row(max, x, n);
            continue;
        }
        for (; j + WIDE_LANES <= inner; j += WIDE_LANES)
            columns(max, y + j, x + j, n, inner, WIDE_LANES);
        if (j < inner) columns(max, y + j, x + j, n, inner, inner - j);
    }
}

void fzk_reduce_f32_neon(int32_t op, float *y, const float *x, int64_t outer, int64_t n,
                         int64_t inner) {
    if (op == FZK_REDUCE_MAX) extreme(1, y, x, outer, n, inner);
    else if (op == FZK_REDUCE_MIN) extreme(0, y, x, outer, n, inner);
    else fzk_reduce_f32_c(op, y, x, outer, n, inner);
}

/* Range of N values and 0; a NaN gives NaN for both. */
void fzk_minmax_f32_neon(float *lo_hi, const float *x, int64_t n) {
    float lo = row(0, x, n), hi = row(1, x, n);
    lo_hi[0] = lo >= 0 ? 0 : lo;
    lo_hi[1] = hi <= 0 ? 0 : hi;
}
