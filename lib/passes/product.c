/* Products with constant matrices get their packed form: MatMul and Gemm become frozen.MatMul,
 * those of integers frozen.QMatMul. */
#include "passes/passes.h"

#include "ops/matmul.h"
#include "ops/narrow.h"
#include "passes/packed.h"

static bool is_matrix(const struct fz_value *w) {
    return fzi_is_constant(w) && w->t.dtype == FZ_TYPE_F32 && w->t.rank == 2 && w->t.size > 0;
}

/* True if C can be a bias of N: one row, or absent. */
static bool is_bias(const struct fz_value *c, int64_t n) {
    if (!c) return true;
    if (!fzi_is_constant(c) || c->t.dtype != FZ_TYPE_F32 || c->t.rank < 1 || c->t.rank > 2)
        return false;
    return fzi_tensor_count(&c->t) == n && c->t.dims[c->t.rank - 1] == n;
}

static bool use_blas(const struct fz_pass *pass) {
    return pass->options->numerics && strcmp(pass->options->numerics, "blas") == 0;
}

static struct fz_value *as_row(struct fz_graph *graph, struct fz_value *c) {
    if (!c || c->t.rank == 1) return c;
    fz_tensor_t t = c->t;
    t.dims[0] = t.dims[1];
    t.rank = 1;
    return fzi_graph_constant(graph, c->name, &t);
}

/* With the option, weights that are zero in enough blocks are stored without them. */
static bool is_sparse(const struct fz_pass *pass, const struct fz_value *w, bool trans,
                      struct fz_sparse_source *source) {
    *source = (struct fz_sparse_source){w->t.data, w->t.dims[trans], w->t.dims[!trans],
                                        trans ? 1 : w->t.dims[1], trans ? w->t.dims[1] : 1};
    return (pass->options->flags & FZ_FREEZE_SPARSE) && !use_blas(pass) && fzi_sparse_wins(source);
}

static fz_status_t put_sparse(struct fz_pass *pass, struct fz_graph *graph, struct fz_node *node,
                              const struct fz_sparse_source *source, struct fz_value *bias) {
    struct fz_frozen_matmul_params p = {.k = source->k, .n = source->n};
    struct fz_value *tables[3];
    FZ_TRY(fzi_sparse_pack(graph, node->in[1]->name, source, tables));
    struct fz_value *in[] = {node->in[0], tables[0], as_row(graph, bias), NULL, tables[1],
                             tables[2]};
    struct fz_node *made = fzi_pass_lowered(graph, node, "frozen", "SparseMatMul", node->name, &p,
                                            in, 6, 1);
    if (!made) return FZ_E_NOMEM;
    made->out[0]->t = node->out[0]->t;
    fzi_pass_replace(pass, graph, node->out[0], made->out[0]);
    fzi_graph_remove(graph, node);
    return FZ_OK;
}

/* Weights that are halves, as those of models in half precision are, stay 16 bits wide. Matrices so
 * small that they lie in the nearest cache gain nothing by it. */
enum { FEW_WEIGHTS = 8192 };

static int64_t half_form(const struct fz_pass *pass, const struct fz_value *w) {
    if (use_blas(pass) || fzi_tensor_count(&w->t) < FEW_WEIGHTS) return -1;
    return fzi_narrow_half_form(&w->t);
}

static fz_status_t put_halves(struct fz_pass *pass, struct fz_graph *graph, struct fz_node *node,
                              bool trans, int64_t form, struct fz_value *bias) {
    struct fz_narrow_params p = {0};
    struct fz_value *in[FZ_NARROW_INPUTS] = {node->in[0]};
    FZ_TRY(fzi_narrow_pack_halves(graph, node->in[1], trans, form, &p, in));
    in[FZ_NARROW_BIAS] = as_row(graph, bias);
    return fzi_pass_narrow_product(pass, graph, node, &p, in);
}

static fz_status_t put(struct fz_pass *pass, struct fz_graph *graph, struct fz_node *node,
                       struct fz_value *w, bool trans, struct fz_value *bias) {
    struct fz_frozen_matmul_params p = {
        .k = w->t.dims[trans], .n = w->t.dims[!trans], .blas = use_blas(pass)};
    struct fz_value *packed;
    struct fz_sparse_source source;
    if (is_sparse(pass, w, trans, &source)) return put_sparse(pass, graph, node, &source, bias);
    int64_t form = half_form(pass, w);
    if (form >= 0) return put_halves(pass, graph, node, trans, form, bias);
    FZ_TRY(fzi_matmul_pack(graph, w, trans, p.blas, &packed));
    struct fz_value *in[] = {node->in[0], packed, as_row(graph, bias)};
    struct fz_node *made = fzi_pass_lowered(graph, node, "frozen", "MatMul", node->name, &p, in,
                                            bias ? 3 : 2, 1);
    if (!made) return FZ_E_NOMEM;
    made->out[0]->t = node->out[0]->t;
    fzi_pass_replace(pass, graph, node->out[0], made->out[0]);
    fzi_graph_remove(graph, node);
    return FZ_OK;
}

static fz_status_t visit_gemm(struct fz_pass *pass, struct fz_graph *graph, struct fz_node *node) {
    int64_t trans_a, trans_b;
    double alpha, beta;
    if (!is_matrix(node->in[1])) return FZ_OK;
    FZ_TRY(fzi_attr_int(node, "transA", 0, &trans_a));
    FZ_TRY(fzi_attr_int(node, "transB", 0, &trans_b));
    FZ_TRY(fzi_attr_float(node, "alpha", 1, &alpha));
    FZ_TRY(fzi_attr_float(node, "beta", 1, &beta));
    struct fz_value *c = fzi_in(node, 2);
    if (trans_a || alpha != 1 || (c && beta != 1)) return FZ_OK;
    if (!is_bias(c, node->in[1]->t.dims[trans_b ? 0 : 1])) return FZ_OK;
    return put(pass, graph, node, node->in[1], trans_b != 0, c);
}

static bool is_integer(const struct fz_node *node) {
    return fzi_pass_is(node, "MatMulInteger") || fzi_pass_is(node, "QLinearMatMul") ||
           fzi_pass_is_frozen(node, "QLinearGemm") ||
           fzi_pass_is_frozen(node, "MatMulIntegerRows") ||
           strcmp(node->op->name, "MatMulIntegerToFloat") == 0;
}

static fz_status_t visit_integer(struct fz_pass *pass, struct fz_graph *graph,
                                 struct fz_node *node) {
    const struct fz_integer_inputs *at = &fzi_matmul_inputs[node->op->kind];
    struct fz_value *w = node->in[at->w], *in[FZ_Q_INPUTS] = {0};
    struct fz_packed_params p = {0};
    bool ready;
    if (w->t.rank != 2 || node->in[at->x]->t.rank < 2) return FZ_OK;
    FZ_TRY(fzi_pass_pack(graph, node, false, w->t.dims[1], &p, in, &ready));
    if (!ready) return FZ_OK;
    struct fz_value *w_zero = fzi_in(node, (uint32_t)at->w_zero);
    FZ_TRY(fzi_qmatmul_pack(graph, w, false, w_zero, &p, in));
    struct fz_node *made = fzi_pass_lowered(graph, node, "frozen", "QMatMul", node->name, &p, in,
                                            FZ_Q_INPUTS, 1);
    if (!made) return FZ_E_NOMEM;
    made->out[0]->t = node->out[0]->t;
    fzi_pass_replace(pass, graph, node->out[0], made->out[0]);
    fzi_graph_remove(graph, node);
    return FZ_OK;
}

fz_status_t fzi_pass_product(struct fz_pass *pass, struct fz_graph *graph) {
    for (struct fz_node *node = graph->first, *next; node; node = next) {
        next = node->next;
        if (is_integer(node)) FZ_TRY(visit_integer(pass, graph, node));
        if (node->n_out && node->out[0] && node->out[0]->t.dtype != FZ_TYPE_F32) continue;
        if (fzi_pass_is(node, "Gemm")) FZ_TRY(visit_gemm(pass, graph, node));
        else if (fzi_pass_is(node, "MatMul") && is_matrix(node->in[1]) && node->in[0]->t.rank >= 2)
            FZ_TRY(put(pass, graph, node, node->in[1], false, NULL));
    }
    return FZ_OK;
}
