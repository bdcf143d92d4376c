/* A graph, node by node: each is inferred and run in memory of its own. */
#include "interpret.h"

#include "base/fpenv.h"

#include <stdlib.h>

struct owner {
    struct interpreter *in;
    struct fz_node *node;
};

struct block {
    struct block *next;
    void *data;
};

/* A step outside of a block is what a sanitizer sees. */
static void *exactly(struct interpreter *in, size_t size) {
    struct block *block = malloc(sizeof *block);
    if (!block || posix_memalign(&block->data, 64, size ? size : 1) != 0) return free(block), NULL;
    memset(block->data, 0xA5, size);
    block->next = in->blocks;
    in->blocks = block;
    return block->data;
}

fz_status_t interpreter_alloc(struct interpreter *in, fz_tensor_t *t) {
    FZ_TRY(fzi_tensor_measure(t));
    t->data = exactly(in, t->size);
    return t->data ? FZ_OK : fzi_error(FZ_E_NOMEM, "no memory for a tensor");
}

void interpreter_free(struct interpreter *in) {
    for (struct block *block = in->blocks, *next; block; block = next) {
        next = block->next;
        free(block->data);
        free(block);
    }
    fzi_arena_free(&in->arena);
    in->blocks = NULL;
}

const fz_tensor_t *interpreted(const struct fz_value *v) {
    return !v ? NULL : fzi_is_constant(v) ? &v->t : v->note;
}

static void backwards(const struct fz_env *env, size_t count, fz_task_fn task, void *arg) {
    (void)env;
    while (count-- > 0) task(arg, count);
}

static fz_status_t resize(const struct fz_call *call, uint32_t i, int32_t rank,
                          const int64_t *dims) {
    struct owner *o = call->env->owner;
    if (i >= call->n_out || !call->out[i]) return FZ_OK;
    fz_tensor_t old = *call->out[i];
    fzi_shape_set(call->out[i], rank, dims);
    FZ_TRY(interpreter_alloc(o->in, call->out[i]));
    size_t kept = old.size < call->out[i]->size ? old.size : call->out[i]->size;
    if (old.data && kept) memcpy(call->out[i]->data, old.data, kept);
    return FZ_OK;
}

static fz_status_t run_graph(struct interpreter *in, struct fz_graph *graph);

static fz_status_t eval(const struct fz_call *call, uint32_t sub, const fz_tensor_t *const *in,
                        uint32_t n_in, const fz_tensor_t **out, uint32_t *n_out) {
    struct owner *o = call->env->owner;
    struct fz_graph *graph = o->node->sub[sub];
    for (uint32_t i = 0; i < n_in; i++)
        graph->inputs[i]->note = fzi_arena_copy(&o->in->arena, in[i], sizeof **in);
    FZ_TRY(run_graph(o->in, graph));
    *n_out = graph->n_outputs;
    for (uint32_t i = 0; i < graph->n_outputs; i++) out[i] = interpreted(graph->outputs[i]);
    return FZ_OK;
}

static fz_status_t poll(const struct fz_env *env) {
    (void)env;
    return FZ_OK;
}

/* Gives the outputs of CALL their memory. */
static fz_status_t allocate(const struct fz_call *call, const struct fz_node *node,
                            struct interpreter *in) {
    for (uint32_t i = 0; i < node->n_out; i++) {
        if (!call->out[i]) continue;
        if (fzi_shape_known(call->out[i])) FZ_TRY(interpreter_alloc(in, call->out[i]));
        else if (!(node->op->flags & (FZ_OP_LATE_SHAPE | FZ_OP_CONTROL)))
            return fzi_error(FZ_E_SHAPE, "output %u has no shape", i);
    }
    return FZ_OK;
}

/* What the graph says of V must not contradict T, which V turned out to be. */
static fz_status_t agree(const struct fz_value *v, const fz_tensor_t *t) {
    char text[2][160];
    bool good = v->t.dtype == t->dtype && (v->t.rank < 0 || v->t.rank == t->rank);
    for (int32_t d = 0; good && d < v->t.rank; d++)
        good = v->t.dims[d] < 0 || v->t.dims[d] == t->dims[d];
    if (good) return FZ_OK;
    return fzi_error(FZ_E_INTERNAL, "'%s' is %s but was called %s", v->name,
                     fzi_shape_text(t, text[0], sizeof text[0]),
                     fzi_shape_text(&v->t, text[1], sizeof text[1]));
}

static fz_status_t run_node(struct interpreter *in, struct fz_node *node) {
    struct owner owner = {in, node};
    struct fz_env env = {.k = in->k, .threads = in->threads, .parallel = backwards,
                         .resize = resize, .eval = eval, .poll = poll, .heap = &in->arena,
                         .owner = &owner};
    const fz_tensor_t **ins = fzi_arena_array(&in->arena, node->n_in, sizeof *ins);
    fz_tensor_t **outs = fzi_arena_array(&in->arena, node->n_out, sizeof *outs);
    for (uint32_t i = 0; i < node->n_in; i++) ins[i] = interpreted(node->in[i]);
    for (uint32_t i = 0; i < node->n_out; i++) {
        if (!node->out[i]) continue;
        outs[i] = fzi_arena_alloc(&in->arena, sizeof **outs);
        *outs[i] = (fz_tensor_t){.dtype = node->out[i]->t.dtype, .rank = FZ_RANK_UNKNOWN};
    }
    struct fz_call call = {.params = node->params, .n_in = node->n_in, .n_out = node->n_out,
                           .in = ins, .out = outs, .env = &env, .n_sub = node->n_sub};
    if (node->op->infer) FZ_TRY(node->op->infer(node->op, &call));
    FZ_TRY(allocate(&call, node, in));
    if (node->op->scratch)
        call.scratch = exactly(in, node->op->scratch(node->op, &call));
    FZ_TRY(node->op->run(node->op, &call));
    for (uint32_t i = 0; i < node->n_out; i++)
        if (node->out[i]) {
            FZ_TRY(agree(node->out[i], outs[i]));
            node->out[i]->note = outs[i];
        }
    return FZ_OK;
}

static fz_status_t run_graph(struct interpreter *in, struct fz_graph *graph) {
    for (struct fz_node *node = graph->first; node; node = node->next) {
        fz_status_t status = run_node(in, node);
        if (status != FZ_OK)
            return fzi_error_context(status, "%s '%s'", node->op->name, node->name);
    }
    return FZ_OK;
}

fz_status_t interpret(struct interpreter *in, struct fz_graph *graph) {
    uint64_t old = fzi_fpenv_enter();
    fz_status_t status = run_graph(in, graph);
    fzi_fpenv_leave(old);
    return status;
}
