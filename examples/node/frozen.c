/* A Node addon: open(path) gives a model; run(model, Float32Array, dims) its first output as a
 * Float32Array; sha256(Float32Array) a string. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <frozen/frozen.h>
#include <node_api.h>

struct handle {
    fz_model_t *model;
    fz_session_t *session;
};

static napi_value raise_error(napi_env env) {
    napi_throw_error(env, NULL, fz_last_error());
    return NULL;
}

static napi_value raise_usage(napi_env env, const char *usage) {
    napi_throw_type_error(env, NULL, usage);
    return NULL;
}

/* Called when the garbage collector takes the model's last reference away. */
static void release(napi_env env, void *data, void *hint) {
    struct handle *h = data;
    (void)env, (void)hint;
    if (!h) return;
    fz_session_close(h->session);
    fz_model_close(h->model);
    free(h);
}

static fz_status_t open_handle(const char *path, struct handle *h) {
    fz_status_t status = fz_model_open(path, NULL, &h->model);
    return status == FZ_OK ? fz_session_create(h->model, NULL, &h->session) : status;
}

static napi_value open_model(napi_env env, napi_callback_info info) {
    napi_value path, result = NULL;
    size_t n = 1;
    char text[4096];
    napi_get_cb_info(env, info, &n, &path, NULL, NULL);
    if (napi_get_value_string_utf8(env, path, text, sizeof text, NULL) != napi_ok)
        return raise_usage(env, "open(path)");
    struct handle *h = calloc(1, sizeof *h);
    if (!h || open_handle(text, h) != FZ_OK) {
        release(env, h, NULL);
        return raise_error(env);
    }
    napi_create_external(env, h, release, NULL, &result);
    return result;
}

static int read_dims(napi_env env, napi_value array, fz_tensor_t *t) {
    uint32_t rank = 0;
    if (napi_get_array_length(env, array, &rank) != napi_ok || rank > FZ_RANK_MAX) return 0;
    t->rank = (int32_t)rank;
    for (uint32_t i = 0; i < rank; i++) {
        napi_value item;
        if (napi_get_element(env, array, i, &item) != napi_ok ||
            napi_get_value_int64(env, item, &t->dims[i]) != napi_ok)
            return 0;
    }
    return 1;
}

static int read_floats(napi_env env, napi_value array, fz_tensor_t *t) {
    napi_typedarray_type type;
    size_t length;
    if (napi_get_typedarray_info(env, array, &type, &length, &t->data, NULL, NULL) != napi_ok)
        return 0;
    t->dtype = FZ_TYPE_F32;
    t->size = length * sizeof(float);
    return type == napi_float32_array;
}

static napi_value floats(napi_env env, const fz_tensor_t *t) {
    napi_value buffer, result = NULL;
    void *data;
    if (napi_create_arraybuffer(env, t->size, &data, &buffer) != napi_ok) return NULL;
    memcpy(data, t->data, t->size);
    napi_create_typedarray(env, napi_float32_array, t->size / sizeof(float), buffer, 0, &result);
    return result;
}

static napi_value run(napi_env env, napi_callback_info info) {
    napi_value a[3];
    size_t n = 3;
    void *h;
    fz_tensor_t input = {0}, output = {0};
    napi_get_cb_info(env, info, &n, a, NULL, NULL);
    if (napi_get_value_external(env, a[0], &h) != napi_ok || !read_floats(env, a[1], &input) ||
        !read_dims(env, a[2], &input))
        return raise_usage(env, "run(model, Float32Array, dims)");
    if (fz_session_run(((struct handle *)h)->session, &input, 1, &output, 1) != FZ_OK)
        return raise_error(env);
    return floats(env, &output);
}

static napi_value sha256(napi_env env, napi_callback_info info) {
    napi_value array, result = NULL;
    size_t n = 1;
    fz_tensor_t t = {0};
    uint8_t digest[32];
    char hex[65];
    napi_get_cb_info(env, info, &n, &array, NULL, NULL);
    if (!read_floats(env, array, &t)) return raise_usage(env, "sha256(Float32Array)");
    if (fz_sha256(t.data, t.size, digest) != FZ_OK) return raise_error(env);
    for (int i = 0; i < 32; i++) snprintf(hex + 2 * i, 3, "%02x", digest[i]);
    napi_create_string_latin1(env, hex, 64, &result);
    return result;
}

NAPI_MODULE_INIT() {
    const napi_property_descriptor methods[] = {
        {"open", NULL, open_model, NULL, NULL, NULL, napi_default, NULL},
        {"run", NULL, run, NULL, NULL, NULL, napi_default, NULL},
        {"sha256", NULL, sha256, NULL, NULL, NULL, napi_default, NULL}};
    napi_define_properties(env, exports, 3, methods);
    return exports;
}
