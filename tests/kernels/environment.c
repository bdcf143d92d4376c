/* Floating-point environments around kernels, and what a kernel must not leave behind. */
#include "run.h"

#if defined(__x86_64__)
#include <cpuid.h>

enum { FLAGS = 0x3F, NEAREST = 0x1F80 };
uint64_t environment_get(void) { return __builtin_ia32_stmxcsr(); }
static void put(uint64_t bits) { __builtin_ia32_ldmxcsr((uint32_t)bits); }
/* FTZ, DAZ, both, the other three roundings, all of it. */
static const uint64_t hostile[] = {0x9F80, 0x1FC0, 0x9FC0, 0x3F80, 0x5F80, 0x7F80, 0xFFC0};

/* Which parts of the vector state are not as after a reset: bit 2 the upper halves of ymm, bit 6
 * those of zmm, bits 17 and 18 tiles. Left so, the caller's SSE code becomes slow, and each change of
 * threads saves the tiles. */
static uint32_t upper_in_use(void) {
    uint32_t low, high;
    __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(1));
    return low & 0x60044;
}

/* Some CPUs and emulators cannot tell: ask about a state that is known. Compilers clear the upper
 * halves only where they optimise. */
static bool can_tell(void) {
    uint32_t a, b, c, d;
#ifndef __OPTIMIZE__
    return false;
#endif
    if (!(fzk_cpu_mask() & FZK_CPU_V3) || !__get_cpuid_count(0xD, 1, &a, &b, &c, &d)) return false;
    if (!(a & 4)) return false;
    __asm__ volatile("vpcmpeqd %%ymm1, %%ymm1, %%ymm1" ::: "xmm1");
    uint32_t dirty = upper_in_use();
    __asm__ volatile("vzeroupper" ::: "xmm1");
    return dirty && !upper_in_use();
}

static bool telling;
bool environment_begin(void) { return telling = can_tell(); }

bool environment_upper_clean(void) {
    uint32_t in_use = telling ? upper_in_use() : 0;
    if (in_use & 0x44) __asm__ volatile("vzeroupper");
    if (in_use & 0x60000) __asm__ volatile(".byte 0xC4, 0xE2, 0x78, 0x49, 0xC0"); /* tilerelease */
    return !in_use;
}
#elif defined(__aarch64__)
#define FLAGS (0x0800009Full << 32) /* saturation of integers is a sticky flag, too: bit 27 */
enum { NEAREST = 0 };
uint64_t environment_get(void) {
    uint64_t control, flags;
    __asm__ volatile("mrs %0, fpcr\n\tmrs %1, fpsr" : "=r"(control), "=r"(flags));
    return (control & UINT32_MAX) | flags << 32;
}
static void put(uint64_t bits) {
    __asm__ volatile("msr fpcr, %0\n\tmsr fpsr, %1" : : "r"(bits & UINT32_MAX), "r"(bits >> 32));
}
/* Flush to zero, default NaN, the other three roundings, all of it. */
static const uint64_t hostile[] = {1 << 24, 1 << 25, 1 << 22, 2 << 22, 3 << 22,
                                   3 << 22 | 1 << 24 | 1 << 25};
bool environment_begin(void) { return true; }
bool environment_upper_clean(void) { return true; }
#elif defined(__s390x__)
enum { FLAGS = 0xF80000, NEAREST = 0 };
uint64_t environment_get(void) {
    uint32_t bits;
    __asm__ volatile("efpc %0" : "=d"(bits));
    return bits;
}
static void put(uint64_t bits) { __asm__ volatile("sfpc %0" : : "d"((uint32_t)bits)); }
/* The other three roundings. */
static const uint64_t hostile[] = {1, 2, 3};
bool environment_begin(void) { return true; }
bool environment_upper_clean(void) { return true; }
#elif defined(__riscv)
enum { FLAGS = 0x1F, NEAREST = 0 };
uint64_t environment_get(void) {
    uint64_t bits;
    __asm__ volatile("csrr %0, fcsr" : "=r"(bits));
    return bits;
}
static void put(uint64_t bits) { __asm__ volatile("csrw fcsr, %0" : : "r"(bits)); }
static const uint64_t hostile[] = {1 << 5, 2 << 5, 3 << 5};
bool environment_begin(void) { return true; }
bool environment_upper_clean(void) { return true; }
#else /* nothing known: the tests of environments compare a kernel with itself */
enum { FLAGS = 0, NEAREST = 0 };
uint64_t environment_get(void) { return 0; }
static void put(uint64_t bits) { (void)bits; }
static const uint64_t hostile[] = {0};
bool environment_begin(void) { return true; }
bool environment_upper_clean(void) { return true; }
#endif

void environment_plain(void) { put(NEAREST); }
void environment_raise_flags(void) { put(NEAREST | (uint64_t)FLAGS); }
bool environment_is_plain(void) { return (environment_get() & ~(uint64_t)FLAGS) == NEAREST; }

int kt_hostile_count(void) { return sizeof hostile / sizeof hostile[0]; }
void kt_hostile_enter(struct kt *t, int i) {
    ((struct run *)t)->hostile = true;
    put(hostile[i]);
}
void kt_hostile_leave(struct kt *t, int i) {
    uint64_t control = environment_get() & ~(uint64_t)FLAGS;
    environment_plain();
    ((struct run *)t)->hostile = false;
    if (control != (hostile[i] & ~(uint64_t)FLAGS)) kt_fail(t, "a control word was changed");
}
