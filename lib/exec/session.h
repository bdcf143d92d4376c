/* Sessions: one caller's scratch for one model, and the bindings of it to input shapes. */
#ifndef FZ_EXEC_SESSION_H
#define FZ_EXEC_SESSION_H

#include "exec/model.h"
#include "exec/pool.h"
#include "exec/receipt.h"

enum { FZ_BINDINGS_MAX = 8 };

/* Where a value's bytes are. */
enum fz_place_kind {
    FZ_PLACE_NONE,  /* not known: a value of a nested block or behind one, in a buffer of its own */
    FZ_PLACE_FIXED, /* a constant, or computed from shapes alone when bound */
    FZ_PLACE_INPUT, /* the caller's memory, new in every run */
    FZ_PLACE_VIEW,  /* the bytes of a model input under another shape */
    FZ_PLACE_ARENA, /* at an offset of the arena */
    FZ_PLACE_WINDOW /* nowhere as a whole: it lives inside of a chain */
};

struct fz_place {
    uint32_t kind;
    uint32_t root;    /* VIEW: the input's value; ARENA: the value whose offset this one shares */
    uint64_t off;     /* ARENA */
};

enum {
    FZ_STEP_SKIP = 1,   /* nothing to do: a view, or computed when bound */
    FZ_STEP_LATE = 2,   /* shapes are known only when its inputs have been computed */
    FZ_STEP_CHECK = 4   /* has weights whose pages are not verified yet */
};

struct fz_bound_step {
    const struct fz_op *op;
    struct fz_call call;
    uint32_t flags;
    uint64_t scratch_off, scratch_size;
};

/* All that a run needs for one set of input shapes. */
struct fz_binding {
    struct fz_arena memory;
    uint64_t last_run;          /* for replacing the oldest */
    fz_tensor_t *values;
    const fz_tensor_t **args;   /* plan.args as pointers into values */
    struct fz_bound_step *steps;
    struct fz_place *places;
    struct fz_chain **chain_of; /* per step: the chain that it is part of, or NULL */
    const void *arena_base;     /* that the data pointers were made for */
    uint64_t arena_size;
    uint64_t macs;
    bool has_views;             /* of model inputs */
};

struct fz_buffer {
    void *data;
    size_t size;
};

struct fz_session {
    struct fz_model *model;
    struct fz_env env;
    struct fz_pool *pool;
    fz_session_options_t options;
    struct fz_binding *bindings[FZ_BINDINGS_MAX];
    struct fz_binding *current;
    struct fz_buffer arena;
    struct fz_buffer scratch;   /* of late steps */
    struct fz_arena heap;       /* of a run: what elements of strings and sequences point to */
    size_t heap_blocks;         /* of `heap`, as counted */
    struct fz_buffer *late;     /* per value */
    struct fz_buffer *spare;    /* per value: a block input's last bytes while it gets new ones */
    struct fz_buffer *outputs;  /* per model output that must be copied */
    uint64_t n_runs, n_allocations, memory_size;
    uint64_t arena_wanted, macs; /* of the newest binding */
    uint64_t deadline_us, deadline_ns; /* per run; absolute end of this one, 0: none */
    atomic_bool cancelled;
    struct fz_receipt receipt;
    fz_trace_fn trace; /* then every step runs by itself */
    void *trace_context;
};

fz_status_t fzi_session_new(struct fz_model *model, const fz_session_options_t *options,
                            struct fz_session **out);
void fzi_session_free(struct fz_session *session);
fz_status_t fzi_session_run(struct fz_session *session, const fz_tensor_t *inputs,
                            size_t n_inputs, fz_tensor_t *outputs, size_t n_outputs);

/* Finds or makes the binding for these inputs and makes it current. */
fz_status_t fzi_session_bind(struct fz_session *session, const fz_tensor_t *inputs);
void fzi_binding_free(struct fz_binding *binding);
/* Forgets all bindings: what steps are to do has changed. */
void fzi_session_unbind(struct fz_session *session);
/* Lets BUFFER hold at least SIZE bytes and 64 more; its bytes are lost when it grows. */
fz_status_t fzi_session_grow(struct fz_session *session, struct fz_buffer *buffer, size_t size);
/* Adds what a run has allocated in the heap to the counters. */
void fzi_session_count_heap(struct fz_session *session);
/* Puts operator, node and opset in front of the thread's message. */
fz_status_t fzi_session_blame(const struct fz_session *session, uint32_t step, fz_status_t status);

#endif
