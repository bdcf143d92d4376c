/* What operators' lower, infer and run functions share. */
#include "ops/op.h"

#include <stdio.h>

enum { TOLD = 5 }; /* inputs that a message describes */

fz_status_t fzi_lower_constant(struct fz_lower *lower, struct fz_node *node, uint32_t i,
                               int32_t dtype, int64_t n, const void *data) {
    struct fz_graph *graph = lower->graph;
    struct fz_value *v = fzi_graph_new_constant(
        graph, fzi_arena_format(graph->arena, "%s.%u", node->name, i), dtype, 1, &n);
    if (!v) return fzi_error(FZ_E_NOMEM, "no memory for a table of %lld elements", (long long)n);
    if (v->t.size) memcpy(v->t.data, data, v->t.size);
    if (i >= node->n_in) {
        struct fz_value **in = fzi_arena_array(graph->arena, i + 1, sizeof *in);
        if (!in) return fzi_error(FZ_E_NOMEM, "no memory for inputs");
        for (uint32_t j = 0; j < node->n_in; j++) in[j] = node->in[j];
        node->in = in;
        node->n_in = i + 1;
    }
    node->in[i] = v;
    return FZ_OK;
}

/* What an operator was given says more than any rule that it breaks. */
static fz_status_t tell_inputs(const struct fz_call *call, fz_status_t status) {
    char text[512] = "", shape[96];
    size_t at = 0;
    for (uint32_t i = 0; i < call->n_in && i < TOLD; i++) {
        const char *one = call->in[i] ? fzi_shape_text(call->in[i], shape, sizeof shape) : "none";
        at += (size_t)snprintf(text + at, sizeof text - at, "%s%.80s", i ? ", " : "", one);
    }
    return fzi_error_detail(status, "the inputs are %s%s", text, call->n_in > TOLD ? ", ..." : "");
}

static fz_status_t check_kinds(const struct fz_op *op, const struct fz_call *call) {
    for (uint32_t i = 0; i < call->n_in; i++) {
        const fz_tensor_t *t = call->in[i];
        if (!t || !fzi_type_is_nested(t->dtype)) continue;
        if (!(op->flags & FZ_OP_NESTED))
            return fzi_error(FZ_E_TYPE, "%s: input %u cannot be a value of kind %s", op->name, i,
                             fz_type_name(t->dtype));
        if (t->rank >= 0 && t->rank != 1)
            return fzi_error(FZ_E_SHAPE, "%s: input %u is %s of %d dimensions", op->name, i,
                             fz_type_name(t->dtype), t->rank);
    }
    return FZ_OK;
}

fz_status_t fzi_op_infer(const struct fz_op *op, const struct fz_call *call) {
    FZ_TRY(check_kinds(op, call));
    fz_status_t status = op->infer(op, call);
    bool told = status == FZ_E_SHAPE || status == FZ_E_TYPE || status == FZ_E_UNSUPPORTED;
    return told && call->n_in ? tell_inputs(call, status) : status;
}

fz_status_t fzi_infer_type(const struct fz_op *op, const struct fz_call *call, uint32_t i,
                           uint64_t set) {
    if (i >= call->n_in || !call->in[i]) return FZ_OK;
    int32_t dtype = call->in[i]->dtype;
    if (dtype > 0 && dtype < 64 && (set >> dtype & 1)) return FZ_OK;
    return fzi_error(FZ_E_TYPE, "%s: input %u cannot be %s", op->name, i, fz_type_name(dtype));
}

void fzi_infer_like(const struct fz_call *call, uint32_t i, int32_t dtype, const fz_tensor_t *t) {
    if (i >= call->n_out || !call->out[i]) return;
    call->out[i]->dtype = dtype;
    fzi_shape_copy(call->out[i], t);
}

void fzi_infer_shape(const struct fz_call *call, uint32_t i, int32_t dtype, int32_t rank,
                     const int64_t *dims) {
    if (i >= call->n_out || !call->out[i]) return;
    call->out[i]->dtype = dtype;
    fzi_shape_set(call->out[i], rank, dims);
}

void fzi_infer_unknown(const struct fz_call *call, uint32_t i, int32_t dtype) {
    if (i >= call->n_out || !call->out[i]) return;
    call->out[i]->dtype = dtype;
    call->out[i]->rank = FZ_RANK_UNKNOWN;
}

/* One dimension of two broadcast shapes; false if they do not fit. */
static bool join_dim(int64_t a, int64_t b, int64_t *out) {
    if (a == b) *out = a;
    else if (a == 1) *out = b;
    else if (b == 1) *out = a;
    else if (a < 0 && b < 0) *out = FZ_DIM_UNKNOWN;
    else if (a < 0) *out = b;
    else if (b < 0) *out = a;
    else return false;
    return true;
}

fz_status_t fzi_infer_broadcast(const struct fz_op *op, const fz_tensor_t *const *in, uint32_t n,
                                fz_tensor_t *out) {
    int64_t dims[FZ_RANK_MAX];
    int32_t rank = 0;
    for (uint32_t i = 0; i < n; i++) {
        if (in[i]->rank < 0) {
            out->rank = FZ_RANK_UNKNOWN;
            return FZ_OK;
        }
        if (in[i]->rank > rank) rank = in[i]->rank;
    }
    for (int32_t d = 0; d < rank; d++) {
        dims[d] = 1;
        for (uint32_t i = 0; i < n; i++) {
            int32_t at = d - (rank - in[i]->rank);
            char text[2][160];
            if (at >= 0 && !join_dim(dims[d], in[i]->dims[at], &dims[d]))
                return fzi_error(FZ_E_SHAPE, "%s: %s does not broadcast with %s", op->name,
                                 fzi_shape_text(in[0], text[0], sizeof text[0]),
                                 fzi_shape_text(in[i], text[1], sizeof text[1]));
        }
    }
    fzi_shape_set(out, rank, dims);
    return FZ_OK;
}

fz_status_t fzi_infer_list(const struct fz_op *op, const struct fz_call *call, uint32_t i,
                           int64_t *out, int32_t max, int32_t *n) {
    const fz_tensor_t *t = i < call->n_in ? call->in[i] : NULL;
    *n = -1;
    if (!t) return FZ_OK;
    FZ_TRY(fzi_infer_type(op, call, i, FZ_T(I32) | FZ_T(I64)));
    *n = -2;
    if (t->rank > 1) return fzi_error(FZ_E_SHAPE, "%s: input %u is not a list", op->name, i);
    if (!fzi_shape_known(t)) return FZ_OK;
    int64_t count = fzi_tensor_count(t);
    if (count > max)
        return fzi_error(FZ_E_SHAPE, "%s: input %u has %lld elements, at most %d fit", op->name, i,
                         (long long)count, max);
    if (count && !t->data) return FZ_OK;
    for (int64_t j = 0; j < count; j++) out[j] = fzi_tensor_int(t, j);
    *n = (int32_t)count;
    return FZ_OK;
}

fz_status_t fzi_infer_axes(const struct fz_op *op, const struct fz_call *call, uint32_t i,
                           const int64_t *list, int64_t n, int32_t rank, uint32_t *mask,
                           bool *known) {
    int64_t read[FZ_RANK_MAX];
    int32_t n_read;
    *mask = 0;
    *known = true;
    FZ_TRY(fzi_infer_list(op, call, i, read, FZ_RANK_MAX, &n_read));
    if (n_read == -2) {
        *known = false;
        return FZ_OK;
    }
    if (n_read >= 0) list = read, n = n_read;
    if (n > FZ_RANK_MAX) return fzi_error(FZ_E_SHAPE, "%s: too many axes", op->name);
    for (int64_t j = 0; j < n; j++) {
        int32_t axis;
        if (!fzi_axis(list[j], rank, &axis))
            return fzi_error(FZ_E_SHAPE, "%s: axis %lld is outside of rank %d", op->name,
                             (long long)list[j], rank);
        if (*mask >> axis & 1)
            return fzi_error(FZ_E_SHAPE, "%s: axis %d is named twice", op->name, axis);
        *mask |= 1u << axis;
    }
    return FZ_OK;
}

int64_t fzi_run_tasks(const struct fz_env *env, uint64_t work, uint64_t grain) {
    int64_t threads = env->threads;
    if (threads <= 1 || work < grain) return 1;
    uint64_t each = work / grain / (uint64_t)threads + 1;
    return threads * (int64_t)(each < 4 ? each : 4);
}

int64_t fzi_run_even(const struct fz_env *env, int64_t count, int64_t each, int64_t most) {
    for (int64_t even = count; even <= most && even < count + env->threads; even++)
        if (even * each % env->threads == 0) return even;
    return count;
}

struct range_task {
    const struct fz_env *env;
    int64_t n, count;
    fz_range_fn range;
    void *arg;
};

/* A run that is to end leaves the rest undone: its results are thrown away. */
static void range_task(void *arg, size_t i) {
    const struct range_task *task = arg;
    int64_t part = task->n / task->count, more = task->n % task->count, at = (int64_t)i;
    int64_t begin = at * part + fzi_min_i64(at, more);
    if (task->env->poll(task->env) == FZ_OK)
        task->range(task->arg, begin, begin + part + (at < more));
}

int64_t fzi_next_task(const struct fz_env *env, int64_t i, int64_t count) {
    int64_t threads = env->threads;
    if (threads == 1 || i < count / threads) return i + 1 < count ? i + 1 : -1;
    return i >= threads - 1 ? i - (threads - 1) : -1;
}

void fzi_run_range(const struct fz_env *env, int64_t n, int64_t grain, fz_range_fn range,
                   void *arg) {
    enum { POLLS = 64 }; /* at least so often does a long range look whether it is to end */
    if (n <= 0) return;
    int64_t chunks = fzi_ceil_div(n, grain > 0 ? grain : 1), threads = env->threads;
    int64_t most = threads > 1 ? fzi_max_i64(4 * threads, chunks / POLLS)
                               : fzi_min_i64(chunks / POLLS, POLLS);
    chunks = fzi_min_i64(chunks, most);
    if (chunks > threads) chunks -= chunks % threads;
    if (chunks <= 1) {
        range(arg, 0, n);
        return;
    }
    struct range_task task = {env, n, chunks, range, arg};
    if (threads > 1) env->parallel(env, (size_t)chunks, range_task, &task);
    else
        for (size_t i = 0; i < (size_t)chunks; i++) range_task(&task, i);
}
