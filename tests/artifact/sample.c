/* Builds the sample plan:
 *
 *     x float32[2, batch], condition bool[]
 *     step 0  v = Identity(x)                          block 0
 *     step 1  w = If(condition) {1}, {2}
 *     step 2  c = Cast(constant)
 *     step 3  l = Loop(, condition, v) {3}             block 1, the then branch; gives l
 *     step 4  i = Identity(n)                          block 3, the loop's body, which gives
 *                                                      its condition input and i
 *     block 2, the else branch, has no step and gives v
 *
 * Outputs are w and c. */
#include "sample.h"

#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/crc32c.h"
#include "base/sha256.h"
#include "ops/op.h"

/* Offsets into the strings. */
enum { S_NONE, S_X = 1, S_COND = 3, S_V = 8, S_IDENTITY = 10, S_IF = 19, S_LOOP = 22, S_CAST = 27,
       S_BATCH = 32, S_KEY = 38, S_TEXT = 42 };
static const char strings[] = "\0x\0cond\0v\0Identity\0If\0Loop\0Cast\0batch\0key\0some text";

enum { V_X, V_COND, V_V, V_W, V_TABLE, V_C, V_L, V_NUMBER, V_GO, V_N, V_I, V_BOOLS, V_TEXTS,
       V_WEIGHTS, V_FLAGS, N_SMALL = V_WEIGHTS, N_BIG = V_FLAGS + 1 };
enum { OP_IDENTITY, OP_IF, OP_CAST, OP_LOOP, N_OPS };

static struct fz_plan_op ops[N_OPS] = {
    {S_IDENTITY, S_NONE, 1, 1}, {S_IF, S_NONE, 1, 1}, {S_CAST, S_NONE, 13, 1},
    {S_LOOP, S_NONE, 1, 1}};

static const int64_t dims[] = {2, FZ_DIM_SYMBOL, 4, 5, 30000, 70000};

static const struct fz_plan_value values[N_BIG] = {
    [V_X] = {S_X, FZ_VALUE_INPUT, FZ_TYPE_F32, 2, 0, 0},
    [V_COND] = {S_COND, FZ_VALUE_INPUT, FZ_TYPE_BOOL, 0, 0, 1},
    [V_V] = {S_V, FZ_VALUE_STEP, FZ_TYPE_F32, 2, 0, 0},
    [V_W] = {S_NONE, FZ_VALUE_STEP, FZ_TYPE_F32, FZ_NONE, 0, 1},
    [V_TABLE] = {S_NONE, FZ_VALUE_CONST, FZ_TYPE_F32, 1, 2, 0},
    [V_C] = {S_NONE, FZ_VALUE_STEP, FZ_TYPE_I32, 1, 2, 2},
    [V_L] = {S_NONE, FZ_VALUE_STEP, FZ_TYPE_F32, FZ_NONE, 0, 3},
    [V_NUMBER] = {S_NONE, FZ_VALUE_BLOCK_INPUT, FZ_TYPE_I64, 0, 0, 3},
    [V_GO] = {S_NONE, FZ_VALUE_BLOCK_INPUT, FZ_TYPE_BOOL, 0, 0, 3},
    [V_N] = {S_NONE, FZ_VALUE_BLOCK_INPUT, FZ_TYPE_F32, FZ_NONE, 0, 3},
    [V_I] = {S_NONE, FZ_VALUE_STEP, FZ_TYPE_F32, FZ_NONE, 0, 4},
    [V_BOOLS] = {S_NONE, FZ_VALUE_CONST, FZ_TYPE_BOOL, 1, 3, 1},
    [V_TEXTS] = {S_NONE, FZ_VALUE_CONST, FZ_TYPE_STRING, 1, 0, 2},
    [V_WEIGHTS] = {S_NONE, FZ_VALUE_CONST, FZ_TYPE_F32, 1, 4, 3},
    [V_FLAGS] = {S_NONE, FZ_VALUE_CONST, FZ_TYPE_BOOL, 1, 5, 4}};

static const uint32_t args[] = {
    /*  0 block 0 in, out */ V_X, V_COND, V_W, V_C,
    /*  4 step 0 */ V_X, V_V,
    /*  6 step 1 */ V_COND, V_W, 1, 2,
    /* 10 step 2 */ V_TABLE, V_C,
    /* 12 step 3 */ FZ_NONE, V_COND, V_V, V_L, 3,
    /* 17 block 1 out */ V_L,
    /* 18 block 2 out */ V_V,
    /* 19 block 3 in, out */ V_NUMBER, V_GO, V_N, V_GO, V_I,
    /* 24 step 4 */ V_N, V_I};

static struct fz_plan_step steps[] = {
    {OP_IDENTITY, S_V, 4, 1, 1, 0, 0, 0}, {OP_IF, S_NONE, 6, 1, 1, 2, 0, 0},
    {OP_CAST, S_NONE, 10, 1, 1, 0, 0, 0}, {OP_LOOP, S_NONE, 12, 3, 1, 1, 0, 0},
    {OP_IDENTITY, S_NONE, 24, 1, 1, 0, 0, 0}};

static const struct fz_plan_block blocks[] = {{FZ_NONE, 0, 3, 0, 2, 2, 2},
                                              {0, 3, 1, 0, 0, 17, 1},
                                              {0, 4, 0, 0, 0, 18, 1},
                                              {1, 4, 1, 19, 3, 22, 2}};

static const struct fz_plan_const consts[] = {{FZ_SECTION_TABLES, 0, 16, 4},
                                              {FZ_SECTION_TABLES, 64, 5, 1},
                                              {FZ_SECTION_TABLES, 128, 16, 4},
                                              {FZ_SECTION_WEIGHTS, 0, 120000, 4},
                                              {FZ_SECTION_WEIGHTS, 120064, 70000, 1}};

static const struct fz_plan_io io[] = {
    {V_X, S_X, 0}, {V_COND, S_COND, 0}, {V_W, S_V, 1}, {V_C, S_TEXT, 1}};
static const uint32_t symbols[] = {S_BATCH}, texts[] = {S_KEY, S_TEXT};
static const struct fz_plan_kat kat[] = {{1, 0, 7, 0, {1, 2, 3, 4, 5, 6, 7, 8}},
                                         {4, 0, 0, 0, {1, 2, 3, 4, 5, 6, 7, 9}},
                                         {4, 0, 1, 0, {1, 2, 3, 4, 5, 6, 7, 10}}};
static const uint64_t params[16] = {FZ_TYPE_I32, 1};

static const float table[4] = {1, -2, 3, 0.5f};
static const uint8_t bools[5] = {1, 0, 0, 1, 1};
static const uint32_t pairs[4] = {S_COND, 4, S_TEXT, 9};
static float weights[30000];
static uint8_t flags_data[70000];
static const void *const const_data[] = {table, bools, pairs, weights, flags_data};
static const char onnx[] = "the original file";

static size_t find_op(size_t i) {
    const struct fz_op *op = fzi_op_find("", strings + ops[i].name, (int32_t)ops[i].opset);
    if (!op) abort();
    ops[i].rev = (uint32_t)op->rev;
    return op->params_size;
}

struct fz_plan_source sample_source(unsigned flags) {
    size_t cast_params = 0;
    for (size_t i = 0; i < N_OPS; i++) {
        size_t size = find_op(i);
        if (i == OP_CAST) cast_params = size;
    }
    if (cast_params > sizeof params) abort();
    steps[2].params_size = (uint32_t)cast_params;
    for (size_t i = 0; i < FZ_COUNT(weights); i++) weights[i] = (float)i * 0.25f;
    for (size_t i = 0; i < FZ_COUNT(flags_data); i++) flags_data[i] = i % 3 == 0;
    bool big = flags & SAMPLE_BIG;
    return (struct fz_plan_source){
        .plan = {.strings = strings, .strings_size = sizeof strings,
                 .ops = ops, .n_ops = N_OPS,
                 .values = values, .n_values = big ? N_BIG : N_SMALL,
                 .dims = dims, .n_dims = FZ_COUNT(dims),
                 .steps = steps, .n_steps = FZ_COUNT(steps),
                 .args = args, .n_args = FZ_COUNT(args),
                 .blocks = blocks, .n_blocks = FZ_COUNT(blocks),
                 .params = params, .n_params = (cast_params + 7) / 8,
                 .consts = consts, .n_consts = big ? 5 : 3,
                 .io = io, .n_io = 4, .n_inputs = 2, .n_outputs = 2,
                 .symbols = symbols, .n_symbols = 1,
                 .texts = texts, .n_texts = 1,
                 .kat = kat, .n_kat = FZ_COUNT(kat),
                 .tables_size = 144, .weights_size = big ? 190064 : 0},
        .const_data = const_data,
        .profile = "portable/1",
        .arena_size = 4096,
        .macs = 12,
        .onnx = flags & SAMPLE_ONNX ? onnx : NULL,
        .onnx_size = sizeof onnx};
}

uint8_t *sample_read(int fd, size_t *size) {
    struct stat st;
    if (fstat(fd, &st) != 0) return NULL;
    *size = (size_t)st.st_size;
    uint8_t *data = fzi_alloc_aligned(*size);
    for (size_t off = 0; data && off < *size;) {
        ssize_t n = pread(fd, data + off, *size - off, (off_t)off);
        if (n > 0) off += (size_t)n;
    }
    return data;
}

uint8_t *sample_file(unsigned flags, size_t *size) {
    struct fz_plan_source source = sample_source(flags);
    uint8_t *data = NULL;
    int fd = memfd_create("sample", MFD_CLOEXEC);
    if (fd < 0) return NULL;
    if (fzi_artifact_write(&source, fd, NULL, NULL, NULL) == FZ_OK) data = sample_read(fd, size);
    close(fd);
    return data;
}

uint8_t *sample_section(uint8_t *data, enum fz_section_kind kind) {
    return data + fzi_le64(((struct fz_file_header *)data)->sections[kind - 1].off);
}

void sample_repair_checksums(uint8_t *data, size_t size) {
    const struct fz_file_header *h = (const struct fz_file_header *)data;
    if (size < FZ_PAGE) return;
    uint64_t crc_off = fzi_le64(h->crc_off), count = fzi_le64(h->crc_count), at = 0;
    if (crc_off > size || count > (size - crc_off) / 4) return;
    uint64_t front = (crc_off + count * 4 + FZ_PAGE - 1) / FZ_PAGE * FZ_PAGE;
    for (uint64_t i = 0; i < count && at < size; i++) {
        uint64_t end = at < crc_off ? crc_off : size;
        uint64_t n = end - at < FZ_BLOCK ? end - at : FZ_BLOCK;
        uint32_t crc = fzi_le32(fzi_crc32c(0, data + at, n));
        memcpy(data + crc_off + 4 * i, &crc, 4);
        at = at + n == crc_off ? front : at + n;
    }
}

void sample_repair(uint8_t *data, size_t size) {
    struct fz_file_header *h = (struct fz_file_header *)data;
    if (size < FZ_PAGE) return;
    for (uint32_t k = 0; k < FZ_SECTIONS_MAX && k < fzi_le32(h->n_sections); k++) {
        uint64_t off = fzi_le64(h->sections[k].off), n = fzi_le64(h->sections[k].size);
        if (off <= size && n <= size - off) fzi_sha256(data + off, n, h->sections[k].sha256);
    }
    sample_repair_checksums(data, size);
}
