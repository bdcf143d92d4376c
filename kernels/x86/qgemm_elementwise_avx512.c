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

/* ---- sums by an estimate
 *
 * With scales over sc, ra and rb, the quotient is close to a * ra + (b * rb + c): two multiply-adds
 * in place of two subtractions, three products, a sum and a division. Let S = 255 * (ra + rb). The
 * bits' own way errs by 3 roundings of at most S, the estimate by one of ra and rb, one of c (at
 * most S), one of 2 S and one of S: together 8 S * 2^-24. So farther than twice that from halfway
 * between two integers both round to the same one. Groups with a number nearer go the long way. */
struct estimate {
    vf ra, rb, c, far; /* FAR: the most that the rest of a rounding may be */
};

/* False where the bound above says nothing, or nothing of use. */
static bool estimate_of(const struct fzk_qbinary *q, int32_t more, struct estimate *e) {
    if (!(q->sc >= 0x1p-100f && q->sc <= 0x1p100f) || q->a_step != 1 || q->b_step != 1)
        return false;
    float ra = q->sa / q->sc, rb = q->sb / q->sc;
    float size = 255 * (__builtin_fabsf(ra) + __builtin_fabsf(rb));
    if (!(size <= 4096)) return false;
    double c = -((double)(q->za + more) * (double)ra + (double)(q->zb + more) * (double)rb);
    float near = (size > 1 ? size : 1) * 0x1p-20f;
    *e = (struct estimate){vf_set(ra), vf_set(rb), vf_set((float)c), vf_set(0.5f - near)};
    return true;
}

FZK_INLINE vf bytes_of(const uint8_t *p, __m128i flip) {
    __m128i x = _mm_xor_si128(_mm_loadu_si128((const __m128i *)p), flip);
    return vf_of(_mm512_cvtepu8_epi32(x));
}

/* What ends 64 sums. */
struct sum_end {
    vi zc, lo, hi, flip, order;
};

/* 64 sums. */
FZK_INLINE void add_64(const struct operand *a, const struct operand *b, const struct divisor sc,
                       const struct estimate *e, const struct sum_end *end, __m128i flip,
                       int64_t i, uint8_t *c) {
    vi part[PARTS];
    vf rest = vf_set(0);
    FZK_UNROLL
    for (int p = 0; p < PARTS; p++) {
        vf t = _mm512_fmadd_ps(bytes_of(b->data + i + p * VL, flip), e->rb, e->c);
        t = _mm512_fmadd_ps(bytes_of(a->data + i + p * VL, flip), e->ra, t);
        part[p] = vf_round(t);
        rest = _mm512_range_ps(rest, _mm512_sub_ps(t, vf_of(part[p])), 0xB); /* larger in size */
    }
    if (_mm512_cmp_ps_mask(rest, e->far, _CMP_NLE_UQ)) {
        FZK_UNROLL
        for (int p = 0; p < PARTS; p++)
            part[p] = rounded(vf_add(values(a, i + p * VL, 0xFFFF, flip),
                                     values(b, i + p * VL, 0xFFFF, flip)), sc);
    }
    vi x0 = vi_adds16(vi_pack16(part[0], part[1]), end->zc);
    vi x1 = vi_adds16(vi_pack16(part[2], part[3]), end->zc);
    vi bytes = _mm512_permutexvar_epi32(end->order, _mm512_packus_epi16(x0, x1));
    bytes = vi_xor(vi_min_u8(vi_max_u8(bytes, end->lo), end->hi), end->flip);
    _mm512_storeu_si512(c, bytes);
}

/* True if the sums could be had by an estimate, and are done. */
static bool add(const struct fzk_qbinary *q) {
    const int32_t more = q->is_signed ? 128 : 0, to = q->lo < 0 ? 128 : 0;
    const __m128i flip = _mm_set1_epi8((char)more);
    struct estimate e;
    if (!estimate_of(q, more, &e)) return false;
    const struct operand a = operand_of(q->a, 1, q->za + more, q->sa, flip);
    const struct operand b = operand_of(q->b, 1, q->zb + more, q->sb, flip);
    const struct divisor sc = divisor_of(q->sc);
    const struct sum_end end = {
        vi_set16(q->zc + to), vi_set8(q->lo + to), vi_set8(q->hi + to), vi_set8(to),
        _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15)};
    int64_t i = 0, whole = q->n - q->n % STEP;
    for (; i < whole; i += STEP) add_64(&a, &b, sc, &e, &end, flip, i, (uint8_t *)q->c + i);
    if (i == q->n) return true;
    uint8_t rest[3][STEP] = {0};
    struct operand a_rest = a, b_rest = b;
    __builtin_memcpy(rest[0], a.data + i, (size_t)(q->n - i));
    __builtin_memcpy(rest[1], b.data + i, (size_t)(q->n - i));
    a_rest.data = rest[0];
    b_rest.data = rest[1];
    add_64(&a_rest, &b_rest, sc, &e, &end, flip, 0, rest[2]);
    __builtin_memcpy((uint8_t *)q->c + i, rest[2], (size_t)(q->n - i));
    return true;
}

void fzk_qadd_u8_avx512(const struct fzk_qbinary *q) {
    if (!add(q)) binary(q, ADD);
}
void fzk_qmul_u8_avx512(const struct fzk_qbinary *q) { binary(q, MUL); }
