/* For the hand-written files of this folder: their prototypes, and how loops over registers are
 * unrolled. */
#ifndef FZ_KERNELS_X86_H
#define FZ_KERNELS_X86_H

#include "kernels.h"

#define FZK_INLINE static inline __attribute__((always_inline))

/* Loops over arrays that must become registers are unrolled whole; the loops around them never. */
#ifdef __clang__
#define FZK_UNROLL _Pragma("clang loop unroll(full)")
#define FZK_NO_UNROLL _Pragma("clang loop unroll(disable)")
#else
#define FZK_UNROLL _Pragma("GCC unroll 64")
#define FZK_NO_UNROLL _Pragma("GCC unroll 1")
#endif

/* Tells the compiler that the array X holds something: for memory that is read only after it was
 * written, which gcc cannot see through the loops. */
#define FZK_ANY(x) __asm__("" : "=m"(x))

/* fzk_<member>_<isa> for every kernel and instruction set, c/ as compiled for _v3 and _v4 among
 * them; those that no file defines are not called. */
#define FZK(member, prototype)                                                                     \
    void fzk_##member##_v3 prototype;                                                              \
    void fzk_##member##_v4 prototype;                                                              \
    void fzk_##member##_avx2 prototype;                                                            \
    void fzk_##member##_avxvnni prototype;                                                         \
    void fzk_##member##_avx512 prototype;                                                          \
    void fzk_##member##_avx512vnni prototype;
#include "kernels.def"
#undef FZK

#endif
