/* Multiply-adds that stay where the program has them. Compilers reorder the intrinsics and copy
 * their operands until registers run out; where nearly all registers hold sums, that costs more
 * than any reordering gains. */
#ifndef FZ_KERNELS_FMA_H
#define FZ_KERNELS_FMA_H

#include "arm.h"

/* acc + a * b. */
FZK_INLINE float32x4_t fma4(float32x4_t acc, float32x4_t a, float32x4_t b) {
    __asm__ volatile("fmla %0.4s, %1.4s, %2.4s" : "+w"(acc) : "w"(a), "w"(b));
    return acc;
}

/* acc + b * a[lane]. */
FZK_INLINE float32x4_t fma4_lane(float32x4_t acc, float32x4_t b, float32x4_t a, int lane) {
    if (lane == 0) __asm__ volatile("fmla %0.4s, %1.4s, %2.s[0]" : "+w"(acc) : "w"(b), "w"(a));
    if (lane == 1) __asm__ volatile("fmla %0.4s, %1.4s, %2.s[1]" : "+w"(acc) : "w"(b), "w"(a));
    if (lane == 2) __asm__ volatile("fmla %0.4s, %1.4s, %2.s[2]" : "+w"(acc) : "w"(b), "w"(a));
    if (lane == 3) __asm__ volatile("fmla %0.4s, %1.4s, %2.s[3]" : "+w"(acc) : "w"(b), "w"(a));
    return acc;
}

/* acc + b * a. */
FZK_INLINE float32x4_t fma4_by(float32x4_t acc, float32x4_t b, float a) {
    __asm__ volatile("fmla %0.4s, %1.4s, %2.s[0]" : "+w"(acc) : "w"(b), "w"(a));
    return acc;
}

/* The rules' clip: t = lo > x ? lo : x; hi < t ? hi : t. NaN and -0 pass; the instructions for
 * maximum and minimum would change -0. */
FZK_INLINE float32x4_t at_least(float32x4_t lo, float32x4_t x) {
    return vbslq_f32(vcgtq_f32(lo, x), lo, x);
}
FZK_INLINE float32x4_t at_most(float32x4_t hi, float32x4_t x) {
    return vbslq_f32(vcltq_f32(hi, x), hi, x);
}

#endif
