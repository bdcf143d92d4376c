/* Protected memory: a copy of a file, or of memory, that is hashed while it is made and that nobody
 * can change afterwards, as far as the operating system can promise. The levels are those of
 * frozen.h (FZ_PROTECT_); what is reported is what holds, never what was asked for. */
#ifndef FZ_SEAL_H
#define FZ_SEAL_H

#include "artifact/artifact.h"

struct fz_seal {
    const uint8_t *data;  /* the protected bytes; page-aligned, 64-byte aligned at level 0 */
    size_t size;
    const uint8_t *back;  /* with `map`: the rest of the file, mapped from it; else NULL */
    size_t back_size;
    int level;            /* FZ_PROTECT_; with `back` at most FZ_PROTECT_PAGES */
    uint8_t digest[32];   /* SHA-256 of the source's bytes */
    bool digest_known;    /* false with `back` */
    int fd;               /* with `keep_fd`: the sealed memfd, read-only, above 2; else 0 */
    size_t mapped;        /* bytes of the mapping at data; 0: plain memory */
    void *back_map;       /* what to unmap, from a page boundary on */
    size_t back_mapped;
};

struct fz_seal_request {
    int level;            /* wanted: FZ_PROTECT_, 0 is FZ_PROTECT_NONE */
    bool keep_fd;
    bool map;             /* FZ_OPEN_MAP: protect the front, map the rest from the file */
    bool swap;            /* the bytes are a frozen file: turn them to the host's byte order */
    int threads;          /* 2: hash beside the copy; else one after the other */
    struct fz_artifact_sums *sums; /* unless NULL: gets the checksums of a file that is copied */
    uint64_t max_size;    /* refuse more with FZ_E_LIMIT; 0: no limit */
};

/* Protects the bytes of the regular file FD, read from its start by offset: FD stays the caller's
 * and its file offset is left alone. A memfd with all seals is not copied but mapped. If the
 * system does not offer the level, the next lower one is taken. FZ_E_IO for what is no regular
 * file, cannot be read or shrinks meanwhile; FZ_E_LIMIT, FZ_E_NOMEM, FZ_E_SYSTEM; FZ_E_FORMAT from
 * `map` and `swap`. On failure *OUT is empty. */
fz_status_t fzi_seal_fd(int fd, const struct fz_seal_request *request, struct fz_seal *out);
/* The same for the SIZE bytes at DATA, which are copied; `map` must be false. */
fz_status_t fzi_seal_memory(const void *data, size_t size, const struct fz_seal_request *request,
                            struct fz_seal *out);

/* A fresh, empty file without a name, for fzi_seal_adopt: a memfd if the system has them. */
fz_status_t fzi_seal_file(int *fd);
/* Protects what was written to FD, which fzi_seal_file made, without a second copy where that can
 * be done; else as fzi_seal_fd. Closes FD in any case. */
fz_status_t fzi_seal_adopt(int fd, const struct fz_seal_request *request, struct fz_seal *out);

/* Raises level 2 to 3 if the system can: for callers that first look whether the bytes are those
 * they want, since memory of level 3 is never given back. */
void fzi_seal_forever(struct fz_seal *seal);

/* For SIZE bytes at DATA in the back, about to be read: maps their pages at once where that
 * is cheaper than a fault every few of them. */
void fzi_seal_fetch(const uint8_t *data, size_t size);

/* Releases everything and empties *SEAL; an empty (all zero) one is allowed. At level 3 the memory
 * itself stays until the process ends: that is what the level means. */
void fzi_seal_release(struct fz_seal *seal);

#endif
