/* One operator by hand: infer, allocate, run. Constant folding and operator tests use it. */
#include "ops/op.h"

struct evaluation {
    struct fz_arena *arena;
};

static void serial(const struct fz_env *env, size_t count, fz_task_fn task, void *arg) {
    (void)env;
    for (size_t i = 0; i < count; i++) task(arg, i);
}

static fz_status_t resize(const struct fz_call *call, uint32_t i, int32_t rank,
                          const int64_t *dims) {
    struct evaluation *e = call->env->owner;
    if (i >= call->n_out || !call->out[i]) return FZ_OK;
    fz_tensor_t old = *call->out[i];
    fzi_shape_set(call->out[i], rank, dims);
    FZ_TRY(fzi_tensor_alloc(e->arena, call->out[i]));
    size_t kept = old.size < call->out[i]->size ? old.size : call->out[i]->size;
    if (old.data && kept) memcpy(call->out[i]->data, old.data, kept);
    return FZ_OK;
}

static fz_status_t no_eval(const struct fz_call *call, uint32_t sub, const fz_tensor_t *const *in,
                           uint32_t n_in, const fz_tensor_t **out, uint32_t *n_out) {
    (void)call, (void)sub, (void)in, (void)n_in, (void)out, (void)n_out;
    return fzi_error(FZ_E_UNSUPPORTED, "subgraphs are not evaluated here");
}

static fz_status_t poll(const struct fz_env *env) {
    (void)env;
    return FZ_OK;
}

/* Gives every output of known shape its memory; the others wait for resize. */
static fz_status_t allocate(struct fz_tensor *out, uint32_t n_out, struct fz_arena *arena,
                            const struct fz_op *op) {
    for (uint32_t i = 0; i < n_out; i++) {
        if (fzi_shape_known(&out[i])) FZ_TRY(fzi_tensor_alloc(arena, &out[i]));
        else if (!(op->flags & FZ_OP_LATE_SHAPE))
            return fzi_error(FZ_E_SHAPE, "%s: the shape of output %u is not known", op->name, i);
    }
    return FZ_OK;
}

fz_status_t fzi_op_evaluate(const struct fz_op *op, const void *params,
                            const fz_tensor_t *const *in, uint32_t n_in, fz_tensor_t *out,
                            uint32_t n_out, struct fz_arena *arena, const struct fzk_table *k) {
    struct evaluation owner = {arena};
    struct fz_env env = {.k = k, .threads = 1, .parallel = serial, .resize = resize,
                         .eval = no_eval, .poll = poll, .heap = arena, .owner = &owner};
    if (op->flags & FZ_OP_CONTROL)
        return fzi_error(FZ_E_UNSUPPORTED, "%s has subgraphs", op->name);
    fz_tensor_t **outs = fzi_arena_array(arena, n_out, sizeof *outs);
    if (!outs) return fzi_error(FZ_E_NOMEM, "no memory for outputs");
    for (uint32_t i = 0; i < n_out; i++) outs[i] = &out[i];
    struct fz_call call = {.params = params, .n_in = n_in, .n_out = n_out, .in = in, .out = outs,
                           .env = &env};
    FZ_TRY(fzi_op_infer(op, &call));
    FZ_TRY(allocate(out, n_out, arena, op));
    if (op->scratch) {
        call.scratch = fzi_arena_alloc(arena, op->scratch(op, &call));
        if (!call.scratch) return fzi_error(FZ_E_NOMEM, "no memory for scratch");
    }
    return op->run(op, &call);
}
