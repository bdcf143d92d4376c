/* TfIdfVectorizer: how often each n-gram of a pool occurs in a row, its items possibly apart. The
 * n-grams of each length are sorted when the model is frozen and found by halving. */
#include "ops/texts.h"

enum { X, STARTS, PLACES, POOL, WEIGHTS };
enum mode { TF, IDF, TFIDF };
enum { PLACES_MAX = 1 << 26 }; /* of the output */

struct params {
    int64_t mode, min, max, skips;
    int64_t n_out; /* places of the output */
};

/* ---- at freeze: sorting */

struct pool {
    const int64_t *numbers;
    const struct fz_string *strings; /* NULL: numbers */
    const int64_t *places;
    const float *weights;            /* may be NULL */
    int64_t n, n_grams;
};

static int compare_items(const struct pool *pool, int64_t a, int64_t b) {
    if (pool->strings) return fzi_text_compare(&pool->strings[a], &pool->strings[b]);
    return (pool->numbers[a] > pool->numbers[b]) - (pool->numbers[a] < pool->numbers[b]);
}

/* N-grams of LENGTH items that begin at A and B; equal ones stay in the order of the pool. */
static bool is_before(const struct pool *pool, int64_t length, int64_t a, int64_t b) {
    for (int64_t i = 0; i < length; i++) {
        int order = compare_items(pool, a + i, b + i);
        if (order) return order < 0;
    }
    return a < b;
}

/* Merge sort of the N starts at LIST, with as much room at TEMP. */
static void sort(const struct pool *pool, int64_t length, int64_t n, int64_t *list,
                 int64_t *temp) {
    for (int64_t width = 1; width < n; width *= 2) {
        for (int64_t low = 0; low < n; low += 2 * width) {
            int64_t mid = fzi_min_i64(low + width, n), high = fzi_min_i64(mid + width, n);
            for (int64_t a = low, b = mid, to = low; to < high; to++) {
                bool left = b == high || (a < mid && !is_before(pool, length, list[b], list[a]));
                temp[to] = left ? list[a++] : list[b++];
            }
        }
        memcpy(list, temp, (size_t)n * sizeof *list);
    }
}

static fz_status_t read_pool(const struct fz_node *node, struct pool *pool) {
    const struct fz_attr *strings = fzi_attr(node, "pool_strings");
    size_t n = 0, n_places = 0, n_weights = 0;
    FZ_TRY(fzi_attr_ints(node, "pool_int64s", &pool->numbers, &n));
    FZ_TRY(fzi_attr_ints(node, "ngram_indexes", &pool->places, &n_places));
    FZ_TRY(fzi_attr_floats(node, "weights", &pool->weights, &n_weights));
    if ((strings && strings->kind != FZ_ATTR_STRINGS) || (!strings) == (!pool->numbers))
        return fzi_error(FZ_E_FORMAT, "the pool is either pool_int64s or pool_strings");
    if (strings) {
        pool->strings = strings->strings;
        n = strings->n;
    }
    pool->n = (int64_t)n;
    pool->n_grams = (int64_t)n_places;
    if (pool->weights && n_weights != n_places)
        return fzi_error(FZ_E_FORMAT, "%zu weights of %zu n-grams", n_weights, n_places);
    return FZ_OK;
}

/* Where the n-grams of LENGTH lie in the pool; false if that makes no sense. */
static bool section(const int64_t *starts, int64_t n_starts, int64_t n_pool, int64_t length,
                    int64_t *begin, int64_t *end) {
    *begin = length <= n_starts ? starts[length - 1] : n_pool;
    *end = length < n_starts ? starts[length] : n_pool;
    return *begin >= 0 && *begin <= *end && *end <= n_pool && (*end - *begin) % length == 0;
}

/* The pool's beginnings of n-grams in their order, all lengths one behind the other. */
static fz_status_t order_pool(const struct pool *pool, const int64_t *starts, int64_t n_starts,
                              int64_t *order, int64_t *temp, int64_t *lengths) {
    int64_t at = 0, begin, end;
    for (int64_t length = 1; length <= n_starts; length++) {
        if (!section(starts, n_starts, pool->n, length, &begin, &end) ||
            (end - begin) / length > pool->n_grams - at)
            return fzi_error(FZ_E_FORMAT, "'ngram_counts' does not fit the pool");
        int64_t n = (end - begin) / length;
        for (int64_t i = 0; i < n; i++) {
            order[at + i] = begin + i * length;
            lengths[at + i] = length;
        }
        sort(pool, length, n, order + at, temp);
        at += n;
    }
    if (at == pool->n_grams) return FZ_OK;
    return fzi_error(FZ_E_FORMAT, "%lld places of %lld n-grams", (long long)pool->n_grams,
                     (long long)at);
}

/* Place and weight of an n-gram are found by its number in the pool as it was. */
static int64_t number_of(const int64_t *starts, int64_t length, int64_t begin) {
    int64_t number = 0;
    for (int64_t l = 1; l < length; l++) number += (starts[l] - starts[l - 1]) / l;
    return number + (begin - starts[length - 1]) / length;
}

/* The sorted tables, as constant inputs. */
static fz_status_t add_tables(struct fz_lower *lower, struct fz_node *node,
                              const struct pool *pool, const int64_t *starts, int64_t n_starts,
                              int64_t n_out) {
    struct fz_arena *arena = lower->graph->arena;
    int64_t n = pool->n_grams, at = 0;
    int64_t *order = fzi_arena_array(arena, (size_t)n, 4 * sizeof *order);
    int64_t *temp = order + n, *lengths = temp + n, *places = lengths + n;
    float *weights = fzi_arena_array(arena, (size_t)n_out, sizeof *weights);
    size_t width = pool->strings ? sizeof *pool->strings : sizeof *pool->numbers;
    const char *items = pool->strings ? (const char *)pool->strings : (const char *)pool->numbers;
    char *sorted = fzi_arena_array(arena, (size_t)pool->n, width);
    if (!order || !weights || !sorted) return fzi_error(FZ_E_NOMEM, "no memory for a pool");
    FZ_TRY(order_pool(pool, starts, n_starts, order, temp, lengths));
    for (int64_t i = 0; i < n; at += lengths[i++]) {
        int64_t from = number_of(starts, lengths[i], order[i]);
        places[i] = pool->places[from];
        memcpy(sorted + (size_t)at * width, items + (size_t)order[i] * width,
               (size_t)lengths[i] * width);
    }
    /* The last n-gram of a place gives its weight. */
    for (int64_t i = 0; i < n_out; i++) weights[i] = 1;
    for (int64_t i = 0; i < n && pool->weights; i++) weights[pool->places[i]] = pool->weights[i];
    FZ_TRY(fzi_lower_constant(lower, node, STARTS, FZ_TYPE_I64, n_starts, starts));
    FZ_TRY(fzi_lower_constant(lower, node, PLACES, FZ_TYPE_I64, n, places));
    FZ_TRY(fzi_lower_constant(lower, node, POOL, pool->strings ? FZ_TYPE_STRING : FZ_TYPE_I64,
                              pool->n, sorted));
    return fzi_lower_constant(lower, node, WEIGHTS, FZ_TYPE_F32, n_out, weights);
}

static fz_status_t lower(struct fz_lower *lower, struct fz_node *node, void *params) {
    static const char *const modes[] = {"TF", "IDF", "TFIDF", NULL};
    struct params *p = params;
    struct pool pool = {0};
    const int64_t *starts = NULL;
    size_t n_starts = 0;
    FZ_TRY(fzi_attr_choice(node, "mode", modes, TF, &p->mode));
    FZ_TRY(fzi_attr_int(node, "min_gram_length", 1, &p->min));
    FZ_TRY(fzi_attr_int(node, "max_gram_length", 1, &p->max));
    FZ_TRY(fzi_attr_int(node, "max_skip_count", 0, &p->skips));
    FZ_TRY(fzi_attr_ints(node, "ngram_counts", &starts, &n_starts));
    FZ_TRY(read_pool(node, &pool));
    if (n_starts == 0 || starts[0] != 0 || p->min < 1 || p->max < p->min || p->skips < 0)
        return fzi_error(FZ_E_FORMAT, "TfIdfVectorizer: the lengths of n-grams make no sense");
    for (int64_t i = 0; i < pool.n_grams; i++) {
        if (pool.places[i] < 0 || pool.places[i] >= PLACES_MAX)
            return fzi_error(FZ_E_FORMAT, "an n-gram has the place %lld",
                             (long long)pool.places[i]);
        p->n_out = fzi_max_i64(p->n_out, pool.places[i] + 1);
    }
    return add_tables(lower, node, &pool, starts, (int64_t)n_starts, p->n_out);
}

/* ---- at run */

static fz_status_t check_list(const struct fz_op *op, const struct fz_call *call, uint32_t i,
                              uint64_t types, int64_t n) {
    FZ_TRY(fzi_infer_type(op, call, i, types));
    if (i < call->n_in && call->in[i] && call->in[i]->rank == 1 && call->in[i]->dims[0] >= 0 &&
        (n < 0 || call->in[i]->dims[0] == n))
        return FZ_OK;
    return fzi_error(FZ_E_FORMAT, "%s: table %u does not fit", op->name, i);
}

static fz_status_t infer(const struct fz_op *op, const struct fz_call *call) {
    const struct params *p = call->params;
    const fz_tensor_t *in = call->in[X];
    uint64_t texts = FZ_T(STRING), numbers = FZ_T(I32) | FZ_T(I64);
    FZ_TRY(check_list(op, call, STARTS, FZ_T(I64), -1));
    FZ_TRY(check_list(op, call, PLACES, FZ_T(I64), -1));
    FZ_TRY(check_list(op, call, POOL, texts | FZ_T(I64), -1));
    FZ_TRY(check_list(op, call, WEIGHTS, FZ_T(F32), p->n_out));
    FZ_TRY(fzi_infer_type(op, call, X, call->in[POOL]->dtype == FZ_TYPE_STRING ? texts : numbers));
    if (p->mode < TF || p->mode > TFIDF || p->n_out < 0 || p->n_out > PLACES_MAX || p->min < 1 ||
        p->skips < 0)
        return fzi_error(FZ_E_FORMAT, "%s: parameters make no sense", op->name);
    if (in->rank > 2 || in->rank == 0)
        return fzi_error(FZ_E_SHAPE, "%s: the input is neither a row nor rows", op->name);
    if (in->rank < 0) fzi_infer_unknown(call, 0, FZ_TYPE_F32);
    else
        fzi_infer_shape(call, 0, FZ_TYPE_F32, in->rank,
                        in->rank == 1 ? &p->n_out : (int64_t[2]){in->dims[0], p->n_out});
    return FZ_OK;
}

struct job {
    const struct fz_call *call;
    const struct params *p;
    int64_t n_items; /* of a row */
};

/* The n-gram of LENGTH items STEP apart from place AT of X on against the pool's at POOL. */
static int compare_gram(const struct fz_call *call, int64_t at, int64_t step, int64_t length,
                        int64_t pool) {
    const fz_tensor_t *x = call->in[X], *p = call->in[POOL];
    for (int64_t i = 0; i < length; i++, at += step) {
        int order;
        if (p->dtype == FZ_TYPE_STRING)
            order = fzi_text_compare((const struct fz_string *)x->data + at,
                                     (const struct fz_string *)p->data + pool + i);
        else {
            int64_t a = fzi_tensor_int(x, at), b = ((const int64_t *)p->data)[pool + i];
            order = (a > b) - (a < b);
        }
        if (order) return order;
    }
    return 0;
}

/* The number of the n-gram in the pool's section of N at BEGIN, or -1. */
static int64_t find(const struct fz_call *call, int64_t at, int64_t step, int64_t length,
                    int64_t begin, int64_t n) {
    int64_t low = 0, high = n;
    while (low < high) {
        int64_t mid = low + (high - low) / 2;
        if (compare_gram(call, at, step, length, begin + mid * length) > 0) low = mid + 1;
        else high = mid;
    }
    bool found = low < n && compare_gram(call, at, step, length, begin + low * length) == 0;
    return found ? low : -1;
}

/* Counts the n-grams of LENGTH in the row at FIRST; FROM is the number of the pool's first one. */
static void count_length(const struct job *job, int64_t first, int64_t length, int64_t begin,
                         int64_t n, int64_t from, float *row) {
    const int64_t *places = job->call->in[PLACES]->data;
    int64_t skips = length == 1 ? 0 : job->p->skips;
    for (int64_t step = 1; step <= skips + 1; step++) {
        if (step > job->n_items || (length - 1) > (job->n_items - 1) / step) break;
        for (int64_t i = 0; i + (length - 1) * step < job->n_items; i++) {
            int64_t k = find(job->call, first + i, step, length, begin, n);
            if (k < 0 || from + k >= job->call->in[PLACES]->dims[0]) continue;
            int64_t place = places[from + k];
            if (place >= 0 && place < job->p->n_out) row[place] += 1;
        }
    }
}

/* Weights what was counted. */
static void weigh(const struct job *job, float *row) {
    const float *weights = job->call->in[WEIGHTS]->data;
    for (int64_t i = 0; i < job->p->n_out && job->p->mode != TF; i++)
        if (row[i] > 0) row[i] = (job->p->mode == IDF ? 1 : row[i]) * weights[i];
}

static void rows(void *arg, int64_t begin, int64_t end) {
    const struct job *job = arg;
    const fz_tensor_t *starts = job->call->in[STARTS], *pool = job->call->in[POOL];
    for (int64_t r = begin; r < end; r++) {
        float *row = (float *)job->call->out[0]->data + r * job->p->n_out;
        int64_t from = 0, first, last;
        for (int64_t i = 0; i < job->p->n_out; i++) row[i] = 0;
        for (int64_t length = 1; length <= starts->dims[0] && length <= job->p->max; length++) {
            if (!section(starts->data, starts->dims[0], pool->dims[0], length, &first, &last))
                break;
            int64_t n = (last - first) / length;
            if (length >= job->p->min)
                count_length(job, r * job->n_items, length, first, n, from, row);
            from += n;
        }
        weigh(job, row);
    }
}

static fz_status_t run(const struct fz_op *op, const struct fz_call *call) {
    const fz_tensor_t *in = call->in[X];
    struct job job = {call, call->params, in->dims[in->rank - 1]};
    (void)op;
    fzi_run_range(call->env, in->rank == 1 ? 1 : in->dims[0], 1, rows, &job);
    return FZ_OK;
}

const struct fz_op fz_ops_tfidf_vectorizer[] = {
    {.name = "TfIdfVectorizer", .domain = "", .since = 9, .rev = 1, .flags = FZ_OP_ANY_TYPE,
     .min_in = 1, .max_in = 5, .min_out = 1, .max_out = 1,
     .attrs = "max_gram_length max_skip_count min_gram_length mode ngram_counts ngram_indexes "
              "pool_int64s pool_strings weights",
     .params_size = sizeof(struct params), .lower = lower, .infer = infer, .run = run},
    {0},
};
