/* What passes share: making nodes and recognising them. */
#include "passes/passes.h"

static fz_status_t no_memory(void) { return fzi_error(FZ_E_NOMEM, "no memory for a node"); }

void fzi_pass_fault(struct fz_pass *pass, fz_status_t status) {
    const char *advice = NULL;
    if (status == FZ_E_UNSUPPORTED)
        advice = "export the model without it, or register a custom operator in its place";
    if (status == FZ_E_TYPE) advice = "convert it by a Cast, or export the model in another type";
    fzi_faults_add(&pass->faults, status, NULL, fzi_error_text(), advice);
}

/* A node of OP with inputs and fresh outputs, not lowered. */
static struct fz_node *bare(struct fz_graph *graph, struct fz_node *before, const struct fz_op *op,
                            const char *label, struct fz_value *const *in, uint32_t n_in,
                            uint32_t n_out) {
    struct fz_node *node = fzi_graph_node(graph, before, op, label, n_in, n_out);
    if (!node) return NULL;
    node->type = op->name;
    node->domain = op->domain;
    node->opset = op->since;
    for (uint32_t i = 0; i < n_in; i++) node->in[i] = in[i];
    for (uint32_t i = 0; i < n_out; i++)
        if (!fzi_node_output(graph, node, i, label)) return NULL;
    return node;
}

static const struct fz_op *find(const char *domain, const char *name) {
    const struct fz_op *op = fzi_op_find(domain, name, 0);
    if (!op) fzi_error(FZ_E_INTERNAL, "there is no operator %s", name);
    return op;
}

static fz_status_t lower(struct fz_pass *pass, struct fz_graph *graph, struct fz_node *node) {
    const char *numerics = pass->options->numerics ? pass->options->numerics : "portable";
    struct fz_lower context = {graph, numerics, pass->options->flags};
    node->params = fzi_arena_alloc(graph->arena, node->op->params_size);
    if (!node->params) return no_memory();
    return node->op->lower ? node->op->lower(&context, node, node->params) : FZ_OK;
}

struct fz_node *fzi_pass_make(struct fz_pass *pass, struct fz_graph *graph, struct fz_node *before,
                              const char *domain, const char *name, const char *label,
                              const struct fz_attr *attrs, uint32_t n_attrs,
                              struct fz_value *const *in, uint32_t n_in, uint32_t n_out) {
    const struct fz_op *op = find(domain, name);
    struct fz_node *node = op ? bare(graph, before, op, label, in, n_in, n_out) : NULL;
    if (!node) return NULL;
    node->attrs = fzi_arena_copy(graph->arena, attrs, n_attrs * sizeof *attrs);
    node->n_attrs = n_attrs;
    if (!node->attrs) return no_memory(), NULL;
    return lower(pass, graph, node) == FZ_OK ? node : NULL;
}

struct fz_node *fzi_pass_lowered(struct fz_graph *graph, struct fz_node *before,
                                 const char *domain, const char *name, const char *label,
                                 const void *params, struct fz_value *const *in, uint32_t n_in,
                                 uint32_t n_out) {
    const struct fz_op *op = find(domain, name);
    struct fz_node *node = op ? bare(graph, before, op, label, in, n_in, n_out) : NULL;
    if (!node) return NULL;
    node->params = fzi_arena_copy(graph->arena, params, op->params_size);
    return node->params ? node : (no_memory(), NULL);
}

/* Makes room for N inputs: lower may have appended some. */
static bool set_inputs(struct fz_graph *graph, struct fz_node *to, const struct fz_node *from,
                       struct fz_value *const *in) {
    to->in = fzi_arena_array(graph->arena, from->n_in, sizeof *to->in);
    for (uint32_t i = 0; to->in && i < from->n_in; i++) to->in[i] = in[i];
    to->n_in = from->n_in;
    return to->in != NULL;
}

void fzi_pass_clear_notes(struct fz_graph *graph) {
    for (uint32_t i = 0; i < graph->n_inputs; i++) graph->inputs[i]->note = NULL;
    for (struct fz_node *node = graph->first; node; node = node->next) {
        for (uint32_t i = 0; i < node->n_in; i++)
            if (node->in[i]) node->in[i]->note = NULL;
        for (uint32_t i = 0; i < node->n_out; i++)
            if (node->out[i]) node->out[i]->note = NULL;
    }
}

struct fz_node *fzi_pass_copy(struct fz_pass *pass, struct fz_graph *graph, struct fz_node *before,
                              const struct fz_node *node, struct fz_value *const *in,
                              const struct fz_attr *changed) {
    struct fz_node *copy = bare(graph, before, node->op, node->name, in, node->n_in, node->n_out);
    if (!copy) return NULL;
    copy->opset = node->opset;
    copy->attrs = fzi_arena_array(graph->arena, node->n_attrs + 1, sizeof *copy->attrs);
    if (!copy->attrs || !set_inputs(graph, copy, node, in)) return no_memory(), NULL;
    for (uint32_t i = 0; i < node->n_attrs; i++)
        if (!changed || strcmp(node->attrs[i].name, changed->name) != 0)
            copy->attrs[copy->n_attrs++] = node->attrs[i];
    if (changed) copy->attrs[copy->n_attrs++] = *changed;
    return lower(pass, graph, copy) == FZ_OK ? copy : NULL;
}

fz_status_t fzi_pass_infer_node(struct fz_graph *graph, struct fz_node *node) {
    const fz_tensor_t **in = fzi_arena_array(graph->arena, node->n_in, sizeof *in);
    fz_tensor_t **out = fzi_arena_array(graph->arena, node->n_out, sizeof *out);
    if (!in || !out) return no_memory();
    for (uint32_t i = 0; i < node->n_in; i++) in[i] = node->in[i] ? &node->in[i]->t : NULL;
    for (uint32_t i = 0; i < node->n_out; i++) out[i] = node->out[i] ? &node->out[i]->t : NULL;
    struct fz_call call = {.params = node->params, .n_in = node->n_in, .n_out = node->n_out,
                           .in = in, .out = out};
    fz_status_t status = fzi_op_infer(node->op, &call);
    if (status == FZ_OK) return FZ_OK;
    return fzi_error_context(status, "node '%s' (%s, opset %d)", node->name, node->op->name,
                             node->opset);
}

void fzi_pass_replace(struct fz_pass *pass, struct fz_graph *graph, struct fz_value *old_value,
                      struct fz_value *new_value) {
    new_value->name = old_value->name;
    if (new_value->t.rank == FZ_RANK_UNKNOWN && !new_value->t.dtype) new_value->t = old_value->t;
    fzi_graph_replace(graph, old_value, new_value);
    pass->n_changes++;
}

bool fzi_pass_is(const struct fz_node *node, const char *name) {
    return node && node->op && node->op->domain[0] == 0 && strcmp(node->op->name, name) == 0;
}

bool fzi_pass_is_frozen(const struct fz_node *node, const char *name) {
    return node && strcmp(node->op->domain, "frozen") == 0 && strcmp(node->op->name, name) == 0;
}

int64_t fzi_pass_rounding(const struct fz_node *node) {
    int64_t round;
    if (!fzi_pass_is_frozen(node, "RoundHalf")) return 0;
    return fzi_attr_int(node, "round", 0, &round) == FZ_OK ? round : 0;
}

struct fz_value *fzi_pass_exact(struct fz_value *v, int64_t round) {
    if (!round) return v;
    return v && fzi_pass_rounding(v->producer) == round ? v->producer->in[0] : NULL;
}

struct fz_node *fzi_pass_from(const struct fz_value *v, const char *name) {
    return v && fzi_pass_is(v->producer, name) ? v->producer : NULL;
}

bool fzi_pass_scalar(const struct fz_value *v, double *out) {
    if (!fzi_is_constant(v) || !fzi_type_is_float(v->t.dtype) || fzi_tensor_count(&v->t) != 1)
        return false;
    *out = fzi_tensor_float(&v->t, 0);
    return true;
}

/* True if C leaves the shape of X as it is: a single element of more dimensions would not. */
static bool is_scalar_for(const struct fz_value *c, const struct fz_value *x, double *scalar) {
    return fzi_pass_scalar(c, scalar) && (c->t.rank == 0 || c->t.rank <= x->t.rank);
}

struct fz_value *fzi_pass_with_scalar(const struct fz_node *node, double *scalar) {
    if (node->n_in != 2) return NULL;
    if (is_scalar_for(node->in[1], node->in[0], scalar)) return node->in[0];
    bool commutes = fzi_pass_is(node, "Add") || fzi_pass_is(node, "Mul");
    if (commutes && is_scalar_for(node->in[0], node->in[1], scalar)) return node->in[1];
    return NULL;
}

bool fzi_pass_close(double a, double b) {
    double d = a - b, size = b < 0 ? -b : b;
    return (d < 0 ? -d : d) <= 1e-4 * size;
}

bool fzi_pass_same_constant(const struct fz_value *a, const struct fz_value *b) {
    return fzi_is_constant(a) && fzi_is_constant(b) && a->t.dtype == b->t.dtype &&
           fzi_shape_equal(&a->t, &b->t) && a->t.size == b->t.size && a->t.size <= 4096 &&
           memcmp(a->t.data, b->t.data, a->t.size) == 0;
}
