/* If, Loop and Scan in a trace: their subgraphs run node by node, too. What is in them stays as it
 * is, and so does what they read: pruning takes from what is around them. */
#include "prune/trace.h"

struct control {
    struct fz_trace *trace;
    const struct fz_node *node;
};

static void serial(const struct fz_env *env, size_t count, fz_task_fn task, void *arg) {
    (void)env;
    for (size_t i = 0; i < count; i++) task(arg, i);
}

static fz_status_t resize(const struct fz_call *call, uint32_t i, int32_t rank,
                          const int64_t *dims) {
    const struct control *c = call->env->owner;
    if (i >= call->n_out || !call->out[i]) return FZ_OK;
    fz_tensor_t old = *call->out[i];
    fzi_shape_set(call->out[i], rank, dims);
    FZ_TRY(fzi_tensor_alloc(&c->trace->memory, call->out[i]));
    size_t kept = old.size < call->out[i]->size ? old.size : call->out[i]->size;
    if (old.data && kept) memcpy(call->out[i]->data, old.data, kept);
    return FZ_OK;
}

static fz_status_t poll(const struct fz_env *env) {
    (void)env;
    return FZ_OK;
}

/* A Loop's outputs have those of its body, but for the first, which tells whether it goes on. */
static uint32_t first_output(const struct fz_node *node) {
    return strcmp(node->type, "Loop") == 0 ? 1 : 0;
}

/* The inputs may lie in values that this run overwrites: they are copied before any is set. */
static fz_status_t eval(const struct fz_call *call, uint32_t sub, const fz_tensor_t *const *in,
                        uint32_t n_in, const fz_tensor_t **out, uint32_t *n_out) {
    const struct control *c = call->env->owner;
    struct fz_trace *t = c->trace;
    struct fz_graph *graph = c->node->sub[sub];
    fz_tensor_t *inputs = fzi_arena_array(&t->memory, n_in, sizeof *inputs);
    if (!inputs) return fzi_error(FZ_E_NOMEM, "no memory for a subgraph");
    if (n_in != graph->n_inputs || graph->n_outputs > *n_out)
        return fzi_error(FZ_E_FORMAT, "the subgraph has other inputs or outputs");
    for (uint32_t i = 0; i < n_in; i++) inputs[i] = *in[i];
    for (uint32_t i = 0; i < n_in; i++) t->values[graph->inputs[i]->id - 1] = inputs[i];
    FZ_TRY(fzi_trace_graph(t, graph, NULL));
    *n_out = graph->n_outputs;
    for (uint32_t i = 0; i < graph->n_outputs; i++)
        out[i] = fzi_trace_value(t, graph->outputs[i]);
    for (uint32_t i = 0, from = first_output(c->node); i < call->n_out; i++)
        if (i + from < *n_out && !call->out[i]->dtype) call->out[i]->dtype = out[i + from]->dtype;
    return FZ_OK;
}

fz_status_t fzi_trace_control(struct fz_trace *t, const struct fz_node *lowered,
                              const fz_tensor_t *const *in, fz_tensor_t *out) {
    struct control control = {t, lowered};
    struct fz_env env = {.k = &t->kernels, .threads = 1, .parallel = serial, .resize = resize,
                         .eval = eval, .poll = poll, .heap = &t->memory, .owner = &control};
    fz_tensor_t **outs = fzi_arena_array(&t->memory, lowered->n_out, sizeof *outs);
    if (!outs) return fzi_error(FZ_E_NOMEM, "no memory for outputs");
    for (uint32_t i = 0; i < lowered->n_out; i++) {
        outs[i] = &out[i];
        out[i].rank = FZ_RANK_UNKNOWN;
        /* What a Loop carries comes out as it went in if nothing is run. */
        if (first_output(lowered) && i + 2 < lowered->n_in && in[i + 2])
            out[i].dtype = in[i + 2]->dtype;
    }
    struct fz_call call = {.params = lowered->params, .n_in = lowered->n_in,
                           .n_out = lowered->n_out, .in = in, .out = outs, .env = &env,
                           .n_sub = lowered->n_sub};
    return lowered->op->run(lowered->op, &call);
}
