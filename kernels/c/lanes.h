/* The order of additions of every sum that is not a matrix product.
 *
 * The sequence x_0 ... x_(n-1) is dealt to 16 lanes, element i to lane i mod 16. A lane is a chain
 * of binary32 additions that starts at +0, cut into blocks of 256 elements of that lane, which are
 * 4,096 elements of the sequence: with s_b the chain over block b, the lane is s_0, + s_1, + s_2
 * ... At the end the lanes fold: l += l + 8 for l < 8, l += l + 4 for l < 4, + 2, + 1; lane 0 is
 * the sum. Lanes that a short tail does not reach stay as they are. No chain that starts at +0 can
 * become -0, so adding a chain of no elements, or starting a lane with 0 + s_0, changes no bit. */
#ifndef FZ_KERNELS_LANES_H
#define FZ_KERNELS_LANES_H

#include "loop.h"
#include "vec.h"

enum { FZK_SUM_LANES = 16, FZK_SUM_BLOCK = 256, FZK_SUM_SPAN = FZK_SUM_LANES * FZK_SUM_BLOCK };

/* What an element does to its lane. */
enum fzk_term { FZK_TERM_X, FZK_TERM_SQUARE, FZK_TERM_ABS };

INLINE float fzk_add_term(enum fzk_term term, float lane, float x) {
    if (term == FZK_TERM_SQUARE) return fzk_fma(x, x, lane);
    return lane + (term == FZK_TERM_ABS ? fzk_float(fzk_bits(x) & INT32_MAX) : x);
}

INLINE float fzk_lanes_fold(float s[FZK_SUM_LANES]) {
    for (int l = 0; l < 8; l++) s[l] = s[l] + s[l + 8];
    for (int l = 0; l < 4; l++) s[l] = s[l] + s[l + 4];
    for (int l = 0; l < 2; l++) s[l] = s[l] + s[l + 2];
    return s[0] + s[1];
}

/* s[l] = fma(x[l], x[l], s[l]) for whole rows of lanes, as vectors: where 16 lanes are more than
 * two, gcc keeps them in memory otherwise. */
INLINE void fzk_lanes_squares(float s[FZK_SUM_LANES], const float *x, int64_t n, float shift) {
    enum { VECS = FZK_SUM_LANES / FZK_LANES };
    fzk_vec v[VECS] = {0};
    for (int64_t i = 0; i < n; i += FZK_SUM_LANES) {
        FZK_UNROLLED
        for (int l = 0; l < VECS; l++) {
            fzk_vec d = fzk_load(x + i + l * FZK_LANES, FZK_LANES) - fzk_splat(shift);
            v[l] = fzk_vec_fma(d, d, v[l]);
        }
    }
    memcpy(s, v, sizeof v);
}

/* Adds the terms of x - shift for N <= FZK_SUM_SPAN elements, one block, to the lanes Y. */
INLINE void fzk_lanes_block(enum fzk_term term, float y[FZK_SUM_LANES], const float *x, int64_t n,
                            float shift) {
    float s[FZK_SUM_LANES] = {0};
    int64_t i = 0, whole = n / FZK_SUM_LANES * FZK_SUM_LANES;
    if (term == FZK_TERM_SQUARE && FZK_LANES == 4) {
        fzk_lanes_squares(s, x, whole, shift);
        i = whole;
    } else if (term == FZK_TERM_SQUARE) {
        for (; i < whole; i += FZK_SUM_LANES)
            WHOLE for (int l = 0; l < FZK_SUM_LANES; l++)
                s[l] = fzk_add_term(term, s[l], x[i + l] - shift);
    }
    for (; i < whole; i += FZK_SUM_LANES)
        for (int l = 0; l < FZK_SUM_LANES; l++)
            s[l] = fzk_add_term(term, s[l], x[i + l] - shift);
    for (int l = 0; i + l < n; l++) s[l] = fzk_add_term(term, s[l], x[i + l] - shift);
    for (int l = 0; l < FZK_SUM_LANES; l++) y[l] = y[l] + s[l];
}

/* The sum of the terms of x - shift over N elements. */
INLINE float fzk_lanes_sum(enum fzk_term term, const float *x, int64_t n, float shift) {
    float y[FZK_SUM_LANES] = {0};
    for (int64_t i = 0; i < n; i += FZK_SUM_SPAN)
        fzk_lanes_block(term, y, x + i, n - i < FZK_SUM_SPAN ? n - i : FZK_SUM_SPAN, shift);
    return fzk_lanes_fold(y);
}

#endif
