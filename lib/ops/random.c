/* RandomUniform, RandomNormal, their Like forms, Bernoulli and Multinomial. All is computed in
 * binary64 and rounded to the output's type:
 *   uniform: low + u (high - low);
 *   normal: numbers 2j and 2j + 1 are mean + scale sqrt(-2 ln(1 - u)) times cos(2 pi v) and
 *     sin(2 pi v), where u and v are numbers 2j and 2j + 1 of the stream;
 *   Bernoulli: 1 where u is below the probability;
 *   Multinomial: the first class whose running sum of exp(x - max) is above u times the sum. */
#include "ops/random.h"

#include "base/philox.h"
#include "ops/generate.h"
#include "ops/move.h"

enum { UNIFORM, NORMAL, BERNOULLI, MULTINOMIAL };

struct params {
    int64_t key, dtype; /* dtype 0: the input's */
    int64_t rank, dims[FZ_RANK_MAX];
    double a, b; /* low and high, mean and scale */
    int64_t samples;
};

fz_status_t fzi_random_seed(const struct fz_node *node, int64_t *key) {
    const struct fz_attr *attr = fzi_attr(node, "seed");
    uint32_t bits;
    if (!attr)
        return fzi_error(FZ_E_UNSUPPORTED,
                         "%s has no seed, so no two runs would agree: give it one", node->type);
    if (attr->kind == FZ_ATTR_INT) *key = attr->i;
    else if (attr->kind == FZ_ATTR_FLOAT) memcpy(&bits, &attr->f, 4), *key = bits;
    else return fzi_error(FZ_E_FORMAT, "attribute 'seed' is no number");
    return FZ_OK;
}

void fzi_random_uniform(uint64_t key, uint64_t stream, int64_t first, int64_t n, double *u) {
    uint32_t word[4];
    for (int64_t i = first; i < first + n; i++) {
        if (i == first || i % 2 == 0) fzi_philox(key, stream, (uint64_t)i / 2, word);
        uint64_t bits = (uint64_t)word[i % 2 * 2 + 1] << 32 | word[i % 2 * 2];
        u[i - first] = (double)(bits >> 11) * 0x1p-53;
    }
}

/* ---- uniform and normal */

static fz_status_t lower(struct fz_lower *lower, struct fz_node *node, void *params) {
    struct params *p = params;
    bool like = node->op->max_in != 0;
    struct fz_list shape = {0};
    (void)lower;
    FZ_TRY(fzi_random_seed(node, &p->key));
    FZ_TRY(fzi_attr_int(node, "dtype", like ? 0 : FZ_TYPE_F32, &p->dtype));
    FZ_TRY(fzi_attr_int(node, "sample_size", 1, &p->samples));
    if (node->op->kind == MULTINOMIAL && !p->dtype) p->dtype = FZ_TYPE_I32;
    if (node->op->kind == NORMAL) {
        FZ_TRY(fzi_attr_float(node, "mean", 0, &p->a));
        FZ_TRY(fzi_attr_float(node, "scale", 1, &p->b));
    } else {
        FZ_TRY(fzi_attr_float(node, "low", 0, &p->a));
        FZ_TRY(fzi_attr_float(node, "high", 1, &p->b));
    }
    if (like) return FZ_OK;
    if (!fzi_attr(node, "shape")) return fzi_error(FZ_E_FORMAT, "attribute 'shape' is missing");
    FZ_TRY(fzi_move_list(node, "shape", &shape));
    p->rank = shape.n;
    memcpy(p->dims, shape.at, sizeof p->dims);
    return FZ_OK;
}

static fz_status_t infer(const struct fz_op *op, const struct fz_call *call) {
    const struct params *p = call->params;
    bool like = op->max_in != 0;
    int64_t dtype = p->dtype ? p->dtype : like ? call->in[0]->dtype : 0;
    FZ_TRY(fzi_generate_type(op, dtype, op->kind == BERNOULLI ? FZ_T_NUMBER | FZ_T(BOOL)
                                                              : FZ_T_FLOAT));
    if (op->kind == BERNOULLI) FZ_TRY(fzi_infer_type(op, call, 0, FZ_T_FLOAT));
    if (like) {
        fzi_infer_like(call, 0, (int32_t)dtype, call->in[0]);
        return FZ_OK;
    }
    if (p->rank < 0 || p->rank > FZ_RANK_MAX)
        return fzi_error(FZ_E_FORMAT, "%s: a shape of %lld numbers", op->name, (long long)p->rank);
    for (int64_t d = 0; d < p->rank; d++)
        if (p->dims[d] < 0)
            return fzi_error(FZ_E_SHAPE, "%s: a size of %lld", op->name, (long long)p->dims[d]);
    fzi_infer_shape(call, 0, (int32_t)dtype, (int32_t)p->rank, p->dims);
    return FZ_OK;
}

struct job {
    const struct fz_op *op;
    const struct fz_call *call;
    const struct params *p;
};

/* FIRST is even; X has room for one number more. */
static void normals(const struct job *job, int64_t first, int64_t n, double *x) {
    const struct fzk_table *k = job->call->env->k;
    double u[FZ_GENERATE_BLOCK], v[FZ_GENERATE_BLOCK], r[FZ_GENERATE_BLOCK];
    int64_t pairs = (n + 1) / 2;
    fzi_random_uniform((uint64_t)job->p->key, FZ_STREAM_NORMAL, first, 2 * pairs, x);
    for (int64_t i = 0; i < pairs; i++) {
        u[i] = 1 - x[2 * i];
        v[i] = 2 * 3.14159265358979323846 * x[2 * i + 1];
    }
    k->unary_f64(FZK_FN_LOG, r, u, pairs, 0, 0);
    for (int64_t i = 0; i < pairs; i++) r[i] = __builtin_sqrt(-2 * r[i]);
    k->unary_f64(FZK_FN_COS, u, v, pairs, 0, 0);
    k->unary_f64(FZK_FN_SIN, v, v, pairs, 0, 0);
    for (int64_t i = 0; i < pairs; i++) {
        x[2 * i] = job->p->a + job->p->b * (r[i] * u[i]);
        x[2 * i + 1] = job->p->a + job->p->b * (r[i] * v[i]);
    }
}

static void block_range(void *arg, int64_t begin, int64_t end) {
    const struct job *job = arg;
    const struct params *p = job->p;
    const fz_tensor_t *out = job->call->out[0];
    int64_t count = fzi_tensor_count(out);
    double x[FZ_GENERATE_BLOCK];
    for (int64_t b = begin; b < end; b++) {
        int64_t at = b * FZ_GENERATE_BLOCK, n = fzi_min_i64(FZ_GENERATE_BLOCK, count - at);
        if (job->op->kind == NORMAL) normals(job, at, n, x);
        if (job->op->kind == UNIFORM) {
            fzi_random_uniform((uint64_t)p->key, FZ_STREAM_UNIFORM, at, n, x);
            for (int64_t i = 0; i < n; i++) x[i] = p->a + x[i] * (p->b - p->a);
        }
        if (job->op->kind == BERNOULLI) {
            fzi_random_uniform((uint64_t)p->key, FZ_STREAM_BERNOULLI, at, n, x);
            for (int64_t i = 0; i < n; i++)
                x[i] = x[i] < fzi_tensor_float(job->call->in[0], at + i) ? 1 : 0;
        }
        fzi_generate_store(out, at, n, x);
    }
}

static fz_status_t run(const struct fz_op *op, const struct fz_call *call) {
    struct job job = {op, call, call->params};
    int64_t count = fzi_tensor_count(call->out[0]);
    fzi_run_range(call->env, fzi_ceil_div(count, FZ_GENERATE_BLOCK), 8, block_range, &job);
    return FZ_OK;
}

/* ---- multinomial */

static fz_status_t infer_multinomial(const struct fz_op *op, const struct fz_call *call) {
    const struct params *p = call->params;
    const fz_tensor_t *x = call->in[0];
    FZ_TRY(fzi_infer_type(op, call, 0, FZ_T_FLOAT));
    FZ_TRY(fzi_generate_type(op, p->dtype, FZ_T(I32) | FZ_T(I64)));
    if (x->rank >= 0 && x->rank != 2)
        return fzi_error(FZ_E_SHAPE, "%s: an input of rank %d", op->name, x->rank);
    if (x->rank == 2 && (x->dims[1] == 0 || x->dims[1] > INT32_MAX))
        return fzi_error(FZ_E_SHAPE, "%s: %lld classes", op->name, (long long)x->dims[1]);
    if (p->samples < 0 || p->samples > INT32_MAX)
        return fzi_error(FZ_E_FORMAT, "%s: sample_size is out of range", op->name);
    int64_t dims[2] = {x->rank == 2 ? x->dims[0] : FZ_DIM_UNKNOWN, p->samples};
    fzi_infer_shape(call, 0, (int32_t)p->dtype, 2, dims);
    return FZ_OK;
}

static size_t scratch_multinomial(const struct fz_op *op, const struct fz_call *call) {
    (void)op;
    return (size_t)call->in[0]->dims[1] * 8;
}

/* The running sums of a row. */
static fz_status_t sums(const struct fz_op *op, const struct fz_call *call, int64_t row, int64_t n,
                        double *sum) {
    double most = -__builtin_inf();
    for (int64_t i = 0; i < n; i++) {
        sum[i] = fzi_tensor_float(call->in[0], row * n + i);
        if (sum[i] > most) most = sum[i];
    }
    for (int64_t i = 0; i < n; i++) sum[i] = sum[i] - most;
    call->env->k->unary_f64(FZK_FN_EXP, sum, sum, n, 0, 0);
    for (int64_t i = 1; i < n; i++) sum[i] = sum[i - 1] + sum[i];
    if (sum[n - 1] > 0 && sum[n - 1] < __builtin_inf()) return FZ_OK;
    return fzi_error(FZ_E_VALUE, "%s: row %lld is no distribution", op->name, (long long)row);
}

static int64_t find(const double *sum, int64_t n, double x) {
    int64_t low = 0, high = n - 1;
    while (low < high) {
        int64_t middle = (low + high) / 2;
        if (sum[middle] > x) high = middle;
        else low = middle + 1;
    }
    return low;
}

static fz_status_t run_multinomial(const struct fz_op *op, const struct fz_call *call) {
    const struct params *p = call->params;
    const fz_tensor_t *out = call->out[0];
    int64_t n = call->in[0]->dims[1];
    double *sum = call->scratch, u;
    for (int64_t row = 0; row < out->dims[0] && out->size; row++) {
        FZ_TRY(call->env->poll(call->env));
        FZ_TRY(sums(op, call, row, n, sum));
        for (int64_t i = 0; i < p->samples; i++) {
            int64_t at = row * p->samples + i;
            fzi_random_uniform((uint64_t)p->key, FZ_STREAM_MULTINOMIAL, at, 1, &u);
            int64_t class = find(sum, n, u * sum[n - 1]);
            if (out->dtype == FZ_TYPE_I32) ((int32_t *)out->data)[at] = (int32_t)class;
            else ((int64_t *)out->data)[at] = class;
        }
    }
    return FZ_OK;
}

#define COMMON(onnx, first, row)                                                                   \
    .name = onnx, .domain = "", .since = first, .rev = 1, .min_out = 1, .max_out = 1,              \
    .params_size = sizeof(struct params), .kind = row, .lower = lower
#define LIKE .min_in = 1, .max_in = 1, .infer = infer, .run = run,                                 \
             .flags = FZ_OP_RANDOM | FZ_OP_HALF | FZ_OP_ANY_TYPE | FZ_OP_SHAPE_INPUT

const struct fz_op fz_ops_random[] = {
    {COMMON("RandomUniform", 1, UNIFORM), .flags = FZ_OP_RANDOM, .infer = infer, .run = run,
     .attrs = "dtype high low seed shape"},
    {COMMON("RandomNormal", 1, NORMAL), .flags = FZ_OP_RANDOM, .infer = infer, .run = run,
     .attrs = "dtype mean scale seed shape"},
    {COMMON("RandomUniformLike", 1, UNIFORM), LIKE, .attrs = "dtype high low seed"},
    {COMMON("RandomNormalLike", 1, NORMAL), LIKE, .attrs = "dtype mean scale seed"},
    {COMMON("Bernoulli", 15, BERNOULLI), .flags = FZ_OP_RANDOM | FZ_OP_HALF, .min_in = 1,
     .max_in = 1, .infer = infer, .run = run, .attrs = "dtype seed"},
    {COMMON("Multinomial", 7, MULTINOMIAL), .flags = FZ_OP_RANDOM | FZ_OP_HALF, .min_in = 1,
     .max_in = 1, .infer = infer_multinomial, .scratch = scratch_multinomial,
     .run = run_multinomial, .attrs = "dtype sample_size seed"},
    {0},
};
