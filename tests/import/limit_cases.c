/* Limits: small files that ask for much, and each limit of the options. */
#include "import_test.h"
#include "onnx_writer.h"

#include <setjmp.h>
#include <stdio.h>

#include <cmocka.h>
#include <sys/resource.h>

/* The message CHILD, empty, N times in FIELD. */
static struct pb many(uint32_t field, size_t n) {
    struct pb m = {0};
    for (size_t i = 0; i < n; i++) pb_bytes(&m, field, "", 0);
    return m;
}

static struct pb wrap(uint32_t field, struct pb child) {
    struct pb m = {0};
    pb_msg(&m, field, child);
    return m;
}

enum { FIVE_MILLION = 5000000 }; /* ten megabytes of empty messages */

static void empty_messages(void **state) {
    struct rusage before, after;
    getrusage(RUSAGE_SELF, &before);
    refuse(pb_model(many(GRAPH_NODE, FIVE_MILLION)), FZ_E_LIMIT, "max_");
    refuse(pb_model(many(GRAPH_INIT, FIVE_MILLION)), FZ_E_LIMIT, "max_memory");
    refuse(pb_model(many(GRAPH_SPARSE, FIVE_MILLION)), FZ_E_LIMIT, "max_memory");
    refuse(pb_model(many(GRAPH_INPUT, FIVE_MILLION)), FZ_E_LIMIT, "");
    refuse(pb_model(wrap(GRAPH_NODE, many(NODE_ATTR, FIVE_MILLION))), FZ_E_LIMIT, "field 5");
    refuse(pb_model(wrap(GRAPH_NODE, many(NODE_INPUT, FIVE_MILLION))), FZ_E_LIMIT, "field 1");
    struct pb tensors = wrap(GRAPH_NODE, wrap(NODE_ATTR, many(ATTR_TENSORS, FIVE_MILLION)));
    refuse(pb_model(tensors), FZ_E_LIMIT, "max_memory");
    refuse(many(MODEL_FUNCTION, FIVE_MILLION), FZ_E_LIMIT, "max_memory");
    refuse(many(MODEL_METADATA, FIVE_MILLION), FZ_E_LIMIT, "field 14");
    getrusage(RUSAGE_SELF, &after);
    /* The files themselves and what is made of them before they are refused. */
    assert_true(after.ru_maxrss - before.ru_maxrss < 400 * 1024);
}

/* A model of N graphs, each in an If of the one around it. */
static struct pb nested(int n) {
    struct pb g = {0};
    pb_msg(&g, GRAPH_NODE, pb_node("A", "x", "y"));
    pb_msg(&g, GRAPH_OUTPUT, pb_value("y", 1, NULL));
    for (int i = 0; i < n; i++) {
        struct pb node = pb_node("Use", "x", "y"), outer = {0};
        pb_msg(&node, NODE_ATTR, pb_attr_graph("body", g));
        pb_msg(&outer, GRAPH_NODE, node);
        pb_msg(&outer, GRAPH_OUTPUT, pb_value("y", 1, NULL));
        g = outer;
    }
    pb_msg(&g, GRAPH_INPUT, pb_value("x", 1, NULL));
    return pb_model(g);
}

static void depth(void **state) {
    struct imported im;
    /* Model and graph, then a node, an attribute and a graph a level: 22 levels pass 64. */
    open_import(nested(4), NULL, &im);
    close_import(&im);
    refuse(nested(22), FZ_E_LIMIT, "max_depth");
    refuse(nested(5000), FZ_E_LIMIT, "max_depth");
    fz_freeze_options_t options = {.size = sizeof options, .max_depth = 10};
    refuse_with(nested(4), &options, FZ_E_LIMIT, "max_depth");
    /* However much the caller allows, the stack is not used up. */
    options.max_depth = UINT64_MAX;
    open_import(nested(100), &options, &im);
    close_import(&im);
    refuse_with(nested(5000), &options, FZ_E_LIMIT, "max_depth");
}

static struct pb chain(int n) {
    struct pb g = {0};
    for (int i = 0; i < n; i++) {
        char in[16], out[16];
        snprintf(in, sizeof in, "v%d", i);
        snprintf(out, sizeof out, "v%d", i + 1);
        pb_msg(&g, GRAPH_NODE, pb_node("A", in, out));
    }
    pb_msg(&g, GRAPH_INPUT, pb_value("v0", 1, "2"));
    pb_msg(&g, GRAPH_OUTPUT, pb_value("v10", 1, "2"));
    return pb_model(g);
}

static void options(void **state) {
    struct imported im;
    fz_freeze_options_t options = {.size = sizeof options, .max_nodes = 20};
    open_import(chain(20), &options, &im);
    close_import(&im);
    refuse_with(chain(21), &options, FZ_E_LIMIT, "max_nodes");
    options = (fz_freeze_options_t){.size = sizeof options, .max_file_size = 100};
    refuse_with(chain(20), &options, FZ_E_LIMIT, "max_file_size");
    options = (fz_freeze_options_t){.size = sizeof options, .max_memory = 4000};
    refuse_with(chain(20), &options, FZ_E_LIMIT, "max_memory");
    options.max_memory = 100000;
    refuse_with(chain(1000), &options, FZ_E_LIMIT, "max_memory");
    struct pb g = {0};
    uint8_t data[11] = {0};
    pb_msg(&g, GRAPH_INIT, pb_raw_tensor("w", FZ_TYPE_U8, "11", data, 11));
    pb_msg(&g, GRAPH_OUTPUT, pb_value("w", FZ_TYPE_U8, NULL));
    options = (fz_freeze_options_t){.size = sizeof options, .max_elements = 10};
    refuse_with(pb_model(g), &options, FZ_E_LIMIT, "max_elements");
}

/* A dense tensor of 10^10 bytes from a sparse one of none. */
static void sparse_bomb(void **state) {
    struct pb sparse = {0}, g = {0};
    pb_msg(&sparse, 1, pb_tensor("s", FZ_TYPE_U8, "0"));
    pb_msg(&sparse, 2, pb_tensor("i", FZ_TYPE_I64, "0"));
    pb_int(&sparse, 3, 10000000000);
    pb_msg(&g, GRAPH_SPARSE, sparse);
    refuse(pb_model(g), FZ_E_LIMIT, "max_memory");
}

static void many_names(void **state) {
    struct imported im;
    /* Long common prefixes and a long chain must not take quadratic time or deep recursion. */
    struct pb g = {0};
    enum { N = 30000 };
    for (int i = N; i-- > 0;) {
        char in[200], out[200];
        snprintf(in, sizeof in, "%0180d", i);
        snprintf(out, sizeof out, "%0180d", i + 1);
        pb_msg(&g, GRAPH_NODE, pb_node("A", in, out));
    }
    char first[200], last[200];
    snprintf(first, sizeof first, "%0180d", 0);
    snprintf(last, sizeof last, "%0180d", N);
    pb_msg(&g, GRAPH_INPUT, pb_value(first, 1, "2"));
    pb_msg(&g, GRAPH_OUTPUT, pb_value(last, 1, "2"));
    open_import(pb_model(g), NULL, &im);
    assert_int_equal(im.graph->n_nodes, N);
    assert_string_equal(im.graph->first->in[0]->name, first);
    close_import(&im);
}

int run_limit_tests(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(empty_messages), cmocka_unit_test(depth), cmocka_unit_test(options),
        cmocka_unit_test(sparse_bomb), cmocka_unit_test(many_names),
    };
    return cmocka_run_group_tests_name("limits", tests, NULL, NULL);
}
