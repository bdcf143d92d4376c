/* Fuzz inputs that become frozen files. The first byte of an input chooses its form: 0, a whole
 * file; else only the sections, one after another, each behind its size (4 bytes), around which the
 * rest of a file is built, so that small inputs reach the verifier of plans. Digests and checksums
 * are made right in either form. */
#ifndef FZ_FUZZ_IMAGE_H
#define FZ_FUZZ_IMAGE_H

#include "base/base.h"

/* The file, for fzi_free(); NULL if the input makes none. */
uint8_t *image_make(const uint8_t *data, size_t size, size_t *file_size);

#endif
