/* STFT: transforms of frames of a signal, each times a window; complex ones in their own type, real
 * ones in binary64. */
#include "ops/fft.h"
#include "ops/move.h"

enum { SIGNAL, STEP, WINDOW, LENGTH };

struct params {
    int64_t onesided;
};

static fz_status_t lower(struct fz_lower *lower, struct fz_node *node, void *params) {
    struct params *p = params;
    (void)lower;
    return fzi_attr_int(node, "onesided", 1, &p->onesided);
}

/* Sizes of a call; unknown ones are negative. */
struct plan {
    int64_t step, n, frames, bins;
};

/* The length of a frame: from its input, the window, or the signal. */
static fz_status_t find_length(const struct fz_op *op, const struct fz_call *call, int64_t *n) {
    const fz_tensor_t *window = fzi_move_has(call, WINDOW) ? call->in[WINDOW] : NULL;
    bool known = false;
    *n = FZ_DIM_UNKNOWN;
    if (window && window->rank >= 0 && window->rank != 1)
        return fzi_error(FZ_E_SHAPE, "%s: a window of rank %d, not 1", op->name, window->rank);
    if (fzi_move_has(call, LENGTH)) FZ_TRY(fzi_move_scalar(op, call, LENGTH, n, &known));
    else if (window) *n = window->rank == 1 ? window->dims[0] : FZ_DIM_UNKNOWN, known = *n >= 0;
    else if (call->in[SIGNAL]->rank == 3) *n = call->in[SIGNAL]->dims[1], known = *n >= 0;
    if (!known) *n = FZ_DIM_UNKNOWN;
    if (known && (*n < 1 || *n > INT32_MAX))
        return fzi_error(FZ_E_VALUE, "%s: frames of %lld elements", op->name, (long long)*n);
    if (known && window && window->rank == 1 && window->dims[0] >= 0 && window->dims[0] != *n)
        return fzi_error(FZ_E_SHAPE, "%s: a window of %lld elements for frames of %lld", op->name,
                         (long long)window->dims[0], (long long)*n);
    return FZ_OK;
}

static fz_status_t measure(const struct fz_op *op, const struct fz_call *call, struct plan *plan) {
    const struct params *p = call->params;
    const fz_tensor_t *x = call->in[SIGNAL];
    bool known;
    plan->frames = plan->bins = FZ_DIM_UNKNOWN;
    FZ_TRY(fzi_move_scalar(op, call, STEP, &plan->step, &known));
    if (!known) plan->step = FZ_DIM_UNKNOWN;
    if (known && plan->step < 1)
        return fzi_error(FZ_E_VALUE, "%s: a step of %lld is not above 0",
                         op->name, (long long)plan->step);
    FZ_TRY(find_length(op, call, &plan->n));
    if (plan->n >= 0) plan->bins = p->onesided ? plan->n / 2 + 1 : plan->n;
    if (plan->step < 0 || plan->n < 0 || x->rank != 3 || x->dims[1] < 0) return FZ_OK;
    if (x->dims[1] < plan->n)
        return fzi_error(FZ_E_SHAPE, "%s: the signal is shorter than a frame", op->name);
    plan->frames = (x->dims[1] - plan->n) / plan->step + 1;
    return FZ_OK;
}

static fz_status_t infer(const struct fz_op *op, const struct fz_call *call) {
    const struct params *p = call->params;
    const fz_tensor_t *x = call->in[SIGNAL];
    struct plan plan;
    FZ_TRY(fzi_infer_type(op, call, SIGNAL, FZ_T(F32) | FZ_T(F64)));
    FZ_TRY(fzi_infer_type(op, call, STEP, FZ_T(I32) | FZ_T(I64)));
    if (fzi_move_has(call, WINDOW) && call->in[WINDOW]->dtype != x->dtype)
        return fzi_error(FZ_E_TYPE, "%s: a window of %s for a signal of %s", op->name,
                         fz_type_name(call->in[WINDOW]->dtype), fz_type_name(x->dtype));
    FZ_TRY(fzi_infer_type(op, call, LENGTH, FZ_T(I32) | FZ_T(I64)));
    if (x->rank >= 0 && x->rank != 3)
        return fzi_error(FZ_E_SHAPE, "%s: a signal of rank %d", op->name, x->rank);
    int64_t parts = x->rank == 3 ? x->dims[2] : FZ_DIM_UNKNOWN;
    if (parts >= 0 && parts != 1 && parts != 2)
        return fzi_error(FZ_E_SHAPE, "%s: elements of %lld numbers, not 1 (real) or 2",
                         op->name, (long long)parts);
    if (parts == 2 && p->onesided)
        return fzi_error(FZ_E_UNSUPPORTED, "%s: onesided needs a real signal", op->name);
    FZ_TRY(measure(op, call, &plan));
    int64_t dims[4] = {x->rank == 3 ? x->dims[0] : FZ_DIM_UNKNOWN, plan.frames, plan.bins, 2};
    int64_t lines;
    if (dims[0] >= 0 && dims[1] >= 0 && !fzi_mul_i64(dims[0], dims[1], &lines))
        return fzi_error(FZ_E_SHAPE, "%s: too many frames", op->name);
    fzi_infer_shape(call, 0, x->dtype, 4, dims);
    return FZ_OK;
}

static size_t scratch(const struct fz_op *op, const struct fz_call *call) {
    struct plan plan;
    if (measure(op, call, &plan) != FZ_OK || plan.n < 0) return 0;
    return fzi_fft_scratch(call->env, call->in[SIGNAL]->dims[0] * plan.frames, plan.n);
}

struct job {
    const fz_tensor_t *x, *y, *window;
    struct plan plan;
};

/* LOAD and STORE for numbers of TYPE that are transformed as WORK. */
#define LINE(LOAD, STORE, TYPE, WORK)                                                              \
    static void LOAD(const void *arg, int64_t line, void *to) {                                    \
        const struct job *job = arg;                                                               \
        const TYPE *data = job->x->data, *window = job->window ? job->window->data : NULL;         \
        WORK *x = to;                                                                              \
        int64_t parts = job->x->dims[2], frames = job->plan.frames;                                \
        data += (line / frames * job->x->dims[1] + line % frames * job->plan.step) * parts;        \
        for (int64_t i = 0; i < job->plan.n; i++) {                                                \
            WORK w = window ? (WORK)window[i] : 1;                                                 \
            x[2 * i] = (WORK)data[i * parts] * w;                                                  \
            x[2 * i + 1] = parts == 2 ? (WORK)data[i * parts + 1] * w : 0;                         \
        }                                                                                          \
    }                                                                                              \
    static void STORE(const void *arg, int64_t line, const void *from) {                           \
        const struct job *job = arg;                                                               \
        const WORK *y = from;                                                                      \
        TYPE *data = (TYPE *)job->y->data + line * job->plan.bins * 2;                             \
        for (int64_t i = 0; i < job->plan.bins * 2; i++) data[i] = (TYPE)y[i];                     \
    }
LINE(load_f32, store_f32, float, float)
LINE(load_real, store_real, float, double)
LINE(load_f64, store_f64, double, double)

static fz_status_t run(const struct fz_op *op, const struct fz_call *call) {
    struct job job = {.x = call->in[SIGNAL], .y = call->out[0],
                      .window = fzi_move_has(call, WINDOW) ? call->in[WINDOW] : NULL};
    if (call->out[0]->size == 0) return FZ_OK;
    FZ_TRY(measure(op, call, &job.plan));
    bool single = job.x->dtype == FZ_TYPE_F32, real = job.x->dims[2] == 1;
    struct fz_fft_job fft = {real ? FZ_TYPE_F64 : job.x->dtype, &job,
                             job.x->dims[0] * job.plan.frames, job.plan.n, false, load_f64,
                             store_f64};
    if (single && real) fft.load = load_real, fft.store = store_real;
    else if (single) fft.load = load_f32, fft.store = store_f32;
    fzi_fft_run(call->env, &fft, call->scratch);
    return FZ_OK;
}

const struct fz_op fz_ops_stft[] = {
    {.name = "STFT", .domain = "", .since = 17, .rev = 1, .min_in = 2, .max_in = 4, .min_out = 1,
     .max_out = 1, .attrs = "onesided", .params_size = sizeof(struct params), .lower = lower,
     .infer = infer, .scratch = scratch, .run = run},
    {0},
};
