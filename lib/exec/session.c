/* Making and releasing sessions; their memory. */
#include "exec/session.h"

#include "base/fpenv.h"

fz_status_t fzi_session_grow(struct fz_session *session, struct fz_buffer *buffer, size_t size) {
    if (buffer->data && buffer->size >= size) return FZ_OK;
    uint64_t max = session->options.max_arena_size ? session->options.max_arena_size : 1ull << 36;
    if (size > max || size > SIZE_MAX - 64)
        return fzi_error(FZ_E_LIMIT, "a buffer of %zu bytes is beyond the session's limit", size);
    void *data = fzi_alloc_large(size + 64);
    if (!data) return fzi_error(FZ_E_NOMEM, "no memory for a buffer of %zu bytes", size);
    fzi_free(buffer->data);
    session->memory_size += size - buffer->size;
    session->n_allocations++;
    *buffer = (struct fz_buffer){data, size};
    return FZ_OK;
}

void fzi_session_count_heap(struct fz_session *session) {
    session->n_allocations += session->heap.n_blocks - session->heap_blocks;
    session->heap_blocks = session->heap.n_blocks;
}

fz_status_t fzi_session_blame(const struct fz_session *session, uint32_t step,
                              fz_status_t status) {
    const struct fz_plan *plan = &session->model->plan;
    const struct fz_plan_step *s = &plan->steps[step];
    return fzi_error_context(status, "node '%s' (%s)", plan->strings + s->name,
                             plan->strings + plan->ops[s->op].name);
}

static void serial(const struct fz_env *env, size_t count, fz_task_fn task, void *arg) {
    (void)env;
    for (size_t i = 0; i < count; i++) task(arg, i);
}

static void pooled(const struct fz_env *env, size_t count, fz_task_fn task, void *arg) {
    const struct fz_session *session = env->owner;
    fzi_pool_run(session->pool, count, task, arg);
}

struct foreign {
    fz_task_fn task;
    void *arg;
};

/* The caller's threads may be in any floating-point environment. */
static void foreign_task(void *arg, size_t i) {
    const struct foreign *f = arg;
    uint64_t old = fzi_fpenv_enter();
    f->task(f->arg, i);
    fzi_fpenv_leave(old);
}

static void foreign(const struct fz_env *env, size_t count, fz_task_fn task, void *arg) {
    const struct fz_session *session = env->owner;
    struct foreign f = {task, arg};
    session->options.parallel(session->options.parallel_context, count, foreign_task, &f);
}

static fz_status_t choose_threads(struct fz_session *session) {
    const fz_session_options_t *o = &session->options;
    struct fz_env *env = &session->env;
    env->threads = 1;
    env->parallel = serial;
    if (o->parallel) {
        env->parallel = foreign;
        env->threads = o->parallel_width > 0 ? (uint32_t)o->parallel_width : 1;
        return FZ_OK;
    }
    uint32_t width = o->threads < 0    ? fzi_pool_host_width()
                     : o->threads == 0 ? 1
                                       : (uint32_t)o->threads;
    if (width <= 1) return FZ_OK;
    session->pool = fzi_pool_new(width);
    if (!session->pool) return fzi_error(FZ_E_NOMEM, "no memory for threads");
    env->parallel = pooled;
    env->threads = width;
    return FZ_OK;
}

fz_status_t fzi_session_new(struct fz_model *model, const fz_session_options_t *options,
                            struct fz_session **out) {
    struct fz_session *session = fzi_calloc(1, sizeof *session);
    if (!session) return fzi_error(FZ_E_NOMEM, "no memory for a session");
    session->model = model;
    session->options = *options;
    session->receipt.wanted = (options->flags & FZ_SESSION_RECEIPTS) != 0;
    session->late = fzi_calloc(model->plan.n_values, sizeof *session->late);
    session->spare = fzi_calloc(model->plan.n_values, sizeof *session->spare);
    session->outputs = fzi_calloc(model->plan.n_outputs, sizeof *session->outputs);
    fz_status_t status = session->late && session->spare && session->outputs
                             ? choose_threads(session)
                             : fzi_error(FZ_E_NOMEM, "no memory for a session");
    if (status != FZ_OK) {
        fzi_session_free(session);
        return status;
    }
    session->env.k = &model->kernels;
    session->env.blas = model->blas;
    session->env.owner = session;
    session->env.heap = &session->heap;
    session->heap.limit = options->max_arena_size ? options->max_arena_size : 1ull << 36;
    *out = session;
    return FZ_OK;
}

static void free_buffers(struct fz_buffer *buffers, size_t n) {
    for (size_t i = 0; buffers && i < n; i++) fzi_free(buffers[i].data);
    fzi_free(buffers);
}

void fzi_session_free(struct fz_session *session) {
    if (!session) return;
    fzi_pool_free(session->pool);
    for (int i = 0; i < FZ_BINDINGS_MAX; i++) fzi_binding_free(session->bindings[i]);
    fzi_free(session->arena.data);
    fzi_free(session->scratch.data);
    fzi_arena_free(&session->heap);
    free_buffers(session->late, session->model->plan.n_values);
    free_buffers(session->spare, session->model->plan.n_values);
    free_buffers(session->outputs, session->model->plan.n_outputs);
    fzi_free(session);
}
