/* Known answers fail closed: on a host that computes other bits nothing is said to be equal, and a
 * model that is opened with FZ_OPEN_KNOWN_ANSWER is not opened.
 *
 * usage: answers DIGITS_DIR     ends in 'N passed, N failed' */
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <frozen/freeze.h>

#include "../import/onnx_writer.h"
#include "wrong.h"

static int passed, failed;
static const char *subject;

static void check(bool good, const char *what) {
    passed += good;
    failed += !good;
    printf("%-4s %s: %s%s%s\n", good ? "ok" : "FAIL", subject, what, good ? "" : ": ",
           good ? "" : fz_last_error());
}

/* STATUS is WANT, and if that is a failure the message has PART in it. */
static void expect(fz_status_t status, fz_status_t want, const char *part, const char *what) {
    check(status == want && (want == FZ_OK || strstr(fz_last_error(), part)), what);
}

static fz_status_t open_with(const char *path, uint32_t flags, fz_model_t **out) {
    fz_open_options_t options = {.size = sizeof options, .flags = flags};
    fz_status_t status = fz_model_open(path, &options, out);
    if (status != FZ_OK) check(*out == NULL, "a refused model is NULL");
    return status;
}

static fz_status_t opens(const char *path, uint32_t flags) {
    fz_model_t *model;
    fz_status_t status = open_with(path, flags, &model);
    fz_model_close(model);
    return status;
}

/* The frozen file at PATH on a host that is KERNEL, which its steps use; OUTPUT is an output that
 * comes out wrong. */
static void try_wrong(const char *path, const char *kernel, const char *output) {
    fz_model_t *good, *bad;
    char part[200];
    snprintf(part, sizeof part, "output '%s': sha256 ", output);
    wrong_set("none");
    expect(open_with(path, FZ_OPEN_KNOWN_ANSWER, &good), FZ_OK, "", "a good host opens it");
    wrong_set(kernel);
    expect(open_with(path, 0, &bad), FZ_OK, "", "unasked, it is opened anywhere");
    expect(fz_model_verify(bad), FZ_OK, "", "its bytes are as they were");
    expect(fz_model_known_answer(bad), FZ_E_ANSWER, part, "its answer is not, and that is said");
    check(strstr(fz_last_error(), "this host computes other bits") &&
              strstr(fz_last_error(), ", the file says "),
          "the message has both digests");
    expect(fz_model_known_answer(bad), FZ_E_ANSWER, part, "nor is it the second time");
    expect(opens(path, FZ_OPEN_KNOWN_ANSWER), FZ_E_ANSWER, part, "asked, it is not opened");
    expect(opens(path, FZ_OPEN_KNOWN_ANSWER | FZ_OPEN_MAP), FZ_E_ANSWER, part, "nor mapped");
    expect(fz_model_known_answer(good), FZ_OK, "", "the model that was opened before is good");
    wrong_set("none");
    expect(opens(path, FZ_OPEN_KNOWN_ANSWER | FZ_OPEN_MAP), FZ_OK, "", "a good host maps it");
    fz_model_close(good);
    fz_model_close(bad);
}

static void try_digits(const char *folder, const char *path) {
    static const char *const pairs[][2] = {
        {"cnn", "gemm"},      {"cnn", "rounding"}, {"mlp", "gemm"},     {"mlp", "rounding"},
        {"mlp", "unary"},     {"lstm", "gemm"},    {"vit", "gemm"},     {"cnn.qdq", "qgemm"},
        {"mlp.dyn", "qgemm"}, {"vit.dyn", "qgemm"}, {"vit.qdq", "qgemm"}};
    char onnx[4096], name[64];
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++) {
        snprintf(onnx, sizeof onnx, "%s/digits_%s.onnx", folder, pairs[i][0]);
        snprintf(name, sizeof name, "%s, %s", pairs[i][0], pairs[i][1]);
        subject = name;
        wrong_set("none");
        expect(fz_freeze_file(onnx, path, NULL, NULL), FZ_OK, "", "frozen");
        try_wrong(path, pairs[i][1], "logits");
    }
}

static bool write_model(const char *path, struct pb model, const fz_freeze_options_t *options) {
    char onnx[4096];
    snprintf(onnx, sizeof onnx, "%s.onnx", path);
    FILE *file = fopen(onnx, "wb");
    bool good = file && fwrite(model.data, 1, model.size, file) == model.size;
    if (file) fclose(file);
    pb_free(&model);
    fz_status_t status = fz_freeze_file(onnx, path, options, NULL);
    unlink(onnx);
    return good && status == FZ_OK;
}

/* Of two outputs one is a product. With X of open size the product has a shape for one size only,
 * which is not that of the inputs that a seed makes. */
static struct pb two_outputs(const char *dims, const char *out_dims) {
    float w[12];
    struct pb g = {0};
    for (int i = 0; i < 12; i++) w[i] = (float)(i + 1) / 3.0f;
    pb_msg(&g, GRAPH_INIT, pb_raw_tensor("w", FZ_TYPE_F32, "4,3", w, sizeof w));
    pb_msg(&g, GRAPH_NODE, pb_node("Neg", "x", "minus"));
    pb_msg(&g, GRAPH_NODE, pb_node("MatMul", "x,w", "product"));
    pb_msg(&g, GRAPH_INPUT, pb_value("x", FZ_TYPE_F32, dims));
    pb_msg(&g, GRAPH_OUTPUT, pb_value("minus", FZ_TYPE_F32, dims));
    pb_msg(&g, GRAPH_OUTPUT, pb_value("product", FZ_TYPE_F32, out_dims));
    return pb_model(g);
}

static void try_outputs(const char *path) {
    fz_model_t *model;
    subject = "two outputs";
    wrong_set("none");
    check(write_model(path, two_outputs("2,4", "2,3"), NULL), "frozen");
    try_wrong(path, "gemm", "product");
    wrong_set("gemm");
    if (open_with(path, 0, &model) != FZ_OK) return;
    fz_model_known_answer(model);
    check(!strstr(fz_last_error(), "'minus'"), "the output that is right is not named");
    fz_model_close(model);
    wrong_set("none");
}

/* A file without a known answer, and one whose run failed when it was frozen, are refused, too. */
static void try_without(const char *path) {
    fz_freeze_options_t mute = {.size = sizeof mute, .flags = FZ_FREEZE_NO_KAT};
    fz_model_t *model;
    subject = "no known answer";
    check(write_model(path, two_outputs("2,4", "2,3"), &mute), "frozen");
    expect(opens(path, FZ_OPEN_KNOWN_ANSWER), FZ_E_UNSUPPORTED, "without one", "not opened");
    if (open_with(path, 0, &model) != FZ_OK) return;
    expect(fz_model_known_answer(model), FZ_E_UNSUPPORTED, "without one", "it says so");
    check(fz_model_text(model, "known-answer") == NULL, "it has no text");
    fz_model_close(model);
    subject = "a known answer that failed";
    check(write_model(path, two_outputs("2,?", "2,3"), NULL), "frozen");
    expect(opens(path, FZ_OPEN_KNOWN_ANSWER), FZ_E_UNSUPPORTED, "FZ_E_SHAPE", "not opened");
    if (open_with(path, 0, &model) != FZ_OK) return;
    expect(fz_model_known_answer(model), FZ_E_UNSUPPORTED, "FZ_E_SHAPE", "it says so");
    const char *text = fz_model_text(model, "known-answer");
    check(text && strcmp(text, "FZ_E_SHAPE") == 0, "its text is the status");
    fz_model_close(model);
}

/* With inputs of its own the same model has one. */
static void try_given(const char *path) {
    float x[8] = {1, 2, 3, 4, 5, 6, 7, 8.125f};
    fz_kat_input_t given = {"x", {FZ_TYPE_F32, 2, {2, 4}, x, sizeof x}};
    fz_freeze_options_t o = {.size = sizeof o, .kat_inputs = &given, .n_kat_inputs = 1};
    fz_model_t *model;
    subject = "given inputs";
    check(write_model(path, two_outputs("2,?", "2,3"), &o), "frozen");
    try_wrong(path, "gemm", "product");
    if (open_with(path, 0, &model) != FZ_OK) return;
    const char *text = fz_model_text(model, "known-answer");
    check(text && strcmp(text, "inputs") == 0, "its text says so");
    fz_model_close(model);
}

int main(int argc, char **argv) {
    char path[] = "/tmp/answers-XXXXXX";
    int fd = argc == 2 ? mkstemp(path) : -1;
    if (fd < 0) return fprintf(stderr, "usage: answers DIGITS_DIR\n"), 2;
    close(fd);
    try_digits(argv[1], path);
    try_outputs(path);
    try_without(path);
    try_given(path);
    unlink(path);
    printf("%d passed, %d failed\n", passed, failed);
    return failed > 0;
}
