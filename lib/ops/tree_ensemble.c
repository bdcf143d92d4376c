/* TreeEnsemble, TreeEnsembleClassifier and TreeEnsembleRegressor (ai.onnx.ml): each row of features
 * walks every tree from the root to a leaf, whose weights are added to the row's scores. Scores are
 * binary32 sums in the order of the trees (binary64 if the model's weights are), begun with the
 * first weight. An average divides by the number of trees, then the base value is added, then the
 * post transform runs in binary32; that of SOFTMAX_ZERO sums in one chain. */
#include "ops/compose.h"
#include "ops/move.h"
#include "ops/tree_walk.h"

enum { CLASSIFIER, REGRESSOR, ENSEMBLE };
enum transform { NONE, SOFTMAX, LOGISTIC, SOFTMAX_ZERO, PROBIT, TRANSFORMS };
enum { LABEL, CLASS_SCORES }; /* the classifier's outputs */

struct params {
    int64_t n_targets, transform, aggregate;
    int64_t binary;       /* two classes, but weights for one of them only */
    int64_t all_positive; /* no weight is negative */
    struct fz_tree_form form;
};

static fz_status_t lower_common(struct fz_node *node, struct params *p) {
    static const char *const transforms[] = {
        [NONE] = "NONE", [SOFTMAX] = "SOFTMAX", [LOGISTIC] = "LOGISTIC",
        [SOFTMAX_ZERO] = "SOFTMAX_ZERO", [PROBIT] = "PROBIT", NULL};
    static const char *const aggregates[] = {
        [FZ_TREE_SUM] = "SUM", [FZ_TREE_AVERAGE] = "AVERAGE", [FZ_TREE_MIN] = "MIN",
        [FZ_TREE_MAX] = "MAX", NULL};
    FZ_TRY(fzi_attr_choice(node, "post_transform", transforms, NONE, &p->transform));
    return fzi_attr_choice(node, "aggregate_function", aggregates, FZ_TREE_SUM, &p->aggregate);
}

static fz_status_t lower_regressor(struct fz_lower *lower, struct fz_node *node, void *params) {
    static const struct fz_tree_names names = {"target_treeids", "target_nodeids", "target_ids",
                                               "target_weights", "target_weights_as_tensor"};
    struct params *p = params;
    FZ_TRY(lower_common(node, p));
    FZ_TRY(fzi_attr_int(node, "n_targets", 1, &p->n_targets));
    return fzi_tree_lower(lower, node, &names, p->n_targets, &p->form);
}

/* The attributes that were words are numbers here. */
static fz_status_t lower_ensemble(struct fz_lower *lower, struct fz_node *node, void *params) {
    static const int64_t aggregates[] = {FZ_TREE_AVERAGE, FZ_TREE_SUM, FZ_TREE_MIN,
                                         FZ_TREE_MAX};
    struct params *p = params;
    int64_t aggregate;
    FZ_TRY(fzi_attr_int(node, "aggregate_function", 1, &aggregate));
    FZ_TRY(fzi_attr_int(node, "post_transform", NONE, &p->transform));
    FZ_TRY(fzi_attr_int(node, "n_targets", 1, &p->n_targets));
    if (aggregate < 0 || aggregate >= FZ_TREE_AGGREGATES || p->transform < 0 ||
        p->transform >= TRANSFORMS)
        return fzi_error(FZ_E_UNSUPPORTED, "aggregate function %lld, post transform %lld",
                         (long long)aggregate, (long long)p->transform);
    p->aggregate = aggregates[aggregate];
    return fzi_tree_lower_nodes(lower, node, p->n_targets, &p->form);
}

/* Finds out whether the weights are those of one class out of two. */
static void look_at_weights(const struct fz_node *node, struct params *p) {
    const fz_tensor_t *targets = &node->in[FZ_TREE_TARGETS]->t;
    const fz_tensor_t *weights = &node->in[FZ_TREE_WEIGHTS]->t;
    p->binary = p->n_targets == 2;
    p->all_positive = 1;
    for (int64_t i = 0; i < fzi_tensor_count(targets); i++) {
        if (fzi_tensor_int(targets, i) != fzi_tensor_int(targets, 0)) p->binary = 0;
        if (fzi_tensor_float(weights, i) < 0) p->all_positive = 0;
    }
}

/* Labels that are strings are picked by their places. */
static fz_status_t compose_classifier(struct fz_lower *lower, struct fz_node *node) {
    struct fz_compose e = {.lower = lower, .node = node};
    const struct fz_attr *words = fzi_attr(node, "classlabels_strings");
    if (!words || words->kind != FZ_ATTR_STRINGS || words->n == 0) return FZ_OK;
    struct fz_arena *arena = lower->graph->arena;
    struct fz_attr *attrs = fzi_arena_array(arena, node->n_attrs + 1, sizeof *attrs);
    int64_t *places = fzi_arena_array(arena, words->n, sizeof *places), n = (int64_t)words->n;
    struct fz_value *list = fzi_graph_new_constant(lower->graph, node->name, FZ_TYPE_STRING, 1, &n);
    size_t n_attrs = 0;
    if (!attrs || !places || !list) return fzi_error(FZ_E_NOMEM, "no memory for labels");
    memcpy(list->t.data, words->strings, list->t.size);
    for (uint32_t i = 0; i < node->n_attrs; i++)
        if (strncmp(node->attrs[i].name, "classlabels", 11) != 0)
            attrs[n_attrs++] = node->attrs[i];
    for (int64_t i = 0; i < n; i++) places[i] = i;
    attrs[n_attrs++] = (struct fz_attr)FZ_ATTR_OF_INTS("classlabels_int64s", places, n);
    struct fz_node *made = fzi_compose_node(&e, node->domain, node->type, node->opset,
                                            FZ_IN(node->in[FZ_TREE_X]), 2, attrs, n_attrs);
    if (!made) return e.status;
    e.out[LABEL] = fzi_compose(&e, "Gather", FZ_IN(list, made->out[LABEL]),
                               FZ_ATTRS(FZ_ATTR_OF_INT("axis", 0)));
    e.out[CLASS_SCORES] = made->out[CLASS_SCORES];
    return fzi_compose_done(&e);
}

static fz_status_t lower_classifier(struct fz_lower *lower, struct fz_node *node, void *params) {
    static const struct fz_tree_names names = {"class_treeids", "class_nodeids", "class_ids",
                                               "class_weights", "class_weights_as_tensor"};
    struct params *p = params;
    const int64_t *labels = NULL;
    size_t n = 0;
    FZ_TRY(lower_common(node, p));
    FZ_TRY(fzi_attr_ints(node, "classlabels_int64s", &labels, &n));
    if (n == 0) return fzi_error(FZ_E_FORMAT, "the classifier has no labels");
    p->n_targets = (int64_t)n;
    FZ_TRY(fzi_tree_lower(lower, node, &names, p->n_targets, &p->form));
    look_at_weights(node, p);
    return fzi_lower_constant(lower, node, FZ_TREE_LABELS, FZ_TYPE_I64, (int64_t)n, labels);
}

/* ---- infer */

/* Table I must be a list of one of TYPES; *N is its length, -1 if that is not known. */
static fz_status_t check_table(const struct fz_op *op, const struct fz_call *call, uint32_t i,
                               uint64_t types, int64_t *n) {
    if (!fzi_move_has(call, i))
        return fzi_error(FZ_E_FORMAT, "%s: table %u is missing", op->name, i);
    FZ_TRY(fzi_infer_type(op, call, i, types));
    *n = fzi_move_length(call, i);
    if (call->in[i]->rank == 1) return FZ_OK;
    return fzi_error(FZ_E_FORMAT, "%s: table %u is no list", op->name, i);
}

static fz_status_t check_tables(const struct fz_op *op, const struct fz_call *call) {
    const struct params *p = call->params;
    const uint64_t reals = FZ_T(F32) | FZ_T(F64);
    int64_t nodes, roots, targets, weights, base, labels = p->n_targets, thresholds, first = 0;
    FZ_TRY(check_table(op, call, FZ_TREE_NODES, FZ_T(I32), &nodes));
    FZ_TRY(check_table(op, call, FZ_TREE_ROOTS, FZ_T(I32), &roots));
    FZ_TRY(check_table(op, call, FZ_TREE_TARGETS, FZ_T(I32), &targets));
    FZ_TRY(check_table(op, call, FZ_TREE_WEIGHTS, reals, &weights));
    FZ_TRY(check_table(op, call, FZ_TREE_BASE, reals, &base));
    if (p->form.packed) FZ_TRY(check_table(op, call, FZ_TREE_FIRST, FZ_T(I32), &first));
    int64_t words = p->form.packed ? FZ_TREE_PACKED_WORDS : FZ_TREE_WORDS, n = nodes / words;
    thresholds = n;
    if (op->kind == CLASSIFIER)
        FZ_TRY(check_table(op, call, FZ_TREE_LABELS, FZ_T(I64), &labels));
    if (fzi_move_has(call, FZ_TREE_THRESHOLDS))
        FZ_TRY(check_table(op, call, FZ_TREE_THRESHOLDS, FZ_T(F64), &thresholds));
    if (nodes < words || nodes % words || roots < 0 || targets < 0 || targets != weights ||
        labels != p->n_targets || thresholds != n || n > INT32_MAX ||
        (p->form.packed && (first != n + 1 || n > 1 << 30)))
        return fzi_error(FZ_E_FORMAT, "%s: the tables do not fit each other", op->name);
    if (base != 0 && base != p->n_targets && !(base == 1 && p->n_targets <= 2))
        return fzi_error(FZ_E_FORMAT, "%s: %lld base values", op->name, (long long)base);
    return FZ_OK;
}

/* Steps are bounded by the number of nodes, so that a file cannot make a walk endless. */
static fz_status_t check_form(const struct fz_op *op, const struct fz_call *call) {
    const struct params *p = call->params;
    const struct fz_tree_form *f = &p->form;
    if (!f->packed) return FZ_OK;
    if (f->packed == 1 && f->depth >= 0 && f->depth <= fzi_tensor_count(call->in[FZ_TREE_NODES]) &&
        f->n_features >= 0 && f->per_leaf >= 0 && f->per_leaf <= p->n_targets && f->column >= 0 &&
        f->column <= p->n_targets - f->per_leaf && call->in[FZ_TREE_X]->dtype == FZ_TYPE_F32 &&
        !fzi_move_has(call, FZ_TREE_THRESHOLDS))
        return FZ_OK;
    return fzi_error(FZ_E_FORMAT, "%s: parameters of the packed tables", op->name);
}

static fz_status_t infer(const struct fz_op *op, const struct fz_call *call) {
    const struct params *p = call->params;
    const fz_tensor_t *x = call->in[FZ_TREE_X];
    const uint64_t integers = op->kind == ENSEMBLE ? 0 : FZ_T(I32) | FZ_T(I64);
    FZ_TRY(fzi_infer_type(op, call, FZ_TREE_X, FZ_T(F32) | FZ_T(F64) | integers));
    if (p->n_targets < 1 || p->n_targets > INT32_MAX || p->transform < 0 ||
        p->transform >= TRANSFORMS || p->aggregate < 0 || p->aggregate >= FZ_TREE_AGGREGATES)
        return fzi_error(FZ_E_FORMAT, "%s: parameters", op->name);
    FZ_TRY(check_tables(op, call));
    FZ_TRY(check_form(op, call));
    if (op->kind == ENSEMBLE && x->dtype == FZ_TYPE_F64 && p->n_targets > FZ_TREE_STACK &&
        (p->transform == SOFTMAX || p->transform == SOFTMAX_ZERO))
        return fzi_error(FZ_E_UNSUPPORTED, "%s: softmax of %lld binary64 scores", op->name,
                         (long long)p->n_targets);
    if (x->rank == 0 || x->rank > 2)
        return fzi_error(FZ_E_SHAPE, "%s: features of rank %d", op->name, x->rank);
    int64_t rows = x->rank == 2 ? x->dims[0] : x->rank == 1 ? 1 : FZ_DIM_UNKNOWN;
    int64_t dims[2] = {rows, p->n_targets};
    fzi_infer_shape(call, op->kind == CLASSIFIER ? CLASS_SCORES : 0,
                    op->kind == ENSEMBLE ? x->dtype : FZ_TYPE_F32, 2, dims);
    if (op->kind == CLASSIFIER) fzi_infer_shape(call, LABEL, FZ_TYPE_I64, 1, dims);
    return FZ_OK;
}

/* ---- run: from scores to outputs */

struct job {
    struct fz_tree_job walk;
    const struct fz_call *call;
    const struct params *p;
    const fz_tensor_t *base;
    const int64_t *labels;
    int64_t kind;
    int broken; /* set when a table points outside */
};

/* sqrt(2) times the inverse error function of 2 x - 1, by Winitzki's approximation. */
static float probit(const struct fzk_table *k, float x) {
    float y = 2 * x - 1, sign = y < 0 ? -1.0f : 1.0f, log;
    y = (1 - y) * (1 + y);
    k->unary_f32(FZK_FN_LOG, &log, &y, 1, 0, 0);
    float v = 2 / (3.14159f * 0.147f) + 0.5f * log, v2 = 1 / 0.147f * log;
    return 1.41421356f * (sign * __builtin_sqrtf(-v + __builtin_sqrtf(v * v - v2)));
}

/* Softmax, but scores of 0 keep the weight that they have beside the others'. */
static void softmax_zero(const struct fzk_table *k, float *z, int64_t n) {
    float max = z[0], sum = 0, e;
    for (int64_t i = 1; i < n; i++) max = z[i] > max ? z[i] : max;
    for (int64_t i = 0; i < n; i++) {
        bool zero = !(z[i] > 1e-7f || z[i] < -1e-7f);
        float shifted = zero ? -max : z[i] - max;
        k->unary_f32(FZK_FN_EXP, &e, &shifted, 1, 0, 0);
        z[i] = zero ? z[i] * e : e;
        if (!zero) sum += e;
    }
    for (int64_t i = 0; i < n && sum != 0; i++) z[i] /= sum;
}

static void transform(const struct job *job, float *z, int64_t n, int64_t how) {
    const struct fzk_table *k = job->call->env->k;
    switch (how) {
    case SOFTMAX: k->softmax_f32(z, z, 1, n); break;
    case LOGISTIC: k->unary_f32(FZK_FN_SIGMOID, z, z, n, 0, 0); break;
    case SOFTMAX_ZERO: softmax_zero(k, z, n); break;
    case PROBIT: for (int64_t i = 0; i < n; i++) z[i] = probit(k, z[i]); break;
    default: break;
    }
}

/* A row of binary64 scores by way of binary32, some at a time where each stands for itself. */
static void transform_wide(const struct job *job, double *z, int64_t n) {
    float row[FZ_TREE_STACK];
    bool alone = job->p->transform == LOGISTIC || job->p->transform == PROBIT;
    if (!alone && n > FZ_TREE_STACK) return;
    for (int64_t i = 0, m; i < n; i += m) {
        m = fzi_min_i64(FZ_TREE_STACK, n - i);
        for (int64_t j = 0; j < m; j++) row[j] = (float)z[i + j];
        transform(job, row, m, job->p->transform);
        for (int64_t j = 0; j < m; j++) z[i + j] = (double)row[j];
    }
}

static double base_value(const struct job *job, int64_t i) {
    return i < fzi_tensor_count(job->base) ? fzi_tensor_float(job->base, i) : 0;
}

static double add(const struct job *job, double a, double b) {
    return job->walk.narrow ? (double)((float)a + (float)b) : a + b;
}

static double averaged(const struct job *job, double value) {
    if (job->p->aggregate != FZ_TREE_AVERAGE) return value;
    return job->walk.narrow ? (double)((float)value / (float)job->walk.n_roots)
                       : value / (double)job->walk.n_roots;
}

/* A single target knows no transform but PROBIT; of several, those without a weight are 0. */
static void finish_regressor(const struct job *job, struct fz_tree_score *s, float *z) {
    int64_t n = job->p->n_targets;
    for (int64_t i = 0; i < n; i++) {
        double value = averaged(job, s[i].value);
        z[i] = s[i].has || n == 1 ? (float)add(job, value, base_value(job, i)) : 0;
    }
    if (n > 1 || job->p->transform == PROBIT) transform(job, z, n, job->p->transform);
}

/* Binary64 features give binary64 scores, but a transform rounds them to binary32. */
static void finish_ensemble(const struct job *job, struct fz_tree_score *s, int64_t row) {
    int64_t n = job->p->n_targets;
    char *out = (char *)job->call->out[0]->data;
    bool twice = job->walk.x->dtype == FZ_TYPE_F64;
    float *z = twice ? NULL : (float *)out + row * n;
    double *zz = (double *)out + row * n;
    for (int64_t i = 0; i < n; i++) {
        double value = averaged(job, s[i].value);
        if (twice) zz[i] = value;
        else z[i] = (float)value;
    }
    if (!twice) transform(job, z, n, job->p->transform);
    else if (job->p->transform != NONE) transform_wide(job, zz, n);
}

static int64_t finish_classes(const struct job *job, struct fz_tree_score *s, float *z) {
    int64_t n = job->p->n_targets, best = -1;
    bool based = fzi_tensor_count(job->base) > 0;
    for (int64_t i = 0; i < n; i++) {
        s[i].value = add(job, s[i].value, base_value(job, i));
        if ((s[i].has || based) && (best < 0 || s[i].value > s[best].value)) best = i;
        if (z) z[i] = (float)s[i].value;
    }
    if (z) transform(job, z, n, job->p->transform);
    return job->labels[best < 0 ? 0 : best];
}

/* The label that one number decides: above a half, if weights are never negative, else above 0. */
static int64_t pick_label(const struct job *job, double score) {
    if (!job->p->binary) return score > 0;
    return job->labels[score > (job->p->all_positive ? 0.5 : 0.0)];
}

/* One score for two classes: the first class gets what is missing to 1, or the opposite. */
static void split_score(const struct job *job, float score, float *z) {
    bool share = job->p->binary && job->p->all_positive && job->p->transform != LOGISTIC;
    z[0] = share ? 1.0f - score : -score;
    z[1] = score;
    if (job->p->transform == LOGISTIC || job->p->transform == PROBIT)
        transform(job, z, 2, job->p->transform);
}

/* At most two classes, in the manner of ONNX Runtime, for the standard says little: with two base
 * values and weights of the second class, that class's score is the first one's and its base. */
static int64_t finish_two(const struct job *job, struct fz_tree_score *s, float *z) {
    int64_t n = job->p->n_targets, n_base = fzi_tensor_count(job->base);
    bool second = n == 2 && s[1].has;
    if (n_base == 2 && second) {
        s[1].value = add(job, base_value(job, 1), s[0].value);
        s[0].value = -s[1].value;
    } else if (n_base) {
        s[0].value = add(job, s[0].value, base_value(job, 0));
    }
    if (n == 2 && n_base < 2 && !second) {
        split_score(job, (float)s[0].value, z);
    } else {
        for (int64_t i = 0; i < n; i++) z[i] = s[i].has ? (float)s[i].value : 0;
        if (n == 2 || job->p->transform == PROBIT) transform(job, z, n, job->p->transform);
    }
    return pick_label(job, second ? s[1].value : s[0].value);
}

static void finish_row(const struct job *job, int64_t r, struct fz_tree_score *s) {
    fz_tensor_t *const *out = job->call->out;
    int64_t n = job->p->n_targets;
    if (job->kind == ENSEMBLE) {
        finish_ensemble(job, s, r);
        return;
    }
    if (job->kind == REGRESSOR) {
        finish_regressor(job, s, (float *)out[0]->data + r * n);
        return;
    }
    bool scored = job->call->n_out > CLASS_SCORES && out[CLASS_SCORES];
    float two[2], *z = scored ? (float *)out[CLASS_SCORES]->data + r * n : NULL;
    int64_t label = n > 2 ? finish_classes(job, s, z) : finish_two(job, s, z ? z : two);
    if (out[LABEL]) ((int64_t *)out[LABEL]->data)[r] = label;
}

static void range(void *arg, int64_t begin, int64_t end) {
    struct job *job = arg;
    struct fz_tree_score stack[FZ_TREE_STACK];
    int64_t n = job->p->n_targets, block = fzi_max_i64(1, FZ_TREE_STACK / n);
    for (int64_t r = begin; r < end; r += block) {
        int64_t stop = fzi_min_i64(r + block, end);
        struct fz_tree_score *scores = stack;
        if (n > FZ_TREE_STACK) scores = (struct fz_tree_score *)job->call->scratch + r * n;
        memset(scores, 0, (size_t)((stop - r) * n) * sizeof *scores);
        if (!fzi_tree_scores(&job->walk, r, stop - r, scores)) {
            __atomic_store_n(&job->broken, 1, __ATOMIC_RELAXED);
            return;
        }
        for (int64_t i = r; i < stop; i++) finish_row(job, i, scores + (i - r) * n);
    }
}

/* Scores of all rows if those of one do not fit the stack. */
static size_t scratch(const struct fz_op *op, const struct fz_call *call) {
    const struct params *p = call->params;
    const fz_tensor_t *x = call->in[FZ_TREE_X];
    size_t rows = x->rank == 2 ? (size_t)x->dims[0] : 1, n;
    (void)op;
    if (p->n_targets <= FZ_TREE_STACK) return 0;
    if (!fzi_mul_size(rows, (size_t)p->n_targets * sizeof(struct fz_tree_score), &n))
        return SIZE_MAX;
    return n;
}

static fz_status_t run(const struct fz_op *op, const struct fz_call *call) {
    const fz_tensor_t *const *in = call->in, *x = in[FZ_TREE_X];
    bool has_thresholds = fzi_move_has(call, FZ_TREE_THRESHOLDS);
    const struct params *p = call->params;
    int64_t words = p->form.packed ? FZ_TREE_PACKED_WORDS : FZ_TREE_WORDS;
    struct job job = {.call = call, .p = p, .base = in[FZ_TREE_BASE], .kind = op->kind,
                      .labels = op->kind == CLASSIFIER ? in[FZ_TREE_LABELS]->data : NULL};
    job.walk = (struct fz_tree_job){
        .call = call, .form = &p->form, .x = x, .weights = in[FZ_TREE_WEIGHTS],
        .nodes = in[FZ_TREE_NODES]->data, .roots = in[FZ_TREE_ROOTS]->data,
        .targets = in[FZ_TREE_TARGETS]->data,
        .first = p->form.packed ? in[FZ_TREE_FIRST]->data : NULL,
        .thresholds = has_thresholds ? in[FZ_TREE_THRESHOLDS]->data : NULL,
        .n_nodes = fzi_tensor_count(in[FZ_TREE_NODES]) / words,
        .n_roots = fzi_tensor_count(in[FZ_TREE_ROOTS]),
        .n_weights = fzi_tensor_count(in[FZ_TREE_WEIGHTS]),
        .n_features = x->dims[x->rank - 1], .n_targets = p->n_targets,
        .aggregate = p->aggregate, .narrow = in[FZ_TREE_WEIGHTS]->dtype == FZ_TYPE_F32};
    int64_t rows = x->rank == 2 ? x->dims[0] : 1;
    job.broken = !fzi_tree_check(&job.walk);
    if (!job.broken)
        fzi_run_range(call->env, rows, 16384 / (job.walk.n_roots + 1) + 1, range, &job);
    if (job.broken) return fzi_error(FZ_E_VALUE, "%s: a row has too few features, or a table "
                                     "points outside of itself", op->name);
    return FZ_OK;
}

#define NODES                                                                                      \
    "aggregate_function base_values base_values_as_tensor nodes_falsenodeids nodes_featureids "    \
    "nodes_hitrates nodes_hitrates_as_tensor nodes_missing_value_tracks_true nodes_modes "         \
    "nodes_nodeids nodes_treeids nodes_truenodeids nodes_values nodes_values_as_tensor "           \
    "post_transform "
#define COMMON                                                                                     \
    .domain = "ai.onnx.ml", .rev = 1, .min_in = 1,                                                 \
    .max_in = FZ_TREE_INPUTS, .min_out = 1, .params_size = sizeof(struct params),                  \
    .infer = infer, .scratch = scratch, .run = run

const struct fz_op fz_ops_tree_ensemble[] = {
    {.name = "TreeEnsembleClassifier", .since = 1, .until = 4, .kind = CLASSIFIER,
     .max_out = 2,
     .attrs = NODES "class_ids class_nodeids class_treeids class_weights class_weights_as_tensor "
                    "classlabels_int64s classlabels_strings",
     .lower = lower_classifier, .compose = compose_classifier, COMMON},
    {.name = "TreeEnsembleRegressor", .since = 1, .until = 4, .kind = REGRESSOR,
     .max_out = 1,
     .attrs = NODES "n_targets target_ids target_nodeids target_treeids target_weights "
                    "target_weights_as_tensor",
     .lower = lower_regressor, COMMON},
    {.name = "TreeEnsemble", .since = 5, .kind = ENSEMBLE, .max_out = 1,
     .attrs = "aggregate_function leaf_targetids leaf_weights membership_values n_targets "
              "nodes_falseleafs nodes_falsenodeids nodes_featureids nodes_hitrates "
              "nodes_missing_value_tracks_true nodes_modes nodes_splits nodes_trueleafs "
              "nodes_truenodeids post_transform tree_roots",
     .lower = lower_ensemble, COMMON},
    {0},
};
