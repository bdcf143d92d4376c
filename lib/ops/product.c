/* Batches of packed float32 matrix products, cut into tasks over batch, rows and panels. */
#include "ops/matmul.h"

struct pack_task {
    const struct fzk_table *kernels;
    const float *b;
    int64_t k, n, row, col, panels;
    float *out;
};

/* Panels [begin, end), numbered through all matrices. */
static void pack_range(void *arg, int64_t begin, int64_t end) {
    const struct pack_task *t = arg;
    for (int64_t i = begin; i < end; i++) {
        int64_t matrix = i / t->panels, at = i % t->panels * FZK_PANEL;
        struct fzk_pack_b_f32 p = {.to = t->out + i * t->k * FZK_PANEL,
                                   .b = t->b + matrix * t->k * t->n + at * t->col, .k = t->k,
                                   .n = fzi_min_i64(FZK_PANEL, t->n - at), .row_stride = t->row,
                                   .col_stride = t->col};
        t->kernels->pack_b_f32(&p);
    }
}

void fzi_product_pack(const struct fz_env *env, const float *b, int64_t count, int64_t k, int64_t n,
                      bool trans, float *out) {
    struct pack_task t = {env->k, b, k, n, trans ? 1 : n, trans ? k : 1,
                          fzi_ceil_div(n, FZK_PANEL), out};
    fzi_run_range(env, count * t.panels, 1 + 512 / (k + 1), pack_range, &t);
}

bool fzi_product_packed_size(int64_t count, int64_t k, int64_t n, size_t *size) {
    int64_t dims[4] = {count, 0, k, FZK_PANEL * (int64_t)sizeof(float)}, bytes;
    if (n > INT64_MAX - FZK_PANEL) return false;
    dims[1] = fzi_ceil_div(n, FZK_PANEL);
    if (!fzi_dims_count(dims, 0, 4, &bytes) || bytes > INT64_MAX >> 8) return false;
    *size = (size_t)bytes;
    return true;
}

/* How a batch is cut: each matrix into BANDS of rows and SPLIT parts of its panels. */
struct cut {
    const struct fz_product *p;
    int64_t bands, split, panels, units, count;
};

/* Mixed-radix digits of I, each times its step. */
void fzi_product_find(const struct fz_product *p, int64_t i, int64_t *a, int64_t *b) {
    *a = *b = 0;
    for (int32_t d = p->rank - 1; d >= 0; d--) {
        *a += i % p->dims[d] * p->a_step[d];
        *b += i % p->dims[d] * p->b_step[d];
        i /= p->dims[d];
    }
}

/* A division stays a division: the reciprocal would change bits. */
void fzi_product_rescale(const struct fz_product *p, float *x, int64_t n) {
    int32_t fn = p->scale_kind == FZ_SCALE_MUL ? FZK_BINARY_MUL : FZK_BINARY_DIV;
    if (p->scale_kind != FZ_SCALE_NONE) p->env->k->binary_f32(fn, x, x, &p->scale, n, 1, 0);
}

/* Scale and activation of M rows of WIDTH values at C. */
static void finish(const struct fz_product *p, float *c, int64_t m, int64_t width) {
    if (p->scale_kind == FZ_SCALE_NONE && !fzi_act_runs(&p->act)) return;
    if (width == p->n) width *= m, m = 1;
    for (int64_t i = 0; i < m; i++) {
        fzi_product_rescale(p, c + i * p->n, width);
        fzi_act_run(p->env->k, &p->act, c + i * p->n, width);
    }
}

/* One GEMM: some rows by some panels of one product. */
static void unit(const struct cut *cut, int64_t i) {
    const struct fz_product *p = cut->p;
    int64_t part = i % cut->split, band = i / cut->split % cut->bands;
    int64_t matrix = i / cut->split / cut->bands, a, b;
    int64_t first = cut->panels * part / cut->split * FZK_PANEL;
    int64_t last = fzi_min_i64(cut->panels * (part + 1) / cut->split * FZK_PANEL, p->n);
    int64_t row = p->m * band / cut->bands, end = p->m * (band + 1) / cut->bands;
    int64_t at = (matrix * p->m + row) * p->n + first;
    struct fzk_segment segment = {0, p->k};
    fzi_product_find(p, matrix, &a, &b);
    struct fzk_gemm_f32 g = {
        .m = end - row, .n = last - first, .k = p->k, .a = p->a + (a * p->m + row) * p->k,
        .lda = p->k, .segments = &segment, .n_segments = 1,
        .b = p->b + b * cut->panels * p->k * FZK_PANEL + first * p->k, .ahead = p->ahead,
        .c = p->c + at, .ldc = p->n,
        .bias = p->bias ? p->bias + first : NULL,
        .residual = p->residual ? p->residual + at : NULL, .ldr = p->n};
    fzi_act_clip(&p->act, &g);
    p->env->k->gemm_f32(&g);
    finish(p, g.c, g.m, g.n);
}

static void task(void *arg, size_t i) {
    const struct cut *cut = arg;
    int64_t n = (int64_t)i;
    for (int64_t u = cut->units * n / cut->count; u < cut->units * (n + 1) / cut->count; u++)
        unit(cut, u);
}

/* Cuts each matrix into about NEED units. Every band reads all of B again, every part of the
 * columns all of A: what reads least is best, unless one thread gets more units than another. */
static void choose_cut(struct cut *cut, int64_t need) {
    const struct fz_product *p = cut->p;
    int64_t threads = p->env->threads, least = INT64_MAX;
    int64_t most = fzi_min_i64(need, fzi_ceil_div(p->m, 28));
    for (int64_t bands = 1; bands <= most; bands++) {
        int64_t split = fzi_min_i64(fzi_ceil_div(need, bands), cut->panels);
        int64_t units = p->batch * bands * split, rounds = fzi_ceil_div(units, threads);
        int64_t reads = split * p->m + bands * p->n;
        reads += reads * (rounds * threads - units) / units;
        if (reads >= least) continue;
        least = reads;
        cut->bands = bands;
        cut->split = split;
    }
}

/* One thread needs no cuts: the kernel itself walks through panels that fit the cache. Few rows
 * wait for the weights; those of one task fit the caches of one core, and there nothing is won: the
 * product is over when another core has heard of it. */
void fzi_product_run(const struct fz_product *p) {
    struct cut cut = {p, 1, 1, fzi_ceil_div(p->n, FZK_PANEL), 0, 1};
    if (!p->batch || !p->m || !p->n) return;
    uint64_t macs = (uint64_t)p->batch * (uint64_t)p->m * (uint64_t)p->n * (uint64_t)p->k;
    int64_t tasks = fzi_run_tasks(p->env, macs, FZ_TASK_MACS);
    if (tasks > 1) choose_cut(&cut, fzi_ceil_div(tasks, p->batch));
    cut.units = p->batch * cut.bands * cut.split;
    cut.count = fzi_min_i64(tasks, cut.units);
    if (cut.count == 1) task(&cut, 0);
    else p->env->parallel(p->env, (size_t)cut.count, task, &cut);
}
