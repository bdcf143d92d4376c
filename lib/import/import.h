/* ONNX in, graph out. The only folder that sees protobuf. */
#ifndef FZ_IMPORT_H
#define FZ_IMPORT_H

#include <frozen/freeze.h>

#include "graph/graph.h"

/* What an imported graph's constants point into: the bytes of the ONNX file and of its side files.
 * Zero-initialised is empty; must outlive the graph. */
struct fz_source {
    const void *onnx;       /* the ONNX file's bytes */
    size_t onnx_size;
    uint8_t digest[32];     /* SHA-256 of them */
    struct fz_source_file *files; /* every file that is held, the ONNX file first */
};

/* Reads PATH and builds the main graph in ARENA: functions inlined, initializers and Constant nodes
 * as constants, symbolic dimensions bound as OPTIONS say, shapes of inputs and outputs as declared,
 * operators not yet resolved. Nodes are in topological order. Errors are those of
 * fz_freeze_file(). On failure SOURCE is empty. */
fz_status_t fzi_import_file(const char *path, const fz_freeze_options_t *options,
                            struct fz_arena *arena, struct fz_source *source,
                            struct fz_graph **out);
/* The same from memory, which must outlive SOURCE; external data is refused. */
fz_status_t fzi_import_memory(const void *data, size_t size, const fz_freeze_options_t *options,
                              struct fz_arena *arena, struct fz_source *source,
                              struct fz_graph **out);
void fzi_source_close(struct fz_source *source);

/* Reads a serialised TensorProto of SIZE bytes at DATA into *OUT; the data are copied to ARENA. */
fz_status_t fzi_import_tensor(const void *data, size_t size, struct fz_arena *arena,
                              fz_tensor_t *out);
/* The same for a value of type DTYPE, which may be a sequence, an optional or a map: a serialised
 * SequenceProto, OptionalProto or MapProto. The texts of a map's keys stay at DATA. */
fz_status_t fzi_import_value(const void *data, size_t size, int32_t dtype, struct fz_arena *arena,
                             fz_tensor_t *out);

#endif
