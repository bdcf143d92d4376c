/* Softmax and its logarithm in vectors: the bits of c/softmax_f32.c. Beyond functions_tile.h the
 * including file defines NAME(kernel), REST as in unary_f32_tile.h, and
 *   v_fill(v, n, x)    lanes from N on are x
 *   v_fold_max(v)      the largest lane, no NaN among them; any zero for zero
 *   v_fold_sum(s)      the sum of 16 lanes in SUMS vectors by the tree of c/lanes.h
 * A few rows at a time go through each pass, so that the chains at the ends of rows overlap. The
 * maximum passes NaN over: the element itself makes its row's sum NaN, and that all of the row. */
#include "kernels.h"

#define INFINITE __builtin_inff()
enum { SUMS = 16 / LANES, ROWS = 16, SPAN = 4096, PASS = 4096 };

FZK_INLINE wide w_fill(wide y, int64_t n, float x) {
    ALL y.v[i] = v_fill(y.v[i], n - i * LANES, v_set(x));
    return y;
}

static float row_max(const float *x, int64_t n) {
    wide m = w_set(-INFINITE);
    FZK_NO_UNROLL
    for (; n >= WIDE_LANES; n -= WIDE_LANES, x += WIDE_LANES) m = w_max(w_load(x, WIDE_LANES), m);
    if (n > 0) m = w_max(w_fill(w_load(x, n), n, -INFINITE), m);
    VEC y = m.v[0];
    FZK_UNROLL
    for (int i = 1; i < WIDE; i++) y = v_max(m.v[i], y);
    return v_fold_max(y);
}

FZK_INLINE void add_to(VEC *s, wide e) {
    ALL s[i % SUMS] = v_add(s[i % SUMS], e.v[i]);
}
/* A block of a lane ends: its sum joins those of earlier blocks. */
FZK_INLINE void end_block(VEC *total, VEC *s) {
    FZK_UNROLL
    for (int i = 0; i < SUMS; i++) {
        total[i] = v_add(total[i], s[i]);
        s[i] = v_set(0);
    }
}

FZK_INLINE void divide_some(float *y, int64_t n, wide by) {
    w_store(y, w_div(w_load(y, n), by), n);
}
static void divide(float *y, int64_t n, float s) {
    const wide by = w_set(s);
    FZK_NO_UNROLL
    for (; n >= WIDE_LANES; n -= WIDE_LANES, y += WIDE_LANES) divide_some(y, WIDE_LANES, by);
    if (n > 0) divide_some(y, n, by);
}

/* The sum of exp(x - m); each goes to Y if there is one. The row before, DONE, is divided by its
 * sum meanwhile if there is one: divisions have a unit of their own. */
FZK_INLINE float exp_sum(float *y, const float *x, int64_t n, float max, float *done, float sum) {
    const wide m = w_set(max), by = w_set(sum);
    VEC total[SUMS], s[SUMS];
    FZK_UNROLL
    for (int i = 0; i < SUMS; i++) total[i] = s[i] = v_set(0);
    int64_t i = 0;
    FZK_NO_UNROLL
    for (; i + WIDE_LANES <= n; i += WIDE_LANES) {
        wide e = w_exp_negative(w_sub(w_load(x + i, WIDE_LANES), m));
        if (done) divide_some(done + i, WIDE_LANES, by);
        if (y) w_store(y + i, e, WIDE_LANES);
        add_to(s, e);
        if ((i + WIDE_LANES) % SPAN == 0) end_block(total, s);
    }
    if (i < n) {
        wide e = w_exp_negative(w_sub(w_load(x + i, n - i), m));
        if (done) divide_some(done + i, n - i, by);
        if (y) w_store(y + i, e, n - i);
        add_to(s, w_fill(e, n - i, 0));
    }
    end_block(total, s);
    return v_fold_sum(total);
}
static float exp_first(float *y, const float *x, int64_t n, float max) {
    return exp_sum(y, x, n, max, NULL, 0);
}
static float exp_next(float *y, const float *x, int64_t n, float max, float sum) {
    return exp_sum(y, x, n, max, y - n, sum);
}

/* Rows of no more than a vector: one to a vector. */
static void short_rows(float *y, const float *x, int64_t rows, int64_t n) {
    for (; rows > 0; rows -= WIDE, x += WIDE * n, y += WIDE * n) {
        wide a, m, s;
        ALL {
            a.v[i] = v_load(x + i * n, i < rows ? n : 0);
            m.v[i] = v_set(v_fold_max(v_fill(a.v[i], n, v_set(-INFINITE))));
        }
        wide e = w_exp_negative(w_sub(a, m));
        ALL {
            VEC sums[SUMS] = {v_fill(e.v[i], n, v_set(0))};
            FZK_UNROLL
            for (int k = 1; k < SUMS; k++) sums[k] = v_set(0);
            s.v[i] = v_set(v_fold_sum(sums));
        }
        e = w_div(e, s);
        ALL v_store(y + i * n, e.v[i], i < rows ? n : 0);
    }
}

void NAME(softmax_f32)(float *y, const float *x, int64_t rows, int64_t n) {
    if (n <= LANES) {
        short_rows(y, x, rows, n);
        return;
    }
    const int64_t most = n >= PASS ? 1 : PASS / n < ROWS ? PASS / n : ROWS;
    float m[ROWS], s = 0;
    for (int64_t r = 0; r < rows; r++, x += n, y += n) {
        for (int64_t k = 0; r % most == 0 && k < most && r + k < rows; k++)
            m[k] = row_max(x + k * n, n);
        s = r ? exp_next(y, x, n, m[r % most], s) : exp_first(y, x, n, m[0]);
    }
    if (rows > 0) divide(y - n, n, s);
}

/* The sign of a maximum of zero: + if there is a +0. */
static float signed_zero(const float *x, int64_t n) {
    for (int64_t i = 0; i < n; i++)
        if (x[i] == 0 && !__builtin_signbit(x[i])) return 0;
    return -0.0f;
}

static void subtract(float *y, const float *x, int64_t n, float max, float log) {
    const wide m = w_set(max), l = w_set(log);
    FZK_NO_UNROLL
    for (; n >= WIDE_LANES; n -= WIDE_LANES, x += WIDE_LANES, y += WIDE_LANES)
        w_store(y, w_sub(w_sub(w_load(x, WIDE_LANES), m), l), WIDE_LANES);
    if (n > 0) w_store(y, w_sub(w_sub(w_load(x, n), m), l), n);
}

void NAME(logsoftmax_f32)(float *y, const float *x, int64_t rows, int64_t n) {
    const int64_t most = n >= PASS || n < 1 ? 1 : PASS / n < ROWS ? PASS / n : ROWS;
    for (; rows > 0; rows -= most, x += most * n, y += most * n) {
        const int64_t some = rows < most ? rows : most;
        float m[ROWS], s[ROWS];
        for (int64_t r = 0; r < some; r++) m[r] = row_max(x + r * n, n);
        for (int64_t r = 0; r < some; r++) {
            s[r] = exp_sum(NULL, x + r * n, n, m[r], NULL, 0);
            if (m[r] == 0) m[r] = signed_zero(x + r * n, n);
        }
        REST(FZK_FN_LOG, s, s, some, 0, 0);
        for (int64_t r = 0; r < some; r++) subtract(y + r * n, x + r * n, n, m[r], s[r]);
    }
}
