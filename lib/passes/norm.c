/* A layer normalisation that is written as nine nodes becomes LayerNormalization; one of half
 * precision, each of whose results is rounded, becomes frozen.NormHalf, which keeps the bits. */
#include "passes/passes.h"

/* True if NODE takes the mean over the last axis and keeps it. */
static bool is_last_mean(const struct fz_node *node) {
    int64_t keep, axis;
    if (!fzi_pass_is(node, "ReduceMean") || node->in[0]->t.rank < 1) return false;
    if (fzi_attr_int(node, "keepdims", 1, &keep) != FZ_OK || !keep) return false;
    const struct fz_value *axes = fzi_in(node, 1);
    const struct fz_attr *attr = fzi_attr(node, "axes");
    if (attr && attr->kind == FZ_ATTR_INTS && attr->n == 1) axis = attr->ints[0];
    else if (fzi_is_constant(axes) && fzi_tensor_count(&axes->t) == 1)
        axis = fzi_tensor_int(&axes->t, 0);
    else return false;
    return axis == -1 || axis == node->in[0]->t.rank - 1;
}

/* The producer of V, of its rounding as ROUND says, if it is the operator NAME; else NULL. */
static struct fz_node *from(struct fz_value *v, const char *name, int64_t round) {
    return fzi_pass_from(fzi_pass_exact(v, round), name);
}

/* The mean's input if V = X - mean(X), else NULL. */
static struct fz_value *centred(struct fz_value *v, int64_t round) {
    struct fz_node *sub = from(v, "Sub", round);
    if (!sub) return NULL;
    struct fz_node *mean = from(sub->in[1], "ReduceMean", round);
    return mean && is_last_mean(mean) && mean->in[0] == sub->in[0] ? sub->in[0] : NULL;
}

static bool is_square(struct fz_value *v, const struct fz_value *d, int64_t round) {
    double two;
    struct fz_node *pow = from(v, "Pow", round), *mul = from(v, "Mul", round);
    if (pow) return pow->in[0] == d && fzi_pass_scalar(pow->in[1], &two) && two == 2;
    return mul && mul->in[0] == d && mul->in[1] == d;
}

/* The normalised X's input if V = D / sqrt(mean(D^2) + eps), D = X - mean(X). */
static struct fz_value *normalised(struct fz_value *v, int64_t round, double *epsilon) {
    struct fz_node *div = from(v, "Div", round);
    struct fz_value *x = div ? centred(div->in[0], round) : NULL;
    struct fz_node *root = x ? from(div->in[1], "Sqrt", round) : NULL;
    struct fz_node *add = root ? from(root->in[0], "Add", round) : NULL;
    struct fz_node *mean = add ? from(fzi_pass_with_scalar(add, epsilon), "ReduceMean", round)
                               : NULL;
    bool good = mean && is_last_mean(mean) && is_square(mean->in[0], div->in[0], round);
    return good ? x : NULL;
}

/* True if V is a float32 constant of one value per element of the last axis of X. */
static bool is_row(const struct fz_value *v, const struct fz_value *x) {
    return fzi_is_constant(v) && v->t.dtype == FZ_TYPE_F32 && v->t.rank == 1 && x->t.rank > 0 &&
           v->t.dims[0] == x->t.dims[x->t.rank - 1];
}

/* NODE is the final Add: its inputs X, gain and bias, and EPSILON, if it closes such a chain. */
static bool recognise(const struct fz_node *node, int64_t round, struct fz_value *in[3],
                      double *epsilon) {
    if (!fzi_pass_is(node, "Add")) return false;
    for (int i = 0; i < 2; i++) {
        struct fz_node *mul = from(node->in[i], "Mul", round);
        for (int j = 0; mul && j < 2; j++) {
            in[0] = normalised(mul->in[j], round, epsilon);
            in[1] = mul->in[1 - j];
            in[2] = node->in[1 - i];
            if (in[0] && is_row(in[1], in[0]) && is_row(in[2], in[0])) return true;
        }
    }
    return false;
}

static struct fz_node *make(struct fz_pass *pass, struct fz_graph *graph, struct fz_node *before,
                            int64_t round, struct fz_value *in[3], double epsilon) {
    struct fz_attr eps = FZ_FLOAT("epsilon", (float)epsilon);
    struct fz_attr plain[] = {FZ_INT("axis", -1), eps}, half[] = {FZ_INT("round", round), eps};
    return fzi_pass_make(pass, graph, before, round ? "frozen" : "",
                         round ? "NormHalf" : "LayerNormalization", before->name,
                         round ? half : plain, 2, in, 3, 1);
}

fz_status_t fzi_pass_norm(struct fz_pass *pass, struct fz_graph *graph) {
    for (struct fz_node *node = graph->first, *next; node; node = next) {
        struct fz_value *in[3];
        double epsilon;
        int64_t round = fzi_pass_rounding(node);
        next = node->next;
        if (!recognise(round ? node->in[0]->producer : node, round, in, &epsilon)) continue;
        if (in[0]->t.dtype != FZ_TYPE_F32) continue;
        struct fz_node *made = make(pass, graph, node, round, in, epsilon);
        if (!made) return FZ_E_NOMEM;
        made->out[0]->t = node->out[0]->t;
        fzi_pass_replace(pass, graph, node->out[0], made->out[0]);
        fzi_graph_remove(graph, node);
    }
    return FZ_OK;
}
