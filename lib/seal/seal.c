/* Protects: the levels, from the strongest that is wanted downwards. */
#include "seal/seal.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "artifact/format.h"
#include "base/sha256.h"
#include "seal/copy.h"
#include "seal/system.h"

static fz_status_t no_memory(size_t size) {
    return fzi_error(FZ_E_NOMEM, "no memory for a model of %zu bytes", size);
}

/* The digest of a front alone is nobody's id: it costs more than the rest of mapping a file. */
static uint8_t *wanted_digest(const struct fz_seal_request *request, struct fz_seal *out) {
    out->digest_known = !request->map;
    return request->map ? NULL : out->digest;
}

/* Copies into memory and, on a host of the other byte order, swaps. The digest is that of the
 * file's bytes. */
static fz_status_t fill(const struct fz_source *source, const struct fz_seal_request *request,
                        void *to, struct fz_seal *out) {
    const struct fz_target target = {.to = to, .memfd = -1};
    FZ_TRY(fzi_seal_copy(source, &target, request->threads, request->sums,
                         wanted_digest(request, out)));
    return request->swap ? fzi_artifact_swap(to, source->size) : FZ_OK;
}

/* ---- the levels. Each answers FZ_OK with out->data set; FZ_OK without it if the system does not
 * offer the level; or an error that holds for every level. */

/* Level 0: plain memory. */
static fz_status_t seal_none(const struct fz_source *source, const struct fz_seal_request *request,
                             struct fz_seal *out) {
    uint8_t *data = fzi_alloc_aligned(source->size);
    if (!data) return no_memory(source->size);
    fz_status_t status = fill(source, request, data, out);
    if (status != FZ_OK) {
        fzi_free(data);
        return status;
    }
    out->data = data;
    out->level = FZ_PROTECT_NONE;
    return FZ_OK;
}

/* Level 1: pages that are read-only until somebody says otherwise. */
static fz_status_t seal_pages(const struct fz_source *source, const struct fz_seal_request *request,
                              struct fz_seal *out) {
    void *map =
        mmap(NULL, source->size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (map == MAP_FAILED) return errno == ENOMEM ? no_memory(source->size) : FZ_OK;
    fz_status_t status = fill(source, request, map, out);
    if (status != FZ_OK || mprotect(map, source->size, PROT_READ) != 0) {
        munmap(map, source->size);
        return status;
    }
    out->data = map;
    out->mapped = source->size;
    out->level = FZ_PROTECT_PAGES;
    return FZ_OK;
}

/* Maps sealed FD; out->data stays NULL if the system refuses. */
static void map_sealed(int fd, size_t size, const struct fz_seal_request *request,
                       struct fz_seal *out) {
    void *map = mmap(NULL, size, PROT_READ, MAP_SHARED, fd, 0);
    if (map == MAP_FAILED) return;
    out->data = map;
    out->mapped = size;
    out->level = FZ_PROTECT_SEALED;
    if (request->level >= FZ_PROTECT_FOREVER) fzi_seal_forever(out);
    int kept = request->keep_fd ? fcntl(fd, F_DUPFD_CLOEXEC, 3) : 0;
    out->fd = kept > 0 ? kept : 0;
}

/* Seals MEMFD and maps it; out->data stays NULL if the system refuses. A descriptor that can only
 * read is made where one is kept, or where the kernel maps no other: to find it in /proc takes as
 * long as all other calls here together. */
static void seal_and_map(int memfd, size_t size, const struct fz_seal_request *request,
                         struct fz_seal *out) {
    if (!fzi_system_seal(memfd)) return;
    if (!request->keep_fd) map_sealed(memfd, size, request, out);
    if (out->data) return;
    int fd = fzi_system_reopen(memfd);
    if (fd < 0) return;
    map_sealed(fd, size, request, out);
    close(fd);
}

/* The same through a mapping, where bytes must be swapped. Its pages are reserved before they are
 * touched, since a mapped memfd answers a lack of memory with SIGBUS. */
static fz_status_t fill_mapped(const struct fz_source *source,
                               const struct fz_seal_request *request, int memfd,
                               struct fz_seal *out) {
    if (!fzi_system_reserve(memfd, source->size)) return no_memory(source->size);
    void *map = mmap(NULL, source->size, PROT_READ | PROT_WRITE, MAP_SHARED, memfd, 0);
    if (map == MAP_FAILED) return no_memory(source->size);
    fz_status_t status = fill(source, request, map, out);
    munmap(map, source->size); /* or the seal would be refused */
    return status;
}

/* Lets the kernel copy from the mapping of SOURCE to MEMFD, page cache to page cache. False if it
 * does not come to the end: then the file is read, and that says why. */
static bool send_mapped(const struct fz_source *source, int memfd) {
    return source->data && fzi_seal_write(memfd, source->data, source->size, 0) == FZ_OK;
}

/* Levels 2 and 3. */
static fz_status_t seal_memfd(const struct fz_source *source,
                              const struct fz_seal_request *request, struct fz_seal *out) {
    int memfd = fzi_system_memfd(source->size);
    if (memfd < 0) return FZ_OK;
    fz_status_t status = FZ_OK;
    if (FZ_BIG_ENDIAN && request->swap) {
        status = fill_mapped(source, request, memfd, out);
    } else if (!request->map || !send_mapped(source, memfd)) {
        const struct fz_target target = {.memfd = memfd};
        status = fzi_seal_copy(source, &target, request->threads, request->sums,
                               wanted_digest(request, out));
    }
    if (status == FZ_OK) seal_and_map(memfd, source->size, request, out);
    close(memfd);
    return status;
}

/* Tries the levels from the one that is wanted downwards. */
static fz_status_t seal(const struct fz_source *source, const struct fz_seal_request *request,
                        struct fz_seal *out) {
    fz_status_t status = FZ_OK;
    if (source->size == 0) return fzi_error(FZ_E_FORMAT, "the file is empty");
    if (source->size > PTRDIFF_MAX) return fzi_error(FZ_E_LIMIT, "the file is too large");
    out->size = source->size;
    if (request->level >= FZ_PROTECT_SEALED) status = seal_memfd(source, request, out);
    if (status == FZ_OK && !out->data && request->level >= FZ_PROTECT_PAGES)
        status = seal_pages(source, request, out);
    if (status == FZ_OK && !out->data) status = seal_none(source, request, out);
    return status;
}

/* ---- weights that stay in the file */

/* Maps FD, a file of SIZE bytes, whose back begins at OFF. A descriptor that can write is mapped
 * privately, so that no stray store of ours could reach the file. */
static fz_status_t map_file(int fd, size_t off, size_t size, struct fz_seal *out) {
    int mode = fcntl(fd, F_GETFL);
    bool read_only = mode >= 0 && (mode & O_ACCMODE) == O_RDONLY;
    void *map = mmap(NULL, size, PROT_READ, read_only ? MAP_SHARED : MAP_PRIVATE, fd, 0);
    if (map == MAP_FAILED && errno == ENOMEM) return no_memory(size);
    if (map == MAP_FAILED)
        return fzi_error(FZ_E_SYSTEM, "cannot map the file's weights: %s", strerror(errno));
    out->back_map = map;
    out->back_mapped = size;
    out->back = (const uint8_t *)map + off;
    out->back_size = size - off;
    return FZ_OK;
}

/* Learns from the header how long the front of FD, a file of SIZE bytes, is. */
static fz_status_t measure_front(int fd, size_t size, size_t *front) {
    _Alignas(8) uint8_t head[FZ_ARTIFACT_HEAD];
    struct fz_artifact_info info;
    if (size < sizeof head)
        return fzi_error(FZ_E_FORMAT, "not a frozen file: it has %zu bytes", size);
    FZ_TRY(fzi_seal_read(fd, head, sizeof head, 0));
    FZ_TRY(fzi_artifact_head(head, size, &info));
    *front = (size_t)info.front_size;
    return FZ_OK;
}

/* FZ_OPEN_MAP: FD is mapped, its front copied and sealed. */
static fz_status_t seal_front(int fd, size_t size, const struct fz_seal_request *request,
                              struct fz_seal *out) {
    struct fz_source source = {.fd = fd};
    if (FZ_BIG_ENDIAN && request->swap)
        return fzi_error(FZ_E_UNSUPPORTED, "a big-endian host cannot map weights");
    FZ_TRY(measure_front(fd, size, &source.size));
    FZ_TRY(map_file(fd, source.size, size, out));
    source.data = out->back_map;
    FZ_TRY(seal(&source, request, out));
    if (out->level > FZ_PROTECT_PAGES) out->level = FZ_PROTECT_PAGES;
    return FZ_OK;
}

/* ---- the contract */

/* Only regular files have a size that is worth anything before they are read. */
static fz_status_t file_size(int fd, const struct fz_seal_request *request, size_t *size) {
    struct stat st;
    if (fstat(fd, &st) != 0) return fzi_error(FZ_E_IO, "cannot read the file: %s", strerror(errno));
    if (!S_ISREG(st.st_mode)) return fzi_error(FZ_E_IO, "not a regular file");
    if (request->max_size && (uint64_t)st.st_size > request->max_size)
        return fzi_error(FZ_E_LIMIT, "the file has %lld bytes, more than the limit of %llu",
                         (long long)st.st_size, (unsigned long long)request->max_size);
    if ((uint64_t)st.st_size > PTRDIFF_MAX) return fzi_error(FZ_E_LIMIT, "the file is too large");
    *size = (size_t)st.st_size;
    return FZ_OK;
}

/* Empties *OUT after a failure. */
static fz_status_t finish(fz_status_t status, struct fz_seal *out) {
    if (status != FZ_OK) fzi_seal_release(out);
    return status;
}

/* Lets the model lie where its bytes are, in memfd FD of out->size bytes; out->data stays NULL if
 * that cannot be. */
static void seal_in_place(int fd, const struct fz_seal_request *request, struct fz_seal *out) {
    if (request->level < FZ_PROTECT_SEALED || request->map || out->size == 0) return;
    if (FZ_BIG_ENDIAN && request->swap) return;
    seal_and_map(fd, out->size, request, out);
    if (!out->data) return;
    fzi_seal_hash(out->data, out->size, request->sums, out->digest);
    out->digest_known = true;
}

fz_status_t fzi_seal_fd(int fd, const struct fz_seal_request *request, struct fz_seal *out) {
    struct fz_source source = {.fd = fd};
    *out = (struct fz_seal){0};
    FZ_TRY(file_size(fd, request, &source.size));
    out->size = source.size;
    /* What nobody can write any more need not be copied: processes share it. */
    if (fzi_system_is_sealed(fd)) seal_in_place(fd, request, out);
    if (out->data) return FZ_OK;
    out->size = 0;
    return finish(request->map ? seal_front(fd, source.size, request, out)
                               : seal(&source, request, out),
                  out);
}

fz_status_t fzi_seal_memory(const void *data, size_t size, const struct fz_seal_request *request,
                            struct fz_seal *out) {
    struct fz_source source = {.fd = -1, .data = data, .size = size};
    *out = (struct fz_seal){0};
    if (request->max_size && size > request->max_size)
        return fzi_error(FZ_E_LIMIT, "the file has %zu bytes, more than the limit of %llu", size,
                         (unsigned long long)request->max_size);
    return finish(seal(&source, request, out), out);
}

fz_status_t fzi_seal_file(int *fd) {
    *fd = fzi_system_memfd(0);
    if (*fd >= 0) return FZ_OK;
    char path[] = "/tmp/frozen-XXXXXX";
    *fd = mkostemp(path, O_CLOEXEC);
    if (*fd < 0)
        return fzi_error(FZ_E_SYSTEM, "cannot make a temporary file: %s", strerror(errno));
    unlink(path);
    return FZ_OK;
}

/* A memfd is sealed where it lies, then hashed; what must be swapped or cannot be sealed is
 * copied. */
fz_status_t fzi_seal_adopt(int fd, const struct fz_seal_request *request, struct fz_seal *out) {
    *out = (struct fz_seal){0};
    fz_status_t status = file_size(fd, request, &out->size);
    if (status == FZ_OK) seal_in_place(fd, request, out);
    if (status == FZ_OK && !out->data) status = fzi_seal_fd(fd, request, out);
    close(fd);
    return finish(status, out);
}

void fzi_seal_forever(struct fz_seal *seal) {
    if (seal->level == FZ_PROTECT_SEALED && fzi_system_forever((void *)seal->data, seal->mapped))
        seal->level = FZ_PROTECT_FOREVER;
}

/* A fault maps some 16 pages around it. */
void fzi_seal_fetch(const uint8_t *data, size_t size) {
    enum { WORTH = 131072 };
    if (size >= WORTH) fzi_system_fetch(data, size);
}

void fzi_seal_release(struct fz_seal *seal) {
    if (seal->mapped == 0) fzi_free((void *)seal->data);
    else munmap((void *)seal->data, seal->mapped); /* refused at level 3 */
    if (seal->back_map) munmap(seal->back_map, seal->back_mapped);
    if (seal->fd > 2) close(seal->fd);
    *seal = (struct fz_seal){0};
}
