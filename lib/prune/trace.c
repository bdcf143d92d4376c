/* The evaluation of a graph, one node after the other. */
#include "prune/trace.h"

#include "base/fpenv.h"

/* Gives V a number unless it has one: ids start at 1, and the walk meets every value twice. */
static fz_status_t number(struct fz_trace *t, struct fz_value *v, uint32_t *capacity) {
    if (!v || (v->id && v->id <= t->n_values && t->ids[v->id - 1] == v)) return FZ_OK;
    if (t->n_values == *capacity) {
        uint32_t more = *capacity ? 2 * *capacity : 256;
        struct fz_value **ids = fzi_realloc(t->ids, more * sizeof *ids);
        if (!ids) return fzi_error(FZ_E_NOMEM, "no memory for values");
        t->ids = ids;
        *capacity = more;
    }
    t->ids[t->n_values++] = v;
    v->id = t->n_values;
    return FZ_OK;
}

static fz_status_t number_graph(struct fz_trace *t, struct fz_graph *graph, uint32_t *capacity) {
    for (uint32_t i = 0; i < graph->n_inputs; i++)
        FZ_TRY(number(t, graph->inputs[i], capacity));
    for (struct fz_node *node = graph->first; node; node = node->next) {
        node->mark = t->n_nodes++;
        for (uint32_t i = 0; i < node->n_in; i++) FZ_TRY(number(t, node->in[i], capacity));
        for (uint32_t i = 0; i < node->n_out; i++) FZ_TRY(number(t, node->out[i], capacity));
        for (uint32_t i = 0; i < node->n_sub; i++)
            FZ_TRY(number_graph(t, node->sub[i], capacity));
    }
    for (uint32_t i = 0; i < graph->n_outputs; i++)
        FZ_TRY(number(t, graph->outputs[i], capacity));
    return FZ_OK;
}

static fz_status_t check_nodes(const struct fz_graph *graph) {
    for (const struct fz_node *node = graph->first; node; node = node->next) {
        const struct fz_op *op = fzi_op_find(node->domain, node->type, node->opset);
        if (!op || strcmp(node->domain, "frozen") == 0)
            return fzi_error(FZ_E_UNSUPPORTED,
                             "node '%s': operator %s of opset %d is not supported", node->name,
                             node->type, node->opset);
        bool known = strcmp(node->type, "If") == 0 || strcmp(node->type, "Loop") == 0 ||
                     strcmp(node->type, "Scan") == 0;
        if (op->flags & FZ_OP_RANDOM || (op->flags & FZ_OP_CONTROL && !known))
            return fzi_error(FZ_E_UNSUPPORTED,
                             "node '%s': models with %s can't be analysed", node->name,
                             node->type);
        for (uint32_t i = 0; i < node->n_sub; i++) FZ_TRY(check_nodes(node->sub[i]));
    }
    return FZ_OK;
}

fz_status_t fzi_trace_open(struct fz_trace *t, struct fz_graph *graph) {
    *t = (struct fz_trace){.graph = graph};
    fzk_table_fill(&t->kernels, fzk_cpu_mask());
    fz_status_t status = check_nodes(graph);
    uint32_t capacity = 0;
    if (status == FZ_OK) status = number_graph(t, graph, &capacity);
    if (status == FZ_OK) {
        t->lowered = fzi_calloc(t->n_nodes, sizeof *t->lowered);
        t->values = fzi_calloc(t->n_values, sizeof *t->values);
        if (!t->lowered || !t->values) status = fzi_error(FZ_E_NOMEM, "no memory for a trace");
    }
    if (status != FZ_OK) fzi_trace_close(t);
    return status;
}

void fzi_trace_close(struct fz_trace *t) {
    fzi_free(t->lowered);
    fzi_free(t->values);
    fzi_free(t->ids);
    fzi_arena_free(&t->memory);
    *t = (struct fz_trace){0};
}

void fzi_trace_changed(struct fz_trace *t, const struct fz_node *node) {
    t->lowered[node->mark].op = NULL;
}

const fz_tensor_t *fzi_trace_value(const struct fz_trace *t, const struct fz_value *v) {
    return fzi_is_constant(v) ? &v->t : &t->values[v->id - 1];
}

/* Lets the inputs of NODE show the types and shapes of this run while it is lowered; OLD gets what
 * they were. */
static void show(const struct fz_trace *t, const struct fz_node *node, fz_tensor_t *old) {
    for (uint32_t i = 0; i < node->n_in; i++) {
        struct fz_value *v = node->in[i];
        if (!v) continue;
        old[i] = v->t;
        if (fzi_is_constant(v)) continue;
        v->t = t->values[v->id - 1];
        v->t.data = NULL;
    }
}

static void hide(const struct fz_node *node, const fz_tensor_t *old) {
    for (uint32_t i = node->n_in; i-- > 0;)
        if (node->in[i]) node->in[i]->t = old[i];
}

/* Lowers a copy of NODE with a list of inputs of its own, which lower may append to. */
static fz_status_t lower(struct fz_trace *t, const struct fz_node *node) {
    struct fz_arena *arena = t->graph->arena;
    struct fz_node *copy = &t->lowered[node->mark];
    *copy = *node;
    copy->op = NULL;
    const struct fz_op *op = fzi_op_find(node->domain, node->type, node->opset);
    if (node->n_in < op->min_in || node->n_out < op->min_out ||
        (op->max_in != 255 && node->n_in > op->max_in) ||
        (op->max_out != 255 && node->n_out > op->max_out))
        return fzi_error(FZ_E_FORMAT, "%s does not take %u inputs and %u outputs", op->name,
                         node->n_in, node->n_out);
    for (uint32_t i = 0; i < op->min_in; i++)
        if (!node->in[i]) return fzi_error(FZ_E_FORMAT, "%s needs input %u", op->name, i);
    fz_tensor_t *old = fzi_arena_array(&t->memory, node->n_in, sizeof *old);
    copy->in = fzi_arena_copy(arena, node->in, node->n_in * sizeof *node->in);
    copy->params = fzi_arena_alloc(arena, op->params_size);
    if (!old || !copy->in || !copy->params) return fzi_error(FZ_E_NOMEM, "no memory for a node");
    struct fz_lower context = {t->graph, "portable", 0};
    copy->op = op;
    show(t, node, old);
    fz_status_t status = op->lower ? op->lower(&context, copy, copy->params) : FZ_OK;
    hide(node, old);
    if (status != FZ_OK) copy->op = NULL;
    return status;
}

static fz_status_t evaluate(struct fz_trace *t, const struct fz_node *node) {
    struct fz_node *copy = &t->lowered[node->mark];
    if (!copy->op) FZ_TRY(lower(t, node));
    const fz_tensor_t **in = fzi_arena_array(&t->memory, copy->n_in, sizeof *in);
    fz_tensor_t *out = fzi_arena_array(&t->memory, copy->n_out, sizeof *out);
    if (!in || !out) return fzi_error(FZ_E_NOMEM, "no memory for a node");
    for (uint32_t i = 0; i < copy->n_in; i++)
        in[i] = !copy->in[i] ? NULL
                : i < node->n_in && copy->in[i] == node->in[i] ? fzi_trace_value(t, node->in[i])
                                                               : &copy->in[i]->t;
    if (copy->op->flags & FZ_OP_CONTROL) FZ_TRY(fzi_trace_control(t, copy, in, out));
    else
        FZ_TRY(fzi_op_evaluate(copy->op, copy->params, in, copy->n_in, out, copy->n_out,
                               &t->memory, &t->kernels));
    for (uint32_t i = 0; i < node->n_out; i++)
        if (node->out[i]) t->values[node->out[i]->id - 1] = out[i];
    return FZ_OK;
}

fz_status_t fzi_trace_graph(struct fz_trace *t, const struct fz_graph *graph,
                            const struct fz_node *last) {
    for (const struct fz_node *node = graph->first; node; node = node->next) {
        fz_status_t status = evaluate(t, node);
        if (status != FZ_OK)
            return fzi_error_context(status, "node '%s' (%s)", node->name, node->type);
        if (node == last) break;
    }
    return FZ_OK;
}

fz_status_t fzi_trace_run(struct fz_trace *t, const fz_tensor_t *inputs,
                          const struct fz_node *last) {
    fzi_arena_free(&t->memory);
    t->memory.limit = (size_t)t->max_memory;
    memset(t->values, 0, t->n_values * sizeof *t->values);
    for (uint32_t i = 0; i < t->graph->n_inputs; i++)
        t->values[t->graph->inputs[i]->id - 1] = inputs[i];
    uint64_t old = fzi_fpenv_enter();
    fz_status_t status = fzi_trace_graph(t, t->graph, last);
    fzi_fpenv_leave(old);
    return status;
}
