/* Nodes of an old opset as nodes of a newer one. Every change of an operator's form or meaning
 * since opset 5 is a row of a table; what has no row has kept both. */
#include "export/export.h"

#include "ops/op.h"

struct raise {
    struct fz_graph *main;
    int32_t opset;
    struct fz_text refused;
};

/* ---- attributes */

static void drop(struct fz_node *node, const char *name) {
    uint32_t n = 0;
    for (uint32_t i = 0; i < node->n_attrs; i++)
        if (strcmp(node->attrs[i].name, name) != 0) node->attrs[n++] = node->attrs[i];
    node->n_attrs = n;
}

/* Replaces the attribute of VALUE's name, or adds it. */
static fz_status_t set(struct fz_graph *graph, struct fz_node *node, struct fz_attr value) {
    drop(node, value.name);
    struct fz_attr *attrs = fzi_arena_array(graph->arena, node->n_attrs + 1, sizeof *attrs);
    if (!attrs) return fzi_error(FZ_E_NOMEM, "no memory for an attribute");
    if (node->n_attrs) memcpy(attrs, node->attrs, node->n_attrs * sizeof *attrs);
    attrs[node->n_attrs++] = value;
    node->attrs = attrs;
    return FZ_OK;
}

static struct fz_attr text_attr(const char *name, const char *text) {
    return (struct fz_attr){.name = name, .kind = FZ_ATTR_STRING, .s = text, .n = strlen(text)};
}

/* Input I becomes a constant of the N elements at DATA; what lowering has put there stays. */
static fz_status_t give(struct fz_graph *graph, struct fz_node *node, uint32_t i, int32_t dtype,
                        int32_t rank, int64_t n, const void *data) {
    if (fzi_in(node, i)) return FZ_OK;
    if (i >= node->n_in) {
        struct fz_value **in = fzi_arena_array(graph->arena, i + 1, sizeof *in);
        if (!in) return fzi_error(FZ_E_NOMEM, "no memory for an input");
        for (uint32_t k = 0; k < node->n_in; k++) in[k] = node->in[k];
        node->in = in;
        node->n_in = i + 1;
    }
    char *name = fzi_arena_format(graph->arena, "%s_input_%u", node->name, i);
    struct fz_value *v = name ? fzi_graph_new_constant(graph, name, dtype, rank, &n) : NULL;
    if (!v) return fzi_error(FZ_E_NOMEM, "no memory for an input");
    if (v->t.size) memcpy(v->t.data, data, v->t.size);
    node->in[i] = v;
    return FZ_OK;
}

/* The list NAME becomes input I. */
static fz_status_t move_ints(struct fz_graph *graph, struct fz_node *node, const char *name,
                             uint32_t i) {
    const int64_t *list = NULL;
    size_t n = 0;
    if (!fzi_attr(node, name)) return FZ_OK;
    FZ_TRY(fzi_attr_ints(node, name, &list, &n));
    FZ_TRY(give(graph, node, i, FZ_TYPE_I64, 1, (int64_t)n, list));
    drop(node, name);
    return FZ_OK;
}

static fz_status_t move_float(struct fz_graph *graph, struct fz_node *node, const char *name,
                              uint32_t i) {
    double d;
    if (!fzi_attr(node, name)) return FZ_OK;
    FZ_TRY(fzi_attr_float(node, name, 0, &d));
    float f = (float)d;
    FZ_TRY(give(graph, node, i, FZ_TYPE_F32, 0, 1, &f));
    drop(node, name);
    return FZ_OK;
}

/* ---- the rules; each leaves a node of the version of its row */

static fz_status_t reshape(struct fz_graph *graph, struct fz_node *node) {
    return move_ints(graph, node, "shape", 1);
}

static fz_status_t broadcast(struct fz_graph *graph, struct fz_node *node) {
    (void)graph;
    if (fzi_attr(node, "axis"))
        return fzi_error(FZ_E_UNSUPPORTED, "it broadcasts along an axis");
    drop(node, "broadcast");
    return FZ_OK;
}

static fz_status_t inference_only(struct fz_graph *graph, struct fz_node *node) {
    static const char *const names[] = {"consumed_inputs", "is_test", "spatial", "ratio"};
    (void)graph;
    for (size_t i = 0; i < FZ_COUNT(names); i++) drop(node, names[i]);
    return FZ_OK;
}

/* An Upsample is a Resize that rounds down; regions of interest are never given. */
static fz_status_t upsample(struct fz_graph *graph, struct fz_node *node) {
    struct fz_value *scales = fzi_in(node, 1);
    if (!scales) {
        const float *list = NULL;
        size_t n = 0;
        FZ_TRY(fzi_attr_floats(node, "scales", &list, &n));
        FZ_TRY(give(graph, node, 1, FZ_TYPE_F32, 1, (int64_t)n, list));
        drop(node, "scales");
        scales = node->in[1];
    }
    struct fz_value *in[] = {node->in[0], NULL, scales};
    node->in = fzi_arena_copy(graph->arena, in, sizeof in);
    if (!node->in) return fzi_error(FZ_E_NOMEM, "no memory for inputs");
    node->n_in = 3;
    node->type = "Resize";
    FZ_TRY(set(graph, node, text_attr("coordinate_transformation_mode", "asymmetric")));
    return set(graph, node, text_attr("nearest_mode", "floor"));
}

static fz_status_t slice(struct fz_graph *graph, struct fz_node *node) {
    FZ_TRY(move_ints(graph, node, "starts", 1));
    FZ_TRY(move_ints(graph, node, "ends", 2));
    return move_ints(graph, node, "axes", 3);
}

static fz_status_t topk(struct fz_graph *graph, struct fz_node *node) {
    int64_t k;
    FZ_TRY(fzi_attr_int(node, "k", 1, &k));
    FZ_TRY(give(graph, node, 1, FZ_TYPE_I64, 1, 1, &k));
    drop(node, "k");
    return FZ_OK;
}

static fz_status_t clip(struct fz_graph *graph, struct fz_node *node) {
    FZ_TRY(move_float(graph, node, "min", 1));
    return move_float(graph, node, "max", 2);
}

static fz_status_t pad(struct fz_graph *graph, struct fz_node *node) {
    FZ_TRY(move_ints(graph, node, "pads", 1));
    return move_float(graph, node, "value", 2);
}

static fz_status_t scatter(struct fz_graph *graph, struct fz_node *node) {
    (void)graph;
    node->type = "ScatterElements";
    return FZ_OK;
}

static fz_status_t axes(struct fz_graph *graph, struct fz_node *node) {
    return move_ints(graph, node, "axes", 1);
}

static fz_status_t split(struct fz_graph *graph, struct fz_node *node) {
    return move_ints(graph, node, "split", 1);
}

static fz_status_t split_count(struct fz_graph *graph, struct fz_node *node) {
    if (fzi_in(node, 1) || fzi_attr(node, "num_outputs")) return FZ_OK;
    return set(graph, node, (struct fz_attr){.name = "num_outputs", .kind = FZ_ATTR_INT,
                                             .i = node->n_out});
}

static struct fz_node *node_before(struct fz_graph *graph, struct fz_node *before,
                                   const char *type, const char *name, uint32_t n_in) {
    struct fz_node *made = fzi_graph_node(graph, before, NULL, name, n_in, 1);
    if (!made) return NULL;
    made->type = type;
    made->domain = "";
    made->opset = before ? before->opset : 0;
    return fzi_node_output(graph, made, 0, name) ? made : NULL;
}

/* Before opset 13 a softmax ran over all dimensions from the axis on: Flatten, Softmax, Reshape. */
static fz_status_t softmax_flat(struct fz_graph *graph, struct fz_node *node, int64_t axis) {
    const char *name = node->name;
    struct fz_node *shape = node_before(graph, node, "Shape",
                                        fzi_arena_format(graph->arena, "%s_shape", name), 1);
    struct fz_node *flat = node_before(graph, node, "Flatten",
                                       fzi_arena_format(graph->arena, "%s_flat", name), 1);
    struct fz_node *back = node_before(graph, node, "Reshape",
                                       fzi_arena_format(graph->arena, "%s_back", name), 2);
    if (!shape || !flat || !back) return fzi_error(FZ_E_NOMEM, "no memory for nodes");
    shape->in[0] = flat->in[0] = node->in[0];
    FZ_TRY(set(graph, flat, (struct fz_attr){.name = "axis", .kind = FZ_ATTR_INT, .i = axis}));
    fzi_graph_move(graph, back, node->next);
    node->in[0] = flat->out[0];
    struct fz_value *result = node->out[0], *inner = back->out[0];
    back->out[0] = result;
    result->producer = back;
    node->out[0] = inner;
    inner->producer = node;
    back->in[0] = inner;
    back->in[1] = shape->out[0];
    return FZ_OK;
}

static fz_status_t softmax(struct fz_graph *graph, struct fz_node *node) {
    int64_t axis;
    int32_t rank = node->in[0] ? node->in[0]->t.rank : FZ_RANK_UNKNOWN;
    FZ_TRY(fzi_attr_int(node, "axis", 1, &axis));
    if (axis != -1 && axis != rank - 1) FZ_TRY(softmax_flat(graph, node, axis));
    return set(graph, node, (struct fz_attr){.name = "axis", .kind = FZ_ATTR_INT, .i = -1});
}

static fz_status_t roi_align(struct fz_graph *graph, struct fz_node *node) {
    return set(graph, node, text_attr("coordinate_transformation_mode", "output_half_pixel"));
}

static fz_status_t grid_sample(struct fz_graph *graph, struct fz_node *node) {
    static const char *const old_modes[] = {"bilinear", "nearest", "bicubic", NULL};
    static const char *const new_modes[] = {"linear", "nearest", "cubic"};
    int64_t mode;
    FZ_TRY(fzi_attr_choice(node, "mode", old_modes, 0, &mode));
    return set(graph, node, text_attr("mode", new_modes[mode]));
}

static fz_status_t other_meaning(struct fz_graph *graph, struct fz_node *node) {
    (void)graph, (void)node;
    return fzi_error(FZ_E_UNSUPPORTED, "it means something else there");
}

struct rule {
    const char *types; /* separated by blanks */
    int32_t at;        /* the opset that changed them */
    fz_status_t (*run)(struct fz_graph *graph, struct fz_node *node);
};

/* In the order of the opsets. */
static const struct rule rules[] = {
    {"Reshape", 5, reshape},
    {"Cast Tile", 6, other_meaning},
    {"Add Sub Mul Div Pow And Or Xor Equal Greater Less Gemm PRelu", 7, broadcast},
    {"BatchNormalization Dropout", 7, inference_only},
    {"BatchNormalization", 9, inference_only},
    {"Scan", 9, other_meaning},
    {"Upsample", 10, upsample},
    {"Slice", 10, slice},
    {"TopK", 10, topk},
    {"Resize", 11, upsample},
    {"Scatter", 11, scatter},
    {"Clip", 11, clip},
    {"Pad", 11, pad},
    {"Dropout", 12, inference_only},
    {"Squeeze Unsqueeze ReduceSum", 13, axes},
    {"Split", 13, split},
    {"Softmax LogSoftmax Hardmax", 13, softmax},
    {"RoiAlign", 16, roi_align},
    {"ReduceMax ReduceMin ReduceMean ReduceProd ReduceL1 ReduceL2 ReduceLogSum ReduceLogSumExp "
     "ReduceSumSquare", 18, axes},
    {"Split", 18, split_count},
    {"GridSample", 20, grid_sample},
    {"DFT", 20, other_meaning},
    {"GroupNormalization", 21, other_meaning},
};

static bool listed(const char *list, const char *name) {
    size_t n = strlen(name);
    for (const char *at = list; (at = strstr(at, name)); at += n)
        if ((at == list || at[-1] == ' ') && (at[n] == 0 || at[n] == ' ')) return true;
    return false;
}

/* Passes make these of the newest opset; they have been the same since opset 13. */
static bool is_constant_form(const struct fz_node *node) {
    return listed("Cast Mul Add Identity Transpose", node->type);
}

static void refuse(struct raise *r, const struct fz_node *node, const char *why) {
    fzi_text_add(&r->refused, "%s'%s' (%s of opset %d): %s", r->refused.size ? "; " : "",
                 node->name, node->type, node->opset, why);
}

static fz_status_t raise_node(struct raise *r, struct fz_graph *graph, struct fz_node *node) {
    if (node->opset > r->opset && !is_constant_form(node))
        return refuse(r, node, "opsets are only raised"), FZ_OK;
    /* Upsample, and a Resize as young as that, become Resize of opset 11 in one step. */
    int32_t from = node->opset;
    for (size_t i = 0; i < FZ_COUNT(rules); i++) {
        const struct rule *rule = &rules[i];
        if (from >= rule->at || rule->at > r->opset || !listed(rule->types, node->type)) continue;
        fz_status_t status = rule->run(graph, node);
        if (status == FZ_E_NOMEM) return status;
        if (status != FZ_OK) refuse(r, node, fzi_error_text());
        if (rule->run == upsample) from = 11;
    }
    node->opset = r->opset;
    return FZ_OK;
}

static fz_status_t raise_graph(struct raise *r, struct fz_graph *graph) {
    for (struct fz_node *node = graph->first, *next; node; node = next) {
        next = node->next;
        for (uint32_t i = 0; i < node->n_sub; i++) FZ_TRY(raise_graph(r, node->sub[i]));
        if (*node->domain) continue;
        if (node->opset != r->opset) FZ_TRY(raise_node(r, graph, node));
    }
    return FZ_OK;
}

/* The nodes that a rule adds are of the old opset when the walk has passed them. What was resolved
 * for the old one is forgotten. */
static void stamp(struct fz_graph *graph, int32_t opset) {
    for (struct fz_node *node = graph->first; node; node = node->next) {
        if (!*node->domain) {
            node->opset = opset;
            node->op = NULL;
        }
        for (uint32_t i = 0; i < node->n_sub; i++) stamp(node->sub[i], opset);
    }
}

fz_status_t fzi_export_raise(struct fz_graph *graph, int32_t opset) {
    struct raise r = {.main = graph, .opset = opset};
    fz_status_t status = raise_graph(&r, graph);
    if (status == FZ_OK && r.refused.size)
        status = fzi_error(FZ_E_UNSUPPORTED, "nodes cannot be written for opset %d: %s", opset,
                           r.refused.data);
    fzi_text_free(&r.refused);
    if (status == FZ_OK) stamp(graph, opset);
    return status;
}
