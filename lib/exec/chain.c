/* Choosing chains, and the walk through one. */
#include "exec/chain.h"

enum {
    STEPS_MAX = 64, INPUTS_MAX = 12,
    NEAR = 128 * 1024,     /* bytes of a value that stay near without a chain */
    GAIN_MIN = 512 * 1024, /* bytes of values beyond that which a chain is worth */
    WINDOWS = 384 * 1024, WEIGHTS = 640 * 1024, /* bytes that share a second-level cache */
    BAND_MAX = 32, BAND_MIN = 4 /* rows of the last output; thinner ones move more than they save */
};

/* Where an input's rows are. */
enum { OUTSIDE = -1, WHOLE = -2, ITSELF = -3 };

/* One step. Rows are those of its output; the last step's lie in a whole tensor. */
struct link {
    uint32_t step;
    int16_t source[INPUTS_MAX]; /* the link that makes input i, OUTSIDE or WHOLE */
    struct fz_rows rows[INPUTS_MAX];
    int64_t height, row_size, align;
    int64_t window;             /* rows, at most */
    size_t off;                 /* of the window in a lane's memory */
    int into;                   /* the link that joins rows side by side in whose window this
                                   one's output lies, COLUMN bytes into its pixels; or ITSELF */
    int64_t column, pixel;      /* PIXEL: elements between pixels of the output; 0: dense */
    bool joined;                /* all inputs lie in the window already */
};

/* What one thread needs to walk through the chain. */
struct lane {
    struct fz_env env;
    struct fz_call *calls;
    struct fz_band *bands;
    fz_tensor_t *tensors;
    int64_t *done, *base, *goal; /* per link: rows computed; the window's first row; rows to have */
    char *memory;
};

struct fz_chain {
    struct fz_session *session;
    const struct fz_binding *binding;
    uint32_t n, n_lanes, n_parts; /* links; threads; pieces of an image */
    int64_t images, band;
    size_t lane_size, scratch_off, scratch_size;
    uint64_t off;
    char *arena; /* of this run */
    _Atomic uint32_t failed; /* 1 + the step that failed; 0: none */
    _Atomic int32_t status;
    struct lane *lanes;
    struct link links[];
};

uint32_t fzi_chain_first(const struct fz_chain *chain) { return chain->links[0].step; }
uint32_t fzi_chain_steps(const struct fz_chain *chain) { return chain->n; }
size_t fzi_chain_size(const struct fz_chain *chain) { return chain->n_lanes * chain->lane_size; }
void fzi_chain_place(struct fz_chain *chain, uint64_t off) { chain->off = off; }

/* ---- the walk: which rows each link computes for a band of the last one */

static int64_t first_row(const struct fz_rows *r, int64_t row) {
    return fzi_max_i64(row * r->stride - r->before, 0);
}

/* A loop over the inputs I of link J that a link S of the chain makes. */
#define FOR_EACH_SOURCE(c, j, i, s)                                                                \
    for (int i = 0; i < INPUTS_MAX; i++)                                                           \
        for (int s = (c)->links[j].source[i]; s >= 0; s = OUTSIDE)

static int64_t round_down(int64_t row, int64_t align) { return row - row % align; }
static int64_t round_up(int64_t row, int64_t align, int64_t height) {
    return fzi_min_i64(fzi_ceil_div(row, align) * align, height);
}

/* Starts a part at row R0 of the last link. */
static void begin(const struct fz_chain *c, struct lane *lane, int64_t r0) {
    for (uint32_t j = 0; j + 1 < c->n; j++) lane->done[j] = INT64_MAX;
    lane->done[c->n - 1] = r0;
    for (uint32_t j = c->n; j-- > 0;) {
        lane->done[j] = round_down(lane->done[j], c->links[j].align);
        lane->base[j] = lane->done[j];
        FOR_EACH_SOURCE(c, j, i, s) {
            int64_t row = fzi_min_i64(first_row(&c->links[j].rows[i], lane->done[j]),
                                      c->links[s].height);
            lane->done[s] = fzi_min_i64(lane->done[s], row);
        }
    }
}

/* Sets the goals for the last link to have rows up to R1. */
static void aim(const struct fz_chain *c, struct lane *lane, int64_t r1) {
    for (uint32_t j = 0; j < c->n; j++) lane->goal[j] = lane->done[j];
    lane->goal[c->n - 1] = r1;
    for (uint32_t j = c->n; j-- > 0;) {
        const struct link *l = &c->links[j];
        lane->goal[j] = round_up(lane->goal[j], l->align, l->height);
        if (lane->goal[j] <= lane->done[j]) continue;
        FOR_EACH_SOURCE(c, j, i, s) {
            const struct fz_rows *r = &l->rows[i];
            int64_t need = (lane->goal[j] - 1) * r->stride - r->before + r->extent;
            need = fzi_min_i64(need, c->links[s].height);
            lane->goal[s] = fzi_max_i64(lane->goal[s], need);
        }
    }
}

/* OFF bytes from BASE on, which need not be known yet. */
static char *at(const void *base, int64_t off) {
    return (char *)((uintptr_t)base + (uintptr_t)off);
}

/* After a band: windows begin at the first row that is needed again. Their bytes move if MOVE. */
static void advance(const struct fz_chain *c, struct lane *lane, bool move) {
    int64_t *keep = lane->goal; /* which has served */
    for (uint32_t j = 0; j < c->n; j++) keep[j] = lane->done[j];
    for (uint32_t j = 0; j < c->n; j++)
        FOR_EACH_SOURCE(c, j, i, s)
            keep[s] = fzi_min_i64(keep[s], first_row(&c->links[j].rows[i], lane->done[j]));
    for (uint32_t j = 0; j + 1 < c->n; j++) {
        const struct link *l = &c->links[j];
        char *window = at(lane->memory, (int64_t)l->off);
        int64_t skip = keep[j] - lane->base[j], left = lane->done[j] - keep[j];
        if (move && skip > 0 && left > 0 && l->into == ITSELF)
            memmove(window, window + skip * l->row_size, (size_t)(left * l->row_size));
        lane->base[j] = keep[j];
    }
}

/* Where row 0 of the output of link J would be, of IMAGE. */
static char *output_of(const struct fz_chain *c, const struct lane *lane, uint32_t j,
                       int64_t image) {
    const struct link *l = &c->links[j];
    if (l->into != ITSELF) return at(output_of(c, lane, (uint32_t)l->into, image), l->column);
    if (j + 1 == c->n)
        return at(c->binding->steps[l->step].call.out[0]->data, image * l->height * l->row_size);
    return at(lane->memory, (int64_t)l->off - lane->base[j] * l->row_size);
}

/* Points the call of link J at the windows of its next rows, of IMAGE. */
static void point(const struct fz_chain *c, struct lane *lane, uint32_t j, int64_t image) {
    const struct link *l = &c->links[j];
    struct fz_call *call = &lane->calls[j];
    fz_tensor_t *t = &lane->tensors[j * (INPUTS_MAX + 1)], *out = &t[INPUTS_MAX];
    lane->bands[j] = (struct fz_band){.out_pixel = l->pixel};
    for (uint32_t i = 0; i < call->n_in; i++) {
        const fz_tensor_t *whole = c->binding->steps[l->step].call.in[i];
        int source = l->source[i];
        if (!whole || source == WHOLE) continue;
        const struct fz_rows *r = &l->rows[i];
        int64_t height = whole->dims[1], row = (int64_t)whole->size / whole->dims[0] / height;
        int64_t low = fzi_min_i64(first_row(r, lane->done[j]), height);
        int64_t high = (lane->goal[j] - 1) * r->stride - r->before + r->extent;
        high = fzi_max_i64(low, fzi_min_i64(high, height));
        if (i == 0) lane->bands[j].before = low - (lane->done[j] * r->stride - r->before);
        char *from = source == OUTSIDE ? at(whole->data, image * height * row)
                                       : at(lane->memory, (int64_t)c->links[source].off -
                                                              lane->base[source] * row);
        t[i].dims[1] = high - low;
        t[i].size = (size_t)((high - low) * row);
        t[i].data = at(from, low * row);
    }
    out->dims[1] = lane->goal[j] - lane->done[j];
    out->size = (size_t)(out->dims[1] * l->row_size);
    int64_t row_size = l->into == ITSELF ? l->row_size : c->links[l->into].row_size;
    out->data = at(output_of(c, lane, j, image), lane->done[j] * row_size);
}

/* The rows of part PART: whole bands. */
static void part_rows(const struct fz_chain *c, int64_t part, int64_t *r0, int64_t *r1) {
    int64_t height = c->links[c->n - 1].height, bands = fzi_ceil_div(height, c->band);
    *r0 = bands * part / c->n_parts * c->band;
    *r1 = fzi_min_i64(bands * (part + 1) / c->n_parts * c->band, height);
}

/* ---- running */

static void serial(const struct fz_env *env, size_t count, fz_task_fn task, void *arg) {
    (void)env;
    for (size_t i = 0; i < count; i++) task(arg, i);
}

static fz_status_t run_link(struct fz_chain *c, struct lane *lane, uint32_t j, int64_t image) {
    const struct fz_bound_step *step = &c->binding->steps[c->links[j].step];
    if (lane->goal[j] <= lane->done[j]) return FZ_OK;
    FZ_TRY(lane->env.poll(&lane->env));
    fz_status_t status = FZ_OK;
    if (!c->links[j].joined) {
        point(c, lane, j, image);
        status = step->op->run(step->op, &lane->calls[j]);
    }
    lane->done[j] = lane->goal[j];
    if (status != FZ_OK) atomic_store(&c->failed, 1 + c->links[j].step);
    return status;
}

static fz_status_t run_part(struct fz_chain *c, struct lane *lane, int64_t image, int64_t part) {
    int64_t r, end;
    part_rows(c, part, &r, &end);
    begin(c, lane, r);
    while (r < end) {
        r = fzi_min_i64(r + c->band, end);
        aim(c, lane, r);
        for (uint32_t j = 0; j < c->n; j++) FZ_TRY(run_link(c, lane, j, image));
        advance(c, lane, true);
    }
    return FZ_OK;
}

static void task(void *arg, size_t i) {
    struct fz_chain *c = arg;
    struct lane *lane = &c->lanes[i];
    lane->env = c->session->env;
    lane->env.threads = 1;
    lane->env.parallel = serial;
    lane->memory = c->arena + c->off + i * c->lane_size;
    for (uint32_t j = 0; j < c->n; j++) lane->calls[j].scratch = lane->memory + c->scratch_off;
    for (int64_t u = (int64_t)i; u < c->images * c->n_parts; u += c->n_lanes) {
        fz_status_t status = run_part(c, lane, u / c->n_parts, u % c->n_parts);
        if (status == FZ_OK) continue;
        atomic_store(&c->status, status);
        return;
    }
}

/* A message that another thread has set is lost; the step is known. */
fz_status_t fzi_chain_run(struct fz_session *session, struct fz_chain *c, char *arena) {
    c->session = session;
    c->arena = arena;
    atomic_store(&c->failed, 0);
    atomic_store(&c->status, FZ_OK);
    if (c->n_lanes == 1) task(c, 0);
    else session->env.parallel(&session->env, c->n_lanes, task, c);
    fz_status_t status = atomic_load(&c->status);
    if (status == FZ_OK) return FZ_OK;
    FZ_TRY(session->env.poll(&session->env));
    uint32_t step = atomic_load(&c->failed);
    return step ? fzi_session_blame(session, step - 1, status) : status;
}

/* ---- choosing */

struct finder {
    struct fz_session *session;
    struct fz_binding *b;
    struct fz_chain *c; /* with room for STEPS_MAX links: the one being tried */
    struct lane lane;
};

static uint32_t value_of(const struct finder *f, const fz_tensor_t *t) {
    return (uint32_t)(t - f->b->values);
}

/* The link that makes T, or OUTSIDE. */
static int maker(const struct finder *f, const fz_tensor_t *t) {
    for (uint32_t j = 0; j < f->c->n; j++)
        if (f->b->steps[f->c->links[j].step].call.out[0] == t) return (int)j;
    return OUTSIDE;
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
static bool fill(const struct finder *f, uint32_t i, struct link *l) {
    const struct fz_bound_step *s = &f->b->steps[i];
    const fz_tensor_t *out = s->call.n_out == 1 ? s->call.out[0] : NULL;
    if (s->flags & (FZ_STEP_SKIP | FZ_STEP_LATE) || s->call.n_in > INPUTS_MAX) return false;
    if (!out || !is_image(out)) return false;
    if (f->b->places[value_of(f, out)].kind != FZ_PLACE_NONE) return false;
    if (f->c->n && out->dims[0] != f->c->images) return false;
    *l = (struct link){.step = i, .height = out->dims[1], .into = ITSELF};
    if (!rows_of(s, l->rows, &l->align)) return false;
    l->row_size = (int64_t)out->size / out->dims[0] / out->dims[1];
    for (uint32_t k = 0; k < INPUTS_MAX; k++) {
        const fz_tensor_t *t = k < s->call.n_in ? s->call.in[k] : NULL;
        int source = t ? maker(f, t) : OUTSIDE;
        l->source[k] = (int16_t)(t && l->rows[k].stride ? source : WHOLE);
        if (t && !l->rows[k].stride && source != OUTSIDE) return false;
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
    struct lane *lane = &f->lane;
    for (uint32_t j = 0; j < c->n; j++) c->links[j].window = 0;
    for (int64_t part = 0; part < c->n_parts; part++) {
        int64_t r, end;
        part_rows(c, part, &r, &end);
        begin(c, lane, r);
        for (int64_t b = 0; r < end && b < bands; b++) {
            r = fzi_min_i64(r + c->band, end);
            aim(c, lane, r);
            for (uint32_t j = 0; j < c->n; j++) {
                const struct fz_op *op = f->b->steps[c->links[j].step].op;
                int64_t rows = lane->goal[j] - lane->base[j];
                c->links[j].window = fzi_max_i64(c->links[j].window, rows);
                if (scratch && op->scratch && lane->goal[j] > lane->done[j]) {
                    point(c, lane, j, 0);
                    size_t need = op->scratch(op, &lane->calls[j]);
                    if (need > c->scratch_size) c->scratch_size = need;
                }
                lane->done[j] = fzi_max_i64(lane->done[j], lane->goal[j]);
            }
            advance(c, lane, false);
        }
    }
}

static size_t window_size(const struct link *l) {
    return l->into == ITSELF ? fzi_align((size_t)(l->window * l->row_size), 64) + 64 : 0;
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
        struct link *l = &c->links[c->n];
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
static bool make_lane(const struct finder *f, const struct fz_chain *c, struct lane *lane) {
    struct fz_arena *arena = &f->b->memory;
    size_t n = c->n, per = INPUTS_MAX + 1;
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
            if (!whole || c->links[j].source[i] == WHOLE) {
                lists[j * per + i] = whole;
                continue;
            }
            fz_tensor_t *t = &lane->tensors[j * per + i];
            *t = *whole;
            t->dims[0] = 1;
            lists[j * per + i] = t;
        }
        fz_tensor_t *out = &lane->tensors[j * per + INPUTS_MAX];
        *out = *call->out[0];
        out->dims[0] = 1;
        lists[j * per + INPUTS_MAX] = out;
        call->in = &lists[j * per];
        call->out = (fz_tensor_t *const *)&lists[j * per + INPUTS_MAX];
        call->band = &lane->bands[j];
        call->env = &lane->env;
    }
    return true;
}

/* True if link J, which joins rows, is the only one that reads input I, and what makes that can
 * write with gaps between its pixels. */
static bool can_write_into(const struct finder *f, uint32_t j, uint32_t i) {
    const struct link *l = &f->c->links[j];
    const struct fz_bound_step *s = &f->b->steps[l->step];
    int source = l->source[i];
    const fz_tensor_t *t = s->call.in[i], *out = s->call.out[0];
    if (source < 0 || f->c->links[source].into != ITSELF) return false;
    if (!(f->b->steps[f->c->links[source].step].op->flags & FZ_OP_APART)) return false;
    if (f->session->model->last_use[value_of(f, t)] > l->step) return false;
    for (uint32_t k = 0; k < f->c->n; k++)
        for (uint32_t m = 0; m < INPUTS_MAX; m++)
            if (f->c->links[k].source[m] == source && (k != j || m != i)) return false;
    size_t prefix = (size_t)(out->rank - 1) * sizeof out->dims[0];
    return t->rank == out->rank && memcmp(t->dims, out->dims, prefix) == 0;
}

/* Lets the links whose outputs link J joins write where they end up. */
static void join(const struct finder *f, uint32_t j) {
    struct link *l = &f->c->links[j];
    const struct fz_call *call = &f->b->steps[l->step].call;
    const fz_tensor_t *out = call->out[0];
    int64_t channels = out->dims[out->rank - 1], at_channel = 0, align = l->align;
    if (!(f->b->steps[l->step].op->flags & FZ_OP_JOINS)) return;
    for (uint32_t i = 0; i < call->n_in; i++)
        if (!can_write_into(f, j, i)) return;
    for (uint32_t i = 0; i < call->n_in; i++) {
        struct link *from = &f->c->links[l->source[i]];
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
    int64_t bands = fzi_ceil_div(c->links[c->n - 1].height, c->band);
    c->n_parts = (uint32_t)fzi_min_i64(c->images >= threads ? 1 : threads, bands);
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
