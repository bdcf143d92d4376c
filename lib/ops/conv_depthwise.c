/* Depthwise convolution: one input channel for each output channel, by the kernel made for it. */
#include "ops/conv_tile.h"

/* Units are sized by their input: that is what a depthwise convolution spends its time on. */
void fzi_conv_depthwise_tiling(const struct fz_conv_params *p, const struct fz_conv_geometry *g,
                               const struct fz_env *env, struct fz_tiling *t) {
    *t = (struct fz_tiling){.mode = g->padded ? FZ_TILE_COPY : FZ_TILE_DIRECT};
    int64_t bytes = 4 * p->cin * p->stride[1] * p->stride[2];
    int64_t target = fzi_min_i64(fzi_max_i64(262144 / fzi_max_i64(bytes, 1), 28), 8192);
    uint64_t macs = fzi_conv_macs(g, p);
    /* These multiply-accumulates are some 4 times as dear as a GEMM's, but what a task reads was
     * written by another core, half of it: parts are larger. */
    int64_t tasks = fzi_run_tasks(env, 4 * macs / 3, FZ_TASK_MACS);
    int64_t pixels = g->n * g->out[1] * g->out[2];
    if (env->threads > 1) target = fzi_min_i64(target, fzi_max_i64(28, pixels / tasks));
    fzi_tile_bands(env, g, target, t);
    fzi_tile_tasks(tasks, fzi_ceil_div(p->cout, FZK_PANEL), t);
    t->pixel = p->cin;
    t->rows_in = (t->rows - 1) * p->stride[1] + g->extent[1];
    t->cols_in = (t->cols - 1) * p->stride[2] + g->extent[2];
    if (t->mode == FZ_TILE_COPY)
        t->unit_size = fzi_align((size_t)(t->rows_in * t->cols_in * p->cin) * sizeof(float), 64);
}

/* y = y + residual, then clip: the kernel knows no residual. */
static void add_residual(const struct fz_conv_job *job, const struct fz_rect *r, int64_t first,
                         int64_t last) {
    const struct fz_act *act = &job->p->act;
    int64_t c = job->p->cout, pixel = fzi_conv_pixel(job), width = job->g->out[2];
    int64_t sums = FZK_ROUND_SUM | FZK_ROUND_BIAS;
    for (int64_t i = 0; i < r->rows; i++) {
        struct fzk_finish_f32 f = {
            .m = r->cols, .n = last - first, .ldc = pixel, .ldr = c,
            .c = job->y + fzi_tile_out(job, r) + i * width * pixel + first,
            .residual = job->residual + fzi_tile_residual(job, r) + i * width * c + first,
            .clip = act->kind == FZ_ACT_CLIP, .lo = (float)act->a, .hi = (float)act->b,
            .round = act->round & ~(sums | FZ_ACT_ROUND)};
        job->env->k->finish_f32(&f);
    }
}

/* Channels [first, last) of R from the image at IN with rows of ROW and pixels of PIXEL
 * elements. */
static void convolve(const struct fz_conv_job *job, const struct fz_rect *r, int64_t first,
                     int64_t last, const float *in, int64_t row, int64_t pixel) {
    const struct fz_conv_params *p = job->p;
    int64_t pixel_out = fzi_conv_pixel(job);
    struct fzk_dwconv_f32 d = {
        .in = in + first, .in_row = row, .in_pixel = pixel,
        .weights = job->w + first * job->g->taps, .bias = job->bias ? job->bias + first : NULL,
        .out = job->y + fzi_tile_out(job, r) + first, .out_row = job->g->out[2] * pixel_out,
        .out_pixel = pixel_out, .channels = last - first, .width = r->cols, .row_end = r->rows,
        .kernel_h = p->kernel[1], .kernel_w = p->kernel[2], .stride_h = p->stride[1],
        .stride_w = p->stride[2], .dilation_h = p->dilation[1], .dilation_w = p->dilation[2],
        .clip = p->act.kind == FZ_ACT_CLIP && !job->residual, .lo = (float)p->act.a,
        .hi = (float)p->act.b,
        .round = p->act.round & ~(int64_t)(FZ_ACT_ROUND | FZK_ROUND_RESIDUAL)};
    job->env->k->dwconv_f32(&d);
}

/* The outputs from *BEGIN up to *END of [*BEGIN, *END) along axis D that see no padding. */
static void shrink(const struct fz_conv_job *job, int d, int64_t *begin, int64_t *end) {
    const struct fz_conv_geometry *g = job->g;
    int64_t stride = job->p->stride[d], room = g->in[d] + g->before[d] - g->extent[d];
    int64_t low = fzi_ceil_div(g->before[d], stride), high = room < 0 ? 0 : room / stride + 1;
    *begin = fzi_min_i64(fzi_max_i64(*begin, low), *end);
    *end = fzi_max_i64(fzi_min_i64(*end, high), *begin);
}

/* From this width on, keeping the inside in place outweighs the thin strips at the border. */
enum { WIDE = 32 };

/* A rectangle, at the border perhaps: from a zero-padded copy. */
static void border(const struct fz_tile_work *work, const struct fz_rect *r, int64_t first,
                   int64_t last, float *scratch) {
    const struct fz_conv_params *p = work->job->p;
    struct fz_tiling t = *work->tiling;
    if (r->rows <= 0 || r->cols <= 0) return;
    t.cols_in = (r->cols - 1) * p->stride[2] + work->job->g->extent[2];
    fzi_tile_copy(work->job, &t, r, scratch);
    convolve(work->job, r, first, last, scratch, t.cols_in * t.pixel, t.pixel);
}

/* The inside of R in place; the rows above and below, the columns to the left and right by
 * copies. */
static void split(const struct fz_tile_work *work, const struct fz_rect *r, int64_t first,
                  int64_t last, float *scratch) {
    const struct fz_conv_job *job = work->job;
    const struct fz_conv_params *p = job->p;
    const struct fz_conv_geometry *g = job->g;
    int64_t top = r->h, bottom = r->h + r->rows, left = r->w, right = r->w + r->cols;
    shrink(job, 1, &top, &bottom);
    shrink(job, 2, &left, &right);
    const struct fz_rect inside = {r->n, 0, top, left, bottom - top, right - left};
    const struct fz_rect around[4] = {
        {r->n, 0, r->h, r->w, top - r->h, r->cols},
        {r->n, 0, bottom, r->w, r->h + r->rows - bottom, r->cols},
        {r->n, 0, top, r->w, bottom - top, left - r->w},
        {r->n, 0, top, right, bottom - top, r->w + r->cols - right}};
    for (int i = 0; i < 4; i++) border(work, &around[i], first, last, scratch);
    if (inside.rows <= 0 || inside.cols <= 0) return;
    int64_t y = r->n * g->in[1] + top * p->stride[1] - g->before[1];
    int64_t x = left * p->stride[2] - g->before[2];
    convolve(job, &inside, first, last, job->x + (y * g->in[2] + x) * p->cin, g->in[2] * p->cin,
             p->cin);
}

static void unit(const struct fz_tile_work *work, const struct fz_rect *r, int64_t part,
                 void *scratch) {
    const struct fz_conv_job *job = work->job;
    int64_t panels = fzi_ceil_div(job->p->cout, FZK_PANEL), parts = work->tiling->split;
    int64_t first = panels * part / parts * FZK_PANEL;
    int64_t last = fzi_min_i64(panels * (part + 1) / parts * FZK_PANEL, job->p->cout);
    bool narrow = work->tiling->mode == FZ_TILE_COPY && r->cols < WIDE;
    if (narrow) border(work, r, first, last, scratch);
    else split(work, r, first, last, scratch);
    if (job->residual) add_residual(job, r, first, last);
    fzi_tile_activate(job, r, first, last);
}

/* Nothing is shared between units but the tiling. */
void fzi_conv_depthwise_run(const struct fz_conv_job *job, const struct fz_tiling *t) {
    struct fz_tile_work work = {job, t, unit, NULL, NULL};
    fzi_tile_run(&work);
}
