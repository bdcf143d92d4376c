/* The functions of c/functions.h that look into tables, over vectors: the same operations in the
 * same order, so the same bits. The including file defines the vector VEC of floats, its
 * enums LANES and WIDE, and
 *   v_set(float), v_fma(a, b, c) a b + c, v_fnma(a, b, c) c - a b, v_add, v_sub, v_mul, v_div
 *   v_min(a, b) a < b ? a : b, v_max(a, b) a > b ? a : b, v_abs, v_negative_abs
 *   v_with_sign(y, x)            the magnitude of y, the sign of x
 *   v_if_signed(x, a, b)         a where the sign bit of x is set, else b
 *   IDX, v_index(x, shift)       bits SHIFT to SHIFT + 3 of each lane of x
 *   v_look8(t, i), v_look16(t, i)  t[i & 7], t[i]
 *   v_look16_from(a, g, x, t, i)   g < a ? x : t[i], a of each lane
 *   v_exp_scale(y, t, k), v_exp_scale_down(y, t, k)  y 2^floor(k) with one rounding, where the low
 *                                bits of t are 8 (k + 254); down: for k <= 0
 *   v_load(p, n), v_store(p, v, n)  the first n lanes, n >= 0; LANES or more: all
 * Everything is done to WIDE vectors side by side, for one alone would wait for its own results. */
#ifndef FZ_KERNELS_FUNCTIONS_TILE_H
#define FZ_KERNELS_FUNCTIONS_TILE_H

#include "c/tables_f32.h"

typedef struct {
    VEC v[WIDE];
} wide;
typedef struct {
    IDX v[WIDE];
} wide_index;
enum { WIDE_LANES = WIDE * LANES };

#define ALL FZK_UNROLL for (int i = 0; i < WIDE; i++)
#define WIDE1(name)                                                                                \
    FZK_INLINE wide w_##name(wide a) {                                                             \
        ALL a.v[i] = v_##name(a.v[i]);                                                             \
        return a;                                                                                  \
    }
#define WIDE2(name)                                                                                \
    FZK_INLINE wide w_##name(wide a, wide b) {                                                     \
        ALL a.v[i] = v_##name(a.v[i], b.v[i]);                                                     \
        return a;                                                                                  \
    }
#define WIDE3(name)                                                                                \
    FZK_INLINE wide w_##name(wide a, wide b, wide c) {                                             \
        ALL a.v[i] = v_##name(a.v[i], b.v[i], c.v[i]);                                             \
        return a;                                                                                  \
    }
WIDE1(abs) WIDE1(negative_abs)
WIDE2(add) WIDE2(sub) WIDE2(mul) WIDE2(div) WIDE2(min) WIDE2(max) WIDE2(with_sign)
WIDE3(fma) WIDE3(fnma) WIDE3(if_signed) WIDE3(exp_scale) WIDE3(exp_scale_down)

FZK_INLINE wide w_set(float x) {
    wide y;
    ALL y.v[i] = v_set(x);
    return y;
}
FZK_INLINE wide w_load(const float *p, int64_t n) {
    wide y;
    ALL y.v[i] = v_load(p + i * LANES, n - i * LANES);
    return y;
}
FZK_INLINE void w_store(float *p, wide y, int64_t n) {
    ALL v_store(p + i * LANES, y.v[i], n - i * LANES);
}
FZK_INLINE wide_index w_index(wide x, int shift) {
    wide_index y;
    ALL y.v[i] = v_index(x.v[i], shift);
    return y;
}
FZK_INLINE wide w_look8(const float *t, wide_index x) {
    wide y;
    ALL y.v[i] = v_look8(t, x.v[i]);
    return y;
}
FZK_INLINE wide w_look16(const float *t, wide_index x) {
    wide y;
    ALL y.v[i] = v_look16(t, x.v[i]);
    return y;
}
FZK_INLINE wide w_look16_from(float from, wide g, wide x, const float *t, wide_index index) {
    ALL x.v[i] = v_look16_from(from, g.v[i], x.v[i], t, index.v[i]);
    return x;
}

/* exp for c in [-104, 89], without the power of two; T and K are for the scaling. */
FZK_INLINE wide w_exp_core(wide c, wide *t, wide *k) {
    const wide bias = w_set(0x1.8p20f + 254);
    *t = w_fma(c, w_set(0x1.715476p0f), bias);
    *k = w_sub(*t, bias);
    wide_index j = w_index(*t, 0);
    wide power = w_look8(fzk_exp2_eighths, j), rest = w_look8(fzk_exp2_rests, j);
    wide r = w_fnma(*k, w_set(0x1.62e43p-1f), c);
    r = w_fma(*k, w_set(0x1.05c61p-29f), r);
    wide square = w_mul(r, r), p = w_fma(r, w_set(0x1.555a6p-5f), w_set(0x1.555c78p-3f));
    p = w_fma(square, w_fma(p, r, w_set(0.5f)), r);
    return w_add(power, w_fma(power, p, rest));
}
FZK_INLINE wide w_exp(wide x) {
    wide t, k, y = w_exp_core(w_max(w_set(-104), w_min(w_set(89), x)), &t, &k);
    return w_exp_scale(y, t, k);
}
/* exp(x) for x <= 0. */
FZK_INLINE wide w_exp_negative(wide x) {
    wide t, k, y = w_exp_core(w_max(w_set(-104), x), &t, &k);
    return w_exp_scale_down(y, t, k);
}

FZK_INLINE wide w_by_cells(const struct fzk_cells *t, const int degree, const int shift, wide x) {
    wide c = w_min(w_set(t->limit), w_abs(x));
    wide g = w_fma(c, w_set(t->scale), w_set(t->start));
    wide_index j = w_index(g, shift);
    wide value = w_look16_from(t->first, g, c, t->value, j), u = w_sub(c, w_look16(t->centre, j));
    wide p = w_look16(t->c[degree - 1], j);
    FZK_UNROLL
    for (int k = degree - 2; k >= 0; k--) p = w_fma(u, p, w_look16(t->c[k], j));
    return w_with_sign(w_fma(u, p, value), x);
}
FZK_INLINE wide w_tanh(wide x) {
    return w_by_cells(&fzk_tanh_cells, FZK_TANH_DEGREE, FZK_TANH_SHIFT, x);
}
FZK_INLINE wide w_erf(wide x) {
    return w_by_cells(&fzk_erf_cells, FZK_ERF_DEGREE, FZK_ERF_SHIFT, x);
}

FZK_INLINE wide w_sigmoid(wide x) {
    wide e = w_exp_negative(w_negative_abs(x)), one = w_set(1), n = w_if_signed(x, e, one);
    return w_fnma(n, w_div(e, w_add(one, e)), n);
}

FZK_INLINE wide w_gelu(wide x) {
    wide y = w_add(w_set(1), w_erf(w_mul(x, w_set(0x1.6a09e6p-1f))));
    return w_mul(w_mul(w_set(0.5f), x), y);
}
FZK_INLINE wide w_gelu_tanh(wide x) {
    wide u = w_fma(w_mul(w_set(0.044715f), w_mul(x, x)), x, x);
    wide y = w_add(w_set(1), w_tanh(w_mul(w_set(0x1.988454p-1f), u)));
    return w_mul(w_mul(w_set(0.5f), x), y);
}
FZK_INLINE wide w_silu(wide x) { return w_mul(x, w_sigmoid(x)); }
FZK_INLINE wide w_mish(wide x) {
    wide e = w_exp(w_min(w_set(20), x)), n = w_fma(e, e, w_add(e, e));
    return w_mul(x, w_div(n, w_add(n, w_set(2))));
}

#endif
