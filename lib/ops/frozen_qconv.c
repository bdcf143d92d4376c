/* frozen.QConv: an 8-bit convolution over NHWC (or NWC). Inputs are FZ_Q_..., as for
 * frozen.QMatMul, where a row is an image. The border is padded with x's zero point. Work is cut
 * into bands of output rows; a band whose taps leave the image reads a padded copy of its input. */
#include "ops/conv_tile.h"
#include "ops/integer.h"

struct geometry {
    struct fz_conv_geometry g;
    struct fz_tiling t; /* the scratch that all share holds the segments */
    bool flat;          /* 1 x 1: one row of all pixels */
};

static fz_status_t shape(const struct fz_op *op, const struct fz_conv_params *p,
                         const fz_tensor_t *x, fz_tensor_t *out) {
    int32_t rank = (int32_t)p->spatial + 2;
    out->rank = rank;
    for (int32_t i = 0; i < rank; i++) out->dims[i] = x->rank < 0 ? FZ_DIM_UNKNOWN : x->dims[i];
    if (x->rank >= 0 && (x->rank != rank || (x->dims[rank - 1] >= 0 &&
                                             x->dims[rank - 1] != p->cin)))
        return fzi_error(FZ_E_SHAPE, "%s: the input does not have %lld channels", op->name,
                         (long long)p->cin);
    out->dims[rank - 1] = p->cout;
    for (int32_t i = 1; i < rank - 1; i++) {
        int64_t before, in = out->dims[i];
        FZ_TRY(fzi_conv_dim(op, p, 3 - (int)p->spatial + i - 1, in, &out->dims[i], &before));
    }
    return FZ_OK;
}

/* The weights' dims follow from the params. */
static bool weights_fit(const struct fz_conv_params *p, const fz_tensor_t *w, int64_t *sums) {
    int64_t taps = p->kernel[1] * p->kernel[2], cout = p->cout / p->group;
    int64_t panels = fzi_ceil_div(cout, FZK_PANEL), cin = p->cin / p->group;
    bool rows = p->group == 1 && p->dilation[2] == 1;
    int64_t kq = rows ? p->kernel[1] * fzi_ceil_div(p->kernel[2] * cin, FZK_QUAD)
                      : taps * fzi_ceil_div(cin, FZK_QUAD);
    if (!fzi_shape_known(w)) return false;
    if (p->algorithm == FZ_CONV_DEPTHWISE && w->dtype == FZ_TYPE_I16) {
        *sums = 0;
        return w->rank == 2 && w->dims[0] == taps && w->dims[1] == p->cout;
    }
    if (p->algorithm == FZ_CONV_DEPTHWISE) {
        int64_t size = fzk_qpack_depthwise_size(p->cout, p->kernel[1], p->kernel[2]);
        *sums = fzi_ceil_div(p->cout, 32) * 32;
        return w->dtype == FZ_TYPE_I8 && w->rank == 1 &&
               (w->dims[0] == size || w->dims[0] == 2 * size);
    }
    *sums = p->group * panels * FZK_PANEL;
    return w->dtype == FZ_TYPE_I8 && w->rank == 5 && w->dims[0] == p->group &&
           w->dims[1] == panels && w->dims[2] == kq && w->dims[3] == FZK_PANEL &&
           w->dims[4] == FZK_QUAD;
}

static fz_status_t infer(const struct fz_op *op, const struct fz_call *call) {
    const struct fz_packed_params *p = call->params;
    const struct fz_conv_params *c = &p->conv;
    const fz_tensor_t *x = call->in[FZ_Q_X];
    fz_tensor_t out = {0};
    int64_t sums;
    FZ_TRY(fzi_conv_check_frozen(op, c));
    if (c->spatial > 2 || c->kernel[0] != 1 || p->n != c->cout || c->cout > INT32_MAX ||
        c->algorithm == FZ_CONV_WINOGRAD || c->kernel[1] > 4096 || c->kernel[2] > 4096 ||
        !weights_fit(c, call->in[FZ_Q_W], &sums))
        return fzi_error(FZ_E_FORMAT, "%s: the packed weights do not fit", op->name);
    FZ_TRY(fzi_integer_depth(op, 0, 0, c->kernel[1] * c->kernel[2] * (c->cin / c->group)));
    FZ_TRY(fzi_packed_check(op, call, c->cout, sums, 1));
    FZ_TRY(shape(op, c, x, &out));
    const fz_tensor_t *r = call->n_in > FZ_Q_RESIDUAL ? call->in[FZ_Q_RESIDUAL] : NULL;
    if (r && (r->dtype != FZ_TYPE_F32 || p->out.kind != FZK_QOUT_F32 ||
              (fzi_shape_known(r) && fzi_shape_known(&out) && !fzi_shape_equal(r, &out))))
        return fzi_error(FZ_E_SHAPE, "%s: the residual does not fit", op->name);
    fzi_infer_like(call, 0, fzi_packed_type(p), &out);
    return FZ_OK;
}

/* ---- cutting the work */

enum { TASK_MACS = 1000000 }; /* that are worth a task of their own */

/* Bytes of one pixel's sums, in whole panels, and of as many zeros. */
static size_t sums_size(const struct fz_conv_params *p) {
    return (size_t)fzi_ceil_div(p->cout, FZK_PANEL) * FZK_PANEL * sizeof(int32_t) * 2;
}

/* ROWS: the images have ranges of their own, so that a band lies within one. */
static void cut(const struct fz_conv_params *p, const struct fz_env *env, bool rows,
                struct geometry *geo) {
    struct fz_conv_geometry *g = &geo->g;
    struct fz_tiling *t = &geo->t;
    geo->flat = !g->padded && p->kernel[1] == 1 && p->kernel[2] == 1 && p->stride[1] == 1 &&
                p->stride[2] == 1;
    if (geo->flat) {
        g->in[2] = g->out[2] = (rows ? 1 : g->n) * g->out[1] * g->out[2];
        g->in[1] = g->out[1] = 1;
        if (!rows) g->n = 1;
    }
    int64_t pixels = g->n * g->out[1] * g->out[2];
    int64_t target = fzi_min_i64(fzi_max_i64(262144 / fzi_max_i64(p->cin, 1), 56), 4096);
    uint64_t work = (uint64_t)pixels * (uint64_t)g->k * (uint64_t)g->cout_g * (uint64_t)p->group;
    int64_t tasks = fzi_run_tasks(env, work, TASK_MACS);
    if (env->threads > 1) target = fzi_min_i64(target, fzi_max_i64(28, pixels / tasks));
    if (!geo->flat) target = fzi_max_i64(target, g->out[2]); /* whole rows */
    fzi_tile_bands(env, g, target, t);
    fzi_tile_tasks(tasks, p->algorithm == FZ_CONV_GEMM && p->group == 1 ? g->panels : 1, t);
    t->cols_in = (t->cols - 1) * p->stride[2] + g->extent[2];
    t->shared_size = fzi_align((size_t)g->taps * sizeof(struct fzk_segment), 64);
    if (g->padded)
        t->unit_size =
            (size_t)(((t->rows - 1) * p->stride[1] + g->extent[1]) * t->cols_in * p->cin);
    if (p->algorithm == FZ_CONV_DEPTHWISE) t->unit_size += sums_size(p);
    t->unit_size = fzi_align(t->unit_size + 64, 64);
}

static fz_status_t measure(const struct fz_op *op, const struct fz_call *call,
                           struct geometry *t) {
    const struct fz_packed_params *p = call->params;
    const fz_tensor_t *x = call->in[FZ_Q_X];
    int64_t in[3] = {1, 1, 1};
    *t = (struct geometry){0};
    for (int64_t i = 0; i < p->conv.spatial; i++) in[3 - p->conv.spatial + i] = x->dims[1 + i];
    if (call->band) FZ_TRY(fzi_conv_measure_band(op, &p->conv, call, &t->g));
    else FZ_TRY(fzi_conv_measure(op, &p->conv, x->dims[0], in, &t->g));
    cut(&p->conv, call->env, fzi_packed_has_rows(call), t);
    return FZ_OK;
}

static size_t scratch(const struct fz_op *op, const struct fz_call *call) {
    struct geometry t;
    if (measure(op, call, &t) != FZ_OK) return 0;
    return fzi_tile_scratch(&t.t);
}

/* The kernel's rows of x, the same rows of the residual. Ranges of images are looked up by the
 * images' numbers, which a band does not know. */
static bool rows(const struct fz_op *op, const struct fz_call *call, struct fz_rows *rows,
                 int64_t *align) {
    const struct fz_packed_params *p = call->params;
    struct geometry t;
    if (p->conv.spatial != 2 || fzi_packed_has_rows(call)) return false;
    const fz_tensor_t *x = call->in[FZ_Q_X];
    const int64_t in[3] = {1, x->dims[1], x->dims[2]};
    if (fzi_conv_measure(op, &p->conv, x->dims[0], in, &t.g) != FZ_OK) return false;
    rows[FZ_Q_X] = (struct fz_rows){p->conv.stride[1], t.g.extent[1], t.g.before[1]};
    if (call->n_in > FZ_Q_RESIDUAL && call->in[FZ_Q_RESIDUAL])
        rows[FZ_Q_RESIDUAL] = (struct fz_rows){1, 1, 0};
    *align = 1;
    return true;
}

/* ---- one band */

struct job {
    const struct fz_call *call;
    const struct fz_packed_params *p;
    struct geometry t;
    const struct fzk_segment *segments;
    int64_t n_segments, pitch; /* bytes between rows of the image that A lies in */
};

struct band {
    int64_t n, h, w, rows, cols;
    const uint8_t *a;
};

/* The zero point of the band's image. */
static int32_t zero_of(const struct job *j, const struct band *b) {
    const int32_t *zeros = fzi_packed_zeros(j->call, b->n);
    return zeros ? *zeros : fzi_packed_zero(j->call);
}

/* The ending for columns from FIRST on; C at element offset AT. */
static struct fzk_qout out_of(const struct job *j, const struct band *b, int64_t first,
                              int64_t at) {
    struct fzk_qout out = fzi_packed_out(j->call, first, at, j->p->conv.cout);
    const float *scales = fzi_packed_scales(j->call, b->n);
    if (scales) out.a_scale = *scales;
    return out;
}

/* The band's input with zero points where it leaves the image. */
static void copy_padded(const struct job *j, const struct band *b, uint8_t *to) {
    const struct fz_conv_params *p = &j->p->conv;
    const struct fz_conv_geometry *g = &j->t.g;
    const uint8_t *x = j->call->in[FZ_Q_X]->data;
    int64_t rows = (b->rows - 1) * p->stride[1] + g->extent[1], left = -g->before[2];
    /* With wide padding and strides the band may end before the image begins. */
    int64_t from = fzi_max_i64(left, 0), begin = fzi_min_i64(from - left, j->t.t.cols_in);
    int64_t n = fzi_max_i64(fzi_min_i64(j->t.t.cols_in - begin, g->in[2] - from), 0);
    int32_t zero = zero_of(j, b);
    for (int64_t i = 0; i < rows; i++, to += j->pitch) {
        int64_t y = b->h * p->stride[1] - g->before[1] + i;
        bool inside = y >= 0 && y < g->in[1];
        int64_t keep = inside ? n : 0, start = inside ? begin : 0;
        memset(to, zero, (size_t)(start * p->cin));
        if (keep)
            memcpy(to + start * p->cin, x + ((b->n * g->in[1] + y) * g->in[2] + from) * p->cin,
                   (size_t)(keep * p->cin));
        memset(to + (start + keep) * p->cin, zero,
               (size_t)((j->t.t.cols_in - start - keep) * p->cin));
    }
}

static int64_t out_at(const struct job *j, const struct band *b) {
    const struct fz_conv_geometry *g = &j->t.g;
    return ((b->n * g->out[1] + b->h) * g->out[2] + b->w) * j->p->conv.cout;
}

static void multiply(const struct job *j, const struct band *b, int64_t group, int64_t first,
                     int64_t last) {
    const struct fz_conv_params *p = &j->p->conv;
    const struct fz_conv_geometry *g = &j->t.g;
    const fz_tensor_t *zeros = j->call->in[FZ_Q_WZERO], *w = j->call->in[FZ_Q_W];
    int64_t column = group * g->cout_g + first * FZK_PANEL;
    struct fzk_qgemm q = {
        .m = b->rows * b->cols,
        .n = fzi_min_i64(last * FZK_PANEL, g->cout_g) - first * FZK_PANEL,
        .k = g->k, .a = b->a + group * g->cin_g, .lda = p->stride[2] * p->cin, .run = b->cols,
        .run_stride = p->stride[1] * j->pitch, .segments = j->segments,
        .n_segments = j->n_segments,
        .b = (const int8_t *)w->data + (group * g->panels + first) * w->dims[2] * FZK_PANEL *
                                           FZK_QUAD,
        .col_sum = (const int32_t *)j->call->in[FZ_Q_SUMS]->data +
                   (group * g->panels + first) * FZK_PANEL,
        .zb = zeros ? (const int32_t *)zeros->data + column : NULL, .za = zero_of(j, b),
        .a_signed = j->p->x_signed != 0,
        .out = out_of(j, b, column, out_at(j, b) + column)};
    q.out.c_run_stride = q.out.r_run_stride = g->out[2] * p->cout;
    j->call->env->k->qgemm_u8s8(&q);
}

static void depthwise(const struct job *j, const struct band *b) {
    const struct fz_conv_params *p = &j->p->conv;
    const fz_tensor_t *w = j->call->in[FZ_Q_W];
    int64_t one = fzk_qpack_depthwise_size(p->cout, p->kernel[1], p->kernel[2]);
    struct fzk_qdwconv d = {
        .m_rows = b->rows, .m_cols = b->cols, .c = p->cout, .kh = p->kernel[1],
        .kw = p->kernel[2], .stride_y = p->stride[1], .stride_x = p->stride[2],
        .dilation_y = p->dilation[1], .dilation_x = p->dilation[2], .a = b->a,
        .a_row = j->pitch, .a_col = p->cin, .w = w->data,
        .col_sum = j->call->in[FZ_Q_SUMS]->data, .za = zero_of(j, b),
        .a_signed = j->p->x_signed != 0, .twice = w->dims[0] > one,
        .out = out_of(j, b, 0, out_at(j, b))};
    d.out.c_run_stride = d.out.r_run_stride = j->t.g.out[2] * p->cout;
    j->call->env->k->qdwconv_u8s8(&d);
}

/* Adds x[c] * w[c] of one tap, for weights of 16 bits. */
static void add_tap(int32_t *acc, const uint8_t *x, const int16_t *w, int32_t zero, bool sign,
                    int64_t n) {
    if (sign)
        for (int64_t c = 0; c < n; c++) acc[c] += ((int32_t)(int8_t)x[c] - zero) * w[c];
    else
        for (int64_t c = 0; c < n; c++) acc[c] += ((int32_t)x[c] - zero) * w[c];
}

/* Depthwise with weights that need more than 8 bits: the sums of a pixel, then the GEMM's ending,
 * as a product with an empty chain whose bias they are. */
static void depthwise_wide(const struct job *j, const struct band *b, int32_t *acc) {
    const struct fz_conv_params *p = &j->p->conv;
    const int16_t *w = j->call->in[FZ_Q_W]->data;
    const fz_tensor_t *bias = j->call->n_in > FZ_Q_BIAS ? j->call->in[FZ_Q_BIAS] : NULL;
    const int32_t *start = j->p->out.kind != FZK_QOUT_F32 && bias ? bias->data : NULL;
    int32_t zero = zero_of(j, b), *zeros = acc + sums_size(p) / sizeof *acc / 2;
    memset(zeros, 0, sums_size(p) / 2);
    for (int64_t e = 0; e < b->rows * b->cols; e++) {
        int64_t h = e / b->cols, x = e % b->cols;
        const uint8_t *a = b->a + h * p->stride[1] * j->pitch + x * p->stride[2] * p->cin;
        for (int64_t c = 0; c < p->cout; c++) acc[c] = start ? start[c] : 0;
        for (int64_t t = 0; t < p->kernel[1] * p->kernel[2]; t++)
            add_tap(acc,
                    a + t / p->kernel[2] * p->dilation[1] * j->pitch +
                        t % p->kernel[2] * p->dilation[2] * p->cin,
                    w + t * p->cout, zero, j->p->x_signed != 0, p->cout);
        struct fzk_qgemm q = {
            .m = 1,
            .n = p->cout,
            .a = a, /* an empty chain reads nothing of it */
            .col_sum = zeros,
            .b = (const int8_t *)w,
            .out = out_of(j, b, 0, out_at(j, b) + (h * j->t.g.out[2] + x) * p->cout)};
        q.out.bias_i32 = acc;
        j->call->env->k->qgemm_u8s8(&q);
    }
}

static void run_band(const struct job *j, int64_t band, int64_t part, uint8_t *own) {
    const struct fz_conv_params *p = &j->p->conv;
    const struct geometry *t = &j->t;
    struct fz_rect r = fzi_tile_rect(&t->g, &t->t, band);
    struct band b = {.n = r.n, .h = r.h, .w = r.w, .rows = r.rows, .cols = r.cols};
    size_t sums = p->algorithm == FZ_CONV_DEPTHWISE ? sums_size(p) : 0;
    if (t->g.padded) {
        copy_padded(j, &b, own + sums);
        b.a = own + sums;
    } else {
        const uint8_t *x = j->call->in[FZ_Q_X]->data;
        b.a = x + (b.n * t->g.in[1] + b.h * p->stride[1]) * j->pitch + b.w * p->stride[2] * p->cin;
    }
    if (p->algorithm == FZ_CONV_DEPTHWISE) {
        if (j->call->in[FZ_Q_W]->dtype == FZ_TYPE_I16) depthwise_wide(j, &b, (int32_t *)own);
        else depthwise(j, &b);
        return;
    }
    for (int64_t group = 0; group < p->group; group++)
        multiply(j, &b, group, t->g.panels * part / t->t.split,
                 t->g.panels * (part + 1) / t->t.split);
}

static void task(void *arg, size_t i) {
    const struct job *j = arg;
    const struct fz_tiling *t = &j->t.t;
    uint8_t *own = (uint8_t *)j->call->scratch + t->shared_size + i * t->unit_size;
    int64_t units = t->bands * t->split, n = (int64_t)i;
    for (int64_t u = units * n / t->count; u < units * (n + 1) / t->count; u++) {
        if (j->call->env->poll(j->call->env) != FZ_OK) return; /* the run is to end */
        run_band(j, u / t->split, u % t->split, own);
    }
}

static fz_status_t run(const struct fz_op *op, const struct fz_call *call) {
    struct job j = {.call = call, .p = call->params};
    if (!call->out[0]->size) return FZ_OK;
    FZ_TRY(measure(op, call, &j.t));
    j.pitch = (j.t.g.padded ? j.t.t.cols_in : j.t.g.in[2]) * j.p->conv.cin;
    j.segments = call->scratch;
    j.n_segments = fzi_qconv_segments(&j.p->conv, j.pitch, call->scratch);
    if (j.t.t.count == 1) task(&j, 0);
    else call->env->parallel(call->env, (size_t)j.t.t.count, task, &j);
    return FZ_OK;
}

static uint64_t macs(const struct fz_op *op, const struct fz_call *call) {
    struct geometry t;
    const struct fz_packed_params *p = call->params;
    return measure(op, call, &t) == FZ_OK ? fzi_conv_macs(&t.g, &p->conv) : 0;
}

const struct fz_op fz_ops_frozen_qconv[] = {
    {.name = "QConv", .domain = "frozen", .since = 1, .rev = 1,
     .min_in = FZ_Q_W + 1, .max_in = FZ_Q_INPUTS, .min_out = 1, .max_out = 1, .attrs = "",
     .params_size = sizeof(struct fz_packed_params), .infer = infer, .scratch = scratch,
     .run = run, .rows = rows, .macs = macs},
    {0},
};
