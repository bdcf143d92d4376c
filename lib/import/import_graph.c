/* GraphProto to graph: values first, then the nodes that read and write them, then their order.
 *
 * All values of a graph exist before its first node is built, so nodes may stand in any order in
 * the file and subgraphs can refer to whatever is around them. */
#include "import/importer.h"

/* Names are unique within a graph. Inner graphs may use them again: lookups find the inner one. */
static fz_status_t add_name(struct fz_importer *im, struct fz_scope *scope, const char *name,
                            struct fz_value *value) {
    int added = fzi_names_add(&im->scratch, &scope->values, name, value);
    if (added < 0) return fzi_import_nomem(im, strlen(name));
    return added ? FZ_OK : fzi_error(FZ_E_FORMAT, "'%s' is defined twice", name);
}

/* A new value that goes by NAME in SCOPE. */
static fz_status_t add_value(struct fz_importer *im, struct fz_scope *scope, const char *name,
                             struct fz_value **out) {
    if (!*name)
        return fzi_error(FZ_E_FORMAT, "graph '%s' has a value without a name", scope->graph->name);
    const char *copy = fzi_import_text(im, scope->prefix, name);
    *out = copy ? fzi_graph_value(scope->graph, copy) : NULL;
    if (!*out) return fzi_import_nomem(im, strlen(name));
    return add_name(im, scope, name, *out);
}

fz_status_t fzi_import_lookup(const struct fz_scope *scope, const char *name,
                              struct fz_value **out) {
    void *found;
    *out = NULL;
    if (!*name) return FZ_OK;
    for (const struct fz_scope *s = scope; s; s = s->outer) {
        if (!fzi_names_find(&s->values, name, &found)) continue;
        *out = found;
        return FZ_OK;
    }
    return fzi_error(FZ_E_FORMAT, "nothing in graph '%s' defines '%s'", scope->graph->name, name);
}

/* ---- nodes */

/* Makes the values that PROTO's outputs name; those of a function's outputs are the caller's. */
static fz_status_t declare_outputs(struct fz_importer *im, struct fz_scope *scope,
                                   const fz_pb_node *proto) {
    for (size_t i = 0; i < proto->n_output; i++) {
        const char *name = proto->output[i];
        struct fz_value *value;
        void *given;
        if (!*name) continue;
        if (fzi_names_find(&scope->given, name, &given)) FZ_TRY(add_name(im, scope, name, given));
        else FZ_TRY(add_value(im, scope, name, &value));
    }
    return FZ_OK;
}

/* A name for messages: the node's own, or that of its first output. */
static const char *node_name(const fz_pb_node *proto) {
    if (*proto->name) return proto->name;
    for (size_t i = 0; i < proto->n_output; i++)
        if (*proto->output[i]) return proto->output[i];
    return proto->op_type;
}

/* The version of the node's domain that the model, or the function around it, imports. The
 * optimiser of ONNX Runtime does not import com.microsoft, which has had no other version than
 * 1. */
static fz_status_t find_opset(const struct fz_scope *scope, const fz_pb_node *proto,
                              int32_t *out) {
    const char *domain = fzi_import_domain(proto->domain);
    for (size_t i = 0; i < scope->opsets.n; i++) {
        const fz_pb_opset *item = scope->opsets.items[i];
        if (strcmp(domain, fzi_import_domain(item->domain)) != 0) continue;
        *out = (int32_t)item->version;
        return FZ_OK;
    }
    if (strcmp(domain, "com.microsoft") != 0)
        return fzi_error(FZ_E_FORMAT, "the model's opset_import does not list the domain '%s'",
                         domain);
    *out = 1;
    return FZ_OK;
}

/* Resolves the names that the node reads and writes. */
static fz_status_t connect(struct fz_scope *scope, const fz_pb_node *proto, struct fz_node *node) {
    for (uint32_t i = 0; i < node->n_in; i++)
        FZ_TRY(fzi_import_lookup(scope, proto->input[i], &node->in[i]));
    for (uint32_t i = 0; i < node->n_out; i++) {
        FZ_TRY(fzi_import_lookup(scope, proto->output[i], &node->out[i]));
        if (node->out[i]) node->out[i]->producer = node;
    }
    return FZ_OK;
}

static const struct fz_attr *graph_attr(const struct fz_node *node, const char *name) {
    for (uint32_t i = 0; i < node->n_attrs; i++)
        if (node->attrs[i].kind == FZ_ATTR_GRAPH && strcmp(node->attrs[i].name, name) == 0)
            return &node->attrs[i];
    return NULL;
}

/* Lists the node's subgraphs: If's branches as then, else; others in the order of the file. */
static fz_status_t set_subgraphs(struct fz_importer *im, struct fz_node *node) {
    size_t n = 0;
    for (uint32_t i = 0; i < node->n_attrs; i++)
        if (node->attrs[i].graphs) n += node->attrs[i].n;
    if (n > UINT32_MAX) return fzi_error(FZ_E_LIMIT, "a node has %zu subgraphs", n);
    node->sub = fzi_arena_array(im->arena, n, sizeof *node->sub);
    if (!node->sub) return fzi_import_nomem(im, n * sizeof *node->sub);
    node->n_sub = (uint32_t)n;
    n = 0;
    for (uint32_t i = 0; i < node->n_attrs; i++)
        for (size_t k = 0; node->attrs[i].graphs && k < node->attrs[i].n; k++)
            node->sub[n++] = node->attrs[i].graphs[k];
    if (strcmp(node->type, "If") != 0 || *node->domain) return FZ_OK;
    const struct fz_attr *branches[] = {graph_attr(node, "then_branch"),
                                        graph_attr(node, "else_branch")};
    if (n != 2 || !branches[0] || !branches[1])
        return fzi_error(FZ_E_FORMAT, "an If needs then_branch and else_branch");
    for (int i = 0; i < 2; i++) node->sub[i] = branches[i]->graphs[0];
    return FZ_OK;
}

/* Gives the output of a Constant node its data; there is no node then. */
static fz_status_t build_constant(struct fz_importer *im, struct fz_scope *scope,
                                  const fz_pb_node *proto, const struct fz_attr *attrs,
                                  uint32_t n_attrs) {
    struct fz_value *value;
    if (proto->n_input || proto->n_output != 1 || !*proto->output[0])
        return fzi_error(FZ_E_FORMAT, "a Constant must have no inputs and one output");
    FZ_TRY(fzi_import_lookup(scope, proto->output[0], &value));
    return fzi_import_constant(im, attrs, n_attrs, &value->t);
}

/* A node that stays a node: neither a call of a function nor a constant. */
static fz_status_t build_plain(struct fz_importer *im, struct fz_scope *scope,
                               const fz_pb_node *proto, struct fz_attr *attrs, uint32_t n_attrs) {
    const char *name = fzi_import_text(im, scope->prefix, node_name(proto));
    struct fz_node *node = name ? fzi_graph_node(scope->graph, NULL, NULL, name,
                                                 (uint32_t)proto->n_input,
                                                 (uint32_t)proto->n_output) : NULL;
    if (!node) return fzi_import_nomem(im, sizeof *node + proto->n_input * sizeof(void *));
    node->type = fzi_import_text(im, "", proto->op_type);
    node->domain = fzi_import_text(im, "", fzi_import_domain(proto->domain));
    if (!node->type || !node->domain) return fzi_import_nomem(im, strlen(proto->op_type));
    FZ_TRY(find_opset(scope, proto, &node->opset));
    node->attrs = attrs;
    node->n_attrs = n_attrs;
    FZ_TRY(connect(scope, proto, node));
    return set_subgraphs(im, node);
}

/* The limit counts what functions expand to, their calls included. */
static fz_status_t build_node(struct fz_importer *im, struct fz_scope *scope,
                              const fz_pb_node *proto) {
    struct fz_attr *attrs;
    uint32_t n_attrs;
    const fz_pb_function *function;
    if (++im->n_nodes > im->max_nodes)
        return fzi_error(FZ_E_LIMIT, "the model has more than %llu nodes (max_nodes)",
                         (unsigned long long)im->max_nodes);
    if (!*proto->op_type) return fzi_error(FZ_E_FORMAT, "a node has no operator");
    FZ_TRY(fzi_import_attrs(im, scope, proto, &attrs, &n_attrs));
    FZ_TRY(fzi_import_find_function(im, proto, &function));
    if (function) return fzi_import_inline(im, scope, proto, function, attrs, n_attrs);
    bool constant = strcmp(proto->op_type, "Constant") == 0 && !*fzi_import_domain(proto->domain);
    if (constant) return build_constant(im, scope, proto, attrs, n_attrs);
    return build_plain(im, scope, proto, attrs, n_attrs);
}

fz_status_t fzi_import_nodes(struct fz_importer *im, struct fz_scope *scope,
                             fz_pb_node *const *nodes, size_t n) {
    for (size_t i = 0; i < n; i++) FZ_TRY(declare_outputs(im, scope, nodes[i]));
    for (size_t i = 0; i < n; i++) {
        fz_status_t status = build_node(im, scope, nodes[i]);
        if (status == FZ_OK) continue;
        fzi_error_context(status, "node '%s%s' (%s)", scope->prefix, node_name(nodes[i]),
                          nodes[i]->op_type);
        FZ_TRY(fzi_import_fault(im, status));
    }
    return FZ_OK;
}

/* ---- initializers, inputs, outputs */

/* Initializers of a function's subgraphs may be read once a call, so they are shared. */
static fz_status_t add_initializers(struct fz_importer *im, struct fz_scope *scope,
                                    const fz_pb_graph *proto) {
    struct fz_value *value;
    for (size_t i = 0; i < proto->n_initializer; i++) {
        const fz_pb_tensor *item = proto->initializer[i];
        FZ_TRY(add_value(im, scope, item->name, &value));
        FZ_TRY(fzi_import_fault(
            im, fzi_import_proto_tensor(im, item, scope->call, item->name, &value->t)));
    }
    for (size_t i = 0; i < proto->n_sparse_initializer; i++) {
        const fz_pb_sparse *item = proto->sparse_initializer[i];
        const char *name = item->values ? item->values->name : "";
        FZ_TRY(add_value(im, scope, name, &value));
        FZ_TRY(fzi_import_fault(im, fzi_import_sparse(im, item, name, &value->t)));
    }
    return FZ_OK;
}

/* An input that has an initializer is a constant and no input: its value never changes. */
static fz_status_t add_inputs(struct fz_importer *im, struct fz_scope *scope,
                              const fz_pb_graph *proto) {
    struct fz_graph *graph = scope->graph;
    struct fz_names seen = {0};
    graph->inputs = fzi_arena_array(im->arena, proto->n_input, sizeof *graph->inputs);
    if (!graph->inputs) return fzi_import_nomem(im, proto->n_input * sizeof *graph->inputs);
    for (size_t i = 0; i < proto->n_input; i++) {
        const fz_pb_value_info *item = proto->input[i];
        struct fz_value *value;
        void *found;
        int added = fzi_names_add(&im->scratch, &seen, item->name, NULL);
        if (added < 0) return fzi_import_nomem(im, 64);
        if (!added) return fzi_error(FZ_E_FORMAT, "input '%s' is listed twice", item->name);
        if (fzi_names_find(&scope->values, item->name, &found)) continue;
        FZ_TRY(add_value(im, scope, item->name, &value));
        FZ_TRY(fzi_import_fault(im, fzi_import_type(im, item, !graph->parent, &value->t)));
        graph->inputs[graph->n_inputs++] = value;
    }
    return FZ_OK;
}

/* Resolves the outputs. A value that a node makes takes the type that is declared for it. */
static fz_status_t set_outputs(struct fz_importer *im, struct fz_scope *scope,
                               const fz_pb_graph *proto) {
    struct fz_graph *graph = scope->graph;
    struct fz_names seen = {0};
    graph->outputs = fzi_arena_array(im->arena, proto->n_output, sizeof *graph->outputs);
    if (!graph->outputs) return fzi_import_nomem(im, proto->n_output * sizeof *graph->outputs);
    for (size_t i = 0; i < proto->n_output; i++) {
        const fz_pb_value_info *item = proto->output[i];
        struct fz_value *value;
        fz_tensor_t declared = {.rank = FZ_RANK_UNKNOWN};
        int added = fzi_names_add(&im->scratch, &seen, item->name, NULL);
        if (added < 0) return fzi_import_nomem(im, 64);
        if (!*item->name || (!added && !graph->parent))
            return fzi_error(FZ_E_FORMAT, "output '%s' is listed twice or has no name", item->name);
        FZ_TRY(fzi_import_lookup(scope, item->name, &value));
        if (!value)
            return fzi_error(FZ_E_FORMAT, "output '%s' is an absent input", item->name);
        FZ_TRY(fzi_import_fault(im, fzi_import_type(im, item, false, &declared)));
        if (value->producer && value->graph == graph) value->t = declared;
        graph->outputs[graph->n_outputs++] = value;
    }
    return FZ_OK;
}

/* The graph and the scope that its names live in. */
static fz_status_t open_graph(struct fz_importer *im, const fz_pb_graph *proto,
                              struct fz_scope *outer, const struct fz_opsets *opsets,
                              struct fz_scope *scope) {
    const char *name = fzi_import_text(im, "", proto->name);
    struct fz_graph *graph = name ? fzi_graph_new(im->arena, outer ? outer->graph : NULL, name)
                                  : NULL;
    if (!graph) return fzi_import_nomem(im, sizeof *graph);
    *scope = (struct fz_scope){.outer = outer, .graph = graph, .prefix = ""};
    if (outer) {
        scope->prefix = outer->prefix;
        scope->call = outer->call;
        scope->opsets = outer->opsets;
    } else {
        scope->opsets = *opsets;
        im->info = graph->info;
    }
    return FZ_OK;
}

/* Initializers come before inputs, which may repeat them, and both before the nodes. */
fz_status_t fzi_import_graph(struct fz_importer *im, const fz_pb_graph *proto,
                             struct fz_scope *outer, const struct fz_opsets *opsets,
                             struct fz_graph **out) {
    struct fz_scope scope;
    if (im->depth >= im->max_depth)
        return fzi_error(FZ_E_LIMIT, "graphs and calls are nested deeper than %llu (max_depth)",
                         (unsigned long long)im->max_depth);
    im->depth++;
    FZ_TRY(open_graph(im, proto, outer, opsets, &scope));
    FZ_TRY(add_initializers(im, &scope, proto));
    FZ_TRY(add_inputs(im, &scope, proto));
    FZ_TRY(fzi_import_nodes(im, &scope, proto->node, proto->n_node));
    FZ_TRY(set_outputs(im, &scope, proto));
    FZ_TRY(fzi_import_sort(im, scope.graph));
    if (!outer && !scope.graph->n_outputs)
        return fzi_error(FZ_E_FORMAT, "the model has no outputs");
    im->depth--;
    *out = scope.graph;
    return FZ_OK;
}
