/* The convolution as GEMM over the image in place: the taps of a kernel row are one segment of
 * k. */
#include "ops/conv_tile.h"

/* The GEMM kernels fill their tiles from one or two output rows; shorter rows than this are
 * gathered (im2col) instead. */
enum { NARROW = 5 };

/* Bytes: of a unit's input; of weights that do not stay near while the bands of one thread pass by;
 * of those that are worth more than an input read by each part. */
enum { NEAR_INPUT = 384 * 1024, FAR_WEIGHTS = 512 * 1024, LARGE_WEIGHTS = 1536 * 1024 };

enum { PART_MACS = 3000000 }; /* multiply-accumulates of a part of a band: some 30 us */

/* A 1 x 1 convolution is one matrix product over all pixels: one row of one image. */
static void flatten(const struct fz_conv_params *p, struct fz_conv_geometry *g) {
    for (int d = 0; d < 3; d++)
        if (p->kernel[d] != 1 || p->stride[d] != 1) return;
    if (g->padded) return;
    g->in[2] = g->out[2] = g->n * g->out[0] * g->out[1] * g->out[2];
    g->n = g->in[0] = g->in[1] = g->out[0] = g->out[1] = 1;
}

/* Rows of A a multiple of 4096 bytes apart would fight for one set of the first-level cache: then
 * the input is copied with a gap, unless too few columns would make use of it. */
static bool conflicts(const struct fz_conv_geometry *g, int64_t stride) {
    return stride % 1024 == 0 && g->cout_g >= 64;
}

static int64_t weights_size(const struct fz_conv_geometry *g) {
    return 4 * g->k * g->panels * FZK_PANEL;
}

/* How many pixels a unit should have: its input should stay in the second-level cache beside a
 * panel of weights. The rows of a matrix product may be longer: the GEMM cuts k. */
static int64_t near_pixels(const struct fz_conv_params *p, const struct fz_conv_geometry *g,
                           bool gathered) {
    int64_t bytes = gathered ? 4 * g->k : 4 * p->cin * p->stride[1] * p->stride[2];
    if ((gathered || g->taps == 1) && weights_size(g) > FAR_WEIGHTS)
        bytes = fzi_min_i64(bytes, 4 * FZK_K_BLOCK);
    return fzi_min_i64(fzi_max_i64(NEAR_INPUT / fzi_max_i64(bytes, 1), 28), 4096);
}

/* Multiply-accumulates, or as many as cost what reading the weights does: few rows wait for it. */
static uint64_t work_of(const struct fz_conv_params *p, const struct fz_conv_geometry *g) {
    uint64_t macs = fzi_conv_macs(g, p), weights = (uint64_t)(g->k * p->cout);
    return macs > 12 * weights ? macs : 12 * weights;
}

/* True if threads should share out the output channels rather than the pixels, of weights that no
 * near cache holds: if they are too many for a far one, too, or more than there is of the image,
 * for the other one is read by each thread. */
static bool by_columns(const struct fz_conv_params *p, const struct fz_conv_geometry *g,
                       int64_t tasks) {
    int64_t weights = weights_size(g);
    int64_t input = 4 * p->cin * g->n * g->in[0] * g->in[1] * g->in[2];
    if (p->group != 1 || weights <= FAR_WEIGHTS) return false;
    return weights > LARGE_WEIGHTS || (weights > input && g->panels >= tasks);
}

/* The parts of one band read the same input where it lies: many of them let the threads end
 * together. */
static void refine(const struct fz_env *env, uint64_t macs, int64_t panels, struct fz_tiling *t) {
    int64_t parts = fzi_min_i64(16 * (int64_t)env->threads, (int64_t)(macs / PART_MACS));
    parts = fzi_min_i64(parts, panels);
    if (env->threads > 1 && parts > t->split) t->split = t->count = parts;
}

/* The first panel of the part of the output channels that is likely computed behind part PART of
 * the only band; -1: none, or the weights are near anyway. */
static int64_t next_panel(const struct fz_conv_job *job, const struct fz_tiling *t, int64_t part) {
    if (t->bands != 1 || weights_size(job->g) <= FAR_WEIGHTS) return -1;
    int64_t next = fzi_next_task(job->env, part, t->split);
    return next < 0 ? -1 : job->p->group * job->g->panels * next / t->split;
}

void fzi_conv_gemm_tiling(const struct fz_conv_params *p, const struct fz_conv_geometry *g,
                          const struct fz_env *env, struct fz_tiling *t) {
    uint64_t macs = work_of(p, g);
    *t = (struct fz_tiling){.mode = g->padded ? FZ_TILE_COPY : FZ_TILE_DIRECT};
    if (g->out[2] < NARROW && g->out[1] > 1) t->mode = FZ_TILE_GATHER;
    int64_t pixels = g->n * g->out[0] * g->out[1] * g->out[2];
    bool gathered = t->mode == FZ_TILE_GATHER;
    bool gap = conflicts(g, gathered ? g->k : p->cin * p->stride[2]) && pixels >= 8;
    if (gap && t->mode == FZ_TILE_DIRECT) t->mode = FZ_TILE_COPY;
    t->pixel = (gathered ? g->k : p->cin) + (gap ? 16 : 0);
    int64_t tasks = fzi_run_tasks(env, macs, FZ_TASK_MACS);
    int64_t target = near_pixels(p, g, gathered);
    bool columns = by_columns(p, g, tasks);
    if (env->threads > 1 && !columns) target = fzi_min_i64(target, fzi_max_i64(28, pixels / tasks));
    fzi_tile_bands(env, g, target, t);
    fzi_tile_tasks(tasks, p->group * g->panels, t);
    if (t->bands == 1 && t->mode != FZ_TILE_GATHER) refine(env, macs, p->group * g->panels, t);
    t->rows_in = (t->rows - 1) * p->stride[1] + g->extent[1];
    t->cols_in = (t->cols - 1) * p->stride[2] + g->extent[2];
    int64_t floats = 0;
    if (t->mode == FZ_TILE_COPY) floats = p->kernel[0] * t->rows_in * t->cols_in * t->pixel;
    if (t->mode == FZ_TILE_GATHER) floats = t->rows * t->cols * t->pixel;
    t->unit_size = fzi_align((size_t)floats * sizeof(float), 64);
    t->shared_size = fzi_align((size_t)g->taps * sizeof(struct fzk_segment), 64);
    t->once = t->mode == FZ_TILE_COPY && t->bands == 1 && t->split > 1;
    if (!t->once) return;
    t->prepared_size = t->unit_size;
    t->unit_size = 0;
}

/* The segments of the chain over an image with pixels of PIXEL, rows of PITCH and slices of SLICE
 * elements. Taps that follow each other in memory are one segment. */
static int64_t list_segments(const struct fz_conv_job *job, int64_t pixel, int64_t pitch,
                             int64_t slice, struct fzk_segment *out) {
    const struct fz_conv_params *p = job->p;
    int64_t n = 0;
    for (int64_t d = 0; d < p->kernel[0]; d++) {
        for (int64_t h = 0; h < p->kernel[1]; h++) {
            for (int64_t w = 0; w < p->kernel[2]; w++) {
                int64_t off = d * slice + h * p->dilation[1] * pitch + w * p->dilation[2] * pixel;
                if (n && out[n - 1].off + out[n - 1].len == off) out[n - 1].len += job->g->cin_g;
                else out[n++] = (struct fzk_segment){off, job->g->cin_g};
            }
        }
    }
    return n;
}

/* Where the rows of one unit's A lie. A unit of several output rows spans whole ones. */
struct view {
    const struct fzk_segment *segments;
    int64_t n_segments;
    const float *a;
    int64_t row, pixel; /* elements between output rows (0: dense) and between pixels of A */
};

/* Panels [first, last) of one group for the unit's pixels. Those from NEXT on are fetched
 * meanwhile; -1: none. */
static void multiply(const struct fz_conv_job *job, const struct fz_rect *r, const struct view *v,
                     int64_t group, int64_t first, int64_t last, int64_t next) {
    const struct fz_conv_params *p = job->p;
    const struct fz_conv_geometry *geo = job->g;
    int64_t column = first * FZK_PANEL;
    int64_t channel = group * geo->cout_g + column;
    struct fzk_gemm_f32 g = {
        .m = r->rows * r->cols, .n = fzi_min_i64(last * FZK_PANEL, geo->cout_g) - column,
        .k = geo->k, .a = v->a, .lda = v->pixel, .run = v->row ? r->cols : 0,
        .run_stride = v->row, .segments = v->segments, .n_segments = v->n_segments,
        .b = job->w + (group * geo->panels + first) * geo->k * FZK_PANEL,
        .c = job->y + fzi_tile_out(job, r) + channel, .ldc = fzi_conv_pixel(job),
        .bias = job->bias ? job->bias + channel : NULL, .ldr = p->cout};
    if (job->residual) g.residual = job->residual + fzi_tile_residual(job, r) + channel;
    if (next >= 0) g.ahead = job->w + next * geo->k * FZK_PANEL;
    fzi_act_clip(&p->act, &g);
    job->env->k->gemm_f32(&g);
}

/* The pixels of R, STRIDE elements apart. */
static void gather(const struct fz_conv_job *job, const struct fz_rect *r, int64_t group,
                   int64_t stride, float *to) {
    const struct fz_conv_params *p = job->p;
    const struct fz_conv_geometry *g = job->g;
    for (int64_t i = 0; i < r->rows; i++) {
        for (int64_t j = 0; j < r->cols; j++) {
            const int64_t at[4] = {r->n, r->d * p->stride[0] - g->before[0],
                                   (r->h + i) * p->stride[1] - g->before[1],
                                   (r->w + j) * p->stride[2] - g->before[2]};
            fzi_tile_gather(job, at, group, to);
            to += stride;
        }
    }
}

struct gemm_shared {
    const struct fzk_segment *segments;
    int64_t n_segments, row, pixel;
};

/* Gathered units are filled for each group apart, so here they only name their place. */
static struct view make_view(const struct fz_tile_work *work, const struct fz_rect *r,
                             float *scratch) {
    const struct fz_conv_job *job = work->job;
    const struct gemm_shared *s = work->shared;
    struct view v = {s->segments, s->n_segments, scratch, s->row, s->pixel};
    int64_t row;
    if (work->tiling->once) v.a = fzi_tile_prepared(work);
    else if (work->tiling->mode != FZ_TILE_GATHER)
        v.a = fzi_tile_input(job, work->tiling, r, scratch, &row);
    return v;
}

/* One unit: part PART of the panels of all groups. */
static void unit(const struct fz_tile_work *work, const struct fz_rect *r, int64_t part,
                 void *scratch) {
    const struct fz_conv_job *job = work->job;
    const struct fz_conv_geometry *g = job->g;
    const struct fz_tiling *t = work->tiling;
    int64_t all = job->p->group * g->panels;
    int64_t begin = all * part / t->split, end = all * (part + 1) / t->split;
    bool gathered = t->mode == FZ_TILE_GATHER;
    struct view v = make_view(work, r, scratch);
    const float *base = v.a;
    int64_t next = next_panel(job, t, part);
    for (int64_t at = begin; at < end;) {
        int64_t group = at / g->panels, first = at % g->panels;
        int64_t last = fzi_min_i64(g->panels, first + end - at);
        if (gathered) gather(job, r, group, t->pixel, scratch);
        else v.a = base + group * g->cin_g;
        multiply(job, r, &v, group, first, last, next);
        at += last - first;
    }
    int64_t first = begin / g->panels * g->cout_g + begin % g->panels * FZK_PANEL;
    int64_t last = end / g->panels * g->cout_g + end % g->panels * FZK_PANEL;
    fzi_tile_activate(job, r, first, last);
}

static void prepare(const struct fz_tile_work *work, const struct fz_rect *r, int64_t i, int64_t n,
                    void *scratch) {
    (void)scratch;
    fzi_tile_copy_part(work->job, work->tiling, r, i, n, fzi_tile_prepared(work));
}

/* The segments are the same for every unit: only where A begins differs. */
void fzi_conv_gemm_run(const struct fz_conv_job *job, const struct fz_tiling *t) {
    const struct fz_conv_params *p = job->p;
    const struct fz_conv_geometry *g = job->g;
    struct fzk_segment *segments = job->scratch, one = {0, g->k};
    bool direct = t->mode == FZ_TILE_DIRECT;
    int64_t pixel = direct ? p->cin : t->pixel;
    int64_t pitch = (direct ? g->in[2] : t->cols_in) * pixel;
    int64_t slice = direct ? p->dilation[0] * g->in[1] * pitch : t->rows_in * pitch;
    struct gemm_shared shared = {segments, 0, p->stride[1] * pitch, p->stride[2] * pixel};
    shared.n_segments = list_segments(job, pixel, pitch, slice, segments);
    if (t->mode == FZ_TILE_GATHER) shared = (struct gemm_shared){&one, 1, 0, t->pixel};
    struct fz_tile_work work = {job, t, unit, &shared, prepare};
    fzi_tile_run(&work);
}

/* The tiling of P's algorithm. FLAT is G, or a matrix product's geometry. */
static void choose_tiling(const struct fz_conv_params *p, const struct fz_conv_geometry *g,
                          const struct fz_env *env, struct fz_conv_geometry *flat,
                          struct fz_tiling *t) {
    *flat = *g;
    if (fzi_conv_uses_blas(p)) fzi_conv_blas_tiling(p, g, env, t);
    else if (p->algorithm == FZ_CONV_DEPTHWISE) fzi_conv_depthwise_tiling(p, g, env, t);
    else if (p->algorithm == FZ_CONV_WINOGRAD) fzi_conv_winograd_tiling(p, g, env, t);
    else {
        flatten(p, flat);
        fzi_conv_gemm_tiling(p, flat, env, t);
    }
}

size_t fzi_conv_scratch(const struct fz_conv_params *p, const struct fz_conv_geometry *g,
                        const struct fz_env *env) {
    struct fz_tiling t;
    struct fz_conv_geometry flat;
    choose_tiling(p, g, env, &flat, &t);
    return fzi_tile_scratch(&t);
}

fz_status_t fzi_conv_run(const struct fz_conv_job *job) {
    struct fz_tiling t;
    struct fz_conv_geometry flat;
    struct fz_conv_job copy = *job;
    choose_tiling(job->p, job->g, job->env, &flat, &t);
    copy.g = &flat;
    if (fzi_conv_uses_blas(job->p)) return fzi_conv_blas_run(&copy, &t);
    if (job->p->algorithm == FZ_CONV_DEPTHWISE) fzi_conv_depthwise_run(&copy, &t);
    else if (job->p->algorithm == FZ_CONV_WINOGRAD) fzi_conv_winograd_run(&copy, &t);
    else fzi_conv_gemm_run(&copy, &t);
    return FZ_OK;
}
