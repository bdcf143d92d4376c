/* How much of the memory's read bandwidth a product of one row with 4-bit weights reaches: 4096 x
 * 4096, blocks of 32 with a binary32 scale, threads by columns, over so many matrices in turn that
 * none is in a cache when its turn comes. One matrix is multiplied, the next ones are read in
 * several ways, and in the next round all ways move on by one: the same bytes, by the same threads,
 * in the same pieces, at nearly the same time. Of each matrix and way the best round counts.
 *
 * narrow [THREADS [MIB]]: MIB of matrices in all, at least twice the last-level cache. */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "kernels.h"

enum { SIZE = 4096, BLOCK = 32, MOST_THREADS = 64, ROUNDS = 42 };
enum { MULTIPLY = 6, WAYS }; /* ways to read, and the product */

/* Where threads meet, awake: sleeping would cost as much as a piece of work. */
struct gate {
    _Atomic long count, phase;
};


struct part {
    struct gate *gate;
    const struct fzk_table *k;
    const uint8_t *memory; /* of all matrices: the weights of one, then its scales */
    const float *a;
    float *c;
    size_t matrix_size, weights_size;
    long n, index, threads;
    uint64_t sum;          /* what reading gave, so that it happens */
    double *best[WAYS];      /* seconds of each matrix, kept by the first thread */
};

static double now(void) {
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (double)ts.tv_sec + 1e-9 * (double)ts.tv_nsec;
}

typedef uint64_t vector __attribute__((vector_size(64), aligned(8)));

/* The sum of the words of STREAMS equal pieces of N bytes, read side by side, each fetched AHEAD
 * bytes before. */
static inline uint64_t read_streams(const uint8_t *p, size_t n, size_t streams, size_t ahead) {
    size_t piece = n / streams / 256 * 256;
    vector sum[4] = {0};
    for (size_t i = 0; i < piece; i += 256)
        for (size_t s = 0; s < streams; s++)
            for (size_t j = 0; j < 4; j++) {
                const uint8_t *at = p + s * piece + i + 64 * j;
                if (ahead) __builtin_prefetch(at + ahead);
                sum[j] += *(const vector *)(const void *)at;
            }
    sum[0] += sum[1] + sum[2] + sum[3];
    return sum[0][0] + sum[0][1] + sum[0][2] + sum[0][3] + sum[0][4] + sum[0][5] + sum[0][6] +
           sum[0][7];
}

/* No way to read is the fastest everywhere: the fastest of these counts. */
static uint64_t read_all(const uint8_t *p, size_t n, long way) {
    switch (way) {
    case 0: return read_streams(p, n, 1, 0);
    case 1: return read_streams(p, n, 1, 4096);
    case 2: return read_streams(p, n, 4, 0);
    case 3: return read_streams(p, n, 4, 2048);
    case 4: return read_streams(p, n, 8, 0);
    default: return read_streams(p, n, 8, 1024);
    }
}

static void meet(struct gate *g, long threads) {
    long phase = atomic_load(&g->phase);
    if (atomic_fetch_add(&g->count, 1) + 1 < threads) {
        while (atomic_load_explicit(&g->phase, memory_order_acquire) == phase) {}
        return;
    }
    atomic_store(&g->count, 0);
    atomic_store(&g->phase, phase + 1);
}

/* This thread's columns of matrix I. */
static struct fzk_ngemm_f32 share_of(const struct part *p, long i) {
    int64_t panels = SIZE / FZK_PANEL, first = panels * p->index / p->threads;
    int64_t last = panels * (p->index + 1) / p->threads;
    const uint8_t *at = p->memory + (size_t)i * p->matrix_size;
    const float *scale = (const float *)(const void *)(at + p->weights_size);
    return (struct fzk_ngemm_f32){
        .w = {.form = FZK_NARROW_4, .middle = 8, .k = SIZE, .block = BLOCK,
              .b = at + first * fzk_narrow_size(FZK_NARROW_4, SIZE),
              .scale = scale + first * (SIZE / BLOCK) * FZK_PANEL},
        .m = 1, .n = (last - first) * FZK_PANEL, .a = p->a, .lda = SIZE,
        .c = p->c + first * FZK_PANEL, .ldc = SIZE};
}

static uint64_t read_share(const struct fzk_ngemm_f32 *g, long way) {
    size_t panels = (size_t)g->n / FZK_PANEL;
    return read_all(g->w.b, panels * (size_t)fzk_narrow_size(FZK_NARROW_4, SIZE), way) +
           read_all((const uint8_t *)g->w.scale, panels * (SIZE / BLOCK) * FZK_PANEL * 4, way);
}

static void *work(void *arg) {
    struct part *p = arg;
    for (long u = 0; u < ROUNDS * p->n; u++) {
        long i = u % p->n, way = (i + u / p->n) % WAYS;
        struct fzk_ngemm_f32 g = share_of(p, i);
        meet(p->gate, p->threads);
        double start = now();
        if (way < MULTIPLY) p->sum += read_share(&g, way);
        else p->k->ngemm_f32(&g);
        meet(p->gate, p->threads);
        double took = now() - start;
        if (p->index == 0 && took < p->best[way][i]) p->best[way][i] = took;
    }
    return NULL;
}

/* Any weights, scales near 1. */
static void fill(uint8_t *memory, const struct part *p) {
    uint32_t x = 1;
    for (size_t i = 0; i < (size_t)p->n * p->matrix_size; i += 4) {
        x = x * 1664525 + 1013904223;
        uint32_t word = i % p->matrix_size < p->weights_size ? x : 0x3F800000 | x >> 9;
        memcpy(memory + i, &word, 4);
    }
}

int main(int argc, char **argv) {
    static struct part parts[MOST_THREADS];
    static float a[SIZE], c[SIZE];
    long threads = argc > 1 ? atol(argv[1]) : 2, cache = sysconf(_SC_LEVEL3_CACHE_SIZE);
    long mib = argc > 2 ? atol(argv[2]) : cache > 0 ? 2 * (cache >> 20) + 1 : 256;
    struct fzk_table k;
    struct gate gate = {0};
    if (threads < 1 || threads > MOST_THREADS || mib < 1) return 2;
    fzk_table_fill(&k, fzk_cpu_mask());
    struct part p = {.gate = &gate, .k = &k, .a = a, .c = c, .threads = threads,
                     .weights_size = (size_t)SIZE / FZK_PANEL *
                                     (size_t)fzk_narrow_size(FZK_NARROW_4, SIZE)};
    p.matrix_size = p.weights_size + (size_t)SIZE * (SIZE / BLOCK) * 4;
    p.n = (long)(((size_t)mib << 20) / p.matrix_size) + 1;
    uint8_t *memory = aligned_alloc(4096, (size_t)p.n * p.matrix_size);
    if (!memory) return 2;
    for (int way = 0; way < WAYS; way++) {
        p.best[way] = malloc((size_t)p.n * sizeof(double));
        if (!p.best[way]) return 2;
        for (long i = 0; i < p.n; i++) p.best[way][i] = 1e30;
    }
    fill(memory, &p);
    for (int i = 0; i < SIZE; i++) a[i] = (float)(i % 17 - 8) / 8;
    p.memory = memory;
    pthread_t ids[MOST_THREADS];
    for (long i = 0; i < threads; i++) {
        parts[i] = p;
        parts[i].index = i;
        if (pthread_create(&ids[i], NULL, work, &parts[i])) return 2;
    }
    for (long i = 0; i < threads; i++) pthread_join(ids[i], NULL);
    double bytes = (double)p.n * (double)p.matrix_size, speed[WAYS], read = 0;
    printf("last-level cache %ld MiB, %ld matrices of %.1f MiB, %.0f MiB in all, threads %ld\nread",
           cache >> 20, p.n, (double)p.matrix_size / 1048576, bytes / 1048576, threads);
    for (int way = 0; way < WAYS; way++) {
        double seconds = 0;
        for (long i = 0; i < p.n; i++) seconds += p.best[way][i];
        speed[way] = bytes / seconds * 1e-9;
        if (way == MULTIPLY) break;
        printf(" %.2f", speed[way]);
        if (speed[way] > read) read = speed[way];
    }
    printf(" GB/s in %d ways\n4-bit product of one row %.2f GB/s (%.3f ms each): %.1f %%\n", MULTIPLY,
           speed[MULTIPLY], bytes / speed[MULTIPLY] * 1e-6 / (double)p.n,
           100 * speed[MULTIPLY] / read);
    free(memory);
    for (int way = 0; way < WAYS; way++) free(p.best[way]);
    return 0;
}
