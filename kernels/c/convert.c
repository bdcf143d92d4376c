/* Conversions between storage types and binary32: nearest even, canonical NaN; float to integer
 * truncates and saturates, NaN gives 0. */
#include "kernel.h"
#include "loop.h"

/* ---- binary16: 1 sign, 5 exponent (bias 15), 10 fraction bits */

/* The exponent is moved by a multiplication, which also makes subnormals normal: with the fields in
 * binary32's places the value is too small by 2^(127 - 15). */
static inline float of_f16(uint16_t h) {
    uint32_t m = (uint32_t)(h & 0x7FFF) << 13, sign = (uint32_t)(h & 0x8000) << 16;
    uint32_t u = fzk_bits(fzk_float(m) * 0x1p112f);
    u = m >= 0x0F800000 ? 0x7F800000 : u;
    return fzk_float(m > 0x0F800000 ? 0x7FC00000 : u | sign);
}

/* Normal results: half an ulp less the last bit is added to the bits, and carries. Subnormal ones:
 * adding 1/2, whose last bit is worth 2^-24, rounds to multiples of that. */
static inline uint16_t to_f16(float x) {
    uint32_t b = fzk_bits(x), u = b & INT32_MAX, sign = b >> 16 & 0x8000;
    uint32_t normal = (u + 0xFFF + (u >> 13 & 1) - (112u << 23)) >> 13;
    uint32_t small = fzk_bits(fzk_float(u) + 0.5f) - 0x3F000000;
    uint32_t h = u < 0x38800000 ? small : u < 0x477FF000 ? normal : 0x7C00;
    return (uint16_t)(u > 0x7F800000 ? 0x7E00 : h | sign);
}

void FZK_NAME(f16_to_f32)(float *y, const uint16_t *x, int64_t n) {
    for (int64_t i = 0; i < n; i++) y[i] = of_f16(x[i]);
}
void FZK_NAME(f32_to_f16)(uint16_t *y, const float *x, int64_t n) {
    for (int64_t i = 0; i < n; i++) y[i] = to_f16(x[i]);
}

/* ---- bfloat16: the upper half of binary32 */

void FZK_NAME(bf16_to_f32)(float *y, const uint16_t *x, int64_t n) {
    for (int64_t i = 0; i < n; i++) {
        uint32_t u = (uint32_t)x[i] << 16;
        y[i] = fzk_float((u & INT32_MAX) > 0x7F800000 ? 0x7FC00000 : u);
    }
}
void FZK_NAME(f32_to_bf16)(uint16_t *y, const float *x, int64_t n) {
    for (int64_t i = 0; i < n; i++) {
        uint32_t u = fzk_bits(x[i]), h = (u + 0x7FFF + (u >> 16 & 1)) >> 16;
        y[i] = (uint16_t)((u & INT32_MAX) > 0x7F800000 ? 0x7FC0 : h);
    }
}

/* ---- integers */

/* C's conversion is defined only inside the type's range, so the argument is brought there first.
 * */
static inline int32_t to_i32(float x) {
    float c = x > -0x1p31f ? x : -0x1p31f;
    c = x >= 0x1p31f || x != x ? 0 : c;
    return x >= 0x1p31f ? INT32_MAX : (int32_t)c;
}
static inline int32_t to_range(float x, int32_t lo, int32_t hi) {
    int32_t t = to_i32(x);
    t = t < lo ? lo : t;
    return t > hi ? hi : t;
}

void FZK_NAME(f32_to_u8)(uint8_t *y, const float *x, int64_t n) {
    for (int64_t i = 0; i < n; i++) y[i] = (uint8_t)to_range(x[i], 0, 255);
}
void FZK_NAME(f32_to_i8)(int8_t *y, const float *x, int64_t n) {
    for (int64_t i = 0; i < n; i++) y[i] = (int8_t)to_range(x[i], -128, 127);
}
void FZK_NAME(f32_to_i32)(int32_t *y, const float *x, int64_t n) {
    for (int64_t i = 0; i < n; i++) y[i] = to_i32(x[i]);
}
void FZK_NAME(f32_to_i64)(int64_t *y, const float *x, int64_t n) {
    for (int64_t i = 0; i < n; i++) {
        float c = x[i] > -0x1p63f ? x[i] : -0x1p63f;
        c = x[i] >= 0x1p63f || x[i] != x[i] ? 0 : c;
        y[i] = x[i] >= 0x1p63f ? INT64_MAX : (int64_t)c;
    }
}
void FZK_NAME(u8_to_f32)(float *y, const uint8_t *x, int64_t n) {
    for (int64_t i = 0; i < n; i++) y[i] = (float)x[i];
}
void FZK_NAME(i8_to_f32)(float *y, const int8_t *x, int64_t n) {
    for (int64_t i = 0; i < n; i++) y[i] = (float)x[i];
}
void FZK_NAME(i32_to_f32)(float *y, const int32_t *x, int64_t n) {
    for (int64_t i = 0; i < n; i++) y[i] = (float)x[i];
}

/* ---- functions of halves, as tables of their results */

/* Some at a time: a look into the table is no vector, what is around it is. */
void FZK_NAME(half_table_f32)(const struct fzk_half_table *t) {
    uint16_t h[256];
    for (int64_t i = 0, n; i < t->n; i += n) {
        n = t->n - i < 256 ? t->n - i : 256;
        if (t->bf16) FZK_NAME(f32_to_bf16)(h, t->x + i, n);
        else FZK_NAME(f32_to_f16)(h, t->x + i, n);
        for (int64_t j = 0; j < n; j++) h[j] = t->table[h[j]];
        if (t->bf16) FZK_NAME(bf16_to_f32)(t->y + i, h, n);
        else FZK_NAME(f16_to_f32)(t->y + i, h, n);
    }
}
