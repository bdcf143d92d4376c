/* A node under test. */
#ifndef FZ_TEST_SUBJECT_H
#define FZ_TEST_SUBJECT_H

#include "ops/op.h"

/* The node of a case, lowered. */
struct subject {
    const struct fz_op *op;
    struct fz_node *node;
    const fz_tensor_t **in; /* the node's inputs, those that lower appends included */
    uint32_t n_in, n_out;
    const struct fzk_table *k;
    struct fz_value **results; /* of an operator that is composed of others, in place of all above */
};

/* Runs S with params, values, dims and types that nobody has made on purpose, each in turn, in a
 * child process: infer must refuse them or run must cope. False if the child died; WHAT then says
 * of what. */
bool hostile_case(const struct subject *s, char *what, size_t size);

/* Notes which types the operator of S, a case that passes, accepts; prints all that was noted, a
 * line an operator: number of its file in the table, domain, name, since, until, rev, types. */
void types_case(const struct subject *s);
void types_print(void);

#endif
