/* The graph: nodes in execution order, values that they read and write, subgraphs of If, Loop and
 * Scan inside of nodes. Import makes it, passes rewrite it, the plan flattens it. All of it lies in
 * one arena and is released at once.
 *
 * Invariants (fzi_graph_check): every value has at most one producer; nodes stand behind the
 * producers of what they read, those of outer graphs included; a constant has a known shape, data
 * and no producer; an absent optional input or output is NULL. */
#ifndef FZ_GRAPH_H
#define FZ_GRAPH_H

#include "tensor/tensor.h"

struct fz_op;         /* ops/op.h */
struct fz_custom_ops; /* ops/custom.h */
struct fz_graph;
struct fz_node;

struct fz_value {
    const char *name;          /* never NULL; unique names are not promised */
    fz_tensor_t t;             /* what is known: dtype (0: unknown), rank, dims; data != NULL: a
                                  constant, whose bytes the arena or the source file owns */
    struct fz_node *producer;  /* NULL: a graph input, a constant, or unused */
    struct fz_graph *graph;    /* where it is defined */
    uint32_t n_uses;           /* kept by fzi_graph_count_uses(): inputs and graph outputs */
    struct fz_node *reader;    /* kept likewise: the last of them, NULL if that is an output */
    uint32_t id;               /* free for the pass that runs */
    void *note;                /* free for the pass that runs */
};

enum fz_attr_kind { FZ_ATTR_INT, FZ_ATTR_FLOAT, FZ_ATTR_STRING, FZ_ATTR_TENSOR, FZ_ATTR_GRAPH,
                    FZ_ATTR_INTS, FZ_ATTR_FLOATS, FZ_ATTR_STRINGS, FZ_ATTR_TENSORS,
                    FZ_ATTR_GRAPHS };

struct fz_attr {
    const char *name;
    enum fz_attr_kind kind;
    size_t n;                         /* of lists; bytes of a string */
    int64_t i;
    float f;
    const char *s;                    /* NUL-terminated, may hold NULs */
    const int64_t *ints;
    const float *floats;
    const struct fz_string *strings;
    const fz_tensor_t *tensors;       /* TENSOR: one */
    struct fz_graph **graphs;         /* GRAPH: one; also in node->sub */
};

struct fz_node {
    struct fz_node *prev, *next;
    const struct fz_op *op;           /* set by fzi_graph_resolve() or by the pass that made it */
    const char *type, *domain;        /* "Conv", "" */
    int32_t opset;                    /* version of domain that the node was written for */
    const char *name;                 /* for messages, never NULL */
    struct fz_value **in, **out;
    uint32_t n_in, n_out;
    struct fz_attr *attrs;
    uint32_t n_attrs;
    struct fz_graph **sub;            /* subgraphs, in the order that op->lower defines */
    uint32_t n_sub;
    void *params;                     /* op->params_size bytes once lowered, else NULL */
    uint32_t mark;                    /* free for the pass that runs */
};

/* What all graphs of a model share. */
struct fz_model_info {
    const char **symbols;             /* names of symbolic dimensions */
    uint32_t n_symbols;
    int64_t ir_version;
    const char *producer, *producer_version, *doc, *graph_name;
    struct fz_string *metadata;       /* key, value, key, value ... */
    uint32_t n_metadata;              /* pairs */
    const struct fz_custom_ops *custom; /* operators that the caller brings along; may be NULL */
};

struct fz_graph {
    struct fz_arena *arena;
    struct fz_model_info *info;
    struct fz_graph *parent;          /* NULL: the main graph */
    const char *name;
    struct fz_node *first, *last;
    struct fz_value **inputs, **outputs;
    const char **output_names;        /* main graph: the public names, whatever the values are */
    struct fz_value **kept;           /* main graph: constants that the plan holds unread */
    uint32_t n_inputs, n_outputs, n_kept;
    uint32_t n_nodes;
};

/* All of these give NULL (or FZ_E_NOMEM) when the arena is exhausted. Strings are not copied. */
struct fz_graph *fzi_graph_new(struct fz_arena *arena, struct fz_graph *parent, const char *name);
struct fz_value *fzi_graph_value(struct fz_graph *graph, const char *name);
/* A constant of T's dtype and shape over T's data, which must live as long as the graph. */
struct fz_value *fzi_graph_constant(struct fz_graph *graph, const char *name, const fz_tensor_t *t);
/* A constant of RANK dims with fresh zeroed data, for the caller to fill. */
struct fz_value *fzi_graph_new_constant(struct fz_graph *graph, const char *name, int32_t dtype,
                                        int32_t rank, const int64_t *dims);
/* A new node before BEFORE (NULL: at the end), with room for its inputs and outputs, all NULL. */
struct fz_node *fzi_graph_node(struct fz_graph *graph, struct fz_node *before,
                               const struct fz_op *op, const char *name, uint32_t n_in,
                               uint32_t n_out);
/* Gives NODE output I a value of its own and returns it. */
struct fz_value *fzi_node_output(struct fz_graph *graph, struct fz_node *node, uint32_t i,
                                 const char *name);
/* Takes NODE out of its list; its outputs lose their producer. */
void fzi_graph_remove(struct fz_graph *graph, struct fz_node *node);
/* Moves NODE before BEFORE (NULL: to the end). */
void fzi_graph_move(struct fz_graph *graph, struct fz_node *node, struct fz_node *before);
/* Moves NODE and the values that it makes from graph FROM to GRAPH, before BEFORE. */
void fzi_graph_adopt(struct fz_graph *graph, struct fz_node *node, struct fz_graph *from,
                     struct fz_node *before);
/* Lets every reader of OLD in GRAPH and its subgraphs, graph outputs included, read NEW. */
void fzi_graph_replace(struct fz_graph *graph, struct fz_value *old_value,
                       struct fz_value *new_value);
/* Counts the readers of every value (n_uses), those in subgraphs and graph outputs included. */
void fzi_graph_count_uses(struct fz_graph *graph);
/* The only node that reads VALUE if exactly one does, once, and it is no graph output; else NULL.
 * Needs fresh counts. */
struct fz_node *fzi_value_reader(const struct fz_value *value);
fz_status_t fzi_graph_check(const struct fz_graph *graph); /* FZ_E_INTERNAL names what is broken */

/* ---- attributes, for op->lower. A missing attribute gives DEFAULT; one of another kind is an
 * error that names it. */
const struct fz_attr *fzi_attr(const struct fz_node *node, const char *name);
fz_status_t fzi_attr_int(const struct fz_node *node, const char *name, int64_t def, int64_t *out);
fz_status_t fzi_attr_float(const struct fz_node *node, const char *name, float def, double *out);
/* *OUT and *N keep their values when there is no such attribute. */
fz_status_t fzi_attr_ints(const struct fz_node *node, const char *name, const int64_t **out,
                          size_t *n);
fz_status_t fzi_attr_floats(const struct fz_node *node, const char *name, const float **out,
                            size_t *n);
/* Index of the attribute's text in NAMES, a list that ends in NULL; FZ_E_UNSUPPORTED if it is not
 * in it; DEF if there is no such attribute. */
fz_status_t fzi_attr_choice(const struct fz_node *node, const char *name,
                            const char *const *names, int64_t def, int64_t *out);

static inline bool fzi_is_constant(const struct fz_value *v) { return v && v->t.data; }
/* Input I of NODE, or NULL when absent. */
static inline struct fz_value *fzi_in(const struct fz_node *node, uint32_t i) {
    return i < node->n_in ? node->in[i] : NULL;
}
static inline struct fz_value *fzi_out(const struct fz_node *node, uint32_t i) {
    return i < node->n_out ? node->out[i] : NULL;
}

#endif
