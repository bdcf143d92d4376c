/* Unique: the different elements, or slices of an axis, with where they are first, which one each
 * input is, and how often it occurs. */
#include "ops/move.h"
#include "ops/order.h"
#include "ops/texts.h"

enum { Y, FIRST, INVERSE, COUNTS, OUTPUTS };

struct params {
    int64_t axis, flat, sorted;
};

static fz_status_t lower(struct fz_lower *lower, struct fz_node *node, void *params) {
    struct params *p = params;
    (void)lower;
    p->flat = !fzi_attr(node, "axis");
    FZ_TRY(fzi_attr_int(node, "axis", 0, &p->axis));
    return fzi_attr_int(node, "sorted", 1, &p->sorted);
}

static fz_status_t infer(const struct fz_op *op, const struct fz_call *call) {
    const struct params *p = call->params;
    const fz_tensor_t *in = call->in[0];
    int64_t unknown = FZ_DIM_UNKNOWN, length = FZ_DIM_UNKNOWN;
    int32_t axis = 0;
    FZ_TRY(fzi_infer_type(op, call, 0, FZ_T_NUMBER | FZ_T(BOOL) | FZ_T(STRING)));
    if (in->rank >= 0 && !p->flat) FZ_TRY(fzi_move_axis(op, p->axis, in->rank, &axis));
    if (in->rank >= 0) length = p->flat ? fzi_move_product(in, 0, in->rank) : in->dims[axis];
    fzi_infer_like(call, Y, in->dtype, in);
    if (p->flat) fzi_infer_shape(call, Y, in->dtype, 1, &unknown);
    else if (in->rank >= 0 && call->out[Y]) call->out[Y]->dims[axis] = FZ_DIM_UNKNOWN;
    fzi_infer_shape(call, FIRST, FZ_TYPE_I64, 1, &unknown);
    fzi_infer_shape(call, INVERSE, FZ_TYPE_I64, 1, &length);
    fzi_infer_shape(call, COUNTS, FZ_TYPE_I64, 1, &unknown);
    return FZ_OK;
}

/* The input as OUTER x N x INNER elements: N slices. */
struct job {
    const fz_tensor_t *in;
    int64_t outer, n, inner;
    const int64_t *first; /* of each group, for ordering the groups */
};

static int compare_elements(const fz_tensor_t *t, int64_t a, int64_t b) {
    if (t->dtype == FZ_TYPE_STRING) {
        const struct fz_string *strings = t->data;
        return fzi_text_compare(&strings[a], &strings[b]);
    }
    uint64_t x = fzi_order_key(t, a), y = fzi_order_key(t, b);
    return (x > y) - (x < y);
}

static int compare_slices(const void *arg, int64_t a, int64_t b) {
    const struct job *job = arg;
    for (int64_t o = 0; o < job->outer; o++)
        for (int64_t i = 0; i < job->inner; i++) {
            int64_t base = o * job->n * job->inner + i;
            int order = compare_elements(job->in, base + a * job->inner, base + b * job->inner);
            if (order) return order;
        }
    return 0;
}

static int compare_first(const void *arg, int64_t a, int64_t b) {
    const struct job *job = arg;
    return (job->first[a] > job->first[b]) - (job->first[a] < job->first[b]);
}

static int64_t n_slices(const struct fz_call *call, int32_t axis) {
    const struct params *p = call->params;
    const fz_tensor_t *in = call->in[0];
    return p->flat ? fzi_tensor_count(in) : in->dims[axis];
}

/* Five lists of N: the sorted slices, room for sorting, each slice's group, each group's first
 * slice and count. */
static size_t scratch(const struct fz_op *op, const struct fz_call *call) {
    const struct params *p = call->params;
    int32_t axis = 0;
    if (!p->flat && fzi_move_axis(op, p->axis, call->in[0]->rank, &axis) != FZ_OK) return 0;
    return (size_t)n_slices(call, axis) * 5 * sizeof(int64_t);
}

struct groups {
    int64_t *order, *temp, *group, *first, *count;
    int64_t n;
};

/* Sorting is stable, so the first slice of a group is the first in the input. */
static void find_groups(const struct job *job, struct groups *g) {
    for (int64_t i = 0; i < job->n; i++) g->order[i] = i;
    fzi_order_sort(g->order, g->temp, job->n, compare_slices, job);
    g->n = 0;
    for (int64_t i = 0; i < job->n; i++) {
        if (i == 0 || compare_slices(job, g->order[i - 1], g->order[i]) != 0) {
            g->first[g->n] = g->order[i];
            g->count[g->n++] = 0;
        }
        g->count[g->n - 1]++;
        g->group[g->order[i]] = g->n - 1;
    }
}

static fz_status_t resize(const struct fz_call *call, const struct job *job, int32_t axis,
                          int64_t n) {
    const struct params *p = call->params;
    int64_t dims[FZ_RANK_MAX];
    int32_t rank = p->flat ? 1 : call->in[0]->rank;
    for (int32_t d = 0; d < rank; d++) dims[d] = call->in[0]->dims[d];
    dims[axis] = n;
    FZ_TRY(call->env->resize(call, Y, rank, dims));
    if (call->n_out > FIRST) FZ_TRY(call->env->resize(call, FIRST, 1, &n));
    if (call->n_out > INVERSE) FZ_TRY(call->env->resize(call, INVERSE, 1, &job->n));
    if (call->n_out > COUNTS) FZ_TRY(call->env->resize(call, COUNTS, 1, &n));
    return FZ_OK;
}

static int64_t *list(const struct fz_call *call, uint32_t i) {
    return i < call->n_out && call->out[i] ? call->out[i]->data : NULL;
}

/* Writes the outputs; ORDER lists the groups in output order. */
static void write_groups(const struct fz_call *call, const struct job *job,
                         const struct groups *g, const int64_t *order, int64_t *place) {
    int64_t *first = list(call, FIRST), *inverse = list(call, INVERSE);
    int64_t *counts = list(call, COUNTS);
    for (int64_t i = 0; i < g->n; i++) {
        struct fz_move move = {.width = fzi_type_width(job->in->dtype)};
        int64_t from = g->first[order[i]];
        place[order[i]] = i;
        if (first) first[i] = from;
        if (counts) counts[i] = g->count[order[i]];
        fzi_move_dim(&move, job->outer, job->n * job->inner, g->n * job->inner);
        fzi_move_dim(&move, job->inner, 1, 1);
        if (call->out[Y])
            fzi_move_run(call->env, &move, fzi_move_at(job->in, from * job->inner),
                         fzi_move_at(call->out[Y], i * job->inner));
    }
    for (int64_t i = 0; inverse && i < job->n; i++) inverse[i] = place[g->group[i]];
}

static fz_status_t run(const struct fz_op *op, const struct fz_call *call) {
    const struct params *p = call->params;
    const fz_tensor_t *in = call->in[0];
    int32_t axis = 0;
    if (!p->flat) FZ_TRY(fzi_move_axis(op, p->axis, in->rank, &axis));
    struct job job = {.in = in, .n = n_slices(call, axis), .outer = 1, .inner = 1};
    if (!p->flat) {
        job.outer = fzi_move_span(in, 0, axis);
        job.inner = fzi_move_span(in, axis + 1, in->rank);
    }
    int64_t *lists = call->scratch;
    struct groups g = {lists, lists + job.n, lists + 2 * job.n, lists + 3 * job.n,
                       lists + 4 * job.n, 0};
    find_groups(&job, &g);
    FZ_TRY(resize(call, &job, axis, g.n));
    /* The sorted slices are not needed any more: their list becomes that of the groups. */
    job.first = g.first;
    for (int64_t i = 0; i < g.n; i++) g.order[i] = i;
    if (!p->sorted) fzi_order_sort(g.order, g.temp, g.n, compare_first, &job);
    write_groups(call, &job, &g, g.order, g.temp);
    return FZ_OK;
}

const struct fz_op fz_ops_unique[] = {
    {.name = "Unique", .domain = "", .since = 11, .rev = 1,
     .flags = FZ_OP_ANY_TYPE | FZ_OP_LATE_SHAPE, .min_in = 1, .max_in = 1, .min_out = 1,
     .max_out = OUTPUTS, .attrs = "axis sorted", .params_size = sizeof(struct params),
     .lower = lower, .infer = infer, .scratch = scratch, .run = run},
    {0},
};
