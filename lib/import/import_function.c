/* Model-local functions: a call is replaced by the function's body, in the caller's graph.
 *
 * The body's names are its own: its inputs stand for the caller's values, its outputs are the
 * caller's, everything else gets the call's name in front. Recursion is refused; what calls of
 * calls can add up to is bounded by the limits on nodes and depth. */
#include "import/importer.h"

/* A function's identity in the table. No part can hold a line feed and be called by its name. */
static char *function_key(struct fz_importer *im, const char *domain, const char *name,
                          const char *overload) {
    return fzi_arena_format(&im->scratch, "%s\n%s\n%s", fzi_import_domain(domain), name, overload);
}

fz_status_t fzi_import_functions(struct fz_importer *im, const fz_pb_model *model) {
    for (size_t i = 0; i < model->n_functions; i++) {
        fz_pb_function *function = model->functions[i];
        char *key = function_key(im, function->domain, function->name, function->overload);
        int added = key ? fzi_names_add(&im->scratch, &im->functions, key, function) : -1;
        if (added < 0) return fzi_import_nomem(im, strlen(function->name));
        if (!added || !*function->name)
            return fzi_error(FZ_E_FORMAT, "function '%s' of domain '%s' is defined twice or has no "
                             "name", function->name, function->domain);
    }
    return FZ_OK;
}

fz_status_t fzi_import_find_function(struct fz_importer *im, const fz_pb_node *proto,
                                     const fz_pb_function **out) {
    void *found;
    *out = NULL;
    if (!im->functions.root) return FZ_OK;
    char *key = function_key(im, proto->domain, proto->op_type, proto->overload);
    if (!key) return fzi_import_nomem(im, strlen(proto->op_type));
    if (fzi_names_find(&im->functions, key, &found)) *out = found;
    return FZ_OK;
}

/* Refuses calls that would not end and calls that do not fit the function. */
static fz_status_t check_call(const struct fz_importer *im, const struct fz_scope *scope,
                              const fz_pb_node *proto, const fz_pb_function *function) {
    for (const struct fz_call *call = scope->call; call; call = call->caller)
        if (call->function == function)
            return fzi_error(FZ_E_FORMAT, "function '%s' calls itself", function->name);
    if (im->depth >= im->max_depth)
        return fzi_error(FZ_E_LIMIT, "graphs and calls are nested deeper than %llu (max_depth)",
                         (unsigned long long)im->max_depth);
    if (proto->n_input > function->n_input || proto->n_output > function->n_output)
        return fzi_error(FZ_E_FORMAT, "function '%s' has %zu inputs and %zu outputs, the call %zu "
                         "and %zu", function->name, function->n_input, function->n_output,
                         proto->n_input, proto->n_output);
    return FZ_OK;
}

/* True if FUNCTION has the attribute, with or without a default. */
static bool declares(const fz_pb_function *function, const char *attr) {
    for (size_t i = 0; i < function->n_attribute; i++)
        if (strcmp(function->attribute[i], attr) == 0) return true;
    for (size_t i = 0; i < function->n_attribute_proto; i++)
        if (strcmp(function->attribute_proto[i]->name, attr) == 0) return true;
    return false;
}

/* A graph can't be handed on: the body might use it twice. */
static fz_status_t check_attrs(const struct fz_call *call) {
    for (uint32_t i = 0; i < call->n_attrs; i++) {
        const struct fz_attr *attr = &call->attrs[i];
        if (!declares(call->function, attr->name))
            return fzi_error(FZ_E_FORMAT, "function '%s' has no attribute '%s'",
                             call->function->name, attr->name);
        if (attr->graphs)
            return fzi_error(FZ_E_UNSUPPORTED, "attribute '%s' of a function is a graph",
                             attr->name);
    }
    return FZ_OK;
}

/* Lets the body's input names stand for the caller's values; inputs that the call leaves out are
 * absent. */
static fz_status_t bind_inputs(struct fz_importer *im, const struct fz_scope *scope,
                               const fz_pb_node *proto, const fz_pb_function *function,
                               struct fz_scope *body) {
    for (size_t i = 0; i < function->n_input; i++) {
        struct fz_value *value = NULL;
        if (i < proto->n_input) FZ_TRY(fzi_import_lookup(scope, proto->input[i], &value));
        int added = fzi_names_add(&im->scratch, &body->values, function->input[i], value);
        if (added < 0) return fzi_import_nomem(im, 64);
        if (!added || !*function->input[i])
            return fzi_error(FZ_E_FORMAT, "input '%s' of function '%s' is listed twice or has no "
                             "name", function->input[i], function->name);
    }
    return FZ_OK;
}

/* Notes which of the caller's values each output of the body is; outputs that the call leaves out
 * become values of the body's own. */
static fz_status_t bind_outputs(struct fz_importer *im, const struct fz_scope *scope,
                                const fz_pb_node *proto, const fz_pb_function *function,
                                struct fz_scope *body) {
    for (size_t i = 0; i < proto->n_output; i++) {
        struct fz_value *value;
        FZ_TRY(fzi_import_lookup(scope, proto->output[i], &value));
        if (!value) continue;
        int added = fzi_names_add(&im->scratch, &body->given, function->output[i], value);
        if (added < 0) return fzi_import_nomem(im, 64);
        if (!added)
            return fzi_error(FZ_E_FORMAT, "output '%s' of function '%s' is listed twice",
                             function->output[i], function->name);
    }
    return FZ_OK;
}

/* An output that is an input of the same function needs a node that copies it. */
static fz_status_t add_identity(struct fz_importer *im, const struct fz_scope *body,
                                struct fz_value *from, struct fz_value *to) {
    struct fz_node *node = fzi_graph_node(body->graph, NULL, NULL, to->name, 1, 1);
    if (!node) return fzi_import_nomem(im, sizeof *node);
    node->type = "Identity";
    node->opset = 1;
    for (size_t i = 0; i < body->opsets.n; i++)
        if (!*fzi_import_domain(body->opsets.items[i]->domain))
            node->opset = (int32_t)body->opsets.items[i]->version;
    node->in[0] = from;
    node->out[0] = to;
    to->producer = node;
    return FZ_OK;
}

/* Checks that the body has made every output that the call asks for. */
static fz_status_t finish_outputs(struct fz_importer *im, const fz_pb_function *function,
                                  size_t n, const struct fz_scope *body) {
    for (size_t i = 0; i < n; i++) {
        void *given, *made;
        const char *name = function->output[i];
        if (!fzi_names_find(&body->given, name, &given)) continue;
        if (!fzi_names_find(&body->values, name, &made) || !made)
            return fzi_error(FZ_E_FORMAT, "nothing in function '%s' defines its output '%s'",
                             function->name, name);
        if (made != given) FZ_TRY(add_identity(im, body, made, given));
    }
    return FZ_OK;
}

/* What goes in front of the body's names. */
static const char *call_name(const fz_pb_node *proto) {
    if (*proto->name) return proto->name;
    return proto->n_output && *proto->output[0] ? proto->output[0] : proto->op_type;
}

fz_status_t fzi_import_inline(struct fz_importer *im, struct fz_scope *scope,
                              const fz_pb_node *proto, const fz_pb_function *function,
                              const struct fz_attr *attrs, uint32_t n_attrs) {
    struct fz_call call = {scope->call, function, attrs, n_attrs};
    struct fz_scope body = {.graph = scope->graph, .call = &call};
    body.opsets = (struct fz_opsets){function->opset_import, function->n_opset_import};
    FZ_TRY(check_call(im, scope, proto, function));
    FZ_TRY(check_attrs(&call));
    body.prefix = fzi_arena_format(&im->scratch, "%s%s/", scope->prefix, call_name(proto));
    if (!body.prefix) return fzi_import_nomem(im, strlen(scope->prefix) + strlen(proto->name));
    FZ_TRY(bind_inputs(im, scope, proto, function, &body));
    FZ_TRY(bind_outputs(im, scope, proto, function, &body));
    im->depth++;
    FZ_TRY(fzi_import_nodes(im, &body, function->node, function->n_node));
    im->depth--;
    return finish_outputs(im, function, proto->n_output, &body);
}
