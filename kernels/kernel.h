/* For the files of c/: names that carry the instruction set, and the rules' scalar operations. */
#ifndef FZ_KERNELS_KERNEL_H
#define FZ_KERNELS_KERNEL_H

#include <stdbool.h>
#include <string.h>

#include "kernels.h"

#ifdef __FAST_MATH__
#error "the bits of libfrozen do not survive -ffast-math"
#endif
#include <float.h>
_Static_assert(FLT_EVAL_METHOD == 0 || FLT_EVAL_METHOD == 16, "float must be evaluated as float");

#define FZK_JOIN_(name, isa) fzk_##name##_##isa
#define FZK_JOIN(name, isa) FZK_JOIN_(name, isa)
/* fzk_<name>_<isa>: every function of c/ with external linkage is named by this. */
#define FZK_NAME(name) FZK_JOIN(name, FZK_ISA)

#define FZK(member, prototype) void FZK_NAME(member) prototype;
#ifdef FZK_ISA
#include "kernels.def"
#endif
#undef FZK

static inline uint32_t fzk_bits(float f) {
    uint32_t u;
    memcpy(&u, &f, 4);
    return u;
}
static inline float fzk_float(uint32_t u) {
    float f;
    memcpy(&f, &u, 4);
    return f;
}

/* a * b + c with one rounding. Without hardware: the product is exact in double (48 bits); the
 * sum's rounding error (TwoSum) makes it rounded to odd where it is finite, and then rounding to
 * float is right (Boldo and Melquiond 2008). */
static inline float fzk_fma(float a, float b, float c) {
#if defined(__FMA__) || defined(__ARM_FEATURE_FMA) || defined(__aarch64__) ||                      \
    defined(__riscv_flen) || defined(__s390x__)
    return __builtin_fmaf(a, b, c);
#else
    double p = (double)a * (double)b, z = (double)c, s = p + z;
    double zz = s - p, e = (p - (s - zz)) + (z - zz);
    uint64_t u;
    memcpy(&u, &s, 8);
    bool finite = (u >> 52 & 0x7FF) != 0x7FF;
    if (finite && e != 0.0 && !(u & 1)) u += (e > 0) == (s > 0) ? 1 : (uint64_t)-1;
    memcpy(&s, &u, 8);
    return (float)s;
#endif
}

#endif
