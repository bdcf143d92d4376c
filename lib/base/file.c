/* Small files are read with one open and written beside, then renamed. */
#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

static fz_status_t cannot(const char *what, const char *path) {
    return fzi_error(FZ_E_IO, "cannot %s '%s': %s", what, path, strerror(errno));
}

/* The size that a regular file has now; it may have another one when it is read. */
static fz_status_t measure(int fd, const char *path, size_t max, size_t *size) {
    struct stat st;
    if (fstat(fd, &st) != 0) return cannot("read", path);
    if (!S_ISREG(st.st_mode)) return fzi_error(FZ_E_IO, "'%s' is not a regular file", path);
    if (st.st_size < 0 || (uint64_t)st.st_size > max)
        return fzi_error(FZ_E_LIMIT, "'%s' has more than %zu bytes", path, max);
    *size = (size_t)st.st_size;
    return FZ_OK;
}

static fz_status_t read_all(int fd, const char *path, uint8_t *data, size_t *size) {
    size_t used = 0;
    while (used < *size) {
        ssize_t n = read(fd, data + used, *size - used);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return cannot("read", path);
        if (n == 0) break;
        used += (size_t)n;
    }
    data[used] = 0;
    *size = used;
    return FZ_OK;
}

fz_status_t fzi_file_read(const char *path, size_t max, uint8_t **data, size_t *size) {
    *data = NULL;
    *size = 0;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    if (fd < 0) return cannot("open", path);
    fz_status_t status = measure(fd, path, max, size);
    if (status == FZ_OK && !(*data = fzi_alloc(*size + 1)))
        status = fzi_error(FZ_E_NOMEM, "no memory for '%s'", path);
    if (status == FZ_OK) status = read_all(fd, path, *data, size);
    close(fd);
    if (status != FZ_OK) {
        fzi_free(*data);
        *data = NULL;
        *size = 0;
    }
    return status;
}

static fz_status_t write_all(int fd, const char *path, const uint8_t *data, size_t size) {
    while (size > 0) {
        ssize_t n = write(fd, data, size);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) return cannot("write", path);
        data += n;
        size -= (size_t)n;
    }
    return fsync(fd) == 0 ? FZ_OK : cannot("write", path);
}

/* Some file systems cannot sync a folder. */
void fzi_file_sync_folder(const char *path) {
    char folder[FZ_PATH_MAX];
    const char *slash = strrchr(path, '/');
    size_t n = slash ? (size_t)(slash - path) : 0;
    if (n >= sizeof folder) return;
    memcpy(folder, path, n);
    folder[n] = 0;
    int fd = open(!slash ? "." : n ? folder : "/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) return;
    fsync(fd);
    close(fd);
}

fz_status_t fzi_file_beside(const char *path, int mode, char beside[FZ_PATH_MAX], int *fd) {
    *fd = -1;
    for (int i = 0; i < 100 && *fd < 0; i++) {
        int n = i == 0 ? snprintf(beside, FZ_PATH_MAX, "%s.%ld.part", path, (long)getpid())
                       : snprintf(beside, FZ_PATH_MAX, "%s.%ld.%d.part", path, (long)getpid(), i);
        if (n < 0 || n >= FZ_PATH_MAX) return fzi_error(FZ_E_USAGE, "the path is too long");
        *fd = open(beside, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, mode);
        if (*fd < 0 && errno != EEXIST) break;
    }
    return *fd >= 0 ? FZ_OK : cannot("create", beside);
}

fz_status_t fzi_file_write(const char *path, const void *data, size_t size, int mode) {
    char beside[FZ_PATH_MAX];
    int fd;
    FZ_TRY(fzi_file_beside(path, mode, beside, &fd));
    fz_status_t status = write_all(fd, path, data, size);
    if (close(fd) != 0 && status == FZ_OK) status = cannot("write", path);
    if (status == FZ_OK && rename(beside, path) != 0) status = cannot("write", path);
    if (status == FZ_OK) fzi_file_sync_folder(path);
    else unlink(beside);
    return status;
}
