/* Optional, OptionalHasElement, OptionalGetElement. The latter two take what is no optional, too:
 * it is there. */
#include "ops/move.h"
#include "ops/nested.h"

struct params {
    int64_t type; /* of an element that is not there */
};

static fz_status_t lower(struct fz_lower *lower, struct fz_node *node, void *params) {
    struct params *p = params;
    (void)lower;
    if (!fzi_in(node, 0) && !fzi_attr(node, "type"))
        return fzi_error(FZ_E_FORMAT, "Optional needs an input or the attribute 'type'");
    return fzi_attr_int(node, "type", 0, &p->type);
}

static fz_status_t infer(const struct fz_op *op, const struct fz_call *call) {
    const struct params *p = call->params;
    bool has = fzi_move_has(call, 0);
    if (!has && (p->type <= 0 || p->type > INT32_MAX || !fzi_type_valid((int32_t)p->type)))
        return fzi_error(FZ_E_TYPE, "%s: unknown type", op->name);
    return fzi_nested_infer(op, call, 0, FZ_KIND_OPTIONAL,
                            has ? call->in[0]->dtype : (int32_t)p->type, has);
}

static fz_status_t run(const struct fz_op *op, const struct fz_call *call) {
    (void)op;
    if (!fzi_move_has(call, 0)) return FZ_OK;
    return fzi_nested_keep(call->env, call->in[0], call->out[0]->data);
}

/* ---- OptionalHasElement */

static fz_status_t infer_has(const struct fz_op *op, const struct fz_call *call) {
    (void)op;
    fzi_infer_shape(call, 0, FZ_TYPE_BOOL, 0, NULL);
    return FZ_OK;
}

static bool is_optional(const fz_tensor_t *t) {
    return fz_type_kind(t->dtype) == FZ_KIND_OPTIONAL;
}

static fz_status_t run_has(const struct fz_op *op, const struct fz_call *call) {
    const fz_tensor_t *in = fzi_move_has(call, 0) ? call->in[0] : NULL;
    (void)op;
    *(uint8_t *)call->out[0]->data = in && (!is_optional(in) || in->dims[0] > 0);
    return FZ_OK;
}

/* ---- OptionalGetElement */

static fz_status_t infer_get(const struct fz_op *op, const struct fz_call *call) {
    const fz_tensor_t *in = call->in[0];
    (void)op;
    if (is_optional(in)) fzi_nested_infer_open(call, 0, fz_type_element(in->dtype));
    else fzi_infer_like(call, 0, in->dtype, in);
    return FZ_OK;
}

static fz_status_t run_get(const struct fz_op *op, const struct fz_call *call) {
    const fz_tensor_t *in = call->in[0];
    if (!is_optional(in)) {
        if (in->size) memcpy(call->out[0]->data, in->data, in->size);
        return FZ_OK;
    }
    if (in->dims[0] == 0) return fzi_error(FZ_E_VALUE, "%s: the optional is empty", op->name);
    fz_tensor_t item = fzi_value_item(in, 0);
    return fzi_nested_give(call, &item);
}

enum { FLAGS = FZ_OP_ANY_TYPE | FZ_OP_NESTED };

const struct fz_op fz_ops_optional[] = {
    {.name = "Optional", .domain = "", .since = 15, .rev = 1, .flags = FLAGS, .min_in = 0,
     .max_in = 1, .min_out = 1, .max_out = 1, .attrs = "type",
     .params_size = sizeof(struct params), .lower = lower, .infer = infer, .run = run},
    {.name = "OptionalHasElement", .domain = "", .since = 15, .rev = 1,
     .flags = FLAGS | FZ_OP_SHAPE_INPUT, .min_in = 0, .max_in = 1, .min_out = 1, .max_out = 1,
     .infer = infer_has, .run = run_has},
    {.name = "OptionalGetElement", .domain = "", .since = 15, .rev = 1,
     .flags = FLAGS | FZ_OP_LATE_SHAPE, .min_in = 1, .max_in = 1, .min_out = 1, .max_out = 1,
     .infer = infer_get, .run = run_get},
    {0},
};
