/* The memory that constants point into, and reading files into it. */
#include "import/importer.h"

#include <errno.h>
#include <sys/types.h>
#include <unistd.h>

/* Blocks are aligned to 64 bytes; the list owns them until fzi_source_close(). */
void *fzi_source_block(struct fz_source *source, size_t size) {
    struct fz_source_file *file = fzi_calloc(1, sizeof *file);
    if (!file) return NULL;
    file->data = fzi_alloc_aligned(size);
    file->size = size;
    if (!file->data) {
        fzi_free(file);
        return NULL;
    }
    /* The model stays first. */
    struct fz_source_file **at = source->files ? &source->files->next : &source->files;
    file->next = *at;
    *at = file;
    return file->data;
}

void fzi_source_close(struct fz_source *source) {
    for (struct fz_source_file *file = source->files, *next; file; file = next) {
        next = file->next;
        fzi_free(file->data);
        fzi_free(file);
    }
    *source = (struct fz_source){0};
}

/* A file that shrinks is noticed here. One that is written to meanwhile is not, and need not be:
 * the bytes that were read are those that are hashed and used. */
fz_status_t fzi_import_read(int fd, void *data, size_t size, uint64_t offset, const char *name) {
    enum { CHUNK = 1 << 30 };
    for (size_t done = 0; done < size;) {
        size_t part = size - done < CHUNK ? size - done : CHUNK;
        ssize_t n = pread(fd, (char *)data + done, part, (off_t)(offset + done));
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return fzi_error(FZ_E_IO, "can't read '%s': %s", name, strerror(errno));
        if (n == 0) return fzi_error(FZ_E_IO, "'%s' became shorter while it was read", name);
        done += (size_t)n;
    }
    return FZ_OK;
}
