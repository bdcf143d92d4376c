/* The kernels: raw pointers and sizes in, bits out. Nothing here allocates, fails, or knows the
 * library. README.md is the contract of the bits; kernels.def lists every kernel.
 *
 * c/ holds the reference of each kernel. It is compiled for the baseline (names end in _c: the
 * oracle) and again for each x86-64 level (_v3, _v4: hardware FMA, wider vectors). x86/ and arm/
 * hold hand-written versions of a few. All versions of a kernel give equal bits for equal
 * inputs. */
#ifndef FZ_KERNELS_H
#define FZ_KERNELS_H

#include <stddef.h>
#include <stdint.h>

/* CPU features that choose kernels; a set of them is a mask. Each bit stands for all that the
 * compiler flags of its files need. */
enum {
    FZK_CPU_V3 = 1,          /* x86-64-v3: AVX2, FMA, BMI, F16C */
    FZK_CPU_V4 = 2,          /* x86-64-v4: AVX-512 F BW CD DQ VL; implies V3 */
    FZK_CPU_AVX512VNNI = 4,  /* implies V4 */
    FZK_CPU_AVXVNNI = 8,     /* implies V3 */
    FZK_CPU_AMXINT8 = 128,   /* AMX tiles of bytes; implies AVX512VNNI */
    FZK_CPU_NEON = 16,           /* every 64-bit Arm */
    FZK_CPU_NEON_DOTPROD = 32,   /* implies NEON */
    FZK_CPU_NEON_I8MM = 64       /* implies NEON_DOTPROD */
};

#include "kernels_types.h"

struct fzk_table {
#define FZK(member, prototype) void (*member) prototype;
#include "kernels.def"
#undef FZK
};

/* Marks what runs once when a model is opened: the linker puts all of it side by side, so that it
 * takes one page fault and not one for each file of kernels. */
#define FZK_RARE __attribute__((cold))

/* The features of this CPU that the operating system has enabled. On Linux this asks, once for the
 * process, for the state of AMX tiles; from then on alternate signal stacks must have room for it
 * (AT_MINSIGSTKSZ). */
uint32_t fzk_cpu_mask(void);
/* Fills TABLE with the best version of every kernel that MASK allows: a pure function. Bits whose
 * implied ones are missing are ignored. */
void fzk_table_fill(struct fzk_table *table, uint32_t mask);

#endif
