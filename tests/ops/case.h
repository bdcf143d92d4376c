/* Operator test cases as text: README.md describes the format. */
#ifndef FZ_TEST_CASE_H
#define FZ_TEST_CASE_H

#include <stdio.h>

#include "graph/graph.h"

enum { CASE_MAX_IN = 64, CASE_MAX_OUT = 16, CASE_MAX_ATTRS = 64 };

struct case_tensor {
    fz_tensor_t t;
    bool absent;
    double tolerance; /* 0: every bit counts */
};

struct op_case {
    int line;              /* of the word `op` */
    const char *domain, *name;
    int32_t opset;
    struct fz_attr attrs[CASE_MAX_ATTRS];
    uint32_t n_attrs;
    struct case_tensor in[CASE_MAX_IN], out[CASE_MAX_OUT];
    uint32_t n_in, n_out;
    fz_status_t refuse;    /* FZ_OK: the case must pass */
    struct fz_arena *arena; /* owns all of the above */
};

struct case_reader {
    FILE *file;
    const char *path;
    int line, start;    /* the physical line read last; where the logical line at hand begins */
    char *text, *ahead; /* the logical line at hand; the physical line behind it */
    size_t ahead_size;
};

/* Reads the next case. 1: *OUT is one; 0: the file has ended; -1: the text is wrong, which has been
 * said on stderr. */
int case_read(struct case_reader *reader, struct fz_arena *arena, struct op_case *out);

const char *case_status_name(fz_status_t status);

#endif
