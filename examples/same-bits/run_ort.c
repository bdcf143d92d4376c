/* Runs an ONNX model once, by ONNX Runtime with one thread and its other defaults, and writes all
 * outputs, one after the other, as the bytes that they are:
 *     run_ort LIBONNXRUNTIME.so MODEL.onnx OUTPUTS INPUT.npy...
 * With the library alone it prints the library's version. */
#include <dlfcn.h>
#include <stdlib.h>

#include "arrays.h"

typedef struct status *status_t; /* NULL is success */

/* The package that carries the library carries no header, so what is called is declared here: the
 * members of `struct OrtApi` at the places that onnxruntime_c_api.h gives them. All of them belong
 * to version 1 of that interface, to which later versions only append. */
struct api {
    void *skip_0[2];
    const char *(*get_error_message)(status_t status);
    status_t (*create_env)(int log_level, const char *name, void **env);
    void *skip_4[2];
    status_t (*disable_telemetry_events)(void *env);
    status_t (*create_session)(void *env, const char *path, void *options, void **session);
    void *skip_8[1];
    status_t (*run)(void *session, void *options, char *const *input_names, void *const *inputs,
                    size_t n_inputs, char *const *output_names, size_t n_outputs, void **outputs);
    status_t (*create_session_options)(void **options);
    void *skip_11[13];
    status_t (*set_intra_op_num_threads)(void *options, int threads);
    void *skip_25[5];
    status_t (*session_get_input_count)(void *session, size_t *n);
    status_t (*session_get_output_count)(void *session, size_t *n);
    void *skip_32[4];
    status_t (*session_get_input_name)(void *session, size_t i, void *allocator, char **name);
    status_t (*session_get_output_name)(void *session, size_t i, void *allocator, char **name);
    void *skip_38[11];
    status_t (*create_tensor_with_data)(void *memory, void *data, size_t size, const int64_t *dims,
                                        size_t rank, int type, void **value);
    void *skip_50[1];
    status_t (*get_tensor_mutable_data)(void *value, void **data);
    void *skip_52[8];
    status_t (*get_tensor_element_type)(void *shape, int *type);
    void *skip_61[3];
    status_t (*get_tensor_shape_element_count)(void *shape, size_t *n);
    status_t (*get_tensor_type_and_shape)(void *value, void **shape);
    void *skip_66[3];
    status_t (*create_cpu_memory_info)(int allocator_type, int memory_type, void **memory);
    void *skip_70[8];
    status_t (*get_allocator_with_default_options)(void **allocator);
};

_Static_assert(offsetof(struct api, run) == 9 * sizeof(void *), "Run");
_Static_assert(offsetof(struct api, session_get_input_count) == 30 * sizeof(void *), "inputs");
_Static_assert(offsetof(struct api, create_tensor_with_data) == 49 * sizeof(void *), "tensors");
_Static_assert(offsetof(struct api, get_tensor_element_type) == 60 * sizeof(void *), "types");
_Static_assert(offsetof(struct api, get_allocator_with_default_options) == 78 * sizeof(void *),
               "allocator");

struct api_base {
    const struct api *(*get_api)(uint32_t version);
    const char *(*get_version_string)(void);
};

enum { API_VERSION = 1, LOG_ERRORS = 3, ARENA_ALLOCATOR = 1, DEFAULT_MEMORY = 0, MANY = 32 };

static const struct api *api;

static const struct api_base *load(const char *path) {
    const struct api_base *(*get)(void) = NULL;
    void *library = dlopen(path, RTLD_NOW);
    if (library) *(void **)&get = dlsym(library, "OrtGetApiBase");
    if (!get) stop("%s", dlerror());
    return get();
}

static void check(status_t status) {
    if (status) stop("ONNX Runtime: %s", api->get_error_message(status));
}

static void *create_session(const char *path) {
    void *env, *options, *session;
    check(api->create_env(LOG_ERRORS, "run_ort", &env));
    check(api->disable_telemetry_events(env));
    check(api->create_session_options(&options));
    check(api->set_intra_op_num_threads(options, 1));
    check(api->create_session(env, path, options, &session));
    return session;
}

/* Inputs are taken in the model's order. */
static size_t read_inputs(void *session, char **paths, char **names, void **values) {
    void *allocator, *memory;
    size_t n;
    check(api->get_allocator_with_default_options(&allocator));
    check(api->create_cpu_memory_info(ARENA_ALLOCATOR, DEFAULT_MEMORY, &memory));
    check(api->session_get_input_count(session, &n));
    for (size_t i = 0; i < n; i++) {
        if (i == MANY || !paths[i]) stop("the model has %zu inputs", n);
        struct array a = read_npy(paths[i]);
        check(api->session_get_input_name(session, i, allocator, &names[i]));
        check(api->create_tensor_with_data(memory, a.data, a.size, a.dims, (size_t)a.rank, a.dtype,
                                           &values[i]));
    }
    return n;
}

static size_t name_outputs(void *session, char **names) {
    void *allocator;
    size_t n;
    check(api->get_allocator_with_default_options(&allocator));
    check(api->session_get_output_count(session, &n));
    if (n > MANY) stop("the model has %zu outputs", n);
    for (size_t i = 0; i < n; i++)
        check(api->session_get_output_name(session, i, allocator, &names[i]));
    return n;
}

static void write_output(FILE *file, void *value) {
    static const size_t sizes[] = {0, 4, 1, 1, 2, 2, 4, 8, 0, 1, 2, 8, 4, 8};
    void *shape, *data;
    size_t n;
    int type;
    check(api->get_tensor_type_and_shape(value, &shape));
    check(api->get_tensor_element_type(shape, &type));
    check(api->get_tensor_shape_element_count(shape, &n));
    check(api->get_tensor_mutable_data(value, &data));
    if (type < 0 || (size_t)type >= sizeof sizes / sizeof *sizes || !sizes[type])
        stop("an output is of type %d", type);
    fwrite(data, sizes[type], n, file);
}

/* What is made here lives until the end of the program. */
int main(int argc, char **argv) {
    char *input_names[MANY], *output_names[MANY];
    void *inputs[MANY], *outputs[MANY] = {NULL};
    if (argc == 2) return puts(load(argv[1])->get_version_string()) < 0;
    if (argc < 4) stop("usage: run_ort LIBONNXRUNTIME.so [MODEL.onnx OUTPUTS INPUT.npy...]");
    api = load(argv[1])->get_api(API_VERSION);
    if (!api) stop("%s has no interface of version %d", argv[1], API_VERSION);

    void *session = create_session(argv[2]);
    size_t n_inputs = read_inputs(session, argv + 4, input_names, inputs);
    size_t n_outputs = name_outputs(session, output_names);
    check(api->run(session, NULL, input_names, inputs, n_inputs, output_names, n_outputs, outputs));

    FILE *file = fopen(argv[3], "wb");
    if (!file) stop("cannot write %s", argv[3]);
    for (size_t i = 0; i < n_outputs; i++) write_output(file, outputs[i]);
    if (fclose(file) != 0) stop("cannot write %s", argv[3]);
    return 0;
}
