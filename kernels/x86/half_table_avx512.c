/* Tables of functions of binary16, for AVX-512: 16 looks at once. */
#include <immintrin.h>

#include "x86.h"

/* Each look reads two entries; the last that it meets is that of -infinity, not of the table. */
void fzk_half_table_f32_avx512(const struct fzk_half_table *t) {
    const __m512i nan = _mm512_set1_epi32(0x7E00);
    int64_t i = 0;
    if (t->bf16) {
        fzk_half_table_f32_v4(t);
        return;
    }
    for (; i + 16 <= t->n; i += 16) {
        __m512 x = _mm512_loadu_ps(t->x + i);
        __mmask16 none = _mm512_cmp_ps_mask(x, x, _CMP_UNORD_Q);
        __m512i at = _mm512_cvtepu16_epi32(_mm512_cvtps_ph(x, _MM_FROUND_TO_NEAREST_INT));
        at = _mm512_i32gather_epi32(_mm512_mask_mov_epi32(at, none, nan), t->table, 2);
        __m512 y = _mm512_cvtph_ps(_mm512_cvtepi32_epi16(at));
        none = _mm512_cmp_ps_mask(y, y, _CMP_UNORD_Q);
        _mm512_storeu_ps(t->y + i,
                         _mm512_mask_mov_ps(y, none, _mm512_set1_ps(__builtin_nanf(""))));
    }
    struct fzk_half_table rest = *t;
    rest.n -= i, rest.x += i, rest.y += i;
    fzk_half_table_f32_v4(&rest);
}
