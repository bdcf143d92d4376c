/* ConvTranspose as small convolutions: outputs that the same taps reach form regular grids.
 *
 * Along one axis output o meets tap t where o + before - t * dilation is a multiple of the stride
 * and the quotient is an input pixel. Outputs a stride apart meet the same taps, but at the image's
 * ends. A run is a longest row of such outputs; for each combination of runs of the axes the taps'
 * weights are put together in the canonical order and every row of outputs is one GEMM. */
#include "ops/conv.h"

/* N outputs from FIRST on, a stride apart. Tap i is number tap[i] and meets input pixel in[i] of
 * the first output, in[i] + 1 of the second, and so on. */
struct run {
    int64_t first, n, n_taps;
    int64_t *tap, *in;
};

/* Finds the taps of output FIRST and how far they reach. */
static void find_run(const struct fz_conv_job *job, int d, int64_t first, struct run *r) {
    const struct fz_conv_params *p = job->p;
    int64_t stride = p->stride[d], in = job->g->in[d];
    r->first = first;
    r->n = fzi_ceil_div(job->g->out[d] - first, stride);
    r->n_taps = 0;
    for (int64_t t = 0; t < p->kernel[d]; t++) {
        int64_t at = first + job->g->before[d] - t * p->dilation[d];
        if ((at % stride + stride) % stride) continue;
        int64_t pixel = (at - (at % stride + stride) % stride) / stride;
        if (pixel >= in) continue;
        if (pixel < 0) {
            /* This tap joins -pixel outputs later. */
            r->n = fzi_min_i64(r->n, -pixel);
            continue;
        }
        r->n = fzi_min_i64(r->n, in - pixel);
        r->tap[r->n_taps] = t;
        r->in[r->n_taps++] = pixel;
    }
}

/* One combination of runs: depth, height, width. */
struct grid {
    const struct fz_conv_job *job;
    struct run runs[3];
    int64_t group, k, n_segments;
    struct fzk_segment *segments;
    float *b;
};

/* The chosen taps' weights of all panels, and where the taps' inputs lie. */
static void assemble(struct grid *grid) {
    const struct fz_conv_job *job = grid->job;
    const struct fz_conv_params *p = job->p;
    const struct fz_conv_geometry *g = job->g;
    const struct run *rd = &grid->runs[0], *rh = &grid->runs[1], *rw = &grid->runs[2];
    int64_t row = g->cin_g * FZK_PANEL, taps = rd->n_taps * rh->n_taps * rw->n_taps, n = 0;
    const float *w = job->w + grid->group * g->panels * g->k * FZK_PANEL;
    for (int64_t d = 0; d < rd->n_taps; d++) {
        for (int64_t h = 0; h < rh->n_taps; h++) {
            for (int64_t x = 0; x < rw->n_taps; x++, n++) {
                int64_t pixel = (rd->in[d] * g->in[1] + rh->in[h]) * g->in[2] + rw->in[x];
                int64_t tap = (rd->tap[d] * p->kernel[1] + rh->tap[h]) * p->kernel[2] + rw->tap[x];
                grid->segments[n] = (struct fzk_segment){pixel * p->cin, g->cin_g};
                for (int64_t i = 0; i < g->panels; i++)
                    memcpy(grid->b + (i * taps + n) * row, w + i * g->k * FZK_PANEL + tap * row,
                           (size_t)row * sizeof(float));
            }
        }
    }
    grid->n_segments = taps;
    grid->k = taps * g->cin_g;
}

/* Rows of outputs [begin, end), numbered through images, depth and height. */
static void rows(void *arg, int64_t begin, int64_t end) {
    const struct grid *grid = arg;
    const struct fz_conv_job *job = grid->job;
    const struct fz_conv_params *p = job->p;
    const struct fz_conv_geometry *g = job->g;
    const struct run *rd = &grid->runs[0], *rh = &grid->runs[1], *rw = &grid->runs[2];
    for (int64_t i = begin; i < end; i++) {
        int64_t h = i % rh->n, d = i / rh->n % rd->n, n = i / rh->n / rd->n;
        int64_t from = ((n * g->in[0] + d) * g->in[1] + h) * g->in[2] * p->cin;
        int64_t depth = n * g->out[0] + rd->first + d * p->stride[0];
        int64_t line = depth * g->out[1] + rh->first + h * p->stride[1];
        int64_t to = (line * g->out[2] + rw->first) * p->cout + grid->group * g->cout_g;
        struct fzk_gemm_f32 gemm = {
            .m = rw->n, .n = g->cout_g, .k = grid->k, .a = job->x + from + grid->group * g->cin_g,
            .lda = p->cin, .segments = grid->segments, .n_segments = grid->n_segments,
            .b = grid->b, .c = job->y + to, .ldc = p->stride[2] * p->cout,
            .bias = job->bias ? job->bias + grid->group * g->cout_g : NULL,
            .residual = job->residual ? job->residual + to : NULL,
            .ldr = p->stride[2] * p->cout};
        fzi_act_clip(&p->act, &gemm);
        job->env->k->gemm_f32(&gemm);
    }
}

/* The weights are put together once for a grid, then its rows are shared by the threads. */
static void run_grid(struct grid *grid) {
    const struct fz_conv_job *job = grid->job;
    const struct run *r = grid->runs;
    for (grid->group = 0; grid->group < job->p->group; grid->group++) {
        assemble(grid);
        int64_t work = r[2].n * job->g->cout_g * (grid->k + 1);
        fzi_run_range(job->env, job->g->n * r[0].n * r[1].n, 1 + FZ_TASK_MACS / work, rows, grid);
    }
}

/* Calls run_grid for every combination of the runs of axes D and on. */
static void run_axis(struct grid *grid, int d) {
    if (d == 3) {
        run_grid(grid);
        return;
    }
    const struct fz_conv_job *job = grid->job;
    int64_t stride = job->p->stride[d];
    for (int64_t residue = 0; residue < fzi_min_i64(stride, job->g->out[d]); residue++) {
        for (int64_t at = residue; at < job->g->out[d];) {
            find_run(job, d, at, &grid->runs[d]);
            at += grid->runs[d].n * stride;
            run_axis(grid, d + 1);
        }
    }
}

static void activate(void *arg, int64_t begin, int64_t end) {
    const struct fz_conv_job *job = arg;
    fzi_act_run(job->env->k, &job->p->act, job->y + begin, end - begin);
}

/* Room for all taps, though most grids meet fewer. */
size_t fzi_conv_transpose_scratch(const struct fz_conv_params *p,
                                  const struct fz_conv_geometry *g) {
    size_t lists = (size_t)(p->kernel[0] + p->kernel[1] + p->kernel[2]) * 2 * sizeof(int64_t);
    size_t b = (size_t)(g->panels * g->k * FZK_PANEL) * sizeof(float);
    return fzi_align(b, 64) + (size_t)g->taps * sizeof(struct fzk_segment) + lists;
}

static void run_grids(const struct fz_conv_job *job) {
    const struct fz_conv_geometry *g = job->g;
    const struct fz_conv_params *p = job->p;
    char *at = job->scratch;
    struct grid grid = {.job = job, .b = job->scratch};
    at += fzi_align((size_t)(g->panels * g->k * FZK_PANEL) * sizeof(float), 64);
    grid.segments = (struct fzk_segment *)at;
    at += (size_t)g->taps * sizeof(struct fzk_segment);
    for (int d = 0; d < 3; d++) {
        grid.runs[d].tap = (int64_t *)at;
        grid.runs[d].in = grid.runs[d].tap + p->kernel[d];
        at += (size_t)p->kernel[d] * 2 * sizeof(int64_t);
    }
    run_axis(&grid, 0);
}

void fzi_conv_transpose_run(const struct fz_conv_job *job) {
    const struct fz_conv_geometry *g = job->g;
    const struct fz_conv_params *p = job->p;
    if (!g->n) return;
    if (fzi_conv_transpose_in_blocks(job)) fzi_conv_transpose_blocks(job);
    else run_grids(job);
    struct fz_conv_job copy = *job;
    if (fzi_act_runs(&p->act))
        fzi_run_range(job->env, g->n * g->out[0] * g->out[1] * g->out[2] * p->cout, 16384, activate,
                      &copy);
}
