/* frozen.QTable: y = table[x] for bytes: any function of one quantised number. */
#include "ops/quant.h"

enum { ENTRIES = 256, GRAIN = 32768 };

static fz_status_t infer(const struct fz_op *op, const struct fz_call *call) {
    const fz_tensor_t *table = call->in[1];
    FZ_TRY(fzi_infer_type(op, call, 0, FZ_T(U8) | FZ_T(I8)));
    FZ_TRY(fzi_infer_type(op, call, 1, FZ_T(U8) | FZ_T(I8)));
    if (fzi_shape_known(table) && (table->rank != 1 || table->dims[0] != ENTRIES))
        return fzi_error(FZ_E_SHAPE, "%s: the table needs 256 entries", op->name);
    fzi_infer_like(call, 0, table->dtype, call->in[0]);
    return FZ_OK;
}

static void run_part(void *arg, int64_t begin, int64_t end) {
    const struct fz_call *call = arg;
    struct fzk_qlut lut = {.n = end - begin,
                           .x = (const uint8_t *)call->in[0]->data + begin,
                           .table = call->in[1]->data,
                           .y = (uint8_t *)call->out[0]->data + begin};
    call->env->k->lut_u8(&lut);
}

static fz_status_t run(const struct fz_op *op, const struct fz_call *call) {
    (void)op;
    fzi_run_range(call->env, fzi_tensor_count(call->out[0]), GRAIN, run_part, (void *)call);
    return FZ_OK;
}

/* Element by element; the table serves all. */
static bool rows(const struct fz_op *op, const struct fz_call *call, struct fz_rows *rows,
                 int64_t *align) {
    (void)op, (void)call;
    rows[0] = (struct fz_rows){1, 1, 0};
    *align = 1;
    return true;
}

const struct fz_op fz_ops_frozen_qtable[] = {
    {.name = "QTable", .domain = "frozen", .since = 1, .rev = 1,
     .min_in = 2, .max_in = 2, .min_out = 1, .max_out = 1, .attrs = "",
     .infer = infer, .run = run, .rows = rows},
    {0},
};
