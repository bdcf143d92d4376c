/* CausalConvWithState: each channel's own kernel over this input and the elements before it, which
 * the state carries on. y = bias + w_0 x_(l-k+1) + ... + w_(k-1) x_l: the taps form one chain from
 * +0 (a product, then a sum, each rounded), then the bias is added, then SiLU. */
#include "ops/move.h"

enum { INPUT, WEIGHT, BIAS, PAST };

struct params {
    int64_t silu;
};

static fz_status_t lower(struct fz_lower *lower, struct fz_node *node, void *params) {
    static const char *const names[] = {"none", "silu", "swish", NULL};
    struct params *p = params;
    (void)lower;
    FZ_TRY(fzi_attr_choice(node, "activation", names, 0, &p->silu));
    p->silu = p->silu != 0;
    return FZ_OK;
}

/* Dimension D of input I, if it is there and known, must be N, if that is known. */
static fz_status_t check_dim(const struct fz_op *op, const struct fz_call *call, uint32_t i,
                             int32_t d, int64_t n) {
    if (!fzi_move_has(call, i) || call->in[i]->rank < 0) return FZ_OK;
    int64_t given = call->in[i]->dims[d];
    if (given < 0 || n < 0 || given == n) return FZ_OK;
    return fzi_error(FZ_E_SHAPE, "%s: dimension %d of input %u is %lld instead of %lld", op->name,
                     d, i, (long long)given, (long long)n);
}

static fz_status_t infer(const struct fz_op *op, const struct fz_call *call) {
    const fz_tensor_t *x = call->in[INPUT], *w = call->in[WEIGHT];
    static const int32_t ranks[] = {3, 3, 1, 3};
    for (uint32_t i = INPUT; i <= PAST; i++) {
        FZ_TRY(fzi_infer_type(op, call, i, FZ_T(F32)));
        if (fzi_move_has(call, i) && call->in[i]->rank >= 0 && call->in[i]->rank != ranks[i])
            return fzi_error(FZ_E_SHAPE, "%s: input %u has rank %d", op->name, i,
                             call->in[i]->rank);
    }
    int64_t channels = x->rank == 3 ? x->dims[1] : FZ_DIM_UNKNOWN;
    int64_t k = w->rank == 3 ? w->dims[2] : FZ_DIM_UNKNOWN;
    if (k == 0) return fzi_error(FZ_E_SHAPE, "%s: the kernel is empty", op->name);
    FZ_TRY(check_dim(op, call, WEIGHT, 0, channels));
    FZ_TRY(check_dim(op, call, WEIGHT, 1, 1));
    FZ_TRY(check_dim(op, call, BIAS, 0, channels));
    FZ_TRY(check_dim(op, call, PAST, 1, channels));
    if (x->rank == 3) FZ_TRY(check_dim(op, call, PAST, 0, x->dims[0]));
    if (k > 0) FZ_TRY(check_dim(op, call, PAST, 2, k - 1));
    int64_t state[3] = {x->rank == 3 ? x->dims[0] : FZ_DIM_UNKNOWN, channels,
                        k > 0 ? k - 1 : FZ_DIM_UNKNOWN};
    fzi_infer_like(call, 0, FZ_TYPE_F32, x);
    fzi_infer_shape(call, 1, FZ_TYPE_F32, 3, state);
    return FZ_OK;
}

struct job {
    const struct fz_call *call;
    int64_t channels, n, k;
};

/* Element I of a line, counted from the input's first: negative ones come from the state. */
static float element(const struct job *job, const float *x, const float *past, int64_t i) {
    return i >= 0 ? x[i] : past ? past[job->k - 1 + i] : 0;
}

static void convolve(const struct job *job, const float *x, const float *past, const float *w,
                     float *y) {
    int64_t head = fzi_min_i64(job->k - 1, job->n);
    for (int64_t l = 0; l < head; l++) {
        float sum = 0;
        for (int64_t j = 0; j < job->k; j++)
            sum = sum + w[j] * element(job, x, past, l + j - (job->k - 1));
        y[l] = sum;
    }
    for (int64_t l = head; l < job->n; l++) y[l] = 0;
    for (int64_t j = 0; j < job->k; j++) /* taps outside: elements in vectors */
        for (int64_t l = head; l < job->n; l++) y[l] = y[l] + w[j] * x[l + j - (job->k - 1)];
}

/* Lines of batch and channel. */
static void line_range(void *arg, int64_t begin, int64_t end) {
    const struct job *job = arg;
    const struct fz_call *call = job->call;
    const struct params *p = call->params;
    for (int64_t i = begin; i < end; i++) {
        int64_t c = i % job->channels;
        const float *x = (const float *)call->in[INPUT]->data + i * job->n;
        const float *w = (const float *)call->in[WEIGHT]->data + c * job->k;
        const float *past = fzi_move_has(call, PAST)
                                ? (const float *)call->in[PAST]->data + i * (job->k - 1) : NULL;
        if (call->out[0]) {
            float *y = (float *)call->out[0]->data + i * job->n;
            convolve(job, x, past, w, y);
            if (fzi_move_has(call, BIAS)) {
                float bias = ((const float *)call->in[BIAS]->data)[c];
                for (int64_t l = 0; l < job->n; l++) y[l] = y[l] + bias;
            }
            if (p->silu) call->env->k->unary_f32(FZK_FN_SILU, y, y, job->n, 0, 0);
        }
        if (call->n_out < 2 || !call->out[1]) continue;
        float *state = (float *)call->out[1]->data + i * (job->k - 1);
        for (int64_t j = 0; j < job->k - 1; j++)
            state[j] = element(job, x, past, job->n - (job->k - 1) + j);
    }
}

static fz_status_t run(const struct fz_op *op, const struct fz_call *call) {
    const fz_tensor_t *x = call->in[INPUT];
    struct job job = {call, x->dims[1], x->dims[2], call->in[WEIGHT]->dims[2]};
    (void)op;
    fzi_run_range(call->env, x->dims[0] * x->dims[1], 1 + 16384 / (job.n * job.k + 1), line_range,
                  &job);
    return FZ_OK;
}

const struct fz_op fz_ops_causal_conv[] = {
    {.name = "CausalConvWithState", .domain = "", .since = 27, .rev = 1, .min_in = 2, .max_in = 4,
     .min_out = 1, .max_out = 2, .attrs = "activation", .params_size = sizeof(struct params),
     .lower = lower, .infer = infer, .run = run},
    {0},
};
