/* The sizes of Resize: from scales, from sizes, or from attributes. */
#include "ops/resize.h"

/* The dimensions that scales and sizes are about, in their order. */
static fz_status_t find_axes(const struct fz_op *op, const struct fz_call *call, int32_t *axes,
                             int32_t *n) {
    const struct fz_resize_params *p = call->params;
    int32_t rank = call->in[0]->rank;
    uint32_t seen = 0;
    if (p->n_axes < 0 || p->n_axes > FZ_RANK_MAX)
        return fzi_error(FZ_E_FORMAT, "%s: too many axes", op->name);
    *n = p->n_axes ? (int32_t)p->n_axes : rank;
    for (int32_t i = 0; i < *n; i++) {
        if (!fzi_axis(p->n_axes ? p->axes[i] : i, rank, &axes[i]) || seen >> axes[i] & 1)
            return fzi_error(FZ_E_SHAPE, "%s: the axes do not fit rank %d", op->name, rank);
        seen |= 1u << axes[i];
    }
    return FZ_OK;
}

static const fz_tensor_t *input(const struct fz_call *call, int64_t i) {
    return i >= 0 && i < call->n_in ? call->in[i] : NULL;
}

/* True if T is there and not known to be empty. */
static bool given(const fz_tensor_t *t) {
    return t && !(t->rank == 1 && t->dims[0] == 0);
}

static bool unsure(const fz_tensor_t *t) { return t->rank != 1 || t->dims[0] < 0; }

static fz_status_t check_list(const struct fz_op *op, const fz_tensor_t *t, const char *what,
                              uint64_t types, int64_t n) {
    if (!(types >> t->dtype & 1))
        return fzi_error(FZ_E_TYPE, "%s: %s cannot be %s", op->name, what, fz_type_name(t->dtype));
    if (t->rank >= 0 && t->rank != 1)
        return fzi_error(FZ_E_SHAPE, "%s: %s are not a list", op->name, what);
    if (t->rank == 1 && t->dims[0] >= 0 && t->dims[0] != n)
        return fzi_error(FZ_E_SHAPE, "%s: %lld %s for %lld axes", op->name, (long long)t->dims[0],
                         what, (long long)n);
    return FZ_OK;
}

/* Output size of AXIS from its scale; the product is one of binary32, as everywhere else. */
static fz_status_t size_from_scale(const struct fz_op *op, struct fz_resize_axis *a) {
    if (!(a->scale > 0) || a->scale > 0x1p40f)
        return fzi_error(FZ_E_VALUE, "%s: a scale of %g", op->name, (double)a->scale);
    if (a->in < 0) {
        a->out = a->scale == 1 ? a->in : FZ_DIM_UNKNOWN;
        return FZ_OK;
    }
    a->width = a->scale * (float)a->in;
    if (!(a->width < 0x1p62f)) return fzi_error(FZ_E_SHAPE, "%s: too large", op->name);
    a->out = (int64_t)a->width;
    if (a->scale == 1) a->out = a->in; /* beyond 2^24 the product is not exact */
    return FZ_OK;
}

static fz_status_t plan_scales(const struct fz_op *op, const struct fz_call *call,
                               struct fz_resize_axis *axis, int32_t n) {
    const struct fz_resize_params *p = call->params;
    const fz_tensor_t *t = input(call, p->scales);
    if (!t && p->n_factors != n)
        return fzi_error(FZ_E_FORMAT, "%s: %lld scales for %d dimensions", op->name,
                         (long long)p->n_factors, n);
    if (t) FZ_TRY(check_list(op, t, "scales", FZ_T_FLOAT, n));
    for (int32_t i = 0; i < n; i++) {
        if (t && !t->data) continue;
        axis[i].scale = (float)(t ? fzi_tensor_float(t, i) : p->factors[i]);
        FZ_TRY(size_from_scale(op, &axis[i]));
    }
    return FZ_OK;
}

/* One scale for all axes: the smallest or the largest of theirs. */
static fz_status_t keep_aspect(const struct fz_op *op, const struct fz_resize_params *p,
                               struct fz_resize_axis *axis, int32_t n) {
    float scale = 0;
    for (int32_t i = 0; i < n; i++) {
        bool less = axis[i].scale < scale;
        if (i == 0 || (p->policy == FZ_ASPECT_NOT_LARGER ? less : !less)) scale = axis[i].scale;
    }
    for (int32_t i = 0; i < n; i++) {
        axis[i].scale = scale;
        axis[i].width = scale * (float)axis[i].in;
        if (!(axis[i].width < 0x1p62f)) return fzi_error(FZ_E_SHAPE, "%s: too large", op->name);
        axis[i].out = (int64_t)(axis[i].width + 0.5f);
    }
    return FZ_OK;
}

static fz_status_t plan_sizes(const struct fz_op *op, const struct fz_call *call,
                              const fz_tensor_t *t, struct fz_resize_axis *axis, int32_t n) {
    const struct fz_resize_params *p = call->params;
    bool known = true;
    FZ_TRY(check_list(op, t, "sizes", FZ_T(I64) | FZ_T(I32), n));
    if (!t->data) return FZ_OK;
    for (int32_t i = 0; i < n; i++) {
        struct fz_resize_axis *a = &axis[i];
        a->out = fzi_tensor_int(t, i);
        if (a->out < 0 || a->out > INT64_MAX >> 2)
            return fzi_error(FZ_E_VALUE, "%s: a size of %lld", op->name, (long long)a->out);
        if (a->in == 0 && a->out > 0)
            return fzi_error(FZ_E_SHAPE, "%s: nothing cannot be enlarged", op->name);
        a->scale = a->in > 0 ? (float)a->out / (float)a->in : 1;
        a->width = (float)a->out;
        known = known && a->in >= 0;
    }
    if (p->policy == FZ_ASPECT_STRETCH) return FZ_OK;
    if (known) return keep_aspect(op, p, axis, n);
    for (int32_t i = 0; i < n; i++) axis[i].out = FZ_DIM_UNKNOWN;
    return FZ_OK;
}

static fz_status_t plan_roi(const struct fz_op *op, const struct fz_call *call,
                            struct fz_resize_axis *axis, int32_t n) {
    const struct fz_resize_params *p = call->params;
    const fz_tensor_t *t = input(call, p->roi);
    if (p->coord != FZ_COORD_TF_CROP_AND_RESIZE) return FZ_OK;
    if (!t) return fzi_error(FZ_E_FORMAT, "%s: roi is missing", op->name);
    FZ_TRY(check_list(op, t, "roi", FZ_T_FLOAT, 2 * (int64_t)n));
    for (int32_t i = 0; i < n && t->data; i++) {
        axis[i].begin = (float)fzi_tensor_float(t, i);
        axis[i].end = (float)fzi_tensor_float(t, n + i);
    }
    return FZ_OK;
}

static fz_status_t check_params(const struct fz_op *op, const struct fz_resize_params *p) {
    bool good = p->mode >= 0 && p->mode <= FZ_RESIZE_CUBIC && p->coord >= 0 &&
                p->coord < FZ_COORD_COUNT && p->nearest >= 0 && p->nearest < FZ_NEAREST_COUNT &&
                p->policy >= 0 && p->policy <= FZ_ASPECT_NOT_SMALLER;
    return good ? FZ_OK : fzi_error(FZ_E_FORMAT, "%s: parameters out of range", op->name);
}

/* True if AXIS leaves every element where it is. */
static bool idle(const struct fz_resize_params *p, const struct fz_resize_axis *a) {
    if (a->in != a->out || a->scale != 1) return false;
    return p->coord != FZ_COORD_TF_CROP_AND_RESIZE || (a->begin == 0 && a->end == 1);
}

/* Scales or sizes into AXIS; neither if it is not known yet which of them there are. */
static fz_status_t plan_axes(const struct fz_op *op, const struct fz_call *call,
                             struct fz_resize_axis *axis, int32_t n) {
    const struct fz_resize_params *p = call->params;
    const fz_tensor_t *scales = input(call, p->scales), *sizes = input(call, p->sizes);
    if (given(scales) && given(sizes) && (unsure(scales) || unsure(sizes))) return FZ_OK;
    if (given(scales) && given(sizes))
        return fzi_error(FZ_E_VALUE, "%s: both scales and sizes are given", op->name);
    if (given(sizes)) return plan_sizes(op, call, sizes, axis, n);
    if (given(scales) || p->n_factors) return plan_scales(op, call, axis, n);
    return fzi_error(FZ_E_FORMAT, "%s: neither scales nor sizes are given", op->name);
}

fz_status_t fzi_resize_plan(const struct fz_op *op, const struct fz_call *call,
                            struct fz_resize_plan *plan) {
    const struct fz_resize_params *p = call->params;
    const fz_tensor_t *x = call->in[0];
    struct fz_resize_axis axis[FZ_RANK_MAX] = {0};
    int32_t axes[FZ_RANK_MAX] = {0}, n = 0;
    FZ_TRY(check_params(op, p));
    FZ_TRY(find_axes(op, call, axes, &n));
    memcpy(plan->dims, x->dims, sizeof plan->dims);
    for (int32_t i = 0; i < n; i++)
        axis[i] = (struct fz_resize_axis){.dim = axes[i], .in = x->dims[axes[i]],
                                          .out = FZ_DIM_UNKNOWN, .end = 1};
    FZ_TRY(plan_axes(op, call, axis, n));
    FZ_TRY(plan_roi(op, call, axis, n));
    plan->n = 0;
    for (int32_t d = 0; d < x->rank; d++)
        for (int32_t i = 0; i < n; i++) {
            if (axis[i].dim != d) continue;
            plan->dims[d] = axis[i].out;
            if (!idle(p, &axis[i])) plan->axis[plan->n++] = axis[i];
        }
    return FZ_OK;
}
