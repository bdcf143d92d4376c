/* freeze.h: turn an ONNX model into a frozen one. Library libfrozen-freeze.
 *
 * Freezing decides everything once: algorithms, fusions, the order of every
 * sum, the layout of every weight. The same ONNX file with the same options
 * and the same library version gives the same bytes on every machine. The
 * rules at the top of frozen.h hold here too. */
#ifndef FROZEN_FREEZE_H
#define FROZEN_FREEZE_H

#include <frozen/frozen.h>

#ifdef __cplusplus
extern "C" {
#endif

/* A symbolic dimension of the ONNX file and the size that it is frozen to. */
typedef struct fz_dim_binding {
    const char *name;
    int64_t value; /* >= 0 */
} fz_dim_binding_t;

/* The values of one input for the known-answer run. */
typedef struct fz_kat_input {
    const char *name;
    fz_tensor_t tensor;
} fz_kat_input_t;

enum {
    FZ_FREEZE_KEEP_ONNX = 1,    /* store the original ONNX bytes as well */
    FZ_FREEZE_NO_WINOGRAD = 2,  /* direct convolutions only */
    FZ_FREEZE_LITERAL_QDQ = 4,  /* run Q and DQ nodes as written, unfused */
    FZ_FREEZE_NO_KAT = 8,       /* make no known-answer vectors */
    FZ_FREEZE_RANGE_PER_ROW = 16, /* DynamicQuantizeLinear: a range per row */
    FZ_FREEZE_SPARSE = 32       /* leave out weights that are zero in blocks */
};

/* FZ_FREEZE_RANGE_PER_ROW. ONNX takes the range of DynamicQuantizeLinear over
 * the whole tensor, so that the rows of a batch change each other's bits. With
 * this flag each row of the integer product behind it has a range, a scale and
 * a zero point of its own: for a matrix product a row is one index of all
 * dimensions but the last, for a convolution it is one image. Row i of a batch
 * then has the bits that it has alone. Where the numbers or the range are read
 * by anything but such products, freezing is refused with FZ_E_UNSUPPORTED and
 * the list of nodes. A model without DynamicQuantizeLinear is not changed. */

/* FZ_FREEZE_SPARSE. Matrix products whose weights are zero in at least 40 % of
 * the blocks of 4 inputs and 32 outputs store and multiply the other blocks
 * only: what is left out takes no part in a sum, not even where the input is
 * infinite or NaN, and sums of more than 256 products are cut elsewhere. So
 * the flag changes bits, and without it zeros are weights like others. */

/* Called now and then with the share DONE of the work, 0.0 to 1.0, and the
 * name of the phase. Return 0 to go on, anything else to give up
 * (FZ_E_CANCELLED). */
typedef int (*fz_progress_fn)(void *context, double done, const char *phase);

typedef struct fz_freeze_options {
    size_t size;              /* sizeof(fz_freeze_options_t) */
    const char *numerics;     /* "portable" (also for NULL) or "blas" */
    const fz_dim_binding_t *dims;
    size_t n_dims;
    const fz_kat_input_t *kat_inputs;
    size_t n_kat_inputs;
    uint64_t flags;           /* FZ_FREEZE_ bits */
    uint64_t kat_seed;        /* seed of generated known-answer inputs */
    fz_progress_fn progress;
    void *progress_context;
    uint64_t max_file_size;   /* of each file that is read; 0: 64 GiB */
    uint64_t max_nodes;       /* after functions are inlined; 0: 1,000,000 */
    uint64_t max_depth;       /* of nested messages and subgraphs; 0: 64 */
    uint64_t max_elements;    /* of any one tensor; 0: 2^40 */
    uint64_t max_memory;      /* of structures made from the file; 0: 4 GiB */
    const fz_custom_t *custom; /* see custom.h; NULL: none */
} fz_freeze_options_t;

/* Reads the ONNX model at ONNX_PATH, with its external data from the folder
 * that holds it, and writes the frozen file FZ_PATH, replacing one that is
 * there. The file appears whole or not at all. HEX, if not NULL, gets the
 * model id.
 *
 * FZ_OK, FZ_E_USAGE, FZ_E_NOMEM, FZ_E_IO, FZ_E_CANCELLED,
 * FZ_E_FORMAT       not an ONNX model, or a damaged or inconsistent one,
 * FZ_E_UNSUPPORTED  operators, attributes or types that the library lacks,
 * FZ_E_SHAPE, FZ_E_TYPE, FZ_E_VALUE  the graph contradicts itself; of these
 *                   faults the message lists all that the model has, one a
 *                   line if there are several, and says what to do: 26 lines
 *                   at most, of which the last counts those left out,
 * FZ_E_LIMIT        a limit of OPTIONS would be exceeded.          Since 0.1 */
FZ_API fz_status_t fz_freeze_file(const char *onnx_path, const char *fz_path,
                                  const fz_freeze_options_t *options,
                                  char hex[65]);

/* Freezes the ONNX model at ONNX_PATH in memory and opens it: the same image,
 * sealed the same way, with the same id as fz_freeze_file() and fz_model_open()
 * give. OPEN_OPTIONS as for fz_model_open(); FZ_OPEN_MAP is refused. Custom
 * operators of OPTIONS serve to open the model, too, if OPEN_OPTIONS have none.
 * Errors are those of both.                                       Since 0.1 */
FZ_API fz_status_t fz_freeze_open(const char *onnx_path,
                                  const fz_freeze_options_t *options,
                                  const fz_open_options_t *open_options,
                                  fz_model_t **out);

/* As fz_freeze_open(), from the SIZE bytes of an ONNX model at DATA. A model
 * with external data is refused with FZ_E_UNSUPPORTED.
 * Since 0.1 */
FZ_API fz_status_t fz_freeze_open_memory(const void *data, size_t size,
                                         const fz_freeze_options_t *options,
                                         const fz_open_options_t *open_options,
                                         fz_model_t **out);

/* A tensor read from a file, see fz_tensor_read_onnx(). */
typedef struct fz_tensor_file fz_tensor_file_t;

/* Reads a serialised ONNX TensorProto (the input_0.pb files of ONNX's test
 * folders) from PATH. *TENSOR describes memory that *OUT owns until
 * fz_tensor_file_close(). FZ_OK, FZ_E_USAGE, FZ_E_NOMEM, FZ_E_IO, FZ_E_FORMAT,
 * FZ_E_UNSUPPORTED a sequence, map or optional.                   Since 0.1 */
FZ_API fz_status_t fz_tensor_read_onnx(const char *path, fz_tensor_t *tensor,
                                       fz_tensor_file_t **out);

/* The same for a value of type DTYPE, as fz_model_input() gives it: a sequence,
 * an optional or a map from a serialised SequenceProto, OptionalProto or
 * MapProto, which do not say themselves what they are. For every other DTYPE a
 * tensor is read, whatever its type is. FZ_E_FORMAT also if the file holds no
 * such value; other errors are those of fz_tensor_read_onnx().    Since 0.1 */
FZ_API fz_status_t fz_value_read_onnx(const char *path, int32_t dtype,
                                      fz_tensor_t *value,
                                      fz_tensor_file_t **out);

/* Releases FILE and the tensor in it. NULL is allowed.            Since 0.1 */
FZ_API void fz_tensor_file_close(fz_tensor_file_t *file);

#ifdef __cplusplus
}
#endif

#endif
