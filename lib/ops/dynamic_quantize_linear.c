/* DynamicQuantizeLinear: a uint8 form of x with the scale and zero point of its own range, which
 * always holds 0. One range for the whole tensor, as ONNX defines it. frozen.DynamicQuantizeRows,
 * which freezing puts in its place when it is told to, takes one range for each index of x's first
 * OUTER dimensions: row r has the bits of DynamicQuantizeLinear of row r alone. */
#include "ops/quant.h"

enum { GRAIN = 16384, PARTS_MAX = 64 };

static fz_status_t infer(const struct fz_op *op, const struct fz_call *call) {
    FZ_TRY(fzi_infer_type(op, call, 0, FZ_T(F32)));
    fzi_infer_like(call, 0, FZ_TYPE_U8, call->in[0]);
    fzi_infer_shape(call, 1, FZ_TYPE_F32, 0, NULL);
    fzi_infer_shape(call, 2, FZ_TYPE_U8, 0, NULL);
    return FZ_OK;
}

struct params {
    int64_t outer;
};

static fz_status_t lower_rows(struct fz_lower *lower, struct fz_node *node, void *params) {
    (void)lower;
    return fzi_attr_int(node, "outer", 0, &((struct params *)params)->outer);
}

static fz_status_t infer_rows(const struct fz_op *op, const struct fz_call *call) {
    const struct params *p = call->params;
    const fz_tensor_t *x = call->in[0];
    FZ_TRY(fzi_infer_type(op, call, 0, FZ_T(F32)));
    fzi_infer_like(call, 0, FZ_TYPE_U8, x);
    if (p->outer < 0 || p->outer > FZ_RANK_MAX || (x->rank >= 0 && p->outer > x->rank))
        return fzi_error(FZ_E_SHAPE, "%s: %lld dimensions of rows for rank %d", op->name,
                         (long long)p->outer, x->rank);
    if (x->rank < 0) {
        fzi_infer_unknown(call, 1, FZ_TYPE_F32);
        fzi_infer_unknown(call, 2, FZ_TYPE_I32);
        return FZ_OK;
    }
    fzi_infer_shape(call, 1, FZ_TYPE_F32, (int32_t)p->outer, x->dims);
    fzi_infer_shape(call, 2, FZ_TYPE_I32, (int32_t)p->outer, x->dims);
    return FZ_OK;
}

struct job {
    const struct fz_call *call;
    const float *x;
    uint8_t *y;
    int64_t n; /* elements of a row */
    float scale;
    int32_t zero;
};

static void quantize(void *arg, int64_t begin, int64_t end) {
    const struct job *j = arg;
    j->call->env->k->quantize_f32_u8(j->y + begin, j->x + begin, end - begin, j->scale, j->zero);
}

/* scale = (high - low) / 255, zero = round(0 - low / scale) in [0, 255]; if empty 1 and 0. */
static void choose(const float range[2], float *scale, int32_t *zero) {
    float low = range[0] < 0 ? range[0] : 0, high = range[1] > 0 ? range[1] : 0;
    *scale = (high - low) / 255.0f;
    *zero = 0;
    if (!(*scale > 0)) *scale = 1;
    else *zero = (int32_t)fzi_quant_round(0 - low, *scale, 0, 0, 255);
}

void fzi_quant_choose(const struct fzk_table *k, const float *x, int64_t n, float *scale,
                      int32_t *zero) {
    float range[2] = {0, 0};
    if (n) k->minmax_f32(range, x, n);
    choose(range, scale, zero);
}

static void choose_from(struct job *j) {
    fzi_quant_choose(j->call->env->k, j->x, j->n, &j->scale, &j->zero);
}

/* The ranges of equal parts of a long tensor. */
struct parts {
    const struct job *job;
    int64_t size;
    float ranges[PARTS_MAX][2];
};

static void range_of(void *arg, size_t i) {
    struct parts *p = arg;
    int64_t from = (int64_t)i * p->size, n = fzi_min_i64(p->size, p->job->n - from);
    p->job->call->env->k->minmax_f32(p->ranges[i], p->job->x + from, n);
}

/* A NaN in one part makes the whole range NaN, as it does in one pass. */
static void choose_from_parts(struct job *j) {
    const struct fz_env *env = j->call->env;
    int64_t n = fzi_min_i64(fzi_min_i64(4 * (int64_t)env->threads, PARTS_MAX), j->n / GRAIN);
    struct parts p = {.job = j};
    if (env->threads <= 1 || n < 2) {
        choose_from(j);
        return;
    }
    p.size = fzi_ceil_div(j->n, n);
    n = fzi_ceil_div(j->n, p.size);
    env->parallel(env, (size_t)n, range_of, &p);
    for (int64_t i = 1; i < n && p.ranges[0][0] == p.ranges[0][0]; i++) {
        const float *r = p.ranges[i];
        if (!(r[0] >= p.ranges[0][0])) p.ranges[0][0] = r[0];
        if (!(r[1] <= p.ranges[0][1])) p.ranges[0][1] = r[1];
    }
    choose(p.ranges[0], &j->scale, &j->zero);
}

static fz_status_t run(const struct fz_op *op, const struct fz_call *call) {
    int64_t n = fzi_tensor_count(call->in[0]);
    struct job j = {.call = call, .x = call->in[0]->data, .n = n};
    (void)op;
    choose_from_parts(&j);
    if (call->out[1]) *(float *)call->out[1]->data = j.scale;
    if (call->n_out > 2 && call->out[2]) *(uint8_t *)call->out[2]->data = (uint8_t)j.zero;
    if (!call->out[0]) return FZ_OK;
    j.y = call->out[0]->data;
    fzi_run_range(call->env, n, GRAIN, quantize, &j);
    return FZ_OK;
}

/* Row R of the tensor. */
static struct job row_of(const struct job *all, int64_t r) {
    struct job j = *all;
    j.x += r * j.n;
    if (j.y) j.y += r * j.n;
    choose_from(&j);
    if (j.call->out[1]) ((float *)j.call->out[1]->data)[r] = j.scale;
    if (j.call->out[2]) ((int32_t *)j.call->out[2]->data)[r] = j.zero;
    return j;
}

static void quantize_rows(void *arg, int64_t begin, int64_t end) {
    for (int64_t r = begin; r < end; r++) {
        struct job j = row_of(arg, r);
        if (j.y) quantize(&j, 0, j.n);
    }
}

static fz_status_t run_rows(const struct fz_op *op, const struct fz_call *call) {
    const struct params *p = call->params;
    const fz_tensor_t *x = call->in[0];
    struct job all = {.call = call, .x = x->data, .y = call->out[0] ? call->out[0]->data : NULL};
    int64_t rows;
    (void)op;
    fzi_dims_count(x->dims, 0, (int32_t)p->outer, &rows);
    fzi_dims_count(x->dims, (int32_t)p->outer, x->rank, &all.n);
    if (rows >= call->env->threads || all.n < GRAIN) {
        fzi_run_range(call->env, rows, fzi_max_i64(GRAIN / fzi_max_i64(all.n, 1), 1),
                      quantize_rows, &all);
        return FZ_OK;
    }
    for (int64_t r = 0; r < rows; r++) { /* few long rows: each is cut */
        struct job j = row_of(&all, r);
        if (j.y) fzi_run_range(call->env, j.n, GRAIN, quantize, &j);
    }
    return FZ_OK;
}

const struct fz_op fz_ops_dynamic_quantize_linear[] = {
    {.name = "DynamicQuantizeLinear", .domain = "", .since = 11, .rev = 1,
     .min_in = 1, .max_in = 1, .min_out = 3, .max_out = 3, .attrs = "",
     .infer = infer, .run = run},
    {.name = "DynamicQuantizeRows", .domain = "frozen", .since = 1, .rev = 1,
     .min_in = 1, .max_in = 1, .min_out = 3, .max_out = 3, .attrs = "outer",
     .params_size = sizeof(struct params), .lower = lower_rows, .infer = infer_rows,
     .run = run_rows},
    {0},
};
