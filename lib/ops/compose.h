/* For operators that are written as others: how `compose` makes the nodes that stand for one.
 *
 * The bits of such an operator are those of its nodes, one by one; what the passes do with nodes
 * they do with these. Calls may be nested without a look at each result: after a failure, which the
 * builder remembers, everything gives NULL, and `fzi_compose_done` gives the status. */
#ifndef FZ_OPS_COMPOSE_H
#define FZ_OPS_COMPOSE_H

#include "ops/op.h"

struct fz_compose {
    struct fz_lower *lower;
    struct fz_node *node; /* that is composed: new nodes stand before it */
    struct fz_value *out[FZ_OP_MAX_OUT]; /* what takes the place of its outputs */
    fz_status_t status;
};

enum { FZ_COMPOSE_OPSET = 24 }; /* of the nodes of ai.onnx that are made */

/* Lists for the calls below. */
#define FZ_IN(...) (struct fz_value *const[]){__VA_ARGS__},                                        \
                   sizeof((struct fz_value *const[]){__VA_ARGS__}) / sizeof(struct fz_value *)
#define FZ_ATTRS(...) (const struct fz_attr[]){__VA_ARGS__},                                       \
                      sizeof((const struct fz_attr[]){__VA_ARGS__}) / sizeof(struct fz_attr)
#define FZ_NO_ATTRS NULL, 0

#define FZ_ATTR_OF_INT(key, value) {.name = key, .kind = FZ_ATTR_INT, .i = value}
#define FZ_ATTR_OF_FLOAT(key, value) {.name = key, .kind = FZ_ATTR_FLOAT, .f = (float)(value)}
#define FZ_ATTR_OF_INTS(key, values, count)                                                        \
    {.name = key, .kind = FZ_ATTR_INTS, .n = (size_t)(count), .ints = values}

/* A node of ai.onnx with one output, which is returned. Values that are NULL are absent inputs. */
struct fz_value *fzi_compose(struct fz_compose *e, const char *type, struct fz_value *const *in,
                            size_t n_in, const struct fz_attr *attrs, size_t n_attrs);
/* A node of any domain and opset with N_OUT outputs; NULL after a failure. */
struct fz_node *fzi_compose_node(struct fz_compose *e, const char *domain, const char *type,
                                int32_t opset, struct fz_value *const *in, size_t n_in,
                                uint32_t n_out, const struct fz_attr *attrs, size_t n_attrs);

/* Constants: a list of N (rank 1), one integer (rank 0), one binary32 number (rank 0). */
struct fz_value *fzi_compose_ints(struct fz_compose *e, const int64_t *values, int64_t n);
struct fz_value *fzi_compose_int(struct fz_compose *e, int64_t value);
struct fz_value *fzi_compose_floats(struct fz_compose *e, const float *values, int64_t n);
struct fz_value *fzi_compose_float(struct fz_compose *e, double value);

/* Steps that many need. An axis is a constant; DTYPE is an element type. */
struct fz_value *fzi_compose_cast(struct fz_compose *e, struct fz_value *x, int32_t dtype);
struct fz_value *fzi_compose_transpose(struct fz_compose *e, struct fz_value *x,
                                      const int64_t *perm, int32_t rank);
struct fz_value *fzi_compose_reshape(struct fz_compose *e, struct fz_value *x, const int64_t *dims,
                                    int64_t n);
struct fz_value *fzi_compose_unsqueeze(struct fz_compose *e, struct fz_value *x,
                                      const int64_t *axes, int64_t n);
/* Dimension I of X as a scalar. */
struct fz_value *fzi_compose_dim(struct fz_compose *e, struct fz_value *x, int64_t i);
/* Element I of list X (rank 1) as a scalar; with more dimensions, part I of the first. */
struct fz_value *fzi_compose_pick(struct fz_compose *e, struct fz_value *x, int64_t i);

/* An attribute of the node that is composed, as it stands there, under NAME; a copy goes into
 * LIST[*N] and *N grows. Nothing if there is none. */
void fzi_compose_keep(struct fz_compose *e, const char *name, struct fz_attr *list, size_t *n);
/* Fails unless the node has each input whose bit is set in INPUTS. */
void fzi_compose_need(struct fz_compose *e, uint32_t inputs);
/* Remembers that the node cannot be composed. */
void fzi_compose_fail(struct fz_compose *e, fz_status_t status);
/* The rank of value X, which must be known: else a failure that names WHAT, and 0. */
int32_t fzi_compose_rank(struct fz_compose *e, const struct fz_value *x, const char *what);

/* Lets every reader of output I of the node read e->out[i], and takes the node away: its op is NULL
 * then. */
fz_status_t fzi_compose_done(struct fz_compose *e);

#endif
