/* Sealed memory on Linux: memfds, their seals, and mseal. */
#include "seal/system.h"

#if defined(__linux__)

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Numbers that older headers lack. */
#ifndef MFD_NOEXEC_SEAL
#define MFD_NOEXEC_SEAL 8U
#endif
#ifndef SYS_mseal
#define SYS_mseal 462
#endif
#ifndef MADV_POPULATE_READ
#define MADV_POPULATE_READ 22
#endif

int fzi_system_memfd(size_t size) {
    /* Growing a file past this limit raises a signal whose default is to end the process. */
    struct rlimit limit;
    if (getrlimit(RLIMIT_FSIZE, &limit) == 0 && limit.rlim_cur < size) return -1;
    unsigned flags = MFD_CLOEXEC | MFD_ALLOW_SEALING;
    /* Kernels before 6.3 do not know the last flag; some newer ones insist on it. */
    int fd = memfd_create("frozen", flags | MFD_NOEXEC_SEAL);
    return fd < 0 && errno == EINVAL ? memfd_create("frozen", flags) : fd;
}

/* Signals may interrupt it; a file system that cannot do it leaves things as they were. */
bool fzi_system_reserve(int fd, size_t size) {
    int result;
    if (ftruncate(fd, (off_t)size) != 0) return false;
    do result = fallocate(fd, 0, 0, (off_t)size);
    while (result != 0 && errno == EINTR);
    return result == 0 || (errno != ENOSPC && errno != ENOMEM);
}

enum { SEALS = F_SEAL_WRITE | F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL };

/* Whether all seals are really there, whatever the call that set them answered. */
bool fzi_system_is_sealed(int fd) {
    int seals = fcntl(fd, F_GET_SEALS);
    return seals >= 0 && (seals & SEALS) == SEALS;
}

static bool is_same(int a, int b) {
    struct stat x, y;
    return fstat(a, &x) == 0 && fstat(b, &y) == 0 && x.st_dev == y.st_dev && x.st_ino == y.st_ino;
}

bool fzi_system_seal(int fd) {
    fcntl(fd, F_ADD_SEALS, SEALS); /* refused where all are there */
    return fzi_system_is_sealed(fd);
}

/* Kernels before 6.7 refuse to map a write-sealed memfd shared from a descriptor that can write,
 * whatever the mapping's protection; one opened anew for reading will do. /proc is looked at with
 * distrust: it need not be the kernel's. */
int fzi_system_reopen(int fd) {
    char path[40];
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    int again = open(path, O_RDONLY | O_CLOEXEC);
    if (again >= 0 && is_same(fd, again)) return again;
    if (again >= 0) close(again);
    return fcntl(fd, F_DUPFD_CLOEXEC, 3);
}

/* The advice is a wish; the seal is the promise, and the level stands for it alone. */
bool fzi_system_forever(void *data, size_t size) {
    madvise(data, size, MADV_DONTDUMP);
    return syscall(SYS_mseal, data, size, 0UL) == 0;
}

/* Kernels before 5.14 refuse. Where the file became shorter this fails and raises no SIGBUS. */
void fzi_system_fetch(const uint8_t *data, size_t size) {
    size_t lead = (uintptr_t)data % (size_t)sysconf(_SC_PAGESIZE);
    madvise((void *)(data - lead), size + lead, MADV_POPULATE_READ);
}

#else

int fzi_system_memfd(size_t size) {
    (void)size;
    return -1;
}
bool fzi_system_reserve(int fd, size_t size) {
    (void)fd, (void)size;
    return true;
}
bool fzi_system_seal(int fd) {
    (void)fd;
    return false;
}
int fzi_system_reopen(int fd) {
    (void)fd;
    return -1;
}
bool fzi_system_is_sealed(int fd) {
    (void)fd;
    return false;
}
bool fzi_system_forever(void *data, size_t size) {
    (void)data, (void)size;
    return false;
}
void fzi_system_fetch(const uint8_t *data, size_t size) { (void)data, (void)size; }

#endif
