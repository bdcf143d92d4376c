/* Operators of ai.onnx.ml that are a few of ai.onnx: scaling, norms, thresholds, missing values,
 * features side by side, linear models and support vector machines. */
#include "ops/compose.h"

static struct fz_value *two(struct fz_compose *e, const char *type, struct fz_value *a,
                            struct fz_value *b) {
    return fzi_compose(e, type, FZ_IN(a, b), FZ_NO_ATTRS);
}

static struct fz_value *one(struct fz_compose *e, const char *type, struct fz_value *a) {
    return fzi_compose(e, type, FZ_IN(a), FZ_NO_ATTRS);
}

static struct fz_value *narrow(struct fz_compose *e, struct fz_value *x) {
    return x && x->t.dtype == FZ_TYPE_F32 ? x : fzi_compose_cast(e, x, FZ_TYPE_F32);
}

/* Attribute NAME as a constant list of floats, or NULL; *N is its length. */
static struct fz_value *floats(struct fz_compose *e, const char *name, size_t *n) {
    const float *list = NULL;
    *n = 0;
    fzi_compose_fail(e, fzi_attr_floats(e->node, name, &list, n));
    return *n ? fzi_compose_floats(e, list, (int64_t)*n) : NULL;
}

static fz_status_t scaler(struct fz_lower *lower, struct fz_node *node) {
    struct fz_compose e = {.lower = lower, .node = node};
    size_t n;
    struct fz_value *y = narrow(&e, node->in[0]), *offset = floats(&e, "offset", &n);
    if (offset) y = two(&e, "Sub", y, offset);
    struct fz_value *scale = floats(&e, "scale", &n);
    if (scale) y = two(&e, "Mul", y, scale);
    e.out[0] = offset || scale ? y : one(&e, "Identity", y);
    return fzi_compose_done(&e);
}

/* Rows whose norm is 0 stay as they are. */
static fz_status_t normalizer(struct fz_lower *lower, struct fz_node *node) {
    static const char *const norms[] = {"MAX", "L1", "L2", NULL};
    static const char *const ops[] = {"ReduceMax", "ReduceL1", "ReduceL2"};
    static const int64_t last[] = {-1};
    struct fz_compose e = {.lower = lower, .node = node};
    int64_t norm;
    FZ_TRY(fzi_attr_choice(node, "norm", norms, 0, &norm));
    struct fz_value *x = narrow(&e, node->in[0]), *axes = fzi_compose_ints(&e, last, 1);
    struct fz_value *size = fzi_compose(&e, ops[norm], FZ_IN(x, axes),
                                        FZ_ATTRS(FZ_ATTR_OF_INT("keepdims", 1)));
    struct fz_value *none = two(&e, "Equal", size, fzi_compose_float(&e, 0));
    size = fzi_compose(&e, "Where", FZ_IN(none, fzi_compose_float(&e, 1), size), FZ_NO_ATTRS);
    e.out[0] = two(&e, "Div", x, size);
    return fzi_compose_done(&e);
}

static fz_status_t binarizer(struct fz_lower *lower, struct fz_node *node) {
    struct fz_compose e = {.lower = lower, .node = node};
    double threshold;
    int32_t dtype = node->in[0]->t.dtype;
    FZ_TRY(fzi_attr_float(node, "threshold", 0, &threshold));
    struct fz_value *limit = fzi_compose_float(&e, threshold);
    struct fz_value *above = two(&e, "Greater", narrow(&e, node->in[0]), limit);
    e.out[0] = fzi_compose_cast(&e, above, dtype ? dtype : FZ_TYPE_F32);
    return fzi_compose_done(&e);
}

static fz_status_t imputer(struct fz_lower *lower, struct fz_node *node) {
    struct fz_compose e = {.lower = lower, .node = node};
    struct fz_value *x = node->in[0], *gone, *values;
    const int64_t *ints = NULL;
    size_t n, n_ints = 0;
    FZ_TRY(fzi_attr_ints(node, "imputed_value_int64s", &ints, &n_ints));
    if (n_ints) {
        int64_t gone_int;
        FZ_TRY(fzi_attr_int(node, "replaced_value_int64", 0, &gone_int));
        values = fzi_compose_ints(&e, ints, (int64_t)n_ints);
        gone = two(&e, "Equal", x, fzi_compose_int(&e, gone_int));
    } else {
        double lost;
        FZ_TRY(fzi_attr_float(node, "replaced_value_float", 0, &lost));
        values = floats(&e, "imputed_value_floats", &n);
        if (!values) return fzi_error(FZ_E_FORMAT, "%s has no values", node->type);
        struct fz_value *number = fzi_compose_float(&e, lost);
        if (x->t.dtype == FZ_TYPE_F64) {
            values = fzi_compose_cast(&e, values, FZ_TYPE_F64);
            number = fzi_compose_cast(&e, number, FZ_TYPE_F64);
        }
        gone = lost != lost ? one(&e, "IsNaN", x) : two(&e, "Equal", x, number);
    }
    e.out[0] = fzi_compose(&e, "Where", FZ_IN(gone, values, x), FZ_NO_ATTRS);
    return fzi_compose_done(&e);
}

static fz_status_t vectorizer(struct fz_lower *lower, struct fz_node *node) {
    static const int64_t flat[] = {0, -1};
    struct fz_compose e = {.lower = lower, .node = node};
    struct fz_value **parts = fzi_arena_array(lower->graph->arena, node->n_in, sizeof *parts);
    if (!parts) return fzi_error(FZ_E_NOMEM, "no memory for inputs");
    for (uint32_t i = 0; i < node->n_in; i++) {
        if (!node->in[i]) return fzi_error(FZ_E_FORMAT, "%s: input %u is absent", node->type, i);
        parts[i] = fzi_compose_reshape(&e, narrow(&e, node->in[i]), flat, 2);
    }
    e.out[0] = fzi_compose(&e, "Concat", parts, node->n_in, FZ_ATTRS(FZ_ATTR_OF_INT("axis", 1)));
    return fzi_compose_done(&e);
}

/* ---- scores */

static struct fz_value *transform(struct fz_compose *e, struct fz_value *y) {
    static const char *const names[] = {"NONE", "SOFTMAX", "LOGISTIC", NULL};
    int64_t how = 0;
    fzi_compose_fail(e, fzi_attr_choice(e->node, "post_transform", names, 0, &how));
    if (how == 1)
        return fzi_compose(e, "Softmax", FZ_IN(y), FZ_ATTRS(FZ_ATTR_OF_INT("axis", -1)));
    return how == 2 ? one(e, "Sigmoid", y) : y;
}

/* x times the rows of COEFFICIENTS, [N][features] in the list NAME, plus the intercepts. */
static struct fz_value *linear(struct fz_compose *e, const char *name, int64_t n_rows) {
    size_t n, n_constants;
    struct fz_value *w = floats(e, name, &n), *b = floats(e, "intercepts", &n_constants);
    if (e->status != FZ_OK) return NULL;
    if (!w || n_rows < 1 || n % (size_t)n_rows || (b && n_constants != (size_t)n_rows)) {
        fzi_compose_fail(e, fzi_error(FZ_E_FORMAT, "%s: %zu coefficients and %zu intercepts for "
                                      "%lld rows", e->node->type, n, n_constants,
                                      (long long)n_rows));
        return NULL;
    }
    const int64_t dims[2] = {n_rows, (int64_t)n / n_rows};
    return fzi_compose(e, "Gemm", FZ_IN(narrow(e, e->node->in[0]),
                                        fzi_compose_reshape(e, w, dims, 2), b),
                       FZ_ATTRS(FZ_ATTR_OF_INT("transB", 1)));
}

static fz_status_t linear_regressor(struct fz_lower *lower, struct fz_node *node) {
    struct fz_compose e = {.lower = lower, .node = node};
    int64_t targets;
    FZ_TRY(fzi_attr_int(node, "targets", 1, &targets));
    e.out[0] = transform(&e, linear(&e, "coefficients", targets));
    return fzi_compose_done(&e);
}

/* The labels as a constant list; *N is how many there are. */
static struct fz_value *labels(struct fz_compose *e, const char *strings, const char *ints,
                               int64_t *n) {
    struct fz_graph *graph = e->lower->graph;
    const struct fz_attr *words = fzi_attr(e->node, strings);
    const int64_t *list = NULL;
    size_t count = 0;
    fzi_compose_fail(e, fzi_attr_ints(e->node, ints, &list, &count));
    *n = (int64_t)count;
    if (!words || words->kind != FZ_ATTR_STRINGS || !words->n)
        return fzi_compose_ints(e, list, *n);
    *n = (int64_t)words->n;
    struct fz_value *v = fzi_graph_new_constant(graph, e->node->name, FZ_TYPE_STRING, 1, n);
    if (!v) {
        fzi_compose_fail(e, fzi_error(FZ_E_NOMEM, "no memory for labels"));
        return NULL;
    }
    memcpy(v->t.data, words->strings, v->t.size);
    return v;
}

static struct fz_value *pick(struct fz_compose *e, struct fz_value *list, struct fz_value *at) {
    return fzi_compose(e, "Gather", FZ_IN(list, at), FZ_ATTRS(FZ_ATTR_OF_INT("axis", 0)));
}

static struct fz_value *best(struct fz_compose *e, struct fz_value *scores) {
    return fzi_compose(e, "ArgMax", FZ_IN(scores),
                       FZ_ATTRS(FZ_ATTR_OF_INT("axis", 1), FZ_ATTR_OF_INT("keepdims", 0)));
}

/* One row of coefficients for two labels: its score is the second one's, its opposite (or what is
 * missing to 1, behind a sigmoid) the first one's. */
static struct fz_value *both(struct fz_compose *e, struct fz_value *score, bool share) {
    struct fz_value *first = share ? two(e, "Sub", fzi_compose_float(e, 1), score)
                                   : one(e, "Neg", score);
    return fzi_compose(e, "Concat", FZ_IN(first, score), FZ_ATTRS(FZ_ATTR_OF_INT("axis", 1)));
}

static fz_status_t linear_classifier(struct fz_lower *lower, struct fz_node *node) {
    struct fz_compose e = {.lower = lower, .node = node};
    const struct fz_attr *b = fzi_attr(node, "intercepts");
    const struct fz_attr *post = fzi_attr(node, "post_transform");
    int64_t n;
    struct fz_value *list = labels(&e, "classlabels_strings", "classlabels_ints", &n);
    bool alone = n == 2 && b && b->n == 1;
    bool logistic = post && post->kind == FZ_ATTR_STRING && strcmp(post->s, "LOGISTIC") == 0;
    if (n < 1) return fzi_error(FZ_E_FORMAT, "%s has no labels", node->type);
    struct fz_value *raw = linear(&e, "coefficients", alone ? 1 : n), *scores = raw;
    if (alone && logistic) scores = both(&e, one(&e, "Sigmoid", raw), true);
    else scores = transform(&e, alone ? both(&e, raw, false) : raw);
    e.out[0] = pick(&e, list, best(&e, alone ? both(&e, raw, false) : raw));
    e.out[1] = scores;
    return fzi_compose_done(&e);
}

/* ---- support vector machines */

struct kernel {
    int64_t type; /* of `types` below */
    float gamma, coef0, degree;
    struct fz_value *vectors; /* [n][features] */
    int64_t n;
};

enum { LINEAR, POLY, RBF, SIGMOID };

static fz_status_t read_kernel(struct fz_compose *e, int64_t n, struct kernel *k) {
    static const char *const types[] = {"LINEAR", "POLY", "RBF", "SIGMOID", NULL};
    const float *list = NULL;
    size_t n_list = 0, size;
    FZ_TRY(fzi_attr_choice(e->node, "kernel_type", types, LINEAR, &k->type));
    FZ_TRY(fzi_attr_floats(e->node, "kernel_params", &list, &n_list));
    if (n_list >= 3) k->gamma = list[0], k->coef0 = list[1], k->degree = list[2];
    struct fz_value *flat = floats(e, "support_vectors", &size);
    FZ_TRY(e->status);
    if (n < 1 || size == 0 || size % (size_t)n)
        return fzi_error(FZ_E_FORMAT, "%s: %zu numbers in %lld support vectors", e->node->type,
                         size, (long long)n);
    const int64_t dims[2] = {n, (int64_t)size / n};
    k->vectors = fzi_compose_reshape(e, flat, dims, 2);
    k->n = n;
    return e->status;
}

/* [rows][n]: the kernel between each row of x and each vector. */
static struct fz_value *apply(struct fz_compose *e, const struct kernel *k, struct fz_value *x) {
    static const int64_t middle[] = {1}, turn[] = {1, 0}, last[] = {2};
    if (k->type == RBF) {
        struct fz_value *d = two(e, "Sub", fzi_compose_unsqueeze(e, x, middle, 1), k->vectors);
        d = fzi_compose(e, "ReduceSumSquare", FZ_IN(d, fzi_compose_ints(e, last, 1)),
                        FZ_ATTRS(FZ_ATTR_OF_INT("keepdims", 0)));
        return one(e, "Exp", two(e, "Mul", d, fzi_compose_float(e, -(double)k->gamma)));
    }
    struct fz_value *y = two(e, "MatMul", x, fzi_compose_transpose(e, k->vectors, turn, 2));
    if (k->type == LINEAR) return y;
    y = two(e, "Mul", y, fzi_compose_float(e, (double)k->gamma));
    y = two(e, "Add", y, fzi_compose_float(e, (double)k->coef0));
    if (k->type == SIGMOID) return one(e, "Tanh", y);
    return two(e, "Pow", y, fzi_compose_float(e, (double)k->degree));
}

static fz_status_t svm_regressor(struct fz_lower *lower, struct fz_node *node) {
    struct fz_compose e = {.lower = lower, .node = node};
    struct kernel k = {0};
    int64_t n, one_class;
    size_t n_weights, n_rho;
    FZ_TRY(fzi_attr_int(node, "n_supports", 0, &n));
    FZ_TRY(fzi_attr_int(node, "one_class", 0, &one_class));
    struct fz_value *w = floats(&e, "coefficients", &n_weights), *rho = floats(&e, "rho", &n_rho);
    struct fz_value *x = narrow(&e, node->in[0]), *y;
    FZ_TRY(e.status);
    if (!w || n_rho != 1) return fzi_error(FZ_E_FORMAT, "%s: coefficients and rho", node->type);
    if (n > 0) {
        FZ_TRY(read_kernel(&e, n, &k));
        if (n_weights != (size_t)n)
            return fzi_error(FZ_E_FORMAT, "%s: %zu coefficients", node->type, n_weights);
        x = apply(&e, &k, x);
    }
    const int64_t column[2] = {(int64_t)n_weights, 1};
    y = two(&e, "Add", two(&e, "MatMul", x, fzi_compose_reshape(&e, w, column, 2)), rho);
    if (one_class) {
        struct fz_value *inside = two(&e, "Greater", y, fzi_compose_float(&e, 0));
        y = fzi_compose(&e, "Where", FZ_IN(inside, fzi_compose_float(&e, 1),
                                           fzi_compose_float(&e, -1)), FZ_NO_ATTRS);
    }
    e.out[0] = transform(&e, y);
    return fzi_compose_done(&e);
}

/* The pair (i, j) of classes, i < j, weighs the vectors of class i by row j - 1 of COEFFICIENTS and
 * those of class j by row i. Makes [n][pairs] of that, and which class each sign speaks for. */
static fz_status_t weigh_pairs(struct fz_compose *e, const int64_t *per_class, int64_t classes,
                               int64_t n, const float *coefficients, struct fz_value **weights,
                               struct fz_value *votes[2]) {
    struct fz_arena *arena = e->lower->graph->arena;
    int64_t pairs = classes * (classes - 1) / 2, pair = 0, first = 0;
    float *w = fzi_arena_array(arena, (size_t)(n * pairs), sizeof *w);
    float *v[2] = {fzi_arena_array(arena, (size_t)(pairs * classes), sizeof(float)),
                   fzi_arena_array(arena, (size_t)(pairs * classes), sizeof(float))};
    if (!w || !v[0] || !v[1]) return fzi_error(FZ_E_NOMEM, "no memory for support vectors");
    for (int64_t i = 0; i < classes; first += per_class[i++]) {
        int64_t second = first + per_class[i];
        for (int64_t j = i + 1; j < classes; second += per_class[j++], pair++) {
            for (int64_t s = first; s < first + per_class[i]; s++)
                w[s * pairs + pair] = coefficients[(j - 1) * n + s];
            for (int64_t s = second; s < second + per_class[j]; s++)
                w[s * pairs + pair] = coefficients[i * n + s];
            v[0][pair * classes + i] = 1;
            v[1][pair * classes + j] = 1;
        }
    }
    const int64_t dims[2] = {n, pairs}, shape[2] = {pairs, classes};
    *weights = fzi_compose_reshape(e, fzi_compose_floats(e, w, n * pairs), dims, 2);
    for (int i = 0; i < 2; i++)
        votes[i] = fzi_compose_reshape(e, fzi_compose_floats(e, v[i], pairs * classes), shape, 2);
    return e->status;
}

/* How many vectors each class has; *N is their sum. */
static fz_status_t read_counts(const struct fz_node *node, int64_t classes, const int64_t **counts,
                               int64_t *n) {
    size_t length = 0;
    *n = 0;
    FZ_TRY(fzi_attr_ints(node, "vectors_per_class", counts, &length));
    if (length != (size_t)classes)
        return fzi_error(FZ_E_UNSUPPORTED, "%s without support vectors of each class", node->type);
    for (size_t i = 0; i < length; i++) {
        if ((*counts)[i] < 0 || (*counts)[i] > INT32_MAX)
            return fzi_error(FZ_E_FORMAT, "%s: %lld vectors of a class", node->type,
                             (long long)(*counts)[i]);
        *n += (*counts)[i];
    }
    return *n <= INT32_MAX ? FZ_OK : fzi_error(FZ_E_LIMIT, "%s: too many vectors", node->type);
}

/* Probabilities of the classes from the scores Y of their pairs: that of the first one of a pair is
 * 1 / (1 + exp(a * score + b)), 1e-7 from 0 and 1 at least. Y itself without a and b. */
static struct fz_value *probabilities(struct fz_compose *e, struct fz_value *y, int64_t classes,
                                      bool *found) {
    size_t n_a, n_b, pairs = (size_t)(classes * (classes - 1) / 2);
    struct fz_value *a = floats(e, "prob_a", &n_a), *b = floats(e, "prob_b", &n_b);
    *found = n_a > 0;
    if (!*found) return y;
    if (n_a != pairs || n_b != pairs) {
        fzi_compose_fail(e, fzi_error(FZ_E_FORMAT, "%s: %zu prob_a and %zu prob_b", e->node->type,
                                      n_a, n_b));
        return NULL;
    }
    y = one(e, "Sigmoid", one(e, "Neg", two(e, "Add", two(e, "Mul", y, a), b)));
    y = fzi_compose(e, "Clip", FZ_IN(y, fzi_compose_float(e, 1e-7), fzi_compose_float(e, 1 - 1e-7)),
                    FZ_NO_ATTRS);
    struct fz_node *made = fzi_compose_node(e, "frozen", "PairProbabilities", 1, FZ_IN(y), 1,
                                            FZ_ATTRS(FZ_ATTR_OF_INT("classes", classes)));
    return made ? made->out[0] : NULL;
}

/* Each pair of classes has a vote; of classes with as many votes the first wins. The scores are the
 * pairs' own; of two classes, the pair's opposite and its own, as ONNX Runtime has it. */
static fz_status_t svm_classifier(struct fz_lower *lower, struct fz_node *node) {
    struct fz_compose e = {.lower = lower, .node = node};
    struct kernel k = {0};
    const float *list = NULL;
    const int64_t *counts = NULL;
    size_t n_list = 0, n_rho;
    int64_t classes, n;
    struct fz_value *names = labels(&e, "classlabels_strings", "classlabels_ints", &classes);
    struct fz_value *weights = NULL, *votes[2] = {NULL}, *rho = floats(&e, "rho", &n_rho);
    if (classes < 2 || classes > 4096)
        return fzi_error(FZ_E_FORMAT, "%s: %lld labels", node->type, (long long)classes);
    FZ_TRY(read_counts(node, classes, &counts, &n));
    FZ_TRY(read_kernel(&e, n, &k));
    FZ_TRY(fzi_attr_floats(node, "coefficients", &list, &n_list));
    if (n_list != (size_t)(n * (classes - 1)) || n_rho != (size_t)(classes * (classes - 1) / 2))
        return fzi_error(FZ_E_FORMAT, "%s: %zu coefficients and %zu rho", node->type, n_list,
                         n_rho);
    FZ_TRY(weigh_pairs(&e, counts, classes, n, list, &weights, votes));
    struct fz_value *y = two(&e, "MatMul", apply(&e, &k, narrow(&e, node->in[0])), weights);
    y = two(&e, "Add", y, rho);
    struct fz_value *first = two(&e, "Greater", y, fzi_compose_float(&e, 0));
    struct fz_value *second = fzi_compose_cast(&e, one(&e, "Not", first), FZ_TYPE_F32);
    first = fzi_compose_cast(&e, first, FZ_TYPE_F32);
    struct fz_value *count = two(&e, "Add", two(&e, "MatMul", first, votes[0]),
                                 two(&e, "MatMul", second, votes[1]));
    e.out[0] = pick(&e, names, best(&e, count));
    bool found;
    struct fz_value *scores = probabilities(&e, y, classes, &found);
    e.out[1] = transform(&e, classes == 2 && !found ? both(&e, scores, false) : scores);
    return fzi_compose_done(&e);
}

#define ROW(onnx, most, outs, known, how)                                                          \
    {.name = onnx, .domain = "ai.onnx.ml", .since = 1, .rev = 1, .min_in = 1, .max_in = most,      \
     .min_out = 1, .max_out = outs, .attrs = known, .compose = how}

const struct fz_op fz_ops_ml_linear[] = {
    ROW("Scaler", 1, 1, "offset scale", scaler),
    ROW("Normalizer", 1, 1, "norm", normalizer),
    ROW("Binarizer", 1, 1, "threshold", binarizer),
    ROW("Imputer", 1, 1, "imputed_value_floats imputed_value_int64s replaced_value_float "
        "replaced_value_int64", imputer),
    ROW("FeatureVectorizer", 255, 1, "inputdimensions", vectorizer),
    ROW("LinearRegressor", 1, 1, "coefficients intercepts post_transform targets",
        linear_regressor),
    ROW("LinearClassifier", 1, 2, "classlabels_ints classlabels_strings coefficients intercepts "
        "multi_class post_transform", linear_classifier),
    ROW("SVMRegressor", 1, 1, "coefficients kernel_params kernel_type n_supports one_class "
        "post_transform rho support_vectors", svm_regressor),
    ROW("SVMClassifier", 1, 2, "classlabels_ints classlabels_strings coefficients kernel_params "
        "kernel_type post_transform prob_a prob_b rho support_vectors vectors_per_class",
        svm_classifier),
    {0},
};
