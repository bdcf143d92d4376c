/* Max, Min, Sum and Mean of any number of operands, folded from left to right, each step rounded to
 * binary32 or binary64. Mean divides the sum by the number of operands; half precision is rounded
 * once, at the end. */
#include "ops/pairs.h"
#include "ops/walk.h"

FZ_PAIR_KERNEL(sum, FZK_BINARY_ADD)
FZ_PAIR_KERNEL(max, FZK_BINARY_MAX)
FZ_PAIR_KERNEL(min, FZK_BINARY_MIN)
FZ_PAIR(max_i64, int64_t, int64_t, int64_t, a > b ? a : b)
FZ_PAIR(max_u64, uint64_t, uint64_t, uint64_t, a > b ? a : b)
FZ_PAIR(min_i64, int64_t, int64_t, int64_t, a < b ? a : b)
FZ_PAIR(min_u64, uint64_t, uint64_t, uint64_t, a < b ? a : b)

enum { MAX, MIN, SUM, MEAN, GRAIN = 16384 };

static const fz_pair_fn rows[][FZ_WIDE_COUNT] = {
    [MAX] = {NULL, max_f32, max_f64, max_i64, max_u64, NULL},
    [MIN] = {NULL, min_f32, min_f64, min_i64, min_u64, NULL},
    [SUM] = {NULL, sum_f32, sum_f64, NULL, NULL, NULL},
    [MEAN] = {NULL, sum_f32, sum_f64, NULL, NULL, NULL},
};
/* Opsets before 8 take operands of one shape only. */
static fz_status_t check_equal(const struct fz_op *op, const struct fz_call *call) {
    for (uint32_t i = 1; i < call->n_in; i++)
        if (fzi_shape_known(call->in[0]) && fzi_shape_known(call->in[i]) &&
            !fzi_shape_equal(call->in[0], call->in[i]))
            return fzi_error(FZ_E_SHAPE, "%s: shapes differ before opset 8", op->name);
    return FZ_OK;
}

static fz_status_t infer(const struct fz_op *op, const struct fz_call *call) {
    uint64_t types = op->kind == MAX || op->kind == MIN ? FZ_T_NUMBER : FZ_T_FLOAT;
    for (uint32_t i = 0; i < call->n_in; i++)
        if (!call->in[i]) return fzi_error(FZ_E_FORMAT, "%s: input %u is absent", op->name, i);
    FZ_TRY(fzi_infer_type(op, call, 0, types));
    for (uint32_t i = 1; i < call->n_in; i++)
        FZ_TRY(fzi_infer_type(op, call, i, 1ull << call->in[0]->dtype));
    if (op->until == 7) FZ_TRY(check_equal(op, call));
    fz_tensor_t out = {0};
    FZ_TRY(fzi_infer_broadcast(op, call->in, call->n_in, &out));
    fzi_infer_like(call, 0, call->in[0]->dtype, &out);
    return FZ_OK;
}

/* ---- a block of outputs at a time goes through all operands, so that it is rounded once and the
 * output may lie on any of them */

struct job {
    const struct fzk_table *k;
    const struct fz_call *call;
    fz_pair_fn fn;
    struct fz_walk *walk; /* one for each operand */
    bool mean;
};

static size_t scratch(const struct fz_op *op, const struct fz_call *call) {
    (void)op;
    return call->n_in * sizeof(struct fz_walk);
}

/* Operand I's elements for the N outputs from POS on, as wide ones: its own, or copies in BUFFER. A
 * single element for all of them has step 0. */
static const void *operand(const struct job *job, uint32_t i, int64_t pos, int64_t n,
                           union fz_wide_block *narrow, union fz_wide_block *buffer,
                           int64_t *step) {
    const struct fz_walk *walk = &job->walk[i];
    const fz_tensor_t *t = job->call->in[i];
    int64_t width = (int64_t)fzi_type_width(t->dtype), done = 0;
    struct fz_walk_at at;
    fzi_walk_seek(walk, &at, pos);
    *step = fzi_walk_step(walk, 0);
    if (fzi_walk_run(walk, &at, n) == n)
        return fzi_wide_load(job->k, t->dtype, t->data, at.off[0], *step ? n : 1, buffer);
    for (int64_t run; done < n; done += run) {
        const char *from = (const char *)t->data + at.off[0] * width;
        char *to = (char *)narrow + done * width;
        run = fzi_walk_run(walk, &at, n - done);
        for (int64_t j = 0; j < run; j++)
            memcpy(to + j * width, from + j * *step * width, (size_t)width);
        fzi_walk_next(walk, &at, run);
    }
    *step = 1;
    return fzi_wide_load(job->k, t->dtype, narrow, 0, n, buffer);
}

static void divide(const struct job *job, void *sum, int64_t n, bool wide) {
    const double n64 = (double)job->call->n_in;
    const float n32 = (float)n64;
    if (wide) job->k->binary_f64(FZK_BINARY_DIV, sum, sum, &n64, n, 1, 0);
    else job->k->binary_f32(FZK_BINARY_DIV, sum, sum, &n32, n, 1, 0);
}

static void fold_block(const struct job *job, int64_t pos, int64_t n) {
    union fz_wide_block narrow, buffer, sum;
    const fz_tensor_t *out = job->call->out[0];
    enum fz_wide wide = fzi_wide_of(out->dtype);
    int64_t width = (int64_t)fzi_wide_width(wide), step;
    const void *first = operand(job, 0, pos, n, &narrow, &buffer, &step);
    if (step) memcpy(&sum, first, (size_t)(n * width));
    for (int64_t i = 0; i < n && !step; i++)
        memcpy((char *)&sum + i * width, first, (size_t)width);
    for (uint32_t i = 1; i < job->call->n_in; i++) {
        const void *next = operand(job, i, pos, n, &narrow, &buffer, &step);
        job->fn(job->k, n, &sum, 1, next, step, &sum);
    }
    if (job->mean) divide(job, &sum, n, wide == FZ_WIDE_F64);
    fzi_wide_store(job->k, out->dtype, out->data, pos, n, &sum);
}

static void fold_range(void *arg, int64_t begin, int64_t end) {
    const struct job *job = arg;
    for (int64_t n; begin < end; begin += n) {
        n = fzi_min_i64(end - begin, FZ_WIDE_BLOCK);
        fold_block(job, begin, n);
    }
}

/* Two operands need no block, and a sum of two is rounded once anyway. */
static fz_status_t fold_two(const struct fz_call *call, fz_pair_fn fn) {
    static const struct fz_pairs_params plain = {0};
    return fzi_pairs_run(call, &plain, fn, false);
}

static fz_status_t run(const struct fz_op *op, const struct fz_call *call) {
    const fz_tensor_t *out = call->out[0];
    struct job job = {.k = call->env->k, .call = call, .walk = call->scratch,
                      .fn = rows[op->kind][fzi_wide_of(out->dtype)], .mean = op->kind == MEAN};
    if (call->n_in == 2 && op->kind != MEAN) return fold_two(call, job.fn);
    for (uint32_t i = 0; i < call->n_in; i++) fzi_walk_init(&job.walk[i], out, &call->in[i], 1);
    fzi_run_range(call->env, fzi_tensor_count(out), GRAIN, fold_range, &job);
    return FZ_OK;
}

#define ROW(onnx, first, last, known, row)                                                         \
    {.name = onnx, .domain = "", .since = first, .until = last, .rev = 1,                          \
     .flags = FZ_OP_IN_PLACE | FZ_OP_HALF, .min_in = 1, .max_in = 255, .min_out = 1, .max_out = 1, \
     .attrs = known, .kind = row, .infer = infer, .scratch = scratch, .run = run}

const struct fz_op fz_ops_variadic[] = {
    ROW("Max", 1, 7, "consumed_inputs", MAX),
    ROW("Max", 8, 0, NULL, MAX),
    ROW("Min", 1, 7, "consumed_inputs", MIN),
    ROW("Min", 8, 0, NULL, MIN),
    ROW("Sum", 1, 7, "consumed_inputs", SUM),
    ROW("Sum", 8, 0, NULL, SUM),
    ROW("Mean", 1, 7, "consumed_inputs", MEAN),
    ROW("Mean", 8, 0, NULL, MEAN),
    {0},
};
