/* Freezes and runs models, and prints what came out, one line each: 'NAME id HEX', the SHA-256 of the
 * frozen file, and 'NAME out HEX', the SHA-256 of all outputs as the file format orders their bytes.
 *
 * usage: bits [--mask N] [--threads 1,2,3,8] [--files DIR] NAME=MODEL.onnx[=INPUTS]...
 *
 * --mask leaves the library only these of the CPU's features. INPUTS is a folder of input_0.pb, ...
 * or sizes for the open dimensions, '@1,64'; without: 1. --files: a frozen file DIR/NAME.fz that is
 * there is opened and run, too; one that is not is written. */
#include <frozen/freeze.h>

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "kernels.h"

enum { MANY = 64 };

/* The library asks for the CPU's features here (--wrap): fewer than there are. */
static uint32_t allowed = UINT32_MAX;
uint32_t __real_fzk_cpu_mask(void);
uint32_t __wrap_fzk_cpu_mask(void);
uint32_t __wrap_fzk_cpu_mask(void) { return __real_fzk_cpu_mask() & allowed; }

struct inputs {
    fz_tensor_t tensors[MANY];
    fz_tensor_file_t *files[MANY];
    void *made[MANY];
    size_t n;
};

static void stop(const char *what) {
    fprintf(stderr, "FAIL %s: %s\n", what, fz_last_error());
    exit(2);
}

static void read_inputs(const char *folder, struct inputs *in) {
    char path[4096];
    for (in->n = 0; in->n < MANY; in->n++) {
        snprintf(path, sizeof path, "%s/input_%zu.pb", folder, in->n);
        if (access(path, F_OK) != 0) break;
        if (fz_tensor_read_onnx(path, &in->tensors[in->n], &in->files[in->n]) != FZ_OK) stop(path);
    }
}

/* A fixed sequence: floats in [-1, 1), integers 0 or 1, everything else 0. */
static void fill(fz_tensor_t *t, size_t n, uint32_t *random) {
    for (size_t i = 0; i < n; i++) {
        *random = *random * 1664525 + 1013904223;
        if (t->dtype == FZ_TYPE_F32) ((float *)t->data)[i] = (float)(int32_t)*random * 0x1p-31f;
        if (t->dtype == FZ_TYPE_I64) ((int64_t *)t->data)[i] = *random >> 31;
        /* Halves of sign and exponent below 1. */
        if (t->dtype == FZ_TYPE_F16) ((uint16_t *)t->data)[i] = (*random >> 16) & 0xBBFF;
    }
}

/* OPEN: sizes of the open dimensions of all inputs in turn; the last one serves for the rest. */
static void make_inputs(const fz_model_t *model, const char *open, struct inputs *in) {
    uint32_t random = 1;
    in->n = fz_model_input_count(model);
    for (size_t i = 0; i < in->n && i < MANY; i++) {
        fz_io_t io;
        fz_model_input(model, i, &io);
        fz_tensor_t *t = &in->tensors[i];
        *t = (fz_tensor_t){.dtype = io.dtype, .rank = io.rank < 0 ? 0 : io.rank};
        size_t n = 1;
        for (int32_t d = 0; d < t->rank; d++) {
            t->dims[d] = io.dims[d] < 0 ? atoi(open) : io.dims[d];
            if (io.dims[d] < 0 && strchr(open, ',')) open = strchr(open, ',') + 1;
            n *= (size_t)t->dims[d];
        }
        t->size = n * (size_t)(fz_type_bits(io.dtype) / 8);
        t->data = in->made[i] = calloc(n + 1, 16);
        fill(t, n, &random);
    }
}

static void release(struct inputs *in) {
    for (size_t i = 0; i < in->n; i++) {
        fz_tensor_file_close(in->files[i]);
        free(in->made[i]);
    }
}

/* The digest of elements of WIDTH bytes, least byte first. */
static void digest_elements(const void *data, size_t size, size_t width, uint8_t digest[32]) {
    uint8_t *bytes = malloc(size + 1);
    if (!bytes) stop("no memory");
    if (size) memcpy(bytes, data, size);
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    for (size_t i = 0; i < size; i++)
        bytes[i] = ((const uint8_t *)data)[i / width * width + width - 1 - i % width];
#else
    (void)width;
#endif
    fz_sha256(bytes, size, digest);
    free(bytes);
}

/* The digest of each output's shape and elements, digested. */
static void digest_of(const fz_tensor_t *outputs, size_t n, uint8_t digest[32]) {
    uint8_t all[MANY * 64];
    for (size_t i = 0; i < n; i++) {
        int32_t bits = fz_type_bits(outputs[i].dtype);
        digest_elements(outputs[i].data, outputs[i].size, bits < 8 ? 1 : (size_t)bits / 8,
                        all + 64 * i);
        digest_elements(outputs[i].dims, (size_t)outputs[i].rank * 8, 8, all + 64 * i + 32);
    }
    fz_sha256(all, n * 64, digest);
}

static void run(const char *name, fz_model_t *model, const struct inputs *in, int threads) {
    fz_session_options_t options = {.size = sizeof options, .threads = threads};
    fz_session_t *session;
    fz_tensor_t outputs[MANY] = {{0}};
    size_t n = fz_model_output_count(model);
    uint8_t digest[32];
    if (n > MANY) n = MANY;
    if (fz_session_create(model, &options, &session) != FZ_OK ||
        fz_session_run(session, in->tensors, in->n, outputs, n) != FZ_OK)
        stop(name);
    digest_of(outputs, n, digest);
    printf("%s out ", name);
    for (int i = 0; i < 32; i++) printf("%02x", digest[i]);
    printf("\n");
    fflush(stdout);
    fz_session_close(session);
}

static void run_file(const char *name, const char *onnx, const char *folder, const char *hex,
                     const struct inputs *in) {
    fz_open_options_t open = {.size = sizeof open, .expect = hex};
    fz_freeze_options_t freeze = {.size = sizeof freeze};
    fz_model_t *model;
    char path[4096];
    snprintf(path, sizeof path, "%s/%s.fz", folder, name);
    if (access(path, F_OK) != 0 && fz_freeze_file(onnx, path, &freeze, NULL) != FZ_OK) stop(path);
    if (fz_model_open(path, &open, &model) != FZ_OK) stop(path);
    run(name, model, in, 1);
    fz_model_close(model);
}

struct options {
    const char *threads, *files;
};

static void try_model(const char *name, const char *path, const char *inputs,
                      const struct options *o) {
    fz_freeze_options_t options = {.size = sizeof options};
    struct inputs in = {.n = 0};
    fz_model_t *model;
    char hex[65];
    if (fz_freeze_open(path, &options, NULL, &model) != FZ_OK || fz_model_id(model, hex) != FZ_OK)
        stop(path);
    printf("%s id %s\n", name, hex);
    if (inputs && *inputs != '@') read_inputs(inputs, &in);
    else make_inputs(model, inputs ? inputs + 1 : "1", &in);
    for (const char *t = o->threads; t; t = strchr(t, ',') ? strchr(t, ',') + 1 : NULL)
        run(name, model, &in, atoi(t));
    if (o->files) run_file(name, path, o->files, hex, &in);
    release(&in);
    fz_model_close(model);
}

int main(int argc, char **argv) {
    struct options o = {.threads = "1,2,3,8"};
    for (int i = 1; i < argc; i++) {
        bool more = i + 1 < argc;
        if (more && strcmp(argv[i], "--mask") == 0)
            allowed = (uint32_t)strtoul(argv[++i], NULL, 0);
        else if (more && strcmp(argv[i], "--threads") == 0) o.threads = argv[++i];
        else if (more && strcmp(argv[i], "--files") == 0) o.files = argv[++i];
        else {
            char *path = strchr(argv[i], '='), *inputs = path ? strchr(path + 1, '=') : NULL;
            if (!path) return fprintf(stderr, "usage: bits NAME=MODEL.onnx[=INPUTS]...\n"), 2;
            *path++ = 0;
            if (inputs) *inputs++ = 0;
            try_model(argv[i], path, inputs, &o);
        }
    }
    return 0;
}
