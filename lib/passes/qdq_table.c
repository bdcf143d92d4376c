/* Functions of one byte: whatever stands between a tensor of bytes and a QuantizeLinear, if it
 * works element by element and reads nothing else but single constants, is a table of 256 results,
 * made by running the nodes themselves. Tables that follow each other become one:
 *
 *   x -> DQ -> Div(c) -> Q -> DQ -> Erf -> Q -> DQ -> Add(1) -> Q ...     QTable(x), QTable(x) ...
 *   x -> DQ -> Sigmoid -> Q -> DQ -> Mul(DQ(x)) -> Q                      QTable(x)
 *
 * What the nodes before are no longer read for goes away as dead. */
#include "passes/passes.h"

#include "ops/quant.h"
#include "passes/qdq.h"

enum { BYTES = 256, NODES_MAX = 48 };

/* One attempt. */
struct trace {
    struct fz_pass *pass;
    struct fz_graph *graph;
    struct fz_value *x; /* the bytes that all comes from */
    int nodes;
    int32_t rank; /* of the constants: more dimensions than x has would be the result's */
    bool good;    /* false: it comes from elsewhere, too */
};

static bool is_byte(const struct fz_value *v) {
    return v->t.dtype == FZ_TYPE_U8 || v->t.dtype == FZ_TYPE_I8;
}

static bool is_elementwise(const struct fz_node *node) {
    static const char *const pairs[] = {"Add", "Sub", "Mul", "Div", "Pow", "Clip", NULL};
    if (node->n_out != 1 || node->out[0]->t.dtype != FZ_TYPE_F32) return false;
    for (int i = 0; pairs[i]; i++)
        if (fzi_pass_is(node, pairs[i])) return true;
    return fzi_qdq_is_function(node);
}

/* The bytes X, or its table's results: the values of all 256. */
static fz_status_t bytes_of(struct trace *t, struct fz_value *v, fz_tensor_t *out) {
    struct fz_node *made = fzi_pass_is_frozen(v->producer, "QTable") ? v->producer : NULL;
    const uint8_t *table = made && fzi_is_constant(made->in[1]) ? made->in[1]->t.data : NULL;
    struct fz_value *x = table ? made->in[0] : v;
    int64_t n = BYTES;
    t->good = t->good && (!t->x || t->x == x);
    t->x = x;
    uint8_t *data = fzi_arena_alloc(t->graph->arena, BYTES);
    if (!data) return fzi_error(FZ_E_NOMEM, "no memory for a table");
    for (int i = 0; i < BYTES; i++) data[i] = table ? table[i] : (uint8_t)i;
    *out = (fz_tensor_t){.dtype = v->t.dtype, .data = data, .size = BYTES};
    fzi_shape_set(out, 1, &n);
    return FZ_OK;
}

static fz_status_t values_of(struct trace *t, struct fz_value *v, fz_tensor_t *out);

/* NODE's results. Its inputs are bytes, what comes of them, or single constants. */
static fz_status_t results_of(struct trace *t, const struct fz_node *node, fz_tensor_t *out) {
    fz_tensor_t in[3];
    const fz_tensor_t *at[3] = {NULL, NULL, NULL};
    t->good = t->good && node->n_in <= 3 && ++t->nodes <= NODES_MAX;
    for (uint32_t i = 0; t->good && i < node->n_in; i++) {
        if (!node->in[i]) continue;
        FZ_TRY(values_of(t, node->in[i], &in[i]));
        at[i] = &in[i];
    }
    if (!t->good) return FZ_OK;
    *out = (fz_tensor_t){0};
    return fzi_op_evaluate(node->op, node->params, at, node->n_in, out, 1, t->graph->arena,
                           t->pass->k);
}

static fz_status_t values_of(struct trace *t, struct fz_value *v, fz_tensor_t *out) {
    struct fz_node *node = v->producer;
    *out = v->t;
    if (fzi_is_constant(v)) {
        t->good = t->good && fzi_tensor_count(&v->t) == 1;
        if (v->t.rank > t->rank) t->rank = v->t.rank;
        fzi_shape_set(out, 0, NULL);
        return FZ_OK;
    }
    if (is_byte(v)) return bytes_of(t, v, out);
    t->good = t->good && node && (fzi_qdq_scalar(v) || is_elementwise(node));
    return t->good ? results_of(t, node, out) : FZ_OK;
}

static bool is_identity(const fz_tensor_t *table) {
    for (int i = 0; i < BYTES; i++)
        if (((const uint8_t *)table->data)[i] != i) return false;
    return true;
}

/* TABLE of the bytes X, before BEFORE. */
static fz_status_t put_table(struct fz_pass *pass, struct fz_graph *graph, struct fz_node *before,
                             struct fz_value *x, const fz_tensor_t *table, struct fz_value **out) {
    struct fz_value *in[] = {x, fzi_graph_constant(graph, before->name, table)};
    if (!in[1]) return fzi_error(FZ_E_NOMEM, "no memory for a table");
    struct fz_node *made =
        fzi_pass_make(pass, graph, before, "frozen", "QTable", before->name, NULL, 0, in, 2, 1);
    if (!made) return FZ_E_NOMEM;
    *out = made->out[0];
    return fzi_pass_infer_node(graph, made);
}

/* The graph's inputs and outputs keep their names: they cannot stand for each other. */
static bool is_output(const struct fz_graph *graph, const struct fz_value *v) {
    for (uint32_t i = 0; i < graph->n_outputs; i++)
        if (graph->outputs[i] == v) return true;
    return false;
}

fz_status_t fzi_qdq_table(struct fz_pass *pass, struct fz_graph *graph, struct fz_node *q) {
    struct trace t = {.pass = pass, .graph = graph, .good = true};
    struct fz_value *made;
    fz_tensor_t table;
    FZ_TRY(results_of(&t, q, &table));
    if (!t.good || !t.x || t.x->graph != graph || t.rank > (t.x->t.rank < 0 ? 0 : t.x->t.rank))
        return FZ_OK;
    bool named = !t.x->producer || is_output(graph, q->out[0]);
    if (table.dtype == t.x->t.dtype && is_identity(&table) && !named) {
        fzi_pass_replace(pass, graph, q->out[0], t.x);
        return FZ_OK;
    }
    FZ_TRY(put_table(pass, graph, q, t.x, &table, &made));
    fzi_qdq_take_over(pass, graph, q->out[0], made);
    fzi_graph_remove(graph, q);
    return FZ_OK;
}

fz_status_t fzi_qdq_requantise(struct fz_pass *pass, struct fz_graph *graph, struct fz_node *dq,
                               const struct fz_node *q, struct fz_node *before,
                               struct fz_value **out) {
    struct trace t = {.pass = pass, .graph = graph, .good = true};
    fz_tensor_t real = {0}, table;
    bool constant = fzi_is_constant(dq->in[0]);
    const fz_tensor_t *own[] = {&dq->in[0]->t, &dq->in[1]->t,
                                fzi_in(dq, 2) ? &dq->in[2]->t : NULL};
    *out = NULL;
    if (constant)
        FZ_TRY(fzi_op_evaluate(dq->op, dq->params, own, dq->n_in, &real, 1, graph->arena, pass->k));
    else FZ_TRY(results_of(&t, dq, &real));
    if (!constant && (!t.good || !t.x)) return FZ_OK;
    const fz_tensor_t *in[] = {&real, &q->in[1]->t, fzi_in(q, 2) ? &q->in[2]->t : NULL};
    table = (fz_tensor_t){0};
    FZ_TRY(fzi_op_evaluate(q->op, q->params, in, q->n_in, &table, 1, graph->arena, pass->k));
    if (!constant) return put_table(pass, graph, before, t.x, &table, out);
    *out = fzi_graph_constant(graph, dq->in[0]->name, &table);
    return *out ? FZ_OK : fzi_error(FZ_E_NOMEM, "no memory for a constant");
}
