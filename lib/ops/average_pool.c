/* AveragePool and LpPool, and frozen.AveragePool over channels-last images. The sum of a window is
 * one chain in row-major order from +0, then one division. LpPool adds |x|^p, rounded first (a
 * square is a product, not an fma), and takes the power 1 / p of the sum, 1 / p rounded to binary32
 * (of p = 2 the square root). Padding adds nothing. A window over padding alone gives 0. */
#include "ops/pool.h"

enum { AVERAGE, AVERAGE_LAST, POWER };

static fz_status_t lower(struct fz_lower *lower, struct fz_node *node, void *params) {
    struct fz_pool_params *p = params;
    const struct fz_attr *attr = fzi_attr(node, "p");
    FZ_TRY(fzi_pool_lower(lower, node, params));
    p->power = 2;
    if (attr && attr->kind == FZ_ATTR_FLOAT) p->power = (double)attr->f;
    else if (attr && attr->kind == FZ_ATTR_INT) p->power = (double)(float)attr->i;
    else if (attr) return fzi_error(FZ_E_FORMAT, "attribute 'p' is of the wrong kind");
    return FZ_OK;
}

static fz_status_t infer(const struct fz_op *op, const struct fz_call *call) {
    const struct fz_pool_params *p = call->params;
    FZ_TRY(fzi_infer_type(op, call, 0, FZ_T(F32) | (op->kind == AVERAGE_LAST ? 0 : FZ_T(F64))));
    if (op->kind == POWER && !(p->power > 0))
        return fzi_error(FZ_E_FORMAT, "%s: p must be above 0", op->name);
    return fzi_pool_infer(op, call, op->kind == AVERAGE_LAST, 0, call->in[0]->dtype);
}

struct job {
    const struct fzk_table *k;
    struct fz_pool pool;
    const float *x;
    float *y;
    const double *x64; /* binary64 */
    double *y64;
    float power; /* LpPool */
    bool include_pad, powers;
};

/* The divisor of output point POINT: the points that the window meets, or the padding's too. */
static float divisor(const struct job *job, int64_t point, const struct fz_span s[3]) {
    if (!job->include_pad) return (float)(s[0].count * s[1].count * s[2].count);
    int64_t n = 1;
    for (int d = 2; d >= 0; d--) {
        n *= fzi_pool_reach(&job->pool, d, point % job->pool.out[d]);
        point /= job->pool.out[d];
    }
    return (float)n;
}

/* The next link of LpPool's chain. */
static float add_power(const struct job *job, float sum, float x) {
    float size = __builtin_fabsf(x), p = job->power, y;
    if (p == 1) return sum + size;
    job->k->binary_f32(p == 2 ? FZK_BINARY_MUL : FZK_BINARY_POW, &y, &size, p == 2 ? &size : &p, 1,
                       1, 1);
    return sum + y;
}

static float root(const struct job *job, float sum) {
    float inverse = 1 / job->power, y;
    if (job->power == 1) return sum;
    if (job->power == 2) return __builtin_sqrtf(sum);
    job->k->binary_f32(FZK_BINARY_POW, &y, &sum, &inverse, 1, 1, 1);
    return y;
}

static float sum_window(const struct job *job, const float *x, const struct fz_span s[3]) {
    const struct fz_pool *pool = &job->pool;
    float sum = 0;
    for (int64_t t = 0; t < s[0].count * s[1].count; t++) {
        int64_t z = s[0].first + t / s[1].count * s[0].step;
        int64_t row = z * pool->in[1] + s[1].first + t % s[1].count * s[1].step;
        int64_t at = row * pool->in[2] + s[2].first;
        for (int64_t m = 0; m < s[2].count; m++, at += s[2].step)
            sum = job->powers ? add_power(job, sum, x[at]) : sum + x[at];
    }
    return sum;
}

static void first_range(void *arg, int64_t begin, int64_t end) {
    const struct job *job = arg;
    const struct fz_pool *pool = &job->pool;
    for (int64_t i = begin; i < end; i++) {
        struct fz_span span[3];
        int64_t point = i % pool->out_size;
        fzi_pool_window(pool, point, span);
        float sum = sum_window(job, job->x + i / pool->out_size * pool->in_size, span);
        float n = divisor(job, point, span);
        job->y[i] = job->powers ? root(job, sum) : n > 0 ? sum / n : 0;
    }
}

/* ---- binary64 */

static double power_f64(const struct job *job, double x, double power) {
    double y;
    job->k->binary_f64(FZK_BINARY_POW, &y, &x, &power, 1, 1, 1);
    return y;
}

static double add_power_f64(const struct job *job, double sum, double x) {
    double size = __builtin_fabs(x);
    if (!job->powers) return sum + x;
    if (job->power == 1) return sum + size;
    return sum + (job->power == 2 ? size * size : power_f64(job, size, (double)job->power));
}

static double end_f64(const struct job *job, double sum, float n) {
    if (!job->powers) return n > 0 ? sum / (double)n : 0;
    if (job->power == 1) return sum;
    return job->power == 2 ? __builtin_sqrt(sum) : power_f64(job, sum, 1 / (double)job->power);
}

static void range_f64(void *arg, int64_t begin, int64_t end) {
    const struct job *job = arg;
    const struct fz_pool *pool = &job->pool;
    for (int64_t i = begin; i < end; i++) {
        const double *x = job->x64 + i / pool->out_size * pool->in_size;
        struct fz_span s[3];
        double sum = 0;
        fzi_pool_window(pool, i % pool->out_size, s);
        for (int64_t t = 0; t < s[0].count * s[1].count * s[2].count; t++) {
            int64_t z = s[0].first + t / s[2].count / s[1].count * s[0].step;
            int64_t row = s[1].first + t / s[2].count % s[1].count * s[1].step;
            int64_t column = s[2].first + t % s[2].count * s[2].step;
            sum = add_power_f64(job, sum, x[(z * pool->in[1] + row) * pool->in[2] + column]);
        }
        job->y64[i] = end_f64(job, sum, divisor(job, i % pool->out_size, s));
    }
}

/* Channels last: tap after tap over all channels, which gives each the same chain. */
static void last_range(void *arg, int64_t begin, int64_t end) {
    const struct job *job = arg;
    const struct fz_pool *pool = &job->pool;
    for (int64_t i = begin; i < end; i++) {
        struct fz_span s[3];
        int64_t point = i % pool->out_size;
        const float *image = job->x + i / pool->out_size * pool->in_size * pool->c;
        float *y = job->y + i * pool->c;
        memset(y, 0, (size_t)pool->c * 4);
        fzi_pool_window(pool, point, s);
        for (int64_t t = 0; t < s[0].count * s[1].count; t++) {
            int64_t z = s[0].first + t / s[1].count * s[0].step;
            int64_t row = z * pool->in[1] + s[1].first + t % s[1].count * s[1].step;
            const float *x = image + (row * pool->in[2] + s[2].first) * pool->c;
            for (int64_t m = 0; m < s[2].count; m++, x += s[2].step * pool->c)
                job->k->binary_f32(FZK_BINARY_ADD, y, y, x, pool->c, 1, 1);
        }
        const float n = divisor(job, point, s);
        if (n > 0) job->k->binary_f32(FZK_BINARY_DIV, y, y, &n, pool->c, 1, 0);
    }
}

static fz_status_t run(const struct fz_op *op, const struct fz_call *call) {
    const struct fz_pool_params *p = call->params;
    struct job job = {.k = call->env->k, .x = call->in[0]->data, .y = call->out[0]->data,
                      .x64 = call->in[0]->data, .y64 = call->out[0]->data,
                      .power = (float)p->power, .include_pad = p->include_pad != 0,
                      .powers = op->kind == POWER};
    bool last = op->kind == AVERAGE_LAST;
    fzi_pool_measure(op, call, last, &job.pool);
    int64_t taps = job.pool.kernel[0] * job.pool.kernel[1] * job.pool.kernel[2];
    int64_t points = job.pool.n * job.pool.out_size, c = job.pool.c;
    if (c == 0) return FZ_OK;
    if (last && fzi_pool_run_last(call->env, &job.pool, job.include_pad, job.k->avgpool_f32, job.x,
                                  job.y))
        return FZ_OK;
    if (last) fzi_run_range(call->env, points, fzi_max_i64(1, 8192 / taps / c), last_range, &job);
    else
        fzi_run_range(call->env, points * c, fzi_max_i64(1, 8192 / taps),
                      call->in[0]->dtype == FZ_TYPE_F64 ? range_f64 : first_range, &job);
    return FZ_OK;
}

#define ROW(family, onnx, row, known)                                                              \
    {.name = onnx, .domain = family, .since = 1, .rev = 1, .min_in = 1, .max_in = 1, .min_out = 1, \
     .max_out = 1, .attrs = "kernel_shape strides pads auto_pad dilations ceil_mode " known,       \
     .params_size = sizeof(struct fz_pool_params), .kind = row, .lower = lower, .infer = infer,    \
     .run = run}

const struct fz_op fz_ops_average_pool[] = {
    ROW("", "AveragePool", AVERAGE, "count_include_pad"),
    ROW("frozen", "AveragePool", AVERAGE_LAST, "count_include_pad"),
    ROW("", "LpPool", POWER, "p"),
    {0},
};
