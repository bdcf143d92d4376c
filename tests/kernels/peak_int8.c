/* The most multiply-adds of bytes per nanosecond that this file's instruction set reaches on this
 * core, now: tiles of AMX, vpdpbusd, or vpmaddwd after widening. */
#include <string.h>
#include <time.h>

#include "run.h"

static double seconds(void) {
    struct timespec ts;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts);
    return (double)ts.tv_sec + 1e-9 * (double)ts.tv_nsec;
}

#if defined(__AMX_INT8__)
/* Four tiles of sums, as a product of two tiles with two has. */
enum { OPERATIONS = 4 * 2 * 16 * 16 * 64 };
#define ONCE                                                                                       \
    __asm__ volatile("tdpbusd %%tmm6, %%tmm4, %%tmm0\n\ttdpbusd %%tmm7, %%tmm4, %%tmm1\n\t"        \
                     "tdpbusd %%tmm6, %%tmm5, %%tmm2\n\ttdpbusd %%tmm7, %%tmm5, %%tmm3" : :)
static void begin(void) {
    uint8_t config[64] = {1};
    for (int t = 0; t < 8; t++) config[16 + 2 * t] = 64, config[48 + t] = 16;
    __asm__ volatile("ldtilecfg %0" : : "m"(config));
}
static void end(void) { __asm__ volatile("tilerelease"); }
#else
/* Twelve chains cover the latency on up to two units. */
#if defined(__AVX512VNNI__)
#define DOT(acc) __asm__ volatile("vpdpbusd %1, %1, %0" : "+v"(acc) : "v"(x))
typedef int32_t vector __attribute__((vector_size(64)));
enum { OPERATIONS = 12 * 2 * 64 };
#else
#define DOT(acc) __asm__ volatile("vpmaddwd %1, %1, %%ymm15\n\tvpaddd %%ymm15, %0, %0"             \
                                  : "+x"(acc) : "x"(x) : "ymm15")
typedef int32_t vector __attribute__((vector_size(32)));
enum { OPERATIONS = 12 * 2 * 16 };
#endif
#define ONCE                                                                                       \
    DOT(a); DOT(b); DOT(c); DOT(d); DOT(e); DOT(f); DOT(g); DOT(h); DOT(i); DOT(j); DOT(k); DOT(l)
static void begin(void) {}
static void end(void) {}
#endif

double PEAK_NAME(void) {
#if !defined(__AMX_INT8__)
    vector x = {0}, a = x, b = x, c = x, d = x, e = x, f = x, g = x, h = x, i = x, j = x, k = x,
           l = x;
#endif
    double best = 1e30;
    begin();
    for (int round = 0; round < 1000; round++) {
        double start = seconds();
        for (int n = 0; n < 5000; n++) { ONCE; }
        double took = seconds() - start;
        if (took < best) best = took;
    }
    end();
    return 5000.0 * OPERATIONS / (best * 1e9);
}
