/* The most multiply-adds per nanosecond that this file's instruction set reaches on this core,
 * now. */
#include <time.h>

#include "run.h"

/* 12 chains of vectors cover the latency of an fma (4) on up to three units. */
#ifdef __AVX512F__
enum { LANES = 16 };
#else
enum { LANES = 8 };
#endif
typedef float vector __attribute__((vector_size(LANES * 4)));

static double seconds(void) {
    struct timespec ts;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts);
    return (double)ts.tv_sec + 1e-9 * (double)ts.tv_nsec;
}

#ifdef __AVX512F__
#define FMA(acc) __asm__ volatile("vfmadd231ps %1, %1, %0" : "+v"(acc) : "v"(x))
#else
#define FMA(acc) __asm__ volatile("vfmadd231ps %1, %1, %0" : "+x"(acc) : "x"(x))
#endif

double PEAK_NAME(void) {
    vector x = {0}, a = x, b = x, c = x, d = x, e = x, f = x, g = x, h = x, i = x, j = x, k = x,
           l = x;
    double best = 1e30;
    for (int round = 0; round < 1000; round++) {
        double start = seconds();
        for (int n = 0; n < 5000; n++) {
            FMA(a); FMA(b); FMA(c); FMA(d); FMA(e); FMA(f);
            FMA(g); FMA(h); FMA(i); FMA(j); FMA(k); FMA(l);
        }
        double took = seconds() - start;
        if (took < best) best = took;
    }
    return 5000.0 * 12 * LANES * 2 / (best * 1e9);
}
