/* The plan: a model as flat tables without pointers. It is what lies in the frozen file, what is
 * hashed, and what the executor walks; a struct fz_plan only says where the tables are.
 *
 * Every table has one element width, so that a file can be read on a machine of the other byte
 * order by swapping whole sections. Indices refer to records of other tables. Strings are offsets
 * into the string section, NUL-terminated there; offset 0 is "". */
#ifndef FZ_PLAN_H
#define FZ_PLAN_H

#include "ops/custom.h"

#define FZ_NONE UINT32_MAX /* an absent value, constant or name */

/* Kinds of sections, in file order. A kind's number never changes. */
enum fz_section_kind {
    FZ_SECTION_STRINGS = 1,  /* width 1 */
    FZ_SECTION_OPS = 2,      /* struct fz_plan_op, width 4 */
    FZ_SECTION_VALUES = 3,   /* struct fz_plan_value, width 4 */
    FZ_SECTION_DIMS = 4,     /* int64_t, width 8 */
    FZ_SECTION_STEPS = 5,    /* struct fz_plan_step, width 4 */
    FZ_SECTION_ARGS = 6,     /* uint32_t: value or block indices, width 4 */
    FZ_SECTION_BLOCKS = 7,   /* struct fz_plan_block, width 4 */
    FZ_SECTION_PARAMS = 8,   /* 8-byte params members, width 8 */
    FZ_SECTION_CONSTS = 9,   /* struct fz_plan_const, width 8 */
    FZ_SECTION_IO = 10,      /* struct fz_plan_io, width 4: inputs, then outputs */
    FZ_SECTION_SYMBOLS = 11, /* uint32_t: strings, width 4 */
    FZ_SECTION_TEXTS = 12,   /* pairs of strings offsets (key, text), width 4 */
    FZ_SECTION_KAT = 13,     /* struct fz_plan_kat, width 4 */
    FZ_SECTION_TABLES = 14,  /* data of constants below FZ_TABLE_MAX bytes or that steer indexing */
    FZ_SECTION_WEIGHTS = 15, /* data of all other constants, each 64-byte aligned */
    FZ_SECTION_ONNX = 16     /* the original file, width 1; optional */
};
enum { FZ_SECTION_KINDS = 17, FZ_TABLE_MAX = 4096 };

/* A custom operator's opset has the bit FZ_PLAN_CUSTOM, and its `rev` is a string that names the
 * implementation: "3 sha256:<64 hex digits>", its version and its digest. */
#define FZ_PLAN_CUSTOM 0x80000000u
struct fz_plan_op {
    uint32_t name, domain; /* strings */
    uint32_t opset;        /* that finds the row of the operator's table */
    uint32_t rev;
};

enum fz_value_kind { FZ_VALUE_CONST = 1, FZ_VALUE_INPUT = 2, FZ_VALUE_STEP = 3,
                     FZ_VALUE_BLOCK_INPUT = 4 };

struct fz_plan_value {
    uint32_t name;     /* string */
    uint32_t kind;     /* enum fz_value_kind */
    uint32_t dtype;
    uint32_t rank;     /* FZ_NONE: unknown */
    uint32_t dims;     /* first of rank entries in the dims table; negative ones as in tensor.h */
    uint32_t
        source; /* CONST: constant; INPUT: number of the input; STEP: step; BLOCK_INPUT: block */
};

struct fz_plan_step {
    uint32_t op;
    uint32_t name;                 /* the node's name, a string */
    uint32_t args;                 /* first of n_in inputs, n_out outputs, n_sub blocks */
    uint32_t n_in, n_out, n_sub;
    uint32_t params, params_size;  /* offset in 8-byte words; bytes */
};

/* Block 0 is the model; the others are subgraphs. A block's values are numbered over the whole
 * plan, so a captured value is simply a value of an enclosing block. */
struct fz_plan_block {
    uint32_t parent;               /* block, FZ_NONE for block 0 */
    uint32_t step, n_steps;        /* its steps, in order; nested blocks' steps lie elsewhere */
    uint32_t inputs, n_inputs;     /* args: values (block 0: the model's inputs) */
    uint32_t outputs, n_outputs;   /* args: values, FZ_NONE is not allowed */
};

struct fz_plan_const {
    uint64_t section;              /* FZ_SECTION_TABLES or FZ_SECTION_WEIGHTS */
    uint64_t off, size;            /* from the section's start; off is a multiple of 64 */
    uint64_t width;                /* bytes of one element, for swapping: 1, 2, 4 or 8 */
};

struct fz_plan_io {
    uint32_t value;
    uint32_t name;                 /* string */
    uint32_t is_output;
};

/* The known-answer run: seed of the generated inputs, or the values that hold given ones, and
 * digest of all outputs. Behind such a record (state 1 or 3) stands one for each output, in state
 * 4, with the output's number and its own digest, so that a difference can be named. */
struct fz_plan_kat {
    uint32_t state;                /* 0: none; 1: digest valid; 2: the run failed, see `status`; 3:
                                      digest valid, the inputs are the values from seed_low on; 4:
                                      of output seed_low */
    uint32_t status;
    uint32_t seed_low, seed_high;
    uint32_t digest[8];            /* SHA-256, as big-endian words */
};

struct fz_plan {
    const char *strings;
    size_t strings_size;
    const struct fz_plan_op *ops;
    const struct fz_plan_value *values;
    const int64_t *dims;
    const struct fz_plan_step *steps;
    const uint32_t *args;
    const struct fz_plan_block *blocks;
    const uint64_t *params;
    const struct fz_plan_const *consts;
    const struct fz_plan_io *io;
    const uint32_t *symbols;
    const uint32_t *texts;
    const struct fz_plan_kat *kat;   /* NULL if the section is empty; else n_kat records */
    const uint8_t *tables, *weights; /* section starts; weights may be mapped from the file */
    size_t n_ops, n_values, n_dims, n_steps, n_args, n_blocks, n_params, n_consts, n_io, n_symbols,
        n_texts, n_kat; /* n_params in 8-byte words, n_texts in pairs */
    uint64_t tables_size, weights_size;
    size_t n_inputs, n_outputs;      /* of io */
    const struct fz_custom_ops *custom; /* no table of the file: what its custom operators are; may
                                           be NULL */
};

/* The operator that record I of PLAN's operators names, whose strings are proved; NULL if this
 * library and PLAN's custom operators have none that gives the same bits. */
const struct fz_op *fzi_plan_find_op(const struct fz_plan *plan, size_t i);

/* What the writer needs to make a file of a plan: the plan's tables plus, for each constant, where
 * its bytes are now. Sections TABLES and WEIGHTS are laid out by plan.consts[].off. */
struct fz_plan_source {
    struct fz_plan plan;             /* tables, weights NULL */
    const void *const *const_data;   /* n_consts pointers */
    const char *profile;             /* "portable/1" */
    uint64_t arena_size, macs;       /* 0: open shapes */
    const void *onnx;                /* original bytes to keep, or NULL */
    size_t onnx_size;
};

#endif
