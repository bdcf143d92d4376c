/* Samples of a model's inputs, from files: one at a time is in memory. */
#ifndef FZ_DATA_H
#define FZ_DATA_H

#include "graph/graph.h"

struct fz_data;

/* Opens the samples at PATH for the inputs of GRAPH and checks all of their names, types and shapes
 * before anything is computed. PATH is one of
 *   FILE.npz                       one array NAME for each input,
 *   DIR with NAME.npy              the same as files,
 *   DIR with NAME/ANY.npy          a folder for each input, a file for each sample,
 *   DIR with ANY.npy               the same for a model of one input,
 *   DIR with test_data_set_N       input_I.pb, as ONNX's own tests have them.
 * An array of one dimension more than the input holds a sample in each row; one of as many
 * dimensions is cut along the first one into batches of the input's size, of one if that is open.
 * A file that is a sample by itself is taken whole if its first dimension is open. An input with
 * one sample keeps it for all. '/' and ':' in names are '_' in the names of files.
 *
 * FZ_E_IO, FZ_E_FORMAT, FZ_E_NOMEM, FZ_E_UNSUPPORTED,
 * FZ_E_VALUE  there are no samples, or a different number for two inputs,
 * FZ_E_TYPE, FZ_E_SHAPE  a sample does not fit its input. */
fz_status_t fzi_data_open(const char *path, const struct fz_graph *graph, struct fz_data **out);
void fzi_data_close(struct fz_data *data);
size_t fzi_data_count(const struct fz_data *data);
/* Reads sample INDEX, a tensor for each input of the graph in its order. The bytes are DATA's until
 * the next call. */
fz_status_t fzi_data_read(struct fz_data *data, size_t index, fz_tensor_t *out);

/* FZ_E_TYPE or FZ_E_SHAPE if T is nothing for INPUT; WHERE says whose T is. */
fz_status_t fzi_data_fits(const fz_tensor_t *t, const struct fz_value *input, const char *where);

#endif
