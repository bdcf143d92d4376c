/* ArgMax and ArgMin: the place of the largest or smallest element of each line. A NaN wins; of
 * equal elements the first one, unless the last is asked for. */
#include "ops/move.h"
#include "ops/order.h"

enum { MAX, MIN };
enum { BLOCK = 64, LANES = 16 };

struct params {
    int64_t axis, keep, last;
};

static fz_status_t lower(struct fz_lower *lower, struct fz_node *node, void *params) {
    struct params *p = params;
    (void)lower;
    FZ_TRY(fzi_attr_int(node, "axis", 0, &p->axis));
    FZ_TRY(fzi_attr_int(node, "keepdims", 1, &p->keep));
    return fzi_attr_int(node, "select_last_index", 0, &p->last);
}

static fz_status_t infer(const struct fz_op *op, const struct fz_call *call) {
    const struct params *p = call->params;
    const fz_tensor_t *in = call->in[0];
    int64_t dims[FZ_RANK_MAX];
    int32_t axis, rank = 0;
    FZ_TRY(fzi_infer_type(op, call, 0, FZ_T_NUMBER));
    fzi_infer_unknown(call, 0, FZ_TYPE_I64);
    if (in->rank < 0) return FZ_OK;
    FZ_TRY(fzi_move_axis(op, p->axis, in->rank, &axis));
    if (in->dims[axis] == 0)
        return fzi_error(FZ_E_SHAPE, "%s: axis %d has no elements", op->name, axis);
    for (int32_t d = 0; d < in->rank; d++) {
        if (d != axis) dims[rank++] = in->dims[d];
        else if (p->keep) dims[rank++] = 1;
    }
    fzi_infer_shape(call, 0, FZ_TYPE_I64, rank, dims);
    return FZ_OK;
}

struct job {
    const fz_tensor_t *in;
    int64_t *out;
    int64_t n, inner, blocks; /* blocks of BLOCK neighbouring lines in one outer position */
    uint64_t flip;            /* all ones: the smallest numbers have the largest keys */
    bool last;
};

/* A NaN has the largest key; flipped, it must have it still. */
static uint64_t rank_of(const struct job *job, int64_t i) {
    uint64_t key = fzi_order_key(job->in, i);
    bool nan = key == UINT64_MAX && fzi_type_is_float(job->in->dtype);
    return nan ? key : key ^ job->flip;
}

/* Lines side by side are searched together, so that memory is read in its order. */
static void search(const struct job *job, int64_t first, int64_t lines, int64_t *out) {
    uint64_t best[BLOCK];
    for (int64_t j = 0; j < lines; j++) {
        best[j] = rank_of(job, first + j);
        out[j] = 0;
    }
    for (int64_t i = 1; i < job->n; i++)
        for (int64_t j = 0; j < lines; j++) {
            uint64_t key = rank_of(job, first + i * job->inner + j);
            if (key > best[j] || (job->last && key == best[j])) best[j] = key, out[j] = i;
        }
}

/* ---- binary32, for which the loops vectorise. The smallest is the largest of the negated. */

static bool wins(float x, float best, bool last) {
    return last ? (x >= best) | (x != x) : (x > best) | ((x != x) & (best == best));
}

/* N rows of LINES numbers, STRIDE apart. */
static inline __attribute__((always_inline)) void
columns(const float *x, int64_t n, int64_t stride, int64_t lines, float sign, bool last,
        float *best, int32_t *at) {
    for (int64_t j = 0; j < lines; j++) {
        best[j] = x[j] * sign;
        at[j] = 0;
    }
    for (int64_t i = 1; i < n; i++)
        for (int64_t j = 0; j < lines; j++) {
            float y = x[i * stride + j] * sign;
            bool better = wins(y, best[j], last);
            best[j] = better ? y : best[j];
            at[j] = better ? (int32_t)i : at[j];
        }
}

static void search_block_f32(const struct job *job, int64_t first, int64_t lines, int64_t *out) {
    const float *x = (const float *)job->in->data + first;
    float best[BLOCK], sign = job->flip ? -1.0f : 1.0f;
    int32_t at[BLOCK];
    if (job->last) columns(x, job->n, job->inner, lines, sign, true, best, at);
    else columns(x, job->n, job->inner, lines, sign, false, best, at);
    for (int64_t j = 0; j < lines; j++) out[j] = at[j];
}

/* One line is LANES interleaved ones, whose winners are compared at the end. */
static int64_t search_line_f32(const struct job *job, int64_t first) {
    const float *x = (const float *)job->in->data + first;
    float best[LANES], sign = job->flip ? -1.0f : 1.0f;
    int32_t at[LANES];
    int64_t rows = job->n / LANES, winner = 0;
    if (job->last) columns(x, rows, LANES, LANES, sign, true, best, at);
    else columns(x, rows, LANES, LANES, sign, false, best, at);
    winner = (int64_t)at[0] * LANES;
    for (int64_t j = 1; j < LANES + job->n % LANES; j++) {
        int64_t place = j < LANES ? (int64_t)at[j] * LANES + j : rows * LANES + j - LANES;
        float y = x[place] * sign, old = x[winner] * sign;
        bool later = place > winner, equal = y == old || (y != y && old != old);
        if (equal ? later == job->last : wins(y, old, false)) winner = place;
    }
    return winner;
}

static void range(void *arg, int64_t begin, int64_t end) {
    const struct job *job = arg;
    for (int64_t b = begin; b < end; b++) {
        int64_t outer = b / job->blocks, inside = b % job->blocks * BLOCK;
        int64_t first = outer * job->n * job->inner + inside;
        int64_t lines = fzi_min_i64(BLOCK, job->inner - inside);
        int64_t *out = job->out + outer * job->inner + inside;
        if (job->in->dtype != FZ_TYPE_F32 || job->n > INT32_MAX) search(job, first, lines, out);
        else if (job->inner == 1 && job->n >= LANES) *out = search_line_f32(job, first);
        else search_block_f32(job, first, lines, out);
    }
}

static fz_status_t run(const struct fz_op *op, const struct fz_call *call) {
    const struct params *p = call->params;
    const fz_tensor_t *in = call->in[0];
    int32_t axis;
    FZ_TRY(fzi_move_axis(op, p->axis, in->rank, &axis));
    if (call->out[0]->size == 0) return FZ_OK;
    int64_t inner = fzi_move_span(in, axis + 1, in->rank);
    struct job job = {.in = in, .out = call->out[0]->data, .n = in->dims[axis], .inner = inner,
                      .blocks = fzi_ceil_div(inner, BLOCK), .last = p->last,
                      .flip = op->kind == MIN ? UINT64_MAX : 0};
    int64_t work = job.n * fzi_min_i64(inner, BLOCK);
    fzi_run_range(call->env, fzi_move_span(in, 0, axis) * job.blocks, 16384 / work + 1, range,
                  &job);
    return FZ_OK;
}

#define COMMON                                                                                     \
    .domain = "", .since = 1, .rev = 1, .min_in = 1, .max_in = 1, .min_out = 1, .max_out = 1,      \
    .attrs = "axis keepdims select_last_index", .params_size = sizeof(struct params),              \
    .lower = lower, .infer = infer, .run = run

const struct fz_op fz_ops_argmax[] = {
    {.name = "ArgMax", .kind = MAX, COMMON},
    {.name = "ArgMin", .kind = MIN, COMMON},
    {0},
};
