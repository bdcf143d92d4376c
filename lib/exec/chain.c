/* The walk through a chain of steps, band by band. */
#include "exec/chain_walk.h"

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
    for (int i = 0; i < FZ_CHAIN_INPUTS; i++)                                                      \
        for (int s = (c)->links[j].source[i]; s >= 0; s = FZ_CHAIN_OUTSIDE)

static int64_t round_down(int64_t row, int64_t align) { return row - row % align; }
static int64_t round_up(int64_t row, int64_t align, int64_t height) {
    return fzi_min_i64(fzi_ceil_div(row, align) * align, height);
}

void fzi_chain_begin(const struct fz_chain *c, struct fz_lane *lane, int64_t r0) {
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

void fzi_chain_aim(const struct fz_chain *c, struct fz_lane *lane, int64_t r1) {
    for (uint32_t j = 0; j < c->n; j++) lane->goal[j] = lane->done[j];
    lane->goal[c->n - 1] = r1;
    for (uint32_t j = c->n; j-- > 0;) {
        const struct fz_link *l = &c->links[j];
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

void fzi_chain_advance(const struct fz_chain *c, struct fz_lane *lane, bool move) {
    int64_t *keep = lane->goal; /* which has served */
    for (uint32_t j = 0; j < c->n; j++) keep[j] = lane->done[j];
    for (uint32_t j = 0; j < c->n; j++)
        FOR_EACH_SOURCE(c, j, i, s)
            keep[s] = fzi_min_i64(keep[s], first_row(&c->links[j].rows[i], lane->done[j]));
    for (uint32_t j = 0; j + 1 < c->n; j++) {
        const struct fz_link *l = &c->links[j];
        char *window = at(lane->memory, (int64_t)l->off);
        int64_t skip = keep[j] - lane->base[j], left = lane->done[j] - keep[j];
        if (move && skip > 0 && left > 0 && l->into == FZ_CHAIN_ITSELF)
            memmove(window, window + skip * l->row_size, (size_t)(left * l->row_size));
        lane->base[j] = keep[j];
    }
}

/* Where row 0 of the output of link J would be, of IMAGE. */
static char *output_of(const struct fz_chain *c, const struct fz_lane *lane, uint32_t j,
                       int64_t image) {
    const struct fz_link *l = &c->links[j];
    if (l->into != FZ_CHAIN_ITSELF)
        return at(output_of(c, lane, (uint32_t)l->into, image), l->column);
    if (j + 1 == c->n)
        return at(c->binding->steps[l->step].call.out[0]->data, image * l->height * l->row_size);
    return at(lane->memory, (int64_t)l->off - lane->base[j] * l->row_size);
}

void fzi_chain_point(const struct fz_chain *c, struct fz_lane *lane, uint32_t j, int64_t image) {
    const struct fz_link *l = &c->links[j];
    struct fz_call *call = &lane->calls[j];
    fz_tensor_t *t = &lane->tensors[j * (FZ_CHAIN_INPUTS + 1)], *out = &t[FZ_CHAIN_INPUTS];
    lane->bands[j] = (struct fz_band){.out_pixel = l->pixel};
    for (uint32_t i = 0; i < call->n_in; i++) {
        const fz_tensor_t *whole = c->binding->steps[l->step].call.in[i];
        int source = l->source[i];
        if (!whole || source == FZ_CHAIN_WHOLE) continue;
        const struct fz_rows *r = &l->rows[i];
        int64_t height = whole->dims[1], row = (int64_t)whole->size / whole->dims[0] / height;
        int64_t low = fzi_min_i64(first_row(r, lane->done[j]), height);
        int64_t high = (lane->goal[j] - 1) * r->stride - r->before + r->extent;
        high = fzi_max_i64(low, fzi_min_i64(high, height));
        if (i == 0) lane->bands[j].before = low - (lane->done[j] * r->stride - r->before);
        char *from = source == FZ_CHAIN_OUTSIDE ? at(whole->data, image * height * row)
                                       : at(lane->memory, (int64_t)c->links[source].off -
                                                              lane->base[source] * row);
        t[i].dims[1] = high - low;
        t[i].size = (size_t)((high - low) * row);
        t[i].data = at(from, low * row);
    }
    out->dims[1] = lane->goal[j] - lane->done[j];
    out->size = (size_t)(out->dims[1] * l->row_size);
    int64_t row_size = l->into == FZ_CHAIN_ITSELF ? l->row_size : c->links[l->into].row_size;
    out->data = at(output_of(c, lane, j, image), lane->done[j] * row_size);
}

void fzi_chain_part(const struct fz_chain *c, int64_t part, int64_t *r0, int64_t *r1) {
    const struct fz_link *last = &c->links[c->n - 1];
    int64_t steps = fzi_ceil_div(last->height, last->align);
    *r0 = steps * part / c->n_parts * last->align;
    *r1 = fzi_min_i64(steps * (part + 1) / c->n_parts * last->align, last->height);
}

/* ---- running */

static void serial(const struct fz_env *env, size_t count, fz_task_fn task, void *arg) {
    (void)env;
    for (size_t i = 0; i < count; i++) task(arg, i);
}

static fz_status_t run_link(struct fz_chain *c, struct fz_lane *lane, uint32_t j, int64_t image) {
    const struct fz_bound_step *step = &c->binding->steps[c->links[j].step];
    if (lane->goal[j] <= lane->done[j]) return FZ_OK;
    FZ_TRY(lane->env.poll(&lane->env));
    fz_status_t status = FZ_OK;
    if (!c->links[j].joined) {
        fzi_chain_point(c, lane, j, image);
        status = step->op->run(step->op, &lane->calls[j]);
    }
    lane->done[j] = lane->goal[j];
    if (status != FZ_OK) atomic_store(&c->failed, 1 + c->links[j].step);
    return status;
}

static fz_status_t run_part(struct fz_chain *c, struct fz_lane *lane, int64_t image, int64_t part) {
    int64_t r, end;
    fzi_chain_part(c, part, &r, &end);
    fzi_chain_begin(c, lane, r);
    while (r < end) {
        r = fzi_min_i64(r + c->band, end);
        fzi_chain_aim(c, lane, r);
        for (uint32_t j = 0; j < c->n; j++) FZ_TRY(run_link(c, lane, j, image));
        fzi_chain_advance(c, lane, true);
    }
    return FZ_OK;
}

static void task(void *arg, size_t i) {
    struct fz_chain *c = arg;
    struct fz_lane *lane = &c->lanes[i];
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
