/* A graph as text: the same text for the same graph. */
#include "graph/graph.h"

#include "ops/op.h"

static void indent(struct fz_text *out, int depth) { fzi_text_add(out, "%*s", depth * 2, ""); }

static void print_type(const struct fz_graph *graph, const fz_tensor_t *t, struct fz_text *out) {
    fzi_text_add(out, ": %s", t->dtype ? fz_type_name(t->dtype) : "?");
    if (t->rank < 0) return;
    fzi_text_add(out, "[");
    for (int32_t i = 0; i < t->rank; i++) {
        int64_t d = t->dims[i];
        const char *comma = i ? "," : "";
        if (d >= 0) fzi_text_add(out, "%s%lld", comma, (long long)d);
        else if (d == FZ_DIM_UNKNOWN) fzi_text_add(out, "%s?", comma);
        else fzi_text_add(out, "%s%s", comma, graph->info->symbols[FZ_DIM_SYMBOL - d]);
    }
    fzi_text_add(out, "]");
}

static void print_value(const struct fz_graph *graph, const struct fz_value *v, bool typed,
                        struct fz_text *out) {
    if (!v) {
        fzi_text_add(out, "-");
        return;
    }
    fzi_text_add(out, "%s%s", fzi_is_constant(v) ? "#" : "", v->name[0] ? v->name : "_");
    if (typed || fzi_is_constant(v)) print_type(graph, &v->t, out);
}

static void print_attr(const struct fz_attr *attr, struct fz_text *out) {
    fzi_text_add(out, " %s=", attr->name);
    switch (attr->kind) {
    case FZ_ATTR_INT: fzi_text_add(out, "%lld", (long long)attr->i); break;
    case FZ_ATTR_FLOAT: fzi_text_add(out, "%.9g", (double)attr->f); break;
    case FZ_ATTR_STRING: fzi_text_add(out, "\"%s\"", attr->s); break;
    case FZ_ATTR_INTS:
        for (size_t i = 0; i < attr->n && i < 16; i++)
            fzi_text_add(out, "%s%lld", i ? "," : "", (long long)attr->ints[i]);
        break;
    case FZ_ATTR_FLOATS:
        for (size_t i = 0; i < attr->n && i < 16; i++)
            fzi_text_add(out, "%s%.9g", i ? "," : "", (double)attr->floats[i]);
        break;
    default: fzi_text_add(out, "(%zu)", attr->n); break;
    }
}

static void print_graph(const struct fz_graph *graph, int depth, struct fz_text *out);

static void print_node(const struct fz_graph *graph, const struct fz_node *node, int depth,
                       struct fz_text *out) {
    indent(out, depth);
    for (uint32_t i = 0; i < node->n_out; i++) {
        if (i) fzi_text_add(out, ", ");
        print_value(graph, node->out[i], true, out);
    }
    const char *domain = node->op ? node->op->domain : node->domain;
    fzi_text_add(out, " = %s%s%s(", domain, domain[0] ? "." : "",
                 node->op ? node->op->name : node->type);
    for (uint32_t i = 0; i < node->n_in; i++) {
        if (i) fzi_text_add(out, ", ");
        print_value(graph, node->in[i], false, out);
    }
    fzi_text_add(out, ")");
    for (uint32_t i = 0; i < node->n_attrs; i++) print_attr(&node->attrs[i], out);
    fzi_text_add(out, "\n");
    for (uint32_t i = 0; i < node->n_sub; i++) print_graph(node->sub[i], depth + 1, out);
}

static void print_graph(const struct fz_graph *graph, int depth, struct fz_text *out) {
    indent(out, depth);
    fzi_text_add(out, "graph(");
    for (uint32_t i = 0; i < graph->n_inputs; i++) {
        if (i) fzi_text_add(out, ", ");
        print_value(graph, graph->inputs[i], true, out);
    }
    fzi_text_add(out, ")\n");
    for (const struct fz_node *node = graph->first; node; node = node->next)
        print_node(graph, node, depth + 1, out);
    indent(out, depth);
    fzi_text_add(out, "return ");
    for (uint32_t i = 0; i < graph->n_outputs; i++) {
        if (i) fzi_text_add(out, ", ");
        print_value(graph, graph->outputs[i], false, out);
    }
    fzi_text_add(out, "\n");
}

void fzi_graph_print(const struct fz_graph *graph, struct fz_text *out) {
    print_graph(graph, 0, out);
}
