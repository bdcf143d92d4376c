/* Discrete Fourier transforms of any length by its prime factors, the smallest first: sums over a
 * factor go upwards, each term a complex product (four products, two sums), everything rounded to
 * the type of the data; the roots of unity are computed in binary64 and rounded to it. */
#ifndef FZ_OPS_FFT_H
#define FZ_OPS_FFT_H

#include "ops/op.h"

/* Transforms that share a length, cut among the threads: load fills the n elements of X for a LINE,
 * store takes its n results. Elements are pairs of numbers of DTYPE, F32 or F64. The inverse is not
 * divided by n. */
struct fz_fft_job {
    int32_t dtype;
    const void *arg;
    int64_t lines, n;
    bool inverse;
    void (*load)(const void *arg, int64_t line, void *x);
    void (*store)(const void *arg, int64_t line, const void *y);
};
size_t fzi_fft_scratch(const struct fz_env *env, int64_t lines, int64_t n);
/* A run that is to end leaves the rest undone. */
void fzi_fft_run(const struct fz_env *env, const struct fz_fft_job *job, void *scratch);

#endif
