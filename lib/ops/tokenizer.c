/* Tokenizer of com.microsoft: cuts strings into tokens, which lie where the strings lie. Tokens are
 * what regular expressions leave between their matches, one after the other; or the matches of one;
 * or, with the empty string as the only separator, single characters. Tokens of too few characters
 * are left out. */
#include "ops/regex.h"

enum kind { CHARACTERS, SEPARATORS, MATCHES };
enum { TEXTS, PATTERNS, PADDING };

struct params {
    int64_t kind, mark, least; /* characters of a token */
};

static fz_status_t check_patterns(const struct fz_string *patterns, size_t n) {
    for (size_t i = 0; i < n; i++) {
        struct fz_regex regex;
        fz_status_t status = fzi_regex_compile(&patterns[i], &regex);
        fzi_regex_free(&regex);
        FZ_TRY(status);
    }
    return FZ_OK;
}

static fz_status_t lower(struct fz_lower *lower, struct fz_node *node, void *params) {
    struct params *p = params;
    const struct fz_attr *separators = fzi_attr(node, "separators");
    const struct fz_attr *token = fzi_attr(node, "tokenexp"), *pad = fzi_attr(node, "pad_value");
    struct fz_string one = {0}, padding = {0};
    FZ_TRY(fzi_attr_int(node, "mark", 0, &p->mark));
    FZ_TRY(fzi_attr_int(node, "mincharnum", 1, &p->least));
    if (pad && pad->kind == FZ_ATTR_STRING) padding = (struct fz_string){pad->s, pad->n};
    if (token && token->kind == FZ_ATTR_STRING) one = (struct fz_string){token->s, token->n};
    bool cut = separators && separators->kind == FZ_ATTR_STRINGS && separators->n > 0;
    if (cut == (one.size > 0))
        return fzi_error(FZ_E_FORMAT, "Tokenizer needs either separators or tokenexp");
    const struct fz_string *patterns = cut ? separators->strings : &one;
    size_t n = cut ? separators->n : 1;
    p->kind = !cut ? MATCHES : n == 1 && !patterns[0].size ? CHARACTERS : SEPARATORS;
    FZ_TRY(check_patterns(patterns, n));
    FZ_TRY(fzi_lower_constant(lower, node, PATTERNS, FZ_TYPE_STRING, (int64_t)n, patterns));
    return fzi_lower_constant(lower, node, PADDING, FZ_TYPE_STRING, 1, &padding);
}

static fz_status_t infer(const struct fz_op *op, const struct fz_call *call) {
    const struct params *p = call->params;
    const fz_tensor_t *in = call->in[TEXTS];
    const fz_tensor_t *patterns = call->n_in > PADDING ? call->in[PATTERNS] : NULL;
    const fz_tensor_t *padding = call->n_in > PADDING ? call->in[PADDING] : NULL;
    fz_tensor_t out = *in;
    for (uint32_t i = TEXTS; i <= PADDING; i++)
        FZ_TRY(fzi_infer_type(op, call, i, FZ_T(STRING)));
    if (!patterns || !padding || patterns->rank != 1 || patterns->dims[0] < 1 ||
        padding->rank != 1 || padding->dims[0] != 1 || p->kind < CHARACTERS || p->kind > MATCHES ||
        p->least < 1)
        return fzi_error(FZ_E_FORMAT, "%s: bad patterns, padding or mincharnum", op->name);
    if (in->rank == 0 || in->rank > 2)
        return fzi_error(FZ_E_SHAPE, "%s: the input is no row and no matrix of strings", op->name);
    if (in->rank > 0) out.dims[out.rank++] = FZ_DIM_UNKNOWN;
    fzi_infer_like(call, 0, FZ_TYPE_STRING, &out);
    return FZ_OK;
}

/* ---- a list that grows */

struct list {
    struct fz_string *items;
    size_t n, size;
};

static fz_status_t add(struct list *list, const struct fz_string *s, size_t begin, size_t end) {
    if (list->n == list->size) {
        size_t size = 2 * list->size + 64;
        struct fz_string *items = fzi_realloc(list->items, size * sizeof *items);
        if (!items) return fzi_error(FZ_E_NOMEM, "no memory for tokens");
        list->items = items;
        list->size = size;
    }
    list->items[list->n++] = (struct fz_string){s->size ? s->text + begin : NULL, end - begin};
    return FZ_OK;
}

/* ---- cutting */

struct job {
    const struct fz_call *call;
    const struct params *p;
    const struct fz_regex *regex; /* one for each pattern */
    size_t n_regex;
    void *scratch;
    struct list tokens, pieces, cut; /* of all strings; of one, before and after a separator */
};

/* True if S has as many characters from BEGIN to END as a token needs. */
static bool is_long(const struct job *j, const struct fz_string *s, size_t begin, size_t end) {
    const struct fz_string part = {s->size ? s->text + begin : NULL, end - begin};
    int64_t n = 0;
    for (size_t at = 0; at < part.size && n < j->p->least; n++) (void)fzi_text_next(&part, &at);
    return n >= j->p->least;
}

static fz_status_t keep(const struct job *j, struct list *list, const struct fz_string *s,
                        size_t begin, size_t end) {
    return is_long(j, s, begin, end) ? add(list, s, begin, end) : FZ_OK;
}

static fz_status_t characters(struct job *j, const struct fz_string *s) {
    for (size_t at = 0, begin; at < s->size;) {
        begin = at;
        (void)fzi_text_next(s, &at);
        FZ_TRY(add(&j->tokens, s, begin, at));
    }
    return FZ_OK;
}

/* Where to go on behind a match that does not count: behind its first character. */
static size_t behind(const struct fz_string *s, size_t begin) {
    if (begin < s->size) (void)fzi_text_next(s, &begin);
    else begin++;
    return begin;
}

static fz_status_t matches(struct job *j, const struct fz_string *s) {
    size_t begin, end;
    if (!is_long(j, s, 0, s->size)) return FZ_OK;
    for (size_t at = 0; at <= s->size;) {
        FZ_TRY(j->call->env->poll(j->call->env));
        if (!fzi_regex_find(j->regex, s, at, j->scratch, &begin, &end)) return FZ_OK;
        at = is_long(j, s, begin, end) ? end : behind(s, begin);
        if (at == end) FZ_TRY(keep(j, &j->tokens, s, begin, end));
    }
    return FZ_OK;
}

/* What REGEX leaves of the piece S. */
static fz_status_t cut_piece(struct job *j, const struct fz_regex *regex,
                             const struct fz_string *s) {
    size_t at = 0, begin, end;
    while (at <= s->size && fzi_regex_find(regex, s, at, j->scratch, &begin, &end)) {
        FZ_TRY(j->call->env->poll(j->call->env));
        FZ_TRY(keep(j, &j->cut, s, at, begin));
        at = end > begin ? end : behind(s, begin);
    }
    return at <= s->size ? keep(j, &j->cut, s, at, s->size) : FZ_OK;
}

static fz_status_t separate(struct job *j, const struct fz_string *s) {
    j->pieces.n = 0;
    FZ_TRY(add(&j->pieces, s, 0, s->size));
    for (size_t r = 0; r < j->n_regex; r++) {
        j->cut.n = 0;
        for (size_t i = 0; i < j->pieces.n; i++)
            FZ_TRY(cut_piece(j, &j->regex[r], &j->pieces.items[i]));
        struct list swap = j->pieces;
        j->pieces = j->cut;
        j->cut = swap;
    }
    for (size_t i = 0; i < j->pieces.n; i++)
        FZ_TRY(add(&j->tokens, &j->pieces.items[i], 0, j->pieces.items[i].size));
    return FZ_OK;
}

/* ---- the result */

static const struct fz_string marks[] = {{"\2", 1}, {"\3", 1}};

/* Row I of the output, MOST wide, gets tokens [FROM, TO). */
static void put_row(const struct job *j, int64_t i, int64_t most, size_t from, size_t to) {
    struct fz_string *row = (struct fz_string *)j->call->out[0]->data + i * most;
    const struct fz_string *padding = j->call->in[PADDING]->data;
    int64_t n = 0;
    if (j->p->mark) row[n++] = marks[0];
    for (size_t t = from; t < to; t++) row[n++] = j->tokens.items[t];
    if (j->p->mark) row[n++] = marks[1];
    while (n < most) row[n++] = *padding;
}

/* Tokens of all strings, and where those of each end. */
static fz_status_t collect(struct job *j, size_t *ends, int64_t *most) {
    const fz_tensor_t *in = j->call->in[TEXTS];
    const struct fz_string *s = in->data;
    *most = 0;
    for (int64_t i = 0, n = fzi_tensor_count(in); i < n; i++) {
        size_t before = j->tokens.n;
        FZ_TRY(j->p->kind == CHARACTERS ? characters(j, &s[i])
               : j->p->kind == MATCHES  ? matches(j, &s[i]) : separate(j, &s[i]));
        ends[i] = j->tokens.n;
        *most = fzi_max_i64(*most, (int64_t)(j->tokens.n - before));
    }
    if (*most && j->p->mark) *most += 2;
    return FZ_OK;
}

static fz_status_t tokenize(struct job *j) {
    const fz_tensor_t *in = j->call->in[TEXTS];
    int64_t n = fzi_tensor_count(in), most;
    fz_tensor_t shape = *in;
    size_t *ends = fzi_arena_alloc(j->call->env->heap, ((size_t)n + 1) * sizeof *ends);
    size_t room = 1;
    for (size_t i = 0; i < j->n_regex; i++) {
        size_t size = fzi_regex_scratch(&j->regex[i]);
        if (size > room) room = size;
    }
    j->scratch = fzi_arena_alloc(j->call->env->heap, room);
    if (!ends || !j->scratch) return fzi_error(FZ_E_NOMEM, "no memory for tokens");
    FZ_TRY(collect(j, ends, &most));
    shape.dims[shape.rank++] = most;
    FZ_TRY(j->call->env->resize(j->call, 0, shape.rank, shape.dims));
    for (int64_t i = 0; i < n && most && j->call->out[0]; i++)
        put_row(j, i, most, i ? ends[i - 1] : 0, ends[i]);
    return FZ_OK;
}

static fz_status_t run(const struct fz_op *op, const struct fz_call *call) {
    const struct params *p = call->params;
    size_t n = p->kind == CHARACTERS ? 0 : (size_t)fzi_tensor_count(call->in[PATTERNS]);
    struct fz_regex *regex = fzi_arena_array(call->env->heap, n + 1, sizeof *regex);
    struct job j = {.call = call, .p = p, .regex = regex};
    fz_status_t status = FZ_OK;
    (void)op;
    if (!regex) return fzi_error(FZ_E_NOMEM, "no memory for tokens");
    for (; j.n_regex < n && status == FZ_OK; j.n_regex++)
        status = fzi_regex_compile((const struct fz_string *)call->in[PATTERNS]->data + j.n_regex,
                                   &regex[j.n_regex]);
    if (status == FZ_OK) status = tokenize(&j);
    for (size_t i = 0; i < j.n_regex; i++) fzi_regex_free(&regex[i]);
    fzi_free(j.tokens.items);
    fzi_free(j.pieces.items);
    fzi_free(j.cut.items);
    return status;
}

const struct fz_op fz_ops_tokenizer[] = {
    {.name = "Tokenizer", .domain = "com.microsoft", .since = 1, .rev = 1,
     .flags = FZ_OP_ANY_TYPE | FZ_OP_LATE_SHAPE, .min_in = 1, .max_in = 3, .min_out = 1,
     .max_out = 1, .attrs = "mark mincharnum pad_value separators tokenexp",
     .params_size = sizeof(struct params), .lower = lower, .infer = infer, .run = run},
    {0},
};
