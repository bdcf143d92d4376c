/* LayerNormalization, RMSNormalization and their like: rows of neighbouring elements, sums in 16
 * lanes, r = 1 / sqrt(var + eps), y = fma((x - mean) * r, scale, bias), or without a bias
 * ((x - mean) * r) * scale. RMSNormalization has mean 0 and the mean square for var. Instances and
 * groups of channels are rows of their own. */
#include "ops/move.h"
#include "ops/sum.h"
#include "ops/walk.h"

enum { LAYER, RMS, SIMPLIFIED, INSTANCE, GROUP };

struct params {
    int64_t axis;
    int64_t groups;
    double eps; /* a binary32 value */
};

static fz_status_t lower(struct fz_lower *lower, struct fz_node *node, void *params) {
    struct params *p = params;
    int64_t stash;
    (void)lower;
    FZ_TRY(fzi_attr_int(node, "stash_type", FZ_TYPE_F32, &stash));
    if (stash != FZ_TYPE_F32)
        return fzi_error(FZ_E_UNSUPPORTED, "stash_type must be 1: sums are taken in float32");
    FZ_TRY(fzi_attr_int(node, "axis", -1, &p->axis));
    FZ_TRY(fzi_attr_float(node, "epsilon", 1e-5f, &p->eps));
    if (node->op->kind == GROUP && !fzi_attr(node, "num_groups"))
        return fzi_error(FZ_E_FORMAT, "attribute 'num_groups' is missing");
    return fzi_attr_int(node, "num_groups", 1, &p->groups);
}

static fz_status_t check_types(const struct fz_op *op, const struct fz_call *call) {
    FZ_TRY(fzi_infer_type(op, call, 0, FZ_T(F32) | FZ_T(F64)));
    uint64_t same = 1ull << call->in[0]->dtype;
    for (uint32_t i = 1; i < 3; i++) FZ_TRY(fzi_infer_type(op, call, i, same));
    return FZ_OK;
}

/* ---- rows that begin at an axis */

/* Checks that input I (scale or bias) broadcasts to the dimensions of a row. */
static fz_status_t check_row(const struct fz_op *op, const struct fz_call *call, uint32_t i,
                             const fz_tensor_t *row) {
    const fz_tensor_t *t = i < call->n_in ? call->in[i] : NULL;
    if (!t || !fzi_shape_known(t) || !fzi_shape_known(row)) return FZ_OK;
    const fz_tensor_t *const both[2] = {t, row};
    fz_tensor_t joined = {0};
    FZ_TRY(fzi_infer_broadcast(op, both, 2, &joined));
    if (fzi_shape_equal(&joined, row)) return FZ_OK;
    return fzi_error(FZ_E_SHAPE, "%s: input %u is larger than a row", op->name, i);
}

/* The dimensions from the axis on, as a tensor without data. */
static fz_tensor_t row_shape(const fz_tensor_t *x, int32_t axis) {
    fz_tensor_t row = {.dtype = x->dtype};
    fzi_shape_set(&row, x->rank - axis, x->dims + axis);
    return row;
}

/* A row must have a size even if there are no rows. */
static fz_status_t check_size(const struct fz_op *op, const fz_tensor_t *row) {
    int64_t n;
    if (!fzi_shape_known(row) || fzi_dims_count(row->dims, 0, row->rank, &n)) return FZ_OK;
    return fzi_error(FZ_E_SHAPE, "%s: a row is too large", op->name);
}

static fz_status_t infer_rows(const struct fz_op *op, const struct fz_call *call) {
    const struct params *p = call->params;
    const fz_tensor_t *x = call->in[0];
    int32_t axis;
    FZ_TRY(check_types(op, call));
    fzi_infer_like(call, 0, x->dtype, x);
    if (x->rank < 0) {
        for (uint32_t i = 1; i < 3; i++) fzi_infer_unknown(call, i, FZ_TYPE_F32);
        return FZ_OK;
    }
    if (!fzi_axis(p->axis, x->rank, &axis))
        return fzi_error(FZ_E_SHAPE, "%s: axis %lld is outside of rank %d", op->name,
                         (long long)p->axis, x->rank);
    fz_tensor_t row = row_shape(x, axis), stat = *x;
    FZ_TRY(check_size(op, &row));
    for (uint32_t i = 1; i < 3; i++) FZ_TRY(check_row(op, call, i, &row));
    for (int32_t d = axis; d < x->rank; d++) stat.dims[d] = 1;
    for (uint32_t i = 1; i < 3; i++) fzi_infer_like(call, i, FZ_TYPE_F32, &stat);
    return FZ_OK;
}

/* Room for a scale or a bias of a whole row. */
static size_t room_of(const fz_tensor_t *row) {
    return fzi_align((size_t)fzi_tensor_count(row) * fzi_type_width(row->dtype), 64);
}

static size_t scratch_rows(const struct fz_op *op, const struct fz_call *call) {
    const struct params *p = call->params;
    int32_t axis = 0;
    (void)op;
    fzi_axis(p->axis, call->in[0]->rank, &axis);
    fz_tensor_t row = row_shape(call->in[0], axis);
    return 2 * room_of(&row);
}

/* Input I repeated to a whole row: its own data if that is what it has, else a copy at ROOM. */
static const void *whole_row(const struct fz_call *call, uint32_t i, const fz_tensor_t *row,
                             char *room) {
    const fz_tensor_t *t = i < call->n_in ? call->in[i] : NULL;
    int64_t n = fzi_tensor_count(row), width = (int64_t)fzi_type_width(row->dtype);
    if (!t) return NULL;
    if (fzi_tensor_count(t) == n || n == 0) return t->data;
    struct fz_walk walk;
    struct fz_walk_at at;
    fzi_walk_init(&walk, row, &t, 1);
    fzi_walk_seek(&walk, &at, 0);
    for (int64_t j = 0, run; j < n; j += run) {
        run = fzi_walk_run(&walk, &at, n - j);
        int64_t step = fzi_walk_step(&walk, 0);
        for (int64_t m = 0; m < run; m++)
            memcpy(room + (j + m) * width, (const char *)t->data + (at.off[0] + m * step) * width,
                   (size_t)width);
        fzi_walk_next(&walk, &at, run);
    }
    return room;
}

struct job {
    const struct fzk_table *k;
    struct fzk_norm_f32 norm; /* of all rows */
    int64_t period, step;     /* period not 0: row i has scale and bias at i % period * step */
    const double *x, *gain, *bias; /* binary64, in place of those of norm, if x is there */
    double *y, eps;
};

static void norm_rows(const struct job *job, int64_t begin, int64_t end) {
    struct fzk_norm_f32 g = job->norm;
    g.rows = end - begin;
    g.x += begin * g.n;
    g.y += begin * g.n;
    if (g.mean) g.mean += begin;
    if (g.inv_std) g.inv_std += begin;
    if (job->period) {
        g.gain += begin % job->period * job->step;
        g.bias += begin % job->period * job->step;
    }
    job->k->norm_f32(&g);
}

/* A row of binary64: the same steps, each rounded. Statistics are binary32. */
static void row_f64(const struct job *job, int64_t i) {
    const struct fzk_norm_f32 *g = &job->norm;
    const double *x = job->x + i * g->n, *gain = job->gain, *bias = job->bias;
    double *y = job->y + i * g->n, n = (double)g->n, eps = job->eps;
    double mean = g->rms ? 0 : fzi_sum_f64(x, g->n) / n;
    for (int64_t j = 0; j < g->n; j++) y[j] = x[j] - mean;
    double r = 1 / __builtin_sqrt(fzi_sum_squares_f64(y, g->n) / n + eps);
    int64_t at = job->period ? i % job->period * job->step : 0, step = !g->channels;
    for (int64_t j = 0; j < g->n; j++) {
        double v = y[j] * r * gain[at + j * step];
        y[j] = bias ? v + bias[at + j * step] : v;
    }
    if (g->mean) g->mean[i] = (float)mean;
    if (g->inv_std) g->inv_std[i] = (float)r;
}

/* Rows that differ in scale and bias go one by one. */
static void norm_range(void *arg, int64_t begin, int64_t end) {
    const struct job *job = arg;
    int64_t rows = job->period || job->x ? 1 : end - begin;
    for (int64_t i = begin; i < end; i += rows)
        if (job->x) row_f64(job, i);
        else norm_rows(job, i, i + rows);
}

/* With scale and bias of whole rows, or a number for each row. */
static void run_norm(const struct fz_call *call, struct job *job, const void *gain,
                     const void *bias) {
    const struct params *p = call->params;
    job->norm.eps = (float)p->eps;
    if (call->in[0]->dtype == FZ_TYPE_F64) {
        job->x = call->in[0]->data, job->y = call->out[0]->data, job->eps = p->eps;
        job->gain = gain, job->bias = bias;
    } else {
        job->norm.x = call->in[0]->data, job->norm.y = call->out[0]->data;
        job->norm.gain = gain, job->norm.bias = bias;
    }
    int64_t grain = fzi_max_i64(1, 8192 / fzi_max_i64(1, job->norm.n));
    fzi_run_range(call->env, job->norm.rows, grain, norm_range, job);
}

static fz_status_t run_rows(const struct fz_op *op, const struct fz_call *call) {
    const struct params *p = call->params;
    const fz_tensor_t *x = call->in[0];
    int32_t axis = 0;
    fzi_axis(p->axis, x->rank, &axis);
    fz_tensor_t row = row_shape(x, axis);
    int64_t n = fzi_tensor_count(&row), rows = 1;
    for (int32_t d = 0; d < axis; d++) rows *= x->dims[d];
    char *room = call->scratch;
    struct job job = {.k = call->env->k};
    job.norm = (struct fzk_norm_f32){.rows = rows, .n = n, .rms = op->kind != LAYER};
    uint32_t stat = op->kind == LAYER ? 2 : 1;
    if (op->kind == LAYER && call->n_out > 1 && call->out[1]) job.norm.mean = call->out[1]->data;
    if (call->n_out > stat && call->out[stat]) job.norm.inv_std = call->out[stat]->data;
    run_norm(call, &job, whole_row(call, 1, &row, room),
             whole_row(call, 2, &row, room + room_of(&row)));
    return FZ_OK;
}

/* ---- rows of channels */

static fz_status_t infer_channels(const struct fz_op *op, const struct fz_call *call) {
    const struct params *p = call->params;
    const fz_tensor_t *x = call->in[0];
    FZ_TRY(check_types(op, call));
    fzi_infer_like(call, 0, x->dtype, x);
    if (p->groups < 1) return fzi_error(FZ_E_FORMAT, "%s: num_groups is below 1", op->name);
    if (x->rank < 0) return FZ_OK;
    if (x->rank < 2) return fzi_error(FZ_E_SHAPE, "%s: the input has no channels", op->name);
    fz_tensor_t image = row_shape(x, 1);
    FZ_TRY(check_size(op, &image));
    int64_t channels = x->dims[1];
    if (op->kind == GROUP && channels >= 0 && channels % p->groups != 0)
        return fzi_error(FZ_E_SHAPE, "%s: %lld channels in %lld groups", op->name,
                         (long long)channels, (long long)p->groups);
    /* GroupNormalization of opset 18 has a scale for each group. */
    if (op->kind == GROUP && op->until == 20) channels = p->groups;
    for (uint32_t i = 1; i < 3; i++) {
        const fz_tensor_t *t = call->in[i];
        if (t->rank >= 0 && t->rank != 1)
            return fzi_error(FZ_E_SHAPE, "%s: input %u is not a list", op->name, i);
        if (t->rank == 1 && t->dims[0] >= 0 && channels >= 0 && t->dims[0] != channels)
            return fzi_error(FZ_E_SHAPE, "%s: input %u has %lld elements for %lld channels",
                             op->name, i, (long long)t->dims[0], (long long)channels);
    }
    return FZ_OK;
}

/* A group of several channels needs its scale and bias written out for each element. */
static bool writes_out(const struct fz_op *op, const struct fz_call *call) {
    const struct params *p = call->params;
    return op->kind == GROUP && op->until != 20 && call->in[0]->dims[1] != p->groups;
}

static size_t scratch_channels(const struct fz_op *op, const struct fz_call *call) {
    const fz_tensor_t *x = call->in[0];
    if (!writes_out(op, call)) return 0;
    fz_tensor_t image = row_shape(x, 1);
    return 2 * room_of(&image);
}

static const void *write_out(const fz_tensor_t *t, int64_t space, char *room) {
    size_t width = fzi_type_width(t->dtype);
    for (int64_t c = 0; c < t->dims[0]; c++)
        fzi_move_fill(room + c * space * (int64_t)width, space,
                      (const char *)t->data + c * (int64_t)width, width);
    return room;
}

static fz_status_t run_channels(const struct fz_op *op, const struct fz_call *call) {
    const struct params *p = call->params;
    const fz_tensor_t *x = call->in[0];
    fz_tensor_t image = row_shape(x, 1);
    int64_t n = fzi_tensor_count(&image), groups = op->kind == GROUP ? p->groups : x->dims[1];
    if (n == 0) return FZ_OK;
    struct job job = {.k = call->env->k};
    const void *gain = call->in[1]->data, *bias = call->in[2]->data;
    job.norm = (struct fzk_norm_f32){.rows = x->dims[0] * groups, .n = n / groups, .channels = 1};
    job.period = groups;
    job.step = 1;
    if (writes_out(op, call)) {
        char *room = call->scratch;
        int64_t space = n / x->dims[1];
        job.norm.channels = 0;
        job.step = job.norm.n;
        gain = write_out(call->in[1], space, room);
        bias = write_out(call->in[2], space, room + room_of(&image));
    }
    run_norm(call, &job, gain, bias);
    return FZ_OK;
}

#define ROW(family, onnx, first, last, row, inputs_min, inputs, outputs, known, form)              \
    {.name = onnx, .domain = family, .since = first, .until = last, .rev = 1,                      \
     .flags = FZ_OP_STATISTICS,                                                                    \
     .min_in = inputs_min, .max_in = inputs, .min_out = 1, .max_out = outputs, .attrs = known,     \
     .params_size = sizeof(struct params), .kind = row, .lower = lower, .infer = infer_##form,     \
     .scratch = scratch_##form, .run = run_##form}

const struct fz_op fz_ops_normalize[] = {
    ROW("", "LayerNormalization", 17, 0, LAYER, 2, 3, 3, "axis epsilon stash_type", rows),
    ROW("", "LayerNormalization", 1, 16, LAYER, 2, 3, 3, "axis epsilon stash_type", rows),
    ROW("", "RMSNormalization", 23, 0, RMS, 2, 2, 1, "axis epsilon stash_type", rows),
    ROW("", "SimplifiedLayerNormalization", 1, 0, SIMPLIFIED, 2, 2, 2, "axis epsilon stash_type",
        rows),
    ROW("com.microsoft", "SimplifiedLayerNormalization", 1, 0, SIMPLIFIED, 2, 2, 2,
        "axis epsilon stash_type", rows),
    ROW("", "InstanceNormalization", 1, 0, INSTANCE, 3, 3, 1, "epsilon consumed_inputs", channels),
    ROW("", "GroupNormalization", 18, 20, GROUP, 3, 3, 1, "num_groups epsilon", channels),
    ROW("", "GroupNormalization", 21, 0, GROUP, 3, 3, 1, "num_groups epsilon stash_type",
        channels),
    {0},
};
