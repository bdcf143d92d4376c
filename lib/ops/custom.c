/* Callbacks as operators: what a custom operator is asked, and what is made of its answers.
 *
 * Callbacks are trusted code, files are not: infer proves the constants that stand for attributes,
 * and what a callback says of its outputs is checked before anything relies on it. */
#include "ops/custom.h"

#include "base/fpenv.h"
#include "tensor/value.h"

enum { SCRATCH_MAX_BITS = 40 }; /* more is beyond every limit, and sums stay below 64 bits */

/* A call as the callbacks see it. */
struct site {
    fz_custom_call_t call; /* first: callbacks give it back */
    const struct fz_call *from;
    const fz_custom_op_t *table;
    bool running, failed;
    const fz_tensor_t *in[FZ_CUSTOM_INPUTS], *attrs[FZ_CUSTOM_ATTRS];
    fz_tensor_t *out[FZ_CUSTOM_OUTPUTS];
    fz_tensor_t shown[FZ_CUSTOM_OUTPUTS]; /* what OUT points to: copies of the call's outputs */
    bool late[FZ_CUSTOM_OUTPUTS];
};

static const fz_custom_op_t *table_of(const struct fz_op *op) {
    return &((const struct fz_custom_row *)op)->entry->op;
}

/* ---- what callbacks may call */

static fz_status_t fail(const fz_custom_call_t *call, fz_status_t status, const char *text) {
    struct site *s = (struct site *)call;
    s->failed = true;
    if (status < FZ_E_USAGE || status > FZ_E_SIGNATURE) status = FZ_E_VALUE;
    return fzi_error(status, "%s", text ? text : "");
}

static bool is_shape(int32_t rank, const int64_t *dims) {
    if (rank < 0 || rank > FZ_RANK_MAX || (rank && !dims)) return false;
    for (int32_t d = 0; d < rank; d++)
        if (dims[d] < 0) return false;
    return true;
}

static fz_status_t resize(const fz_custom_call_t *call, uint32_t i, int32_t rank,
                          const int64_t *dims) {
    struct site *s = (struct site *)call;
    if (i >= (uint32_t)s->table->max_outputs || !s->running || !is_shape(rank, dims))
        return fail(call, FZ_E_USAGE, "resize: there is no such output, or no such shape");
    if (!s->out[i]) return FZ_OK;
    if (!s->late[i])
        return fail(call, FZ_E_USAGE, "resize: the output has the shape that infer gave it");
    fz_tensor_t *to = s->from->out[i];
    size_t old = s->shown[i].data ? s->shown[i].size : 0;
    fz_status_t status = s->from->env->resize(s->from, i, rank, dims);
    if (status != FZ_OK) {
        s->failed = true;
        return status;
    }
    /* Strings that the callback does not set are empty. */
    if (to->dtype == FZ_TYPE_STRING && to->size > old)
        memset((char *)to->data + old, 0, to->size - old);
    s->shown[i] = *to;
    return FZ_OK;
}

static void *allocate(const fz_custom_call_t *call, size_t size) {
    const struct site *s = (const struct site *)call;
    return s->running ? fzi_arena_alloc(s->from->env->heap, size) : NULL;
}

static void parallel(const fz_custom_call_t *call, size_t count, fz_task_fn task, void *arg) {
    const struct site *s = (const struct site *)call;
    if (s->running) s->from->env->parallel(s->from->env, count, task, arg);
    else
        for (size_t i = 0; i < count; i++) task(arg, i);
}

/* ---- calls */

static void open_site(struct site *s, const struct fz_op *op, const struct fz_call *from) {
    const fz_custom_op_t *table = table_of(op);
    uint32_t max_in = (uint32_t)table->max_inputs;
    *s = (struct site){.from = from, .table = table};
    s->call = (fz_custom_call_t){.size = sizeof s->call, .inputs = s->in, .outputs = s->out,
                                 .attributes = s->attrs, .threads = 1, .error = fail,
                                 .resize = resize, .allocate = allocate, .parallel = parallel};
    for (uint32_t i = 0; i < from->n_in && i < max_in; i++) s->in[i] = from->in[i];
    for (uint32_t i = 0; i < table->n_attributes && max_in + i < from->n_in; i++)
        s->attrs[i] = from->in[max_in + i];
    for (uint32_t i = 0; i < from->n_out && i < FZ_CUSTOM_OUTPUTS; i++) {
        if (!from->out[i]) continue;
        s->shown[i] = *from->out[i];
        s->late[i] = !fzi_shape_known(from->out[i]);
        if (s->late[i]) s->shown[i].data = NULL, s->shown[i].size = 0; /* of an earlier run */
        s->out[i] = &s->shown[i];
    }
}

/* What callback NAME has answered. A message is there if it has set one in this call. */
static fz_status_t answered(const struct site *s, fz_status_t status, const char *name) {
    if (status == FZ_OK) return FZ_OK;
    if (status < FZ_E_USAGE || status > FZ_E_SIGNATURE) status = FZ_E_VALUE;
    if (!s->failed)
        fzi_error(status, "`%s` of the custom operator %s failed with %s and no message", name,
                  s->table->name, fzi_status_name(status));
    return status;
}

/* ---- attributes */

static const struct {
    enum fz_attr_kind attr;
    int32_t dtype, rank;
    const char *name;
} kinds[] = {
    [FZ_CUSTOM_INT] = {FZ_ATTR_INT, FZ_TYPE_I64, 0, "an integer"},
    [FZ_CUSTOM_FLOAT] = {FZ_ATTR_FLOAT, FZ_TYPE_F32, 0, "a float"},
    [FZ_CUSTOM_STRING] = {FZ_ATTR_STRING, FZ_TYPE_STRING, 0, "a string"},
    [FZ_CUSTOM_TENSOR] = {FZ_ATTR_TENSOR, 0, -1, "a tensor"},
    [FZ_CUSTOM_INTS] = {FZ_ATTR_INTS, FZ_TYPE_I64, 1, "a list of integers"},
    [FZ_CUSTOM_FLOATS] = {FZ_ATTR_FLOATS, FZ_TYPE_F32, 1, "a list of floats"},
    [FZ_CUSTOM_STRINGS] = {FZ_ATTR_STRINGS, FZ_TYPE_STRING, 1, "a list of strings"},
};

/* Attribute A as a tensor over its own data. */
static fz_status_t attr_tensor(struct fz_arena *arena, const struct fz_attr *a, int32_t kind,
                               fz_tensor_t *t) {
    int64_t n = (int64_t)a->n;
    const void *data = a->ints;
    if (a->kind == FZ_ATTR_TENSOR) {
        *t = *a->tensors;
        return FZ_OK;
    }
    *t = (fz_tensor_t){.dtype = kinds[kind].dtype};
    fzi_shape_set(t, kinds[kind].rank, &n);
    if (a->kind == FZ_ATTR_INT) data = &a->i;
    if (a->kind == FZ_ATTR_FLOAT) data = &a->f;
    if (a->kind == FZ_ATTR_FLOATS) data = a->floats;
    if (a->kind == FZ_ATTR_STRINGS) data = a->strings;
    if (a->kind == FZ_ATTR_STRING) {
        struct fz_string text = {a->s, a->n};
        data = fzi_arena_copy(arena, &text, sizeof text);
        if (!data) return fzi_error(FZ_E_NOMEM, "no memory for an attribute");
    }
    t->data = (void *)data;
    return fzi_tensor_measure(t);
}

/* The constant that stands for attribute ATTR of NODE; *OUT is NULL if NODE has none. */
static fz_status_t lower_attr(struct fz_graph *graph, const struct fz_node *node,
                              const fz_custom_attr_t *attr, struct fz_value **out) {
    const struct fz_attr *a = fzi_attr(node, attr->name);
    fz_tensor_t t;
    *out = NULL;
    if (!a && attr->required)
        return fzi_error(FZ_E_FORMAT, "the attribute '%s' is missing", attr->name);
    if (!a) return FZ_OK;
    if (a->kind != kinds[attr->kind].attr)
        return fzi_error(FZ_E_FORMAT, "attribute '%s' must be %s", attr->name,
                         kinds[attr->kind].name);
    FZ_TRY(attr_tensor(graph->arena, a, attr->kind, &t));
    const char *name = fzi_arena_format(graph->arena, "%s.%s", node->name, attr->name);
    *out = name ? fzi_graph_constant(graph, name, &t) : NULL;
    return *out ? FZ_OK : fzi_error(FZ_E_NOMEM, "no memory for an attribute");
}

static fz_status_t lower(struct fz_lower *lower, struct fz_node *node, void *params) {
    const fz_custom_op_t *table = table_of(node->op);
    uint32_t n = node->n_in, max = (uint32_t)table->max_inputs;
    (void)params;
    while (n > 0 && !node->in[n - 1]) n--;
    if (n > max)
        return fzi_error(FZ_E_FORMAT, "%s takes at most %u inputs, not %u", table->name, max, n);
    struct fz_value **in =
        fzi_arena_array(lower->graph->arena, max + table->n_attributes, sizeof *in);
    if (!in) return fzi_error(FZ_E_NOMEM, "no memory for inputs");
    for (uint32_t i = 0; i < n; i++) in[i] = node->in[i];
    for (uint32_t i = 0; i < table->n_attributes; i++) {
        FZ_TRY(lower_attr(lower->graph, node, &table->attributes[i], &in[max + i]));
        if (in[max + i]) n = max + i + 1;
    }
    node->in = in;
    node->n_in = n;
    return FZ_OK;
}

/* The tensors of a file that stand for attributes are of the kinds that the table says, and their
 * values are known. */
static fz_status_t check_attrs(const struct site *s) {
    for (size_t i = 0; i < s->table->n_attributes; i++) {
        const fz_custom_attr_t *attr = &s->table->attributes[i];
        const fz_tensor_t *t = s->attrs[i];
        if (!t && !attr->required) continue;
        bool fits = t && fzi_shape_known(t) && (t->data || fzi_tensor_count(t) == 0);
        if (fits && attr->kind != FZ_CUSTOM_TENSOR)
            fits = t->dtype == kinds[attr->kind].dtype && t->rank == kinds[attr->kind].rank;
        if (!fits)
            return fzi_error(FZ_E_FORMAT, "%s: the attribute '%s' is not %s constant",
                             s->table->name, attr->name, kinds[attr->kind].name);
    }
    return FZ_OK;
}

/* ---- the contract of op.h */

/* True if an input has a dimension with the number of DIM, one that is not known. */
static bool is_symbol(const struct site *s, int64_t dim) {
    for (uint32_t i = 0; dim < FZ_DIM_UNKNOWN && i < FZ_CUSTOM_INPUTS; i++)
        for (int32_t d = 0; s->in[i] && d < s->in[i]->rank; d++)
            if (s->in[i]->dims[d] == dim) return true;
    return false;
}

/* Lets output I of the call have the type and shape that the callback gave it. */
static fz_status_t take_shape(struct site *s, uint32_t i) {
    fz_tensor_t *t = &s->shown[i];
    if (!fzi_type_valid(t->dtype) || fzi_type_is_nested(t->dtype))
        return fzi_error(FZ_E_TYPE, "`infer` of the custom operator %s gave output %u no type",
                         s->table->name, i);
    if (t->rank < FZ_RANK_UNKNOWN || t->rank > FZ_RANK_MAX)
        return fzi_error(FZ_E_SHAPE, "`infer` of the custom operator %s gave output %u %d "
                                     "dimensions, more than %d", s->table->name, i, t->rank,
                         FZ_RANK_MAX);
    for (int32_t d = 0; d < t->rank; d++)
        if (t->dims[d] < 0 && !is_symbol(s, t->dims[d])) t->dims[d] = FZ_DIM_UNKNOWN;
    fzi_infer_like(s->from, i, t->dtype, t);
    return FZ_OK;
}

static fz_status_t like_first(struct site *s) {
    if (!s->in[0])
        return fzi_error(FZ_E_FORMAT, "%s: input 0, whose shape outputs have, is absent",
                         s->table->name);
    for (uint32_t i = 0; i < FZ_CUSTOM_OUTPUTS; i++) {
        s->shown[i].dtype = s->in[0]->dtype;
        fzi_shape_copy(&s->shown[i], s->in[0]);
    }
    return FZ_OK;
}

static fz_status_t infer(const struct fz_op *op, const struct fz_call *call) {
    struct site s;
    open_site(&s, op, call);
    FZ_TRY(check_attrs(&s));
    for (uint32_t i = 0; i < FZ_CUSTOM_OUTPUTS; i++)
        s.shown[i] = (fz_tensor_t){.rank = FZ_RANK_UNKNOWN};
    if (s.table->infer)
        FZ_TRY(answered(&s, s.table->infer(s.table->context, &s.call), "infer"));
    else
        FZ_TRY(like_first(&s));
    for (uint32_t i = 0; i < FZ_CUSTOM_OUTPUTS; i++)
        if (s.out[i]) FZ_TRY(take_shape(&s, i));
    return FZ_OK;
}

static size_t scratch(const struct fz_op *op, const struct fz_call *call) {
    struct site s;
    open_site(&s, op, call);
    size_t size = s.table->scratch(s.table->context, &s.call);
    return size >> SCRATCH_MAX_BITS ? (size_t)1 << SCRATCH_MAX_BITS : size;
}

/* What the callback has left in output I: all is there, and NaNs have no host's bits. */
static fz_status_t take_output(const struct site *s, uint32_t i) {
    fz_tensor_t *t = s->from->out[i];
    if (!fzi_shape_known(t) || (t->size && !t->data))
        return fzi_error(FZ_E_SHAPE, "`run` of the custom operator %s gave output %u no shape",
                         s->table->name, i);
    if (t->dtype == FZ_TYPE_STRING) return fzi_value_check(t);
    if (t->size) fzi_value_canonicalise(t);
    return FZ_OK;
}

static fz_status_t run(const struct fz_op *op, const struct fz_call *call) {
    struct site s;
    open_site(&s, op, call);
    s.running = true;
    s.call.scratch = call->scratch;
    s.call.threads = (int32_t)call->env->threads;
    for (uint32_t i = 0; i < FZ_CUSTOM_OUTPUTS; i++)
        if (s.out[i] && s.shown[i].dtype == FZ_TYPE_STRING && s.shown[i].size && !s.late[i])
            memset(s.shown[i].data, 0, s.shown[i].size);
    fz_status_t status = s.table->run(s.table->context, &s.call);
    (void)fzi_fpenv_enter(); /* whatever the callback has done to it */
    FZ_TRY(answered(&s, status, "run"));
    for (uint32_t i = 0; i < FZ_CUSTOM_OUTPUTS; i++)
        if (s.out[i]) FZ_TRY(take_output(&s, i));
    return FZ_OK;
}

/* ---- rows */

static struct fz_op row_of(const struct fz_custom_entry *entry) {
    const fz_custom_op_t *t = &entry->op;
    uint16_t late = t->flags & FZ_CUSTOM_LATE_SHAPE ? FZ_OP_LATE_SHAPE : 0;
    return (struct fz_op){
        .name = t->name, .domain = t->domain, .attrs = entry->attrs,
        .since = (int16_t)t->opset, .rev = (int16_t)t->version,
        .flags = FZ_OP_CUSTOM | FZ_OP_RANDOM | FZ_OP_HALF | late,
        .min_in = (uint8_t)t->min_inputs, .max_in = (uint8_t)(t->max_inputs + (int)t->n_attributes),
        .min_out = (uint8_t)t->min_outputs, .max_out = (uint8_t)t->max_outputs,
        .lower = lower, .infer = infer, .run = run, .scratch = t->scratch ? scratch : NULL};
}

fz_status_t fzi_custom_bind(const struct fz_custom *custom, struct fz_arena *arena,
                            struct fz_custom_ops *out) {
    *out = (struct fz_custom_ops){0};
    if (!custom || !custom->n) return FZ_OK;
    struct fz_custom_row *rows = fzi_arena_array(arena, custom->n, sizeof *rows);
    if (!rows) return fzi_error(FZ_E_NOMEM, "no memory for custom operators");
    for (size_t i = 0; i < custom->n; i++)
        rows[i] = (struct fz_custom_row){row_of(&custom->entries[i]), &custom->entries[i]};
    *out = (struct fz_custom_ops){rows, custom->n};
    return FZ_OK;
}

const struct fz_custom_row *fzi_custom_find(const struct fz_custom_ops *ops, const char *domain,
                                            const char *name, int32_t opset, bool exact) {
    const struct fz_custom_row *best = NULL;
    for (size_t i = 0; ops && i < ops->n; i++) {
        const struct fz_op *op = &ops->rows[i].op;
        if (strcmp(op->name, name) != 0 || strcmp(op->domain, domain) != 0) continue;
        if (exact ? op->since != opset : op->since > opset) continue;
        if (!best || op->since > best->op.since) best = &ops->rows[i];
    }
    return best;
}
