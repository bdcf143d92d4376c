/* frozen.HalfTable: y = table[x] for numbers of half precision that are kept in binary32: any
 * function of one number. The table holds the results for all 65,536 patterns of the type that it
 * has itself; x is rounded to that type, of which it should be a number. */
#include "ops/op.h"

enum { ENTRIES = 65536, GRAIN = 16384 };

static fz_status_t infer(const struct fz_op *op, const struct fz_call *call) {
    const fz_tensor_t *table = call->in[1];
    FZ_TRY(fzi_infer_type(op, call, 0, FZ_T(F32)));
    FZ_TRY(fzi_infer_type(op, call, 1, FZ_T(F16) | FZ_T(BF16)));
    if (fzi_shape_known(table) && (table->rank != 1 || table->dims[0] != ENTRIES))
        return fzi_error(FZ_E_SHAPE, "%s: the table needs %d entries", op->name, ENTRIES);
    fzi_infer_like(call, 0, FZ_TYPE_F32, call->in[0]);
    return FZ_OK;
}

static void run_part(void *arg, int64_t begin, int64_t end) {
    const struct fz_call *call = arg;
    struct fzk_half_table t = {.n = end - begin, .x = (const float *)call->in[0]->data + begin,
                               .table = call->in[1]->data,
                               .y = (float *)call->out[0]->data + begin,
                               .bf16 = call->in[1]->dtype == FZ_TYPE_BF16};
    call->env->k->half_table_f32(&t);
}

static fz_status_t run(const struct fz_op *op, const struct fz_call *call) {
    (void)op;
    fzi_run_range(call->env, fzi_tensor_count(call->out[0]), GRAIN, run_part, (void *)call);
    return FZ_OK;
}

const struct fz_op fz_ops_frozen_half_table[] = {
    {.name = "HalfTable", .domain = "frozen", .since = 1, .rev = 1,
     .flags = FZ_OP_IN_PLACE | FZ_OP_HALF,
     .min_in = 2, .max_in = 2, .min_out = 1, .max_out = 1, .attrs = "",
     .infer = infer, .run = run},
    {0},
};
