/* The contract of an operator.
 *
 * One operator is one file: lib/ops/NAME.c ends in `const struct fz_op fz_ops_NAME[]`, one row per
 * ONNX operator that the body serves, closed by {0}; NAME stands in the list in meson.build. Its
 * test is tests/ops/NAME.txt.
 *
 * Life of a node: `lower` turns attributes into a plain params struct, once, at freeze. `infer`
 * says the outputs' types and shapes; it is called at freeze with what is known then, and again
 * whenever a session sees new shapes. `run` computes. Constant folding calls the same three.
 *
 * Trust: params and shapes come from a file that anybody may have written. `infer` checks every
 * params field and every shape that `run` uses to index memory; what infer has accepted, run may
 * rely on. Input *values* (indices, axes) are checked where they are read.
 *
 * Params structs hold only int64_t and double members (8 bytes each), no pointers, so that a file
 * can be read on a machine of the other byte order. Lists longer than FZ_RANK_MAX become constant
 * inputs (fzi_lower_constant). */
#ifndef FZ_OP_H
#define FZ_OP_H

#include <stddef.h>

#include "graph/graph.h"
#include "kernels.h"

enum { FZ_OP_MAX_IN = 16, FZ_OP_MAX_OUT = 16 }; /* of fixed operators; variadic ones have more */

struct fz_env;

/* How rows (dimension 1) of an output come from those of an input: row r reads EXTENT rows from row
 * r * stride - before on; those outside of the input are padding. stride 0: the input is needed
 * whole. */
struct fz_rows {
    int64_t stride, extent, before;
};

/* A run over some rows only: the tensors of the call are windows, their dims[1] the rows that are
 * there. The first row of the output reads the inputs with padding from BEFORE rows above their
 * windows on. */
struct fz_band {
    int64_t before;
    int64_t out_pixel; /* FZ_OP_APART: elements between the pixels of the output; 0: dense */
};

/* A call of infer or run. */
struct fz_call {
    const void *params;
    uint32_t n_in, n_out;
    /* in[i] is NULL for an absent optional input. During infer dims may be unknown (negative) and
     * in[i]->data is NULL unless the values are known already; a scalar or a list of axes often is.
     * Zero-sized tensors may have data NULL. */
    const fz_tensor_t *const *in;
    /* out[i] is NULL for an output that nobody reads. infer sets dtype, rank and dims of each that
     * is not NULL. run finds them set, with data of out[i]->size bytes. */
    fz_tensor_t *const *out;
    void *scratch; /* run: op->scratch() bytes, 64-byte aligned, uninitialised */
    const struct fz_env *env;
    const uint32_t *sub; /* subgraphs of the node, for env->eval */
    uint32_t n_sub;
    const struct fz_band *band; /* NULL: the whole output; else only what `rows` has agreed to */
};

/* What a run may use. Filled by the executor, by constant folding and by the tests. */
struct fz_env {
    const struct fzk_table *k; /* kernels for this CPU */
    uint32_t threads;          /* how many tasks may run at once; 1: none but the caller */
    /* Calls TASK(ARG, i) for i in [0, COUNT) and waits. Never NULL. COUNT should be some 4 times
     * `threads`, each task worth 10 us or more; bits must not depend on COUNT. */
    void (*parallel)(const struct fz_env *env, size_t count, fz_task_fn task, void *arg);
    /* Gives output I of the call dims that only run knows (op flag FZ_OP_LATE_SHAPE) and memory for
     * them; out[i]->data is valid after it. May be called again to grow: the bytes are kept. */
    fz_status_t (*resize)(const struct fz_call *call, uint32_t i, int32_t rank,
                          const int64_t *dims);
    /* Runs subgraph SUB of the node: IN become its inputs (n_in of them; they may be outputs of
     * its last run). OUT has room for *N_OUT pointers and gets its outputs, valid until it runs
     * again. */
    fz_status_t (*eval)(const struct fz_call *call, uint32_t sub, const fz_tensor_t *const *in,
                        uint32_t n_in, const fz_tensor_t **out, uint32_t *n_out);
    /* FZ_OK, or FZ_E_CANCELLED / FZ_E_DEADLINE; long loops of run ask now and then. */
    fz_status_t (*poll)(const struct fz_env *env);
    /* Proves that the SIZE bytes at DATA, of an input, are those that were frozen, before run reads
     * them (op flag FZ_OP_PROVES). NULL where nothing is left to be proved. */
    fz_status_t (*prove)(const struct fz_env *env, const void *data, size_t size);
    /* Memory until the run ends, for what elements of outputs point to: texts, and the values of
     * sequences. Of the calling thread only. Inputs may point into it, and outputs to where inputs
     * point. */
    struct fz_arena *heap;
    const struct fz_blas *blas; /* NULL: profile portable */
    void *owner;                /* of whoever filled this struct */
};

enum {
    FZ_OP_ANY_TYPE = 1,   /* moves elements only: half precision needs no widening around it */
    FZ_OP_LATE_SHAPE = 2, /* output dims may depend on input values beyond those infer can see */
    FZ_OP_CONTROL = 4,    /* has subgraphs */
    FZ_OP_RANDOM = 8,     /* not folded, not merged */
    FZ_OP_VIEW = 16,      /* output 0 has input 0's bytes in the same order (Reshape, Squeeze...):
                             the executor may let it alias and then skip run */
    FZ_OP_IN_PLACE = 32,  /* output 0 may lie on any input of the same size: element i of the output
                             depends on nothing but elements i of the inputs */
    FZ_OP_SHAPE_INPUT = 128, /* run reads only the dims of its inputs, never data (Shape, Size) */
    FZ_OP_NESTED = 256, /* inputs may be sequences, optionals and maps, which are refused else */
    FZ_OP_JOINS = 512,  /* with `rows`: moves whole rows of its inputs side by side */
    FZ_OP_APART = 1024, /* with `rows`: knows band->out_pixel */
    FZ_OP_CUSTOM = 2048, /* the caller's: a row of ops/custom.h */
    FZ_OP_PROVES = 8192, /* run has env->prove look at what it reads of input 0: not at all of it */
    FZ_OP_STATISTICS = 4096, /* outputs 1 and 2 are float32 beside a result of half precision */
    FZ_OP_HALF = 64 /* run itself handles f16 and bf16; else freeze wraps the node in Casts */
};

struct fz_lower; /* what lower may ask for beside the node */

struct fz_op {
    const char *name, *domain; /* "Conv", "" (ai.onnx); "frozen" for operators that passes make */
    int16_t since, until;      /* opset versions of domain; until 0: no end */
    int16_t rev;               /* raised when one output bit changes for one input */
    uint16_t flags;
    uint8_t min_in, max_in;    /* max 255: any number */
    uint8_t min_out, max_out;
    const char *attrs;         /* attribute names that lower knows, separated by blanks */
    size_t params_size;
    size_t round_at;           /* offset in params of an int64_t: FZK_ROUND_F16 or FZK_ROUND_BF16
                                  there rounds float32 results to half precision. 0: has none */
    int64_t kind;              /* families: which row of the body's table; copied nowhere */

    /* Reads attributes into PARAMS (zeroed, params_size bytes). May append constant inputs to the
     * node. NULL: no params. */
    fz_status_t (*lower)(struct fz_lower *lower, struct fz_node *node, void *params);
    fz_status_t (*infer)(const struct fz_op *op, const struct fz_call *call);
    /* Bytes of scratch for these shapes (all known). NULL: none. */
    size_t (*scratch)(const struct fz_op *op, const struct fz_call *call);
    fz_status_t (*run)(const struct fz_op *op, const struct fz_call *call);
    /* True if scratch and run know bands of this call, whose shapes are known: its only output and
     * some inputs are [N, rows, ...]. Fills ROWS for each input; a band begins at a multiple of
     * *ALIGN. NULL: none, but FZ_OP_IN_PLACE goes by rows anyway. */
    bool (*rows)(const struct fz_op *op, const struct fz_call *call, struct fz_rows *rows,
                 int64_t *align);
    /* Makes nodes that stand for NODE and takes it away (compose.h). An operator without `run` is
     * always taken away, and never is in a plan; one with `run` may leave NODE as it is. */
    fz_status_t (*compose)(struct fz_lower *lower, struct fz_node *node);
    /* FZ_OP_CONTROL, instead of infer: types of the subgraphs' inputs (INNER, before they are
     * inferred), then of NODE's outputs from what the subgraphs give. */
    fz_status_t (*infer_control)(struct fz_node *node, bool inner);
    /* Multiply-accumulates for these shapes, for `fz info`. NULL: none. */
    uint64_t (*macs)(const struct fz_op *op, const struct fz_call *call);
};

/* The operator of DOMAIN and NAME that serves OPSET; NULL if there is none. fzi_op_known says
 * whether another opset would have one. OPSET 0: the newest. */
const struct fz_op *fzi_op_find(const char *domain, const char *name, int32_t opset);
bool fzi_op_known(const char *domain, const char *name);
/* Row I of all operators, NULL behind the last: for tables and tests. */
const struct fz_op *fzi_op_at(size_t i);

/* The same text for the same graph: one line a node, subgraphs indented. For tests. */
void fzi_graph_print(const struct fz_graph *graph, struct fz_text *out);

/* ---- for lower */
struct fz_lower {
    struct fz_graph *graph;
    const char *numerics; /* "portable" or "blas" */
    uint64_t flags;       /* FZ_FREEZE_ bits */
};
/* Appends a constant input to NODE at index I (or later inputs shift never: gaps become absent).
 * The data are copied. */
fz_status_t fzi_lower_constant(struct fz_lower *lower, struct fz_node *node, uint32_t i,
                               int32_t dtype, int64_t n, const void *data);

/* ---- for infer */
/* Calls op->infer: nothing else does. */
fz_status_t fzi_op_infer(const struct fz_op *op, const struct fz_call *call);
/* FZ_E_TYPE unless input I is absent or of one of the types in SET. */
fz_status_t fzi_infer_type(const struct fz_op *op, const struct fz_call *call, uint32_t i,
                           uint64_t set);
/* Output I gets DTYPE and T's shape; nothing if the output is absent. */
void fzi_infer_like(const struct fz_call *call, uint32_t i, int32_t dtype, const fz_tensor_t *t);
void fzi_infer_shape(const struct fz_call *call, uint32_t i, int32_t dtype, int32_t rank,
                     const int64_t *dims);
void fzi_infer_unknown(const struct fz_call *call, uint32_t i, int32_t dtype); /* rank unknown */
/* NumPy broadcasting of N shapes into OUT's rank and dims (dtype untouched). Unknown dims stay
 * unknown unless another one decides. FZ_E_SHAPE names OP. */
fz_status_t fzi_infer_broadcast(const struct fz_op *op, const fz_tensor_t *const *in, uint32_t n,
                                fz_tensor_t *out);
/* Reads input I as a list of int64 (type int32 or int64, rank 0 or 1, at most MAX). *N is -1 if it
 * is absent, -2 if its values are not known yet. */
fz_status_t fzi_infer_list(const struct fz_op *op, const struct fz_call *call, uint32_t i,
                           int64_t *out, int32_t max, int32_t *n);
/* Axes as a bit set of dimensions: from input I if present, else from LIST. Checks range and
 * repetition. *KNOWN is false while the input's values are unknown. */
fz_status_t fzi_infer_axes(const struct fz_op *op, const struct fz_call *call, uint32_t i,
                           const int64_t *list, int64_t n, int32_t rank, uint32_t *mask,
                           bool *known);

/* ---- for run */
/* Multiply-accumulates of a float product that are worth a task of their own: some 10 us. */
enum { FZ_TASK_MACS = 300000 };
/* How many tasks WORK is worth, of GRAIN or more each: four for each thread at most, and the same
 * number for each; 1 for one thread. */
int64_t fzi_run_tasks(const struct fz_env *env, uint64_t work, uint64_t grain);
/* COUNT or somewhat more, at most MOST, so that COUNT groups of EACH units are the same number for
 * every thread; COUNT if there is no such number. */
int64_t fzi_run_even(const struct fz_env *env, int64_t count, int64_t each, int64_t most);
/* Splits [0, N) into nearly equal chunks of at least GRAIN and calls RANGE(arg, begin, end) on
 * them, on several threads if there are. Bits must not depend on where the cuts are. When the run
 * is cancelled the rest is left undone. */
typedef void (*fz_range_fn)(void *arg, int64_t begin, int64_t end);
void fzi_run_range(const struct fz_env *env, int64_t n, int64_t grain, fz_range_fn range,
                   void *arg);

/* Which of COUNT tasks is likely the next one of whoever runs task I, so that what it reads can be
 * fetched ahead: the executor's caller takes tasks from the first one on, its workers from the last
 * one down. -1: none. */
int64_t fzi_next_task(const struct fz_env *env, int64_t i, int64_t count);

/* ---- one node by hand: what constant folding and the operator tests use */
/* Infers and runs NODE (lowered, all inputs constant) with ENV and gives each output data in ARENA.
 * FZ_E_UNSUPPORTED for operators with subgraphs. */
fz_status_t fzi_op_evaluate(const struct fz_op *op, const void *params,
                            const fz_tensor_t *const *in, uint32_t n_in, fz_tensor_t *out,
                            uint32_t n_out, struct fz_arena *arena, const struct fzk_table *k);

#endif
