/* The digest of a graph, by which provenance names what a pass was given and what it made. */
#include "base/sha256.h"
#include "passes/passes.h"

/* Larger constants count by type and shape only: their bytes are the source's, whose digest the
 * provenance holds, or made of those by the passes named there. */
enum { SMALL = 4096 };

/* A walk over nodes in their order, subgraphs inside. Values count by the order in which they are
 * met, not by name. */
struct walk {
    struct fz_sha256 hash;
    uint32_t n_values;
    uint8_t buffer[1024]; /* what comes in small pieces is hashed in larger ones */
    size_t used;
};

static void flush(struct walk *w) {
    fzi_sha256_update(&w->hash, w->buffer, w->used);
    w->used = 0;
}

static void put(struct walk *w, uint64_t x, size_t width) {
    if (w->used + width > sizeof w->buffer) flush(w);
    for (size_t i = 0; i < width; i++) w->buffer[w->used++] = (uint8_t)(x >> (8 * i));
}

static void add_int(struct walk *w, int64_t x) { put(w, (uint64_t)x, 8); }

static void add_bytes(struct walk *w, const void *data, size_t size) {
    add_int(w, (int64_t)size);
    for (size_t i = 0; i < size; i++) put(w, ((const uint8_t *)data)[i], 1);
}

static void add_text(struct walk *w, const char *text) {
    add_bytes(w, text ? text : "", text ? strlen(text) : 0);
}

/* Elements lie in the host's byte order, in which digests would differ. */
static void add_elements(struct walk *w, const fz_tensor_t *t) {
    bool big = __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__;
    size_t width = fzi_type_width(t->dtype);
    const uint8_t *p = t->data;
    add_int(w, (int64_t)t->size);
    for (size_t at = 0; width > 0 && at < t->size; at += width)
        for (size_t b = 0; b < width; b++) put(w, p[at + (big ? width - 1 - b : b)], 1);
}

static void add_tensor(struct walk *w, const fz_tensor_t *t) {
    add_int(w, t->dtype);
    add_int(w, t->rank);
    for (int32_t d = 0; d < t->rank; d++) add_int(w, t->dims[d]);
    bool known = t->data && t->dtype != FZ_TYPE_STRING && t->size <= SMALL;
    if (known) add_elements(w, t);
    else add_int(w, -1);
}

static void add_value(struct walk *w, struct fz_value *v) {
    if (!v) {
        add_int(w, -1);
        return;
    }
    bool is_new = v->id == 0;
    if (is_new) v->id = ++w->n_values;
    add_int(w, v->id);
    if (is_new) add_tensor(w, &v->t);
}

static void add_attr(struct walk *w, const struct fz_attr *a) {
    add_text(w, a->name);
    add_int(w, a->kind);
    add_int(w, (int64_t)a->n);
    switch (a->kind) {
    case FZ_ATTR_INT: add_int(w, a->i); break;
    case FZ_ATTR_FLOAT: {
        uint32_t bits;
        memcpy(&bits, &a->f, 4);
        add_int(w, bits);
        break;
    }
    case FZ_ATTR_STRING: add_bytes(w, a->s, a->n); break;
    case FZ_ATTR_INTS:
        for (size_t i = 0; i < a->n; i++) add_int(w, a->ints[i]);
        break;
    case FZ_ATTR_FLOATS:
        for (size_t i = 0; i < a->n; i++) {
            uint32_t bits;
            memcpy(&bits, &a->floats[i], 4);
            add_int(w, bits);
        }
        break;
    case FZ_ATTR_STRINGS:
        for (size_t i = 0; i < a->n; i++) add_bytes(w, a->strings[i].text, a->strings[i].size);
        break;
    case FZ_ATTR_TENSOR: add_tensor(w, a->tensors); break;
    case FZ_ATTR_TENSORS:
        for (size_t i = 0; i < a->n; i++) add_tensor(w, &a->tensors[i]);
        break;
    case FZ_ATTR_GRAPH:
    case FZ_ATTR_GRAPHS: break; /* as the node's subgraphs */
    }
}

static void add_graph(struct walk *w, const struct fz_graph *graph);

static void add_node(struct walk *w, const struct fz_node *node) {
    add_text(w, node->op ? node->op->domain : node->domain);
    add_text(w, node->op ? node->op->name : node->type);
    add_int(w, node->n_in);
    for (uint32_t i = 0; i < node->n_in; i++) add_value(w, node->in[i]);
    add_int(w, node->n_out);
    for (uint32_t i = 0; i < node->n_out; i++) add_value(w, node->out[i]);
    /* Once lowered, a node is its params: 64-bit integers and doubles. */
    size_t n_params = node->params ? node->op->params_size / 8 : 0;
    for (size_t i = 0; i < n_params; i++) {
        int64_t word;
        memcpy(&word, (const char *)node->params + 8 * i, 8);
        add_int(w, word);
    }
    add_int(w, node->params ? 0 : node->n_attrs);
    for (uint32_t i = 0; !node->params && i < node->n_attrs; i++) add_attr(w, &node->attrs[i]);
    add_int(w, node->n_sub);
    for (uint32_t i = 0; i < node->n_sub; i++) add_graph(w, node->sub[i]);
}

static void add_graph(struct walk *w, const struct fz_graph *graph) {
    add_int(w, graph->n_inputs);
    for (uint32_t i = 0; i < graph->n_inputs; i++) add_value(w, graph->inputs[i]);
    add_int(w, graph->n_nodes);
    for (const struct fz_node *node = graph->first; node; node = node->next) add_node(w, node);
    add_int(w, graph->n_outputs);
    for (uint32_t i = 0; i < graph->n_outputs; i++) add_value(w, graph->outputs[i]);
}

/* The numbers of an earlier walk. */
static void forget(const struct fz_graph *graph) {
    for (uint32_t i = 0; i < graph->n_inputs; i++) graph->inputs[i]->id = 0;
    for (uint32_t i = 0; i < graph->n_outputs; i++) graph->outputs[i]->id = 0;
    for (const struct fz_node *node = graph->first; node; node = node->next) {
        for (uint32_t i = 0; i < node->n_in; i++)
            if (node->in[i]) node->in[i]->id = 0;
        for (uint32_t i = 0; i < node->n_out; i++)
            if (node->out[i]) node->out[i]->id = 0;
        for (uint32_t i = 0; i < node->n_sub; i++) forget(node->sub[i]);
    }
}

void fzi_pass_digest(const struct fz_graph *graph, char hex[65]) {
    struct walk w = {.n_values = 0};
    uint8_t digest[32];
    forget(graph);
    fzi_sha256_init(&w.hash);
    add_graph(&w, graph);
    flush(&w);
    fzi_sha256_final(&w.hash, digest);
    fzi_sha256_hex(digest, hex);
}
