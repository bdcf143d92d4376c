/* Least squares, product by product. */
#include "prune/repair.h"

#include "prune/solve.h"

enum { DAMP_PERMILLE = 10 };

/* One product while it is repaired: of the pruned graph, beside its original. */
struct repair {
    const struct fz_linear *old;
    struct fz_linear now;
    uint8_t *gone;            /* outputs of the original that are no more */
    struct fz_moments *moments; /* of each group */
    double *x, *y, *beside;
    struct fz_arena arena;
};

static fz_status_t no_memory(void) { return fzi_error(FZ_E_NOMEM, "no memory for a repair"); }

static bool lost_inputs(const struct fz_linear *old, const struct fz_linear *now) {
    return now->k != old->k;
}

/* An own bias is a part of the output, one that an Add adds behind is not. */
static bool has_own_bias(const struct fz_linear *l) {
    return l->bias && fzi_in(l->node, 2) == l->bias;
}

static fz_status_t open_repair(struct repair *r, const struct fz_depend *d) {
    int64_t k = r->now.k, n = r->now.n;
    struct fz_dim *out = fzi_depend_axis((struct fz_depend *)d, r->old->weight,
                                         r->old->by_column ? 1 : 0);
    r->gone = fzi_arena_alloc(&r->arena, (size_t)r->old->n);
    r->x = fzi_arena_array(&r->arena, (size_t)k, sizeof *r->x);
    r->y = fzi_arena_array(&r->arena, (size_t)r->old->n, sizeof *r->y);
    r->beside = fzi_arena_array(&r->arena, (size_t)n, sizeof *r->beside);
    r->moments = fzi_arena_array(&r->arena, (size_t)r->now.groups, sizeof *r->moments);
    if (!out || !r->beside || !r->gone || !r->x || !r->y || !r->moments) return no_memory();
    for (int64_t g = 0; g < r->now.groups; g++)
        if (!fzi_moments_new(&r->arena, &r->moments[g], k, n / r->now.groups)) return no_memory();
    fzi_dim_gone(out, r->gone);
    return FZ_OK;
}

/* The target of a row: what the original gave, of the outputs that are left. Where the output is
 * added to something else, the sum is the target: the product also makes up for what that lost. */
static void read_target(struct repair *r, const struct fz_trace *before,
                        const struct fz_trace *after, int64_t row) {
    const struct fz_linear *old = r->old, *now = &r->now;
    bool sum = old->sum && now->sum;
    int64_t n = 0;
    fzi_linear_output(old, before, sum ? old->sum->out[0] : old->node->out[0], row, r->y);
    for (int64_t i = 0; i < old->n; i++)
        if (!r->gone[i]) r->y[n++] = r->y[i];
    if (!sum) return;
    fzi_linear_output(now, after, now->beside, row, r->beside);
    const float *bias = now->bias && !has_own_bias(now) ? now->bias->t.data : NULL;
    for (int64_t i = 0; i < n; i++) {
        r->y[i] -= r->beside[i];
        if (bias) r->y[i] -= (double)bias[i];
    }
}

static fz_status_t add_sample(struct repair *r, struct fz_trace *before, struct fz_trace *after,
                              const fz_tensor_t *inputs) {
    bool sum = r->old->sum && r->now.sum;
    FZ_TRY(fzi_trace_run(before, inputs, sum ? r->old->sum : r->old->node));
    FZ_TRY(fzi_trace_run(after, inputs, sum ? r->now.sum : r->now.node));
    int64_t n = fzi_linear_rows(r->old, before), take = fzi_min_i64(n, FZ_SAMPLE_ROWS);
    if (n != fzi_linear_rows(&r->now, after))
        return fzi_error(FZ_E_INTERNAL, "node '%s' has other rows now", r->now.node->name);
    for (int64_t i = 0; i < take; i++) {
        int64_t row = i * n / take;
        read_target(r, before, after, row);
        for (int64_t g = 0; g < r->now.groups; g++) {
            fzi_linear_input(&r->now, after, g, row, r->x);
            fzi_moments_add(&r->moments[g], r->x, r->y + g * r->moments[g].n);
        }
    }
    return FZ_OK;
}

/* ---- the fit */

/* TO -= A B for the K x K matrix A and K x N matrices. */
static void subtract_product(const double *a, const double *b, double *to, int64_t k, int64_t n) {
    for (int64_t i = 0; i < k; i++)
        for (int64_t j = 0; j < k; j++) {
            double factor = a[i * k + j], *restrict row = to + i * n;
            const double *restrict from = b + j * n;
            for (int64_t c = 0; c < n; c++) row[c] -= factor * from[c];
        }
}

/* The bias lets means differ: it takes what the mean of the rows leaves. */
static void set_bias(const struct repair *r, int64_t group, const double *w) {
    const struct fz_moments *m = &r->moments[group];
    float *bias = (float *)r->now.bias->t.data + group * m->n;
    bool own = has_own_bias(&r->now);
    for (int64_t j = 0; j < m->n; j++) {
        double sum = m->y[j] / m->count;
        for (int64_t i = 0; i < m->k; i++) sum -= m->x[i] / m->count * w[i * m->n + j];
        bias[j] = (float)(own ? sum : (double)bias[j] + sum);
    }
}

/* Copies columns [FIRST, FIRST + N) of the K rows of ALL, of WIDTH columns, to PART, or BACK. */
static void columns(double *all, int64_t width, int64_t first, double *part, int64_t k, int64_t n,
                    bool back) {
    for (int64_t i = 0; i < k; i++) {
        double *a = all + i * width + first, *b = part + i * n;
        memcpy(back ? a : b, back ? b : a, (size_t)n * sizeof *a);
    }
}

/* Least squares for the weights W of a group, then the pattern of zeros: its own repair starts from
 * the best dense weights. */
static fz_status_t solve(struct repair *r, int64_t group, const struct fz_sparse *sparse,
                         double *w) {
    struct fz_moments *m = &r->moments[group];
    int64_t k = m->k, n = m->n;
    double *h = fzi_arena_array(&r->arena, (size_t)(k * k), sizeof *h);
    if (!h) return no_memory();
    fzi_moments_finish(m, r->now.bias != NULL);
    subtract_product(m->xx, w, m->xy, k, n);
    fzi_solve_damp(m->xx, k, DAMP_PERMILLE / 1000.0);
    memcpy(h, m->xx, (size_t)(k * k) * sizeof *h);
    if (!fzi_solve_factor(m->xx, k))
        return fzi_error(FZ_E_VALUE, "node '%s': the calibration data give NaN or infinity",
                         r->now.node->name);
    fzi_solve_with(m->xx, k, m->xy, n);
    for (int64_t i = 0; i < k * n; i++) w[i] += m->xy[i];
    if (fzi_sparse_fits(sparse, &r->now)) FZ_TRY(fzi_sparse_apply(sparse, w, h, k, n));
    if (r->now.bias) set_bias(r, group, w);
    return FZ_OK;
}

/* Every group by itself: they share neither inputs nor outputs. */
static fz_status_t solve_all(struct repair *r, const struct fz_sparse *sparse) {
    int64_t k = r->now.k, n = r->now.n, groups = r->now.groups, some = n / groups;
    double *all = fzi_arena_array(&r->arena, (size_t)(k * n), sizeof *all);
    double *w = fzi_arena_array(&r->arena, (size_t)(k * some), sizeof *w);
    if (!all || !w) return no_memory();
    fzi_linear_get(&r->now, all);
    for (int64_t g = 0; g < groups; g++) {
        columns(all, n, g * some, w, k, some, false);
        FZ_TRY(solve(r, g, sparse, w));
        columns(all, n, g * some, w, k, some, true);
    }
    fzi_linear_set(&r->now, all);
    return FZ_OK;
}

/* Without data the smallest weights go. */
static fz_status_t thin(const struct fz_linear *l, const struct fz_sparse *sparse) {
    double *w = fzi_calloc((size_t)(l->k * l->n), sizeof *w);
    if (!w) return no_memory();
    fzi_linear_get(l, w);
    fz_status_t status = fzi_sparse_apply(sparse, w, NULL, l->k, l->n);
    if (status == FZ_OK) fzi_linear_set(l, w);
    fzi_free(w);
    return status;
}

static fz_status_t repair_one(struct repair *r, const struct fz_repair *job) {
    FZ_TRY(open_repair(r, job->depend));
    for (uint64_t i = 0; i < job->samples->n; i++) {
        const fz_tensor_t *inputs;
        FZ_TRY(job->samples->get(job->samples->context, i, &inputs));
        FZ_TRY(add_sample(r, job->before, job->after, inputs));
    }
    FZ_TRY(solve_all(r, &job->sparse));
    fzi_trace_changed(job->after, r->now.node);
    return FZ_OK;
}

/* Nodes of both graphs have the same numbers. */
static const struct fz_node *twin(const struct fz_trace *trace, const struct fz_node *node) {
    const struct fz_node *other = trace->graph->first;
    while (other && other->mark != node->mark) other = other->next;
    return other;
}

/* The pruned product beside OLD; false if there is none any more. */
static bool find_twin(const struct fz_repair *job, const struct fz_linear *old,
                      struct fz_linear *now) {
    const struct fz_node *node = twin(job->after, old->node);
    if (!node || !fzi_linear_describe(job->after, node, now)) return false;
    /* The last run may not have come as far as the sum. */
    now->sum = old->sum ? twin(job->after, old->sum) : NULL;
    now->beside = now->sum ? job->after->ids[old->beside->id - 1] : NULL;
    return true;
}

static bool is_excluded(const struct fz_depend *d, const struct fz_linear *l) {
    for (size_t i = 0; i < d->n_excluded; i++)
        if (strcmp(d->excluded[i], l->node->name) == 0) return true;
    return false;
}

fz_status_t fzi_repair(const struct fz_repair *job) {
    bool changed = false;
    for (uint32_t i = 0; i < job->n; i++) {
        struct repair r = {.old = &job->original[i]};
        struct fz_repair one = *job;
        if (!find_twin(job, r.old, &r.now)) continue;
        if (is_excluded(job->depend, r.old)) one.sparse.kind = FZ_SPARSE_OFF;
        bool fits = fzi_sparse_fits(&one.sparse, &r.now);
        changed = changed || lost_inputs(r.old, &r.now) || fits;
        if (!changed || r.now.shared || r.now.k > FZ_LINEAR_MAX_K) continue;
        fz_status_t status = FZ_OK;
        if (job->samples->n) status = repair_one(&r, &one);
        else if (fits) status = thin(&r.now, &one.sparse);
        fzi_arena_free(&r.arena);
        FZ_TRY(status);
    }
    return FZ_OK;
}
