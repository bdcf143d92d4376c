/* For the hand-written files of this folder: their prototypes. */
#ifndef FZ_KERNELS_X86_H
#define FZ_KERNELS_X86_H

#include "kernels.h"
#include "tiles/unroll.h"

/* Hides that the lanes of vector X are equal: clang would otherwise work on the scalar and lose an
 * operand that is broadcast from memory. */
#define FZK_HIDE(x) __asm__("" : "+v"(x))

/* fzk_<member>_<isa> for every kernel and instruction set, c/ as compiled for _v3 and _v4 among
 * them; those that no file defines are not called. */
#define FZK(member, prototype)                                                                     \
    void fzk_##member##_v3 prototype;                                                              \
    void fzk_##member##_v4 prototype;                                                              \
    void fzk_##member##_avx2 prototype;                                                            \
    void fzk_##member##_avxvnni prototype;                                                         \
    void fzk_##member##_avx512 prototype;                                                          \
    void fzk_##member##_avx512vnni prototype;                                                      \
    void fzk_##member##_amx prototype;
#include "kernels.def"
#undef FZK

#endif
