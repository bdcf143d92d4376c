/* Graphs that a stage of quantisation rewrites, observes and runs. */
#include "export/export.h"
#include "quantize/quantizer.h"

static const fz_freeze_options_t plain = {.size = sizeof plain, .flags = FZ_FREEZE_NO_KAT};

static fz_status_t no_memory(void) { return fzi_error(FZ_E_NOMEM, "no memory for a graph"); }

fz_status_t fzi_stage_open(struct fz_quantizer *q, const void *data, size_t size,
                           struct fz_stage *out) {
    *out = (struct fz_stage){0};
    fz_status_t status = fzi_import_memory(data, size, &plain, &out->arena, &out->source,
                                           &out->graph);
    out->pass = (struct fz_pass){.graph = out->graph, .options = &plain, .k = &q->k};
    if (status == FZ_OK) status = fzi_passes_run_one("resolve", &out->pass);
    if (status == FZ_OK) status = fzi_passes_run_one("fold", &out->pass);
    if (status == FZ_OK) fzi_graph_count_uses(out->graph);
    else fzi_stage_close(out);
    return status;
}

void fzi_stage_close(struct fz_stage *stage) {
    fzi_source_close(&stage->source);
    fzi_arena_free(&stage->arena);
    *stage = (struct fz_stage){0};
}

fz_status_t fzi_stage_of_base(struct fz_quantizer *q,
                              fz_status_t (*use)(struct fz_quantizer *q, struct fz_stage *stage)) {
    struct fz_stage s;
    FZ_TRY(fzi_stage_open(q, q->base, q->base_size, &s));
    fz_status_t status = use(q, &s);
    fzi_stage_close(&s);
    return status;
}

struct fz_node *fzi_stage_node(struct fz_quantizer *q, struct fz_stage *stage,
                               struct fz_node *before, const char *type, const char *name,
                               uint32_t n_in, const char *out) {
    const char *own = fzi_arena_string(&stage->arena, name);
    const char *value = fzi_arena_string(&stage->arena, out);
    const struct fz_op *op = fzi_op_find("", type, q->opset);
    struct fz_node *node = own && value && op
                               ? fzi_graph_node(stage->graph, before, op, own, n_in, 1) : NULL;
    if (!node || !fzi_node_output(stage->graph, node, 0, value)) return no_memory(), NULL;
    node->type = op->name;
    node->domain = "";
    node->opset = q->opset;
    return node;
}

fz_status_t fzi_stage_attr(struct fz_stage *stage, struct fz_node *node, const char *name,
                           int64_t value) {
    struct fz_attr *attrs = fzi_arena_array(&stage->arena, node->n_attrs + 1, sizeof *attrs);
    if (!attrs) return no_memory();
    if (node->n_attrs) memcpy(attrs, node->attrs, node->n_attrs * sizeof *attrs);
    attrs[node->n_attrs++] = (struct fz_attr){.name = name, .kind = FZ_ATTR_INT, .i = value};
    node->attrs = attrs;
    return FZ_OK;
}

struct fz_value *fzi_stage_constant(struct fz_stage *stage, const char *name, int32_t dtype,
                                    int32_t rank, const int64_t *dims) {
    const char *own = fzi_arena_string(&stage->arena, name);
    struct fz_value *v = own ? fzi_graph_new_constant(stage->graph, own, dtype, rank, dims) : NULL;
    if (!v) no_memory();
    return v;
}

struct fz_value *fzi_stage_scalar(struct fz_stage *stage, const char *name, int32_t dtype,
                                  double value) {
    struct fz_value *v = fzi_stage_constant(stage, name, dtype, 0, NULL);
    if (!v) return NULL;
    switch (dtype) {
    case FZ_TYPE_F32: *(float *)v->t.data = (float)value; break;
    case FZ_TYPE_I64: *(int64_t *)v->t.data = (int64_t)value; break;
    case FZ_TYPE_U8: *(uint8_t *)v->t.data = (uint8_t)value; break;
    default: *(int8_t *)v->t.data = (int8_t)value; break;
    }
    return v;
}

/* ---- observing */

static int64_t find_output(const struct fz_graph *graph, const struct fz_value *v) {
    for (uint32_t i = 0; i < graph->n_outputs; i++)
        if (graph->outputs[i] == v) return i;
    return -1;
}

static struct fz_value *find_value(const struct fz_graph *graph, const char *name) {
    for (struct fz_node *node = graph->first; node; node = node->next)
        for (uint32_t i = 0; i < node->n_out; i++)
            if (node->out[i] && strcmp(node->out[i]->name, name) == 0) return node->out[i];
    return NULL;
}

fz_status_t fzi_stage_observe(struct fz_stage *stage, const char *const *names, size_t n,
                              int64_t *index) {
    struct fz_graph *g = stage->graph;
    size_t room = g->n_outputs + n;
    struct fz_value **outputs = fzi_arena_array(&stage->arena, room, sizeof *outputs);
    const char **public = fzi_arena_array(&stage->arena, room, sizeof *public);
    if (!outputs || !public) return no_memory();
    for (uint32_t i = 0; i < g->n_outputs; i++) {
        outputs[i] = g->outputs[i];
        public[i] = g->output_names ? g->output_names[i] : g->outputs[i]->name;
    }
    g->outputs = outputs;
    g->output_names = public;
    for (size_t i = 0; i < n; i++) {
        struct fz_value *v = find_value(g, names[i]);
        index[i] = INT64_MIN;
        for (uint32_t k = 0; !v && k < g->n_inputs; k++)
            if (strcmp(g->inputs[k]->name, names[i]) == 0) index[i] = -1 - (int64_t)k;
        if (!v && index[i] != INT64_MIN) continue;
        if (!v) return fzi_error(FZ_E_INTERNAL, "there is no value '%s' to look at", names[i]);
        index[i] = find_output(g, v);
        if (index[i] >= 0) continue;
        index[i] = g->n_outputs;
        public[g->n_outputs] = v->name;
        outputs[g->n_outputs++] = v;
    }
    return FZ_OK;
}

/* ---- running */

static fz_status_t theirs(fz_status_t status) {
    return status == FZ_OK ? FZ_OK : fzi_error(status, "%s", fz_last_error());
}

fz_status_t fzi_stage_run(struct fz_quantizer *q, struct fz_stage *stage, fz_model_t **model,
                          fz_session_t **session) {
    fz_session_options_t options = {.size = sizeof options,
                                    .threads = q->options->threads ? q->options->threads : -1};
    struct fz_arena arena = {0};
    void *data;
    size_t size;
    *model = NULL;
    *session = NULL;
    fz_status_t status = fzi_export_memory(stage->graph, &arena, &data, &size);
    if (status == FZ_OK)
        status = theirs(fz_freeze_open_memory(data, size, &plain, NULL, model));
    fzi_arena_free(&arena);
    if (status == FZ_OK) status = theirs(fz_session_create(*model, &options, session));
    if (status != FZ_OK) {
        fz_model_close(*model);
        *model = NULL;
    }
    return status;
}
