/* frozen.PairProbabilities: the probabilities of classes from those of each pair of them, as
 * support vector machines have them. Input [rows][classes * (classes - 1) / 2]: for the pairs (0,
 * 1), (0, 2), ..., (1, 2), ... the probability r of the first class against the second.
 *
 * It is the second method of Wu, Lin and Weng, Probability Estimates for Multi-class
 * Classification by Pairwise Coupling: p minimises p' Q p where Q(i, i) is the sum of r(j, i)^2
 * and Q(i, j) = -r(j, i) r(i, j). From equal probabilities on, one class after the other is set
 * to its optimum, all being scaled to the sum 1 each time, until every (Q p)(i) is p' Q p but
 * for 0.005 / classes, or a hundred times. In binary64, sums in the order of the classes. */
#include "ops/op.h"

enum { ROUNDS = 100, CLASSES_MAX = 4096 };

struct params {
    int64_t classes;
};

static fz_status_t lower(struct fz_lower *lower, struct fz_node *node, void *params) {
    (void)lower;
    return fzi_attr_int(node, "classes", 0, &((struct params *)params)->classes);
}

static fz_status_t infer(const struct fz_op *op, const struct fz_call *call) {
    const struct params *p = call->params;
    const fz_tensor_t *x = call->in[0];
    int64_t dims[2] = {FZ_DIM_UNKNOWN, p->classes};
    FZ_TRY(fzi_infer_type(op, call, 0, FZ_T(F32)));
    if (p->classes < 2 || p->classes > CLASSES_MAX)
        return fzi_error(FZ_E_FORMAT, "%s: %lld classes", op->name, (long long)p->classes);
    int64_t pairs = p->classes * (p->classes - 1) / 2;
    if (x->rank >= 0 && (x->rank != 2 || (x->dims[1] >= 0 && x->dims[1] != pairs)))
        return fzi_error(FZ_E_SHAPE, "%s: the input has not %lld columns", op->name,
                         (long long)pairs);
    if (x->rank == 2) dims[0] = x->dims[0];
    fzi_infer_shape(call, 0, FZ_TYPE_F32, 2, dims);
    return FZ_OK;
}

/* Q [classes][classes], p and Q p of one row. */
struct row {
    int64_t n;
    double *q, *p, *qp;
};

static void fill(struct row *r, const float *pairs) {
    int64_t n = r->n;
    memset(r->q, 0, (size_t)(n * n) * sizeof *r->q);
    for (int64_t i = 0; i < n; i++) {
        r->p[i] = 1.0 / (double)n;
        for (int64_t j = i + 1; j < n; j++, pairs++) {
            double first = (double)*pairs, second = 1 - first;
            r->q[i * n + i] += second * second;
            r->q[j * n + j] += first * first;
            r->q[i * n + j] = r->q[j * n + i] = -(first * second);
        }
    }
}

/* Fills Q p; the value is p' Q p. */
static double multiply(struct row *r) {
    double all = 0;
    for (int64_t i = 0; i < r->n; i++) {
        r->qp[i] = 0;
        for (int64_t j = 0; j < r->n; j++) r->qp[i] += r->q[i * r->n + j] * r->p[j];
        all += r->p[i] * r->qp[i];
    }
    return all;
}

static bool is_done(const struct row *r, double all) {
    for (int64_t i = 0; i < r->n; i++)
        if (__builtin_fabs(r->qp[i] - all) >= 0.005 / (double)r->n) return false;
    return true;
}

/* Sets each class to its optimum. ALL is p' Q p. */
static void improve(struct row *r, double all) {
    for (int64_t t = 0; t < r->n; t++) {
        double own = r->q[t * r->n + t];
        if (!(own > 0)) continue;
        double diff = (all - r->qp[t]) / own, scale = 1 + diff;
        r->p[t] += diff;
        all = (all + diff * (diff * own + 2 * r->qp[t])) / scale / scale;
        for (int64_t j = 0; j < r->n; j++) {
            r->qp[j] = (r->qp[j] + diff * r->q[t * r->n + j]) / scale;
            r->p[j] /= scale;
        }
    }
}

static size_t scratch(const struct fz_op *op, const struct fz_call *call) {
    const struct params *p = call->params;
    (void)op;
    return (size_t)(p->classes * (p->classes + 2)) * sizeof(double);
}

static fz_status_t run(const struct fz_op *op, const struct fz_call *call) {
    int64_t n = ((const struct params *)call->params)->classes, pairs = n * (n - 1) / 2;
    struct row r = {n, call->scratch, (double *)call->scratch + n * n,
                    (double *)call->scratch + n * n + n};
    const float *x = call->in[0]->data;
    float *y = call->out[0]->data;
    (void)op;
    for (int64_t i = 0; i < call->in[0]->dims[0]; i++, y += n) {
        FZ_TRY(call->env->poll(call->env));
        fill(&r, x + i * pairs);
        double all = multiply(&r);
        for (int round = 0; round < ROUNDS && !is_done(&r, all); round++) {
            improve(&r, all);
            all = multiply(&r);
        }
        for (int64_t c = 0; c < n; c++) y[c] = (float)r.p[c];
    }
    return FZ_OK;
}

const struct fz_op fz_ops_svm_pairs[] = {
    {.name = "PairProbabilities", .domain = "frozen", .since = 1, .rev = 1, .min_in = 1,
     .max_in = 1, .min_out = 1, .max_out = 1, .attrs = "classes",
     .params_size = sizeof(struct params), .lower = lower, .infer = infer, .scratch = scratch,
     .run = run},
    {0},
};
