/* Transforms of binary32 and binary64, and their lines cut into tasks. */
#include "ops/fft.h"

struct task {
    const struct fz_env *env;
    const struct fz_fft_job *job;
    void *scratch; /* the table, then rooms of x, y and temp */
    int64_t count;
};

static int64_t largest_factor(int64_t n) {
    for (int64_t p = 2; p * p <= n;) {
        if (n % p == 0) n /= p;
        else p++;
    }
    return n;
}

#define REAL float
#define NAME(x) f32_##x
#include "ops/fft_body.h"
#undef REAL
#undef NAME
#define REAL double
#define NAME(x) f64_##x
#include "ops/fft_body.h"

static int64_t count_of(const struct fz_env *env, int64_t lines) {
    return env->threads > 1 ? fzi_max_i64(1, fzi_min_i64(lines, 4 * (int64_t)env->threads)) : 1;
}

size_t fzi_fft_scratch(const struct fz_env *env, int64_t lines, int64_t n) {
    return 2 * sizeof(double) * (size_t)n * (size_t)(1 + 3 * count_of(env, lines));
}

void fzi_fft_run(const struct fz_env *env, const struct fz_fft_job *job, void *scratch) {
    struct task t = {env, job, scratch, count_of(env, job->lines)};
    bool single = job->dtype == FZ_TYPE_F32;
    if (job->lines == 0) return;
    if (single) f32_table(env->k, job->n, job->inverse, scratch);
    else f64_table(env->k, job->n, job->inverse, scratch);
    fz_task_fn run = single ? f32_run_task : f64_run_task;
    if (t.count == 1) run(&t, 0);
    else env->parallel(env, (size_t)t.count, run, &t);
}
