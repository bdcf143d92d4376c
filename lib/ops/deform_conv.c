/* DeformConv: a convolution whose taps are sampled where offsets move them to, linearly between
 * pixels, zero outside of the image, times a mask. The samples of 32 output points become a panel
 * of columns; then each output is one chain over k = (channel of the group, kernel point) in
 * blocks of 256, plus the bias. Places and weights are binary64, each sample rounds once. */
#include "ops/matmul.h"
#include "ops/move.h"

enum { IMAGE, WEIGHT, OFFSET, BIAS, MASK };
enum { DIMS = 3 };

struct params {
    struct fz_list dilations, pads, strides, kernel;
    int64_t group, offset_group;
};

static fz_status_t lower(struct fz_lower *lower, struct fz_node *node, void *params) {
    struct params *p = params;
    (void)lower;
    FZ_TRY(fzi_move_list(node, "dilations", &p->dilations));
    FZ_TRY(fzi_move_list(node, "pads", &p->pads));
    FZ_TRY(fzi_move_list(node, "strides", &p->strides));
    FZ_TRY(fzi_move_list(node, "kernel_shape", &p->kernel));
    FZ_TRY(fzi_attr_int(node, "group", 1, &p->group));
    return fzi_attr_int(node, "offset_group", 1, &p->offset_group);
}

/* Sizes of a call, all known. */
struct sizes {
    int32_t n; /* spatial dimensions */
    int64_t batch, in, out, depth; /* depth: input channels of a group */
    int64_t image[DIMS], kernel[DIMS], points[DIMS], stride[DIMS], dilation[DIMS], before[DIMS];
    int64_t pixels, taps, places; /* of an image, a kernel, an output */
};

static fz_status_t set_dim(const struct fz_op *op, const struct fz_call *call, struct sizes *s,
                           int32_t d) {
    const struct params *p = call->params;
    int64_t behind = p->pads.n ? p->pads.at[s->n + d] : 0;
    s->image[d] = call->in[IMAGE]->dims[d + 2];
    s->kernel[d] = call->in[WEIGHT]->dims[d + 2];
    s->stride[d] = p->strides.n ? p->strides.at[d] : 1;
    s->dilation[d] = p->dilations.n ? p->dilations.at[d] : 1;
    s->before[d] = p->pads.n ? p->pads.at[d] : 0;
    const int64_t all[6] = {s->image[d], s->kernel[d], s->stride[d], s->dilation[d],
                            s->before[d], behind}; /* pads may be 0 */
    for (int i = 0; i < 6; i++)
        if (all[i] < (i < 4) || all[i] > INT32_MAX >> 1)
            return fzi_error(FZ_E_SHAPE, "%s: sizes or attributes are out of range", op->name);
    if (p->kernel.n && p->kernel.at[d] != s->kernel[d])
        return fzi_error(FZ_E_SHAPE, "%s: kernel_shape is not that of the weights", op->name);
    int64_t room = s->image[d] + s->before[d] + behind - s->dilation[d] * (s->kernel[d] - 1) - 1;
    if (room < 0) return fzi_error(FZ_E_SHAPE, "%s: the kernel is larger than the image", op->name);
    s->points[d] = room / s->stride[d] + 1;
    return FZ_OK;
}

/* Input I has these dims: N of them in DIMS, then the output's. */
static fz_status_t check(const struct fz_op *op, const struct fz_call *call, uint32_t i, int32_t n,
                         const int64_t *dims, const struct sizes *s) {
    const fz_tensor_t *t = fzi_move_has(call, i) ? call->in[i] : NULL;
    if (!t || !fzi_shape_known(t)) return FZ_OK;
    bool good = t->rank == n + (s ? s->n : 0);
    for (int32_t d = 0; good && d < t->rank; d++)
        good = t->dims[d] == (d < n ? dims[d] : s->points[d - n]);
    return good ? FZ_OK : fzi_error(FZ_E_SHAPE, "%s: input %u does not fit", op->name, i);
}

static fz_status_t measure(const struct fz_op *op, const struct fz_call *call, struct sizes *s) {
    const struct params *p = call->params;
    const fz_tensor_t *x = call->in[IMAGE], *w = call->in[WEIGHT];
    s->n = x->rank - 2;
    if (s->n < 1 || s->n > DIMS || w->rank != x->rank || (p->kernel.n && p->kernel.n != s->n) ||
        (p->strides.n && p->strides.n != s->n) || (p->dilations.n && p->dilations.n != s->n) ||
        (p->pads.n && p->pads.n != 2 * s->n))
        return fzi_error(FZ_E_SHAPE, "%s: ranks or attributes do not fit", op->name);
    s->batch = x->dims[0];
    s->in = x->dims[1];
    s->out = w->dims[0];
    s->depth = w->dims[1];
    if (p->group < 1 || p->offset_group < 1 || s->in % p->group || s->in / p->group != s->depth ||
        s->out % p->group || s->in % p->offset_group || s->in < 1 || s->out < 1)
        return fzi_error(FZ_E_SHAPE, "%s: channels and groups do not fit", op->name);
    for (int32_t d = 0; d < s->n; d++) FZ_TRY(set_dim(op, call, s, d));
    int64_t k[2] = {s->depth, 0}, offsets[2] = {p->offset_group, 0}, n;
    if (!fzi_dims_count(s->image, 0, s->n, &s->pixels) ||
        !fzi_dims_count(s->kernel, 0, s->n, &s->taps) ||
        !fzi_dims_count(s->points, 0, s->n, &s->places) || s->taps > INT32_MAX)
        return fzi_error(FZ_E_SHAPE, "%s: the operands are too large", op->name);
    k[1] = offsets[1] = s->taps * s->n;
    if (!fzi_dims_count(k, 0, 2, &n) || n > INT32_MAX || !fzi_dims_count(offsets, 0, 2, &n))
        return fzi_error(FZ_E_SHAPE, "%s: the operands are too large", op->name);
    FZ_TRY(check(op, call, OFFSET, 2, (int64_t[]){s->batch, n}, s));
    FZ_TRY(check(op, call, MASK, 2, (int64_t[]){s->batch, n / s->n}, s));
    return check(op, call, BIAS, 1, &s->out, NULL);
}

static fz_status_t infer(const struct fz_op *op, const struct fz_call *call) {
    const fz_tensor_t *x = call->in[IMAGE], *w = call->in[WEIGHT];
    struct sizes s;
    FZ_TRY(fzi_infer_type(op, call, IMAGE, FZ_T(F32) | FZ_T(F64)));
    for (uint32_t i = WEIGHT; i <= MASK; i++)
        if (fzi_move_has(call, i) && call->in[i]->dtype != x->dtype)
            return fzi_error(FZ_E_TYPE, "%s: input %u is not of the image's type", op->name, i);
    fzi_infer_unknown(call, 0, x->dtype);
    if (!fzi_shape_known(x) || !fzi_shape_known(w)) return fzi_move_infer_rank(call, x->rank);
    FZ_TRY(measure(op, call, &s));
    int64_t dims[2 + DIMS] = {s.batch, s.out};
    for (int32_t d = 0; d < s.n; d++) dims[d + 2] = s.points[d];
    fzi_infer_shape(call, 0, x->dtype, x->rank, dims);
    return FZ_OK;
}

static double number(const fz_tensor_t *t, int64_t i) {
    return t->dtype == FZ_TYPE_F32 ? (double)((const float *)t->data)[i]
                                   : ((const double *)t->data)[i];
}

struct job {
    const struct fz_call *call;
    struct sizes s;
    int64_t panels, units, count;
    size_t room;
    char *rooms;
};

static void set_up(const struct fz_call *call, struct job *job) {
    const struct params *p = call->params;
    job->call = call;
    job->panels = fzi_ceil_div(job->s.places, FZK_PANEL);
    job->units = job->s.batch * p->group * job->panels;
    job->count = call->env->threads > 1
                     ? fzi_max_i64(1, fzi_min_i64(job->units, 4 * (int64_t)call->env->threads)) : 1;
    job->room = (size_t)(job->s.depth * job->s.taps * FZK_PANEL) *
                fzi_type_width(call->in[IMAGE]->dtype);
}

static size_t scratch(const struct fz_op *op, const struct fz_call *call) {
    struct job job = {0};
    if (measure(op, call, &job.s) != FZ_OK) return 0;
    set_up(call, &job);
    return job.room * (size_t)job.count;
}

/* The image whose first pixel is BASE at PLACE, linearly between its pixels; the terms of the
 * corners are summed in the order of the pixels. */
static double sample(const struct job *job, int64_t base, const double *place) {
    const struct sizes *s = &job->s;
    int64_t low[DIMS];
    double part[DIMS], sum = 0;
    for (int32_t d = 0; d < s->n; d++) {
        if (!(place[d] > -1 && place[d] < (double)s->image[d])) return 0;
        low[d] = (int64_t)(place[d] + 1) - 1; /* floor, for it is above -1 */
        part[d] = place[d] - (double)low[d];
    }
    for (int corner = 0; corner < 1 << s->n; corner++) {
        int64_t at = base, pixel = 0;
        double weight = 1;
        bool inside = true;
        for (int32_t d = 0; d < s->n; d++) {
            int high = corner >> (s->n - 1 - d) & 1;
            int64_t i = low[d] + high;
            inside = inside && i >= 0 && i < s->image[d];
            weight = weight * (high ? part[d] : 1 - part[d]);
            pixel = pixel * s->image[d] + i;
        }
        if (inside) sum = sum + weight * number(job->call->in[IMAGE], at + pixel);
    }
    return sum;
}

/* Tap TAP of channel CHANNEL for output point POINT of image BATCH. */
static double tap(const struct job *job, int64_t batch, int64_t channel, int64_t t, int64_t point) {
    const struct sizes *s = &job->s;
    const struct fz_call *call = job->call;
    const struct params *p = call->params;
    int64_t set = batch * p->offset_group + channel / (s->in / p->offset_group);
    int64_t offset = (set * s->taps + t) * s->n * s->places + point, rest = point, at = t;
    double place[DIMS];
    for (int32_t d = s->n - 1; d >= 0; d--) {
        int64_t start = rest % s->points[d] * s->stride[d] - s->before[d] +
                        at % s->kernel[d] * s->dilation[d];
        place[d] = (double)start + number(call->in[OFFSET], offset + d * s->places);
        rest /= s->points[d];
        at /= s->kernel[d];
    }
    double x = sample(job, (batch * s->in + channel) * s->pixels, place);
    if (!fzi_move_has(call, MASK)) return x;
    return x * number(call->in[MASK], (set * s->taps + t) * s->places + point);
}

/* Fills a panel [depth * taps][32] for points from FIRST on. */
static void fill(const struct job *job, int64_t batch, int64_t group, int64_t first, int64_t n,
                 void *panel) {
    const struct sizes *s = &job->s;
    bool single = job->call->in[IMAGE]->dtype == FZ_TYPE_F32;
    for (int64_t k = 0; k < s->depth * s->taps; k++)
        for (int64_t i = 0; i < FZK_PANEL; i++) {
            double x = i < n ? tap(job, batch, group * s->depth + k / s->taps, k % s->taps,
                                   first + i) : 0;
            if (single) ((float *)panel)[k * FZK_PANEL + i] = (float)x;
            else ((double *)panel)[k * FZK_PANEL + i] = x;
        }
}

/* C [m][n] = W times the panel. */
static void multiply_f32(const struct job *job, int64_t group, int64_t at, int64_t n,
                         const float *panel) {
    const struct sizes *s = &job->s;
    const struct params *p = job->call->params;
    int64_t k = s->depth * s->taps, m = s->out / p->group;
    float *c = (float *)job->call->out[0]->data + at;
    struct fzk_segment segment = {0, k};
    struct fzk_gemm_f32 g = {
        .m = m, .n = n, .k = k, .a = (const float *)job->call->in[WEIGHT]->data + group * m * k,
        .lda = k, .segments = &segment, .n_segments = 1, .b = panel, .c = c, .ldc = s->places};
    job->call->env->k->gemm_f32(&g);
    if (!fzi_move_has(job->call, BIAS)) return;
    const float *bias = (const float *)job->call->in[BIAS]->data + group * m;
    for (int64_t i = 0; i < m; i++)
        for (int64_t j = 0; j < n; j++) c[i * s->places + j] = c[i * s->places + j] + bias[i];
}

static void multiply_f64(const struct job *job, int64_t group, int64_t at, int64_t n,
                         const double *panel) {
    const struct sizes *s = &job->s;
    const struct params *p = job->call->params;
    int64_t k = s->depth * s->taps, m = s->out / p->group;
    for (int64_t i = 0; i < m; i++) {
        double *c = (double *)job->call->out[0]->data + at + i * s->places;
        struct fz_plain_product plain = {
            FZ_TYPE_F64, 1, n, k, (const double *)job->call->in[WEIGHT]->data + (group * m + i) * k,
            panel, c, k, 1, FZK_PANEL, 1};
        fzi_plain_product(&plain);
        if (!fzi_move_has(job->call, BIAS)) continue;
        double bias = ((const double *)job->call->in[BIAS]->data)[group * m + i];
        for (int64_t j = 0; j < n; j++) c[j] = c[j] + bias;
    }
}

static void task(void *arg, size_t number_of) {
    const struct job *job = arg;
    const struct sizes *s = &job->s;
    const struct params *p = job->call->params;
    int64_t i = (int64_t)number_of;
    void *panel = job->rooms + number_of * job->room;
    for (int64_t u = job->units * i / job->count; u < job->units * (i + 1) / job->count; u++) {
        int64_t first = u % job->panels * FZK_PANEL, group = u / job->panels % p->group;
        int64_t batch = u / job->panels / p->group, n = fzi_min_i64(FZK_PANEL, s->places - first);
        int64_t at = (batch * s->out + group * (s->out / p->group)) * s->places + first;
        if (job->call->env->poll(job->call->env) != FZ_OK) return;
        fill(job, batch, group, first, n, panel);
        if (job->call->in[IMAGE]->dtype == FZ_TYPE_F32) multiply_f32(job, group, at, n, panel);
        else multiply_f64(job, group, at, n, panel);
    }
}

static fz_status_t run(const struct fz_op *op, const struct fz_call *call) {
    struct job job = {.rooms = call->scratch};
    if (call->out[0]->size == 0) return FZ_OK;
    FZ_TRY(measure(op, call, &job.s));
    set_up(call, &job);
    if (job.count == 1) task(&job, 0);
    else call->env->parallel(call->env, (size_t)job.count, task, &job);
    return FZ_OK;
}

static uint64_t macs(const struct fz_op *op, const struct fz_call *call) {
    struct sizes s;
    if (measure(op, call, &s) != FZ_OK) return 0;
    return (uint64_t)(s.batch * s.out) * (uint64_t)(s.depth * s.taps) * (uint64_t)s.places;
}

const struct fz_op fz_ops_deform_conv[] = {
    {.name = "DeformConv", .domain = "", .since = 19, .rev = 1, .min_in = 3, .max_in = 5,
     .min_out = 1, .max_out = 1,
     .attrs = "dilations group kernel_shape offset_group pads strides",
     .params_size = sizeof(struct params), .lower = lower, .infer = infer, .scratch = scratch,
     .run = run, .macs = macs},
    {0},
};
