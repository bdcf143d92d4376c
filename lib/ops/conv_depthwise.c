/* Depthwise convolution: one input channel for each output channel, by the kernel made for it. */
#include "ops/conv_tile.h"

void fzi_conv_depthwise_tiling(const struct fz_conv_params *p, const struct fz_conv_geometry *g,
                               const struct fz_env *env, struct fz_tiling *t) {
    *t = (struct fz_tiling){.mode = g->padded ? FZ_TILE_COPY : FZ_TILE_DIRECT};
    int64_t bytes = 4 * p->cin * p->stride[1] * p->stride[2];
    int64_t target = fzi_min_i64(fzi_max_i64(262144 / fzi_max_i64(bytes, 1), 28), 8192);
    uint64_t macs = fzi_conv_macs(g, p);
    /* These multiply-accumulates are some 4 times as dear as a GEMM's. */
    int64_t tasks = fzi_min_i64(4 * (int64_t)env->threads, (int64_t)(macs / 75000) + 1);
    int64_t pixels = g->n * g->out[1] * g->out[2];
    if (env->threads > 1) target = fzi_min_i64(target, fzi_max_i64(28, pixels / tasks));
    fzi_tile_bands(g, target, t);
    fzi_tile_tasks(env, 4 * macs, fzi_ceil_div(p->cout, FZK_PANEL), t);
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
    int64_t c = job->p->cout;
    float lo = (float)act->a, hi = (float)act->b;
    for (int64_t i = 0; i < r->rows * r->cols; i++) {
        int64_t at = fzi_tile_out(job, r) + i / r->cols * job->g->out[2] * c + i % r->cols * c;
        for (int64_t j = at + first; j < at + last; j++) {
            float x = job->y[j] + job->residual[j];
            if (act->kind == FZ_ACT_CLIP) {
                float t = lo > x ? lo : x;
                x = hi < t ? hi : t;
            }
            job->y[j] = x;
        }
    }
}

static void unit(const struct fz_tile_work *work, const struct fz_rect *r, int64_t part,
                 void *scratch) {
    const struct fz_conv_job *job = work->job;
    const struct fz_conv_params *p = job->p;
    int64_t panels = fzi_ceil_div(p->cout, FZK_PANEL), split = work->tiling->split, row;
    int64_t first = panels * part / split * FZK_PANEL;
    int64_t last = fzi_min_i64(panels * (part + 1) / split * FZK_PANEL, p->cout);
    const float *in = fzi_tile_input(job, work->tiling, r, scratch, &row);
    struct fzk_dwconv_f32 d = {
        .in = in + first, .in_row = row, .in_pixel = p->cin,
        .weights = job->w + first * job->g->taps, .bias = job->bias ? job->bias + first : NULL,
        .out = job->y + fzi_tile_out(job, r) + first, .out_row = job->g->out[2] * p->cout,
        .out_pixel = p->cout, .channels = last - first, .width = r->cols, .row_end = r->rows,
        .kernel_h = p->kernel[1], .kernel_w = p->kernel[2], .stride_h = p->stride[1],
        .stride_w = p->stride[2], .dilation_h = p->dilation[1], .dilation_w = p->dilation[2],
        .clip = p->act.kind == FZ_ACT_CLIP && !job->residual, .lo = (float)p->act.a,
        .hi = (float)p->act.b};
    job->env->k->dwconv_f32(&d);
    if (job->residual) add_residual(job, r, first, last);
    fzi_tile_activate(job, r, first, last);
}

void fzi_conv_depthwise_run(const struct fz_conv_job *job, const struct fz_tiling *t) {
    struct fz_tile_work work = {job, t, unit, NULL};
    fzi_tile_run(&work);
}
