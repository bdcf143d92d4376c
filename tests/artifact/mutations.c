/* One change of a good file for each rule. Checksums and digests are made right after the change,
 * so only the rule itself can refuse it. The records are those of sample.c. */
#include "mutations.h"

#include "sample.h"

#define BAD FZ_E_FORMAT
#define HEAD(member, value, message)                                                               \
    {0, 0, offsetof(struct fz_file_header, member), sizeof(((struct fz_file_header *)0)->member),  \
     value, BAD, message},
#define RECORD(flags, kind, type, i, member, value, status, message)                               \
    {flags, FZ_SECTION_##kind, (i) * sizeof(struct type) + offsetof(struct type, member),          \
     sizeof(((struct type *)0)->member), value, status, message},
#define OP(i, member, value, status, message)                                                      \
    RECORD(0, OPS, fz_plan_op, i, member, value, status, message)
#define VALUE(i, member, value, message)                                                           \
    RECORD(SAMPLE_BIG, VALUES, fz_plan_value, i, member, value, BAD, message)
#define STEP(i, member, value, message)                                                            \
    RECORD(0, STEPS, fz_plan_step, i, member, value, BAD, message)
#define BLOCK(i, member, value, message)                                                           \
    RECORD(0, BLOCKS, fz_plan_block, i, member, value, BAD, message)
#define CONST(i, member, value, message)                                                           \
    RECORD(SAMPLE_BIG, CONSTS, fz_plan_const, i, member, value, BAD, message)
#define IO(i, member, value, message) RECORD(0, IO, fz_plan_io, i, member, value, BAD, message)
#define ARG(i, value, message) {0, FZ_SECTION_ARGS, (i) * 4, 4, value, BAD, message},
#define BYTE(flags, kind, off, value, message)                                                     \
    {flags, FZ_SECTION_##kind, off, 1, value, BAD, message},

enum { V_X, V_COND, V_V, V_W, V_TABLE, V_C, V_L, V_NUMBER, V_GO, V_N, V_I, V_BOOLS, V_TEXTS,
       V_WEIGHTS, V_FLAGS };

const struct mutation mutations[] = {
    /* the header */
    {0, 0, 0, 1, 'X', BAD, "not a frozen file"},
    {0, 0, 15, 1, 1, BAD, "not a frozen file"},
    HEAD(version, 2, "has format 2")
    HEAD(n_sections, 14, "14 sections")
    HEAD(n_sections, 17, "17 sections")
    HEAD(n_sections, 16, "row 16 is not section onnx")
    HEAD(file_size, 4096, "file size")
    HEAD(crc_off, 4096, "the checksums are not where")
    HEAD(crc_count, 0, "the checksums are not where")
    HEAD(weight_size, 36, "weight size")
    HEAD(profile[0], 0, "names no numerics profile")
    HEAD(profile[20], 'x', "names no numerics profile")
    HEAD(sections[0].kind, 2, "row 1 is not section strings")
    HEAD(sections[3].kind, 5, "row 4 is not section dims")
    HEAD(sections[1].width, 8, "the element width is not 4")
    HEAD(sections[1].off, 4096, "section ops is not where")
    HEAD(sections[2].off, 1 + (UINT64_C(1) << 40), "section values is not where")
    HEAD(sections[4].size, 31, "section steps ends within a record")
    HEAD(sections[14].size, UINT64_MAX, "too large")
    HEAD(sections[13].size, INT64_MAX, "too large")
    HEAD(sections[3].reserved, 1, "row 4 is not")
    HEAD(sections[15].kind, 1, "the header's padding is not zero")
    {0, 0, 4095, 1, 1, BAD, "the header's padding is not zero"},
    /* padding */
    BYTE(0, STRINGS, 63, 1, "padding behind strings")
    BYTE(0, KAT, 144, 1, "padding behind kat")
    BYTE(0, TABLES, 144, 1, "padding behind tables")
    BYTE(0, TABLES, 192 + 4, 1, "padding behind the checksums")
    BYTE(SAMPLE_BIG, WEIGHTS, 190064, 1, "padding behind weights")
    BYTE(SAMPLE_ONNX, ONNX, 100, 1, "padding behind onnx")
    /* strings */
    BYTE(0, STRINGS, 0, 'a', "begin and end with NUL")
    BYTE(0, STRINGS, 51, 'a', "begin and end with NUL")
    {0, FZ_SECTION_SYMBOLS, 0, 4, 52, BAD, "symbol 0 has no name"},
    {0, FZ_SECTION_TEXTS, 0, 4, FZ_NONE, BAD, "text 0 has no string"},
    {0, FZ_SECTION_TEXTS, 4, 4, 52, BAD, "text 0 has no string"},
    /* operators */
    OP(0, name, 52, BAD, "operator 0 has no name")
    OP(1, domain, 52, BAD, "operator 1 has no name")
    OP(1, opset, 70000, BAD, "operator 1 has no name")
    OP(1, opset, FZ_PLAN_CUSTOM | 70000, BAD, "operator 1 has no name")
    OP(1, opset, FZ_PLAN_CUSTOM | 1, FZ_E_UNSUPPORTED, "which is not registered")
    OP(0, name, 42, FZ_E_UNSUPPORTED, "lacks operators of the file: some text of opset 1")
    OP(0, domain, 42, FZ_E_UNSUPPORTED, "some text.Identity of opset 1")
    OP(2, rev, 9999, FZ_E_UNSUPPORTED, "Cast of opset 13, revision 9999")
    OP(2, rev, 0, FZ_E_UNSUPPORTED, "Cast of opset 13, revision 0")
    OP(0, name, 22, BAD, "subgraphs")
    OP(3, name, 27, BAD, "Cast does not")
    /* constants */
    CONST(0, section, FZ_SECTION_ONNX, "in no section for constants")
    CONST(0, section, UINT64_MAX, "in no section for constants")
    CONST(1, off, 65, "does not lie in its section")
    CONST(1, off, 192, "does not lie in its section")
    CONST(3, off, UINT64_MAX - 63, "does not lie in its section")
    CONST(0, size, UINT64_MAX, "does not lie in its section")
    CONST(4, size, 70001, "does not lie in its section")
    CONST(1, off, 0, "overlaps the one before it")
    CONST(4, off, 119936, "overlaps the one before it")
    CONST(0, width, 3, "no known width")
    CONST(0, width, 0, "no known width")
    CONST(0, width, 2, "element width")
    CONST(0, size, 12, "constant's size")
    BYTE(0, TABLES, 66, 2, "neither 0 nor 1")
    BYTE(SAMPLE_BIG, WEIGHTS, 120064 + 69999, 128, "neither 0 nor 1")
    /* values */
    VALUE(V_X, name, 52, "value 0 has no name")
    VALUE(V_X, dtype, 0, "value 0 has no known type")
    VALUE(V_V, dtype, 27, "value 2 has no known type")
    VALUE(V_V, dtype, FZ_NONE, "value 2 has no known type")
    VALUE(V_V, kind, 0, "no known kind")
    VALUE(V_V, kind, 5, "no known kind")
    VALUE(V_V, rank, FZ_RANK_MAX + 1, "no such shape")
    VALUE(V_V, dims, 5, "no such shape")
    VALUE(V_V, dims, FZ_NONE, "no such shape")
    VALUE(V_TABLE, source, 5, "names no constant")
    VALUE(V_TABLE, source, 1, "constant's size")
    VALUE(V_TABLE, rank, FZ_NONE, "constant's size")
    VALUE(V_TABLE, dims, 1, "constant's size")
    VALUE(V_TABLE, dtype, FZ_TYPE_F64, "constant's size")
    VALUE(V_TABLE, dtype, FZ_TYPE_C64, "constant's size")
    VALUE(V_BOOLS, dtype, FZ_TYPE_F16, "constant's size")
    VALUE(V_BOOLS, dtype, FZ_TYPE_STRING, "constant's size")
    VALUE(V_TEXTS, dims, 2, "constant's size")
    VALUE(V_TEXTS, rank, FZ_NONE, "constant's size")
    VALUE(V_TEXTS, source, 1, "shares a constant of strings")
    VALUE(V_BOOLS, source, 2, "constant's size")
    VALUE(V_TABLE, source, 2, "shares a constant of strings")
    CONST(2, width, 8, "constant's size")
    CONST(2, size, 15, "constant's size")
    {0, FZ_SECTION_TABLES, 128, 4, 49, BAD, "string 0 does not lie"},
    {0, FZ_SECTION_TABLES, 132, 4, FZ_NONE, BAD, "string 0 does not lie"},
    {0, FZ_SECTION_TABLES, 140, 4, 11, BAD, "string 1 does not lie"},
    VALUE(V_X, source, 2, "names no input")
    VALUE(V_V, source, 5, "names no step")
    VALUE(V_N, source, 0, "names no block")
    VALUE(V_N, source, 4, "names no block")
    VALUE(V_V, source, 1, "output 0 is not its own")
    VALUE(V_C, kind, FZ_VALUE_BLOCK_INPUT, "output 0 is not its own")
    {0, FZ_SECTION_DIMS, 8, 8, (uint64_t)-3, BAD, "no symbol"},
    {0, FZ_SECTION_DIMS, 8, 8, (uint64_t)INT64_MIN, BAD, "no symbol"},
    {0, FZ_SECTION_DIMS, 16, 8, INT64_MAX, BAD, "too large"},
    /* blocks */
    BLOCK(0, parent, 0, "block 0 has no proper parent")
    BLOCK(1, parent, 1, "block 1 has no proper parent")
    BLOCK(1, parent, FZ_NONE, "block 1 has no proper parent")
    BLOCK(3, parent, 0, "is not its own")
    BLOCK(2, parent, 1, "is not its own")
    BLOCK(0, step, 6, "lacks its steps")
    BLOCK(0, n_steps, FZ_NONE, "lacks its steps")
    BLOCK(0, n_steps, 2, "a step belongs to no block")
    BLOCK(0, n_steps, 4, "belongs to two blocks")
    BLOCK(1, step, 2, "belongs to two blocks")
    BLOCK(2, n_steps, 1, "blocks share steps")
    BLOCK(0, inputs, 26, "lacks its inputs")
    BLOCK(0, n_inputs, FZ_NONE, "lacks its inputs")
    BLOCK(1, outputs, 26, "lacks its inputs or outputs")
    BLOCK(0, inputs, 1, "input 0 is not its own")
    BLOCK(3, inputs, 18, "input 0 is not its own")
    BLOCK(3, n_inputs, 2, "Loop has other inputs or outputs")
    BLOCK(3, n_outputs, 1, "Loop has other inputs or outputs")
    BLOCK(1, n_outputs, 0, "If has other inputs or outputs")
    BLOCK(0, n_inputs, 1, "value 1 is never made")
    BLOCK(0, n_outputs, 1, "signature")
    ARG(0, FZ_NONE, "input 0 is not its own")
    ARG(1, V_X, "input 1 is not its own")
    ARG(2, V_L, "block 0: output 0 is not made in it")
    ARG(2, FZ_NONE, "block 0: output 0 is not made in it")
    ARG(18, V_W, "block 2: output 0 is not made in it")
    ARG(18, V_L, "block 2: output 0 is not made in it")
    ARG(23, 99, "block 3: output 1 is not made in it")
    /* steps */
    STEP(0, op, 4, "has no operator")
    STEP(0, name, 52, "has no operator or name")
    STEP(0, args, 25, "lacks its arguments")
    STEP(0, args, FZ_NONE, "lacks its arguments")
    STEP(0, n_in, 0, "does not take 0 inputs")
    STEP(0, n_in, 2, "does not take 2 inputs")
    STEP(0, n_in, FZ_NONE, "lacks its arguments")
    STEP(0, n_out, 0, "does not give 0 outputs")
    STEP(0, n_out, 2, "does not give 2 outputs")
    STEP(0, n_sub, 1, "does not have 1 subgraphs")
    STEP(1, n_sub, 0, "does not have 0 subgraphs")
    STEP(1, n_sub, 1, "If has other subgraphs")
    STEP(3, n_in, 2, "is not its own")
    STEP(0, params_size, 8, "does not have such parameters")
    STEP(2, params_size, 0, "does not have such parameters")
    STEP(2, params, 1, "does not have such parameters")
    STEP(2, params, FZ_NONE, "does not have such parameters")
    STEP(2, op, 0, "does not have such parameters")
    ARG(5, V_X, "step 0: output 0 is not its own")
    ARG(5, 99, "step 0: output 0 is not its own")
    ARG(5, FZ_NONE, "step 0 has no output")
    ARG(8, 0, "subgraph 0 is not its own")
    ARG(8, 4, "subgraph 0 is not its own")
    ARG(8, 2, "subgraph 1 is not its own")
    ARG(8, 3, "subgraph 0 is not its own")
    ARG(4, V_V, "input 0 is not made before it")
    ARG(4, V_C, "input 0 is not made before it")
    ARG(4, FZ_NONE, "input 0 is not made before it")
    ARG(4, 99, "input 0 is not made before it")
    ARG(4, V_N, "input 0 is not made before it")
    ARG(13, V_W, "input 1 is not made before it")
    ARG(13, V_C, "input 1 is not made before it")
    ARG(13, V_GO, "input 1 is not made before it")
    ARG(14, FZ_NONE, "Loop lacks input 2")
    ARG(24, V_I, "input 0 is not made before it")
    ARG(24, V_L, "input 0 is not made before it")
    /* the signature */
    IO(0, value, V_COND, "entry 0 of the signature")
    IO(2, value, V_C, "entry 2 of the signature")
    IO(0, name, 52, "entry 0 of the signature")
    IO(1, is_output, 1, "value 1 names no input")
    IO(3, is_output, 0, "entry 3 of the signature")
    IO(3, is_output, 2, "entry 3 of the signature")
    RECORD(0, KAT, fz_plan_kat, 0, state, 3, BAD, "known-answer")
    RECORD(0, KAT, fz_plan_kat, 0, state, 2, BAD, "known-answer")
    RECORD(0, KAT, fz_plan_kat, 0, status, 5, BAD, "known-answer")
    RECORD(0, KAT, fz_plan_kat, 0, state, 0, BAD, "do not fit the outputs")
    RECORD(0, KAT, fz_plan_kat, 1, state, 1, BAD, "do not fit the outputs")
    RECORD(0, KAT, fz_plan_kat, 2, seed_low, 0, BAD, "do not fit the outputs")
    RECORD(0, KAT, fz_plan_kat, 2, seed_high, 1, BAD, "do not fit the outputs")
    RECORD(0, KAT, fz_plan_kat, 1, status, 2, BAD, "do not fit the outputs")
};
const size_t n_mutations = FZ_COUNT(mutations);
