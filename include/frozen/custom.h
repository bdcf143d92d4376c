/* custom.h: operators that the caller brings along. Library libfrozen.
 *
 * A model may need an operator that this library does not have. Whoever has it
 * describes it by a fz_custom_op_t, a table of callbacks, makes a set of such
 * tables and passes the set by fz_freeze_options_t to freeze the model and by
 * fz_open_options_t to open it. The frozen file names each custom operator
 * that it uses with the version and the digest of its implementation, so that
 * they are part of the model's id; a file is opened only with a set that holds
 * exactly these. No set is global, and without one nothing custom is run.
 *
 * The library promises the same bits everywhere for its own operators. For a
 * custom one that is the promise of whoever registers it: RUN must be a pure
 * function of inputs and attributes, whose bits depend neither on the CPU nor
 * on the number of threads, and another bit for one input means another
 * version and digest. What is cheap is checked: freezing runs the known answer
 * of a model with custom operators twice and refuses other bits, the known
 * answer in the file covers them, and every NaN that an operator gives becomes
 * the canonical one of its type. The rules at the top of frozen.h hold here
 * too. */
#ifndef FROZEN_CUSTOM_H
#define FROZEN_CUSTOM_H

#include <frozen/frozen.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Kinds of attributes, and the tensors that they become. */
enum {
    FZ_CUSTOM_INT = 1,     /* FZ_TYPE_I64, a scalar */
    FZ_CUSTOM_FLOAT = 2,   /* FZ_TYPE_F32, a scalar */
    FZ_CUSTOM_STRING = 3,  /* FZ_TYPE_STRING, a scalar */
    FZ_CUSTOM_TENSOR = 4,  /* the tensor itself */
    FZ_CUSTOM_INTS = 5,    /* FZ_TYPE_I64 of rank 1 */
    FZ_CUSTOM_FLOATS = 6,  /* FZ_TYPE_F32 of rank 1 */
    FZ_CUSTOM_STRINGS = 7  /* FZ_TYPE_STRING of rank 1 */
};

/* An attribute that nodes of the operator may have; with REQUIRED 1 they must.
 * A node with an attribute that is not described is refused. */
typedef struct fz_custom_attr {
    const char *name;
    int32_t kind; /* FZ_CUSTOM_ */
    int32_t required;
} fz_custom_attr_t;

typedef struct fz_custom_call fz_custom_call_t;

/* What a callback is given: one node. Everything belongs to the library and is
 * valid until the callback returns.
 *
 * INPUTS has `max_inputs` pointers, NULL for an input that is absent; they are
 * only read. OUTPUTS has `max_outputs` pointers, NULL for an output that
 * nobody reads. ATTRIBUTES has a pointer for each attribute of the table, in
 * its order, NULL where the node does not have it.
 *
 * The functions at the end may be called by the callback with its CALL. */
struct fz_custom_call {
    size_t size; /* sizeof(fz_custom_call_t) in the library */
    const fz_tensor_t *const *inputs;
    fz_tensor_t *const *outputs;
    const fz_tensor_t *const *attributes;
    void *scratch;   /* run: what `scratch` asked for, 64-byte aligned */
    int32_t threads; /* run: how many tasks `parallel` runs at once */
    uint32_t reserved;

    /* Sets the message TEXT (a copy) and gives STATUS, so that callbacks write
     * `return call->error(call, FZ_E_VALUE, "...")`. */
    fz_status_t (*error)(const fz_custom_call_t *call, fz_status_t status,
                        const char *text);
    /* run of FZ_CUSTOM_LATE_SHAPE: gives output INDEX, whose shape `infer` has
     * left open, RANK and DIMS, and its tensor memory for them; may be called
     * again to grow, and then keeps the bytes. */
    fz_status_t (*resize)(const fz_custom_call_t *call, uint32_t index,
                          int32_t rank, const int64_t *dims);
    /* run: SIZE bytes that last until the model's run ends, for the bytes of
     * strings; NULL without memory. From the callback's own thread only. */
    void *(*allocate)(const fz_custom_call_t *call, size_t size);
    /* run: calls TASK(ARG, i) for each i below COUNT, on several threads if
     * the session has them, and waits. Bits must not depend on COUNT. */
    void (*parallel)(const fz_custom_call_t *call, size_t count,
                     fz_task_fn task, void *arg);
};

/* Says the outputs' types and shapes: sets `dtype`, `rank` and `dims` of each
 * one that is not NULL. Called when a model is frozen, with what is known
 * then, and again whenever a session sees new shapes. A rank of -1 and
 * negative dimensions are not known yet: dimensions with the same number below
 * -1 are equal, and may be passed on to an output; other unknown ones are set
 * to -1. `data` of an input is NULL unless its values are known already. */
typedef fz_status_t (*fz_custom_infer_fn)(void *context,
                                          const fz_custom_call_t *call);
/* Bytes of scratch memory that RUN needs for these shapes, all known. */
typedef size_t (*fz_custom_scratch_fn)(void *context,
                                       const fz_custom_call_t *call);
/* Computes the outputs. Each that is not NULL has its type, shape and memory
 * for `size` bytes, whose old content is arbitrary; only that memory may be
 * written. A bool must be 0 or 1. Any number of threads may run one operator
 * at once, for different sessions. */
typedef fz_status_t (*fz_custom_run_fn)(void *context,
                                        const fz_custom_call_t *call);

enum {
    FZ_CUSTOM_LATE_SHAPE = 1 /* output shapes may depend on input values */
};

/* A custom operator. A callback that fails returns one of the FZ_E_ numbers
 * (any other number counts as FZ_E_VALUE): freezing, or the run, then fails
 * with it, and the message names the node. */
typedef struct fz_custom_op {
    size_t size;         /* sizeof(fz_custom_op_t) */
    const char *domain;  /* "com.example"; "" is ai.onnx */
    const char *name;    /* "Scale" */
    int32_t opset;       /* the first version of DOMAIN whose nodes it serves */
    int32_t version;     /* of this implementation, 1 to 32767 */
    uint8_t digest[32];  /* of this implementation, not all 0: the SHA-256 of
                            its source, say */
    int32_t min_inputs;  /* inputs from here on may be absent; 0 to 16 */
    int32_t max_inputs;
    int32_t min_outputs; /* outputs from here on may be absent; 1 to 16 */
    int32_t max_outputs;
    const fz_custom_attr_t *attributes;
    size_t n_attributes; /* at most 16 */
    uint32_t flags;      /* FZ_CUSTOM_LATE_SHAPE or 0 */
    uint32_t reserved;   /* must be 0 */
    fz_custom_infer_fn infer; /* NULL: outputs have input 0's type and shape */
    fz_custom_scratch_fn scratch; /* NULL: none */
    fz_custom_run_fn run;
    void *context;       /* what the callbacks get; may be NULL */
} fz_custom_op_t;

/* Makes a set of the N operators at OPS. The tables, with their names and
 * attributes, are copied; the callbacks' code and what CONTEXT points to must
 * last as long as the set. The set never changes: any number of threads may
 * use one at once.
 *
 * A node goes to the operator of its domain and name with the greatest opset
 * that is not above the node's. Operators that the library has itself, and the
 * domain "frozen", cannot be registered; a function that the ONNX file defines
 * under the name goes first. Custom operators take and give tensors, strings
 * among them, no sequences, optionals or maps, and have no subgraphs.
 *
 * FZ_OK, FZ_E_NOMEM,
 * FZ_E_USAGE  a table breaks the rules; the message names it.     Since 0.1 */
FZ_API fz_status_t fz_custom_create(const fz_custom_op_t *const *ops, size_t n,
                                    fz_custom_t **out);

/* Releases CUSTOM. NULL is allowed. Models that were opened with it must be
 * closed before.                                                  Since 0.1 */
FZ_API void fz_custom_close(fz_custom_t *custom);

/* What a shared object for `fz --custom LIB.so` defines, under the name
 * "frozen_custom_ops": gives its tables, *N of them, which are static. It need
 * not be linked against libfrozen. */
typedef const fz_custom_op_t *const *(*fz_custom_ops_fn)(size_t *n);

#ifdef __cplusplus
}
#endif

#endif
