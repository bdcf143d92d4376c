/* CumSum and CumProd: running sums and products along an axis, for each line one chain from +0 or 1
 * in the order of its elements, from the last one if reversed, every step rounded to the type.
 * Integers wrap. */
#include "ops/move.h"

enum { SUM, PRODUCT };

struct params {
    int64_t exclusive, reverse;
};

static fz_status_t lower(struct fz_lower *lower, struct fz_node *node, void *params) {
    struct params *p = params;
    (void)lower;
    FZ_TRY(fzi_attr_int(node, "exclusive", 0, &p->exclusive));
    return fzi_attr_int(node, "reverse", 0, &p->reverse);
}

static fz_status_t infer(const struct fz_op *op, const struct fz_call *call) {
    const fz_tensor_t *in = call->in[0];
    int64_t axis;
    int32_t at;
    bool known;
    FZ_TRY(fzi_infer_type(op, call, 0, FZ_T_NUMBER));
    FZ_TRY(fzi_move_scalar(op, call, 1, &axis, &known));
    if (known && in->rank >= 0) FZ_TRY(fzi_move_axis(op, axis, in->rank, &at));
    fzi_infer_like(call, 0, in->dtype, in);
    return FZ_OK;
}

/* Lines of N elements, STEP apart, which is negative in reverse. Line l begins at element
 * l / inner * n * inner + l % inner, or at its end. */
struct job {
    const void *in;
    void *out;
    int64_t n, inner, step;
    bool exclusive, product, reverse;
};

#define LINES(name, type, sum, multiple)                                                           \
    static void name(void *arg, int64_t begin, int64_t end) {                                      \
        const struct job *job = arg;                                                               \
        for (int64_t l = begin; l < end; l++) {                                                    \
            int64_t at = l / job->inner * job->n * job->inner + l % job->inner;                    \
            if (job->reverse) at += (job->n - 1) * job->inner;                                     \
            type acc = (type)job->product;                                                         \
            for (int64_t i = 0; i < job->n; i++, at += job->step) {                                \
                type x = ((const type *)job->in)[at];                                              \
                type next = job->product ? (type)(multiple) : (type)(sum);                         \
                ((type *)job->out)[at] = job->exclusive ? acc : next;                              \
                acc = next;                                                                        \
            }                                                                                      \
        }                                                                                          \
    }
#define INTEGER(type) LINES(lines_##type, type##_t, (uint64_t)acc + (uint64_t)x,                   \
                            (uint64_t)acc * (uint64_t)x)

INTEGER(int8)
INTEGER(int16)
INTEGER(int32)
INTEGER(int64)
INTEGER(uint8)
INTEGER(uint16)
INTEGER(uint32)
INTEGER(uint64)
LINES(lines_float, float, acc + x, acc * x)
LINES(lines_double, double, acc + x, acc * x)

static fz_range_fn find(int32_t dtype) {
    switch (dtype) {
    case FZ_TYPE_F32: return lines_float;
    case FZ_TYPE_F64: return lines_double;
    case FZ_TYPE_I8: return lines_int8;
    case FZ_TYPE_I16: return lines_int16;
    case FZ_TYPE_I32: return lines_int32;
    case FZ_TYPE_I64: return lines_int64;
    case FZ_TYPE_U8: return lines_uint8;
    case FZ_TYPE_U16: return lines_uint16;
    case FZ_TYPE_U32: return lines_uint32;
    case FZ_TYPE_U64: return lines_uint64;
    default: return NULL;
    }
}

static fz_status_t run(const struct fz_op *op, const struct fz_call *call) {
    const struct params *p = call->params;
    const fz_tensor_t *in = call->in[0];
    fz_range_fn lines = find(in->dtype);
    int64_t axis;
    int32_t at;
    bool known;
    if (!lines)
        return fzi_error(FZ_E_TYPE, "%s: input 0 cannot be %s", op->name,
                         fz_type_name(in->dtype));
    FZ_TRY(fzi_move_scalar(op, call, 1, &axis, &known));
    FZ_TRY(fzi_move_axis(op, axis, in->rank, &at));
    if (call->out[0]->size == 0) return FZ_OK;
    int64_t inner = fzi_move_span(in, at + 1, in->rank);
    struct job job = {.in = in->data, .out = call->out[0]->data, .n = in->dims[at],
                      .inner = inner, .step = p->reverse ? -inner : inner,
                      .exclusive = p->exclusive, .product = op->kind == PRODUCT,
                      .reverse = p->reverse};
    fzi_run_range(call->env, fzi_move_span(in, 0, at) * inner, 16384 / job.n + 1, lines, &job);
    return FZ_OK;
}

const struct fz_op fz_ops_cumsum[] = {
    {.name = "CumSum", .domain = "", .since = 11, .rev = 1, .min_in = 2, .max_in = 2,
     .min_out = 1, .max_out = 1, .attrs = "exclusive reverse",
     .params_size = sizeof(struct params), .kind = SUM, .lower = lower, .infer = infer,
     .run = run},
    {.name = "CumProd", .domain = "", .since = 26, .rev = 1, .min_in = 2, .max_in = 2,
     .min_out = 1, .max_out = 1, .attrs = "exclusive reverse",
     .params_size = sizeof(struct params), .kind = PRODUCT, .lower = lower, .infer = infer,
     .run = run},
    {0},
};
