/* Models with several faults: all are told in one go, each with its operator, opset and node, and
 * with what to do; the message stays bounded whatever the model's names are. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <frozen/freeze.h>

#include "../import/onnx_writer.h"

#include <cmocka.h>

enum { LINES_MAX = 26, MESSAGE_MAX = 4095 };

static struct pb named(const char *op, const char *domain, const char *in, const char *out,
                       const char *name) {
    struct pb m = pb_node(op, in, out);
    pb_text(&m, NODE_NAME, name);
    if (*domain) pb_text(&m, NODE_DOMAIN, domain);
    return m;
}

static struct pb with(struct pb node, struct pb attr) {
    pb_msg(&node, NODE_ATTR, attr);
    return node;
}

static struct pb text_attr(const char *name, const char *text) {
    struct pb m = pb_attr(name, KIND_STRING);
    pb_text(&m, ATTR_S, text);
    return m;
}

/* A graph with the inputs x float32 [1,3,8,8] and i int64 [1], and the output y. */
static struct pb begin(void) {
    struct pb graph = {0};
    static const float w[54];
    pb_text(&graph, GRAPH_NAME, "g");
    pb_msg(&graph, GRAPH_INIT, pb_raw_tensor("w", FZ_TYPE_F32, "2,3,3,3", w, sizeof w));
    pb_msg(&graph, GRAPH_INPUT, pb_value("x", FZ_TYPE_F32, "1,3,8,8"));
    pb_msg(&graph, GRAPH_INPUT, pb_value("i", FZ_TYPE_I64, "1"));
    return graph;
}

static void add(struct pb *graph, struct pb node) { pb_msg(graph, GRAPH_NODE, node); }

static struct pb end(struct pb graph) {
    pb_msg(&graph, GRAPH_OUTPUT, pb_value("y", FZ_TYPE_F32, NULL));
    struct pb model = pb_model(graph);
    pb_msg(&model, MODEL_OPSET, pb_opset("com.example", 2));
    pb_msg(&model, MODEL_OPSET, pb_opset("com.microsoft", 1));
    return model;
}

static int n_lines(void) {
    int n = 1;
    for (const char *c = fz_last_error(); *c; c++) n += *c == '\n';
    return n;
}

/* MODEL, which it releases, must be refused with STATUS, in LINES lines. */
static void refused(struct pb model, fz_status_t status, int lines) {
    fz_model_t *out;
    fz_status_t got = fz_freeze_open_memory(model.data, model.size, NULL, NULL, &out);
    pb_free(&model);
    if (got != status || n_lines() != lines)
        fail_msg("want %s in %d lines, got %s: %s", fz_status_name(status), lines,
                 fz_status_name(got), fz_last_error());
}

static void says(const char *words) {
    if (!strstr(fz_last_error(), words)) fail_msg("no '%s' in: %s", words, fz_last_error());
}

static void one_fault(void **state) {
    struct pb g = begin();
    add(&g, named("Frob", "com.example", "x", "y", "n"));
    refused(end(g), FZ_E_UNSUPPORTED, 1);
    assert_string_equal(fz_last_error(), "not supported: operator com.example.Frob of opset 2 "
                                         "(node 'n'): register a custom operator, or export the "
                                         "model without it");
}

static void all_faults(void **state) {
    struct pb g = begin();
    add(&g, named("Frob", "com.example", "x", "a", "first"));
    add(&g, named("Frob", "com.example", "a", "b", "second"));
    add(&g, named("Relu", "", "b", "c", "behind"));
    add(&g, with(named("Conv", "", "x,w", "d", "strange"), pb_attr_int("odd", 1)));
    add(&g, named("RemovePadding", "com.microsoft", "x,x", "e,e1,e2,e3", "gpu"));
    add(&g, with(named("Softmax", "", "x", "s", "soft"), pb_attr_int("axis", 99)));
    add(&g, with(named("Conv", "", "x,w", "p", "pad"), text_attr("auto_pad", "SAME_WHAT")));
    add(&g, named("Add", "", "i,x", "q", "mixed"));
    add(&g, named("Add", "", "q,x", "y", "behind mixed"));
    add(&g, named("Gelu", "", "x", "z", "early"));
    add(&g, named("Conv", "", "x", "v", "one input"));
    refused(end(g), FZ_E_UNSUPPORTED, 9);
    says("not supported, 8 cases:\n");
    says("operator com.example.Frob of opset 2 (node 'first' and 1 more): register");
    says("attribute 'odd' of Conv of opset 17 (node 'strange'): ");
    says("com.microsoft.RemovePadding of opset 1 (node 'gpu'): it exists for GPUs");
    says("node 'soft' (Softmax, opset 17): Softmax: axis 99");
    says("node 'pad' (Conv, opset 17): attribute 'auto_pad' has the unknown value 'SAME_WHAT'");
    says("node 'mixed' (Add, opset 17): ");
    says("operator Gelu of opset 17 (node 'early'): re-export the model, this library has it for "
         "opsets 20 and newer");
    says("node 'one input'");
    assert_null(strstr(fz_last_error(), "behind"));
}

/* Faults of types alone are no lack of the library's. */
static void contradictions(void **state) {
    struct pb g = begin();
    add(&g, named("Add", "", "i,x", "a", "one"));
    add(&g, named("Mul", "", "x,i", "b", "two"));
    add(&g, named("Relu", "", "x", "y", "good"));
    refused(end(g), FZ_E_TYPE, 3);
    says("the graph contradicts itself, 2 cases:");
    says("node 'one' (Add, opset 17)"), says("node 'two' (Mul, opset 17)"), says("Cast");
}

/* What the branches of an If lack counts, too. */
static void subgraphs(void **state) {
    struct pb g = begin(), branch[2];
    for (int i = 0; i < 2; i++) {
        branch[i] = (struct pb){0};
        pb_text(&branch[i], GRAPH_NAME, "branch");
        pb_msg(&branch[i], GRAPH_NODE, named(i ? "Then" : "Else", "com.example", "x", "r", "in"));
        pb_msg(&branch[i], GRAPH_OUTPUT, pb_value("r", FZ_TYPE_F32, NULL));
    }
    pb_msg(&g, GRAPH_INPUT, pb_value("c", FZ_TYPE_BOOL, ""));
    add(&g, named("Outer", "com.example", "x", "a", "out"));
    add(&g, with(with(named("If", "", "c", "y", "if"), pb_attr_graph("then_branch", branch[0])),
                 pb_attr_graph("else_branch", branch[1])));
    refused(end(g), FZ_E_UNSUPPORTED, 4);
    says("com.example.Then"), says("com.example.Else"), says("com.example.Outer");
}

/* However many, and however long their names. */
static void bounded(void **state) {
    char name[4000], op[16];
    memset(name, 'n', sizeof name - 1);
    name[sizeof name - 1] = 0;
    for (int length = 0; length < 2; length++) {
        struct pb g = begin();
        for (int i = 0; i < 500; i++) {
            snprintf(op, sizeof op, "Op%d", i);
            add(&g, named(op, "com.example", "x", i ? op : "y", length ? name : "n"));
        }
        refused(end(g), FZ_E_UNSUPPORTED, LINES_MAX);
        assert_true(strlen(fz_last_error()) < MESSAGE_MAX);
        says("not supported, 500 cases:"), says("Op23 "), says("\n  and 476 more");
    }
    struct pb g = begin();
    for (int i = 0; i < 30; i++) {
        struct pb attr = text_attr("auto_pad", name);
        snprintf(op, sizeof op, "out%d", i);
        add(&g, with(named("Conv", "", "x,w", i ? op : "y", op), attr));
    }
    refused(end(g), FZ_E_UNSUPPORTED, LINES_MAX);
    assert_true(strlen(fz_last_error()) <= MESSAGE_MAX);
    says("node 'out23'"), says("and 6 more");
}

/* What the import does not know is listed by itself: there is no graph to look at behind it. */
static void unknown_types(void **state) {
    struct pb g = begin();
    pb_msg(&g, GRAPH_INIT, pb_raw_tensor("one", 77, "1", "x", 1));
    pb_msg(&g, GRAPH_INIT, pb_raw_tensor("two", 78, "1", "x", 1));
    add(&g, with(named("Relu", "", "x", "y", "typed"), pb_attr("k", 44)));
    refused(end(g), FZ_E_UNSUPPORTED, 4);
    says("tensor 'one' has the unknown element type 77");
    says("tensor 'two' has the unknown element type 78"), says("node 'typed' (Relu)");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_fault), cmocka_unit_test(all_faults),
        cmocka_unit_test(contradictions), cmocka_unit_test(subgraphs),
        cmocka_unit_test(bounded), cmocka_unit_test(unknown_types),
    };
    return cmocka_run_group_tests_name("faults of models", tests, NULL, NULL);
}
