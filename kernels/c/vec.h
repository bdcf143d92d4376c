/* As many floats as a register of the target holds, as one value: for c/. */
#ifndef FZ_KERNELS_VEC_H
#define FZ_KERNELS_VEC_H

#include "kernel.h"

#if defined(__AVX512F__)
enum { FZK_LANES = 16 };
#elif defined(__AVX__)
enum { FZK_LANES = 8 };
#else
enum { FZK_LANES = 4 };
#endif
typedef float fzk_vec __attribute__((vector_size(FZK_LANES * 4)));

/* The first N lanes from P, the others +0. N >= FZK_LANES is one load. */
static inline fzk_vec fzk_load(const float *p, int64_t n) {
    fzk_vec v = {0};
    if (n >= FZK_LANES) memcpy(&v, p, sizeof v);
    else
        for (int64_t i = 0; i < n; i++) v[i] = p[i];
    return v;
}

static inline void fzk_store(float *p, fzk_vec v, int64_t n) {
    if (n >= FZK_LANES) memcpy(p, &v, sizeof v);
    else
        for (int64_t i = 0; i < n; i++) p[i] = v[i];
}

/* The rules' clip: t = lo > x ? lo : x; hi < t ? hi : t. */
static inline fzk_vec fzk_clip(fzk_vec x, float lo, float hi) {
    typedef int32_t mask __attribute__((vector_size(FZK_LANES * 4)));
    fzk_vec low = lo - (fzk_vec){0}, high = hi - (fzk_vec){0};
    mask below = low > x;
    fzk_vec t = (fzk_vec)((below & (mask)low) | (~below & (mask)x));
    mask above = high < t;
    return (fzk_vec)((above & (mask)high) | (~above & (mask)t));
}

#endif
