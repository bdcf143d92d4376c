/* Small files, whole: keys, signatures, tags. */
#ifndef FZ_FILE_H
#define FZ_FILE_H

#include "base/base.h"

enum { FZ_PATH_MAX = 4096 };

/* Reads the regular file at PATH, of at most MAX bytes, into memory that the caller releases with
 * fzi_free(); a NUL stands behind its *SIZE bytes. FZ_E_IO, FZ_E_LIMIT, FZ_E_NOMEM. */
fz_status_t fzi_file_read(const char *path, size_t max, uint8_t **data, size_t *size);
/* Writes SIZE bytes to PATH, replacing what is there: whole or not at all, and on the disk when
 * this returns. MODE as for open(2), less the process's umask. FZ_E_IO. */
fz_status_t fzi_file_write(const char *path, const void *data, size_t size, int mode);
/* Makes a new file beside PATH, to be renamed to it: *FD of the name BESIDE. What a process that
 * was killed has left there is in nobody's way. FZ_E_IO, FZ_E_USAGE if the path is too long. */
fz_status_t fzi_file_beside(const char *path, int mode, char beside[FZ_PATH_MAX], int *fd);
/* A new name is on the disk when its folder is: syncs that of PATH. */
void fzi_file_sync_folder(const char *path);

#endif
