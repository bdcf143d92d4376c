/* CRC-32C (Castagnoli), the checksum of the frozen file's blocks. */
#ifndef FZ_CRC32C_H
#define FZ_CRC32C_H

#include "base/base.h"

/* Continues CRC (0 at the start) over the SIZE bytes at DATA; by the CPU's instruction if it has
 * one. */
uint32_t fzi_crc32c(uint32_t crc, const void *data, size_t size);
/* The same by tables. */
uint32_t fzi_crc32c_portable(uint32_t crc, const void *data, size_t size);
#if defined(__x86_64__)
/* The same by SSE4.2 and PCLMULQDQ, which the CPU must have. */
uint32_t fzi_crc32c_sse42(uint32_t crc, const void *data, size_t size);
#endif

#endif
