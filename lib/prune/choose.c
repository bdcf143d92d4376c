/* Candidates, their errors, and the greedy walk. */
#include "prune/choose.h"

#include <math.h>

#include "prune/solve.h"

enum {
    DAMP_PERCENT = 1,
    BEYOND = 4,
    STEPS = 16 /* indices of a step at most: a vector */
};

static fz_status_t no_memory(void) { return fzi_error(FZ_E_NOMEM, "no memory for pruning"); }

/* ---- consumers */

/* Which dimension of a product's weights its inputs are, and which its outputs. */
static bool set_axes(struct fz_depend *d, struct fz_consumer *c) {
    const struct fz_linear *l = c->linear;
    int32_t in = l->by_column ? 0 : 1;
    c->in = fzi_depend_axis(d, l->weight, in);
    c->out = fzi_depend_axis(d, l->weight, 1 - in);
    return c->in && c->out;
}

static fz_status_t open_consumers(struct fz_choice *choice, const struct fz_linear *linears,
                                  uint32_t n, bool data) {
    choice->consumers = fzi_arena_array(choice->arena, n, sizeof *choice->consumers);
    if (!choice->consumers) return no_memory();
    for (uint32_t i = 0; i < n; i++) {
        if (linears[i].groups > 1) continue; /* groups go whole, or stay */
        struct fz_consumer *c = &choice->consumers[choice->n_consumers++];
        c->linear = &linears[i];
        c->w = fzi_arena_array(choice->arena, (size_t)(linears[i].k * linears[i].n), sizeof *c->w);
        if (!c->w || !set_axes(choice->depend, c)) return no_memory();
        fzi_linear_get(c->linear, c->w);
        c->shown = fzi_arena_copy(choice->arena, c->w,
                                  (size_t)(linears[i].k * linears[i].n) * sizeof *c->w);
        if (!c->shown) return no_memory();
        c->centred = c->linear->bias != NULL;
        if (data && linears[i].k <= FZ_LINEAR_MAX_K &&
            !fzi_moments_new(choice->arena, &c->moments, linears[i].k, 0))
            return no_memory();
    }
    return FZ_OK;
}

/* The energy of the outputs, tr(W^T H W); without data that of the weights. */
static double energy_of(const struct fz_consumer *c) {
    int64_t k = c->linear->k, n = c->linear->n;
    double sum = 0;
    for (int64_t i = 0; i < k; i++)
        for (int64_t j = 0; j < (c->inverse ? k : 1); j++) {
            double dot = 0;
            const double *a = c->w + i * n, *b = c->w + (c->inverse ? j : i) * n;
            for (int64_t o = 0; o < n; o++) dot += a[o] * b[o];
            sum += c->inverse ? dot * c->moments.xx[i * k + j] : dot;
        }
    return sum > 0 ? sum : 1;
}

static fz_status_t invert(struct fz_choice *choice, struct fz_consumer *c) {
    struct fz_moments *m = &c->moments;
    size_t size = (size_t)(m->k * m->k) * sizeof(double);
    if (m->count > 0) {
        double *work = fzi_alloc(size);
        c->inverse = work ? fzi_arena_alloc(choice->arena, size) : NULL;
        if (!c->inverse) {
            fzi_free(work);
            return no_memory();
        }
        fzi_moments_finish(m, c->centred);
        memcpy(c->inverse, m->xx, size);
        fzi_solve_damp(c->inverse, m->k, DAMP_PERCENT / 100.0);
        bool ok = fzi_solve_invert(c->inverse, m->k, work);
        fzi_free(work);
        if (!ok)
            return fzi_error(FZ_E_VALUE, "node '%s': the calibration data give NaN or infinity",
                             c->linear->node->name);
    }
    c->energy = energy_of(c);
    c->dirty = true;
    return FZ_OK;
}

/* ---- candidates */

static struct fz_candidate *find_candidate(struct fz_choice *choice, struct fz_dim *leaf) {
    for (uint32_t i = 0; i < choice->n_candidates; i++)
        if (choice->candidates[i].leaf == leaf) return &choice->candidates[i];
    return NULL;
}

/* The indices of AXIS that belong to each index of LEAF; TAPS rows of the weights for each. */
static bool open_use(struct fz_choice *choice, struct fz_use *use, struct fz_consumer *c,
                     struct fz_dim *axis, struct fz_dim *leaf, int64_t taps) {
    struct fz_arena *arena = choice->arena;
    axis = fzi_dim_find(axis);
    uint8_t *hit = fzi_arena_alloc(arena, (size_t)axis->size);
    use->consumer = c;
    use->first = fzi_arena_array(arena, (size_t)leaf->size + 1, sizeof *use->first);
    use->list = fzi_arena_array(arena, (size_t)(axis->size * taps), sizeof *use->list);
    if (!hit || !use->first || !use->list) return false;
    int64_t n = 0;
    for (int64_t i = 0; i < leaf->size; i++) {
        memset(hit, 0, (size_t)axis->size);
        fzi_dim_hit(axis, leaf, i, hit);
        use->first[i] = n;
        for (int64_t k = 0; k < axis->size; k++)
            for (int64_t t = 0; hit[k] && t < taps && n < axis->size * taps; t++)
                use->list[n++] = k * taps + t;
    }
    use->first[leaf->size] = n;
    return true;
}

static bool has_leaf(struct fz_arena *arena, struct fz_dim *axis, const struct fz_dim *leaf) {
    struct fz_dims leaves = {0};
    if (!fzi_dims_add_leaves(arena, &leaves, axis)) return false;
    for (uint32_t i = 0; i < leaves.n; i++)
        if (leaves.items[i] == leaf) return true;
    return false;
}

/* Wide dimensions shrink in steps that vectors can use. */
static int64_t unit_of(int64_t size) { return size >= 128 ? 4 : size >= 16 ? 2 : 1; }

static fz_status_t fill_candidate(struct fz_choice *choice, struct fz_candidate *k) {
    struct fz_arena *arena = choice->arena;
    uint32_t n = choice->n_consumers;
    k->unit = unit_of(k->leaf->size);
    k->left = k->leaf->size;
    k->curve[0].weight = 1;
    k->n_curve = 1;
    k->leaf->gone = fzi_arena_alloc(arena, (size_t)k->leaf->size);
    k->saved_gone = fzi_arena_alloc(arena, (size_t)k->leaf->size);
    k->errors = fzi_arena_array(arena, (size_t)k->leaf->size, sizeof *k->errors);
    k->reads = fzi_arena_array(arena, n, sizeof *k->reads);
    k->makes = fzi_arena_array(arena, n, sizeof *k->makes);
    k->costs = fzi_arena_array(arena, choice->n_costs, sizeof *k->costs);
    if (!k->leaf->gone || !k->saved_gone || !k->errors || !k->reads || !k->makes || !k->costs)
        return no_memory();
    for (uint32_t i = 0; i < n; i++) {
        struct fz_consumer *c = &choice->consumers[i];
        if (has_leaf(arena, c->in, k->leaf) &&
            !open_use(choice, &k->reads[k->n_reads++], c, c->in, k->leaf, c->linear->taps))
            return no_memory();
        if (has_leaf(arena, c->out, k->leaf) &&
            !open_use(choice, &k->makes[k->n_makes++], c, c->out, k->leaf, 1))
            return no_memory();
    }
    for (uint32_t i = 0; i < choice->n_costs; i++)
        for (uint32_t j = 0; j < choice->costs[i].dims.n; j++)
            if (has_leaf(arena, choice->costs[i].dims.items[j], k->leaf)) {
                k->costs[k->n_costs++] = i;
                break;
            }
    return FZ_OK;
}

/* Every dimension that a product sums over, if nothing has fixed it. */
static fz_status_t find_candidates(struct fz_choice *choice) {
    struct fz_dims leaves = {0};
    for (uint32_t i = 0; i < choice->n_consumers; i++)
        if (!fzi_dims_add_leaves(choice->arena, &leaves, choice->consumers[i].in))
            return no_memory();
    choice->candidates = fzi_arena_array(choice->arena, leaves.n, sizeof *choice->candidates);
    if (!choice->candidates) return no_memory();
    for (uint32_t i = 0; i < leaves.n; i++) {
        struct fz_dim *leaf = leaves.items[i];
        if (leaf->fixed || leaf->size < 2 || find_candidate(choice, leaf)) continue;
        choice->candidates[choice->n_candidates++].leaf = leaf;
    }
    for (uint32_t i = 0; i < choice->n_candidates; i++)
        FZ_TRY(fill_candidate(choice, &choice->candidates[i]));
    return FZ_OK;
}

/* ---- opening */

static struct fz_work work_of(const struct fz_choice *choice) {
    struct fz_work sum = {0};
    for (uint32_t i = 0; i < choice->n_costs; i++) {
        sum.macs += fzi_cost_macs(&choice->costs[i]);
        sum.time += fzi_cost_time(&choice->costs[i]);
    }
    return sum;
}

fz_status_t fzi_choice_open(struct fz_choice *choice, struct fz_depend *depend,
                            const struct fz_linear *linears, uint32_t n, bool data) {
    *choice = (struct fz_choice){.arena = depend->arena, .depend = depend};
    const struct fz_trace *trace = depend->trace;
    choice->costs = fzi_arena_array(choice->arena, FZ_COSTS_PER_NODE * (size_t)trace->n_nodes,
                                    sizeof *choice->costs);
    if (!choice->costs) return no_memory();
    for (const struct fz_node *node = trace->graph->first; node; node = node->next)
        if (!fzi_cost_find(depend, node, choice->costs, &choice->n_costs)) return no_memory();
    FZ_TRY(open_consumers(choice, linears, n, data));
    FZ_TRY(find_candidates(choice));
    choice->work = choice->left = work_of(choice);
    return FZ_OK;
}

/* ---- errors */

/* tr(W_S^T ([H^-1]_SS)^-1 W_S) for the S rows at LIST. BLOCK holds S x S numbers, ROWS S x N. */
static double removal_error(const struct fz_consumer *c, const int64_t *list, int64_t s,
                            double *block, double *rows) {
    int64_t k = c->linear->k, n = c->linear->n;
    double sum = 0;
    for (int64_t i = 0; i < s; i++)
        memcpy(rows + i * n, c->w + list[i] * n, (size_t)n * sizeof *rows);
    if (c->inverse) {
        for (int64_t i = 0; i < s; i++)
            for (int64_t j = 0; j < s; j++) block[i * s + j] = c->inverse[list[i] * k + list[j]];
        if (!fzi_solve_factor(block, s)) return INFINITY;
        fzi_solve_with(block, s, rows, n);
    }
    for (int64_t i = 0; i < s; i++)
        for (int64_t j = 0; j < n; j++) sum += rows[i * n + j] * c->w[list[i] * n + j];
    return sum / c->energy;
}

static fz_status_t take_errors(struct fz_candidate *k) {
    for (int64_t i = 0; i < k->leaf->size; i++) k->errors[i] = 0;
    for (uint32_t u = 0; u < k->n_reads; u++) {
        const struct fz_use *use = &k->reads[u];
        int64_t most = 0;
        for (int64_t i = 0; i < k->leaf->size; i++)
            most = fzi_max_i64(most, use->first[i + 1] - use->first[i]);
        double *block = fzi_calloc((size_t)(most * most + 1), sizeof *block);
        double *rows = fzi_calloc((size_t)(most * use->consumer->linear->n + 1), sizeof *rows);
        for (int64_t i = 0; block && rows && i < k->leaf->size; i++)
            if (!k->leaf->gone[i])
                k->errors[i] += removal_error(use->consumer, use->list + use->first[i],
                                              use->first[i + 1] - use->first[i], block, rows);
        bool ok = block && rows;
        fzi_free(block);
        fzi_free(rows);
        if (!ok) return no_memory();
    }
    return FZ_OK;
}

static bool is_dirty(const struct fz_candidate *k) {
    for (uint32_t u = 0; u < k->n_reads; u++)
        if (k->reads[u].consumer->dirty) return true;
    return false;
}

static fz_status_t refresh(struct fz_choice *choice) {
    for (uint32_t i = 0; i < choice->n_candidates; i++)
        if (is_dirty(&choice->candidates[i])) FZ_TRY(take_errors(&choice->candidates[i]));
    for (uint32_t i = 0; i < choice->n_consumers; i++) choice->consumers[i].dirty = false;
    return FZ_OK;
}

/* ---- removal */

/* Row R of the weights goes: the others take over what they can, by one step of elimination. */
static void eliminate(struct fz_consumer *c, int64_t r) {
    int64_t k = c->linear->k, n = c->linear->n;
    double *gone = c->w + r * n;
    for (int64_t i = 0; c->inverse && i < k; i++) {
        double *line = c->inverse + i * k, pivot = c->inverse[r * k + r];
        if (i == r || line[r] == 0 || !(pivot > 0)) continue;
        double factor = line[r] / pivot, *restrict w = c->w + i * n;
        const double *restrict from = c->inverse + r * k;
        for (int64_t j = 0; j < n; j++) w[j] -= factor * gone[j];
        for (int64_t j = 0; j < k; j++) line[j] -= factor * from[j];
        line[r] = 0;
    }
    memset(gone, 0, (size_t)n * sizeof *gone);
    for (int64_t j = 0; c->inverse && j < k; j++) c->inverse[r * k + j] = j == r;
    c->dirty = true;
}

static void drop_column(struct fz_consumer *c, int64_t column) {
    for (int64_t i = 0; i < c->linear->k; i++) c->w[i * c->linear->n + column] = 0;
    c->dirty = true;
}

static void drop(struct fz_candidate *k, int64_t index) {
    k->leaf->gone[index] = 1;
    k->left--;
    for (uint32_t u = 0; u < k->n_reads; u++)
        for (int64_t i = k->reads[u].first[index]; i < k->reads[u].first[index + 1]; i++)
            eliminate(k->reads[u].consumer, k->reads[u].list[i]);
    for (uint32_t u = 0; u < k->n_makes; u++)
        for (int64_t i = k->makes[u].first[index]; i < k->makes[u].first[index + 1]; i++)
            drop_column(k->makes[u].consumer, k->makes[u].list[i]);
}

/* The next index to go: the least error, the lowest of equal ones; -1: none. */
static int64_t cheapest(const struct fz_candidate *k, const uint8_t *taken) {
    int64_t best = -1;
    for (int64_t i = 0; i < k->leaf->size; i++)
        if (!k->leaf->gone[i] && !taken[i] && (best < 0 || k->errors[i] < k->errors[best]))
            best = i;
    return best;
}

/* Lets the N indices of K go that cost the least by now; *ERROR counts. TAKEN is room. */
static fz_status_t take(struct fz_choice *choice, struct fz_candidate *k, int64_t n,
                        uint8_t *taken, double *error) {
    FZ_TRY(refresh(choice));
    memset(taken, 0, (size_t)k->leaf->size);
    for (int64_t i = 0; i < n; i++) {
        int64_t next = cheapest(k, taken);
        taken[next] = 1;
        *error += k->errors[next];
    }
    for (int64_t i = 0; i < k->leaf->size; i++)
        if (taken[i]) drop(k, i);
    return FZ_OK;
}

/* ---- trials */

static bool save(struct fz_consumer *c) {
    size_t k = (size_t)c->linear->k, n = (size_t)c->linear->n;
    if (c->saved_w) return true;
    c->saved_w = fzi_alloc(k * n * sizeof(double));
    c->saved_inverse = c->inverse ? fzi_alloc(k * k * sizeof(double)) : NULL;
    if (!c->saved_w || (c->inverse && !c->saved_inverse)) return false;
    memcpy(c->saved_w, c->w, k * n * sizeof(double));
    if (c->inverse) memcpy(c->saved_inverse, c->inverse, k * k * sizeof(double));
    return true;
}

static void restore(struct fz_consumer *c) {
    size_t k = (size_t)c->linear->k, n = (size_t)c->linear->n;
    if (c->saved_w) memcpy(c->w, c->saved_w, k * n * sizeof(double));
    if (c->saved_inverse) memcpy(c->inverse, c->saved_inverse, k * k * sizeof(double));
    fzi_free(c->saved_w);
    fzi_free(c->saved_inverse);
    c->saved_w = c->saved_inverse = NULL;
}

fz_status_t fzi_choice_try(struct fz_choice *choice, struct fz_candidate *k, int64_t n,
                           double *error) {
    bool ok = true;
    *error = 0;
    for (uint32_t u = 0; u < k->n_reads; u++) ok = ok && save(k->reads[u].consumer);
    for (uint32_t u = 0; u < k->n_makes; u++) ok = ok && save(k->makes[u].consumer);
    uint8_t *taken = ok ? fzi_calloc((size_t)k->leaf->size, 1) : NULL;
    fz_status_t status = taken ? FZ_OK : no_memory();
    memcpy(k->saved_gone, k->leaf->gone, (size_t)k->leaf->size);
    for (int64_t i = 0; status == FZ_OK && i < n; i += k->unit)
        status = take(choice, k, fzi_min_i64(k->unit, n - i), taken, error);
    fzi_free(taken);
    if (status != FZ_OK) fzi_choice_undo(choice, k);
    return status;
}

void fzi_choice_undo(struct fz_choice *choice, struct fz_candidate *k) {
    for (uint32_t u = 0; u < k->n_reads; u++) restore(k->reads[u].consumer);
    for (uint32_t u = 0; u < k->n_makes; u++) restore(k->makes[u].consumer);
    memcpy(k->leaf->gone, k->saved_gone, (size_t)k->leaf->size);
    k->left = k->leaf->size;
    for (int64_t i = 0; i < k->leaf->size; i++) k->left -= k->leaf->gone[i];
    for (uint32_t i = 0; i < choice->n_consumers; i++) choice->consumers[i].dirty = true;
}

/* ---- the walk */

/* A step of a candidate: how many indices go, what that adds to the error, and what it saves. */
struct step {
    int64_t n;
    double error;
    struct fz_work saved;
};

static struct fz_work left_of(const struct fz_choice *choice, const struct fz_candidate *k) {
    struct fz_work sum = {0};
    for (uint32_t i = 0; i < k->n_costs; i++) {
        const struct fz_cost *cost = &choice->costs[k->costs[i]];
        sum.time += fzi_cost_time(cost);
        sum.macs += fzi_cost_macs(cost);
    }
    return sum;
}

void fzi_choice_weigh(struct fz_candidate *k, double error, double moved) {
    struct fz_weight *last = k->n_curve ? &k->curve[k->n_curve - 1] : NULL;
    double from = last ? last->error : 0, was = last ? last->moved : 0;
    if (k->n_curve == FZ_CURVE || !(error > from)) return;
    if (moved < was) moved = was;
    k->curve[k->n_curve++] = (struct fz_weight){error, moved, (moved - was) / (error - from)};
}

/* What ERROR more in K's consumers does to the outputs, K->spent having gone before: along the
 * curve. Nothing is known behind its end; there it is taken to rise BEYOND times as fast. */
static double outcome(const struct fz_candidate *k, double error) {
    double at = k->spent, end = k->spent + error, sum = 0;
    for (uint32_t i = 0; i < k->n_curve && at < end; i++) {
        double to = k->curve[i].error > end ? end : k->curve[i].error;
        if (to > at) sum += (to - at) * k->curve[i].weight, at = to;
    }
    return at < end ? sum + BEYOND * (end - at) * k->curve[k->n_curve - 1].weight : sum;
}

/* What it would be if N indices of K went that cost the least error; TAKEN gets a 1 for each. */
static struct step price(struct fz_choice *choice, struct fz_candidate *k, int64_t n,
                         uint8_t *taken) {
    struct step s = {.n = n};
    memset(taken, 0, (size_t)k->leaf->size);
    for (int64_t i = 0; i < n; i++) {
        int64_t next = cheapest(k, taken);
        if (next < 0) break;
        taken[next] = 1;
        s.error += k->errors[next];
    }
    s.error = outcome(k, s.error);
    struct fz_work before = left_of(choice, k);
    for (int64_t i = 0; i < k->leaf->size; i++) k->leaf->gone[i] |= taken[i];
    struct fz_work after = left_of(choice, k);
    for (int64_t i = 0; i < k->leaf->size; i++) k->leaf->gone[i] &= (uint8_t)!taken[i];
    s.saved = (struct fz_work){before.macs - after.macs, before.time - after.time};
    return s;
}

static double rate_of(const struct step *s) {
    return s->saved.macs && s->saved.time ? s->error / (double)s->saved.time : INFINITY;
}

/* Whether no more than GOAL is left behind a step that saves SAVED. */
static bool reaches_goal(const struct fz_choice *choice, struct fz_work goal,
                         struct fz_work saved) {
    return choice->left.macs - saved.macs <= goal.macs &&
           choice->left.time - saved.time <= goal.time;
}

/* The candidate whose next step is the best: the least error for the time it saves; if that reaches
 * GOAL, the one of the least error that does. A step of a few indices may save nothing, for vectors
 * are whole: steps up to STEPS are tried. NULL if none can give more. */
static struct fz_candidate *best_step(struct fz_choice *choice, struct fz_work goal, uint8_t *taken,
                                      struct step *out) {
    struct fz_candidate *best = NULL, *last = NULL;
    struct step best_of = {0}, last_of = {.error = INFINITY};
    bool reaches = false;
    for (uint32_t i = 0; i < choice->n_candidates; i++) {
        struct fz_candidate *k = &choice->candidates[i];
        for (int64_t n = k->unit; n <= STEPS && n < k->left; n += k->unit) {
            struct step s = price(choice, k, n, taken);
            bool enough = reaches_goal(choice, goal, s.saved);
            if (enough && s.error < last_of.error) last = k, last_of = s;
            if (rate_of(&s) == INFINITY || (best && rate_of(&s) >= rate_of(&best_of))) continue;
            best = k;
            best_of = s;
            reaches = enough;
        }
    }
    if (reaches && last) best = last, best_of = last_of;
    if (best) *out = price(choice, best, best_of.n, taken);
    return best;
}

/* What could be taken out of what there was, in percent. */
static double percent(uint64_t left, uint64_t all) {
    return 100.0 * (1.0 - (double)left / (double)all);
}

static fz_status_t too_little(const struct fz_choice *choice) {
    return fzi_error(FZ_E_VALUE,
                     "only %.1f %% of the multiply-accumulates and %.1f %% of the time can be "
                     "taken out: the rest is in dimensions that must keep their sizes",
                     percent(choice->left.macs, choice->work.macs),
                     percent(choice->left.time, choice->work.time));
}

static fz_status_t walk(struct fz_choice *choice, struct fz_work goal, uint8_t *taken) {
    while (!reaches_goal(choice, goal, (struct fz_work){0})) {
        struct step s;
        FZ_TRY(refresh(choice));
        struct fz_candidate *k = best_step(choice, goal, taken, &s);
        if (!k) return too_little(choice);
        for (int64_t left = s.n; left > 0; left -= k->unit)
            FZ_TRY(take(choice, k, fzi_min_i64(k->unit, left), taken, &k->spent));
        choice->error += s.error;
        choice->left = work_of(choice);
    }
    return FZ_OK;
}

fz_status_t fzi_choice_ready(struct fz_choice *choice) {
    for (uint32_t i = 0; i < choice->n_consumers; i++)
        FZ_TRY(invert(choice, &choice->consumers[i]));
    return FZ_OK;
}

fz_status_t fzi_choice_make(struct fz_choice *choice, struct fz_work goal) {
    int64_t widest = 1;
    for (uint32_t i = 0; i < choice->n_candidates; i++)
        widest = fzi_max_i64(widest, choice->candidates[i].leaf->size);
    uint8_t *taken = fzi_calloc((size_t)widest, 1);
    if (!taken) return no_memory();
    fz_status_t status = walk(choice, goal, taken);
    fzi_free(taken);
    return status;
}
