/* Attention by heads: keys and values are packed once for each head, then bands of queries become
 * tasks of their own, each with room for its scores. */
#include "ops/attention.h"
#include "ops/matmul.h"
#include "ops/sum.h"
#include "ops/wide.h"

enum { BAND = 64, ALIGN = 64 };

/* How the work is cut: units are bands of the queries of one head. */
struct cut {
    const struct fz_env *env;
    const struct fz_attention *a;
    float *keys, *values; /* packed; binary32 only */
    char *rooms;
    size_t room; /* bytes of a task */
    int64_t bands, units, count;
    int64_t mask_step[4], mask_keys;
};

static int64_t padded(int64_t n) { return fzi_ceil_div(n, FZK_PANEL) * FZK_PANEL; }

/* Elements of the packed keys and values of all heads. */
static int64_t packed_keys(const struct fz_attention *a) { return padded(a->keys) * a->size; }
static int64_t packed_values(const struct fz_attention *a) { return padded(a->v_size) * a->keys; }

/* Rows of a band: their scores shall stay in the second-level cache. */
static int64_t band_of(const struct fz_attention *a) {
    int64_t rows = 131072 / fzi_max_i64(1, a->keys);
    rows = fzi_max_i64(14, fzi_min_i64(rows, BAND));
    return fzi_max_i64(1, fzi_min_i64(rows, a->queries));
}

static void set_cut(struct cut *cut, const struct fz_env *env, const struct fz_attention *a) {
    size_t width = fzi_type_width(a->dtype);
    cut->env = env;
    cut->a = a;
    cut->bands = fzi_ceil_div(a->queries, band_of(a));
    cut->units = a->batch * a->heads * cut->bands;
    cut->count = env->threads > 1 ? fzi_min_i64(cut->units, 4 * (int64_t)env->threads) : 1;
    /* Scores of a band, then a row in another precision. */
    cut->room = fzi_align((size_t)(band_of(a) * a->keys) * width, ALIGN) +
                fzi_align((size_t)a->keys * 8, ALIGN);
}

size_t fzi_attention_scratch(const struct fz_env *env, const struct fz_attention *a) {
    struct cut cut = {0};
    set_cut(&cut, env, a);
    size_t size = cut.room * (size_t)fzi_max_i64(1, cut.count);
    if (a->dtype == FZ_TYPE_F32)
        size += fzi_align((size_t)(a->batch * a->kv_heads * packed_keys(a)) * 4, ALIGN) +
                fzi_align((size_t)(a->batch * a->kv_heads * packed_values(a)) * 4, ALIGN);
    return size;
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

uint64_t fzi_attention_macs(const struct fz_attention *a) {
    return (uint64_t)a->batch * (uint64_t)a->heads * (uint64_t)a->queries * (uint64_t)a->keys *
           (uint64_t)(a->size + a->v_size);
}

static const char *head_at(const struct fz_attention *a, const struct fz_heads *h, int64_t b,
                           int64_t head, int64_t token) {
    int64_t at = b * h->batch + head * h->head + token * h->token;
    return (const char *)h->data + at * (int64_t)fzi_type_width(a->dtype);
}

/* ---- packing */

static void pack_range(void *arg, int64_t begin, int64_t end) {
    const struct cut *cut = arg;
    const struct fz_attention *a = cut->a;
    int64_t key_panels = fzi_ceil_div(a->keys, FZK_PANEL);
    int64_t panels = key_panels + fzi_ceil_div(a->v_size, FZK_PANEL);
    for (int64_t i = begin; i < end; i++) {
        int64_t head = i / panels, panel = i % panels, b = head / a->kv_heads;
        const struct fz_heads *from = panel < key_panels ? &a->k : &a->v;
        const float *at = (const float *)(const void *)head_at(a, from, b, head % a->kv_heads, 0);
        struct fzk_pack_b_f32 p = {.k = a->keys, .row_stride = from->token, .col_stride = 1};
        if (panel < key_panels) {
            int64_t first = panel * FZK_PANEL;
            p = (struct fzk_pack_b_f32){.k = a->size, .row_stride = 1, .col_stride = from->token};
            p.n = fzi_min_i64(FZK_PANEL, a->keys - first);
            p.b = at + first * from->token;
            p.to = cut->keys + head * packed_keys(a) + first * a->size;
        } else {
            int64_t first = (panel - key_panels) * FZK_PANEL;
            p.n = fzi_min_i64(FZK_PANEL, a->v_size - first);
            p.b = at + first;
            p.to = cut->values + head * packed_values(a) + first * a->keys;
        }
        cut->env->k->pack_b_f32(&p);
    }
}

static void pack(struct cut *cut) {
    const struct fz_attention *a = cut->a;
    int64_t panels = fzi_ceil_div(a->keys, FZK_PANEL) + fzi_ceil_div(a->v_size, FZK_PANEL);
    fzi_run_range(cut->env, a->batch * a->kv_heads * panels, 1 + 512 / (a->size + 1), pack_range,
                  cut);
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
    cut->env->k->gemm_f32(&g);
}

static void band_f32(const struct cut *cut, int64_t b, int64_t head, int64_t first, int64_t rows,
                     char *room) {
    const struct fz_attention *a = cut->a;
    int64_t kv = b * a->kv_heads + head / (a->heads / a->kv_heads);
    float *x = (float *)(void *)room;
    size_t size = fzi_align((size_t)(band_of(a) * a->keys) * sizeof *x, ALIGN);
    double *wide = (double *)(void *)(room + size);
    const float *q = (const float *)(const void *)head_at(a, &a->q, b, head, first);
    gemm(cut, rows, a->keys, a->size, q, a->q.token, cut->keys + kv * packed_keys(a), x, a->keys);
    for (int64_t i = 0; i < rows; i++)
        scores_f32(cut, b, head, first + i, x + i * a->keys, wide);
    gemm(cut, rows, a->v_size, a->keys, x, a->keys, cut->values + kv * packed_values(a),
         (float *)(void *)head_at(a, &a->y, b, head, first), a->y.token);
}

/* A row at a time: a plain product writes densely. */
static void band_f64(const struct cut *cut, int64_t b, int64_t head, int64_t first, int64_t rows,
                     char *room) {
    const struct fz_attention *a = cut->a;
    int64_t kv = head / (a->heads / a->kv_heads);
    double *x = (double *)(void *)room;
    size_t size = fzi_align((size_t)(band_of(a) * a->keys) * sizeof *x, ALIGN);
    double *wide = (double *)(void *)(room + size);
    for (int64_t i = first; i < first + rows; i++) {
        struct fz_plain_product p = {
            .dtype = FZ_TYPE_F64, .m = 1, .n = a->keys, .k = a->size,
            .a = head_at(a, &a->q, b, head, i), .b = head_at(a, &a->k, b, kv, 0), .c = x,
            .a_row = 0, .a_col = 1, .b_row = 1, .b_col = a->k.token};
        fzi_plain_product(&p);
        scores_f64(cut, b, head, i, x, wide);
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
    char *room = cut->rooms + number * cut->room;
    for (int64_t u = cut->units * i / cut->count; u < cut->units * (i + 1) / cut->count; u++) {
        int64_t first = u % cut->bands * band, head = u / cut->bands;
        int64_t rows = fzi_min_i64(band, a->queries - first);
        if (cut->env->poll(cut->env) != FZ_OK) return;
        if (a->dtype == FZ_TYPE_F32)
            band_f32(cut, head / a->heads, head % a->heads, first, rows, room);
        else band_f64(cut, head / a->heads, head % a->heads, first, rows, room);
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
    char *at = scratch;
    if (a->batch * a->heads * a->queries == 0) return;
    if (a->keys == 0) {
        zero_output(a);
        return;
    }
    set_cut(&cut, env, a);
    set_mask(&cut);
    if (a->dtype == FZ_TYPE_F32) {
        int64_t heads = a->batch * a->kv_heads;
        cut.keys = (float *)(void *)at;
        at += fzi_align((size_t)(heads * packed_keys(a)) * 4, ALIGN);
        cut.values = (float *)(void *)at;
        at += fzi_align((size_t)(heads * packed_values(a)) * 4, ALIGN);
        pack(&cut);
    }
    cut.rooms = at;
    if (cut.count == 1) task(&cut, 0);
    else env->parallel(env, (size_t)cut.count, task, &cut);
}
