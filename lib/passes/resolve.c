/* Finds every node's operator and lowers its attributes. What the library lacks is collected over
 * the whole model; such nodes have no operator then, and the fold pass goes around them. */
#include "passes/passes.h"

#include <stdio.h>

#include "ops/custom.h"

/* True if NAME stands in LIST, names separated by blanks. */
static bool listed(const char *list, const char *name) {
    size_t n = strlen(name);
    for (const char *at = list; at && *at;) {
        size_t length = strcspn(at, " ");
        if (length == n && memcmp(at, name, n) == 0) return true;
        at += length;
        while (*at == ' ') at++;
    }
    return false;
}

/* Operators of com.microsoft that ONNX Runtime itself has for accelerators only. */
static const char gpu_only[] =
    "BiasAdd BiasDropout BiasSoftmax BiasSplitGelu BitmaskBiasDropout BitmaskDropout ComplexMul "
    "ComplexMulConj ConvStateReplay DecoderAttention DecoderMaskedSelfAttention DequantizeBFP "
    "DequantizeWithOrder DynamicSparseAttention FusedMatMulActivation GatedDeltaNetStateReplay "
    "GemmFastGelu GemmFloat8 GemmaRotaryEmbedding GroupNorm HyperConnectionLowRankMix Irfft "
    "IsAllFinite LongformerAttention Mamba2Verify MatMulBlockQuantizedFp4Weight "
    "MatMulBlockQuantizedFp8Weight MatMulNBitsMlp MatMulNBitsQLoRA MatMulNBitsQkv MatMulPacked "
    "MoEPacked MulInteger NhwcConv NhwcFusedConv PackedAttention PackedMultiHeadAttention "
    "PackedSparseAttentionIndexer PackedSparseAttentionIndexerMerge PagedAttention "
    "QOrderedAttention QOrderedGelu QOrderedLayerNormalization QOrderedLongformerAttention "
    "QOrderedMatMul QuantizeBFP QuantizeWithOrder RMSNormRotary RelativePositionBias "
    "RemovePadding RestorePadding Rfft RouterGateUpProj SkipGroupNorm SparseAttentionIndexer "
    "SparsePagedAttention SpeculativePrefixCommit SwiGLU TorchEmbedding";

/* Which opsets of NODE's operator there are, of the library's rows in TEXT; false: none. */
static bool tell_opsets(const struct fz_node *node, char *text, size_t size) {
    size_t at = 0;
    text[0] = 0;
    for (size_t i = 0; fzi_op_at(i) && at < size; i++) {
        const struct fz_op *op = fzi_op_at(i);
        if (strcmp(op->name, node->type) != 0 || strcmp(op->domain, node->domain) != 0) continue;
        const char *comma = at ? ", " : "";
        char *to = text + at;
        int n = op->until ? snprintf(to, size - at, "%s%d to %d", comma, op->since, op->until)
                          : snprintf(to, size - at, "%s%d and newer", comma, op->since);
        at += n > 0 ? (size_t)n : 0;
    }
    return at > 0;
}

/* What to do about an operator that is not there. */
static void advise(const struct fz_node *node, const struct fz_custom_ops *custom, char *text,
                   size_t size) {
    char opsets[80];
    const struct fz_custom_row *row =
        fzi_custom_find(custom, node->domain, node->type, INT32_MAX, false);
    if (strcmp(node->domain, "frozen") == 0)
        snprintf(text, size, "operators of this domain are made by freezing only");
    else if (tell_opsets(node, opsets, sizeof opsets))
        snprintf(text, size, "re-export the model, this library has it for opsets %s", opsets);
    else if (row)
        snprintf(text, size, "the registered one serves newer opsets only");
    else if (strcmp(node->domain, "com.microsoft") == 0 && listed(gpu_only, node->type))
        snprintf(text, size, "it exists for GPUs and other accelerators only: export the model for "
                             "CPUs");
    else if (strcmp(node->domain, "ai.onnx.preview.training") == 0)
        snprintf(text, size, "it takes part in training only: export the model for inference");
    else if (node->domain[0] == 0)
        snprintf(text, size, "ai.onnx has no such operator here: mend its name or domain, or "
                             "register a custom operator");
    else snprintf(text, size, "register a custom operator, or export the model without it");
}

/* Notes what the library lacks for NODE, which then counts as unknown. */
static void check_node(struct fz_pass *pass, struct fz_node *node) {
    char what[320], advice[160];
    const char *dot = node->domain[0] ? "." : "";
    const struct fz_op *op = node->op;
    /* The plan's own operators are made by passes only. */
    if (!op || strcmp(node->domain, "frozen") == 0) {
        snprintf(what, sizeof what, "operator %.90s%s%.90s of opset %d", node->domain, dot,
                 node->type, node->opset);
        advise(node, pass->graph->info->custom, advice, sizeof advice);
        fzi_faults_add(&pass->faults, FZ_E_UNSUPPORTED, node->name, what, advice);
        node->op = NULL;
        return;
    }
    for (uint32_t i = 0; i < node->n_attrs; i++) {
        if (listed(op->attrs, node->attrs[i].name)) continue;
        snprintf(what, sizeof what, "attribute '%.90s' of %.90s%s%.90s of opset %d",
                 node->attrs[i].name, node->domain, dot, node->type, node->opset);
        fzi_faults_add(&pass->faults, FZ_E_UNSUPPORTED, node->name, what,
                       "the operator has no such attribute: export the model without it");
        node->op = NULL;
    }
}

/* The library's own operator, or else what the caller brings along. */
static const struct fz_op *find_op(const struct fz_node *node, const struct fz_custom_ops *custom) {
    const struct fz_op *own = fzi_op_find(node->domain, node->type, node->opset);
    if (own) return own;
    const struct fz_custom_row *row =
        fzi_custom_find(custom, node->domain, node->type, node->opset, false);
    return row ? &row->op : NULL;
}

static void collect(struct fz_pass *pass, struct fz_graph *graph) {
    for (struct fz_node *node = graph->first; node; node = node->next) {
        node->op = find_op(node, graph->info->custom);
        check_node(pass, node);
        for (uint32_t i = 0; i < node->n_sub; i++) collect(pass, node->sub[i]);
    }
}

/* "2", "1 to 3" or "1 or more". */
static const char *range_text(uint8_t min, uint8_t max, char text[24]) {
    if (max == 255) snprintf(text, 24, "%u or more", min);
    else if (min == max) snprintf(text, 24, "%u", min);
    else snprintf(text, 24, "%u to %u", min, max);
    return text;
}

static fz_status_t arity_error(const struct fz_node *node, uint32_t n_in) {
    const struct fz_op *op = node->op;
    char in[24], out[24];
    bool custom = op->flags & FZ_OP_CUSTOM; /* whose attributes are inputs behind its own */
    uint8_t max_in = custom ? (uint8_t)((const struct fz_custom_row *)op)->entry->op.max_inputs
                            : op->max_in;
    return fzi_error(FZ_E_FORMAT, "node '%s' (%s, opset %d): it has %u inputs and %u outputs; %s "
                     "takes %s and gives %s", node->name, op->name, node->opset, n_in, node->n_out,
                     op->name, range_text(op->min_in, max_in, in),
                     range_text(op->min_out, op->max_out, out));
}

static fz_status_t check_arity(const struct fz_node *node) {
    const struct fz_op *op = node->op;
    uint32_t max_in = op->max_in == 255 ? UINT32_MAX : op->max_in;
    uint32_t max_out = op->max_out == 255 ? UINT32_MAX : op->max_out;
    uint32_t needed = node->n_in;
    while (needed > 0 && !node->in[needed - 1]) needed--;
    if (needed > max_in || node->n_out > max_out || needed < op->min_in ||
        node->n_out < op->min_out)
        return arity_error(node, needed);
    for (uint32_t i = 0; i < op->min_in; i++)
        if (!node->in[i])
            return fzi_error(FZ_E_FORMAT, "node '%s' (%s, opset %d): input %u is absent",
                             node->name, op->name, node->opset, i);
    return FZ_OK;
}

static fz_status_t named(fz_status_t status, const struct fz_node *node) {
    if (status == FZ_OK) return FZ_OK;
    fzi_error_context(status, "node '%s' (%s, opset %d)", node->name, node->type, node->opset);
    return status;
}

static fz_status_t compose_node(struct fz_lower *lower, struct fz_node *node) {
    struct fz_node copy = *node; /* for the message */
    return named(node->op->compose(lower, node), &copy);
}

static fz_status_t lower_node(struct fz_pass *pass, struct fz_graph *graph,
                              struct fz_node *node) {
    const char *numerics = pass->options->numerics ? pass->options->numerics : "portable";
    struct fz_lower lower = {graph, numerics, pass->options->flags};
    FZ_TRY(check_arity(node));
    if (node->op->compose) FZ_TRY(compose_node(&lower, node));
    if (!node->op) return FZ_OK;
    node->params = fzi_arena_alloc(graph->arena, node->op->params_size);
    if (!node->params) return fzi_error(FZ_E_NOMEM, "no memory for a node");
    if (!node->op->lower) return FZ_OK;
    return named(node->op->lower(&lower, node, node->params), node);
}

/* What is known of NODE's outputs before anything is folded: the lowering of a convolution without
 * lists counts its inputs' dimensions. The fold pass finds the rest, and says what is wrong. */
static void infer_early(struct fz_graph *graph, struct fz_node *node) {
    bool unknown = node->n_out && node->out[0] && node->out[0]->t.rank == FZ_RANK_UNKNOWN;
    if (unknown && !(node->op->flags & FZ_OP_CONTROL)) (void)fzi_pass_infer_node(graph, node);
}

/* NODE cannot be lowered: it counts as unknown, and what it was half composed of goes. */
static void give_up(struct fz_pass *pass, struct fz_graph *graph, struct fz_node *node,
                    const struct fz_node *before, fz_status_t status) {
    fzi_pass_fault(pass, status);
    while (node->prev != before) fzi_graph_remove(graph, node->prev);
    node->op = NULL;
    node->params = NULL;
}

fz_status_t fzi_pass_resolve(struct fz_pass *pass, struct fz_graph *graph) {
    if (!graph->parent) collect(pass, graph);
    for (struct fz_node *node = graph->first, *next; node; node = next) {
        struct fz_node *before = node->prev;
        next = node->next;
        if (!node->op) continue;
        pass->n_changes++;
        fz_status_t status = lower_node(pass, graph, node);
        if (status != FZ_OK && !fzi_fault_is(status)) return status;
        next = node->next;
        if (status != FZ_OK) give_up(pass, graph, node, before, status);
        else if (!node->op) next = before ? before->next : graph->first;
        else infer_early(graph, node);
    }
    return FZ_OK;
}
