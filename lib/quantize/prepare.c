/* From the file to the base: a float model of the wanted opset, constants folded, batch
 * normalisation inside of convolutions, channels equalised. */
#include "export/export.h"
#include "quantize/quantizer.h"

static const fz_freeze_options_t plain = {.size = sizeof plain};

static fz_status_t no_memory(void) { return fzi_error(FZ_E_NOMEM, "no memory for a model"); }

/* ---- inputs that become constants */

static fz_status_t fix_input(struct fz_graph *graph, const fz_fixed_input_t *fixed) {
    for (uint32_t i = 0; i < graph->n_inputs; i++) {
        struct fz_value *v = graph->inputs[i];
        int64_t dims[FZ_RANK_MAX];
        if (strcmp(v->name, fixed->name) != 0) continue;
        if (!fzi_type_is_integer(v->t.dtype) || fz_type_bits(v->t.dtype) < 8 || v->t.rank < 0)
            return fzi_error(FZ_E_USAGE, "the input '%s' is not of integers and cannot be fixed",
                             v->name);
        for (int32_t d = 0; d < v->t.rank; d++) dims[d] = v->t.dims[d] < 0 ? 1 : v->t.dims[d];
        struct fz_value *c = fzi_graph_new_constant(graph, fzi_arena_format(graph->arena,
                                                    "%s_fixed", v->name), v->t.dtype, v->t.rank,
                                                    dims);
        if (!c) return no_memory();
        size_t width = fzi_type_width(v->t.dtype);
        for (size_t at = 0; at < c->t.size; at += width)
            for (size_t b = 0; b < width; b++)
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
                ((uint8_t *)c->t.data)[at + width - 1 - b] = (uint8_t)(fixed->value >> 8 * b);
#else
                ((uint8_t *)c->t.data)[at + b] = (uint8_t)(fixed->value >> 8 * b);
#endif
        fzi_graph_replace(graph, v, c);
        return FZ_OK;
    }
    return fzi_error(FZ_E_USAGE, "the model has no input '%s' to fix", fixed->name);
}

/* ---- checks */

static int32_t newest_opset(const struct fz_graph *graph) {
    int32_t opset = 0;
    for (const struct fz_node *node = graph->first; node; node = node->next) {
        if (!*node->domain && node->opset > opset) opset = node->opset;
        for (uint32_t i = 0; i < node->n_sub; i++) {
            int32_t inner = newest_opset(node->sub[i]);
            if (inner > opset) opset = inner;
        }
    }
    return opset;
}

static fz_status_t check_float(const struct fz_graph *graph) {
    static const char *const types[] = {
        "QuantizeLinear", "DequantizeLinear", "DynamicQuantizeLinear", "QLinearConv",
        "QLinearMatMul", "MatMulInteger", "ConvInteger"};
    for (const struct fz_node *node = graph->first; node; node = node->next)
        for (size_t i = 0; i < FZ_COUNT(types); i++)
            if (strcmp(node->type, types[i]) == 0)
                return fzi_error(FZ_E_UNSUPPORTED, "the model is quantised already: node '%s' is "
                                 "a %s", node->name, node->type);
    return FZ_OK;
}

static fz_status_t choose_opset(struct fz_quantizer *q, int32_t own) {
    int32_t needed = q->options->kind == FZ_QUANTIZE_WEIGHTS_INT4 ? 21 : 13;
    q->opset = q->options->opset ? q->options->opset : own > needed ? own : needed;
    if (q->opset < needed)
        return fzi_error(FZ_E_UNSUPPORTED, "this needs opset %d, not %d", needed, q->opset);
    return FZ_OK;
}

/* ---- the base */

static fz_status_t keep_names(struct fz_graph *graph) {
    graph->output_names =
        fzi_arena_array(graph->arena, graph->n_outputs, sizeof *graph->output_names);
    if (!graph->output_names) return no_memory();
    for (uint32_t i = 0; i < graph->n_outputs; i++)
        graph->output_names[i] = graph->outputs[i]->name;
    return FZ_OK;
}

static fz_status_t rewrite(struct fz_quantizer *q, struct fz_pass *pass) {
    static const char *const passes[] = {"resolve", "fold", "branch", "clean", "batchnorm", "fold",
                                         "clean"};
    for (size_t i = 0; i < FZ_COUNT(passes); i++) FZ_TRY(fzi_passes_run_one(passes[i], pass));
    if (q->options->kind == FZ_QUANTIZE_STATIC &&
        !(q->options->flags & FZ_QUANTIZE_NO_EQUALISATION))
        FZ_TRY(fzi_quantize_equalise(q, pass));
    return FZ_OK;
}

static fz_status_t make_base(struct fz_quantizer *q, const char *path, struct fz_stage *s) {
    FZ_TRY(fzi_import_file(path, &plain, &s->arena, &s->source, &s->graph));
    s->pass = (struct fz_pass){.graph = s->graph, .options = &plain, .k = &q->k};
    q->original_size = s->source.onnx_size;
    FZ_TRY(check_float(s->graph));
    FZ_TRY(choose_opset(q, newest_opset(s->graph)));
    FZ_TRY(keep_names(s->graph));
    for (size_t i = 0; i < q->options->n_fixed; i++)
        FZ_TRY(fix_input(s->graph, &q->options->fixed[i]));
    FZ_TRY(rewrite(q, &s->pass));
    FZ_TRY(fzi_export_raise(s->graph, q->opset));
    return fzi_export_memory(s->graph, &q->arena, &q->base, &q->base_size);
}

fz_status_t fzi_quantize_prepare(struct fz_quantizer *q, const char *path) {
    struct fz_stage s = {0};
    fz_status_t status = make_base(q, path, &s);
    fzi_stage_close(&s);
    return status;
}
