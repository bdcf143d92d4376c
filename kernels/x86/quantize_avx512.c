/* Quantisation for AVX-512: 64 elements at a time. The bits are those of c/quantize.c and
 * c/reduce_f32.c. */
#include "quotient_v16.h"

enum { STEP = 64, PARTS = STEP / VL };

/* S8 goes the way of u8 with 128 more. */
FZK_INLINE void quantize(uint8_t *y, const float *x, int64_t n, float scale, int32_t zero,
                         const bool s8) {
    const struct divisor d = divisor_of(scale);
    const vi zp = vi_set16(zero + (s8 ? 128 : 0)), flip = _mm512_set1_epi8(s8 ? (char)0x80 : 0);
    const vi order = _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
    for (int64_t i = 0; i < n; i += STEP) {
        __mmask64 mask = n - i >= STEP ? ~(__mmask64)0 : ((__mmask64)1 << (n - i)) - 1;
        vi part[PARTS];
        FZK_UNROLL
        for (int p = 0; p < PARTS; p++)
            part[p] = rounded(
                _mm512_maskz_loadu_ps((__mmask16)(mask >> p * VL), x + i + p * VL), d);
        vi x0 = vi_adds16(vi_pack16(part[0], part[1]), zp);
        vi x1 = vi_adds16(vi_pack16(part[2], part[3]), zp);
        vi bytes = _mm512_permutexvar_epi32(order, _mm512_packus_epi16(x0, x1));
        _mm512_mask_storeu_epi8(y + i, mask, vi_xor(bytes, flip));
    }
}

void fzk_quantize_f32_u8_avx512(uint8_t *y, const float *x, int64_t n, float scale, int32_t zero) {
    quantize(y, x, n, scale, zero, false);
}
void fzk_quantize_f32_i8_avx512(int8_t *y, const float *x, int64_t n, float scale, int32_t zero) {
    quantize((uint8_t *)y, x, n, scale, zero, true);
}

/* The second operand of a minimum or maximum wins where one is NaN, or where both are zeros: what
 * is kept begins as +0 and stays it. NaN is counted apart. */
void fzk_minmax_f32_avx512(float *lo_hi, const float *x, int64_t n) {
    vf lo[PARTS], hi[PARTS];
    __mmask16 nan = 0;
    for (int p = 0; p < PARTS; p++) lo[p] = hi[p] = vf_set(0);
    for (int64_t i = 0; i < n; i += STEP) {
        __mmask64 mask = n - i >= STEP ? ~(__mmask64)0 : ((__mmask64)1 << (n - i)) - 1;
        FZK_UNROLL
        for (int p = 0; p < PARTS; p++) {
            vf v = _mm512_maskz_loadu_ps((__mmask16)(mask >> p * VL), x + i + p * VL);
            lo[p] = vf_min(v, lo[p]);
            hi[p] = vf_max(v, hi[p]);
            nan |= _mm512_cmp_ps_mask(v, v, _CMP_UNORD_Q);
        }
    }
    for (int p = 1; p < PARTS; p++) {
        lo[0] = vf_min(lo[p], lo[0]);
        hi[0] = vf_max(hi[p], hi[0]);
    }
    lo_hi[0] = nan ? __builtin_nanf("") : _mm512_reduce_min_ps(lo[0]);
    lo_hi[1] = nan ? __builtin_nanf("") : _mm512_reduce_max_ps(hi[0]);
}
