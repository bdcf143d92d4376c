/* EACH before a loop: element i of the output depends on elements i of the inputs only, so that
 * equal pointers need no check for overlap. INLINE: one body, compiled for constant arguments. */
#ifndef FZ_KERNELS_LOOP_H
#define FZ_KERNELS_LOOP_H

#if defined(__clang__)
#define EACH _Pragma("clang loop vectorize(assume_safety)")
#pragma clang diagnostic ignored "-Wpass-failed" /* the baseline's fma does not vectorise */
#elif defined(__GNUC__)
#define EACH _Pragma("GCC ivdep")
#else
#define EACH
#endif

/* WHOLE before a loop over 16 lanes with fma: gcc would unroll it, and then makes no vectors of the
 * pieces (of additions it does). */
#if defined(__GNUC__) && !defined(__clang__)
#define WHOLE _Pragma("GCC unroll 1")
#else
#define WHOLE
#endif

#define INLINE static inline __attribute__((always_inline))

#endif
