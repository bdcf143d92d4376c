/* Equal nodes become one: same operator, same params, same inputs. */
#include "passes/passes.h"

enum { BUCKETS = 4096 };

static bool same(const struct fz_node *a, const struct fz_node *b) {
    if (a->op != b->op || a->n_in != b->n_in || a->n_out != b->n_out) return false;
    if (a->op->flags & (FZ_OP_CONTROL | FZ_OP_RANDOM)) return false;
    if (memcmp(a->params, b->params, a->op->params_size) != 0) return false;
    for (uint32_t i = 0; i < a->n_in; i++)
        if (a->in[i] != b->in[i] &&
            !(a->in[i] && b->in[i] && fzi_pass_same_constant(a->in[i], b->in[i])))
            return false;
    for (uint32_t i = 0; i < a->n_out; i++)
        if (b->out[i] && !a->out[i]) return false;
    return true;
}

/* Equal nodes have equal hashes: operator, params, shape of the node. */
static uint32_t hash(const struct fz_node *node) {
    uint32_t h = 2166136261u;
    const uint8_t *p = node->params;
    for (const char *c = node->op->name; *c; c++) h = (h ^ (uint8_t)*c) * 16777619u;
    for (size_t i = 0; i < node->op->params_size; i++) h = (h ^ p[i]) * 16777619u;
    h = (h ^ node->n_in) * 16777619u;
    if (node->n_in && node->in[0]) h = (h ^ node->in[0]->id) * 16777619u;
    return h % BUCKETS;
}

static bool is_output(const struct fz_graph *graph, const struct fz_value *v) {
    for (uint32_t i = 0; i < graph->n_outputs; i++)
        if (graph->outputs[i] == v) return true;
    return false;
}

static bool has_output(const struct fz_graph *graph, const struct fz_node *node) {
    for (uint32_t i = 0; i < node->n_out; i++)
        if (node->out[i] && is_output(graph, node->out[i])) return true;
    return false;
}

/* Numbers what nodes make, so that the hash can see which value an input is; constants share 0. */
static void number(struct fz_graph *graph) {
    uint32_t id = 1;
    for (uint32_t i = 0; i < graph->n_inputs; i++) graph->inputs[i]->id = id++;
    for (struct fz_node *node = graph->first; node; node = node->next) {
        for (uint32_t i = 0; i < node->n_in; i++)
            if (node->in[i] && (fzi_is_constant(node->in[i]) || node->in[i]->graph != graph))
                node->in[i]->id = 0;
        for (uint32_t i = 0; i < node->n_out; i++)
            if (node->out[i]) node->out[i]->id = id++;
    }
}

fz_status_t fzi_pass_merge(struct fz_pass *pass, struct fz_graph *graph) {
    struct fz_node **buckets = fzi_calloc(BUCKETS, sizeof *buckets);
    struct fz_node **chain = fzi_calloc(graph->n_nodes + 1, sizeof *chain);
    if (!buckets || !chain) {
        fzi_free(buckets);
        fzi_free(chain);
        return fzi_error(FZ_E_NOMEM, "no memory to merge nodes");
    }
    number(graph);
    uint32_t mark = 0;
    for (struct fz_node *node = graph->first, *next; node; node = next) {
        next = node->next;
        node->mark = ++mark;
        uint32_t h = hash(node);
        struct fz_node *twin = buckets[h];
        while (twin && !same(twin, node)) twin = chain[twin->mark];
        if (!twin || has_output(graph, node)) {
            chain[node->mark] = buckets[h];
            buckets[h] = node;
            continue;
        }
        for (uint32_t i = 0; i < node->n_out; i++)
            if (node->out[i]) fzi_graph_replace(graph, node->out[i], twin->out[i]);
        fzi_graph_remove(graph, node);
        pass->n_changes++;
    }
    fzi_free(buckets);
    fzi_free(chain);
    return FZ_OK;
}
