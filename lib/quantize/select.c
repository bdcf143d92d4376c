/* Which nodes are layers that can be quantised, and what the user says about them. */
#include "quantize/quantizer.h"

static fz_status_t no_memory(void) { return fzi_error(FZ_E_NOMEM, "no memory for layers"); }

/* What each kind takes: those in front of the bar unless other types are asked for. */
static const char *const types_of[] = {
    [FZ_QUANTIZE_STATIC] = "Conv Gemm MatMul Add",
    [FZ_QUANTIZE_DYNAMIC] = "Gemm MatMul | Conv",
    [FZ_QUANTIZE_WEIGHTS_INT8] = "Conv ConvTranspose Gemm MatMul LSTM GRU RNN",
    [FZ_QUANTIZE_WEIGHTS_INT4] = "Conv Gemm MatMul",
    [FZ_QUANTIZE_FP16] = "",
};

static bool listed(const char *list, const char *end, const char *name) {
    size_t n = strlen(name);
    for (const char *at = list; at < end && (at = strstr(at, name)) && at < end; at += n)
        if ((at == list || at[-1] == ' ') && (at[n] == 0 || at[n] == ' ')) return true;
    return false;
}

static bool among(const char *const *list, size_t n, const char *name) {
    for (size_t i = 0; i < n; i++)
        if (strcmp(list[i], name) == 0) return true;
    return false;
}

static bool is_type(const struct fz_quantizer *q, const char *type) {
    const fz_quantize_options_t *o = q->options;
    const char *types = types_of[o->kind], *bar = strchr(types, '|');
    if (o->n_op_types) return among(o->op_types, o->n_op_types, type);
    return listed(types, bar ? bar : types + strlen(types), type);
}

static fz_status_t check_types(const struct fz_quantizer *q) {
    const fz_quantize_options_t *o = q->options;
    const char *types = types_of[o->kind];
    for (size_t i = 0; i < o->n_op_types; i++)
        if (!listed(types, types + strlen(types), o->op_types[i]))
            return fzi_error(FZ_E_UNSUPPORTED, "operators of type '%s' cannot be quantised this "
                             "way; %s can", o->op_types[i], types);
    return FZ_OK;
}

static bool is_weights(const struct fz_value *v) {
    if (!fzi_is_constant(v) || v->t.dtype != FZ_TYPE_F32 || !v->t.size) return false;
    const float *w = v->t.data;
    for (int64_t i = 0; i < fzi_tensor_count(&v->t); i++)
        if (!(w[i] <= 3.0e38F && w[i] >= -3.0e38F)) return false;
    return true;
}

static bool is_plain_gemm(const struct fz_node *node) {
    double alpha = 0, beta = 0;
    int64_t trans = 1;
    return fzi_attr_float(node, "alpha", 1, &alpha) == FZ_OK &&
           fzi_attr_float(node, "beta", 1, &beta) == FZ_OK &&
           fzi_attr_int(node, "transA", 0, &trans) == FZ_OK && alpha == 1 && beta == 1 && !trans;
}

static bool is_layer(const struct fz_quantizer *q, const struct fz_node *node) {
    int32_t kind = q->options->kind;
    bool integer = kind == FZ_QUANTIZE_STATIC || kind == FZ_QUANTIZE_DYNAMIC;
    if (*node->domain || strcmp(node->type, "Add") == 0 || !is_type(q, node->type)) return false;
    if (node->n_in < 2 || !is_weights(node->in[1]) || fzi_is_constant(node->in[0])) return false;
    if (node->in[0]->t.dtype != FZ_TYPE_F32) return false;
    if (strcmp(node->type, "MatMul") == 0) return node->in[1]->t.rank == 2;
    if (strcmp(node->type, "Gemm") == 0)
        return node->in[1]->t.rank == 2 && (!integer || is_plain_gemm(node));
    return node->in[1]->t.rank >= 3;
}

static const char *result(const struct fz_node *node) {
    for (uint32_t i = 0; i < node->n_out; i++)
        if (node->out[i]) return node->out[i]->name;
    return node->name;
}

static fz_status_t add_layer(struct fz_quantizer *q, const struct fz_node *node) {
    const fz_quantize_options_t *o = q->options;
    struct fz_layer *layer = &q->layers[q->n_layers];
    bool can = !among(o->exclude, o->n_exclude, node->name) &&
               (!o->n_only || among(o->only, o->n_only, node->name));
    *layer = (struct fz_layer){.name = node->name, .type = node->type, .in = node->in[0]->name,
                               .out = result(node), .can = can,
                               .state = can ? FZ_LAYER_QUANTISED : FZ_LAYER_EXCLUDED,
                               .weights = (uint64_t)fzi_tensor_count(&node->in[1]->t)};
    if (fzi_names_add(&q->arena, &q->layer_names, layer->out, layer) < 0) return no_memory();
    q->n_layers++;
    return FZ_OK;
}

static fz_status_t check_names(const struct fz_quantizer *q, const char *const *names, size_t n) {
    for (size_t i = 0; i < n; i++) {
        bool found = false;
        for (const struct fz_node *node = q->graph->first; node && !found; node = node->next)
            found = strcmp(node->name, names[i]) == 0;
        if (!found) return fzi_error(FZ_E_USAGE, "the model has no node '%s'", names[i]);
    }
    return FZ_OK;
}

static bool is_type_inside(const struct fz_quantizer *q, const struct fz_graph *graph) {
    for (const struct fz_node *node = graph->first; node; node = node->next) {
        if (graph->parent && !*node->domain && is_type(q, node->type)) return true;
        for (uint32_t i = 0; i < node->n_sub; i++)
            if (is_type_inside(q, node->sub[i])) return true;
    }
    return false;
}

static fz_status_t no_layers(const struct fz_quantizer *q) {
    const char *types = types_of[q->options->kind];
    if (is_type_inside(q, q->graph))
        return fzi_error(FZ_E_UNSUPPORTED, "the model has layers only inside of If, Loop or Scan, "
                         "where they stay float: fix the input that chooses a branch, if one does");
    return fzi_error(FZ_E_UNSUPPORTED, "the model has no layer of constant weights among: %s",
                     types);
}

fz_status_t fzi_quantize_select(struct fz_quantizer *q) {
    const fz_quantize_options_t *o = q->options;
    FZ_TRY(check_types(q));
    FZ_TRY(check_names(q, o->exclude, o->n_exclude));
    FZ_TRY(check_names(q, o->only, o->n_only));
    q->layers = fzi_arena_array(&q->arena, q->graph->n_nodes, sizeof *q->layers);
    if (!q->layers) return no_memory();
    for (const struct fz_node *node = q->graph->first; node; node = node->next)
        if (is_layer(q, node)) FZ_TRY(add_layer(q, node));
    if (!q->n_layers && o->kind != FZ_QUANTIZE_FP16) return no_layers(q);
    return FZ_OK;
}

struct fz_layer *fzi_layer_of(struct fz_quantizer *q, const struct fz_node *node) {
    void *found;
    if (!fzi_names_find(&q->layer_names, result(node), &found)) return NULL;
    struct fz_layer *layer = found;
    return strcmp(layer->type, node->type) == 0 && layer->state == FZ_LAYER_QUANTISED ? layer
                                                                                      : NULL;
}
