/* Logs: appended to under a lock, audited from the first line to the last. */
#include "log/log.h"

#include <errno.h>
#include <fcntl.h>
#include <frozen/sign.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/file.h"
#include "base/sha256.h"
#include "log/entry.h"
#include "sign/key.h"

static const char no_line[65] = "0000000000000000000000000000000000000000000000000000000000000000";

static fz_status_t cannot(const char *what, const char *path) {
    return fzi_error(FZ_E_IO, "cannot %s the log '%s': %s", what, path, strerror(errno));
}

static bool lock(int fd, int how) {
    int result;
    do result = flock(fd, how);
    while (result != 0 && errno == EINTR);
    return result == 0;
}

/* ---- appending */

static fz_status_t read_tail(int fd, const char *path, off_t size, char *tail, size_t *n) {
    *n = size < FZ_LINE_MAX ? (size_t)size : FZ_LINE_MAX;
    for (size_t done = 0; done < *n;) {
        ssize_t got = pread(fd, tail + done, *n - done, size - (off_t)*n + (off_t)done);
        if (got < 0 && errno == EINTR) continue;
        if (got <= 0) return cannot("read", path);
        done += (size_t)got;
    }
    return FZ_OK;
}

/* What the next entry of FD follows. */
static fz_status_t find_end(int fd, const char *path, uint64_t *seq, char prev[65]) {
    static const char torn[] =
        "the log '%s' ends in the middle of an entry, which its writer did not finish; cut it "
        "there (truncate -s %lld) and go on";
    char *tail;
    struct stat st;
    size_t n, begin;
    struct fz_entry last;
    *seq = 0;
    memcpy(prev, no_line, 65);
    if (fstat(fd, &st) != 0) return cannot("read", path);
    if (!S_ISREG(st.st_mode)) return fzi_error(FZ_E_IO, "'%s' is not a regular file", path);
    if (st.st_size == 0) return FZ_OK;
    tail = fzi_alloc(FZ_LINE_MAX);
    if (!tail) return fzi_error(FZ_E_NOMEM, "no memory for a log entry");
    fz_status_t status = read_tail(fd, path, st.st_size, tail, &n);
    for (begin = status == FZ_OK ? n - 1 : 0; begin > 0 && tail[begin - 1] != '\n';) begin--;
    if (status == FZ_OK && tail[n - 1] != '\n')
        status = fzi_error(FZ_E_CORRUPT, torn, path, (long long)(st.st_size - (off_t)(n - begin)));
    if (status == FZ_OK) {
        status = fzi_entry_read(tail + begin, n - 1 - begin, &last);
        if (status != FZ_OK) fzi_error_context(status, "the last line of '%s'", path);
    }
    fzi_free(tail);
    if (status != FZ_OK) return status;
    *seq = last.view.seq + 1;
    memcpy(prev, last.digest, 65);
    fzi_entry_free(&last);
    return FZ_OK;
}

/* One write, so that a line is there whole or, after a crash, torn at the end. */
static fz_status_t write_line(int fd, const char *path, char *line, size_t size) {
    line[size] = '\n'; /* over the NUL */
    for (size_t done = 0; done <= size;) {
        ssize_t n = write(fd, line + done, size + 1 - done);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) return cannot("write", path);
        done += (size_t)n;
    }
    return fsync(fd) == 0 ? FZ_OK : cannot("write", path);
}

static fz_status_t append(int fd, const char *path, const char *receipt, EVP_PKEY *key,
                          char head[65]) {
    char prev[65], now[32], *line;
    uint8_t digest[32];
    uint64_t seq;
    struct stat before;
    time_t clock = time(NULL);
    struct tm utc;
    if (!lock(fd, LOCK_EX) || fstat(fd, &before) != 0) return cannot("lock", path);
    FZ_TRY(find_end(fd, path, &seq, prev));
    strftime(now, sizeof now, "%Y-%m-%dT%H:%M:%SZ", gmtime_r(&clock, &utc));
    FZ_TRY(fzi_entry_make(receipt, seq, prev, now, key, &line));
    size_t size = strlen(line);
    fzi_sha256(line, size, digest);
    fz_status_t status = write_line(fd, path, line, size);
    /* A full disk leaves no half line. */
    if (status != FZ_OK && ftruncate(fd, before.st_size) != 0)
        status = fzi_error_context(status, "the last line is torn");
    if (status == FZ_OK && seq == 0) fzi_file_sync_folder(path);
    fzi_free(line);
    if (status == FZ_OK && head) fzi_sha256_hex(digest, head);
    return status;
}

fz_status_t fzi_log_append(const char *path, const char *receipt, const char *private_path,
                           char head[65]) {
    EVP_PKEY *key = NULL;
    if (private_path) FZ_TRY(fzi_key_read_private(private_path, &key));
    fz_status_t status = key ? fzi_key_check_kind(key, FZ_KEY_ED25519, private_path) : FZ_OK;
    if (status == FZ_OK) {
        int fd = open(path, O_RDWR | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY, 0666);
        status = fd < 0 ? cannot("open", path) : append(fd, path, receipt, key, head);
        if (fd >= 0) close(fd); /* and the lock with it */
    }
    EVP_PKEY_free(key);
    return status;
}

/* ---- auditing */

struct audit {
    const fz_log_options_t *options;
    EVP_PKEY *key;
    uint64_t n_entries;
    char head[65];
    bool seen; /* the head that OPTIONS name */
};

static fz_status_t audit_line(struct audit *a, const char *line, size_t size) {
    struct fz_entry entry;
    FZ_TRY(fzi_entry_read(line, size, &entry));
    fz_status_t status = FZ_OK;
    if (entry.view.seq != a->n_entries)
        status = fzi_error(FZ_E_CORRUPT, "the entry has number %llu",
                           (unsigned long long)entry.view.seq);
    else if (strcmp(entry.prev, a->head) != 0)
        status = fzi_error(FZ_E_CORRUPT, "the entry does not follow the line before");
    else if (a->key) status = fzi_entry_check(&entry, a->key);
    memcpy(a->head, entry.digest, sizeof a->head);
    a->seen = a->seen || (a->options->head && strcmp(a->options->head, a->head) == 0);
    a->n_entries++;
    if (status == FZ_OK && a->options->visit &&
        a->options->visit(a->options->visit_context, &entry.view) != 0)
        status = fzi_error(FZ_E_CANCELLED, "the visit was ended");
    fzi_entry_free(&entry);
    return status;
}

/* Audits the first LEFT bytes of FILE. */
static fz_status_t audit_lines(struct audit *a, FILE *file, off_t left, const char *path,
                               char *line) {
    for (size_t size, n = 1; left > 0 && fgets(line, FZ_LINE_MAX + 1, file); n++) {
        /* A NUL inside ends the line for strlen: what is behind it is then no line of its own. */
        size = strlen(line);
        bool whole = size > 0 && line[size - 1] == '\n';
        fz_status_t status = whole ? audit_line(a, line, size - 1)
                                   : fzi_error(FZ_E_CORRUPT, "the line is no whole entry");
        if (status != FZ_OK) return fzi_error_context(status, "%s:%zu", path, n);
        left -= (off_t)size;
    }
    return ferror(file) ? cannot("read", path) : FZ_OK;
}

/* Opens the log, and learns its size while nobody is half-way through a line: what is appended from
 * then on is not looked at. Where nothing can be locked, that is not to be had. */
static fz_status_t open_log(const char *path, FILE **file, off_t *size) {
    struct stat st;
    *file = NULL;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    if (fd < 0) return cannot("open", path);
    lock(fd, LOCK_SH);
    fz_status_t status = fstat(fd, &st) == 0 ? FZ_OK : cannot("read", path);
    flock(fd, LOCK_UN);
    if (status == FZ_OK && !S_ISREG(st.st_mode))
        status = fzi_error(FZ_E_IO, "'%s' is not a regular file", path);
    if (status == FZ_OK && !(*file = fdopen(fd, "rb"))) status = cannot("open", path);
    if (status != FZ_OK) close(fd);
    else *size = st.st_size;
    return status;
}

static fz_status_t audit(struct audit *a, const char *path) {
    if (a->options->signer) {
        FZ_TRY(fzi_key_read_public(a->options->signer, &a->key));
        FZ_TRY(fzi_key_check_kind(a->key, FZ_KEY_ED25519, a->options->signer));
    }
    FILE *file;
    off_t size = 0;
    FZ_TRY(open_log(path, &file, &size));
    char *line = fzi_alloc(FZ_LINE_MAX + 1);
    fz_status_t status = line ? audit_lines(a, file, size, path, line)
                              : fzi_error(FZ_E_NOMEM, "no memory for a log entry");
    fzi_free(line);
    fclose(file);
    if (status == FZ_OK && a->options->head && !a->seen)
        status = fzi_error(FZ_E_DIGEST, "no entry of '%s' has the digest %s", path,
                           a->options->head);
    return status;
}

fz_status_t fzi_log_audit(const char *path, const fz_log_options_t *options, uint64_t *n_entries,
                          char head[65]) {
    struct audit a = {.options = options};
    memcpy(a.head, no_line, sizeof a.head);
    a.seen = options->head && strcmp(options->head, no_line) == 0;
    fz_status_t status = audit(&a, path);
    EVP_PKEY_free(a.key);
    if (status == FZ_OK && n_entries) *n_entries = a.n_entries;
    if (status == FZ_OK && head) memcpy(head, a.head, sizeof a.head);
    return status;
}
