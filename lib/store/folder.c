/* Files of a store: written aside, put on the disk, then named. */
#include "store/folder.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/sha256.h"

static const char layout[] = "{\"imageLayoutVersion\":\"1.0.0\"}";

bool fzi_is_id(const char *text) {
    return strspn(text, "0123456789abcdef") == 64 && text[64] == 0;
}

fz_status_t fzi_folder_cannot(const struct fz_folder *folder, const char *what) {
    return fzi_error(FZ_E_IO, "store '%s': cannot %s: %s", folder->path, what, strerror(errno));
}

/* ---- reading and writing */

static fz_status_t write_all(const struct fz_folder *folder, int fd, const uint8_t *data,
                             size_t size) {
    while (size > 0) {
        ssize_t n = write(fd, data, size);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) return fzi_folder_cannot(folder, "write");
        data += n;
        size -= (size_t)n;
    }
    return FZ_OK;
}

fz_status_t fzi_folder_copy(int from, int to, char hex[65], uint64_t *size) {
    enum { PIECE = 262144 };
    struct fz_sha256 hash;
    uint8_t digest[32], *piece = fzi_alloc(PIECE);
    fz_status_t status = piece ? FZ_OK : fzi_error(FZ_E_NOMEM, "no memory to copy a file");
    fzi_sha256_init(&hash);
    *size = 0;
    while (status == FZ_OK) {
        ssize_t n = pread(from, piece, PIECE, (off_t)*size);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) status = fzi_error(FZ_E_IO, "cannot read: %s", strerror(errno));
        if (n <= 0) break;
        fzi_sha256_update(&hash, piece, (size_t)n);
        for (ssize_t done = 0, m; to >= 0 && done < n; done += m) {
            m = write(to, piece + done, (size_t)(n - done));
            if (m < 0 && errno == EINTR) m = 0;
            else if (m <= 0) {
                status = fzi_error(FZ_E_IO, "cannot write: %s", strerror(errno));
                break;
            }
        }
        *size += (uint64_t)n;
    }
    fzi_free(piece);
    fzi_sha256_final(&hash, digest);
    fzi_sha256_hex(digest, hex);
    return status;
}

/* Reads all of FD, at most MAX bytes; a NUL stands behind. */
static fz_status_t read_all(const struct fz_folder *folder, int fd, size_t max, uint8_t **data,
                            size_t *size) {
    struct stat st;
    *data = NULL;
    *size = 0;
    if (fstat(fd, &st) != 0) return fzi_folder_cannot(folder, "read");
    if (!S_ISREG(st.st_mode))
        return fzi_error(FZ_E_FORMAT, "store '%s': a file is no regular one", folder->path);
    if ((uint64_t)st.st_size > max)
        return fzi_error(FZ_E_FORMAT, "store '%s': a file is too large", folder->path);
    uint8_t *bytes = fzi_alloc((size_t)st.st_size + 1);
    if (!bytes) return fzi_error(FZ_E_NOMEM, "no memory for a file of the store");
    size_t used = 0;
    while (used < (size_t)st.st_size) {
        ssize_t n = pread(fd, bytes + used, (size_t)st.st_size - used, (off_t)used);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) {
            fzi_free(bytes);
            return fzi_folder_cannot(folder, "read");
        }
        if (n == 0) break;
        used += (size_t)n;
    }
    bytes[used] = 0;
    *data = bytes;
    *size = used;
    return FZ_OK;
}

/* ---- the folder */

static fz_status_t make_layout(int dir) {
    int fd = openat(dir, "oci-layout", O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
    if (fd < 0) return FZ_E_IO;
    bool good = write(fd, layout, sizeof layout - 1) == (ssize_t)sizeof layout - 1 &&
                fsync(fd) == 0;
    return close(fd) == 0 && good ? FZ_OK : FZ_E_IO;
}

static bool is_empty(int dir) {
    int again = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *handle = again >= 0 ? fdopendir(again) : NULL;
    bool empty = handle != NULL;
    for (struct dirent *e; handle && (e = readdir(handle));)
        empty = empty && (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0);
    if (handle) closedir(handle);
    else if (again >= 0) close(again);
    return empty;
}

/* Makes blobs/sha256, on the disk. */
static bool make_blobs(int dir) {
    if (mkdirat(dir, "blobs", 0777) != 0 || mkdirat(dir, "blobs/sha256", 0777) != 0) return false;
    int blobs = openat(dir, "blobs", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    bool good = blobs >= 0 && fsync(blobs) == 0;
    if (blobs >= 0) close(blobs);
    return good;
}

/* oci-layout comes last: without it the folder is no store. */
fz_status_t fzi_folder_init(const char *path) {
    struct fz_folder folder = {.path = path, .dir = -1, .blobs = -1, .use_lock = -1,
                               .index_lock = -1};
    static const char index[] = "{\"manifests\":[],\"mediaType\":"
                                "\"application/vnd.oci.image.index.v1+json\",\"schemaVersion\":2}";
    if (mkdir(path, 0777) != 0 && errno != EEXIST) return fzi_folder_cannot(&folder, "create it");
    folder.dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    fz_status_t status = FZ_OK;
    if (folder.dir < 0) return fzi_folder_cannot(&folder, "open it");
    if (!is_empty(folder.dir))
        status = fzi_error(FZ_E_IO, "'%s' is there and not empty", path);
    else if (!make_blobs(folder.dir)) status = fzi_folder_cannot(&folder, "create its folders");
    else status = fzi_folder_write_index(&folder, index, sizeof index - 1);
    if (status == FZ_OK && make_layout(folder.dir) != FZ_OK)
        status = fzi_folder_cannot(&folder, "create oci-layout");
    if (status == FZ_OK && fsync(folder.dir) != 0)
        status = fzi_folder_cannot(&folder, "sync the folder");
    if (status == FZ_OK) fzi_file_sync_folder(path);
    fzi_folder_close(&folder);
    return status;
}

static fz_status_t check_layout(const struct fz_folder *folder) {
    uint8_t *text;
    size_t size;
    int fd = openat(folder->dir, "oci-layout", O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (fd < 0)
        return fzi_error(FZ_E_FORMAT, "'%s' is no store: it has no oci-layout", folder->path);
    fz_status_t status = read_all(folder, fd, FZ_SMALL_MAX, &text, &size);
    close(fd);
    if (status != FZ_OK) return status;
    bool known = strstr((char *)text, "\"imageLayoutVersion\"") && strstr((char *)text, "\"1.0.");
    fzi_free(text);
    return known ? FZ_OK
                 : fzi_error(FZ_E_FORMAT, "'%s' is no store of the OCI image layout 1.0",
                             folder->path);
}

/* A lock is an open file: it ends with its process, however that ends. */
static fz_status_t lock(const struct fz_folder *folder, const char *name, int how, int *fd) {
    *fd = openat(folder->dir, name, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0666);
    if (*fd < 0) return fzi_folder_cannot(folder, "write");
    int result;
    do result = flock(*fd, how);
    while (result != 0 && errno == EINTR);
    return result == 0 ? FZ_OK : fzi_folder_cannot(folder, "lock it");
}

/* Where something is removed, no link may lead out of the store. */
static fz_status_t open_blobs(struct fz_folder *folder, bool strict) {
    int flags = O_RDONLY | O_DIRECTORY | O_CLOEXEC | (strict ? O_NOFOLLOW : 0);
    int above = openat(folder->dir, "blobs", flags);
    if (above >= 0) folder->blobs = openat(above, "sha256", flags);
    fz_status_t status =
        folder->blobs < 0 ? fzi_folder_cannot(folder, "open blobs/sha256") : FZ_OK;
    if (above >= 0) close(above);
    return status;
}

fz_status_t fzi_folder_open(const char *path, enum fz_store_use use, struct fz_folder *out) {
    *out = (struct fz_folder){.path = path, .dir = -1, .blobs = -1, .use_lock = -1,
                              .index_lock = -1};
    out->dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (out->dir < 0) return fzi_folder_cannot(out, "open it");
    FZ_TRY(check_layout(out));
    FZ_TRY(open_blobs(out, use == FZ_STORE_REMOVE));
    if (use == FZ_STORE_READ) return FZ_OK;
    return lock(out, ".use.lock", use == FZ_STORE_ADD ? LOCK_SH : LOCK_EX, &out->use_lock);
}

fz_status_t fzi_folder_lock_index(struct fz_folder *folder) {
    return lock(folder, ".index.lock", LOCK_EX, &folder->index_lock);
}

void fzi_folder_close(struct fz_folder *folder) {
    const int fds[] = {folder->index_lock, folder->use_lock, folder->blobs, folder->dir};
    for (size_t i = 0; i < FZ_COUNT(fds); i++)
        if (fds[i] >= 0) close(fds[i]);
    folder->dir = folder->blobs = folder->use_lock = folder->index_lock = -1;
}

/* ---- drafts */

/* Where there is no O_TMPFILE, a draft is named ".draft.PID.N", and gc removes what stays. */
fz_status_t fzi_draft_open(const struct fz_folder *folder, struct fz_draft *out) {
    *out = (struct fz_draft){.fd = openat(folder->dir, ".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600)};
    if (out->fd >= 0) return FZ_OK;
    if (errno != EOPNOTSUPP && errno != EISDIR && errno != ENOENT && errno != EINVAL)
        return fzi_folder_cannot(folder, "write");
    out->is_named = true;
    for (int i = 0; i < 100 && out->fd < 0; i++) {
        snprintf(out->name, sizeof out->name, ".draft.%ld.%d", (long)getpid(), i);
        out->fd = openat(folder->dir, out->name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
        if (out->fd < 0 && errno != EEXIST) break;
    }
    return out->fd >= 0 ? FZ_OK : fzi_folder_cannot(folder, "write");
}

void fzi_draft_drop(const struct fz_folder *folder, struct fz_draft *draft) {
    if (draft->fd < 0) return;
    close(draft->fd);
    draft->fd = -1;
    if (draft->is_named) unlinkat(folder->dir, draft->name, 0);
}

static int name_draft(const struct fz_folder *folder, const struct fz_draft *draft, int at,
                      const char *name) {
    char path[40];
    if (draft->is_named) return linkat(folder->dir, draft->name, at, name, 0);
    snprintf(path, sizeof path, "/proc/self/fd/%d", draft->fd);
    return linkat(AT_FDCWD, path, at, name, AT_SYMLINK_FOLLOW);
}

/* Gives the draft a name in STORE that nobody else has, not even another thread. */
static int name_beside(const struct fz_folder *folder, const struct fz_draft *draft,
                       char name[64]) {
    int result = -1;
    for (int i = 0; i < 100 && result != 0; i++) {
        snprintf(name, 64, ".draft.%ld.blob.%d", (long)getpid(), i);
        result = name_draft(folder, draft, folder->dir, name);
        if (result != 0 && errno != EEXIST) break;
    }
    return result;
}

/* A blob of that name is there: it stays if it is what its name says, else the draft takes its
 * place, in one step. */
static fz_status_t replace_if_damaged(const struct fz_folder *folder,
                                      const struct fz_draft *draft, const char *hex) {
    char found[65] = "", beside[64];
    uint64_t size;
    int fd;
    if (fzi_folder_blob(folder, hex, &fd, &size) == FZ_OK) {
        fz_status_t status = fzi_folder_copy(fd, -1, found, &size);
        close(fd);
        if (status == FZ_OK && strcmp(found, hex) == 0) return FZ_OK;
    }
    if (name_beside(folder, draft, beside) != 0)
        return fzi_folder_cannot(folder, "replace a damaged blob");
    if (renameat(folder->dir, beside, folder->blobs, hex) == 0) return FZ_OK;
    fz_status_t status = fzi_folder_cannot(folder, "replace a damaged blob");
    unlinkat(folder->dir, beside, 0);
    return status;
}

/* A name is on the disk when this returns, also one that somebody else has just made. */
static fz_status_t sync_blobs(const struct fz_folder *folder) {
    return fsync(folder->blobs) == 0 ? FZ_OK : fzi_folder_cannot(folder, "sync its blobs");
}

fz_status_t fzi_draft_publish(const struct fz_folder *folder, struct fz_draft *draft,
                              const char *hex) {
    fz_status_t status = FZ_OK;
    if (fchmod(draft->fd, 0444) != 0 || fsync(draft->fd) != 0)
        status = fzi_folder_cannot(folder, "write");
    else if (name_draft(folder, draft, folder->blobs, hex) != 0)
        status = errno == EEXIST ? replace_if_damaged(folder, draft, hex)
                                 : fzi_folder_cannot(folder, "add a blob");
    if (status == FZ_OK) status = sync_blobs(folder);
    fzi_draft_drop(folder, draft);
    return status;
}

static bool is_sound(const struct fz_folder *folder, const char *hex) {
    uint8_t *data;
    size_t size;
    if (fzi_folder_read(folder, hex, &data, &size) != FZ_OK) return false;
    fzi_free(data);
    return true;
}

fz_status_t fzi_folder_add(const struct fz_folder *folder, const void *data, size_t size,
                           char hex[65]) {
    struct fz_draft draft;
    uint8_t digest[32];
    fzi_sha256(data, size, digest);
    fzi_sha256_hex(digest, hex);
    if (is_sound(folder, hex)) return sync_blobs(folder);
    FZ_TRY(fzi_draft_open(folder, &draft));
    fz_status_t status = write_all(folder, draft.fd, data, size);
    if (status == FZ_OK) return fzi_draft_publish(folder, &draft, hex);
    fzi_draft_drop(folder, &draft);
    return status;
}

/* ---- blobs */

fz_status_t fzi_folder_blob(const struct fz_folder *folder, const char *hex, int *fd,
                            uint64_t *size) {
    struct stat st;
    *fd = openat(folder->blobs, hex, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (*fd < 0 && errno == ENOENT)
        return fzi_error(FZ_E_CORRUPT, "store '%s': blob %s is missing", folder->path, hex);
    if (*fd < 0) return fzi_folder_cannot(folder, "open a blob");
    if (fstat(*fd, &st) != 0 || !S_ISREG(st.st_mode)) {
        close(*fd);
        *fd = -1;
        return fzi_error(FZ_E_CORRUPT, "store '%s': blob %s is no regular file", folder->path, hex);
    }
    *size = (uint64_t)st.st_size;
    return FZ_OK;
}

fz_status_t fzi_folder_read(const struct fz_folder *folder, const char *hex, uint8_t **data,
                            size_t *size) {
    int fd;
    uint64_t bytes;
    uint8_t digest[32];
    char found[65];
    *data = NULL;
    FZ_TRY(fzi_folder_blob(folder, hex, &fd, &bytes));
    fz_status_t status = read_all(folder, fd, FZ_SMALL_MAX, data, size);
    close(fd);
    if (status != FZ_OK) return status;
    fzi_sha256(*data, *size, digest);
    fzi_sha256_hex(digest, found);
    if (strcmp(found, hex) == 0) return FZ_OK;
    fzi_free(*data);
    *data = NULL;
    return fzi_error(FZ_E_CORRUPT, "store '%s': blob %s does not have its digest", folder->path,
                     hex);
}

fz_status_t fzi_folder_read_index(const struct fz_folder *folder, uint8_t **data, size_t *size) {
    int fd = openat(folder->dir, "index.json", O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    *data = NULL;
    if (fd < 0) return fzi_folder_cannot(folder, "open index.json");
    fz_status_t status = read_all(folder, fd, FZ_INDEX_MAX, data, size);
    close(fd);
    return status;
}

/* The new index gets a name of its own first, since link(2) replaces nothing. */
fz_status_t fzi_folder_write_index(const struct fz_folder *folder, const void *data, size_t size) {
    char name[64];
    snprintf(name, sizeof name, ".draft.%ld.index", (long)getpid());
    unlinkat(folder->dir, name, 0);
    int fd = openat(folder->dir, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
    if (fd < 0) return fzi_folder_cannot(folder, "write");
    fz_status_t status = write_all(folder, fd, data, size);
    if (status == FZ_OK && fsync(fd) != 0) status = fzi_folder_cannot(folder, "write");
    if (close(fd) != 0 && status == FZ_OK) status = fzi_folder_cannot(folder, "write");
    if (status == FZ_OK && renameat(folder->dir, name, folder->dir, "index.json") != 0)
        status = fzi_folder_cannot(folder, "replace index.json");
    if (status != FZ_OK) unlinkat(folder->dir, name, 0);
    else if (fsync(folder->dir) != 0) status = fzi_folder_cannot(folder, "sync the folder");
    return status;
}
