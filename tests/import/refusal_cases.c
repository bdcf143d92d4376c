/* Bad models: what contradicts itself or ONNX, and files that are no models. */
#include "import_test.h"
#include "onnx_writer.h"

#include <setjmp.h>
#include <stdlib.h>

#include <cmocka.h>

/* A graph of the nodes in LIST, "Op:in,in:out,out;Op:...", from x to y. */
static struct pb graph(const char *list) {
    struct pb g = {0};
    char *copy = strdup(list), *rest = copy;
    assert_non_null(copy);
    for (char *item; (item = strsep(&rest, ";")) != NULL;) {
        char *op = strsep(&item, ":"), *in = strsep(&item, ":");
        pb_msg(&g, GRAPH_NODE, pb_node(op, in, item));
    }
    free(copy);
    pb_msg(&g, GRAPH_INPUT, pb_value("x", 1, "2"));
    pb_msg(&g, GRAPH_OUTPUT, pb_value("y", 1, "2"));
    return g;
}

static struct pb model(const char *list) { return pb_model(graph(list)); }

static void names(void **state) {
    refuse(model("A:x,gone:y"), FZ_E_FORMAT, "'gone'");
    refuse(model("A:x:z"), FZ_E_FORMAT, "defines 'y'");
    refuse(model("A:x:y;B:x:y"), FZ_E_FORMAT, "'y' is defined twice");
    refuse(model("A:x:y,y"), FZ_E_FORMAT, "'y' is defined twice");
    refuse(model("A:x:x,y"), FZ_E_FORMAT, "'x' is defined twice");
    refuse(model(":x:y"), FZ_E_FORMAT, "no operator");
    struct pb g = graph("A:x:y");
    pb_msg(&g, GRAPH_OUTPUT, pb_value("y", 1, "2"));
    refuse(pb_model(g), FZ_E_FORMAT, "output 'y' is listed twice");
    g = graph("A:x:y");
    pb_msg(&g, GRAPH_INPUT, pb_value("x", 1, "2"));
    refuse(pb_model(g), FZ_E_FORMAT, "input 'x' is listed twice");
    g = graph("A:x:y");
    pb_msg(&g, GRAPH_INIT, pb_raw_tensor("w", FZ_TYPE_U8, "", "a", 1));
    pb_msg(&g, GRAPH_INIT, pb_raw_tensor("w", FZ_TYPE_U8, "", "a", 1));
    refuse(pb_model(g), FZ_E_FORMAT, "'w' is defined twice");
    g = graph("A:x:y");
    pb_msg(&g, GRAPH_INIT, pb_raw_tensor("y", FZ_TYPE_U8, "", "a", 1));
    refuse(pb_model(g), FZ_E_FORMAT, "'y' is defined twice");
    g = graph("A:x:y");
    pb_msg(&g, GRAPH_INIT, pb_raw_tensor("", FZ_TYPE_U8, "", "a", 1));
    refuse(pb_model(g), FZ_E_FORMAT, "without a name");
    struct pb node = pb_node("A", "x", "y");
    pb_bytes(&node, NODE_NAME, "a\0b", 3);
    g = (struct pb){0};
    pb_msg(&g, GRAPH_NODE, node);
    refuse(pb_model(g), FZ_E_FORMAT, "NUL");
}

static void cycles(void **state) {
    refuse(model("A:y:y"), FZ_E_FORMAT, "cycle");
    refuse(model("A:b:y;B:c:b;C:y:c"), FZ_E_FORMAT, "cycle");
    /* Through a branch: the If reads what depends on it. */
    struct pb node = pb_node("If", "x", "y"), branch = {0}, other = {0}, g = {0};
    pb_msg(&branch, GRAPH_NODE, pb_node("A", "late", "a"));
    pb_msg(&branch, GRAPH_OUTPUT, pb_value("a", 1, NULL));
    pb_append(&other, branch.data, branch.size);
    pb_msg(&node, NODE_ATTR, pb_attr_graph("then_branch", branch));
    pb_msg(&node, NODE_ATTR, pb_attr_graph("else_branch", other));
    g = graph("B:y:late");
    pb_msg(&g, GRAPH_NODE, node);
    refuse(pb_model(g), FZ_E_FORMAT, "cycle");
}

static void branches(void **state) {
    struct pb node = pb_node("If", "x", "y"), branch = {0}, g = {0};
    pb_msg(&branch, GRAPH_NODE, pb_node("A", "x", "a"));
    pb_msg(&branch, GRAPH_OUTPUT, pb_value("a", 1, NULL));
    pb_msg(&node, NODE_ATTR, pb_attr_graph("then_branch", branch));
    pb_msg(&g, GRAPH_NODE, node);
    pb_msg(&g, GRAPH_INPUT, pb_value("x", 1, NULL));
    pb_msg(&g, GRAPH_OUTPUT, pb_value("y", 1, NULL));
    refuse(pb_model(g), FZ_E_FORMAT, "else_branch");
    /* What a branch defines is not seen outside of it. */
    node = pb_node("Use", "x", "u");
    branch = g = (struct pb){0};
    pb_msg(&branch, GRAPH_NODE, pb_node("A", "x", "inner"));
    pb_msg(&branch, GRAPH_OUTPUT, pb_value("inner", 1, NULL));
    pb_msg(&node, NODE_ATTR, pb_attr_graph("body", branch));
    g = graph("B:inner:y");
    pb_msg(&g, GRAPH_NODE, node);
    refuse(pb_model(g), FZ_E_FORMAT, "'inner'");
}

static void versions(void **state) {
    struct pb m = {0};
    pb_msg(&m, MODEL_GRAPH, graph("A:x:y"));
    refuse(m, FZ_E_FORMAT, "no IR version");
    for (int ir = 2; ir < 100; ir += 97) {
        m = (struct pb){0};
        pb_int(&m, MODEL_IR, ir);
        pb_msg(&m, MODEL_GRAPH, graph("A:x:y"));
        refuse(m, FZ_E_UNSUPPORTED, "IR version");
    }
    m = (struct pb){0};
    pb_int(&m, MODEL_IR, 8);
    refuse(m, FZ_E_FORMAT, "no graph");
    static const int64_t opsets[] = {0, -1, 29, INT64_MAX};
    for (int i = 0; i < 4; i++) {
        m = (struct pb){0};
        pb_int(&m, MODEL_IR, 8);
        pb_msg(&m, MODEL_OPSET, pb_opset(i & 1 ? "ai.onnx" : "", opsets[i]));
        pb_msg(&m, MODEL_GRAPH, graph("A:x:y"));
        refuse(m, FZ_E_UNSUPPORTED, "1 to 28");
    }
    m = (struct pb){0};
    pb_int(&m, MODEL_IR, 8);
    pb_msg(&m, MODEL_GRAPH, graph("A:x:y"));
    refuse(m, FZ_E_FORMAT, "does not list the domain");
    m = model("A:x:y");
    pb_msg(&m, MODEL_OPSET, pb_opset("ai.onnx", 18));
    refuse(m, FZ_E_FORMAT, "imported twice");
}

/* A model whose input has the TypeProto TYPE. */
static struct pb typed(struct pb type) {
    struct pb value = {0}, g = {0};
    pb_text(&value, 1, "in");
    pb_msg(&value, 2, type);
    pb_msg(&g, GRAPH_INPUT, value);
    return pb_model(g);
}

static void types(void **state) {
    /* Sequences, maps and optionals must say of what; sparse tensors and opaque types are none. */
    static const struct {
        uint32_t field;
        fz_status_t status;
        const char *name;
    } others[] = {{4, FZ_E_FORMAT, "wire type"},
                  {5, FZ_E_UNSUPPORTED, "no element type"},
                  {9, FZ_E_FORMAT, "wire type"},
                  {8, FZ_E_UNSUPPORTED, "sparse"},
                  {7, FZ_E_UNSUPPORTED, "opaque"}};
    for (size_t i = 0; i < FZ_COUNT(others); i++) {
        struct pb type = {0};
        pb_bytes(&type, others[i].field, "\x08\x01", 2);
        refuse(typed(type), others[i].status, others[i].name);
    }
    refuse(typed((struct pb){0}), FZ_E_FORMAT, "'in' is declared without");
    struct pb g = {0};
    pb_msg(&g, GRAPH_INPUT, pb_value("in", 99, NULL));
    refuse(pb_model(g), FZ_E_UNSUPPORTED, "type 99");
    g = (struct pb){0};
    pb_msg(&g, GRAPH_INPUT, pb_value("in", 1, "-2"));
    refuse(pb_model(g), FZ_E_FORMAT, "dimension -2");
    g = (struct pb){0};
    pb_msg(&g, GRAPH_INPUT, pb_value("in", 1, "1,1,1,1,1,1,1,1,1,1,1,1,1"));
    refuse(pb_model(g), FZ_E_UNSUPPORTED, "13 dimensions");
    g = (struct pb){0};
    pb_msg(&g, GRAPH_INPUT, pb_value("in", 1, NULL));
    refuse(pb_model(g), FZ_E_FORMAT, "no outputs");
}

/* ---- functions */

static struct pb call(const char *name, const char *inputs, const char *outputs) {
    struct pb node = pb_node(name, inputs, outputs);
    pb_text(&node, NODE_DOMAIN, "f");
    return node;
}

/* The model y = NODE(x) with functions F and, if it has bytes, G. */
static struct pb with_functions(struct pb node, struct pb f, struct pb g) {
    struct pb graph = {0}, m;
    pb_msg(&graph, GRAPH_NODE, node);
    pb_msg(&graph, GRAPH_INPUT, pb_value("x", 1, "2"));
    pb_msg(&graph, GRAPH_OUTPUT, pb_value("y", 1, "2"));
    m = pb_model(graph);
    pb_msg(&m, MODEL_FUNCTION, f);
    if (g.size) pb_msg(&m, MODEL_FUNCTION, g);
    return m;
}

static struct pb function(const char *name, const char *outputs, struct pb node) {
    struct pb f = pb_function(name, "a", outputs);
    pb_msg(&f, FUNCTION_NODE, node);
    return f;
}

static void functions(void **state) {
    struct pb none = {0};
    refuse(with_functions(call("F", "x", "y"), function("F", "b", call("F", "a", "b")), none),
           FZ_E_FORMAT, "calls itself");
    refuse(with_functions(call("F", "x", "y"), function("F", "b", call("G", "a", "b")),
                          function("G", "b", call("F", "a", "b"))), FZ_E_FORMAT, "calls itself");
    refuse(with_functions(call("F", "x", "y"), function("F", "b", pb_node("A", "a", "z")), none),
           FZ_E_FORMAT, "defines its output 'b'");
    refuse(with_functions(call("F", "x,x", "y"), function("F", "b", pb_node("A", "a", "b")), none),
           FZ_E_FORMAT, "has 1 inputs");
    refuse(with_functions(call("F", "x", "y,z"), function("F", "b", pb_node("A", "a", "b")), none),
           FZ_E_FORMAT, "1 outputs");
    refuse(with_functions(call("F", "x", "y"), function("F", "b", pb_node("A", "x", "b")), none),
           FZ_E_FORMAT, "defines 'x'");
    refuse(with_functions(call("F", "x", "y,z"), function("F", "b,b", pb_node("A", "a", "b")),
                          none), FZ_E_FORMAT, "listed twice");
    refuse(with_functions(call("F", "x", "y"), function("F", "b", pb_node("A", "a", "b")),
                          function("F", "b", pb_node("A", "a", "b"))), FZ_E_FORMAT, "twice");
    struct pb node = call("F", "x", "y");
    pb_msg(&node, NODE_ATTR, pb_attr_int("unknown", 1));
    refuse(with_functions(node, function("F", "b", pb_node("A", "a", "b")), none), FZ_E_FORMAT,
           "no attribute 'unknown'");
    struct pb inner = pb_node("A", "a", "b"), f;
    pb_msg(&inner, NODE_ATTR, pb_attr_ref("t", KIND_STRING, "n"));
    f = function("F", "b", inner);
    pb_msg(&f, FUNCTION_DEFAULT, pb_attr_int("n", 1));
    refuse(with_functions(call("F", "x", "y"), f, none), FZ_E_FORMAT, "another type");
}

/* Function I calls function I + 1 ten times: 10^8 nodes from a small file. */
static void function_bomb(void **state) {
    struct pb g = {0}, m;
    pb_msg(&g, GRAPH_NODE, call("F0", "x", "y"));
    pb_msg(&g, GRAPH_INPUT, pb_value("x", 1, "2"));
    pb_msg(&g, GRAPH_OUTPUT, pb_value("y", 1, "2"));
    m = pb_model(g);
    for (int i = 0; i < 8; i++) {
        char name[] = "F0", next[] = "F0", in[] = "a", out[] = "b";
        name[1] = (char)('0' + i);
        next[1] = (char)('1' + i);
        struct pb f = pb_function(name, "a", "k");
        for (int k = 0; k < 10; k++) {
            in[0] = (char)('a' + k);
            out[0] = (char)('b' + k);
            pb_msg(&f, FUNCTION_NODE, i == 7 ? pb_node("A", in, out) : call(next, in, out));
        }
        pb_msg(&m, MODEL_FUNCTION, f);
    }
    fz_freeze_options_t options = {.size = sizeof options, .max_nodes = 20000};
    refuse_with(m, &options, FZ_E_LIMIT, "max_nodes");
}

/* ---- damage */

static void truncations(void **state) {
    struct imported im;
    struct pb m = pb_rich_model();
    for (size_t i = 0; i < m.size; i++) {
        uint8_t *copy = malloc(i ? i : 1);
        assert_non_null(copy);
        memcpy(copy, m.data, i);
        struct fz_arena arena = {0};
        struct fz_source source;
        struct fz_graph *g;
        /* A cut between the model's own fields may leave a model; the function is last. */
        assert_true(fzi_import_memory(copy, i, NULL, &arena, &source, &g) != FZ_OK ||
                    fzi_graph_check(g) == FZ_OK);
        fzi_source_close(&source);
        fzi_arena_free(&arena);
        free(copy);
    }
    open_import(m, NULL, &im);
    close_import(&im);
}

static void flips(void **state) {
    struct pb m = pb_rich_model();
    for (size_t i = 0; i < m.size; i++) {
        uint8_t old = m.data[i];
        for (int bit = 0; bit < 8; bit++) {
            m.data[i] = (uint8_t)(old ^ 1u << bit);
            survive(m.data, m.size);
        }
        static const uint8_t values[] = {0, 0xFF, 0x7F, 0x80};
        for (size_t k = 0; k < sizeof values; k++) {
            m.data[i] = values[k];
            survive(m.data, m.size);
        }
        m.data[i] = old;
    }
    pb_free(&m);
}

static struct pb bytes(const char *text, size_t size) {
    struct pb m = {0};
    pb_append(&m, text, size);
    return m;
}

static void no_models(void **state) {
    refuse((struct pb){0}, FZ_E_FORMAT, "empty");
    refuse(bytes("PK\3\4 this is a zip file", 24), FZ_E_FORMAT, "");
    refuse(bytes("\x0B\x0C", 2), FZ_E_FORMAT, "damaged");             /* a group */
    refuse(bytes("\x00\x00", 2), FZ_E_FORMAT, "damaged");             /* field number 0 */
    refuse(bytes("\x08\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\x02", 11), FZ_E_FORMAT, "damaged");
    refuse(bytes("\x3A\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\x01", 11), FZ_E_FORMAT, "damaged");
    refuse(bytes("\x3A\x05\x00", 3), FZ_E_FORMAT, "damaged");         /* longer than the file */
    refuse(bytes("\x0D\x00\x00\x00\x00", 5), FZ_E_FORMAT, "wire type"); /* ir_version as float */
    refuse(bytes("\x08\x08\x08\x08", 4), FZ_E_FORMAT, "field 1 more"); /* ir_version twice */
    struct pb m = model("A:x:y");
    pb_bytes(&m, MODEL_GRAPH, "", 0);
    refuse(m, FZ_E_FORMAT, "field 7 more");
}

int run_refusal_tests(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names),     cmocka_unit_test(cycles),      cmocka_unit_test(branches),
        cmocka_unit_test(versions),  cmocka_unit_test(types),       cmocka_unit_test(functions),
        cmocka_unit_test(function_bomb), cmocka_unit_test(truncations), cmocka_unit_test(flips),
        cmocka_unit_test(no_models),
    };
    return cmocka_run_group_tests_name("refusals", tests, NULL, NULL);
}
