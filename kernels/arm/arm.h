/* For the hand-written files of this folder: their prototypes. */
#ifndef FZ_KERNELS_ARM_H
#define FZ_KERNELS_ARM_H

#include <arm_neon.h>

#include "kernels.h"
#include "tiles/unroll.h"

/* fzk_<member>_<isa> for every kernel and instruction set, c/ among them; those that no file
 * defines are not called. */
#define FZK(member, prototype)                                                                     \
    void fzk_##member##_c prototype;                                                               \
    void fzk_##member##_neon prototype;                                                            \
    void fzk_##member##_dotprod prototype;                                                         \
    void fzk_##member##_i8mm prototype;
#include "kernels.def"
#undef FZK

#endif
