/* Custom operators: what custom.h promises, sentence by sentence, and files that lie about them. */
#include <fenv.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <frozen/custom.h>
#include <frozen/freeze.h>

#include "../artifact/sample.h"
#include "../import/onnx_writer.h"

#include <cmocka.h>

#define assert_ok(expr)                                                                            \
    do {                                                                                           \
        fz_status_t status_ = (expr);                                                              \
        if (status_ != FZ_OK) print_error("%s: %s\n", fz_status_name(status_), fz_last_error());   \
        assert_int_equal(status_, FZ_OK);                                                          \
    } while (0)

static void says_(fz_status_t got, fz_status_t want, const char *words, int line) {
    if (got != want || !strstr(fz_last_error(), words))
        fail_msg("line %d: want %s with '%s', got %s: %s", line, fz_status_name(want), words,
                 fz_status_name(got), fz_last_error());
}
#define says(expr, status, words) says_(expr, status, words, __LINE__)

/* ---- the operator of most tests: y = x * scale + bias, and what it was given */

struct seen {
    int runs, infers;
    fz_status_t answer;       /* of run */
    const char *message;      /* with `error`, unless NULL */
    fz_status_t infer_answer;
    bool vary, spoil_rounding, nan;
};

static fz_status_t affine_infer(void *context, const fz_custom_call_t *call) {
    struct seen *seen = context;
    const fz_tensor_t *x = call->inputs[0];
    fz_tensor_t *y = call->outputs[0];
    if (seen) seen->infers++;
    if (seen && seen->infer_answer) return seen->infer_answer;
    if (y) y->dtype = x->dtype, y->rank = x->rank, memcpy(y->dims, x->dims, sizeof y->dims);
    if (call->outputs[1]) call->outputs[1]->dtype = FZ_TYPE_I64, call->outputs[1]->rank = 0;
    return FZ_OK;
}

static size_t affine_scratch(void *context, const fz_custom_call_t *call) {
    return call->inputs[0]->size;
}

struct affine {
    const float *x, *bias;
    float *y, scale;
};

static void affine_task(void *arg, size_t i) {
    const struct affine *a = arg;
    a->y[i] = a->x[i] * a->scale + (a->bias ? a->bias[0] : 0);
}

static fz_status_t affine_run(void *context, const fz_custom_call_t *call) {
    struct seen *seen = context;
    size_t n = call->inputs[0]->size / sizeof(float);
    if (seen && seen->answer && seen->message)
        return call->error(call, seen->answer, seen->message);
    if (seen && seen->answer) return seen->answer;
    if ((uintptr_t)call->scratch % 64 || (n && !call->scratch) || call->threads < 1)
        return call->error(call, FZ_E_INTERNAL, "no scratch");
    if (n) memset(call->scratch, 7, n * sizeof(float));
    struct affine a = {.x = call->inputs[0]->data,
                       .bias = call->inputs[1] ? call->inputs[1]->data : NULL,
                       .y = call->outputs[0] ? call->outputs[0]->data : call->scratch,
                       .scale = *(const float *)call->attributes[0]->data};
    if (seen && seen->vary) a.scale += (float)seen->runs;
    if (seen && seen->spoil_rounding) fesetround(FE_UPWARD);
    call->parallel(call, n, affine_task, &a);
    if (seen && seen->nan && n) a.y[0] = -NAN;
    if (call->outputs[1]) *(int64_t *)call->outputs[1]->data = (int64_t)n;
    if (seen) seen->runs++;
    return FZ_OK;
}

static const fz_custom_attr_t affine_attrs[] = {{"scale", FZ_CUSTOM_FLOAT, 1}};

static fz_custom_op_t affine(struct seen *seen) {
    return (fz_custom_op_t){.size = sizeof(fz_custom_op_t), .domain = "com.test", .name = "Affine",
                            .opset = 1, .version = 3, .digest = {1, 2, 3}, .min_inputs = 1,
                            .max_inputs = 2, .min_outputs = 1, .max_outputs = 2,
                            .attributes = affine_attrs, .n_attributes = 1,
                            .infer = affine_infer, .scratch = affine_scratch, .run = affine_run,
                            .context = seen};
}

static fz_custom_t *set_of(const fz_custom_op_t *op) {
    fz_custom_t *custom;
    assert_ok(fz_custom_create(&op, 1, &custom));
    return custom;
}

static struct pb attr_float(const char *name, float value) {
    struct pb m = pb_attr(name, KIND_FLOAT);
    pb_f32(&m, ATTR_F, value);
    return m;
}

/* A node of com.test, called "the node". */
static struct pb custom_node(const char *op, const char *inputs, const char *outputs) {
    struct pb m = pb_node(op, inputs, outputs);
    pb_text(&m, NODE_NAME, "the node");
    pb_text(&m, NODE_DOMAIN, "com.test");
    return m;
}

/* A model of N nodes, x float32 [n,3] -> OUTPUTS. */
static struct pb model_of(struct pb *nodes, int n, const char *y, int32_t dtype, const char *dims) {
    struct pb graph = {0};
    pb_text(&graph, GRAPH_NAME, "g");
    for (int i = 0; i < n; i++) pb_msg(&graph, GRAPH_NODE, nodes[i]);
    pb_msg(&graph, GRAPH_INPUT, pb_value("x", FZ_TYPE_F32, "n,3"));
    pb_msg(&graph, GRAPH_OUTPUT, pb_value(y, dtype, dims));
    struct pb model = pb_model(graph);
    pb_msg(&model, MODEL_OPSET, pb_opset("com.test", 4));
    return model;
}

/* y = Relu(Affine(x, scale 2)). */
static struct pb affine_model(void) {
    struct pb nodes[] = {custom_node("Affine", "x", "a"), pb_node("Relu", "a", "y")};
    pb_msg(&nodes[0], NODE_ATTR, attr_float("scale", 2));
    return model_of(nodes, 2, "y", FZ_TYPE_F32, "n,3");
}

/* Freezes and opens MODEL, which it releases. */
static fz_status_t open_with(struct pb model, const fz_custom_t *custom, fz_model_t **out) {
    fz_freeze_options_t options = {.size = sizeof options, .custom = custom};
    fz_status_t status = fz_freeze_open_memory(model.data, model.size, &options, NULL, out);
    pb_free(&model);
    return status;
}

static float input[] = {1, -2, 3, 4, 5, -6};

/* Runs MODEL on N rows of INPUT; the output stays in *SESSION. */
static fz_status_t run_rows(fz_model_t *model, int64_t n, int32_t threads, fz_session_t **session,
                            fz_tensor_t *y) {
    fz_session_options_t options = {.size = sizeof options, .threads = threads};
    fz_tensor_t x = {.dtype = FZ_TYPE_F32, .rank = 2, .dims = {n, 3}, .data = input,
                     .size = (size_t)n * 12};
    *y = (fz_tensor_t){0};
    assert_ok(fz_session_create(model, &options, session));
    return fz_session_run(*session, &x, 1, y, 1);
}

/* ---- sets */

static void refuses(void (*spoil)(fz_custom_op_t *op), const char *words) {
    fz_custom_op_t op = affine(NULL);
    const fz_custom_op_t *ops = &op;
    fz_custom_t *custom = (fz_custom_t *)&op;
    spoil(&op);
    says(fz_custom_create(&ops, 1, &custom), FZ_E_USAGE, words);
    assert_null(custom);
}

#define SPOIL(name, change)                                                                        \
    static void name(fz_custom_op_t *op) { change; }
SPOIL(no_size, op->size = 0)
SPOIL(half_size, op->size = offsetof(fz_custom_op_t, run))
SPOIL(no_domain, op->domain = NULL)
SPOIL(blank_domain, op->domain = "a b")
SPOIL(no_name, op->name = "")
SPOIL(ours, (op->domain = "", op->name = "Conv"))
SPOIL(ours_long, (op->domain = "ai.onnx", op->name = "Conv"))
SPOIL(reserved_domain, op->domain = "frozen")
SPOIL(no_opset, op->opset = 0)
SPOIL(large_opset, op->opset = 32768)
SPOIL(no_version, op->version = 0)
SPOIL(no_digest, memset(op->digest, 0, 32))
SPOIL(more_min, op->min_inputs = 3)
SPOIL(many_inputs, op->max_inputs = 17)
SPOIL(no_outputs, op->min_outputs = op->max_outputs = 0)
SPOIL(many_outputs, op->max_outputs = 17)
SPOIL(flags, op->flags = 2)
SPOIL(reserved, op->reserved = 1)
SPOIL(no_run, op->run = NULL)
SPOIL(no_shape, (op->infer = NULL, op->min_inputs = op->max_inputs = 0))
SPOIL(null_attrs, op->attributes = NULL)
SPOIL(many_attrs, op->n_attributes = 17)

static void tables(void **state) {
    refuses(no_size, "`size`"), refuses(half_size, "`size`"), refuses(no_domain, "no domain");
    refuses(blank_domain, "blanks"), refuses(no_name, "no domain or name");
    refuses(ours, "itself"), refuses(ours_long, "itself"), refuses(reserved_domain, "itself");
    refuses(no_opset, "opset"), refuses(large_opset, "opset"), refuses(no_version, "version");
    refuses(no_digest, "digest"), refuses(more_min, "inputs"), refuses(many_inputs, "inputs");
    refuses(no_outputs, "outputs"), refuses(many_outputs, "outputs"), refuses(flags, "flags");
    refuses(reserved, "reserved"), refuses(no_run, "run"), refuses(no_shape, "infer");
    refuses(null_attrs, "attributes"), refuses(many_attrs, "attributes");
}

static void bad_attribute(fz_custom_attr_t attr, const char *words) {
    fz_custom_attr_t attrs[] = {affine_attrs[0], attr};
    fz_custom_op_t op = affine(NULL);
    const fz_custom_op_t *ops = &op;
    fz_custom_t *custom;
    op.attributes = attrs, op.n_attributes = 2;
    says(fz_custom_create(&ops, 1, &custom), FZ_E_USAGE, words);
}

static void sets(void **state) {
    fz_custom_op_t op = affine(NULL);
    const fz_custom_op_t *twice[] = {&op, &op}, *null = NULL;
    fz_custom_t *custom;
    says(fz_custom_create(twice, 2, &custom), FZ_E_USAGE, "com.test.Affine of opset 1 is listed");
    says(fz_custom_create(&null, 1, &custom), FZ_E_USAGE, "operator 0 is NULL");
    says(fz_custom_create(NULL, 1, &custom), FZ_E_USAGE, "OPS is NULL");
    says(fz_custom_create(twice, 1, NULL), FZ_E_USAGE, "OUT is NULL");
    bad_attribute((fz_custom_attr_t){"scale", FZ_CUSTOM_INT, 0}, "listed twice");
    bad_attribute((fz_custom_attr_t){NULL, FZ_CUSTOM_INT, 0}, "no name");
    bad_attribute((fz_custom_attr_t){"k", 8, 0}, "no known kind");
    bad_attribute((fz_custom_attr_t){"k", FZ_CUSTOM_INT, 2}, "neither 0 nor 1");
    /* A newer program's table, whose new members are 0, and one that uses them. */
    struct {
        fz_custom_op_t op;
        char more[16];
    } newer = {.op = op};
    const fz_custom_op_t *ops = &newer.op;
    newer.op.size = sizeof newer;
    assert_ok(fz_custom_create(&ops, 1, &custom));
    fz_custom_close(custom);
    newer.more[3] = 1;
    says(fz_custom_create(&ops, 1, &custom), FZ_E_USAGE, "does not know");
    assert_ok(fz_custom_create(NULL, 0, &custom));
    fz_custom_close(custom);
    fz_custom_close(NULL);
}

/* ---- running */

static void computes(void **state) {
    struct seen seen = {0};
    fz_custom_op_t op = affine(&seen);
    fz_custom_t *custom = set_of(&op);
    op.name = "gone"; /* the set has copies */
    fz_model_t *model;
    fz_session_t *session;
    fz_tensor_t y;
    assert_ok(open_with(affine_model(), custom, &model));
    assert_int_equal(seen.runs, 2); /* the known answer, twice */
    assert_string_equal(fz_model_text(model, "known-answer"), "seed");
    assert_ok(fz_model_known_answer(model));
    for (int64_t n = 0; n <= 2; n++)
        for (int32_t threads = 1; threads <= 2; threads++) {
            assert_ok(run_rows(model, n, threads, &session, &y));
            assert_int_equal(y.dims[0], n);
            for (int64_t i = 0; i < 3 * n; i++)
                assert_true(((float *)y.data)[i] == (input[i] < 0 ? 0 : 2 * input[i]));
            fz_session_close(session);
        }
    fz_model_close(model);
    fz_custom_close(custom);
}

static void inspects(void **state) {
    fz_custom_op_t op = affine(NULL);
    fz_custom_t *custom = set_of(&op);
    fz_model_t *model;
    fz_step_t step;
    assert_ok(open_with(affine_model(), custom, &model));
    assert_ok(fz_model_step(model, 0, &step));
    assert_string_equal(step.domain, "com.test");
    assert_string_equal(step.op, "Affine");
    assert_int_equal(step.opset, 1);
    assert_int_equal(step.rev, 3);
    assert_non_null(strstr(fz_model_text(model, "operators"), "com.test.Affine 3 1\n"));
    fz_model_close(model);
    fz_custom_close(custom);
}

/* Two outputs, of which the model reads the second; the optional input is absent, then there. */
static void optional_arguments(void **state) {
    fz_custom_op_t op = affine(NULL);
    fz_custom_t *custom = set_of(&op);
    fz_session_t *session;
    fz_model_t *model;
    fz_tensor_t y;
    for (int bias = 0; bias < 2; bias++) {
        struct pb nodes[] = {custom_node("Affine", bias ? "x,x" : "x,", "a,count"),
                             pb_node("Identity", bias ? "a" : "count", "y")};
        pb_msg(&nodes[0], NODE_ATTR, attr_float("scale", 2));
        assert_ok(open_with(model_of(nodes, 2, "y", bias ? FZ_TYPE_F32 : FZ_TYPE_I64,
                                     bias ? "n,3" : ""), custom, &model));
        fz_status_t status = run_rows(model, 2, 1, &session, &y);
        assert_ok(status);
        if (bias) assert_true(((float *)y.data)[1] == -4 + 1);
        else assert_int_equal(*(int64_t *)y.data, 6);
        fz_session_close(session);
        fz_model_close(model);
    }
    fz_custom_close(custom);
}

/* ---- attributes of every kind */

static fz_status_t kinds_run(void *context, const fz_custom_call_t *call) {
    const fz_tensor_t *const *a = call->attributes;
    fz_string_t text = *(fz_string_t *)a[2]->data, second = ((fz_string_t *)a[6]->data)[1];
    bool good = a[0]->dtype == FZ_TYPE_I64 && a[0]->rank == 0 && *(int64_t *)a[0]->data == -7 &&
                a[1]->dtype == FZ_TYPE_F32 && *(float *)a[1]->data == 0.5f &&
                text.size == 5 && memcmp(text.text, "a\0b\"\n", 5) == 0 &&
                a[3]->dtype == FZ_TYPE_U8 && a[3]->rank == 2 && a[3]->dims[1] == 2 &&
                ((uint8_t *)a[3]->data)[1] == 9 && a[4]->rank == 1 && a[4]->dims[0] == 3 &&
                ((int64_t *)a[4]->data)[2] == INT64_MIN && a[5]->dims[0] == 0 &&
                a[6]->dims[0] == 2 && second.size == 2 && memcmp(second.text, "yz", 2) == 0 &&
                a[7] == NULL;
    if (!good) return call->error(call, FZ_E_VALUE, "the attributes are others");
    memcpy(call->outputs[0]->data, call->inputs[0]->data, call->outputs[0]->size);
    return FZ_OK;
}

static const fz_custom_attr_t all_kinds[] = {
    {"i", FZ_CUSTOM_INT, 1}, {"f", FZ_CUSTOM_FLOAT, 1}, {"s", FZ_CUSTOM_STRING, 1},
    {"t", FZ_CUSTOM_TENSOR, 1}, {"is", FZ_CUSTOM_INTS, 1}, {"fs", FZ_CUSTOM_FLOATS, 1},
    {"ss", FZ_CUSTOM_STRINGS, 1}, {"absent", FZ_CUSTOM_STRINGS, 0}};

static fz_custom_op_t kinds_op(void) {
    return (fz_custom_op_t){.size = sizeof(fz_custom_op_t), .domain = "com.test", .name = "Kinds",
                            .opset = 4, .version = 1, .digest = {9}, .min_inputs = 1,
                            .max_inputs = 1, .min_outputs = 1, .max_outputs = 1,
                            .attributes = all_kinds, .n_attributes = 8, .run = kinds_run};
}

static struct pb kinds_model(void) {
    struct pb node = custom_node("Kinds", "x", "y"), a;
    pb_msg(&node, NODE_ATTR, pb_attr_int("i", -7));
    pb_msg(&node, NODE_ATTR, attr_float("f", 0.5f));
    a = pb_attr("s", KIND_STRING);
    pb_bytes(&a, ATTR_S, "a\0b\"\n", 5);
    pb_msg(&node, NODE_ATTR, a);
    a = pb_attr("t", KIND_TENSOR);
    pb_msg(&a, ATTR_T, pb_raw_tensor("", FZ_TYPE_U8, "1,2", "\x08\x09", 2));
    pb_msg(&node, NODE_ATTR, a);
    a = pb_attr("is", KIND_INTS);
    pb_int(&a, ATTR_INTS, 1), pb_int(&a, ATTR_INTS, 2), pb_int(&a, ATTR_INTS, INT64_MIN);
    pb_msg(&node, NODE_ATTR, a);
    pb_msg(&node, NODE_ATTR, pb_attr("fs", KIND_FLOATS));
    a = pb_attr("ss", KIND_STRINGS);
    pb_text(&a, ATTR_STRINGS, "x"), pb_text(&a, ATTR_STRINGS, "yz");
    pb_msg(&node, NODE_ATTR, a);
    return model_of(&node, 1, "y", FZ_TYPE_F32, "n,3");
}

static void attributes(void **state) {
    fz_custom_op_t op = kinds_op();
    fz_custom_t *custom = set_of(&op);
    fz_session_t *session;
    fz_model_t *model;
    fz_tensor_t y;
    assert_ok(open_with(kinds_model(), custom, &model));
    assert_string_equal(fz_model_text(model, "known-answer"), "seed");
    assert_ok(run_rows(model, 2, 1, &session, &y));
    assert_memory_equal(y.data, input, sizeof input);
    fz_session_close(session);
    fz_model_close(model);
    fz_custom_close(custom);
}

static void refuses_node(struct pb node, fz_status_t status, const char *words) {
    fz_custom_op_t op = affine(NULL);
    fz_custom_t *custom = set_of(&op);
    fz_model_t *model;
    says(open_with(model_of(&node, 1, "y", FZ_TYPE_F32, "n,3"), custom, &model), status, words);
    assert_non_null(strstr(fz_last_error(), "the node"));
    assert_null(model);
    fz_custom_close(custom);
}

static void bad_nodes(void **state) {
    refuses_node(custom_node("Affine", "x", "y"), FZ_E_FORMAT, "attribute 'scale' is missing");
    struct pb node = custom_node("Affine", "x", "y");
    pb_msg(&node, NODE_ATTR, pb_attr_int("scale", 1));
    refuses_node(node, FZ_E_FORMAT, "attribute 'scale' must be a float");
    node = custom_node("Affine", "x", "y");
    pb_msg(&node, NODE_ATTR, attr_float("scale", 1));
    pb_msg(&node, NODE_ATTR, attr_float("extra", 1));
    refuses_node(node, FZ_E_UNSUPPORTED, "attribute 'extra'");
    node = custom_node("Affine", "x,x,x", "y");
    pb_msg(&node, NODE_ATTR, attr_float("scale", 1));
    refuses_node(node, FZ_E_FORMAT, "3");
    node = custom_node("Affine", "x", "y,b,c");
    pb_msg(&node, NODE_ATTR, attr_float("scale", 1));
    refuses_node(node, FZ_E_FORMAT, "3 outputs");
}

/* ---- which operator serves a node */

static fz_status_t opset_run(void *context, const fz_custom_call_t *call) {
    float *y = call->outputs[0]->data;
    for (size_t i = 0; i < call->outputs[0]->size / 4; i++) y[i] = *(const float *)context;
    return FZ_OK;
}

static void newest_opset(void **state) {
    static float marks[] = {1, 3, 5};
    fz_custom_op_t ops[3];
    const fz_custom_op_t *list[3];
    for (int i = 0; i < 3; i++) {
        ops[i] = (fz_custom_op_t){.size = sizeof *ops, .domain = "com.test", .name = "Mark",
                                  .opset = (int32_t)marks[i], .version = 1, .digest = {1},
                                  .min_inputs = 1, .max_inputs = 1, .min_outputs = 1,
                                  .max_outputs = 1, .run = opset_run, .context = &marks[i]};
        list[i] = &ops[i];
    }
    fz_custom_t *custom;
    fz_session_t *session;
    fz_model_t *model;
    fz_tensor_t y;
    struct pb node = custom_node("Mark", "x", "y");
    assert_ok(fz_custom_create(list, 3, &custom));
    assert_ok(open_with(model_of(&node, 1, "y", FZ_TYPE_F32, "n,3"), custom, &model));
    assert_ok(run_rows(model, 2, 1, &session, &y));
    assert_true(*(float *)y.data == 3); /* the model imports opset 4 */
    fz_session_close(session);
    fz_model_close(model);
    fz_custom_close(custom);
}

/* ---- files and sets that do not belong together */

static const char *file_path(void) {
    static char path[64];
    snprintf(path, sizeof path, "/tmp/custom_test.%ld.fz", (long)getpid());
    return path;
}

/* The file of MODEL with OP; ID gets its id. */
static void freeze_to_file(struct pb model, const fz_custom_op_t *op, char id[65]) {
    char onnx[80];
    snprintf(onnx, sizeof onnx, "%s.onnx", file_path());
    FILE *file = fopen(onnx, "wb");
    assert_true(file && fwrite(model.data, 1, model.size, file) == model.size);
    fclose(file);
    pb_free(&model);
    fz_custom_t *custom = set_of(op);
    fz_freeze_options_t options = {.size = sizeof options, .custom = custom};
    assert_ok(fz_freeze_file(onnx, file_path(), &options, id));
    fz_custom_close(custom);
    unlink(onnx);
}

/* Opens the file with OP, or with nothing. */
static fz_status_t open_file(const fz_custom_op_t *op, uint32_t flags, fz_model_t **model,
                             fz_custom_t **custom) {
    *custom = op ? set_of(op) : NULL;
    fz_open_options_t options = {.size = sizeof options, .flags = flags, .custom = *custom};
    fz_status_t status = fz_model_open(file_path(), &options, model);
    if (status != FZ_OK) fz_custom_close(*custom);
    return status;
}

static void other_implementations(void **state) {
    char id[65], other[65];
    fz_custom_t *custom;
    fz_model_t *model;
    fz_custom_op_t op = affine(NULL), wrong = op;
    freeze_to_file(affine_model(), &op, id);
    assert_ok(open_file(&op, 0, &model, &custom));
    fz_model_close(model);
    fz_custom_close(custom);
    says(open_file(NULL, 0, &model, &custom), FZ_E_UNSUPPORTED,
         "com.test.Affine of opset 1, a custom operator of version 3 sha256:010203");
    says(open_file(NULL, 0, &model, &custom), FZ_E_UNSUPPORTED, "not registered");
    wrong.version = 4;
    says(open_file(&wrong, 0, &model, &custom), FZ_E_UNSUPPORTED,
         "which is registered in version 4 sha256:010203");
    wrong = op;
    wrong.digest[31] = 1;
    says(open_file(&wrong, 0, &model, &custom), FZ_E_UNSUPPORTED, "registered in version 3 sha256");
    wrong = op;
    wrong.name = "Afine";
    says(open_file(&wrong, 0, &model, &custom), FZ_E_UNSUPPORTED, "not registered");
    wrong = op;
    wrong.opset = 2;
    says(open_file(&wrong, 0, &model, &custom), FZ_E_UNSUPPORTED, "not registered");
    /* Version and digest are part of the id. */
    wrong = op;
    wrong.digest[31] = 1;
    freeze_to_file(affine_model(), &wrong, other);
    assert_string_not_equal(id, other);
    wrong = op;
    wrong.version = 4;
    freeze_to_file(affine_model(), &wrong, other);
    assert_string_not_equal(id, other);
    freeze_to_file(affine_model(), &op, other);
    assert_string_equal(id, other);
    unlink(file_path());
}

static void mapped(void **state) {
    char id[65];
    fz_custom_op_t op = affine(NULL);
    fz_custom_t *custom;
    fz_model_t *model;
    fz_session_t *session;
    fz_tensor_t y;
    freeze_to_file(affine_model(), &op, id);
    assert_ok(open_file(&op, FZ_OPEN_MAP | FZ_OPEN_KNOWN_ANSWER, &model, &custom));
    assert_ok(run_rows(model, 1, 1, &session, &y));
    assert_true(((float *)y.data)[2] == 6);
    fz_session_close(session);
    fz_model_close(model);
    fz_custom_close(custom);
    unlink(file_path());
}

/* ---- callbacks that fail or lie */

static void failing(void **state) {
    struct seen seen = {0};
    fz_custom_op_t op = affine(&seen);
    fz_custom_t *custom = set_of(&op);
    fz_session_t *session;
    fz_model_t *model;
    fz_tensor_t y;
    assert_ok(open_with(affine_model(), custom, &model));
    seen.answer = FZ_E_VALUE, seen.message = "the moon is full";
    says(run_rows(model, 1, 1, &session, &y), FZ_E_VALUE,
         "node 'the node' (Affine): the moon is full");
    fz_session_close(session);
    seen.message = NULL;
    says(run_rows(model, 1, 1, &session, &y), FZ_E_VALUE,
         "node 'the node' (Affine): `run` of the custom operator Affine failed with FZ_E_VALUE");
    fz_session_close(session);
    seen.answer = -5;
    says(run_rows(model, 1, 1, &session, &y), FZ_E_VALUE, "no message");
    fz_session_close(session);
    seen.answer = FZ_OK; /* and the model still works */
    assert_ok(run_rows(model, 1, 1, &session, &y));
    seen.infer_answer = FZ_E_SHAPE;
    fz_session_close(session);
    says(run_rows(model, 2, 1, &session, &y), FZ_E_SHAPE, "`infer` of the custom operator");
    fz_session_close(session);
    fz_model_close(model);
    says(open_with(affine_model(), custom, &model), FZ_E_SHAPE, "node 'the node' (Affine");
    fz_custom_close(custom);
}

/* A run that fails on made-up inputs leaves a model without a known answer, as ever. */
static void failing_answer(void **state) {
    struct seen seen = {.answer = FZ_E_VALUE};
    fz_custom_op_t op = affine(&seen);
    fz_custom_t *custom = set_of(&op);
    fz_model_t *model;
    assert_ok(open_with(affine_model(), custom, &model));
    assert_string_equal(fz_model_text(model, "known-answer"), "FZ_E_VALUE");
    fz_model_close(model);
    fz_custom_close(custom);
}

static void other_bits(void **state) {
    struct seen seen = {.vary = true};
    fz_custom_op_t op = affine(&seen);
    fz_custom_t *custom = set_of(&op);
    fz_model_t *model;
    says(open_with(affine_model(), custom, &model), FZ_E_ANSWER, "other bits");
    fz_custom_close(custom);
    /* What changes later is found by the known answer. */
    seen.vary = false;
    custom = set_of(&op);
    assert_ok(open_with(affine_model(), custom, &model));
    seen.vary = true;
    says(fz_model_known_answer(model), FZ_E_ANSWER, "output 'y'");
    fz_model_close(model);
    fz_custom_close(custom);
}

/* NaNs have the canonical bits, and a callback's rounding mode ends with it. */
static void surroundings(void **state) {
    struct seen seen = {.nan = true, .spoil_rounding = true};
    fz_custom_op_t op = affine(&seen);
    fz_custom_t *custom = set_of(&op);
    fz_session_t *session;
    fz_model_t *model;
    fz_tensor_t y;
    struct pb nodes[] = {custom_node("Affine", "x", "a"), pb_node("Add", "a,third", "y")}, graph = {0};
    pb_msg(&nodes[0], NODE_ATTR, attr_float("scale", 1));
    pb_text(&graph, GRAPH_NAME, "g");
    for (int i = 0; i < 2; i++) pb_msg(&graph, GRAPH_NODE, nodes[i]);
    float third = 1.0f / 3;
    pb_msg(&graph, GRAPH_INIT, pb_raw_tensor("third", FZ_TYPE_F32, "", &third, 4));
    pb_msg(&graph, GRAPH_INPUT, pb_value("x", FZ_TYPE_F32, "n,3"));
    pb_msg(&graph, GRAPH_OUTPUT, pb_value("y", FZ_TYPE_F32, "n,3"));
    struct pb model_pb = pb_model(graph);
    pb_msg(&model_pb, MODEL_OPSET, pb_opset("com.test", 1));
    assert_ok(open_with(model_pb, custom, &model));
    volatile float four = 4;
    fesetround(FE_TONEAREST);
    float expected = four + third;
    assert_ok(run_rows(model, 2, 1, &session, &y));
    uint32_t bits;
    memcpy(&bits, y.data, 4);
    assert_int_equal(bits, 0x7FC00000);
    fesetround(FE_TONEAREST); /* the x87's, which the library does not touch */
    assert_true(((float *)y.data)[3] == expected);
    fz_session_close(session);
    fz_model_close(model);
    fz_custom_close(custom);
}

/* ---- shapes that only run knows, and strings */

enum late_fault { NO_FAULT, NO_RESIZE, BAD_OUTPUT, BAD_DIMS, BAD_RANK, TOO_LARGE };

static fz_status_t words_infer(void *context, const fz_custom_call_t *call) {
    call->outputs[0]->dtype = FZ_TYPE_STRING;
    call->outputs[0]->rank = 1;
    call->outputs[0]->dims[0] = -1;
    return FZ_OK;
}

/* A text for each positive number. Grows the output one by one, which keeps what is there. */
static fz_status_t words_run(void *context, const fz_custom_call_t *call) {
    enum late_fault fault = *(enum late_fault *)context;
    const float *x = call->inputs[0]->data;
    int64_t n = 0, bad = -1, huge = INT64_MAX;
    if (fault == NO_RESIZE) return FZ_OK;
    if (fault == BAD_OUTPUT) return call->resize(call, 5, 1, &n);
    if (fault == BAD_DIMS) return call->resize(call, 0, 1, &bad);
    if (fault == BAD_RANK) return call->resize(call, 0, 99, &bad);
    if (fault == TOO_LARGE) return call->resize(call, 0, 1, &huge);
    fz_status_t status = call->resize(call, 0, 1, &n);
    for (size_t i = 0; i < call->inputs[0]->size / 4 && status == FZ_OK; i++) {
        if (x[i] <= 0) continue;
        char *text = call->allocate(call, 16);
        if (!text) return call->error(call, FZ_E_NOMEM, "no memory for a text");
        n++;
        status = call->resize(call, 0, 1, &n);
        if (status != FZ_OK) return status;
        fz_string_t *to = (fz_string_t *)call->outputs[0]->data + n - 1;
        if (to->size || to->text) return call->error(call, FZ_E_INTERNAL, "a string is not empty");
        to->size = (size_t)snprintf(text, 16, "<%g>", (double)x[i]);
        to->text = text;
    }
    return status;
}

static void late_strings(void **state) {
    enum late_fault fault = NO_FAULT;
    fz_custom_op_t op = {.size = sizeof op, .domain = "com.test", .name = "Words", .opset = 1,
                         .version = 1, .digest = {1}, .min_inputs = 1, .max_inputs = 1,
                         .min_outputs = 1, .max_outputs = 1, .flags = FZ_CUSTOM_LATE_SHAPE,
                         .infer = words_infer, .run = words_run, .context = &fault};
    fz_custom_t *custom = set_of(&op);
    struct pb nodes[] = {custom_node("Words", "x", "a"), pb_node("Identity", "a", "y")};
    fz_session_t *session;
    fz_model_t *model;
    fz_tensor_t y;
    assert_ok(open_with(model_of(nodes, 2, "y", FZ_TYPE_STRING, "m"), custom, &model));
    for (int64_t n = 2; n >= 1; n--) {
        assert_ok(run_rows(model, n, 1, &session, &y));
        const fz_string_t *s = y.data;
        assert_int_equal(y.dims[0], n == 2 ? 4 : 2);
        assert_int_equal(s[1].size, 3);
        assert_memory_equal(s[1].text, "<3>", 3);
        /* A second run in the same session starts with empty strings, too. */
        fz_tensor_t x = {.dtype = FZ_TYPE_F32, .rank = 2, .dims = {n, 3}, .data = input,
                         .size = (size_t)n * 12};
        assert_ok(fz_session_run(session, &x, 1, &y, 1));
        assert_int_equal(y.dims[0], n == 2 ? 4 : 2);
        fz_session_close(session);
    }
    static const struct {
        enum late_fault fault;
        fz_status_t status;
        const char *words;
    } faults[] = {{NO_RESIZE, FZ_E_SHAPE, "gave output 0 no shape"},
                  {BAD_OUTPUT, FZ_E_USAGE, "no such output"},
                  {BAD_DIMS, FZ_E_USAGE, "no such shape"},
                  {BAD_RANK, FZ_E_USAGE, "no such shape"},
                  {TOO_LARGE, FZ_E_SHAPE, "the node"}};
    for (size_t i = 0; i < sizeof faults / sizeof *faults; i++) {
        fault = faults[i].fault;
        says(run_rows(model, 1, 1, &session, &y), faults[i].status, faults[i].words);
        fz_session_close(session);
    }
    fz_model_close(model);
    fz_custom_close(custom);
}

/* ---- infer that lies */

struct lie {
    int32_t dtype, rank;
    int64_t dim;
};

static fz_status_t lie_infer(void *context, const fz_custom_call_t *call) {
    const struct lie *lie = context;
    call->outputs[0]->dtype = lie->dtype;
    call->outputs[0]->rank = lie->rank;
    if (lie->rank > 0) call->outputs[0]->dims[0] = lie->dim;
    return FZ_OK;
}

static fz_status_t lie_run(void *context, const fz_custom_call_t *call) {
    memset(call->outputs[0]->data, 0, call->outputs[0]->size);
    return FZ_OK;
}

static void lies(void **state) {
    static const struct {
        struct lie lie;
        fz_status_t status;
        const char *words;
    } rows[] = {{{0, 1, 3}, FZ_E_TYPE, "gave output 0 no type"},
                {{999, 1, 3}, FZ_E_TYPE, "gave output 0 no type"},
                {{-1, 1, 3}, FZ_E_TYPE, "gave output 0 no type"},
                {{FZ_TYPE_F32, 13, 3}, FZ_E_SHAPE, "13 dimensions"},
                {{FZ_TYPE_F32, -2, 3}, FZ_E_SHAPE, "dimensions"},
                {{FZ_TYPE_F32, 1, 5}, FZ_OK, ""},
                /* Numbers that are no input's dimension say no more than that nothing is known. */
                {{FZ_TYPE_F32, 1, -77}, FZ_OK, ""},
                {{FZ_TYPE_F32, 1, INT64_MIN}, FZ_OK, ""}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct lie lie = rows[i].lie;
        fz_custom_op_t op = {.size = sizeof op, .domain = "com.test", .name = "Lie", .opset = 1,
                             .version = 1, .digest = {1}, .min_inputs = 1, .max_inputs = 1,
                             .min_outputs = 1, .max_outputs = 1, .infer = lie_infer,
                             .run = lie_run, .context = &lie};
        fz_custom_t *custom = set_of(&op);
        struct pb node = custom_node("Lie", "x", "y");
        fz_model_t *model;
        fz_status_t status =
            open_with(model_of(&node, 1, "y", FZ_TYPE_F32, "m"), custom, &model);
        if (rows[i].status != FZ_OK) says(status, rows[i].status, rows[i].words);
        else assert_ok(status);
        if (status == FZ_OK && lie.dim < 0)
            assert_string_equal(fz_model_text(model, "known-answer"), "FZ_E_SHAPE");
        fz_model_close(model);
        fz_custom_close(custom);
    }
}

/* ---- hostile files */

static uint64_t random_state = 0x9E3779B97F4A7C15u;
static uint64_t random_number(void) { /* xorshift64 (G. Marsaglia) */
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    return random_state ^= random_state << 17;
}

static const enum fz_section_kind steering[] = {
    FZ_SECTION_OPS, FZ_SECTION_VALUES, FZ_SECTION_DIMS, FZ_SECTION_STEPS, FZ_SECTION_ARGS,
    FZ_SECTION_BLOCKS, FZ_SECTION_CONSTS, FZ_SECTION_STRINGS, FZ_SECTION_TABLES};

/* One to three numbers of the plan become others. */
static void mutate(uint8_t *file) {
    struct fz_layout l;
    assert_int_equal(fzi_format_header(file, &l, NULL), FZ_OK);
    for (uint64_t n = 1 + random_number() % 3; n > 0; n--) {
        enum fz_section_kind kind = steering[random_number() % 9];
        size_t width = fzi_format_width(kind), count = (size_t)l.size[kind] / width;
        uint64_t values[] = {0, 1, 2, 3, 64, FZ_NONE, FZ_PLAN_CUSTOM, FZ_PLAN_CUSTOM | 1,
                             UINT64_MAX, random_number() % 32, random_number()};
        if (count) memcpy(file + l.off[kind] + random_number() % count * width,
                          &values[random_number() % 11], width);
    }
}

/* A run of what was accepted may fail, and must not do worse. */
static void try(const uint8_t *file, size_t size, const fz_custom_t *custom, int *accepted) {
    fz_open_options_t options = {.size = sizeof options, .custom = custom};
    fz_session_options_t session_options = {.size = sizeof session_options,
                                            .max_arena_size = 1 << 24};
    fz_model_t *model;
    fz_session_t *session;
    if (fz_model_open_memory(file, size, &options, &model) != FZ_OK) return;
    ++*accepted;
    fz_tensor_t x = {.dtype = FZ_TYPE_F32, .rank = 2, .dims = {2, 3}, .data = input,
                     .size = sizeof input}, y = {0};
    assert_ok(fz_session_create(model, &session_options, &session));
    (void)fz_session_run(session, &x, 1, &y, 1);
    fz_session_close(session);
    fz_model_close(model);
}

static void hostile(struct pb model, const fz_custom_op_t *op) {
    char id[65];
    size_t size;
    int accepted = 0;
    freeze_to_file(model, op, id);
    FILE *file = fopen(file_path(), "rb");
    assert_non_null(file);
    uint8_t *good = sample_read(fileno(file), &size), *bad = fzi_alloc_aligned(size);
    fclose(file);
    unlink(file_path());
    assert_true(good && bad);
    fz_custom_t *custom = set_of(op);
    for (int i = 0; i < MUTANTS; i++) {
        memcpy(bad, good, size);
        mutate(bad);
        sample_repair_checksums(bad, size);
        try(bad, size, custom, &accepted);
    }
    print_message("    %d of %d mutants are accepted\n", accepted, MUTANTS);
    assert_true(accepted > 0 && accepted < MUTANTS);
    fzi_free(good);
    fzi_free(bad);
    fz_custom_close(custom);
}

static void hostile_files(void **state) {
    if (FZ_BIG_ENDIAN) skip();
    fz_custom_op_t op = affine(NULL);
    hostile(affine_model(), &op);
    /* Callbacks that look at all attributes, of files that say other things of them. */
    op = kinds_op();
    hostile(kinds_model(), &op);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tables), cmocka_unit_test(sets), cmocka_unit_test(computes),
        cmocka_unit_test(inspects), cmocka_unit_test(optional_arguments),
        cmocka_unit_test(attributes), cmocka_unit_test(bad_nodes), cmocka_unit_test(newest_opset),
        cmocka_unit_test(other_implementations), cmocka_unit_test(mapped),
        cmocka_unit_test(failing), cmocka_unit_test(failing_answer), cmocka_unit_test(other_bits),
        cmocka_unit_test(surroundings), cmocka_unit_test(late_strings), cmocka_unit_test(lies),
        cmocka_unit_test(hostile_files),
    };
    return cmocka_run_group_tests_name("custom operators", tests, NULL, NULL);
}
