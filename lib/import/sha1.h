/* SHA-1, only because ONNX names the content of external data files by it. */
#ifndef FZ_SHA1_H
#define FZ_SHA1_H

#include "base/base.h"

void fzi_sha1(const void *data, size_t size, uint8_t out[20]);

#endif
