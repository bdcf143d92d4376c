/* Writes ONNX messages byte by byte; what tests expect of them. */
#include "onnx_writer.h"

#include "ops/op.h"

#include <setjmp.h>
#include <stdlib.h>

#include <cmocka.h>

void pb_free(struct pb *m) {
    free(m->data);
    *m = (struct pb){0};
}

void pb_append(struct pb *m, const void *data, size_t size) {
    if (m->size + size > m->capacity) {
        m->capacity = (m->size + size) * 2;
        m->data = realloc(m->data, m->capacity);
        assert_non_null(m->data);
    }
    if (size) memcpy(m->data + m->size, data, size);
    m->size += size;
}

void pb_varint(struct pb *m, uint64_t value) {
    uint8_t bytes[10];
    size_t n = 0;
    for (; value >= 0x80; value >>= 7) bytes[n++] = (uint8_t)(value | 0x80);
    bytes[n++] = (uint8_t)value;
    pb_append(m, bytes, n);
}

void pb_int(struct pb *m, uint32_t field, int64_t value) {
    pb_varint(m, field << 3);
    pb_varint(m, (uint64_t)value);
}

/* Numbers of WIDTH bytes, which messages hold least byte first. */
static void append_numbers(struct pb *m, const void *data, size_t size, size_t width) {
    pb_append(m, data, size);
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    for (uint8_t *p = m->data + m->size - size; p + width <= m->data + m->size; p += width)
        for (size_t i = 0; i < width / 2; i++) {
            uint8_t b = p[i];
            p[i] = p[width - 1 - i];
            p[width - 1 - i] = b;
        }
#else
    (void)width;
#endif
}

void pb_f32(struct pb *m, uint32_t field, float value) {
    pb_varint(m, field << 3 | 5);
    append_numbers(m, &value, 4, 4);
}

void pb_f64(struct pb *m, uint32_t field, double value) {
    pb_varint(m, field << 3 | 1);
    append_numbers(m, &value, 8, 8);
}

void pb_bytes(struct pb *m, uint32_t field, const void *data, size_t size) {
    pb_varint(m, field << 3 | 2);
    pb_varint(m, size);
    pb_append(m, data, size);
}

void pb_numbers(struct pb *m, uint32_t field, const void *data, size_t size, size_t width) {
    pb_varint(m, field << 3 | 2);
    pb_varint(m, size);
    append_numbers(m, data, size, width);
}

void pb_text(struct pb *m, uint32_t field, const char *text) {
    pb_bytes(m, field, text, strlen(text));
}

void pb_msg(struct pb *m, uint32_t field, struct pb child) {
    pb_bytes(m, field, child.data, child.size);
    pb_free(&child);
}

void pb_texts(struct pb *m, uint32_t field, const char *list) {
    if (!*list) return;
    for (;; list++) {
        size_t size = strcspn(list, ",");
        pb_bytes(m, field, list, size);
        list += size;
        if (!*list) return;
    }
}

struct pb pb_tensor(const char *name, int32_t dtype, const char *dims) {
    struct pb m = {0};
    while (*dims) {
        char *end;
        pb_int(&m, TENSOR_DIMS, strtoll(dims, &end, 10));
        dims = end + (*end == ',');
    }
    pb_int(&m, TENSOR_TYPE, dtype);
    pb_text(&m, TENSOR_NAME, name);
    return m;
}

struct pb pb_raw_tensor(const char *name, int32_t dtype, const char *dims, const void *data,
                        size_t size) {
    struct pb m = pb_tensor(name, dtype, dims);
    /* Complex numbers are two; types that are none of ours have bytes. */
    int32_t bits = dtype == FZ_TYPE_C64 ? 32 : fz_type_bits(dtype);
    pb_numbers(&m, TENSOR_RAW, data, size, bits < 16 ? 1 : bits < 64 ? (size_t)bits / 8 : 8);
    return m;
}

static struct pb shape(const char *dims) {
    struct pb m = {0};
    while (*dims) {
        size_t size = strcspn(dims, ",");
        struct pb dim = {0};
        char *end;
        int64_t value = strtoll(dims, &end, 10);
        if (end == dims + size) pb_int(&dim, 1, value);
        else if (*dims != '?') pb_bytes(&dim, 2, dims, size);
        pb_msg(&m, 1, dim);
        dims += size + (dims[size] == ',');
    }
    return m;
}

struct pb pb_value(const char *name, int32_t dtype, const char *dims) {
    struct pb tensor = {0}, type = {0}, m = {0};
    if (dtype) pb_int(&tensor, 1, dtype);
    if (dims) pb_msg(&tensor, 2, shape(dims));
    pb_msg(&type, 1, tensor);
    pb_text(&m, 1, name);
    pb_msg(&m, 2, type);
    return m;
}

struct pb pb_node(const char *op, const char *inputs, const char *outputs) {
    struct pb m = {0};
    pb_texts(&m, NODE_INPUT, inputs);
    pb_texts(&m, NODE_OUTPUT, outputs);
    pb_text(&m, NODE_OP, op);
    return m;
}

struct pb pb_attr(const char *name, int32_t type) {
    struct pb m = {0};
    pb_text(&m, ATTR_NAME, name);
    if (type) pb_int(&m, ATTR_TYPE, type);
    return m;
}

struct pb pb_attr_int(const char *name, int64_t value) {
    struct pb m = pb_attr(name, KIND_INT);
    pb_int(&m, ATTR_I, value);
    return m;
}

struct pb pb_attr_ref(const char *name, int32_t type, const char *ref) {
    struct pb m = pb_attr(name, type);
    pb_text(&m, ATTR_REF, ref);
    return m;
}

struct pb pb_attr_graph(const char *name, struct pb graph) {
    struct pb m = pb_attr(name, KIND_GRAPH);
    pb_msg(&m, ATTR_G, graph);
    return m;
}

struct pb pb_opset(const char *domain, int64_t version) {
    struct pb m = {0};
    pb_text(&m, 1, domain);
    pb_int(&m, 2, version);
    return m;
}

struct pb pb_function(const char *name, const char *inputs, const char *outputs) {
    struct pb m = {0};
    pb_text(&m, 1, name);
    pb_text(&m, FUNCTION_DOMAIN, "f");
    pb_texts(&m, FUNCTION_INPUT, inputs);
    pb_texts(&m, FUNCTION_OUTPUT, outputs);
    pb_msg(&m, FUNCTION_OPSET, pb_opset("", 17));
    return m;
}

struct pb pb_model(struct pb graph) {
    struct pb m = {0};
    pb_int(&m, MODEL_IR, 8);
    pb_msg(&m, MODEL_OPSET, pb_opset("", 17));
    pb_msg(&m, MODEL_GRAPH, graph);
    return m;
}

/* ---- expectations */

void open_import(struct pb model, const fz_freeze_options_t *options, struct imported *out) {
    *out = (struct imported){.model = model};
    fz_status_t status = fzi_import_memory(model.data, model.size, options, &out->arena,
                                           &out->source, &out->graph);
    if (status != FZ_OK) fail_msg("refused with %d: %s", (int)status, fzi_error_text());
    assert_int_equal(fzi_graph_check(out->graph), FZ_OK);
}

void close_import(struct imported *import) {
    fzi_source_close(&import->source);
    fzi_arena_free(&import->arena);
    pb_free(&import->model);
}

void refuse_with(struct pb model, const fz_freeze_options_t *options, fz_status_t status,
                 const char *words) {
    struct fz_arena arena = {0};
    struct fz_source source;
    struct fz_graph *graph;
    /* A copy of exactly the size lets the sanitizer see the first byte behind it. */
    uint8_t *copy = malloc(model.size ? model.size : 1);
    assert_non_null(copy);
    if (model.size) memcpy(copy, model.data, model.size);
    fz_status_t got = fzi_import_memory(copy, model.size, options, &arena, &source, &graph);
    if (got != status || !strstr(fzi_error_text(), words))
        fail_msg("want %d with '%s', got %d: %s", (int)status, words, (int)got, fzi_error_text());
    assert_null(graph);
    assert_null(source.files);
    fzi_arena_free(&arena);
    free(copy);
    pb_free(&model);
}

void refuse(struct pb model, fz_status_t status, const char *words) {
    refuse_with(model, NULL, status, words);
}

void survive(const void *data, size_t size) {
    struct fz_arena arena = {0};
    struct fz_source source;
    struct fz_graph *graph;
    fz_freeze_options_t options = {.size = sizeof options, .max_memory = 64 << 20};
    if (fzi_import_memory(data, size, &options, &arena, &source, &graph) == FZ_OK)
        assert_int_equal(fzi_graph_check(graph), FZ_OK);
    fzi_source_close(&source);
    fzi_arena_free(&arena);
}

void same_text(const struct fz_graph *graph, const char *text) {
    struct fz_text got = {0};
    fzi_graph_print(graph, &got);
    assert_false(got.failed);
    assert_string_equal(got.data ? got.data : "", text);
    fzi_text_free(&got);
}
