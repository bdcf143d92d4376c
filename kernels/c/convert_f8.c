/* The 8-bit and 4-bit float formats, one number a byte (4-bit ones in the low bits).
 *
 * A format is fraction bits, exponent bias, and what its largest codes mean. Codes of magnitudes
 * are in the order of the values, so that rounding to a multiple of the spacing and adding the
 * exponent's part gives the code, carries included. */
#include "kernel.h"

struct form {
    int32_t fraction, bias;
    uint32_t largest;  /* code of the largest finite magnitude */
    uint32_t infinity; /* code, or that of NaN where the format has no infinity */
    uint32_t nan;
    uint32_t sign;     /* bit */
    bool fnuz;         /* no -0: its code is NaN's */
};

static const struct form forms[] = {
    [FZK_F8E4M3FN] = {3, 7, 0x7E, 0x7F, 0x7F, 0x80, false},
    [FZK_F8E4M3FNUZ] = {3, 8, 0x7F, 0x80, 0x80, 0x80, true},
    [FZK_F8E5M2] = {2, 15, 0x7B, 0x7C, 0x7E, 0x80, false},
    [FZK_F8E5M2FNUZ] = {2, 16, 0x7F, 0x80, 0x80, 0x80, true},
    [FZK_F4E2M1] = {1, 1, 0x7, 0x7, 0x0, 0x8, false}, /* no infinity, no NaN: 6 and 0 */
};

static inline float pow2(int32_t e) { return fzk_float((uint32_t)(e + 127) << 23); }

/* The code of |x|; largest + 1 and above means out of range. */
static uint32_t magnitude(const struct form *f, float x) {
    uint32_t u = fzk_bits(x) & INT32_MAX;
    int32_t least = 1 - f->bias, e = (int32_t)(u >> 23) - 127;
    if (e > 16) return f->largest + 1;
    if (e < least) e = least;
    /* |x| in spacings: exact, below 2^(fraction + 1), and rounded by adding 2^23. */
    float r = fzk_float(u) * pow2(f->fraction - e);
    uint32_t n = fzk_bits(r + 0x1p23f) - fzk_bits(0x1p23f);
    return ((uint32_t)(e - least) << f->fraction) + n;
}

static uint8_t encode(const struct form *f, float x, bool saturate) {
    uint32_t u = fzk_bits(x), sign = u >> 31 ? f->sign : 0;
    if ((u & INT32_MAX) > 0x7F800000) return (uint8_t)f->nan;
    uint32_t code = magnitude(f, x);
    if (code > f->largest) code = saturate ? f->largest : f->infinity;
    if (f->nan && code == f->nan) return (uint8_t)code;
    return (uint8_t)(f->fnuz && code == 0 ? 0 : code | sign);
}

/* Every NaN becomes binary32's canonical one. */
static float decode(const struct form *f, uint8_t code) {
    uint32_t m = code & (f->sign - 1), part = m & ((1u << f->fraction) - 1);
    int32_t e = (int32_t)(m >> f->fraction), least = 1 - f->bias;
    float x = (float)(e ? part | 1u << f->fraction : part);
    x = x * pow2((e ? least + e - 1 : least) - f->fraction);
    if (m > f->largest) x = m == f->infinity && m != f->nan ? __builtin_inff() : __builtin_nanf("");
    if (f->fnuz && code == f->nan) return __builtin_nanf("");
    return code & f->sign && x == x ? -x : x;
}

void FZK_NAME(f32_to_f8)(int32_t form, int32_t saturate, uint8_t *y, const float *x, int64_t n) {
    if (form < 0 || form >= FZK_F8_COUNT) return;
    for (int64_t i = 0; i < n; i++) y[i] = encode(&forms[form], x[i], saturate);
}
void FZK_NAME(f8_to_f32)(int32_t form, float *y, const uint8_t *x, int64_t n) {
    if (form < 0 || form >= FZK_F8_COUNT) return;
    for (int64_t i = 0; i < n; i++) y[i] = decode(&forms[form], x[i]);
}

/* ---- E8M0: code c is 2^(c - 127), 255 is NaN; no sign, no zero */

/* The exponent of |x| rounded as ROUND says; the exact value of a subnormal X is kept by a scaling.
 * Zero and what lies below 2^-127 is 2^-127 if saturated, else NaN; so is 2^127 or NaN above. A
 * negative X, which ONNX leaves open, counts as |x|. */
static uint8_t encode_e8m0(float x, enum fzk_e8m0_round round, bool saturate) {
    uint32_t u = fzk_bits(x) & INT32_MAX;
    if (u > 0x7F800000) return 255;
    if (u == 0 || u == 0x7F800000) return saturate ? (u ? 254 : 0) : 255;
    bool tiny = u < 0x00800000;
    if (tiny) u = fzk_bits(fzk_float(u) * 0x1p23f);
    int32_t e = (int32_t)(u >> 23) - (tiny ? 23 : 0);
    uint32_t part = u & 0x7FFFFF;
    if (round == FZK_E8M0_UP ? part != 0 : round == FZK_E8M0_NEAREST && part >= 0x400000) e++;
    if (e < 0) return saturate ? 0 : 255;
    if (e > 254) return saturate ? 254 : 255;
    return (uint8_t)e;
}

void FZK_NAME(f32_to_e8m0)(int32_t round, int32_t saturate, uint8_t *y, const float *x, int64_t n) {
    for (int64_t i = 0; i < n; i++) y[i] = encode_e8m0(x[i], (enum fzk_e8m0_round)round, saturate);
}
void FZK_NAME(e8m0_to_f32)(float *y, const uint8_t *x, int64_t n) {
    for (int64_t i = 0; i < n; i++)
        y[i] = fzk_float(x[i] == 255 ? 0x7FC00000 : x[i] ? (uint32_t)x[i] << 23 : 0x00400000);
}
