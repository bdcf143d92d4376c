/* StringNormalizer: leaves out stop words and changes the case of letters. The locale that a node
 * names does not matter: cases are Unicode's simple ones. */
#include "ops/texts.h"

enum change { NONE, LOWER, UPPER };

struct params {
    int64_t change, is_case_sensitive;
};

static fz_status_t lower(struct fz_lower *lower, struct fz_node *node, void *params) {
    static const char *const changes[] = {"NONE", "LOWER", "UPPER", NULL};
    struct params *p = params;
    const struct fz_attr *words = fzi_attr(node, "stopwords");
    FZ_TRY(fzi_attr_choice(node, "case_change_action", changes, NONE, &p->change));
    FZ_TRY(fzi_attr_int(node, "is_case_sensitive", 0, &p->is_case_sensitive));
    if (!words) return FZ_OK;
    if (words->kind != FZ_ATTR_STRINGS)
        return fzi_error(FZ_E_FORMAT, "attribute 'stopwords' is no list of strings");
    return fzi_lower_constant(lower, node, 1, FZ_TYPE_STRING, (int64_t)words->n, words->strings);
}

static fz_status_t infer(const struct fz_op *op, const struct fz_call *call) {
    const struct params *p = call->params;
    const fz_tensor_t *in = call->in[0];
    fz_tensor_t out = *in;
    FZ_TRY(fzi_infer_type(op, call, 0, FZ_T(STRING)));
    FZ_TRY(fzi_infer_type(op, call, 1, FZ_T(STRING)));
    if (p->change < NONE || p->change > UPPER)
        return fzi_error(FZ_E_FORMAT, "%s: unknown change of case", op->name);
    if (in->rank == 0 || in->rank > 2 || (in->rank == 2 && in->dims[0] >= 0 && in->dims[0] != 1))
        return fzi_error(FZ_E_SHAPE, "%s: the input is no row of strings", op->name);
    if (in->rank == 2) out.dims[0] = 1;
    if (in->rank > 0) out.dims[in->rank - 1] = FZ_DIM_UNKNOWN;
    fzi_infer_like(call, 0, FZ_TYPE_STRING, &out);
    return FZ_OK;
}

static uint32_t changed(uint32_t c, int64_t change) {
    return change == LOWER ? fzi_text_lower(c) : change == UPPER ? fzi_text_upper(c) : c;
}

/* Equal when the case of letters does not count. */
static bool same_letters(const struct fz_string *a, const struct fz_string *b) {
    size_t i = 0, j = 0;
    while (i < a->size && j < b->size)
        if (fzi_text_lower(fzi_text_next(a, &i)) != fzi_text_lower(fzi_text_next(b, &j)))
            return false;
    return i == a->size && j == b->size;
}

static bool is_stop_word(const struct fz_call *call, const struct fz_string *s) {
    const struct params *p = call->params;
    if (call->n_in < 2 || !call->in[1]) return false;
    const struct fz_string *words = call->in[1]->data;
    int64_t n = fzi_tensor_count(call->in[1]);
    for (int64_t i = 0; i < n; i++)
        if (p->is_case_sensitive ? fzi_text_equal(s, &words[i]) : same_letters(s, &words[i]))
            return true;
    return false;
}

/* Writes S to TO in its new case, or with NULL says its size. Bytes that are no UTF-8 stay. */
static size_t write(const struct fz_string *s, int64_t change, char *to) {
    size_t size = 0;
    for (size_t at = 0, next = 0; at < s->size; at = next) {
        uint32_t c = fzi_text_next(s, &next);
        if (c != FZ_TEXT_BAD) {
            size += fzi_text_put(changed(c, change), to ? to + size : NULL);
            continue;
        }
        if (to) memcpy(to + size, s->text + at, next - at);
        size += next - at;
    }
    return size;
}

/* Puts the N strings at KEPT to OUT in their new case. */
static fz_status_t write_all(const struct fz_call *call, const struct fz_string *const *kept,
                             int64_t n, struct fz_string *out) {
    const struct params *p = call->params;
    size_t total = 0;
    for (int64_t i = 0; i < n; i++) total += out[i].size = write(kept[i], p->change, NULL);
    char *room = fzi_text_room(call->env, total);
    if (!room) return FZ_E_LIMIT;
    for (int64_t i = 0; i < n; room += out[i++].size) {
        write(kept[i], p->change, room);
        out[i].text = room;
    }
    return FZ_OK;
}

static size_t scratch(const struct fz_op *op, const struct fz_call *call) {
    (void)op;
    return (size_t)fzi_tensor_count(call->in[0]) * sizeof(void *);
}

static fz_status_t run(const struct fz_op *op, const struct fz_call *call) {
    const fz_tensor_t *in = call->in[0];
    const struct fz_string **kept = call->scratch, *strings = in->data;
    fz_tensor_t out = *in;
    int64_t n = 0;
    (void)op;
    for (int64_t i = 0; i < fzi_tensor_count(in); i++)
        if (!is_stop_word(call, &strings[i])) kept[n++] = &strings[i];
    out.dims[in->rank - 1] = n ? n : 1;
    FZ_TRY(call->env->resize(call, 0, out.rank, out.dims));
    if (!call->out[0]) return FZ_OK;
    memset(call->out[0]->data, 0, call->out[0]->size); /* one empty string if nothing is left */
    return write_all(call, kept, n, call->out[0]->data);
}

const struct fz_op fz_ops_string_normalizer[] = {
    {.name = "StringNormalizer", .domain = "", .since = 10, .rev = 1,
     .flags = FZ_OP_ANY_TYPE | FZ_OP_LATE_SHAPE, .min_in = 1, .max_in = 2, .min_out = 1,
     .max_out = 1, .attrs = "case_change_action is_case_sensitive locale stopwords",
     .params_size = sizeof(struct params), .lower = lower, .infer = infer, .scratch = scratch,
     .run = run},
    {0},
};
