/* The whole way from an ONNX file to a frozen one. */
#ifndef FZ_FREEZE_FREEZE_H
#define FZ_FREEZE_FREEZE_H

#include <frozen/freeze.h>

#include "base/base.h"

/* Where the ONNX model is: a path, or SIZE bytes at DATA. */
struct fz_freeze_from {
    const char *path;
    const void *data;
    size_t size;
};

/* Writes the frozen form of FROM to FD (fresh, empty, seekable) and its digest to DIGEST. OPTIONS
 * are complete. */
fz_status_t fzi_freeze(const struct fz_freeze_from *from, const fz_freeze_options_t *options,
                       int fd, uint8_t digest[32]);

/* The same to the file PATH, which appears whole or not at all. */
fz_status_t fzi_freeze_path(const struct fz_freeze_from *from, const char *path,
                            const fz_freeze_options_t *options, uint8_t digest[32]);

#endif
