/* Dynamic quantisation: DynamicQuantizeLinear, an integer product, Cast, Mul by the product of the
 * scales, Add of the bias. Its form is the one that freezing makes one step of. */
#include "quantize/quantizer.h"

static fz_status_t no_memory(void) { return fzi_error(FZ_E_NOMEM, "no memory to quantise"); }

static bool is(const struct fz_node *node, const char *type) {
    return strcmp(node->type, type) == 0 && !*node->domain;
}

struct site {
    struct fz_quantizer *q;
    struct fz_stage *stage;
    struct fz_node *node;     /* the layer */
    struct fz_node *quantise; /* what makes its activation's numbers, scale and zero point */
};

static char *text(const struct site *at, const char *name, const char *what) {
    return fzi_arena_format(&at->stage->arena, "%s_%s", name, what);
}

static struct fz_node *make(const struct site *at, const char *type, const char *what,
                            struct fz_value *a, struct fz_value *b) {
    char *name = text(at, at->node->out[0]->name, what);
    struct fz_node *node = name ? fzi_stage_node(at->q, at->stage, at->node, type, name, b ? 2 : 1,
                                                 name) : NULL;
    if (!node) return NULL;
    node->in[0] = a;
    if (b) node->in[1] = b;
    return node;
}

/* One for each value, before its first reader; the value's note remembers it. */
static fz_status_t quantise_input(struct site *at) {
    struct fz_value *x = at->node->in[0];
    at->quantise = x->note;
    if (at->quantise) return FZ_OK;
    char *label = text(at, x->name, "DynamicQuantizeLinear");
    char *name = text(at, x->name, "quantized");
    char *scale = text(at, x->name, "scale"), *zero = text(at, x->name, "zero_point");
    if (!label || !name || !scale || !zero) return no_memory();
    struct fz_node *node = fzi_graph_node(at->stage->graph, at->node,
                                          fzi_op_find("", "DynamicQuantizeLinear", at->q->opset),
                                          label, 1, 3);
    if (!node || !fzi_node_output(at->stage->graph, node, 0, name) ||
        !fzi_node_output(at->stage->graph, node, 1, scale) ||
        !fzi_node_output(at->stage->graph, node, 2, zero))
        return no_memory();
    node->type = "DynamicQuantizeLinear";
    node->domain = "";
    node->opset = at->q->opset;
    node->in[0] = x;
    x->note = at->quantise = node;
    return FZ_OK;
}

/* The numbers of a Gemm with transB as a MatMul takes them. */
static struct fz_value *transposed(const struct site *at, const struct fz_value *v) {
    int64_t dims[2] = {v->t.dims[1], v->t.dims[0]};
    struct fz_value *t = fzi_stage_constant(at->stage, v->name, FZ_TYPE_I8, 2, dims);
    for (int64_t k = 0; t && k < dims[0]; k++)
        for (int64_t n = 0; n < dims[1]; n++)
            ((int8_t *)t->t.data)[k * dims[1] + n] = ((const int8_t *)v->t.data)[n * dims[0] + k];
    return t;
}

/* A convolution's bias as one number for each channel of an image. */
static struct fz_value *as_channels(const struct site *at, const struct fz_value *b) {
    int64_t dims[FZ_RANK_MAX] = {1, b->t.dims[0], 1, 1, 1, 1, 1, 1};
    struct fz_value *v = fzi_stage_constant(at->stage, b->name, FZ_TYPE_F32,
                                            at->node->in[1]->t.rank, dims);
    if (v) memcpy(v->t.data, b->t.data, b->t.size);
    return v;
}

/* The product of integers, scaled. */
static struct fz_node *multiply(const struct site *at, struct fz_value *numbers,
                                struct fz_value *scales) {
    bool conv = is(at->node, "Conv");
    char *name = text(at, at->node->out[0]->name, "integer");
    struct fz_node *product =
        name ? fzi_stage_node(at->q, at->stage, at->node, conv ? "ConvInteger" : "MatMulInteger",
                              name, 3, name) : NULL;
    if (!product) return NULL;
    product->in[0] = at->quantise->out[0];
    product->in[1] = numbers;
    product->in[2] = at->quantise->out[2];
    if (conv) {
        product->attrs = at->node->attrs;
        product->n_attrs = at->node->n_attrs;
    }
    struct fz_node *cast = make(at, "Cast", "real", product->out[0], NULL);
    struct fz_node *scale = cast ? make(at, "Mul", "scales", at->quantise->out[1], scales) : NULL;
    if (!scale || fzi_stage_attr(at->stage, cast, "to", FZ_TYPE_F32) != FZ_OK) return NULL;
    return make(at, "Mul", "scaled", cast->out[0], scale->out[0]);
}

/* NODE's result takes the place of the layer's. */
static void take_over(const struct site *at, struct fz_node *node) {
    struct fz_value *result = at->node->out[0];
    fzi_graph_remove(at->stage->graph, at->node);
    node->out[0] = result;
    result->producer = node;
}

static fz_status_t replace(struct site *at) {
    struct fz_value *numbers, *scales, *bias = fzi_in(at->node, 2);
    bool conv = is(at->node, "Conv");
    int32_t axis = fzi_weight_axis(at->node);
    FZ_TRY(quantise_input(at));
    FZ_TRY(fzi_weight_int8(at->stage, at->node->in[1], axis, NULL, 1, conv, &numbers, &scales));
    if (!conv && axis == 0 && !(numbers = transposed(at, numbers))) return no_memory();
    struct fz_node *last = multiply(at, numbers, scales);
    if (last && bias) {
        if (conv && !(bias = as_channels(at, bias))) return no_memory();
        last = make(at, "Add", "biased", last->out[0], bias);
    }
    if (!last) return no_memory();
    take_over(at, last);
    return FZ_OK;
}

static bool can_replace(const struct fz_node *node) {
    const struct fz_value *bias = fzi_in(node, 2);
    return !is(node, "Conv") || !bias || (fzi_is_constant(bias) && bias->t.dtype == FZ_TYPE_F32);
}

fz_status_t fzi_quantize_dynamic(struct fz_quantizer *q, struct fz_stage *stage) {
    struct fz_graph *g = stage->graph;
    for (struct fz_node *node = g->first; node; node = node->next)
        for (uint32_t i = 0; i < node->n_in; i++)
            if (node->in[i]) node->in[i]->note = NULL;
    for (struct fz_node *node = g->first, *next; node; node = next) {
        next = node->next;
        struct site at = {q, stage, node, NULL};
        if (fzi_layer_of(q, node) && can_replace(node)) FZ_TRY(replace(&at));
    }
    return FZ_OK;
}
