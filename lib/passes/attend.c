/* Attention as exporters write it, scores, a scale, a mask, softmax, values, becomes
 * frozen.Attention. Transposes and scalar factors of its operands and a Transpose of its result
 * become part of it: what they gave is read, or written, where it lies. Results of half precision
 * are rounded at every stage or at none. The bits stay. */
#include "passes/passes.h"

#include "ops/attention.h"
#include "ops/matmul.h"

/* What has been found, from the Softmax outwards. */
struct found {
    struct fz_graph *graph;
    struct fz_node *softmax, *values; /* values: the product behind it */
    struct fz_node *rounding;         /* of what that gives, if results are rounded */
    struct fz_node *last;             /* what the step's output takes the place of */
    struct fz_value *in[4];           /* queries, keys, values, mask */
    struct fz_frozen_attention_params p;
};

/* True if the Softmax NODE runs along the last dimension of numbers of binary32. */
static bool by_rows(const struct fz_node *node) {
    const fz_tensor_t *t = &node->in[0]->t;
    int64_t axis;
    if (t->dtype != FZ_TYPE_F32 || t->rank < 2 || t->rank > FZ_ATTENTION_RANK) return false;
    if (fzi_attr_int(node, "axis", node->op->until == 12 ? 1 : -1, &axis) != FZ_OK) return false;
    return axis == -1 || axis == t->rank - 1;
}

/* What V is before it is rounded, which nobody else may see; V itself if nothing is rounded; NULL
 * if V lacks the rounding. */
static struct fz_value *exact(const struct found *f, struct fz_value *v) {
    struct fz_value *x = v->graph == f->graph ? fzi_pass_exact(v, f->p.round) : NULL;
    return x == v || (x && fzi_value_reader(x)) ? x : NULL;
}

/* The producer of V if it is the operator NAME in the same graph. */
static struct fz_node *from(const struct found *f, const struct fz_value *v, const char *name) {
    return v && v->graph == f->graph ? fzi_pass_from(v, name) : NULL;
}

/* The Mul or Div by a scalar that makes V, rounded as all results are: its other operand is *X. */
static struct fz_node *scaled(const struct found *f, struct fz_value *v, struct fz_value **x,
                              double *factor, bool *mul) {
    struct fz_value *y = exact(f, v);
    struct fz_node *node = from(f, y, "Mul");
    *mul = node != NULL;
    if (!node) node = from(f, y, "Div");
    *x = node ? fzi_pass_with_scalar(node, factor) : NULL;
    return *x && (*mul || node->in[0] == *x) && (*x)->t.rank == v->t.rank ? node : NULL;
}

/* A division by a power of two is a product with its reciprocal, which is a power of two as well:
 * the same bits, and faster. */
static int64_t kind_of(bool mul, double *factor) {
    union {
        double value;
        uint64_t bits;
    } x = {*factor};
    int64_t exponent = (int64_t)(x.bits >> 52 & 2047) - 1023;
    bool power = (x.bits & ((1ull << 52) - 1)) == 0 && exponent >= -126 && exponent <= 126;
    if (!mul && !power) return FZ_SCALE_DIV;
    if (!mul) *factor = 1 / *factor;
    return FZ_SCALE_MUL;
}

/* V with no other reader than the step that is made: the product that it comes from by way of no
 * more than one scalar factor; else NULL. */
static struct fz_node *scores_of(struct found *f, struct fz_value *v) {
    struct fz_node *node = from(f, exact(f, v), "MatMul");
    struct fz_value *x;
    bool mul;
    f->p.kind[2] = FZ_SCALE_NONE;
    if (!fzi_value_reader(v)) return NULL;
    if (node) return node;
    struct fz_node *by = scaled(f, v, &x, &f->p.factor[2], &mul);
    if (!by || fzi_value_reader(x) != by) return NULL;
    f->p.kind[2] = kind_of(mul, &f->p.factor[2]);
    return from(f, exact(f, x), "MatMul");
}

/* A mask may make the scores more, as in an Add, but not their dimensions. */
static bool mask_fits(const fz_tensor_t *mask, const fz_tensor_t *scores) {
    return mask->dtype == FZ_TYPE_F32 && mask->rank >= 1 && mask->rank <= scores->rank;
}

/* The product whose result, perhaps scaled and masked, the Softmax reads. */
static struct fz_node *find_scores(struct found *f) {
    struct fz_value *x = f->softmax->in[0];
    struct fz_node *node = scores_of(f, x), *add = from(f, exact(f, x), "Add");
    if (node || !add || fzi_value_reader(x) != f->softmax) return node;
    for (uint32_t i = 0; !node && i < 2; i++) {
        struct fz_value *mask = add->in[1 - i];
        if (!mask_fits(&mask->t, &x->t) || add->in[i]->t.rank != x->t.rank) continue;
        node = scores_of(f, add->in[i]);
        if (node) f->in[3] = mask;
    }
    return node;
}

/* True if NODE is a Transpose of RANK dimensions; PERM gets its own. */
static bool read_perm(const struct fz_node *node, int64_t rank, const int64_t **perm) {
    const struct fz_attr *attr = node ? fzi_attr(node, "perm") : NULL;
    if (!attr || attr->kind != FZ_ATTR_INTS || (int64_t)attr->n != rank) return false;
    *perm = attr->ints;
    return true;
}

/* Follows V back through Transposes and, where KIND is given, a scalar factor; what is left is
 * input WHICH. Those whose rows are not SIDE by side are not followed. */
static void peel(struct found *f, int which, struct fz_value *v, bool side, int64_t *kind,
                 double *factor) {
    int64_t rank = f->p.rank, *perm = f->p.perm[which], now[FZ_ATTENTION_RANK], taken = 0;
    double by = 1;
    for (int64_t i = 0; i < rank; i++) perm[i] = now[i] = i;
    f->in[which] = v;
    while (v->producer && v->graph == f->graph) {
        const int64_t *moved;
        struct fz_value *x;
        bool mul;
        if (read_perm(from(f, v, "Transpose"), rank, &moved)) {
            for (int64_t i = 0; i < rank; i++) now[i] = moved[now[i]];
            v = v->producer->in[0];
        } else if (kind && !taken && scaled(f, v, &x, &by, &mul)) {
            taken = kind_of(mul, &by);
            v = x;
        } else return;
        if (side && now[rank - 1] != rank - 1) continue;
        f->in[which] = v;
        memcpy(perm, now, (size_t)rank * sizeof *perm);
        if (kind) *kind = taken, *factor = by;
    }
}

/* A Transpose that alone reads the result and leaves its rows whole is part of the step. */
static void find_last(struct found *f) {
    int64_t rank = f->p.rank;
    const int64_t *perm;
    f->last = f->rounding ? f->rounding : f->values;
    struct fz_node *reader = fzi_value_reader(f->last->out[0]);
    for (int64_t i = 0; i < rank; i++) f->p.perm[FZ_ATTENTION_Y][i] = i;
    if (!fzi_pass_is(reader, "Transpose") || reader->out[0]->graph != f->graph) return;
    if (!read_perm(reader, rank, &perm) || perm[rank - 1] != rank - 1) return;
    memcpy(f->p.perm[FZ_ATTENTION_Y], perm, (size_t)rank * sizeof *perm);
    f->last = reader;
}

static bool same_rank(const struct fz_node *product, int64_t rank) {
    return product->in[0]->t.rank == rank && product->in[1]->t.rank == rank &&
           product->out[0]->t.dtype == FZ_TYPE_F32;
}

/* The product that alone reads the probabilities, and their rounding and its own, if they have
 * one. */
static bool find_values(struct found *f) {
    struct fz_value *p = f->softmax->out[0];
    f->values = fzi_value_reader(p);
    f->p.round = fzi_pass_rounding(f->values);
    if (f->p.round) {
        p = f->values->out[0];
        f->values = fzi_value_reader(p);
    }
    if (!fzi_pass_is(f->values, "MatMul") || f->values->in[0] != p) return false;
    f->rounding = f->p.round ? fzi_value_reader(f->values->out[0]) : NULL;
    if (fzi_pass_rounding(f->rounding) != f->p.round) return false;
    const struct fz_node *last = f->rounding ? f->rounding : f->values;
    return last->out[0]->graph == f->graph && same_rank(f->values, f->p.rank);
}

static bool find(struct found *f) {
    f->p.rank = f->softmax->in[0]->t.rank;
    if (!find_values(f)) return false;
    struct fz_node *scores = find_scores(f);
    if (!scores || !same_rank(scores, f->p.rank)) return false;
    peel(f, FZ_ATTENTION_Q, scores->in[0], true, &f->p.kind[0], &f->p.factor[0]);
    peel(f, FZ_ATTENTION_K, scores->in[1], false, &f->p.kind[1], &f->p.factor[1]);
    peel(f, FZ_ATTENTION_V, f->values->in[1], false, NULL, NULL);
    find_last(f);
    return true;
}

/* *NEXT is where the walk goes on. */
static fz_status_t visit(struct fz_pass *pass, struct fz_graph *graph, struct fz_node *softmax,
                         struct fz_node **next) {
    struct found f = {.graph = graph, .softmax = softmax};
    for (int i = 0; i < 3; i++) f.p.factor[i] = 1;
    if (!by_rows(softmax) || !find(&f)) return FZ_OK;
    struct fz_node *made = fzi_pass_lowered(graph, f.values, "frozen", "Attention", f.values->name,
                                            &f.p, f.in, f.in[3] ? 4 : 3, 1);
    if (!made) return FZ_E_NOMEM;
    FZ_TRY(fzi_pass_infer_node(graph, made));
    fzi_pass_replace(pass, graph, f.last->out[0], made->out[0]);
    if (f.last != f.values && f.last != f.rounding) fzi_graph_remove(graph, f.last);
    if (f.rounding) fzi_graph_remove(graph, f.rounding);
    fzi_graph_remove(graph, f.values);
    *next = made->next;
    return FZ_OK;
}

fz_status_t fzi_pass_attend(struct fz_pass *pass, struct fz_graph *graph) {
    if (pass->options->numerics && strcmp(pass->options->numerics, "blas") == 0) return FZ_OK;
    fzi_graph_count_uses(pass->graph);
    for (struct fz_node *node = graph->first, *next; node; node = next) {
        next = node->next;
        if (fzi_pass_is(node, "Softmax")) FZ_TRY(visit(pass, graph, node, &next));
    }
    return FZ_OK;
}
