/* Walks through trees for AVX-512: a lane is a walk, and two vectors go side by side. Gathers fetch
 * nodes and features. */
#include <immintrin.h>

#include "x86.h"

enum { LANES = 16, TOGETHER = 2 };

/* What does not change from step to step. */
struct walks {
    const uint32_t *nodes;
    const float *x;
    __m512i last_node, last_feature;
};

FZK_INLINE __m512i step(const struct walks *s, __m512i row,
                                                          __m512i at) {
    const __m512i low = _mm512_set_epi32(30, 28, 26, 24, 22, 20, 18, 16, 14, 12, 10, 8, 6, 4, 2, 0);
    const __m512i one = _mm512_set1_epi32(1);
    __m512i a = _mm512_i32gather_epi64(_mm512_castsi512_si256(at), s->nodes, 8);
    __m512i b = _mm512_i32gather_epi64(_mm512_extracti64x4_epi64(at, 1), s->nodes, 8);
    __m512 t = _mm512_castsi512_ps(_mm512_permutex2var_epi32(a, low, b));
    __m512i word = _mm512_permutex2var_epi32(a, _mm512_or_si512(low, one), b);
    __m512i feature = _mm512_min_epu32(_mm512_srli_epi32(word, FZK_TREE_FEATURE), s->last_feature);
    __m512 v = _mm512_i32gather_ps(_mm512_add_epi32(row, feature), s->x, 4);
    __mmask16 gone = _mm512_cmp_ps_mask(v, t, _CMP_NLE_UQ);
    __mmask16 nan = _mm512_cmp_ps_mask(v, v, _CMP_UNORD_Q);
    __mmask16 missing = _mm512_test_epi32_mask(word, _mm512_set1_epi32(FZK_TREE_MISSING));
    __mmask16 no = gone & (__mmask16)~(nan & missing);
    at = _mm512_add_epi32(at, _mm512_and_si512(word, _mm512_set1_epi32(FZK_TREE_DISTANCE)));
    return _mm512_min_epi32(_mm512_mask_add_epi32(at, no, at, one), s->last_node);
}

/* Walks from I on, in COUNT vectors; lanes behind the last walk repeat it. */
FZK_INLINE void walk(const struct fzk_tree_walk *w,
                                                       const struct walks *s, int64_t i,
                                                       int count) {
    const __m512i lane = _mm512_set_epi32(15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0);
    __m512i at[TOGETHER], row[TOGETHER];
    FZK_UNROLL for (int r = 0; r < count; r++) {
        __m512i first = _mm512_set1_epi32((int)i + r * LANES);
        __m512i walk = _mm512_min_epi32(_mm512_add_epi32(lane, first),
                                        _mm512_set1_epi32((int)w->n - 1));
        __m512i root = _mm512_mullo_epi32(walk, _mm512_set1_epi32((int)w->root_step));
        at[r] = _mm512_i32gather_epi32(root, w->roots, 4);
        row[r] = _mm512_mullo_epi32(walk, _mm512_set1_epi32((int)w->row_step));
    }
    for (int64_t d = 0; d < w->depth; d++) {
        __mmask16 moved = 0;
        FZK_UNROLL for (int r = 0; r < count; r++) {
            __m512i next = step(s, row[r], at[r]);
            moved |= _mm512_cmpneq_epi32_mask(next, at[r]);
            at[r] = next;
        }
        if (!moved) break;
    }
    FZK_UNROLL for (int r = 0; r < count; r++) {
        int64_t left = w->n - i - r * LANES;
        __mmask16 mask = left >= LANES ? 0xFFFF : (__mmask16)((1u << (left > 0 ? left : 0)) - 1);
        _mm512_mask_storeu_epi32(w->leaf + i + r * LANES, mask, at[r]);
    }
}

void fzk_tree_walk_f32_avx512(const struct fzk_tree_walk *w) {
    const struct walks s = {w->nodes, w->x, _mm512_set1_epi32((int)(w->n_nodes - 1)),
                            _mm512_set1_epi32((int)(w->n_features - 1))};
    int64_t i = 0;
    for (; w->n - i > LANES; i += TOGETHER * LANES) walk(w, &s, i, TOGETHER);
    if (i < w->n) walk(w, &s, i, 1);
}
