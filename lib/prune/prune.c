/* The order of things: two copies of the model, two runs to learn shapes, the choice, the smaller
 * copy, its repair. */
#include "prune/prune.h"

#include <stdio.h>

#include "export/export.h"
#include "ops/matmul.h"
#include "prune/repair.h"
#include "prune/rewrite.h"

enum { WEIGH_SAMPLES = 128 }; /* how many samples tell what an error does to the outputs */

static fz_status_t no_memory(void) { return fzi_error(FZ_E_NOMEM, "no memory for pruning"); }

fz_status_t fzi_prune_progress(const struct fz_prune *p, double done, const char *phase) {
    const fz_prune_options_t *o = p->request;
    if (o->progress && o->progress(o->progress_context, done, phase))
        return fzi_error(FZ_E_CANCELLED, "pruning was cancelled");
    return FZ_OK;
}

void fzi_prune_say(const struct fz_prune *p, const char *format, ...) {
    const fz_prune_options_t *o = p->request;
    char line[512];
    va_list args;
    if (!o->report) return;
    va_start(args, format);
    vsnprintf(line, sizeof line, format, args);
    va_end(args);
    o->report(o->report_context, line);
}

/* Functions may have been inlined that were written for another opset than the model is. */
static fz_status_t raise(struct fz_graph *graph) {
    int32_t newest = 0;
    for (const struct fz_node *node = graph->first; node; node = node->next)
        if (!*node->domain && node->opset > newest) newest = node->opset;
    return newest ? fzi_export_raise(graph, newest) : FZ_OK;
}

static fz_status_t open_copy(const struct fz_prune *p, struct fz_prune_copy *copy) {
    FZ_TRY(fzi_import_file(p->path, p->options, &copy->arena, &copy->source, &copy->graph));
    FZ_TRY(raise(copy->graph));
    return fzi_trace_open(&copy->trace, copy->graph);
}

static void close_copy(struct fz_prune_copy *copy) {
    fzi_trace_close(&copy->trace);
    fzi_source_close(&copy->source);
    fzi_arena_free(&copy->arena);
}

fz_status_t fzi_prune_open(struct fz_prune *p) {
    FZ_TRY(open_copy(p, &p->before));
    return open_copy(p, &p->after);
}

void fzi_prune_close(struct fz_prune *p) {
    close_copy(&p->before);
    close_copy(&p->after);
    fzi_arena_free(&p->arena);
}

/* ---- two runs that tell which sizes and numbers depend on symbolic dimensions */

/* Inputs of zeros: shapes are all that is asked of them. SIZE is that of symbolic dimensions, but
 * for the first one of an input, most often a batch. */
static fz_status_t made_up(struct fz_prune *p, const struct fz_graph *graph, int64_t size,
                           fz_tensor_t *inputs) {
    for (uint32_t i = 0; i < graph->n_inputs; i++) {
        inputs[i] = graph->inputs[i]->t;
        for (int32_t j = 0; j < inputs[i].rank; j++)
            if (inputs[i].dims[j] < 0) inputs[i].dims[j] = j ? size : 1;
        if (inputs[i].rank < 0)
            return fzi_error(FZ_E_SHAPE, "input '%s' has no declared shape",
                             graph->inputs[i]->name);
        FZ_TRY(fzi_tensor_alloc(&p->arena, &inputs[i]));
    }
    return FZ_OK;
}

/* Made-up inputs of a size that the model takes: images must not be too small for it. */
static fz_status_t make_up(struct fz_prune *p, const fz_tensor_t **inputs) {
    static const int64_t sizes[] = {4, 32, 64, 224};
    const struct fz_graph *graph = p->before.graph;
    fz_tensor_t *made = fzi_arena_array(&p->arena, graph->n_inputs, sizeof *made);
    fz_status_t status = FZ_E_NOMEM;
    if (!made) return no_memory();
    for (size_t i = 0; i < FZ_COUNT(sizes); i++) {
        FZ_TRY(made_up(p, graph, sizes[i], made));
        status = fzi_trace_run(&p->before.trace, made, NULL);
        if (status == FZ_OK || status == FZ_E_NOMEM) break;
    }
    *inputs = made;
    return status == FZ_OK
               ? FZ_OK
               : fzi_error_context(status, "without calibration data (--calib, or sizes by --dim)");
}

/* T twice along dimension I. */
static fz_status_t twice(struct fz_arena *arena, fz_tensor_t *t, int32_t i) {
    fz_tensor_t out = *t;
    int64_t outer = 1;
    out.dims[i] *= 2;
    FZ_TRY(fzi_tensor_alloc(arena, &out));
    for (int32_t j = 0; j < i; j++) outer *= t->dims[j];
    size_t block = outer ? t->size / (size_t)outer : 0;
    for (int64_t o = 0; o < outer; o++)
        for (int copy = 0; copy < 2; copy++)
            memcpy((char *)out.data + (2 * (size_t)o + (size_t)copy) * block,
                   (const char *)t->data + (size_t)o * block, block);
    *t = out;
    return FZ_OK;
}

/* Keeps shapes of the last run, and the numbers of what is small and integer. */
static fz_status_t keep(struct fz_prune *p, const struct fz_trace *trace) {
    p->other = fzi_arena_array(&p->arena, trace->n_values, sizeof *p->other);
    if (!p->other) return no_memory();
    for (uint32_t i = 0; i < trace->n_values; i++) {
        const fz_tensor_t *t = fzi_trace_value(trace, trace->ids[i]);
        p->other[i] = *t;
        p->other[i].data = NULL;
        bool small = t->data && fzi_type_is_integer(t->dtype) && t->size <= 4096;
        if (small) p->other[i].data = fzi_arena_copy(&p->arena, t->data, t->size);
        if (small && !p->other[i].data) return no_memory();
    }
    return FZ_OK;
}

/* A run with every symbolic dimension doubled; only the first ones (batches) if a model does not
 * take that. */
static fz_status_t probe_twice(struct fz_prune *p, const fz_tensor_t *inputs, bool first_only) {
    const struct fz_graph *graph = p->before.graph;
    fz_tensor_t *doubled = fzi_arena_copy(&p->arena, inputs, graph->n_inputs * sizeof *inputs);
    bool any = false;
    if (!doubled) return no_memory();
    for (uint32_t i = 0; i < graph->n_inputs; i++)
        for (int32_t j = 0; j < (first_only ? 1 : inputs[i].rank); j++) {
            if (j >= graph->inputs[i]->t.rank || graph->inputs[i]->t.dims[j] >= 0) continue;
            FZ_TRY(twice(&p->arena, &doubled[i], j));
            any = true;
        }
    if (!any) return FZ_OK;
    FZ_TRY(fzi_trace_run(&p->before.trace, doubled, NULL));
    return keep(p, &p->before.trace);
}

/* Leaves the run with PROBE's inputs in the trace. */
static fz_status_t probe(struct fz_prune *p, const fz_tensor_t **inputs) {
    if (p->samples.n) FZ_TRY(p->samples.get(p->samples.context, 0, inputs));
    else FZ_TRY(make_up(p, inputs));
    if (probe_twice(p, *inputs, false) != FZ_OK) FZ_TRY(probe_twice(p, *inputs, true));
    return fzi_trace_run(&p->before.trace, *inputs, NULL);
}

/* ---- the choice */

/* At most FZ_SAMPLE_ROWS rows of a product in one sample, evenly taken. */
static void add_rows(struct fz_consumer *c, const struct fz_trace *trace, double *row) {
    int64_t n = fzi_linear_rows(c->linear, trace), take = fzi_min_i64(n, FZ_SAMPLE_ROWS);
    for (int64_t i = 0; i < take; i++) {
        fzi_linear_input(c->linear, trace, 0, i * n / take, row);
        fzi_moments_add(&c->moments, row, row);
    }
}

static fz_status_t gather(struct fz_prune *p, double *row) {
    for (uint64_t i = 0; i < p->samples.n; i++) {
        const fz_tensor_t *inputs;
        FZ_TRY(p->samples.get(p->samples.context, i, &inputs));
        FZ_TRY(fzi_prune_progress(p, 0.3 * (double)i / (double)p->samples.n, "activations"));
        FZ_TRY(fzi_trace_run(&p->before.trace, inputs, NULL));
        for (uint32_t c = 0; c < p->choice.n_consumers; c++)
            if (p->choice.consumers[c].moments.xx)
                add_rows(&p->choice.consumers[c], &p->before.trace, row);
    }
    return FZ_OK;
}

/* ---- what an error in one place does to the outputs */

/* The squares of OUT's elements, or of its differences from FROM's. */
static double squares(const fz_tensor_t *out, const float *from) {
    const float *y = out->data;
    double sum = 0;
    if (out->dtype != FZ_TYPE_F32) return 0;
    for (int64_t i = 0; i < fzi_tensor_count(out); i++) {
        double d = (double)y[i] - (from ? (double)from[i] : 0);
        sum += d * d;
    }
    return sum;
}

/* The outputs of the first samples, as they are. */
struct reference {
    fz_tensor_t *outputs; /* WEIGH_SAMPLES times the graph's */
    uint64_t n;
    double energy;
};

static fz_status_t take_reference(struct fz_prune *p, struct reference *r) {
    uint32_t n_outputs = p->before.graph->n_outputs;
    r->n = p->samples.n < WEIGH_SAMPLES ? p->samples.n : WEIGH_SAMPLES;
    r->outputs = fzi_arena_array(&p->arena, r->n * n_outputs, sizeof *r->outputs);
    if (!r->outputs) return no_memory();
    for (uint64_t i = 0; i < r->n; i++) {
        const fz_tensor_t *inputs;
        FZ_TRY(p->samples.get(p->samples.context, i, &inputs));
        FZ_TRY(fzi_trace_run(&p->before.trace, inputs, NULL));
        for (uint32_t o = 0; o < n_outputs; o++) {
            fz_tensor_t *out = &r->outputs[i * n_outputs + o];
            *out = *fzi_trace_value(&p->before.trace, p->before.graph->outputs[o]);
            r->energy += squares(out, NULL);
            out->data = fzi_arena_copy(&p->arena, out->data, out->size);
            if (!out->data) return no_memory();
        }
    }
    return FZ_OK;
}

/* How far the outputs are from the reference, as a share of their energy. */
static fz_status_t distance(struct fz_prune *p, const struct reference *r, double *out) {
    uint32_t n_outputs = p->before.graph->n_outputs;
    double sum = 0;
    for (uint64_t i = 0; i < r->n; i++) {
        const fz_tensor_t *inputs;
        FZ_TRY(p->samples.get(p->samples.context, i, &inputs));
        FZ_TRY(fzi_trace_run(&p->before.trace, inputs, NULL));
        for (uint32_t o = 0; o < n_outputs; o++)
            sum += squares(fzi_trace_value(&p->before.trace, p->before.graph->outputs[o]),
                           r->outputs[i * n_outputs + o].data);
    }
    *out = r->energy > 0 ? sum / r->energy : 0;
    return FZ_OK;
}

/* Writes the weights W of C's product, and lets its bias make up for the change of the mean since
 * they were OLD. */
static void set_product(const struct fz_consumer *c, const struct fz_linear *l,
                               const double *w, const double *old) {
    float *bias = c->centred && c->moments.count > 0 ? l->bias->t.data : NULL;
    fzi_linear_set(l, w);
    for (int64_t j = 0; bias && j < l->n; j++) {
        double shift = 0;
        for (int64_t i = 0; i < l->k; i++)
            shift += c->moments.x[i] / c->moments.count * (old[i * l->n + j] - w[i * l->n + j]);
        bias[j] = (float)((double)bias[j] + shift);
    }
}

/* The traced model gets the weights that products have by now. */
static void show(const struct fz_consumer *c) {
    set_product(c, c->linear, c->w, c->shown);
    memcpy(c->shown, c->w, (size_t)(c->linear->k * c->linear->n) * sizeof *c->w);
}

/* What a trial of N of K's indices does to the outputs. The model is as it was before afterwards,
 * but for roundings of biases. */
static fz_status_t try_one(struct fz_prune *p, struct fz_candidate *k, int64_t n,
                           const struct reference *r, double *error, double *moved) {
    FZ_TRY(fzi_choice_try(&p->choice, k, n, error));
    for (uint32_t u = 0; u < k->n_reads; u++) show(k->reads[u].consumer);
    fz_status_t status = distance(p, r, moved);
    fzi_choice_undo(&p->choice, k);
    for (uint32_t u = 0; u < k->n_reads; u++) show(k->reads[u].consumer);
    return status;
}

/* A quarter, a half ... of what is left of each candidate goes, alone: what that does to the
 * outputs against what the greedy walk counts for it is the candidate's curve. */
static fz_status_t weigh(struct fz_prune *p, const struct reference *r) {
    static const int64_t eighths[] = {2, 4, 6, 7};
    double base;
    for (uint32_t i = 0; i < p->choice.n_consumers; i++) show(&p->choice.consumers[i]);
    FZ_TRY(distance(p, r, &base));
    for (uint32_t i = 0; i < p->choice.n_candidates; i++) {
        struct fz_candidate *k = &p->choice.candidates[i];
        k->n_curve = 0;
        k->spent = 0;
        for (size_t j = 0, last = 0; j < FZ_COUNT(eighths); j++) {
            double error = 0, moved = 0;
            int64_t n = k->left * eighths[j] / 8;
            if (n <= (int64_t)last || n >= k->left) continue;
            last = (size_t)n;
            FZ_TRY(try_one(p, k, n, r, &error, &moved));
            fzi_choice_weigh(k, error, moved - base);
        }
        if (!k->n_curve) k->curve[k->n_curve++].weight = 1;
    }
    return FZ_OK;
}

/* The traced model gets its own weights back: the other copy still has them. */
static void show_original(struct fz_prune *p) {
    for (uint32_t i = 0; i < p->n_linears; i++) {
        const struct fz_linear *l = &p->linears[i];
        struct fz_value **ids = p->after.trace.ids;
        memcpy(l->weight->t.data, ids[l->weight->id - 1]->t.data, l->weight->t.size);
        if (l->bias) memcpy(l->bias->t.data, ids[l->bias->id - 1]->t.data, l->bias->t.size);
    }
}

static fz_status_t walk(struct fz_prune *p) {
    struct reference r = {0};
    const struct fz_work *all = &p->choice.work;
    if (!all->macs)
        return fzi_error(FZ_E_VALUE, "there is no product to take from, none outside of subgraphs");
    struct fz_work goal = {(uint64_t)((1 - p->request->structured) * (double)all->macs),
                           (uint64_t)((1 - p->request->time) * (double)all->time)};
    fz_status_t status = p->samples.n ? take_reference(p, &r) : FZ_OK;
    if (status == FZ_OK && p->samples.n) status = weigh(p, &r);
    if (status == FZ_OK) status = fzi_choice_make(&p->choice, goal);
    show_original(p);
    return status;
}

static fz_status_t choose(struct fz_prune *p) {
    int64_t widest = 1;
    FZ_TRY(fzi_choice_open(&p->choice, &p->depend, p->linears, p->n_linears, p->samples.n > 0));
    for (uint32_t i = 0; i < p->n_linears; i++) widest = fzi_max_i64(widest, p->linears[i].k);
    double *row = fzi_arena_array(&p->arena, (size_t)widest, sizeof *row);
    if (!row) return no_memory();
    FZ_TRY(gather(p, row));
    FZ_TRY(fzi_choice_ready(&p->choice));
    return walk(p);
}

/* ---- the smaller copy */

/* Weights that have made up for what goes are where repair starts from. */
static void set_weights(struct fz_prune *p) {
    for (uint32_t i = 0; i < p->choice.n_consumers; i++) {
        const struct fz_consumer *c = &p->choice.consumers[i];
        if (!c->inverse || c->linear->shared) continue;
        struct fz_linear copy = *c->linear;
        copy.weight = p->after.trace.ids[c->linear->weight->id - 1];
        fzi_linear_set(&copy, c->w);
    }
}

static fz_status_t shrink(struct fz_prune *p, const fz_tensor_t *inputs) {
    set_weights(p);
    FZ_TRY(fzi_rewrite(&p->depend, p->after.graph));
    FZ_TRY(fzi_trace_run(&p->after.trace, inputs, NULL));
    return fzi_rewrite_check(&p->depend, &p->after.trace);
}

/* ---- the whole */

static void say_candidates(const struct fz_prune *p) {
    for (uint32_t i = 0; i < p->choice.n_candidates; i++) {
        const struct fz_candidate *k = &p->choice.candidates[i];
        fzi_prune_say(p, "%lld of %lld stay: what '%s' reads%s", (long long)k->left,
                      (long long)k->leaf->size, k->reads[0].consumer->linear->node->name,
                      k->n_reads > 1 ? ", and others" : "");
    }
    for (uint32_t i = 0; i < p->n_linears; i++)
        if (p->linears[i].k > FZ_LINEAR_MAX_K)
            fzi_prune_say(p, "'%s' sums %lld products, more than %d: it is not repaired",
                          p->linears[i].node->name, (long long)p->linears[i].k, FZ_LINEAR_MAX_K);
}

static fz_status_t structured(struct fz_prune *p) {
    const fz_tensor_t *inputs;
    FZ_TRY(choose(p));
    say_candidates(p);
    FZ_TRY(probe(p, &inputs));
    p->depend.other = p->other;
    FZ_TRY(shrink(p, inputs));
    p->result.macs_before = p->choice.work.macs;
    p->result.macs_after = p->choice.left.macs;
    p->result.time_before = p->choice.work.time;
    p->result.time_after = p->choice.left.time;
    return FZ_OK;
}

/* Least squares for what is left, and zeros. */
static fz_status_t repair(struct fz_prune *p) {
    struct fz_repair job = {.before = &p->before.trace, .after = &p->after.trace,
                            .depend = &p->depend, .original = p->linears, .n = p->n_linears,
                            .samples = &p->samples};
    FZ_TRY(fzi_sparse_parse(p->request->sparse, &job.sparse));
    FZ_TRY(fzi_prune_progress(p, 0.6, "repair"));
    return fzi_repair(&job);
}

/* What of its weights a product has left, and how a frozen file stores them. */
static void say_sparse(const struct fz_prune *p) {
    struct fz_linear l;
    for (const struct fz_node *node = p->after.graph->first; node; node = node->next) {
        int64_t left = 0;
        if (!fzi_linear_describe(&p->after.trace, node, &l)) continue;
        const float *w = l.weight->t.data;
        for (int64_t i = 0; i < l.k * l.n; i++) left += w[i] != 0;
        struct fz_sparse_source source = {w, l.k, l.n, l.by_column ? l.n : 1,
                                          l.by_column ? 1 : l.k};
        bool packed = !l.conv && fzi_sparse_wins(&source);
        fzi_prune_say(p, "'%s': %.1f %% of %lld weights are left, stored %s", node->name,
                      100.0 * (double)left / (double)(l.k * l.n), (long long)(l.k * l.n),
                      packed ? "packed"
                      : left < l.k * l.n ? "dense: no kernel wins for this pattern" : "dense");
    }
}

/* Bytes of the float constants that nodes of GRAPH read, and of the zeros among them. */
static void count_weights(const struct fz_graph *graph, uint64_t *bytes, uint64_t *zeros) {
    static char counted;
    for (const struct fz_node *node = graph->first; node; node = node->next)
        for (uint32_t i = 0; i < node->n_in; i++) {
            struct fz_value *v = node->in[i];
            if (!fzi_is_constant(v) || v->t.dtype != FZ_TYPE_F32 || v->note == &counted) continue;
            v->note = &counted;
            const float *data = v->t.data;
            *bytes += v->t.size;
            for (int64_t k = 0; k < fzi_tensor_count(&v->t); k++)
                *zeros += data[k] == 0 ? sizeof *data : 0;
        }
}

fz_status_t fzi_prune_run(struct fz_prune *p) {
    const fz_tensor_t *inputs;
    uint64_t ignored = 0;
    p->result.n_samples = p->samples.n;
    count_weights(p->before.graph, &p->result.weights_before, &ignored);
    FZ_TRY(fzi_prune_progress(p, 0, "shapes"));
    FZ_TRY(probe(p, &inputs));
    p->depend = (struct fz_depend){.arena = &p->arena, .trace = &p->before.trace,
                                   .other = p->other, .excluded = p->request->exclude,
                                   .n_excluded = p->request->n_exclude};
    FZ_TRY(fzi_depend_analyse(&p->depend));
    FZ_TRY(fzi_linear_find(&p->before.trace, &p->arena, &p->linears, &p->n_linears));
    if (p->request->structured > 0 || p->request->time > 0) FZ_TRY(structured(p));
    FZ_TRY(repair(p));
    if (p->request->sparse) say_sparse(p);
    fzi_rewrite_clean(p->after.graph);
    count_weights(p->after.graph, &p->result.weights_after, &p->result.zeros_after);
    return FZ_OK;
}
