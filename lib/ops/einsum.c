/* Einsum: each output element is the sum of products of operand elements over the labels that the
 * output lacks, in the order of their first appearance. Products are taken from left to right, each
 * rounded; sums are those of ReduceSum (16 lanes), of integers modulo 2^n. */
#include "ops/op.h"

enum {
    MAX_TERMS = 4,      /* operands */
    MAX_LABELS = 24,    /* different ones, those that "..." stands for included */
    LETTERS = 52,
    ELLIPSIS = LETTERS, /* as a label of params; in run, label ELLIPSIS + i is its dimension i */
    N_IDS = LETTERS + FZ_RANK_MAX
};

/* A list of labels; what it holds at most is a letter for each dimension and an ellipsis. */
struct term {
    int64_t n;
    int64_t label[FZ_RANK_MAX + 1];
};

struct params {
    int64_t n_terms;
    struct term term[MAX_TERMS];
    struct term out;
};

/* ---- the equation */

static int64_t letter(char c) {
    if (c >= 'A' && c <= 'Z') return c - 'A';
    return c >= 'a' && c <= 'z' ? c - 'a' + 26 : -1;
}

/* Reads the labels from *AT up to a comma, an arrow or the end. */
static fz_status_t read_term(const char **at, struct term *term) {
    for (; **at && **at != ',' && **at != '-'; ++*at) {
        int64_t label = letter(**at);
        if (**at == ' ') continue;
        if (strncmp(*at, "...", 3) == 0) {
            label = ELLIPSIS;
            *at += 2;
        }
        if (label < 0 || term->n > FZ_RANK_MAX)
            return fzi_error(FZ_E_FORMAT, "attribute 'equation' has no sense at '%s'", *at);
        term->label[term->n++] = label;
    }
    return FZ_OK;
}

/* Without an arrow: the ellipsis, then the letters that appear once, in alphabetical order. */
static fz_status_t imply(struct params *p) {
    int64_t count[LETTERS + 1] = {0};
    for (int64_t t = 0; t < p->n_terms; t++)
        for (int64_t i = 0; i < p->term[t].n; i++) count[p->term[t].label[i]]++;
    if (count[ELLIPSIS]) p->out.label[p->out.n++] = ELLIPSIS;
    for (int64_t l = 0; l < LETTERS; l++) {
        if (count[l] != 1) continue;
        if (p->out.n > FZ_RANK_MAX)
            return fzi_error(FZ_E_UNSUPPORTED, "attribute 'equation' has more than %d labels",
                             FZ_RANK_MAX);
        p->out.label[p->out.n++] = l;
    }
    return FZ_OK;
}

static fz_status_t lower(struct fz_lower *lower, struct fz_node *node, void *params) {
    struct params *p = params;
    const struct fz_attr *attr = fzi_attr(node, "equation");
    (void)lower;
    if (!attr || attr->kind != FZ_ATTR_STRING)
        return fzi_error(FZ_E_FORMAT, "attribute 'equation' is missing");
    const char *at = attr->s;
    for (;; at++) {
        if (p->n_terms == MAX_TERMS)
            return fzi_error(FZ_E_UNSUPPORTED, "more than %d operands", MAX_TERMS);
        FZ_TRY(read_term(&at, &p->term[p->n_terms++]));
        if (*at != ',') break;
    }
    if (*at == 0) return imply(p);
    if (at[1] != '>') return fzi_error(FZ_E_FORMAT, "attribute 'equation' has a lone '-'");
    at += 2;
    FZ_TRY(read_term(&at, &p->out));
    return *at ? fzi_error(FZ_E_FORMAT, "attribute 'equation' goes on at '%s'", at) : FZ_OK;
}

/* ---- shapes */

/* The loops: output labels first, then those that are summed. */
struct loops {
    int32_t n, n_out;
    int64_t dims[MAX_LABELS];
    int64_t step[MAX_TERMS][MAX_LABELS];
    int32_t of[N_IDS]; /* which loop a label is; -1: none yet */
    uint32_t seen;     /* loops that an operand has */
};

static fz_status_t check_params(const struct fz_op *op, const struct fz_call *call) {
    const struct params *p = call->params;
    bool good = p->n_terms >= 1 && p->n_terms <= MAX_TERMS && p->n_terms == call->n_in;
    for (int64_t t = 0; t <= MAX_TERMS && good; t++) {
        const struct term *term = t < MAX_TERMS ? &p->term[t] : &p->out;
        good = term->n >= 0 && term->n <= FZ_RANK_MAX + 1;
        int64_t n_ellipses = 0;
        for (int64_t i = 0; i < term->n && good; i++) {
            good = term->label[i] >= 0 && term->label[i] <= ELLIPSIS;
            n_ellipses += term->label[i] == ELLIPSIS;
        }
        good = good && n_ellipses <= 1;
    }
    return good ? FZ_OK : fzi_error(FZ_E_FORMAT, "%s: the equation does not fit", op->name);
}

static bool has_ellipsis(const struct term *term) {
    for (int64_t i = 0; i < term->n; i++)
        if (term->label[i] == ELLIPSIS) return true;
    return false;
}

/* The labels of TERM with WIDTH dimensions for its ellipsis, the last ones of all that there are;
 * the number of them, or -1 if they are too many. */
static int32_t expand(const struct term *term, int32_t width, int32_t *ids) {
    int32_t n = 0;
    for (int64_t i = 0; i < term->n; i++) {
        bool many = term->label[i] == ELLIPSIS;
        for (int32_t d = 0; d < (many ? width : 1); d++) {
            if (n == FZ_RANK_MAX) return -1;
            ids[n++] = many ? ELLIPSIS + FZ_RANK_MAX - width + d : (int32_t)term->label[i];
        }
    }
    return n;
}

static bool add_loop(struct loops *loops, int32_t id) {
    if (loops->of[id] >= 0) return true;
    if (loops->n == MAX_LABELS) return false;
    loops->dims[loops->n] = 1;
    loops->of[id] = loops->n++;
    return true;
}

/* One operand's dimensions and strides, its loops added; a dimension of 1 fits every other. */
static fz_status_t add_operand(const struct fz_op *op, const fz_tensor_t *t, int64_t i,
                               const int32_t *ids, struct loops *loops) {
    int64_t step = 1;
    for (int32_t d = t->rank - 1; d >= 0; d--) {
        int32_t at = loops->of[ids[d]];
        int64_t *dim = &loops->dims[at];
        if (*dim == 1) *dim = t->dims[d];
        else if (t->dims[d] != 1 && t->dims[d] != *dim)
            return fzi_error(FZ_E_SHAPE, "%s: a label has %lld and %lld elements", op->name,
                             (long long)*dim, (long long)t->dims[d]);
        if (t->dims[d] != 1) loops->step[i][at] += step;
        step *= t->dims[d];
    }
    return FZ_OK;
}

/* Builds the loops for known shapes. */
static fz_status_t plan(const struct fz_op *op, const struct fz_call *call, struct loops *loops) {
    const struct params *p = call->params;
    int32_t ids[MAX_TERMS + 1][FZ_RANK_MAX], widest = 0;
    memset(loops, 0, sizeof *loops);
    for (int32_t i = 0; i < N_IDS; i++) loops->of[i] = -1;
    for (int64_t t = 0; t < p->n_terms; t++) {
        bool dots = has_ellipsis(&p->term[t]);
        int32_t rank = call->in[t]->rank, width = rank - (int32_t)p->term[t].n + 1;
        if ((dots ? width < 0 : width != 1) || expand(&p->term[t], dots ? width : 0, ids[t]) < 0)
            return fzi_error(FZ_E_SHAPE, "%s: operand %d has rank %d", op->name, (int)t, rank);
        if (dots && width > widest) widest = width;
    }
    int32_t n = expand(&p->out, widest, ids[MAX_TERMS]);
    if (n < 0)
        return fzi_error(FZ_E_UNSUPPORTED, "%s: the rank of the output is over %d", op->name,
                         FZ_RANK_MAX);
    for (int32_t i = 0; i < n; i++) {
        if (loops->of[ids[MAX_TERMS][i]] >= 0 || !add_loop(loops, ids[MAX_TERMS][i]))
            return fzi_error(FZ_E_FORMAT, "%s: the output names a label twice", op->name);
    }
    loops->n_out = n;
    for (int64_t t = 0; t < p->n_terms; t++) {
        /* Labels in their order of appearance, then strides from the last. */
        for (int32_t d = 0; d < call->in[t]->rank; d++)
            if (!add_loop(loops, ids[t][d]))
                return fzi_error(FZ_E_UNSUPPORTED, "%s: too many labels", op->name);
        FZ_TRY(add_operand(op, call->in[t], t, ids[t], loops));
        for (int32_t d = 0; d < call->in[t]->rank; d++) loops->seen |= 1u << loops->of[ids[t][d]];
    }
    if (~loops->seen & ((1u << loops->n_out) - 1))
        return fzi_error(FZ_E_FORMAT, "%s: the output has a label of no operand", op->name);
    int64_t all;
    if (!fzi_dims_count(loops->dims, 0, loops->n, &all))
        return fzi_error(FZ_E_SHAPE, "%s: too many products", op->name);
    return FZ_OK;
}

static fz_status_t infer(const struct fz_op *op, const struct fz_call *call) {
    const struct params *p = call->params;
    int32_t dtype = call->in[0]->dtype;
    bool known = true;
    struct loops loops;
    FZ_TRY(check_params(op, call));
    for (uint32_t i = 0; i < call->n_in; i++) {
        if (!call->in[i]) return fzi_error(FZ_E_FORMAT, "%s: operand %u is absent", op->name, i);
        FZ_TRY(fzi_infer_type(op, call, i, FZ_T(F32) | FZ_T(F64) | FZ_T_INT | FZ_T_UINT));
        FZ_TRY(fzi_infer_type(op, call, i, 1ull << dtype));
        known = known && fzi_shape_known(call->in[i]);
    }
    if (known) {
        FZ_TRY(plan(op, call, &loops));
        fzi_infer_shape(call, 0, dtype, loops.n_out, loops.dims);
        return FZ_OK;
    }
    int64_t dims[FZ_RANK_MAX + 1];
    for (int64_t i = 0; i < p->out.n; i++) dims[i] = FZ_DIM_UNKNOWN;
    if (has_ellipsis(&p->out) || p->out.n > FZ_RANK_MAX) fzi_infer_unknown(call, 0, dtype);
    else fzi_infer_shape(call, 0, dtype, (int32_t)p->out.n, dims);
    return FZ_OK;
}

/* ---- sums */

struct job {
    const struct loops *loops;
    const struct fz_call *call;
    int64_t terms; /* products of one sum */
};

/* The operands' offsets of output element I. */
static void place(const struct job *job, int64_t i, int64_t off[MAX_TERMS]) {
    const struct loops *l = job->loops;
    for (int t = 0; t < MAX_TERMS; t++) off[t] = 0;
    for (int32_t d = l->n_out - 1; d >= 0; d--) {
        for (int t = 0; t < MAX_TERMS; t++) off[t] += i % l->dims[d] * l->step[t][d];
        i /= l->dims[d];
    }
}

/* The next place of the summed labels, the last one fastest. */
static void advance(const struct loops *l, int64_t index[MAX_LABELS], int64_t off[MAX_TERMS]) {
    for (int32_t d = l->n - 1; d >= l->n_out; d--) {
        bool wraps = ++index[d] == l->dims[d];
        for (int t = 0; t < MAX_TERMS; t++)
            off[t] += wraps ? l->step[t][d] * (1 - l->dims[d]) : l->step[t][d];
        if (!wraps) return;
        index[d] = 0;
    }
}

/* Outputs [begin, end): 16 lanes, each in blocks of 256, then the tree. */
#define SUMS(name, type, wide)                                                                     \
    static void name(void *arg, int64_t begin, int64_t end) {                                      \
        const struct job *job = arg;                                                               \
        const struct fz_call *call = job->call;                                                    \
        for (int64_t i = begin; i < end; i++) {                                                    \
            int64_t off[MAX_TERMS], index[MAX_LABELS] = {0};                                       \
            wide lane[16] = {0};                                                                   \
            place(job, i, off);                                                                    \
            for (int64_t from = 0; from < job->terms; from += 4096) {                              \
                wide s[16] = {0};                                                                  \
                int64_t to = fzi_min_i64(job->terms, from + 4096);                                 \
                for (int64_t j = from; j < to; j++, advance(job->loops, index, off)) {             \
                    wide x = ((const type *)call->in[0]->data)[off[0]];                            \
                    for (uint32_t t = 1; t < call->n_in; t++)                                      \
                        x = x * ((const type *)call->in[t]->data)[off[t]];                         \
                    s[j % 16] += x;                                                                \
                }                                                                                  \
                for (int l = 0; l < 16; l++) lane[l] += s[l];                                      \
            }                                                                                      \
            for (int half = 8; half > 0; half /= 2)                                                \
                for (int l = 0; l < half; l++) lane[l] += lane[l + half];                          \
            ((type *)call->out[0]->data)[i] = (type)lane[0];                                       \
        }                                                                                          \
    }
SUMS(sums_f32, float, float)
SUMS(sums_f64, double, double)
SUMS(sums_i8, uint8_t, uint32_t)
SUMS(sums_i16, uint16_t, uint32_t)
SUMS(sums_i32, uint32_t, uint32_t)
SUMS(sums_i64, uint64_t, uint64_t)

static fz_status_t run(const struct fz_op *op, const struct fz_call *call) {
    struct loops loops;
    FZ_TRY(plan(op, call, &loops));
    struct job job = {&loops, call, 1};
    for (int32_t d = loops.n_out; d < loops.n; d++) job.terms *= loops.dims[d];
    static const fz_range_fn whole[9] = {[1] = sums_i8, [2] = sums_i16, [4] = sums_i32,
                                         [8] = sums_i64};
    fz_range_fn sums = whole[fzi_type_width(call->out[0]->dtype)];
    if (call->out[0]->dtype == FZ_TYPE_F32) sums = sums_f32;
    if (call->out[0]->dtype == FZ_TYPE_F64) sums = sums_f64;
    fzi_run_range(call->env, fzi_tensor_count(call->out[0]),
                  fzi_max_i64(1, 4096 / fzi_max_i64(1, job.terms)), sums, &job);
    return FZ_OK;
}

const struct fz_op fz_ops_einsum[] = {
    {.name = "Einsum", .domain = "", .since = 12, .rev = 1, .min_in = 1, .max_in = MAX_TERMS,
     .min_out = 1, .max_out = 1, .attrs = "equation", .params_size = sizeof(struct params),
     .lower = lower, .infer = infer, .run = run},
    {0},
};
