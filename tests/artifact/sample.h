/* A small plan that uses every kind of record, as a source and as the bytes of a frozen file. */
#ifndef FZ_TEST_SAMPLE_H
#define FZ_TEST_SAMPLE_H

#include "artifact/artifact.h"
#include "artifact/format.h"

enum {
    SAMPLE_BIG = 1, /* with constants in the weight section */
    SAMPLE_ONNX = 2 /* with original bytes */
};

/* The source; everything in it is static. */
struct fz_plan_source sample_source(unsigned flags);

/* The frozen file of it, 64-byte aligned; release with fzi_free. NULL on failure. */
uint8_t *sample_file(unsigned flags, size_t *size);
/* Reads all of FD. */
uint8_t *sample_read(int fd, size_t *size);

/* Where section KIND begins in the file at DATA. */
uint8_t *sample_section(uint8_t *data, enum fz_section_kind kind);
/* Makes the digests and checksums of a file right again as far as its header makes sense, so that
 * what was changed in it reaches the checks behind them. */
void sample_repair(uint8_t *data, size_t size);
void sample_repair_checksums(uint8_t *data, size_t size); /* only these */

#endif
