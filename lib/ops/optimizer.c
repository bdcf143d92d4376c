/* Adagrad, Adam and Momentum: one step of an optimiser on any number of tensors, element by element
 * in their own type, each operation rounded. With r the learning rate, t the count of updates and
 * g' = norm * x + g:
 *   Adagrad   h = h + g' g';  x = x - (r / (1 + t decay)) g' / (sqrt(h) + eps)
 *   Adam      v = alpha v + (1 - alpha) g';  h = beta h + (1 - beta) (g' g');
 *             x = (1 - norm_post) (x - r' (v / (sqrt(h) + eps))),
 *             r' = r sqrt(1 - beta^t) / (1 - alpha^t) if t > 0, else r
 *   Momentum  v = alpha v + (t > 0 ? beta : 1) g';  x = x - r v, or with Nesterov's rule
 *             x = x - r (g' + alpha v)
 * Rates are computed in binary64 and rounded to the type. */
#include "ops/op.h"

enum { ADAGRAD, ADAM, MOMENTUM };

struct params {
    double norm, norm_post, eps, decay, alpha, beta;
    int64_t nesterov;
};

static fz_status_t lower(struct fz_lower *lower, struct fz_node *node, void *params) {
    static const char *const modes[] = {"standard", "nesterov", NULL};
    static const char *const needed[] = {"alpha", "beta", "mode", "norm_coefficient"};
    struct params *p = params;
    float alpha = 0.9f, beta = 0.999f;
    (void)lower;
    for (uint32_t i = 0; node->op->kind == MOMENTUM && i < FZ_COUNT(needed); i++)
        if (!fzi_attr(node, needed[i]))
            return fzi_error(FZ_E_FORMAT, "attribute '%s' is missing", needed[i]);
    FZ_TRY(fzi_attr_float(node, "norm_coefficient", 0, &p->norm));
    FZ_TRY(fzi_attr_float(node, "norm_coefficient_post", 0, &p->norm_post));
    FZ_TRY(fzi_attr_float(node, "epsilon", 1e-6f, &p->eps));
    FZ_TRY(fzi_attr_float(node, "decay_factor", 0, &p->decay));
    FZ_TRY(fzi_attr_float(node, "alpha", alpha, &p->alpha));
    FZ_TRY(fzi_attr_float(node, "beta", beta, &p->beta));
    return fzi_attr_choice(node, "mode", modes, 0, &p->nesterov);
}

/* Tensors that belong together: x, g, then one or two states. */
static uint32_t parts_of(const struct fz_op *op) { return op->kind == ADAM ? 4 : 3; }

static fz_status_t infer(const struct fz_op *op, const struct fz_call *call) {
    uint32_t parts = parts_of(op), n = (call->n_in - 2) / parts;
    FZ_TRY(fzi_infer_type(op, call, 0, FZ_T(F32) | FZ_T(F64)));
    FZ_TRY(fzi_infer_type(op, call, 1, FZ_T(I64)));
    for (uint32_t i = 0; i < call->n_in; i++) {
        if (!call->in[i]) return fzi_error(FZ_E_FORMAT, "%s: input %u is absent", op->name, i);
        if (i < 2 && fzi_shape_known(call->in[i]) && fzi_tensor_count(call->in[i]) != 1)
            return fzi_error(FZ_E_SHAPE, "%s: input %u is not one number", op->name, i);
    }
    if (n == 0 || (call->n_in - 2) % parts || call->n_out != n * (parts - 1))
        return fzi_error(FZ_E_FORMAT, "%s: %u inputs and %u outputs", op->name, call->n_in,
                         call->n_out);
    for (uint32_t i = 0; i < n * parts; i++) {
        const fz_tensor_t *t = call->in[2 + i], *x = call->in[2 + i % n];
        FZ_TRY(fzi_infer_type(op, call, 2 + i, FZ_T(F32) | FZ_T(F64)));
        if (t->dtype != x->dtype)
            return fzi_error(FZ_E_TYPE, "%s: input %u has another type than its tensor", op->name,
                             2 + i);
        if (fzi_shape_known(t) && fzi_shape_known(x) && !fzi_shape_equal(t, x))
            return fzi_error(FZ_E_SHAPE, "%s: input %u has another shape than its tensor",
                             op->name, 2 + i);
    }
    for (uint32_t i = 0; i < n * (parts - 1); i++) {
        const fz_tensor_t *x = call->in[2 + i % n];
        fzi_infer_like(call, i, x->dtype, x);
    }
    return FZ_OK;
}

struct job {
    const struct params *p;
    double rate;
    int64_t first_step; /* of Momentum: t is 0 */
    const void *x, *g, *v, *h;
    void *new_x, *new_v, *new_h; /* or NULL */
};

/* One range function per type; a state that nobody reads is not written. */
#define STEP(TYPE, SUFFIX, SQRT)                                                                   \
    static void adagrad_##SUFFIX(void *arg, int64_t begin, int64_t end) {                          \
        const struct job *j = arg;                                                                 \
        const TYPE rate = (TYPE)j->rate, norm = (TYPE)j->p->norm, eps = (TYPE)j->p->eps;           \
        for (int64_t i = begin; i < end; i++) {                                                    \
            TYPE x = ((const TYPE *)j->x)[i], g = norm * x + ((const TYPE *)j->g)[i];              \
            TYPE h = ((const TYPE *)j->h)[i] + g * g;                                              \
            if (j->new_h) ((TYPE *)j->new_h)[i] = h;                                               \
            if (j->new_x) ((TYPE *)j->new_x)[i] = x - rate * g / (SQRT(h) + eps);                  \
        }                                                                                          \
    }                                                                                              \
    static void adam_##SUFFIX(void *arg, int64_t begin, int64_t end) {                             \
        const struct job *j = arg;                                                                 \
        const TYPE rate = (TYPE)j->rate, norm = (TYPE)j->p->norm, eps = (TYPE)j->p->eps;           \
        const TYPE alpha = (TYPE)j->p->alpha, beta = (TYPE)j->p->beta;                             \
        const TYPE rest_alpha = (TYPE)(1 - j->p->alpha), rest_beta = (TYPE)(1 - j->p->beta);       \
        const TYPE post = (TYPE)(1 - j->p->norm_post);                                             \
        for (int64_t i = begin; i < end; i++) {                                                    \
            TYPE x = ((const TYPE *)j->x)[i], g = norm * x + ((const TYPE *)j->g)[i];              \
            TYPE v = alpha * ((const TYPE *)j->v)[i] + rest_alpha * g;                             \
            TYPE h = beta * ((const TYPE *)j->h)[i] + rest_beta * (g * g);                         \
            if (j->new_v) ((TYPE *)j->new_v)[i] = v;                                               \
            if (j->new_h) ((TYPE *)j->new_h)[i] = h;                                               \
            if (j->new_x) ((TYPE *)j->new_x)[i] = post * (x - rate * (v / (SQRT(h) + eps)));       \
        }                                                                                          \
    }                                                                                              \
    static void momentum_##SUFFIX(void *arg, int64_t begin, int64_t end) {                         \
        const struct job *j = arg;                                                                 \
        const TYPE rate = (TYPE)j->rate, norm = (TYPE)j->p->norm, alpha = (TYPE)j->p->alpha;       \
        const TYPE beta = j->first_step ? 1 : (TYPE)j->p->beta;                                    \
        for (int64_t i = begin; i < end; i++) {                                                    \
            TYPE x = ((const TYPE *)j->x)[i], g = norm * x + ((const TYPE *)j->g)[i];              \
            TYPE v = alpha * ((const TYPE *)j->v)[i] + beta * g;                                   \
            if (j->new_v) ((TYPE *)j->new_v)[i] = v;                                               \
            if (j->new_x)                                                                          \
                ((TYPE *)j->new_x)[i] = x - rate * (j->p->nesterov ? g + alpha * v : v);           \
        }                                                                                          \
    }
STEP(float, f32, __builtin_sqrtf)
STEP(double, f64, __builtin_sqrt)

static double power(const struct fzk_table *k, double base, double exponent) {
    double y;
    k->binary_f64(FZK_BINARY_POW, &y, &base, &exponent, 1, 1, 1);
    return y;
}

static double rate_of(const struct fz_op *op, const struct fz_call *call) {
    const struct params *p = call->params;
    double r = fzi_tensor_float(call->in[0], 0), t = (double)fzi_tensor_int(call->in[1], 0);
    if (op->kind == ADAGRAD) return r / (1 + t * p->decay);
    if (op->kind != ADAM || t <= 0) return r;
    return r * __builtin_sqrt(1 - power(call->env->k, p->beta, t)) /
           (1 - power(call->env->k, p->alpha, t));
}

static void *data_of(const struct fz_call *call, uint32_t i) {
    return call->out[i] ? call->out[i]->data : NULL;
}

static fz_status_t run(const struct fz_op *op, const struct fz_call *call) {
    static const fz_range_fn steps[3][2] = {{adagrad_f32, adagrad_f64}, {adam_f32, adam_f64},
                                            {momentum_f32, momentum_f64}};
    uint32_t n = (call->n_in - 2) / parts_of(op);
    struct job job = {.p = call->params, .rate = rate_of(op, call),
                      .first_step = fzi_tensor_int(call->in[1], 0) <= 0};
    for (uint32_t i = 0; i < n; i++) {
        const fz_tensor_t *const *in = call->in + 2 + i;
        job.x = in[0]->data;
        job.g = in[n]->data;
        job.v = job.h = in[2 * n]->data;
        job.new_x = data_of(call, i);
        job.new_v = job.new_h = data_of(call, n + i);
        if (op->kind == ADAM) job.h = in[3 * n]->data, job.new_h = data_of(call, 2 * n + i);
        fzi_run_range(call->env, fzi_tensor_count(in[0]), 8192,
                      steps[op->kind][in[0]->dtype == FZ_TYPE_F64], &job);
    }
    return FZ_OK;
}

#define ROW(onnx, inputs, outputs, row, known)                                                     \
    {.name = onnx, .domain = "ai.onnx.preview.training", .since = 1, .rev = 1, .min_in = inputs,   \
     .max_in = 255, .min_out = outputs, .max_out = 255, .attrs = known,                            \
     .params_size = sizeof(struct params), .kind = row, .lower = lower, .infer = infer,            \
     .run = run}

const struct fz_op fz_ops_optimizer[] = {
    ROW("Adagrad", 5, 2, ADAGRAD, "decay_factor epsilon norm_coefficient"),
    ROW("Adam", 6, 3, ADAM, "alpha beta epsilon norm_coefficient norm_coefficient_post"),
    ROW("Momentum", 5, 2, MOMENTUM, "alpha beta mode norm_coefficient"),
    {0},
};
