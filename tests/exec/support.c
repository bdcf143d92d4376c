/* Models made on the spot, digits models, and wraps that count what the library asks for. */
#include "support.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- wraps */

static atomic_size_t n_allocations;
static atomic_bool no_threads;

void *__real_malloc(size_t size);
void *__real_calloc(size_t n, size_t size);
void *__real_realloc(void *p, size_t size);
void *__real_aligned_alloc(size_t align, size_t size);
void *__real_mmap64(void *at, size_t size, int protection, int flags, int fd, off_t off);
int __real_pthread_create(pthread_t *thread, const pthread_attr_t *attr, void *(*start)(void *),
                          void *arg);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_realloc(void *p, size_t size);
void *__wrap_aligned_alloc(size_t align, size_t size);
void *__wrap_mmap64(void *at, size_t size, int protection, int flags, int fd, off_t off);
int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attr, void *(*start)(void *),
                          void *arg);

void *__wrap_malloc(size_t size) {
    n_allocations++;
    return __real_malloc(size);
}

void *__wrap_calloc(size_t n, size_t size) {
    n_allocations++;
    return __real_calloc(n, size);
}

void *__wrap_realloc(void *p, size_t size) {
    n_allocations++;
    return __real_realloc(p, size);
}

void *__wrap_aligned_alloc(size_t align, size_t size) {
    n_allocations++;
    return __real_aligned_alloc(align, size);
}

void *__wrap_mmap64(void *at, size_t size, int protection, int flags, int fd, off_t off) {
    n_allocations++;
    return __real_mmap64(at, size, protection, flags, fd, off);
}

int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attr, void *(*start)(void *),
                          void *arg) {
    return no_threads ? EAGAIN : __real_pthread_create(thread, attr, start, arg);
}

size_t allocations(void) { return n_allocations; }
void refuse_threads(bool on) { no_threads = on; }

/* ---- files */

const char *data_path(const char *format, ...) {
    static char paths[4][4096];
    static int next;
    char *path = paths[next++ % 4];
    int n = snprintf(path, sizeof paths[0], "%s/", TEST_DATA);
    va_list args;
    va_start(args, format);
    vsnprintf(path + n, sizeof paths[0] - (size_t)n, format, args);
    va_end(args);
    return path;
}

static char folder[64];

static void remove_folder(void) {
    char command[128];
    snprintf(command, sizeof command, "rm -rf '%s'", folder);
    if (system(command) != 0) fprintf(stderr, "%s is left behind\n", folder);
}

const char *temporary(const char *name) {
    static char paths[4][4096];
    static int next;
    if (!folder[0]) {
        strcpy(folder, "/tmp/exec_test.XXXXXX");
        assert_non_null(mkdtemp(folder));
        atexit(remove_folder);
    }
    char *path = paths[next++ % 4];
    snprintf(path, sizeof paths[0], "%s/%s", folder, name);
    return path;
}

void *read_whole(const char *path, size_t *size) {
    FILE *file = fopen(path, "rb");
    assert_non_null(file);
    assert_int_equal(fseek(file, 0, SEEK_END), 0);
    *size = (size_t)ftell(file);
    rewind(file);
    void *data = malloc(*size + 1);
    assert_non_null(data);
    assert_int_equal(fread(data, 1, *size, file), *size);
    fclose(file);
    return data;
}

void write_whole(const char *path, const void *data, size_t size) {
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(data, 1, size, file), size);
    assert_int_equal(fclose(file), 0);
}

bool file_exists(const char *path) { return access(path, F_OK) == 0; }

/* ---- models and tensors */

fz_model_t *open_digits(const char *name) {
    fz_model_t *model;
    assert_ok(fz_freeze_open(data_path("digits/digits_%s.onnx", name), NULL, NULL, &model));
    return model;
}

fz_model_t *open_built(struct pb built) {
    fz_model_t *model;
    fz_freeze_options_t o = {.size = sizeof o, .flags = FZ_FREEZE_NO_KAT};
    assert_ok(fz_freeze_open_memory(built.data, built.size, &o, NULL, &model));
    pb_free(&built);
    return model;
}

fz_session_t *open_session(fz_model_t *model, int32_t threads) {
    fz_session_options_t options = {.size = sizeof options, .threads = threads};
    fz_session_t *session;
    assert_ok(fz_session_create(model, &options, &session));
    return session;
}

fz_tensor_t floats(float *data, int32_t rank, const int64_t *dims) {
    fz_tensor_t t = {.dtype = FZ_TYPE_F32, .rank = rank, .data = data, .size = sizeof *data};
    for (int32_t i = 0; i < rank; i++) t.size *= (size_t)(t.dims[i] = dims[i]);
    return t;
}

/* The test set's file is a header of 128 bytes and the images. */
fz_tensor_t digits(int64_t first, int64_t n) {
    static float *images;
    if (!images) {
        size_t size;
        char *file = read_whole(data_path("digits/test_x.npy"), &size);
        assert_int_equal(size, 128 + 497 * 64 * sizeof *images);
        images = malloc(size - 128);
        assert_non_null(images);
        memcpy(images, file + 128, size - 128);
        free(file);
    }
    return floats(images + first * 64, 4, (int64_t[]){n, 1, 8, 8});
}

struct pb one_node(const char *op, const char *dims, const char *out_dims) {
    struct pb g = {0};
    pb_msg(&g, GRAPH_NODE, pb_node(op, "x", "y"));
    pb_msg(&g, GRAPH_INPUT, pb_value("x", FZ_TYPE_F32, dims));
    pb_msg(&g, GRAPH_OUTPUT, pb_value("y", FZ_TYPE_F32, out_dims));
    return pb_model(g);
}

struct pb products(int n, int size) {
    struct pb g = {0};
    char in[32] = "x", out[32], dims[64];
    size_t count = (size_t)size * (size_t)size;
    float *w = malloc(count * sizeof *w);
    assert_non_null(w);
    for (size_t i = 0; i < count; i++) w[i] = (float)(i * 7919 % 1000) / 500000.0f - 0.001f;
    snprintf(dims, sizeof dims, "%d,%d", size, size);
    pb_msg(&g, GRAPH_INIT, pb_raw_tensor("w", FZ_TYPE_F32, dims, w, count * sizeof *w));
    free(w);
    snprintf(dims, sizeof dims, "64,%d", size);
    for (int i = 0; i < n; i++) {
        char inputs[64];
        snprintf(inputs, sizeof inputs, "%s,w", in);
        snprintf(out, sizeof out, i + 1 < n ? "t%d" : "y", i);
        pb_msg(&g, GRAPH_NODE, pb_node("MatMul", inputs, out));
        memcpy(in, out, sizeof in);
    }
    pb_msg(&g, GRAPH_INPUT, pb_value("x", FZ_TYPE_F32, dims));
    pb_msg(&g, GRAPH_OUTPUT, pb_value("y", FZ_TYPE_F32, dims));
    return pb_model(g);
}
