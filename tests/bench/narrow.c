/* How much of the memory's read bandwidth a product of one row with 4-bit weights reaches: 4096 x
 * 4096, blocks of 32 with a binary32 scale, threads by columns, over so many matrices in turn that
 * none is in a cache when its turn comes. Both numbers are measured in the same run, in turn.
 *
 * narrow [THREADS [MIB]]: MIB of matrices in all, at least twice the last-level cache. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "kernels.h"

enum { SIZE = 4096, BLOCK = 32, MOST_THREADS = 64, ROUNDS = 7 };

struct part {
    pthread_barrier_t *barrier;
    const struct fzk_table *k;
    const uint8_t *memory; /* of all matrices: the weights of one, then its scales */
    const float *a;
    float *c;
    size_t matrix_size, weights_size;
    long n, index, threads;
    uint64_t sum;          /* what reading gave, so that it happens */
    double read_seconds, product_seconds;
};

static double now(void) {
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (double)ts.tv_sec + 1e-9 * (double)ts.tv_nsec;
}

/* The sum of N bytes' words, by eight chains that the compiler makes vectors of. */
static uint64_t read_all(const uint8_t *p, size_t n) {
    typedef uint64_t vector __attribute__((vector_size(64), aligned(8)));
    vector sum[4] = {0};
    for (size_t i = 0; i + 256 <= n; i += 256)
        for (size_t j = 0; j < 4; j++) sum[j] += *(const vector *)(const void *)(p + i + 64 * j);
    sum[0] += sum[1] + sum[2] + sum[3];
    return sum[0][0] + sum[0][1] + sum[0][2] + sum[0][3] + sum[0][4] + sum[0][5] + sum[0][6] +
           sum[0][7];
}

/* This thread's columns of matrix I. */
static void multiply(struct part *p, long i) {
    int64_t panels = SIZE / FZK_PANEL, first = panels * p->index / p->threads;
    int64_t last = panels * (p->index + 1) / p->threads;
    const uint8_t *at = p->memory + (size_t)i * p->matrix_size;
    const float *scale = (const float *)(const void *)(at + p->weights_size);
    struct fzk_ngemm_f32 g = {
        .w = {.form = FZK_NARROW_4, .middle = 8, .k = SIZE, .block = BLOCK,
              .b = at + first * fzk_narrow_size(FZK_NARROW_4, SIZE),
              .scale = scale + first * (SIZE / BLOCK) * FZK_PANEL},
        .m = 1, .n = (last - first) * FZK_PANEL, .a = p->a, .lda = SIZE,
        .c = p->c + first * FZK_PANEL, .ldc = SIZE};
    p->k->ngemm_f32(&g);
}

static void *work(void *arg) {
    struct part *p = arg;
    size_t all = (size_t)p->n * p->matrix_size, share = all / (size_t)p->threads / 256 * 256;
    p->read_seconds = p->product_seconds = 1e30;
    for (int round = 0; round < ROUNDS; round++) {
        pthread_barrier_wait(p->barrier);
        double start = now();
        p->sum += read_all(p->memory + (size_t)p->index * share, share);
        pthread_barrier_wait(p->barrier);
        double read = now();
        for (long i = 0; i < p->n; i++) {
            multiply(p, i);
            pthread_barrier_wait(p->barrier); /* one product after the other */
        }
        double end = now();
        if (read - start < p->read_seconds) p->read_seconds = read - start;
        if (end - read < p->product_seconds) p->product_seconds = end - read;
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
    pthread_barrier_t barrier;
    if (threads < 1 || threads > MOST_THREADS || mib < 1) return 2;
    fzk_table_fill(&k, fzk_cpu_mask());
    struct part p = {.barrier = &barrier, .k = &k, .a = a, .c = c, .threads = threads,
                     .weights_size = (size_t)SIZE / FZK_PANEL *
                                     (size_t)fzk_narrow_size(FZK_NARROW_4, SIZE)};
    p.matrix_size = p.weights_size + (size_t)SIZE * (SIZE / BLOCK) * 4;
    p.n = (long)(((size_t)mib << 20) / p.matrix_size) + 1;
    uint8_t *memory = aligned_alloc(4096, (size_t)p.n * p.matrix_size);
    if (!memory || pthread_barrier_init(&barrier, NULL, (unsigned)threads)) return 2;
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
    double bytes = (double)p.n * (double)p.matrix_size;
    double read = bytes / parts[0].read_seconds * 1e-9;
    double product = bytes / parts[0].product_seconds * 1e-9;
    printf("last-level cache %ld MiB, %ld matrices of %.1f MiB, %.0f MiB in all, threads %ld\n",
           cache >> 20, p.n, (double)p.matrix_size / 1048576, bytes / 1048576, threads);
    printf("read %.2f GB/s, 4-bit product of one row %.2f GB/s (%.3f ms each): %.1f %%\n", read,
           product, parts[0].product_seconds * 1e3 / (double)p.n, 100 * product / read);
    free(memory);
    return 0;
}
