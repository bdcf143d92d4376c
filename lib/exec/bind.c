/* Binding a session to input shapes: infers every shape it can, computes what depends on shapes
 * alone, and places every other value in one arena by its lifetime. */
#include "exec/session.h"

#include "exec/chain.h"
#include "exec/weights.h"

/* Results up to this size are computed once per binding if their inputs are known by then. */
enum { EARLY_MAX = 65536, MARGIN = 64 };

struct binder {
    struct fz_session *session;
    const struct fz_plan *plan;
    struct fz_binding *b;
};

static fz_status_t no_memory(void) { return fzi_error(FZ_E_NOMEM, "no memory for a session"); }

/* ---- structure: pointers from steps to values, the same for all shapes */

static void bind_steps(struct binder *x) {
    const struct fz_model *model = x->session->model;
    for (size_t i = 0; i < x->plan->n_args; i++) x->b->args[i] = NULL;
    for (uint32_t i = 0; i < x->plan->n_steps; i++) {
        const struct fz_plan_step *step = &x->plan->steps[i];
        struct fz_bound_step *bound = &x->b->steps[i];
        const uint32_t *args = x->plan->args + step->args;
        for (uint32_t j = 0; j < step->n_in + step->n_out; j++)
            if (args[j] != FZ_NONE) x->b->args[step->args + j] = &x->b->values[args[j]];
        bound->op = model->ops[step->op];
        bound->call = (struct fz_call){
            .params = x->plan->params + step->params,
            .n_in = step->n_in,
            .n_out = step->n_out,
            .in = x->b->args + step->args,
            .out = (fz_tensor_t *const *)(x->b->args + step->args + step->n_in),
            .env = &x->session->env,
            .sub = args + step->n_in + step->n_out,
            .n_sub = step->n_sub};
        bound->flags = FZ_STEP_LATE | (model->checked ? FZ_STEP_CHECK : 0);
    }
}

static fz_status_t allocate(struct binder *x) {
    struct fz_binding *b = fzi_calloc(1, sizeof *b);
    if (!b) return no_memory();
    x->b = b;
    const struct fz_plan *plan = x->plan;
    b->values = fzi_arena_array(&b->memory, plan->n_values, sizeof *b->values);
    b->args = fzi_arena_array(&b->memory, plan->n_args, sizeof *b->args);
    b->steps = fzi_arena_array(&b->memory, plan->n_steps, sizeof *b->steps);
    b->places = fzi_arena_array(&b->memory, plan->n_values, sizeof *b->places);
    b->chain_of = fzi_arena_array(&b->memory, plan->n_steps, sizeof *b->chain_of);
    if (!b->values || !b->args || !b->steps || !b->places || !b->chain_of) return no_memory();
    memcpy(b->values, x->session->model->values, plan->n_values * sizeof *b->values);
    for (size_t v = 0; v < plan->n_values; v++)
        if (plan->values[v].kind == FZ_VALUE_CONST) b->places[v].kind = FZ_PLACE_FIXED;
    bind_steps(x);
    return FZ_OK;
}

/* ---- shapes */

static uint32_t value_of(const struct binder *x, const fz_tensor_t *t) {
    return (uint32_t)(t - x->b->values);
}

static bool inputs_known(const struct fz_bound_step *s) {
    for (uint32_t i = 0; i < s->call.n_in; i++) {
        const fz_tensor_t *t = s->call.in[i];
        if (!t) continue;
        if (s->op->flags & FZ_OP_SHAPE_INPUT ? !fzi_shape_known(t) : !t->data) return false;
    }
    return true;
}

static bool inputs_late(const struct fz_bound_step *s) {
    for (uint32_t i = 0; i < s->call.n_in; i++)
        if (s->call.in[i] && !fzi_shape_known(s->call.in[i])) return true;
    return false;
}

/* True if an output's elements would point into the heap, which lasts for one run only. */
static bool needs_heap(const struct fz_bound_step *s) {
    for (uint32_t i = 0; i < s->call.n_out; i++)
        if (s->call.out[i] && fzi_type_has_pointers(s->call.out[i]->dtype)) return true;
    return false;
}

/* Measures the outputs; false if a shape is still open. */
static fz_status_t measure(const struct fz_bound_step *s, bool *known, size_t *total) {
    *known = true;
    *total = 0;
    for (uint32_t i = 0; i < s->call.n_out; i++) {
        fz_tensor_t *t = s->call.out[i];
        if (!t) continue;
        if (!fzi_shape_known(t)) {
            *known = false;
            return FZ_OK;
        }
        FZ_TRY(fzi_tensor_measure(t));
        *total += t->size;
    }
    return FZ_OK;
}

/* Runs a step whose inputs depend on shapes only. */
static fz_status_t run_early(struct binder *x, struct fz_bound_step *s) {
    if (s->flags & FZ_STEP_CHECK)
        FZ_TRY(fzi_weights_check_step(x->session->model, &x->session->env,
                                      &x->plan->steps[s - x->b->steps]));
    for (uint32_t i = 0; i < s->call.n_out; i++) {
        fz_tensor_t *t = s->call.out[i];
        if (!t) continue;
        t->data = fzi_arena_alloc(&x->b->memory, t->size);
        if (!t->data) return no_memory();
        x->b->places[value_of(x, t)].kind = FZ_PLACE_FIXED;
    }
    if (s->op->scratch) {
        size_t need = s->op->scratch(s->op, &s->call);
        FZ_TRY(fzi_session_grow(x->session, &x->session->scratch, need));
        s->call.scratch = x->session->scratch.data;
    }
    s->flags = FZ_STEP_SKIP;
    return s->op->run(s->op, &s->call);
}

static void forget_outputs(const struct fz_bound_step *s) {
    for (uint32_t i = 0; i < s->call.n_out; i++)
        if (s->call.out[i]) s->call.out[i]->rank = FZ_RANK_UNKNOWN;
}

static fz_status_t infer_step(struct binder *x, struct fz_bound_step *s) {
    bool known;
    size_t total;
    if (s->op->flags & FZ_OP_CONTROL) {
        forget_outputs(s);
        return FZ_OK;
    }
    if (inputs_late(s) && !(s->op->flags & FZ_OP_SHAPE_INPUT && inputs_known(s))) {
        forget_outputs(s);
        return FZ_OK;
    }
    FZ_TRY(fzi_op_infer(s->op, &s->call));
    FZ_TRY(measure(s, &known, &total));
    if (!known) {
        forget_outputs(s);
        return FZ_OK;
    }
    s->flags &= FZ_STEP_CHECK;
    if (x->b->macs != UINT64_MAX && s->op->macs) x->b->macs += s->op->macs(s->op, &s->call);
    bool early = total <= EARLY_MAX && !(s->op->flags & FZ_OP_RANDOM) && inputs_known(s) &&
                 !needs_heap(s);
    return early ? run_early(x, s) : FZ_OK;
}

static fz_status_t infer_all(struct binder *x) {
    const struct fz_plan_block *block = &x->plan->blocks[0];
    for (uint32_t i = 0; i < block->n_steps; i++) {
        fz_status_t status = infer_step(x, &x->b->steps[block->step + i]);
        if (status != FZ_OK) return fzi_session_blame(x->session, block->step + i, status);
    }
    return FZ_OK;
}

/* ---- placement: first fit by offset into a list of free gaps, in order of time */

struct gap {
    uint64_t off, size;
};

struct placer {
    struct binder *x;
    struct gap *gaps; /* free, sorted by offset, never adjacent */
    size_t n_gaps;
    uint64_t end;
    uint32_t *until;  /* per value: last step that reads it or a value that shares its bytes */
    uint32_t *next;   /* list of the values that die at a step */
    uint32_t *dying;  /* per step: head of that list */
};

static uint64_t take(struct placer *p, uint64_t size) {
    size_t best = SIZE_MAX;
    for (size_t i = 0; i < p->n_gaps; i++)
        if (p->gaps[i].size >= size && (best == SIZE_MAX || p->gaps[i].size < p->gaps[best].size))
            best = i;
    if (best == SIZE_MAX) {
        struct gap *last = p->n_gaps ? &p->gaps[p->n_gaps - 1] : NULL;
        uint64_t off = p->end;
        if (last && last->off + last->size == p->end) {
            off = last->off;
            p->n_gaps--;
        }
        p->end = off + size;
        return off;
    }
    struct gap *gap = &p->gaps[best];
    uint64_t off = gap->off;
    gap->off += size;
    gap->size -= size;
    if (gap->size == 0) {
        memmove(gap, gap + 1, (p->n_gaps - best - 1) * sizeof *gap);
        p->n_gaps--;
    }
    return off;
}

static void give(struct placer *p, uint64_t off, uint64_t size) {
    size_t i = 0;
    while (i < p->n_gaps && p->gaps[i].off < off) i++;
    bool joins_before = i > 0 && p->gaps[i - 1].off + p->gaps[i - 1].size == off;
    bool joins_after = i < p->n_gaps && off + size == p->gaps[i].off;
    if (joins_before) {
        p->gaps[i - 1].size += size + (joins_after ? p->gaps[i].size : 0);
        if (joins_after) {
            memmove(&p->gaps[i], &p->gaps[i + 1], (p->n_gaps - i - 1) * sizeof *p->gaps);
            p->n_gaps--;
        }
    } else if (joins_after) {
        p->gaps[i].off = off;
        p->gaps[i].size += size;
    } else {
        memmove(&p->gaps[i + 1], &p->gaps[i], (p->n_gaps - i) * sizeof *p->gaps);
        p->gaps[i] = (struct gap){off, size};
        p->n_gaps++;
    }
}

static uint64_t room(const fz_tensor_t *t) { return fzi_align(t->size, 64) + MARGIN; }

/* The last step that reads V; FZ_NONE, the largest number, if the model's caller does. */
static uint32_t last_use(const struct placer *p, uint32_t v) {
    return p->x->session->model->last_use[v];
}

/* Puts value V on the list of those that die at the step its bytes are last read. */
static void schedule_death(struct placer *p, uint32_t v, uint32_t now) {
    uint32_t at = p->until[v];
    if (at == FZ_NONE) return; /* an output: never */
    if (at < now) at = now;
    p->next[v] = p->dying[at];
    p->dying[at] = v;
}

static bool same_elements(const fz_tensor_t *a, const fz_tensor_t *b) {
    return a->size == b->size && fzi_type_width(a->dtype) == fzi_type_width(b->dtype);
}

/* Lets OUT lie on IN's bytes in the arena; in place only if nobody needs IN's afterwards. */
static bool share_arena(struct placer *p, uint32_t step, uint32_t in, uint32_t out, bool view) {
    struct fz_place *from = &p->x->b->places[in];
    uint32_t root = from->root;
    if (!view && p->until[root] != step) return false;
    if (last_use(p, out) > p->until[root]) p->until[root] = last_use(p, out);
    p->x->b->places[out] = (struct fz_place){FZ_PLACE_ARENA, root, from->off};
    return true;
}

/* Lets OUT share IN's bytes if it can. */
static bool share(struct placer *p, uint32_t step, const fz_tensor_t *in, fz_tensor_t *out,
                  bool view) {
    struct fz_place *places = p->x->b->places;
    uint32_t v = value_of(p->x, in), o = value_of(p->x, out);
    if (!same_elements(in, out) || places[o].kind != FZ_PLACE_NONE) return false;
    if (places[v].kind == FZ_PLACE_ARENA) return share_arena(p, step, v, o, view);
    if (!view || places[v].kind == FZ_PLACE_NONE) return false;
    if (places[v].kind == FZ_PLACE_FIXED) {
        out->data = in->data;
        places[o] = (struct fz_place){.kind = FZ_PLACE_FIXED};
    } else {
        uint32_t input = places[v].kind == FZ_PLACE_INPUT ? v : places[v].root;
        places[o] = (struct fz_place){.kind = FZ_PLACE_VIEW, .root = input};
        p->x->b->has_views = true;
    }
    return true;
}

static bool try_share(struct placer *p, uint32_t i, struct fz_bound_step *s) {
    fz_tensor_t *out = s->call.n_out ? s->call.out[0] : NULL;
    if (!out || s->call.n_in == 0) return false;
    if (s->op->flags & FZ_OP_VIEW && s->call.in[0] && share(p, i, s->call.in[0], out, true)) {
        s->flags |= FZ_STEP_SKIP;
        return true;
    }
    if (!(s->op->flags & FZ_OP_IN_PLACE)) return false;
    for (uint32_t j = 0; j < s->call.n_in; j++)
        if (s->call.in[j] && share(p, i, s->call.in[j], out, false)) return true;
    return false;
}

static void place_fresh(struct placer *p, fz_tensor_t *t, uint32_t now) {
    uint32_t v = value_of(p->x, t);
    if (p->x->b->places[v].kind != FZ_PLACE_NONE) return;
    p->x->b->places[v] = (struct fz_place){FZ_PLACE_ARENA, v, take(p, room(t))};
    p->until[v] = last_use(p, v);
    schedule_death(p, v, now);
}

/* Gives back what died at step I; a value that lives on by sharing is put off. */
static void bury(struct placer *p, uint32_t i) {
    for (uint32_t v = p->dying[i], next; v != FZ_NONE; v = next) {
        next = p->next[v];
        if (p->until[v] == FZ_NONE) continue;
        if (p->until[v] > i) schedule_death(p, v, i);
        else give(p, p->x->b->places[v].off, room(&p->x->b->values[v]));
    }
}

static void place_step(struct placer *p, uint32_t i) {
    struct fz_bound_step *s = &p->x->b->steps[i];
    if (!(s->flags & (FZ_STEP_SKIP | FZ_STEP_LATE))) {
        try_share(p, i, s);
        for (uint32_t j = 0; j < s->call.n_out; j++)
            if (s->call.out[j]) place_fresh(p, s->call.out[j], i);
        if (s->op->scratch && !(s->flags & FZ_STEP_SKIP)) {
            s->scratch_size = s->op->scratch(s->op, &s->call);
            uint64_t size = fzi_align(s->scratch_size, 64) + MARGIN;
            s->scratch_off = take(p, size);
            give(p, s->scratch_off, size);
        }
    }
    bury(p, i);
}

/* The steps of a chain count as one: what they read must last as long as they run, and nothing is
 * computed in place. */
static void place_chain(struct placer *p, struct fz_chain *chain) {
    uint32_t first = fzi_chain_first(chain), last = first + fzi_chain_steps(chain) - 1;
    uint64_t size = fzi_align(fzi_chain_size(chain), 64) + MARGIN, off;
    place_fresh(p, p->x->b->steps[last].call.out[0], last);
    off = take(p, size);
    give(p, off, size);
    fzi_chain_place(chain, off);
    for (uint32_t i = first; i <= last; i++) bury(p, i);
}

static void place_steps(struct placer *p) {
    for (uint32_t i = 0; i < p->x->plan->blocks[0].n_steps; i++) {
        struct fz_chain *chain = p->x->b->chain_of[i];
        if (!chain) place_step(p, i);
        else if (fzi_chain_first(chain) == i) place_chain(p, chain);
    }
}

static fz_status_t place_all(struct binder *x) {
    struct fz_arena memory = {0};
    size_t n = x->plan->n_values, steps = x->plan->n_steps;
    struct placer p = {.x = x};
    p.gaps = fzi_arena_array(&memory, n + 2, sizeof *p.gaps);
    p.until = fzi_arena_array(&memory, n, sizeof *p.until);
    p.next = fzi_arena_array(&memory, n, sizeof *p.next);
    p.dying = fzi_arena_array(&memory, steps + 1, sizeof *p.dying);
    if (p.gaps && p.until && p.next && p.dying) {
        memset(p.dying, 0xFF, (steps + 1) * sizeof *p.dying);
        place_steps(&p);
        x->b->arena_size = p.end;
    }
    bool good = p.gaps && p.until && p.next && p.dying;
    fzi_arena_free(&memory);
    return good ? FZ_OK : no_memory();
}

/* ---- the current binding */

/* Points everything that lies in the arena to where the arena is now. */
static void relocate(struct fz_session *session, struct fz_binding *b) {
    char *base = session->arena.data;
    const struct fz_plan *plan = &session->model->plan;
    for (size_t v = 0; v < plan->n_values; v++)
        if (b->places[v].kind == FZ_PLACE_ARENA) b->values[v].data = base + b->places[v].off;
    for (size_t i = 0; i < plan->n_steps; i++)
        if (b->steps[i].scratch_size) b->steps[i].call.scratch = base + b->steps[i].scratch_off;
    b->arena_base = base;
}

static fz_status_t make_current(struct fz_session *session, struct fz_binding *b) {
    if (b->arena_size > session->arena.size || !session->arena.data) {
        uint64_t max = session->options.max_arena_size;
        if (!max) max = 1ull << 36;
        if (b->arena_size > max)
            return fzi_error(FZ_E_LIMIT, "the run needs an arena of %llu bytes, more than the "
                                         "session's %llu (max_arena_size)",
                             (unsigned long long)b->arena_size, (unsigned long long)max);
        FZ_TRY(fzi_session_grow(session, &session->arena, b->arena_size));
    }
    if (b->arena_base != session->arena.data) relocate(session, b);
    b->last_run = session->n_runs + 1;
    session->current = b;
    return FZ_OK;
}

void fzi_binding_free(struct fz_binding *binding) {
    if (!binding) return;
    fzi_arena_free(&binding->memory);
    fzi_free(binding);
}

/* Takes the shapes of INPUTS, which fit the model's signature. */
static void set_inputs(struct binder *x, const fz_tensor_t *inputs) {
    const struct fz_plan_block *block = &x->plan->blocks[0];
    for (uint32_t i = 0; i < block->n_inputs; i++) {
        uint32_t v = x->plan->args[block->inputs + i];
        fzi_shape_copy(&x->b->values[v], &inputs[i]);
        x->b->values[v].size = inputs[i].size;
        x->b->values[v].data = NULL;
        x->b->places[v].kind = FZ_PLACE_INPUT;
    }
}

static fz_status_t make(struct fz_session *session, const fz_tensor_t *inputs,
                        struct fz_binding **out) {
    struct binder x = {.session = session, .plan = &session->model->plan};
    fz_status_t status = allocate(&x);
    if (status == FZ_OK) {
        set_inputs(&x, inputs);
        status = infer_all(&x);
    }
    if (status == FZ_OK && !session->trace) status = fzi_chain_find(session, x.b);
    if (status == FZ_OK) status = place_all(&x);
    if (status != FZ_OK) {
        fzi_binding_free(x.b);
        return status;
    }
    session->n_allocations++;
    session->memory_size += x.b->memory.used;
    session->arena_wanted = x.b->arena_size;
    session->macs = x.b->macs;
    *out = x.b;
    return FZ_OK;
}

void fzi_session_unbind(struct fz_session *session) {
    for (int i = 0; i < FZ_BINDINGS_MAX; i++) {
        if (session->bindings[i]) session->memory_size -= session->bindings[i]->memory.used;
        fzi_binding_free(session->bindings[i]);
        session->bindings[i] = NULL;
    }
    session->current = NULL;
}

static bool matches(const struct fz_session *session, const struct fz_binding *b,
                    const fz_tensor_t *inputs) {
    const struct fz_plan_block *block = &session->model->plan.blocks[0];
    for (uint32_t i = 0; i < block->n_inputs; i++) {
        const fz_tensor_t *t = &b->values[session->model->plan.args[block->inputs + i]];
        if (t->rank != inputs[i].rank ||
            memcmp(t->dims, inputs[i].dims, (size_t)t->rank * sizeof t->dims[0]) != 0)
            return false;
    }
    return true;
}

fz_status_t fzi_session_bind(struct fz_session *session, const fz_tensor_t *inputs) {
    struct fz_binding **slot = &session->bindings[0];
    for (int i = 0; i < FZ_BINDINGS_MAX; i++) {
        struct fz_binding **at = &session->bindings[i];
        if (*at && matches(session, *at, inputs)) return make_current(session, *at);
        if (*slot && (!*at || (*at)->last_run < (*slot)->last_run)) slot = at;
    }
    struct fz_binding *fresh;
    FZ_TRY(make(session, inputs, &fresh));
    if (*slot) session->memory_size -= (*slot)->memory.used;
    fzi_binding_free(*slot);
    *slot = fresh;
    session->current = NULL;
    return make_current(session, fresh);
}
