/* Winograd F(2x2, 3x3): 4 x 4 input tiles become 16 matrices, 16 matrix products take the place of
 * 9 taps for 4 outputs. A unit is a band of tile rows, which changes no bit: a tile's numbers
 * depend on the tile alone. */
#include "ops/conv_tile.h"

enum {
    COLUMNS = 128, /* output channels whose 16 products are held at a time */
    NEAR = 768 * 1024, LARGE = 2304 * 1024, FAR_WEIGHTS = 1024 * 1024 /* bytes */
};

/* Distance of V's rows: rows a multiple of 4096 bytes apart would fight for one cache set. */
static int64_t v_row(const struct fz_conv_params *p) {
    return p->cin % 1024 ? p->cin : p->cin + 16;
}

/* V and the products behind each other, then the padded copy of the input. */
static int64_t v_floats(const struct fz_conv_params *p, int64_t tiles) {
    return 16 * tiles * v_row(p);
}
static int64_t m_floats(const struct fz_conv_params *p, int64_t tiles) {
    return 16 * tiles * fzi_min_i64(p->cout, COLUMNS);
}

/* Tiles of a unit: its 32 matrices should stay in a near cache. Weights that are larger than that
 * should meet as many tiles as they can, all of them once in the best case. */
static int64_t near_tiles(const struct fz_conv_params *p, int64_t all, int64_t tasks) {
    int64_t bytes = 64 * (p->cin + fzi_min_i64(p->cout, COLUMNS));
    bool far = 64 * p->cin * p->cout > FAR_WEIGHTS;
    int64_t target = (far ? LARGE : NEAR) / bytes;
    if (tasks > 1 && !(far && all <= target)) target = fzi_min_i64(target, all / tasks);
    return fzi_max_i64(target, 28);
}

void fzi_conv_winograd_tiling(const struct fz_conv_params *p, const struct fz_conv_geometry *g,
                              const struct fz_env *env, struct fz_tiling *t) {
    int64_t tiles_x = fzi_max_i64(fzi_ceil_div(g->out[2], 2), 1), rows = (g->out[1] + 1) / 2;
    uint64_t macs = fzi_conv_macs(g, p);
    int64_t tasks = fzi_run_tasks(env, macs / 2, FZ_TASK_MACS);
    int64_t target = near_tiles(p, g->n * rows * tiles_x, env->threads > 1 ? tasks : 1);
    *t = (struct fz_tiling){.mode = g->padded ? FZ_TILE_COPY : FZ_TILE_DIRECT,
                            .cols = g->out[2], .bands_w = 1, .step = 2};
    rows = fzi_max_i64(rows, 1);
    t->bands_h = fzi_ceil_div(rows, fzi_max_i64(1, target / tiles_x));
    if (t->bands_h > 1) t->bands_h = fzi_run_even(env, t->bands_h, g->n, rows);
    t->rows = 2 * fzi_ceil_div(rows, t->bands_h);
    t->bands = g->out[1] && g->out[2] ? g->n * t->bands_h : 0;
    fzi_tile_tasks(tasks, g->panels, t);
    t->pixel = p->cin;
    t->rows_in = t->rows + 2;
    t->cols_in = t->cols + 2;
    t->once = t->bands == 1 && t->split > 1;
    int64_t tiles = t->rows / 2 * tiles_x, floats = m_floats(p, tiles);
    if (t->once) t->prepared_size = fzi_align((size_t)v_floats(p, tiles) * sizeof(float), 64);
    else floats += v_floats(p, tiles);
    if (t->mode == FZ_TILE_COPY) floats += t->rows_in * t->cols_in * p->cin;
    t->unit_size = fzi_align((size_t)floats * sizeof(float), 64);
}

/* Tile rows [BEGIN, END) of R into V, by way of a padded copy at SCRATCH if need be. */
static void transform(const struct fz_tile_work *work, const struct fz_rect *r, int64_t begin,
                      int64_t end, float *scratch, float *v) {
    const struct fz_conv_params *p = work->job->p;
    int64_t tiles_x = fzi_ceil_div(r->cols, 2), row;
    struct fz_rect part = *r;
    part.h += 2 * begin;
    part.rows = fzi_min_i64(2 * end, r->rows) - 2 * begin;
    if (part.rows <= 0) return;
    const float *in = fzi_tile_input(work->job, work->tiling, &part, scratch, &row);
    struct fzk_winograd_input_f32 w = {
        .in = in, .in_row = row, .in_pixel = p->cin, .height = part.rows + 2,
        .width = part.cols + 2, .v = v + begin * tiles_x * v_row(p),
        .v_matrix = tiles_x * fzi_ceil_div(r->rows, 2) * v_row(p), .v_row = v_row(p),
        .channels = p->cin, .tiles_x = tiles_x, .tile_end = (end - begin) * tiles_x};
    work->job->env->k->winograd_input_f32(&w);
}

static void prepare(const struct fz_tile_work *work, const struct fz_rect *r, int64_t i, int64_t n,
                    void *scratch) {
    int64_t rows = fzi_ceil_div(r->rows, 2);
    transform(work, r, rows * i / n, rows * (i + 1) / n, scratch, fzi_tile_prepared(work));
}

/* The 16 products for output channels [first, first + n). */
static void products(const struct fz_conv_job *job, int64_t tiles, const float *v, int64_t first,
                     int64_t n, float *m) {
    const struct fz_conv_params *p = job->p;
    struct fzk_segment segment = {0, p->cin};
    int64_t plane = job->g->panels * p->cin * FZK_PANEL;
    for (int64_t i = 0; i < 16; i++) {
        const float *b = job->w + i * plane + first * p->cin;
        struct fzk_gemm_f32 g = {.m = tiles, .n = n, .k = p->cin, .a = v + i * tiles * v_row(p),
                                 .lda = v_row(p), .segments = &segment, .n_segments = 1,
                                 .b = b, .ahead = i < 15 ? b + plane : NULL, .c = m + i * tiles * n,
                                 .ldc = n};
        job->env->k->gemm_f32(&g);
    }
}

/* Bias, residual and clip belong to the output transform: the products are never whole images. */
static void output(const struct fz_conv_job *job, const struct fz_rect *r, int64_t tiles_x,
                   int64_t tiles, int64_t first, int64_t n, const float *m) {
    const struct fz_conv_params *p = job->p;
    int64_t width = job->g->out[2], pixel = fzi_conv_pixel(job);
    struct fzk_winograd_output_f32 w = {
        .m = m, .m_matrix = tiles * n, .m_row = n, .bias = job->bias ? job->bias + first : NULL,
        .residual_row = width * p->cout, .residual_pixel = p->cout,
        .out = job->y + fzi_tile_out(job, r) + first, .out_row = width * pixel, .out_pixel = pixel,
        .height = r->rows, .width = r->cols, .channels = n, .tiles_x = tiles_x, .tile_end = tiles,
        .clip = p->act.kind == FZ_ACT_CLIP, .lo = (float)p->act.a, .hi = (float)p->act.b,
        .round = p->act.round & ~(int64_t)FZ_ACT_ROUND};
    if (job->residual) w.residual = job->residual + fzi_tile_residual(job, r) + first;
    job->env->k->winograd_output_f32(&w);
}

/* Input transform once, then groups of COLUMNS output channels: products and output transform. */
static void unit(const struct fz_tile_work *work, const struct fz_rect *r, int64_t part,
                 void *scratch) {
    const struct fz_conv_job *job = work->job;
    const struct fz_conv_params *p = job->p;
    int64_t tiles_x = fzi_ceil_div(r->cols, 2), tiles = tiles_x * fzi_ceil_div(r->rows, 2);
    float *m = scratch, *v = m + m_floats(p, tiles);
    if (work->tiling->once) v = fzi_tile_prepared(work);
    else transform(work, r, 0, fzi_ceil_div(r->rows, 2), v + v_floats(p, tiles), v);
    int64_t panels = job->g->panels, split = work->tiling->split;
    int64_t begin = panels * part / split * FZK_PANEL;
    int64_t end = fzi_min_i64(panels * (part + 1) / split * FZK_PANEL, p->cout);
    for (int64_t j = begin; j < end; j += COLUMNS) {
        int64_t n = fzi_min_i64(COLUMNS, end - j);
        products(job, tiles, v, j, n, m);
        output(job, r, tiles_x, tiles, j, n, m);
    }
    fzi_tile_activate(job, r, begin, end);
}

void fzi_conv_winograd_run(const struct fz_conv_job *job, const struct fz_tiling *t) {
    struct fz_tile_work work = {job, t, unit, NULL, prepare};
    fzi_tile_run(&work);
}
