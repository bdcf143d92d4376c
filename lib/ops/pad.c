/* Pad: a border around a tensor, of a constant or of its own elements. */
#include "ops/move.h"

enum mode { CONSTANT, REFLECT, EDGE, WRAP, MODES };

struct params {
    int64_t mode;
};

/* Before opset 11 the amounts and the constant are attributes: they become inputs 1 and 2. */
static fz_status_t lower(struct fz_lower *lower, struct fz_node *node, void *params) {
    static const char *const modes[] = {
        [CONSTANT] = "constant", [REFLECT] = "reflect", [EDGE] = "edge", [WRAP] = "wrap", NULL};
    struct params *p = params;
    const int64_t *pads = NULL;
    size_t n = 0;
    double value;
    FZ_TRY(fzi_attr_choice(node, "mode", modes, CONSTANT, &p->mode));
    FZ_TRY(fzi_attr_ints(node, node->opset < 2 ? "paddings" : "pads", &pads, &n));
    FZ_TRY(fzi_attr_float(node, "value", 0, &value));
    if (node->opset >= 11) return FZ_OK;
    float constant = (float)value;
    FZ_TRY(fzi_lower_constant(lower, node, 1, FZ_TYPE_I64, (int64_t)n, pads));
    return fzi_lower_constant(lower, node, 2, FZ_TYPE_F32, 1, &constant);
}

/* Amounts for every dimension, negative ones cut. */
struct amounts {
    int64_t begin[FZ_RANK_MAX], end[FZ_RANK_MAX];
};

/* *KNOWN is false while amounts or axes are not known. */
static fz_status_t read_amounts(const struct fz_op *op, const struct fz_call *call,
                                struct amounts *a, bool *known) {
    int64_t pads[2 * FZ_RANK_MAX], axes[FZ_RANK_MAX];
    int32_t n, n_axes, rank = call->in[0]->rank;
    uint32_t seen = 0;
    *a = (struct amounts){0};
    FZ_TRY(fzi_infer_list(op, call, 1, pads, 2 * FZ_RANK_MAX, &n));
    FZ_TRY(fzi_infer_list(op, call, 3, axes, FZ_RANK_MAX, &n_axes));
    *known = n >= 0 && n_axes != -2;
    if (!*known) return FZ_OK;
    if (n_axes == -1) n_axes = rank;
    if (n != 2 * n_axes)
        return fzi_error(FZ_E_SHAPE, "%s: %d amounts for %d axes", op->name, n, n_axes);
    for (int32_t i = 0; i < n_axes; i++) {
        int32_t d = i;
        if (fzi_move_has(call, 3)) FZ_TRY(fzi_move_axis(op, axes[i], rank, &d));
        if (seen >> d & 1)
            return fzi_error(FZ_E_SHAPE, "%s: axis %d is named twice", op->name, d);
        seen |= 1u << d;
        a->begin[d] = pads[i];
        a->end[d] = pads[n_axes + i];
    }
    return FZ_OK;
}

static fz_status_t grow(const struct fz_op *op, int64_t dim, int64_t begin, int64_t end,
                        int64_t mode, int64_t *out) {
    *out = begin || end ? FZ_DIM_UNKNOWN : dim;
    if (dim < 0 || *out == dim) return FZ_OK;
    int64_t kept = dim + fzi_min_i64(fzi_max_i64(begin, -dim), 0);
    kept += fzi_min_i64(fzi_max_i64(end, -dim), 0);
    if (begin < -dim || end < -dim || kept < 0 || !fzi_add_i64(dim, begin, out) ||
        !fzi_add_i64(*out, end, out))
        return fzi_error(FZ_E_SHAPE, "%s: a dimension of %lld cannot be padded by %lld and %lld",
                         op->name, (long long)dim, (long long)begin, (long long)end);
    if (mode != CONSTANT && kept == 0 && *out > 0)
        return fzi_error(FZ_E_SHAPE, "%s: nothing to fill the border with", op->name);
    return FZ_OK;
}

static fz_status_t check_value(const struct fz_op *op, const struct fz_call *call) {
    const fz_tensor_t *value = call->in[2];
    if (!fzi_move_has(call, 2)) return FZ_OK;
    bool converts = value->dtype == FZ_TYPE_F32 && FZ_T_FLOAT >> call->in[0]->dtype & 1;
    if (value->dtype != call->in[0]->dtype && !converts)
        return fzi_error(FZ_E_TYPE, "%s: a constant of %s for %s", op->name,
                         fz_type_name(value->dtype), fz_type_name(call->in[0]->dtype));
    if (fzi_shape_known(value) && fzi_tensor_count(value) != 1)
        return fzi_error(FZ_E_SHAPE, "%s: the constant is not one element", op->name);
    return FZ_OK;
}

static fz_status_t infer(const struct fz_op *op, const struct fz_call *call) {
    const struct params *p = call->params;
    const fz_tensor_t *in = call->in[0];
    struct amounts a;
    int64_t dims[FZ_RANK_MAX];
    bool known;
    FZ_TRY(fzi_move_type(op, call, 0));
    FZ_TRY(check_value(op, call));
    if (p->mode < 0 || p->mode >= MODES)
        return fzi_error(FZ_E_FORMAT, "%s: there is no mode %lld", op->name, (long long)p->mode);
    if (in->rank < 0) return fzi_move_infer_rank(call, -1);
    FZ_TRY(read_amounts(op, call, &a, &known));
    if (!known) return fzi_move_infer_rank(call, in->rank);
    for (int32_t d = 0; d < in->rank; d++)
        FZ_TRY(grow(op, in->dims[d], a.begin[d], a.end[d], p->mode, &dims[d]));
    fzi_infer_shape(call, 0, in->dtype, in->rank, dims);
    return FZ_OK;
}

/* Where place I of a dimension lies when the N elements that are kept begin at place 0; -1 is
 * outside. */
static int64_t source(int64_t i, int64_t n, int64_t mode) {
    if (i >= 0 && i < n) return i;
    if (mode == CONSTANT) return -1;
    if (mode == EDGE) return i < 0 ? 0 : n - 1;
    int64_t period = mode == WRAP ? n : fzi_max_i64(1, 2 * (n - 1));
    i = (i % period + period) % period;
    return i < n ? i : period - i;
}

/* For every dimension a table of source places, one behind the other. The dimensions behind the
 * last padded one move as blocks of SIZE bytes. */
struct job {
    const char *src;
    char *dst;
    const int64_t *table[FZ_RANK_MAX];
    int64_t stride[FZ_RANK_MAX]; /* of the source, in bytes */
    int64_t dims[FZ_RANK_MAX];   /* of the output */
    int32_t last;                /* the last padded dimension: a row runs along it */
    int64_t row, size;           /* bytes of an output row, of a block */
    int64_t first, kept;         /* places [first, first + kept) of a row are a plain copy */
    const char *value;           /* 16 bytes: the constant */
    size_t width;
};

static size_t scratch(const struct fz_op *op, const struct fz_call *call) {
    size_t n = 0;
    (void)op;
    if (call->out[0]->size == 0) return 0;
    for (int32_t d = 0; d < call->out[0]->rank; d++) n += (size_t)call->out[0]->dims[d];
    return n * sizeof(int64_t);
}

static void border(const struct job *job, const char *src, char *dst, int64_t begin, int64_t end) {
    const int64_t *table = job->table[job->last];
    for (int64_t i = begin; i < end; i++) {
        char *to = dst + i * job->size;
        if (table[i] < 0)
            fzi_move_fill(to, job->size / (int64_t)job->width, job->value, job->width);
        else memcpy(to, src + table[i] * job->stride[job->last], (size_t)job->size);
    }
}

static void row(const struct job *job, const char *src, char *dst) {
    int64_t n = job->dims[job->last], behind = job->first + job->kept;
    border(job, src, dst, 0, job->first);
    if (job->kept > 0)
        memcpy(dst + job->first * job->size,
               src + job->table[job->last][job->first] * job->stride[job->last],
               (size_t)(job->kept * job->size));
    border(job, src, dst, behind, n);
}

static void range(void *arg, int64_t begin, int64_t end) {
    const struct job *job = arg;
    for (int64_t r = begin; r < end; r++) {
        const char *src = job->src;
        int64_t rest = r;
        bool outside = false;
        for (int32_t d = job->last; d-- > 0; rest /= job->dims[d]) {
            int64_t at = job->table[d][rest % job->dims[d]];
            outside = outside || at < 0;
            src += at * job->stride[d];
        }
        if (outside)
            fzi_move_fill(job->dst + r * job->row, job->row / (int64_t)job->width, job->value,
                          job->width);
        else row(job, src, job->dst + r * job->row);
    }
}

static void read_value(const struct fz_call *call, char value[16]) {
    const fz_tensor_t *from = fzi_move_has(call, 2) ? call->in[2] : NULL;
    int32_t dtype = call->in[0]->dtype;
    memset(value, 0, 16);
    if (!from) return;
    if (from->dtype == dtype) {
        memcpy(value, from->data, fzi_type_width(dtype));
        return;
    }
    double d = fzi_tensor_float(from, 0);
    uint16_t half = dtype == FZ_TYPE_F16 ? fzi_f32_to_f16((float)d) : fzi_f32_to_bf16((float)d);
    memcpy(value, dtype == FZ_TYPE_F64 ? (void *)&d : (void *)&half, fzi_type_width(dtype));
}

static void make_tables(struct job *job, const fz_tensor_t *in, const struct amounts *a,
                        int64_t mode, int64_t *table) {
    job->last = 0;
    job->first = 0;
    job->kept = in->dims[0];
    for (int32_t d = 0; d < in->rank; d++) {
        int64_t cut = fzi_max_i64(0, -a->begin[d]);
        int64_t kept = in->dims[d] - cut - fzi_max_i64(0, -a->end[d]);
        job->table[d] = table;
        for (int64_t i = 0; i < job->dims[d]; i++) {
            int64_t at = source(i - fzi_max_i64(0, a->begin[d]), kept, mode);
            *table++ = at < 0 ? -1 : at + cut;
        }
        if (a->begin[d] == 0 && a->end[d] == 0) continue;
        job->last = d;
        job->first = fzi_max_i64(0, a->begin[d]);
        job->kept = kept;
    }
}

static fz_status_t run(const struct fz_op *op, const struct fz_call *call) {
    const struct params *p = call->params;
    const fz_tensor_t *in = call->in[0], *out = call->out[0];
    char value[16];
    struct amounts a;
    bool known;
    if (out->size == 0) return FZ_OK;
    FZ_TRY(read_amounts(op, call, &a, &known));
    for (int32_t d = 0; d < in->rank; d++) {
        int64_t dim;
        FZ_TRY(grow(op, in->dims[d], a.begin[d], a.end[d], p->mode, &dim));
        if (dim != out->dims[d])
            return fzi_error(FZ_E_SHAPE, "%s: dimension %d has changed", op->name, d);
    }
    if (in->rank == 0) return fzi_move_view(op, call);
    struct job job = {.src = in->data ? in->data : value, .dst = out->data, .value = value,
                      .width = fzi_type_width(in->dtype)};
    read_value(call, value);
    fzi_move_strides(in->rank, in->dims, job.stride);
    for (int32_t d = 0; d < in->rank; d++) {
        job.stride[d] *= (int64_t)job.width;
        job.dims[d] = out->dims[d];
    }
    make_tables(&job, in, &a, p->mode, call->scratch);
    job.size = fzi_move_span(out, job.last + 1, out->rank) * (int64_t)job.width;
    job.row = job.dims[job.last] * job.size;
    fzi_run_range(call->env, fzi_move_span(out, 0, job.last), 131072 / job.row + 1, range, &job);
    return FZ_OK;
}

const struct fz_op fz_ops_pad[] = {
    {.name = "Pad", .domain = "", .since = 1, .rev = 1, .flags = FZ_OP_ANY_TYPE,
     .min_in = 1, .max_in = 4, .min_out = 1, .max_out = 1, .attrs = "mode pads paddings value",
     .params_size = sizeof(struct params), .lower = lower, .infer = infer, .scratch = scratch,
     .run = run},
    {0},
};
