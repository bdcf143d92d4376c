/* Brings a file's bytes to where they are protected, and hashes them on the way. */
#ifndef FZ_SEAL_COPY_H
#define FZ_SEAL_COPY_H

#include "artifact/artifact.h"

/* Where bytes come from: a file, or memory if fd is negative. A file may be mapped at data. */
struct fz_source {
    int fd;
    const uint8_t *data;
    size_t size;
};

/* Where they go: to memory, or by write into the memfd if `to` is NULL. */
struct fz_target {
    uint8_t *to;
    int memfd;
};

/* Copies SOURCE to TARGET. DIGEST gets the SHA-256 of the bytes that TARGET holds then, and SUMS
 * their checksums; both may be NULL. THREADS of 2 or more: hashes in a thread of its own, beside
 * the copy. FZ_E_IO, FZ_E_NOMEM. */
fz_status_t fzi_seal_copy(const struct fz_source *source, const struct fz_target *target,
                          int threads, struct fz_artifact_sums *sums, uint8_t digest[32]);

/* The same sums of SIZE bytes that stay where they are. */
void fzi_seal_hash(const uint8_t *data, size_t size, struct fz_artifact_sums *sums,
                   uint8_t digest[32]);

/* Reads SIZE bytes at OFF; the descriptor's own position is its owner's. FZ_E_IO. */
fz_status_t fzi_seal_read(int fd, uint8_t *to, size_t size, size_t off);
/* Writes SIZE bytes at OFF of a memfd, whose size was checked against the limits before: it fails
 * for lack of memory, or if FROM is a mapping whose file became shorter. FZ_E_NOMEM. */
fz_status_t fzi_seal_write(int fd, const uint8_t *from, size_t size, size_t off);

#endif
