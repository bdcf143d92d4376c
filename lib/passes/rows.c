/* A range for each row: DynamicQuantizeLinear, whose numbers only integer products read, becomes
 * frozen.DynamicQuantizeRows, and the products their forms with a scale and a zero point per row. A
 * row is what a product takes as one: in a matrix product all dimensions but the last index rows,
 * in a convolution each image is one. Then a row of a batch has the bits that it has alone.
 *
 * Where anything else reads a range it must stay one number; with that, the promise cannot be kept,
 * and freezing is refused. */
#include "passes/passes.h"

#include "ops/integer.h"

/* How many of X's leading dimensions index the rows of NODE, a product of DQ's numbers that needs
 * nothing else of it; 0 if it is none, or x is one row. */
static int32_t rows_of(const struct fz_node *node, const struct fz_node *dq) {
    bool conv = fzi_pass_is_frozen(node, "ConvIntegerToFloat");
    bool matmul = node->op && strcmp(node->op->name, "MatMulIntegerToFloat") == 0;
    if (!conv && !matmul) return 0;
    const struct fz_integer_inputs *at =
        conv ? &fzi_conv_inputs[node->op->kind] : &fzi_matmul_inputs[node->op->kind];
    if (fzi_in(node, (uint32_t)at->x) != dq->out[0] ||
        fzi_in(node, (uint32_t)at->x_scale) != dq->out[1] ||
        fzi_in(node, (uint32_t)at->x_zero) != dq->out[2] || node->in[at->x]->t.rank < 1)
        return 0;
    return conv ? 1 : node->in[at->x]->t.rank - 1;
}

static bool reads(const struct fz_node *node, const struct fz_node *dq) {
    for (uint32_t i = 0; i < node->n_in; i++)
        for (uint32_t o = 0; o < dq->n_out; o++)
            if (node->in[i] && node->in[i] == dq->out[o]) return true;
    return false;
}

/* The first node of GRAPH and its subgraphs that reads DQ otherwise than as a product of OUTER
 * dimensions of rows; NULL: none. *N counts the products. */
static const struct fz_node *hindrance(const struct fz_graph *graph, const struct fz_node *dq,
                                       int32_t outer, uint32_t *n) {
    for (const struct fz_node *node = graph->first; node; node = node->next) {
        bool own = graph == dq->out[0]->graph;
        if (reads(node, dq)) {
            if (!own || !outer || rows_of(node, dq) != outer) return node;
            ++*n;
        }
        for (uint32_t i = 0; i < node->n_sub; i++) {
            const struct fz_node *inner = hindrance(node->sub[i], dq, outer, n);
            if (inner) return inner;
        }
    }
    return NULL;
}

/* The dimensions of rows of the first product of DQ; 0: none. */
static int32_t outer_of(const struct fz_graph *graph, const struct fz_node *dq) {
    for (const struct fz_node *node = graph->first; node; node = node->next)
        if (rows_of(node, dq)) return rows_of(node, dq);
    return 0;
}

/* x is a vector: its product has one row, and the range is that row's. */
static bool is_one_row(const struct fz_node *dq) { return dq->in[0]->t.rank == 1; }

static fz_status_t replace_product(struct fz_pass *pass, struct fz_graph *graph,
                                   struct fz_node *node, struct fz_node *made) {
    bool conv = fzi_pass_is_frozen(node, "ConvIntegerToFloat");
    const struct fz_integer_inputs *at =
        conv ? &fzi_conv_inputs[FZ_INTEGER_ROWS] : &fzi_matmul_inputs[FZ_INTEGER_ROWS];
    struct fz_value *in[7] = {0};
    for (uint32_t i = 0; i < node->n_in && i < 7; i++) in[i] = node->in[i];
    in[at->x] = made->out[0];
    in[at->x_scale] = made->out[1];
    in[at->x_zero] = made->out[2];
    struct fz_node *rows = fzi_pass_make(pass, graph, node, "frozen",
                                         conv ? "ConvIntegerRows" : "MatMulIntegerRows",
                                         node->name, node->attrs, node->n_attrs, in, 7, 1);
    if (!rows) return FZ_E_NOMEM;
    FZ_TRY(fzi_pass_infer_node(graph, rows));
    fzi_pass_replace(pass, graph, node->out[0], rows->out[0]);
    fzi_graph_remove(graph, node);
    return FZ_OK;
}

/* *NEXT is then the node behind the one that was made. */
static fz_status_t replace(struct fz_pass *pass, struct fz_graph *graph, struct fz_node *dq,
                           int32_t outer, struct fz_node **next) {
    struct fz_attr attr = FZ_INT("outer", outer);
    struct fz_node *made = fzi_pass_make(pass, graph, dq, "frozen", "DynamicQuantizeRows",
                                         dq->name, &attr, 1, dq->in, 1, 3);
    if (!made) return FZ_E_NOMEM;
    FZ_TRY(fzi_pass_infer_node(graph, made));
    for (int i = 0; i < 3; i++) made->out[i]->name = dq->out[i]->name;
    for (struct fz_node *node = dq->next, *behind; node; node = behind) {
        behind = node->next;
        if (reads(node, dq)) FZ_TRY(replace_product(pass, graph, node, made));
    }
    fzi_graph_remove(graph, dq);
    *next = made->next;
    return FZ_OK;
}

static void complain(struct fz_text *text, const struct fz_node *dq, const struct fz_node *by) {
    const char *more = text->size ? "; " : "";
    if (by)
        fzi_text_add(text, "%s'%s' is read by '%s' (%s)", more, dq->name, by->name, by->op->name);
    else fzi_text_add(text, "%s'%s' is a graph output", more, dq->name);
}

static fz_status_t visit(struct fz_pass *pass, struct fz_graph *graph, struct fz_node *dq,
                         struct fz_text *bad, struct fz_node **next) {
    int32_t outer = outer_of(graph, dq);
    uint32_t n = 0;
    const struct fz_node *by = hindrance(graph, dq, outer, &n);
    bool whole = true; /* no graph gives one of the three to somebody else */
    for (int i = 0; i < 3; i++) whole = whole && dq->out[i] && dq->out[i]->n_uses == n;
    if (is_one_row(dq)) return FZ_OK;
    if (by || !whole) complain(bad, dq, by);
    else if (outer) return replace(pass, graph, dq, outer, next);
    return FZ_OK;
}

fz_status_t fzi_pass_rows(struct fz_pass *pass, struct fz_graph *graph) {
    struct fz_text bad = {0};
    fz_status_t status = FZ_OK;
    FZ_TRY(fzi_pass_clean(pass, graph)); /* what the products were is gone */
    for (struct fz_node *node = graph->first, *next; node && status == FZ_OK; node = next) {
        next = node->next;
        if (fzi_pass_is(node, "DynamicQuantizeLinear"))
            status = visit(pass, graph, node, &bad, &next);
    }
    if (status == FZ_OK && bad.size)
        status = fzi_error(FZ_E_UNSUPPORTED,
                           "a range per row is not possible: DynamicQuantizeLinear %s, where only "
                           "integer products with constant weights, scaled to float, can be",
                           bad.data ? bad.data : "");
    fzi_text_free(&bad);
    return status;
}
