/* Channels last. Convolutions with constant weights become frozen.Conv on NHWC tensors, and what
 * stands between them follows.
 *
 * Every value that is computed channels last has a twin (its `note`); its channels-first form is
 * made from the twin by a Transpose, which goes when nobody reads it. So an operator may switch to
 * twins on its own, and no transposes have to be pushed through the graph and cancelled. */
#include "passes/passes.h"

#include "ops/conv.h"
#include "passes/packed.h"

/* Channels last from channels first: 0, 2, 3, ..., 1; and back: 0, r-1, 1, 2, ... */
static void to_last(int32_t rank, int64_t *perm) {
    for (int32_t i = 0; i < rank; i++) perm[i] = i == 0 ? 0 : i == rank - 1 ? 1 : i + 1;
}
static void to_first(int32_t rank, int64_t *perm) {
    for (int32_t i = 0; i < rank; i++) perm[i] = i == 0 ? 0 : i == 1 ? rank - 1 : i - 1;
}
/* Where axis AXIS of a channels-first tensor is in its twin. */
static int64_t moved(int64_t axis, int32_t rank) {
    if (axis < 0) axis += rank;
    return axis == 0 ? 0 : axis == 1 ? rank - 1 : axis - 1;
}

static fz_status_t transpose(struct fz_pass *pass, struct fz_graph *graph, struct fz_node *before,
                             struct fz_value *v, int32_t rank, bool last, struct fz_value **out) {
    int64_t *perm = fzi_arena_array(graph->arena, FZ_RANK_MAX, sizeof *perm);
    if (!perm) return fzi_error(FZ_E_NOMEM, "no memory for a transpose");
    if (last) to_last(rank, perm);
    else to_first(rank, perm);
    struct fz_attr attr = FZ_INTS("perm", perm, (size_t)rank);
    struct fz_node *node =
        fzi_pass_make(pass, graph, before, "", "Transpose", v->name, &attr, 1, &v, 1, 1);
    if (!node) return FZ_E_NOMEM;
    FZ_TRY(fzi_pass_infer_node(graph, node));
    *out = node->out[0];
    return FZ_OK;
}

static fz_status_t twin_of(struct fz_pass *pass, struct fz_graph *graph, struct fz_node *before,
                           struct fz_value *v, int32_t rank, struct fz_value **out) {
    if (v->note && v->graph == graph) {
        *out = v->note;
        return FZ_OK;
    }
    FZ_TRY(transpose(pass, graph, before, v, rank, true, out));
    if (!fzi_is_constant(v) && v->graph == graph) v->note = *out;
    return FZ_OK;
}

/* TWIN takes the place of V: readers that stay channels first get a Transpose of it. */
static fz_status_t adopt(struct fz_pass *pass, struct fz_graph *graph, struct fz_node *after,
                         struct fz_value *v, struct fz_value *twin) {
    struct fz_value *first;
    int32_t rank = v->t.rank > 0 ? v->t.rank : twin->t.rank;
    FZ_TRY(transpose(pass, graph, after->next, twin, rank, false, &first));
    twin->name = v->name;
    fzi_graph_replace(graph, v, first);
    first->note = twin;
    pass->n_changes++;
    return FZ_OK;
}

/* MADE computes, channels last, what NODE did. */
static fz_status_t finish(struct fz_pass *pass, struct fz_graph *graph, struct fz_node *node,
                          struct fz_node *made) {
    if (!made) return FZ_E_NOMEM;
    FZ_TRY(fzi_pass_infer_node(graph, made));
    for (uint32_t i = 0; i < node->n_out; i++)
        if (node->out[i]) FZ_TRY(adopt(pass, graph, made, node->out[i], made->out[i]));
        else made->out[i] = NULL;
    fzi_graph_remove(graph, node);
    return FZ_OK;
}

/* ---- operators with a form of their own */

static bool is_float_constant(const struct fz_value *v) {
    return fzi_is_constant(v) && v->t.dtype == FZ_TYPE_F32 && v->t.size > 0;
}

static fz_status_t visit_conv(struct fz_pass *pass, struct fz_graph *graph, struct fz_node *node) {
    bool transposed = fzi_pass_is(node, "ConvTranspose");
    struct fz_value *w = node->in[1], *b = fzi_in(node, 2), *packed, *twin;
    bool winograd = !(pass->options->flags & FZ_FREEZE_NO_WINOGRAD);
    struct fz_conv_params p;
    int32_t rank = w->t.rank;
    if (!is_float_constant(w) || rank < 3 || rank > 5 || (transposed && rank > 4)) return FZ_OK;
    if (b && (!is_float_constant(b) || b->t.rank != 1)) return FZ_OK;
    if (node->in[0]->t.rank >= 0 && node->in[0]->t.rank != rank) return FZ_OK;
    const char *name = transposed ? "ConvTranspose" : "Conv";
    if (!fzi_op_known("frozen", name)) return FZ_OK;
    FZ_TRY(transposed ? fzi_conv_transpose_choose(node->params, &w->t, &p)
                      : fzi_conv_choose(node->params, &w->t, winograd, &p));
    p.blas = pass->options->numerics && strcmp(pass->options->numerics, "blas") == 0;
    if (p.blas && p.algorithm == FZ_CONV_WINOGRAD) p.algorithm = FZ_CONV_GEMM;
    FZ_TRY(transposed ? fzi_conv_transpose_pack(graph, w, &p, &packed)
                      : fzi_conv_pack(graph, w, &p, &packed));
    FZ_TRY(twin_of(pass, graph, node, node->in[0], rank, &twin));
    struct fz_value *in[] = {twin, packed, b};
    return finish(pass, graph, node,
                  fzi_pass_lowered(graph, node, "frozen", name, node->name, &p, in, b ? 3 : 2, 1));
}

/* QLinearConv, ConvInteger, frozen.ConvIntegerToFloat and frozen.ConvIntegerRows. */
static fz_status_t visit_qconv(struct fz_pass *pass, struct fz_graph *graph,
                               struct fz_node *node) {
    const struct fz_integer_inputs *at = &fzi_conv_inputs[node->op->kind];
    struct fz_value *w = node->in[at->w], *in[FZ_Q_INPUTS] = {0};
    const struct fz_conv_params *own = fzi_integer_conv_params(node);
    struct fz_packed_params p = {0};
    bool ready;
    if (w->t.rank < 3 || w->t.rank > 4 || node->in[at->x]->t.rank != w->t.rank) return FZ_OK;
    FZ_TRY(fzi_pass_pack(graph, node, true, w->t.dims[0], &p, in, &ready));
    if (!ready) return FZ_OK;
    FZ_TRY(fzi_integer_conv_choose(own, &w->t, &p.conv));
    FZ_TRY(fzi_qconv_pack(graph, w, fzi_in(node, (uint32_t)at->w_zero), &p, in));
    FZ_TRY(twin_of(pass, graph, node, in[FZ_Q_X], w->t.rank, &in[FZ_Q_X]));
    return finish(pass, graph, node,
                  fzi_pass_lowered(graph, node, "frozen", "QConv", node->name, &p, in,
                                   FZ_Q_INPUTS, 1));
}

/* Pooling keeps its attributes and gets the frozen operator of its name. */
static fz_status_t visit_pool(struct fz_pass *pass, struct fz_graph *graph, struct fz_node *node) {
    struct fz_value *twin;
    if (node->in[0]->t.rank != 4 || fzi_out(node, 1)) return FZ_OK;
    if (!node->in[0]->note || !fzi_op_known("frozen", node->op->name)) return FZ_OK;
    if (node->in[0]->t.dtype == FZ_TYPE_F64) return FZ_OK;
    FZ_TRY(twin_of(pass, graph, node, node->in[0], 4, &twin));
    return finish(pass, graph, node,
                  fzi_pass_make(pass, graph, node, "frozen", node->op->name, node->name,
                                node->attrs, node->n_attrs, &twin, 1, 1));
}

/* ---- operators that do not mind, elementwise ones above all */

/* A constant that is broadcast against rank RANK, as its twin needs it. */
static fz_status_t twin_constant(struct fz_graph *graph, struct fz_value *v, int32_t rank,
                                 struct fz_value **out) {
    int64_t n = fzi_tensor_count(&v->t), channel = -1;
    *out = NULL;
    if (n == 1) {
        *out = v;
        return FZ_OK;
    }
    for (int32_t d = 0; d < v->t.rank; d++)
        if (v->t.dims[d] != 1) channel = channel == -1 ? d + rank - v->t.rank : -2;
    if (channel != 1) return FZ_OK; /* a full constant: transposed by the caller if it can be */
    fz_tensor_t t = v->t;
    fzi_shape_set(&t, 1, &n);
    *out = fzi_graph_constant(graph, v->name, &t);
    return *out ? FZ_OK : fzi_error(FZ_E_NOMEM, "no memory for a constant");
}

/* The form of input V that an elementwise node on twins reads; *OUT stays NULL if there is none. */
static fz_status_t twin_input(struct fz_pass *pass, struct fz_graph *graph, struct fz_node *node,
                              struct fz_value *v, int32_t rank, struct fz_value **out) {
    *out = NULL;
    if (fzi_is_constant(v)) FZ_TRY(twin_constant(graph, v, rank, out));
    if (*out) return FZ_OK;
    if (v->t.rank == 0) *out = v;
    if (v->t.rank != rank) return FZ_OK;
    return twin_of(pass, graph, node, v, rank, out);
}

/* The rank of the inputs that have twins, or 0. */
static int32_t twin_rank(const struct fz_graph *graph, const struct fz_node *node) {
    int32_t rank = 0;
    for (uint32_t i = 0; i < node->n_in; i++) {
        const struct fz_value *v = node->in[i];
        if (v && v->note && v->graph == graph && v->t.rank > rank) rank = v->t.rank;
    }
    return rank;
}

/* Can every input be had channels last, without transposing more than is saved? */
static bool inputs_fit(const struct fz_graph *graph, const struct fz_node *node, int32_t rank) {
    for (uint32_t i = 0; i < node->n_in; i++) {
        const struct fz_value *v = node->in[i];
        if (!v || (v->note && v->graph == graph && v->t.rank == rank)) continue;
        if (v->t.rank == 0 || (v->t.rank == rank && !fzi_is_constant(v))) continue;
        if (!fzi_is_constant(v) || v->t.rank > rank) return false;
        bool channel = true;
        for (int32_t d = 0; d < v->t.rank; d++)
            if (v->t.dims[d] != 1 && d + rank - v->t.rank != 1) channel = false;
        if (!channel && v->t.rank != rank) return false;
    }
    return true;
}

/* frozen.QTable: its table is no operand. */
static fz_status_t visit_table(struct fz_pass *pass, struct fz_graph *graph, struct fz_node *node) {
    int32_t rank = twin_rank(graph, node);
    struct fz_value *in[] = {NULL, node->in[1]};
    if (rank < 3) return FZ_OK;
    FZ_TRY(twin_of(pass, graph, node, node->in[0], rank, &in[0]));
    return finish(pass, graph, node, fzi_pass_copy(pass, graph, node, node, in, NULL));
}

static fz_status_t visit_elementwise(struct fz_pass *pass, struct fz_graph *graph,
                                     struct fz_node *node) {
    int32_t rank = twin_rank(graph, node);
    if (rank < 3 || node->out[0]->t.rank != rank || !inputs_fit(graph, node, rank)) return FZ_OK;
    struct fz_value **in = fzi_arena_array(graph->arena, node->n_in, sizeof *in);
    if (!in) return fzi_error(FZ_E_NOMEM, "no memory for a node");
    for (uint32_t i = 0; i < node->n_in; i++) {
        if (!node->in[i]) continue;
        FZ_TRY(twin_input(pass, graph, node, node->in[i], rank, &in[i]));
        if (!in[i]) return FZ_OK;
    }
    return finish(pass, graph, node, fzi_pass_copy(pass, graph, node, node, in, NULL));
}

/* Nodes with one axis: Concat, Split, Softmax of opset 13 and later. */
static fz_status_t visit_axis(struct fz_pass *pass, struct fz_graph *graph, struct fz_node *node,
                              int64_t def, uint32_t n_data) {
    int32_t rank = twin_rank(graph, node);
    int64_t axis;
    if (rank < 3) return FZ_OK;
    FZ_TRY(fzi_attr_int(node, "axis", def, &axis));
    struct fz_value **in = fzi_arena_array(graph->arena, node->n_in, sizeof *in);
    if (!in) return fzi_error(FZ_E_NOMEM, "no memory for a node");
    for (uint32_t i = 0; i < node->n_in; i++) {
        in[i] = node->in[i];
        if (i >= n_data) continue;
        if (!node->in[i] || node->in[i]->t.rank != rank) return FZ_OK;
        FZ_TRY(twin_of(pass, graph, node, node->in[i], rank, &in[i]));
    }
    struct fz_attr changed = FZ_INT("axis", moved(axis, rank));
    return finish(pass, graph, node, fzi_pass_copy(pass, graph, node, node, in, &changed));
}

/* Constant input I of NODE with one entry per dimension (SETS of them, one behind the other). */
static struct fz_value *permuted(struct fz_graph *graph, const struct fz_node *node, uint32_t i,
                                 int32_t rank, int32_t sets) {
    const struct fz_value *v = fzi_in(node, i);
    if (!fzi_is_constant(v) || fzi_tensor_count(&v->t) != (int64_t)rank * sets) return NULL;
    struct fz_value *out =
        fzi_graph_new_constant(graph, v->name, v->t.dtype, v->t.rank, v->t.dims);
    size_t width = fzi_type_width(v->t.dtype);
    for (int32_t s = 0; out && s < sets; s++)
        for (int32_t d = 0; d < rank; d++)
            memcpy((char *)out->t.data + (size_t)(s * rank + moved(d, rank)) * width,
                   (const char *)v->t.data + (size_t)(s * rank + d) * width, width);
    return out;
}

/* Resize with constant scales or sizes for all dimensions, Pad with constant pads. */
static fz_status_t visit_per_dim(struct fz_pass *pass, struct fz_graph *graph,
                                 struct fz_node *node) {
    struct fz_value *x = node->in[0], *in[4] = {0};
    int32_t rank = x->t.rank;
    bool pad = fzi_pass_is(node, "Pad");
    if (!x->note || x->graph != graph || rank < 3 || node->n_in > 4 || fzi_attr(node, "axes"))
        return FZ_OK;
    if (pad ? node->n_in < 2 || fzi_in(node, 3) != NULL : node->n_in < 2) return FZ_OK;
    for (uint32_t i = 1; i < node->n_in; i++) {
        const struct fz_value *v = node->in[i];
        bool empty = fzi_is_constant(v) && fzi_tensor_count(&v->t) == 0;
        if (!v || empty || (pad && i == 2)) in[i] = node->in[i];
        else if (!(in[i] =
                       permuted(graph, node, i, rank, pad || (node->n_in > 2 && i == 1) ? 2 : 1)))
            return FZ_OK;
    }
    FZ_TRY(twin_of(pass, graph, node, x, rank, &in[0]));
    return finish(pass, graph, node, fzi_pass_copy(pass, graph, node, node, in, NULL));
}

/* ReduceMean, ReduceSum ... over the spatial axes: every chain meets the same elements in the same
 * order in both layouts. */
static fz_status_t visit_reduce(struct fz_pass *pass, struct fz_graph *graph,
                                struct fz_node *node) {
    struct fz_value *x = node->in[0], *twin;
    int32_t rank = x->t.rank;
    const struct fz_attr *attr = fzi_attr(node, "axes");
    const struct fz_value *list = fzi_in(node, 1);
    int64_t axes[FZ_RANK_MAX], keep, n = 0;
    if (!x->note || x->graph != graph || rank < 3) return FZ_OK;
    FZ_TRY(fzi_attr_int(node, "keepdims", 1, &keep));
    if (attr && attr->kind == FZ_ATTR_INTS && attr->n <= FZ_RANK_MAX)
        for (; n < (int64_t)attr->n; n++) axes[n] = attr->ints[n];
    else if (fzi_is_constant(list) && fzi_tensor_count(&list->t) <= FZ_RANK_MAX)
        for (; n < fzi_tensor_count(&list->t); n++) axes[n] = fzi_tensor_int(&list->t, n);
    if (n != rank - 2) return FZ_OK;
    for (int64_t i = 0; i < n; i++) {
        if ((axes[i] < 0 ? axes[i] + rank : axes[i]) < 2) return FZ_OK;
        axes[i] = moved(axes[i], rank);
    }
    FZ_TRY(twin_of(pass, graph, node, x, rank, &twin));
    struct fz_value *in[2] = {twin, NULL};
    struct fz_attr changed = FZ_INTS("axes", fzi_arena_copy(graph->arena, axes, sizeof axes),
                                     (size_t)n);
    if (list) {
        fz_tensor_t t = list->t;
        t.dtype = FZ_TYPE_I64;
        t.data = fzi_arena_copy(graph->arena, axes, sizeof axes);
        t.size = (size_t)n * 8;
        in[1] = fzi_graph_constant(graph, list->name, &t);
        if (!in[1]) return fzi_error(FZ_E_NOMEM, "no memory for axes");
    }
    struct fz_node *made = fzi_pass_copy(pass, graph, node, node, in, list ? NULL : &changed);
    if (keep) return finish(pass, graph, node, made);
    if (!made) return FZ_E_NOMEM;
    FZ_TRY(fzi_pass_infer_node(graph, made));
    fzi_pass_replace(pass, graph, node->out[0], made->out[0]);
    fzi_graph_remove(graph, node);
    return FZ_OK;
}

/* A range for each image does not mind the order within it. */
static bool has_range_of_image(const struct fz_node *node) {
    int64_t outer = 0;
    return fzi_pass_is_frozen(node, "DynamicQuantizeRows") &&
           fzi_attr_int(node, "outer", 0, &outer) == FZ_OK && outer <= 1;
}

/* Its range is that of the whole tensor, or of an image, in any order. */
static fz_status_t visit_dynamic(struct fz_pass *pass, struct fz_graph *graph,
                                 struct fz_node *node) {
    struct fz_value *twin;
    int32_t rank = twin_rank(graph, node);
    if (rank < 3 || !node->out[0]) return FZ_OK;
    FZ_TRY(twin_of(pass, graph, node, node->in[0], rank, &twin));
    struct fz_node *made = fzi_pass_copy(pass, graph, node, node, &twin, NULL);
    if (!made) return FZ_E_NOMEM;
    FZ_TRY(fzi_pass_infer_node(graph, made));
    for (uint32_t i = 1; i < node->n_out; i++)
        if (node->out[i]) fzi_pass_replace(pass, graph, node->out[i], made->out[i]);
    FZ_TRY(adopt(pass, graph, made, node->out[0], made->out[0]));
    fzi_graph_remove(graph, node);
    return FZ_OK;
}

/* Quantisation with one scale is elementwise. */
static bool is_scalar_quantisation(const struct fz_node *node) {
    if (!fzi_pass_is(node, "QuantizeLinear") && !fzi_pass_is(node, "DequantizeLinear"))
        return false;
    return fzi_is_constant(node->in[1]) && fzi_tensor_count(&node->in[1]->t) == 1;
}

static bool is_elementwise(const struct fz_node *node) {
    static const char *const others[] = {"Cast", "Where", "Clip", NULL};
    if (fzi_pass_is_frozen(node, "QAdd") || fzi_pass_is_frozen(node, "QMul")) return true;
    if (is_scalar_quantisation(node) || fzi_pass_is_frozen(node, "RoundHalf")) return true;
    if (node->op->domain[0] || node->n_out != 1 || node->op->flags & FZ_OP_VIEW) return false;
    for (int i = 0; others[i]; i++)
        if (strcmp(node->op->name, others[i]) == 0) return true;
    return (node->op->flags & FZ_OP_IN_PLACE) != 0;
}

static fz_status_t visit(struct fz_pass *pass, struct fz_graph *graph, struct fz_node *node) {
    const char *name = node->op->name;
    if (!strcmp(name, "QLinearConv") || !strcmp(name, "ConvInteger") ||
        fzi_pass_is_frozen(node, "ConvIntegerToFloat") ||
        fzi_pass_is_frozen(node, "ConvIntegerRows"))
        return visit_qconv(pass, graph, node);
    if (!node->n_in || !node->in[0] || !node->n_out) return FZ_OK;
    if (fzi_pass_is_frozen(node, "QTable")) return visit_table(pass, graph, node);
    if (is_elementwise(node) && node->out[0]) return visit_elementwise(pass, graph, node);
    if (has_range_of_image(node)) return visit_dynamic(pass, graph, node);
    if (node->op->domain[0]) return FZ_OK;
    if (!strcmp(name, "Conv") || !strcmp(name, "ConvTranspose"))
        return visit_conv(pass, graph, node);
    if (!strcmp(name, "MaxPool") || !strcmp(name, "AveragePool") ||
        !strcmp(name, "GlobalAveragePool"))
        return visit_pool(pass, graph, node);
    if (!strcmp(name, "Concat")) return visit_axis(pass, graph, node, 0, node->n_in);
    if (!strcmp(name, "Split")) return visit_axis(pass, graph, node, 0, 1);
    if (!strcmp(name, "Softmax") && node->opset >= 13)
        return visit_axis(pass, graph, node, -1, 1);
    if (!strcmp(name, "Resize") || !strcmp(name, "Pad")) return visit_per_dim(pass, graph, node);
    if (!strcmp(name, "ReduceMean") || !strcmp(name, "ReduceSum") || !strcmp(name, "ReduceMax"))
        return visit_reduce(pass, graph, node);
    if (!strcmp(name, "DynamicQuantizeLinear")) return visit_dynamic(pass, graph, node);
    return FZ_OK;
}

fz_status_t fzi_pass_layout(struct fz_pass *pass, struct fz_graph *graph) {
    fzi_pass_clear_notes(graph);
    for (struct fz_node *node = graph->first, *next; node; node = next) {
        next = node->next;
        FZ_TRY(visit(pass, graph, node));
    }
    fzi_pass_clear_notes(graph);
    return FZ_OK;
}
