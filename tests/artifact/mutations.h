/* One change of a good file for each rule that a reader must hold. */
#ifndef FZ_TEST_MUTATIONS_H
#define FZ_TEST_MUTATIONS_H

#include "plan/plan.h"

struct mutation {
    unsigned flags;           /* of the sample */
    enum fz_section_kind kind; /* 0: off is from the file's start */
    size_t off, size;         /* bytes to change, at most 8 */
    uint64_t value;
    fz_status_t status;
    const char *message;      /* part of what fz_last_error() says */
};
extern const struct mutation mutations[];
extern const size_t n_mutations;

#endif
