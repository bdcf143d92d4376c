/* Export: what is written is read back as the same graph; names survive; a raised opset computes the
 * same; a file appears whole or not at all. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "export/export.h"
#include "onnx_writer.h"
#include "subject.h"

static const char *const digits[] = {"digits_mlp.onnx", "digits_cnn.onnx", "digits_lstm.onnx",
                                     "digits_vit.onnx", "digits_cnn.qdq.onnx"};

static void import_file(const char *name, struct imported *out) {
    char path[4096];
    *out = (struct imported){0};
    snprintf(path, sizeof path, "%s/%s", DIGITS_FOLDER, name);
    assert_int_equal(fzi_import_file(path, NULL, &out->arena, &out->source, &out->graph), FZ_OK);
}

/* GRAPH, written to memory and imported again. */
static void reimport(struct fz_graph *graph, struct imported *out) {
    void *data;
    size_t size;
    *out = (struct imported){0};
    assert_int_equal(fzi_export_memory(graph, &out->arena, &data, &size), FZ_OK);
    fz_status_t status = fzi_import_memory(data, size, NULL, &out->arena, &out->source,
                                           &out->graph);
    if (status != FZ_OK) fail_msg("%s", fzi_error_text());
}

static void same_graph(struct fz_graph *graph) {
    char before[65], after[65];
    struct imported again;
    fzi_pass_digest(graph, before);
    reimport(graph, &again);
    fzi_pass_digest(again.graph, after);
    assert_string_equal(before, after);
    assert_int_equal(graph->n_nodes, again.graph->n_nodes);
    struct fz_node *a = graph->first, *b = again.graph->first;
    for (; a; a = a->next, b = b->next) {
        assert_string_equal(a->name, b->name);
        for (uint32_t i = 0; i < a->n_in; i++)
            if (a->in[i]) assert_string_equal(a->in[i]->name, b->in[i]->name);
    }
    for (uint32_t i = 0; i < graph->n_inputs; i++)
        assert_true(fzi_shape_equal(&graph->inputs[i]->t, &again.graph->inputs[i]->t));
    close_import(&again);
}

static void trained_models(void **state) {
    (void)state;
    for (size_t i = 0; i < FZ_COUNT(digits); i++) {
        struct imported model;
        import_file(digits[i], &model);
        same_graph(model.graph);
        close_import(&model);
    }
}

/* If, a function, sparse and typed tensors, symbolic dimensions. */
static void rich_model(void **state) {
    (void)state;
    struct imported model;
    open_import(pb_rich_model(), NULL, &model);
    same_graph(model.graph);
    close_import(&model);
}

static void same_bytes(void **state) {
    (void)state;
    void *data[2];
    size_t size[2];
    struct imported model;
    import_file(digits[1], &model);
    for (int i = 0; i < 2; i++)
        assert_int_equal(fzi_export_memory(model.graph, &model.arena, &data[i], &size[i]), FZ_OK);
    assert_int_equal(size[0], size[1]);
    assert_memory_equal(data[0], data[1], size[0]);
    close_import(&model);
}

/* An output that is an input or a constant, and one value that is two outputs. */
static void odd_outputs(void **state) {
    (void)state;
    float k = 3;
    struct pb g = {0};
    pb_msg(&g, GRAPH_NODE, pb_node("Neg", "x", "y"));
    pb_msg(&g, GRAPH_NODE, pb_node("Identity", "x", "z"));
    pb_msg(&g, GRAPH_INIT, pb_raw_tensor("k", 1, "1", &k, sizeof k));
    pb_msg(&g, GRAPH_INPUT, pb_value("x", 1, "2"));
    pb_msg(&g, GRAPH_OUTPUT, pb_value("y", 1, "2"));
    pb_msg(&g, GRAPH_OUTPUT, pb_value("z", 1, "2"));
    pb_msg(&g, GRAPH_OUTPUT, pb_value("k", 1, "1"));
    struct imported model, again;
    const char *names[] = {"y", "z", "k"};
    open_import(pb_model(g), NULL, &model);
    model.graph->output_names = names;
    model.graph->outputs[1] = model.graph->inputs[0];
    fzi_graph_remove(model.graph, model.graph->last);
    reimport(model.graph, &again);
    assert_int_equal(again.graph->n_outputs, 3);
    for (int i = 0; i < 3; i++) assert_string_equal(again.graph->outputs[i]->name, names[i]);
    assert_string_equal(again.graph->outputs[1]->producer->type, "Identity");
    close_import(&again);
    close_import(&model);
}

/* Two nodes of one name, as rewrites leave them; what has none is named by its output. */
static void node_names(void **state) {
    (void)state;
    static const char *const before[] = {"n", "n", "", "", "n_1"};
    static const char *const after[] = {"n", "n_1", "v3", "v4", "n_1_1"};
    struct pb g = {0};
    pb_msg(&g, GRAPH_INPUT, pb_value("v0", 1, "2"));
    for (int i = 0; i < 5; i++) {
        char in[8], out[8];
        snprintf(in, sizeof in, "v%d", i);
        snprintf(out, sizeof out, "v%d", i + 1);
        struct pb node = pb_node("Neg", in, out);
        pb_bytes(&node, NODE_NAME, before[i], strlen(before[i]));
        pb_msg(&g, GRAPH_NODE, node);
    }
    pb_msg(&g, GRAPH_OUTPUT, pb_value("v5", 1, "2"));
    struct imported model, again;
    open_import(pb_model(g), NULL, &model);
    reimport(model.graph, &again);
    const struct fz_node *node = again.graph->first;
    for (int i = 0; i < 5; i++, node = node->next) assert_string_equal(node->name, after[i]);
    close_import(&again);
    close_import(&model);
}

/* ---- raising */

static struct pb with(struct pb node, struct pb attr) {
    pb_msg(&node, NODE_ATTR, attr);
    return node;
}

static struct pb ints(const char *name, const uint8_t *values, size_t n) {
    struct pb attr = pb_attr(name, KIND_INTS);
    pb_bytes(&attr, ATTR_INTS, values, n);
    return attr;
}

static struct pb real(const char *name, float value) {
    struct pb attr = pb_attr(name, KIND_FLOAT);
    pb_f32(&attr, ATTR_F, value);
    return attr;
}

#define LIST(name, ...) ints(name, (const uint8_t[]){__VA_ARGS__}, \
                             sizeof (const uint8_t[]){__VA_ARGS__})

/* A model of opset 9 whose nodes have all changed since. */
static struct pb old_model(void) {
    const float scales[] = {1, 1, 2, 1};
    struct pb g = {0}, m = {0};
    pb_msg(&g, GRAPH_INIT, pb_raw_tensor("s", 1, "4", scales, sizeof scales));
    struct pb clip = with(pb_node("Clip", "x", "a"), real("min", -0.5F));
    pb_msg(&g, GRAPH_NODE, with(clip, real("max", 0.5F)));
    struct pb pad = with(pb_node("Pad", "a", "b"), LIST("pads", 0, 0, 1, 0, 0, 0, 0, 1));
    pb_msg(&g, GRAPH_NODE, with(pad, real("value", 0.25F)));
    struct pb slice = with(pb_node("Slice", "b", "c"), LIST("starts", 1));
    pb_msg(&g, GRAPH_NODE, with(with(slice, LIST("ends", 3)), LIST("axes", 1)));
    pb_msg(&g, GRAPH_NODE, pb_node("Upsample", "c,s", "d"));
    pb_msg(&g, GRAPH_NODE, with(pb_node("Softmax", "d", "e"), pb_attr_int("axis", 2)));
    struct pb mean = with(pb_node("ReduceMean", "e", "f"), LIST("axes", 3));
    pb_msg(&g, GRAPH_NODE, with(mean, pb_attr_int("keepdims", 0)));
    pb_msg(&g, GRAPH_NODE, with(pb_node("Unsqueeze", "f", "h"), LIST("axes", 0)));
    pb_msg(&g, GRAPH_NODE, with(pb_node("Split", "h", "i,j"), pb_attr_int("axis", 2)));
    pb_msg(&g, GRAPH_NODE, with(pb_node("Squeeze", "j", "y"), LIST("axes", 0)));
    pb_msg(&g, GRAPH_NODE, pb_node("Dropout", "i", "z"));
    pb_msg(&g, GRAPH_INPUT, pb_value("x", 1, "2,4,3,5"));
    pb_msg(&g, GRAPH_OUTPUT, pb_value("y", 1, NULL));
    pb_msg(&g, GRAPH_OUTPUT, pb_value("z", 1, NULL));
    pb_int(&m, MODEL_IR, 4);
    pb_msg(&m, MODEL_GRAPH, g);
    pb_msg(&m, MODEL_OPSET, pb_opset("", 9));
    return m;
}

static void raised_to(int32_t opset, const char *passes) {
    static const fz_freeze_options_t options = {.size = sizeof options};
    struct fzk_table k;
    struct subject old, young;
    void *data;
    size_t size;
    fzk_table_fill(&k, fzk_cpu_mask());
    struct pb model = old_model();
    assert_int_equal(subject_open(&old, &model, &options, &k), FZ_OK);
    if (subject_rewrite(&old, "resolve fold") != FZ_OK) fail_msg("%s", fzi_error_text());
    assert_int_equal(subject_run(&old, 1, &k, 1), FZ_OK);

    struct imported source;
    open_import(old_model(), NULL, &source);
    struct fz_pass pass = {.graph = source.graph, .options = &options, .k = &k};
    if (*passes) assert_int_equal(fzi_passes_run_one("resolve", &pass), FZ_OK);
    if (*passes) assert_int_equal(fzi_passes_run_one("fold", &pass), FZ_OK);
    if (fzi_export_raise(source.graph, opset) != FZ_OK) fail_msg("%s", fzi_error_text());
    assert_int_equal(fzi_export_memory(source.graph, &source.arena, &data, &size), FZ_OK);
    struct pb written = {data, size, 0};
    assert_int_equal(subject_open(&young, &written, &options, &k), FZ_OK);
    for (struct fz_node *node = young.graph->first; node; node = node->next)
        assert_int_equal(node->opset, opset);
    fz_status_t status = subject_rewrite(&young, "resolve fold");
    if (status != FZ_OK) fail_msg("%s", fzi_error_text());
    assert_int_equal(subject_run(&young, 1, &k, 1), FZ_OK);
    assert_true(subject_equal(&old, &young));
    subject_close(&young);
    close_import(&source);
    subject_close(&old);
    pb_free(&model);
}

static void raised(void **state) {
    (void)state;
    for (int32_t opset = 13; opset <= 21; opset++) raised_to(opset, "");
    raised_to(13, "resolve fold");
    raised_to(18, "resolve fold");
}

static void not_lowered(void **state) {
    (void)state;
    struct imported model;
    open_import(pb_rich_model(), NULL, &model);
    assert_int_equal(fzi_export_raise(model.graph, 13), FZ_E_UNSUPPORTED);
    assert_non_null(strstr(fzi_error_text(), "opsets are only raised"));
    close_import(&model);
}

/* ---- files */

static void whole_or_not_at_all(void **state) {
    (void)state;
    char folder[] = "/tmp/export-XXXXXX", path[64];
    struct imported model;
    struct stat st;
    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/m.onnx", folder);
    import_file(digits[0], &model);
    assert_int_equal(fzi_export_file(model.graph, path), FZ_OK);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(rmdir(folder), 0);
    assert_int_equal(fzi_export_file(model.graph, path), FZ_E_IO);
    assert_int_equal(fzi_export_file(model.graph, "/dev/full/m.onnx"), FZ_E_IO);
    close_import(&model);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(trained_models), cmocka_unit_test(rich_model),
        cmocka_unit_test(same_bytes), cmocka_unit_test(odd_outputs), cmocka_unit_test(node_names),
        cmocka_unit_test(raised), cmocka_unit_test(not_lowered),
        cmocka_unit_test(whole_or_not_at_all),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
