/* What seal.c asks of the operating system beyond POSIX. A system that lacks it answers false, and
 * the level below is taken. */
#ifndef FZ_SEAL_SYSTEM_H
#define FZ_SEAL_SYSTEM_H

#include "base/base.h"

/* A memfd that can be sealed and may grow to SIZE; negative if there are none. */
int fzi_system_memfd(size_t size);
/* Gives memfd FD its SIZE and reserves its pages, so that touching them cannot fail later. False
 * only if there is no memory. */
bool fzi_system_reserve(int fd, size_t size);
/* Write-seals memfd FD, which must not be mapped writable, unless that was done before. False if it
 * is refused. */
bool fzi_system_seal(int fd);
/* A descriptor of sealed memfd FD that cannot write; negative if there is none to be had. */
int fzi_system_reopen(int fd);
/* Whether FD is a memfd that nobody can write any more. */
bool fzi_system_is_sealed(int fd);
/* Keeps the read-only mapping from being changed, replaced or unmapped until the process ends, and
 * out of core dumps. */
bool fzi_system_forever(void *data, size_t size);

/* Maps the pages of the SIZE bytes at DATA, which lie in a mapped file, at once: they are about to
 * be read, and would else fault every few pages. No more than a wish. */
void fzi_system_fetch(const uint8_t *data, size_t size);

#endif
