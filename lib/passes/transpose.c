/* Transposes: two in a row become one, one that moves nothing goes, one that moves only dimensions
 * of size 1 becomes a Reshape, which costs nothing. */
#include "passes/passes.h"

/* The permutation of NODE; false if it is not known. */
static bool read_perm(const struct fz_node *node, int64_t *perm, int32_t *rank) {
    const struct fz_attr *attr = fzi_attr(node, "perm");
    *rank = node->in[0]->t.rank;
    if (attr) {
        if (attr->kind != FZ_ATTR_INTS || attr->n > FZ_RANK_MAX) return false;
        *rank = (int32_t)attr->n;
        for (int32_t i = 0; i < *rank; i++) perm[i] = attr->ints[i];
    } else {
        for (int32_t i = 0; i < *rank; i++) perm[i] = *rank - 1 - i;
    }
    for (int32_t i = 0; i < *rank; i++)
        if (perm[i] < 0 || perm[i] >= *rank) return false;
    return *rank > 0;
}

static bool is_identity(const int64_t *perm, int32_t rank) {
    for (int32_t i = 0; i < rank; i++)
        if (perm[i] != i) return false;
    return true;
}

/* True if all dimensions but those of size 1 keep their order, and all but the first are known. */
static bool moves_ones_only(const int64_t *perm, int32_t rank, const fz_tensor_t *t) {
    int64_t last = -1;
    if (t->rank != rank || perm[0] != 0) return false;
    for (int32_t i = 0; i < rank; i++) {
        int64_t d = t->dims[perm[i]];
        if (d < 0 && i != 0) return false;
        if (d == 1 && i != 0) continue;
        if (perm[i] < last) return false;
        last = perm[i];
    }
    return true;
}

static fz_status_t as_reshape(struct fz_pass *pass, struct fz_graph *graph, struct fz_node *node,
                              struct fz_value *x, const int64_t *perm, int32_t rank,
                              struct fz_node **made) {
    int64_t n = rank;
    struct fz_value *shape = fzi_graph_new_constant(graph, node->name, FZ_TYPE_I64, 1, &n);
    if (!shape) return fzi_error(FZ_E_NOMEM, "no memory for a shape");
    for (int32_t i = 0; i < rank; i++) ((int64_t *)shape->t.data)[i] = i ? x->t.dims[perm[i]] : 0;
    if (x->t.dims[0] == 0) return fzi_error(FZ_E_INTERNAL, "an empty batch");
    struct fz_value *in[] = {x, shape};
    *made = fzi_pass_make(pass, graph, node, "", "Reshape", node->name, NULL, 0, in, 2, 1);
    return *made ? FZ_OK : FZ_E_NOMEM;
}

static bool feeds_output(const struct fz_graph *graph, const struct fz_node *node) {
    for (uint32_t i = 0; i < graph->n_outputs; i++)
        if (graph->outputs[i] == node->out[0]) return true;
    return false;
}

static fz_status_t visit(struct fz_pass *pass, struct fz_graph *graph, struct fz_node *node) {
    int64_t perm[FZ_RANK_MAX], inner[FZ_RANK_MAX];
    int32_t rank, inner_rank;
    if (!read_perm(node, perm, &rank)) return FZ_OK;
    struct fz_value *x = node->in[0];
    struct fz_node *before = fzi_pass_from(x, "Transpose");
    bool merged = before && read_perm(before, inner, &inner_rank) && inner_rank == rank;
    if (merged) {
        for (int32_t i = 0; i < rank; i++) perm[i] = inner[perm[i]];
        x = before->in[0];
    }
    if (is_identity(perm, rank)) {
        if (feeds_output(graph, node) && (!x->producer || graph->parent || x->graph != graph))
            return FZ_OK;
        fzi_graph_replace(graph, node->out[0], x);
        fzi_graph_remove(graph, node);
        pass->n_changes++;
        return FZ_OK;
    }
    struct fz_node *made = NULL;
    if (x->t.rank == rank && x->t.dims[0] != 0 && moves_ones_only(perm, rank, &x->t))
        FZ_TRY(as_reshape(pass, graph, node, x, perm, rank, &made));
    else if (merged) {
        struct fz_attr attr =
            FZ_INTS("perm", fzi_arena_copy(graph->arena, perm, sizeof perm), (size_t)rank);
        made = fzi_pass_make(pass, graph, node, "", "Transpose", node->name, &attr, 1, &x, 1, 1);
        if (!made) return FZ_E_NOMEM;
    }
    if (!made) return FZ_OK;
    FZ_TRY(fzi_pass_infer_node(graph, made));
    fzi_pass_replace(pass, graph, node->out[0], made->out[0]);
    fzi_graph_remove(graph, node);
    return FZ_OK;
}

fz_status_t fzi_pass_transpose(struct fz_pass *pass, struct fz_graph *graph) {
    for (struct fz_node *node = graph->first, *next; node; node = next) {
        next = node->next;
        if (fzi_pass_is(node, "Transpose")) FZ_TRY(visit(pass, graph, node));
    }
    return FZ_OK;
}
