/* Graph in, ONNX out. */
#ifndef FZ_EXPORT_H
#define FZ_EXPORT_H

#include <frozen/freeze.h>

#include "graph/graph.h"

/* Lets every node of GRAPH and its subgraphs be one of OPSET of ai.onnx: attributes that a later
 * opset takes as inputs become constants, what it calls otherwise is renamed. Comes before the
 * operators are resolved, or they are resolved again: where ranks are known, fewer nodes are made.
 * FZ_E_UNSUPPORTED lists the nodes that are newer than OPSET or whose
 * meaning cannot be kept. */
fz_status_t fzi_export_raise(struct fz_graph *graph, int32_t opset);

/* Writes the main graph GRAPH to PATH as an ONNX model, replacing what is there: whole or not at
 * all. Equal graphs give equal bytes. The names of inputs, outputs, nodes and values are kept; a
 * name that stands for two values gets a number behind it the second time. Documentation and
 * metadata are kept, functions are inlined and Constant nodes are initializers, as the import made
 * them. The nodes must be of ONNX's own operators, all those of one domain for one opset, as
 * fzi_export_raise leaves them. Constants are written from where they lie. Uses the values' ids and
 * notes.
 *
 * FZ_E_LIMIT for more than 2 GiB, which no reader of protobuf takes; FZ_E_IO, FZ_E_NOMEM;
 * FZ_E_INTERNAL for a node that a pass made. */
fz_status_t fzi_export_file(struct fz_graph *graph, const char *path);
/* The same into memory of ARENA. */
fz_status_t fzi_export_memory(struct fz_graph *graph, struct fz_arena *arena, void **data,
                              size_t *size);

#endif
