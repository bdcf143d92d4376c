/* External data: tensors whose bytes lie in a side file.
 *
 * The model's author chooses the file's name, so it must not lead out of the model's folder: no
 * absolute path, no "..", no symbolic link anywhere in it, one regular file with one name. Files
 * are read, never mapped. Ranges of a file must not add up to more than the file, so a small model
 * can't ask for one large range a thousand times. */
#include "import/importer.h"

#include "import/sha1.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>
#ifdef __linux__
#include <linux/openat2.h>
#include <sys/syscall.h>
#endif

/* What a tensor's external_data entries say. */
struct place {
    const char *location, *checksum;
    uint64_t offset, length;
    bool has_length;
};

/* A range that was read before the whole file was. */
struct fz_side_range {
    struct fz_side_range *next;
    const void *data;
    uint64_t offset;
    size_t size;
};

/* Decimal digits and nothing else; false if the value does not fit 64 bits. */
static bool parse_number(const char *text, uint64_t *out) {
    uint64_t value = 0;
    if (!*text) return false;
    for (; *text; text++) {
        if (*text < '0' || *text > '9' || __builtin_mul_overflow(value, 10, &value) ||
            __builtin_add_overflow(value, (uint64_t)(*text - '0'), &value))
            return false;
    }
    *out = value;
    return true;
}

/* Unknown keys are ignored, as ONNX asks for; a number that is none is refused. */
static fz_status_t parse_place(const fz_pb_tensor *proto, const char *name, struct place *out) {
    *out = (struct place){0};
    for (size_t i = 0; i < proto->n_external_data; i++) {
        const fz_pb_entry *entry = proto->external_data[i];
        bool good = true;
        if (strcmp(entry->key, "location") == 0) out->location = entry->value;
        else if (strcmp(entry->key, "checksum") == 0) out->checksum = entry->value;
        else if (strcmp(entry->key, "offset") == 0) good = parse_number(entry->value, &out->offset);
        else if (strcmp(entry->key, "length") == 0)
            out->has_length = good = parse_number(entry->value, &out->length);
        if (!good)
            return fzi_error(FZ_E_FORMAT, "tensor '%s': external %s '%s' is no number", name,
                             entry->key, entry->value);
    }
    if (!out->location || !*out->location)
        return fzi_error(FZ_E_FORMAT, "tensor '%s' has external data without location", name);
    return FZ_OK;
}

/* PATH without "." and empty parts, so that a file has one spelling; NULL if it is absolute or has
 * a ".." part, or without memory. */
static const char *normalise(struct fz_importer *im, const char *path) {
    char *copy = *path == '/' ? NULL : fzi_arena_string(&im->scratch, path);
    char *to = copy;
    for (const char *part = path; copy && *part;) {
        size_t size = strcspn(part, "/");
        bool dot = size == 1 && part[0] == '.';
        if (size == 2 && part[0] == '.' && part[1] == '.') return NULL;
        if (size && !dot) {
            if (to != copy) *to++ = '/';
            memmove(to, part, size);
            to += size;
        }
        part += size + (part[size] == '/');
    }
    if (copy) *to = 0;
    return copy && *copy ? copy : NULL;
}

enum { OPEN_FLAGS = O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK | O_NOFOLLOW };

/* A link where a folder should be is only told as "no folder". */
static bool is_link(int folder, const char *name) {
    struct stat st;
    int error = errno;
    bool link = fstatat(folder, name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISLNK(st.st_mode);
    errno = error;
    return link;
}

/* Opens PATH below FOLDER part by part, for kernels without openat2(). */
static int open_stepwise(struct fz_importer *im, const char *path) {
    char *copy = fzi_arena_string(&im->scratch, path);
    int folder = copy ? dup(im->folder) : -1;
    while (folder >= 0) {
        size_t size = strcspn(copy, "/");
        bool last = !copy[size];
        copy[size] = 0;
        int next = openat(folder, copy, last ? OPEN_FLAGS : OPEN_FLAGS | O_DIRECTORY);
        int error = next < 0 && is_link(folder, copy) ? ELOOP : errno;
        close(folder);
        errno = error;
        if (last || next < 0) return next;
        folder = next;
        copy += size + 1;
    }
    return -1;
}

/* Opens PATH below the model's folder, or gives -1 and errno. One call does what the steps do, but
 * no rename can slip in between. */
static int open_below(struct fz_importer *im, const char *path) {
#ifdef SYS_openat2
    struct open_how how = {
        .flags = OPEN_FLAGS,
        .resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS,
    };
    long fd = syscall(SYS_openat2, im->folder, path, &how, sizeof how);
    /* A sandbox that does not know the call may refuse it instead. */
    if (fd >= 0 || (errno != ENOSYS && errno != EPERM)) return (int)fd;
#endif
    return open_stepwise(im, path);
}

/* The checks run on the open file, not on its name. A second hard link would let somebody who may
 * not read a file name it as weights. */
static fz_status_t check_side_file(const struct fz_importer *im, struct fz_side_file *file) {
    struct stat st;
    if (fstat(file->fd, &st) < 0)
        return fzi_error(FZ_E_IO, "can't stat '%s': %s", file->location, strerror(errno));
    if (!S_ISREG(st.st_mode))
        return fzi_error(FZ_E_FORMAT, "external data '%s' is no regular file", file->location);
    if (st.st_nlink != 1)
        return fzi_error(FZ_E_FORMAT, "external data '%s' has other names too (hard links)",
                         file->location);
    if ((uint64_t)st.st_size > im->max_file_size || (uint64_t)st.st_size > SIZE_MAX / 2)
        return fzi_error(FZ_E_LIMIT, "external data '%s' has %lld bytes (max_file_size)",
                         file->location, (long long)st.st_size);
    file->size = (size_t)st.st_size;
    return FZ_OK;
}

/* Opens FILE and learns its size; the error tells a forbidden way from a missing file. */
static fz_status_t open_side_file(struct fz_importer *im, struct fz_side_file *file) {
    if (im->folder < 0)
        return fzi_error(FZ_E_UNSUPPORTED, "the model has external data in '%s'; open it by path",
                         file->location);
    file->fd = open_below(im, file->location);
    if (file->fd < 0) {
        bool link = errno == ELOOP || errno == EXDEV;
        return fzi_error(link ? FZ_E_FORMAT : FZ_E_IO, "can't open external data '%s': %s",
                         file->location, link ? "it is reached through a symbolic link"
                                              : strerror(errno));
    }
    return check_side_file(im, file);
}

/* The side file at PATH, opened when it is first named. */
static fz_status_t side_file(struct fz_importer *im, const char *path,
                             struct fz_side_file **out) {
    void *found;
    const char *location = normalise(im, path);
    if (!location)
        return fzi_error(FZ_E_FORMAT, "external data '%s' lies outside of the model's folder",
                         path);
    if (fzi_names_find(&im->side_names, location, &found)) {
        *out = found;
        return FZ_OK;
    }
    struct fz_side_file *file = fzi_arena_alloc(&im->scratch, sizeof *file);
    if (!file || fzi_names_add(&im->scratch, &im->side_names, location, file) < 0)
        return fzi_import_nomem(im, sizeof *file);
    file->fd = -1;
    file->location = location;
    file->next = im->side_files;
    im->side_files = file;
    *out = file;
    return open_side_file(im, file);
}

void fzi_import_close_side_files(struct fz_importer *im) {
    for (struct fz_side_file *file = im->side_files; file; file = file->next)
        if (file->fd >= 0) close(file->fd);
    im->side_files = NULL;
}

/* ONNX's checksum is the SHA-1 of the whole file in hexadecimal. */
static void hash_whole(struct fz_side_file *file) {
    uint8_t digest[20];
    fzi_sha1(file->whole, file->size, digest);
    for (int i = 0; i < 20; i++) snprintf(file->sha1 + 2 * i, 3, "%02x", digest[i]);
}

/* Reads the whole of FILE, so that the bytes that are used are those that are hashed. */
static fz_status_t load_whole(struct fz_importer *im, struct fz_side_file *file) {
    if (file->fd < 0) FZ_TRY(open_side_file(im, file));
    void *data = fzi_source_block(im->source, file->size);
    if (!data) return fzi_error(FZ_E_NOMEM, "no memory for '%s'", file->location);
    FZ_TRY(fzi_import_read(file->fd, data, file->size, 0, file->location));
    file->whole = data;
    for (struct fz_side_range *range = file->ranges; range; range = range->next)
        if (range->offset + range->size > file->size ||
            memcmp(range->data, file->whole + range->offset, range->size) != 0)
            return fzi_error(FZ_E_IO, "'%s' changed while it was read", file->location);
    hash_whole(file);
    return FZ_OK;
}

/* Compares with the digest of FILE, which is made once however many tensors name it. */
static fz_status_t check_sha1(struct fz_importer *im, struct fz_side_file *file,
                              const char *checksum) {
    if (!file->whole) FZ_TRY(load_whole(im, file));
    bool same = strlen(checksum) == 40;
    for (int i = 0; i < 40 && same; i++) {
        char c = checksum[i];
        same = (c >= 'A' && c <= 'F' ? c + ('a' - 'A') : c) == file->sha1[i];
    }
    if (same) return FZ_OK;
    return fzi_error(FZ_E_FORMAT, "external data '%s' has SHA-1 %s, not the %s that the model "
                     "expects", file->location, file->sha1, checksum);
}

/* Reads [OFFSET, OFFSET + SIZE) of FILE, small ranges into the arena. */
static fz_status_t read_range(struct fz_importer *im, struct fz_side_file *file, uint64_t offset,
                              size_t size, const uint8_t **out) {
    if (file->n_read > file->size - size)
        return fzi_error(FZ_E_LIMIT, "tensors overlap in external data '%s'", file->location);
    file->n_read += size;
    if (file->whole) {
        *out = file->whole + offset;
        return FZ_OK;
    }
    struct fz_side_range *range = fzi_arena_alloc(&im->scratch, sizeof *range);
    void *data = size <= 65536 ? fzi_arena_alloc(im->arena, size)
                               : fzi_source_block(im->source, size);
    if (!range || !data) return fzi_import_nomem(im, size <= 65536 ? size : 0);
    FZ_TRY(fzi_import_read(file->fd, data, size, offset, file->location));
    *range = (struct fz_side_range){file->ranges, data, offset, size};
    file->ranges = range;
    *out = data;
    /* Models with a file per tensor must not use up the descriptors. */
    if (file->n_read == file->size) {
        close(file->fd);
        file->fd = -1;
    }
    return FZ_OK;
}

/* The same range named twice, by tied weights say, is read once. */
static fz_status_t find_range(struct fz_importer *im, struct fz_side_file *file, uint64_t offset,
                              size_t size, const uint8_t **out) {
    void *found;
    char *key = fzi_arena_format(&im->scratch, "%llu %zu %s", (unsigned long long)offset, size,
                                 file->location);
    if (!key) return fzi_import_nomem(im, strlen(file->location));
    if (fzi_names_find(&im->range_names, key, &found)) {
        *out = found;
        return FZ_OK;
    }
    FZ_TRY(read_range(im, file, offset, size, out));
    if (fzi_names_add(&im->scratch, &im->range_names, key, (void *)*out) < 0)
        return fzi_import_nomem(im, 64);
    return FZ_OK;
}

/* The checksum comes first, because reading the whole file may open it again and so learn another
 * size than the one that offsets would have been checked against. */
fz_status_t fzi_import_external(struct fz_importer *im, const fz_pb_tensor *proto,
                                const char *name, fz_tensor_t *t) {
    struct place place;
    struct fz_side_file *file = NULL;
    const uint8_t *data = NULL;
    FZ_TRY(parse_place(proto, name, &place));
    if (t->dtype == FZ_TYPE_STRING)
        return fzi_error(FZ_E_FORMAT, "tensor '%s' of strings has external data", name);
    if (place.has_length && place.length != t->size)
        return fzi_error(FZ_E_FORMAT, "tensor '%s' needs %zu bytes, its external data has %llu",
                         name, t->size, (unsigned long long)place.length);
    FZ_TRY(side_file(im, place.location, &file));
    if (place.checksum && *place.checksum) FZ_TRY(check_sha1(im, file, place.checksum));
    if (place.offset > file->size || t->size > file->size - place.offset)
        return fzi_error(FZ_E_FORMAT, "tensor '%s' lies outside of external data '%s'", name,
                         place.location);
    FZ_TRY(find_range(im, file, place.offset, t->size, &data));
    return fzi_import_place(im, data, false, t);
}
