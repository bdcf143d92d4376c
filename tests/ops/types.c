/* Which types each operator's inputs may have: every accepted case is run again with the type of one
 * input changed, alone or along with the other inputs of that type. The first case that runs shows
 * that the operator takes the type; kernels and threads must agree there as in every case, and
 * float64 must say within 1e-4 what float32 says. */
#include "subject.h"

#include <stdio.h>
#include <stdlib.h>

enum { ROWS_MAX = 2048, TYPES = FZ_TYPE_I2 + 1, IN_MAX = 64, SHOWN = 10 };

/* Bit t of the set of an input: type t is inferred; it has run. */
static uint64_t inferred[ROWS_MAX][SHOWN], ran[ROWS_MAX][SHOWN];
/* In a case of that type as it is written, with an operator's first rows. */
static bool float64_differs[ROWS_MAX];

/* fzi_op_at counts from the first row each time. */
static const struct fz_op *op_at(size_t i) {
    static const struct fz_op *rows[ROWS_MAX];
    static size_t n;
    while (n <= i && n < ROWS_MAX - 1 && (!n || rows[n - 1])) {
        rows[n] = fzi_op_at(n);
        n++;
    }
    return rows[i];
}

static size_t row_of(const struct fz_op *op) {
    for (size_t i = 0; op_at(i); i++)
        if (op_at(i) == op) return i;
    return ROWS_MAX;
}

/* ---- the same values in another type */

static double get(const fz_tensor_t *t, int64_t i) {
    if (t->dtype == FZ_TYPE_STRING || t->dtype == FZ_TYPE_C64 || t->dtype == FZ_TYPE_C128)
        return (double)(i % 7);
    return fzi_type_is_float(t->dtype) ? fzi_tensor_float(t, i) : (double)fzi_tensor_int(t, i);
}

static int64_t whole(double v) { return v > -9e18 && v < 9e18 ? (int64_t)v : 0; }

/* Types below 8 bits and small floats get some bits or other. */
static void put(const fz_tensor_t *t, int64_t i, double v) {
    static const char digits[] = "0123456789";
    char *at = (char *)t->data + i * (int64_t)fzi_type_width(t->dtype);
    int64_t n = whole(v);
    switch (t->dtype) {
    case FZ_TYPE_F32: ((float *)t->data)[i] = (float)v; break;
    case FZ_TYPE_F64: ((double *)t->data)[i] = v; break;
    case FZ_TYPE_C64: ((float *)t->data)[2 * i] = (float)v; break;
    case FZ_TYPE_C128: ((double *)t->data)[2 * i] = v; break;
    case FZ_TYPE_F16: ((uint16_t *)t->data)[i] = fzi_f32_to_f16((float)v); break;
    case FZ_TYPE_BF16: ((uint16_t *)t->data)[i] = fzi_f32_to_bf16((float)v); break;
    case FZ_TYPE_BOOL: *at = v != 0; break;
    case FZ_TYPE_STRING:
        ((struct fz_string *)t->data)[i] = (struct fz_string){digits + (n % 10 + 10) % 10, 1};
        break;
    default:
        if (fz_type_bits(t->dtype) < 8) break;
        if (fzi_type_width(t->dtype) == 1) *(int8_t *)at = (int8_t)n;
        else if (fzi_type_width(t->dtype) == 2) ((int16_t *)t->data)[i] = (int16_t)n;
        else if (fzi_type_width(t->dtype) == 4) ((int32_t *)t->data)[i] = (int32_t)n;
        else ((int64_t *)t->data)[i] = n;
        break;
    }
}

static fz_tensor_t *convert(const fz_tensor_t *from, int32_t dtype) {
    fz_tensor_t *t = calloc(1, sizeof *t);
    *t = *from;
    t->dtype = dtype;
    if (!t || fzi_tensor_measure(t) != FZ_OK) abort();
    t->data = calloc(1, t->size + 16);
    for (int64_t i = 0; i < fzi_tensor_count(t); i++) put(t, i, get(from, i));
    return t;
}

/* ---- cases */

struct change {
    uint32_t input;
    bool alone;
    int32_t dtype;
};

static bool changes(const struct subject *s, const struct change *c, uint32_t i) {
    if (!s->in[i] || s->in[i]->dtype != s->in[c->input]->dtype) return false;
    return c->alone ? i == c->input : true;
}

/* Runs S changed; what it has made new goes again. */
static enum outcome try(const struct subject *s, const struct change *c, type_check check) {
    const fz_tensor_t *in[IN_MAX];
    struct subject changed = *s;
    changed.in = in;
    for (uint32_t i = 0; i < s->n_in; i++)
        in[i] = changes(s, c, i) ? convert(s->in[i], c->dtype) : s->in[i];
    enum outcome outcome = check(&changed, s->in[c->input]->dtype == FZ_TYPE_F32 &&
                                               c->dtype == FZ_TYPE_F64);
    for (uint32_t i = 0; i < s->n_in; i++) {
        if (in[i] == s->in[i]) continue;
        free(in[i]->data);
        free((void *)(uintptr_t)in[i]);
    }
    return outcome;
}

bool types_case(const struct subject *s, type_check check) {
    size_t row = s->op ? row_of(s->op) : ROWS_MAX;
    bool good = true;
    if (row == ROWS_MAX || !s->op->infer || s->n_in > IN_MAX) return true;
    for (uint32_t i = 0; i < s->n_in; i++) {
        uint32_t shown = i < SHOWN ? i : SHOWN - 1;
        if (!s->in[i] || fzi_type_is_nested(s->in[i]->dtype)) continue;
        ran[row][shown] |= 1ull << s->in[i]->dtype;
        inferred[row][shown] |= 1ull << s->in[i]->dtype;
        for (int32_t dtype = 1; dtype < TYPES * 2; dtype++) {
            struct change c = {i, dtype >= TYPES, dtype % TYPES};
            /* float64 is compared in every case. */
            bool wanted = c.dtype == FZ_TYPE_F64 && s->in[i]->dtype == FZ_TYPE_F32 && !c.alone;
            if (!c.dtype || (ran[row][shown] >> c.dtype & 1 && !wanted)) continue;
            enum outcome outcome = try(s, &c, check);
            if (outcome != REFUSED) inferred[row][shown] |= 1ull << c.dtype;
            if (outcome == RAN) ran[row][shown] |= 1ull << c.dtype;
            if (outcome == DIFFERS && i == 0) float64_differs[row] = true;
            if (outcome == BROKEN) good = false;
        }
    }
    return good;
}

bool types_agree(void) {
    bool good = true;
    for (size_t i = 0; op_at(i); i++) {
        if (!float64_differs[i] || ran[i][0] >> FZ_TYPE_F64 & 1) continue;
        fprintf(stderr, "%s: in no case does float64 say what float32 says\n",
                op_at(i)->name);
        good = false;
    }
    return good;
}

/* Freezing widens half precision around operators that do not handle it, and what lies below 8 bits
 * around those that move elements. An input without cases of its own has those of another opset. */
static uint64_t types_of(size_t row, int input) {
    const struct fz_op *op = op_at(row);
    uint64_t types = ran[row][input];
    for (size_t i = 0; op_at(i) && !ran[row][input]; i++)
        if (strcmp(op_at(i)->name, op->name) == 0 &&
            strcmp(op_at(i)->domain, op->domain) == 0)
            types |= ran[i][input];
    bool moves = op->flags & FZ_OP_ANY_TYPE;
    if (!(op->flags & (FZ_OP_HALF | FZ_OP_CONTROL)) && types & FZ_T(F32))
        types |= FZ_T(F16) | FZ_T(BF16) | (moves ? FZ_T(F4E2M1) : 0);
    if (moves && types & FZ_T(I8)) types |= FZ_T(I4) | FZ_T(I2);
    if (moves && types & FZ_T(U8)) types |= FZ_T(U4) | FZ_T(U2);
    return types;
}

void types_print(void) {
    int table = 0; /* rows of one file lie behind each other, a row of zeros ends them */
    for (size_t i = 0; op_at(i); i++) {
        if (i > 0 && op_at(i) != op_at(i - 1) + 1) table++;
        const struct fz_op *op = op_at(i);
        printf("%d|%s|%s|%d|%d|%d|%s|%d", table, op->domain, op->name, op->since, op->until,
               op->rev, op->attrs ? op->attrs : "", op->run == NULL);
        for (int input = 0; input < SHOWN; input++) {
            printf("|");
            for (int32_t dtype = 1; dtype < TYPES; dtype++)
                if (types_of(i, input) >> dtype & 1) printf(" %s", fz_type_name(dtype));
        }
        printf("\n");
    }
}
