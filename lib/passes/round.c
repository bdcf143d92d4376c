/* Numbers of half precision inside of a graph become binary32 that holds them: where an operator
 * computes in binary32 between Casts, the Casts behind it and before the next one are one
 * frozen.RoundHalf, and operators between that move, choose or compute element by element work on
 * binary32 too. Every rounding stays where it was, so the bits are those of the Casts; the epilogue
 * pass lets products and elementwise operators round on their way out. */
#include "passes/passes.h"

#include "ops/act.h"

enum { SMALL = 65536 }; /* elements of a constant that may become binary32 */

static bool is_half(const struct fz_value *v) {
    return v && (v->t.dtype == FZ_TYPE_F16 || v->t.dtype == FZ_TYPE_BF16);
}

/* The binary32 value that holds V's numbers, if there is one: noted at V. */
static struct fz_value *known_twin(const struct fz_graph *graph, const struct fz_value *v) {
    return v->graph == graph && !fzi_is_constant(v) ? v->note : NULL;
}

static struct fz_value *cast(struct fz_pass *pass, struct fz_graph *graph, struct fz_node *before,
                             struct fz_value *v, int32_t dtype) {
    struct fz_attr to = FZ_INT("to", dtype);
    struct fz_node *node =
        fzi_pass_make(pass, graph, before, "", "Cast", v->name, &to, 1, &v, 1, 1);
    if (!node || fzi_pass_infer_node(graph, node) != FZ_OK) return NULL;
    return node->out[0];
}

/* The twin of V for nodes from BEFORE on, made if there is none; V itself if it is no half. */
static struct fz_value *twin_of(struct fz_pass *pass, struct fz_graph *graph,
                                struct fz_node *before, struct fz_value *v) {
    if (!is_half(v)) return v;
    struct fz_value *twin = known_twin(graph, v);
    if (twin) return twin;
    twin = cast(pass, graph, before, v, FZ_TYPE_F32);
    if (twin && v->graph == graph && !fzi_is_constant(v)) v->note = twin;
    return twin;
}

/* X rounded to DTYPE; X itself if it has been. */
static struct fz_value *rounded(struct fz_pass *pass, struct fz_graph *graph,
                                struct fz_node *before, struct fz_value *x, int32_t dtype) {
    struct fz_attr round = FZ_INT("round", fzi_round_type(dtype));
    struct fz_node *node = x->producer;
    int64_t had;
    if (fzi_pass_is_frozen(node, "RoundHalf") && fzi_attr_int(node, "round", 0, &had) == FZ_OK &&
        had == round.i)
        return x;
    node = fzi_pass_make(pass, graph, before, "frozen", "RoundHalf", x->name, &round, 1, &x, 1, 1);
    if (!node || fzi_pass_infer_node(graph, node) != FZ_OK) return NULL;
    return node->out[0];
}

/* A Cast from half precision goes where the number is known in binary32; one to half precision
 * stays for readers that need it, and its result gets a twin. */
static fz_status_t visit_cast(struct fz_pass *pass, struct fz_graph *graph, struct fz_node *node) {
    struct fz_value *in = node->in[0], *out = node->out[0], *twin;
    if (out->t.dtype == FZ_TYPE_F32 && is_half(in) && in->graph == graph) {
        twin = known_twin(graph, in);
        if (!twin && !fzi_is_constant(in)) in->note = out;
        if (!twin) return FZ_OK;
        fzi_pass_replace(pass, graph, out, twin);
        fzi_graph_remove(graph, node);
        return FZ_OK;
    }
    if (!is_half(out) || (in->t.dtype != FZ_TYPE_F32 && !is_half(in))) return FZ_OK;
    twin = twin_of(pass, graph, node, in);
    if (twin && in->t.dtype != out->t.dtype) twin = rounded(pass, graph, node, twin, out->t.dtype);
    out->note = twin;
    return twin ? FZ_OK : FZ_E_NOMEM;
}

static bool is_one_of(const struct fz_node *node, const char *const *names) {
    for (int i = 0; names[i]; i++)
        if (fzi_pass_is(node, names[i])) return true;
    return false;
}

/* Elementwise operators that compute halves by way of binary32, with one rounding at the end. */
static bool computes(const struct fz_node *node) {
    static const char *const others[] = {"Cast", "CastLike", "SwiGLU", NULL};
    const uint32_t need = FZ_OP_HALF | FZ_OP_IN_PLACE;
    return (node->op->flags & need) == need && !node->op->domain[0] && !is_one_of(node, others);
}

static bool moves(const struct fz_node *node) {
    static const char *const names[] = {
        "Concat", "DepthToSpace", "Expand", "Flatten", "Gather", "GatherElements", "GatherND",
        "Identity", "Pad", "Reshape", "Shape", "Size", "Slice", "SpaceToDepth", "Split",
        "Squeeze", "Tile", "Transpose", "Trilu", "Unsqueeze", "Where", NULL};
    return is_one_of(node, names);
}

/* True if the results of halves are halves without rounding. A bound of Clip that is an attribute
 * need not be one. */
static bool is_exact(const struct fz_node *node) {
    static const char *const names[] = {"Relu", "Max", "Min", "Neg", "Abs", NULL};
    if (fzi_pass_is(node, "Clip")) return node->op->until == 0;
    return moves(node) || is_one_of(node, names);
}

/* True if some half that NODE reads has a twin. With MOVES all of them have, or are small
 * constants: to widen others would move more bytes. */
static bool is_near(const struct fz_graph *graph, const struct fz_node *node, bool moves) {
    bool near = false;
    for (uint32_t i = 0; i < node->n_in; i++) {
        const struct fz_value *v = node->in[i];
        if (!is_half(v)) continue;
        bool small = fzi_is_constant(v) && fzi_tensor_count(&v->t) <= SMALL;
        bool twin = known_twin(graph, v) != NULL;
        if (moves && !twin && !small) return false;
        near = near || twin;
    }
    return near;
}

/* Gives OLD, which a copy of NODE has made as Y, a Cast for those that need the half. */
static fz_status_t adopt(struct fz_pass *pass, struct fz_graph *graph, struct fz_node *node,
                         struct fz_value *old, struct fz_value *y) {
    if (is_half(old)) {
        struct fz_value *twin = y;
        if (!is_exact(node)) twin = rounded(pass, graph, node, y, old->t.dtype);
        if (!twin || !(y = cast(pass, graph, node, twin, old->t.dtype))) return FZ_E_NOMEM;
        y->note = twin;
    }
    fzi_pass_replace(pass, graph, old, y);
    return FZ_OK;
}

static fz_status_t widen(struct fz_pass *pass, struct fz_graph *graph, struct fz_node *node) {
    struct fz_value **in = fzi_arena_array(graph->arena, node->n_in, sizeof *in);
    if (!in) return fzi_error(FZ_E_NOMEM, "no memory for a node");
    for (uint32_t i = 0; i < node->n_in; i++) {
        if (!node->in[i]) continue;
        in[i] = twin_of(pass, graph, node, node->in[i]);
        if (!in[i]) return FZ_E_NOMEM;
    }
    struct fz_node *made = fzi_pass_copy(pass, graph, node, node, in, NULL);
    if (!made) return FZ_E_NOMEM;
    FZ_TRY(fzi_pass_infer_node(graph, made));
    for (uint32_t i = 0; i < node->n_out; i++)
        if (node->out[i]) FZ_TRY(adopt(pass, graph, node, node->out[i], made->out[i]));
    fzi_graph_remove(graph, node);
    return FZ_OK;
}

fz_status_t fzi_pass_round(struct fz_pass *pass, struct fz_graph *graph) {
    fzi_pass_clear_notes(graph);
    for (struct fz_node *node = graph->first, *next; node; node = next) {
        next = node->next;
        if (node->n_out == 0 || !node->out[0] || node->n_in == 0) continue;
        if (fzi_pass_is(node, "Cast")) FZ_TRY(visit_cast(pass, graph, node));
        else if (computes(node) && is_near(graph, node, false)) FZ_TRY(widen(pass, graph, node));
        else if (moves(node) && is_near(graph, node, true)) FZ_TRY(widen(pass, graph, node));
    }
    fzi_pass_clear_notes(graph);
    return FZ_OK;
}
