/* Transposes: two in a row become one, one that moves nothing goes, one that moves only dimensions
 * of size 1 becomes a Reshape, which costs nothing. Two that undo each other around an Unsqueeze
 * leave an Unsqueeze. */
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

/* MASK gets the dimensions, of RANK, that Unsqueeze NODE inserts; false if that is not known. */
static bool read_inserted(const struct fz_node *node, int32_t rank, uint32_t *mask) {
    const struct fz_attr *attr = fzi_attr(node, "axes");
    const struct fz_value *axes = fzi_in(node, 1);
    if (!attr && (!axes || !fzi_is_constant(axes) || axes->t.rank != 1)) return false;
    if (attr && attr->kind != FZ_ATTR_INTS) return false;
    int64_t n = attr ? (int64_t)attr->n : axes->t.dims[0];
    *mask = 0;
    for (int64_t i = 0; i < n; i++) {
        int64_t axis = attr ? attr->ints[i] : fzi_tensor_int(&axes->t, i);
        if (axis < 0) axis += rank;
        if (axis < 0 || axis >= rank) return false;
        *mask |= 1u << axis;
    }
    return true;
}

/* Transpose NODE by PERM, of RANK, reads an Unsqueeze of a Transpose. If in its result the
 * dimensions of that one's input X stand in their order, AXES get where the N_AXES new ones are. */
static bool undoes(const struct fz_node *node, const int64_t *perm, int32_t rank,
                   struct fz_value **x, int64_t *axes, int64_t *n_axes) {
    struct fz_node *unsqueeze = fzi_pass_from(node->in[0], "Unsqueeze");
    struct fz_node *before = unsqueeze ? fzi_pass_from(unsqueeze->in[0], "Transpose") : NULL;
    int64_t inner[FZ_RANK_MAX], from[FZ_RANK_MAX], next = 0;
    int32_t inner_rank, at = 0;
    uint32_t mask;
    if (!before || rank > FZ_RANK_MAX || !read_perm(before, inner, &inner_rank) ||
        !read_inserted(unsqueeze, rank, &mask) ||
        inner_rank + __builtin_popcount(mask) != rank)
        return false;
    for (int32_t i = 0; i < rank; i++) from[i] = mask >> i & 1 ? -1 : inner[at++];
    *n_axes = 0;
    for (int32_t i = 0; i < rank; i++) {
        int64_t d = from[perm[i]];
        if (d < 0) axes[(*n_axes)++] = i;
        else if (d != next++) return false;
    }
    *x = before->in[0];
    return true;
}

static fz_status_t as_unsqueeze(struct fz_pass *pass, struct fz_graph *graph, struct fz_node *node,
                                struct fz_value *x, const int64_t *axes, int64_t n) {
    struct fz_value *list = fzi_graph_new_constant(graph, node->name, FZ_TYPE_I64, 1, &n);
    if (!list) return fzi_error(FZ_E_NOMEM, "no memory for axes");
    memcpy(list->t.data, axes, (size_t)n * sizeof *axes);
    struct fz_value *in[] = {x, list};
    struct fz_node *made =
        fzi_pass_make(pass, graph, node, "", "Unsqueeze", node->name, NULL, 0, in, 2, 1);
    if (!made) return FZ_E_NOMEM;
    FZ_TRY(fzi_pass_infer_node(graph, made));
    fzi_pass_replace(pass, graph, node->out[0], made->out[0]);
    fzi_graph_remove(graph, node);
    return FZ_OK;
}

static fz_status_t visit(struct fz_pass *pass, struct fz_graph *graph, struct fz_node *node) {
    int64_t perm[FZ_RANK_MAX], inner[FZ_RANK_MAX];
    int32_t rank, inner_rank;
    if (!read_perm(node, perm, &rank)) return FZ_OK;
    int64_t axes[FZ_RANK_MAX], n_axes;
    struct fz_value *x = node->in[0], *first;
    if (undoes(node, perm, rank, &first, axes, &n_axes))
        return as_unsqueeze(pass, graph, node, first, axes, n_axes);
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
