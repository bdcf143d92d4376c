/* An If whose condition is known becomes the branch that is taken. */
#include "passes/passes.h"

static void inline_branch(struct fz_graph *graph, struct fz_node *node, struct fz_graph *branch) {
    for (struct fz_node *inner = branch->first, *next; inner; inner = next) {
        next = inner->next;
        fzi_graph_adopt(graph, inner, branch, node);
    }
    for (uint32_t i = 0; i < node->n_out && i < branch->n_outputs; i++)
        if (node->out[i]) fzi_graph_replace(graph, node->out[i], branch->outputs[i]);
    fzi_graph_remove(graph, node);
}

fz_status_t fzi_pass_branch(struct fz_pass *pass, struct fz_graph *graph) {
    for (struct fz_node *node = graph->first, *next; node; node = next) {
        next = node->next;
        if (!fzi_pass_is(node, "If") || node->n_sub != 2 || !fzi_is_constant(node->in[0])) continue;
        if (fzi_tensor_count(&node->in[0]->t) != 1) continue;
        struct fz_graph *taken = node->sub[fzi_tensor_int(&node->in[0]->t, 0) ? 0 : 1];
        if (taken->first) next = taken->first; /* may hold such an If itself */
        inline_branch(graph, node, taken);
        pass->n_changes++;
    }
    return FZ_OK;
}
