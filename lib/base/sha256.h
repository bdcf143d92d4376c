/* SHA-256: by libcrypto (which uses the CPU's instructions) where the build has it, else by the
 * portable functions, which are always compiled. Neither allocates. */
#ifndef FZ_SHA256_H
#define FZ_SHA256_H

#include "base/base.h"

/* A digest under way: init, update any number of times, final. Plain data, may lie on the stack. */
struct fz_sha256 {
    uint64_t space[16];
};

void fzi_sha256_init(struct fz_sha256 *hash);
void fzi_sha256_update(struct fz_sha256 *hash, const void *data, size_t size);
void fzi_sha256_final(struct fz_sha256 *hash, uint8_t out[32]);
void fzi_sha256(const void *data, size_t size, uint8_t out[32]);

/* The same without libcrypto. A digest is made by one set of functions from start to end. */
void fzi_sha256_portable_init(struct fz_sha256 *hash);
void fzi_sha256_portable_update(struct fz_sha256 *hash, const void *data, size_t size);
void fzi_sha256_portable_final(struct fz_sha256 *hash, uint8_t out[32]);

/* Writes DIGEST as 64 lower-case hex digits and a NUL. */
void fzi_sha256_hex(const uint8_t digest[32], char hex[65]);

#endif
