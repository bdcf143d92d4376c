/* Attention by heads: bands of queries become tasks, each with room for the packed keys and values
 * of a head and for the scores of a band. A task packs a head when it comes to it. */
#include "ops/act.h"
#include "ops/attention.h"
#include "ops/matmul.h"
#include "ops/sum.h"
#include "ops/wide.h"

enum { BAND = 64, ALIGN = 64 };

/* How the work is cut: units are bands of the queries of one head. A score costs as much as 16
 * multiply-accumulates. */
struct cut {
    const struct fz_env *env;
    const struct fz_attention *a;
    char *rooms;
    size_t room; /* bytes of a task */
    int64_t bands, units, count;
    int64_t mask_step[4], mask_keys;
};

/* The parts of a task's room. */
struct room {
    float *keys, *values; /* packed; binary32 only */
    float *queries;       /* scaled, [band][size] */
    void *scores;         /* [band][keys] */
    double *wide;         /* a row in another precision */
    int64_t packed;       /* whose head's keys and values are there; -1: nobody's */
};

static int64_t padded(int64_t n) { return fzi_ceil_div(n, FZK_PANEL) * FZK_PANEL; }

/* Elements of the packed keys and values of a head. */
static int64_t packed_keys(const struct fz_attention *a) { return padded(a->keys) * a->size; }
static int64_t packed_values(const struct fz_attention *a) { return padded(a->v_size) * a->keys; }

/* Rows of a band: their scores shall stay in the second-level cache. */
static int64_t band_of(const struct fz_attention *a) {
    int64_t rows = 131072 / fzi_max_i64(1, a->keys);
    rows = fzi_max_i64(14, fzi_min_i64(rows, BAND));
    return fzi_max_i64(1, fzi_min_i64(rows, a->queries));
}

uint64_t fzi_attention_macs(const struct fz_attention *a) {
    return (uint64_t)a->batch * (uint64_t)a->heads * (uint64_t)a->queries * (uint64_t)a->keys *
           (uint64_t)(a->size + a->v_size);
}

static size_t aligned(int64_t n, size_t width) { return fzi_align((size_t)n * width, ALIGN); }

static size_t room_size(const struct fz_attention *a) {
    size_t size = aligned(band_of(a) * a->keys, fzi_type_width(a->dtype)) + aligned(a->keys, 8);
    if (a->dtype == FZ_TYPE_F32) size += aligned(packed_keys(a) + packed_values(a), 4);
    if (a->q_by.kind != FZ_SCALE_NONE) size += aligned(band_of(a) * a->size, 4);
    return size;
}

static void set_cut(struct cut *cut, const struct fz_env *env, const struct fz_attention *a) {
    uint64_t scores = (uint64_t)(a->batch * a->heads * a->queries * a->keys);
    int64_t tasks = fzi_run_tasks(env, fzi_attention_macs(a) + 16 * scores, FZ_TASK_MACS);
    cut->env = env;
    cut->a = a;
    cut->bands = fzi_ceil_div(a->queries, band_of(a));
    cut->units = a->batch * a->heads * cut->bands;
    cut->count = fzi_min_i64(cut->units, tasks);
    cut->room = room_size(a);
}

size_t fzi_attention_scratch(const struct fz_env *env, const struct fz_attention *a) {
    struct cut cut = {0};
    set_cut(&cut, env, a);
    return cut.room * (size_t)fzi_max_i64(1, cut.count);
}

static struct room room_at(const struct cut *cut, size_t number) {
    const struct fz_attention *a = cut->a;
    char *at = cut->rooms + number * cut->room;
    struct room room = {.packed = -1, .scores = at};
    at += aligned(band_of(a) * a->keys, fzi_type_width(a->dtype));
    room.wide = (double *)(void *)at;
    at += aligned(a->keys, 8);
    room.keys = (float *)(void *)at;
    if (a->dtype == FZ_TYPE_F32) {
        room.values = room.keys + packed_keys(a);
        at += aligned(packed_keys(a) + packed_values(a), 4);
    }
    room.queries = (float *)(void *)at;
    return room;
}

/* The mask's last dimension may be short, which hides keys; the others broadcast. */
static bool mask_fits(const struct fz_attention *a) {
    const fz_tensor_t *m = a->mask;
    int64_t full[4] = {a->batch, a->heads, a->queries, a->keys};
    if (!m || !fzi_shape_known(m)) return true;
    if (m->rank < 1 || m->rank > 4 || m->dims[m->rank - 1] > a->keys) return false;
    for (int32_t d = 0; d < m->rank - 1; d++) {
        int64_t n = m->dims[d], to = full[4 - m->rank + d];
        if (n != 1 && n != to) return false;
    }
    return true;
}

fz_status_t fzi_attention_check(const struct fz_op *op, const struct fz_attention *a) {
    int64_t scores[5] = {a->batch, a->heads, a->queries, a->keys, 16}, n;
    int64_t keys[5] = {a->batch, a->kv_heads, a->keys + FZK_PANEL, a->size + FZK_PANEL, 16};
    int64_t values[5] = {a->batch, a->kv_heads, a->keys + FZK_PANEL, a->v_size + FZK_PANEL, 16};
    const int64_t *all[3] = {scores, keys, values};
    for (int i = 0; i < 3; i++)
        for (int first = 0; first < 5; first++) /* nor may a part, beside a dimension of 0 */
            if (!fzi_dims_count(all[i], first, 5, &n) || n > INT64_MAX >> 8)
                return fzi_error(FZ_E_SHAPE, "%s: the operands are too large", op->name);
    if (a->batch > INT32_MAX || a->heads > INT32_MAX)
        return fzi_error(FZ_E_SHAPE, "%s: the operands are too large", op->name);
    if (a->heads % a->kv_heads)
        return fzi_error(FZ_E_SHAPE, "%s: %lld heads for %lld of keys", op->name,
                         (long long)a->heads, (long long)a->kv_heads);
    if (!mask_fits(a)) return fzi_error(FZ_E_SHAPE, "%s: the mask does not fit", op->name);
    if (a->lengths && fzi_shape_known(a->lengths) && fzi_tensor_count(a->lengths) != a->batch)
        return fzi_error(FZ_E_SHAPE, "%s: not one length for each of the batch", op->name);
    return FZ_OK;
}

static const char *head_at(const struct fz_attention *a, const struct fz_heads *h, int64_t b,
                           int64_t head, int64_t token) {
    int64_t at = b * h->batch + head * h->head + token * h->token;
    return (const char *)h->data + at * (int64_t)fzi_type_width(a->dtype);
}

/* ---- packing */

static void scale(const struct cut *cut, const struct fz_factor *by, float *x, int64_t n) {
    int32_t fn = by->kind == FZ_SCALE_MUL ? FZK_BINARY_MUL : FZK_BINARY_DIV;
    if (by->kind == FZ_SCALE_NONE) return;
    cut->env->k->binary_f32(fn, x, x, &by->value, n, 1, 0);
    fzi_round_run(cut->env->k, cut->a->round, x, n);
}

/* Keys and values of head KV of image B. */
static void pack(const struct cut *cut, int64_t b, int64_t kv, struct room *room) {
    const struct fz_attention *a = cut->a;
    struct fzk_pack_b_f32 keys = {
        .to = room->keys, .b = (const float *)(const void *)head_at(a, &a->k, b, kv, 0),
        .k = a->size, .n = a->keys, .row_stride = a->k.element, .col_stride = a->k.token};
    struct fzk_pack_b_f32 values = {
        .to = room->values, .b = (const float *)(const void *)head_at(a, &a->v, b, kv, 0),
        .k = a->keys, .n = a->v_size, .row_stride = a->v.token, .col_stride = a->v.element};
    if (room->packed == b * a->kv_heads + kv) return;
    room->packed = b * a->kv_heads + kv;
    cut->env->k->pack_b_f32(&keys);
    cut->env->k->pack_b_f32(&values);
    scale(cut, &a->k_by, room->keys, packed_keys(a));
}

/* ---- the bias of a row */

/* The keys [first, last) that query I of image B may see by its place. */
static void visible(const struct fz_attention *a, int64_t b, int64_t i, int64_t *first,
                    int64_t *last) {
    int64_t offset = a->past;
    *first = 0;
    *last = a->keys;
    if (a->lengths) {
        int64_t length = fzi_max_i64(0, fzi_min_i64(fzi_tensor_int(a->lengths, b), a->keys));
        offset = length - a->queries;
        *last = length;
    }
    int64_t place = offset + i;
    if (a->left >= 0 && a->left < place) *first = place - a->left;
    if (a->causal && place + 1 < *last) *last = place + 1;
    if (a->right >= 0 && a->right < a->keys && place + a->right + 1 < *last)
        *last = place + a->right + 1;
    *last = fzi_max_i64(*last, 0);
    *first = fzi_min_i64(*first, *last);
}

/* Element AT of a mask of numbers; false: the key is hidden. */
static bool mask_value(const fz_tensor_t *mask, int64_t at, double *value) {
    if (mask->dtype == FZ_TYPE_F32) *value = (double)((const float *)mask->data)[at];
    else if (fzi_type_is_float(mask->dtype)) *value = fzi_tensor_float(mask, at);
    else *value = (double)fzi_tensor_int(mask, at);
    return *value != -__builtin_inf();
}

static void set_mask(struct cut *cut) {
    const fz_tensor_t *m = cut->a->mask;
    int64_t step = 1;
    if (!m) return;
    cut->mask_keys = m->dims[m->rank - 1];
    for (int32_t d = m->rank - 1; d >= 0; d--) {
        cut->mask_step[4 - m->rank + d] = m->dims[d] == 1 ? 0 : step;
        step *= m->dims[d];
    }
}

/* NAME(cut, b, head, i, x): adds the bias to the scores of a row; hidden ones become -inf. False
 * if no key is seen. */
#define BIAS(NAME, TYPE)                                                                           \
    static bool NAME(const struct cut *cut, int64_t b, int64_t head, int64_t i, TYPE *x) {         \
        const struct fz_attention *a = cut->a;                                                     \
        const fz_tensor_t *mask = a->mask;                                                         \
        int64_t first, last, at = 0;                                                               \
        visible(a, b, i, &first, &last);                                                           \
        if (mask) {                                                                                \
            at = b * cut->mask_step[0] + head * cut->mask_step[1] + i * cut->mask_step[2];         \
            last = fzi_min_i64(last, cut->mask_keys);                                              \
            first = fzi_min_i64(first, last);                                                      \
        }                                                                                          \
        bool seen = !mask && first < last;                                                         \
        for (int64_t j = 0; j < first; j++) x[j] = (TYPE)-__builtin_inf();                         \
        for (int64_t j = last; j < a->keys; j++) x[j] = (TYPE)-__builtin_inf();                    \
        if (!mask) return seen;                                                                    \
        for (int64_t j = first; j < last && mask->dtype == FZ_TYPE_BOOL; j++) {                    \
            bool in = ((const uint8_t *)mask->data)[at + j] != 0;                                  \
            if (!in) x[j] = (TYPE)-__builtin_inf();                                                \
            seen = seen || in;                                                                     \
        }                                                                                          \
        for (int64_t j = first; j < last && mask->dtype != FZ_TYPE_BOOL; j++) {                    \
            double value;                                                                          \
            bool in = mask_value(mask, at + j, &value);                                            \
            x[j] = in ? x[j] + (TYPE)value : (TYPE)-__builtin_inf();                               \
            seen = seen || in;                                                                     \
        }                                                                                          \
        return seen;                                                                               \
    }
BIAS(bias_f32, float)
BIAS(bias_f64, double)

/* ---- the scores of a row */

static void softmax_f64(const struct fzk_table *k, double *x, int64_t n) {
    double m = x[0];
    for (int64_t i = 1; i < n; i++) m = fzi_max_f64(m, x[i]);
    for (int64_t i = 0; i < n; i++) x[i] = x[i] - m;
    k->unary_f64(FZK_FN_EXP, x, x, n, 0, 0);
    double s = fzi_sum_f64(x, n);
    for (int64_t i = 0; i < n; i++) x[i] = x[i] / s;
}

/* Rounds N numbers to a half precision and back. */
static void round_half(float *x, int64_t n, int32_t dtype) {
    for (int64_t i = 0; i < n; i++)
        x[i] = dtype == FZ_TYPE_F16 ? fzi_f16_to_f32(fzi_f32_to_f16(x[i]))
                                    : fzi_bf16_to_f32(fzi_f32_to_bf16(x[i]));
}

static bool is_half(int32_t dtype) { return dtype == FZ_TYPE_F16 || dtype == FZ_TYPE_BF16; }

/* Softmax of a row of binary32, in the precision that is asked for. */
static void softmax_row_f32(const struct cut *cut, float *x, double *wide) {
    const struct fz_attention *a = cut->a;
    const struct fzk_table *k = cut->env->k;
    if (a->precision == FZ_TYPE_F64) {
        for (int64_t j = 0; j < a->keys; j++) wide[j] = (double)x[j];
        softmax_f64(k, wide, a->keys);
        for (int64_t j = 0; j < a->keys; j++) x[j] = (float)wide[j];
        return;
    }
    if (is_half(a->precision)) round_half(x, a->keys, a->precision);
    k->softmax_f32(x, x, 1, a->keys);
    if (is_half(a->precision)) round_half(x, a->keys, a->precision);
}

static void softmax_row_f64(const struct cut *cut, double *x, double *room) {
    const struct fz_attention *a = cut->a;
    float *narrow = (float *)room;
    if (a->precision == 0 || a->precision == FZ_TYPE_F64) {
        softmax_f64(cut->env->k, x, a->keys);
        return;
    }
    for (int64_t j = 0; j < a->keys; j++) narrow[j] = (float)x[j];
    if (is_half(a->precision)) round_half(narrow, a->keys, a->precision);
    cut->env->k->softmax_f32(narrow, narrow, 1, a->keys);
    if (is_half(a->precision)) round_half(narrow, a->keys, a->precision);
    for (int64_t j = 0; j < a->keys; j++) x[j] = (double)narrow[j];
}

static bool biased(const struct fz_attention *a) {
    return a->mask || a->lengths || a->causal || a->left >= 0 || a->right >= 0;
}

/* Copies N scores of the wanted stage to their place. */
static void keep(const struct fz_attention *a, int64_t stage, int64_t row, const void *x) {
    size_t size = (size_t)a->keys * fzi_type_width(a->dtype);
    if (a->scores && a->scores_stage == stage)
        memcpy((char *)a->scores + (size_t)row * size, x, size);
}

/* NAME(cut, b, head, i, x, room): from the chains of a row to its probabilities. ROOM has a row of
 * binary64. */
#define SCORES(NAME, TYPE, UNARY, BIAS_OF, SOFTMAX)                                                \
    static void NAME(const struct cut *cut, int64_t b, int64_t head, int64_t i, TYPE *x,           \
                     double *room) {                                                               \
        const struct fz_attention *a = cut->a;                                                     \
        int64_t row = (b * a->heads + head) * a->queries + i, n = a->keys;                         \
        TYPE scale = (TYPE)a->scale, cap = (TYPE)a->softcap;                                       \
        for (int64_t j = 0; j < n; j++) x[j] = x[j] * scale;                                       \
        keep(a, FZ_SCORES_RAW, row, x);                                                            \
        if (cap > 0) {                                                                             \
            for (int64_t j = 0; j < n; j++) x[j] = x[j] / cap;                                     \
            cut->env->k->UNARY(FZK_FN_TANH, x, x, n, 0, 0);                                        \
            for (int64_t j = 0; j < n; j++) x[j] = x[j] * cap;                                     \
        }                                                                                          \
        keep(a, FZ_SCORES_CAPPED, row, x);                                                         \
        bool seen = !biased(a) || BIAS_OF(cut, b, head, i, x);                                     \
        keep(a, FZ_SCORES_BIASED, row, x);                                                         \
        int64_t hidden = 0;                                                                        \
        while (hidden < n && x[hidden] == (TYPE)-__builtin_inf()) hidden++;                        \
        if (!seen || hidden == n) memset(x, 0, (size_t)n * sizeof *x);                             \
        else SOFTMAX(cut, x, room);                                                                \
        keep(a, FZ_SCORES_SOFTMAX, row, x);                                                        \
    }
SCORES(scores_f32, float, unary_f32, bias_f32, softmax_row_f32)
SCORES(scores_f64, double, unary_f64, bias_f64, softmax_row_f64)

/* ---- a band */

static void gemm(const struct cut *cut, int64_t m, int64_t n, int64_t k, const float *a,
                 int64_t lda, const float *b, float *c, int64_t ldc) {
    struct fzk_segment segment = {0, k};
    struct fzk_gemm_f32 g = {.m = m, .n = n, .k = k, .a = a, .lda = lda, .segments = &segment,
                             .n_segments = 1, .b = b, .c = c, .ldc = ldc};
    if (cut->a->round) g.round = cut->a->round | FZK_ROUND_SUM;
    cut->env->k->gemm_f32(&g);
}

/* The scores of a band are there: what the graph's own nodes would make of them. */
static void finish_plain(const struct cut *cut, int64_t b, int64_t head, int64_t first,
                         int64_t rows, float *x) {
    const struct fz_attention *a = cut->a;
    const struct fzk_table *k = cut->env->k;
    const int64_t *step = a->mask_step, n = a->keys;
    scale(cut, &a->score_by, x, rows * n);
    if (a->mask) {
        const float *mask = (const float *)a->mask->data + b * step[0] + head * step[1];
        for (int64_t i = 0; i < rows; i++)
            k->binary_f32(FZK_BINARY_ADD, x + i * n, x + i * n, mask + (first + i) * step[2], n, 1,
                          step[3]);
        fzi_round_run(k, a->round, x, rows * n);
    }
    k->softmax_f32(x, x, rows, n);
    fzi_round_run(k, a->round, x, rows * n);
}

/* The queries of a band: as they lie, or scaled into ROOM. *LD: the distance of two. */
static const float *queries(const struct cut *cut, int64_t b, int64_t head, int64_t first,
                            int64_t rows, const struct room *room, int64_t *ld) {
    const struct fz_attention *a = cut->a;
    const float *q = (const float *)(const void *)head_at(a, &a->q, b, head, first);
    *ld = a->q.token;
    if (a->q_by.kind == FZ_SCALE_NONE) return q;
    *ld = a->size;
    for (int64_t i = 0; i < rows; i++)
        memcpy(room->queries + i * a->size, q + i * a->q.token, (size_t)a->size * sizeof *q);
    scale(cut, &a->q_by, room->queries, rows * a->size);
    return room->queries;
}

static void band_f32(const struct cut *cut, int64_t b, int64_t head, int64_t first, int64_t rows,
                     struct room *room) {
    const struct fz_attention *a = cut->a;
    float *x = room->scores;
    int64_t ld;
    const float *q = queries(cut, b, head, first, rows, room, &ld);
    pack(cut, b, head / (a->heads / a->kv_heads), room);
    gemm(cut, rows, a->keys, a->size, q, ld, room->keys, x, a->keys);
    if (a->plain) finish_plain(cut, b, head, first, rows, x);
    for (int64_t i = 0; !a->plain && i < rows; i++)
        scores_f32(cut, b, head, first + i, x + i * a->keys, room->wide);
    gemm(cut, rows, a->v_size, a->keys, x, a->keys, room->values,
         (float *)(void *)head_at(a, &a->y, b, head, first), a->y.token);
}

/* A row at a time: a plain product writes densely. */
static void band_f64(const struct cut *cut, int64_t b, int64_t head, int64_t first, int64_t rows,
                     const struct room *room) {
    const struct fz_attention *a = cut->a;
    int64_t kv = head / (a->heads / a->kv_heads);
    double *x = room->scores;
    for (int64_t i = first; i < first + rows; i++) {
        struct fz_plain_product p = {
            .dtype = FZ_TYPE_F64, .m = 1, .n = a->keys, .k = a->size,
            .a = head_at(a, &a->q, b, head, i), .b = head_at(a, &a->k, b, kv, 0), .c = x,
            .a_row = 0, .a_col = 1, .b_row = 1, .b_col = a->k.token};
        fzi_plain_product(&p);
        scores_f64(cut, b, head, i, x, room->wide);
        p = (struct fz_plain_product){
            .dtype = FZ_TYPE_F64, .m = 1, .n = a->v_size, .k = a->keys, .a = x,
            .b = head_at(a, &a->v, b, kv, 0), .c = (void *)(uintptr_t)head_at(a, &a->y, b, head, i),
            .a_row = 0, .a_col = 1, .b_row = a->v.token, .b_col = 1};
        fzi_plain_product(&p);
    }
}

static void task(void *arg, size_t number) {
    const struct cut *cut = arg;
    const struct fz_attention *a = cut->a;
    int64_t i = (int64_t)number, band = band_of(a);
    struct room room = room_at(cut, number);
    for (int64_t u = cut->units * i / cut->count; u < cut->units * (i + 1) / cut->count; u++) {
        int64_t first = u % cut->bands * band, head = u / cut->bands;
        int64_t rows = fzi_min_i64(band, a->queries - first);
        if (cut->env->poll(cut->env) != FZ_OK) return;
        if (a->dtype == FZ_TYPE_F32)
            band_f32(cut, head / a->heads, head % a->heads, first, rows, &room);
        else band_f64(cut, head / a->heads, head % a->heads, first, rows, &room);
    }
}

static void zero_output(const struct fz_attention *a) {
    for (int64_t i = 0; i < a->batch * a->heads * a->queries; i++) {
        int64_t head = i / a->queries;
        memset((void *)(uintptr_t)head_at(a, &a->y, head / a->heads, head % a->heads,
                                          i % a->queries), 0,
               (size_t)a->v_size * fzi_type_width(a->dtype));
    }
}

void fzi_attention_run(const struct fz_env *env, const struct fz_attention *a, void *scratch) {
    struct cut cut = {0};
    if (a->batch * a->heads * a->queries == 0) return;
    if (a->keys == 0) {
        zero_output(a);
        return;
    }
    set_cut(&cut, env, a);
    if (!a->plain) set_mask(&cut);
    cut.rooms = scratch;
    if (cut.count == 1) task(&cut, 0);
    else env->parallel(env, (size_t)cut.count, task, &cut);
}
