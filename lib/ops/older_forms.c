/* Operators of com.microsoft that ai.onnx has taken over, most of them as they were, and CDist. */
#include "ops/compose.h"

/* The operator of ai.onnx of the same name, inputs and attributes. */
static fz_status_t same(struct fz_lower *lower, struct fz_node *node) {
    struct fz_compose e = {.lower = lower, .node = node};
    struct fz_node *made = fzi_compose_node(&e, "", node->type, FZ_COMPOSE_OPSET, node->in,
                                            node->n_in, 1, node->attrs, node->n_attrs);
    if (made) e.out[0] = made->out[0];
    return fzi_compose_done(&e);
}

/* GridSample had other names for its modes before opset 20. */
static fz_status_t grid_sample(struct fz_lower *lower, struct fz_node *node) {
    struct fz_compose e = {.lower = lower, .node = node};
    struct fz_node *made = fzi_compose_node(&e, "", node->type, 16, node->in, node->n_in, 1,
                                            node->attrs, node->n_attrs);
    if (made) e.out[0] = made->out[0];
    return fzi_compose_done(&e);
}

/* Range may do without a step. */
static fz_status_t range(struct fz_lower *lower, struct fz_node *node) {
    struct fz_compose e = {.lower = lower, .node = node};
    struct fz_value *step = fzi_in(node, 2);
    fzi_compose_need(&e, 3);
    FZ_TRY(e.status);
    if (!step) step = fzi_compose_cast(&e, fzi_compose_int(&e, 1), node->in[0]->t.dtype);
    struct fz_value *in[3] = {node->in[0], node->in[1], step};
    for (int i = 0; i < 3; i++) in[i] = fzi_compose_reshape(&e, in[i], NULL, 0);
    e.out[0] = fzi_compose(&e, "Range", in, 3, FZ_NO_ATTRS);
    return fzi_compose_done(&e);
}

static fz_status_t expand_dims(struct fz_lower *lower, struct fz_node *node) {
    static const int64_t one[] = {1};
    struct fz_compose e = {.lower = lower, .node = node};
    fzi_compose_need(&e, 3);
    FZ_TRY(e.status);
    struct fz_value *axis = fzi_compose_cast(&e, node->in[1], FZ_TYPE_I64);
    e.out[0] = fzi_compose(&e, "Unsqueeze",
                           FZ_IN(node->in[0], fzi_compose_reshape(&e, axis, one, 1)), FZ_NO_ATTRS);
    return fzi_compose_done(&e);
}

/* In the order in which they come first; where each element is among them; how often each comes. */
static fz_status_t unique(struct fz_lower *lower, struct fz_node *node) {
    struct fz_compose e = {.lower = lower, .node = node};
    struct fz_node *made = fzi_compose_node(&e, "", "Unique", FZ_COMPOSE_OPSET,
                                            FZ_IN(node->in[0]), 4,
                                            FZ_ATTRS(FZ_ATTR_OF_INT("sorted", 0)));
    for (uint32_t i = 0; made && i < 3; i++) e.out[i] = made->out[i ? i + 1 : 0];
    return fzi_compose_done(&e);
}

/* Squared distances of rows, |a|^2 + |b|^2 - 2 a b but not below 0, or their roots. */
static fz_status_t distances(struct fz_lower *lower, struct fz_node *node) {
    static const char *const metrics[] = {"sqeuclidean", "euclidean", NULL};
    static const int64_t last[] = {1}, turn[] = {1, 0};
    struct fz_compose e = {.lower = lower, .node = node};
    struct fz_value *squares[2];
    int64_t root;
    FZ_TRY(fzi_attr_choice(node, "metric", metrics, 0, &root));
    fzi_compose_need(&e, 3);
    FZ_TRY(e.status);
    int32_t dtype = node->in[0]->t.dtype;
    for (int i = 0; i < 2; i++)
        squares[i] = fzi_compose(&e, "ReduceSumSquare",
                                 FZ_IN(node->in[i], fzi_compose_ints(&e, last, 1)), FZ_NO_ATTRS);
    struct fz_value *b = fzi_compose_transpose(&e, node->in[1], turn, 2);
    struct fz_value *two = fzi_compose_cast(&e, fzi_compose_float(&e, 2), dtype);
    struct fz_value *zero = fzi_compose_cast(&e, fzi_compose_float(&e, 0), dtype);
    struct fz_value *y = fzi_compose(&e, "MatMul", FZ_IN(node->in[0], b), FZ_NO_ATTRS);
    y = fzi_compose(&e, "Mul", FZ_IN(y, two), FZ_NO_ATTRS);
    struct fz_value *sum = fzi_compose(
        &e, "Add", FZ_IN(squares[0], fzi_compose_transpose(&e, squares[1], turn, 2)), FZ_NO_ATTRS);
    y = fzi_compose(&e, "Max", FZ_IN(fzi_compose(&e, "Sub", FZ_IN(sum, y), FZ_NO_ATTRS), zero),
                    FZ_NO_ATTRS);
    e.out[0] = root ? fzi_compose(&e, "Sqrt", FZ_IN(y), FZ_NO_ATTRS) : y;
    return fzi_compose_done(&e);
}

#define ROW(onnx, least, most, outs, known, how)                                                   \
    {.name = onnx, .domain = "com.microsoft", .since = 1, .rev = 1, .min_in = least,               \
     .max_in = most, .min_out = 1, .max_out = outs, .attrs = known, .compose = how}

const struct fz_op fz_ops_older_forms[] = {
    ROW("CDist", 2, 2, 1, "metric", distances),
    ROW("ExpandDims", 2, 2, 1, "", expand_dims),
    ROW("GatherND", 2, 2, 1, "", same),
    ROW("GridSample", 2, 2, 1, "align_corners mode padding_mode", grid_sample),
    ROW("Pad", 2, 3, 1, "mode", same),
    ROW("Range", 2, 3, 1, "", range),
    ROW("Trilu", 1, 2, 1, "upper", same),
    ROW("Unique", 1, 1, 3, "", unique),
    {0},
};
