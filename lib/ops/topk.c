/* TopK: the K largest or smallest elements of each line and their places, best first. NaN counts as
 * the largest; of equal elements the one at the lower place is the better. */
#include "ops/move.h"
#include "ops/order.h"

struct params {
    int64_t axis, largest, k; /* k: before opset 10, -1 if it is input 1 */
};

/* The attribute `sorted` is known and not needed: results are always sorted. */
static fz_status_t lower(struct fz_lower *lower, struct fz_node *node, void *params) {
    struct params *p = params;
    (void)lower;
    FZ_TRY(fzi_attr_int(node, "axis", -1, &p->axis));
    FZ_TRY(fzi_attr_int(node, "largest", 1, &p->largest));
    if (node->opset < 10 && !fzi_attr(node, "k"))
        return fzi_error(FZ_E_FORMAT, "TopK needs the attribute 'k'");
    return fzi_attr_int(node, "k", -1, &p->k);
}

static fz_status_t read_k(const struct fz_op *op, const struct fz_call *call, int64_t *k) {
    const struct params *p = call->params;
    bool known = true;
    *k = p->k;
    if (fzi_move_has(call, 1)) FZ_TRY(fzi_move_scalar(op, call, 1, k, &known));
    if (known && *k < 0)
        return fzi_error(FZ_E_VALUE, "%s: K is %lld, not 0 or more", op->name, (long long)*k);
    if (!known) *k = FZ_DIM_UNKNOWN;
    return FZ_OK;
}

static fz_status_t infer(const struct fz_op *op, const struct fz_call *call) {
    const struct params *p = call->params;
    const fz_tensor_t *in = call->in[0];
    int64_t k;
    int32_t axis;
    FZ_TRY(fzi_infer_type(op, call, 0, FZ_T_NUMBER));
    FZ_TRY(read_k(op, call, &k));
    fzi_infer_like(call, 0, in->dtype, in);
    fzi_infer_like(call, 1, FZ_TYPE_I64, in);
    if (in->rank < 0) return FZ_OK;
    FZ_TRY(fzi_move_axis(op, p->axis, in->rank, &axis));
    if (k >= 0 && in->dims[axis] >= 0 && k > in->dims[axis])
        return fzi_error(FZ_E_VALUE, "%s: K is %lld of %lld elements", op->name, (long long)k,
                         (long long)in->dims[axis]);
    for (uint32_t i = 0; i < call->n_out; i++)
        if (call->out[i]) call->out[i]->dims[axis] = k;
    return FZ_OK;
}

/* A candidate: the larger key is the better one. */
struct item {
    uint64_t key;
    int64_t at;
};

static bool better(struct item a, struct item b) {
    return a.key != b.key ? a.key > b.key : a.at < b.at;
}

/* Lets the item at place I of a heap of N sink; the worst item is at its top. */
static void sink(struct item *heap, int64_t n, int64_t i) {
    struct item item = heap[i];
    for (int64_t child; (child = 2 * i + 1) < n; i = child) {
        if (child + 1 < n && better(heap[child], heap[child + 1])) child++;
        if (better(heap[child], item)) break;
        heap[i] = heap[child];
    }
    heap[i] = item;
}

struct job {
    const fz_tensor_t *in;
    fz_tensor_t *values, *places;
    struct item *items; /* K for each line */
    int64_t n, k, inner;
    uint64_t flip;      /* all ones: the smallest are the best */
};

static const fz_tensor_t *shaped(const struct fz_call *call) {
    return call->out[0] ? call->out[0] : call->out[1];
}

static size_t scratch(const struct fz_op *op, const struct fz_call *call) {
    (void)op;
    return (size_t)fzi_tensor_count(shaped(call)) * sizeof(struct item);
}

/* Keeps the best K of a line in a heap, then takes the worst away, one by one. */
static void select_line(const struct job *job, int64_t first, struct item *heap) {
    int64_t k = job->k;
    for (int64_t i = 0; i < job->n; i++) {
        struct item item = {fzi_order_key(job->in, first + i * job->inner) ^ job->flip, i};
        if (i < k) {
            heap[i] = item;
            if (i == k - 1)
                for (int64_t j = k / 2; j-- > 0;) sink(heap, k, j);
        } else if (better(item, heap[0])) {
            heap[0] = item;
            sink(heap, k, 0);
        }
    }
    for (int64_t left = k - 1; left > 0; left--) {
        struct item worst = heap[0];
        heap[0] = heap[left];
        heap[left] = worst;
        sink(heap, left, 0);
    }
}

static void range(void *arg, int64_t begin, int64_t end) {
    const struct job *job = arg;
    size_t width = fzi_type_width(job->in->dtype);
    for (int64_t l = begin; l < end; l++) {
        struct item *items = job->items + l * job->k;
        int64_t outer = l / job->inner, inside = l % job->inner;
        int64_t first = outer * job->n * job->inner + inside;
        int64_t to = outer * job->k * job->inner + inside;
        select_line(job, first, items);
        for (int64_t i = 0; i < job->k; i++, to += job->inner) {
            if (job->values)
                memcpy(fzi_move_at(job->values, to),
                       fzi_move_at(job->in, first + items[i].at * job->inner), width);
            if (job->places) ((int64_t *)job->places->data)[to] = items[i].at;
        }
    }
}

static fz_status_t run(const struct fz_op *op, const struct fz_call *call) {
    const struct params *p = call->params;
    const fz_tensor_t *in = call->in[0], *out = shaped(call);
    int64_t k;
    int32_t axis;
    FZ_TRY(fzi_move_axis(op, p->axis, in->rank, &axis));
    FZ_TRY(read_k(op, call, &k));
    if (k != out->dims[axis]) return fzi_error(FZ_E_SHAPE, "%s: K has changed", op->name);
    if (out->size == 0) return FZ_OK;
    struct job job = {.in = in, .values = call->out[0],
                      .places = call->n_out > 1 ? call->out[1] : NULL, .items = call->scratch,
                      .n = in->dims[axis], .k = k,
                      .inner = fzi_move_span(in, axis + 1, in->rank),
                      .flip = p->largest ? 0 : UINT64_MAX};
    int64_t lines = fzi_move_span(in, 0, axis) * job.inner;
    fzi_run_range(call->env, lines, 8192 / job.n + 1, range, &job);
    return FZ_OK;
}

#define COMMON                                                                                     \
    .domain = "", .rev = 1, .min_out = 1, .max_out = 2, .params_size = sizeof(struct params),      \
    .lower = lower, .infer = infer, .scratch = scratch, .run = run

const struct fz_op fz_ops_topk[] = {
    {.name = "TopK", .since = 1, .until = 9, .min_in = 1, .max_in = 1, .attrs = "axis k", COMMON},
    {.name = "TopK", .since = 10, .min_in = 2, .max_in = 2, .attrs = "axis largest sorted",
     COMMON},
    {0},
};
