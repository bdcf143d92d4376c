/* Small files, whole: keys, signatures, tags. */
#ifndef FZ_FILE_H
#define FZ_FILE_H

#include "base/base.h"

/* Reads the regular file at PATH, of at most MAX bytes, into memory that the caller releases with
 * fzi_free(); a NUL stands behind its *SIZE bytes. FZ_E_IO, FZ_E_LIMIT, FZ_E_NOMEM. */
fz_status_t fzi_file_read(const char *path, size_t max, uint8_t **data, size_t *size);
/* Writes SIZE bytes to PATH, replacing what is there: whole or not at all, and on the disk when
 * this returns. MODE as for open(2), less the process's umask. FZ_E_IO. */
fz_status_t fzi_file_write(const char *path, const void *data, size_t size, int mode);

#endif
