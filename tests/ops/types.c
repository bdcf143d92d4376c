/* Which types each operator's first input may have: every accepted case is inferred again with the
 * type changed, that of the other inputs of the same type along with it. */
#include "subject.h"

#include <stdio.h>

enum { ROWS_MAX = 2048, TYPES = FZ_TYPE_I2 + 1, IN_MAX = 64, OUT_MAX = 16 };

static uint64_t accepted[ROWS_MAX];

static size_t row_of(const struct fz_op *op) {
    for (size_t i = 0; i < ROWS_MAX && fzi_op_at(i); i++)
        if (fzi_op_at(i) == op) return i;
    return ROWS_MAX;
}

static bool accepts(const struct subject *s, int32_t dtype) {
    fz_tensor_t in[IN_MAX], out[OUT_MAX] = {0};
    const fz_tensor_t *ins[IN_MAX];
    fz_tensor_t *outs[OUT_MAX];
    for (uint32_t i = 0; i < s->n_in; i++) {
        ins[i] = s->in[i] ? &in[i] : NULL;
        if (!s->in[i]) continue;
        in[i] = *s->in[i];
        if (in[i].dtype != s->in[0]->dtype) continue;
        if (in[i].dtype != dtype) in[i].data = NULL;
        in[i].dtype = dtype;
    }
    for (uint32_t i = 0; i < s->n_out; i++) outs[i] = &out[i];
    struct fz_call call = {.params = s->node->params, .n_in = s->n_in, .n_out = s->n_out,
                           .in = ins, .out = outs};
    return fzi_op_infer(s->op, &call) == FZ_OK;
}

void types_case(const struct subject *s) {
    size_t row = s->op ? row_of(s->op) : ROWS_MAX;
    if (row == ROWS_MAX || !s->op->infer || s->n_in == 0 || s->n_in > IN_MAX ||
        s->n_out > OUT_MAX || !s->in[0])
        return;
    for (int32_t dtype = 1; dtype < TYPES; dtype++)
        if (accepts(s, dtype)) accepted[row] |= 1ull << dtype;
    /* Freezing widens half precision around operators that do not handle it. */
    bool widened = !(s->op->flags & (FZ_OP_HALF | FZ_OP_ANY_TYPE | FZ_OP_CONTROL));
    if (widened && accepted[row] & FZ_T(F32)) accepted[row] |= FZ_T(F16) | FZ_T(BF16);
}

/* An operator without cases of its own has those of another opset. */
static uint64_t types_of(size_t row) {
    const struct fz_op *op = fzi_op_at(row);
    for (size_t i = 0; i < ROWS_MAX && fzi_op_at(i) && !accepted[row]; i++) {
        const struct fz_op *other = fzi_op_at(i);
        if (accepted[i] && strcmp(other->name, op->name) == 0 &&
            strcmp(other->domain, op->domain) == 0)
            return accepted[i];
    }
    return accepted[row];
}

void types_print(void) {
    int table = 0; /* rows of one file lie behind each other, a row of zeros ends them */
    for (size_t i = 0; i < ROWS_MAX && fzi_op_at(i); i++) {
        if (i > 0 && fzi_op_at(i) != fzi_op_at(i - 1) + 1) table++;
        uint64_t types = types_of(i);
        const struct fz_op *op = fzi_op_at(i);
        printf("%d|%s|%s|%d|%d|%d|", table, op->domain, op->name, op->since, op->until, op->rev);
        for (int32_t dtype = 1; dtype < TYPES; dtype++)
            if (types >> dtype & 1) printf(" %s", fz_type_name(dtype));
        printf("\n");
    }
}
