/* Messages of a graph: one rope for the model, whose initializers refer to the constants' bytes.
 *
 * All constants, those of subgraphs too, are initializers of the main graph: names are unique over
 * the whole model, so subgraphs see them. */
#include "export/export.h"

#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#include <frozen/version.h>

#include "base/file.h"
#include "export/rope.h"
#include "import/names.h"
#include "ops/op.h"

enum { IR_OLDEST = 4, MAX_DOMAINS = 16, LARGEST = 0x7FFFFFFF };

/* ONNX's numbers of the fields and of the kinds of attributes. */
enum { MODEL_IR = 1, MODEL_PRODUCER = 2, MODEL_VERSION = 3, MODEL_DOC = 6, MODEL_GRAPH = 7,
       MODEL_OPSET = 8, MODEL_METADATA = 14 };
enum { GRAPH_NODE = 1, GRAPH_NAME = 2, GRAPH_INITIALIZER = 5, GRAPH_INPUT = 11,
       GRAPH_OUTPUT = 12 };
enum { NODE_INPUT = 1, NODE_OUTPUT = 2, NODE_NAME = 3, NODE_TYPE = 4, NODE_ATTRIBUTE = 5,
       NODE_DOMAIN = 7 };
enum { ATTR_NAME = 1, ATTR_F = 2, ATTR_I = 3, ATTR_S = 4, ATTR_T = 5, ATTR_G = 6, ATTR_FLOATS = 7,
       ATTR_INTS = 8, ATTR_STRINGS = 9, ATTR_TENSORS = 10, ATTR_GRAPHS = 11, ATTR_TYPE = 20 };
enum { TENSOR_DIMS = 1, TENSOR_TYPE = 2, TENSOR_STRINGS = 6, TENSOR_NAME = 8, TENSOR_RAW = 9 };

static const int64_t attr_types[] = {
    [FZ_ATTR_FLOAT] = 1, [FZ_ATTR_INT] = 2, [FZ_ATTR_STRING] = 3, [FZ_ATTR_TENSOR] = 4,
    [FZ_ATTR_GRAPH] = 5, [FZ_ATTR_FLOATS] = 6, [FZ_ATTR_INTS] = 7, [FZ_ATTR_STRINGS] = 8,
    [FZ_ATTR_TENSORS] = 9, [FZ_ATTR_GRAPHS] = 10,
};

struct domain {
    const char *name;
    int32_t opset;
};

struct exporter {
    struct fz_arena *arena;       /* of ropes and tables */
    struct fz_graph *graph;
    struct fz_names names;        /* every name of a value that is taken */
    struct fz_names node_names;   /* every name of a node */
    struct fz_value **constants;  /* in the order in which nodes read them */
    size_t n_constants, capacity;
    const char **identities;      /* of the main graph: names of outputs that an Identity makes */
    struct domain domains[MAX_DOMAINS];
    size_t n_domains;
};

static fz_status_t no_memory(void) { return fzi_error(FZ_E_NOMEM, "no memory to write a model"); }

static struct fz_rope rope(const struct exporter *e) { return (struct fz_rope){.arena = e->arena}; }

/* ---- names */

/* WANTED, or with a number behind it if another one of NAMES has it. */
static fz_status_t take(struct exporter *e, struct fz_names *names, const char *wanted,
                        const char **out) {
    *out = wanted;
    for (uint32_t i = 1;; i++) {
        int added = fzi_names_add(e->arena, names, *out, NULL);
        if (added < 0) return no_memory();
        if (added) return FZ_OK;
        *out = fzi_arena_format(e->arena, "%s_%u", wanted, i);
        if (!*out) return no_memory();
    }
}

static fz_status_t take_name(struct exporter *e, const char *wanted, const char **out) {
    return take(e, &e->names, *wanted ? wanted : "value", out);
}

/* Nodes need no name, but two of the same are refused by other engines: a rewrite may have made
 * several nodes of one. */
static fz_status_t node_name(struct exporter *e, const char *wanted, struct fz_rope *to) {
    const char *name = wanted;
    if (*wanted) FZ_TRY(take(e, &e->node_names, wanted, &name));
    fzi_rope_text(to, NODE_NAME, name);
    return FZ_OK;
}

/* The value's name in the file, once it has one. */
static const char *name_of(const struct fz_value *v) { return v ? v->note : ""; }

/* What is no tensor may pass between nodes, but has no form here as a constant or at the border. */
static fz_status_t check_tensor(const struct fz_value *v) {
    if (!v->t.dtype || fzi_type_valid(v->t.dtype)) return FZ_OK;
    return fzi_error(FZ_E_UNSUPPORTED, "'%s' is no tensor and cannot be written", v->name);
}

static fz_status_t add_constant(struct exporter *e, struct fz_value *v) {
    FZ_TRY(check_tensor(v));
    if (e->n_constants == e->capacity) {
        size_t capacity = e->capacity ? 2 * e->capacity : 64;
        struct fz_value **grown = fzi_arena_array(e->arena, capacity, sizeof *grown);
        if (!grown) return no_memory();
        if (e->n_constants) memcpy(grown, e->constants, e->n_constants * sizeof *grown);
        e->constants = grown;
        e->capacity = capacity;
    }
    e->constants[e->n_constants++] = v;
    return FZ_OK;
}

/* ID 1 marks a value that has its name in NOTE. */
static fz_status_t name_value(struct exporter *e, struct fz_value *v) {
    const char *name;
    if (!v || v->id == 1) return FZ_OK;
    FZ_TRY(take_name(e, v->name, &name));
    v->note = (void *)(uintptr_t)name;
    v->id = 1;
    return fzi_is_constant(v) ? add_constant(e, v) : FZ_OK;
}

/* What lowering has appended to a node is no part of it. */
static uint32_t count_inputs(const struct fz_node *node) {
    uint32_t n = node->n_in;
    if (node->op && node->op->max_in != 255 && n > node->op->max_in) n = node->op->max_in;
    while (n > 0 && !node->in[n - 1]) n--;
    return n;
}

static void forget_graph(struct fz_graph *graph) {
    for (uint32_t i = 0; i < graph->n_inputs; i++) graph->inputs[i]->id = 0;
    for (uint32_t i = 0; i < graph->n_outputs; i++) graph->outputs[i]->id = 0;
    for (struct fz_node *node = graph->first; node; node = node->next) {
        for (uint32_t i = 0; i < node->n_in; i++)
            if (node->in[i]) node->in[i]->id = 0;
        for (uint32_t i = 0; i < node->n_out; i++)
            if (node->out[i]) node->out[i]->id = 0;
        for (uint32_t i = 0; i < node->n_sub; i++) forget_graph(node->sub[i]);
    }
}

static const char *output_name(const struct fz_graph *graph, uint32_t i) {
    return graph->output_names ? graph->output_names[i] : graph->outputs[i]->name;
}

/* A value that this graph makes and that no output before I is. Anything else needs an Identity
 * to be the graph's output. */
static bool is_own_output(const struct fz_graph *graph, uint32_t i) {
    const struct fz_value *v = graph->outputs[i];
    for (uint32_t k = 0; k < i; k++)
        if (graph->outputs[k] == v) return false;
    return v->producer && v->graph == graph;
}

/* Outputs of the main graph come first, so that their names are free. */
static fz_status_t name_public(struct exporter *e) {
    struct fz_graph *g = e->graph;
    e->identities = fzi_arena_array(e->arena, g->n_outputs, sizeof *e->identities);
    if (!e->identities) return no_memory();
    for (uint32_t i = 0; i < g->n_inputs; i++) {
        FZ_TRY(check_tensor(g->inputs[i]));
        FZ_TRY(name_value(e, g->inputs[i]));
    }
    for (uint32_t i = 0; i < g->n_outputs; i++) {
        const char *name;
        FZ_TRY(check_tensor(g->outputs[i]));
        FZ_TRY(take_name(e, output_name(g, i), &name));
        e->identities[i] = name;
        if (!is_own_output(g, i)) continue;
        g->outputs[i]->note = (void *)(uintptr_t)name;
        g->outputs[i]->id = 1;
    }
    return FZ_OK;
}

static fz_status_t add_domain(struct exporter *e, const struct fz_node *node) {
    if (strcmp(node->domain, "frozen") == 0)
        return fzi_error(FZ_E_INTERNAL, "node '%s' is no operator of ONNX", node->name);
    for (size_t i = 0; i < e->n_domains; i++) {
        if (strcmp(e->domains[i].name, node->domain) != 0) continue;
        if (e->domains[i].opset < node->opset) e->domains[i].opset = node->opset;
        return FZ_OK;
    }
    if (e->n_domains == MAX_DOMAINS)
        return fzi_error(FZ_E_LIMIT, "the model has more than %d domains", MAX_DOMAINS);
    e->domains[e->n_domains++] = (struct domain){node->domain, node->opset};
    return FZ_OK;
}

static fz_status_t name_graph(struct exporter *e, struct fz_graph *graph) {
    for (uint32_t i = 0; i < graph->n_inputs; i++) FZ_TRY(name_value(e, graph->inputs[i]));
    for (struct fz_node *node = graph->first; node; node = node->next) {
        FZ_TRY(add_domain(e, node));
        uint32_t n_in = count_inputs(node);
        for (uint32_t i = 0; i < n_in; i++) FZ_TRY(name_value(e, node->in[i]));
        for (uint32_t i = 0; i < node->n_out; i++) FZ_TRY(name_value(e, node->out[i]));
        for (uint32_t i = 0; i < node->n_sub; i++) FZ_TRY(name_graph(e, node->sub[i]));
    }
    for (uint32_t i = 0; i < graph->n_outputs; i++) FZ_TRY(name_value(e, graph->outputs[i]));
    return FZ_OK;
}

/* ---- tensors */

/* Raw data are little-endian. */
static fz_status_t raw_data(const struct exporter *e, struct fz_rope *to, const fz_tensor_t *t) {
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    size_t width = fzi_type_width(t->dtype);
    if (t->dtype == FZ_TYPE_C64 || t->dtype == FZ_TYPE_C128) width /= 2;
    uint8_t *swapped = fzi_arena_alloc(e->arena, t->size);
    if (!swapped) return no_memory();
    for (size_t i = 0; i < t->size; i++)
        swapped[i] = ((const uint8_t *)t->data)[i / width * width + (width - 1 - i % width)];
    fzi_rope_refer(to, TENSOR_RAW, swapped, t->size);
#else
    (void)e;
    fzi_rope_refer(to, TENSOR_RAW, t->data, t->size);
#endif
    return FZ_OK;
}

static fz_status_t tensor(const struct exporter *e, struct fz_rope *to, uint32_t field,
                          const fz_tensor_t *t, const char *name) {
    struct fz_rope m = rope(e);
    for (int32_t d = 0; d < t->rank; d++) fzi_rope_int(&m, TENSOR_DIMS, t->dims[d]);
    fzi_rope_int(&m, TENSOR_TYPE, t->dtype);
    if (t->dtype == FZ_TYPE_STRING) {
        const struct fz_string *s = t->data;
        for (int64_t i = 0; i < fzi_tensor_count(t); i++)
            fzi_rope_bytes(&m, TENSOR_STRINGS, s[i].text, s[i].size);
    }
    if (*name) fzi_rope_text(&m, TENSOR_NAME, name);
    if (t->dtype != FZ_TYPE_STRING) FZ_TRY(raw_data(e, &m, t));
    fzi_rope_message(to, field, &m);
    return FZ_OK;
}

/* ---- types */

static void dimension(const struct exporter *e, struct fz_rope *shape, int64_t dim) {
    struct fz_rope m = rope(e);
    const struct fz_model_info *info = e->graph->info;
    if (dim >= 0) fzi_rope_int(&m, 1, dim);
    else if (dim <= FZ_DIM_SYMBOL && FZ_DIM_SYMBOL - dim < (int64_t)info->n_symbols)
        fzi_rope_text(&m, 2, info->symbols[FZ_DIM_SYMBOL - dim]);
    fzi_rope_message(shape, 1, &m);
}

/* ValueInfoProto: name, type (tensor type (element type, shape)). An unknown type is left out. */
static void value_info(const struct exporter *e, struct fz_rope *to, uint32_t field,
                       const char *name, const fz_tensor_t *t) {
    struct fz_rope info = rope(e), type = rope(e), tensor_type = rope(e), shape = rope(e);
    fzi_rope_text(&info, 1, name);
    if (t->dtype) {
        fzi_rope_int(&tensor_type, 1, t->dtype);
        for (int32_t d = 0; d < t->rank; d++) dimension(e, &shape, t->dims[d]);
        if (t->rank >= 0) fzi_rope_message(&tensor_type, 2, &shape);
        fzi_rope_message(&type, 1, &tensor_type);
        fzi_rope_message(&info, 2, &type);
    }
    fzi_rope_message(to, field, &info);
}

/* ---- nodes */

static fz_status_t graph_message(struct exporter *e, struct fz_graph *graph, struct fz_rope *to);

static fz_status_t graph_attr(struct exporter *e, struct fz_rope *m, uint32_t field,
                              struct fz_graph *graph) {
    struct fz_rope inner = rope(e);
    FZ_TRY(graph_message(e, graph, &inner));
    fzi_rope_message(m, field, &inner);
    return FZ_OK;
}

static fz_status_t attr_value(struct exporter *e, struct fz_rope *m, const struct fz_attr *a) {
    switch (a->kind) {
    case FZ_ATTR_FLOAT: fzi_rope_float(m, ATTR_F, a->f); break;
    case FZ_ATTR_INT: fzi_rope_int(m, ATTR_I, a->i); break;
    case FZ_ATTR_STRING: fzi_rope_bytes(m, ATTR_S, a->s, a->n); break;
    case FZ_ATTR_TENSOR: return tensor(e, m, ATTR_T, a->tensors, "");
    case FZ_ATTR_GRAPH: return graph_attr(e, m, ATTR_G, a->graphs[0]);
    case FZ_ATTR_FLOATS:
        for (size_t i = 0; i < a->n; i++) fzi_rope_float(m, ATTR_FLOATS, a->floats[i]);
        break;
    case FZ_ATTR_INTS:
        for (size_t i = 0; i < a->n; i++) fzi_rope_int(m, ATTR_INTS, a->ints[i]);
        break;
    case FZ_ATTR_STRINGS:
        for (size_t i = 0; i < a->n; i++)
            fzi_rope_bytes(m, ATTR_STRINGS, a->strings[i].text, a->strings[i].size);
        break;
    case FZ_ATTR_TENSORS:
        for (size_t i = 0; i < a->n; i++) FZ_TRY(tensor(e, m, ATTR_TENSORS, &a->tensors[i], ""));
        break;
    case FZ_ATTR_GRAPHS:
        for (size_t i = 0; i < a->n; i++) FZ_TRY(graph_attr(e, m, ATTR_GRAPHS, a->graphs[i]));
        break;
    }
    return FZ_OK;
}

static fz_status_t node_message(struct exporter *e, struct fz_rope *to,
                                const struct fz_node *node) {
    struct fz_rope m = rope(e);
    uint32_t n_in = count_inputs(node);
    for (uint32_t i = 0; i < n_in; i++) fzi_rope_text(&m, NODE_INPUT, name_of(node->in[i]));
    for (uint32_t i = 0; i < node->n_out; i++)
        fzi_rope_text(&m, NODE_OUTPUT, name_of(node->out[i]));
    FZ_TRY(node_name(e, node->name, &m));
    fzi_rope_text(&m, NODE_TYPE, node->type);
    for (uint32_t i = 0; i < node->n_attrs; i++) {
        struct fz_rope attr = rope(e);
        fzi_rope_text(&attr, ATTR_NAME, node->attrs[i].name);
        FZ_TRY(attr_value(e, &attr, &node->attrs[i]));
        fzi_rope_int(&attr, ATTR_TYPE, attr_types[node->attrs[i].kind]);
        fzi_rope_message(&m, NODE_ATTRIBUTE, &attr);
    }
    if (*node->domain) fzi_rope_text(&m, NODE_DOMAIN, node->domain);
    fzi_rope_message(to, GRAPH_NODE, &m);
    return FZ_OK;
}

/* The name of output I; an Identity makes what is not the graph's own value. */
static fz_status_t output(struct exporter *e, struct fz_graph *graph, uint32_t i,
                          struct fz_rope *nodes, struct fz_rope *to) {
    struct fz_value *v = graph->outputs[i];
    const char *name = name_of(v);
    if (!is_own_output(graph, i)) {
        struct fz_rope m = rope(e);
        if (graph->parent) FZ_TRY(take_name(e, output_name(graph, i), &name));
        else name = e->identities[i];
        fzi_rope_text(&m, NODE_INPUT, name_of(v));
        fzi_rope_text(&m, NODE_OUTPUT, name);
        FZ_TRY(node_name(e, name, &m));
        fzi_rope_text(&m, NODE_TYPE, "Identity");
        fzi_rope_message(nodes, GRAPH_NODE, &m);
    }
    value_info(e, to, GRAPH_OUTPUT, name, &v->t);
    return FZ_OK;
}

static fz_status_t graph_message(struct exporter *e, struct fz_graph *graph, struct fz_rope *to) {
    struct fz_rope outputs = rope(e);
    for (struct fz_node *node = graph->first; node; node = node->next)
        FZ_TRY(node_message(e, to, node));
    for (uint32_t i = 0; i < graph->n_outputs; i++) FZ_TRY(output(e, graph, i, to, &outputs));
    fzi_rope_text(to, GRAPH_NAME, *graph->name ? graph->name : "graph");
    if (!graph->parent)
        for (size_t i = 0; i < e->n_constants; i++)
            FZ_TRY(tensor(e, to, GRAPH_INITIALIZER, &e->constants[i]->t,
                          name_of(e->constants[i])));
    for (uint32_t i = 0; i < graph->n_inputs; i++)
        value_info(e, to, GRAPH_INPUT, name_of(graph->inputs[i]), &graph->inputs[i]->t);
    if (!outputs.first) return FZ_OK;
    /* The outputs' fields stand behind those of the inputs, as they are. */
    if (to->last) to->last->next = outputs.first;
    else to->first = outputs.first;
    to->last = outputs.last;
    to->size += outputs.size;
    to->failed |= outputs.failed;
    return FZ_OK;
}

/* ---- the model */

/* The oldest version of the format that may name OPSET. */
static int64_t ir_version(int32_t opset) {
    static const int8_t first[] = {9, 10, 11, 12, 15, 19, 21, 23, 24, 25, 28};
    int64_t ir = 3;
    for (size_t i = 0; i < FZ_COUNT(first); i++) ir += opset >= first[i];
    return ir < IR_OLDEST ? IR_OLDEST : ir;
}

static void metadata(const struct exporter *e, struct fz_rope *m) {
    const struct fz_model_info *info = e->graph->info;
    for (uint32_t i = 0; i < info->n_metadata; i++) {
        struct fz_rope entry = rope(e);
        const struct fz_string *pair = info->metadata + 2 * i;
        fzi_rope_bytes(&entry, 1, pair[0].text, pair[0].size);
        fzi_rope_bytes(&entry, 2, pair[1].text, pair[1].size);
        fzi_rope_message(m, MODEL_METADATA, &entry);
    }
}

static void opsets(const struct exporter *e, struct fz_rope *m) {
    for (size_t i = 0; i < e->n_domains; i++) {
        struct fz_rope entry = rope(e);
        fzi_rope_text(&entry, 1, e->domains[i].name);
        fzi_rope_int(&entry, 2, e->domains[i].opset);
        fzi_rope_message(m, MODEL_OPSET, &entry);
    }
}

static fz_status_t model_message(struct exporter *e, struct fz_rope *m) {
    const struct fz_model_info *info = e->graph->info;
    struct fz_rope graph = rope(e);
    forget_graph(e->graph);
    FZ_TRY(name_public(e));
    FZ_TRY(name_graph(e, e->graph));
    /* Identity is as old as ONNX: a model without nodes may name any opset. */
    if (!e->n_domains) e->domains[e->n_domains++] = (struct domain){"", 13};
    int64_t ir = IR_OLDEST;
    for (size_t i = 0; i < e->n_domains; i++)
        if (!*e->domains[i].name) ir = ir_version(e->domains[i].opset);
    fzi_rope_int(m, MODEL_IR, fzi_max_i64(ir, info->ir_version));
    fzi_rope_text(m, MODEL_PRODUCER, "libfrozen");
    fzi_rope_text(m, MODEL_VERSION, FZ_VERSION_STRING);
    if (info->doc && *info->doc) fzi_rope_text(m, MODEL_DOC, info->doc);
    FZ_TRY(graph_message(e, e->graph, &graph));
    fzi_rope_message(m, MODEL_GRAPH, &graph);
    opsets(e, m);
    metadata(e, m);
    if (m->failed) return no_memory();
    if (m->size > LARGEST)
        return fzi_error(FZ_E_LIMIT, "the ONNX model would have %zu bytes; protobuf takes 2 GiB",
                         m->size);
    return FZ_OK;
}

static fz_status_t write_file(const struct fz_rope *m, const char *path) {
    char beside[FZ_PATH_MAX];
    int fd;
    FZ_TRY(fzi_file_beside(path, 0666, beside, &fd));
    fz_status_t status = fzi_rope_write(m, fd, path);
    if (status == FZ_OK && fsync(fd) != 0)
        status = fzi_error(FZ_E_IO, "cannot write '%s': %s", path, strerror(errno));
    if (close(fd) != 0 && status == FZ_OK)
        status = fzi_error(FZ_E_IO, "cannot write '%s': %s", path, strerror(errno));
    if (status == FZ_OK && rename(beside, path) != 0)
        status = fzi_error(FZ_E_IO, "cannot write '%s': %s", path, strerror(errno));
    if (status == FZ_OK) fzi_file_sync_folder(path);
    else unlink(beside);
    return status;
}

fz_status_t fzi_export_file(struct fz_graph *graph, const char *path) {
    struct fz_arena arena = {0};
    struct exporter e = {.arena = &arena, .graph = graph};
    struct fz_rope m = rope(&e);
    fz_status_t status = model_message(&e, &m);
    if (status == FZ_OK) status = write_file(&m, path);
    fzi_arena_free(&arena);
    return status;
}

fz_status_t fzi_export_memory(struct fz_graph *graph, struct fz_arena *to, void **data,
                              size_t *size) {
    struct fz_arena arena = {0};
    struct exporter e = {.arena = &arena, .graph = graph};
    struct fz_rope m = rope(&e);
    fz_status_t status = model_message(&e, &m);
    if (status == FZ_OK && !(*data = fzi_arena_alloc(to, m.size))) status = no_memory();
    if (status == FZ_OK) {
        fzi_rope_copy(&m, *data);
        *size = m.size;
    }
    fzi_arena_free(&arena);
    return status;
}
