/* Which kernels this CPU can run. */
#include <stdbool.h>

#include "kernels.h"

#if defined(__x86_64__)
#include <cpuid.h>
#if __has_include(<sys/platform/x86.h>)
#include <sys/platform/x86.h>
#endif
#if defined(__linux__)
#include <sys/syscall.h>
#include <unistd.h>
#endif

struct leaf {
    uint32_t a, b, c, d;
};

/* A virtual machine traps every cpuid instruction, which takes it longer than a page fault. glibc
 * has asked for these leaves when the process started. Elsewhere <cpuid.h>'s functions, which want
 * the highest leaf each time, are called as seldom as can be. */
#if __has_include(<sys/platform/x86.h>)
static struct leaf known(uint32_t index) {
    const unsigned *r = __x86_get_cpuid_feature_leaf(index)->cpuid_array;
    return (struct leaf){r[0], r[1], r[2], r[3]};
}

static struct leaf leaf_1(void) { return known(CPUID_INDEX_1); }
static struct leaf leaf_7(void) { return known(CPUID_INDEX_7); }
static struct leaf leaf_7_1(void) { return known(CPUID_INDEX_7_ECX_1); }
static struct leaf leaf_80000001(void) { return known(CPUID_INDEX_80000001); }
#else
static struct leaf ask(uint32_t number, uint32_t part) {
    struct leaf l;
    __cpuid_count(number, part, l.a, l.b, l.c, l.d);
    return l;
}

static struct leaf leaf_1(void) { return ask(1, 0); }
static struct leaf leaf_7(void) {
    return __get_cpuid_max(0, NULL) < 7 ? (struct leaf){0, 0, 0, 0} : ask(7, 0);
}
static struct leaf leaf_7_1(void) {
    return leaf_7().a < 1 ? (struct leaf){0, 0, 0, 0} : ask(7, 1);
}
static struct leaf leaf_80000001(void) { return ask(0x80000001, 0); }
#endif

/* The register state that the operating system saves: bits 1, 2 for ymm, and 5, 6, 7 for zmm. */
static uint32_t saved_state(void) {
    uint32_t low, high;
    __asm__("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    return low;
}

/* Bit names are those of <cpuid.h>; that header lacks LZCNT's (leaf 0x80000001, ecx bit 5) under
 * some compilers. */
static uint32_t v3_mask(uint32_t leaf1, uint32_t leaf7) {
    const uint32_t need1 = bit_FMA | bit_MOVBE | bit_F16C | bit_AVX | bit_OSXSAVE;
    const uint32_t need7 = bit_AVX2 | bit_BMI | bit_BMI2;
    if ((leaf1 & need1) != need1 || (leaf7 & need7) != need7) return 0;
    if (!(leaf_80000001().c & 1u << 5)) return 0; /* whoever has AVX2 has this leaf */
    return (saved_state() & 0x6) == 0x6 ? FZK_CPU_V3 : 0;
}

/* Linux gives a process the tiles' 8 KiB of state when it asks for them, once for all of its
 * threads; until then their instructions fault. Elsewhere they stay unused. */
static bool tiles_permitted(void) {
#if defined(__linux__)
    enum { REQUEST_PERMISSION = 0x1023, TILE_DATA = 18 };
    return syscall(SYS_arch_prctl, REQUEST_PERMISSION, TILE_DATA) == 0;
#else
    return false;
#endif
}

/* Leaf 7: tiles, and tiles of bytes; their configuration and their data are state of their own. */
static bool has_tiles(uint32_t leaf7_edx) {
    const uint32_t need = 1u << 24 | 1u << 25, state = 1u << 17 | 1u << 18;
    return (leaf7_edx & need) == need && (saved_state() & state) == state && tiles_permitted();
}

uint32_t fzk_cpu_mask(void) {
    const uint32_t need_v4 = bit_AVX512F | bit_AVX512BW | bit_AVX512CD | bit_AVX512DQ |
                             bit_AVX512VL;
    struct leaf seven = leaf_7();
    uint32_t mask = v3_mask(leaf_1().c, seven.b);
    if (!mask) return 0;
    if (leaf_7_1().a & 1u << 4) mask |= FZK_CPU_AVXVNNI;
    if ((seven.b & need_v4) != need_v4 || (saved_state() & 0xE6) != 0xE6) return mask;
    mask |= FZK_CPU_V4;
    if (!(seven.c & bit_AVX512VNNI)) return mask;
    mask |= FZK_CPU_AVX512VNNI;
    return has_tiles(seven.d) ? mask | FZK_CPU_AMXINT8 : mask;
}
#elif defined(__aarch64__) && defined(__linux__)
#include <sys/auxv.h>

/* The bits of the kernel's documentation, "ARM64 ELF hwcaps". */
enum { HWCAP_ASIMD_BIT = 1 << 1, HWCAP_ASIMDDP_BIT = 1 << 20, HWCAP2_I8MM_BIT = 1 << 13 };

uint32_t fzk_cpu_mask(void) {
    unsigned long caps = getauxval(AT_HWCAP), caps2 = getauxval(AT_HWCAP2);
    if (!(caps & HWCAP_ASIMD_BIT)) return 0;
    if (!(caps & HWCAP_ASIMDDP_BIT)) return FZK_CPU_NEON;
    uint32_t mask = FZK_CPU_NEON | FZK_CPU_NEON_DOTPROD;
    return caps2 & HWCAP2_I8MM_BIT ? mask | FZK_CPU_NEON_I8MM : mask;
}
#elif defined(__aarch64__)
uint32_t fzk_cpu_mask(void) { return FZK_CPU_NEON; }
#else
uint32_t fzk_cpu_mask(void) { return 0; }
#endif
