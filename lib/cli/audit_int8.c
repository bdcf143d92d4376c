/* fz audit-int8: every pair of bytes through this machine's own integer kernels, against sums that
 * plain 64-bit arithmetic gives.
 *
 * Row i of a matrix, or image i, holds one byte everywhere, and so does column or channel j of the
 * weights: each sum is K times one product of differences, and the largest sums of the type are
 * among them, where instructions that saturate go wrong. The operators are small ONNX models,
 * frozen in memory and run as any other. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli.h"

enum { U8 = FZ_TYPE_U8, S8 = FZ_TYPE_I8 };

/* A message of the ONNX format. */
struct message {
    uint8_t *data;
    size_t size;
};

static void append(struct message *m, const void *data, size_t size) {
    m->data = must(realloc(m->data, m->size + size + 1));
    if (size) memcpy(m->data + m->size, data, size);
    m->size += size;
}

static void put_varint(struct message *m, uint64_t value) {
    for (; value >= 0x80; value >>= 7) append(m, &(uint8_t){(uint8_t)(value | 0x80)}, 1);
    append(m, &(uint8_t){(uint8_t)value}, 1);
}

static void put_int(struct message *m, int field, uint64_t value) {
    put_varint(m, (uint64_t)field << 3);
    put_varint(m, value);
}

static void put_bytes(struct message *m, int field, const void *data, size_t size) {
    put_varint(m, (uint64_t)field << 3 | 2);
    put_varint(m, size);
    append(m, data, size);
}

static void put_text(struct message *m, int field, const char *text) {
    put_bytes(m, field, text, strlen(text));
}

/* Puts INNER as a field of M and frees it. */
static void put_message(struct message *m, int field, struct message *inner) {
    put_bytes(m, field, inner->data, inner->size);
    free(inner->data);
    *inner = (struct message){0};
}

/* ---- one operator */

struct audit {
    const char *label, *op;
    int64_t rows, columns;          /* bytes of x, and of w, that take part */
    int64_t channels, kernel, group; /* of ConvInteger; channels of MatMulInteger are K */
    bool few;                       /* extremes instead of all bytes */
};

/* What an audit is run with. */
struct types {
    int32_t x, w;
    int32_t x_zero, w_zero;
};

/* The bytes where halves, signs and saturation meet. */
static const uint8_t extremes[16] = {255, 0, 128, 127, 1, 254, 129, 126,
                                     64, 63, 192, 191, 2, 65, 190, 253};

static uint8_t byte_of(const struct audit *a, int64_t i) {
    return a->few ? extremes[i] : (uint8_t)(255 - i);
}

static int64_t number(int32_t type, uint8_t byte) { return type == S8 ? (int8_t)byte : byte; }

static bool is_conv(const struct audit *a) { return a->kernel > 0; }
enum { SIZE = 6 /* height and width of an image */ };

/* Products of one sum. */
static int64_t depth(const struct audit *a) {
    return is_conv(a) ? a->kernel * a->kernel * a->channels / a->group : a->channels;
}

/* x is [rows, K], or [rows, channels, SIZE, SIZE]. */
static uint8_t *make_x(const struct audit *a, fz_tensor_t *x, int32_t type) {
    int64_t each = is_conv(a) ? a->channels * SIZE * SIZE : a->channels;
    uint8_t *data = must(malloc((size_t)(a->rows * each)));
    for (int64_t i = 0; i < a->rows; i++)
        memset(data + i * each, byte_of(a, i), (size_t)each);
    *x = (fz_tensor_t){.dtype = type, .rank = is_conv(a) ? 4 : 2, .dims = {a->rows, a->channels,
                       SIZE, SIZE}, .data = data, .size = (size_t)(a->rows * each)};
    return data;
}

/* w is [K, columns], or [columns, channels / group, kernel, kernel]. */
static uint8_t *make_w(const struct audit *a, int64_t dims[4]) {
    int64_t k = depth(a);
    uint8_t *data = must(malloc((size_t)(k * a->columns)));
    for (int64_t j = 0; j < a->columns; j++)
        for (int64_t l = 0; l < k; l++)
            data[is_conv(a) ? j * k + l : l * a->columns + j] = byte_of(a, j);
    dims[0] = is_conv(a) ? a->columns : k;
    dims[1] = is_conv(a) ? a->channels / a->group : a->columns;
    dims[2] = dims[3] = a->kernel;
    return data;
}

static void put_constant(struct message *graph, const char *name, int32_t type, int32_t rank,
                         const int64_t *dims, const void *data, size_t size) {
    struct message m = {0};
    for (int32_t i = 0; i < rank; i++) put_int(&m, 1, (uint64_t)dims[i]);
    put_int(&m, 2, (uint64_t)type);
    put_text(&m, 8, name);
    put_bytes(&m, 9, data, size);
    put_message(graph, 5, &m);
}

/* The graph's input (field 11) or output (12). */
static void put_value(struct message *graph, int field, const char *name, int32_t type,
                      int32_t rank, const int64_t *dims) {
    struct message shape = {0}, tensor = {0}, kind = {0}, value = {0};
    for (int32_t i = 0; i < rank; i++) {
        struct message dim = {0};
        put_int(&dim, 1, (uint64_t)dims[i]);
        put_message(&shape, 1, &dim);
    }
    put_int(&tensor, 1, (uint64_t)type);
    if (rank) put_message(&tensor, 2, &shape);
    put_message(&kind, 1, &tensor);
    put_text(&value, 1, name);
    put_message(&value, 2, &kind);
    put_message(graph, field, &value);
}

static void put_node(struct message *graph, const struct audit *a) {
    static const char *const in[] = {"x", "w", "x_zero", "w_zero"};
    struct message node = {0}, group = {0};
    for (int i = 0; i < 4; i++) put_text(&node, 1, in[i]);
    put_text(&node, 2, "y");
    put_text(&node, 3, a->label);
    put_text(&node, 4, a->op);
    if (is_conv(a)) {
        put_text(&group, 1, "group");
        put_int(&group, 3, (uint64_t)a->group);
        put_int(&group, 20, 2);
        put_message(&node, 5, &group);
    }
    put_message(graph, 1, &node);
}

/* The model's bytes, the caller's to free. */
static struct message make_model(const struct audit *a, const struct types *t,
                                 const fz_tensor_t *x) {
    struct message graph = {0}, opset = {0}, model = {0};
    int64_t dims[4];
    uint8_t *w = make_w(a, dims), zeros[2] = {(uint8_t)t->x_zero, (uint8_t)t->w_zero};
    put_node(&graph, a);
    put_text(&graph, 2, "audit");
    put_constant(&graph, "w", t->w, is_conv(a) ? 4 : 2, dims, w, (size_t)(depth(a) * a->columns));
    put_constant(&graph, "x_zero", t->x, 0, NULL, &zeros[0], 1);
    put_constant(&graph, "w_zero", t->w, 0, NULL, &zeros[1], 1);
    put_value(&graph, 11, "x", t->x, x->rank, x->dims);
    put_value(&graph, 12, "y", FZ_TYPE_I32, 0, NULL);
    put_int(&opset, 2, 13);
    put_int(&model, 1, 8);
    put_message(&model, 7, &graph);
    put_message(&model, 8, &opset);
    free(w);
    return model;
}

/* ---- what comes out */

struct totals {
    uint64_t sums, wrong;
    int64_t least, most;
};

/* The value of the sum of row I and column J. */
static int64_t wanted(const struct audit *a, const struct types *t, int64_t i, int64_t j) {
    int64_t x = number(t->x, byte_of(a, i)) - t->x_zero;
    int64_t w = number(t->w, byte_of(a, j)) - t->w_zero;
    return depth(a) * x * w;
}

static void count(const struct audit *a, const struct types *t, const fz_tensor_t *y,
                  struct totals *totals) {
    const int32_t *sums = y->data;
    int64_t n = count_of(y), points = n / (a->rows * a->columns);
    for (int64_t e = 0; e < n; e++) {
        int64_t want = wanted(a, t, e / points / a->columns, e / points % a->columns);
        totals->sums++;
        if (want < totals->least) totals->least = want;
        if (want > totals->most) totals->most = want;
        if (sums[e] == want) continue;
        if (!totals->wrong++)
            trouble("%s: row %lld, column %lld: %d instead of %lld", a->label,
                    (long long)(e / points / a->columns), (long long)(e / points % a->columns),
                    (int)sums[e], (long long)want);
    }
}

static bool run_one(const struct audit *a, const struct types *t, struct totals *totals) {
    fz_tensor_t x, y = {0};
    fz_freeze_options_t options = {.size = sizeof options, .flags = FZ_FREEZE_NO_KAT};
    fz_model_t *model = NULL;
    fz_session_t *session = NULL;
    uint8_t *data = make_x(a, &x, t->x);
    struct message m = make_model(a, t, &x);
    bool good = fz_freeze_open_memory(m.data, m.size, &options, NULL, &model) == FZ_OK &&
                fz_session_create(model, NULL, &session) == FZ_OK &&
                fz_session_run(session, &x, 1, &y, 1) == FZ_OK;
    if (good) count(a, t, &y, totals);
    else trouble("%s: %s", a->label, fz_last_error());
    fz_session_close(session);
    fz_model_close(model);
    free(m.data);
    free(data);
    return good;
}

/* Zero points at both ends and in the middle: with the last the differences are as large as a byte
 * allows. */
static bool run_audit(const struct audit *a, struct totals *totals) {
    static const int32_t u8[] = {0, 255, 128}, s8[] = {0, -128, 127};
    for (int kind = 0; kind < 4; kind++)
        for (int z = 0; z < 3; z++) {
            struct types t = {.x = kind & 1 ? S8 : U8, .w = kind & 2 ? S8 : U8};
            t.x_zero = (t.x == S8 ? s8 : u8)[z];
            t.w_zero = (t.w == S8 ? s8 : u8)[(z * 2) % 3];
            if (!run_one(a, &t, totals)) return false;
        }
    return true;
}

static const struct audit audits[] = {
    {"matrix, K 1", "MatMulInteger", 256, 256, 1, 0, 1, false},
    {"matrix, K 3", "MatMulInteger", 256, 256, 3, 0, 1, false},
    {"matrix, K 64", "MatMulInteger", 256, 256, 64, 0, 1, false},
    {"matrix, K 77", "MatMulInteger", 256, 256, 77, 0, 1, false},
    {"matrix, K 512", "MatMulInteger", 256, 256, 512, 0, 1, false},
    {"one row, K 512", "MatMulInteger", 1, 256, 512, 0, 1, false},
    {"few rows, K 1000", "MatMulInteger", 7, 256, 1000, 0, 1, false},
    {"K at its limit", "MatMulInteger", 16, 16, 33025, 0, 1, true},
    {"conv 1x1", "ConvInteger", 256, 256, 64, 1, 1, false},
    {"conv 3x3, first layer", "ConvInteger", 256, 256, 3, 3, 1, false},
    {"conv 3x3", "ConvInteger", 256, 256, 32, 3, 1, false},
    {"conv 3x3, groups", "ConvInteger", 256, 256, 16, 3, 4, false},
    {"conv 5x5", "ConvInteger", 16, 16, 512, 5, 1, true},
    {"depthwise 3x3", "ConvInteger", 256, 256, 256, 3, 256, false},
    {"depthwise 5x5", "ConvInteger", 256, 256, 256, 5, 256, false},
};

int verb_audit_int8(int argc, char **argv) {
    struct list operands = {0};
    uint64_t wrong = 0;
    if (!parse(argc, argv, NULL, 0, &operands)) return TROUBLE;
    if (operands.n) return trouble("usage: fz audit-int8");
    printf("%-24s %8s %14s %26s %8s\n", "operator", "products", "sums", "of range", "wrong");
    for (size_t i = 0; i < sizeof audits / sizeof *audits; i++) {
        struct totals t = {0};
        char range[32];
        if (!run_audit(&audits[i], &t)) return TROUBLE;
        snprintf(range, sizeof range, "%lld .. %lld", (long long)t.least, (long long)t.most);
        printf("%-24s %8lld %14llu %26s %8llu\n", audits[i].label, (long long)depth(&audits[i]),
               (unsigned long long)t.sums, range, (unsigned long long)t.wrong);
        fflush(stdout);
        wrong += t.wrong;
    }
    if (wrong) return trouble("%llu sums are wrong", (unsigned long long)wrong), FAILED;
    printf("ok: u8 and s8 by u8 and s8, every sum is exact\n");
    return GOOD;
}
