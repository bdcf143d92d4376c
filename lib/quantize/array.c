/* NumPy's format 1.0 to 3.0 (magic, header of a Python literal, raw elements), and the part of zip
 * that numpy.savez writes: stored entries. No size is used before it is held against the file's. */
#include "quantize/array.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum { MAX_HEADER = 65536 };

static fz_status_t damaged(const char *path) {
    return fzi_error(FZ_E_FORMAT, "'%s' is not an array of NumPy in C order and of a known type",
                     path);
}

static fz_status_t read_at(int fd, const char *path, uint64_t offset, void *data, size_t size) {
    for (size_t at = 0; at < size;) {
        ssize_t n = pread(fd, (char *)data + at, size - at, (off_t)(offset + at));
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return fzi_error(FZ_E_IO, "cannot read '%s': %s", path, strerror(errno));
        if (n == 0) return fzi_error(FZ_E_FORMAT, "'%s' is cut short", path);
        at += (size_t)n;
    }
    return FZ_OK;
}

static fz_status_t open_file(const char *path, int *fd, uint64_t *size) {
    struct stat st;
    *fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    if (*fd < 0) return fzi_error(FZ_E_IO, "cannot open '%s': %s", path, strerror(errno));
    if (fstat(*fd, &st) == 0 && S_ISREG(st.st_mode)) {
        *size = (uint64_t)st.st_size;
        return FZ_OK;
    }
    close(*fd);
    return fzi_error(FZ_E_IO, "'%s' is not a regular file", path);
}

/* ---- the header's literal */

/* What stands behind 'KEY': in HEADER. */
static const char *field(const char *header, const char *key) {
    const char *at = strstr(header, key);
    if (!at) return NULL;
    at += strlen(key);
    while (*at == ' ' || *at == ':') at++;
    return at;
}

static bool parse_type(const char *header, fz_tensor_t *t) {
    static const struct {
        const char *text;
        int32_t dtype;
    } types[] = {{"f4", FZ_TYPE_F32}, {"f8", FZ_TYPE_F64}, {"f2", FZ_TYPE_F16}, {"i1", FZ_TYPE_I8},
                 {"i2", FZ_TYPE_I16}, {"i4", FZ_TYPE_I32}, {"i8", FZ_TYPE_I64}, {"u1", FZ_TYPE_U8},
                 {"u2", FZ_TYPE_U16}, {"u4", FZ_TYPE_U32}, {"u8", FZ_TYPE_U64},
                 {"b1", FZ_TYPE_BOOL}};
    const char *at = field(header, "'descr'");
    if (!at || *at++ != '\'') return false;
    char order = *at;
    if (order && strchr("<>|=", order)) at++;
    for (size_t i = 0; i < FZ_COUNT(types); i++) {
        if (strncmp(at, types[i].text, 2) != 0 || at[2] != '\'') continue;
        t->dtype = types[i].dtype;
        return order != '>' || at[1] == '1';
    }
    return false;
}

static bool parse_shape(const char *header, fz_tensor_t *t) {
    const char *at = field(header, "'shape'");
    if (!at || *at++ != '(') return false;
    while (*at && *at != ')') {
        char *end;
        if (*at == ' ' || *at == ',') {
            at++;
            continue;
        }
        errno = 0;
        long long d = strtoll(at, &end, 10);
        if (end == at || d < 0 || errno || t->rank == FZ_RANK_MAX) return false;
        t->dims[t->rank++] = d;
        at = end;
    }
    return *at == ')';
}

static fz_status_t parse(const char *path, const char *header, struct fz_array *out) {
    const char *order = field(header, "'fortran_order'");
    if (!parse_type(header, &out->t) || !parse_shape(header, &out->t) || !order ||
        strncmp(order, "False", 5) != 0)
        return damaged(path);
    return fzi_tensor_measure(&out->t);
}

static fz_status_t read_header(int fd, uint64_t size, struct fz_array *out) {
    uint8_t head[12];
    if (size < out->offset || size - out->offset < sizeof head) return damaged(out->path);
    FZ_TRY(read_at(fd, out->path, out->offset, head, sizeof head));
    if (memcmp(head, "\x93NUMPY", 6) != 0 || head[6] < 1 || head[6] > 3) return damaged(out->path);
    size_t start = head[6] > 1 ? 12 : 10;
    size_t length = head[8] | (size_t)head[9] << 8;
    if (head[6] > 1) length |= (size_t)head[10] << 16 | (size_t)head[11] << 24;
    if (length > MAX_HEADER || size - out->offset < start + length) return damaged(out->path);
    char *header = fzi_alloc(length + 1);
    if (!header) return fzi_error(FZ_E_NOMEM, "no memory for a header");
    fz_status_t status = read_at(fd, out->path, out->offset + start, header, length);
    header[length] = 0;
    if (status == FZ_OK) status = parse(out->path, header, out);
    fzi_free(header);
    out->offset += start + length;
    if (status == FZ_OK && size - out->offset < out->t.size)
        return fzi_error(FZ_E_FORMAT, "'%s' is shorter than its header says", out->path);
    return status;
}

fz_status_t fzi_array_open(const char *path, uint64_t offset, struct fz_array *out) {
    int fd;
    uint64_t size;
    *out = (struct fz_array){.path = path, .offset = offset};
    FZ_TRY(open_file(path, &fd, &size));
    fz_status_t status = read_header(fd, size, out);
    close(fd);
    return status;
}

fz_status_t fzi_array_read(const struct fz_array *array, uint64_t begin, void *data, size_t size) {
    int fd;
    uint64_t all;
    FZ_TRY(open_file(array->path, &fd, &all));
    fz_status_t status = read_at(fd, array->path, array->offset + begin, data, size);
    close(fd);
    return status;
}

/* ---- zip */

enum { END_SIZE = 22, ENTRY_SIZE = 46, LOCAL_SIZE = 30, MAX_COMMENT = 65535 };

static uint32_t little(const uint8_t *at, int n) {
    uint32_t value = 0;
    for (int i = n - 1; i >= 0; i--) value = value << 8 | at[i];
    return value;
}

/* A zip file's directory, read whole. */
struct directory {
    uint8_t *data;
    size_t size;
    uint64_t offset;
};

/* The end record lies behind everything but a comment. */
static fz_status_t read_directory(int fd, const char *path, uint64_t size, struct directory *d) {
    size_t n = size < END_SIZE + MAX_COMMENT ? (size_t)size : END_SIZE + MAX_COMMENT;
    uint8_t *tail = fzi_alloc(n);
    if (!tail) return fzi_error(FZ_E_NOMEM, "no memory for '%s'", path);
    fz_status_t status = read_at(fd, path, size - n, tail, n);
    size_t at = n < END_SIZE ? 0 : n - END_SIZE + 1;
    while (status == FZ_OK && at > 0 && memcmp(tail + at - 1, "PK\5\6", 4) != 0) at--;
    if (status == FZ_OK && at > 0) {
        d->size = little(tail + at - 1 + 12, 4);
        d->offset = little(tail + at - 1 + 16, 4);
    }
    fzi_free(tail);
    if (status != FZ_OK) return status;
    if (!at || d->offset > size || size - d->offset < d->size || d->offset == UINT32_MAX)
        return fzi_error(FZ_E_FORMAT, "'%s' is not a .npz file of less than 4 GiB", path);
    d->data = fzi_alloc(d->size + 1);
    if (!d->data) return fzi_error(FZ_E_NOMEM, "no memory for '%s'", path);
    return read_at(fd, path, d->offset, d->data, d->size);
}

static bool is_named(const uint8_t *text, size_t size, const char *name) {
    size_t n = strlen(name);
    return size == n + 4 && memcmp(text, name, n) == 0 && memcmp(text + n, ".npy", 4) == 0;
}

static fz_status_t open_entry(int fd, const char *path, const uint8_t *entry, uint64_t size,
                              uint64_t *offset) {
    uint8_t local[LOCAL_SIZE];
    uint64_t at = little(entry + 42, 4);
    if (little(entry + 10, 2) != 0)
        return fzi_error(FZ_E_UNSUPPORTED, "'%s' is compressed; numpy.savez writes what can be "
                         "read sample by sample", path);
    if (at > size || size - at < LOCAL_SIZE) return damaged(path);
    FZ_TRY(read_at(fd, path, at, local, sizeof local));
    if (memcmp(local, "PK\3\4", 4) != 0) return damaged(path);
    *offset = at + LOCAL_SIZE + little(local + 26, 2) + little(local + 28, 2);
    return FZ_OK;
}

static fz_status_t find_entry(int fd, const char *path, const char *name, uint64_t size,
                              const struct directory *d, uint64_t *offset, bool *found) {
    for (size_t at = 0; d->size - at >= ENTRY_SIZE;) {
        const uint8_t *entry = d->data + at;
        size_t n = little(entry + 28, 2);
        size_t all = ENTRY_SIZE + n + little(entry + 30, 2) + little(entry + 32, 2);
        if (memcmp(entry, "PK\1\2", 4) != 0 || d->size - at < all) return damaged(path);
        if (is_named(entry + ENTRY_SIZE, n, name)) {
            *found = true;
            return open_entry(fd, path, entry, size, offset);
        }
        at += all;
    }
    return FZ_OK;
}

fz_status_t fzi_array_find(const char *path, const char *name, struct fz_array *out, bool *found) {
    int fd;
    uint64_t size, offset = 0;
    struct directory d = {0};
    *found = false;
    FZ_TRY(open_file(path, &fd, &size));
    fz_status_t status = read_directory(fd, path, size, &d);
    if (status == FZ_OK) status = find_entry(fd, path, name, size, &d, &offset, found);
    fzi_free(d.data);
    close(fd);
    return status == FZ_OK && *found ? fzi_array_open(path, offset, out) : status;
}
