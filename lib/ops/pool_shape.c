/* Attributes, sizes and windows of pooling. */
#include "ops/pool.h"

fz_status_t fzi_pool_lower(struct fz_lower *lower, struct fz_node *node, void *params) {
    struct fz_pool_params *p = params;
    if (!fzi_attr(node, "kernel_shape"))
        return fzi_error(FZ_E_FORMAT, "attribute 'kernel_shape' is missing");
    struct fz_node bare = *node; /* only input 0 tells the rank */
    if (bare.n_in > 1) bare.n_in = 1;
    FZ_TRY(fzi_conv_lower(lower, &bare, false, &p->conv));
    p->conv.blas = 0;
    FZ_TRY(fzi_attr_int(node, "ceil_mode", 0, &p->ceil_mode));
    FZ_TRY(fzi_attr_int(node, "count_include_pad", 0, &p->include_pad));
    return fzi_attr_int(node, "storage_order", 0, &p->column_major);
}

/* The first dimension of the image in a tensor of either layout. */
static int32_t image_at(bool last) { return last ? 1 : 2; }

static fz_status_t refuse(const struct fz_op *op, int64_t in) {
    return fzi_error(FZ_E_SHAPE, "%s: the window does not fit an input of %lld", op->name,
                     (long long)in);
}

/* Sizes along axis D for an input of IN points. With ceil_mode a last window counts that begins
 * inside of the image or the padding before it. */
static fz_status_t measure_dim(const struct fz_op *op, const struct fz_pool_params *p, int d,
                               int64_t in, int64_t *out, int64_t *before) {
    const struct fz_conv_params *c = &p->conv;
    if (in > INT64_MAX / 4) return refuse(op, in);
    if (in < 0 && p->ceil_mode && c->stride[d] != 1) {
        *out = FZ_DIM_UNKNOWN;
        *before = 0;
        return FZ_OK;
    }
    if (in < 0 || c->auto_pad != FZ_PAD_GIVEN || !p->ceil_mode)
        return fzi_conv_dim(op, c, d, in, out, before);
    int64_t extent = (c->kernel[d] - 1) * c->dilation[d] + 1;
    int64_t room = in + c->before[d] + c->after[d] - extent;
    *before = c->before[d];
    if (in < 1 || room <= -c->stride[d]) return refuse(op, in);
    *out = (room < 0 ? 0 : fzi_ceil_div(room, c->stride[d])) + 1;
    if (*out > 1 && (*out - 1) * c->stride[d] >= in + c->before[d]) --*out;
    return FZ_OK;
}

fz_status_t fzi_pool_infer(const struct fz_op *op, const struct fz_call *call, bool last,
                           uint32_t i, int32_t dtype) {
    const struct fz_pool_params *p = call->params;
    const fz_tensor_t *in = call->in[0];
    if (p->conv.spatial < 1 || p->conv.spatial > 3)
        return fzi_error(FZ_E_FORMAT, "%s: parameters out of range", op->name);
    FZ_TRY(fzi_conv_check(op, &p->conv));
    for (int d = 0; d < 3; d++)
        if (p->conv.kernel[d] < 1) return fzi_error(FZ_E_FORMAT, "%s: an empty window", op->name);
    int64_t dims[FZ_RANK_MAX] = {0}, before;
    int32_t spatial = (int32_t)p->conv.spatial;
    for (int32_t d = 0; d < spatial + 2; d++) dims[d] = in->rank < 0 ? FZ_DIM_UNKNOWN : in->dims[d];
    if (in->rank >= 0 && in->rank != spatial + 2)
        return fzi_error(FZ_E_SHAPE, "%s: %d dimensions where %d are needed", op->name, in->rank,
                         spatial + 2);
    for (int32_t d = 0; d < spatial && in->rank >= 0; d++) {
        int64_t *dim = &dims[image_at(last) + d];
        FZ_TRY(measure_dim(op, p, 3 - spatial + d, *dim, dim, &before));
    }
    fzi_infer_shape(call, i, dtype, spatial + 2, dims);
    return FZ_OK;
}

void fzi_pool_measure(const struct fz_op *op, const struct fz_call *call, bool last,
                      struct fz_pool *pool) {
    const struct fz_pool_params *p = call->params;
    const fz_tensor_t *in = call->in[0];
    int32_t spatial = (int32_t)p->conv.spatial;
    *pool = (struct fz_pool){.n = in->dims[0], .c = in->dims[last ? spatial + 1 : 1], .in_size = 1,
                             .out_size = 1};
    for (int d = 0; d < 3; d++) {
        int32_t at = d - (3 - spatial);
        pool->in[d] = at < 0 ? 1 : in->dims[image_at(last) + at];
        pool->kernel[d] = p->conv.kernel[d];
        pool->stride[d] = p->conv.stride[d];
        pool->dilation[d] = p->conv.dilation[d];
        if (measure_dim(op, p, d, pool->in[d], &pool->out[d], &pool->before[d]) != FZ_OK)
            pool->out[d] = 0; /* never: infer has been here */
        int64_t reach = (pool->out[d] - 1) * pool->stride[d] - pool->before[d] +
                        (pool->kernel[d] - 1) * pool->dilation[d] + 1;
        pool->end[d] = p->conv.auto_pad == FZ_PAD_GIVEN ? pool->in[d] + p->conv.after[d]
                                                        : fzi_max_i64(reach, pool->in[d]);
        pool->in_size *= pool->in[d];
        pool->out_size *= pool->out[d];
    }
}

struct fz_span fzi_pool_span(const struct fz_pool *pool, int d, int64_t out) {
    int64_t step = pool->dilation[d], start = out * pool->stride[d] - pool->before[d];
    int64_t skip = start < 0 ? fzi_ceil_div(-start, step) : 0;
    int64_t first = start + skip * step;
    int64_t room = pool->in[d] > first ? fzi_ceil_div(pool->in[d] - first, step) : 0;
    int64_t count = fzi_min_i64(pool->kernel[d] - skip, room);
    return (struct fz_span){first, fzi_max_i64(count, 0), step};
}

int64_t fzi_pool_reach(const struct fz_pool *pool, int d, int64_t out) {
    int64_t start = out * pool->stride[d] - pool->before[d];
    if (start >= pool->end[d]) return 0;
    return fzi_min_i64(pool->kernel[d], fzi_ceil_div(pool->end[d] - start, pool->dilation[d]));
}

void fzi_pool_window(const struct fz_pool *pool, int64_t point, struct fz_span span[3]) {
    for (int d = 2; d >= 0; d--) {
        span[d] = fzi_pool_span(pool, d, point % pool->out[d]);
        point /= pool->out[d];
    }
}

struct last_job {
    struct fzk_pool_f32 kernel; /* of all images, as if they were one */
    void (*run)(const struct fzk_pool_f32 *p);
    int64_t rows, in_size, out_size; /* of an image */
};

/* Output rows, counted over all images. */
static void last_range(void *arg, int64_t begin, int64_t end) {
    const struct last_job *job = arg;
    while (begin < end) {
        struct fzk_pool_f32 p = job->kernel;
        int64_t image = begin / job->rows;
        p.in += image * job->in_size;
        p.out += image * job->out_size;
        p.row_begin = begin % job->rows;
        p.row_end = fzi_min_i64(job->rows, p.row_begin + end - begin);
        job->run(&p);
        begin += p.row_end - p.row_begin;
    }
}

/* True if the kernels know such windows: no depth, and none lies in the padding alone. */
static bool all_meet(const struct fz_pool *pool) {
    if (pool->in[0] != 1 || pool->out[0] != 1 || pool->kernel[0] != 1) return false;
    for (int d = 1; d < 3; d++)
        for (int64_t o = 0; o < pool->out[d]; o++)
            if (fzi_pool_span(pool, d, o).count == 0) return false;
    return true;
}

bool fzi_pool_run_last(const struct fz_env *env, const struct fz_pool *pool, bool include_pad,
                       void (*kernel)(const struct fzk_pool_f32 *p), const float *x, float *y) {
    if (!all_meet(pool)) return false;
    int64_t c = pool->c, h = pool->in[1], w = pool->in[2];
    struct last_job job = {
        .kernel = {.in = x, .in_row = w * c, .in_pixel = c, .height = h, .width = w, .out = y,
                   .out_row = pool->out[2] * c, .out_pixel = c, .out_width = pool->out[2],
                   .channels = c, .kernel_h = pool->kernel[1], .kernel_w = pool->kernel[2],
                   .stride_h = pool->stride[1], .stride_w = pool->stride[2],
                   .dilation_h = pool->dilation[1], .dilation_w = pool->dilation[2],
                   .pad_h = pool->before[1], .pad_w = pool->before[2],
                   .end_h = pool->end[1] - h, .end_w = pool->end[2] - w,
                   .count_pad = include_pad},
        .run = kernel, .rows = pool->out[1], .in_size = h * w * c,
        .out_size = pool->out_size * c};
    int64_t work = pool->out[2] * c * pool->kernel[1] * pool->kernel[2];
    fzi_run_range(env, pool->n * pool->out[1], fzi_max_i64(1, 65536 / fzi_max_i64(1, work)),
                  last_range, &job);
    return true;
}

struct bytes_job {
    const struct fzk_table *k;
    struct fzk_qpool pool; /* of all images, as if they were one */
    int64_t rows, in_size, out_size;
};

static void bytes_range(void *arg, int64_t begin, int64_t end) {
    const struct bytes_job *job = arg;
    while (begin < end) {
        struct fzk_qpool p = job->pool;
        int64_t image = begin / job->rows;
        p.a = (const uint8_t *)p.a + image * job->in_size;
        p.out = (uint8_t *)p.out + image * job->out_size;
        p.y0 = begin % job->rows;
        p.y1 = fzi_min_i64(job->rows, p.y0 + end - begin);
        job->k->qmaxpool_u8(&p);
        begin += p.y1 - p.y0;
    }
}

bool fzi_pool_run_bytes(const struct fz_env *env, const struct fz_pool *pool, bool is_signed,
                        const void *x, void *y) {
    if (!all_meet(pool)) return false;
    int64_t c = pool->c, h = pool->in[1], w = pool->in[2];
    struct bytes_job job = {
        .k = env->k,
        .pool = {.a = x, .out = y, .h = h, .w = w, .c = c, .a_row = w * c, .a_col = c,
                 .out_w = pool->out[2], .out_row = pool->out[2] * c, .out_col = c,
                 .kh = pool->kernel[1], .kw = pool->kernel[2], .stride_y = pool->stride[1],
                 .stride_x = pool->stride[2], .dilation_y = pool->dilation[1],
                 .dilation_x = pool->dilation[2], .pad_y = pool->before[1],
                 .pad_x = pool->before[2], .is_signed = is_signed},
        .rows = pool->out[1], .in_size = h * w * c, .out_size = pool->out_size * c};
    int64_t work = pool->out[2] * c * pool->kernel[1] * pool->kernel[2];
    fzi_run_range(env, pool->n * pool->out[1], fzi_max_i64(1, 1000000 / fzi_max_i64(1, work)),
                  bytes_range, &job);
    return true;
}
