/* Functions of one number of half precision, as Gelu is when exporters write it as five nodes: what
 * comes of one rounded value by way of elementwise operators and single constants, and is read at
 * one place only, rounded, becomes a look into a table of all 65,536 results (frozen.HalfTable),
 * which running the nodes gives: their bits. It pays where a function is among them. */
#include "passes/passes.h"

enum {
    PATTERNS = 65536,
    NODES_MAX = 48,    /* runs of nodes for one table */
    COST_MIN = 5,      /* of what a table takes the place of */
    FUNCTION_COST = 3, /* of an operator that is more than an instruction */
    FEW = 4096         /* elements that no table is worth its room for */
};

/* All that comes of the number X: noted at X and at each value. */
struct region {
    struct fz_value *x;
    struct fz_node *end; /* whose result is read outside */
    int ends, cost;
};

/* One attempt to run a region's nodes. */
struct trace {
    struct fz_pass *pass;
    struct fz_value *x;
    const fz_tensor_t *patterns;
    struct fz_arena *arena;
    int nodes;
};

/* Tables of this graph: layers have the same. */
struct tables {
    struct fz_value *list[16];
    size_t n;
};

static bool is_single(const struct fz_value *v) {
    return fzi_is_constant(v) && fzi_tensor_count(&v->t) == 1;
}

/* True if no constant that NODE reads gives the result more dimensions than X has. */
static bool keeps_rank(const struct fz_node *node, const struct fz_value *x) {
    for (uint32_t i = 0; i < node->n_in; i++) {
        const struct fz_value *v = node->in[i];
        if (v && fzi_is_constant(v) && v->t.rank > 0 && v->t.rank > x->t.rank) return false;
    }
    return true;
}

static bool is_elementwise(const struct fz_node *node) {
    const uint32_t bad = FZ_OP_VIEW | FZ_OP_RANDOM | FZ_OP_CONTROL | FZ_OP_LATE_SHAPE;
    return node->n_out == 1 && node->n_in <= 3 && node->op->flags & FZ_OP_IN_PLACE &&
           !(node->op->flags & bad) && node->out[0]->t.dtype == FZ_TYPE_F32 &&
           !fzi_pass_is_frozen(node, "HalfTable");
}

static int cost_of(const struct fz_node *node) {
    static const char *const plain[] = {"Add", "Sub", "Mul", "Div", "Max", "Min", "Clip", "Relu",
                                        "Neg", "Abs", NULL};
    if (fzi_pass_is_frozen(node, "RoundHalf")) return 0;
    for (int i = 0; plain[i]; i++)
        if (fzi_pass_is(node, plain[i])) return 1;
    return FUNCTION_COST;
}

/* The region that V is in; that which it begins, if it is rounded. */
static fz_status_t region_of(struct fz_graph *graph, struct fz_value *v, struct region **out) {
    *out = v->note;
    if (*out || v->graph != graph || !fzi_pass_rounding(v->producer)) return FZ_OK;
    *out = fzi_arena_array(graph->arena, 1, sizeof **out);
    if (!*out) return fzi_error(FZ_E_NOMEM, "no memory for a pass");
    (*out)->x = v;
    v->note = *out;
    return FZ_OK;
}

/* Notes NODE's result if all that it reads is in one region. */
static fz_status_t note(struct fz_graph *graph, struct fz_node *node) {
    struct region *all = NULL, *own;
    if (!is_elementwise(node)) return FZ_OK;
    for (uint32_t i = 0; i < node->n_in; i++) {
        struct fz_value *v = node->in[i];
        if (!v || is_single(v)) continue;
        FZ_TRY(region_of(graph, v, &own));
        if (!own || (all && all != own)) return FZ_OK;
        all = own;
    }
    if (!all || !keeps_rank(node, all->x)) return FZ_OK;
    node->out[0]->note = all;
    all->cost += cost_of(node);
    return FZ_OK;
}

static struct region *noted(const struct fz_node *node) {
    struct region *r = node->n_out == 1 && node->out[0] ? node->out[0]->note : NULL;
    return r && r->x != node->out[0] ? r : NULL;
}

/* Finds out which values are read outside of their regions: use counts lose the other readers. */
static void find_ends(struct fz_graph *graph) {
    for (struct fz_node *node = graph->first; node; node = node->next)
        for (uint32_t i = 0; noted(node) && i < node->n_in; i++)
            if (node->in[i] && node->in[i]->note == noted(node)) node->in[i]->n_uses--;
    for (struct fz_node *node = graph->first; node; node = node->next) {
        struct region *r = noted(node);
        if (!r || !node->out[0]->n_uses) continue;
        r->end = node;
        r->ends++;
    }
}

/* The values of V for all patterns of X. */
static fz_status_t values_of(struct trace *t, struct fz_value *v, fz_tensor_t *out) {
    const struct fz_node *node = v->producer;
    fz_tensor_t in[3];
    const fz_tensor_t *at[3] = {NULL, NULL, NULL};
    *out = v == t->x ? *t->patterns : v->t;
    if (v == t->x) return FZ_OK;
    if (fzi_is_constant(v)) {
        fzi_shape_set(out, 0, NULL);
        return FZ_OK;
    }
    if (++t->nodes > NODES_MAX) return FZ_OK;
    for (uint32_t i = 0; i < node->n_in; i++) {
        if (!node->in[i]) continue;
        FZ_TRY(values_of(t, node->in[i], &in[i]));
        at[i] = &in[i];
    }
    if (t->nodes > NODES_MAX) return FZ_OK;
    *out = (fz_tensor_t){0};
    return fzi_op_evaluate(node->op, node->params, at, node->n_in, out, 1, t->arena, t->pass->k);
}

/* TABLE as a constant: one that is there already, if it has the same entries. */
static struct fz_value *constant_of(struct fz_graph *graph, const char *name, struct tables *all,
                                    const fz_tensor_t *table) {
    for (size_t i = 0; i < all->n; i++)
        if (all->list[i]->t.dtype == table->dtype &&
            memcmp(all->list[i]->t.data, table->data, table->size) == 0)
            return all->list[i];
    struct fz_value *v = fzi_graph_constant(graph, name, table);
    if (!v) fzi_error(FZ_E_NOMEM, "no memory for a table");
    else if (all->n < FZ_COUNT(all->list)) all->list[all->n++] = v;
    return v;
}

/* Fills TABLE, PATTERNS halves of its type, with the results of R; *GOOD: it did. */
static fz_status_t run_nodes(struct fz_pass *pass, const struct region *r,
                             const fz_tensor_t *table, struct fz_arena *arena, bool *good) {
    const int64_t n = PATTERNS;
    const bool bf16 = table->dtype == FZ_TYPE_BF16;
    uint16_t *half = table->data;
    float *x = fzi_arena_array(arena, PATTERNS, sizeof *x);
    if (!x) return fzi_error(FZ_E_NOMEM, "no memory for a table");
    for (int i = 0; i < PATTERNS; i++) half[i] = (uint16_t)i;
    (bf16 ? pass->k->bf16_to_f32 : pass->k->f16_to_f32)(x, half, n);
    fz_tensor_t patterns = {.dtype = FZ_TYPE_F32, .data = x, .size = PATTERNS * sizeof *x}, y;
    fzi_shape_set(&patterns, 1, &n);
    struct trace t = {pass, r->x, &patterns, arena, 0};
    FZ_TRY(values_of(&t, r->end->out[0], &y));
    *good = t.nodes <= NODES_MAX;
    if (*good) (bf16 ? pass->k->f32_to_bf16 : pass->k->f32_to_f16)(half, y.data, n);
    return FZ_OK;
}

static bool is_worth(const struct region *r) {
    const fz_tensor_t *t = &r->x->t;
    if (r->ends != 1 || r->cost < COST_MIN) return false;
    if (fzi_pass_rounding(r->end) != fzi_pass_rounding(r->x->producer)) return false;
    return !fzi_shape_known(t) || fzi_tensor_count(t) >= FEW;
}

static fz_status_t replace(struct fz_pass *pass, struct fz_graph *graph, const struct region *r,
                           struct tables *all) {
    const int64_t n = PATTERNS;
    struct fz_arena arena = {0};
    bool good = false, bf16 = fzi_pass_rounding(r->end) == FZK_ROUND_BF16;
    fz_tensor_t table = {.dtype = bf16 ? FZ_TYPE_BF16 : FZ_TYPE_F16,
                         .data = fzi_arena_array(graph->arena, PATTERNS, sizeof(uint16_t)),
                         .size = PATTERNS * sizeof(uint16_t)};
    if (!table.data) return fzi_error(FZ_E_NOMEM, "no memory for a table");
    fzi_shape_set(&table, 1, &n);
    fz_status_t status = run_nodes(pass, r, &table, &arena, &good);
    fzi_arena_free(&arena);
    if (status != FZ_OK || !good) return status;
    struct fz_value *in[] = {r->x, constant_of(graph, r->end->name, all, &table)};
    if (!in[1]) return FZ_E_NOMEM;
    struct fz_node *made = fzi_pass_make(pass, graph, r->end, "frozen", "HalfTable", r->end->name,
                                         NULL, 0, in, 2, 1);
    if (!made) return FZ_E_NOMEM;
    FZ_TRY(fzi_pass_infer_node(graph, made));
    fzi_pass_replace(pass, graph, r->end->out[0], made->out[0]);
    fzi_graph_remove(graph, r->end);
    return FZ_OK;
}

fz_status_t fzi_pass_table(struct fz_pass *pass, struct fz_graph *graph) {
    struct tables all = {.n = 0};
    fzi_pass_clear_notes(graph);
    fzi_graph_count_uses(pass->graph);
    for (struct fz_node *node = graph->first; node; node = node->next) FZ_TRY(note(graph, node));
    find_ends(graph);
    for (struct fz_node *node = graph->first, *next; node; node = next) {
        next = node->next;
        struct region *r = noted(node);
        if (r && r->end == node && is_worth(r)) FZ_TRY(replace(pass, graph, r, &all));
    }
    fzi_pass_clear_notes(graph);
    return FZ_OK;
}
