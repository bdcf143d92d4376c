/* The functions of freeze.h. This library has its own copy of the core: messages are handed over to
 * libfrozen, whose fz_last_error() the caller asks. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "api/options.h"
#include "api/tell.h"
#include "base/sha256.h"
#include "base/file.h"
#include "seal/seal.h"
#include "freeze/freeze.h"
#include "import/import.h"

static fz_status_t complete(const fz_freeze_options_t *from, fz_freeze_options_t *to) {
    FZ_TRY(fzi_options_copy(to, sizeof *to, from, "fz_freeze_options_t"));
    if (!to->numerics) to->numerics = "portable";
    if (strcmp(to->numerics, "portable") != 0 && strcmp(to->numerics, "blas") != 0)
        return fzi_error(FZ_E_USAGE, "numerics must be \"portable\" or \"blas\", not \"%s\"",
                         to->numerics);
    if (to->flags >> 6) return fzi_error(FZ_E_USAGE, "fz_freeze_options_t.flags has unknown bits");
    if ((to->n_dims && !to->dims) || (to->n_kat_inputs && !to->kat_inputs))
        return fzi_error(FZ_E_USAGE, "fz_freeze_options_t has a NULL list");
    return FZ_OK;
}

static fz_status_t freeze_file(const char *onnx_path, const char *fz_path,
                               const fz_freeze_options_t *options, char hex[65]) {
    fz_freeze_options_t o;
    uint8_t digest[32];
    if (!onnx_path || !fz_path) return fzi_error(FZ_E_USAGE, "fz_freeze_file: a path is NULL");
    FZ_TRY(complete(options, &o));
    struct fz_freeze_from from = {.path = onnx_path};
    FZ_TRY(fzi_freeze_path(&from, fz_path, &o, digest));
    if (hex) fzi_sha256_hex(digest, hex);
    return FZ_OK;
}

FZ_API fz_status_t fz_freeze_file(const char *onnx_path, const char *fz_path,
                                  const fz_freeze_options_t *options, char hex[65]) {
    if (hex) hex[0] = 0;
    return fzi_tell(freeze_file(onnx_path, fz_path, options, hex));
}

/* Freezes into a nameless file, *FD, and completes the open options. */
static fz_status_t freeze_nameless(const struct fz_freeze_from *from,
                                   const fz_freeze_options_t *options,
                                   const fz_open_options_t *open_options,
                                   fz_open_options_t *done, int *fd) {
    fz_freeze_options_t o;
    uint8_t digest[32];
    FZ_TRY(complete(options, &o));
    FZ_TRY(fzi_open_options_complete(done, open_options));
    if (!done->custom) done->custom = o.custom;
    if (done->flags & FZ_OPEN_MAP)
        return fzi_error(FZ_E_USAGE, "FZ_OPEN_MAP needs a frozen file");
    FZ_TRY(fzi_seal_file(fd));
    fz_status_t status = fzi_freeze(from, &o, *fd, digest);
    if (status != FZ_OK) close(*fd);
    return status;
}

/* The same image as a file on disk. libfrozen opens it, and says itself what is wrong. */
static fz_status_t freeze_open(const struct fz_freeze_from *from,
                               const fz_freeze_options_t *options,
                               const fz_open_options_t *open_options, fz_model_t **out) {
    fz_open_options_t p;
    int fd;
    fz_status_t status = fzi_tell(freeze_nameless(from, options, open_options, &p, &fd));
    return status == FZ_OK ? fz_model_adopt_fd(fd, &p, out) : status;
}

FZ_API fz_status_t fz_freeze_open(const char *onnx_path, const fz_freeze_options_t *options,
                                  const fz_open_options_t *open_options, fz_model_t **out) {
    if (!out) return fzi_tell(fzi_error(FZ_E_USAGE, "fz_freeze_open: OUT is NULL"));
    *out = NULL;
    if (!onnx_path) return fzi_tell(fzi_error(FZ_E_USAGE, "fz_freeze_open: ONNX_PATH is NULL"));
    struct fz_freeze_from from = {.path = onnx_path};
    return freeze_open(&from, options, open_options, out);
}

FZ_API fz_status_t fz_freeze_open_memory(const void *data, size_t size,
                                         const fz_freeze_options_t *options,
                                         const fz_open_options_t *open_options,
                                         fz_model_t **out) {
    if (!out) return fzi_tell(fzi_error(FZ_E_USAGE, "fz_freeze_open_memory: OUT is NULL"));
    *out = NULL;
    if (!data) return fzi_tell(fzi_error(FZ_E_USAGE, "fz_freeze_open_memory: DATA is NULL"));
    struct fz_freeze_from from = {.data = data, .size = size};
    return freeze_open(&from, options, open_options, out);
}

struct fz_tensor_file {
    struct fz_arena arena;
};

static fz_status_t read_all(int fd, const char *path, struct fz_arena *arena, void **data,
                            size_t *size) {
    struct stat st;
    if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode))
        return fzi_error(FZ_E_IO, "'%s' is not a regular file", path);
    *size = (size_t)st.st_size;
    *data = fzi_arena_alloc(arena, *size);
    if (!*data) return fzi_error(FZ_E_NOMEM, "no memory for '%s'", path);
    for (size_t at = 0; at < *size;) {
        ssize_t n = pread(fd, (char *)*data + at, *size - at, (off_t)at);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) return fzi_error(FZ_E_IO, "cannot read '%s'", path);
        at += (size_t)n;
    }
    return FZ_OK;
}

/* DTYPE 0: a tensor of any type. */
static fz_status_t read_value(const char *path, int32_t dtype, struct fz_tensor_file *file,
                              fz_tensor_t *value) {
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    if (fd < 0) return fzi_error(FZ_E_IO, "cannot open '%s': %s", path, strerror(errno));
    void *data = NULL;
    size_t size = 0;
    fz_status_t status = read_all(fd, path, &file->arena, &data, &size);
    close(fd);
    if (status == FZ_OK) status = fzi_import_value(data, size, dtype, &file->arena, value);
    return status == FZ_OK ? FZ_OK : fzi_error_context(status, "%s", path);
}

static fz_status_t read_file(const char *path, int32_t dtype, fz_tensor_t *value,
                             fz_tensor_file_t **out) {
    *out = NULL;
    struct fz_tensor_file *file = fzi_calloc(1, sizeof *file);
    if (!file) return fzi_tell(fzi_error(FZ_E_NOMEM, "no memory for a tensor"));
    fz_status_t status = read_value(path, dtype, file, value);
    if (status == FZ_OK) *out = file;
    else fz_tensor_file_close(file);
    return fzi_tell(status);
}

FZ_API fz_status_t fz_tensor_read_onnx(const char *path, fz_tensor_t *tensor,
                                       fz_tensor_file_t **out) {
    if (!path || !tensor || !out)
        return fzi_tell(fzi_error(FZ_E_USAGE, "fz_tensor_read_onnx: a pointer is NULL"));
    return read_file(path, 0, tensor, out);
}

FZ_API fz_status_t fz_value_read_onnx(const char *path, int32_t dtype, fz_tensor_t *value,
                                      fz_tensor_file_t **out) {
    if (!path || !value || !out)
        return fzi_tell(fzi_error(FZ_E_USAGE, "fz_value_read_onnx: a pointer is NULL"));
    return read_file(path, dtype, value, out);
}

FZ_API void fz_tensor_file_close(fz_tensor_file_t *file) {
    if (!file) return;
    fzi_arena_free(&file->arena);
    fzi_free(file);
}
