/* binary_f32 with divisions by one number for all, faster than the CPU divides; the rest is that of
 * c/.
 *
 * With r = 1 / d rounded, q = x r is within 2 units in the last place of x / d, q + (x - q d) r
 * within one, and the same once more is x / d rounded to nearest, by Markstein's theorem
 * (Computation of elementary functions on the IBM RISC System/6000 processor, 1990), if no
 * remainder is below the normal numbers: x - q d is a multiple of 2^-48 |x|. */
#include "functions_avx512.h"

/* True if every |lane| of X is in [LO, HI]: magnitudes are ordered as their bits are. */
FZK_INLINE int all_within(VEC x, float lo, float hi) {
    const IDX low = v_bits(v_set(lo)), range = _mm512_sub_epi32(v_bits(v_set(hi)), low);
    return _mm512_cmpgt_epu32_mask(_mm512_sub_epi32(v_bits(v_abs(x)), low), range) == 0;
}

/* One more step towards x / d. */
FZK_INLINE VEC nearer(VEC q, VEC x, VEC d, VEC r) { return v_fma(v_fnma(q, d, x), r, q); }

/* Beyond these bounds, and for 0, whose sign the steps would lose, the CPU divides. */
static void divide(float *y, const float *x, float divisor, int64_t n) {
    const VEC d = v_set(divisor), r = v_set(1 / divisor);
    for (; n >= LANES; n -= LANES, x += LANES, y += LANES) {
        VEC a = v_load(x, LANES), q = v_mul(a, r);
        if (all_within(a, 0x1p-60f, 0x1p60f)) q = nearer(nearer(q, a, d, r), a, d, r);
        else q = v_div(a, d);
        v_store(y, q, LANES);
    }
    fzk_binary_f32_v4(FZK_BINARY_DIV, y, x, &divisor, n, 1, 0);
}

void fzk_binary_f32_avx512(int32_t fn, float *y, const float *a, const float *b, int64_t n,
                           int64_t a_step, int64_t b_step) {
    const float d = n > 0 ? __builtin_fabsf(b[0]) : 0;
    int fast = fn == FZK_BINARY_DIV && a_step && !b_step && d >= 0x1p-30f && d <= 0x1p30f;
    if (fast) divide(y, a, b[0], n);
    else fzk_binary_f32_v4(fn, y, a, b, n, a_step, b_step);
}
