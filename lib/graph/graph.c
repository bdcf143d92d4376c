/* Making and rewriting graphs. */
#include "graph/graph.h"

struct fz_graph *fzi_graph_new(struct fz_arena *arena, struct fz_graph *parent, const char *name) {
    struct fz_graph *graph = fzi_arena_alloc(arena, sizeof *graph);
    if (!graph) return NULL;
    graph->arena = arena;
    graph->parent = parent;
    graph->name = name ? name : "";
    graph->info = parent ? parent->info : fzi_arena_alloc(arena, sizeof *graph->info);
    return graph->info ? graph : NULL;
}

struct fz_value *fzi_graph_value(struct fz_graph *graph, const char *name) {
    struct fz_value *value = fzi_arena_alloc(graph->arena, sizeof *value);
    if (!value) return NULL;
    value->name = name ? name : "";
    value->graph = graph;
    value->t.rank = FZ_RANK_UNKNOWN;
    return value;
}

struct fz_value *fzi_graph_constant(struct fz_graph *graph, const char *name,
                                    const fz_tensor_t *t) {
    /* An empty constant still needs a data pointer: that is what makes it a constant. */
    static const char empty[64];
    struct fz_value *value = fzi_graph_value(graph, name);
    if (!value) return NULL;
    value->t = *t;
    if (!value->t.data) value->t.data = (void *)empty;
    return value;
}

struct fz_value *fzi_graph_new_constant(struct fz_graph *graph, const char *name, int32_t dtype,
                                        int32_t rank, const int64_t *dims) {
    fz_tensor_t t = {.dtype = dtype};
    fzi_shape_set(&t, rank, dims);
    if (fzi_tensor_alloc(graph->arena, &t) != FZ_OK) return NULL;
    return fzi_graph_constant(graph, name, &t);
}

/* Links NODE into GRAPH's list before BEFORE. */
static void link_node(struct fz_graph *graph, struct fz_node *node, struct fz_node *before) {
    node->next = before;
    node->prev = before ? before->prev : graph->last;
    if (node->prev) node->prev->next = node;
    else graph->first = node;
    if (before) before->prev = node;
    else graph->last = node;
    graph->n_nodes++;
}

static void unlink_node(struct fz_graph *graph, struct fz_node *node) {
    if (node->prev) node->prev->next = node->next;
    else graph->first = node->next;
    if (node->next) node->next->prev = node->prev;
    else graph->last = node->prev;
    node->prev = node->next = NULL;
    graph->n_nodes--;
}

struct fz_node *fzi_graph_node(struct fz_graph *graph, struct fz_node *before,
                               const struct fz_op *op, const char *name, uint32_t n_in,
                               uint32_t n_out) {
    struct fz_node *node = fzi_arena_alloc(graph->arena, sizeof *node);
    if (!node) return NULL;
    node->op = op;
    node->type = node->domain = "";
    node->name = name ? name : "";
    node->n_in = n_in;
    node->n_out = n_out;
    node->in = fzi_arena_array(graph->arena, n_in, sizeof *node->in);
    node->out = fzi_arena_array(graph->arena, n_out, sizeof *node->out);
    if (!node->in || !node->out) return NULL;
    link_node(graph, node, before);
    return node;
}

struct fz_value *fzi_node_output(struct fz_graph *graph, struct fz_node *node, uint32_t i,
                                 const char *name) {
    struct fz_value *value = fzi_graph_value(graph, name);
    if (!value) return NULL;
    value->producer = node;
    node->out[i] = value;
    return value;
}

void fzi_graph_remove(struct fz_graph *graph, struct fz_node *node) {
    unlink_node(graph, node);
    for (uint32_t i = 0; i < node->n_out; i++)
        if (node->out[i] && node->out[i]->producer == node) node->out[i]->producer = NULL;
}

void fzi_graph_move(struct fz_graph *graph, struct fz_node *node, struct fz_node *before) {
    if (node == before) return;
    unlink_node(graph, node);
    link_node(graph, node, before);
}

void fzi_graph_adopt(struct fz_graph *graph, struct fz_node *node, struct fz_graph *from,
                     struct fz_node *before) {
    unlink_node(from, node);
    link_node(graph, node, before);
    for (uint32_t i = 0; i < node->n_out; i++)
        if (node->out[i]) node->out[i]->graph = graph;
    for (uint32_t i = 0; i < node->n_sub; i++) node->sub[i]->parent = graph;
}

void fzi_graph_replace(struct fz_graph *graph, struct fz_value *old_value,
                       struct fz_value *new_value) {
    for (struct fz_node *node = graph->first; node; node = node->next) {
        for (uint32_t i = 0; i < node->n_in; i++)
            if (node->in[i] == old_value) node->in[i] = new_value;
        for (uint32_t i = 0; i < node->n_sub; i++)
            fzi_graph_replace(node->sub[i], old_value, new_value);
    }
    for (uint32_t i = 0; i < graph->n_outputs; i++)
        if (graph->outputs[i] == old_value) graph->outputs[i] = new_value;
}

/* Sets the counts of everything that GRAPH defines or reads to zero. */
static void clear_uses(struct fz_graph *graph) {
    for (uint32_t i = 0; i < graph->n_inputs; i++) {
        graph->inputs[i]->n_uses = 0;
        graph->inputs[i]->reader = NULL;
    }
    for (struct fz_node *node = graph->first; node; node = node->next) {
        for (uint32_t i = 0; i < node->n_in; i++)
            if (node->in[i]) node->in[i]->n_uses = 0, node->in[i]->reader = NULL;
        for (uint32_t i = 0; i < node->n_out; i++)
            if (node->out[i]) node->out[i]->n_uses = 0, node->out[i]->reader = NULL;
        for (uint32_t i = 0; i < node->n_sub; i++) clear_uses(node->sub[i]);
    }
    for (uint32_t i = 0; i < graph->n_outputs; i++)
        graph->outputs[i]->n_uses = 0, graph->outputs[i]->reader = NULL;
}

/* READER is a value's last one, NULL for a graph output. */
static void add_uses(struct fz_graph *graph) {
    for (struct fz_node *node = graph->first; node; node = node->next) {
        for (uint32_t i = 0; i < node->n_in; i++)
            if (node->in[i]) node->in[i]->n_uses++, node->in[i]->reader = node;
        for (uint32_t i = 0; i < node->n_sub; i++) add_uses(node->sub[i]);
    }
    for (uint32_t i = 0; i < graph->n_outputs; i++)
        graph->outputs[i]->n_uses++, graph->outputs[i]->reader = NULL;
}

void fzi_graph_count_uses(struct fz_graph *graph) {
    clear_uses(graph);
    add_uses(graph);
}

struct fz_node *fzi_value_reader(const struct fz_value *value) {
    return value->n_uses == 1 ? value->reader : NULL;
}

/* Marks in `id` which values are defined where the check has arrived. */
static fz_status_t check_node(const struct fz_graph *graph, const struct fz_node *node,
                              uint32_t stamp);

static fz_status_t check(const struct fz_graph *graph, uint32_t stamp) {
    for (uint32_t i = 0; i < graph->n_inputs; i++) graph->inputs[i]->id = stamp;
    for (const struct fz_node *node = graph->first; node; node = node->next)
        FZ_TRY(check_node(graph, node, stamp));
    for (uint32_t i = 0; i < graph->n_outputs; i++) {
        const struct fz_value *v = graph->outputs[i];
        if (!v || (!fzi_is_constant(v) && v->id != stamp))
            return fzi_error(FZ_E_INTERNAL, "graph '%s': output %u is not defined", graph->name, i);
    }
    return FZ_OK;
}

static fz_status_t check_node(const struct fz_graph *graph, const struct fz_node *node,
                              uint32_t stamp) {
    for (uint32_t i = 0; i < node->n_in; i++) {
        const struct fz_value *v = node->in[i];
        if (v && !fzi_is_constant(v) && v->id != stamp)
            return fzi_error(FZ_E_INTERNAL, "node '%s' reads '%s' before it is defined", node->name,
                             v->name);
        if (v && fzi_is_constant(v) && !fzi_shape_known(&v->t))
            return fzi_error(FZ_E_INTERNAL, "constant '%s' has no shape", v->name);
    }
    for (uint32_t i = 0; i < node->n_sub; i++) FZ_TRY(check(node->sub[i], stamp));
    for (uint32_t i = 0; i < node->n_out; i++) {
        struct fz_value *v = node->out[i];
        if (v && (v->producer != node || fzi_is_constant(v)))
            return fzi_error(FZ_E_INTERNAL, "node '%s' does not own its output '%s'", node->name,
                             v->name);
        if (v) v->id = stamp;
    }
    (void)graph;
    return FZ_OK;
}

static void clear_ids(const struct fz_graph *graph) {
    for (uint32_t i = 0; i < graph->n_inputs; i++) graph->inputs[i]->id = 0;
    for (const struct fz_node *node = graph->first; node; node = node->next) {
        for (uint32_t i = 0; i < node->n_in; i++)
            if (node->in[i]) node->in[i]->id = 0;
        for (uint32_t i = 0; i < node->n_out; i++)
            if (node->out[i]) node->out[i]->id = 0;
        for (uint32_t i = 0; i < node->n_sub; i++) clear_ids(node->sub[i]);
    }
}

fz_status_t fzi_graph_check(const struct fz_graph *graph) {
    clear_ids(graph);
    return check(graph, 1);
}
