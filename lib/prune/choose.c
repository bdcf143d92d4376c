/* Candidates, their errors, and the greedy walk. */
#include "prune/choose.h"

#include <math.h>

#include "prune/solve.h"

/* The multiply-accumulates of a node: a product of dimensions; or its output's elements. */
struct fz_cost {
    struct fz_dims dims;
    uint64_t factor;
    bool macs;
};

enum {
    DAMP_PERCENT = 1,
    ELEMENT_COST = 24 /* multiply-accumulates in the time that writing a number takes, measured */
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
    choice->n_consumers = n;
    for (uint32_t i = 0; i < n; i++) {
        struct fz_consumer *c = &choice->consumers[i];
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
static int64_t unit_of(int64_t size) { return size >= 32 ? 4 : size >= 16 ? 2 : 1; }

static fz_status_t fill_candidate(struct fz_choice *choice, struct fz_candidate *k) {
    struct fz_arena *arena = choice->arena;
    uint32_t n = choice->n_consumers;
    k->unit = unit_of(k->leaf->size);
    k->left = k->leaf->size;
    k->weight = 1;
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

/* ---- costs */

/* Every output takes one product per index of what is summed over: the dimensions of A, and
 * dimension I of B, with its taps behind. */
static bool cost_of(struct fz_choice *choice, const struct fz_value *a, const struct fz_value *b,
                    int32_t i, bool taps) {
    struct fz_depend *d = choice->depend;
    struct fz_cost *cost = &choice->costs[choice->n_costs++];
    const fz_tensor_t *ta = fzi_depend_value(d, a), *tb = fzi_depend_value(d, b);
    cost->factor = 1;
    cost->macs = true;
    for (int32_t j = 0; j < ta->rank; j++) {
        struct fz_dim *axis = fzi_depend_axis(d, a, j);
        if (!axis || !fzi_dims_add(choice->arena, &cost->dims, axis)) return false;
    }
    for (int32_t j = 2; taps && j < tb->rank; j++) cost->factor *= (uint64_t)tb->dims[j];
    struct fz_dim *axis = fzi_depend_axis(d, b, i);
    return axis && fzi_dims_add(choice->arena, &cost->dims, axis);
}

/* Writing an element costs time as well. */
static bool cost_of_output(struct fz_choice *choice, const struct fz_node *node) {
    const struct fz_op *op = fzi_op_find(node->domain, node->type, node->opset);
    struct fz_cost *cost = &choice->costs[choice->n_costs];
    const fz_tensor_t *t = node->out[0] ? fzi_depend_value(choice->depend, node->out[0]) : NULL;
    if (!t || t->dtype != FZ_TYPE_F32 || !op || op->flags & FZ_OP_VIEW) return true;
    cost->factor = ELEMENT_COST;
    for (int32_t i = 0; i < t->rank; i++) {
        struct fz_dim *axis = fzi_depend_axis(choice->depend, node->out[0], i);
        if (!axis || !fzi_dims_add(choice->arena, &cost->dims, axis)) return false;
    }
    choice->n_costs++;
    return true;
}

static bool find_cost(struct fz_choice *choice, const struct fz_node *node) {
    if (!cost_of_output(choice, node)) return false;
    if (*node->domain) return true;
    if (strcmp(node->type, "Conv") == 0)
        return cost_of(choice, node->out[0], node->in[1], 1, true);
    if (strcmp(node->type, "ConvTranspose") == 0)
        return cost_of(choice, node->in[0], node->in[1], 1, true);
    if (strcmp(node->type, "Gemm") == 0)
        return cost_of(choice, node->out[0], node->in[0], !fzi_depend_int(node, "transA", 0),
                       false);
    if (strcmp(node->type, "MatMul") == 0)
        return cost_of(choice, node->out[0], node->in[0],
                       fzi_depend_value(choice->depend, node->in[0])->rank - 1, false);
    return true;
}

static uint64_t size_of(const struct fz_cost *cost) {
    uint64_t n = cost->factor;
    for (uint32_t i = 0; i < cost->dims.n; i++) n *= (uint64_t)fzi_dim_kept(cost->dims.items[i]);
    return n;
}

uint64_t fzi_choice_macs(const struct fz_choice *choice) {
    uint64_t sum = 0;
    for (uint32_t i = 0; i < choice->n_costs; i++)
        if (choice->costs[i].macs) sum += size_of(&choice->costs[i]);
    return sum;
}

fz_status_t fzi_choice_open(struct fz_choice *choice, struct fz_depend *depend,
                            const struct fz_linear *linears, uint32_t n, bool data) {
    *choice = (struct fz_choice){.arena = depend->arena, .depend = depend};
    const struct fz_trace *trace = depend->trace;
    choice->costs = fzi_arena_array(choice->arena, 2 * (size_t)trace->n_nodes,
                                    sizeof *choice->costs);
    if (!choice->costs) return no_memory();
    for (const struct fz_node *node = trace->graph->first; node; node = node->next)
        if (!find_cost(choice, node)) return no_memory();
    FZ_TRY(open_consumers(choice, linears, n, data));
    FZ_TRY(find_candidates(choice));
    choice->macs = choice->macs_left = fzi_choice_macs(choice);
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

fz_status_t fzi_choice_try(struct fz_choice *choice, struct fz_candidate *k, double *error) {
    bool ok = true;
    *error = 0;
    for (uint32_t u = 0; u < k->n_reads; u++) ok = ok && save(k->reads[u].consumer);
    for (uint32_t u = 0; u < k->n_makes; u++) ok = ok && save(k->makes[u].consumer);
    uint8_t *taken = ok ? fzi_calloc((size_t)k->leaf->size, 1) : NULL;
    fz_status_t status = taken ? refresh(choice) : no_memory();
    memcpy(k->saved_gone, k->leaf->gone, (size_t)k->leaf->size);
    for (int64_t i = 0, n = k->left / 2; status == FZ_OK && i < n; i++) {
        int64_t next = cheapest(k, taken);
        taken[next] = 1;
        *error += k->errors[next];
    }
    for (int64_t i = 0; status == FZ_OK && i < k->leaf->size; i++)
        if (taken[i]) drop(k, i);
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

/* A step of a candidate: what it adds to the error, and what it saves. */
struct step {
    double error;
    uint64_t work, macs;
};

static struct step left_of(const struct fz_choice *choice, const struct fz_candidate *k) {
    struct step sum = {0};
    for (uint32_t i = 0; i < k->n_costs; i++) {
        const struct fz_cost *cost = &choice->costs[k->costs[i]];
        uint64_t size = size_of(cost);
        sum.work += size;
        sum.macs += cost->macs ? size : 0;
    }
    return sum;
}

/* The step of K that costs the least error; TAKEN gets a 1 for each index of it. */
static struct step price(struct fz_choice *choice, struct fz_candidate *k, uint8_t *taken) {
    double error = 0;
    memset(taken, 0, (size_t)k->leaf->size);
    for (int64_t i = 0; i < k->unit; i++) {
        int64_t next = cheapest(k, taken);
        if (next < 0) break;
        taken[next] = 1;
        error += k->weight * k->errors[next];
    }
    struct step before = left_of(choice, k);
    for (int64_t i = 0; i < k->leaf->size; i++) k->leaf->gone[i] |= taken[i];
    struct step after = left_of(choice, k);
    for (int64_t i = 0; i < k->leaf->size; i++) k->leaf->gone[i] &= (uint8_t)!taken[i];
    return (struct step){error, before.work - after.work, before.macs - after.macs};
}

/* The candidate whose next step is the best: the least error for the work it saves; if that reaches
 * MACS, the one of the least error that does. NULL if none can give more. */
static struct fz_candidate *best_step(struct fz_choice *choice, uint64_t macs, uint8_t *taken,
                                      double *error) {
    struct fz_candidate *best = NULL, *last = NULL;
    double least = INFINITY, least_error = INFINITY;
    bool reaches = false;
    for (uint32_t i = 0; i < choice->n_candidates; i++) {
        struct fz_candidate *k = &choice->candidates[i];
        if (k->left <= k->unit) continue;
        struct step s = price(choice, k, taken);
        double rate = s.macs ? s.error / (double)s.work : INFINITY;
        bool enough = choice->macs_left - s.macs <= macs;
        if (enough && s.error < least_error) last = k, least_error = s.error;
        if (!(rate < least)) continue;
        least = rate;
        best = k;
        reaches = enough;
    }
    if (reaches && last) best = last;
    if (best) *error = price(choice, best, taken).error;
    return best;
}

static fz_status_t walk(struct fz_choice *choice, uint64_t macs, uint8_t *taken) {
    while (choice->macs_left > macs) {
        double error = 0;
        FZ_TRY(refresh(choice));
        struct fz_candidate *k = best_step(choice, macs, taken, &error);
        if (!k)
            return fzi_error(FZ_E_VALUE,
                             "only %.1f %% of the multiply-accumulates can be taken out: the rest "
                             "is in dimensions that must keep their sizes",
                             100.0 * (1.0 - (double)choice->macs_left / (double)choice->macs));
        for (int64_t i = 0; i < k->leaf->size; i++)
            if (taken[i]) drop(k, i);
        choice->error += error;
        choice->macs_left = fzi_choice_macs(choice);
    }
    return FZ_OK;
}

fz_status_t fzi_choice_ready(struct fz_choice *choice) {
    for (uint32_t i = 0; i < choice->n_consumers; i++)
        FZ_TRY(invert(choice, &choice->consumers[i]));
    return FZ_OK;
}

fz_status_t fzi_choice_make(struct fz_choice *choice, uint64_t macs) {
    int64_t widest = 1;
    for (uint32_t i = 0; i < choice->n_candidates; i++)
        widest = fzi_max_i64(widest, choice->candidates[i].leaf->size);
    uint8_t *taken = fzi_calloc((size_t)widest, 1);
    if (!taken) return no_memory();
    fz_status_t status = walk(choice, macs, taken);
    fzi_free(taken);
    return status;
}
