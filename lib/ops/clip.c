/* Clip: t = lo > x ? lo : x; y = hi < t ? hi : t, so NaN and -0 pass. The bounds are attributes up
 * to opset 10, optional scalar inputs from then on. */
#include "ops/wide.h"

enum { GRAIN = 16384 };

struct params {
    double lo, hi; /* for opsets up to 10 */
};

static fz_status_t lower(struct fz_lower *lower, struct fz_node *node, void *params) {
    struct params *p = params;
    (void)lower;
    FZ_TRY(fzi_attr_float(node, "min", -0x1.fffffep127f, &p->lo));
    return fzi_attr_float(node, "max", 0x1.fffffep127f, &p->hi);
}

static fz_status_t infer(const struct fz_op *op, const struct fz_call *call) {
    FZ_TRY(fzi_infer_type(op, call, 0, op->until == 10 ? FZ_T_FLOAT : FZ_T_NUMBER));
    for (uint32_t i = 1; i < call->n_in; i++) {
        FZ_TRY(fzi_infer_type(op, call, i, 1ull << call->in[0]->dtype));
        const fz_tensor_t *t = call->in[i];
        if (t && fzi_shape_known(t) && (t->rank > 1 || (t->rank == 1 && t->dims[0] != 1)))
            return fzi_error(FZ_E_SHAPE, "%s: input %u is no scalar", op->name, i);
    }
    fzi_infer_like(call, 0, call->in[0]->dtype, call->in[0]);
    return FZ_OK;
}

/* Both bounds in each of the forms that a wide type needs. */
struct job {
    const struct fzk_table *k;
    const fz_tensor_t *in;
    fz_tensor_t *out;
    double lo, hi;
    int64_t lo_int, hi_int;
};

static void clip_int(const struct job *job, int64_t n, const int64_t *x, int64_t *y) {
    for (int64_t i = 0; i < n; i++) {
        int64_t t = job->lo_int > x[i] ? job->lo_int : x[i];
        y[i] = job->hi_int < t ? job->hi_int : t;
    }
}

static void clip_u64(const struct job *job, int64_t n, const uint64_t *x, uint64_t *y) {
    uint64_t lo = (uint64_t)job->lo_int, hi = (uint64_t)job->hi_int;
    for (int64_t i = 0; i < n; i++) {
        uint64_t t = lo > x[i] ? lo : x[i];
        y[i] = hi < t ? hi : t;
    }
}

static void clip_block(const struct job *job, int64_t first, int64_t n) {
    union fz_wide_block source, target;
    int32_t type = job->in->dtype;
    const void *x = fzi_wide_load(job->k, type, job->in->data, first, n, &source);
    void *y = fzi_wide_target(type, job->out->data, first, &target);
    switch (fzi_wide_of(type)) {
    case FZ_WIDE_F32:
        job->k->unary_f32(FZK_FN_CLIP, y, x, n, (float)job->lo, (float)job->hi);
        break;
    case FZ_WIDE_F64: job->k->unary_f64(FZK_FN_CLIP, y, x, n, job->lo, job->hi); break;
    case FZ_WIDE_U64: clip_u64(job, n, x, y); break;
    default: clip_int(job, n, x, y); break;
    }
    fzi_wide_store(job->k, type, job->out->data, first, n, y);
}

static void clip_range(void *arg, int64_t begin, int64_t end) {
    const struct job *job = arg;
    int64_t most = fzi_wide_native(job->in->dtype) ? end - begin : FZ_WIDE_BLOCK;
    for (int64_t i = begin; i < end; i += most) clip_block(job, i, fzi_min_i64(most, end - i));
}

/* An absent bound is the end of the type. */
static void read_bounds(const struct fz_call *call, struct job *job) {
    const fz_tensor_t *lo = call->n_in > 1 ? call->in[1] : NULL;
    const fz_tensor_t *hi = call->n_in > 2 ? call->in[2] : NULL;
    job->lo = lo ? fzi_tensor_float(lo, 0) : -__builtin_inf();
    job->hi = hi ? fzi_tensor_float(hi, 0) : __builtin_inf();
    bool u64 = job->in->dtype == FZ_TYPE_U64;
    job->lo_int = lo ? fzi_tensor_int(lo, 0) : u64 ? 0 : INT64_MIN;
    job->hi_int = hi ? fzi_tensor_int(hi, 0) : u64 ? -1 : INT64_MAX;
}

static fz_status_t run(const struct fz_op *op, const struct fz_call *call) {
    struct job job = {.k = call->env->k, .in = call->in[0], .out = call->out[0]};
    if (op->until == 10) {
        const struct params *p = call->params;
        job.lo = p->lo;
        job.hi = p->hi;
    } else {
        read_bounds(call, &job);
    }
    fzi_run_range(call->env, fzi_tensor_count(job.out), GRAIN, clip_range, &job);
    return FZ_OK;
}

#define FLAGS (FZ_OP_IN_PLACE | FZ_OP_HALF)

const struct fz_op fz_ops_clip[] = {
    {.name = "Clip", .domain = "", .since = 1, .until = 10, .rev = 1, .flags = FLAGS, .min_in = 1,
     .max_in = 1, .min_out = 1, .max_out = 1, .attrs = "min max consumed_inputs",
     .params_size = sizeof(struct params), .lower = lower, .infer = infer, .run = run},
    {.name = "Clip", .domain = "", .since = 11, .rev = 1, .flags = FLAGS, .min_in = 1, .max_in = 3,
     .min_out = 1, .max_out = 1, .infer = infer, .run = run},
    {0},
};
