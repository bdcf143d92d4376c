/* ReduceSum, ReduceMean, ReduceMax and their like. binary32 goes through the reduction kernels;
 * binary64 and integers a column at a time: binary64 sums by the same 16 lanes (squares rounded
 * first), integers exactly modulo 2^n, their roots and logarithms by way of binary64. Products are
 * one chain from 1 in row-major order. LogSumExp is log(lanes of exp(x - m)) + m with m the
 * maximum, or 0 where that is not finite. Nothing reduces to 0, product 1, maximum -inf or the
 * least number, minimum inf or the largest, mean NaN or 0. */
#include "ops/axes.h"
#include "ops/sum.h"
#include "ops/wide.h"

enum { SUM, MEAN, MAX, MIN, PROD, SUM_SQUARE, L1, L2, LOG_SUM, LOG_SUM_EXP, N_KINDS };

struct params {
    int64_t keepdims, noop;
    int64_t n_axes;
    int64_t axes[FZ_RANK_MAX];
};

static fz_status_t lower(struct fz_lower *lower, struct fz_node *node, void *params) {
    struct params *p = params;
    const int64_t *axes = NULL;
    size_t n = 0;
    (void)lower;
    FZ_TRY(fzi_attr_int(node, "keepdims", 1, &p->keepdims));
    FZ_TRY(fzi_attr_int(node, "noop_with_empty_axes", 0, &p->noop));
    FZ_TRY(fzi_attr_ints(node, "axes", &axes, &n));
    if (n > FZ_RANK_MAX) return fzi_error(FZ_E_UNSUPPORTED, "attribute 'axes' has more than 12");
    for (size_t i = 0; i < n; i++) p->axes[i] = axes[i];
    p->n_axes = (int64_t)n;
    return FZ_OK;
}

/* The reduced dimensions. *KNOWN is false while the axes' values are unknown. */
static fz_status_t find_mask(const struct fz_op *op, const struct fz_call *call, uint32_t *mask,
                             bool *known) {
    const struct params *p = call->params;
    int32_t rank = call->in[0]->rank;
    if (p->n_axes < 0 || p->n_axes > FZ_RANK_MAX)
        return fzi_error(FZ_E_FORMAT, "%s: too many axes", op->name);
    FZ_TRY(fzi_infer_axes(op, call, 1, p->axes, p->n_axes, rank, mask, known));
    if (*mask == 0 && !p->noop) *mask = (1u << rank) - 1;
    return FZ_OK;
}

static void set_shape(const struct fz_call *call, uint32_t mask, bool known) {
    const struct params *p = call->params;
    const fz_tensor_t *in = call->in[0];
    int64_t dims[FZ_RANK_MAX];
    int32_t rank = 0;
    if (!known && !p->keepdims) {
        fzi_infer_unknown(call, 0, in->dtype);
        return;
    }
    for (int32_t d = 0; d < in->rank; d++) {
        if (!known) dims[rank++] = in->dims[d] == 1 ? 1 : FZ_DIM_UNKNOWN;
        else if (!(mask >> d & 1)) dims[rank++] = in->dims[d];
        else if (p->keepdims) dims[rank++] = 1;
    }
    fzi_infer_shape(call, 0, in->dtype, rank, dims);
}

static fz_status_t infer(const struct fz_op *op, const struct fz_call *call) {
    bool extreme = op->kind == MAX || op->kind == MIN, known;
    uint32_t mask;
    uint64_t types = FZ_T(F32) | FZ_T(F64) | FZ_T_INT | FZ_T_UINT;
    FZ_TRY(fzi_infer_type(op, call, 0, types | (extreme ? FZ_T(BOOL) : 0)));
    if (call->in[0]->rank < 0) {
        fzi_infer_unknown(call, 0, call->in[0]->dtype);
        return FZ_OK;
    }
    FZ_TRY(find_mask(op, call, &mask, &known));
    set_shape(call, mask, known);
    return FZ_OK;
}

/* ---- scratch: the gathered input, then room for a column or, of LogSumExp, for exponentials */

static bool gathers(const struct fz_call *call, const struct fz_axes *axes) {
    return !axes->direct && call->in[0]->dtype == FZ_TYPE_F32;
}

/* Infer has accepted the call, so that the axes cannot fail here. */
static struct fz_axes axes_of(const struct fz_op *op, const struct fz_call *call) {
    struct fz_axes axes;
    uint32_t mask = 0;
    bool known;
    if (find_mask(op, call, &mask, &known) != FZ_OK) mask = 0;
    fzi_axes_init(&axes, call->in[0], mask);
    return axes;
}

static size_t scratch(const struct fz_op *op, const struct fz_call *call) {
    struct fz_axes axes = axes_of(op, call);
    size_t all = (size_t)(axes.outer * axes.n * axes.inner);
    size_t keep = (size_t)(axes.outer * axes.inner), width = fzi_type_width(call->in[0]->dtype);
    if (call->in[0]->dtype != FZ_TYPE_F32) return all * width + (size_t)axes.n * 8;
    size_t gathered = gathers(call, &axes) ? fzi_align(all * 4, 64) : 0;
    return gathered + (op->kind == LOG_SUM_EXP ? fzi_align(all * 4, 64) + keep * 4 : 0);
}

/* ---- binary32 */

struct job {
    const struct fzk_table *k;
    int32_t op; /* of the kernel */
    const float *x;
    float *y, *m, *e; /* m, e: maxima and exponentials of LogSumExp */
    struct fz_axes axes;
};

static void reduce_range(void *arg, int64_t begin, int64_t end) {
    const struct job *job = arg;
    int64_t row = job->axes.n * job->axes.inner;
    job->k->reduce_f32(job->op, job->y + begin * job->axes.inner, job->x + begin * row, end - begin,
                       job->axes.n, job->axes.inner);
}

/* e = exp(x - m), m the maximum or 0 where that is not finite. */
static void exp_range(void *arg, int64_t begin, int64_t end) {
    const struct job *job = arg;
    int64_t n = job->axes.n, inner = job->axes.inner;
    for (int64_t o = begin; o < end; o++) {
        float *m = job->m + o * inner, *e = job->e + o * n * inner;
        const float *x = job->x + o * n * inner;
        job->k->reduce_f32(FZK_REDUCE_MAX, m, x, 1, n, inner);
        for (int64_t i = 0; i < inner; i++) m[i] = m[i] - m[i] == 0 ? m[i] : 0;
        if (inner == 1) job->k->binary_f32(FZK_BINARY_SUB, e, x, m, n, 1, 0);
        else
            for (int64_t j = 0; j < n; j++)
                job->k->binary_f32(FZK_BINARY_SUB, e + j * inner, x + j * inner, m, inner, 1, 1);
        job->k->unary_f32(FZK_FN_EXP, e, e, n * inner, 0, 0);
    }
}

static void reduce_f32(const struct fz_op *op, const struct fz_call *call, struct job *job) {
    static const int32_t kernels[N_KINDS] = {
        FZK_REDUCE_SUM, FZK_REDUCE_MEAN, FZK_REDUCE_MAX, FZK_REDUCE_MIN, FZK_REDUCE_PROD,
        FZK_REDUCE_SUM_SQUARE, FZK_REDUCE_SUM_ABS, FZK_REDUCE_SUM_SQUARE, FZK_REDUCE_SUM,
        FZK_REDUCE_SUM};
    int64_t keep = job->axes.outer * job->axes.inner, row = job->axes.n * job->axes.inner;
    int64_t grain = row < 16384 ? 16384 / (row ? row : 1) : 1;
    const struct fzk_table *k = job->k;
    job->op = kernels[op->kind];
    if (op->kind == LOG_SUM_EXP) {
        fzi_run_range(call->env, job->axes.outer, fzi_ceil_div(grain, 4), exp_range, job);
        job->x = job->e;
    }
    fzi_run_range(call->env, job->axes.outer, grain, reduce_range, job);
    if (op->kind == L2) k->unary_f32(FZK_FN_SQRT, job->y, job->y, keep, 0, 0);
    if (op->kind == LOG_SUM || op->kind == LOG_SUM_EXP)
        k->unary_f32(FZK_FN_LOG, job->y, job->y, keep, 0, 0);
    if (op->kind == LOG_SUM_EXP) k->binary_f32(FZK_BINARY_ADD, job->y, job->y, job->m, keep, 1, 1);
}

static void run_f32(const struct fz_op *op, const struct fz_call *call,
                    const struct fz_axes *axes) {
    struct job job = {.k = call->env->k, .x = call->in[0]->data, .y = call->out[0]->data,
                      .axes = *axes};
    char *room = call->scratch;
    size_t all = fzi_align((size_t)(axes->outer * axes->n * axes->inner) * 4, 64);
    if (gathers(call, axes)) {
        void *packed = room;
        fzi_axes_gather(axes, 4, packed, job.x);
        job.x = packed;
        room += all;
    }
    if (op->kind == LOG_SUM_EXP) {
        void *e = room, *m = room + all;
        job.e = e;
        job.m = m;
    }
    reduce_f32(op, call, &job);
}

/* ---- binary64: a column of N neighbours at X, which may be overwritten */

static double extreme_f64(int64_t kind, const double *x, int64_t n) {
    double m = kind == MAX ? -__builtin_inf() : __builtin_inf();
    for (int64_t i = 0; i < n; i++) m = kind == MAX ? fzi_max_f64(m, x[i]) : fzi_min_f64(m, x[i]);
    return m;
}

static double f64_of(const struct fzk_table *k, int32_t fn, double x) {
    double y;
    k->unary_f64(fn, &y, &x, 1, 0, 0);
    return y;
}

static double log_sum_exp(const struct fzk_table *k, double *x, int64_t n) {
    double m = extreme_f64(MAX, x, n);
    if (m - m != 0) m = 0;
    for (int64_t i = 0; i < n; i++) x[i] = x[i] - m;
    k->unary_f64(FZK_FN_EXP, x, x, n, 0, 0);
    return f64_of(k, FZK_FN_LOG, fzi_sum_f64(x, n)) + m;
}

static double column_f64(const struct fzk_table *k, int64_t kind, double *x, int64_t n) {
    double y = 1;
    switch (kind) {
    case MAX:
    case MIN: return extreme_f64(kind, x, n);
    case MEAN: return fzi_sum_f64(x, n) / (double)n;
    case LOG_SUM: return f64_of(k, FZK_FN_LOG, fzi_sum_f64(x, n));
    case LOG_SUM_EXP: return log_sum_exp(k, x, n);
    case PROD:
        for (int64_t i = 0; i < n; i++) y *= x[i];
        return y;
    case SUM_SQUARE:
    case L2:
        for (int64_t i = 0; i < n; i++) x[i] = x[i] * x[i];
        break;
    case L1:
        for (int64_t i = 0; i < n; i++) x[i] = __builtin_fabs(x[i]);
        break;
    default: break;
    }
    y = fzi_sum_f64(x, n);
    return kind == L2 ? __builtin_sqrt(y) : y;
}

/* ---- integers: modulo 2^64, from which the store takes the low bits */

static int64_t truncated(double x) {
    if (x != x) return 0;
    return x >= 0x1p63 ? INT64_MAX : x <= -0x1p63 ? INT64_MIN : (int64_t)x;
}

static int64_t extreme_int(int64_t kind, int32_t dtype, const int64_t *x, int64_t n) {
    int32_t bits = dtype == FZ_TYPE_BOOL ? 1 : fz_type_bits(dtype);
    bool sign = fzi_type_is_signed(dtype);
    /* A bias makes the order of 64 unsigned bits that of signed ones. */
    uint64_t bias = dtype == FZ_TYPE_U64 ? 1ull << 63 : 0, most = ~0ull >> (64 - bits + sign);
    int64_t m = kind == MIN ? (int64_t)(most ^ bias) : sign ? -(int64_t)most - 1 : (int64_t)bias;
    for (int64_t i = 0; i < n; i++) {
        int64_t v = (int64_t)((uint64_t)x[i] ^ bias);
        m = (kind == MAX ? v > m : v < m) ? v : m;
    }
    return (int64_t)((uint64_t)m ^ bias);
}

/* The sum as a value of DTYPE, for what divides it or takes its root. */
static int64_t wrapped(int32_t dtype, uint64_t sum) {
    int shift = 64 - fz_type_bits(dtype);
    return fzi_type_is_signed(dtype) ? (int64_t)(sum << shift) >> shift
                                     : (int64_t)(sum << shift >> shift);
}

static uint64_t sum_int(int64_t kind, const int64_t *x, int64_t n, bool sign) {
    uint64_t y = kind == PROD;
    for (int64_t i = 0; i < n; i++) {
        uint64_t v = (uint64_t)x[i];
        if (kind == PROD) y *= v;
        else if (kind == SUM_SQUARE || kind == L2) y += v * v;
        else if (kind == L1 && sign && x[i] < 0) y -= v;
        else y += v;
    }
    return y;
}

static int64_t column_int(const struct fzk_table *k, int64_t kind, int32_t dtype, int64_t *x,
                          int64_t n) {
    if (kind == MAX || kind == MIN) return extreme_int(kind, dtype, x, n);
    if (kind == LOG_SUM_EXP) {
        double *d = (double *)(void *)x;
        for (int64_t i = 0; i < n; i++) {
            double v = dtype == FZ_TYPE_U64 ? (double)(uint64_t)x[i] : (double)x[i];
            memcpy(&d[i], &v, 8);
        }
        return truncated(log_sum_exp(k, d, n));
    }
    uint64_t sum = sum_int(kind, x, n, fzi_type_is_signed(dtype));
    bool u64 = dtype == FZ_TYPE_U64;
    int64_t whole = wrapped(dtype, sum);
    double value = u64 ? (double)sum : (double)whole;
    if (kind == MEAN) return n == 0 ? 0 : u64 ? (int64_t)(sum / (uint64_t)n) : whole / n;
    if (kind == L2) return truncated(__builtin_sqrt(value));
    return kind == LOG_SUM ? truncated(f64_of(k, FZK_FN_LOG, value)) : (int64_t)sum;
}

/* Writes the low bytes of V as element I. */
static void put_int(fz_tensor_t *t, int64_t i, int64_t v) {
    switch (fzi_type_width(t->dtype)) {
    case 1: ((uint8_t *)t->data)[i] = (uint8_t)v; break;
    case 2: ((uint16_t *)t->data)[i] = (uint16_t)v; break;
    case 4: ((uint32_t *)t->data)[i] = (uint32_t)v; break;
    default: ((int64_t *)t->data)[i] = v; break;
    }
}

/* Columns are gathered one by one from the tensor in the order of AXES. */
static void run_columns(const struct fz_op *op, const struct fz_call *call,
                        const struct fz_axes *axes) {
    fz_tensor_t in = *call->in[0], *out = call->out[0];
    const struct fzk_table *k = call->env->k;
    double *column = call->scratch;
    int64_t *ints = call->scratch;
    if (!axes->direct) {
        char *packed = (char *)call->scratch + axes->n * 8;
        fzi_axes_gather(axes, fzi_type_width(in.dtype), packed, in.data);
        in.data = packed;
    }
    for (int64_t i = 0; i < axes->outer * axes->inner; i++) {
        int64_t at = i / axes->inner * axes->n * axes->inner + i % axes->inner;
        bool f64 = in.dtype == FZ_TYPE_F64;
        for (int64_t j = 0; j < axes->n; j++, at += axes->inner)
            if (f64) column[j] = ((const double *)in.data)[at];
            else ints[j] = fzi_tensor_int(&in, at);
        if (f64) ((double *)out->data)[i] = column_f64(k, op->kind, column, axes->n);
        else put_int(out, i, column_int(k, op->kind, in.dtype, ints, axes->n));
    }
}

static fz_status_t run(const struct fz_op *op, const struct fz_call *call) {
    struct fz_axes axes = axes_of(op, call);
    if (axes.outer * axes.inner == 0) return FZ_OK;
    if (call->in[0]->dtype == FZ_TYPE_F32) run_f32(op, call, &axes);
    else run_columns(op, call, &axes);
    return FZ_OK;
}

#define ROW(onnx, first, last, inputs, row)                                                        \
    {.name = onnx, .domain = "", .since = first, .until = last, .rev = 1, .min_in = 1,             \
     .max_in = inputs, .min_out = 1, .max_out = 1, .params_size = sizeof(struct params),           \
     .attrs = inputs == 1 ? "axes keepdims" : "keepdims noop_with_empty_axes", .kind = row,        \
     .lower = lower, .infer = infer, .scratch = scratch, .run = run}
/* The axes become an input in opset 18, those of ReduceSum in 13. */
#define ROWS(onnx, row) ROW(onnx, 1, 17, 1, row), ROW(onnx, 18, 0, 2, row)

const struct fz_op fz_ops_reduce[] = {
    ROW("ReduceSum", 1, 12, 1, SUM),
    ROW("ReduceSum", 13, 0, 2, SUM),
    ROWS("ReduceMean", MEAN),
    ROWS("ReduceMax", MAX),
    ROWS("ReduceMin", MIN),
    ROWS("ReduceProd", PROD),
    ROWS("ReduceSumSquare", SUM_SQUARE),
    ROWS("ReduceL1", L1),
    ROWS("ReduceL2", L2),
    ROWS("ReduceLogSum", LOG_SUM),
    ROWS("ReduceLogSumExp", LOG_SUM_EXP),
    {0},
};
