/* Sets of custom operators: checked and copied once, then constant. */
#include "ops/custom.h"

static fz_status_t no_memory(void) {
    return fzi_error(FZ_E_NOMEM, "no memory for custom operators");
}

/* ---- the rules of a table */

/* Names stand in lists that blanks separate, and in messages of one line. */
static bool is_name(const char *text) {
    if (!text || !*text || strlen(text) > 255) return false;
    for (const char *c = text; *c; c++)
        if ((unsigned char)*c <= ' ' || (unsigned char)*c == 127) return false;
    return true;
}

static const char *attr_problem(const fz_custom_op_t *op) {
    if (op->n_attributes > FZ_CUSTOM_ATTRS || (op->n_attributes && !op->attributes))
        return "it may have up to 16 attributes";
    for (size_t i = 0; i < op->n_attributes; i++) {
        const fz_custom_attr_t *a = &op->attributes[i];
        if (!is_name(a->name) || a->kind < FZ_CUSTOM_INT || a->kind > FZ_CUSTOM_STRINGS ||
            (a->required != 0 && a->required != 1))
            return "an attribute has no name without blanks, no known kind, or a `required` that "
                   "is neither 0 nor 1";
        for (size_t j = 0; j < i; j++)
            if (strcmp(op->attributes[j].name, a->name) == 0) return "an attribute is listed twice";
    }
    return NULL;
}

static bool counts(int32_t low, int32_t min, int32_t max, int32_t high) {
    return low <= min && min <= max && max <= high;
}

/* What is wrong with OP, whose names are good; NULL: nothing. */
static const char *problem(const fz_custom_op_t *op) {
    if (fzi_op_known(op->domain, op->name) || strcmp(op->domain, "frozen") == 0)
        return "the library has this operator itself, or keeps the domain to itself";
    if (op->opset < 1 || op->opset > INT16_MAX) return "its opset must be 1 to 32767";
    if (op->version < 1 || op->version > INT16_MAX) return "its version must be 1 to 32767";
    if (fzi_all_zero(op->digest, sizeof op->digest))
        return "it needs the digest of its implementation";
    if (!counts(0, op->min_inputs, op->max_inputs, FZ_CUSTOM_INPUTS))
        return "it may have 0 to 16 inputs, at least min_inputs and at most max_inputs";
    if (!counts(1, op->min_outputs, op->max_outputs, FZ_CUSTOM_OUTPUTS))
        return "it must have 1 to 16 outputs, at least min_outputs and at most max_outputs";
    if (op->flags & ~(uint32_t)FZ_CUSTOM_LATE_SHAPE || op->reserved)
        return "it has unknown flags, or `reserved` is not 0";
    if (!op->run) return "it has no `run`";
    if (!op->infer && op->max_inputs == 0) return "without inputs it needs an `infer`";
    return attr_problem(op);
}

/* ---- copying */

/* A table of another age: what it does not have is 0, what is not known here must be. */
static fz_status_t read_table(const fz_custom_op_t *from, size_t i, fz_custom_op_t *to) {
    size_t size;
    *to = (fz_custom_op_t){0};
    if (!from) return fzi_error(FZ_E_USAGE, "custom operator %zu is NULL", i);
    memcpy(&size, from, sizeof size);
    if (size < offsetof(fz_custom_op_t, context) + sizeof to->context || size > 65536)
        return fzi_error(FZ_E_USAGE, "custom operator %zu: `size` is not that of fz_custom_op_t",
                         i);
    if (size > sizeof *to && !fzi_all_zero((const char *)from + sizeof *to, size - sizeof *to))
        return fzi_error(FZ_E_USAGE,
                         "custom operator %zu has members that this library does not know", i);
    memcpy(to, from, sizeof *to);
    if (to->domain && strcmp(to->domain, "ai.onnx") == 0) to->domain = "";
    if (!to->domain || (*to->domain && !is_name(to->domain)) || !is_name(to->name))
        return fzi_error(FZ_E_USAGE, "custom operator %zu has no domain or name, or one with "
                                     "blanks or of more than 255 bytes", i);
    const char *wrong = problem(to);
    if (!wrong) return FZ_OK;
    return fzi_error(FZ_E_USAGE, "custom operator %s%s%s: %s", to->domain,
                     *to->domain ? "." : "", to->name, wrong);
}

static fz_status_t copy_attrs(struct fz_arena *arena, struct fz_custom_entry *entry) {
    fz_custom_op_t *op = &entry->op;
    fz_custom_attr_t *attrs = fzi_arena_array(arena, op->n_attributes, sizeof *attrs);
    const char *names = "";
    if (!attrs) return no_memory();
    for (size_t i = 0; i < op->n_attributes; i++) {
        attrs[i] = op->attributes[i];
        attrs[i].name = fzi_arena_string(arena, op->attributes[i].name);
        names = fzi_arena_format(arena, "%s%s%s", names, *names ? " " : "",
                                 op->attributes[i].name);
        if (!attrs[i].name || !names) return no_memory();
    }
    op->attributes = attrs;
    entry->attrs = names;
    return FZ_OK;
}

static fz_status_t copy_names(struct fz_arena *arena, struct fz_custom_entry *entry) {
    fz_custom_op_t *op = &entry->op;
    char hex[65];
    for (int i = 0; i < 32; i++) {
        hex[2 * i] = "0123456789abcdef"[op->digest[i] >> 4];
        hex[2 * i + 1] = "0123456789abcdef"[op->digest[i] & 15];
    }
    hex[64] = 0;
    op->domain = fzi_arena_string(arena, op->domain);
    op->name = fzi_arena_string(arena, op->name);
    entry->identity = fzi_arena_format(arena, "%d sha256:%s", op->version, hex);
    if (!op->domain || !op->name || !entry->identity) return no_memory();
    return copy_attrs(arena, entry);
}

static bool same(const fz_custom_op_t *a, const fz_custom_op_t *b) {
    return a->opset == b->opset && strcmp(a->domain, b->domain) == 0 &&
           strcmp(a->name, b->name) == 0;
}

static fz_status_t fill(struct fz_custom *custom, const fz_custom_op_t *const *ops, size_t n) {
    custom->entries = fzi_arena_array(&custom->arena, n, sizeof *custom->entries);
    if (!custom->entries) return no_memory();
    for (size_t i = 0; i < n; i++) {
        fz_custom_op_t *op = &custom->entries[i].op;
        FZ_TRY(read_table(ops[i], i, op));
        FZ_TRY(copy_names(&custom->arena, &custom->entries[i]));
        for (size_t j = 0; j < i; j++)
            if (same(op, &custom->entries[j].op))
                return fzi_error(FZ_E_USAGE, "custom operator %s.%s of opset %d is listed twice",
                                 op->domain, op->name, op->opset);
    }
    custom->n = n;
    return FZ_OK;
}

fz_status_t fzi_custom_create(const fz_custom_op_t *const *ops, size_t n, struct fz_custom **out) {
    if (n > UINT16_MAX) return fzi_error(FZ_E_USAGE, "a set of %zu operators is too large", n);
    struct fz_custom *custom = fzi_calloc(1, sizeof *custom);
    if (!custom) return no_memory();
    fz_status_t status = fill(custom, ops, n);
    if (status == FZ_OK) *out = custom;
    else fzi_custom_free(custom);
    return status;
}

void fzi_custom_free(struct fz_custom *custom) {
    if (!custom) return;
    fzi_arena_free(&custom->arena);
    fzi_free(custom);
}
