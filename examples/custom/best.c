/* A custom operator: com.example.Best picks the class with the highest score of each row, or -1
 * where the second one comes closer than the attribute `margin`.
 *
 *   scores float32 [rows, classes] -> best int64 [rows]
 *
 * Built as a shared object it serves `fz --custom ./best.so`; custom.c links it. It needs the
 * header only, no library. */
#include <frozen/custom.h>

static fz_status_t infer(void *context, const fz_custom_call_t *call) {
    const fz_tensor_t *scores = call->inputs[0];
    fz_tensor_t *best = call->outputs[0];
    (void)context;
    if (scores->dtype != FZ_TYPE_F32) return call->error(call, FZ_E_TYPE, "scores must be float32");
    if (scores->rank >= 0 && scores->rank != 2)
        return call->error(call, FZ_E_SHAPE, "scores must have two dimensions: rows and classes");
    best->dtype = FZ_TYPE_I64;
    best->rank = 1;
    best->dims[0] = scores->rank == 2 ? scores->dims[0] : -1; /* may be open: it is passed on */
    return FZ_OK;
}

static int64_t best_of(const float *scores, int64_t classes, float margin) {
    int64_t best = 0;
    for (int64_t c = 1; c < classes; c++)
        if (scores[c] > scores[best]) best = c;
    for (int64_t c = 0; c < classes; c++)
        if (c != best && scores[best] - scores[c] < margin) return -1;
    return best;
}

/* Comparisons and one subtraction each: the same bits everywhere, which nobody but the operator's
 * author can promise. */
static fz_status_t run(void *context, const fz_custom_call_t *call) {
    const fz_tensor_t *scores = call->inputs[0], *margin = call->attributes[0];
    int64_t *best = call->outputs[0]->data, classes = scores->dims[1];
    (void)context;
    if (classes == 0) return call->error(call, FZ_E_VALUE, "there are no classes to choose from");
    for (int64_t r = 0; r < scores->dims[0]; r++)
        best[r] = best_of((const float *)scores->data + r * classes, classes,
                          margin ? *(const float *)margin->data : 0.0f);
    return FZ_OK;
}

static const fz_custom_attr_t attributes[] = {{"margin", FZ_CUSTOM_FLOAT, 0}};

/* The digest names this implementation in every file that uses it. Whoever changes a bit of a
 * result changes the version and the digest with it. */
static const fz_custom_op_t best_op = {
    .size = sizeof best_op, .domain = "com.example", .name = "Best", .opset = 1, .version = 1,
    .digest = {0x9c, 0x4e, 0x1f, 0x52, 0x88, 0x03, 0x6b, 0xd1, 0x27, 0xe5, 0x70, 0xaa,
               0x3d, 0x96, 0x0c, 0xf8, 0x41, 0xb2, 0x5e, 0x19, 0xd4, 0x6f, 0x83, 0x0a,
               0xc7, 0x38, 0xe1, 0x95, 0x2b, 0x74, 0x5d, 0x06},
    .min_inputs = 1, .max_inputs = 1, .min_outputs = 1, .max_outputs = 1,
    .attributes = attributes, .n_attributes = 1, .infer = infer, .run = run};

const fz_custom_op_t *const *frozen_custom_ops(size_t *n);

const fz_custom_op_t *const *frozen_custom_ops(size_t *n) {
    static const fz_custom_op_t *const ops[] = {&best_op};
    *n = 1;
    return ops;
}
