/* Shapes of everything, and values of everything that does not depend on the inputs.
 *
 * Folding runs an operator's own infer and run, so it gives the bits that a run would give. What is
 * large and made from little (an expanded constant, dequantised weights) stays in the plan. */
#include "passes/passes.h"

#include "base/fpenv.h"

enum { FOLD_ALWAYS = 65536 };

static fz_status_t blame(const struct fz_node *node, fz_status_t status) {
    return fzi_error_context(status, "node '%s' (%s, opset %d)", node->name, node->type,
                             node->opset);
}

/* Nothing is known of what NODE makes: a fault was found in it, or before it. */
static void forget(struct fz_node *node) {
    for (uint32_t i = 0; i < node->n_out; i++)
        if (node->out[i]) node->out[i]->t = (fz_tensor_t){.rank = FZ_RANK_UNKNOWN};
}

/* True if NODE cannot be looked at because of a fault that was found before. */
static bool is_spoiled(const struct fz_pass *pass, const struct fz_node *node) {
    if (!node->op) return true;
    for (uint32_t i = 0; pass->faults.n && i < node->n_in; i++)
        if (node->in[i] && !node->in[i]->t.dtype) return true;
    return false;
}

/* Infers NODE's subgraphs with INNER and then what they say of its outputs. */
static fz_status_t infer_control(struct fz_pass *pass, struct fz_node *node, fz_pass_fn inner) {
    fz_status_t status = node->op->infer_control(node, true);
    if (status != FZ_OK) return blame(node, status);
    for (uint32_t i = 0; i < node->n_sub; i++) FZ_TRY(inner(pass, node->sub[i]));
    status = node->op->infer_control(node, false);
    return status == FZ_OK ? FZ_OK : blame(node, status);
}

fz_status_t fzi_pass_infer(struct fz_pass *pass, struct fz_graph *graph) {
    for (struct fz_node *node = graph->first; node; node = node->next) {
        bool control = (node->op->flags & FZ_OP_CONTROL) != 0;
        FZ_TRY(control ? infer_control(pass, node, fzi_pass_infer)
                       : fzi_pass_infer_node(graph, node));
    }
    return FZ_OK;
}

/* True if everything NODE reads is known, and what it makes can be a constant. */
static bool is_known(const struct fz_node *node) {
    if (node->op->flags & (FZ_OP_CONTROL | FZ_OP_RANDOM)) return false;
    for (uint32_t i = 0; i < node->n_out; i++)
        if (node->out[i] && fzi_type_is_nested(node->out[i]->t.dtype)) return false;
    for (uint32_t i = 0; i < node->n_in; i++) {
        if (!node->in[i]) continue;
        const fz_tensor_t *t = &node->in[i]->t;
        if (node->op->flags & FZ_OP_SHAPE_INPUT ? !fzi_shape_known(t) : !t->data) return false;
    }
    return true;
}

/* The qdq pass wants to see what is dequantised. */
static bool must_wait(const struct fz_pass *pass, const struct fz_node *node) {
    return !pass->quantised && fzi_pass_is(node, "DequantizeLinear");
}

/* True if the constants that would be made are small, or not larger than those that go. */
static bool is_worth_it(const struct fz_node *node) {
    size_t made = 0, gone = 0;
    for (uint32_t i = 0; i < node->n_out; i++) {
        fz_tensor_t t = node->out[i] ? node->out[i]->t : (fz_tensor_t){.dtype = FZ_TYPE_U8};
        if (!fzi_shape_known(&t)) return node->op->flags & FZ_OP_LATE_SHAPE;
        if (fzi_tensor_measure(&t) != FZ_OK) return false;
        made += t.size;
    }
    for (uint32_t i = 0; i < node->n_in; i++)
        if (node->in[i]) gone += node->in[i]->t.size;
    if (fzi_pass_is(node, "DequantizeLinear") && made > FOLD_ALWAYS) return false;
    return made <= FOLD_ALWAYS || made <= 2 * gone;
}

static fz_status_t fold_node(struct fz_pass *pass, struct fz_graph *graph, struct fz_node *node) {
    const fz_tensor_t **in = fzi_arena_array(graph->arena, node->n_in, sizeof *in);
    fz_tensor_t *out = fzi_arena_array(graph->arena, node->n_out, sizeof *out);
    if (!in || !out) return fzi_error(FZ_E_NOMEM, "no memory for a node");
    for (uint32_t i = 0; i < node->n_in; i++) in[i] = node->in[i] ? &node->in[i]->t : NULL;
    uint64_t old = fzi_fpenv_enter();
    fz_status_t status = fzi_op_evaluate(node->op, node->params, in, node->n_in, out, node->n_out,
                                         graph->arena, pass->k);
    fzi_fpenv_leave(old);
    if (status != FZ_OK) return blame(node, status);
    for (uint32_t i = 0; i < node->n_out; i++) {
        if (!node->out[i]) continue;
        node->out[i]->t = out[i];
        node->out[i]->producer = NULL;
    }
    fzi_graph_remove(graph, node);
    pass->n_changes++;
    return FZ_OK;
}

static fz_status_t visit(struct fz_pass *pass, struct fz_graph *graph, struct fz_node *node) {
    FZ_TRY(fzi_pass_infer_node(graph, node));
    return is_known(node) && !must_wait(pass, node) && is_worth_it(node)
               ? fold_node(pass, graph, node)
               : FZ_OK;
}

/* A node that reads a type for storage and does not handle it: Casts before and behind it. */
static fz_status_t visit_stored(struct fz_pass *pass, struct fz_graph *graph, struct fz_node *node,
                                int32_t dtype) {
    struct fz_node *last = node->prev;
    uint64_t inputs;
    FZ_TRY(fzi_pass_widen(pass, graph, node, &inputs));
    for (struct fz_node *cast = last ? last->next : graph->first, *next; cast != node;
         cast = next) {
        next = cast->next;
        FZ_TRY(visit(pass, graph, cast));
    }
    FZ_TRY(fzi_pass_infer_node(graph, node));
    return fzi_pass_narrow(pass, graph, node, dtype, inputs);
}

/* Folds NODE; *NEXT is where the walk goes on. */
static fz_status_t fold(struct fz_pass *pass, struct fz_graph *graph, struct fz_node *node,
                        struct fz_node **next) {
    if (fzi_pass_take_branch(pass, graph, node, next)) return FZ_OK;
    *next = node;
    FZ_TRY(fzi_pass_expand(pass, graph, node, next));
    if (*next != node) return FZ_OK;
    if (node->op->flags & FZ_OP_CONTROL) {
        FZ_TRY(infer_control(pass, node, fzi_pass_fold));
        *next = node->next;
        return FZ_OK;
    }
    int32_t stored = fzi_pass_stored(graph, node);
    if (stored) FZ_TRY(visit_stored(pass, graph, node, stored));
    *next = node->next; /* the Casts behind NODE are next */
    return stored ? FZ_OK : visit(pass, graph, node);
}

/* Behind a fault the walk goes on, to find the others; in a subgraph, which may never run, it ends
 * there, and what reads what is not known any more is no fault. */
fz_status_t fzi_pass_fold(struct fz_pass *pass, struct fz_graph *graph) {
    for (struct fz_node *node = graph->first, *next; node; node = next) {
        uint32_t found = pass->faults.n;
        if (is_spoiled(pass, node)) {
            forget(node);
            next = node->next;
            continue;
        }
        fz_status_t status = fold(pass, graph, node, &next);
        if (status == FZ_OK) continue;
        if (graph->parent || !fzi_fault_is(status)) return status;
        if (!found || !(node->op->flags & FZ_OP_CONTROL)) fzi_pass_fault(pass, status);
        forget(node);
        next = node->next;
    }
    return FZ_OK;
}
