/* Good models: graphs, their order, subgraphs, functions, symbolic dimensions. */
#include "base/sha256.h"
#include "import_test.h"
#include "onnx_writer.h"

#include <setjmp.h>

#include <cmocka.h>

/* x -> y by NODE alone, float32[2]. */
static struct pb one_node(struct pb node) {
    struct pb g = {0};
    pb_msg(&g, GRAPH_NODE, node);
    pb_msg(&g, GRAPH_INPUT, pb_value("x", 1, "2"));
    pb_msg(&g, GRAPH_OUTPUT, pb_value("y", 1, "2"));
    return g;
}

static void plain(void **state) {
    struct imported im;
    struct pb g = one_node(pb_node("Add", "x,w", "y")), m;
    float w[2] = {1, 2};
    pb_text(&g, GRAPH_NAME, "main");
    pb_msg(&g, GRAPH_INIT, pb_raw_tensor("w", 1, "2", w, sizeof w));
    /* An initializer may be listed as an input: it stays a constant. */
    pb_msg(&g, GRAPH_INPUT, pb_value("w", 1, "2"));
    m = pb_model(g);
    pb_text(&m, MODEL_PRODUCER, "me");
    struct pb entry = {0};
    pb_text(&entry, 1, "author");
    pb_text(&entry, 2, "nobody");
    pb_msg(&m, MODEL_METADATA, entry);
    open_import(m, NULL, &im);
    same_text(im.graph, "graph(x: float32[2])\n  y: float32[2] = Add(x, #w: float32[2])\n"
                        "return y\n");
    const struct fz_model_info *info = im.graph->info;
    assert_string_equal(info->producer, "me");
    assert_string_equal(info->producer_version, "");
    assert_string_equal(info->graph_name, "main");
    assert_int_equal(info->ir_version, 8);
    assert_int_equal(info->n_metadata, 1);
    assert_string_equal(info->metadata[0].text, "author");
    assert_string_equal(info->metadata[1].text, "nobody");
    assert_int_equal(im.graph->first->opset, 17);
    assert_string_equal(im.graph->first->name, "y");
    assert_memory_equal(im.graph->first->in[1]->t.data, w, sizeof w);
    assert_int_equal(im.source.onnx_size, im.model.size);
    close_import(&im);
}

static void digest_is_sha256(void **state) {
    struct imported im;
    uint8_t digest[32];
    open_import(pb_model(one_node(pb_node("Relu", "x", "y"))), NULL, &im);
    fzi_sha256(im.model.data, im.model.size, digest);
    assert_memory_equal(digest, im.source.digest, 32);
    close_import(&im);
}

static void absent_and_domains(void **state) {
    struct imported im;
    struct pb node = pb_node("Clip", "x,,hi", "y"), other = pb_node("Gelu", "x", "hi"), g = {0}, m;
    pb_text(&node, NODE_DOMAIN, "ai.onnx");
    pb_text(&other, NODE_DOMAIN, "com.microsoft");
    g = one_node(node);
    pb_msg(&g, GRAPH_NODE, other);
    m = pb_model(g);
    pb_msg(&m, MODEL_OPSET, pb_opset("com.microsoft", 1));
    pb_msg(&m, MODEL_OPSET, pb_opset("nobody.uses.this", 99));
    open_import(m, NULL, &im);
    /* Out of order in the file, in order here. */
    same_text(im.graph, "graph(x: float32[2])\n  hi: ? = com.microsoft.Gelu(x)\n"
                        "  y: float32[2] = Clip(x, -, hi)\nreturn y\n");
    assert_int_equal(im.graph->first->opset, 1);
    assert_int_equal(im.graph->last->opset, 17);
    close_import(&im);
}

static void sorted(void **state) {
    struct imported im;
    struct pb g = one_node(pb_node("A", "c,b", "y"));
    pb_msg(&g, GRAPH_NODE, pb_node("B", "c", "b"));
    pb_msg(&g, GRAPH_NODE, pb_node("C", "d", "c"));
    pb_msg(&g, GRAPH_NODE, pb_node("D", "x", "d"));
    pb_msg(&g, GRAPH_NODE, pb_node("E", "x", "e"));
    open_import(pb_model(g), NULL, &im);
    same_text(im.graph, "graph(x: float32[2])\n  d: ? = D(x)\n  c: ? = C(d)\n  b: ? = B(c)\n"
                        "  y: float32[2] = A(c, b)\n  e: ? = E(x)\nreturn y\n");
    close_import(&im);
}

/* A branch of If that gives the output OUT by the operator OP from IN. */
static struct pb branch(const char *op, const char *in, const char *out) {
    struct pb g = {0}, value = {0};
    pb_msg(&g, GRAPH_NODE, pb_node(op, in, out));
    pb_text(&value, 1, out);
    pb_msg(&g, GRAPH_OUTPUT, value);
    return g;
}

static void subgraphs(void **state) {
    struct imported im;
    struct pb g = one_node(pb_node("Late", "x", "late")), inner = pb_node("If", "x", "p"), b = {0};
    /* The captured value is made by a node that the file lists after the If. */
    pb_msg(&inner, NODE_ATTR, pb_attr_graph("then_branch", branch("P", "late", "q")));
    pb_msg(&inner, NODE_ATTR, pb_attr_graph("else_branch", branch("Q", "x", "q")));
    pb_msg(&b, GRAPH_NODE, inner);
    pb_msg(&b, GRAPH_OUTPUT, pb_value("p", 1, NULL));
    struct pb node = pb_node("If", "x", "y"), all = {0};
    pb_msg(&node, NODE_ATTR, pb_attr_graph("else_branch", b));
    pb_msg(&node, NODE_ATTR, pb_attr_graph("then_branch", branch("T", "x", "t")));
    pb_msg(&all, GRAPH_NODE, node);
    pb_append(&all, g.data, g.size);
    pb_free(&g);
    open_import(pb_model(all), NULL, &im);
    /* A printer that shows the attributes as well as the subgraphs would hide the order. */
    const struct fz_node *outer = im.graph->last;
    assert_string_equal(im.graph->first->type, "Late");
    assert_string_equal(outer->type, "If");
    assert_int_equal(outer->n_sub, 2);
    assert_string_equal(outer->sub[0]->first->type, "T");
    const struct fz_node *nested = outer->sub[1]->first;
    assert_string_equal(nested->sub[0]->first->type, "P");
    assert_ptr_equal(nested->sub[0]->first->in[0], im.graph->first->out[0]);
    assert_ptr_equal(nested->sub[1]->first->in[0], im.graph->inputs[0]);
    assert_ptr_equal(outer->sub[1]->parent, im.graph);
    assert_int_equal(outer->sub[1]->outputs[0]->t.dtype, 1);
    assert_int_equal(outer->sub[1]->outputs[0]->t.rank, FZ_RANK_UNKNOWN);
    assert_int_equal(outer->sub[0]->outputs[0]->t.dtype, 0);
    close_import(&im);
}

static void symbols(void **state) {
    struct imported im;
    struct pb g = {0};
    pb_msg(&g, GRAPH_NODE, pb_node("Add", "x,z", "y"));
    pb_msg(&g, GRAPH_INPUT, pb_value("x", 1, "batch,?,seq,-1,4"));
    pb_msg(&g, GRAPH_INPUT, pb_value("z", 1, "seq,batch"));
    pb_msg(&g, GRAPH_OUTPUT, pb_value("y", 1, "batch,other"));
    struct pb m = pb_model(g), copy = {0};
    pb_append(&copy, m.data, m.size);
    open_import(m, NULL, &im);
    same_text(im.graph, "graph(x: float32[batch,?,seq,?,4], z: float32[seq,batch])\n"
                        "  y: float32[batch,other] = Add(x, z)\nreturn y\n");
    assert_int_equal(im.graph->info->n_symbols, 3);
    assert_int_equal(im.graph->inputs[0]->t.dims[2], FZ_DIM_SYMBOL - 1);
    close_import(&im);
    fz_dim_binding_t dims[] = {{"seq", 7}, {"other", 0}};
    fz_freeze_options_t options = {.size = sizeof options, .dims = dims, .n_dims = 2};
    open_import(copy, &options, &im);
    same_text(im.graph, "graph(x: float32[batch,?,7,?,4], z: float32[7,batch])\n"
                        "  y: float32[batch,0] = Add(x, z)\nreturn y\n");
    assert_int_equal(im.graph->info->n_symbols, 1);
    close_import(&im);
}

static void bad_bindings(void **state) {
    fz_dim_binding_t dims[] = {{"batch", 1}, {"x", 1}};
    fz_freeze_options_t options = {.size = sizeof options, .dims = dims, .n_dims = 2};
    struct pb g = {0};
    pb_msg(&g, GRAPH_NODE, pb_node("Relu", "x", "y"));
    pb_msg(&g, GRAPH_INPUT, pb_value("x", 1, "batch"));
    pb_msg(&g, GRAPH_OUTPUT, pb_value("y", 1, NULL));
    struct pb m = pb_model(g), again = {0}, third = {0};
    pb_append(&again, m.data, m.size);
    pb_append(&third, m.data, m.size);
    refuse_with(m, &options, FZ_E_USAGE, "no dimension 'x'");
    dims[1] = (fz_dim_binding_t){"batch", 2};
    refuse_with(again, &options, FZ_E_USAGE, "two sizes");
    dims[1].value = -1;
    refuse_with(third, &options, FZ_E_USAGE, "negative");
}

/* ---- functions */

/* Function "Scale" of x: Mul(x, Constant(value_float = @by)) with an If around it. */
static struct pb scale_function(void) {
    struct pb f = pb_function("Scale", "a,b", "r,copy"), constant = pb_node("Constant", "", "k");
    pb_msg(&constant, NODE_ATTR, pb_attr_ref("value_float", KIND_FLOAT, "by"));
    pb_msg(&f, FUNCTION_NODE, constant);
    pb_msg(&f, FUNCTION_NODE, pb_node("Mul", "a,k", "m"));
    struct pb clip = pb_node("Sub", "m,b", "r");
    pb_msg(&clip, NODE_ATTR, pb_attr_ref("axis", KIND_INT, "axis"));
    pb_msg(&clip, NODE_ATTR, pb_attr_ref("gone", KIND_INT, "optional"));
    pb_msg(&f, FUNCTION_NODE, clip);
    pb_text(&f, FUNCTION_ATTR, "by");
    pb_text(&f, FUNCTION_ATTR, "optional");
    pb_msg(&f, FUNCTION_DEFAULT, pb_attr_int("axis", 5));
    pb_text(&f, FUNCTION_OUTPUT, "a");
    return f;
}

static struct pb scale_call(const char *name, const char *inputs, const char *outputs, float by) {
    struct pb node = pb_node("Scale", inputs, outputs), attr = pb_attr("by", KIND_FLOAT);
    pb_text(&node, NODE_DOMAIN, "f");
    if (*name) pb_text(&node, NODE_NAME, name);
    pb_f32(&attr, ATTR_F, by);
    pb_msg(&node, NODE_ATTR, attr);
    return node;
}

static void functions(void **state) {
    struct imported im;
    struct pb twice = pb_function("Twice", "v", "w");
    pb_msg(&twice, FUNCTION_NODE, scale_call("inner", "v", "t", 2));
    pb_msg(&twice, FUNCTION_NODE, scale_call("", "t,v", "w", 3));
    struct pb call = pb_node("Twice", "x", "y"), g;
    pb_text(&call, NODE_DOMAIN, "f");
    pb_text(&call, NODE_NAME, "call");
    g = one_node(call);
    struct pb m = pb_model(g);
    pb_msg(&m, MODEL_FUNCTION, scale_function());
    pb_msg(&m, MODEL_FUNCTION, twice);
    /* scale_function() ends with a third output; "copy" has no producer but no call asks for it. */
    open_import(m, NULL, &im);
    same_text(im.graph,
              "graph(x: float32[2])\n"
              "  call/inner/m: ? = Mul(x, #call/inner/k: float32[])\n"
              "  call/t: ? = Sub(call/inner/m, -) axis=5\n"
              "  call/w/m: ? = Mul(call/t, #call/w/k: float32[])\n"
              "  y: float32[2] = Sub(call/w/m, x) axis=5\n"
              "return y\n");
    assert_true(*(float *)im.graph->first->in[1]->t.data == 2.0f);
    assert_string_equal(im.graph->first->name, "call/inner/m");
    close_import(&im);
}

static void function_passes_input_through(void **state) {
    struct imported im;
    struct pb m = pb_model(one_node(scale_call("s", "x,x", "r,,y", 1)));
    pb_msg(&m, MODEL_FUNCTION, scale_function());
    open_import(m, NULL, &im);
    assert_string_equal(im.graph->last->type, "Identity");
    assert_ptr_equal(im.graph->last->in[0], im.graph->inputs[0]);
    assert_ptr_equal(im.graph->outputs[0]->producer, im.graph->last);
    close_import(&im);
}

static void function_subgraph_sees_function(void **state) {
    struct imported im;
    struct pb f = pb_function("Choose", "c", "r"), node = pb_node("If", "c", "r");
    struct pb use = pb_node("Use", "c", "u"), then_graph = {0};
    pb_msg(&use, NODE_ATTR, pb_attr_ref("n", KIND_INT, "n"));
    pb_msg(&then_graph, GRAPH_NODE, use);
    pb_msg(&then_graph, GRAPH_OUTPUT, pb_value("u", 1, NULL));
    pb_msg(&node, NODE_ATTR, pb_attr_graph("then_branch", then_graph));
    pb_msg(&node, NODE_ATTR, pb_attr_graph("else_branch", branch("E", "c", "e")));
    pb_msg(&f, FUNCTION_NODE, node);
    pb_text(&f, FUNCTION_ATTR, "n");
    struct pb call = pb_node("Choose", "x", "y");
    pb_text(&call, NODE_DOMAIN, "f");
    pb_msg(&call, NODE_ATTR, pb_attr_int("n", 9));
    struct pb m = pb_model(one_node(call));
    pb_msg(&m, MODEL_FUNCTION, f);
    open_import(m, NULL, &im);
    const struct fz_node *inner = im.graph->first->sub[0]->first;
    assert_int_equal(inner->attrs[0].i, 9);
    assert_ptr_equal(inner->in[0], im.graph->inputs[0]);
    assert_string_equal(inner->out[0]->name, "y/u");
    close_import(&im);
}

int run_graph_tests(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(plain),
        cmocka_unit_test(digest_is_sha256),
        cmocka_unit_test(absent_and_domains),
        cmocka_unit_test(sorted),
        cmocka_unit_test(subgraphs),
        cmocka_unit_test(symbols),
        cmocka_unit_test(bad_bindings),
        cmocka_unit_test(functions),
        cmocka_unit_test(function_passes_input_through),
        cmocka_unit_test(function_subgraph_sees_function),
    };
    return cmocka_run_group_tests_name("graphs", tests, NULL, NULL);
}
