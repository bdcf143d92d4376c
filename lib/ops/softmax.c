/* Softmax, LogSoftmax and Hardmax. From opset 13 on they work along one axis; before, the input is
 * seen as a matrix whose rows begin at the axis. m = max, e = exp(x - m), s the sum of e in 16
 * lanes: e / s, or (x - m) - log(s). Hardmax puts 1 at the first maximum, where NaN counts most. */
#include "ops/axes.h"
#include "ops/sum.h"
#include "ops/wide.h"

enum { SOFTMAX, LOG_SOFTMAX, HARDMAX };
enum { TILE = 64, COLUMNS = 256 };

struct params {
    int64_t axis;
    int64_t flat; /* 1: as before opset 13 */
};

static fz_status_t lower(struct fz_lower *lower, struct fz_node *node, void *params) {
    struct params *p = params;
    (void)lower;
    p->flat = node->op->until == 12;
    return fzi_attr_int(node, "axis", p->flat ? 1 : -1, &p->axis);
}

static fz_status_t infer(const struct fz_op *op, const struct fz_call *call) {
    const struct params *p = call->params;
    const fz_tensor_t *in = call->in[0];
    int32_t axis;
    FZ_TRY(fzi_infer_type(op, call, 0, FZ_T(F32) | FZ_T(F64)));
    if (in->rank >= 0 && !fzi_axis(p->axis, in->rank, &axis))
        return fzi_error(FZ_E_SHAPE, "%s: axis %lld is outside of rank %d", op->name,
                         (long long)p->axis, in->rank);
    fzi_infer_like(call, 0, in->dtype, in);
    return FZ_OK;
}

/* The shape as [outer][n][inner] with n the elements of one distribution. */
static struct fz_axes axes_of(const struct fz_call *call) {
    const struct params *p = call->params;
    const fz_tensor_t *in = call->in[0];
    struct fz_axes axes;
    int32_t axis = 0;
    fzi_axis(p->axis, in->rank, &axis);
    uint32_t mask = p->flat ? ~((1u << axis) - 1) : 1u << axis;
    fzi_axes_init(&axes, in, mask);
    return axes;
}

/* Where columns are turned into rows; two rows for binary64. */
static size_t scratch(const struct fz_op *op, const struct fz_call *call) {
    struct fz_axes axes = axes_of(call);
    (void)op;
    if (call->in[0]->dtype == FZ_TYPE_F64) return (size_t)axes.n * 16;
    return axes.inner > 1 ? (size_t)fzi_tensor_count(call->in[0]) * 4 : 0;
}

static void hardmax(double *y, const double *x, int64_t n) {
    int64_t best = 0;
    for (int64_t i = 1; i < n && x[best] == x[best]; i++)
        if (x[i] != x[i] || x[i] > x[best]) best = i;
    for (int64_t i = 0; i < n; i++) y[i] = 0;
    y[best] = 1;
}

static void hardmax_f32(float *y, const float *x, int64_t rows, int64_t n) {
    for (int64_t r = 0; r < rows; r++, x += n, y += n) {
        int64_t best = 0;
        for (int64_t i = 1; i < n && x[best] == x[best]; i++)
            if (x[i] != x[i] || x[i] > x[best]) best = i;
        for (int64_t i = 0; i < n; i++) y[i] = 0;
        y[best] = 1;
    }
}

static void softmax_f64(const struct fzk_table *k, double *y, const double *x, int64_t n) {
    double m = x[0];
    for (int64_t i = 1; i < n; i++) m = fzi_max_f64(m, x[i]);
    for (int64_t i = 0; i < n; i++) y[i] = x[i] - m;
    k->unary_f64(FZK_FN_EXP, y, y, n, 0, 0);
    double s = fzi_sum_f64(y, n);
    for (int64_t i = 0; i < n; i++) y[i] = y[i] / s;
}

/* Y is another row than X. */
static void log_softmax_f64(const struct fzk_table *k, double *y, const double *x, int64_t n) {
    double m = x[0], s;
    for (int64_t i = 1; i < n; i++) m = fzi_max_f64(m, x[i]);
    for (int64_t i = 0; i < n; i++) y[i] = x[i] - m;
    k->unary_f64(FZK_FN_EXP, y, y, n, 0, 0);
    s = fzi_sum_f64(y, n);
    k->unary_f64(FZK_FN_LOG, &s, &s, 1, 0, 0);
    for (int64_t i = 0; i < n; i++) y[i] = (x[i] - m) - s;
}

struct job {
    const struct fzk_table *k;
    int64_t kind;
    const void *x;
    void *y, *scratch;
    struct fz_axes axes;
    int64_t tile, tiles; /* columns of a tile; tiles in inner */
};

static void rows_f32(const struct job *job, float *y, const float *x, int64_t rows) {
    int64_t n = job->axes.n;
    if (job->kind == SOFTMAX) job->k->softmax_f32(y, x, rows, n);
    else if (job->kind == LOG_SOFTMAX) job->k->logsoftmax_f32(y, x, rows, n);
    else hardmax_f32(y, x, rows, n);
}

static void row_range(void *arg, int64_t begin, int64_t end) {
    const struct job *job = arg;
    int64_t at = begin * job->axes.n;
    rows_f32(job, (float *)job->y + at, (const float *)job->x + at, end - begin);
}

/* Tile I: TILE columns of one of the outer matrices, turned into rows and back. */
static void tile_range(void *arg, int64_t begin, int64_t end) {
    const struct job *job = arg;
    int64_t n = job->axes.n, inner = job->axes.inner;
    for (int64_t i = begin; i < end; i++) {
        int64_t column = i % job->tiles * TILE, matrix = i / job->tiles * n * inner;
        int64_t width = fzi_min_i64(TILE, inner - column);
        float *rows = (float *)job->scratch + matrix + column * n;
        job->k->transpose_2d(4, rows, (const float *)job->x + matrix + column, n, width, inner, n);
        rows_f32(job, rows, rows, width);
        job->k->transpose_2d(4, (float *)job->y + matrix + column, rows, width, n, n, inner);
    }
}

/* Y = fn(X, STAT) over N rows of WIDTH elements; rows lie LDX and LDY apart. */
static void each_row(const struct job *job, int32_t fn, float *y, int64_t ldy, const float *x,
                     int64_t ldx, const float *stat, int64_t width) {
    for (int64_t j = 0; j < job->axes.n; j++)
        job->k->binary_f32(fn, y + j * ldy, x + j * ldx, stat, width, 1, 1);
}

/* The steps of the row kernels, each over WIDTH columns at once; E holds n * WIDTH elements. */
static void columns(const struct job *job, float *y, const float *x, float *e, int64_t width) {
    int64_t n = job->axes.n, inner = job->axes.inner;
    float stat[COLUMNS];
    bool logarithm = job->kind == LOG_SOFTMAX;
    memcpy(stat, x, (size_t)width * 4);
    for (int64_t j = 1; j < n; j++)
        job->k->binary_f32(FZK_BINARY_MAX, stat, stat, x + j * inner, width, 1, 1);
    each_row(job, FZK_BINARY_SUB, e, width, x, inner, stat, width);
    if (logarithm)
        for (int64_t j = 0; j < n; j++)
            memcpy(y + j * inner, e + j * width, (size_t)width * 4);
    job->k->unary_f32(FZK_FN_EXP, e, e, n * width, 0, 0);
    job->k->reduce_f32(FZK_REDUCE_SUM, stat, e, 1, n, width);
    if (!logarithm) {
        each_row(job, FZK_BINARY_DIV, y, inner, e, width, stat, width);
        return;
    }
    job->k->unary_f32(FZK_FN_LOG, stat, stat, width, 0, 0);
    each_row(job, FZK_BINARY_SUB, y, inner, y, inner, stat, width);
}

static void column_range(void *arg, int64_t begin, int64_t end) {
    const struct job *job = arg;
    int64_t n = job->axes.n, inner = job->axes.inner;
    for (int64_t i = begin; i < end; i++) {
        int64_t column = i % job->tiles * job->tile, matrix = i / job->tiles * n * inner;
        columns(job, (float *)job->y + matrix + column, (const float *)job->x + matrix + column,
                (float *)job->scratch + matrix + column * n,
                fzi_min_i64(job->tile, inner - column));
    }
}

/* Many columns are taken side by side, a few are turned into rows. */
static void run_f32(const struct fz_call *call, struct job *job) {
    int64_t n = job->axes.n, inner = job->axes.inner;
    bool wide = inner >= 16 && job->kind != HARDMAX;
    job->tile = wide ? fzi_max_i64(16, fzi_min_i64(COLUMNS, 16384 / n / 16 * 16)) : TILE;
    job->tiles = fzi_ceil_div(inner, job->tile);
    int64_t work = n * (inner > 1 ? fzi_min_i64(job->tile, inner) : 1);
    int64_t grain = fzi_max_i64(1, 8192 / work);
    if (inner == 1) fzi_run_range(call->env, job->axes.outer, grain, row_range, job);
    else
        fzi_run_range(call->env, job->axes.outer * job->tiles, grain,
                      wide ? column_range : tile_range, job);
}

/* A column at a time, by way of two rows in the scratch. */
static void run_f64(const struct job *job, double *row) {
    int64_t n = job->axes.n, inner = job->axes.inner;
    for (int64_t i = 0; i < job->axes.outer * inner; i++) {
        int64_t at = i / inner * n * inner + i % inner;
        const double *x = (const double *)job->x + at;
        double *y = (double *)job->y + at, *from = row, *to = row + n;
        for (int64_t j = 0; j < n; j++) from[j] = x[j * inner];
        if (job->kind == SOFTMAX) softmax_f64(job->k, to, from, n);
        else if (job->kind == LOG_SOFTMAX) log_softmax_f64(job->k, to, from, n);
        else hardmax(to, from, n);
        for (int64_t j = 0; j < n; j++) y[j * inner] = to[j];
    }
}

static fz_status_t run(const struct fz_op *op, const struct fz_call *call) {
    struct job job = {.k = call->env->k, .kind = op->kind, .x = call->in[0]->data,
                      .y = call->out[0]->data, .scratch = call->scratch, .axes = axes_of(call)};
    if (fzi_tensor_count(call->in[0]) == 0) return FZ_OK;
    if (call->in[0]->dtype == FZ_TYPE_F32) run_f32(call, &job);
    else run_f64(&job, call->scratch);
    return FZ_OK;
}

#define ROW(onnx, first, last, row)                                                                \
    {.name = onnx, .domain = "", .since = first, .until = last, .rev = 1, .min_in = 1,             \
     .max_in = 1, .min_out = 1, .max_out = 1, .attrs = "axis",                                     \
     .params_size = sizeof(struct params), .kind = row, .lower = lower, .infer = infer,            \
     .scratch = scratch, .run = run}

const struct fz_op fz_ops_softmax[] = {
    ROW("Softmax", 1, 12, SOFTMAX),
    ROW("Softmax", 13, 0, SOFTMAX),
    ROW("LogSoftmax", 1, 12, LOG_SOFTMAX),
    ROW("LogSoftmax", 13, 0, LOG_SOFTMAX),
    ROW("Hardmax", 1, 12, HARDMAX),
    ROW("Hardmax", 13, 0, HARDMAX),
    {0},
};
