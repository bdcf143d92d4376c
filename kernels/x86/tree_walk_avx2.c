/* Walks through trees for AVX2: a lane is a walk, and some vectors go side by side. Gathers fetch
 * nodes and features. */
#include <immintrin.h>

#include "x86.h"

enum { LANES = 8, TOGETHER = 4 };

/* What does not change from step to step. */
struct walks {
    const uint32_t *nodes;
    const float *x;
    __m256i last_node, last_feature;
};

FZK_INLINE __m256i step(const struct walks *s, __m256i row, __m256i at) {
    const __m256i missing = _mm256_set1_epi32(FZK_TREE_MISSING);
    __m256 t = _mm256_i32gather_ps((const float *)s->nodes, at, 8);
    __m256i word = _mm256_i32gather_epi32((const int *)s->nodes + 1, at, 8);
    __m256i feature = _mm256_min_epu32(_mm256_srli_epi32(word, FZK_TREE_FEATURE), s->last_feature);
    __m256 v = _mm256_i32gather_ps(s->x, _mm256_add_epi32(row, feature), 4);
    __m256i gone = _mm256_castps_si256(_mm256_cmp_ps(v, t, _CMP_NLE_UQ));
    __m256i nan = _mm256_castps_si256(_mm256_cmp_ps(v, v, _CMP_UNORD_Q));
    __m256i tracked = _mm256_cmpeq_epi32(_mm256_and_si256(word, missing), missing);
    __m256i no = _mm256_andnot_si256(_mm256_and_si256(nan, tracked), gone);
    at = _mm256_add_epi32(at, _mm256_and_si256(word, _mm256_set1_epi32(FZK_TREE_DISTANCE)));
    return _mm256_min_epi32(_mm256_sub_epi32(at, no), s->last_node);
}

/* Walks from I on, in COUNT vectors; lanes behind the last walk repeat it. */
FZK_INLINE void walk(const struct fzk_tree_walk *w, const struct walks *s, int64_t i, int count) {
    const __m256i lane = _mm256_set_epi32(7, 6, 5, 4, 3, 2, 1, 0);
    __m256i at[TOGETHER], row[TOGETHER];
    FZK_UNROLL for (int r = 0; r < count; r++) {
        __m256i first = _mm256_set1_epi32((int)i + r * LANES);
        __m256i walk = _mm256_min_epi32(_mm256_add_epi32(lane, first),
                                        _mm256_set1_epi32((int)w->n - 1));
        __m256i root = _mm256_mullo_epi32(walk, _mm256_set1_epi32((int)w->root_step));
        at[r] = _mm256_i32gather_epi32(w->roots, root, 4);
        row[r] = _mm256_mullo_epi32(walk, _mm256_set1_epi32((int)w->row_step));
    }
    for (int64_t d = 0; d < w->depth; d++) {
        __m256i moved = _mm256_setzero_si256();
        FZK_UNROLL for (int r = 0; r < count; r++) {
            __m256i next = step(s, row[r], at[r]);
            moved = _mm256_or_si256(moved, _mm256_xor_si256(next, at[r]));
            at[r] = next;
        }
        if (_mm256_testz_si256(moved, moved)) break;
    }
    FZK_UNROLL for (int r = 0; r < count; r++) {
        __m256i left = _mm256_set1_epi32((int)(w->n - i - r * LANES));
        _mm256_maskstore_epi32(w->leaf + i + r * LANES, _mm256_cmpgt_epi32(left, lane), at[r]);
    }
}

void fzk_tree_walk_f32_avx2(const struct fzk_tree_walk *w) {
    const struct walks s = {w->nodes, w->x, _mm256_set1_epi32((int)(w->n_nodes - 1)),
                            _mm256_set1_epi32((int)(w->n_features - 1))};
    int64_t i = 0;
    for (; w->n - i > LANES; i += TOGETHER * LANES) walk(w, &s, i, TOGETHER);
    if (i < w->n) walk(w, &s, i, 1);
}
