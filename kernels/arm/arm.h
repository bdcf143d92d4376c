/* For the hand-written files of this folder: their prototypes, and how loops over registers are
 * unrolled. */
#ifndef FZ_KERNELS_ARM_H
#define FZ_KERNELS_ARM_H

#include <arm_neon.h>

#include "kernels.h"

#define FZK_INLINE static inline __attribute__((always_inline))

/* Loops over arrays that must become registers are unrolled whole. */
#ifdef __clang__
#define FZK_UNROLL _Pragma("clang loop unroll(full)")
#else
#define FZK_UNROLL _Pragma("GCC unroll 64")
#endif

/* fzk_<member>_<isa> for every kernel and instruction set; those that no file defines are not
 * called. */
#define FZK(member, prototype)                                                                     \
    void fzk_##member##_neon prototype;                                                            \
    void fzk_##member##_dotprod prototype;                                                         \
    void fzk_##member##_i8mm prototype;
#include "kernels.def"
#undef FZK

#endif
