/* Running a bound session: a walk over steps whose pointers are all in place. */
#include "exec/session.h"

#include <time.h>

#include "base/fpenv.h"
#include "exec/chain.h"
#include "exec/weights.h"
#include "ops/control.h"
#include "ops/nested.h"

static uint64_t now_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static fz_status_t poll(const struct fz_env *env) {
    struct fz_session *session = env->owner;
    if (atomic_load_explicit(&session->cancelled, memory_order_relaxed))
        return fzi_error(FZ_E_CANCELLED, "the run was cancelled");
    if (session->deadline_ns && now_ns() > session->deadline_ns)
        return fzi_error(FZ_E_DEADLINE, "the run's deadline of %llu us has passed",
                         (unsigned long long)session->deadline_us);
    return FZ_OK;
}

/* ---- steps whose shapes are known only now */

static uint32_t value_of(const struct fz_session *session, const fz_tensor_t *t) {
    return (uint32_t)(t - session->current->values);
}

/* Gives T, whose shape is known, its own buffer. */
static fz_status_t place_late(struct fz_session *session, fz_tensor_t *t) {
    FZ_TRY(fzi_tensor_measure(t));
    struct fz_buffer *buffer = &session->late[value_of(session, t)];
    FZ_TRY(fzi_session_grow(session, buffer, t->size));
    t->data = buffer->data;
    return FZ_OK;
}

/* As fzi_session_grow, with room to spare, keeping the bytes. */
static fz_status_t grow_keeping(struct fz_session *session, struct fz_buffer *buffer,
                                size_t size) {
    if (buffer->data && buffer->size >= size) return FZ_OK;
    struct fz_buffer bigger = {0};
    FZ_TRY(fzi_session_grow(session, &bigger, buffer->size ? size + size / 2 : size));
    if (buffer->size) memcpy(bigger.data, buffer->data, buffer->size);
    session->memory_size -= buffer->size;
    fzi_free(buffer->data);
    *buffer = bigger;
    return FZ_OK;
}

static fz_status_t resize(const struct fz_call *call, uint32_t i, int32_t rank,
                          const int64_t *dims) {
    struct fz_session *session = call->env->owner;
    if (i >= call->n_out || !call->out[i]) return FZ_OK;
    fz_tensor_t *t = call->out[i];
    struct fz_buffer *buffer = &session->late[value_of(session, t)];
    fzi_shape_set(t, rank, dims);
    FZ_TRY(fzi_tensor_measure(t));
    FZ_TRY(grow_keeping(session, buffer, t->size));
    t->data = buffer->data;
    return FZ_OK;
}

static fz_status_t prepare_late(struct fz_session *session, struct fz_bound_step *s) {
    FZ_TRY(fzi_op_infer(s->op, &s->call));
    for (uint32_t i = 0; i < s->call.n_out; i++) {
        fz_tensor_t *t = s->call.out[i];
        if (!t) continue;
        if (fzi_shape_known(t)) FZ_TRY(place_late(session, t));
        else if (!(s->op->flags & FZ_OP_LATE_SHAPE))
            return fzi_error(FZ_E_SHAPE, "the shape of output %u cannot be determined", i);
    }
    if (!s->op->scratch) return FZ_OK;
    size_t need = s->op->scratch(s->op, &s->call);
    FZ_TRY(fzi_session_grow(session, &session->scratch, need));
    s->call.scratch = session->scratch.data;
    return FZ_OK;
}

static fz_status_t run_late(struct fz_session *session, struct fz_bound_step *s) {
    if (!(s->op->flags & FZ_OP_CONTROL)) {
        FZ_TRY(prepare_late(session, s));
        return s->op->run(s->op, &s->call);
    }
    /* Subgraphs use the scratch of late steps: a control operator has none. */
    return s->op->run(s->op, &s->call);
}

static fz_status_t prove(const struct fz_env *env, const void *data, size_t size) {
    const struct fz_session *session = env->owner;
    return fzi_weights_check_bytes(session->model, env, data, size);
}

/* ---- walking */

static void trace_step(struct fz_session *session, uint32_t i, const struct fz_bound_step *s,
                       uint64_t ns) {
    const struct fz_plan *plan = &session->model->plan;
    const struct fz_plan_step *step = &plan->steps[i];
    const char *names[FZ_OP_MAX_OUT];
    fz_tensor_t outputs[FZ_OP_MAX_OUT];
    uint32_t n = 0;
    for (uint32_t j = 0; j < s->call.n_out && n < FZ_OP_MAX_OUT; j++) {
        uint32_t v = plan->args[step->args + step->n_in + j];
        if (v == FZ_NONE) continue;
        names[n] = plan->strings + plan->values[v].name;
        outputs[n++] = *s->call.out[j];
    }
    session->trace(session->trace_context, i, s->op->name, plan->strings + step->name, names,
                   outputs, n, ns);
}

static fz_status_t check_weights(struct fz_session *session, uint32_t i) {
    struct fz_bound_step *s = &session->current->steps[i];
    if (!(s->flags & FZ_STEP_CHECK)) return FZ_OK;
    FZ_TRY(fzi_weights_check_step(session->model, &session->env,
                                  &session->model->plan.steps[i]));
    s->flags &= ~(uint32_t)FZ_STEP_CHECK;
    return FZ_OK;
}

static fz_status_t run_chain(struct fz_session *session, struct fz_chain *chain) {
    uint32_t first = fzi_chain_first(chain), n = fzi_chain_steps(chain);
    for (uint32_t i = first; i < first + n; i++) FZ_TRY(check_weights(session, i));
    return fzi_chain_run(session, chain, session->arena.data);
}

static fz_status_t run_step(struct fz_session *session, uint32_t i) {
    struct fz_bound_step *s = &session->current->steps[i];
    uint64_t start = session->trace ? now_ns() : 0;
    fz_status_t status = FZ_OK;
    FZ_TRY(check_weights(session, i));
    if (!(s->flags & FZ_STEP_SKIP))
        status = s->flags & FZ_STEP_LATE ? run_late(session, s) : s->op->run(s->op, &s->call);
    if (status != FZ_OK) return fzi_session_blame(session, i, status);
    if (session->trace) trace_step(session, i, s, now_ns() - start);
    return FZ_OK;
}

static fz_status_t run_block(struct fz_session *session, uint32_t block) {
    const struct fz_plan_block *b = &session->model->plan.blocks[block];
    for (uint32_t i = b->step; i < b->step + b->n_steps; i++) {
        struct fz_chain *chain = session->current->chain_of[i];
        FZ_TRY(poll(&session->env));
        if (!chain) FZ_TRY(run_step(session, i));
        else if (fzi_chain_first(chain) == i) FZ_TRY(run_chain(session, chain));
    }
    return FZ_OK;
}

/* Copies T into a buffer of block input V. Its last buffer is kept until the next time: T, or a
 * later input, may lie in it. */
static fz_status_t set_block_input(struct fz_session *session, uint32_t v, const fz_tensor_t *t) {
    fz_tensor_t *to = &session->current->values[v], item, one;
    if (t->dtype && fz_type_kind(to->dtype) == FZ_KIND_OPTIONAL &&
        fz_type_element(to->dtype) == t->dtype) {
        /* What is there may become an optional from one iteration to the next. */
        FZ_TRY(fzi_nested_keep(&session->env, t, &item));
        one = (fz_tensor_t){.dtype = to->dtype, .rank = 1, .dims = {1}, .data = &item};
        t = &one;
    }
    if (to->dtype != t->dtype)
        return fzi_error(FZ_E_TYPE, "a subgraph input is %s, its value %s",
                         fz_type_name(to->dtype), fz_type_name(t->dtype));
    struct fz_buffer last = session->late[v];
    session->late[v] = session->spare[v];
    session->spare[v] = last;
    fzi_shape_copy(to, t);
    FZ_TRY(place_late(session, to));
    if (to->size) memcpy(to->data, t->data, to->size);
    return FZ_OK;
}

static fz_status_t eval(const struct fz_call *call, uint32_t sub, const fz_tensor_t *const *in,
                        uint32_t n_in, const fz_tensor_t **out, uint32_t *n_out) {
    struct fz_session *session = call->env->owner;
    const struct fz_plan *plan = &session->model->plan;
    if (sub >= call->n_sub) return fzi_error(FZ_E_INTERNAL, "no such subgraph");
    const struct fz_plan_block *b = &plan->blocks[call->sub[sub]];
    fz_tensor_t given[FZ_CONTROL_MAX];
    if (n_in != b->n_inputs || n_in > FZ_CONTROL_MAX)
        return fzi_error(FZ_E_FORMAT, "the subgraph takes %u inputs, not %u", b->n_inputs, n_in);
    /* An input may be another one of the last run, which is about to change. */
    for (uint32_t i = 0; i < n_in; i++) given[i] = *in[i];
    for (uint32_t i = 0; i < n_in; i++)
        FZ_TRY(set_block_input(session, plan->args[b->inputs + i], &given[i]));
    FZ_TRY(run_block(session, call->sub[sub]));
    if (*n_out < b->n_outputs) return fzi_error(FZ_E_FORMAT, "the subgraph has too many outputs");
    *n_out = b->n_outputs;
    for (uint32_t i = 0; i < b->n_outputs; i++)
        out[i] = &session->current->values[plan->args[b->outputs + i]];
    return FZ_OK;
}

/* ---- inputs and outputs */

static fz_status_t check_input(const struct fz_session *session, uint32_t i,
                               const fz_tensor_t *t) {
    const struct fz_plan *plan = &session->model->plan;
    const char *name = plan->strings + plan->io[i].name;
    const fz_tensor_t *want = &session->model->values[plan->io[i].value];
    if (t->dtype != want->dtype)
        return fzi_error(FZ_E_TYPE, "input '%s' is %s, the model takes %s", name,
                         fz_type_name(t->dtype), fz_type_name(want->dtype));
    if (t->rank < 0 || t->rank > FZ_RANK_MAX || (want->rank >= 0 && t->rank != want->rank))
        return fzi_error(FZ_E_SHAPE, "input '%s' has rank %d, the model takes %d", name, t->rank,
                         want->rank);
    for (int32_t d = 0; d < t->rank; d++)
        if (t->dims[d] < 0 ||
            (want->rank >= 0 && want->dims[d] >= 0 && t->dims[d] != want->dims[d]))
            return fzi_error(FZ_E_SHAPE, "input '%s' has size %lld in dimension %d, not %lld", name,
                             (long long)t->dims[d], d,
                             (long long)(want->rank >= 0 ? want->dims[d] : -1));
    fz_tensor_t measured = *t;
    FZ_TRY(fzi_tensor_measure(&measured));
    if (t->size < measured.size || (measured.size && !t->data))
        return fzi_error(FZ_E_SHAPE, "input '%s' has %zu bytes, its shape needs %zu", name,
                         t->data ? t->size : 0, measured.size);
    fz_status_t status = fzi_type_has_pointers(t->dtype) ? fzi_value_check(&measured) : FZ_OK;
    return status == FZ_OK ? FZ_OK : fzi_error_context(status, "input '%s'", name);
}

static void set_inputs(struct fz_session *session, const fz_tensor_t *inputs) {
    const struct fz_plan *plan = &session->model->plan;
    struct fz_binding *b = session->current;
    for (uint32_t i = 0; i < plan->n_inputs; i++) {
        fz_tensor_t *t = &b->values[plan->io[i].value];
        t->data = inputs[i].data;
        fzi_tensor_measure(t);
    }
    if (!b->has_views) return;
    for (uint32_t v = 0; v < plan->n_values; v++)
        if (b->places[v].kind == FZ_PLACE_VIEW)
            b->values[v].data = b->values[b->places[v].root].data;
}

/* True if T's bytes are the session's own, so that they may be handed out and changed. */
static bool is_own(const struct fz_session *session, const fz_tensor_t *t) {
    const struct fz_place *place = &session->current->places[value_of(session, t)];
    return place->kind == FZ_PLACE_ARENA ||
           (place->kind == FZ_PLACE_NONE && t->data == session->late[value_of(session, t)].data);
}

static fz_status_t deliver(struct fz_session *session, uint32_t i, fz_tensor_t *out) {
    const struct fz_plan *plan = &session->model->plan;
    uint32_t v = plan->io[plan->n_inputs + i].value;
    fz_tensor_t *t = &session->current->values[v];
    void *to = out->data;
    size_t capacity = out->size;
    FZ_TRY(fzi_tensor_measure(t));
    *out = *t;
    if (to && capacity < t->size) {
        out->data = to;
        return fzi_error(FZ_E_SHAPE, "output '%s' needs %zu bytes, its buffer has %zu",
                         plan->strings + plan->io[plan->n_inputs + i].name, t->size, capacity);
    }
    if (!to && !is_own(session, t)) {
        FZ_TRY(fzi_session_grow(session, &session->outputs[i], t->size));
        to = session->outputs[i].data;
    }
    if (to && t->size) memcpy(to, t->data, t->size);
    if (to) out->data = to;
    /* Elements may point to the caller's inputs, which are not read after the run. */
    return fzi_value_own(&session->heap, out);
}

static fz_status_t check_corrupt(const struct fz_session *session) {
    if (!atomic_load_explicit(&session->model->corrupt, memory_order_relaxed)) return FZ_OK;
    return fzi_error(FZ_E_CORRUPT, "the model's memory was found changed");
}

static fz_status_t run(struct fz_session *session, const fz_tensor_t *inputs,
                       fz_tensor_t *outputs, size_t n_outputs) {
    if (session->deadline_us) session->deadline_ns = now_ns() + session->deadline_us * 1000;
    FZ_TRY(fzi_session_bind(session, inputs));
    set_inputs(session, inputs);
    FZ_TRY(run_block(session, 0));
    FZ_TRY(poll(&session->env)); /* a step that was told to end has left its work undone */
    FZ_TRY(check_corrupt(session)); /* found meanwhile */
    for (uint32_t i = 0; i < n_outputs; i++) FZ_TRY(deliver(session, i, &outputs[i]));
    session->n_runs++;
    return FZ_OK;
}

fz_status_t fzi_session_run(struct fz_session *session, const fz_tensor_t *inputs,
                            size_t n_inputs, fz_tensor_t *outputs, size_t n_outputs) {
    const struct fz_plan *plan = &session->model->plan;
    FZ_TRY(check_corrupt(session)); /* what is known to be changed steers nothing any more */
    if (n_inputs != plan->n_inputs)
        return fzi_error(FZ_E_USAGE, "the model has %zu inputs, %zu were given", plan->n_inputs,
                         n_inputs);
    if (n_outputs > plan->n_outputs)
        return fzi_error(FZ_E_USAGE, "the model has %zu outputs, %zu were asked for",
                         plan->n_outputs, n_outputs);
    struct fz_receipt *receipt = &session->receipt;
    receipt->known = false;
    if (receipt->wanted && n_outputs != plan->n_outputs)
        return fzi_error(FZ_E_USAGE, "a run with a receipt needs all %zu outputs, not %zu",
                         plan->n_outputs, n_outputs);
    for (uint32_t i = 0; i < n_inputs; i++) FZ_TRY(check_input(session, i, &inputs[i]));
    if (receipt->wanted) fzi_receipt_digest(inputs, n_inputs, receipt->input);
    fzi_arena_reset(&session->heap);
    session->env.resize = resize;
    session->env.eval = eval;
    session->env.poll = poll;
    session->env.prove = session->model->checked ? prove : NULL;
    uint64_t old = fzi_fpenv_enter();
    fz_status_t status = run(session, inputs, outputs, n_outputs);
    fzi_fpenv_leave(old);
    fzi_session_count_heap(session);
    if (status == FZ_E_CANCELLED) atomic_store(&session->cancelled, false);
    if (receipt->wanted && status == FZ_OK) {
        fzi_receipt_digest(outputs, n_outputs, receipt->output);
        receipt->known = true;
    }
    return status;
}
