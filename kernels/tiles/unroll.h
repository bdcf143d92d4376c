/* For hand-written files: how loops over registers are unrolled. */
#ifndef FZ_KERNELS_UNROLL_H
#define FZ_KERNELS_UNROLL_H

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
/* Makes the compiler forget where the integer or pointer X comes from: it stays in a register. */
#define FZK_FORGET(x) __asm__("" : "+r"(x))

#endif
