/* Quotients rounded to integers, for AVX-512.
 *
 * A division takes as long as all the rest of a quantisation. x * (1 / scale) is within 1.5 * 2^-23
 * of the rounded quotient, relatively: where it is no larger than 1,000 and farther than 2^-12 from
 * halfway between two integers, both round to the same one, and beyond 1,000 both are saturated.
 * Only vectors with a number near halfway, or a NaN, are divided. */
#ifndef FZ_KERNELS_QUOTIENT_V16_H
#define FZ_KERNELS_QUOTIENT_V16_H

#include "qgemm_v16.h"

struct divisor {
    vf scale, inverse;
};

/* An inverse that overflows, or loses bits, makes every vector divide: NaN is never far. */
FZK_INLINE struct divisor divisor_of(float scale) {
    const bool tame = scale >= 0x1p-100f && scale <= 0x1p100f;
    return (struct divisor){vf_set(scale), vf_set(tame ? 1 / scale : __builtin_nanf(""))};
}

/* rne(x / scale) within +-65536; NaN gives 0. */
FZK_INLINE vi rounded(vf x, const struct divisor d) {
    vf t = vf_mul(x, d.inverse);
    vf rest = _mm512_abs_ps(_mm512_sub_ps(t, _mm512_roundscale_ps(t, _MM_FROUND_TO_NEAREST_INT)));
    if (_mm512_cmp_ps_mask(rest, vf_set(0.5f - 0x1p-12f), _CMP_NLT_UQ))
        t = _mm512_div_ps(x, d.scale);
    __mmask16 number = _mm512_cmp_ps_mask(t, t, _CMP_ORD_Q);
    return _mm512_maskz_cvtps_epi32(number, vf_max(vf_min(t, vf_set(65536)), vf_set(-65536)));
}

#endif
