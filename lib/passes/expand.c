/* FlexAttention becomes the nodes that it stands for, its subgraphs among them, as soon as the
 * types of its inputs are known, and BatchNormalization in training an operator of its own:
 * everything after works on plain nodes. */
#include "passes/passes.h"

struct expansion {
    struct fz_pass *pass;
    struct fz_graph *graph;
    struct fz_node *node;
};

/* The value behind node NAME of DOMAIN that reads IN; NULL with the thread's error set. */
static struct fz_value *make(const struct expansion *x, const char *domain, const char *name,
                             const struct fz_attr *attr, uint32_t n_attrs,
                             struct fz_value *const *in, uint32_t n_in) {
    struct fz_node *made = fzi_pass_make(x->pass, x->graph, x->node, domain, name, x->node->name,
                                         attr, n_attrs, in, n_in, 1);
    return made ? made->out[0] : NULL;
}

static struct fz_value *cast(const struct expansion *x, struct fz_value *v, int32_t from,
                             int32_t to) {
    struct fz_attr attr = FZ_INT("to", to);
    return from == to || !v ? v : make(x, "", "Cast", &attr, 1, &v, 1);
}

/* Subgraph NAME, if there is one, with its nodes moved in front of the node and V for its input. */
static fz_status_t inline_graph(const struct expansion *x, const char *name, struct fz_value **v) {
    const struct fz_attr *attr = fzi_attr(x->node, name);
    if (!attr) return FZ_OK;
    if (attr->kind != FZ_ATTR_GRAPH)
        return fzi_error(FZ_E_FORMAT, "attribute '%s' is no graph", name);
    struct fz_graph *sub = attr->graphs[0];
    if (sub->n_inputs != 1 || sub->n_outputs != 1)
        return fzi_error(FZ_E_FORMAT, "graph '%s' has not one input and one output", name);
    fzi_graph_replace(sub, sub->inputs[0], *v);
    for (struct fz_node *inner = sub->first, *next; inner; inner = next) {
        next = inner->next;
        fzi_graph_adopt(x->graph, inner, sub, x->node);
    }
    *v = sub->outputs[0];
    return FZ_OK;
}

/* The type that the softmax works in. */
static fz_status_t precision(const struct fz_node *node, int32_t dtype, int32_t *out) {
    int64_t given;
    FZ_TRY(fzi_attr_int(node, "softmax_precision", dtype == FZ_TYPE_F64 ? FZ_TYPE_F64 : FZ_TYPE_F32,
                        &given));
    if (given < 1 || given > 63 || !(FZ_T_FLOAT >> given & 1))
        return fzi_error(FZ_E_UNSUPPORTED, "softmax_precision %lld is no float type",
                         (long long)given);
    *out = (int32_t)given;
    return FZ_OK;
}

static int32_t wide(int32_t dtype) { return dtype == FZ_TYPE_F64 ? FZ_TYPE_F64 : FZ_TYPE_F32; }

static fz_status_t expand(const struct expansion *x, struct fz_value **out) {
    struct fz_node *node = x->node;
    int32_t dtype = node->in[0]->t.dtype, soft = dtype;
    const struct fz_attr *scale = fzi_attr(node, "scale");
    struct fz_attr axis = FZ_INT("axis", -1);
    for (uint32_t i = 0; i < 3; i++)
        if (node->in[i]->t.dtype != dtype || dtype < 1 || dtype > 63 || !(FZ_T_FLOAT >> dtype & 1))
            return fzi_error(FZ_E_TYPE, "%s: input %u cannot be %s", node->op->name, i,
                             fz_type_name(node->in[i]->t.dtype));
    FZ_TRY(precision(node, dtype, &soft));
    struct fz_value *qk[2], *pv[2], *v = NULL;
    for (uint32_t i = 0; i < 2; i++) qk[i] = cast(x, node->in[i], dtype, wide(dtype));
    if (qk[0] && qk[1]) v = make(x, "frozen", "FlexScores", scale, scale ? 1 : 0, qk, 2);
    v = cast(x, v, wide(dtype), soft);
    if (!v) return FZ_E_NOMEM;
    FZ_TRY(inline_graph(x, "score_mod", &v));
    v = make(x, "", "Softmax", &axis, 1, &v, 1);
    if (!v) return FZ_E_NOMEM;
    FZ_TRY(inline_graph(x, "prob_mod", &v));
    pv[0] = cast(x, v, soft, wide(soft));
    pv[1] = cast(x, node->in[2], dtype, wide(soft));
    if (pv[0] && pv[1]) v = make(x, "frozen", "FlexOutput", NULL, 0, pv, 2);
    *out = pv[0] && pv[1] ? cast(x, v, wide(soft), dtype) : NULL;
    return *out ? FZ_OK : FZ_E_NOMEM;
}

/* True if NODE normalises by the statistics of its own batch. */
static bool trains(const struct fz_node *node) {
    int64_t training = 0, is_test = 0;
    if (!fzi_pass_is(node, "BatchNormalization")) return false;
    if (fzi_attr_int(node, "training_mode", 0, &training) != FZ_OK ||
        fzi_attr_int(node, "is_test", node->op->until == 6 ? 0 : 1, &is_test) != FZ_OK)
        return false;
    for (uint32_t i = 1; i < node->n_out; i++) training |= node->out[i] != NULL;
    return training || !is_test;
}

/* Outputs keep their numbers; before opset 14 there are two more of the batch's own statistics. */
static fz_status_t train(struct fz_pass *pass, struct fz_graph *graph, struct fz_node *node) {
    static const char *const names[] = {"epsilon", "momentum"};
    struct fz_attr attrs[2];
    uint32_t n = 0;
    for (uint32_t i = 0; i < 2; i++)
        if (fzi_attr(node, names[i])) attrs[n++] = *fzi_attr(node, names[i]);
    struct fz_node *made = fzi_pass_make(pass, graph, node, "frozen", "BatchNormalizationTraining",
                                         node->name, attrs, n, node->in, 5, node->n_out);
    if (!made) return FZ_E_NOMEM;
    for (uint32_t i = 0; i < node->n_out; i++) {
        if (node->out[i]) fzi_pass_replace(pass, graph, node->out[i], made->out[i]);
        else made->out[i] = NULL;
    }
    fzi_graph_remove(graph, node);
    return FZ_OK;
}

fz_status_t fzi_pass_expand(struct fz_pass *pass, struct fz_graph *graph, struct fz_node *node,
                            struct fz_node **next) {
    struct expansion x = {pass, graph, node};
    struct fz_node *before = node->prev;
    struct fz_value *out = NULL;
    bool training = trains(node);
    if (!training && strcmp(node->op->name, "FlexAttention") != 0) return FZ_OK;
    fz_status_t status = training ? train(pass, graph, node) : expand(&x, &out);
    if (status != FZ_OK)
        return fzi_error_context(status, "node '%s' (%s, opset %d)", node->name, node->type,
                                 node->opset);
    if (!training) {
        fzi_pass_replace(pass, graph, node->out[0], out);
        fzi_graph_remove(graph, node);
    }
    *next = before ? before->next : graph->first;
    return FZ_OK;
}
