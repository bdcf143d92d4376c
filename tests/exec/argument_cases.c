/* Sentences of the headers on arguments, options and errors. */
#include "support.h"

#include <stdlib.h>
#include <unistd.h>

#include <frozen/version.h>

/* "every other member is 0 for its default ... Members are only ever appended" */
static void options_of_any_age(void **state) {
    fz_model_t *model = open_built(one_node("Relu", "2,3", "2,3"));
    fz_session_t *session;
    struct {
        fz_session_options_t known;
        char later[16];
    } o = {.known = {.size = sizeof o}};
    assert_ok(fz_session_create(model, &o.known, &session));
    fz_session_close(session);
    /* "bytes beyond what the library knows must be 0, else FZ_E_USAGE" */
    o.later[15] = 1;
    assert_fails(FZ_E_USAGE, fz_session_create(model, &o.known, &session));
    assert_null(session);
    /* An older caller's struct ends early: what follows is not read. */
    fz_session_options_t old = {.size = offsetof(fz_session_options_t, flags), .threads = 1,
                                .flags = 77, .reserved = 77};
    assert_ok(fz_session_create(model, &old, &session));
    fz_session_close(session);
    const size_t bad[] = {0, 1, sizeof(size_t) - 1, 65537, SIZE_MAX};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        old.size = bad[i];
        assert_fails(FZ_E_USAGE, fz_session_create(model, &old, &session));
    }
    fz_model_close(model);
}

static void options_out_of_range(void **state) {
    fz_model_t *model = open_built(one_node("Relu", "2,3", "2,3"));
    fz_session_t *session;
    fz_session_options_t o[] = {{.threads = -2}, {.threads = 1 << 20}, {.flags = 2},
                                {.reserved = 1}};
    for (size_t i = 0; i < sizeof o / sizeof *o; i++) {
        o[i].size = sizeof *o;
        assert_fails(FZ_E_USAGE, fz_session_create(model, &o[i], &session));
    }
    fz_model_close(model);
    char hex[65];
    assert_ok(fz_freeze_file(data_path("digits/digits_mlp.onnx"), temporary("o.fz"), NULL, hex));
    fz_open_options_t open[] = {
        {.flags = 1u << 31}, {.protection = 4}, {.protection = -1}, {.expect = "abc"},
        {.expect = ""},
        {.expect = "AB00000000000000000000000000000000000000000000000000000000000000"},
        {.expect = "0000000000000000000000000000000000000000000000000000000000000000a"}};
    const char *onnx = data_path("digits/digits_mlp.onnx");
    for (size_t i = 0; i < sizeof open / sizeof *open; i++) {
        open[i].size = sizeof *open;
        assert_fails(FZ_E_USAGE, fz_model_open(temporary("o.fz"), &open[i], &model));
        assert_null(model);
        /* "OPEN_OPTIONS as for fz_model_open()" */
        assert_fails(FZ_E_USAGE, fz_freeze_open(onnx, NULL, &open[i], &model));
        assert_null(model);
    }
    fz_freeze_options_t freeze[] = {{.numerics = "fast"}, {.flags = 1u << 6}, {.n_dims = 1}};
    for (size_t i = 0; i < sizeof freeze / sizeof *freeze; i++) {
        freeze[i].size = sizeof *freeze;
        assert_fails(FZ_E_USAGE, fz_freeze_open(onnx, &freeze[i], NULL, &model));
    }
}

static void null_arguments(void **state) {
    fz_model_t *model = open_built(one_node("Relu", "2,3", "2,3")), *none = (fz_model_t *)1;
    fz_session_t *session = open_session(model, 0), *no_session = (fz_session_t *)1;
    const char *path = temporary("n.fz");
    fz_io_t io;
    fz_model_stats_t stats;
    fz_session_stats_t session_stats;
    fz_tensor_t t;
    fz_tensor_file_t *file;
    char hex[65];
    assert_fails(FZ_E_USAGE, fz_model_open(NULL, NULL, &none));
    assert_null(none);
    assert_fails(FZ_E_USAGE, fz_model_open(path, NULL, NULL));
    assert_fails(FZ_E_USAGE, fz_model_open_fd(0, NULL, NULL));
    assert_fails(FZ_E_USAGE, fz_model_open_memory(NULL, 1, NULL, &none));
    assert_fails(FZ_E_USAGE, fz_model_open_memory(path, 1, NULL, NULL));
    assert_fails(FZ_E_USAGE, fz_model_id(NULL, hex));
    assert_fails(FZ_E_USAGE, fz_model_id(model, NULL));
    assert_fails(FZ_E_USAGE, fz_model_verify(NULL));
    assert_fails(FZ_E_USAGE, fz_model_scrub(NULL, 1));
    assert_fails(FZ_E_USAGE, fz_model_known_answer(NULL));
    assert_fails(FZ_E_USAGE, fz_model_input(NULL, 0, &io));
    assert_fails(FZ_E_USAGE, fz_model_input(model, 0, NULL));
    assert_fails(FZ_E_USAGE, fz_model_input(model, 1, &io));
    assert_fails(FZ_E_USAGE, fz_model_output(model, 1, &io));
    assert_fails(FZ_E_USAGE, fz_model_stats(NULL, &stats));
    assert_fails(FZ_E_USAGE, fz_model_stats(model, NULL));
    assert_fails(FZ_E_USAGE, fz_session_create(NULL, NULL, &no_session));
    assert_null(no_session);
    assert_fails(FZ_E_USAGE, fz_session_create(model, NULL, NULL));
    assert_fails(FZ_E_USAGE, fz_session_run(NULL, &t, 1, &t, 1));
    assert_fails(FZ_E_USAGE, fz_session_run(session, NULL, 1, &t, 1));
    assert_fails(FZ_E_USAGE, fz_session_run(session, &t, 1, NULL, 1));
    assert_fails(FZ_E_USAGE, fz_session_set_deadline(NULL, 1));
    assert_fails(FZ_E_USAGE, fz_session_stats(NULL, &session_stats));
    assert_fails(FZ_E_USAGE, fz_session_stats(session, NULL));
    assert_fails(FZ_E_USAGE, fz_session_set_trace(NULL, NULL, NULL));
    assert_fails(FZ_E_USAGE, fz_freeze_file(NULL, path, NULL, hex));
    assert_fails(FZ_E_USAGE, fz_freeze_file(path, NULL, NULL, hex));
    assert_fails(FZ_E_USAGE, fz_freeze_open(NULL, NULL, NULL, &none));
    assert_fails(FZ_E_USAGE, fz_freeze_open(path, NULL, NULL, NULL));
    assert_fails(FZ_E_USAGE, fz_freeze_open_memory(NULL, 0, NULL, NULL, &none));
    assert_fails(FZ_E_USAGE, fz_tensor_read_onnx(NULL, &t, &file));
    assert_fails(FZ_E_USAGE, fz_value_read_onnx(path, 0, NULL, &file));
    assert_fails(FZ_E_USAGE, fz_sha256(NULL, 1, (uint8_t *)hex));
    assert_int_equal(fz_model_input_count(NULL), 0);
    assert_int_equal(fz_model_output_count(NULL), 0);
    assert_null(fz_model_text(NULL, "passes"));
    assert_null(fz_model_text(model, "no such text"));
    fz_model_close(NULL);
    fz_session_close(NULL);
    fz_session_cancel(NULL);
    fz_tensor_file_close(NULL);
    fz_session_close(session);
    fz_model_close(model);
}

/* "on failure every output argument holds NULL or zero" */
static void files_that_are_none(void **state) {
    fz_model_t *model = (fz_model_t *)1;
    char hex[65] = "x";
    fz_tensor_t t;
    fz_tensor_file_t *file;
    assert_fails(FZ_E_IO, fz_model_open(temporary("absent.fz"), NULL, &model));
    assert_null(model);
    assert_fails(FZ_E_IO, fz_model_open("/", NULL, &model));
    assert_fails(FZ_E_IO, fz_model_open_fd(-1, NULL, &model));
    assert_fails(FZ_E_FORMAT, fz_model_open(data_path("digits/digits_mlp.onnx"), NULL, &model));
    assert_fails(FZ_E_FORMAT, fz_model_open_memory("x", 1, NULL, &model));
    assert_fails(FZ_E_FORMAT, fz_model_open_memory("", 0, NULL, &model));
    assert_fails(FZ_E_IO, fz_freeze_file(temporary("absent"), temporary("a.fz"), NULL, hex));
    assert_string_equal(hex, "");
    assert_false(file_exists(temporary("a.fz")));
    write_whole(temporary("not.onnx"), "GIF89a", 6);
    assert_fails(FZ_E_FORMAT, fz_freeze_file(temporary("not.onnx"), temporary("a.fz"), NULL, hex));
    assert_false(file_exists(temporary("a.fz")));
    assert_fails(FZ_E_IO, fz_freeze_file(data_path("digits/digits_mlp.onnx"),
                                         "/no/such/folder/a.fz", NULL, hex));
    assert_fails(FZ_E_IO, fz_tensor_read_onnx(temporary("absent"), &t, &file));
    assert_null(file);
    assert_fails(FZ_E_FORMAT, fz_tensor_read_onnx(temporary("not.onnx"), &t, &file));
}

enum { SEQUENCE_F32 = 1 << 16 | FZ_TYPE_F32, OPTIONAL_F32 = 2 << 16 | FZ_TYPE_F32,
       MAP_I64_F32 = 3 << 16 | FZ_TYPE_I64 << 8 | FZ_TYPE_F32 };

static fz_status_t read_bytes(const char *bytes, size_t size, int32_t dtype, fz_tensor_t *value,
                              fz_tensor_file_t **file) {
    write_whole(temporary("value.pb"), bytes, size);
    return fz_value_read_onnx(temporary("value.pb"), dtype, value, file);
}

/* "a sequence, an optional or a map from a serialised SequenceProto, OptionalProto or MapProto" */
static void files_of_values(void **state) {
    /* Field 3, a TensorProto: type 1, raw data of one float, 2.0. */
    static const char one[] = "\x1a\x08\x10\x01\x4a\x04\0\0\0\x40";
    static const char two[] = "\x1a\x08\x10\x01\x4a\x04\0\0\0\x40\x1a\x08\x10\x01\x4a\x04\0\0\0\x41";
    /* Key 7, and a sequence of one tensor. */
    static const char map[] = "\x18\x07\x2a\x0a\x1a\x08\x10\x01\x4a\x04\0\0\0\x40";
    fz_tensor_t value;
    fz_tensor_file_t *file;
    assert_int_equal(fz_type_kind(SEQUENCE_F32), FZ_KIND_SEQUENCE);
    assert_int_equal(fz_type_kind(OPTIONAL_F32), FZ_KIND_OPTIONAL);
    assert_int_equal(fz_type_key(MAP_I64_F32), FZ_TYPE_I64);
    assert_int_equal(read_bytes(two, sizeof two - 1, SEQUENCE_F32, &value, &file), FZ_OK);
    assert_int_equal(value.dims[0], 2);
    assert_true(*(float *)((fz_tensor_t *)value.data)[1].data == 8);
    fz_tensor_file_close(file);
    assert_int_equal(read_bytes(one, sizeof one - 1, OPTIONAL_F32, &value, &file), FZ_OK);
    assert_int_equal(value.dims[0], 1);
    fz_tensor_file_close(file);
    assert_int_equal(read_bytes("", 0, OPTIONAL_F32, &value, &file), FZ_OK);
    assert_int_equal(value.dims[0], 0);
    fz_tensor_file_close(file);
    assert_fails(FZ_E_FORMAT, read_bytes(two, sizeof two - 1, OPTIONAL_F32, &value, &file));
    assert_null(file);
    assert_int_equal(read_bytes(map, sizeof map - 1, MAP_I64_F32, &value, &file), FZ_OK);
    const fz_tensor_t *parts = value.data;
    assert_true(*(int64_t *)parts[0].data == 7 && *(float *)parts[1].data == 2);
    fz_tensor_file_close(file);
    assert_fails(FZ_E_FORMAT, read_bytes(map + 2, sizeof map - 3, MAP_I64_F32, &value, &file));
    assert_fails(FZ_E_FORMAT, read_bytes("\x18\x07", 2, SEQUENCE_F32, &value, &file));
}

static void names(void **state) {
    for (fz_status_t s = FZ_OK; s <= FZ_E_SIGNATURE; s++)
        assert_memory_equal(fz_status_name(s), s ? "FZ_E_" : "FZ_OK", 5);
    assert_string_equal(fz_status_name(FZ_E_ANSWER), "FZ_E_ANSWER");
    assert_string_equal(fz_status_name(FZ_E_SIGNATURE + 1), "FZ_E_?");
    assert_string_equal(fz_status_name(-1), "FZ_E_?");
    assert_string_equal(fz_version(), FZ_VERSION_STRING);
    assert_string_equal(fz_type_name(FZ_TYPE_F32), "float32");
    assert_string_equal(fz_type_name(FZ_TYPE_I8), "int8");
    assert_string_equal(fz_type_name(0), "unknown");
    assert_string_equal(fz_type_name(99), "unknown");
    assert_int_equal(fz_type_bits(FZ_TYPE_F32), 32);
    assert_int_equal(fz_type_bits(FZ_TYPE_I4), 4);
    assert_int_equal(fz_type_bits(FZ_TYPE_STRING), 0);
    assert_int_equal(fz_type_bits(-5), 0);
}

/* "calls that succeed leave it"; "cut at 4,095 bytes" */
static void last_error(void **state) {
    fz_model_t *model;
    assert_fails(FZ_E_USAGE, fz_model_open(NULL, NULL, &model));
    char text[4200], *copy = strdup(fz_last_error());
    assert_string_equal(fz_status_name(FZ_OK), "FZ_OK");
    model = open_built(one_node("Relu", "2,3", "2,3"));
    assert_string_equal(fz_last_error(), copy);
    free(copy);
    memset(text, 'a', sizeof text - 1);
    text[sizeof text - 1] = 0;
    fz_set_last_error(text);
    assert_int_equal(strlen(fz_last_error()), 4095);
    fz_set_last_error(NULL);
    assert_string_equal(fz_last_error(), "");
    fz_model_close(model);
}

static void sha256(void **state) {
    uint8_t digest[32];
    assert_ok(fz_sha256("abc", 3, digest));
    assert_memory_equal(digest, "\xba\x78\x16\xbf\x8f\x01\xcf\xea", 8);
    assert_ok(fz_sha256(NULL, 0, digest));
    assert_memory_equal(digest, "\xe3\xb0\xc4\x42\x98\xfc\x1c\x14", 8);
}

const struct CMUnitTest argument_cases[] = {
    cmocka_unit_test(options_of_any_age),   cmocka_unit_test(options_out_of_range),
    cmocka_unit_test(null_arguments),       cmocka_unit_test(files_that_are_none),
    cmocka_unit_test(files_of_values),
    cmocka_unit_test(names),                cmocka_unit_test(last_error),
    cmocka_unit_test(sha256),
};
const size_t n_argument_cases = sizeof argument_cases / sizeof *argument_cases;
