/* LpNormalization and MeanVarianceNormalization: elements over a statistic of their axes, whose
 * sums are those of ReduceSum: squares enter by fma, a norm is their square root, a variance is
 * that of rounded differences to the mean, divided by n. Every element is divided by the
 * statistic. */
#include "ops/axes.h"
#include "ops/op.h"
#include "ops/sum.h"

enum { LP, MEAN_VARIANCE };

struct params {
    int64_t p; /* LpNormalization: 1 or 2 */
    int64_t n_axes;
    int64_t axes[FZ_RANK_MAX];
};

static fz_status_t lower_lp(struct fz_lower *lower, struct fz_node *node, void *params) {
    struct params *p = params;
    (void)lower;
    p->n_axes = 1;
    FZ_TRY(fzi_attr_int(node, "axis", -1, &p->axes[0]));
    FZ_TRY(fzi_attr_int(node, "p", 2, &p->p));
    if (p->p == 1 || p->p == 2) return FZ_OK;
    return fzi_error(FZ_E_UNSUPPORTED, "p is %lld, not 1 or 2", (long long)p->p);
}

static fz_status_t lower_mean(struct fz_lower *lower, struct fz_node *node, void *params) {
    static const int64_t usual[] = {0, 2, 3};
    struct params *p = params;
    const int64_t *axes = usual;
    size_t n = FZ_COUNT(usual);
    (void)lower;
    FZ_TRY(fzi_attr_ints(node, "axes", &axes, &n));
    if (n > FZ_RANK_MAX) return fzi_error(FZ_E_UNSUPPORTED, "attribute 'axes' has more than 12");
    for (size_t i = 0; i < n; i++) p->axes[i] = axes[i];
    p->n_axes = (int64_t)n;
    return FZ_OK;
}

static fz_status_t find_mask(const struct fz_op *op, const struct fz_call *call, uint32_t *mask) {
    const struct params *p = call->params;
    bool known;
    if (p->n_axes < 0 || p->n_axes > FZ_RANK_MAX)
        return fzi_error(FZ_E_FORMAT, "%s: too many axes", op->name);
    return fzi_infer_axes(op, call, 1, p->axes, p->n_axes, call->in[0]->rank, mask, &known);
}

static fz_status_t infer(const struct fz_op *op, const struct fz_call *call) {
    uint32_t mask;
    FZ_TRY(fzi_infer_type(op, call, 0, FZ_T(F32) | FZ_T(F64)));
    if (call->in[0]->rank >= 0) FZ_TRY(find_mask(op, call, &mask));
    fzi_infer_like(call, 0, call->in[0]->dtype, call->in[0]);
    return FZ_OK;
}

static struct fz_axes axes_of(const struct fz_op *op, const struct fz_call *call) {
    struct fz_axes axes;
    uint32_t mask = 0;
    if (find_mask(op, call, &mask) != FZ_OK) mask = 0; /* never: infer has been here */
    fzi_axes_init(&axes, call->in[0], mask);
    return axes;
}

/* The statistics (of binary64: a column), and the elements where their axes have to be brought
 * together. */
static size_t scratch(const struct fz_op *op, const struct fz_call *call) {
    struct fz_axes axes = axes_of(op, call);
    size_t keep = fzi_align((size_t)(axes.outer * axes.inner) * 4, 64);
    if (call->in[0]->dtype == FZ_TYPE_F64) keep = fzi_align((size_t)axes.n * 8, 64);
    return keep + (axes.direct ? 0 : call->in[0]->size);
}

struct job {
    const struct fzk_table *k;
    struct fz_axes axes;
    int64_t kind, p;
    const float *x;
    float *y, *stat;
};

/* y = fn(x, stat), the statistic of one outer index repeated over n. */
static void apply(const struct job *job, int32_t fn, const float *x, float *y, const float *stat) {
    int64_t n = job->axes.n, inner = job->axes.inner;
    if (inner == 1) {
        job->k->binary_f32(fn, y, x, stat, n, 1, 0);
        return;
    }
    for (int64_t i = 0; i < n; i++)
        job->k->binary_f32(fn, y + i * inner, x + i * inner, stat, inner, 1, 1);
}

/* The norm; 1 where it is 0, so that zeros stay zeros. */
static void lp_row(const struct job *job, const float *x, float *y, float *stat) {
    int64_t inner = job->axes.inner;
    int32_t sum = job->p == 1 ? FZK_REDUCE_SUM_ABS : FZK_REDUCE_SUM_SQUARE;
    job->k->reduce_f32(sum, stat, x, 1, job->axes.n, inner);
    if (job->p == 2) job->k->unary_f32(FZK_FN_SQRT, stat, stat, inner, 0, 0);
    for (int64_t i = 0; i < inner; i++) stat[i] = stat[i] == 0 ? 1 : stat[i];
    apply(job, FZK_BINARY_DIV, x, y, stat);
}

/* (x - mean) / (sqrt(variance) + 1e-9), in two passes. */
static void mean_row(const struct job *job, const float *x, float *y, float *stat) {
    int64_t n = job->axes.n, inner = job->axes.inner;
    job->k->reduce_f32(FZK_REDUCE_MEAN, stat, x, 1, n, inner);
    apply(job, FZK_BINARY_SUB, x, y, stat);
    job->k->reduce_f32(FZK_REDUCE_SUM_SQUARE, stat, y, 1, n, inner);
    for (int64_t i = 0; i < inner; i++) stat[i] = __builtin_sqrtf(stat[i] / (float)n) + 1e-9f;
    apply(job, FZK_BINARY_DIV, y, y, stat);
}

static void row_range(void *arg, int64_t begin, int64_t end) {
    const struct job *job = arg;
    int64_t inner = job->axes.inner, row = job->axes.n * inner;
    for (int64_t i = begin; i < end; i++)
        (job->kind == LP ? lp_row : mean_row)(job, job->x + i * row, job->y + i * row,
                                              job->stat + i * inner);
}

/* ---- binary64: column by column, each brought together in ROOM */

static double stat_f64(const struct params *p, int64_t kind, double *x, int64_t n) {
    double mean = kind == LP ? 0 : fzi_sum_f64(x, n) / (double)n, stat;
    for (int64_t i = 0; kind != LP && i < n; i++) x[i] = x[i] - mean;
    if (kind == LP && p->p == 1) stat = fzi_sum_sizes_f64(x, n);
    else stat = fzi_sum_squares_f64(x, n);
    if (kind != LP) return __builtin_sqrt(stat / (double)n) + 1e-9;
    stat = p->p == 1 ? stat : __builtin_sqrt(stat);
    return stat == 0 ? 1 : stat;
}

static void run_f64(const struct params *p, int64_t kind, const struct fz_axes *axes,
                    const double *x, double *y, double *room) {
    int64_t n = axes->n, inner = axes->inner;
    for (int64_t i = 0; i < axes->outer * inner; i++) {
        int64_t at = i / inner * n * inner + i % inner;
        for (int64_t j = 0; j < n; j++) room[j] = x[at + j * inner];
        double stat = stat_f64(p, kind, room, n);
        for (int64_t j = 0; j < n; j++) y[at + j * inner] = room[j] / stat;
    }
}

/* Scratch: the statistics, then the elements in the order of the axes. */
static fz_status_t run(const struct fz_op *op, const struct fz_call *call) {
    const struct params *p = call->params;
    const struct fz_axes axes = axes_of(op, call);
    size_t width = fzi_type_width(call->in[0]->dtype);
    const void *x = call->in[0]->data;
    void *y = call->out[0]->data;
    if (call->out[0]->size == 0) return FZ_OK;
    if (!axes.direct) {
        y = (char *)call->scratch + scratch(op, call) - call->in[0]->size;
        fzi_axes_gather(&axes, width, y, x);
        x = y;
    }
    if (width == 8) run_f64(p, op->kind, &axes, x, y, call->scratch);
    else {
        struct job job = {call->env->k, axes, op->kind, p->p, x, y, call->scratch};
        fzi_run_range(call->env, axes.outer, fzi_max_i64(1, 8192 / (axes.n * axes.inner)),
                      row_range, &job);
    }
    if (!axes.direct) fzi_axes_scatter(&axes, width, call->out[0]->data, y);
    return FZ_OK;
}

#define ROW(onnx, first, row, known, lowering)                                                     \
    {.name = onnx, .domain = "", .since = first, .rev = 1, .min_in = 1, .max_in = 1, .min_out = 1, \
     .max_out = 1, .attrs = known, .params_size = sizeof(struct params), .kind = row,              \
     .lower = lowering, .infer = infer, .scratch = scratch, .run = run}

const struct fz_op fz_ops_lp_norm[] = {
    ROW("LpNormalization", 1, LP, "axis p", lower_lp),
    ROW("MeanVarianceNormalization", 9, MEAN_VARIANCE, "axes", lower_mean),
    {0},
};
