/* Protection: what a level promises is tried, and the tries must fail. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "../artifact/sample.h"
#include "base/sha256.h"
#include "seal/seal.h"

enum { SIZE = 5000011 };

static uint8_t bytes[SIZE];

/* A file with `bytes` in it and no name, opened for MODE; its offset stands at 17. */
static int make_file(int mode) {
    char path[] = "/tmp/seal-test-XXXXXX";
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, bytes, SIZE), SIZE);
    int again = open(path, mode);
    assert_true(again >= 0);
    unlink(path);
    close(fd);
    lseek(again, 17, SEEK_SET);
    return again;
}

/* ---- the calls that other systems lack: the linker sends the library's here (-Wl,--wrap), under
 * the name that the C library's headers give them */

static struct {
    int memfd, seals, reopen; /* errno that the call fails with, or 0 */
    bool short_reads;
    off_t ends_at;            /* the file seems to end here; 0: where it does */
    int n;                    /* calls that were spoilt */
} broken;

static bool spoil(int reason) {
    if (reason) errno = reason, broken.n++;
    return reason != 0;
}

int __wrap_memfd_create(const char *name, unsigned flags);
int __wrap_memfd_create(const char *name, unsigned flags) {
    return spoil(broken.memfd) ? -1 : (int)syscall(SYS_memfd_create, name, flags);
}

static int my_fcntl(int fd, int command, long arg) {
    if (command == F_ADD_SEALS && spoil(broken.seals)) return -1;
    return (int)syscall(SYS_fcntl, fd, command, arg);
}

static int my_open(const char *path, int flags) {
    if (strncmp(path, "/proc/", 6) == 0 && spoil(broken.reopen)) return -1;
    return (int)syscall(SYS_openat, AT_FDCWD, path, flags, 0600);
}

static ssize_t my_pread(int fd, void *data, size_t size, off_t off) {
    static unsigned n;
    if (broken.short_reads && ++n % 3 == 0 && spoil(EINTR)) return -1;
    if (broken.ends_at && off >= broken.ends_at) return 0;
    size_t part = broken.short_reads && size > 1000 ? 1 + size / 3 : size;
    return syscall(SYS_pread64, fd, data, part, off);
}

#define WRAP(suffix)                                                                               \
    int __wrap_fcntl##suffix(int fd, int command, long arg);                                       \
    int __wrap_open##suffix(const char *path, int flags);                                          \
    ssize_t __wrap_pread##suffix(int fd, void *data, size_t size, off_t off);                      \
    int __wrap_fcntl##suffix(int fd, int command, long arg) { return my_fcntl(fd, command, arg); } \
    int __wrap_open##suffix(const char *path, int flags) { return my_open(path, flags); }          \
    ssize_t __wrap_pread##suffix(int fd, void *data, size_t size, off_t off) {                     \
        return my_pread(fd, data, size, off);                                                      \
    }
WRAP()
WRAP(64)

/* ---- faults that must come */

/* Runs TRY in a child; true if SIGSEGV ended it. */
static bool faults(void (*try)(uint8_t *), const uint8_t *data) {
    pid_t child = fork();
    if (child == 0) {
        struct rlimit none = {0, 0};
        setrlimit(RLIMIT_CORE, &none);
        signal(SIGSEGV, SIG_DFL);
        try((uint8_t *)data);
        _exit(0);
    }
    int status;
    waitpid(child, &status, 0);
    return WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV;
}

static void store(uint8_t *data) { *(volatile uint8_t *)data ^= 1; }
static void unprotect_and_store(uint8_t *data) {
    mprotect(data, 1, PROT_READ | PROT_WRITE);
    store(data);
}

static struct fz_seal must_seal_by(int fd, int level, int threads) {
    struct fz_seal seal;
    struct fz_seal_request request = {.level = level, .threads = threads};
    if (fzi_seal_fd(fd, &request, &seal) != FZ_OK) fail_msg("%s", fzi_error_text());
    return seal;
}

static struct fz_seal must_seal(int fd, int level) { return must_seal_by(fd, level, 1); }

static void check_bytes(const struct fz_seal *seal) {
    uint8_t digest[32];
    assert_int_equal(seal->size, SIZE);
    assert_memory_equal(seal->data, bytes, SIZE);
    fzi_sha256(bytes, SIZE, digest);
    assert_true(seal->digest_known);
    assert_memory_equal(seal->digest, digest, 32);
}

static bool has_mseal(void) {
    void *map = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return syscall(462, map, 4096UL, 0UL) == 0;
}

static void test_levels(void **state) {
    (void)state;
    int fd = make_file(O_RDONLY), top = has_mseal() ? 3 : 2;
    for (int level = 0; level <= 3; level++) {
        struct fz_seal seal = must_seal(fd, level);
        check_bytes(&seal);
        assert_int_equal(seal.level, level < top ? level : top);
        assert_int_equal(seal.fd, 0);
        assert_int_equal(lseek(fd, 0, SEEK_CUR), 17);
        assert_int_equal(faults(store, seal.data), level >= 1);
        /* Level 1 can be undone by whoever knows of mprotect; the others cannot. */
        assert_int_equal(faults(unprotect_and_store, seal.data), level >= 2);
        fzi_seal_release(&seal);
        assert_null(seal.data);
        fzi_seal_release(&seal);
    }
    close(fd);
}

static void test_threads(void **state) {
    (void)state;
    int fd = make_file(O_RDONLY);
    for (int i = 0; i < 40; i++) {
        struct fz_seal seal = must_seal_by(fd, i % 4, 2);
        check_bytes(&seal);
        fzi_seal_release(&seal);
    }
    close(fd);
}

/* A file that becomes shorter while it is read ends the copy, and the thread beside it. */
static void test_shrinking(void **state) {
    (void)state;
    struct fz_seal seal;
    struct fz_seal_request request = {.level = 2};
    for (int threads = 1; threads <= 2; threads++) {
        int fd = make_file(O_RDONLY);
        request.threads = threads;
        broken.ends_at = SIZE / 2;
        assert_int_equal(fzi_seal_fd(fd, &request, &seal), FZ_E_IO);
        broken.ends_at = 0;
        assert_null(seal.data);
        close(fd);
    }
}

static void test_memory(void **state) {
    (void)state;
    for (int level = 0; level <= 2; level++) {
        struct fz_seal seal;
        struct fz_seal_request request = {.level = level};
        assert_int_equal(fzi_seal_memory(bytes, SIZE, &request, &seal), FZ_OK);
        check_bytes(&seal);
        assert_int_equal(seal.level, level);
        bytes[5] ^= 1; /* the copy is a copy */
        assert_int_not_equal(seal.data[5], bytes[5]);
        bytes[5] ^= 1;
        fzi_seal_release(&seal);
    }
}

/* At level 2 nothing writes: not mprotect, not a new mapping, not a new descriptor. */
static void test_sealed(void **state) {
    (void)state;
    char path[64];
    struct fz_seal seal;
    struct fz_seal_request request = {.level = 2, .keep_fd = true};
    int fd = make_file(O_RDONLY);
    assert_int_equal(fzi_seal_fd(fd, &request, &seal), FZ_OK);
    assert_int_equal(mprotect((void *)seal.data, 4096, PROT_READ | PROT_WRITE), -1);
    assert_true(seal.fd > 2);
    assert_int_equal(pwrite(seal.fd, "x", 1, 0), -1);
    assert_int_equal(ftruncate(seal.fd, 0), -1);
    assert_true(mmap(NULL, 4096, PROT_WRITE, MAP_SHARED, seal.fd, 0) == MAP_FAILED);
    snprintf(path, sizeof path, "/proc/self/fd/%d", seal.fd);
    int writer = open(path, O_RDWR);
    if (writer >= 0) {
        assert_int_equal(pwrite(writer, "x", 1, 0), -1);
        assert_int_equal(errno, EPERM);
        assert_int_equal(ftruncate(writer, 0), -1);
        assert_true(mmap(NULL, 4096, PROT_WRITE, MAP_SHARED, writer, 0) == MAP_FAILED);
        assert_int_equal(fcntl(writer, F_ADD_SEALS, 0), -1);
        close(writer);
    }
    /* Debuggers' way: writes force private pages only. */
    int mem = open("/proc/self/mem", O_RDWR);
    if (mem >= 0) {
        assert_int_equal(pwrite(mem, "x", 1, (off_t)(uintptr_t)seal.data), -1);
        close(mem);
    }
    check_bytes(&seal);
    /* Another process maps the same bytes from the descriptor. */
    const uint8_t *other = mmap(NULL, SIZE, PROT_READ, MAP_SHARED, seal.fd, 0);
    assert_true(other != MAP_FAILED);
    assert_memory_equal(other, bytes, SIZE);
    munmap((void *)other, SIZE);
    fzi_seal_release(&seal);
    close(fd);
}

/* At level 3 the mapping can be neither replaced nor unmapped. */
static void test_forever(void **state) {
    (void)state;
    if (!has_mseal()) skip();
    int fd = make_file(O_RDONLY);
    struct fz_seal seal = must_seal(fd, 2);
    fzi_seal_forever(&seal);
    assert_int_equal(seal.level, 3);
    void *data = (void *)seal.data;
    assert_true(mmap(data, 4096, PROT_READ, MAP_FIXED | MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) ==
                MAP_FAILED);
    assert_int_equal(munmap(data, 4096), -1);
    assert_int_equal(mprotect(data, 4096, PROT_NONE), -1);
    check_bytes(&seal);
    fzi_seal_release(&seal);
    assert_int_equal(((uint8_t *)data)[7], bytes[7]); /* still there */
    close(fd);
}

/* A system that lacks something gives the level below, and says so. */
static void test_truthful(void **state) {
    (void)state;
    int fd = make_file(O_RDONLY);
    broken.n = 0;
    static const int reasons[] = {ENOSYS, EPERM, EMFILE};
    for (size_t i = 0; i < FZ_COUNT(reasons); i++) {
        broken.memfd = reasons[i];
        struct fz_seal seal = must_seal(fd, 3);
        broken.memfd = 0;
        check_bytes(&seal);
        assert_int_equal(seal.level, 1);
        fzi_seal_release(&seal);
        broken.seals = reasons[i];
        seal = must_seal(fd, 2);
        broken.seals = 0;
        assert_int_equal(broken.n, 2);
        broken.n = 0;
        check_bytes(&seal);
        assert_int_equal(seal.level, 1);
        fzi_seal_release(&seal);
    }
    /* Newer kernels map the descriptor that sealed, without /proc; if not, it is level 1 again. In
     * either case the promise of the level holds. One that is kept is opened anew if it can be. */
    const struct fz_seal_request kept = {.level = 2, .keep_fd = true};
    broken.reopen = ENOENT;
    struct fz_seal seal;
    assert_int_equal(fzi_seal_fd(fd, &kept, &seal), FZ_OK);
    assert_int_equal(broken.n, 1);
    fzi_seal_release(&seal);
    seal = must_seal(fd, 2);
    broken.reopen = 0;
    check_bytes(&seal);
    assert_true(seal.level == 1 || seal.level == 2);
    assert_int_equal(faults(unprotect_and_store, seal.data), seal.level == 2);
    fzi_seal_release(&seal);
    close(fd);
}

/* ---- files */

static void expect(int fd, const struct fz_seal_request *request, fz_status_t status) {
    struct fz_seal seal;
    assert_int_equal(fzi_seal_fd(fd, request, &seal), status);
    assert_null(seal.data);
    assert_int_equal(seal.size, 0);
}

static void test_refused(void **state) {
    (void)state;
    struct fz_seal_request request = {.level = 2};
    int pipes[2], folder = open("/tmp", O_RDONLY), null = open("/dev/zero", O_RDONLY);
    int empty = memfd_create("empty", 0), blind = make_file(O_WRONLY);
    assert_int_equal(pipe(pipes), 0);
    expect(-1, &request, FZ_E_IO);
    expect(pipes[0], &request, FZ_E_IO);
    expect(folder, &request, FZ_E_IO);
    expect(null, &request, FZ_E_IO);
    expect(blind, &request, FZ_E_IO);
    expect(empty, &request, FZ_E_FORMAT);
    request.max_size = SIZE - 1;
    int fd = make_file(O_RDONLY);
    expect(fd, &request, FZ_E_LIMIT);
    request.max_size = SIZE;
    struct fz_seal seal;
    assert_int_equal(fzi_seal_fd(fd, &request, &seal), FZ_OK);
    fzi_seal_release(&seal);
    const int all[] = {pipes[0], pipes[1], folder, null, empty, blind, fd};
    for (size_t i = 0; i < FZ_COUNT(all); i++) close(all[i]);
}

static void test_short_reads(void **state) {
    (void)state;
    int fd = make_file(O_RDONLY);
    broken.short_reads = true;
    broken.n = 0;
    struct fz_seal seal = must_seal(fd, 2);
    broken.short_reads = false;
    assert_true(broken.n > 10);
    check_bytes(&seal);
    fzi_seal_release(&seal);
    close(fd);
}

/* No descriptor stays open, whatever happens. */
static void test_no_leak(void **state) {
    (void)state;
    int before = dup(0);
    close(before);
    test_levels(NULL);
    test_truthful(NULL);
    test_refused(NULL);
    int after = dup(0);
    close(after);
    assert_int_equal(before, after);
}

static void test_adopt(void **state) {
    (void)state;
    for (int i = 0; i < 4; i++) {
        int fd;
        struct fz_seal seal;
        struct fz_seal_request request = {.level = i < 3 ? i : 2, .swap = false};
        broken.memfd = i == 3 ? ENOSYS : 0; /* then it is a file in /tmp */
        assert_int_equal(fzi_seal_file(&fd), FZ_OK);
        assert_int_equal(write(fd, bytes, SIZE), SIZE);
        assert_int_equal(fzi_seal_adopt(fd, &request, &seal), FZ_OK);
        broken.memfd = 0;
        check_bytes(&seal);
        assert_int_equal(seal.level, i < 3 ? i : 1);
        assert_int_equal(fcntl(fd, F_GETFD), -1);
        assert_int_equal(faults(unprotect_and_store, seal.data), seal.level == 2);
        fzi_seal_release(&seal);
    }
}

/* ---- weights mapped from the file */

static void test_map(void **state) {
    (void)state;
    size_t size;
    uint8_t *data = sample_file(SAMPLE_BIG | SAMPLE_ONNX, &size);
    char path[] = "/tmp/seal-test-XXXXXX";
    int writer = mkstemp(path);
    assert_int_equal(write(writer, data, size), size);
    int reader = open(path, O_RDONLY);
    unlink(path);
    for (int i = 0; i < 2; i++) {
        struct fz_seal seal;
        struct fz_seal_request request = {.level = 2, .map = true, .swap = true};
        if (FZ_BIG_ENDIAN) {
            /* The file's bytes have another order than the host's. */
            assert_int_equal(fzi_seal_fd(reader, &request, &seal), FZ_E_UNSUPPORTED);
            assert_null(seal.data);
            break;
        }
        assert_int_equal(fzi_seal_fd(i ? writer : reader, &request, &seal), FZ_OK);
        assert_int_equal(seal.level, FZ_PROTECT_PAGES);
        assert_false(seal.digest_known);
        assert_int_equal(seal.size + seal.back_size, size);
        assert_memory_equal(seal.data, data, seal.size);
        assert_memory_equal(seal.back, data + seal.size, seal.back_size);
        assert_true(faults(store, seal.data));
        assert_true(faults(unprotect_and_store, seal.data));
        assert_true(faults(store, seal.back));
        struct fz_plan plan = {0};
        struct fz_artifact_info info;
        assert_int_equal(fzi_artifact_read(seal.data, seal.size, seal.back, NULL, &plan, &info), FZ_OK);
        assert_int_equal(fzi_artifact_verify(&info, NULL, NULL), FZ_OK);
        /* The file's weights change: the front does not, and the checksums tell. */
        assert_int_equal(pwrite(writer, "?", 1, (off_t)(seal.size + 8)), 1);
        assert_int_equal(pwrite(writer, "?", 1, 40), 1);
        uint64_t first, count;
        fzi_artifact_weight_blocks(&info, 0, 16, &first, &count);
        assert_int_equal(fzi_artifact_check_block(&info, first), FZ_E_CORRUPT);
        assert_int_equal(fzi_artifact_check_block(&info, 0), FZ_OK);
        assert_int_equal(pwrite(writer, data, size, 0), size);
        fzi_seal_release(&seal);
    }
    /* Damage in the front is found at once; what is no frozen file has no front. */
    struct fz_seal_request request = {.level = 2, .map = true, .swap = true};
    fz_status_t refused = FZ_BIG_ENDIAN ? FZ_E_UNSUPPORTED : FZ_E_FORMAT;
    int other = make_file(O_RDONLY);
    expect(other, &request, refused);
    assert_int_equal(ftruncate(writer, 4095), 0);
    expect(reader, &request, refused);
    assert_int_equal(ftruncate(writer, (off_t)size - 1), 0);
    expect(reader, &request, refused);
    close(other);
    close(reader);
    close(writer);
    fzi_free(data);
}

int main(void) {
    for (size_t i = 0; i < SIZE; i++) bytes[i] = (uint8_t)(i * 31 >> 3);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_levels),      cmocka_unit_test(test_memory),
        cmocka_unit_test(test_threads),     cmocka_unit_test(test_shrinking),
        cmocka_unit_test(test_sealed),      cmocka_unit_test(test_forever),
        cmocka_unit_test(test_truthful),    cmocka_unit_test(test_refused),
        cmocka_unit_test(test_short_reads), cmocka_unit_test(test_no_leak),
        cmocka_unit_test(test_adopt),       cmocka_unit_test(test_map),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
