/* Resize and Upsample: nearest, linear and cubic, one dimension after the other from the last to
 * the first, each output the chain w0 x0 + w1 x1 + ... with two roundings a term. 8-bit integers
 * are interpolated as binary32 and truncated. */
#include "ops/resize.h"
#include "ops/wide.h"

static fz_status_t read_axes(const struct fz_node *node, struct fz_resize_params *p) {
    const int64_t *list = NULL;
    size_t n = 0;
    FZ_TRY(fzi_attr_ints(node, "axes", &list, &n));
    if (n > FZ_RANK_MAX) return fzi_error(FZ_E_UNSUPPORTED, "attribute 'axes' has more than 12");
    for (size_t i = 0; i < n; i++) p->axes[i] = list[i];
    p->n_axes = (int64_t)n;
    return FZ_OK;
}

static fz_status_t lower(struct fz_lower *lower, struct fz_node *node, void *params) {
    static const char *const modes[] = {"nearest", "linear", "cubic", NULL};
    static const char *const coords[] = {
        "half_pixel", "half_pixel_symmetric", "pytorch_half_pixel", "align_corners", "asymmetric",
        "tf_half_pixel_for_nn", "tf_crop_and_resize", NULL};
    static const char *const roundings[] = {"round_prefer_floor", "round_prefer_ceil", "floor",
                                            "ceil", NULL};
    static const char *const policies[] = {"stretch", "not_larger", "not_smaller", NULL};
    struct fz_resize_params *p = params;
    (void)lower;
    p->roi = 1;
    p->scales = 2;
    p->sizes = 3;
    FZ_TRY(fzi_attr_choice(node, "mode", modes, FZ_RESIZE_NEAREST, &p->mode));
    FZ_TRY(fzi_attr_choice(node, "coordinate_transformation_mode", coords, 0, &p->coord));
    FZ_TRY(fzi_attr_choice(node, "nearest_mode", roundings, 0, &p->nearest));
    FZ_TRY(fzi_attr_choice(node, "keep_aspect_ratio_policy", policies, 0, &p->policy));
    FZ_TRY(fzi_attr_int(node, "antialias", 0, &p->antialias));
    FZ_TRY(fzi_attr_int(node, "exclude_outside", 0, &p->exclude_outside));
    FZ_TRY(fzi_attr_float(node, "cubic_coeff_a", -0.75f, &p->cubic_a));
    FZ_TRY(fzi_attr_float(node, "extrapolation_value", 0, &p->extrapolation));
    return read_axes(node, p);
}

/* Upsample, and Resize of opset 10: a scale for every dimension, an input or an attribute. */
static fz_status_t lower_old(struct fz_lower *lower, struct fz_node *node, void *params) {
    static const char *const modes[] = {"nearest", "linear", "bilinear", NULL};
    struct fz_resize_params *p = params;
    const float *list = NULL;
    size_t n = 0;
    (void)lower;
    FZ_TRY(fzi_attr_choice(node, "mode", modes, FZ_RESIZE_NEAREST, &p->mode));
    if (p->mode) p->mode = FZ_RESIZE_LINEAR;
    p->coord = FZ_COORD_ASYMMETRIC;
    p->nearest = FZ_NEAREST_SIMPLE;
    p->roi = p->sizes = -1;
    p->scales = node->op->max_in > 1 ? 1 : -1;
    FZ_TRY(fzi_attr_floats(node, "scales", &list, &n));
    if (n > FZ_RANK_MAX) return fzi_error(FZ_E_UNSUPPORTED, "attribute 'scales' has more than 12");
    for (size_t i = 0; i < n; i++) p->factors[i] = (double)list[i];
    p->n_factors = (int64_t)n;
    return FZ_OK;
}

/* The first Upsample is about images: height_scale and width_scale. */
static fz_status_t lower_first(struct fz_lower *lower, struct fz_node *node, void *params) {
    struct fz_resize_params *p = params;
    FZ_TRY(lower_old(lower, node, params));
    p->n_factors = 4;
    p->factors[0] = p->factors[1] = 1;
    FZ_TRY(fzi_attr_float(node, "height_scale", 0, &p->factors[2]));
    return fzi_attr_float(node, "width_scale", 0, &p->factors[3]);
}

static fz_status_t infer(const struct fz_op *op, const struct fz_call *call) {
    const struct fz_resize_params *p = call->params;
    const fz_tensor_t *x = call->in[0];
    struct fz_resize_plan plan;
    bool near = p->mode == FZ_RESIZE_NEAREST;
    uint64_t moved = FZ_T_NUMBER | FZ_T(BOOL);
    if (p->coord != FZ_COORD_TF_CROP_AND_RESIZE) moved |= FZ_T(STRING) | FZ_T(C64) | FZ_T(C128);
    FZ_TRY(fzi_infer_type(op, call, 0, near ? moved : FZ_T(F32) | FZ_T(U8) | FZ_T(I8)));
    if (x->rank < 0) {
        fzi_infer_unknown(call, 0, x->dtype);
        return FZ_OK;
    }
    FZ_TRY(fzi_resize_plan(op, call, &plan));
    if (near && p->antialias)
        return fzi_error(FZ_E_UNSUPPORTED, "%s: antialias with mode nearest", op->name);
    fzi_infer_shape(call, 0, x->dtype, x->rank, plan.dims);
    return FZ_OK;
}

/* ---- one dimension */

struct pass {
    const struct fz_resize_table *table;
    bool doubles; /* every element comes twice, next to itself */
    const char *x;
    char *y;
    int64_t in, out, inner; /* [outer][in][inner] to [outer][out][inner] */
    size_t width;
};

/* Rows of one element: each comes from the place that the table says. */
static void gather(const struct pass *s, const char *x, char *y) {
    const int64_t *index = s->table->index;
    const void *from = x;
    void *to = y;
    const uint8_t *x1 = from;
    const uint32_t *x4 = from;
    uint8_t *y1 = to;
    uint32_t *y4 = to;
    if (s->width == 4 && s->doubles)
        for (int64_t i = 0; i < s->in; i++) y4[2 * i] = y4[2 * i + 1] = x4[i];
    else if (s->width == 4)
        for (int64_t o = 0; o < s->out; o++) y4[o] = x4[index[o]];
    else if (s->width == 1)
        for (int64_t o = 0; o < s->out; o++) y1[o] = x1[index[o]];
    else
        for (int64_t o = 0; o < s->out; o++)
            memcpy(y + o * (int64_t)s->width, x + index[o] * (int64_t)s->width, s->width);
}

/* Outer rows BEGIN to END, or, where inner rows are worth it, outputs counted over all of them. */
static void nearest_range(void *arg, int64_t begin, int64_t end) {
    const struct pass *s = arg;
    int64_t row = s->inner * (int64_t)s->width;
    if (s->inner == 1) {
        for (int64_t i = begin; i < end; i++)
            gather(s, s->x + i * s->in * row, s->y + i * s->out * row);
        return;
    }
    for (int64_t i = begin; i < end; i++) {
        int64_t from = i / s->out * s->in + s->table->index[i % s->out];
        memcpy(s->y + i * row, s->x + from * row, (size_t)row);
    }
}

/* One output element or row of INNER elements, TAPS terms in order. */
static void blend(const struct pass *s, const float *x, const int64_t *index, const float *weight,
                  float *y) {
    int64_t n = s->inner, taps = s->table->taps;
    if (taps == 2) {
        const float *a = x + index[0] * n, *b = x + index[1] * n, wa = weight[0], wb = weight[1];
        for (int64_t i = 0; i < n; i++) y[i] = wa * a[i] + wb * b[i];
        return;
    }
    for (int64_t i = 0; i < n; i++) y[i] = weight[0] * x[index[0] * n + i];
    for (int64_t t = 1; t < taps; t++) {
        const float *a = x + index[t] * n, w = weight[t];
        for (int64_t i = 0; i < n; i++) y[i] = y[i] + w * a[i];
    }
}

/* The same of a dimension whose rows are single elements. */
static void blend_line(const struct pass *s, const float *x, float *y) {
    const int64_t *index = s->table->index;
    const float *weight = s->table->weight;
    int64_t taps = s->table->taps;
    for (int64_t o = 0; o < s->out; o++, index += taps, weight += taps) {
        float sum = weight[0] * x[index[0]];
        for (int64_t t = 1; t < taps; t++) sum = sum + weight[t] * x[index[t]];
        y[o] = sum;
    }
}

static void blend_range(void *arg, int64_t begin, int64_t end) {
    const struct pass *s = arg;
    const void *from = s->x;
    void *to = s->y;
    const float *x = from;
    float *y = to;
    int64_t taps = s->table->taps;
    if (s->inner == 1) {
        for (int64_t i = begin; i < end; i++) blend_line(s, x + i * s->in, y + i * s->out);
        return;
    }
    for (int64_t i = begin; i < end; i++) {
        int64_t o = i % s->out;
        blend(s, x + i / s->out * s->in * s->inner, s->table->index + o * taps,
              s->table->weight + o * taps, y + i * s->inner);
    }
}

/* ---- all dimensions */

struct job {
    const struct fz_resize_params *p;
    struct fz_resize_plan plan;
    int32_t rank;
    int64_t dims[FZ_RANK_MAX]; /* of what the last pass left */
    size_t width;              /* of an element in the passes */
};

/* Interpolation of 8-bit integers has a float copy of both ends. */
static bool converts(const struct fz_call *call) {
    const struct fz_resize_params *p = call->params;
    return p->mode != FZ_RESIZE_NEAREST && call->in[0]->dtype != FZ_TYPE_F32;
}

static int64_t product(const int64_t *dims, int32_t from, int32_t to) {
    int64_t n = 1;
    for (int32_t d = from; d < to; d++) n *= dims[d];
    return n;
}

static bool start(const struct fz_op *op, const struct fz_call *call, struct job *job) {
    const fz_tensor_t *x = call->in[0];
    job->p = call->params;
    job->rank = x->rank;
    memcpy(job->dims, x->dims, sizeof job->dims);
    job->width = converts(call) ? 4 : fzi_type_width(x->dtype);
    return fzi_resize_plan(op, call, &job->plan) == FZ_OK;
}

/* Every table, every pass's result but the last one's, and the two float copies. Sizes as binary64
 * first: passes may pass through more elements than either end has. */
static size_t scratch(const struct fz_op *op, const struct fz_call *call) {
    struct job job;
    size_t size = 0;
    double check = 0;
    if (!start(op, call, &job)) return 0;
    for (int32_t d = 0; d < job.rank; d++)
        if (job.plan.dims[d] == 0) return 0;
    int64_t count = product(job.dims, 0, job.rank);
    if (converts(call)) size += fzi_align((size_t)count * 4, 64);
    for (int32_t i = job.plan.n - 1; i >= 0; i--) {
        const struct fz_resize_axis *a = &job.plan.axis[i];
        double elements = (double)job.width;
        job.dims[a->dim] = a->out;
        for (int32_t d = 0; d < job.rank; d++) elements *= (double)job.dims[d];
        check += elements + 13 * (double)a->out * (double)fzi_resize_taps(job.p, a);
        if (check > 0x1p56) return (size_t)1 << 62; /* no memory has as much */
        size += fzi_resize_table_size(job.p, a);
        size += fzi_align((size_t)product(job.dims, 0, job.rank) * job.width, 64);
    }
    return size;
}

static bool doubles(const struct fz_resize_table *table, const struct fz_resize_axis *a) {
    bool good = a->out == 2 * a->in;
    for (int64_t o = 0; o < a->out && good; o++) good = table->index[o] == o / 2;
    return good;
}

static void pass_over(const struct fz_env *env, struct job *job, const struct fz_resize_axis *a,
                      const struct fz_resize_table *table, const void *x, void *y) {
    struct pass s = {table, doubles(table, a), x, y, a->in, a->out,
                     product(job->dims, a->dim + 1, job->rank), job->width};
    int64_t outer = product(job->dims, 0, a->dim), line = s.inner == 1 ? a->out : s.inner;
    int64_t work = fzi_max_i64(1, line * table->taps);
    job->dims[a->dim] = a->out;
    fzi_run_range(env, s.inner == 1 ? outer : outer * a->out, fzi_max_i64(1, 16384 / work),
                  job->p->mode == FZ_RESIZE_NEAREST ? nearest_range : blend_range, &s);
}

/* Elements whose place lies outside of the input along A get the extrapolation value. */
static void extrapolate(const struct fz_call *call, const struct job *job,
                        const struct fz_resize_axis *a, const struct fz_resize_table *table) {
    const fz_tensor_t *out = call->out[0];
    enum fz_wide wide = fzi_wide_of(out->dtype);
    const double f64 = job->p->extrapolation;
    const float f32 = (float)f64;
    const int64_t integer = (int64_t)(__builtin_fabs(f64) < 0x1p62 ? f64 : 0);
    const uint8_t boolean = f64 != 0;
    const void *value = wide == FZ_WIDE_F32   ? (const void *)&f32
                        : wide == FZ_WIDE_F64 ? (const void *)&f64
                                              : (const void *)&integer;
    if (wide == FZ_WIDE_BOOL) value = &boolean;
    int64_t outer = product(out->dims, 0, a->dim);
    int64_t inner = product(out->dims, a->dim + 1, out->rank);
    for (int64_t i = 0; i < outer * a->out; i++)
        for (int64_t j = 0; j < inner && table->outside[i % a->out]; j++)
            fzi_wide_store(call->env->k, out->dtype, out->data, i * inner + j, 1, value);
}

static void to_float(const fz_tensor_t *x, float *y, const struct fzk_table *k) {
    int64_t n = fzi_tensor_count(x);
    if (x->dtype == FZ_TYPE_U8) k->u8_to_f32(y, x->data, n);
    else k->i8_to_f32(y, x->data, n);
}

static void from_float(const float *x, fz_tensor_t *y, const struct fzk_table *k) {
    int64_t n = fzi_tensor_count(y);
    if (y->dtype == FZ_TYPE_U8) k->f32_to_u8(y->data, x, n);
    else k->f32_to_i8(y->data, x, n);
}

static void resize(const struct fz_call *call, struct job *job) {
    struct fz_resize_table table[FZ_RANK_MAX];
    char *room = call->scratch;
    const void *x = call->in[0]->data;
    void *y = call->out[0]->data;
    if (converts(call)) {
        void *copy = room;
        to_float(call->in[0], copy, call->env->k);
        x = copy;
        room += fzi_align((size_t)fzi_tensor_count(call->in[0]) * 4, 64);
    }
    for (int32_t i = job->plan.n - 1; i >= 0; i--) {
        const struct fz_resize_axis *a = &job->plan.axis[i];
        fzi_resize_table(job->p, a, room, &table[i]);
        room += fzi_resize_table_size(job->p, a);
        y = i == 0 && !converts(call) ? call->out[0]->data : room;
        pass_over(call->env, job, a, &table[i], x, y);
        room += fzi_align((size_t)product(job->dims, 0, job->rank) * job->width, 64);
        x = y;
    }
    if (converts(call)) from_float(x, call->out[0], call->env->k);
    if (job->p->coord != FZ_COORD_TF_CROP_AND_RESIZE) return;
    for (int32_t i = 0; i < job->plan.n; i++)
        extrapolate(call, job, &job->plan.axis[i], &table[i]);
}

static fz_status_t run(const struct fz_op *op, const struct fz_call *call) {
    struct job job;
    if (call->out[0]->size == 0) return FZ_OK;
    if (!start(op, call, &job)) return fzi_error(FZ_E_VALUE, "%s: sizes have changed", op->name);
    if (job.plan.n == 0) memcpy(call->out[0]->data, call->in[0]->data, call->out[0]->size);
    else resize(call, &job);
    return FZ_OK;
}

#define ROW(onnx, first, last, inputs_min, inputs, known, lowering)                                \
    {.name = onnx, .domain = "", .since = first, .until = last, .rev = 1, .min_in = inputs_min,    \
     .max_in = inputs, .min_out = 1, .max_out = 1, .attrs = known,                                 \
     .params_size = sizeof(struct fz_resize_params), .lower = lowering, .infer = infer,            \
     .scratch = scratch, .run = run}
#define ATTRS_11                                                                                   \
    "mode coordinate_transformation_mode nearest_mode cubic_coeff_a exclude_outside "              \
    "extrapolation_value"

const struct fz_op fz_ops_resize[] = {
    ROW("Resize", 10, 10, 2, 2, "mode", lower_old),
    ROW("Resize", 11, 17, 1, 4, ATTRS_11, lower),
    ROW("Resize", 18, 0, 1, 4, ATTRS_11 " antialias axes keep_aspect_ratio_policy", lower),
    ROW("Upsample", 1, 6, 1, 1, "mode height_scale width_scale", lower_first),
    ROW("Upsample", 7, 8, 1, 1, "mode scales", lower_old),
    ROW("Upsample", 9, 0, 2, 2, "mode", lower_old),
    {0},
};
