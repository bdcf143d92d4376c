/* Flattens a graph into a plan: two walks in the same order, one that counts, one that fills. */
#include "plan/build.h"

struct counts {
    size_t values, dims, steps, args, blocks, params, consts;
};

struct builder {
    struct fz_arena *arena;
    struct counts n;      /* capacities after the first walk, then fill marks */
    struct fz_plan_op *ops;
    const struct fz_op **op_rows;
    size_t n_ops;
    struct fz_plan_value *values;
    int64_t *dims;
    struct fz_plan_step *steps;
    uint32_t *args;
    struct fz_plan_block *blocks;
    uint64_t *params;
    struct fz_plan_const *consts;
    const void **const_data;
    struct fz_text strings; /* may hold NULs; size counts them */
    uint32_t next_block;
    const struct fz_custom_ops *custom;
    uint64_t tables_size, weights_size;
};

static uint32_t add_string(struct builder *b, const char *text) {
    if (!text || !text[0]) return 0;
    uint32_t at = (uint32_t)b->strings.size;
    fzi_text_add(&b->strings, "%s", text);
    fzi_text_add(&b->strings, "%c", 0);
    return at;
}

/* ---- first walk: how much there is. Marks values by id 1. */

static void count_value(struct counts *n, struct fz_value *v) {
    if (!v || v->id) return;
    v->id = 1;
    n->values++;
    n->dims += v->t.rank > 0 ? (size_t)v->t.rank : 0;
    if (fzi_is_constant(v)) n->consts++;
}

static void count_graph(struct counts *n, const struct fz_graph *graph) {
    n->blocks++;
    n->args += graph->n_inputs + graph->n_outputs;
    for (uint32_t i = 0; i < graph->n_inputs; i++) count_value(n, graph->inputs[i]);
    for (const struct fz_node *node = graph->first; node; node = node->next) {
        n->steps++;
        n->args += node->n_in + node->n_out + node->n_sub;
        n->params += (node->op->params_size + 7) / 8;
        for (uint32_t i = 0; i < node->n_in; i++) count_value(n, node->in[i]);
        for (uint32_t i = 0; i < node->n_out; i++) count_value(n, node->out[i]);
        for (uint32_t i = 0; i < node->n_sub; i++) count_graph(n, node->sub[i]);
    }
    for (uint32_t i = 0; i < graph->n_outputs; i++) count_value(n, graph->outputs[i]);
    for (uint32_t i = 0; i < graph->n_kept; i++) count_value(n, graph->kept[i]);
}

static void clear_ids(const struct fz_graph *graph) {
    for (uint32_t i = 0; i < graph->n_inputs; i++) graph->inputs[i]->id = 0;
    for (const struct fz_node *node = graph->first; node; node = node->next) {
        for (uint32_t i = 0; i < node->n_in; i++)
            if (node->in[i]) node->in[i]->id = 0;
        for (uint32_t i = 0; i < node->n_out; i++)
            if (node->out[i]) node->out[i]->id = 0;
        for (uint32_t i = 0; i < node->n_sub; i++) clear_ids(node->sub[i]);
    }
    for (uint32_t i = 0; i < graph->n_outputs; i++) graph->outputs[i]->id = 0;
    for (uint32_t i = 0; i < graph->n_kept; i++) graph->kept[i]->id = 0;
}

/* ---- second walk: the records. A value's id is now its index plus 1. */

/* Integers may be indices: they lie in the sealed tables even when weights are mapped. */
static bool is_table(const fz_tensor_t *t) {
    return t->size < FZ_TABLE_MAX || t->dtype == FZ_TYPE_STRING || t->dtype == FZ_TYPE_I64 ||
           t->dtype == FZ_TYPE_I32 || t->dtype == FZ_TYPE_U32 || t->dtype == FZ_TYPE_U64;
}

static uint64_t const_width(int32_t dtype) {
    if (dtype == FZ_TYPE_C64 || dtype == FZ_TYPE_STRING) return 4;
    return dtype == FZ_TYPE_C128 ? 8 : fzi_type_width(dtype);
}

/* Strings, which may hold NULs, go to the strings section; T's data become pairs of offset and size
 * there. */
static fz_tensor_t pack_strings(struct builder *b, const fz_tensor_t *t) {
    fz_tensor_t packed = *t;
    const struct fz_string *strings = t->data;
    size_t n = (size_t)fzi_tensor_count(t);
    uint32_t *pairs = fzi_arena_array(b->arena, n, 8);
    if (!pairs) b->strings.failed = true;
    for (size_t i = 0; i < n && pairs; i++) {
        pairs[2 * i] = (uint32_t)b->strings.size;
        pairs[2 * i + 1] = (uint32_t)strings[i].size;
        for (size_t at = 0, run; at < strings[i].size; at += run + 1) {
            run = strnlen(strings[i].text + at, strings[i].size - at);
            fzi_text_add(&b->strings, "%.*s", (int)run, strings[i].text + at);
            if (at + run < strings[i].size) fzi_text_add(&b->strings, "%c", 0);
        }
        fzi_text_add(&b->strings, "%c", 0);
    }
    packed.data = pairs;
    packed.size = n * 8;
    return packed;
}

static uint32_t add_const(struct builder *b, const fz_tensor_t *constant) {
    uint32_t i = (uint32_t)b->n.consts++;
    fz_tensor_t packed = *constant, *t = &packed;
    if (t->dtype == FZ_TYPE_STRING) packed = pack_strings(b, constant);
    bool table = is_table(t);
    uint64_t *end = table ? &b->tables_size : &b->weights_size;
    *end = fzi_align(*end, 64);
    b->consts[i] = (struct fz_plan_const){
        .section = table ? FZ_SECTION_TABLES : FZ_SECTION_WEIGHTS,
        .off = *end,
        .size = t->size,
        .width = const_width(t->dtype)};
    *end += t->size;
    b->const_data[i] = t->data;
    return i;
}

static uint32_t add_value(struct builder *b, struct fz_value *v, enum fz_value_kind kind,
                          uint32_t source) {
    if (!v) return FZ_NONE;
    if (v->id) return v->id - 1;
    uint32_t i = (uint32_t)b->n.values++;
    v->id = i + 1;
    struct fz_plan_value *record = &b->values[i];
    record->name = add_string(b, v->name);
    record->dtype = (uint32_t)v->t.dtype;
    record->rank = v->t.rank < 0 ? FZ_NONE : (uint32_t)v->t.rank;
    record->dims = (uint32_t)b->n.dims;
    for (int32_t d = 0; d < v->t.rank; d++) b->dims[b->n.dims++] = v->t.dims[d];
    record->kind = fzi_is_constant(v) ? FZ_VALUE_CONST : kind;
    record->source = fzi_is_constant(v) ? add_const(b, &v->t) : source;
    return i;
}

static uint32_t add_op(struct builder *b, const struct fz_op *op) {
    for (size_t i = 0; i < b->n_ops; i++)
        if (b->op_rows[i] == op) return (uint32_t)i;
    b->op_rows[b->n_ops] = op;
    struct fz_plan_op *record = &b->ops[b->n_ops];
    *record = (struct fz_plan_op){.name = add_string(b, op->name),
                                  .domain = add_string(b, op->domain),
                                  .opset = (uint32_t)op->since,
                                  .rev = (uint32_t)op->rev};
    if (op->flags & FZ_OP_CUSTOM) {
        record->opset |= FZ_PLAN_CUSTOM;
        record->rev = add_string(b, ((const struct fz_custom_row *)op)->entry->identity);
    }
    return (uint32_t)b->n_ops++;
}

static void add_step(struct builder *b, const struct fz_node *node, uint32_t at) {
    struct fz_plan_step *step = &b->steps[at];
    step->op = add_op(b, node->op);
    step->name = add_string(b, node->name);
    step->args = (uint32_t)b->n.args;
    b->n.args += node->n_in + node->n_out + node->n_sub;
    uint32_t *arg = b->args + step->args;
    step->n_in = node->n_in;
    step->n_out = node->n_out;
    step->n_sub = node->n_sub;
    step->params = (uint32_t)b->n.params;
    step->params_size = (uint32_t)node->op->params_size;
    if (node->op->params_size) memcpy(b->params + step->params, node->params,
                                      node->op->params_size);
    b->n.params += (node->op->params_size + 7) / 8;
    for (uint32_t i = 0; i < node->n_in; i++) *arg++ = add_value(b, node->in[i], FZ_VALUE_STEP, 0);
    for (uint32_t i = 0; i < node->n_out; i++)
        *arg++ = add_value(b, node->out[i], FZ_VALUE_STEP, at);
}

/* A block's steps are consecutive; its nested blocks follow behind them. */
static void add_block(struct builder *b, const struct fz_graph *graph, uint32_t index,
                      uint32_t parent) {
    struct fz_plan_block *block = &b->blocks[index];
    block->parent = parent;
    block->n_inputs = graph->n_inputs;
    block->n_outputs = graph->n_outputs;
    block->inputs = (uint32_t)b->n.args;
    b->n.args += graph->n_inputs + graph->n_outputs;
    block->outputs = block->inputs + graph->n_inputs;
    for (uint32_t i = 0; i < graph->n_inputs; i++)
        b->args[block->inputs + i] =
            add_value(b, graph->inputs[i], index ? FZ_VALUE_BLOCK_INPUT : FZ_VALUE_INPUT,
                      index ? index : i);
    block->step = (uint32_t)b->n.steps;
    block->n_steps = graph->n_nodes;
    b->n.steps += graph->n_nodes;
    uint32_t at = block->step;
    for (const struct fz_node *node = graph->first; node; node = node->next)
        add_step(b, node, at++);
    for (uint32_t i = 0; i < graph->n_outputs; i++)
        b->args[block->outputs + i] = add_value(b, graph->outputs[i], FZ_VALUE_STEP, 0);
    at = block->step;
    for (const struct fz_node *node = graph->first; node; node = node->next, at++)
        for (uint32_t i = 0; i < node->n_sub; i++) {
            uint32_t sub = b->next_block++;
            b->args[b->steps[at].args + node->n_in + node->n_out + i] = sub;
            add_block(b, node->sub[i], sub, index);
        }
}

static fz_status_t allocate(struct builder *b) {
    struct fz_arena *arena = b->arena;
    b->ops = fzi_arena_array(arena, b->n.steps, sizeof *b->ops);
    b->op_rows = fzi_arena_array(arena, b->n.steps, sizeof *b->op_rows);
    b->values = fzi_arena_array(arena, b->n.values, sizeof *b->values);
    b->dims = fzi_arena_array(arena, b->n.dims, sizeof *b->dims);
    b->steps = fzi_arena_array(arena, b->n.steps, sizeof *b->steps);
    b->args = fzi_arena_array(arena, b->n.args, sizeof *b->args);
    b->blocks = fzi_arena_array(arena, b->n.blocks, sizeof *b->blocks);
    b->params = fzi_arena_array(arena, b->n.params, sizeof *b->params);
    b->consts = fzi_arena_array(arena, b->n.consts, sizeof *b->consts);
    b->const_data = fzi_arena_array(arena, b->n.consts, sizeof *b->const_data);
    bool good = b->ops && b->op_rows && b->values && b->dims && b->steps && b->args && b->blocks &&
                b->params && b->consts && b->const_data;
    return good ? FZ_OK : fzi_error(FZ_E_NOMEM, "no memory for the plan");
}

static fz_status_t add_names(struct builder *b, const struct fz_graph *graph,
                             const char *const *texts, size_t n_texts, struct fz_plan *plan) {
    size_t n_io = (size_t)graph->n_inputs + graph->n_outputs;
    struct fz_plan_io *io = fzi_arena_array(b->arena, n_io, sizeof *io);
    uint32_t *symbols = fzi_arena_array(b->arena, graph->info->n_symbols, sizeof *symbols);
    uint32_t *pairs = fzi_arena_array(b->arena, n_texts * 2, sizeof *pairs);
    if (!io || !symbols || !pairs) return fzi_error(FZ_E_NOMEM, "no memory for the plan");
    for (size_t i = 0; i < n_io; i++) {
        bool output = i >= graph->n_inputs;
        const struct fz_value *v =
            output ? graph->outputs[i - graph->n_inputs] : graph->inputs[i];
        const char *name = output && graph->output_names ? graph->output_names[i - graph->n_inputs]
                                                         : v->name;
        io[i] = (struct fz_plan_io){v->id - 1, add_string(b, name), output};
    }
    for (uint32_t i = 0; i < graph->info->n_symbols; i++)
        symbols[i] = add_string(b, graph->info->symbols[i]);
    for (size_t i = 0; i < n_texts * 2; i++) pairs[i] = add_string(b, texts[i]);
    plan->io = io;
    plan->n_io = n_io;
    plan->n_inputs = graph->n_inputs;
    plan->n_outputs = graph->n_outputs;
    plan->symbols = symbols;
    plan->n_symbols = graph->info->n_symbols;
    plan->texts = pairs;
    plan->n_texts = n_texts;
    return FZ_OK;
}

static fz_status_t finish(struct builder *b, struct fz_plan_source *out) {
    struct fz_plan *plan = &out->plan;
    if (b->strings.failed) return fzi_error(FZ_E_NOMEM, "no memory for names");
    plan->strings = fzi_arena_copy(b->arena, b->strings.data, b->strings.size);
    if (!plan->strings) return fzi_error(FZ_E_NOMEM, "no memory for names");
    plan->strings_size = b->strings.size;
    plan->ops = b->ops, plan->n_ops = b->n_ops;
    plan->values = b->values, plan->n_values = b->n.values;
    plan->dims = b->dims, plan->n_dims = b->n.dims;
    plan->steps = b->steps, plan->n_steps = b->n.steps;
    plan->args = b->args, plan->n_args = b->n.args;
    plan->blocks = b->blocks, plan->n_blocks = b->next_block;
    plan->params = b->params, plan->n_params = b->n.params;
    plan->consts = b->consts, plan->n_consts = b->n.consts;
    plan->custom = b->custom;
    plan->tables_size = b->tables_size;
    plan->weights_size = b->weights_size;
    out->const_data = b->const_data;
    return FZ_OK;
}

fz_status_t fzi_plan_build(const struct fz_graph *graph, const char *const *texts, size_t n_texts,
                           struct fz_arena *arena, struct fz_plan_source *out) {
    struct builder b = {.arena = arena, .next_block = 1, .custom = graph->info->custom};
    *out = (struct fz_plan_source){0};
    clear_ids(graph);
    count_graph(&b.n, graph);
    if (b.n.values > UINT32_MAX / 2 || b.n.args > UINT32_MAX / 2)
        return fzi_error(FZ_E_LIMIT, "the graph has too many values");
    FZ_TRY(allocate(&b));
    clear_ids(graph);
    b.n = (struct counts){0};
    fzi_text_add(&b.strings, "%c", 0);
    add_block(&b, graph, 0, FZ_NONE);
    for (uint32_t i = 0; i < graph->n_kept; i++) add_value(&b, graph->kept[i], FZ_VALUE_CONST, 0);
    fz_status_t status = add_names(&b, graph, texts, n_texts, &out->plan);
    if (status == FZ_OK) status = finish(&b, out);
    fzi_text_free(&b.strings);
    return status;
}
