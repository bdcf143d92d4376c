/* Proves a plan: after this the executor may follow every offset and index in it. The time is
 * linear in the plan's size, but for the depth of nested blocks, which is bounded.
 *
 * Not proved here: parameters of operators and shapes, which op->infer checks, and values that
 * index memory, which are checked where they are read. */
#include "artifact/format.h"
#include "ops/op.h"

enum { DEPTH_MAX = 64 }; /* nested blocks */
enum { USE_PLAIN = 1, USE_STRINGS = 2, USE_BOOL = 4 };

struct verifier {
    const struct fz_plan *plan;
    const struct fz_op **ops;  /* of plan.ops */
    uint32_t *step_block;      /* the block that a step belongs to */
    uint32_t *holder;          /* the step that a block belongs to; FZ_NONE: not met yet */
    uint32_t *depth;           /* of a block */
    bool *made;                /* value: its input or step output was met */
    uint8_t *uses;             /* of a constant: USE_ bits */
};

#define REFUSE(...) return fzi_error(FZ_E_FORMAT, "plan: " __VA_ARGS__)

/* [first, first + n) within [0, size), without overflow. */
static bool within(uint64_t first, uint64_t n, uint64_t size) {
    return first <= size && n <= size - first;
}

/* Once the strings are known to end in NUL, any offset within them is a string. */
static bool is_string(const struct verifier *v, uint32_t off) {
    return off < v->plan->strings_size;
}

static fz_status_t check_strings(const struct verifier *v) {
    const struct fz_plan *p = v->plan;
    /* The last byte ends every string that starts within the section. */
    if (p->strings_size == 0 || p->strings[0] || p->strings[p->strings_size - 1])
        REFUSE("the strings do not begin and end with NUL");
    for (size_t i = 0; i < p->n_symbols; i++)
        if (!is_string(v, p->symbols[i])) REFUSE("symbol %zu has no name", i);
    for (size_t i = 0; i < 2 * p->n_texts; i++)
        if (!is_string(v, p->texts[i])) REFUSE("text %zu has no string", i / 2);
    return FZ_OK;
}

/* ---- operators */

/* Says how a custom operator of the file and what is registered in its place differ. */
static void add_registered(struct fz_text *missing, const struct verifier *v,
                           const struct fz_plan_op *op) {
    const struct fz_plan *p = v->plan;
    const struct fz_custom_row *row =
        fzi_custom_find(p->custom, p->strings + op->domain, p->strings + op->name,
                        (int32_t)(op->opset & ~FZ_PLAN_CUSTOM), true);
    fzi_text_add(missing, ", a custom operator of version %.90s, which is ", p->strings + op->rev);
    if (row) fzi_text_add(missing, "registered in version %s", row->entry->identity);
    else fzi_text_add(missing, "not registered");
}

/* Adds operator I to the list of those that are missing, which a hostile file cannot make long. */
static void add_missing(struct fz_text *missing, const struct verifier *v, size_t i) {
    const struct fz_plan_op *op = &v->plan->ops[i];
    const char *domain = v->plan->strings + op->domain;
    if (missing->size > 3000) return;
    fzi_text_add(missing, "%s%.40s%s%.80s of opset %u", missing->size ? "; " : "", domain,
                 domain[0] ? "." : "", v->plan->strings + op->name, op->opset & ~FZ_PLAN_CUSTOM);
    if (op->opset & FZ_PLAN_CUSTOM) add_registered(missing, v, op);
    else fzi_text_add(missing, ", revision %u", op->rev);
}

static fz_status_t find_ops(const struct verifier *v, struct fz_text *missing) {
    const struct fz_plan *p = v->plan;
    for (size_t i = 0; i < p->n_ops; i++) {
        const struct fz_plan_op *op = &p->ops[i];
        bool custom = op->opset & FZ_PLAN_CUSTOM;
        if (!is_string(v, op->name) || !is_string(v, op->domain) ||
            (op->opset & ~FZ_PLAN_CUSTOM) > INT16_MAX || (custom && !is_string(v, op->rev)))
            REFUSE("operator %zu has no name, opset or implementation", i);
        v->ops[i] = fzi_plan_find_op(p, i);
        if (!v->ops[i]) add_missing(missing, v, i);
    }
    if (missing->failed) return fzi_error(FZ_E_NOMEM, "no memory to list missing operators");
    if (!missing->size) return FZ_OK;
    return fzi_error(FZ_E_UNSUPPORTED, "this library lacks operators of the file: %s",
                     missing->data);
}

static fz_status_t check_ops(const struct verifier *v) {
    struct fz_text missing = {0};
    fz_status_t status = find_ops(v, &missing);
    fzi_text_free(&missing);
    return status;
}

/* ---- constants and values */

/* Constants ascend within their section, so that one look at the one before shows overlaps. */
static fz_status_t check_consts(const struct verifier *v) {
    const struct fz_plan *p = v->plan;
    uint64_t used[FZ_SECTION_KINDS] = {0};
    for (size_t i = 0; i < p->n_consts; i++) {
        const struct fz_plan_const *c = &p->consts[i];
        if (c->section != FZ_SECTION_TABLES && c->section != FZ_SECTION_WEIGHTS)
            REFUSE("constant %zu lies in no section for constants", i);
        uint64_t size = c->section == FZ_SECTION_TABLES ? p->tables_size : p->weights_size;
        if (c->off % 64 || !within(c->off, c->size, size))
            REFUSE("constant %zu does not lie in its section", i);
        if (c->off < used[c->section]) REFUSE("constant %zu overlaps the one before it", i);
        used[c->section] = c->off + c->size;
        if (c->width != 1 && c->width != 2 && c->width != 4 && c->width != 8)
            REFUSE("constant %zu has elements of no known width", i);
    }
    return FZ_OK;
}

/* Values may share a constant; each is looked at once. */
static fz_status_t check_bools(const struct verifier *v, size_t i, bool weights_known) {
    uint32_t source = v->plan->values[i].source;
    const struct fz_plan_const *c = &v->plan->consts[source];
    bool table = c->section == FZ_SECTION_TABLES;
    if (v->uses[source] & USE_BOOL || (!table && !weights_known)) return FZ_OK;
    v->uses[source] |= USE_BOOL;
    const uint8_t *data = (table ? v->plan->tables : v->plan->weights) + c->off;
    uint8_t any = 0;
    for (uint64_t b = 0; b < c->size; b++) any |= data[b];
    if (any > 1) REFUSE("value %zu: a bool constant is neither 0 nor 1", i);
    return FZ_OK;
}

/* Value I of COUNT strings: pairs of offset and size in the strings section. */
static fz_status_t check_texts(const struct verifier *v, size_t i, int64_t count) {
    const struct fz_plan *p = v->plan;
    const struct fz_plan_const *c = &p->consts[p->values[i].source];
    if (c->section != FZ_SECTION_TABLES || c->width != 4 || count < 0 ||
        c->size / 8 != (uint64_t)count || c->size % 8)
        REFUSE("value %zu does not have its constant's size", i);
    const uint32_t *pairs = (const uint32_t *)(p->tables + c->off);
    for (int64_t s = 0; s < count; s++)
        if (!within(pairs[2 * s], pairs[2 * s + 1], p->strings_size))
            REFUSE("value %zu: string %lld does not lie in its section", i, (long long)s);
    return FZ_OK;
}

/* Value I, whose elements are COUNT or, if negative, not known, against its constant. Strings are
 * unpacked when the model is opened, so that their constant serves one value only. */
static fz_status_t check_constant(const struct verifier *v, size_t i, int64_t count,
                                  bool weights_known) {
    const struct fz_plan_value *value = &v->plan->values[i];
    int32_t dtype = (int32_t)value->dtype;
    size_t size;
    if (value->source >= v->plan->n_consts) REFUSE("value %zu names no constant", i);
    if (fzi_type_is_nested(dtype)) REFUSE("value %zu is a constant that is no tensor", i);
    const struct fz_plan_const *c = &v->plan->consts[value->source];
    uint8_t *uses = &v->uses[value->source];
    if (*uses & USE_STRINGS || (*uses && dtype == FZ_TYPE_STRING))
        REFUSE("value %zu shares a constant of strings", i);
    *uses |= dtype == FZ_TYPE_STRING ? USE_STRINGS : USE_PLAIN;
    if (dtype == FZ_TYPE_STRING) return check_texts(v, i, count);
    if (count < 0 || !fzi_type_size(dtype, count, &size) || size != c->size)
        REFUSE("value %zu does not have its constant's size", i);
    if (c->width != fzi_format_const_width(dtype))
        REFUSE("value %zu does not have its constant's element width", i);
    return dtype == FZ_TYPE_BOOL ? check_bools(v, i, weights_known) : FZ_OK;
}

/* The shape of value I; *COUNT is its elements, -1 if that is not known. */
static fz_status_t check_shape(const struct verifier *v, size_t i, int64_t *count) {
    const struct fz_plan *p = v->plan;
    const struct fz_plan_value *value = &p->values[i];
    size_t size;
    *count = -1;
    if (value->rank == FZ_NONE) return FZ_OK;
    if (fzi_type_is_nested((int32_t)value->dtype) && value->rank != 1)
        REFUSE("value %zu has no shape of its kind", i);
    if (value->rank > FZ_RANK_MAX || !within(value->dims, value->rank, p->n_dims))
        REFUSE("value %zu has no such shape", i);
    bool known = true;
    for (uint32_t d = 0; d < value->rank; d++) {
        int64_t dim = p->dims[value->dims + d];
        if (dim < 0) known = false;
        if (dim <= FZ_DIM_SYMBOL && (uint64_t)FZ_DIM_SYMBOL - (uint64_t)dim >= p->n_symbols)
            REFUSE("value %zu has a dimension that has no symbol", i);
    }
    if (!known) return FZ_OK;
    if (!fzi_dims_count(p->dims + value->dims, 0, (int32_t)value->rank, count) ||
        (value->dtype && !fzi_type_size((int32_t)value->dtype, *count, &size)))
        REFUSE("value %zu is too large", i);
    return FZ_OK;
}

/* One record, and that its source exists. Whether the source names it back is seen later. */
static fz_status_t check_value(const struct verifier *v, size_t i, bool weights_known) {
    const struct fz_plan *p = v->plan;
    const struct fz_plan_value *value = &p->values[i];
    int64_t count;
    bool computed = value->kind == FZ_VALUE_STEP || value->kind == FZ_VALUE_BLOCK_INPUT;
    if (!is_string(v, value->name)) REFUSE("value %zu has no name", i);
    /* A type may be left to infer, but not those that callers or constants bring along. */
    if (value->dtype > INT32_MAX || (value->dtype && !fzi_type_valid((int32_t)value->dtype)) ||
        (!value->dtype && !computed))
        REFUSE("value %zu has no known type", i);
    FZ_TRY(check_shape(v, i, &count));
    switch (value->kind) {
    case FZ_VALUE_CONST: return check_constant(v, i, count, weights_known);
    case FZ_VALUE_INPUT:
        if (value->source >= p->n_inputs) REFUSE("value %zu names no input", i);
        return FZ_OK;
    case FZ_VALUE_STEP:
        if (value->source >= p->n_steps) REFUSE("value %zu names no step", i);
        return FZ_OK;
    case FZ_VALUE_BLOCK_INPUT:
        if (!value->source || value->source >= p->n_blocks) REFUSE("value %zu names no block", i);
        return FZ_OK;
    default: REFUSE("value %zu is of no known kind", i);
    }
}

/* ---- blocks and steps: who belongs where */

/* Notes that value I is made here, by KIND and SOURCE; false if it says otherwise or was before. */
static bool make(const struct verifier *v, uint32_t i, uint32_t kind, uint32_t source) {
    if (i >= v->plan->n_values || v->made[i]) return false;
    v->made[i] = true;
    return v->plan->values[i].kind == kind && v->plan->values[i].source == source;
}

/* The head of block B, whose inputs are made by it. */
static fz_status_t check_block(const struct verifier *v, uint32_t b) {
    const struct fz_plan *p = v->plan;
    const struct fz_plan_block *block = &p->blocks[b];
    /* A parent's number is smaller, so parents form a tree whose root is block 0. */
    if (b ? block->parent >= b : block->parent != FZ_NONE)
        REFUSE("block %u has no proper parent", b);
    v->depth[b] = b ? v->depth[block->parent] + 1 : 0;
    v->holder[b] = FZ_NONE;
    if (v->depth[b] > DEPTH_MAX) REFUSE("blocks are nested more than %d deep", DEPTH_MAX);
    if (!within(block->step, block->n_steps, p->n_steps)) REFUSE("block %u lacks its steps", b);
    if (!within(block->inputs, block->n_inputs, p->n_args) ||
        !within(block->outputs, block->n_outputs, p->n_args))
        REFUSE("block %u lacks its inputs or outputs", b);
    for (uint32_t i = 0; i < block->n_inputs; i++)
        if (!make(v, p->args[block->inputs + i], b ? FZ_VALUE_BLOCK_INPUT : FZ_VALUE_INPUT,
                  b ? b : i))
            REFUSE("block %u: input %u is not its own", b, i);
    return FZ_OK;
}

/* Every block's head, then the partition of the steps among them. */
static fz_status_t check_blocks(const struct verifier *v) {
    const struct fz_plan *p = v->plan;
    if (p->n_blocks == 0) REFUSE("there is no block");
    memset(v->step_block, 0xFF, p->n_steps * sizeof *v->step_block);
    uint64_t total = 0;
    for (uint32_t b = 0; b < p->n_blocks; b++) {
        FZ_TRY(check_block(v, b));
        /* Bounds the marking below: no step is counted twice once the sum fits. */
        total += p->blocks[b].n_steps;
        if (total > p->n_steps) REFUSE("blocks share steps");
        for (uint32_t s = 0; s < p->blocks[b].n_steps; s++) {
            uint32_t *owner = &v->step_block[p->blocks[b].step + s];
            if (*owner != FZ_NONE) REFUSE("step %u belongs to two blocks", p->blocks[b].step + s);
            *owner = b;
        }
    }
    if (total != p->n_steps) REFUSE("a step belongs to no block");
    return FZ_OK;
}

/* Counts and ranges of step S, before any of its arguments is read. */
static fz_status_t check_arity(const struct verifier *v, uint32_t s) {
    const struct fz_plan *p = v->plan;
    const struct fz_plan_step *step = &p->steps[s];
    if (step->op >= p->n_ops || !is_string(v, step->name))
        REFUSE("step %u has no operator or name", s);
    const struct fz_op *op = v->ops[step->op];
    const char *name = p->strings + step->name;
    uint64_t n_args = (uint64_t)step->n_in + step->n_out + step->n_sub;
    if (!within(step->args, n_args, p->n_args)) REFUSE("step %u (%s) lacks its arguments", s, name);
    if (step->n_in < op->min_in || (op->max_in < 255 && step->n_in > op->max_in))
        REFUSE("step %u (%s): %s does not take %u inputs", s, name, op->name, step->n_in);
    if (step->n_out < op->min_out || (op->max_out < 255 && step->n_out > op->max_out))
        REFUSE("step %u (%s): %s does not give %u outputs", s, name, op->name, step->n_out);
    if (!(op->flags & FZ_OP_CONTROL) != !step->n_sub)
        REFUSE("step %u (%s): %s does not have %u subgraphs", s, name, op->name, step->n_sub);
    if (step->params_size != op->params_size ||
        !within(step->params, ((uint64_t)step->params_size + 7) / 8, p->n_params))
        REFUSE("step %u (%s): %s does not have such parameters", s, name, op->name);
    return FZ_OK;
}

/* Operators with subgraphs have no infer that sees a plan: what they need of their blocks. */
static const struct control {
    const char *name;
    uint32_t n_sub, min_in;
    uint32_t required;   /* inputs from here on must be present */
    bool passes_inputs;  /* a block has the step's inputs, else none */
    uint32_t more_out;   /* a block has so many more outputs than the step */
    bool carries;        /* each required input is also an output */
    uint32_t own_in;     /* the step may have so many more inputs than a block, behind those */
} controls[] = {
    {"If", 2, 1, 0, false, 0, false, 0},
    {"Loop", 1, 2, 2, true, 1, true, 0},
    {"Scan", 1, 1, 0, true, 0, false, 1},
    {"SequenceMap", 1, 1, 0, true, 0, false, 0},
};

/* NULL: no rule is known, and the file is refused. */
static const struct control *find_control(const struct fz_op *op) {
    for (size_t i = 0; i < FZ_COUNT(controls); i++)
        if (strcmp(controls[i].name, op->name) == 0) return &controls[i];
    return NULL;
}

/* The blocks of step S, whose numbers are known to be good. */
static fz_status_t check_control(const struct verifier *v, uint32_t s) {
    const struct fz_plan *p = v->plan;
    const struct fz_plan_step *step = &p->steps[s];
    const struct control *c = find_control(v->ops[step->op]);
    const uint32_t *in = p->args + step->args, *sub = in + step->n_in + step->n_out;
    if (!c) return fzi_error(FZ_E_UNSUPPORTED, "step %u: nested blocks of an unknown operator", s);
    if (step->n_sub != c->n_sub || step->n_in < c->min_in ||
        (c->carries && step->n_out < step->n_in - c->required))
        REFUSE("step %u: %s has other subgraphs, inputs or outputs", s, c->name);
    for (uint32_t i = c->required; i < step->n_in; i++)
        if (in[i] == FZ_NONE) REFUSE("step %u: %s lacks input %u", s, c->name, i);
    for (uint32_t i = 0; i < step->n_sub; i++) {
        const struct fz_plan_block *block = &p->blocks[sub[i]];
        uint32_t n_in = c->passes_inputs ? step->n_in : 0;
        if (block->n_inputs > n_in || block->n_inputs + (uint64_t)c->own_in < n_in ||
            block->n_outputs != (uint64_t)step->n_out + c->more_out)
            REFUSE("step %u: subgraph %u of %s has other inputs or outputs", s, i, c->name);
    }
    return FZ_OK;
}

/* Outputs are made by their step, at least one; nested blocks belong to it alone. */
static fz_status_t check_products(const struct verifier *v, uint32_t s) {
    const struct fz_plan *p = v->plan;
    const struct fz_plan_step *step = &p->steps[s];
    const uint32_t *out = p->args + step->args + step->n_in, *sub = out + step->n_out;
    uint32_t present = 0;
    for (uint32_t i = 0; i < step->n_out; i++) {
        if (out[i] == FZ_NONE) continue;
        present++;
        if (!make(v, out[i], FZ_VALUE_STEP, s)) REFUSE("step %u: output %u is not its own", s, i);
    }
    if (present == 0) REFUSE("step %u has no output", s);
    for (uint32_t i = 0; i < step->n_sub; i++) {
        if (sub[i] == 0 || sub[i] >= p->n_blocks || v->holder[sub[i]] != FZ_NONE ||
            p->blocks[sub[i]].parent != v->step_block[s])
            REFUSE("step %u: subgraph %u is not its own", s, i);
        v->holder[sub[i]] = s;
    }
    return step->n_sub ? check_control(v, s) : FZ_OK;
}

/* ---- order: what is read has been made */

/* Whether value I can be read at step S of block B: it is a constant, or made before S in B or in a
 * block around it, seen from the step that holds B there. */
static bool visible(const struct verifier *v, uint32_t i, uint32_t b, uint32_t s) {
    if (i >= v->plan->n_values) return false;
    const struct fz_plan_value *value = &v->plan->values[i];
    uint32_t home = 0;
    if (value->kind == FZ_VALUE_CONST) return true;
    if (value->kind == FZ_VALUE_STEP) home = v->step_block[value->source];
    if (value->kind == FZ_VALUE_BLOCK_INPUT) home = value->source;
    while (b != home) {
        if (b == 0) return false;
        s = v->holder[b];
        b = v->plan->blocks[b].parent;
    }
    return value->kind != FZ_VALUE_STEP || value->source < s;
}

/* An operator may lack its optional inputs only; those of a variadic one are all required. */
static fz_status_t check_reads(const struct verifier *v, uint32_t s) {
    const struct fz_plan_step *step = &v->plan->steps[s];
    const struct fz_op *op = v->ops[step->op];
    for (uint32_t i = 0; i < step->n_in; i++) {
        uint32_t arg = v->plan->args[step->args + i];
        bool optional = op->flags & FZ_OP_CONTROL || (i >= op->min_in && op->max_in < 255);
        if (arg == FZ_NONE && optional) continue;
        if (!visible(v, arg, v->step_block[s], s))
            REFUSE("step %u (%s): input %u is not made before it", s,
                   v->plan->strings + step->name, i);
    }
    return FZ_OK;
}

/* A block's outputs are seen from behind its last step; every block has a step that holds it. */
static fz_status_t check_results(const struct verifier *v, uint32_t b) {
    const struct fz_plan_block *block = &v->plan->blocks[b];
    if (b && v->holder[b] == FZ_NONE) REFUSE("block %u belongs to no step", b);
    for (uint32_t i = 0; i < block->n_outputs; i++)
        if (!visible(v, v->plan->args[block->outputs + i], b, block->step + block->n_steps))
            REFUSE("block %u: output %u is not made in it", b, i);
    return FZ_OK;
}

/* The inputs of the known answer are constants, one behind the other. */
static bool answer_inputs_fit(const struct fz_plan *p) {
    uint64_t first = p->kat->seed_low;
    if (p->kat->seed_high || first > p->n_values || p->n_inputs > p->n_values - first) return false;
    for (uint64_t v = first; v < first + p->n_inputs; v++)
        if (p->values[v].kind != FZ_VALUE_CONST) return false;
    return true;
}

/* Records of the outputs stand behind a valid one, in order, or there are none. */
static bool answer_outputs_fit(const struct fz_plan *p) {
    if (p->n_kat == 1) return true;
    if (p->kat->status != FZ_OK || p->kat->state == 0 || p->n_kat != p->n_outputs + 1) return false;
    for (size_t i = 1; i < p->n_kat; i++) {
        const struct fz_plan_kat *k = &p->kat[i];
        if (k->state != 4 || k->status != FZ_OK || k->seed_low != i - 1 || k->seed_high)
            return false;
    }
    return true;
}

/* The signature names the inputs and outputs of block 0, in its order. */
static fz_status_t check_io(const struct verifier *v) {
    const struct fz_plan *p = v->plan;
    const struct fz_plan_block *model = &p->blocks[0];
    if (model->n_inputs != p->n_inputs || model->n_outputs != p->n_outputs)
        REFUSE("the signature does not have the inputs and outputs of block 0");
    for (size_t i = 0; i < p->n_io; i++) {
        bool output = i >= p->n_inputs;
        size_t arg = output ? model->outputs + (i - p->n_inputs) : model->inputs + i;
        if (p->io[i].is_output != output || !is_string(v, p->io[i].name) ||
            p->io[i].value != p->args[arg])
            REFUSE("entry %zu of the signature is not that of block 0", i);
    }
    if (p->kat && p->kat->state == 3 && !answer_inputs_fit(p))
        REFUSE("the known-answer inputs are not constants");
    if (p->kat && (p->kat->state > 3 || (p->kat->state != 2) != (p->kat->status == FZ_OK)))
        REFUSE("the known-answer record is in no known state");
    if (p->kat && !answer_outputs_fit(p))
        REFUSE("the known-answer records do not fit the outputs");
    return FZ_OK;
}

/* The order matters: each check relies on those before it. */
static fz_status_t check_all(const struct verifier *v, bool weights_known) {
    const struct fz_plan *p = v->plan;
    FZ_TRY(check_strings(v));
    FZ_TRY(check_ops(v));
    FZ_TRY(check_consts(v));
    for (size_t i = 0; i < p->n_values; i++) FZ_TRY(check_value(v, i, weights_known));
    FZ_TRY(check_blocks(v));
    for (uint32_t s = 0; s < p->n_steps; s++) {
        FZ_TRY(check_arity(v, s));
        FZ_TRY(check_products(v, s));
    }
    for (uint32_t b = 0; b < p->n_blocks; b++) FZ_TRY(check_results(v, b));
    for (uint32_t s = 0; s < p->n_steps; s++) FZ_TRY(check_reads(v, s));
    for (size_t i = 0; i < p->n_values; i++)
        if (!v->made[i] && p->values[i].kind != FZ_VALUE_CONST)
            REFUSE("value %zu is never made", i);
    return check_io(v);
}

fz_status_t fzi_format_verify(const struct fz_plan *plan, bool weights_known) {
    struct fz_arena arena = {0};
    struct verifier v = {
        .plan = plan,
        .ops = fzi_arena_array(&arena, plan->n_ops, sizeof *v.ops),
        .step_block = fzi_arena_array(&arena, plan->n_steps, sizeof *v.step_block),
        .holder = fzi_arena_array(&arena, plan->n_blocks, sizeof *v.holder),
        .depth = fzi_arena_array(&arena, plan->n_blocks, sizeof *v.depth),
        .made = fzi_arena_array(&arena, plan->n_values, sizeof *v.made),
        .uses = fzi_arena_array(&arena, plan->n_consts, sizeof *v.uses),
    };
    fz_status_t status = v.ops && v.step_block && v.holder && v.depth && v.made && v.uses
                             ? check_all(&v, weights_known)
                             : fzi_error(FZ_E_NOMEM, "no memory to verify the plan");
    fzi_arena_free(&arena);
    return status;
}
