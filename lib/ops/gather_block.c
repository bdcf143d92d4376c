/* GatherBlockQuantized of com.microsoft: slices of a quantised tensor, chosen by a tensor of
 * indices, as real numbers. Each number is (float)(q - zero) * scale, or with numbers of 8- or
 * 4-bit float types q * scale, rounded once to the type of the scales. A scale counts for a block
 * of numbers along one axis. Unlike Gather, an index outside of the axis gives zeros.
 *
 * Bytes may hold two or four numbers of the last dimension, the first one in the lowest bits, as
 * tensors of such types do: then they are looked at as one. */
#include "ops/move.h"
#include "ops/quant.h"
#include "ops/wide.h"

enum { DATA, INDICES, SCALES, ZEROS, GRAIN = 4096 };
#define PACKED (FZ_T(U4) | FZ_T(I4) | FZ_T(U8))

struct params {
    int64_t bits, block, gather, quantize;
};

static fz_status_t lower(struct fz_lower *lower, struct fz_node *node, void *params) {
    struct params *p = params;
    (void)lower;
    FZ_TRY(fzi_attr_int(node, "bits", 4, &p->bits));
    FZ_TRY(fzi_attr_int(node, "block_size", 128, &p->block));
    FZ_TRY(fzi_attr_int(node, "gather_axis", 0, &p->gather));
    return fzi_attr_int(node, "quantize_axis", 1, &p->quantize);
}

/* T, or what bytes hold. */
static fz_tensor_t numbers_of(const struct params *p, const fz_tensor_t *t) {
    fz_tensor_t view = *t;
    if (t->dtype != FZ_TYPE_U8 || p->bits == 8) return view;
    view.dtype = p->bits == 4 ? FZ_TYPE_U4 : FZ_TYPE_U2;
    if (t->rank > 0 && t->dims[t->rank - 1] > 0 && t->dims[t->rank - 1] < INT64_MAX / 8)
        view.dims[t->rank - 1] *= 8 / p->bits;
    return view;
}

static bool is_float(const fz_tensor_t *t) { return FZ_QUANT_FLOATS >> t->dtype & 1; }

static fz_status_t misfit(const struct fz_op *op, const char *what, const fz_tensor_t *t) {
    char text[160];
    return fzi_error(FZ_E_SHAPE, "%s: %s of %s do not fit the data", op->name, what,
                     fzi_shape_text(t, text, sizeof text));
}

/* T has one number for each block of DATA, or with ONE, where a dimension is 1, for all of it;
 * with SPARE there may be some more in the last dimension. */
static fz_status_t check_blocks(const struct fz_op *op, const struct params *p,
                                const fz_tensor_t *data, int64_t axis, const fz_tensor_t *t,
                                const char *what, bool spare) {
    if (!fzi_shape_known(data) || !fzi_shape_known(t)) return FZ_OK;
    if (t->rank != data->rank) return misfit(op, what, t);
    for (int32_t i = 0; i < t->rank; i++) {
        int64_t n = data->dims[i], block = p->block ? p->block : fzi_max_i64(n, 1);
        if (i == axis) n = fzi_ceil_div(n, block);
        bool more = spare && i == t->rank - 1 && t->dims[i] > n && t->dims[i] < n + 8;
        bool one = is_float(data) && t->dims[i] == 1;
        if (t->dims[i] != n && !more && !one) return misfit(op, what, t);
    }
    return FZ_OK;
}

static fz_status_t check_params(const struct fz_op *op, const struct fz_call *call) {
    const struct params *p = call->params;
    const fz_tensor_t *data = call->in[DATA];
    const fz_tensor_t *zeros = call->n_in > ZEROS ? call->in[ZEROS] : NULL;
    if (p->block < 0 || p->block > INT32_MAX || (!p->block && !is_float(data)))
        return fzi_error(FZ_E_FORMAT, "%s: blocks of %lld", op->name, (long long)p->block);
    if (p->bits != 2 && p->bits != 4 && p->bits != 8)
        return fzi_error(FZ_E_UNSUPPORTED, "%s: %lld bits", op->name, (long long)p->bits);
    if (zeros && (zeros->dtype != data->dtype || is_float(data)))
        return fzi_error(FZ_E_TYPE, "%s: zero points of a type that does not fit", op->name);
    return FZ_OK;
}

static fz_status_t infer(const struct fz_op *op, const struct fz_call *call) {
    const struct params *p = call->params;
    const fz_tensor_t *index = call->in[INDICES], *scales = call->in[SCALES];
    const fz_tensor_t *zeros = call->n_in > ZEROS ? call->in[ZEROS] : NULL;
    int64_t dims[FZ_RANK_MAX];
    int32_t gather, quantize, rank = 0;
    FZ_TRY(fzi_infer_type(op, call, DATA, PACKED | FZ_QUANT_FLOATS));
    FZ_TRY(fzi_infer_type(op, call, INDICES, FZ_T(I32) | FZ_T(I64)));
    FZ_TRY(fzi_infer_type(op, call, SCALES, FZ_T(F32) | FZ_T(F16) | FZ_T(BF16)));
    FZ_TRY(check_params(op, call));
    fz_tensor_t data = numbers_of(p, call->in[DATA]);
    fzi_infer_unknown(call, 0, scales->dtype);
    if (data.rank < 0) return FZ_OK;
    FZ_TRY(fzi_move_axis(op, p->gather, data.rank, &gather));
    FZ_TRY(fzi_move_axis(op, p->quantize, data.rank, &quantize));
    if (gather == quantize || (data.dtype != call->in[DATA]->dtype && gather == data.rank - 1))
        return fzi_error(FZ_E_UNSUPPORTED, "%s: gather_axis and quantize_axis, or an axis whose "
                         "numbers share bytes, are the same", op->name);
    FZ_TRY(check_blocks(op, p, &data, quantize, scales, "scales", false));
    if (zeros) {
        fz_tensor_t z = numbers_of(p, zeros);
        FZ_TRY(check_blocks(op, p, &data, quantize, &z, "zero points", z.dtype != zeros->dtype));
    }
    if (index->rank < 0) return FZ_OK;
    if (data.rank - 1 + index->rank > FZ_RANK_MAX)
        return fzi_error(FZ_E_SHAPE, "%s: rank %d is over %d", op->name,
                         data.rank - 1 + index->rank, FZ_RANK_MAX);
    for (int32_t d = 0; d < gather; d++) dims[rank++] = data.dims[d];
    for (int32_t d = 0; d < index->rank; d++) dims[rank++] = index->dims[d];
    for (int32_t d = gather + 1; d < data.rank; d++) dims[rank++] = data.dims[d];
    fzi_infer_shape(call, 0, scales->dtype, rank, dims);
    return FZ_OK;
}

struct job {
    const struct fz_call *call;
    fz_tensor_t data, zeros;
    bool has_zeros;
    int64_t middle;            /* the zero point where there are none */
    int32_t gather, quantize;
    int64_t block;
    int64_t n, inner;          /* of the gathered axis; numbers of a slice */
    int64_t scale_step[FZ_RANK_MAX], zero_step[FZ_RANK_MAX]; /* 0: one for the whole dimension */
};

static void set_steps(const fz_tensor_t *t, int64_t *step) {
    int64_t size = 1;
    for (int32_t i = t->rank - 1; i >= 0; size *= t->dims[i], i--)
        step[i] = t->dims[i] == 1 ? 0 : size;
}

/* Where number AT of the data lies in the tables of blocks. Returns how many numbers from there on
 * lie in the same row, and in the same block if the row is what is cut into blocks. */
static int64_t find(const struct job *j, int64_t at, int64_t *scale, int64_t *zero) {
    const fz_tensor_t *t = &j->data;
    int64_t run = 1;
    *scale = *zero = 0;
    for (int32_t i = t->rank - 1; i >= 0; i--) {
        int64_t place = at % t->dims[i], part = i == j->quantize ? place / j->block : place;
        at /= t->dims[i];
        *scale += part * j->scale_step[i];
        *zero += part * j->zero_step[i];
        if (i < t->rank - 1) continue;
        run = t->dims[i] - place;
        if (i == j->quantize) run = fzi_min_i64(run, j->block - place % j->block);
    }
    return run;
}

/* N numbers of the data from AT on. */
static void widen(const struct job *j, int64_t at, int64_t n, float *y) {
    const struct fzk_table *k = j->call->env->k;
    const uint8_t *bytes = j->data.data;
    int64_t last = j->data.rank - 1, scale, zero, run;
    for (; n > 0; at += run, y += run, n -= run) {
        run = fzi_min_i64(find(j, at, &scale, &zero), n);
        bool blocks = last == j->quantize;
        int64_t step = blocks ? 0 : j->scale_step[last], zero_step = blocks ? 0
                                                                            : j->zero_step[last];
        for (int64_t i = 0; i < run; i++) {
            float s = fzi_quant_scale(k, j->call->in[SCALES], scale + i * step), x;
            if (is_float(&j->data)) {
                bool half = j->data.dtype == FZ_TYPE_F4E2M1;
                uint8_t code = half ? bytes[(at + i) / 2] >> ((at + i) % 2 * 4) & 15
                                    : bytes[at + i];
                fzi_wide_from_small(k, j->data.dtype, &code, 1, &x);
            } else {
                int64_t z = j->has_zeros ? fzi_tensor_int(&j->zeros, zero + i * zero_step)
                                         : j->middle;
                x = (float)(fzi_tensor_int(&j->data, at + i) - z);
            }
            y[i] = x * s;
        }
    }
}

/* Slices [BEGIN, END) of the output. */
static void slices(void *arg, int64_t begin, int64_t end) {
    const struct job *j = arg;
    const fz_tensor_t *index = j->call->in[INDICES], *y = j->call->out[0];
    int64_t n_index = fzi_tensor_count(index);
    float block[FZ_WIDE_BLOCK];
    for (int64_t s = begin; s < end; s++) {
        int64_t i = fzi_tensor_int(index, s % n_index);
        bool known = i >= -j->n && i < j->n;
        int64_t row = known ? s / n_index * j->n + (i < 0 ? i + j->n : i) : 0;
        for (int64_t e = 0, size; e < j->inner; e += size) {
            size = fzi_min_i64(j->inner - e, FZ_WIDE_BLOCK);
            int64_t at = s * j->inner + e;
            float *to = fzi_wide_target(y->dtype, y->data, at, block);
            if (known) widen(j, row * j->inner + e, size, to);
            else memset(to, 0, (size_t)size * sizeof *to);
            fzi_wide_store(j->call->env->k, y->dtype, y->data, at, size, to);
        }
    }
}

static fz_status_t run(const struct fz_op *op, const struct fz_call *call) {
    const struct params *p = call->params;
    const fz_tensor_t *zeros = call->n_in > ZEROS ? call->in[ZEROS] : NULL;
    struct job j = {.call = call, .data = numbers_of(p, call->in[DATA]), .has_zeros = zeros};
    if (!call->out[0]->size) return FZ_OK;
    FZ_TRY(fzi_move_axis(op, p->gather, j.data.rank, &j.gather));
    FZ_TRY(fzi_move_axis(op, p->quantize, j.data.rank, &j.quantize));
    if (zeros) j.zeros = numbers_of(p, zeros);
    if (call->in[DATA]->dtype == FZ_TYPE_U8) j.middle = 1ll << (p->bits - 1);
    j.block = p->block ? p->block : fzi_max_i64(j.data.dims[j.quantize], 1);
    j.n = j.data.dims[j.gather];
    fzi_dims_count(j.data.dims, j.gather + 1, j.data.rank, &j.inner);
    set_steps(call->in[SCALES], j.scale_step);
    if (zeros) set_steps(&j.zeros, j.zero_step);
    int64_t n = fzi_tensor_count(call->out[0]) / j.inner;
    fzi_run_range(call->env, n, 1 + GRAIN / j.inner, slices, &j);
    return FZ_OK;
}

const struct fz_op fz_ops_gather_block[] = {
    {.name = "GatherBlockQuantized", .domain = "com.microsoft", .since = 1, .rev = 1,
     .flags = FZ_OP_HALF, .min_in = 3, .max_in = 4, .min_out = 1, .max_out = 1,
     .attrs = "bits block_size gather_axis quantize_axis", .params_size = sizeof(struct params),
     .lower = lower, .infer = infer, .run = run},
    {0},
};
