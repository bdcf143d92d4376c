/* MaxPool, and frozen.MaxPool over channels-last images. NaN wins and +0 > -0; among equals the
 * first point of the window gives the index. A window over padding alone gives the least value. */
#include "ops/pool.h"
#include "ops/wide.h"

enum { FIRST, LAST }; /* where the channels are */

static fz_status_t infer(const struct fz_op *op, const struct fz_call *call) {
    int32_t dtype = call->in[0]->dtype;
    FZ_TRY(fzi_infer_type(op, call, 0, FZ_T(F32) | FZ_T(F64) | FZ_T(I8) | FZ_T(U8)));
    FZ_TRY(fzi_pool_infer(op, call, op->kind == LAST, 0, dtype));
    return fzi_pool_infer(op, call, op->kind == LAST, 1, FZ_TYPE_I64);
}

struct job {
    const struct fzk_table *k;
    struct fz_pool pool;
    int32_t dtype;
    size_t width;
    const void *x;
    void *y;
    int64_t *indices; /* or NULL */
    bool column_major;
};

static bool above_f64(double v, double best) {
    if (v != v || best != best) return best == best;
    if (v == best) return __builtin_signbit(best) && !__builtin_signbit(v);
    return v > best;
}

/* The offset in plane X of the greatest element that the window meets; -1 if it meets none. */
#define WINNER(name, type, above)                                                                  \
    static int64_t name(const struct fz_pool *pool, const void *plane,                             \
                        const struct fz_span s[3]) {                                               \
        const type *x = plane;                                                                     \
        int64_t winner = -1;                                                                       \
        for (int64_t i = 0; i < s[0].count; i++)                                                   \
            for (int64_t j = 0; j < s[1].count; j++) {                                             \
                int64_t row = (s[0].first + i * s[0].step) * pool->in[1] + s[1].first +            \
                              j * s[1].step;                                                       \
                int64_t at = row * pool->in[2] + s[2].first;                                       \
                for (int64_t m = 0; m < s[2].count; m++, at += s[2].step)                          \
                    if (winner < 0 || above) winner = at;                                          \
            }                                                                                      \
        return winner;                                                                             \
    }
WINNER(winner_f32, float, above_f64((double)x[at], (double)x[winner]))
WINNER(winner_f64, double, above_f64(x[at], x[winner]))
WINNER(winner_i8, int8_t, x[at] > x[winner])
WINNER(winner_u8, uint8_t, x[at] > x[winner])

static int64_t find(const struct job *job, const void *plane, const struct fz_span s[3]) {
    switch (job->dtype) {
    case FZ_TYPE_F32: return winner_f32(&job->pool, plane, s);
    case FZ_TYPE_F64: return winner_f64(&job->pool, plane, s);
    case FZ_TYPE_I8: return winner_i8(&job->pool, plane, s);
    default: return winner_u8(&job->pool, plane, s);
    }
}

static void put_least(const struct job *job, void *y) {
    const float f32 = -__builtin_inff();
    const double f64 = -__builtin_inf();
    if (job->dtype == FZ_TYPE_F32) memcpy(y, &f32, 4);
    else if (job->dtype == FZ_TYPE_F64) memcpy(y, &f64, 8);
    else *(uint8_t *)y = job->dtype == FZ_TYPE_I8 ? 0x80 : 0;
}

/* What Indices say of the point at offset AT of a plane. */
static int64_t index_of(const struct fz_pool *pool, int64_t at, bool column_major) {
    if (!column_major) return at;
    int64_t x = at % pool->in[2], y = at / pool->in[2] % pool->in[1];
    int64_t z = at / pool->in[2] / pool->in[1];
    return (x * pool->in[1] + y) * pool->in[0] + z;
}

/* Outputs of channels-first images, counted over all planes. */
static void first_range(void *arg, int64_t begin, int64_t end) {
    const struct job *job = arg;
    const struct fz_pool *pool = &job->pool;
    for (int64_t i = begin; i < end; i++) {
        struct fz_span span[3];
        int64_t plane = i / pool->out_size * pool->in_size;
        const char *x = (const char *)job->x + plane * (int64_t)job->width;
        char *y = (char *)job->y + i * (int64_t)job->width;
        fzi_pool_window(pool, i % pool->out_size, span);
        int64_t winner = find(job, x, span);
        if (winner < 0) put_least(job, y);
        else memcpy(y, x + winner * (int64_t)job->width, job->width);
        if (job->indices)
            job->indices[i] = plane + index_of(pool, winner < 0 ? 0 : winner, job->column_major);
    }
}

/* Y = max(Y, X) of N neighbouring channels. */
static void join(const struct job *job, void *y, const void *x, int64_t n) {
    const int8_t *xi = x;
    int8_t *yi = y;
    const uint8_t *xu = x;
    uint8_t *yu = y;
    switch (job->dtype) {
    case FZ_TYPE_F32: job->k->binary_f32(FZK_BINARY_MAX, y, y, x, n, 1, 1); return;
    case FZ_TYPE_F64: job->k->binary_f64(FZK_BINARY_MAX, y, y, x, n, 1, 1); return;
    case FZ_TYPE_I8:
        for (int64_t i = 0; i < n; i++) yi[i] = xi[i] > yi[i] ? xi[i] : yi[i];
        return;
    default:
        for (int64_t i = 0; i < n; i++) yu[i] = xu[i] > yu[i] ? xu[i] : yu[i];
        return;
    }
}

/* Output points of channels-last images: tap after tap over all channels. */
static void last_range(void *arg, int64_t begin, int64_t end) {
    const struct job *job = arg;
    const struct fz_pool *pool = &job->pool;
    int64_t pixel = pool->c * (int64_t)job->width;
    for (int64_t i = begin; i < end; i++) {
        struct fz_span s[3];
        const char *image = (const char *)job->x + i / pool->out_size * pool->in_size * pixel;
        char *y = (char *)job->y + i * pixel;
        bool begun = false;
        fzi_pool_window(pool, i % pool->out_size, s);
        for (int64_t t = 0; t < s[0].count * s[1].count; t++) {
            int64_t z = s[0].first + t / s[1].count * s[0].step;
            int64_t row = z * pool->in[1] + s[1].first + t % s[1].count * s[1].step;
            const char *x = image + (row * pool->in[2] + s[2].first) * pixel;
            for (int64_t m = 0; m < s[2].count; m++, x += s[2].step * pixel, begun = true)
                if (begun) join(job, y, x, pool->c);
                else memcpy(y, x, (size_t)pixel);
        }
        for (int64_t c = 0; c < pool->c && !begun; c++) put_least(job, y + c * (int64_t)job->width);
    }
}

/* Images go by rows; the indices of their winners, which count from the image's start, do not. */
static bool rows(const struct fz_op *op, const struct fz_call *call, struct fz_rows *rows,
                 int64_t *align) {
    struct fz_pool pool;
    if (op->kind != LAST || call->in[0]->rank != 4) return false;
    fzi_pool_measure(op, call, true, &pool);
    int64_t extent = (pool.kernel[1] - 1) * pool.dilation[1] + 1;
    rows[0] = (struct fz_rows){pool.stride[1], extent, pool.before[1]};
    *align = 1;
    return true;
}

/* The sizes of a band are those of its windows. */
static void measure(const struct fz_op *op, const struct fz_call *call, struct fz_pool *pool) {
    fzi_pool_measure(op, call, op->kind == LAST, pool);
    if (!call->band) return;
    pool->in[1] = call->in[0]->dims[1];
    pool->out[1] = call->out[0]->dims[1];
    pool->before[1] = call->band->before;
    pool->in_size = pool->in[1] * pool->in[2];
    pool->out_size = pool->out[1] * pool->out[2];
}

static fz_status_t run(const struct fz_op *op, const struct fz_call *call) {
    const struct fz_pool_params *p = call->params;
    fz_tensor_t *indices = call->n_out > 1 ? call->out[1] : NULL;
    struct job job = {.k = call->env->k, .dtype = call->in[0]->dtype, .x = call->in[0]->data,
                      .y = call->out[0] ? call->out[0]->data : NULL,
                      .indices = indices ? indices->data : NULL,
                      .column_major = p->column_major != 0};
    job.width = fzi_type_width(job.dtype);
    measure(op, call, &job.pool);
    int64_t taps = job.pool.kernel[0] * job.pool.kernel[1] * job.pool.kernel[2];
    int64_t points = job.pool.n * job.pool.out_size;
    int64_t images = op->kind == LAST ? job.pool.n : job.pool.n * job.pool.c;
    if (points * job.pool.c == 0) return FZ_OK;
    bool f32 = job.dtype == FZ_TYPE_F32 && !job.indices;
    if (f32 && op->kind == LAST &&
        fzi_pool_run_last(call->env, &job.pool, false, job.k->maxpool_f32, job.x, job.y))
        return FZ_OK;
    if (f32 &&
        fzi_max_tile(call->env, &job.pool, images, op->kind == LAST ? job.pool.c : 1, job.x, job.y))
        return FZ_OK;
    if (job.width == 1 && op->kind == LAST && !job.indices &&
        fzi_pool_run_bytes(call->env, &job.pool, job.dtype == FZ_TYPE_I8, job.x, job.y))
        return FZ_OK;
    if (op->kind == LAST)
        fzi_run_range(call->env, points, fzi_max_i64(1, 8192 / taps / job.pool.c), last_range,
                      &job);
    else
        fzi_run_range(call->env, points * job.pool.c, fzi_max_i64(1, 8192 / taps), first_range,
                      &job);
    return FZ_OK;
}

#define ROW(family, order, outputs)                                                                \
    {.name = "MaxPool", .domain = family, .since = 1, .rev = 1, .min_in = 1, .max_in = 1,          \
     .min_out = 1, .max_out = outputs,                                                             \
     .attrs = "kernel_shape strides pads auto_pad dilations ceil_mode storage_order",              \
     .params_size = sizeof(struct fz_pool_params), .kind = order, .lower = fzi_pool_lower,         \
     .infer = infer, .run = run, .rows = rows}

const struct fz_op fz_ops_max_pool[] = {
    ROW("", FIRST, 2),
    ROW("frozen", LAST, 1),
    {0},
};
