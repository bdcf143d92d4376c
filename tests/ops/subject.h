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

/* Runs S, a case that passes, with inputs of other types as far as the operator of S has not run
 * with them yet: CHECK runs a changed S, and if CLOSE compares it with what the case expects. False
 * if one is BROKEN. */
enum outcome { REFUSED, FAILED, DIFFERS, BROKEN, RAN };
typedef enum outcome (*type_check)(const struct subject *s, bool close);
bool types_case(const struct subject *s, type_check check);
/* False if an operator takes float64 and never said what float32 says. */
bool types_agree(void);
/* Prints all that was noted, a line an operator: number of its file in the table, domain, name,
 * since, until, rev, attributes, whether it is composed of others, types of each input. */
void types_print(void);

#endif
