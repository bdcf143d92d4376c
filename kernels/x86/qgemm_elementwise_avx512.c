/* Addition and multiplication of quantised tensors for AVX-512: 64 elements at a time. The bits are
 * those of c/qgemm_elementwise.c. */
#include "quotient_v16.h"

enum { ADD, MUL, STEP = 64, PARTS = STEP / VL };

struct operand {
    const uint8_t *data;
    int64_t step; /* 1, or 0: ALL holds the one value */
    vi za;
    vf scale, all;
};

FZK_INLINE vf widen(__m128i bytes, const struct operand *o, __m128i flip) {
    vi x = _mm512_cvtepu8_epi32(_mm_xor_si128(bytes, flip));
    return vf_mul(vf_of(_mm512_sub_epi32(x, o->za)), o->scale);
}

/* 16 values from element I on, of which MASK are read. */
FZK_INLINE vf values(const struct operand *o, int64_t i, __mmask16 mask, __m128i flip) {
    if (!o->step) return o->all;
    return widen(_mm_maskz_loadu_epi8(mask, o->data + i), o, flip);
}

static struct operand operand_of(const void *data, int64_t step, int32_t za, float scale,
                                 __m128i flip) {
    struct operand o = {.data = data, .step = step, .za = vi_set(za), .scale = vf_set(scale)};
    if (!step) o.all = widen(_mm_set1_epi8(*(const char *)data), &o, flip);
    return o;
}

FZK_INLINE void binary(const struct fzk_qbinary *q, const int operation) {
    const bool is_signed = q->is_signed;
    const __m128i flip = _mm_set1_epi8(is_signed ? (char)0x80 : 0);
    const int32_t more = is_signed ? 128 : 0;
    if (q->n <= 0) return;
    const struct operand a = operand_of(q->a, q->a_step, q->za + more, q->sa, flip);
    const struct operand b = operand_of(q->b, q->b_step, q->zb + more, q->sb, flip);
    const struct divisor sc = divisor_of(q->sc);
    const bool to_signed = q->lo < 0;
    const vi zc = vi_set16(q->zc + (to_signed ? 128 : 0));
    const vi out_flip = _mm512_set1_epi8(to_signed ? (char)0x80 : 0);
    const vi lo = vi_xor(_mm512_set1_epi8((char)q->lo), out_flip);
    const vi hi = vi_xor(_mm512_set1_epi8((char)q->hi), out_flip);
    const vi order = _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
    const int64_t n = q->n;
    uint8_t *c = q->c;
    for (int64_t i = 0; i < n; i += STEP) {
        __mmask64 mask = n - i >= STEP ? ~(__mmask64)0 : ((__mmask64)1 << (n - i)) - 1;
        vi part[PARTS];
        FZK_UNROLL
        for (int p = 0; p < PARTS; p++) {
            __mmask16 some = (__mmask16)(mask >> p * VL);
            vf x = values(&a, i + p * VL, some, flip), y = values(&b, i + p * VL, some, flip);
            part[p] = rounded(operation == ADD ? vf_add(x, y) : vf_mul(x, y), sc);
        }
        vi x0 = vi_adds16(vi_pack16(part[0], part[1]), zc);
        vi x1 = vi_adds16(vi_pack16(part[2], part[3]), zc);
        vi bytes = _mm512_permutexvar_epi32(order, _mm512_packus_epi16(x0, x1));
        bytes = _mm512_min_epu8(_mm512_max_epu8(bytes, lo), hi);
        _mm512_mask_storeu_epi8(c + i, mask, vi_xor(bytes, out_flip));
    }
}

void fzk_qadd_u8_avx512(const struct fzk_qbinary *q) { binary(q, ADD); }
void fzk_qmul_u8_avx512(const struct fzk_qbinary *q) { binary(q, MUL); }
