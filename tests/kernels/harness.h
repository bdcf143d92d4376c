/* The kernel test tool: how a family of kernels writes its cases.
 *
 * A case is a function of a struct kt. It is called once per distinct version of its kernels (every
 * subset of the CPU's features, and c/ as compiled for each level) and per placement of buffers
 * (end at a guard page; start behind one; a walk in which each step has another alignment, and in
 * one step each buffer another one), always with the same random numbers. It makes its inputs from
 * kt_*, calls T->k->member, and hands every output to kt_check*() at once. The tool compares these,
 * by memcmp, with those of the baseline version (mask 0), and hashes them for --digest. There is no
 * tolerance. A crash is one failure; the tool goes on.
 *
 * Kernels run in the environment that the executor enters: nearest even, no traps, no flushing.
 * Where buffers start behind a guard, all exception flags are raised before. A kernel fails that
 * leaves another control word or upper halves of vector registers in use.
 *
 *     static void relu(struct kt *t) {
 *         for (int64_t n = 0; n <= (t->quick ? 40 : 140); n++) {
 *             kt_step(t, "n=%d", (int)n);                  // names what follows, frees buffers
 *             float *x = kt_f32(t, n, KT_SPECIAL);         // a filled input
 *             kt_protect(t);                               // inputs so far become read-only
 *             float *y = kt_buffer(t, n, 4);               // an output, filled with 0xA5
 *             t->k->relu_f32(y, x, n);
 *             kt_check_f32(t, y, n);
 *         }
 *     }
 *     static void relu_call(const struct fzk_table *k, void *arg) { ... k->relu_f32(...); }
 *     static void relu_bench(struct kt *t) { ... kt_bench(t, n, relu_call, &arg, "n=%d", n); }
 *     const struct kt_case math_cases[] = {
 *         {"relu_f32/lengths", KT_KERNEL(relu_f32), relu, relu_bench},
 *         {0}};
 *
 * and one line in `families` of kernels_test.c, one word in meson.build. */
#ifndef FZ_TESTS_KERNELS_HARNESS_H
#define FZ_TESTS_KERNELS_HARNESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "kernels.h"

#define KT_PRINTF(fmt, args) __attribute__((format(printf, fmt, args)))
#define KT_KERNEL(member) offsetof(struct fzk_table, member)

/* The run of one case; private members are in kernels_test.c's struct. */
struct kt {
    const struct fzk_table *k; /* call kernels through this */
    bool quick;                /* fewer shapes, please */
    bool brief;                /* so few that an emulated CPU is done soon; quick is set, too */
    bool baseline;             /* mask 0 makes the reference: compare with an own oracle here */
};

struct kt_case {
    const char *name; /* kernel, slash, what is varied */
    size_t member;    /* KT_KERNEL(member) */
    void (*run)(struct kt *t);
    void (*bench)(struct kt *t); /* NULL: none */
    size_t also[8];              /* KT_KERNEL()s of other kernels that it calls; 0 ends the list */
};

/* Names the next step for messages and releases all buffers of the one before. */
void kt_step(struct kt *t, const char *format, ...) KT_PRINTF(2, 3);

/* ---- buffers: between PROT_NONE pages; bytes between buffer and guard must stay untouched */

/* N elements of WIDTH bytes (1, 2, 4, 8), filled with 0xA5. N may be 0. */
void *kt_buffer(struct kt *t, int64_t n, size_t width);
/* The same, aligned to 64 bytes in every placement (a kernel that promises less needs none). */
void *kt_buffer_aligned(struct kt *t, int64_t n, size_t width);
/* Makes every buffer of this step so far read-only: kernels may not write their inputs. */
void kt_protect(struct kt *t);

/* ---- values: a pure function of the case's name, --seed and the calls before. Two of these in the
 * arguments of one call, or in one initialiser, come in an order that the compiler chooses: give
 * each a statement of its own. */

enum kt_values {
    KT_UNIFORM, /* [-1, 1) */
    KT_WIDE,    /* any sign, exponents 2^-40 .. 2^40: sums cancel and round at every step */
    KT_SPECIAL, /* WIDE with inf, NaN, subnormals, -0, +0, largest, smallest mixed in */
    KT_FINITE,  /* SPECIAL without inf and NaN */
    KT_SMALL,   /* integers -8 .. 8: exact sums, many ties */
    KT_BITS,    /* any bit pattern */
    KT_TINY,    /* subnormal, or so small that products become subnormal or zero */
    KT_HUGE,    /* near the largest number: sums and products overflow */
    KT_CANCEL,  /* x, -x, and neighbours of these: differences of a few units in the last place */
    KT_CLASSES
};
uint64_t kt_random(struct kt *t);
int64_t kt_range(struct kt *t, int64_t lo, int64_t hi); /* lo <= result <= hi */
void kt_fill_f32(struct kt *t, float *p, int64_t n, enum kt_values values);
void kt_fill_f64(struct kt *t, double *p, int64_t n, enum kt_values values);
void kt_fill_bytes(struct kt *t, void *p, int64_t n); /* any bytes */
/* Any integers of WIDTH bytes, the same numbers on every host. */
void kt_fill_integers(struct kt *t, void *p, int64_t n, size_t width);
float *kt_f32(struct kt *t, int64_t n, enum kt_values values); /* kt_buffer and fill */

/* ---- results */

void kt_check(struct kt *t, const void *p, int64_t n, size_t width); /* integers: exact bytes */
void kt_check_f32(struct kt *t, const float *p, int64_t n);          /* any NaN equals any NaN */
void kt_check_f64(struct kt *t, const double *p, int64_t n);
/* The case itself sees that something is wrong. Does not return. */
void kt_fail(struct kt *t, const char *format, ...) KT_PRINTF(2, 3) __attribute__((noreturn));

/* ---- environments that a host may have set: for kernels that owe them nothing. Between the two
 * calls there is the kernel and nothing else. */
int kt_hostile_count(void);
void kt_hostile_enter(struct kt *t, int i);
void kt_hostile_leave(struct kt *t, int i);

/* ---- benchmarks: prints ns a call, and WORK (flops, elements, bytes...) per ns */
void kt_bench(struct kt *t, double work, void (*call)(const struct fzk_table *k, void *arg),
              void *arg, const char *format, ...) KT_PRINTF(5, 6);

/* ---- the families */
extern const struct kt_case gemm_cases[], finish_cases[], narrow_cases[], conv_cases[],
    pool_cases[], tree_cases[], qgemm_cases[], qdwconv_cases[],
    qgemm_elementwise_cases[], math_cases[], math_rows_cases[],
    value_cases[], environment_cases[];
/* others: one line each, here and in kernels_test.c */

#endif
