/* GridSample: values of an image at places that a grid names, nearest, linear or cubic, in
 * binary32. Places are denormalised, (x + 1) / 2 * (n - 1) or ((x + 1) * n - 1) / 2, brought inside
 * by the padding mode, and mixed dimension by dimension from the last to the first, the terms of
 * each in order, two roundings a term. Cubic weights go by Horner's rule with a = -0.75. NaN places
 * count as -1. */
#include "ops/op.h"

enum { NEAREST, LINEAR, CUBIC };
enum { ZEROS, BORDER, REFLECTION };
enum { MAX_DIMS = 3, MAX_TAPS = 4 };

struct params {
    int64_t mode, padding, align;
};

static fz_status_t lower(struct fz_lower *lower, struct fz_node *node, void *params) {
    static const char *const modes[] = {"nearest", "linear", "cubic", "bilinear", "bicubic", NULL};
    static const char *const paddings[] = {"zeros", "border", "reflection", NULL};
    struct params *p = params;
    (void)lower;
    FZ_TRY(fzi_attr_choice(node, "mode", modes, LINEAR, &p->mode));
    if (p->mode > CUBIC) p->mode -= 2;
    FZ_TRY(fzi_attr_choice(node, "padding_mode", paddings, ZEROS, &p->padding));
    return fzi_attr_int(node, "align_corners", 0, &p->align);
}

static fz_status_t infer(const struct fz_op *op, const struct fz_call *call) {
    const struct params *p = call->params;
    const fz_tensor_t *x = call->in[0], *grid = call->in[1];
    int64_t dims[FZ_RANK_MAX], size;
    if (p->mode < 0 || p->mode > CUBIC || p->padding < 0 || p->padding > REFLECTION)
        return fzi_error(FZ_E_FORMAT, "%s: parameters out of range", op->name);
    for (uint32_t i = 0; i < 2; i++) FZ_TRY(fzi_infer_type(op, call, i, FZ_T(F32)));
    int32_t rank = x->rank >= 0 ? x->rank : grid->rank;
    if (rank < 0) {
        fzi_infer_unknown(call, 0, FZ_TYPE_F32);
        return FZ_OK;
    }
    if (rank < 3 || rank > 2 + MAX_DIMS || (grid->rank >= 0 && grid->rank != rank) ||
        (p->mode == CUBIC && rank != 4))
        return fzi_error(FZ_E_UNSUPPORTED, "%s: an input of rank %d with a grid of rank %d",
                         op->name, x->rank, grid->rank);
    if (grid->rank >= 0 && grid->dims[rank - 1] >= 0 && grid->dims[rank - 1] != rank - 2)
        return fzi_error(FZ_E_SHAPE, "%s: places have %lld coordinates", op->name,
                         (long long)grid->dims[rank - 1]);
    if (fzi_shape_known(x) && fzi_shape_known(grid) && x->dims[0] != grid->dims[0])
        return fzi_error(FZ_E_SHAPE, "%s: the grid is for another number of images", op->name);
    if (fzi_shape_known(x) && (!fzi_dims_count(x->dims, 1, rank, &size) || size == 0))
        return fzi_error(FZ_E_SHAPE, "%s: an image without points", op->name);
    dims[0] = x->rank >= 0 ? x->dims[0] : grid->dims[0];
    dims[1] = x->rank >= 0 ? x->dims[1] : FZ_DIM_UNKNOWN;
    for (int32_t d = 2; d < rank; d++)
        dims[d] = grid->rank >= 0 ? grid->dims[d - 1] : FZ_DIM_UNKNOWN;
    fzi_infer_shape(call, 0, FZ_TYPE_F32, rank, dims);
    return FZ_OK;
}

struct job {
    const struct params *p;
    const float *x, *grid;
    float *y;
    int32_t n_dims;
    int64_t in[MAX_DIMS]; /* of the image */
    int64_t channels, in_size, out_size;
};

/* floor(x) where it fits 32 bits, as places inside of or near an image do. */
static int64_t floor_of(float x) {
    int64_t n = (int64_t)x;
    return (float)n > x ? n - 1 : n;
}

static float round_even(float x) {
    int64_t low = floor_of(x);
    float rest = x - (float)low;
    return (float)(low + (rest > 0.5f || (rest == 0.5f && (low & 1))));
}

/* X thrown back at the ends LOW and HIGH until it lies between them. */
static float reflect(float x, float low, float high) {
    float range = high - low, over = x < low ? low - x : x - high;
    if (x >= low && x <= high) return x;
    if (!(range > 0)) return low;
    float turns = over / range;
    if (!(turns < 0x1p30f)) return low;
    int64_t n = (int64_t)turns;
    float rest = over - (float)n * range;
    bool odd = n & 1, below = x < low;
    return below != odd ? low + rest : high - rest;
}

/* A place of the grid along a dimension of SIZE points, inside if the padding mode says so. */
static float locate(const struct params *p, float place, int64_t size) {
    float n = (float)size, x = place != place ? -1 : place;
    x = p->align ? (x + 1) / 2 * (n - 1) : ((x + 1) * n - 1) / 2;
    x = x < -0x1p30f ? -0x1p30f : x > 0x1p30f ? 0x1p30f : x;
    if (p->mode == NEAREST) x = round_even(x);
    if (p->padding == BORDER && p->mode != CUBIC) x = x < 0 ? 0 : x > n - 1 ? n - 1 : x;
    if (p->padding == REFLECTION && p->mode != CUBIC)
        x = p->align ? reflect(x, 0, n - 1) : reflect(x, -0.5f, n - 0.5f);
    return x;
}

/* The point that stands for I along a dimension of N points; -1: there is 0. */
static int64_t point_of(const struct params *p, int64_t i, int64_t n) {
    if (i >= 0 && i < n) return i;
    if (p->padding == ZEROS) return -1;
    if (p->padding == BORDER) return i < 0 ? 0 : n - 1;
    float x = (float)i;
    x = p->align ? reflect(x, 0, (float)(n - 1)) : reflect(x, -0.5f, (float)n - 0.5f);
    i = (int64_t)x;
    return i < 0 ? 0 : i < n ? i : n - 1;
}

/* The points and weights of one dimension. */
struct taps {
    int32_t n;
    int64_t point[MAX_TAPS];
    float weight[MAX_TAPS];
};

static float cubic(float x) {
    const float a = -0.75f;
    x = __builtin_fabsf(x);
    if (x <= 1) return ((a + 2) * x - (a + 3)) * x * x + 1;
    return x < 2 ? ((a * x - 5 * a) * x + 8 * a) * x - 4 * a : 0;
}

static void find_taps(const struct params *p, float place, int64_t size, struct taps *taps) {
    float x = locate(p, place, size);
    int64_t base = floor_of(x);
    float rest = x - (float)base;
    taps->n = p->mode == NEAREST ? 1 : p->mode == LINEAR ? 2 : 4;
    for (int32_t t = 0; t < taps->n; t++) {
        int32_t step = p->mode == CUBIC ? t - 1 : t;
        taps->point[t] = point_of(p, base + step, size);
        taps->weight[t] = p->mode == CUBIC    ? cubic(rest - (float)step)
                          : p->mode == LINEAR ? (t ? rest : 1 - rest)
                                              : 1;
    }
}

/* The mix of dimensions D and on, at row ROW of the ones before; ROW -1: all of it is 0. */
static float mix(const struct job *job, const struct taps *taps, const float *x, int32_t d,
                 int64_t row) {
    if (d == MAX_DIMS || d == job->n_dims) return row < 0 ? 0 : x[row];
    float sum = 0;
    for (int32_t t = 0; t < taps[d].n; t++) {
        int64_t point = taps[d].point[t];
        float v = mix(job, taps, x, d + 1, row < 0 || point < 0 ? -1 : row * job->in[d] + point);
        sum = t ? sum + taps[d].weight[t] * v : taps[d].weight[t] * v;
    }
    return sum;
}

/* Output points, counted over all images: all channels of each. */
static void point_range(void *arg, int64_t begin, int64_t end) {
    const struct job *job = arg;
    for (int64_t i = begin; i < end; i++) {
        struct taps taps[MAX_DIMS];
        int64_t image = i / job->out_size;
        const float *place = job->grid + i * job->n_dims;
        const float *x = job->x + image * job->channels * job->in_size;
        float *y = job->y + image * job->channels * job->out_size + i % job->out_size;
        /* A place names the last dimension first. */
        for (int32_t d = 0; d < job->n_dims; d++)
            find_taps(job->p, place[job->n_dims - 1 - d], job->in[d], &taps[d]);
        for (int64_t c = 0; c < job->channels; c++)
            y[c * job->out_size] = mix(job, taps, x + c * job->in_size, 0, 0);
    }
}

static fz_status_t run(const struct fz_op *op, const struct fz_call *call) {
    const fz_tensor_t *x = call->in[0], *out = call->out[0];
    (void)op;
    if (out->size == 0) return FZ_OK;
    struct job job = {.p = call->params, .x = x->data, .grid = call->in[1]->data, .y = out->data,
                      .n_dims = x->rank - 2, .channels = x->dims[1], .in_size = 1, .out_size = 1};
    for (int32_t d = 0; d < job.n_dims; d++) {
        job.in[d] = x->dims[2 + d];
        job.in_size *= job.in[d];
        job.out_size *= out->dims[2 + d];
    }
    fzi_run_range(call->env, x->dims[0] * job.out_size, fzi_max_i64(1, 256 / job.channels),
                  point_range, &job);
    return FZ_OK;
}

#define ROW(first, last)                                                                           \
    {.name = "GridSample", .domain = "", .since = first, .until = last, .rev = 1, .min_in = 2,     \
     .max_in = 2, .min_out = 1, .max_out = 1, .attrs = "mode padding_mode align_corners",          \
     .params_size = sizeof(struct params), .lower = lower, .infer = infer, .run = run}

const struct fz_op fz_ops_grid_sample[] = {
    ROW(16, 0),
    {0},
};
