/* Finds every node's operator and lowers its attributes. What the library lacks is collected over
 * the whole model and refused in one message. */
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

/* Adds LINE to the list unless it is there already. */
static void lack(struct fz_text *missing, const char *line) {
    if (!missing->data || !strstr(missing->data, line))
        fzi_text_add(missing, "%s%s", missing->size ? "; " : "", line);
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

static const char *remark(const struct fz_node *node) {
    if (fzi_op_known(node->domain, node->type)) return " (other opsets are supported)";
    if (strcmp(node->domain, "com.microsoft") == 0 && listed(gpu_only, node->type))
        return " (it exists for GPUs and other accelerators only: export the model for CPUs)";
    return "";
}

static void check_node(const struct fz_node *node, struct fz_text *missing) {
    char line[256];
    const char *dot = node->domain[0] ? "." : "";
    const struct fz_op *op = node->op;
    /* The plan's own operators are made by passes only. */
    if (!op || strcmp(node->domain, "frozen") == 0) {
        snprintf(line, sizeof line, "operator %s%s%s of opset %d%s", node->domain, dot, node->type,
                 node->opset, remark(node));
        lack(missing, line);
        return;
    }
    for (uint32_t i = 0; i < node->n_attrs; i++) {
        if (listed(op->attrs, node->attrs[i].name)) continue;
        snprintf(line, sizeof line, "attribute '%s' of %s%s%s (node '%s')", node->attrs[i].name,
                 node->domain, dot, node->type, node->name);
        lack(missing, line);
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

static void collect(struct fz_graph *graph, struct fz_text *missing) {
    for (struct fz_node *node = graph->first; node; node = node->next) {
        node->op = find_op(node, graph->info->custom);
        check_node(node, missing);
        for (uint32_t i = 0; i < node->n_sub; i++) collect(node->sub[i], missing);
    }
}

static fz_status_t check_arity(const struct fz_node *node) {
    const struct fz_op *op = node->op;
    uint32_t max_in = op->max_in == 255 ? UINT32_MAX : op->max_in;
    uint32_t max_out = op->max_out == 255 ? UINT32_MAX : op->max_out;
    uint32_t needed = node->n_in;
    while (needed > 0 && !node->in[needed - 1]) needed--;
    if (needed > max_in || node->n_out > max_out || needed < op->min_in ||
        node->n_out < op->min_out)
        return fzi_error(FZ_E_FORMAT, "node '%s': %s does not take %u inputs and %u outputs",
                         node->name, op->name, needed, node->n_out);
    for (uint32_t i = 0; i < op->min_in; i++)
        if (!node->in[i])
            return fzi_error(FZ_E_FORMAT, "node '%s': %s needs input %u", node->name, op->name, i);
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

fz_status_t fzi_pass_resolve(struct fz_pass *pass, struct fz_graph *graph) {
    if (!graph->parent) {
        struct fz_text missing = {0};
        collect(graph, &missing);
        fz_status_t status =
            missing.size ? fzi_error(FZ_E_UNSUPPORTED, "not supported: %s", missing.data) : FZ_OK;
        fzi_text_free(&missing);
        FZ_TRY(status);
    }
    for (struct fz_node *node = graph->first, *next; node; node = next) {
        struct fz_node *before = node->prev;
        pass->n_changes++;
        FZ_TRY(lower_node(pass, graph, node));
        next = node->next;
        if (!node->op) next = before ? before->next : graph->first;
        else infer_early(graph, node);
    }
    return FZ_OK;
}
