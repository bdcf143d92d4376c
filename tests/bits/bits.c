/* Freezes and runs models under every set of CPU features and many thread counts, and prints what
 * came out: 'MODEL id FEATURES HEX' and 'MODEL out FEATURES THREADS HEX', the SHA-256 of all outputs.
 *
 * usage: bits [--quick] NAME=MODEL.onnx[=DATA_SET]...     DATA_SET: a folder of input_0.pb, ... */
#include <frozen/freeze.h>

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "kernels.h"

enum { MANY = 64 };

/* The library asks for the CPU's features here (--wrap): fewer than there are. */
static uint32_t allowed;
uint32_t __real_fzk_cpu_mask(void);
uint32_t __wrap_fzk_cpu_mask(void);
uint32_t __wrap_fzk_cpu_mask(void) { return __real_fzk_cpu_mask() & allowed; }

struct level {
    const char *name;
    uint32_t mask;
};

static const struct level levels[] = {
    {"none", 0},
    {"v3", FZK_CPU_V3},
    {"v3+vnni", FZK_CPU_V3 | FZK_CPU_AVXVNNI},
    {"v4", FZK_CPU_V3 | FZK_CPU_V4},
    {"all", UINT32_MAX},
};
static const int counts[] = {1, 2, 3, 8};

struct inputs {
    fz_tensor_t tensors[MANY];
    fz_tensor_file_t *files[MANY];
    void *made[MANY];
    size_t n;
};

static void stop(const char *what) {
    fprintf(stderr, "%s: %s\n", what, fz_last_error());
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

/* Without a data set: a fixed sequence in [-1, 1), open dimensions 1, other types 0. */
static void make_inputs(const fz_model_t *model, struct inputs *in) {
    uint32_t random = 1;
    in->n = fz_model_input_count(model);
    for (size_t i = 0; i < in->n; i++) {
        fz_io_t io;
        fz_model_input(model, i, &io);
        fz_tensor_t *t = &in->tensors[i];
        *t = (fz_tensor_t){.dtype = io.dtype, .rank = io.rank < 0 ? 0 : io.rank};
        size_t n = 1;
        for (int32_t d = 0; d < t->rank; d++)
            n *= (size_t)(t->dims[d] = io.dims[d] < 0 ? 1 : io.dims[d]);
        t->size = n * (size_t)(fz_type_bits(io.dtype) / 8);
        t->data = in->made[i] = calloc(n + 1, 16);
        for (size_t j = 0; t->dtype == FZ_TYPE_F32 && j < n; j++) {
            random = random * 1664525 + 1013904223;
            ((float *)t->data)[j] = (float)(int32_t)random * 0x1p-31f;
        }
    }
}

static void release(struct inputs *in) {
    for (size_t i = 0; i < in->n; i++) {
        fz_tensor_file_close(in->files[i]);
        free(in->made[i]);
    }
}

static void print_hex(const uint8_t digest[32]) {
    for (int i = 0; i < 32; i++) printf("%02x", digest[i]);
    printf("\n");
}

/* The digest of each output's shape and bytes, digested. */
static void digest_of(const fz_tensor_t *outputs, size_t n, uint8_t digest[32]) {
    uint8_t all[MANY * 64];
    for (size_t i = 0; i < n; i++) {
        fz_sha256(outputs[i].data, outputs[i].size, all + 64 * i);
        fz_sha256(outputs[i].dims, (size_t)outputs[i].rank * 8, all + 64 * i + 32);
    }
    fz_sha256(all, n * 64, digest);
}

static void run(const char *name, const char *level, fz_model_t *model, const struct inputs *in,
                int threads) {
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
    printf("%s out %s %d ", name, level, threads);
    print_hex(digest);
    fz_session_close(session);
}

static void try_level(const char *name, const char *path, const char *folder,
                      const struct level *level, bool quick) {
    fz_freeze_options_t options = {.size = sizeof options};
    struct inputs in = {.n = 0};
    fz_model_t *model;
    char hex[65];
    allowed = level->mask;
    if (fz_freeze_open(path, &options, NULL, &model) != FZ_OK || fz_model_id(model, hex) != FZ_OK)
        stop(path);
    printf("%s id %s %s\n", name, level->name, hex);
    if (folder) read_inputs(folder, &in);
    else make_inputs(model, &in);
    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++)
        if (!quick || counts[i] == 1 || counts[i] == 3) run(name, level->name, model, &in, counts[i]);
    release(&in);
    fz_model_close(model);
}

int main(int argc, char **argv) {
    bool quick = false;
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--quick") == 0) {
            quick = true;
            continue;
        }
        char *path = strchr(argv[i], '='), *folder = path ? strchr(path + 1, '=') : NULL;
        if (!path) return fprintf(stderr, "usage: bits NAME=MODEL.onnx[=DATA_SET]...\n"), 2;
        *path++ = 0;
        if (folder) *folder++ = 0;
        uint32_t last = 0;
        for (size_t l = 0; l < sizeof levels / sizeof *levels; l++) {
            /* The CPU may lack what tells two levels apart. */
            uint32_t mask = __real_fzk_cpu_mask() & levels[l].mask;
            if (l == 0 || mask != last) try_level(argv[i], path, folder, &levels[l], quick);
            last = mask;
        }
    }
    return 0;
}
