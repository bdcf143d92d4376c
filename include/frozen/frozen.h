/* frozen.h: open a frozen model, look at it, run it.
 *
 * A frozen model is one immutable plan with its weights in protected memory.
 * The same model and the same input give the same output bits on any CPU, with
 * any number of threads, at any time. fz_freeze_file() and fz_freeze_open() in
 * freeze.h make one from an ONNX file.
 *
 * Rules that hold for every function here, unless it says otherwise:
 *  - It returns FZ_OK (0) or one of the FZ_E_ numbers; on failure every output
 *    argument holds NULL or zero, nothing is leaked, and fz_last_error() says
 *    why in one sentence.
 *  - It is thread-safe. A model may be used by any number of threads at once;
 *    a session by one thread at a time.
 *  - An options argument may be NULL, which means all defaults. Otherwise its
 *    first member SIZE must be sizeof of the struct; every other member is
 *      0 for its default. Members are only ever appended, so that a program
 *      compiled against an older header keeps working; bytes beyond what the
 *      library knows must be 0, else FZ_E_USAGE.
 *  - The library never prints, never aborts, never exits, reads no environment
 *    variable and starts no thread that was not asked for.
 *
 * Not promised: the text of error messages, the size of opaque objects, and
 * the bits of models of the profile "blas" (see fz_model_profile()). */
#ifndef FROZEN_FROZEN_H
#define FROZEN_FROZEN_H

#include <stddef.h>
#include <stdint.h>

#if defined(_WIN32)
#define FZ_API
#elif defined(__GNUC__)
#define FZ_API __attribute__((visibility("default")))
#else
#define FZ_API
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* ---------------------------------------------------------------- status */

/* The result of a call: FZ_OK or one of the numbers below. The numbers never
 * change and are never reused. */
typedef int32_t fz_status_t;

enum {
    FZ_OK = 0,
    FZ_E_USAGE = 1,       /* an argument breaks this header's rules */
    FZ_E_NOMEM = 2,       /* out of memory */
    FZ_E_IO = 3,          /* a file could not be opened, read or written */
    FZ_E_FORMAT = 4,      /* not such a file, damaged, or of a newer format */
    FZ_E_UNSUPPORTED = 5, /* sound, but needs what this library lacks */
    FZ_E_DIGEST = 6,      /* sound, but not the file whose digest is expected */
    FZ_E_CORRUPT = 7,     /* memory or file changed after it was verified */
    FZ_E_SHAPE = 8,       /* shapes do not fit the model or an operator */
    FZ_E_TYPE = 9,        /* element types do not fit */
    FZ_E_LIMIT = 10,      /* a limit of the options would be exceeded */
    FZ_E_UNVERIFIED = 11, /* the model's digest is not known yet */
    FZ_E_CANCELLED = 12,  /* the run was cancelled */
    FZ_E_DEADLINE = 13,   /* the run's deadline has passed */
    FZ_E_VALUE = 14,      /* an input value is outside an operator's domain */
    FZ_E_PROFILE = 15,    /* made for another numerics profile than here */
    FZ_E_SYSTEM = 16,     /* the operating system refused */
    FZ_E_INTERNAL = 17,   /* a defect of the library; please report it */
    FZ_E_ANSWER = 18,      /* a known answer came out with other bits */
    FZ_E_SIGNATURE = 19    /* not signed, or not by the key that is asked for */
};

/* The name of STATUS, "FZ_E_SHAPE" say; "FZ_E_?" for an unknown number. The
 * string is static.                                               Since 0.1 */
FZ_API const char *fz_status_name(fz_status_t status);

/* Why the calling thread's last failed call failed: one sentence that names the
 * operator, node and opset where there is one; several lines where freezing
 * has found several faults of a model. Never NULL; "" if no call of
 * this thread has failed. Valid until the thread's next failing call; calls
 * that succeed leave it.                                          Since 0.1 */
FZ_API const char *fz_last_error(void);

/* Sets the calling thread's message to a copy of TEXT, cut at 4,095 bytes. For
 * code that stands between this library and its caller.           Since 0.1 */
FZ_API void fz_set_last_error(const char *text);

/* The version of the library, "0.1.0" say. Static.                Since 0.1 */
FZ_API const char *fz_version(void);

/* --------------------------------------------------------------- tensors */

/* Element types. The numbers are those of ONNX's TensorProto.DataType. */
enum {
    FZ_TYPE_NONE = 0,
    FZ_TYPE_F32 = 1,
    FZ_TYPE_U8 = 2,
    FZ_TYPE_I8 = 3,
    FZ_TYPE_U16 = 4,
    FZ_TYPE_I16 = 5,
    FZ_TYPE_I32 = 6,
    FZ_TYPE_I64 = 7,
    FZ_TYPE_STRING = 8,
    FZ_TYPE_BOOL = 9,
    FZ_TYPE_F16 = 10,
    FZ_TYPE_F64 = 11,
    FZ_TYPE_U32 = 12,
    FZ_TYPE_U64 = 13,
    FZ_TYPE_C64 = 14,
    FZ_TYPE_C128 = 15,
    FZ_TYPE_BF16 = 16,
    FZ_TYPE_F8E4M3FN = 17,
    FZ_TYPE_F8E4M3FNUZ = 18,
    FZ_TYPE_F8E5M2 = 19,
    FZ_TYPE_F8E5M2FNUZ = 20,
    FZ_TYPE_U4 = 21,
    FZ_TYPE_I4 = 22,
    FZ_TYPE_F4E2M1 = 23,
    FZ_TYPE_F8E8M0 = 24,
    FZ_TYPE_U2 = 25,
    FZ_TYPE_I2 = 26
};

/* The name of an element type as NumPy writes it ("float32", "int8", ...);
 * "unknown" for another number. Static.                           Since 0.1 */
FZ_API const char *fz_type_name(int32_t dtype);

/* Bits of one element: 32 for FZ_TYPE_F32, 4 for FZ_TYPE_I4; 0 for an unknown
 * type, for FZ_TYPE_STRING and for what is no tensor.             Since 0.1 */
FZ_API int32_t fz_type_bits(int32_t dtype);

/* What a value is. Types of tensors are the FZ_TYPE_ numbers; those of the
 * other kinds are larger numbers, which the three functions below take apart
 * and which fz_model_input() and fz_model_output() give. fz_type_name() of
 * them is "sequence", "optional" or "map". */
enum {
    FZ_KIND_TENSOR = 0,
    FZ_KIND_SEQUENCE = 1, /* any number of values of one type */
    FZ_KIND_OPTIONAL = 2, /* one value or none */
    FZ_KIND_MAP = 3       /* keys, and for each of them one element */
};

/* The kind of the values of type DTYPE: FZ_KIND_. FZ_KIND_TENSOR for an
 * unknown number.                                                 Since 0.1 */
FZ_API int32_t fz_type_kind(int32_t dtype);

/* The type of what a sequence or an optional of type DTYPE holds, which may be
 * no tensor either; of the elements of a map; 0 for a tensor.     Since 0.1 */
FZ_API int32_t fz_type_element(int32_t dtype);

/* The type of the keys of a map of type DTYPE, FZ_TYPE_STRING or that of an
 * integer; 0 for everything else.                                 Since 0.1 */
FZ_API int32_t fz_type_key(int32_t dtype);

#define FZ_RANK_MAX 12

/* A dense tensor in row-major order: a plain description of memory that
 * somebody else owns. Elements are in the host's byte order; types below 8
 * bits are packed, first element in the low bits; a bool is one byte,
 * 0 or 1. */
typedef struct fz_tensor {
    int32_t dtype;             /* FZ_TYPE_, or see fz_type_kind() */
    int32_t rank;              /* 0 (a scalar) to FZ_RANK_MAX */
    int64_t dims[FZ_RANK_MAX]; /* dims[0 .. rank-1], outermost first */
    void *data;                /* `size` bytes at least; NULL if that is 0 */
    size_t size;               /* bytes at data */
} fz_tensor_t;

/* One element of a tensor of FZ_TYPE_STRING, whose `data` is an array of these:
 * SIZE bytes of UTF-8 at TEXT, which no NUL ends and which may hold NULs. TEXT
 * may be NULL if SIZE is 0. */
typedef struct fz_string {
    const char *text;
    size_t size;
} fz_string_t;

/* A value that is no tensor is described by a fz_tensor_t, too: of rank 1, its
 * `data` being an array of dims[0] fz_tensor_t, one for each value that it
 * holds. An optional has one or none. A map has two: its keys and, in the same
 * order, its elements, both tensors of rank 1. */

/* ---------------------------------------------------------------- models */

/* A frozen model. Any number of threads may share one; nothing in it can
 * change between fz_model_open() and fz_model_close(). */
typedef struct fz_model fz_model_t;

/* How strongly a model's memory is protected, see fz_model_protection(). */
enum {
    FZ_PROTECT_NONE = 0,    /* const pointers only */
    FZ_PROTECT_PAGES = 1,   /* mprotect: any thread can undo it */
    FZ_PROTECT_SEALED = 2,  /* a write-sealed memfd: nobody can write it */
    FZ_PROTECT_FOREVER = 3  /* 2, and the mapping cannot be replaced either */
};

enum {
    FZ_OPEN_MAP = 1,         /* map weights from the file instead of copying */
    FZ_OPEN_ANY_PROFILE = 2, /* accept a "blas" model of another BLAS or core */
    FZ_OPEN_KNOWN_ANSWER = 4, /* refuse a host that computes other bits */
    FZ_OPEN_SHARE = 8         /* keep the sealed memory's descriptor */
};

/* A set of operators that the caller brings along, see custom.h. */
typedef struct fz_custom fz_custom_t;

typedef struct fz_open_options {
    size_t size;             /* sizeof(fz_open_options_t) */
    const char *expect;      /* 64 hex digits: refuse any other model id */
    int32_t protection;      /* FZ_PROTECT_ level wanted; 0: the default, 2 */
    uint32_t flags;          /* FZ_OPEN_ bits */
    uint64_t max_file_size;  /* refuse larger files; 0 means 64 GiB */
    int32_t threads;         /* 2: hash in a second thread; 0 means 1 */
    uint32_t reserved;       /* must be 0 */
    const char *signer;      /* PEM file: refuse what this key has not signed */
    const char *signature;   /* its file; NULL: the model's PATH with ".sig" */
    const fz_custom_t *custom; /* must outlive the model; NULL: none */
} fz_open_options_t;

/* Opens the frozen file at PATH, verifies it and seals it in read-only memory.
 *
 * On success *OUT owns the model: release it with fz_model_close(). On failure
 * *OUT is NULL. PATH is read once; unless FZ_OPEN_MAP is given, later changes
 * to the file have no effect on the model. If the system cannot give the
 * protection that is asked for, the next lower level is taken;
 * fz_model_protection() says which one it is.
 *
 * With FZ_OPEN_MAP the weights stay in the file, which must lie in a store
 * that nobody writes: opening takes microseconds, plan and tables are verified
 * and sealed as ever, each weight page is verified before a run first uses it,
 * and fz_model_id() answers FZ_E_UNVERIFIED until fz_model_verify() has
 * passed.
 *
 * With FZ_OPEN_KNOWN_ANSWER the file's known answer is run as by
 * fz_model_known_answer() before the model is given out: on a host that
 * computes other bits, and for a file that holds no known answer, there is no
 * model. It takes the time of one run, and reads all weights.
 *
 * With a SIGNER, the public half of an Ed25519 key, only models are opened that
 * it has signed: SIGNATURE must hold the 64 bytes that fz_sign() of sign.h
 * makes. What is signed are the two lines "frozen-model/1" and "sha256:<id>",
 * each ended by a line feed, so that other tools can sign and check, too.
 * Without libcrypto in the library this is FZ_E_UNSUPPORTED.
 *
 * FZ_OK, FZ_E_USAGE, FZ_E_NOMEM, FZ_E_IO, FZ_E_SYSTEM,
 * FZ_E_FORMAT      not a frozen file, damaged, or of a newer format,
 * FZ_E_UNSUPPORTED an operator or revision that this library does not have, or
 *                  a custom one that OPTIONS do not hold, or hold with another
 *                  version or digest; the message lists all of them,
 * FZ_E_DIGEST      sound, but not the model that OPTIONS expects,
 * FZ_E_SIGNATURE   sound, but not signed by the signer that OPTIONS name,
 * FZ_E_LIMIT       larger than OPTIONS allow,
 * FZ_E_PROFILE     made for another BLAS than this host's,
 * FZ_E_ANSWER      this host computes other bits than promised.    Since 0.1 */
FZ_API fz_status_t fz_model_open(const char *path,
                                 const fz_open_options_t *options,
                                 fz_model_t **out);

/* Opens the frozen file that FD refers to, from its start. FD stays the
 * caller's and its file offset is left alone. If it is sealed memory, as
 * fz_model_export_fd() gives, nothing is copied: it is hashed, verified and
 * mapped where it lies. A SIGNER needs a SIGNATURE here. Else as
 * fz_model_open().
 * Since 0.1 */
FZ_API fz_status_t fz_model_open_fd(int fd, const fz_open_options_t *options,
                                    fz_model_t **out);

/* Gives a new descriptor of the model's sealed memory, the caller's to close:
 * fz_model_open_fd() of another process, which got it over a Unix socket or by
 * inheritance, opens the same model without a copy, so that any number of
 * processes hold the weights once. Nobody can write through it. The model must
 * have been opened with FZ_OPEN_SHARE and have level 2 or 3.
 *
 * FZ_OK, FZ_E_USAGE, FZ_E_SYSTEM,
 * FZ_E_UNSUPPORTED  opened otherwise, or not sealed; or a big-endian host,
 *                   whose memory does not hold the file's bytes.  Since 0.1 */
FZ_API fz_status_t fz_model_export_fd(const fz_model_t *model, int *fd);

/* Opens a frozen file that lies in memory: the SIZE bytes at DATA, which are
 * copied and may be released on return. FZ_OPEN_MAP is refused with FZ_E_USAGE.
 * Else as fz_model_open().                                        Since 0.1 */
FZ_API fz_status_t fz_model_open_memory(const void *data, size_t size,
                                        const fz_open_options_t *options,
                                        fz_model_t **out);

/* Releases MODEL. NULL is allowed. Sessions of the model must be closed before.
 *                                                                 Since 0.1 */
FZ_API void fz_model_close(fz_model_t *model);

/* Writes the model id, the SHA-256 of the frozen file as 64 lower-case hex
 * digits and a NUL, to HEX. FZ_E_UNVERIFIED for a model opened with FZ_OPEN_MAP
 * that fz_model_verify() has not passed yet.                      Since 0.1 */
FZ_API fz_status_t fz_model_id(const fz_model_t *model, char hex[65]);

/* The numerics profile that fixes the model's bits: "portable/1", or
 * "blas/<version>/<core>" if it was frozen for OpenBLAS. Owned by the model.
 *                                                                 Since 0.1 */
FZ_API const char *fz_model_profile(const fz_model_t *model);

/* The level of protection that the model's memory has: FZ_PROTECT_.
 *                                                                 Since 0.1 */
FZ_API int32_t fz_model_protection(const fz_model_t *model);

/* Hashes the model's memory again and compares it with its id and with the
 * digest of every section. FZ_OK or FZ_E_CORRUPT.                 Since 0.1 */
FZ_API fz_status_t fz_model_verify(fz_model_t *model);

/* Checks up to BUDGET bytes (at least one block of 64 KiB) of the model's
 * memory against its checksums and goes on where the last call stopped, round
 * and round. Once it has found a difference it answers FZ_E_CORRUPT for ever,
 * and so does every run of the model.
 * Since 0.1 */
FZ_API fz_status_t fz_model_scrub(fz_model_t *model, size_t budget);

/* Runs the model on the inputs that its file gives for this purpose (made from
 * a stored seed, or given when it was frozen) and compares each output's
 * digest with the one that was stored then. FZ_OK only if all are equal;
 * FZ_E_ANSWER if this host computes other bits: the message names the outputs
 * with both digests; FZ_E_UNSUPPORTED if the file holds no known answer,
 * because it was frozen without, or because the model could not run on such
 * inputs: the message says which. Any failure of the run is one of this call.
 *                                                                 Since 0.1 */
FZ_API fz_status_t fz_model_known_answer(fz_model_t *model);

/* One input or output of a model. Dimensions that are open have dims[i] == -1;
 * dim_names[i] then is their name in the ONNX file, or "" if they have none. A
 * sequence or an optional has rank 1 and an open dimension. All strings belong
 * to the model. */
typedef struct fz_io {
    const char *name;
    int32_t dtype; /* FZ_TYPE_, or see fz_type_kind() */
    int32_t rank;  /* -1 if not even the rank is known */
    int64_t dims[FZ_RANK_MAX];
    const char *dim_names[FZ_RANK_MAX];
} fz_io_t;

/* How many inputs and outputs MODEL has.                          Since 0.1 */
FZ_API size_t fz_model_input_count(const fz_model_t *model);
FZ_API size_t fz_model_output_count(const fz_model_t *model);

/* Describes input or output INDEX in *OUT. FZ_E_USAGE if there is no such one.
 *                                                                 Since 0.1 */
FZ_API fz_status_t fz_model_input(const fz_model_t *model, size_t index,
                                  fz_io_t *out);
FZ_API fz_status_t fz_model_output(const fz_model_t *model, size_t index,
                                   fz_io_t *out);

/* What a model is made of. */
typedef struct fz_model_stats {
    uint64_t file_size;    /* bytes of the frozen file */
    uint64_t weight_size;  /* bytes of constants in it */
    uint64_t arena_size;   /* bytes a session needs; 0 if shapes are open */
    uint64_t macs;         /* multiply-accumulates of a run; 0: open shapes */
    uint64_t n_steps;      /* steps of the plan, those of subgraphs included */
    uint64_t n_constants;
} fz_model_stats_t;

/* Fills *OUT.                                                     Since 0.1 */
FZ_API fz_status_t fz_model_stats(const fz_model_t *model,
                                  fz_model_stats_t *out);

/* The text of one of the model's descriptions, or NULL if it has none of that
 * name. KEY is "provenance" (one "name value" a line: source digest, options,
 * library version), "passes" (one "name rewrites nodes" a line), "metadata"
 * (one "key value" a line: what the ONNX file says of itself), "operators"
 * (one "domain.name rev count" a line) or "known-answer" ("seed" or "inputs":
 * what it runs on; or the name of the status with which its run failed when
 * the model was frozen). Owned by the model.
 * Since 0.1 */
FZ_API const char *fz_model_text(const fz_model_t *model, const char *key);

/* A constant of a model: a weight, a table. The tensor's data is the model's
 * own memory, in the layout that it was frozen in. All is owned by the model.
 */
typedef struct fz_constant {
    const char *name;   /* of the ONNX file, or what freezing named it */
    fz_tensor_t tensor; /* data must not be written */
} fz_constant_t;

/* A step of a model's plan. All is owned by the model. */
typedef struct fz_step {
    const char *domain; /* "" for ai.onnx */
    const char *op;     /* "Conv" */
    const char *node;   /* of the ONNX file, or what freezing named it */
    int32_t opset;
    int32_t rev;
    uint32_t n_inputs;
    uint32_t n_outputs;
    const void *params; /* what attributes became: 64-bit words */
    size_t params_size;
} fz_step_t;

/* Describes constant INDEX < n_constants, or step INDEX < n_steps, of
 * fz_model_stats() in *OUT. Of a model that was opened with FZ_OPEN_MAP the
 * bytes of constants are unproved until fz_model_verify() has passed.
 * FZ_E_USAGE if there is no such one.                             Since 0.1 */
FZ_API fz_status_t fz_model_constant(const fz_model_t *model, size_t index,
                                     fz_constant_t *out);
FZ_API fz_status_t fz_model_step(const fz_model_t *model, size_t index,
                                 fz_step_t *out);

/* The name of value ARG of step INDEX: its inputs, then its outputs. "" for an
 * absent one; NULL if there is no such argument. Owned by the model.
 * Since 0.1 */
FZ_API const char *fz_model_step_value(const fz_model_t *model, size_t index,
                                       uint32_t arg);

/* Points *DATA at the ONNX file that the model was made from, *SIZE bytes, if
 * it was frozen with FZ_FREEZE_KEEP_ONNX. Owned by the model. FZ_E_UNSUPPORTED
 * if the file does not hold it.                                   Since 0.1 */
FZ_API fz_status_t fz_model_onnx(const fz_model_t *model, const void **data,
                                 size_t *size);

/* -------------------------------------------------------------- sessions */

/* One caller's scratch memory and threads for running a model. Cheap; make as
 * many per model as there are callers. One thread at a time may use one. */
typedef struct fz_session fz_session_t;

/* The caller's own parallel-for: calls TASK(ARG, i) once for each i in
 * [0, COUNT), in any order, on any threads, and returns when all have returned.
 * The result's bits do not depend on how it does so. */
typedef void (*fz_task_fn)(void *arg, size_t i);
typedef void (*fz_parallel_fn)(void *context, size_t count, fz_task_fn task,
                               void *arg);

enum {
    FZ_SESSION_RECEIPTS = 1  /* digest inputs and outputs of every run */
};

typedef struct fz_session_options {
    size_t size;             /* sizeof(fz_session_options_t) */
    int32_t threads;         /* 0 means 1; -1: as many as the host allows */
    uint32_t flags;          /* FZ_SESSION_ bits */
    fz_parallel_fn parallel; /* the caller's threads instead; may be NULL */
    void *parallel_context;
    int32_t parallel_width;  /* how many tasks PARALLEL can run at once */
    uint32_t reserved;       /* must be 0 */
    uint64_t max_arena_size; /* refuse runs that need more; 0 means 64 GiB */
} fz_session_options_t;

/* Makes a session of MODEL, which must outlive it. Threads are started by the
 * first run that uses them; after fork() the child's runs start their own. An
 * idle one waits awake for a third of a millisecond, then it sleeps.
 *
 * FZ_OK, FZ_E_USAGE, FZ_E_NOMEM.                                  Since 0.1 */
FZ_API fz_status_t fz_session_create(fz_model_t *model,
                                     const fz_session_options_t *options,
                                     fz_session_t **out);

/* Releases SESSION and the outputs that lie in it. NULL is allowed.
 *                                                                 Since 0.1 */
FZ_API void fz_session_close(fz_session_t *session);

/* Runs the model once.
 *
 * INPUTS[0 .. N_INPUTS-1] are the model's inputs in its order; N_INPUTS must
 * be fz_model_input_count(). They are only read, and not after the call
 * returns. OUTPUTS[0 .. N_OUTPUTS-1] are filled in the model's order;
 * N_OUTPUTS may be smaller than fz_model_output_count(). An output whose
 * `data` is NULL on entry stays in the session's memory, valid until its next
 * run or its end. One whose `data` is not NULL is written to the caller's
 * memory of `size` bytes; if that is too small the call fails with FZ_E_SHAPE,
 * and `dims` and `size` say what is needed. On success dtype, rank, dims and
 * size of every output are set; `size` is then the bytes of the output. What
 * elements of strings, sequences, optionals and maps point to lies in the
 * session's memory in either case, valid as long.
 *
 * After the first run with given shapes, further runs with them allocate
 * nothing and, with one thread, make no system call. That is not promised of
 * models with strings, sequences, optionals or maps. The floating-point
 * environment of the caller is neither used nor changed.
 *
 * FZ_OK, FZ_E_USAGE, FZ_E_NOMEM,
 * FZ_E_SHAPE, FZ_E_TYPE  an input does not fit the model,
 * FZ_E_VALUE             an input's values do not fit (an index, say),
 * FZ_E_CORRUPT           the model's memory was found changed,
 * FZ_E_CANCELLED, FZ_E_DEADLINE.                                   Since 0.1 */
FZ_API fz_status_t fz_session_run(fz_session_t *session,
                                  const fz_tensor_t *inputs, size_t n_inputs,
                                  fz_tensor_t *outputs, size_t n_outputs);

/* Makes runs of SESSION that last longer than MICROSECONDS from their start end
 * with FZ_E_DEADLINE; 0 means no deadline. Checked between steps and inside of
 * long ones.                                                      Since 0.1 */
FZ_API fz_status_t fz_session_set_deadline(fz_session_t *session,
                                           uint64_t microseconds);

/* Makes the run of SESSION that is under way, or else its next one, end with
 * FZ_E_CANCELLED. The one call that another thread may make while the session
 * runs; async-signal-safe.                                        Since 0.1 */
FZ_API void fz_session_cancel(fz_session_t *session);

/* Writes the receipt of SESSION's last run, which succeeded, to TEXT: one line
 * of canonical JSON (keys sorted, no spaces, no line break) with a NUL behind,
 * about 330 bytes:
 *
 *   {"input":"<64 hex digits>","library":"0.1.0","model":"<id>",
 *    "output":"<64 hex digits>","profile":"portable/1",
 *    "type":"frozen-receipt/1"}
 *
 * Input and output are what fz_tensor_digest() gives for all inputs and all
 * outputs. Whoever has the model and the inputs can run them again, on any
 * host, and must get this line. NEEDED, if not NULL, gets the bytes that TEXT
 * must have, the NUL included; with a smaller SIZE the call fails.
 *
 * The session must have been made with FZ_SESSION_RECEIPTS. Such a session
 * needs room for all outputs in fz_session_run(), else that is FZ_E_USAGE, and
 * its runs take the time to hash inputs and outputs besides.
 *
 * FZ_OK, FZ_E_USAGE (also if no run has succeeded yet, or the last one has
 * not), FZ_E_UNVERIFIED as fz_model_id(), FZ_E_LIMIT if SIZE is too small.
 *                                                                 Since 0.1 */
FZ_API fz_status_t fz_session_receipt(const fz_session_t *session, char *text,
                                      size_t size, size_t *needed);

/* Counters of a session. */
typedef struct fz_session_stats {
    uint64_t n_runs;        /* runs that succeeded */
    uint64_t n_allocations; /* allocations that runs made, of any kind */
    uint64_t arena_size;    /* bytes of the arena of the last shapes */
    uint64_t memory_size;   /* bytes that the session holds in all */
} fz_session_stats_t;

/* Fills *OUT.                                                     Since 0.1 */
FZ_API fz_status_t fz_session_stats(const fz_session_t *session,
                                    fz_session_stats_t *out);

/* Called after each step of a run while set: the step's index, its operator and
 * node names, and its outputs, which may be read until the call returns. For
 * debugging and comparing; runs are slower with it. NULL takes it away.
 *                                                                 Since 0.1 */
typedef void (*fz_trace_fn)(void *context, size_t step, const char *op,
                            const char *node, const char *const *names,
                            const fz_tensor_t *outputs, size_t n_outputs,
                            uint64_t nanoseconds);
FZ_API fz_status_t fz_session_set_trace(fz_session_t *session,
                                        fz_trace_fn trace, void *context);

/* -------------------------------------------------------------- digests */

/* Writes the SHA-256 of the SIZE bytes at DATA to DIGEST.         Since 0.1 */
FZ_API fz_status_t fz_sha256(const void *data, size_t size,
                             uint8_t digest[32]);

/* Writes the SHA-256 over the N tensors at TENSORS to DIGEST: of each one, in
 * order, its type, its rank and its dimensions as 64-bit integers, then its
 * elements, everything little-endian whatever the host is. A string is its size
 * as a 64-bit integer, then its bytes; what a sequence, an optional or a map
 * holds follows as if it were one of the tensors. FZ_OK or FZ_E_USAGE.
 *                                                                 Since 0.1 */
FZ_API fz_status_t fz_tensor_digest(const fz_tensor_t *tensors, size_t n,
                                    uint8_t digest[32]);

#ifdef __cplusplus
}
#endif

#endif
