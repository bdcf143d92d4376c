/* The end of a product over results that are in memory, or in the nearest cache: what a product of
 * half precision does behind a tile, and what rounds any numbers to half precision. */
#include "finish.h"

/* All rows; the flags are constants where this must be fast. */
FZK_VEC_INLINE void rows(const struct fzk_finish_f32 *f, bool bias, bool residual, bool clip,
                         int64_t round) {
    for (int64_t i = 0; i < f->m; i++) {
        float *c = f->c + i * f->ldc;
        const float *r = residual ? f->residual + i * f->ldr : NULL;
        for (int64_t j = 0; j < f->n; j += FZK_LANES) {
            int64_t n = f->n - j;
            fzk_vec x = fzk_load(c + j, n);
            x = fzk_finish_rounded(x, n, bias ? f->bias + j : NULL, residual ? r + j : NULL, round);
            if (clip) x = fzk_clip(x, f->lo, f->hi);
            fzk_store(c + j, x, n);
        }
    }
}

/* A convolution's bias, residual and clip, those of a product whose bias is an Add of its own, and
 * rounding alone, are the most frequent. */
void FZK_NAME(finish_f32)(const struct fzk_finish_f32 *f) {
    enum {
        CONV = FZK_ROUND_F16 | FZK_ROUND_BIAS,
        SUM = CONV | FZK_ROUND_RESIDUAL,
        ALONE = FZK_ROUND_F16 | FZK_ROUND_SUM,
        PRODUCT = ALONE | FZK_ROUND_BIAS,
        EACH = PRODUCT | FZK_ROUND_RESIDUAL
    };
    const bool fast = FZK_LANES > 4; /* else conversions take so long that flags do not count */
    bool conv = fast && f->round == CONV && f->bias && !f->residual;
    bool sum = fast && f->round == SUM && f->bias && f->residual && !f->clip;
    bool product = fast && f->round == PRODUCT && f->bias && !f->residual && !f->clip;
    bool each = fast && f->round == EACH && f->bias && f->residual && !f->clip;
    if (conv && f->clip) rows(f, true, false, true, CONV);
    else if (conv) rows(f, true, false, false, CONV);
    else if (sum) rows(f, true, true, false, SUM);
    else if (product) rows(f, true, false, false, PRODUCT);
    else if (each) rows(f, true, true, false, EACH);
    else if (fast && f->round == ALONE && !f->bias && !f->residual && !f->clip)
        rows(f, false, false, false, ALONE);
    else rows(f, f->bias != NULL, f->residual != NULL, f->clip != 0, f->round);
}
