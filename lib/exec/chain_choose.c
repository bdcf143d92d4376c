/* Choosing chains. */
#include "exec/chain_walk.h"

enum {
    STEPS_MAX = 64,
    NEAR = 128 * 1024,     /* bytes of a value that stay near without a chain */
    GAIN_MIN = 512 * 1024, /* bytes of values beyond that which a chain is worth */
    WINDOWS = 384 * 1024, WEIGHTS = 640 * 1024, /* bytes that share a second-level cache */
    BAND_MAX = 32, BAND_MIN = 4 /* rows of the last output; thinner ones move more than they save */
};

struct finder {
    struct fz_session *session;
    struct fz_binding *b;
    struct fz_chain *c; /* with room for STEPS_MAX links: the one being tried */
    struct fz_lane lane;
};

static uint32_t value_of(const struct finder *f, const fz_tensor_t *t) {
    return (uint32_t)(t - f->b->values);
}

/* The link that makes T, or FZ_CHAIN_OUTSIDE. */
static int maker(const struct finder *f, const fz_tensor_t *t) {
    for (uint32_t j = 0; j < f->c->n; j++)
        if (f->b->steps[f->c->links[j].step].call.out[0] == t) return (int)j;
    return FZ_CHAIN_OUTSIDE;
}

/* An operator whose outputs depend on nothing but the same elements of its inputs: rows of equal
 * shape go together, what is broadcast along them is needed whole. */
static bool elementwise_rows(const struct fz_bound_step *s, struct fz_rows *rows) {
    const fz_tensor_t *out = s->call.out[0];
    bool good = s->op->flags & FZ_OP_IN_PLACE && !(s->op->flags & (FZ_OP_VIEW | FZ_OP_RANDOM));
    if (!good) return false;
    for (uint32_t i = 0; i < s->call.n_in; i++) {
        const fz_tensor_t *t = s->call.in[i];
        if (!t) continue;
        int32_t at = t->rank - out->rank + 1; /* the dimension beside the rows */
        if (at >= 0 && t->rank == out->rank && t->dims[1] == out->dims[1] && t->dims[1] != 1) {
            if (memcmp(t->dims, out->dims, (size_t)t->rank * sizeof t->dims[0]) != 0) return false;
            rows[i] = (struct fz_rows){1, 1, 0};
        } else if (at >= 0 && t->dims[at] != 1) return false;
    }
    return true;
}

static bool rows_of(const struct fz_bound_step *s, struct fz_rows *rows, int64_t *align) {
    *align = 1;
    return s->op->rows ? s->op->rows(s->op, &s->call, rows, align) : elementwise_rows(s, rows);
}

static bool is_image(const fz_tensor_t *t) {
    return t->rank >= 3 && t->size && t->dims[0] > 0 && t->dims[1] > 1;
}

/* Fills L for step I; false if it cannot go on with the chain so far. */
static bool fill(const struct finder *f, uint32_t i, struct fz_link *l) {
    const struct fz_bound_step *s = &f->b->steps[i];
    const fz_tensor_t *out = s->call.n_out == 1 ? s->call.out[0] : NULL;
    if (s->flags & (FZ_STEP_SKIP | FZ_STEP_LATE) || s->call.n_in > FZ_CHAIN_INPUTS) return false;
    if (!out || !is_image(out)) return false;
    if (f->b->places[value_of(f, out)].kind != FZ_PLACE_NONE) return false;
    if (f->c->n && out->dims[0] != f->c->images) return false;
    *l = (struct fz_link){.step = i, .height = out->dims[1], .into = FZ_CHAIN_ITSELF};
    if (!rows_of(s, l->rows, &l->align)) return false;
    l->row_size = (int64_t)out->size / out->dims[0] / out->dims[1];
    for (uint32_t k = 0; k < FZ_CHAIN_INPUTS; k++) {
        const fz_tensor_t *t = k < s->call.n_in ? s->call.in[k] : NULL;
        int source = t ? maker(f, t) : FZ_CHAIN_OUTSIDE;
        l->source[k] = (int16_t)(t && l->rows[k].stride ? source : FZ_CHAIN_WHOLE);
        if (t && !l->rows[k].stride && source != FZ_CHAIN_OUTSIDE) return false;
        if (t && l->rows[k].stride && (!is_image(t) || t->dims[0] != out->dims[0])) return false;
    }
    return true;
}

/* True if nobody outside reads what the links before the last one make. */
static bool is_closed(const struct finder *f) {
    uint32_t last = f->c->links[f->c->n - 1].step;
    for (uint32_t j = 0; j + 1 < f->c->n; j++) {
        const fz_tensor_t *t = f->b->steps[f->c->links[j].step].call.out[0];
        if (f->session->model->last_use[value_of(f, t)] > last) return false;
    }
    return true;
}

/* Bytes that the chain saves a far cache. */
static size_t gain(const struct finder *f) {
    size_t sum = 0;
    for (uint32_t j = 0; j + 1 < f->c->n; j++) {
        size_t size = (size_t)(f->c->links[j].height * f->c->links[j].row_size);
        if (size > NEAR) sum += size - NEAR;
    }
    return sum;
}

/* Walks through the first bands, or all of them, and notes the largest windows; with SCRATCH also
 * the largest scratch of the calls. */
static void rehearse(struct finder *f, int64_t bands, bool scratch) {
    struct fz_chain *c = f->c;
    struct fz_lane *lane = &f->lane;
    for (uint32_t j = 0; j < c->n; j++) c->links[j].window = 0;
    for (int64_t part = 0; part < c->n_parts; part++) {
        int64_t r, end;
        fzi_chain_part(c, part, &r, &end);
        fzi_chain_begin(c, lane, r);
        for (int64_t b = 0; r < end && b < bands; b++) {
            r = fzi_min_i64(r + c->band, end);
            fzi_chain_aim(c, lane, r);
            for (uint32_t j = 0; j < c->n; j++) {
                const struct fz_op *op = f->b->steps[c->links[j].step].op;
                int64_t rows = lane->goal[j] - lane->base[j];
                c->links[j].window = fzi_max_i64(c->links[j].window, rows);
                if (scratch && op->scratch && lane->goal[j] > lane->done[j]) {
                    fzi_chain_point(c, lane, j, 0);
                    size_t need = op->scratch(op, &lane->calls[j]);
                    if (need > c->scratch_size) c->scratch_size = need;
                }
                lane->done[j] = fzi_max_i64(lane->done[j], lane->goal[j]);
            }
            fzi_chain_advance(c, lane, false);
        }
    }
}

static size_t window_size(const struct fz_link *l) {
    return l->into == FZ_CHAIN_ITSELF ? fzi_align((size_t)(l->window * l->row_size), 64) + 64 : 0;
}

static size_t windows_size(const struct fz_chain *c) {
    size_t sum = 0;
    for (uint32_t j = 0; j + 1 < c->n; j++) sum += window_size(&c->links[j]);
    return sum;
}

/* The largest band whose windows fit; false if there is none. */
static bool choose_band(struct finder *f) {
    for (f->c->band = BAND_MAX; f->c->band >= BAND_MIN; f->c->band /= 2) {
        rehearse(f, 3, false);
        if (windows_size(f->c) <= WINDOWS) return true;
    }
    return false;
}

static size_t weights_of(const struct finder *f, uint32_t i) {
    const struct fz_call *call = &f->b->steps[i].call;
    size_t sum = 0;
    for (uint32_t k = 0; k < call->n_in; k++)
        if (call->in[k] && f->b->places[value_of(f, call->in[k])].kind == FZ_PLACE_FIXED)
            sum += call->in[k]->size;
    return sum;
}

/* Takes steps from FIRST on while they fit; leaves the best chain's length, 0 if there is none. */
static uint32_t extend(struct finder *f, uint32_t first) {
    struct fz_chain *c = f->c;
    uint32_t best = 0, end = f->session->model->plan.blocks[0].n_steps;
    size_t best_gain = GAIN_MIN - 1, weights = 0;
    c->n = 0;
    c->n_parts = 1;
    for (uint32_t i = first; i < end && c->n < STEPS_MAX; i++) {
        struct fz_link *l = &c->links[c->n];
        if (!fill(f, i, l)) break;
        if (c->n++ == 0) c->images = f->b->steps[i].call.out[0]->dims[0];
        weights += weights_of(f, i);
        if (weights > WEIGHTS || !choose_band(f)) break;
        if (c->n < 2 || gain(f) <= best_gain || !is_closed(f)) continue;
        best = c->n;
        best_gain = gain(f);
    }
    c->n = best;
    return best;
}

/* Lanes: tensors with the shapes of one image. */
static bool make_lane(const struct finder *f, const struct fz_chain *c, struct fz_lane *lane) {
    struct fz_arena *arena = &f->b->memory;
    size_t n = c->n, per = FZ_CHAIN_INPUTS + 1;
    lane->calls = fzi_arena_array(arena, n, sizeof *lane->calls);
    lane->bands = fzi_arena_array(arena, n, sizeof *lane->bands);
    lane->tensors = fzi_arena_array(arena, n * per, sizeof *lane->tensors);
    lane->done = fzi_arena_array(arena, 3 * n, sizeof *lane->done);
    const fz_tensor_t **lists = fzi_arena_array(arena, n * per, sizeof *lists);
    if (!lane->calls || !lane->bands || !lane->tensors || !lane->done || !lists) return false;
    lane->base = lane->done + n;
    lane->goal = lane->base + n;
    for (size_t j = 0; j < n; j++) {
        struct fz_call *call = &lane->calls[j];
        *call = f->b->steps[c->links[j].step].call;
        for (uint32_t i = 0; i < call->n_in; i++) {
            const fz_tensor_t *whole = call->in[i];
            if (!whole || c->links[j].source[i] == FZ_CHAIN_WHOLE) {
                lists[j * per + i] = whole;
                continue;
            }
            fz_tensor_t *t = &lane->tensors[j * per + i];
            *t = *whole;
            t->dims[0] = 1;
            lists[j * per + i] = t;
        }
        fz_tensor_t *out = &lane->tensors[j * per + FZ_CHAIN_INPUTS];
        *out = *call->out[0];
        out->dims[0] = 1;
        lists[j * per + FZ_CHAIN_INPUTS] = out;
        call->in = &lists[j * per];
        call->out = (fz_tensor_t *const *)&lists[j * per + FZ_CHAIN_INPUTS];
        call->band = &lane->bands[j];
        call->env = &lane->env;
    }
    return true;
}

/* True if link J, which joins rows, is the only one that reads input I, and what makes that can
 * write with gaps between its pixels. */
static bool can_write_into(const struct finder *f, uint32_t j, uint32_t i) {
    const struct fz_link *l = &f->c->links[j];
    const struct fz_bound_step *s = &f->b->steps[l->step];
    int source = l->source[i];
    const fz_tensor_t *t = s->call.in[i], *out = s->call.out[0];
    if (source < 0 || f->c->links[source].into != FZ_CHAIN_ITSELF) return false;
    if (!(f->b->steps[f->c->links[source].step].op->flags & FZ_OP_APART)) return false;
    if (f->session->model->last_use[value_of(f, t)] > l->step) return false;
    for (uint32_t k = 0; k < f->c->n; k++)
        for (uint32_t m = 0; m < FZ_CHAIN_INPUTS; m++)
            if (f->c->links[k].source[m] == source && (k != j || m != i)) return false;
    size_t prefix = (size_t)(out->rank - 1) * sizeof out->dims[0];
    return t->rank == out->rank && memcmp(t->dims, out->dims, prefix) == 0;
}

/* Lets the links whose outputs link J joins write where they end up. */
static void join(const struct finder *f, uint32_t j) {
    struct fz_link *l = &f->c->links[j];
    const struct fz_call *call = &f->b->steps[l->step].call;
    const fz_tensor_t *out = call->out[0];
    int64_t channels = out->dims[out->rank - 1], at_channel = 0, align = l->align;
    if (!(f->b->steps[l->step].op->flags & FZ_OP_JOINS)) return;
    for (uint32_t i = 0; i < call->n_in; i++)
        if (!can_write_into(f, j, i)) return;
    for (uint32_t i = 0; i < call->n_in; i++) {
        struct fz_link *from = &f->c->links[l->source[i]];
        const fz_tensor_t *t = call->in[i];
        from->into = (int)j;
        from->column = at_channel * (int64_t)fzi_type_width(t->dtype);
        from->pixel = channels;
        align = fzi_max_i64(align, from->align);
        at_channel += t->dims[t->rank - 1];
    }
    l->align = align;
    l->joined = true;
}

/* The chain that the finder has found, in B's memory. */
static struct fz_chain *keep(struct finder *f) {
    uint32_t threads = f->session->env.threads;
    size_t size = sizeof *f->c + f->c->n * sizeof f->c->links[0];
    for (uint32_t j = 0; j < f->c->n; j++) join(f, j);
    struct fz_chain *c = fzi_arena_alloc(&f->b->memory, size);
    if (!c) return NULL;
    memcpy(c, f->c, size);
    c->binding = f->b;
    choose_band(f);
    c->band = f->c->band;
    int64_t most = fzi_ceil_div(c->links[c->n - 1].height, BAND_MIN);
    c->n_parts = (uint32_t)fzi_min_i64(c->images >= threads ? 1 : threads, most);
    c->n_lanes = (uint32_t)fzi_min_i64(threads, c->images * c->n_parts);
    c->lanes = fzi_arena_array(&f->b->memory, c->n_lanes, sizeof *c->lanes);
    if (!c->lanes) return NULL;
    for (uint32_t i = 0; i < c->n_lanes; i++)
        if (!make_lane(f, c, &c->lanes[i])) return NULL;
    struct finder all = *f;
    all.c = c;
    all.lane = c->lanes[0];
    all.lane.env = f->session->env;
    all.lane.env.threads = 1;
    for (uint32_t j = 0; j < c->n; j++) all.lane.calls[j].env = &all.lane.env;
    rehearse(&all, INT64_MAX, true);
    for (uint32_t j = 0; j < c->n; j++) c->lanes[0].calls[j].env = &c->lanes[0].env;
    size_t off = 0;
    for (uint32_t j = 0; j + 1 < c->n; j++) {
        c->links[j].off = off;
        off += window_size(&c->links[j]);
    }
    c->scratch_off = off;
    c->lane_size = fzi_align(off + c->scratch_size + 64, 64);
    return c;
}

static fz_status_t find(struct finder *f) {
    uint32_t n = f->session->model->plan.blocks[0].n_steps;
    for (uint32_t i = 0; i < n;) {
        uint32_t taken = extend(f, i);
        if (taken == 0) {
            i++;
            continue;
        }
        struct fz_chain *c = keep(f);
        if (!c) return fzi_error(FZ_E_NOMEM, "no memory for a chain of steps");
        for (uint32_t j = 0; j < taken; j++) {
            f->b->chain_of[i + j] = c;
            if (j + 1 < taken)
                f->b->places[value_of(f, f->b->steps[i + j].call.out[0])].kind = FZ_PLACE_WINDOW;
        }
        i += taken;
    }
    return FZ_OK;
}

fz_status_t fzi_chain_find(struct fz_session *session, struct fz_binding *b) {
    struct fz_arena memory = {0};
    struct finder f = {.session = session, .b = b};
    f.c = fzi_arena_alloc(&memory, sizeof *f.c + STEPS_MAX * sizeof f.c->links[0]);
    f.lane.done = fzi_arena_array(&memory, 3 * STEPS_MAX, sizeof *f.lane.done);
    fz_status_t status = fzi_error(FZ_E_NOMEM, "no memory for a session");
    if (f.c && f.lane.done) {
        f.lane.base = f.lane.done + STEPS_MAX;
        f.lane.goal = f.lane.base + STEPS_MAX;
        f.c->binding = b;
        status = find(&f);
    }
    fzi_arena_free(&memory);
    return status;
}
