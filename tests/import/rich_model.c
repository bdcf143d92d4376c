/* A small model with a bit of everything, to damage and to fuzz. */
#include "onnx_writer.h"

static struct pb named_node(const char *op, const char *domain, const char *in, const char *out) {
    struct pb node = pb_node(op, in, out);
    pb_text(&node, NODE_DOMAIN, domain);
    return node;
}

static struct pb branch(void) {
    struct pb g = {0};
    pb_msg(&g, GRAPH_NODE, pb_node("Relu", "z", "r"));
    pb_msg(&g, GRAPH_OUTPUT, pb_value("r", 1, "n"));
    return g;
}

static struct pb function(void) {
    struct pb f = pb_function("F", "a", "b"), inner = pb_node("Neg", "a", "b");
    pb_msg(&inner, NODE_ATTR, pb_attr_ref("n", KIND_INT, "n"));
    pb_msg(&f, FUNCTION_NODE, inner);
    pb_msg(&f, FUNCTION_DEFAULT, pb_attr_int("n", 1));
    return f;
}

static struct pb constant(void) {
    struct pb node = pb_node("Constant", "", "k"), list = pb_attr("value_ints", KIND_INTS);
    pb_bytes(&list, ATTR_INTS, "\x01\x02\x03", 3);
    pb_msg(&node, NODE_ATTR, list);
    return node;
}

static struct pb sparse(void) {
    struct pb m = {0};
    pb_msg(&m, 1, pb_raw_tensor("sp", FZ_TYPE_U8, "1", "a", 1));
    pb_msg(&m, 2, pb_raw_tensor("", FZ_TYPE_I64, "1,2", (int64_t[]){1, 1}, 16));
    pb_int(&m, 3, 2);
    pb_int(&m, 3, 3);
    return m;
}

struct pb pb_rich_model(void) {
    float w[4] = {1, 2, 3, 4};
    struct pb g = {0}, node = pb_node("If", "c", "y"), ints = pb_tensor("i", FZ_TYPE_I16, "3");
    pb_msg(&g, GRAPH_NODE, pb_node("Add", "x,w", "z"));
    pb_msg(&node, NODE_ATTR, pb_attr_graph("then_branch", branch()));
    pb_msg(&node, NODE_ATTR, pb_attr_graph("else_branch", branch()));
    pb_msg(&g, GRAPH_NODE, node);
    pb_msg(&g, GRAPH_NODE, named_node("F", "f", "x", "t"));
    pb_msg(&g, GRAPH_NODE, constant());
    pb_msg(&g, GRAPH_INIT, pb_raw_tensor("w", 1, "2,2", w, sizeof w));
    pb_bytes(&ints, TENSOR_INT32S, "\x01\x80\x01\x02", 4);
    pb_msg(&g, GRAPH_INIT, ints);
    pb_msg(&g, GRAPH_SPARSE, sparse());
    pb_msg(&g, GRAPH_INPUT, pb_value("x", 1, "2"));
    pb_msg(&g, GRAPH_INPUT, pb_value("c", FZ_TYPE_BOOL, "batch,2"));
    pb_msg(&g, GRAPH_OUTPUT, pb_value("y", 1, "2"));
    struct pb m = pb_model(g);
    pb_msg(&m, MODEL_FUNCTION, function());
    return m;
}
