/* The order of a graph's nodes. ONNX asks for a topological order, which nearly every file has; the
 * others are sorted, depth first in the order of the file, so the result depends on it only. */
#include "import/importer.h"

/* What to do with each value that a node, or a subgraph in it, reads from GRAPH. */
struct reader {
    const struct fz_graph *graph;
    void (*read)(struct reader *reader, const struct fz_node *producer);
    uint32_t latest;         /* check: the highest position read */
    struct fz_node **edges;  /* list: where the next producer goes; NULL: count only */
    size_t n;
};

/* Passes VALUE on if a node of the graph in question makes it. */
static void read_value(struct reader *reader, const struct fz_value *value) {
    if (value && value->graph == reader->graph && value->producer)
        reader->read(reader, value->producer);
}

/* A node waits for all that its subgraphs read from outside as well. Depth is that of subgraphs. */
static void read_node(struct reader *reader, const struct fz_node *node) {
    for (uint32_t i = 0; i < node->n_in; i++) read_value(reader, node->in[i]);
    for (uint32_t i = 0; i < node->n_sub; i++) {
        const struct fz_graph *sub = node->sub[i];
        for (const struct fz_node *inner = sub->first; inner; inner = inner->next)
            read_node(reader, inner);
        for (uint32_t k = 0; k < sub->n_outputs; k++) read_value(reader, sub->outputs[k]);
    }
}

static void note_latest(struct reader *reader, const struct fz_node *producer) {
    /* A node that reads itself is a cycle; node positions start at 1. */
    if (producer->mark > reader->latest) reader->latest = producer->mark;
}

static void note_edge(struct reader *reader, const struct fz_node *producer) {
    if (reader->edges) reader->edges[reader->n] = (struct fz_node *)producer;
    reader->n++;
}

/* True if no node reads what a later one, or itself, makes. */
static bool in_order(const struct fz_graph *graph) {
    for (const struct fz_node *node = graph->first; node; node = node->next) {
        struct reader reader = {.graph = graph, .read = note_latest};
        read_node(&reader, node);
        if (reader.latest >= node->mark) return false;
    }
    return true;
}

/* A node of the depth-first search and the producers that it still waits for. */
struct visit {
    struct fz_node *node;
    size_t next, end; /* in the list of edges */
};

static const uint32_t DONE = UINT32_MAX, OPEN = UINT32_MAX - 1;

struct sort {
    struct fz_graph *graph;
    struct fz_node **edges;
    size_t *starts; /* of node i's edges; marks count from 1 */
    struct visit *stack;
    size_t depth;
};

/* Opens NODE: its mark stops being its position, so its edges are looked up now. */
static void enter(struct sort *s, struct fz_node *node) {
    size_t i = node->mark - 1;
    s->stack[s->depth++] = (struct visit){node, s->starts[i], s->starts[i + 1]};
    node->mark = OPEN;
}

/* Moves ROOT and all that it depends on to the end of the list, dependencies first. */
static fz_status_t visit(struct sort *s, struct fz_node *root) {
    if (root->mark == DONE) return FZ_OK;
    enter(s, root);
    while (s->depth) {
        struct visit *top = &s->stack[s->depth - 1];
        if (top->next == top->end) {
            top->node->mark = DONE;
            fzi_graph_move(s->graph, top->node, NULL);
            s->depth--;
            continue;
        }
        struct fz_node *producer = s->edges[top->next++];
        if (producer->mark == OPEN)
            return fzi_error(FZ_E_FORMAT, "node '%s' (%s) depends on its own output: a cycle",
                             producer->name, producer->type);
        if (producer->mark != DONE) enter(s, producer);
    }
    return FZ_OK;
}

/* Fills the lists of edges: first counted, then written. */
static fz_status_t list_edges(struct fz_importer *im, struct sort *s) {
    struct reader reader = {.graph = s->graph, .read = note_edge};
    for (const struct fz_node *node = s->graph->first; node; node = node->next)
        read_node(&reader, node);
    size_t n = s->graph->n_nodes, n_edges = reader.n;
    s->edges = fzi_arena_array(&im->scratch, n_edges, sizeof *s->edges);
    s->starts = fzi_arena_array(&im->scratch, n + 1, sizeof *s->starts);
    s->stack = fzi_arena_array(&im->scratch, n, sizeof *s->stack);
    if (!s->edges || !s->starts || !s->stack)
        return fzi_import_nomem(im, n_edges * sizeof *s->edges + n * sizeof *s->stack);
    reader.n = 0;
    reader.edges = s->edges;
    size_t i = 0;
    for (const struct fz_node *node = s->graph->first; node; node = node->next) {
        s->starts[i++] = reader.n;
        read_node(&reader, node);
    }
    s->starts[i] = reader.n;
    return FZ_OK;
}

fz_status_t fzi_import_sort(struct fz_importer *im, struct fz_graph *graph) {
    uint32_t position = 0;
    for (struct fz_node *node = graph->first; node; node = node->next) node->mark = ++position;
    if (in_order(graph)) return FZ_OK;
    struct sort s = {.graph = graph};
    FZ_TRY(list_edges(im, &s));
    /* Each node moves to the end when all that it reads has, so the list changes under the loop. */
    struct fz_node **nodes = fzi_arena_array(&im->scratch, graph->n_nodes, sizeof *nodes);
    if (!nodes) return fzi_import_nomem(im, graph->n_nodes * sizeof *nodes);
    uint32_t n = 0;
    for (struct fz_node *node = graph->first; node; node = node->next) nodes[n++] = node;
    for (uint32_t i = 0; i < n; i++) FZ_TRY(visit(&s, nodes[i]));
    return FZ_OK;
}
