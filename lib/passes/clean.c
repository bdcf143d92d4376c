/* Removes what has no effect: nodes that nobody reads, outputs that nobody reads, Identity and
 * casts to the same type. */
#include "passes/passes.h"

/* True if NODE gives back its first input unchanged. */
static bool is_identity(const struct fz_node *node) {
    if (fzi_pass_is(node, "Identity")) return true;
    if (fzi_pass_is(node, "Dropout")) return fzi_out(node, 1) == NULL;
    if (fzi_pass_is(node, "Cast") || fzi_pass_is(node, "CastLike"))
        return node->in[0]->t.dtype == node->out[0]->t.dtype;
    if (fzi_pass_is(node, "Reshape") || fzi_pass_is(node, "Expand") || fzi_pass_is(node, "Flatten"))
        return fzi_shape_equal(&node->in[0]->t, &node->out[0]->t);
    return false;
}

/* A value may take the place of a subgraph's output only if the subgraph makes it. */
static bool may_replace(const struct fz_graph *graph, const struct fz_value *in,
                        const struct fz_value *out) {
    for (uint32_t i = 0; i < graph->n_outputs; i++)
        if (graph->outputs[i] == out && (graph->parent || !in->producer || in->graph != graph))
            return false;
    return true;
}

static bool remove_identity(struct fz_graph *graph, struct fz_node *node) {
    if (!node->out[0] || !is_identity(node) || !may_replace(graph, node->in[0], node->out[0]))
        return false;
    fzi_graph_replace(graph, node->out[0], node->in[0]);
    fzi_graph_remove(graph, node);
    return true;
}

static bool is_dead(const struct fz_node *node) {
    for (uint32_t i = 0; i < node->n_out; i++)
        if (node->out[i] && node->out[i]->n_uses) return false;
    return true;
}

/* From the end, so that a chain that nobody reads goes in one sweep. */
static void remove_dead(struct fz_pass *pass, struct fz_graph *graph) {
    for (struct fz_node *node = graph->last, *prev; node; node = prev) {
        prev = node->prev;
        if (is_dead(node)) {
            /* What a subgraph captures stays counted until the next sweep. */
            for (uint32_t i = 0; i < node->n_in; i++)
                if (node->in[i]) node->in[i]->n_uses--;
            fzi_graph_remove(graph, node);
            pass->n_changes++;
            continue;
        }
        for (uint32_t i = 0; i < node->n_out; i++)
            if (node->out[i] && !node->out[i]->n_uses) node->out[i] = NULL;
    }
}

fz_status_t fzi_pass_clean(struct fz_pass *pass, struct fz_graph *graph) {
    for (struct fz_node *node = graph->first, *next; node; node = next) {
        next = node->next;
        if (remove_identity(graph, node)) pass->n_changes++;
    }
    /* Values of outer graphs count their readers in here as well: count from the top. */
    fzi_graph_count_uses(pass->graph);
    remove_dead(pass, graph);
    return FZ_OK;
}
