/* frozen.BatchNormalizationTraining: normalisation by the statistics of the batch itself, made by
 * lib/passes/expand.c. Of each channel, with its elements in row-major order: mean and variance as
 * sums in 16 lanes, r = 1 / sqrt(var + eps), y = fma((x - mean) * r, scale, bias) in binary32, a
 * product and a sum in binary64; then running = old * momentum + new * (1 - momentum). */
#include "ops/move.h"
#include "ops/sum.h"

enum { X, SCALE, BIAS, MEAN, VARIANCE };
enum { Y, NEW_MEAN, NEW_VARIANCE, BATCH_MEAN, BATCH_VARIANCE };

struct params {
    double eps, momentum; /* binary32 values */
};

static fz_status_t lower(struct fz_lower *lower, struct fz_node *node, void *params) {
    struct params *p = params;
    (void)lower;
    FZ_TRY(fzi_attr_float(node, "epsilon", 1e-5f, &p->eps));
    return fzi_attr_float(node, "momentum", 0.9f, &p->momentum);
}

static fz_status_t infer(const struct fz_op *op, const struct fz_call *call) {
    const fz_tensor_t *x = call->in[X];
    FZ_TRY(fzi_infer_type(op, call, X, FZ_T(F32) | FZ_T(F64)));
    for (uint32_t i = SCALE; i <= VARIANCE; i++)
        FZ_TRY(fzi_infer_type(op, call, i, 1ull << x->dtype));
    if (x->rank == 0 || x->rank == 1)
        return fzi_error(FZ_E_SHAPE, "%s: the input has no channels", op->name);
    int64_t channels = x->rank > 1 ? x->dims[1] : FZ_DIM_UNKNOWN;
    for (uint32_t i = SCALE; i <= VARIANCE; i++) {
        const fz_tensor_t *t = call->in[i];
        if (t->rank >= 0 && (t->rank != 1 || (t->dims[0] >= 0 && channels >= 0 &&
                                              t->dims[0] != channels)))
            return fzi_error(FZ_E_SHAPE, "%s: input %u is not one number for each channel",
                             op->name, i);
    }
    fzi_infer_like(call, Y, x->dtype, x);
    for (uint32_t i = NEW_MEAN; i <= BATCH_VARIANCE; i++)
        fzi_infer_shape(call, i, x->dtype, 1, &channels);
    return FZ_OK;
}

/* A channel's elements, its normalised ones, its deviations. */
static size_t scratch(const struct fz_op *op, const struct fz_call *call) {
    const fz_tensor_t *x = call->in[X];
    (void)op;
    int64_t n = x->dims[0] * fzi_move_span(x, 2, x->rank);
    return fzi_tensor_count(x) ? 3 * fzi_align((size_t)n * fzi_type_width(x->dtype), 64) : 0;
}

struct stat {
    double mean, variance; /* values of the type */
};

static void put(const struct fz_call *call, uint32_t i, int64_t c, double x) {
    if (i >= call->n_out || !call->out[i]) return;
    if (call->out[i]->dtype == FZ_TYPE_F32) ((float *)call->out[i]->data)[c] = (float)x;
    else ((double *)call->out[i]->data)[c] = x;
}

static void normalise_f32(const struct fz_call *call, int64_t c, int64_t n, const float *x,
                          float *y, struct stat *stat) {
    const struct params *p = call->params;
    const struct fzk_table *k = call->env->k;
    float mean, squares, r;
    struct fzk_norm_f32 g = {.rows = 1, .n = n, .x = x, .y = y, .eps = (float)p->eps,
                             .gain = (const float *)call->in[SCALE]->data + c,
                             .bias = (const float *)call->in[BIAS]->data + c, .channels = 1,
                             .inv_std = &r, .mean = &mean};
    k->norm_f32(&g);
    stat->mean = (double)mean;
    for (int64_t i = 0; i < n; i++) y[n + i] = x[i] - mean;
    k->reduce_f32(FZK_REDUCE_SUM_SQUARE, &squares, y + n, 1, n, 1);
    stat->variance = (double)(squares / (float)n);
}

static void normalise_f64(const struct fz_call *call, int64_t c, int64_t n, const double *x,
                          double *y, struct stat *stat) {
    const struct params *p = call->params;
    double scale = ((const double *)call->in[SCALE]->data)[c];
    double bias = ((const double *)call->in[BIAS]->data)[c];
    stat->mean = fzi_sum_f64(x, n) / (double)n;
    for (int64_t i = 0; i < n; i++) y[i] = (x[i] - stat->mean) * (x[i] - stat->mean);
    stat->variance = fzi_sum_f64(y, n) / (double)n;
    double r = 1 / __builtin_sqrt(stat->variance + p->eps);
    for (int64_t i = 0; i < n; i++) y[i] = ((x[i] - stat->mean) * r) * scale + bias;
}

/* Copies channel C of all images to ROW, or back. */
static void move_channel(const fz_tensor_t *t, int64_t c, bool back, void *row) {
    int64_t channels = t->dims[1], space = fzi_move_span(t, 2, t->rank);
    size_t size = (size_t)space * fzi_type_width(t->dtype);
    for (int64_t i = 0; i < t->dims[0]; i++) {
        char *at = fzi_move_at(t, (i * channels + c) * space), *to = (char *)row + (size_t)i * size;
        memcpy(back ? at : to, back ? to : at, size);
    }
}

static fz_status_t run(const struct fz_op *op, const struct fz_call *call) {
    const struct params *p = call->params;
    const fz_tensor_t *x = call->in[X];
    int64_t channels = x->dims[1], n = x->dims[0] * fzi_move_span(x, 2, x->rank);
    float old = (float)p->momentum, new = 1 - old;
    if (channels && !n) return fzi_error(FZ_E_VALUE, "%s: the batch is empty", op->name);
    for (int64_t c = 0; c < channels; c++) {
        struct stat s;
        char *row = call->scratch;
        char *y = row + fzi_align((size_t)n * fzi_type_width(x->dtype), 64);
        FZ_TRY(call->env->poll(call->env));
        move_channel(x, c, false, row);
        if (x->dtype == FZ_TYPE_F32)
            normalise_f32(call, c, n, (float *)(void *)row, (float *)(void *)y, &s);
        else normalise_f64(call, c, n, (double *)(void *)row, (double *)(void *)y, &s);
        if (call->out[Y]) move_channel(call->out[Y], c, true, y);
        put(call, BATCH_MEAN, c, s.mean);
        put(call, BATCH_VARIANCE, c, s.variance);
        put(call, NEW_MEAN, c, fzi_tensor_float(call->in[MEAN], c) * (double)old +
                               s.mean * (double)new);
        put(call, NEW_VARIANCE, c, fzi_tensor_float(call->in[VARIANCE], c) * (double)old +
                                   s.variance * (double)new);
    }
    return FZ_OK;
}

const struct fz_op fz_ops_batch_norm_training[] = {
    {.name = "BatchNormalizationTraining", .domain = "frozen", .since = 1, .rev = 1, .min_in = 5,
     .max_in = 5, .min_out = 1, .max_out = 5, .attrs = "epsilon momentum",
     .params_size = sizeof(struct params), .lower = lower, .infer = infer, .scratch = scratch,
     .run = run},
    {0},
};
