/* Proves the weights of a mapped file as runs come to them. */
#include "exec/weights.h"

static bool is_checked(const struct fz_model *model, uint64_t block) {
    return atomic_load_explicit(&model->checked[block], memory_order_acquire);
}

static fz_status_t check_block(struct fz_model *model, uint64_t block) {
    if (is_checked(model, block)) return FZ_OK;
    FZ_TRY(fzi_artifact_check_block(&model->info, block));
    atomic_store_explicit(&model->checked[block], 1, memory_order_release);
    return FZ_OK;
}

struct job {
    struct fz_model *model;
    uint64_t first;
};

/* Blocks [begin, end) of a job. One that is not right stays unchecked. */
static void check_range(void *arg, int64_t begin, int64_t end) {
    const struct job *job = arg;
    for (int64_t i = begin; i < end; i++) (void)check_block(job->model, job->first + (uint64_t)i);
}

/* A thread's messages are its own, so the blocks that none could prove are left for the caller.
 * Blocks are 64 KiB: some 10 us each where they come from memory. */
static fz_status_t check(struct fz_model *model, const struct fz_env *env, uint64_t off,
                         uint64_t size) {
    struct job job = {.model = model};
    uint64_t count;
    fzi_artifact_weight_blocks(&model->info, off, size, &job.first, &count);
    while (count > 0 && is_checked(model, job.first)) job.first++, count--;
    if (count == 0) return FZ_OK;
    fzi_seal_fetch(model->plan.weights + off, size);
    fzi_run_range(env, (int64_t)count, 4, check_range, &job);
    for (uint64_t i = 0; i < count; i++) {
        fz_status_t status = check_block(model, job.first + i);
        if (status == FZ_OK) continue;
        atomic_store(&model->corrupt, true);
        return status;
    }
    return FZ_OK;
}

fz_status_t fzi_weights_check_step(struct fz_model *model, const struct fz_env *env,
                                   const struct fz_plan_step *step) {
    const struct fz_plan *plan = &model->plan;
    bool proves = (model->ops[step->op]->flags & FZ_OP_PROVES) != 0;
    for (uint32_t i = proves ? 1 : 0; i < step->n_in; i++) {
        uint32_t v = plan->args[step->args + i];
        if (v == FZ_NONE || plan->values[v].kind != FZ_VALUE_CONST) continue;
        const struct fz_plan_const *c = &plan->consts[plan->values[v].source];
        if (c->section == FZ_SECTION_WEIGHTS) FZ_TRY(check(model, env, c->off, c->size));
    }
    return FZ_OK;
}

fz_status_t fzi_weights_check_bytes(struct fz_model *model, const struct fz_env *env,
                                    const void *data, size_t size) {
    uintptr_t off = (uintptr_t)data - (uintptr_t)model->plan.weights;
    return off < model->plan.weights_size ? check(model, env, off, size) : FZ_OK;
}
