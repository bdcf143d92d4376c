/* The store's folder: files that appear whole, and locks. */
#ifndef FZ_STORE_FOLDER_H
#define FZ_STORE_FOLDER_H

#include "base/base.h"

enum { FZ_SMALL_MAX = 1 << 20, FZ_INDEX_MAX = 64 << 20 };

/* What an operation does to blobs decides which others may run beside it: any number may read or
 * add; removing is done alone. */
enum fz_store_use { FZ_STORE_READ, FZ_STORE_ADD, FZ_STORE_REMOVE };

struct fz_folder {
    const char *path;
    int dir, blobs;  /* STORE and STORE/blobs/sha256 */
    int use_lock;    /* shared while adding, exclusive while removing; -1: reading */
    int index_lock;  /* held while index.json is read, changed and replaced; -1: not held */
};

/* Opens the store at PATH; FZ_E_FORMAT if it is none. Close it whatever happens. */
fz_status_t fzi_folder_open(const char *path, enum fz_store_use use, struct fz_folder *out);
void fzi_folder_close(struct fz_folder *folder);
fz_status_t fzi_folder_init(const char *path);
/* Waits for other writers of the index. */
fz_status_t fzi_folder_lock_index(struct fz_folder *folder);

/* A file that is being written in FOLDER: nameless where the system can do so. */
struct fz_draft {
    int fd;
    bool is_named;
    char name[64]; /* in STORE, if it is named */
};
fz_status_t fzi_draft_open(const struct fz_folder *folder, struct fz_draft *out);
/* Puts the draft on the disk under blobs/sha256/HEX, read-only; one that is there already stays.
 * Closes the draft. */
fz_status_t fzi_draft_publish(const struct fz_folder *folder, struct fz_draft *draft,
                              const char *hex);
void fzi_draft_drop(const struct fz_folder *folder, struct fz_draft *draft);

/* Stores SIZE bytes as a blob; HEX gets its name. */
fz_status_t fzi_folder_add(const struct fz_folder *folder, const void *data, size_t size,
                           char hex[65]);
/* Opens blob HEX for reading; FZ_E_CORRUPT if it is not there. */
fz_status_t fzi_folder_blob(const struct fz_folder *folder, const char *hex, int *fd,
                            uint64_t *size);
/* Reads blob HEX, of at most FZ_SMALL_MAX bytes, and checks its digest; a NUL stands behind. */
fz_status_t fzi_folder_read(const struct fz_folder *folder, const char *hex, uint8_t **data,
                            size_t *size);
/* Reads and replaces index.json. */
fz_status_t fzi_folder_read_index(const struct fz_folder *folder, uint8_t **data, size_t *size);
fz_status_t fzi_folder_write_index(const struct fz_folder *folder, const void *data, size_t size);

/* Copies all bytes of FROM to TO (negative: nowhere) and digests them. */
fz_status_t fzi_folder_copy(int from, int to, char hex[65], uint64_t *size);

bool fzi_is_id(const char *text);
fz_status_t fzi_folder_cannot(const struct fz_folder *folder, const char *what);

#endif
