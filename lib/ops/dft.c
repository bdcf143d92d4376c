/* DFT: lines along an axis, real or complex (the last dimension is 1 or 2), cut or padded with
 * zeros to the length. Complex ones are transformed in their own type, real ones in binary64. The
 * inverse divides by the length. One-sided: forward, the first half; inverse, a first half that
 * stands for a spectrum of a real signal. */
#include "ops/fft.h"
#include "ops/move.h"

enum { SIGNAL, LENGTH, AXIS };

struct params {
    int64_t axis, inverse, onesided;
};

static fz_status_t lower(struct fz_lower *lower, struct fz_node *node, void *params) {
    struct params *p = params;
    (void)lower;
    FZ_TRY(fzi_attr_int(node, "inverse", 0, &p->inverse));
    FZ_TRY(fzi_attr_int(node, "onesided", 0, &p->onesided));
    return fzi_attr_int(node, "axis", node->op->until ? 1 : -2, &p->axis);
}

/* What a call is about. Unknown numbers are negative. */
struct plan {
    int32_t axis; /* -1: unknown */
    int64_t n, out, parts; /* parts: 1 or 2 numbers of an output element */
};

static fz_status_t find_axis(const struct fz_op *op, const struct fz_call *call,
                             struct plan *plan) {
    const struct params *p = call->params;
    int64_t axis = p->axis;
    bool known = true;
    plan->axis = -1;
    if (fzi_move_has(call, AXIS)) FZ_TRY(fzi_move_scalar(op, call, AXIS, &axis, &known));
    if (!known || call->in[SIGNAL]->rank < 0) return FZ_OK;
    if (call->in[SIGNAL]->rank < 2)
        return fzi_error(FZ_E_SHAPE, "%s: a signal of rank %d", op->name, call->in[SIGNAL]->rank);
    FZ_TRY(fzi_move_axis(op, axis, call->in[SIGNAL]->rank, &plan->axis));
    if (plan->axis == call->in[SIGNAL]->rank - 1)
        return fzi_error(FZ_E_SHAPE, "%s: the last dimension is no axis", op->name);
    return FZ_OK;
}

static fz_status_t measure(const struct fz_op *op, const struct fz_call *call, struct plan *plan) {
    const struct params *p = call->params;
    const fz_tensor_t *x = call->in[SIGNAL];
    bool known = false, half_back = p->inverse && p->onesided;
    FZ_TRY(find_axis(op, call, plan));
    plan->n = plan->out = FZ_DIM_UNKNOWN;
    plan->parts = half_back ? 1 : 2;
    if (fzi_move_has(call, LENGTH)) FZ_TRY(fzi_move_scalar(op, call, LENGTH, &plan->n, &known));
    if (!fzi_move_has(call, LENGTH) && plan->axis >= 0 && x->dims[plan->axis] >= 0) {
        plan->n = x->dims[plan->axis];
        if (half_back && plan->n <= INT32_MAX) plan->n = 2 * (plan->n - 1);
        known = true;
    }
    if (!known) {
        plan->n = FZ_DIM_UNKNOWN;
        return FZ_OK;
    }
    if (plan->n < 1 || plan->n > INT32_MAX)
        return fzi_error(FZ_E_VALUE, "%s: a length of %lld is out of range",
                         op->name, (long long)plan->n);
    plan->out = p->onesided && !p->inverse ? plan->n / 2 + 1 : plan->n;
    return FZ_OK;
}

static fz_status_t infer(const struct fz_op *op, const struct fz_call *call) {
    const struct params *p = call->params;
    const fz_tensor_t *x = call->in[SIGNAL];
    fz_tensor_t y = *x;
    struct plan plan;
    FZ_TRY(fzi_infer_type(op, call, SIGNAL, FZ_T(F32) | FZ_T(F64)));
    FZ_TRY(fzi_infer_type(op, call, LENGTH, FZ_T(I32) | FZ_T(I64)));
    FZ_TRY(fzi_infer_type(op, call, AXIS, FZ_T(I64)));
    FZ_TRY(measure(op, call, &plan));
    fzi_infer_unknown(call, 0, x->dtype);
    if (x->rank < 0) return FZ_OK;
    int64_t parts = x->dims[x->rank - 1];
    if (parts >= 0 && parts != 1 && parts != 2)
        return fzi_error(FZ_E_SHAPE, "%s: elements of %lld numbers, not 1 (real) or 2",
                         op->name, (long long)parts);
    if (parts == 2 && p->onesided && !p->inverse)
        return fzi_error(FZ_E_UNSUPPORTED, "%s: onesided needs a real signal", op->name);
    y.dims[x->rank - 1] = plan.parts;
    for (int32_t d = 0; d < x->rank - 1; d++)
        if (plan.axis < 0 || d == plan.axis) y.dims[d] = plan.axis < 0 ? FZ_DIM_UNKNOWN : plan.out;
    fzi_infer_like(call, 0, x->dtype, &y);
    return FZ_OK;
}

static int64_t lines_of(const fz_tensor_t *x, int32_t axis) {
    return fzi_move_span(x, 0, axis) * fzi_move_span(x, axis + 1, x->rank - 1);
}

static size_t scratch(const struct fz_op *op, const struct fz_call *call) {
    struct plan plan;
    if (measure(op, call, &plan) != FZ_OK || plan.n < 0) return 0;
    return fzi_fft_scratch(call->env, lines_of(call->in[SIGNAL], plan.axis), plan.n);
}

struct job {
    const fz_tensor_t *x, *y;
    int64_t n, in, out, inner, parts_in, parts_out;
    bool inverse, half; /* half: the input is the first half of a spectrum */
};

/* LOAD and STORE for numbers of TYPE that are transformed as WORK. */
#define LINE(LOAD, STORE, TYPE, WORK)                                                              \
    static void LOAD(const void *arg, int64_t line, void *to) {                                    \
        const struct job *job = arg;                                                               \
        WORK *x = to;                                                                              \
        const TYPE *data = job->x->data;                                                           \
        int64_t at = line / job->inner * job->in * job->inner + line % job->inner;                 \
        int64_t given = fzi_min_i64(job->n, job->in);                                              \
        if (job->half) given = fzi_min_i64(given, job->n / 2 + 1);                                 \
        for (int64_t i = 0; i < job->n; i++) {                                                     \
            int64_t from = (at + i * job->inner) * job->parts_in;                                  \
            x[2 * i] = i < given ? (WORK)data[from] : 0;                                           \
            x[2 * i + 1] = i < given && job->parts_in == 2 ? (WORK)data[from + 1] : 0;             \
        }                                                                                          \
        if (!job->half) return;                                                                    \
        /* The spectrum of a real signal mirrors itself; its ends are real. */                     \
        x[1] = 0;                                                                                  \
        if (job->n % 2 == 0) x[job->n + 1] = 0;                                                    \
        for (int64_t i = job->n / 2 + 1; i < job->n; i++) {                                        \
            x[2 * i] = x[2 * (job->n - i)];                                                        \
            x[2 * i + 1] = -x[2 * (job->n - i) + 1];                                               \
        }                                                                                          \
    }                                                                                              \
    static void STORE(const void *arg, int64_t line, const void *from) {                           \
        const struct job *job = arg;                                                               \
        const WORK *y = from;                                                                      \
        TYPE *data = job->y->data;                                                                 \
        int64_t at = line / job->inner * job->out * job->inner + line % job->inner;                \
        for (int64_t i = 0; i < job->out; i++)                                                     \
            for (int64_t part = 0; part < job->parts_out; part++) {                                \
                WORK z = y[2 * i + part];                                                          \
                if (job->inverse) z = z / (WORK)job->n;                                            \
                data[(at + i * job->inner) * job->parts_out + part] = (TYPE)z;                     \
            }                                                                                      \
    }
LINE(load_f32, store_f32, float, float)
LINE(load_real, store_real, float, double)
LINE(load_f64, store_f64, double, double)

static fz_status_t run(const struct fz_op *op, const struct fz_call *call) {
    const struct params *p = call->params;
    const fz_tensor_t *x = call->in[SIGNAL];
    struct plan plan;
    if (call->out[0]->size == 0) return FZ_OK;
    FZ_TRY(measure(op, call, &plan));
    struct job job = {.x = x, .y = call->out[0], .n = plan.n, .in = x->dims[plan.axis],
                      .out = plan.out, .inner = fzi_move_span(x, plan.axis + 1, x->rank - 1),
                      .parts_in = x->dims[x->rank - 1], .parts_out = plan.parts,
                      .inverse = p->inverse != 0, .half = p->inverse && p->onesided};
    struct fz_fft_job fft = {x->dtype, &job, lines_of(x, plan.axis), plan.n, job.inverse, load_f64,
                             store_f64};
    if (x->dtype == FZ_TYPE_F32 && job.parts_in == 2) fft.load = load_f32, fft.store = store_f32;
    else if (x->dtype == FZ_TYPE_F32) fft.load = load_real, fft.store = store_real;
    if (job.parts_in == 1) fft.dtype = FZ_TYPE_F64;
    fzi_fft_run(call->env, &fft, call->scratch);
    return FZ_OK;
}

#define ROW(first, last, inputs, known)                                                            \
    {.name = "DFT", .domain = "", .since = first, .until = last, .rev = 1, .min_in = 1,            \
     .max_in = inputs, .min_out = 1, .max_out = 1, .attrs = known,                                 \
     .params_size = sizeof(struct params), .lower = lower, .infer = infer, .scratch = scratch,     \
     .run = run}

const struct fz_op fz_ops_dft[] = {
    ROW(17, 19, 2, "axis inverse onesided"),
    ROW(20, 0, 3, "inverse onesided"),
    {0},
};
