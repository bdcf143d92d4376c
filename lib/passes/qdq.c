/* QDQ form: an operator between DequantizeLinear and QuantizeLinear computes on the integers.
 *
 *   DQ, DQ(weights) -> Conv | MatMul | Gemm -> Relu | Clip -> Q     QLinearConv, QLinearMatMul
 *   DQ, DQ(weights) -> Conv | MatMul | Gemm                         the same sums, scaled to float
 *   DQ, DQ -> Add | Mul -> Relu | Clip -> Q, of one shape           frozen.QAdd, frozen.QMul
 *   DQ -> Sigmoid or any other function of one number -> Q           frozen.QTable: qdq_table.c
 *   DQ -> MaxPool | Reshape | Transpose ... -> Q                    the operator on the integers
 *   DQ(table) -> Gather                                             Gather -> DQ
 *
 * What stays: every pair around an operator that is not named here is evaluated as it is written.
 * The page lib/ops/README.md holds the rules. */
#include "passes/passes.h"

#include "ops/integer.h"
#include "passes/qdq.h"

static struct fz_node *reader(const struct fz_value *v) {
    struct fz_node *node = fzi_value_reader(v);
    return node && node->n_out && node->out[0] && node->out[0]->graph == v->graph ? node : NULL;
}

static bool is_one(const struct fz_value *v, bool constant) {
    if (!v || (constant && !fzi_is_constant(v))) return false;
    return fzi_shape_known(&v->t) && fzi_tensor_count(&v->t) == 1;
}

/* A DequantizeLinear of bytes with one scale. */
struct fz_node *fzi_qdq_scalar(const struct fz_value *v) {
    struct fz_node *dq = fzi_pass_from(v, "DequantizeLinear");
    if (!dq || (dq->in[0]->t.dtype != FZ_TYPE_U8 && dq->in[0]->t.dtype != FZ_TYPE_I8)) return NULL;
    if (dq->in[1]->t.dtype != FZ_TYPE_F32 || !is_one(dq->in[1], true)) return NULL;
    return !fzi_in(dq, 2) || is_one(dq->in[2], true) ? dq : NULL;
}

/* A DequantizeLinear of constant bytes with one scale, or N of them along AXIS. */
static struct fz_node *weight_dq(const struct fz_value *v, int64_t axis, int64_t n) {
    struct fz_node *dq = fzi_pass_from(v, "DequantizeLinear");
    int64_t own, block;
    if (!dq || !fzi_is_constant(dq->in[0]) || !fzi_is_constant(dq->in[1])) return NULL;
    if (dq->in[0]->t.dtype != FZ_TYPE_U8 && dq->in[0]->t.dtype != FZ_TYPE_I8) return NULL;
    if (dq->in[1]->t.dtype != FZ_TYPE_F32) return NULL;
    if (fzi_in(dq, 2) && !fzi_is_constant(dq->in[2])) return NULL;
    if (fzi_attr_int(dq, "axis", 1, &own) != FZ_OK ||
        fzi_attr_int(dq, "block_size", 0, &block) != FZ_OK || block)
        return NULL;
    if (own < 0) own += dq->in[0]->t.rank;
    int64_t count = fzi_tensor_count(&dq->in[1]->t);
    return count == 1 || (own == axis && count == n && dq->in[1]->t.rank == 1) ? dq : NULL;
}

/* A constant of one or N elements as a scalar or a row. */
static struct fz_value *as_row(struct fz_graph *graph, struct fz_value *v) {
    if (!v || v->t.rank == 0) return v;
    fz_tensor_t t = v->t;
    int64_t n = fzi_tensor_count(&t);
    fzi_shape_set(&t, n == 1 ? 0 : 1, &n);
    return fzi_graph_constant(graph, v->name, &t);
}

void fzi_qdq_take_over(struct fz_pass *pass, struct fz_graph *graph, struct fz_value *old_value,
                       struct fz_value *new_value) {
    struct fz_node *reader = old_value->reader;
    new_value->n_uses = old_value->n_uses;
    fzi_pass_replace(pass, graph, old_value, new_value);
    new_value->reader = reader;
}

/* A zero point of DTYPE: V, or 0. */
static struct fz_value *zero_or(struct fz_graph *graph, struct fz_value *v, int32_t dtype) {
    return v ? as_row(graph, v) : fzi_graph_new_constant(graph, "zero", dtype, 0, NULL);
}

/* ---- products */

struct product {
    struct fz_node *x, *w;     /* DequantizeLinear nodes */
    struct fz_value *bias;     /* the node's own, or NULL */
    struct fz_node *bias_dq;   /* of int32 at the scale of the sums, or NULL */
    int64_t n;
    bool conv, trans;
};

/* A bias that is stored as int32 at exactly the scale of the sums. */
static bool is_exact_bias(const struct product *p, const struct fz_node *dq) {
    const struct fz_value *q = dq->in[0], *s = dq->in[1];
    if (!fzi_is_constant(q) || !fzi_is_constant(s) || q->t.dtype != FZ_TYPE_I32 ||
        q->t.rank != 1 || q->t.dims[0] != p->n || s->t.dtype != FZ_TYPE_F32)
        return false;
    const float *scale = s->t.data, *w = p->w->in[1]->t.data;
    float x = *(const float *)p->x->in[1]->t.data;
    int64_t n_s = fzi_tensor_count(&s->t), n_w = fzi_tensor_count(&p->w->in[1]->t);
    for (int64_t i = 0; i < p->n; i++) {
        float product = x * w[n_w > 1 ? i : 0];
        if (scale[n_s > 1 ? i : 0] != product) return false;
        if (fzi_in(dq, 2) &&
            fzi_tensor_int(&dq->in[2]->t, fzi_tensor_count(&dq->in[2]->t) > 1 ? i : 0))
            return false;
    }
    return true;
}

/* Sums that might leave 32 bits stay real. */
static bool fits(const struct fz_node *node, const struct product *p) {
    int64_t k = p->n > 0 ? fzi_tensor_count(&p->w->in[0]->t) / p->n : 0;
    return fzi_integer_depth(node->op, p->x->in[0]->t.dtype, p->w->in[0]->t.dtype, k) == FZ_OK;
}

static bool recognise(const struct fz_node *node, struct product *p) {
    bool gemm = fzi_pass_is(node, "Gemm"), matmul = fzi_pass_is(node, "MatMul");
    int64_t trans_a = 0, trans_b = 0;
    double alpha = 1, beta = 1;
    *p = (struct product){.conv = fzi_pass_is(node, "Conv")};
    if (!p->conv && !gemm && !matmul) return false;
    if (gemm && (fzi_attr_int(node, "transA", 0, &trans_a) != FZ_OK ||
                 fzi_attr_int(node, "transB", 0, &trans_b) != FZ_OK ||
                 fzi_attr_float(node, "alpha", 1, &alpha) != FZ_OK ||
                 fzi_attr_float(node, "beta", 1, &beta) != FZ_OK || trans_a || alpha != 1 ||
                 beta != 1))
        return false;
    const fz_tensor_t *w = &node->in[1]->t;
    if (p->conv ? w->rank < 3 || w->rank > 4 : w->rank != 2) return false;
    p->trans = trans_b != 0;
    int64_t axis = p->conv || p->trans ? 0 : 1;
    p->n = w->dims[axis];
    p->x = fzi_qdq_scalar(node->in[0]);
    p->w = p->x ? weight_dq(node->in[1], axis, p->n) : NULL;
    p->bias = fzi_in(node, 2);
    struct fz_node *dq = fzi_pass_from(p->bias, "DequantizeLinear");
    if (p->w && dq && is_exact_bias(p, dq)) p->bias_dq = dq;
    return p->w != NULL && fits(node, p);
}

/* The activation's clamp on quantised numbers: rounding is monotone, so the order of the two does
 * not matter. */
static bool clamp(const struct fz_node *act, const struct fz_node *q, int64_t *low,
                  int64_t *high) {
    double a = 0, b = __builtin_inf();
    float scale = *(const float *)q->in[1]->t.data;
    int32_t dtype = q->out[0]->t.dtype;
    int64_t zero = fzi_in(q, 2) ? fzi_tensor_int(&q->in[2]->t, 0) : 0;
    *low = fzi_quant_low(dtype);
    *high = fzi_quant_high(dtype);
    if (!act) return true;
    if (fzi_pass_is(act, "Clip")) {
        a = -b;
        if (fzi_in(act, 1) && !fzi_pass_scalar(act->in[1], &a)) return false;
        if (fzi_in(act, 2) && !fzi_pass_scalar(act->in[2], &b)) return false;
        if (fzi_attr(act, "min") || fzi_attr(act, "max")) return false;
    }
    int64_t type_low = *low, type_high = *high;
    *low = fzi_quant_round((float)a, scale, zero, type_low, type_high);
    *high = fzi_quant_round((float)b, scale, zero, type_low, type_high);
    return *low <= *high;
}

bool fzi_qdq_quantises(const struct fz_node *q) {
    if (!fzi_pass_is(q, "QuantizeLinear") || !is_one(q->in[1], true)) return false;
    if (fzi_in(q, 2) && !is_one(q->in[2], true)) return false;
    int32_t dtype = q->out[0]->t.dtype;
    return dtype == FZ_TYPE_U8 || dtype == FZ_TYPE_I8;
}

/* The QuantizeLinear that ends the chain behind V, through *ACT if there is one; or NULL. */
static struct fz_node *ending(const struct fz_value *v, struct fz_node **act) {
    struct fz_node *q = reader(v);
    *act = NULL;
    if (fzi_pass_is(q, "Relu") || fzi_pass_is(q, "Clip")) {
        *act = q;
        q = q->in[0] == v ? reader(q->out[0]) : NULL;
    }
    return fzi_qdq_quantises(q) ? q : NULL;
}

/* The weights of a Gemm with transB, as MatMul has them. */
static struct fz_value *untransposed(struct fz_graph *graph, struct fz_value *w) {
    int64_t dims[] = {w->t.dims[1], w->t.dims[0]};
    struct fz_value *t = fzi_graph_new_constant(graph, w->name, w->t.dtype, 2, dims);
    for (int64_t i = 0; t && i < dims[0]; i++)
        for (int64_t j = 0; j < dims[1]; j++)
            ((uint8_t *)t->t.data)[i * dims[1] + j] =
                ((const uint8_t *)w->t.data)[j * dims[0] + i];
    return t;
}

static fz_status_t put_qlinear(struct fz_pass *pass, struct fz_graph *graph,
                               struct fz_node *node, const struct product *p,
                               struct fz_value *w, struct fz_node *q, int64_t low, int64_t high) {
    int32_t y = q->out[0]->t.dtype;
    struct fz_value *in[] = {p->x->in[0], as_row(graph, p->x->in[1]),
                             zero_or(graph, fzi_in(p->x, 2), p->x->in[0]->t.dtype),
                             w, as_row(graph, p->w->in[1]),
                             zero_or(graph, fzi_in(p->w, 2), w->t.dtype),
                             as_row(graph, q->in[1]), zero_or(graph, fzi_in(q, 2), y),
                             p->bias_dq ? p->bias_dq->in[0] : NULL};
    struct fz_attr attrs[16] = {FZ_INT("act_low", low), FZ_INT("act_high", high)};
    uint32_t n = 2;
    for (uint32_t i = 0; p->conv && i < node->n_attrs && n < 16; i++) attrs[n++] = node->attrs[i];
    struct fz_node *made =
        p->conv ? fzi_pass_make(pass, graph, q, "", "QLinearConv", node->name, attrs, n, in, 9, 1)
                : fzi_pass_make(pass, graph, q, "frozen", "QLinearGemm", node->name, attrs, n, in,
                                9, 1);
    if (!made) return FZ_E_NOMEM;
    FZ_TRY(fzi_pass_infer_node(graph, made));
    fzi_qdq_take_over(pass, graph, q->out[0], made->out[0]);
    fzi_graph_remove(graph, q);
    return FZ_OK;
}

static fz_status_t put_float(struct fz_pass *pass, struct fz_graph *graph, struct fz_node *node,
                             const struct product *p, struct fz_value *w) {
    bool row = p->bias && fzi_is_constant(p->bias) && p->bias->t.rank == 1 &&
               p->bias->t.dims[0] == p->n;
    if (p->bias && !p->bias_dq && !row) return FZ_OK;
    struct fz_value *bias = p->bias;
    struct fz_value *in[] = {p->x->in[0], w, as_row(graph, p->x->in[1]),
                             as_row(graph, p->w->in[1]), as_row(graph, fzi_in(p->x, 2)),
                             as_row(graph, fzi_in(p->w, 2)), bias};
    uint32_t n_attrs = p->conv ? node->n_attrs : 0;
    struct fz_node *made = fzi_pass_make(pass, graph, node, p->conv ? "frozen" : "com.microsoft",
                                         p->conv ? "ConvIntegerToFloat" : "MatMulIntegerToFloat",
                                         node->name, node->attrs, n_attrs, in, 7, 1);
    if (!made) return FZ_E_NOMEM;
    FZ_TRY(fzi_pass_infer_node(graph, made));
    fzi_qdq_take_over(pass, graph, node->out[0], made->out[0]);
    fzi_graph_remove(graph, node);
    return FZ_OK;
}

static fz_status_t visit_product(struct fz_pass *pass, struct fz_graph *graph,
                                 struct fz_node *node) {
    struct product p;
    struct fz_node *act;
    int64_t low, high;
    if (!recognise(node, &p)) return FZ_OK;
    struct fz_value *w = p.trans ? untransposed(graph, p.w->in[0]) : p.w->in[0];
    if (!w) return fzi_error(FZ_E_NOMEM, "no memory for weights");
    struct fz_node *q = ending(node->out[0], &act);
    bool exact = !p.bias || p.bias_dq;
    if (q && exact && clamp(act, q, &low, &high))
        return put_qlinear(pass, graph, node, &p, w, q, low, high);
    return put_float(pass, graph, node, &p, w);
}

/* ---- sums and products of two tensors of one shape */

static fz_status_t visit_pair(struct fz_pass *pass, struct fz_graph *graph, struct fz_node *node) {
    struct fz_node *a = fzi_qdq_scalar(node->in[0]), *b = fzi_qdq_scalar(node->in[1]), *act;
    struct fz_node *q = ending(node->out[0], &act);
    int64_t low, high;
    if (!a || !b || !q || !clamp(act, q, &low, &high)) return FZ_OK;
    int32_t dtype = q->out[0]->t.dtype;
    if (a->in[0]->t.dtype != dtype || b->in[0]->t.dtype != dtype) return FZ_OK;
    if (!fzi_shape_equal(&a->in[0]->t, &b->in[0]->t)) return FZ_OK;
    struct fz_node *dq[] = {a, b, q};
    int64_t zero[3];
    float scale[3];
    for (int i = 0; i < 3; i++) {
        zero[i] = fzi_in(dq[i], 2) ? fzi_tensor_int(&dq[i]->in[2]->t, 0) : 0;
        scale[i] = *(const float *)dq[i]->in[1]->t.data;
    }
    struct fz_attr attrs[] = {
        FZ_INT("signed", dtype == FZ_TYPE_I8), FZ_INT("za", zero[0]), FZ_INT("zb", zero[1]),
        FZ_INT("zc", zero[2]), FZ_INT("low", low), FZ_INT("high", high),
        FZ_FLOAT("sa", scale[0]), FZ_FLOAT("sb", scale[1]), FZ_FLOAT("sc", scale[2])};
    struct fz_value *in[] = {a->in[0], b->in[0]};
    const char *name = fzi_pass_is(node, "Add") ? "QAdd" : "QMul";
    struct fz_node *made = fzi_pass_make(pass, graph, q, "frozen", name, node->name, attrs,
                                         FZ_COUNT(attrs), in, 2, 1);
    if (!made) return FZ_E_NOMEM;
    FZ_TRY(fzi_pass_infer_node(graph, made));
    fzi_qdq_take_over(pass, graph, q->out[0], made->out[0]);
    fzi_graph_remove(graph, q);
    return FZ_OK;
}

bool fzi_qdq_is_function(const struct fz_node *node) {
    return node->op->domain[0] == 0 && node->n_in == 1 && node->n_out == 1 && node->out[0] &&
           node->op->flags & FZ_OP_IN_PLACE && !(node->op->flags & FZ_OP_VIEW) &&
           node->out[0]->t.dtype == FZ_TYPE_F32;
}

/* ---- operators that only move or select numbers */

static bool selects(const struct fz_node *node) {
    static const char *const names[] = {"MaxPool", "Reshape", "Flatten", "Transpose", "Squeeze",
                                        "Unsqueeze", "Slice", "Concat", "Resize", NULL};
    if (fzi_out(node, 1)) return false;
    if (fzi_pass_is(node, "Resize")) {
        const struct fz_attr *mode = fzi_attr(node, "mode");
        return (!mode || strcmp(mode->s, "nearest") == 0) && !fzi_attr(node, "extrapolation_value");
    }
    for (int i = 0; names[i]; i++)
        if (fzi_pass_is(node, names[i])) return true;
    return false;
}

static bool same_scale(const struct fz_node *a, const struct fz_node *b) {
    struct fz_value *za = fzi_in(a, 2), *zb = fzi_in(b, 2);
    double x, y;
    if (!fzi_pass_scalar(a->in[1], &x) || !fzi_pass_scalar(b->in[1], &y) || x != y) return false;
    int64_t i = za ? fzi_tensor_int(&za->t, 0) : 0, j = zb ? fzi_tensor_int(&zb->t, 0) : 0;
    return i == j;
}

static fz_status_t visit_selection(struct fz_pass *pass, struct fz_graph *graph,
                                   struct fz_node *node) {
    struct fz_node *act, *q = ending(node->out[0], &act);
    uint32_t n_data = fzi_pass_is(node, "Concat") ? node->n_in : 1;
    if (!q || act) return FZ_OK;
    struct fz_value **in = fzi_arena_array(graph->arena, node->n_in, sizeof *in);
    if (!in) return fzi_error(FZ_E_NOMEM, "no memory for a node");
    for (uint32_t i = 0; i < n_data; i++)
        if (!fzi_qdq_scalar(node->in[i])) return FZ_OK;
    /* The largest number has the largest byte only where bytes rise with numbers. */
    if (fzi_pass_is(node, "MaxPool") && !(*(const float *)q->in[1]->t.data > 0)) return FZ_OK;
    for (uint32_t i = 0; i < node->n_in; i++) {
        struct fz_node *dq = i < n_data ? fzi_qdq_scalar(node->in[i]) : NULL;
        in[i] = dq ? dq->in[0] : node->in[i];
        if (!dq || (same_scale(dq, q) && dq->in[0]->t.dtype == q->out[0]->t.dtype)) continue;
        FZ_TRY(fzi_qdq_requantise(pass, graph, dq, q, node, &in[i]));
        if (!in[i]) return FZ_OK;
    }
    struct fz_node *made = fzi_pass_copy(pass, graph, node, node, in, NULL);
    if (!made) return FZ_E_NOMEM;
    for (uint32_t i = 1; i < made->n_out; i++) made->out[i] = NULL;
    FZ_TRY(fzi_pass_infer_node(graph, made));
    fzi_qdq_take_over(pass, graph, q->out[0], made->out[0]);
    fzi_graph_remove(graph, q);
    return FZ_OK;
}

/* Of a large table only the rows that are taken become numbers; a small one is made of numbers when
 * it is folded. */
static fz_status_t visit_gather(struct fz_pass *pass, struct fz_graph *graph,
                                struct fz_node *node) {
    enum { SMALL_TABLE = 16384 };
    struct fz_node *dq = fzi_qdq_scalar(node->in[0]);
    if (!dq || !fzi_is_constant(dq->in[0]) || dq->in[0]->t.size <= SMALL_TABLE) return FZ_OK;
    struct fz_value *taken[] = {dq->in[0], node->in[1]};
    struct fz_node *gather = fzi_pass_copy(pass, graph, node, node, taken, NULL);
    if (!gather) return FZ_E_NOMEM;
    FZ_TRY(fzi_pass_infer_node(graph, gather));
    struct fz_value *bytes[] = {gather->out[0], dq->in[1], fzi_in(dq, 2)};
    struct fz_node *made = fzi_pass_copy(pass, graph, node, dq, bytes, NULL);
    if (!made) return FZ_E_NOMEM;
    FZ_TRY(fzi_pass_infer_node(graph, made));
    fzi_qdq_take_over(pass, graph, node->out[0], made->out[0]);
    fzi_graph_remove(graph, node);
    return FZ_OK;
}

fz_status_t fzi_pass_qdq(struct fz_pass *pass, struct fz_graph *graph) {
    if (pass->options->flags & FZ_FREEZE_LITERAL_QDQ) {
        pass->quantised = true;
        return FZ_OK;
    }
    for (struct fz_node *node = graph->first, *next; node; node = next) {
        next = node->next;
        if (fzi_qdq_quantises(node)) FZ_TRY(fzi_qdq_table(pass, graph, node));
    }
    fzi_graph_count_uses(pass->graph);
    for (struct fz_node *node = graph->first, *next; node; node = next) {
        next = node->next;
        if (selects(node)) FZ_TRY(visit_selection(pass, graph, node));
        else if (fzi_pass_is(node, "Gather")) FZ_TRY(visit_gather(pass, graph, node));
        else if (fzi_pass_is(node, "Add") || fzi_pass_is(node, "Mul"))
            FZ_TRY(visit_pair(pass, graph, node));
        else FZ_TRY(visit_product(pass, graph, node));
        /* The visit may have taken the next node away, or NODE itself, never both. */
        if (node->next) next = node->next;
    }
    if (!graph->parent) pass->quantised = true;
    return FZ_OK;
}
