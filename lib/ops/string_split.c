/* StringSplit: the parts of each string between delimiters, or between blanks. Parts lie where the
 * string lies. */
#include "ops/texts.h"

struct params {
    int64_t max; /* splits; negative: any number */
};

static fz_status_t lower(struct fz_lower *lower, struct fz_node *node, void *params) {
    struct params *p = params;
    const struct fz_attr *delimiter = fzi_attr(node, "delimiter");
    FZ_TRY(fzi_attr_int(node, "maxsplit", -1, &p->max));
    if (!delimiter) return FZ_OK;
    if (delimiter->kind != FZ_ATTR_STRING)
        return fzi_error(FZ_E_FORMAT, "attribute 'delimiter' is no string");
    struct fz_string text = {delimiter->s, delimiter->n};
    return text.size ? fzi_lower_constant(lower, node, 1, FZ_TYPE_STRING, 1, &text) : FZ_OK;
}

static fz_status_t infer(const struct fz_op *op, const struct fz_call *call) {
    const fz_tensor_t *in = call->in[0];
    fz_tensor_t parts = *in;
    FZ_TRY(fzi_infer_type(op, call, 0, FZ_T(STRING)));
    FZ_TRY(fzi_infer_type(op, call, 1, FZ_T(STRING)));
    if (call->n_in > 1 && call->in[1] && (call->in[1]->rank != 1 || call->in[1]->dims[0] != 1))
        return fzi_error(FZ_E_FORMAT, "%s: the delimiter is not one string", op->name);
    if (in->rank >= FZ_RANK_MAX) return fzi_error(FZ_E_SHAPE, "%s: too many dimensions", op->name);
    if (in->rank >= 0) parts.dims[parts.rank++] = FZ_DIM_UNKNOWN;
    fzi_infer_like(call, 0, FZ_TYPE_STRING, &parts);
    fzi_infer_like(call, 1, FZ_TYPE_I64, in);
    return FZ_OK;
}

static bool is_blank(char c) { return c == ' ' || (c >= '\t' && c <= '\r'); }

/* The place of DELIMITER in S from AT on, or S's size. */
static size_t find(const struct fz_string *s, size_t at, const struct fz_string *delimiter) {
    for (; at < s->size && s->size - at >= delimiter->size; at++)
        if (memcmp(s->text + at, delimiter->text, delimiter->size) == 0) return at;
    return s->size;
}

/* Cuts S; PARTS, unless NULL, gets the parts. */
static int64_t split(const struct fz_string *s, const struct fz_string *delimiter, int64_t max,
                     struct fz_string *parts) {
    int64_t n = 0;
    for (size_t at = 0;; n++) {
        bool last = max >= 0 && n >= max;
        size_t end;
        if (!delimiter) {
            while (at < s->size && is_blank(s->text[at])) at++;
            if (at == s->size) return n;
            for (end = at; end < s->size && !is_blank(s->text[end]);) end++;
        } else
            end = find(s, at, delimiter);
        if (last) end = s->size;
        if (parts) parts[n] = (struct fz_string){s->size ? s->text + at : NULL, end - at};
        if (end == s->size) return n + 1;
        at = end + (delimiter ? delimiter->size : 0);
    }
}

static fz_status_t run(const struct fz_op *op, const struct fz_call *call) {
    const struct params *p = call->params;
    const fz_tensor_t *in = call->in[0];
    const struct fz_string *strings = in->data;
    const struct fz_string *delimiter = call->n_in > 1 && call->in[1] ? call->in[1]->data : NULL;
    fz_tensor_t parts = *in;
    int64_t n = fzi_tensor_count(in), most = 0;
    (void)op;
    if (delimiter && !delimiter->size) delimiter = NULL;
    for (int64_t i = 0; i < n; i++) {
        int64_t count = split(&strings[i], delimiter, p->max, NULL);
        if (call->n_out > 1 && call->out[1]) ((int64_t *)call->out[1]->data)[i] = count;
        most = fzi_max_i64(most, count);
    }
    parts.dims[parts.rank++] = most;
    FZ_TRY(call->env->resize(call, 0, parts.rank, parts.dims));
    struct fz_string *out = call->out[0] ? call->out[0]->data : NULL;
    for (int64_t i = 0; i < n && out && most; i++) {
        memset(&out[i * most], 0, (size_t)most * sizeof *out);
        split(&strings[i], delimiter, p->max, &out[i * most]);
    }
    return FZ_OK;
}

const struct fz_op fz_ops_string_split[] = {
    {.name = "StringSplit", .domain = "", .since = 20, .rev = 1,
     .flags = FZ_OP_ANY_TYPE | FZ_OP_LATE_SHAPE, .min_in = 1, .max_in = 2, .min_out = 1,
     .max_out = 2, .attrs = "delimiter maxsplit", .params_size = sizeof(struct params),
     .lower = lower, .infer = infer, .run = run},
    {0},
};
