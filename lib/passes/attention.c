/* Products of two computed matrices, as attention has them: a Transpose of the right one and a
 * scalar factor behind the product move into frozen.MatMulDyn. */
#include "passes/passes.h"

#include "ops/matmul.h"

/* The Transpose that makes V, if with its last two entries swapped it would leave the last
 * dimension where it is; PERM gets those. */
static struct fz_node *swapped(const struct fz_value *v, int64_t *perm) {
    struct fz_node *node = fzi_pass_from(v, "Transpose");
    const struct fz_attr *attr = node ? fzi_attr(node, "perm") : NULL;
    if (!attr || attr->kind != FZ_ATTR_INTS || attr->n < 2 || attr->n > FZ_RANK_MAX) return NULL;
    size_t n = attr->n;
    for (size_t i = 0; i < n; i++) perm[i] = attr->ints[i];
    perm[n - 1] = attr->ints[n - 2];
    perm[n - 2] = attr->ints[n - 1];
    return perm[n - 1] == (int64_t)n - 1 ? node : NULL;
}

/* The right operand untransposed: the Transpose's input, or a cheaper Transpose of it. */
static fz_status_t untranspose(struct fz_pass *pass, struct fz_graph *graph, struct fz_node *node,
                               struct fz_node *transpose, const int64_t *perm,
                               struct fz_value **out) {
    size_t n = fzi_attr(transpose, "perm")->n;
    bool identity = true;
    for (size_t i = 0; i < n; i++) identity = identity && perm[i] == (int64_t)i;
    *out = transpose->in[0];
    if (identity) return FZ_OK;
    struct fz_attr attr =
        FZ_INTS("perm", fzi_arena_copy(graph->arena, perm, n * sizeof *perm), n);
    struct fz_node *made = fzi_pass_make(pass, graph, node, "", "Transpose", transpose->name, &attr,
                                         1, &transpose->in[0], 1, 1);
    if (!made) return FZ_E_NOMEM;
    *out = made->out[0];
    return fzi_pass_infer_node(graph, made);
}

/* The Mul or Div by a scalar that alone reads V; P gets the factor. */
static struct fz_node *scaled(const struct fz_value *v, struct fz_matmul_dyn_params *p) {
    struct fz_node *reader = fzi_value_reader(v);
    bool mul = fzi_pass_is(reader, "Mul"), div = fzi_pass_is(reader, "Div");
    if (!mul && !div) return NULL;
    if (fzi_pass_with_scalar(reader, &p->scale) != v || (div && reader->in[0] != v)) return NULL;
    if (reader->out[0]->t.rank != v->t.rank) return NULL;
    p->scale_kind = mul ? FZ_SCALE_MUL : FZ_SCALE_DIV;
    return reader;
}

/* *NEXT is where the walk goes on. */
static fz_status_t visit(struct fz_pass *pass, struct fz_graph *graph, struct fz_node *node,
                         struct fz_node **next) {
    struct fz_matmul_dyn_params p = {0};
    int64_t perm[FZ_RANK_MAX];
    struct fz_value *in[] = {node->in[0], node->in[1]};
    struct fz_node *transpose = swapped(node->in[1], perm);
    struct fz_node *last = scaled(node->out[0], &p);
    if ((!transpose && !last) || node->in[0]->t.rank < 2 || node->in[1]->t.rank < 2) return FZ_OK;
    if (last && last->out[0]->graph != graph) return FZ_OK;
    if (transpose) FZ_TRY(untranspose(pass, graph, node, transpose, perm, &in[1]));
    p.trans_b = transpose != NULL;
    struct fz_node *made = fzi_pass_lowered(graph, node, "frozen", "MatMulDyn", node->name, &p, in,
                                            2, 1);
    if (!made) return FZ_E_NOMEM;
    FZ_TRY(fzi_pass_infer_node(graph, made));
    fzi_pass_replace(pass, graph, last ? last->out[0] : node->out[0], made->out[0]);
    if (last) fzi_graph_remove(graph, last);
    fzi_graph_remove(graph, node);
    *next = made->next;
    return FZ_OK;
}

fz_status_t fzi_pass_attention(struct fz_pass *pass, struct fz_graph *graph) {
    if (pass->options->numerics && strcmp(pass->options->numerics, "blas") == 0) return FZ_OK;
    fzi_graph_count_uses(pass->graph);
    for (struct fz_node *node = graph->first, *next; node; node = next) {
        next = node->next;
        if (fzi_pass_is(node, "MatMul") && node->out[0]->t.dtype == FZ_TYPE_F32)
            FZ_TRY(visit(pass, graph, node, &next));
    }
    return FZ_OK;
}
