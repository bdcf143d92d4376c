/* Weights as int8 and int4, and the nodes that read them. */

#include "quantize/quantizer.h"
#include "quantize/real.h"

int32_t fzi_weight_axis(const struct fz_node *node) {
    int64_t trans = 0;
    if (strcmp(node->type, "MatMul") == 0) return 1;
    if (strcmp(node->type, "Gemm") == 0)
        return fzi_attr_int(node, "transB", 0, &trans) == FZ_OK && trans ? 0 : 1;
    /* A recurrent layer has its directions first, a transposed convolution its inputs. */
    return strncmp(node->type, "Conv", 4) == 0 && strcmp(node->type, "ConvTranspose") != 0 ? 0 : 1;
}

/* The scale of a channel whose largest weight is PEAK: a bias must fit 30 bits at it, and it is a
 * normal number. */
static float channel_scale(double peak, double bias, double x_scale) {
    double scale = peak / 127, needed = fzi_size(bias) / (x_scale * 1073741824.0);
    if (needed > scale) scale = needed;
    if (!(scale > 0)) scale = 1;
    return scale < 1.1754944e-38 ? 1.1754944e-38F : (float)scale;
}

static void measure(const fz_tensor_t *w, int64_t outer, int64_t n, int64_t inner, double *peaks) {
    const float *x = w->data;
    for (int64_t o = 0; o < outer; o++)
        for (int64_t c = 0; c < n; c++)
            for (int64_t i = 0; i < inner; i++, x++) {
                double size = fzi_size((double)*x);
                if (size > peaks[c]) peaks[c] = size;
            }
}

static int8_t round_to(float x, float scale) {
    double y = fzi_nearest((double)x / (double)scale);
    return (int8_t)(y > 127 ? 127 : y < -127 ? -127 : y);
}

fz_status_t fzi_weight_int8(struct fz_stage *stage, const struct fz_value *w, int32_t axis,
                            const float *bias, double x_scale, bool per_tensor,
                            struct fz_value **numbers, struct fz_value **scales) {
    int64_t n = w->t.dims[axis], outer = 1, inner = 1;
    for (int32_t d = 0; d < axis; d++) outer *= w->t.dims[d];
    for (int32_t d = axis + 1; d < w->t.rank; d++) inner *= w->t.dims[d];
    double *peaks = fzi_arena_array(&stage->arena, (size_t)n, sizeof *peaks);
    char *name = fzi_arena_format(&stage->arena, "%s_quantized", w->name);
    char *scale_name = fzi_arena_format(&stage->arena, "%s_scale", w->name);
    if (!peaks || !name || !scale_name) return fzi_error(FZ_E_NOMEM, "no memory for weights");
    *numbers = fzi_stage_constant(stage, name, FZ_TYPE_I8, w->t.rank, w->t.dims);
    *scales = fzi_stage_constant(stage, scale_name, FZ_TYPE_F32, per_tensor ? 0 : 1, &n);
    if (!*numbers || !*scales) return FZ_E_NOMEM;
    measure(&w->t, outer, n, inner, peaks);
    if (per_tensor)
        for (int64_t c = 1; c < n; c++) peaks[0] = fzi_most(peaks[0], peaks[c]);
    float *scale = (*scales)->t.data;
    for (int64_t c = 0; c < (per_tensor ? 1 : n); c++)
        scale[c] = channel_scale(peaks[c], bias ? (double)bias[c] : 0, x_scale);
    const float *x = w->t.data;
    int8_t *y = (*numbers)->t.data;
    for (int64_t o = 0; o < outer; o++)
        for (int64_t c = 0; c < n; c++)
            for (int64_t i = 0; i < inner; i++) *y++ = round_to(*x++, scale[per_tensor ? 0 : c]);
    return FZ_OK;
}

fz_status_t fzi_weight_dequantize(struct fz_quantizer *q, struct fz_stage *stage,
                                  struct fz_node *node, uint32_t i, struct fz_value *numbers,
                                  struct fz_value *scales, struct fz_value *zeros, int32_t axis,
                                  int32_t block) {
    char *label = fzi_arena_format(&stage->arena, "%s_DequantizeLinear", node->in[i]->name);
    char *name = fzi_arena_format(&stage->arena, "%s_dequantized", node->in[i]->name);
    if (!label || !name) return fzi_error(FZ_E_NOMEM, "no memory for a node");
    struct fz_node *dq = fzi_stage_node(q, stage, node, "DequantizeLinear", label, zeros ? 3 : 2,
                                        name);
    if (!dq) return FZ_E_NOMEM;
    dq->in[0] = numbers;
    dq->in[1] = scales;
    if (zeros) dq->in[2] = zeros;
    if (scales->t.rank) FZ_TRY(fzi_stage_attr(stage, dq, "axis", axis));
    if (block) FZ_TRY(fzi_stage_attr(stage, dq, "block_size", block));
    dq->out[0]->t = node->in[i]->t;
    dq->out[0]->t.data = NULL;
    node->in[i] = dq->out[0];
    return FZ_OK;
}
