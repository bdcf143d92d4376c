/* Cutting a convolution into units of work that fit the cache and keep every thread busy. */
#include "ops/conv_tile.h"

void fzi_tile_bands(const struct fz_env *env, const struct fz_conv_geometry *g, int64_t target,
                    struct fz_tiling *t) {
    int64_t width = fzi_max_i64(g->out[2], 1), height = fzi_max_i64(g->out[1], 1);
    int64_t images = g->n * g->out[0];
    bool empty = !g->out[0] || !g->out[1] || !g->out[2];
    t->step = 1;
    t->bands_h = fzi_ceil_div(height, fzi_max_i64(target / width, 1));
    t->bands_w = height == 1 ? fzi_ceil_div(width, target) : 1;
    if (t->bands_w > 1) t->bands_w = fzi_run_even(env, t->bands_w, images, width / 14);
    else if (t->bands_h > 1) t->bands_h = fzi_run_even(env, t->bands_h, images, height);
    t->rows = fzi_ceil_div(height, t->bands_h);
    t->cols = fzi_ceil_div(width, t->bands_w);
    t->bands = empty ? 0 : images * t->bands_h * t->bands_w;
}

/* The output channels are split only where the bands alone cannot keep the threads busy, for each
 * part copies the input again, unless there is but one band. */
void fzi_tile_tasks(int64_t tasks, int64_t columns, struct fz_tiling *t) {
    t->split = 1;
    if (t->bands > 0 && t->bands < tasks / 2)
        t->split = fzi_min_i64(columns, fzi_ceil_div(tasks, t->bands));
    t->count = fzi_max_i64(1, fzi_min_i64(tasks, t->bands * t->split));
}

/* Band numbers run through columns first, then rows, depth, images. */
struct fz_rect fzi_tile_rect(const struct fz_conv_geometry *g, const struct fz_tiling *t,
                             int64_t band) {
    struct fz_rect r;
    int64_t w = band % t->bands_w, h = band / t->bands_w % t->bands_h;
    int64_t steps = fzi_ceil_div(g->out[1], t->step);
    band /= t->bands_w * t->bands_h;
    r.d = band % g->out[0];
    r.n = band / g->out[0];
    r.w = g->out[2] * w / t->bands_w;
    r.h = steps * h / t->bands_h * t->step;
    r.cols = g->out[2] * (w + 1) / t->bands_w - r.w;
    r.rows = fzi_min_i64(steps * (h + 1) / t->bands_h * t->step, g->out[1]) - r.h;
    return r;
}

/* Copies pixels [x, x + n) of a row of WIDTH pixels to TO, PIXEL elements apart, zeros outside of
 * the row. ROW NULL: all zeros. */
static void copy_row(const float *row, int64_t width, int64_t c, int64_t x, int64_t n,
                     int64_t pixel, float *to) {
    int64_t left = row ? fzi_min_i64(fzi_max_i64(-x, 0), n) : n;
    int64_t end = row ? fzi_max_i64(left, fzi_min_i64(n, width - x)) : n;
    size_t size = (size_t)c * sizeof *to;
    memset(to, 0, (size_t)(left * pixel) * sizeof *to);
    if (pixel == c && end > left)
        memcpy(to + left * c, row + (x + left) * c, (size_t)(end - left) * size);
    for (int64_t i = left; pixel != c && i < end; i++)
        memcpy(to + i * pixel, row + (x + i) * c, size);
    memset(to + end * pixel, 0, (size_t)((n - end) * pixel) * sizeof *to);
}

/* Pixels [FROM, END) of line I of the copy: of row I % rows_in of kernel depth I / rows_in. */
static void copy_line(const struct fz_conv_job *job, const struct fz_tiling *t,
                      const struct fz_rect *r, int64_t i, int64_t from, int64_t end, float *to) {
    const struct fz_conv_params *p = job->p;
    const struct fz_conv_geometry *g = job->g;
    int64_t x = r->w * p->stride[2] - g->before[2];
    int64_t z = r->d * p->stride[0] - g->before[0] + i / t->rows_in * p->dilation[0];
    int64_t y = r->h * p->stride[1] - g->before[1] + i % t->rows_in;
    bool inside = z >= 0 && z < g->in[0] && y >= 0 && y < g->in[1];
    int64_t line = (r->n * g->in[0] + z) * g->in[1] + y;
    copy_row(inside ? job->x + line * g->in[2] * p->cin : NULL, g->in[2], p->cin, x + from,
             end - from, t->pixel, to + (i * t->cols_in + from) * t->pixel);
}

/* One line alone, a matrix product's rows, is cut along its pixels. */
void fzi_tile_copy_part(const struct fz_conv_job *job, const struct fz_tiling *t,
                        const struct fz_rect *r, int64_t i, int64_t n, float *to) {
    const struct fz_conv_params *p = job->p;
    int64_t rows = (r->rows - 1) * p->stride[1] + job->g->extent[1];
    int64_t cols = (r->cols - 1) * p->stride[2] + job->g->extent[2];
    if (rows * p->kernel[0] == 1) {
        copy_line(job, t, r, 0, cols * i / n, cols * (i + 1) / n, to);
        return;
    }
    int64_t lines = rows * p->kernel[0];
    for (int64_t j = lines * i / n; j < lines * (i + 1) / n; j++)
        copy_line(job, t, r, j / rows * t->rows_in + j % rows, 0, cols, to);
}

void fzi_tile_copy(const struct fz_conv_job *job, const struct fz_tiling *t,
                   const struct fz_rect *r, float *to) {
    fzi_tile_copy_part(job, t, r, 0, 1, to);
}

void fzi_tile_gather(const struct fz_conv_job *job, const int64_t at[4], int64_t group, float *to) {
    const struct fz_conv_params *p = job->p;
    const struct fz_conv_geometry *g = job->g;
    size_t size = (size_t)g->cin_g * sizeof *to;
    for (int64_t d = 0; d < p->kernel[0]; d++) {
        int64_t z = at[1] + d * p->dilation[0];
        for (int64_t h = 0; h < p->kernel[1]; h++) {
            int64_t y = at[2] + h * p->dilation[1];
            bool inside = z >= 0 && z < g->in[0] && y >= 0 && y < g->in[1];
            const float *row = job->x + group * g->cin_g +
                               ((at[0] * g->in[0] + z) * g->in[1] + y) * g->in[2] * p->cin;
            for (int64_t w = 0; w < p->kernel[2]; w++, to += g->cin_g) {
                int64_t x = at[3] + w * p->dilation[2];
                if (inside && x >= 0 && x < g->in[2]) memcpy(to, row + x * p->cin, size);
                else memset(to, 0, size);
            }
        }
    }
}

const float *fzi_tile_input(const struct fz_conv_job *job, const struct fz_tiling *t,
                            const struct fz_rect *r, float *to, int64_t *row) {
    const struct fz_conv_params *p = job->p;
    const struct fz_conv_geometry *g = job->g;
    if (t->mode == FZ_TILE_COPY) {
        *row = t->cols_in * t->pixel;
        fzi_tile_copy(job, t, r, to);
        return to;
    }
    *row = g->in[2] * p->cin;
    int64_t z = r->n * g->in[0] + r->d * p->stride[0];
    return job->x + (z * g->in[1] + r->h * p->stride[1]) * *row + r->w * p->stride[2] * p->cin;
}

/* The number of R's first output pixel. */
static int64_t first_pixel(const struct fz_conv_job *job, const struct fz_rect *r) {
    const struct fz_conv_geometry *g = job->g;
    return ((r->n * g->out[0] + r->d) * g->out[1] + r->h) * g->out[2] + r->w;
}

int64_t fzi_tile_residual(const struct fz_conv_job *job, const struct fz_rect *r) {
    return first_pixel(job, r) * job->p->cout;
}

int64_t fzi_tile_out(const struct fz_conv_job *job, const struct fz_rect *r) {
    return first_pixel(job, r) * fzi_conv_pixel(job);
}

void fzi_tile_activate(const struct fz_conv_job *job, const struct fz_rect *r, int64_t first,
                       int64_t last) {
    const struct fz_conv_params *p = job->p;
    int64_t pixel = fzi_conv_pixel(job);
    if (!fzi_act_runs(&p->act)) return;
    for (int64_t i = 0; i < r->rows; i++) {
        float *row = job->y + fzi_tile_out(job, r) + i * job->g->out[2] * pixel;
        if (last - first == pixel) {
            fzi_act_run(job->env->k, &p->act, row, r->cols * pixel);
            continue;
        }
        for (int64_t j = 0; j < r->cols; j++)
            fzi_act_run(job->env->k, &p->act, row + j * pixel + first, last - first);
    }
}

static void *unit_scratch(const struct fz_tile_work *work, size_t i) {
    const struct fz_tiling *t = work->tiling;
    if (!work->job->scratch) return NULL;
    return (char *)work->job->scratch + t->shared_size + t->prepared_size + i * t->unit_size;
}

/* Neighbouring units: a core meets in its cache what it wrote in the step before. */
static void task(void *arg, size_t i) {
    const struct fz_tile_work *work = arg;
    const struct fz_tiling *t = work->tiling;
    int64_t units = t->bands * t->split, n = (int64_t)i;
    for (int64_t u = units * n / t->count; u < units * (n + 1) / t->count; u++) {
        if (work->job->env->poll(work->job->env) != FZ_OK) return; /* the run is to end */
        struct fz_rect r = fzi_tile_rect(work->job->g, t, u / t->split);
        work->unit(work, &r, u % t->split, unit_scratch(work, i));
    }
}

static void prepare(void *arg, size_t i) {
    const struct fz_tile_work *work = arg;
    struct fz_rect r = fzi_tile_rect(work->job->g, work->tiling, 0);
    work->prepare(work, &r, (int64_t)i, work->tiling->count, unit_scratch(work, i));
}

void fzi_tile_run(struct fz_tile_work *work) {
    int64_t count = work->tiling->count;
    const struct fz_env *env = work->job->env;
    if (work->tiling->once) env->parallel(env, (size_t)count, prepare, work);
    if (count == 1) task(work, 0);
    else env->parallel(env, (size_t)count, task, work);
}
