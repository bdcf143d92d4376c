/* Static quantisation: QuantizeLinear and DequantizeLinear around what computes on integers.
 *
 * A layer wants its activation quantised. Want spreads backwards through nodes that only move
 * numbers (they keep scale and zero point, so they are united with what they read) and through sums
 * of two such maps, as far as the numbers come out of a quantised layer: there the whole chain can
 * run on bytes. What a float node makes is quantised just before the layer that wants it. */

#include "quantize/quantizer.h"
#include "quantize/real.h"

enum { COMPUTES = 1, ADDS = 2, MOVES = 4, ENDS = 8, NOTED = 0x51 };

struct info {
    struct fz_value *value;
    struct info *next;       /* all of them, in the order of the graph */
    struct info *parent;     /* of the union */
    struct fz_node *reader;  /* the only one, or NULL */
    bool from;               /* comes out of a quantised layer */
    bool wanted;
    bool scaled;
    struct fz_stat *stat;    /* of a root: of all in the union */
    struct fz_scale scale;
    struct fz_value *numbers, *scale_value, *zero_value, *back;
};

struct plan {
    struct fz_quantizer *q;
    struct fz_stage *stage;
    struct info *first, *last;
    size_t n_wanted;
};

static fz_status_t no_memory(void) { return fzi_error(FZ_E_NOMEM, "no memory to quantise"); }

/* A value of id NOTED has its info in its note. */
static struct info *info_of(const struct fz_value *v) {
    return v && v->id == NOTED ? v->note : NULL;
}

static fz_status_t note(struct plan *p, struct fz_value *v) {
    if (!v || v->id == NOTED || v->graph != p->stage->graph) return FZ_OK;
    struct info *info = fzi_arena_alloc(&p->stage->arena, sizeof *info);
    if (!info) return no_memory();
    info->value = v;
    info->parent = info;
    info->reader = fzi_value_reader(v);
    if (p->last) p->last->next = info;
    else p->first = info;
    p->last = info;
    v->note = info;
    v->id = NOTED;
    return FZ_OK;
}

static struct info *root(struct info *info) {
    while (info->parent != info) info = info->parent = info->parent->parent;
    return info;
}

static bool is(const struct fz_node *node, const char *type) {
    return !*node->domain && strcmp(node->type, type) == 0;
}

/* ---- what nodes are */

static bool is_nearest(const struct fz_node *node) {
    static const char *const modes[] = {"nearest", "linear", "cubic", NULL};
    int64_t mode = 1;
    return is(node, "Resize") && fzi_attr_choice(node, "mode", modes, 0, &mode) == FZ_OK && !mode;
}

static bool moves(const struct fz_node *node) {
    static const char *const types[] = {"MaxPool", "Reshape", "Flatten", "Transpose", "Squeeze",
                                        "Unsqueeze", "Slice", "Concat"};
    if (node->n_out != 1 && fzi_out(node, 1)) return false;
    for (size_t i = 0; i < FZ_COUNT(types); i++)
        if (is(node, types[i])) return true;
    return is_nearest(node);
}

/* The inputs whose numbers a node moves: all of a Concat, else the first. */
static uint32_t moved(const struct fz_node *node) { return is(node, "Concat") ? node->n_in : 1; }

/* Relu, or Clip to constants, as the end of the node before it. */
static bool ends(const struct fz_node *node) {
    bool clip = is(node, "Clip") && (!fzi_in(node, 1) || fzi_is_constant(node->in[1])) &&
                (!fzi_in(node, 2) || fzi_is_constant(node->in[2]));
    const struct fz_node *before = node->in[0] ? node->in[0]->producer : NULL;
    return (is(node, "Relu") || clip) && before && before->mark & (COMPUTES | ADDS) &&
           node->in[0]->n_uses == 1;
}

static bool adds_allowed(const struct fz_quantizer *q) {
    const fz_quantize_options_t *o = q->options;
    for (size_t i = 0; i < o->n_op_types; i++)
        if (strcmp(o->op_types[i], "Add") == 0) return true;
    return !o->n_op_types;
}

/* A sum of two maps, as residual networks have it. In transformers such sums stay float. */
static bool could_add(const struct fz_quantizer *q, const struct fz_node *node) {
    if (!is(node, "Add") || !adds_allowed(q)) return false;
    const struct fz_value *a = node->in[0], *b = node->in[1];
    for (size_t i = 0; i < q->options->n_exclude; i++)
        if (strcmp(q->options->exclude[i], node->name) == 0) return false;
    return !fzi_is_constant(a) && !fzi_is_constant(b) && a->t.rank == 4 && b->t.rank == 4 &&
           fzi_shape_equal(&a->t, &b->t) && info_of(a)->from && info_of(b)->from;
}

/* ---- from the front: what comes out of quantised layers */

static fz_status_t look_at(struct plan *p, struct fz_node *node) {
    bool from = false;
    for (uint32_t i = 0; i < node->n_in; i++) FZ_TRY(note(p, node->in[i]));
    for (uint32_t i = 0; i < node->n_out; i++) FZ_TRY(note(p, node->out[i]));
    node->mark = 0;
    if (fzi_layer_of(p->q, node)) node->mark = COMPUTES;
    else if (could_add(p->q, node)) node->mark = ADDS;
    else if (node->n_in && node->in[0] && ends(node)) node->mark = ENDS;
    from = node->mark != 0;
    if (!from && moves(node))
        for (uint32_t i = 0; i < moved(node); i++)
            from |= node->in[i] && info_of(node->in[i]) && info_of(node->in[i])->from;
    if (from && !node->mark) node->mark = MOVES;
    if (from && node->out[0]) info_of(node->out[0])->from = true;
    return FZ_OK;
}

/* ---- from the back: what is wanted */

static bool is_wanted(const struct fz_value *v) { return info_of(v) && info_of(v)->wanted; }

static void want(struct plan *p, struct fz_value *v) {
    struct info *info = info_of(v);
    if (!info || info->wanted || fzi_is_constant(v)) return;
    info->wanted = true;
    p->n_wanted++;
}

static void unite(struct fz_value *a, struct fz_value *b) {
    struct info *x = root(info_of(a)), *y = root(info_of(b));
    if (x != y) y->parent = x;
}

/* The value that NODE's result is after its end. */
static const struct fz_value *ended(const struct fz_node *node) {
    const struct fz_value *v = node->out[0];
    const struct fz_node *reader = info_of(v) ? info_of(v)->reader : NULL;
    return reader && reader->mark == ENDS ? reader->out[0] : v;
}

static bool can_move(const struct fz_node *node) {
    for (uint32_t i = 0; i < moved(node); i++)
        if (!node->in[i] || fzi_is_constant(node->in[i]) || !info_of(node->in[i])) return false;
    return true;
}

static void spread(struct plan *p, struct fz_node *node) {
    if (node->mark == COMPUTES) want(p, node->in[0]);
    if (node->mark == ADDS) {
        if (is_wanted(ended(node)) || is_wanted(node->out[0]))
            for (uint32_t i = 0; i < 2; i++) want(p, node->in[i]);
        else node->mark = 0;
    }
    if (node->mark != MOVES) return;
    if (!is_wanted(node->out[0]) || !can_move(node)) {
        node->mark = 0;
        return;
    }
    for (uint32_t i = 0; i < moved(node); i++) {
        want(p, node->in[i]);
        unite(node->in[i], node->out[0]);
    }
}

static fz_status_t make_plan(struct plan *p, struct fz_quantizer *q, struct fz_stage *stage) {
    *p = (struct plan){.q = q, .stage = stage};
    struct fz_graph *g = stage->graph;
    fzi_graph_count_uses(g);
    for (uint32_t i = 0; i < g->n_inputs; i++) g->inputs[i]->id = 0;
    for (struct fz_node *node = g->first; node; node = node->next) {
        for (uint32_t i = 0; i < node->n_in; i++)
            if (node->in[i]) node->in[i]->id = 0;
        for (uint32_t i = 0; i < node->n_out; i++)
            if (node->out[i]) node->out[i]->id = 0;
    }
    for (uint32_t i = 0; i < g->n_inputs; i++) FZ_TRY(note(p, g->inputs[i]));
    for (struct fz_node *node = g->first; node; node = node->next) FZ_TRY(look_at(p, node));
    for (struct fz_node *node = g->last; node; node = node->prev) spread(p, node);
    return FZ_OK;
}

fz_status_t fzi_quantize_wanted(struct fz_quantizer *q, struct fz_stage *stage,
                                const char ***names, size_t *n) {
    struct plan p;
    FZ_TRY(make_plan(&p, q, stage));
    *names = fzi_arena_array(&q->arena, p.n_wanted, sizeof **names);
    if (!*names) return no_memory();
    *n = 0;
    for (const struct info *i = p.first; i; i = i->next)
        if (i->wanted && !((*names)[(*n)++] = fzi_arena_string(&q->arena, i->value->name)))
            return no_memory();
    return FZ_OK;
}

/* ---- ranges */

/* Unions of one value use that value's statistics as they are. */
static fz_status_t merge(struct plan *p, struct info *info) {
    struct fz_stat *own = fzi_stat_of(p->q, info->value->name);
    struct info *r = root(info);
    if (!own)
        return fzi_error(FZ_E_INTERNAL, "nothing is known about '%s'", info->value->name);
    if (!r->stat) {
        r->stat = own;
        return FZ_OK;
    }
    if (r->stat == fzi_stat_of(p->q, r->stat->name)) {
        struct fz_stat *both = fzi_arena_copy(&p->stage->arena, r->stat, sizeof *both);
        if (!both) return no_memory();
        both->chosen = false;
        r->stat = both;
    }
    fzi_stat_merge(r->stat, own);
    return FZ_OK;
}

static fz_status_t set_scales(struct plan *p) {
    for (struct info *i = p->first; i; i = i->next)
        if (i->wanted) FZ_TRY(merge(p, i));
    for (struct info *i = p->first; i; i = i->next) {
        struct fz_stat *stat = root(i)->stat;
        if (!i->wanted) continue;
        if (!stat->chosen) fzi_range_choose(p->q->options, stat, &stat->scale);
        stat->chosen = true;
        i->scale = stat->scale;
        i->scaled = true;
    }
    return FZ_OK;
}

/* ---- activations */

/* The first node behind V's producer, or of the graph. */
static struct fz_node *behind(const struct plan *p, const struct fz_value *v) {
    return v->producer ? v->producer->next : p->stage->graph->first;
}

static fz_status_t add_pair(struct plan *p, struct info *i) {
    struct fz_quantizer *q = p->q;
    struct fz_stage *s = p->stage;
    struct fz_arena *a = &s->arena;
    const char *name = i->value->name;
    bool symmetric = q->options->flags & FZ_QUANTIZE_SYMMETRIC;
    struct fz_node *before = behind(p, i->value);
    struct fz_value *scale = fzi_stage_scalar(s, fzi_arena_format(a, "%s_scale", name),
                                              FZ_TYPE_F32, (double)i->scale.scale);
    struct fz_value *zero = fzi_stage_scalar(s, fzi_arena_format(a, "%s_zero_point", name),
                                             symmetric ? FZ_TYPE_I8 : FZ_TYPE_U8, i->scale.zero);
    struct fz_node *quantise =
        fzi_stage_node(q, s, before, "QuantizeLinear",
                       fzi_arena_format(a, "%s_QuantizeLinear", name), 3,
                       fzi_arena_format(a, "%s_quantized", name));
    struct fz_node *back =
        fzi_stage_node(q, s, before, "DequantizeLinear",
                       fzi_arena_format(a, "%s_DequantizeLinear", name), 3,
                       fzi_arena_format(a, "%s_dequantized", name));
    if (!scale || !zero || !quantise || !back) return no_memory();
    quantise->in[0] = i->value;
    back->in[0] = quantise->out[0];
    quantise->in[1] = back->in[1] = scale;
    quantise->in[2] = back->in[2] = zero;
    i->back = back->out[0];
    return FZ_OK;
}

/* What a quantised layer makes is read as numbers by all; what a float node makes, only by those
 * that want numbers. */
static void redirect(struct fz_node *node) {
    for (uint32_t k = 0; k < node->n_in; k++) {
        struct info *i = info_of(node->in[k]);
        bool data = node->mark == COMPUTES ? k == 0
                                           : node->mark == ADDS || (node->mark == MOVES &&
                                                                    k < moved(node));
        if (i && i->wanted && i->back && (i->from || data)) node->in[k] = i->back;
    }
}

/* ---- weights and biases */

/* The bias as int32 at the scale of the products, which is what the integer form needs. */
static fz_status_t set_bias(struct plan *p, struct fz_node *node, const char *base,
                            const float *bias, int64_t n, float x_scale, const float *w_scales) {
    struct fz_stage *s = p->stage;
    const struct fz_value *old = fzi_in(node, 2);
    const char *name = old ? old->name : fzi_arena_format(&s->arena, "%s_bias", base);
    if (!name) return no_memory();
    FZ_TRY(fzi_bias_append(s, node));
    struct fz_value *numbers = fzi_stage_constant(s, fzi_arena_format(&s->arena, "%s_quantized",
                                                                      name), FZ_TYPE_I32, 1, &n);
    struct fz_value *scales = fzi_stage_constant(s, fzi_arena_format(&s->arena, "%s_scale", name),
                                                 FZ_TYPE_F32, 1, &n);
    struct fz_value *shape = fzi_stage_constant(s, name, FZ_TYPE_F32, 1, &n);
    if (!numbers || !scales || !shape) return no_memory();
    for (int64_t c = 0; c < n; c++) {
        float scale = x_scale * w_scales[c];
        ((float *)scales->t.data)[c] = scale;
        double y = fzi_nearest((double)bias[c] / (double)scale);
        ((int32_t *)numbers->t.data)[c] =
            (int32_t)(y > 2147483647.0 ? 2147483647.0 : y < -2147483647.0 ? -2147483647.0 : y);
    }
    node->in[2] = shape;
    return fzi_weight_dequantize(p->q, s, node, 2, numbers, scales, NULL, 0, 0);
}

static fz_status_t set_weights(struct plan *p, struct fz_node *node,
                               const struct fz_layer *layer) {
    int32_t axis = fzi_weight_axis(node);
    const struct fz_value *w = node->in[1];
    int64_t n = w->t.dims[axis];
    struct fz_value *numbers, *scales;
    const struct fz_scale *x = &info_of(node->in[0])->scale;
    float *bias;
    FZ_TRY(fzi_bias_values(p->stage, node, n, &bias));
    FZ_TRY(fzi_weight_int8(p->stage, w, axis, bias, (double)x->scale, false, &numbers, &scales));
    struct fz_rounded rounded = {w, numbers, scales, axis, x};
    float *row = bias ? bias : fzi_bias_behind(p->stage, node, info_of(node->out[0])->reader, n);
    if (row) fzi_bias_correct(p->q, node, layer, &rounded, row);
    if (bias) FZ_TRY(set_bias(p, node, w->name, bias, n, x->scale, scales->t.data));
    struct fz_value *zeros =
        fzi_stage_constant(p->stage, fzi_arena_format(&p->stage->arena, "%s_zero_point", w->name),
                           FZ_TYPE_I8, 1, &n);
    if (!zeros) return no_memory();
    return fzi_weight_dequantize(p->q, p->stage, node, 1, numbers, scales, zeros, axis, 0);
}

/* ---- means of rounded activations */

static fz_status_t see_rounded(struct fz_quantizer *q, void *arg, size_t i, const fz_tensor_t *t) {
    struct fz_stat *const *stats = arg;
    (void)q;
    fzi_stat_add_rounded(stats[i], t);
    return FZ_OK;
}

static fz_status_t list_rounded(struct plan *p, struct fz_stat **stats, const char **names,
                                size_t *n) {
    struct fz_quantizer *q = p->q;
    for (const struct info *i = p->first; i; i = i->next) {
        struct fz_stat *stat = i->wanted ? fzi_stat_of(q, i->value->name) : NULL;
        if (!stat || stat->n_channels <= 0) continue;
        stat->rounded = fzi_arena_array(&q->arena, (size_t)stat->n_channels, sizeof *stat->rounded);
        if (!stat->rounded) return no_memory();
        stat->rounded_scale = i->scale;
        stats[*n] = stat;
        names[(*n)++] = stat->name;
    }
    return FZ_OK;
}

static fz_status_t round_means(struct fz_quantizer *q, struct fz_stage *stage) {
    struct plan p;
    size_t n = 0;
    FZ_TRY(make_plan(&p, q, stage));
    FZ_TRY(set_scales(&p));
    struct fz_stat **stats = fzi_arena_array(&stage->arena, p.n_wanted, sizeof *stats);
    const char **names = fzi_arena_array(&stage->arena, p.n_wanted, sizeof *names);
    if (!stats || !names) return no_memory();
    FZ_TRY(list_rounded(&p, stats, names, &n));
    return fzi_quantize_observe(q, names, n, see_rounded, stats);
}

fz_status_t fzi_quantize_round_means(struct fz_quantizer *q) {
    return fzi_stage_of_base(q, round_means);
}

fz_status_t fzi_quantize_static(struct fz_quantizer *q, struct fz_stage *stage) {
    struct plan p;
    FZ_TRY(make_plan(&p, q, stage));
    FZ_TRY(set_scales(&p));
    for (struct fz_node *node = stage->graph->first, *next; node; node = next) {
        next = node->next;
        if (node->mark == COMPUTES) FZ_TRY(set_weights(&p, node, fzi_layer_of(q, node)));
    }
    for (struct info *i = p.first; i; i = i->next)
        if (i->wanted) FZ_TRY(add_pair(&p, i));
    for (struct fz_node *node = stage->graph->first; node; node = node->next)
        if (!is(node, "QuantizeLinear") && !is(node, "DequantizeLinear")) redirect(node);
    return FZ_OK;
}
