/* SequenceMap: a subgraph for each value of a sequence. */
#include "ops/control.h"
#include "ops/nested.h"

static bool is_sequence(int32_t dtype) { return fz_type_kind(dtype) == FZ_KIND_SEQUENCE; }

static fz_status_t infer_inputs(struct fz_node *node, struct fz_graph *body) {
    fz_tensor_t open = {.rank = FZ_RANK_UNKNOWN};
    for (uint32_t i = 0; i < node->n_in; i++) {
        if (!node->in[i]) return fzi_error(FZ_E_FORMAT, "input %u is absent", i);
        int32_t dtype = node->in[i]->t.dtype;
        if (i == 0 && dtype && !is_sequence(dtype))
            return fzi_error(FZ_E_TYPE, "input 0 is %s, not a sequence", fz_type_name(dtype));
        fzi_control_declare(body->inputs[i], is_sequence(dtype) ? fz_type_element(dtype) : dtype,
                            &open);
    }
    return FZ_OK;
}

static fz_status_t infer_control(struct fz_node *node, bool inner) {
    if (node->n_sub != 1) return fzi_error(FZ_E_FORMAT, "SequenceMap needs a body");
    struct fz_graph *body = node->sub[0];
    if (body->n_inputs != node->n_in || body->n_outputs != node->n_out ||
        node->n_in > FZ_CONTROL_MAX || node->n_out > FZ_CONTROL_MAX)
        return fzi_error(FZ_E_FORMAT, "the body has other inputs or outputs than SequenceMap");
    if (inner) return infer_inputs(node, body);
    for (uint32_t i = 0; i < node->n_out; i++) {
        int64_t unknown = FZ_DIM_UNKNOWN;
        int32_t type = fzi_type_nest(FZ_KIND_SEQUENCE, body->outputs[i]->t.dtype);
        if (!type) return fzi_error(FZ_E_TYPE, "the body's output %u goes into no sequence", i);
        if (!node->out[i]) continue;
        node->out[i]->t.dtype = type;
        fzi_shape_set(&node->out[i]->t, 1, &unknown);
    }
    return FZ_OK;
}

struct map {
    fz_tensor_t items[FZ_CONTROL_MAX]; /* of the sequences, for the body */
    const fz_tensor_t *in[FZ_CONTROL_MAX], *out[FZ_CONTROL_MAX];
};

static fz_status_t check(const struct fz_call *call) {
    if (call->n_in > FZ_CONTROL_MAX || call->n_out > FZ_CONTROL_MAX)
        return fzi_error(FZ_E_LIMIT, "too many inputs or outputs");
    if (!is_sequence(call->in[0]->dtype))
        return fzi_error(FZ_E_TYPE, "input 0 is %s, not a sequence",
                         fz_type_name(call->in[0]->dtype));
    for (uint32_t i = 0; i < call->n_in; i++)
        if (is_sequence(call->in[i]->dtype) && call->in[i]->dims[0] != call->in[0]->dims[0])
            return fzi_error(FZ_E_SHAPE, "sequences of %lld and of %lld values",
                             (long long)call->in[0]->dims[0], (long long)call->in[i]->dims[0]);
    for (uint32_t i = 0; i < call->n_out; i++) {
        if (!call->out[i]) continue;
        if (!is_sequence(call->out[i]->dtype))
            return fzi_error(FZ_E_TYPE, "output %u is not a sequence", i);
        FZ_TRY(call->env->resize(call, i, 1, call->in[0]->dims));
    }
    return FZ_OK;
}

/* Runs the body for value AT. */
static fz_status_t map_one(const struct fz_call *call, struct map *map, int64_t at) {
    uint32_t n = FZ_CONTROL_MAX;
    for (uint32_t i = 0; i < call->n_in; i++) {
        bool sequence = is_sequence(call->in[i]->dtype);
        if (sequence) map->items[i] = fzi_value_item(call->in[i], at);
        map->in[i] = sequence ? &map->items[i] : call->in[i];
    }
    FZ_TRY(call->env->eval(call, 0, map->in, call->n_in, map->out, &n));
    for (uint32_t i = 0; i < call->n_out && i < n; i++) {
        if (!call->out[i]) continue;
        if (map->out[i]->dtype != fz_type_element(call->out[i]->dtype))
            return fzi_error(FZ_E_TYPE, "the body's output %u is %s", i,
                             fz_type_name(map->out[i]->dtype));
        FZ_TRY(fzi_nested_keep(call->env, map->out[i], (fz_tensor_t *)call->out[i]->data + at));
    }
    return FZ_OK;
}

static fz_status_t run(const struct fz_op *op, const struct fz_call *call) {
    (void)op;
    FZ_TRY(check(call));
    struct map *map = fzi_arena_alloc(call->env->heap, sizeof *map);
    if (!map) return fzi_error(FZ_E_NOMEM, "no memory for a subgraph's inputs");
    for (int64_t i = 0; i < call->in[0]->dims[0]; i++) FZ_TRY(map_one(call, map, i));
    return FZ_OK;
}

const struct fz_op fz_ops_sequence_map[] = {
    {.name = "SequenceMap", .domain = "", .since = 17, .rev = 1,
     .flags = FZ_OP_CONTROL | FZ_OP_ANY_TYPE | FZ_OP_NESTED, .min_in = 1,
     .max_in = FZ_CONTROL_MAX, .min_out = 1, .max_out = FZ_CONTROL_MAX, .attrs = "body",
     .infer_control = infer_control, .run = run},
    {0},
};
