/* RegexFullMatch: whether the whole of each string matches a regular expression. */
#include "ops/regex.h"

static fz_status_t check_pattern(const struct fz_string *pattern) {
    struct fz_regex regex;
    fz_status_t status = fzi_regex_compile(pattern, &regex);
    fzi_regex_free(&regex);
    return status;
}

static fz_status_t lower(struct fz_lower *lower, struct fz_node *node, void *params) {
    const struct fz_attr *attr = fzi_attr(node, "pattern");
    (void)params;
    if (!attr || attr->kind != FZ_ATTR_STRING)
        return fzi_error(FZ_E_FORMAT, "RegexFullMatch needs the attribute 'pattern', a string");
    struct fz_string pattern = {attr->s, attr->n};
    FZ_TRY(check_pattern(&pattern));
    return fzi_lower_constant(lower, node, 1, FZ_TYPE_STRING, 1, &pattern);
}

static fz_status_t infer(const struct fz_op *op, const struct fz_call *call) {
    FZ_TRY(fzi_infer_type(op, call, 0, FZ_T(STRING)));
    FZ_TRY(fzi_infer_type(op, call, 1, FZ_T(STRING)));
    if (call->n_in < 2 || !call->in[1] || call->in[1]->rank != 1 || call->in[1]->dims[0] != 1)
        return fzi_error(FZ_E_FORMAT, "%s: the pattern is not one string", op->name);
    fzi_infer_like(call, 0, FZ_TYPE_BOOL, call->in[0]);
    return FZ_OK;
}

static fz_status_t match_all(const struct fz_call *call, const struct fz_regex *regex) {
    const struct fz_string *strings = call->in[0]->data;
    void *scratch = fzi_arena_alloc(call->env->heap, fzi_regex_scratch(regex));
    if (!scratch) return fzi_error(FZ_E_NOMEM, "no memory for a regular expression");
    for (int64_t i = 0; i < fzi_tensor_count(call->in[0]); i++) {
        FZ_TRY(call->env->poll(call->env));
        ((uint8_t *)call->out[0]->data)[i] = fzi_regex_matches(regex, &strings[i], scratch);
    }
    return FZ_OK;
}

static fz_status_t run(const struct fz_op *op, const struct fz_call *call) {
    struct fz_regex regex;
    (void)op;
    fz_status_t status = fzi_regex_compile(call->in[1]->data, &regex);
    if (status == FZ_OK) status = match_all(call, &regex);
    fzi_regex_free(&regex);
    return status;
}

const struct fz_op fz_ops_regex_full_match[] = {
    {.name = "RegexFullMatch", .domain = "", .since = 20, .rev = 1, .flags = FZ_OP_ANY_TYPE,
     .min_in = 1, .max_in = 2, .min_out = 1, .max_out = 1, .attrs = "pattern", .lower = lower,
     .infer = infer, .run = run},
    {0},
};
