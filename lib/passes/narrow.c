/* Weights that are stored as integers of 8, 4 or 2 bits stay so: products of floats with a
 * DequantizeLinear of constants, and MatMulNBits, become frozen.MatMulNarrow. Each weight is
 * rounded as DequantizeLinear rounds it, so the bits are those of the nodes one by one. */
#include "ops/narrow.h"

#include "ops/quant.h"
#include "passes/passes.h"

fz_status_t fzi_pass_narrow_product(struct fz_pass *pass, struct fz_graph *graph,
                                    struct fz_node *node, const struct fz_narrow_params *p,
                                    struct fz_value *const *in) {
    uint32_t n = FZ_NARROW_INPUTS;
    while (!in[n - 1]) n--;
    struct fz_node *made = fzi_pass_lowered(graph, node, "frozen", "MatMulNarrow", node->name, p,
                                            in, n, 1);
    if (!made) return FZ_E_NOMEM;
    made->out[0]->t = node->out[0]->t;
    fzi_pass_replace(pass, graph, node->out[0], made->out[0]);
    fzi_graph_remove(graph, node);
    return FZ_OK;
}

/* Constant integers with their grid of scales, as a matrix [k, n]. */
struct weights {
    const fz_tensor_t *q, *scale, *zero;
    struct fz_quant_grid grid;
    int64_t k, n, block, offset; /* offset: added to signed integers */
    bool trans;
};

static int64_t place(const struct weights *w, int64_t k, int64_t n) {
    return w->trans ? n * w->k + k : k * w->n + n;
}

/* The scale of row BLOCK * w->block of column N. */
static int64_t scale_at(const struct weights *w, int64_t block, int64_t n) {
    const struct fz_quant_grid *g = &w->grid;
    int64_t at = place(w, block * w->block, n), a = at / g->inner % g->n;
    if (g->block)
        return (at / (g->n * g->inner) * g->n_blocks + a / g->block) * g->inner + at % g->inner;
    return g->per_axis ? a : 0;
}

static int64_t get(const void *data, int64_t k, int64_t n) {
    const struct weights *w = data;
    return fzi_tensor_int(w->q, place(w, k, n)) + w->offset;
}
static int64_t zero(const void *data, int64_t block, int64_t n) {
    const struct weights *w = data;
    return fzi_quant_zero(w->zero, scale_at(w, block, n)) + w->offset;
}
static float scale(const void *data, int64_t block, int64_t n) {
    const struct weights *w = data;
    return ((const float *)w->scale->data)[scale_at(w, block, n)];
}

static int64_t form_of(int32_t dtype) {
    if (dtype == FZ_TYPE_U8 || dtype == FZ_TYPE_I8) return FZK_NARROW_8;
    if (dtype == FZ_TYPE_U4 || dtype == FZ_TYPE_I4) return FZK_NARROW_4;
    if (dtype == FZ_TYPE_U2 || dtype == FZ_TYPE_I2) return FZK_NARROW_2;
    return -1;
}

static int64_t offset_of(int32_t dtype) {
    return dtype == FZ_TYPE_I8 ? 128 : dtype == FZ_TYPE_I4 ? 8 : dtype == FZ_TYPE_I2 ? 2 : 0;
}

/* True if all rows of a block of W share each column's scale: one scale, one per column, or blocks
 * along k that end with a word. */
static bool find_block(struct weights *w, int64_t axis) {
    const struct fz_quant_grid *g = &w->grid;
    bool along_k = axis == (w->trans ? 1 : 0);
    w->block = w->k;
    if (!g->block) return !g->per_axis || !along_k || w->k == 1;
    w->block = g->block;
    return along_k && (g->block % 16 == 0 || g->block >= w->k);
}

static fz_status_t describe(const struct fz_node *dq, bool trans, struct weights *w, bool *good) {
    const fz_tensor_t *q = &dq->in[0]->t;
    int64_t axis, block;
    *good = false;
    for (uint32_t i = 0; i < dq->n_in; i++)
        if (dq->in[i] && !fzi_is_constant(dq->in[i])) return FZ_OK;
    if (form_of(q->dtype) < 0 || q->rank != 2 || q->size == 0 ||
        dq->in[1]->t.dtype != FZ_TYPE_F32 || dq->out[0]->t.dtype != FZ_TYPE_F32)
        return FZ_OK;
    FZ_TRY(fzi_attr_int(dq, "axis", 1, &axis));
    FZ_TRY(fzi_attr_int(dq, "block_size", 0, &block));
    *w = (struct weights){.q = q, .scale = &dq->in[1]->t, .k = q->dims[trans], .n = q->dims[!trans],
                          .zero = fzi_in(dq, 2) ? &dq->in[2]->t : NULL,
                          .offset = offset_of(q->dtype), .trans = trans};
    FZ_TRY(fzi_quant_grid(dq->op, q, w->scale, axis, block, &w->grid));
    *good = find_block(w, axis < 0 ? axis + 2 : axis);
    return FZ_OK;
}

/* True if NODE is a product whose second factor is a matrix as it is, or its transpose. */
static fz_status_t is_product(const struct fz_node *node, bool *trans, bool *good) {
    int64_t trans_a = 0, trans_b = 0;
    double alpha = 1, beta = 1;
    *good = fzi_pass_is(node, "MatMul") && node->in[0]->t.rank >= 2;
    *trans = false;
    if (!fzi_pass_is(node, "Gemm")) return FZ_OK;
    FZ_TRY(fzi_attr_int(node, "transA", 0, &trans_a));
    FZ_TRY(fzi_attr_int(node, "transB", 0, &trans_b));
    FZ_TRY(fzi_attr_float(node, "alpha", 1, &alpha));
    FZ_TRY(fzi_attr_float(node, "beta", 1, &beta));
    const struct fz_value *c = fzi_in(node, 2);
    *trans = trans_b != 0;
    *good = !trans_a && alpha == 1 && (!c || beta == 1);
    if (c) *good = *good && c->t.rank == 1 && c->t.dims[0] == node->in[1]->t.dims[!trans_b];
    return FZ_OK;
}

static fz_status_t visit(struct fz_pass *pass, struct fz_graph *graph, struct fz_node *node) {
    struct fz_node *dq = fzi_pass_from(node->in[1], "DequantizeLinear");
    struct fz_narrow_params p = {0};
    struct fz_value *in[FZ_NARROW_INPUTS] = {0};
    struct weights w;
    bool good, trans;
    if (!dq || node->in[1]->t.rank != 2 || node->out[0]->t.dtype != FZ_TYPE_F32) return FZ_OK;
    FZ_TRY(is_product(node, &trans, &good));
    if (good) FZ_TRY(describe(dq, trans, &w, &good));
    if (!good) return FZ_OK;
    const struct fz_narrow_source source = {&w, get, zero, scale};
    p.k = w.k, p.n = w.n, p.block = w.block, p.form = form_of(w.q->dtype);
    FZ_TRY(fzi_narrow_pack(graph, dq->in[0]->name, &source, &p, in));
    in[FZ_NARROW_X] = node->in[0];
    in[FZ_NARROW_BIAS] = fzi_in(node, 2);
    return fzi_pass_narrow_product(pass, graph, node, &p, in);
}

static fz_status_t visit_nbits(struct fz_pass *pass, struct fz_graph *graph,
                               struct fz_node *node) {
    struct fz_narrow_params p = {0};
    struct fz_value *in[FZ_NARROW_INPUTS] = {0};
    bool ready;
    FZ_TRY(fzi_nbits_pack(graph, node, &p, in, &ready));
    return ready ? fzi_pass_narrow_product(pass, graph, node, &p, in) : FZ_OK;
}

/* The profile blas leaves float products to OpenBLAS. */
fz_status_t fzi_pass_narrow_weights(struct fz_pass *pass, struct fz_graph *graph) {
    if (pass->options->numerics && strcmp(pass->options->numerics, "blas") == 0) return FZ_OK;
    for (struct fz_node *node = graph->first, *next; node; node = next) {
        next = node->next;
        if (strcmp(node->op->name, "MatMulNBits") == 0) FZ_TRY(visit_nbits(pass, graph, node));
        else if (fzi_pass_is(node, "MatMul") || fzi_pass_is(node, "Gemm"))
            FZ_TRY(visit(pass, graph, node));
    }
    return FZ_OK;
}
