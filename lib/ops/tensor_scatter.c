/* TensorScatter: a cache of keys or values with an update written into each sequence of the batch,
 * from a place of its own on. */
#include "ops/move.h"

enum { CACHE, UPDATE, PLACES };

struct params {
    int64_t axis, circular; /* circular: behind the end comes the beginning */
};

static fz_status_t lower(struct fz_lower *lower, struct fz_node *node, void *params) {
    static const char *const modes[] = {"linear", "circular", NULL};
    struct params *p = params;
    (void)lower;
    FZ_TRY(fzi_attr_int(node, "axis", -2, &p->axis));
    return fzi_attr_choice(node, "mode", modes, 0, &p->circular);
}

static fz_status_t infer(const struct fz_op *op, const struct fz_call *call) {
    const struct params *p = call->params;
    const fz_tensor_t *cache = call->in[CACHE], *update = call->in[UPDATE];
    const fz_tensor_t *places = fzi_move_has(call, PLACES) ? call->in[PLACES] : NULL;
    int32_t axis = 0;
    FZ_TRY(fzi_move_type(op, call, CACHE));
    FZ_TRY(fzi_infer_type(op, call, PLACES, FZ_T(I64)));
    if (cache->dtype != update->dtype)
        return fzi_error(FZ_E_TYPE, "%s: an update of %s for %s", op->name,
                         fz_type_name(update->dtype), fz_type_name(cache->dtype));
    fzi_infer_like(call, 0, cache->dtype, cache);
    if (cache->rank < 0) return FZ_OK;
    FZ_TRY(fzi_move_axis(op, p->axis, cache->rank, &axis));
    if (axis == 0) return fzi_error(FZ_E_SHAPE, "%s: axis 0 is that of the batch", op->name);
    if (update->rank >= 0 && update->rank != cache->rank)
        return fzi_error(FZ_E_SHAPE, "%s: an update of rank %d for rank %d", op->name,
                         update->rank, cache->rank);
    for (int32_t d = 0; d < update->rank; d++) {
        int64_t a = cache->dims[d], b = update->dims[d];
        if (a >= 0 && b >= 0 && (d == axis ? b > a : b != a))
            return fzi_error(FZ_E_SHAPE, "%s: dimension %d of the update is %lld, of the cache "
                             "%lld", op->name, d, (long long)b, (long long)a);
    }
    if (places && places->rank >= 0 &&
        (places->rank != 1 || (places->dims[0] >= 0 && cache->dims[0] >= 0 &&
                               places->dims[0] != cache->dims[0])))
        return fzi_error(FZ_E_SHAPE, "%s: the places are not one for each sequence", op->name);
    return FZ_OK;
}

/* Copies N steps of sequence B from step FROM of the update to step TO of the output. */
static void copy_steps(const struct fz_call *call, int32_t axis, int64_t b, int64_t from,
                       int64_t to, int64_t n) {
    const fz_tensor_t *update = call->in[UPDATE], *out = call->out[0];
    struct fz_move move = {.width = fzi_type_width(out->dtype)};
    int64_t inner = fzi_move_span(out, axis + 1, out->rank);
    int64_t row_in = update->dims[axis] * inner, row_out = out->dims[axis] * inner;
    int64_t outer = fzi_move_span(out, 1, axis);
    fzi_move_dim(&move, outer, row_in, row_out);
    fzi_move_dim(&move, n * inner, 1, 1);
    fzi_move_run(call->env, &move, fzi_move_at(update, b * outer * row_in + from * inner),
                 fzi_move_at(out, b * outer * row_out + to * inner));
}

static fz_status_t run(const struct fz_op *op, const struct fz_call *call) {
    const struct params *p = call->params;
    const fz_tensor_t *out = call->out[0], *update = call->in[UPDATE];
    int32_t axis;
    FZ_TRY(fzi_move_axis(op, p->axis, out->rank, &axis));
    int64_t length = out->dims[axis], n = update->dims[axis];
    fzi_move_bytes(call->env, call->in[CACHE]->data, out->data, out->size);
    for (int64_t b = 0; b < out->dims[0] && update->size; b++) {
        int64_t at = fzi_move_has(call, PLACES) ? ((const int64_t *)call->in[PLACES]->data)[b] : 0;
        if (at < 0 || (p->circular ? at >= length : at > length - n))
            return fzi_error(FZ_E_VALUE, "%s: %lld steps at place %lld of %lld", op->name,
                             (long long)n, (long long)at, (long long)length);
        int64_t head = fzi_min_i64(n, length - at);
        copy_steps(call, axis, b, 0, at, head);
        copy_steps(call, axis, b, head, 0, n - head);
    }
    return FZ_OK;
}

const struct fz_op fz_ops_tensor_scatter[] = {
    {.name = "TensorScatter", .domain = "", .since = 24, .rev = 1, .flags = FZ_OP_ANY_TYPE,
     .min_in = 2, .max_in = 3, .min_out = 1, .max_out = 1, .attrs = "axis mode",
     .params_size = sizeof(struct params), .lower = lower, .infer = infer, .run = run},
    {0},
};
