/* Tensors in every encoding, attributes of every kind, Constant's values. */
#include "import_test.h"
#include "onnx_writer.h"

#include <setjmp.h>
#include <stdlib.h>

#include <cmocka.h>

/* Reads TENSOR, which is released, by fzi_import_tensor(). */
static fz_status_t read_tensor(struct pb tensor, struct fz_arena *arena, fz_tensor_t *out) {
    fz_status_t status = fzi_import_tensor(tensor.data, tensor.size, arena, out);
    pb_free(&tensor);
    return status;
}

/* TENSOR must have the SIZE bytes of DATA. */
static void reads_as(struct pb tensor, const void *data, size_t size) {
    struct fz_arena arena = {0};
    fz_tensor_t t;
    fz_status_t status = read_tensor(tensor, &arena, &t);
    if (status != FZ_OK) fail_msg("refused with %d: %s", (int)status, fzi_error_text());
    assert_int_equal(t.size, size);
    assert_memory_equal(t.data, data, size);
    assert_int_equal((uintptr_t)t.data % 64, 0);
    fzi_arena_free(&arena);
}

static void refuse_tensor(struct pb tensor, fz_status_t status, const char *words) {
    struct fz_arena arena = {0};
    fz_tensor_t t;
    fz_status_t got = read_tensor(tensor, &arena, &t);
    if (got != status || !strstr(fzi_error_text(), words))
        fail_msg("want %d with '%s', got %d: %s", (int)status, words, (int)got, fzi_error_text());
    assert_null(t.data);
    fzi_arena_free(&arena);
}

/* A tensor of N integers in FIELD, one packed run or one field each. */
static struct pb ints(int32_t dtype, const char *dims, uint32_t field, bool packed, size_t n,
                      const int64_t *values) {
    struct pb m = pb_tensor("t", dtype, dims), run = {0};
    for (size_t i = 0; i < n; i++) {
        if (packed) pb_varint(&run, (uint64_t)values[i]);
        else pb_int(&m, field, values[i]);
    }
    if (packed) pb_bytes(&m, field, run.data, run.size);
    pb_free(&run);
    return m;
}

static void raw(void **state) {
    float f[6] = {1, -2, 3.5f, 0, 1e30f, -0.0f};
    reads_as(pb_raw_tensor("t", FZ_TYPE_F32, "2,3", f, 24), f, 24);
    reads_as(pb_raw_tensor("t", FZ_TYPE_C64, "3", f, 24), f, 24);
    reads_as(pb_raw_tensor("t", FZ_TYPE_C128, "", f, 16), f, 16);
    reads_as(pb_raw_tensor("t", FZ_TYPE_I64, "3", f, 24), f, 24);
    reads_as(pb_raw_tensor("t", FZ_TYPE_F32, "0,3", f, 0), f, 0);
    reads_as(pb_tensor("t", FZ_TYPE_F32, "0"), f, 0);
    /* 5 four-bit elements take 3 bytes, 5 two-bit ones take 2. */
    reads_as(pb_raw_tensor("t", FZ_TYPE_I4, "5", f, 3), f, 3);
    reads_as(pb_raw_tensor("t", FZ_TYPE_U2, "5", f, 2), f, 2);
    uint8_t odd[4] = {0, 1, 2, 255}, even[4] = {0, 1, 1, 1};
    reads_as(pb_raw_tensor("t", FZ_TYPE_BOOL, "4", odd, 4), even, 4);
}

static void typed(void **state) {
    for (int packed = 0; packed < 2; packed++) {
        int64_t v[3] = {-1, 0, 127};
        reads_as(ints(FZ_TYPE_I8, "3", TENSOR_INT32S, packed, 3, v), (int8_t[]){-1, 0, 127}, 3);
        reads_as(ints(FZ_TYPE_I16, "3", TENSOR_INT32S, packed, 3, v), (int16_t[]){-1, 0, 127}, 6);
        reads_as(ints(FZ_TYPE_I32, "3", TENSOR_INT32S, packed, 3, v), (int32_t[]){-1, 0, 127}, 12);
        reads_as(ints(FZ_TYPE_I64, "3", TENSOR_INT64S, packed, 3, v), v, 24);
        reads_as(ints(FZ_TYPE_U64, "3", TENSOR_UINT64S, packed, 3, v), v, 24);
        reads_as(ints(FZ_TYPE_BOOL, "3", TENSOR_INT32S, packed, 3, v), (uint8_t[]){1, 0, 1}, 3);
        reads_as(ints(FZ_TYPE_I4, "5", TENSOR_INT32S, packed, 3, v), (int8_t[]){-1, 0, 127}, 3);
        int64_t u[2] = {200, 255};
        reads_as(ints(FZ_TYPE_U8, "2", TENSOR_INT32S, packed, 2, u), (uint8_t[]){200, 255}, 2);
        int64_t h[2] = {0x3C00, 0xFC00};
        reads_as(ints(FZ_TYPE_F16, "2", TENSOR_INT32S, packed, 2, h),
                 (uint16_t[]){0x3C00, 0xFC00}, 4);
        reads_as(ints(FZ_TYPE_U32, "2", TENSOR_UINT64S, packed, 2, h),
                 (uint32_t[]){0x3C00, 0xFC00}, 8);
    }
}

static void floats(void **state) {
    float f[4] = {1, 2, 3, 4};
    double d[2] = {1, -2};
    struct pb one_run = pb_tensor("t", FZ_TYPE_F32, "4");
    struct pb two_runs = pb_tensor("t", FZ_TYPE_F32, "4");
    struct pb single = pb_tensor("t", FZ_TYPE_C64, "2");
    struct pb doubles = pb_tensor("t", FZ_TYPE_F64, "2");
    pb_numbers(&one_run, TENSOR_FLOATS, f, 16, 4);
    pb_numbers(&two_runs, TENSOR_FLOATS, f, 4, 4);
    pb_numbers(&two_runs, TENSOR_FLOATS, f + 1, 12, 4);
    for (int i = 0; i < 4; i++) pb_f32(&single, TENSOR_FLOATS, f[i]);
    for (int i = 0; i < 2; i++) pb_f64(&doubles, TENSOR_DOUBLES, d[i]);
    /* Some writers leave empty runs in fields that they do not use. */
    pb_bytes(&one_run, TENSOR_INT32S, "", 0);
    reads_as(one_run, f, 16);
    reads_as(two_runs, f, 16);
    reads_as(single, f, 16);
    reads_as(doubles, d, 16);
}

static void strings(void **state) {
    struct fz_arena arena = {0};
    fz_tensor_t t;
    struct pb m = pb_tensor("t", FZ_TYPE_STRING, "3");
    pb_text(&m, TENSOR_STRINGS, "one");
    pb_text(&m, TENSOR_STRINGS, "");
    pb_bytes(&m, TENSOR_STRINGS, "a\0b", 3);
    assert_int_equal(read_tensor(m, &arena, &t), FZ_OK);
    const struct fz_string *s = t.data;
    assert_int_equal(s[0].size, 3);
    assert_memory_equal(s[0].text, "one", 3);
    assert_int_equal(s[1].size, 0);
    assert_memory_equal(s[2].text, "a\0b", 3);
    fzi_arena_free(&arena);
}

static void wrong_tensors(void **state) {
    float f[4] = {0};
    int64_t v[3] = {128, 0, 1};
    refuse_tensor(pb_raw_tensor("t", FZ_TYPE_F32, "5", f, 16), FZ_E_FORMAT, "16 bytes");
    refuse_tensor(pb_raw_tensor("t", FZ_TYPE_F32, "3", f, 16), FZ_E_FORMAT, "16 bytes");
    refuse_tensor(pb_raw_tensor("t", FZ_TYPE_F32, "-4", f, 16), FZ_E_FORMAT, "dimension -4");
    refuse_tensor(pb_raw_tensor("t", FZ_TYPE_F32, "4611686018427387904,4", f, 0), FZ_E_LIMIT,
                  "max_elements");
    refuse_tensor(pb_raw_tensor("t", FZ_TYPE_F32, "1,1,1,1,1,1,1,1,1,1,1,1,1", f, 4),
                  FZ_E_UNSUPPORTED, "13 dimensions");
    refuse_tensor(pb_raw_tensor("t", 0, "4", f, 16), FZ_E_FORMAT, "no element type");
    refuse_tensor(pb_raw_tensor("t", 77, "4", f, 16), FZ_E_UNSUPPORTED, "type 77");
    refuse_tensor(pb_raw_tensor("t", -1, "4", f, 16), FZ_E_UNSUPPORTED, "type -1");
    refuse_tensor(pb_raw_tensor("t", FZ_TYPE_STRING, "1", f, 16), FZ_E_FORMAT, "raw");
    refuse_tensor(pb_tensor("t", FZ_TYPE_F32, "4"), FZ_E_FORMAT, "0 bytes");
    refuse_tensor(pb_tensor("t", FZ_TYPE_F32, ""), FZ_E_FORMAT, "0 bytes");
    refuse_tensor(ints(FZ_TYPE_I8, "3", TENSOR_INT32S, true, 3, v), FZ_E_FORMAT, "128 is out");
    refuse_tensor(ints(FZ_TYPE_I8, "4", TENSOR_INT32S, true, 3, v), FZ_E_FORMAT, "3 values");
    refuse_tensor(ints(FZ_TYPE_I8, "2", TENSOR_INT32S, false, 3, v), FZ_E_FORMAT, "3 values");
    refuse_tensor(ints(FZ_TYPE_F32, "3", TENSOR_INT32S, true, 3, v), FZ_E_FORMAT, "field 5");
    struct pb both = pb_raw_tensor("t", FZ_TYPE_F32, "4", f, 16);
    pb_bytes(&both, TENSOR_FLOATS, f, 16);
    refuse_tensor(both, FZ_E_FORMAT, "two fields");
    struct pb twice = pb_raw_tensor("t", FZ_TYPE_F32, "4", f, 16);
    pb_bytes(&twice, TENSOR_RAW, f, 16);
    refuse_tensor(twice, FZ_E_FORMAT, "two fields");
    struct pb cut = pb_tensor("t", FZ_TYPE_F32, "4");
    pb_bytes(&cut, TENSOR_FLOATS, f, 15);
    refuse_tensor(cut, FZ_E_FORMAT, "15 bytes");
    struct pb run = pb_tensor("t", FZ_TYPE_I32, "1");
    pb_bytes(&run, TENSOR_INT32S, "\xFF\xFF", 2);
    refuse_tensor(run, FZ_E_FORMAT, "field 5");
    struct pb segment = pb_raw_tensor("t", FZ_TYPE_F32, "4", f, 16);
    pb_bytes(&segment, TENSOR_SEGMENT, "", 0);
    refuse_tensor(segment, FZ_E_UNSUPPORTED, "segment");
    /* A SequenceProto of two tensors: element type 1, values in field 3. */
    refuse_tensor((struct pb){memcpy(malloc(6), "\x10\x01\x1A\x00\x1A\x00", 6), 6, 6},
                  FZ_E_UNSUPPORTED, "sequence");
    struct pb away = pb_tensor("t", FZ_TYPE_F32, "4");
    pb_int(&away, TENSOR_LOCATION, 1);
    refuse_tensor(away, FZ_E_FORMAT, "location");
    refuse_tensor((struct pb){0}, FZ_E_FORMAT, "no element type");
}

/* ---- in a model */

/* y = Use(x) with ATTR. */
static struct pb with_attr(const char *op, struct pb attr) {
    struct pb g = {0}, node = pb_node(op, strcmp(op, "Constant") ? "x" : "", "y");
    pb_msg(&node, NODE_ATTR, attr);
    pb_msg(&g, GRAPH_NODE, node);
    pb_msg(&g, GRAPH_INPUT, pb_value("x", 1, "2"));
    pb_msg(&g, GRAPH_OUTPUT, pb_value("y", 1, NULL));
    return pb_model(g);
}

static const struct fz_attr *open_attr(struct pb attr, struct imported *im) {
    open_import(with_attr("Use", attr), NULL, im);
    assert_int_equal(im->graph->first->n_attrs, 1);
    return im->graph->first->attrs;
}

static void attributes(void **state) {
    struct imported im;
    const struct fz_attr *a = open_attr(pb_attr_int("n", -5), &im);
    assert_true(a->kind == FZ_ATTR_INT && a->i == -5);
    close_import(&im);
    struct pb f = pb_attr("f", KIND_FLOAT);
    pb_f32(&f, ATTR_F, 0.5f);
    a = open_attr(f, &im);
    assert_true(a->kind == FZ_ATTR_FLOAT && a->f == 0.5f);
    close_import(&im);
    struct pb s = pb_attr("s", KIND_STRING);
    pb_bytes(&s, ATTR_S, "a\0b", 3);
    a = open_attr(s, &im);
    assert_int_equal(a->n, 3);
    assert_memory_equal(a->s, "a\0b", 4);
    close_import(&im);
    struct pb list = pb_attr("is", KIND_INTS);
    pb_int(&list, ATTR_INTS, 3);
    pb_bytes(&list, ATTR_INTS, "\x04\x05", 2);
    a = open_attr(list, &im);
    assert_int_equal(a->n, 3);
    assert_memory_equal(a->ints, ((int64_t[]){3, 4, 5}), 24);
    close_import(&im);
    struct pb empty = pb_attr("fs", KIND_FLOATS);
    a = open_attr(empty, &im);
    assert_true(a->kind == FZ_ATTR_FLOATS && a->n == 0);
    close_import(&im);
    struct pb texts = pb_attr("ss", KIND_STRINGS);
    pb_texts(&texts, ATTR_STRINGS, "ab,c");
    a = open_attr(texts, &im);
    assert_int_equal(a->n, 2);
    assert_memory_equal(a->strings[1].text, "c", 1);
    close_import(&im);
    struct pb tensors = pb_attr("ts", KIND_TENSORS);
    pb_msg(&tensors, ATTR_TENSORS, pb_raw_tensor("", FZ_TYPE_U8, "2", "ab", 2));
    pb_msg(&tensors, ATTR_TENSORS, pb_raw_tensor("", FZ_TYPE_U8, "1", "c", 1));
    a = open_attr(tensors, &im);
    assert_int_equal(a->n, 2);
    assert_memory_equal(a->tensors[1].data, "c", 1);
    close_import(&im);
}

/* A Constant with ATTR becomes a tensor of DTYPE, RANK and the SIZE bytes of DATA. */
static void constant_is(struct pb attr, int32_t dtype, int32_t rank, const void *data,
                        size_t size) {
    struct imported im;
    open_import(with_attr("Constant", attr), NULL, &im);
    const fz_tensor_t *t = &im.graph->outputs[0]->t;
    assert_null(im.graph->first);
    assert_int_equal(t->dtype, dtype);
    assert_int_equal(t->rank, rank);
    assert_int_equal(t->size, size);
    assert_memory_equal(t->data, data, size);
    close_import(&im);
}

static struct pb sparse(const char *dims, const int64_t *indices, const char *index_dims,
                        size_t index_size) {
    struct pb m = {0};
    float values[2] = {5, 6};
    pb_msg(&m, 1, pb_raw_tensor("s", FZ_TYPE_F32, "2", values, 8));
    pb_msg(&m, 2, pb_raw_tensor("i", FZ_TYPE_I64, index_dims, indices, index_size));
    for (; *dims; dims++)
        if (*dims != ',') pb_int(&m, 3, *dims - '0');
    return m;
}

static struct pb sparse_attr(struct pb tensor) {
    struct pb m = pb_attr("sparse_value", KIND_SPARSE);
    pb_msg(&m, ATTR_SPARSE, tensor);
    return m;
}

static void constants(void **state) {
    float f[2] = {1.5f, 2};
    int64_t n[2] = {3, -4};
    struct pb one = pb_attr("value_float", KIND_FLOAT), list = pb_attr("value_floats", KIND_FLOATS);
    struct pb ns = pb_attr("value_ints", KIND_INTS), t = pb_attr("value", KIND_TENSOR);
    pb_f32(&one, ATTR_F, f[0]);
    pb_numbers(&list, ATTR_FLOATS, f, 8, 4);
    for (int i = 0; i < 2; i++) pb_int(&ns, ATTR_INTS, n[i]);
    pb_msg(&t, ATTR_T, pb_raw_tensor("", FZ_TYPE_I64, "2,1", n, 16));
    constant_is(one, FZ_TYPE_F32, 0, f, 4);
    constant_is(list, FZ_TYPE_F32, 1, f, 8);
    constant_is(pb_attr_int("value_int", -4), FZ_TYPE_I64, 0, n + 1, 8);
    constant_is(ns, FZ_TYPE_I64, 1, n, 16);
    constant_is(t, FZ_TYPE_I64, 2, n, 16);
    float dense[4] = {0, 5, 0, 6};
    constant_is(sparse_attr(sparse("2,2", (int64_t[]){1, 3}, "2", 16)), FZ_TYPE_F32, 2, dense, 16);
    constant_is(sparse_attr(sparse("2,2", (int64_t[]){0, 1, 1, 1}, "2,2", 32)), FZ_TYPE_F32, 2,
                dense, 16);
    refuse(with_attr("Constant", pb_attr_int("value_what", 1)), FZ_E_FORMAT, "value_what");
    refuse(with_attr("Constant", pb_attr_int("value_float", 1)), FZ_E_FORMAT, "value_float");
}

static void wrong_sparse(void **state) {
    refuse(with_attr("Constant", sparse_attr(sparse("2,2", (int64_t[]){1, 4}, "2", 16))),
           FZ_E_FORMAT, "index 1");
    refuse(with_attr("Constant", sparse_attr(sparse("2,2", (int64_t[]){3, 1}, "2", 16))),
           FZ_E_FORMAT, "order");
    refuse(with_attr("Constant", sparse_attr(sparse("2,2", (int64_t[]){-1, 1}, "2", 16))),
           FZ_E_FORMAT, "index 0");
    refuse(with_attr("Constant", sparse_attr(sparse("2,2", (int64_t[]){1, 2, 3}, "3", 24))),
           FZ_E_FORMAT, "do not fit");
    struct pb half = {0};
    pb_msg(&half, 1, pb_tensor("s", FZ_TYPE_F32, "0"));
    refuse(with_attr("Constant", sparse_attr(half)), FZ_E_FORMAT, "lacks");
}

static void wrong_attributes(void **state) {
    refuse(with_attr("Use", pb_attr("", KIND_INT)), FZ_E_FORMAT, "no name");
    refuse(with_attr("Use", pb_attr("a", 0)), FZ_E_FORMAT, "no type");
    refuse(with_attr("Use", pb_attr("a", 13)), FZ_E_FORMAT, "empty");
    refuse(with_attr("Use", pb_attr("a", 14)), FZ_E_UNSUPPORTED, "type 14");
    refuse(with_attr("Use", pb_attr("a", -7)), FZ_E_FORMAT, "no type");
    refuse(with_attr("Use", pb_attr("a", KIND_TENSOR)), FZ_E_FORMAT, "empty");
    refuse(with_attr("Use", pb_attr("a", KIND_GRAPH)), FZ_E_FORMAT, "empty");
    refuse(with_attr("Use", pb_attr_ref("a", KIND_INT, "b")), FZ_E_FORMAT, "outside");
    struct pb list = pb_attr("a", KIND_INTS);
    pb_f32(&list, ATTR_INTS, 1);
    refuse(with_attr("Use", list), FZ_E_FORMAT, "field 8");
    struct pb more = pb_attr("a", KIND_FLOATS);
    pb_bytes(&more, ATTR_FLOATS, "12345", 5);
    refuse(with_attr("Use", more), FZ_E_FORMAT, "field 7");
    struct pb g = {0}, node = pb_node("Use", "x", "y");
    pb_msg(&node, NODE_ATTR, pb_attr_int("same", 1));
    pb_msg(&node, NODE_ATTR, pb_attr_int("same", 1));
    pb_msg(&g, GRAPH_NODE, node);
    refuse(pb_model(g), FZ_E_FORMAT, "given twice");
}

int run_tensor_tests(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(raw),
        cmocka_unit_test(typed),
        cmocka_unit_test(floats),
        cmocka_unit_test(strings),
        cmocka_unit_test(wrong_tensors),
        cmocka_unit_test(attributes),
        cmocka_unit_test(constants),
        cmocka_unit_test(wrong_sparse),
        cmocka_unit_test(wrong_attributes),
    };
    return cmocka_run_group_tests_name("tensors", tests, NULL, NULL);
}
