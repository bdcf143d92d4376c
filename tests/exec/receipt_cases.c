/* Receipts, and the digests of tensors that they are made of. */
#include "support.h"

#include <stdio.h>

static fz_session_t *open_recording(fz_model_t *model) {
    fz_session_options_t o = {.size = sizeof o, .flags = FZ_SESSION_RECEIPTS};
    fz_session_t *session;
    assert_ok(fz_session_create(model, &o, &session));
    return session;
}

static void hex_of(const fz_tensor_t *tensors, size_t n, char hex[65]) {
    uint8_t digest[32];
    assert_ok(fz_tensor_digest(tensors, n, digest));
    for (int i = 0; i < 32; i++) snprintf(hex + 2 * i, 3, "%02x", digest[i]);
}

/* "one line of canonical JSON", which says what was run on what. */
static void receipt(void **state) {
    static float image[64];
    char text[1024], expected[1024], model_id[65], input[65], output[65];
    size_t needed;
    fz_model_t *model = open_digits("cnn");
    fz_session_t *session = open_recording(model);
    fz_tensor_t x = floats(image, 4, (int64_t[]){1, 1, 8, 8}), y = {0};
    assert_ok(fz_session_run(session, &x, 1, &y, 1));
    assert_ok(fz_session_receipt(session, text, sizeof text, &needed));
    assert_ok(fz_model_id(model, model_id));
    hex_of(&x, 1, input);
    hex_of(&y, 1, output);
    snprintf(expected, sizeof expected,
             "{\"input\":\"%s\",\"library\":\"%s\",\"model\":\"%s\",\"output\":\"%s\","
             "\"profile\":\"portable/1\",\"type\":\"frozen-receipt/1\"}",
             input, fz_version(), model_id, output);
    assert_string_equal(text, expected);
    assert_int_equal(needed, strlen(text) + 1);
    assert_fails(FZ_E_LIMIT, fz_session_receipt(session, text, needed - 1, &needed));
    assert_string_equal(text, "");
    assert_ok(fz_session_receipt(session, text, needed, NULL));
    assert_fails(FZ_E_LIMIT, fz_session_receipt(session, NULL, 0, &needed));
    fz_session_close(session);
    fz_model_close(model);
}

/* "also if no run has succeeded yet, or the last one has not" */
static void receipt_of_nothing(void **state) {
    static float image[64];
    char text[1024];
    fz_model_t *model = open_digits("cnn");
    fz_session_t *plain = open_session(model, 1), *session = open_recording(model);
    fz_tensor_t x = floats(image, 4, (int64_t[]){1, 1, 8, 8}), y = {0}, bad = x;
    assert_ok(fz_session_run(plain, &x, 1, &y, 1));
    assert_fails(FZ_E_USAGE, fz_session_receipt(plain, text, sizeof text, NULL));
    assert_fails(FZ_E_USAGE, fz_session_receipt(session, text, sizeof text, NULL));
    assert_fails(FZ_E_USAGE, fz_session_run(session, &x, 1, NULL, 0));
    assert_fails(FZ_E_USAGE, fz_session_receipt(session, text, sizeof text, NULL));
    y = (fz_tensor_t){0};
    assert_ok(fz_session_run(session, &x, 1, &y, 1));
    assert_ok(fz_session_receipt(session, text, sizeof text, NULL));
    bad.dims[2] = 7;
    assert_fails(FZ_E_SHAPE, fz_session_run(session, &bad, 1, &y, 1));
    assert_fails(FZ_E_USAGE, fz_session_receipt(session, text, sizeof text, NULL));
    assert_fails(FZ_E_USAGE, fz_session_receipt(NULL, text, sizeof text, NULL));
    fz_session_close(session);
    fz_session_close(plain);
    fz_model_close(model);
}

/* "its type, its rank and its dimensions as 64-bit integers, then its elements" */
static void tensor_digest(void **state) {
    static float values[2] = {1.0f, -2.0f};
    /* float32, rank 1, dimension 2, then 1.0 and -2.0, all little-endian. */
    static const uint8_t bytes[] = {1, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0,
                                    0, 0, 0, 0, 0, 0, 0x80, 0x3F, 0, 0, 0, 0xC0};
    uint8_t digest[32], expected[32];
    fz_tensor_t t = floats(values, 1, (int64_t[]){2});
    assert_ok(fz_sha256(bytes, sizeof bytes, expected));
    assert_ok(fz_tensor_digest(&t, 1, digest));
    assert_memory_equal(digest, expected, 32);
    t.size += 4; /* a larger buffer holds the same tensor */
    assert_ok(fz_tensor_digest(&t, 1, digest));
    assert_memory_equal(digest, expected, 32);
    t.size = 4;
    assert_fails(FZ_E_USAGE, fz_tensor_digest(&t, 1, digest));
    assert_fails(FZ_E_USAGE, fz_tensor_digest(NULL, 1, digest));
    assert_ok(fz_tensor_digest(NULL, 0, digest));
    assert_ok(fz_sha256("", 0, expected));
    assert_memory_equal(digest, expected, 32);
}

const struct CMUnitTest receipt_cases[] = {
    cmocka_unit_test(receipt),
    cmocka_unit_test(receipt_of_nothing),
    cmocka_unit_test(tensor_digest),
};
const size_t n_receipt_cases = sizeof receipt_cases / sizeof *receipt_cases;
