/* The profile blas: convolutions and products with constant weights as blocks of im2col rows, each
 * of FZK_BLAS_ROWS pixels of one image, times FZK_BLAS_COLUMNS columns. The cuts depend on nothing
 * but the shapes. Sums after the product are those of the portable profile. */
#include "blas/blas.h"
#include "ops/conv_tile.h"

/* A block's pixels are rows of A in place if there is one tap for each. */
static bool in_place(const struct fz_conv_params *p, const struct fz_conv_geometry *g) {
    for (int d = 0; d < 3; d++)
        if (p->kernel[d] != 1 || p->stride[d] != 1) return false;
    return !g->padded && p->group == 1;
}

/* The blocks are fixed; only how many tasks share them depends on the threads. A task's scratch
 * holds one block of im2col rows. */
void fzi_conv_blas_tiling(const struct fz_conv_params *p, const struct fz_conv_geometry *g,
                          const struct fz_env *env, struct fz_tiling *t) {
    int64_t pixels = g->out[0] * g->out[1] * g->out[2];
    int64_t blocks = fzi_ceil_div(pixels, FZK_BLAS_ROWS);
    *t = (struct fz_tiling){.bands_h = blocks, .bands = g->n * blocks, .split = 1, .pixel = g->k};
    t->count = fzi_max_i64(1, fzi_min_i64(t->bands, 4 * (int64_t)env->threads));
    if (!in_place(p, g))
        t->unit_size = fzi_align(
            (size_t)(fzi_min_i64(pixels, FZK_BLAS_ROWS) * g->k) * sizeof(float), 64);
}

/* y = y + bias, + residual, clip; then the other activations. */
static void finish(const struct fz_conv_job *job, int64_t first, int64_t m) {
    const struct fz_conv_params *p = job->p;
    float lo = (float)p->act.a, hi = (float)p->act.b;
    for (int64_t i = first; i < first + m; i++) {
        float *y = job->y + i * p->cout;
        const float *residual = job->residual ? job->residual + i * p->cout : NULL;
        for (int64_t j = 0; job->bias && j < p->cout; j++) y[j] = y[j] + job->bias[j];
        for (int64_t j = 0; residual && j < p->cout; j++) y[j] = y[j] + residual[j];
        for (int64_t j = 0; p->act.kind == FZ_ACT_CLIP && j < p->cout; j++) {
            float t = lo > y[j] ? lo : y[j];
            y[j] = hi < t ? hi : t;
        }
    }
    fzi_act_run(job->env->k, &p->act, job->y + first * p->cout, m * p->cout);
}

/* The taps of M pixels from number FIRST of image N on. */
static void gather(const struct fz_conv_job *job, int64_t n, int64_t first, int64_t m,
                   int64_t group, float *to) {
    const struct fz_conv_params *p = job->p;
    const struct fz_conv_geometry *g = job->g;
    for (int64_t i = first; i < first + m; i++, to += g->k) {
        int64_t w = i % g->out[2], h = i / g->out[2] % g->out[1], d = i / g->out[2] / g->out[1];
        const int64_t at[4] = {n, d * p->stride[0] - g->before[0], h * p->stride[1] - g->before[1],
                               w * p->stride[2] - g->before[2]};
        fzi_tile_gather(job, at, group, to);
    }
}

/* One block of rows by all columns of all groups. */
static void block(const struct fz_conv_job *job, int64_t n, int64_t first, int64_t m,
                  float *scratch) {
    const struct fz_conv_params *p = job->p;
    const struct fz_conv_geometry *g = job->g;
    int64_t row = n * g->out[0] * g->out[1] * g->out[2] + first;
    for (int64_t group = 0; group < p->group; group++) {
        struct fzk_blas_block b = {.m = m, .k = g->k, .a = job->x + row * p->cin, .lda = g->k,
                                   .ldb = g->cout_g, .ldc = p->cout};
        if (!in_place(p, g)) {
            gather(job, n, first, m, group, scratch);
            b.a = scratch;
        }
        for (int64_t j = 0; j < g->cout_g; j += FZK_BLAS_COLUMNS) {
            b.n = fzi_min_i64(FZK_BLAS_COLUMNS, g->cout_g - j);
            b.b = job->w + group * g->k * g->cout_g + j;
            b.c = job->y + row * p->cout + group * g->cout_g + j;
            fzk_blas_multiply(job->env->blas, &b);
        }
    }
    finish(job, row, m);
}

struct blas_work {
    const struct fz_conv_job *job;
    const struct fz_tiling *tiling;
};

/* Blocks i, i + count, ...: numbered through the images, so that a block never holds pixels of two
 * of them and a batch of one gives the bits of a row of a larger batch. */
static void task(void *arg, size_t i) {
    const struct blas_work *work = arg;
    const struct fz_tiling *t = work->tiling;
    const struct fz_conv_geometry *g = work->job->g;
    int64_t pixels = g->out[0] * g->out[1] * g->out[2];
    char *scratch = work->job->scratch;
    for (int64_t u = (int64_t)i; u < t->bands; u += t->count) {
        int64_t first = u % t->bands_h * FZK_BLAS_ROWS;
        block(work->job, u / t->bands_h, first, fzi_min_i64(FZK_BLAS_ROWS, pixels - first),
              (float *)(scratch + i * t->unit_size));
    }
}

fz_status_t fzi_conv_blas_run(const struct fz_conv_job *job, const struct fz_tiling *t) {
    struct blas_work work = {job, t};
    if (!job->env->blas)
        return fzi_error(FZ_E_PROFILE, "the weights are laid out for OpenBLAS, which is not open");
    if (t->count == 1) task(&work, 0);
    else job->env->parallel(job->env, (size_t)t->count, task, &work);
    return FZ_OK;
}
