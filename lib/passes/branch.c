/* An If whose condition is known becomes the branch that is taken. */
#include "passes/passes.h"

static void inline_branch(struct fz_graph *graph, struct fz_node *node, struct fz_graph *branch) {
    for (struct fz_node *inner = branch->first, *next; inner; inner = next) {
        next = inner->next;
        fzi_graph_adopt(graph, inner, branch, node);
    }
    for (uint32_t i = 0; i < node->n_out; i++)
        if (node->out[i]) fzi_graph_replace(graph, node->out[i], branch->outputs[i]);
    fzi_graph_remove(graph, node);
}

bool fzi_pass_take_branch(struct fz_pass *pass, struct fz_graph *graph, struct fz_node *node,
                          struct fz_node **next) {
    if (!fzi_pass_is(node, "If") || node->n_sub != 2 || !fzi_is_constant(node->in[0])) return false;
    const fz_tensor_t *condition = &node->in[0]->t;
    if (condition->dtype != FZ_TYPE_BOOL || fzi_tensor_count(condition) != 1) return false;
    struct fz_graph *taken = node->sub[fzi_tensor_int(condition, 0) ? 0 : 1];
    if (taken->n_inputs || taken->n_outputs != node->n_out) return false;
    *next = taken->first ? taken->first : node->next;
    inline_branch(graph, node, taken);
    pass->n_changes++;
    return true;
}

fz_status_t fzi_pass_branch(struct fz_pass *pass, struct fz_graph *graph) {
    for (struct fz_node *node = graph->first, *next; node; node = next) {
        next = node->next;
        (void)fzi_pass_take_branch(pass, graph, node, &next);
    }
    return FZ_OK;
}
