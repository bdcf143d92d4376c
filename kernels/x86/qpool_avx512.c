/* The largest byte of windows, and tables of bytes, for AVX-512: 64 bytes at a time. The bits are
 * those of c/qgemm_elementwise.c. */
#include "c/qpool_window.h"
#include "qgemm_v16.h"

enum { STEP = 64 };

FZK_INLINE __mmask64 first(int64_t n) {
    return n >= STEP ? ~(__mmask64)0 : ((__mmask64)1 << n) - 1;
}

/* Channels C .. C + 63 of one output pixel. */
FZK_INLINE void max_channels(const struct fzk_qpool *p, const struct window *w, int64_t c,
                             uint8_t *out, const bool is_signed) {
    const uint8_t *row = (const uint8_t *)p->a + w->corner + w->r0 * w->row_step + c;
    const __mmask64 mask = first(p->c - c);
    vi most = _mm512_set1_epi8(is_signed ? (char)0x80 : 0);
    for (int64_t r = w->r0; r < w->r1; r++, row += w->row_step)
        for (int64_t s = w->s0; s < w->s1; s++) {
            vi x = _mm512_maskz_loadu_epi8(mask, row + s * w->col_step);
            most = is_signed ? _mm512_max_epi8(most, x) : _mm512_max_epu8(most, x);
        }
    _mm512_mask_storeu_epi8(out + c, mask, most);
}

/* Pixels whose columns all lie inside share the window of the one before, moved on. */
FZK_INLINE void max_row(const struct fzk_qpool *p, int64_t y, const bool is_signed) {
    uint8_t *out = (uint8_t *)p->out + y * p->out_row;
    const int64_t span = (p->kw - 1) * p->dilation_x;
    struct window w = {0};
    for (int64_t x = 0, left = -p->pad_x; x < p->out_w; x++, left += p->stride_x) {
        if (x && left > p->stride_x && left + span < p->w) w.corner += p->stride_x * p->a_col;
        else w = window_of(p, y, x);
        for (int64_t c = 0; c < p->c; c += STEP)
            max_channels(p, &w, c, out + x * p->out_col, is_signed);
    }
}

void fzk_qmaxpool_u8_avx512(const struct fzk_qpool *p) {
    for (int64_t y = p->y0; y < p->y1; y++) {
        if (p->is_signed) max_row(p, y, true);
        else max_row(p, y, false);
    }
}

/* The table as 128 words, in four vectors: word b / 2 holds entry b in one of its halves. */
struct words {
    vi part[4];
};

/* Entries b of the bytes B in the low bytes of words, others 0. */
FZK_INLINE vi entries(const struct words *t, vi b) {
    vi at = _mm512_srli_epi16(b, 1);
    vi low = _mm512_permutex2var_epi16(t->part[0], at, t->part[1]);
    vi high = _mm512_permutex2var_epi16(t->part[2], at, t->part[3]);
    __mmask32 upper = _mm512_test_epi16_mask(b, _mm512_set1_epi16(0x80));
    vi word = _mm512_mask_blend_epi16(upper, low, high);
    vi odd = _mm512_slli_epi16(_mm512_and_si512(b, _mm512_set1_epi16(1)), 3);
    return _mm512_and_si512(_mm512_srlv_epi16(word, odd), _mm512_set1_epi16(0xFF));
}

void fzk_lut_u8_avx512(const struct fzk_qlut *l) {
    struct words t;
    for (int i = 0; i < 4; i++) t.part[i] = vi_load(l->table + i * STEP);
    for (int64_t i = 0; i < l->n; i += STEP) {
        const __mmask64 mask = first(l->n - i);
        vi x = _mm512_maskz_loadu_epi8(mask, l->x + i);
        vi even = entries(&t, _mm512_and_si512(x, _mm512_set1_epi16(0xFF)));
        vi odd = entries(&t, _mm512_srli_epi16(x, 8));
        vi y = _mm512_or_si512(even, _mm512_slli_epi16(odd, 8));
        _mm512_mask_storeu_epi8(l->y + i, mask, y);
    }
}
