/* The choice of kernels: the reference first, then rising instruction sets with early returns.
 *
 * fzk_fill_c, _v3 and _v4 set every member; the hand-written ones (avx2...) set a few. So a kernel
 * that is written by hand for avx2 but not for avx512 is named in x86/avx512.c's list, too. */
#include "kernels.h"

void fzk_fill_c(struct fzk_table *table);
void fzk_fill_v3(struct fzk_table *table);
void fzk_fill_v4(struct fzk_table *table);
void fzk_fill_avx2(struct fzk_table *table);
void fzk_fill_avxvnni(struct fzk_table *table);
void fzk_fill_avx512(struct fzk_table *table);
void fzk_fill_avx512vnni(struct fzk_table *table);
void fzk_fill_amx(struct fzk_table *table);
void fzk_fill_neon(struct fzk_table *table);
void fzk_fill_dotprod(struct fzk_table *table);
void fzk_fill_i8mm(struct fzk_table *table);

void fzk_table_fill(struct fzk_table *table, uint32_t mask) {
    fzk_fill_c(table);
#if defined(__x86_64__) && !defined(FZK_NO_SIMD)
    if (!(mask & FZK_CPU_V3)) return;
    fzk_fill_v3(table);
    fzk_fill_avx2(table);
    if (mask & FZK_CPU_AVXVNNI) fzk_fill_avxvnni(table);
    if (!(mask & FZK_CPU_V4)) return;
    fzk_fill_v4(table);
    fzk_fill_avx512(table);
    if (!(mask & FZK_CPU_AVX512VNNI)) return;
    fzk_fill_avx512vnni(table);
    if (mask & FZK_CPU_AMXINT8) fzk_fill_amx(table);
#elif defined(__aarch64__) && !defined(FZK_NO_SIMD)
    if (!(mask & FZK_CPU_NEON)) return;
    fzk_fill_neon(table);
    if (!(mask & FZK_CPU_NEON_DOTPROD)) return;
    fzk_fill_dotprod(table);
    if (!(mask & FZK_CPU_NEON_I8MM)) return;
    fzk_fill_i8mm(table);
#else
    (void)mask;
#endif
}
