/* LabelEncoder, CategoryMapper and OneHotEncoder of ai.onnx.ml: what stands beside a key in a
 * table. Keys are sorted at freeze and searched by halves; of equal keys the first in the model
 * counts. All NaN are one key. */
#include "ops/move.h"
#include "ops/order.h"

#include <stdio.h>

enum { ENCODE, CATEGORY, ONE_HOT };
enum { X, KEYS, VALUES, DEFAULT };

struct params {
    int64_t zeros; /* what is not in the table has a row of zeros */
};

/* ---- lower */

/* DATA are read only, though a description of them cannot say so. */
static void fill(fz_tensor_t *out, int32_t dtype, const void *data) {
    *out = (fz_tensor_t){.dtype = dtype, .data = (void *)(uintptr_t)data};
}

/* Attribute NAME as a list, of strings, integers or floats, or a tensor; without elements if there
 * is none. */
static fz_status_t read_list(const struct fz_node *node, const char *name, fz_tensor_t *out) {
    const struct fz_attr *attr = fzi_attr(node, name);
    *out = (fz_tensor_t){.rank = 1};
    if (!attr) return FZ_OK;
    if (attr->kind == FZ_ATTR_STRINGS) fill(out, FZ_TYPE_STRING, attr->strings);
    else if (attr->kind == FZ_ATTR_INTS) fill(out, FZ_TYPE_I64, attr->ints);
    else if (attr->kind == FZ_ATTR_FLOATS) fill(out, FZ_TYPE_F32, attr->floats);
    else if (attr->kind == FZ_ATTR_TENSOR) *out = attr->tensors[0];
    else return fzi_error(FZ_E_TYPE, "attribute '%s' is no list", name);
    out->dims[0] = attr->kind == FZ_ATTR_TENSOR ? fzi_tensor_count(out) : (int64_t)attr->n;
    out->rank = 1;
    return FZ_OK;
}

/* The first of the three lists PREFIX_strings, _int64s, _floats, _tensor that has elements. */
static fz_status_t read_any(const struct fz_node *node, const char *prefix, fz_tensor_t *out) {
    static const char *const kinds[] = {"tensor", "strings", "int64s", "floats"};
    char name[64];
    for (size_t i = 0; i < FZ_COUNT(kinds); i++) {
        snprintf(name, sizeof name, "%s_%s", prefix, kinds[i]);
        FZ_TRY(read_list(node, name, out));
        if (out->dims[0]) return FZ_OK;
    }
    return fzi_error(FZ_E_FORMAT, "%s has no list of %s", node->type, prefix);
}

static int compare_strings(const struct fz_string *a, const struct fz_string *b) {
    size_t n = a->size < b->size ? a->size : b->size;
    int order = n ? memcmp(a->text, b->text, n) : 0;
    return order ? order : (a->size > b->size) - (a->size < b->size);
}

/* Element I of A against element J of B, which are of one kind: strings, floats or integers. */
static int compare(const fz_tensor_t *a, int64_t i, const fz_tensor_t *b, int64_t j) {
    if (a->dtype == FZ_TYPE_STRING)
        return compare_strings((const struct fz_string *)a->data + i,
                               (const struct fz_string *)b->data + j);
    if (fzi_type_is_float(a->dtype)) {
        double x = fzi_tensor_float(a, i), y = fzi_tensor_float(b, j);
        if (x != x || y != y) return (x != x) - (y != y);
        return (x > y) - (x < y);
    }
    int64_t x = fzi_tensor_int(a, i), y = fzi_tensor_int(b, j);
    return (x > y) - (x < y);
}

static int compare_keys(const void *arg, int64_t a, int64_t b) { return compare(arg, a, arg, b); }

static fz_status_t append(struct fz_lower *lower, struct fz_node *node, uint32_t i,
                          const fz_tensor_t *t, const int64_t *order) {
    int64_t n = t->dims[0];
    size_t width = fzi_type_width(t->dtype);
    char *sorted = fzi_arena_array(lower->graph->arena, (size_t)n, width);
    if (!sorted) return fzi_error(FZ_E_NOMEM, "no memory for a table");
    for (int64_t j = 0; j < n; j++)
        memcpy(sorted + (size_t)j * width,
               (const char *)t->data + (size_t)(order ? order[j] : j) * width, width);
    return fzi_lower_constant(lower, node, i, t->dtype, n, sorted);
}

/* Sorts KEYS; VALUES, or their places in the list if there are none, go with them. */
static fz_status_t append_table(struct fz_lower *lower, struct fz_node *node,
                                const fz_tensor_t *keys, const fz_tensor_t *values) {
    int64_t n = keys->dims[0];
    int64_t *order = fzi_arena_array(lower->graph->arena, (size_t)n, sizeof *order);
    int64_t *temp = fzi_arena_array(lower->graph->arena, (size_t)n, sizeof *temp);
    if (!order || !temp) return fzi_error(FZ_E_NOMEM, "no memory for a table");
    if (fz_type_bits(keys->dtype) < 8 && keys->dtype != FZ_TYPE_STRING)
        return fzi_error(FZ_E_UNSUPPORTED, "keys of type %s", fz_type_name(keys->dtype));
    if (values && values->dims[0] != n)
        return fzi_error(FZ_E_FORMAT, "%lld keys and %lld values", (long long)n,
                         (long long)values->dims[0]);
    for (int64_t i = 0; i < n; i++) order[i] = i;
    fzi_order_sort(order, temp, n, compare_keys, keys);
    FZ_TRY(append(lower, node, KEYS, keys, order));
    if (values) return append(lower, node, VALUES, values, order);
    return fzi_lower_constant(lower, node, VALUES, FZ_TYPE_I64, n, order);
}

/* The default of values of DTYPE. */
static fz_status_t append_default(struct fz_lower *lower, struct fz_node *node, int32_t dtype,
                                  const char *word) {
    const struct fz_attr *text = fzi_attr(node, "default_string");
    const struct fz_attr *tensor = fzi_attr(node, "default_tensor");
    struct fz_string string = {word, strlen(word)};
    int64_t integer;
    double real;
    FZ_TRY(fzi_attr_int(node, "default_int64", -1, &integer));
    FZ_TRY(fzi_attr_float(node, "default_float", -0.0f, &real));
    if (tensor && tensor->kind == FZ_ATTR_TENSOR && tensor->tensors->dtype == dtype &&
        fzi_tensor_count(tensor->tensors) == 1)
        return fzi_lower_constant(lower, node, DEFAULT, dtype, 1, tensor->tensors->data);
    if (text && text->kind == FZ_ATTR_STRING) string = (struct fz_string){text->s, text->n};
    float narrow = (float)real;
    int32_t small = (int32_t)integer;
    int16_t least = (int16_t)integer;
    const void *data = dtype == FZ_TYPE_STRING ? (const void *)&string
                       : dtype == FZ_TYPE_F32 ? (const void *)&narrow
                       : dtype == FZ_TYPE_F64 ? (const void *)&real
                       : dtype == FZ_TYPE_I32 ? (const void *)&small
                       : dtype == FZ_TYPE_I16 ? (const void *)&least
                       : dtype == FZ_TYPE_I64 ? (const void *)&integer : NULL;
    if (!data) return fzi_error(FZ_E_UNSUPPORTED, "values of type %s", fz_type_name(dtype));
    return fzi_lower_constant(lower, node, DEFAULT, dtype, 1, data);
}

/* Opset 1: a list of words, which stand for their places. */
static fz_status_t lower_classes(struct fz_lower *lower, struct fz_node *node,
                                 fz_tensor_t *words) {
    fz_tensor_t places = {.dtype = FZ_TYPE_I64, .rank = 1, .dims = {words->dims[0]}};
    int64_t *list = fzi_arena_array(lower->graph->arena, (size_t)words->dims[0], sizeof *list);
    if (!list) return fzi_error(FZ_E_NOMEM, "no memory for a table");
    for (int64_t i = 0; i < words->dims[0]; i++) list[i] = i;
    places.data = list;
    bool forward = node->in[X]->t.dtype == FZ_TYPE_STRING;
    FZ_TRY(append_table(lower, node, forward ? words : &places, forward ? &places : words));
    return append_default(lower, node, forward ? FZ_TYPE_I64 : FZ_TYPE_STRING, "_Unused");
}

static fz_status_t lower_encoder(struct fz_lower *lower, struct fz_node *node, void *params) {
    fz_tensor_t keys, values, words;
    (void)params;
    FZ_TRY(read_list(node, "classes_strings", &words));
    if (words.dims[0]) return lower_classes(lower, node, &words);
    FZ_TRY(read_any(node, "keys", &keys));
    FZ_TRY(read_any(node, "values", &values));
    FZ_TRY(append_table(lower, node, &keys, &values));
    return append_default(lower, node, values.dtype, "_Unused");
}

static fz_status_t lower_category(struct fz_lower *lower, struct fz_node *node, void *params) {
    fz_tensor_t words, numbers;
    (void)params;
    FZ_TRY(read_list(node, "cats_strings", &words));
    FZ_TRY(read_list(node, "cats_int64s", &numbers));
    bool forward = node->in[X]->t.dtype == FZ_TYPE_STRING;
    if (words.dims[0] == 0) return fzi_error(FZ_E_FORMAT, "%s has no categories", node->type);
    FZ_TRY(append_table(lower, node, forward ? &words : &numbers, forward ? &numbers : &words));
    return append_default(lower, node, forward ? FZ_TYPE_I64 : FZ_TYPE_STRING, "_Unused");
}

static fz_status_t lower_one_hot(struct fz_lower *lower, struct fz_node *node, void *params) {
    struct params *p = params;
    fz_tensor_t keys;
    FZ_TRY(fzi_attr_int(node, "zeros", 1, &p->zeros));
    FZ_TRY(read_any(node, "cats", &keys));
    FZ_TRY(append_table(lower, node, &keys, NULL));
    return append_default(lower, node, FZ_TYPE_I64, "");
}

/* ---- infer */

static bool is_list(const struct fz_call *call, uint32_t i) {
    return fzi_move_has(call, i) && call->in[i]->rank == 1 && call->in[i]->dims[0] >= 0;
}

static fz_status_t infer(const struct fz_op *op, const struct fz_call *call) {
    const fz_tensor_t *x = call->in[X];
    if (!is_list(call, KEYS) || !is_list(call, VALUES) || !is_list(call, DEFAULT) ||
        call->in[KEYS]->dims[0] != call->in[VALUES]->dims[0] || call->in[DEFAULT]->dims[0] != 1 ||
        call->in[DEFAULT]->dtype != call->in[VALUES]->dtype)
        return fzi_error(FZ_E_FORMAT, "%s: the tables do not fit each other", op->name);
    int32_t key = call->in[KEYS]->dtype;
    const uint64_t numbers = FZ_T(F32) | FZ_T(F64) | FZ_T(I64) | FZ_T(I32) | FZ_T(I16);
    for (uint32_t i = X; i <= DEFAULT; i++)
        FZ_TRY(fzi_infer_type(op, call, i, numbers | FZ_T(STRING)));
    bool cast = op->kind == ONE_HOT && key == FZ_TYPE_I64 && x->dtype != FZ_TYPE_STRING;
    if (x->dtype != key && !cast)
        return fzi_error(FZ_E_TYPE, "%s: the input is %s, the keys are %s", op->name,
                         fz_type_name(x->dtype), fz_type_name(key));
    if (op->kind != ONE_HOT) {
        fzi_infer_like(call, 0, call->in[VALUES]->dtype, x);
        return FZ_OK;
    }
    fz_tensor_t y = *x;
    if (call->in[VALUES]->dtype != FZ_TYPE_I64)
        return fzi_error(FZ_E_FORMAT, "%s: the places are no integers", op->name);
    if (x->rank == FZ_RANK_MAX)
        return fzi_error(FZ_E_SHAPE, "%s: an input of rank %d", op->name, x->rank);
    if (y.rank >= 0) y.dims[y.rank++] = call->in[KEYS]->dims[0];
    fzi_infer_like(call, 0, FZ_TYPE_F32, &y);
    return FZ_OK;
}

/* ---- run */

/* The place of element I of T among KEYS, or -1. */
static int64_t find(const fz_tensor_t *keys, const fz_tensor_t *t, int64_t i) {
    int64_t low = 0, n = keys->dims[0], high = n;
    while (low < high) {
        int64_t middle = low + (high - low) / 2;
        if (compare(keys, middle, t, i) < 0) low = middle + 1;
        else high = middle;
    }
    return low < n && compare(keys, low, t, i) == 0 ? low : -1;
}

static void encode_range(void *arg, int64_t begin, int64_t end) {
    const struct fz_call *call = arg;
    size_t width = fzi_type_width(call->in[VALUES]->dtype);
    char *y = call->out[0]->data;
    for (int64_t i = begin; i < end; i++) {
        int64_t at = find(call->in[KEYS], call->in[X], i);
        const fz_tensor_t *from = call->in[at < 0 ? DEFAULT : VALUES];
        memcpy(y + (size_t)i * width,
               (const char *)from->data + (size_t)(at < 0 ? 0 : at) * width, width);
    }
}

/* Element I of X as the keys are: numbers become integers, toward zero. */
static int64_t find_category(const struct fz_call *call, int64_t i) {
    const fz_tensor_t *x = call->in[X];
    if (!fzi_type_is_float(x->dtype)) return find(call->in[KEYS], x, i);
    double value = fzi_tensor_float(x, i);
    if (!(value > -0x1p63 && value < 0x1p63)) return -1;
    int64_t whole = (int64_t)value;
    const fz_tensor_t one = {.dtype = FZ_TYPE_I64, .rank = 1, .dims = {1}, .data = &whole};
    return find(call->in[KEYS], &one, 0);
}

static fz_status_t run_one_hot(const struct fz_op *op, const struct fz_call *call) {
    const struct params *p = call->params;
    int64_t n = call->in[KEYS]->dims[0], count = fzi_tensor_count(call->in[X]);
    float *y = call->out[0]->data;
    if (call->out[0]->size) memset(y, 0, call->out[0]->size);
    for (int64_t i = 0; i < count; i++) {
        int64_t at = find_category(call, i);
        if (at < 0 && !p->zeros)
            return fzi_error(FZ_E_VALUE, "%s: element %lld is no category", op->name,
                             (long long)i);
        int64_t place = at < 0 ? -1 : fzi_tensor_int(call->in[VALUES], at);
        if (place >= 0 && place < n) y[i * n + place] = 1;
    }
    return FZ_OK;
}

static fz_status_t run(const struct fz_op *op, const struct fz_call *call) {
    if (op->kind == ONE_HOT) return run_one_hot(op, call);
    fzi_run_range(call->env, fzi_tensor_count(call->in[X]), 1024, encode_range,
                  (void *)(uintptr_t)call);
    return FZ_OK;
}

#define ROW(onnx, row, first, last, known, how)                                                    \
    {.name = onnx, .domain = "ai.onnx.ml", .since = first, .until = last, .rev = 1, .min_in = 1,   \
     .max_in = 4, .min_out = 1, .max_out = 1, .attrs = known, .kind = row,                         \
     .params_size = sizeof(struct params), .lower = how, .infer = infer, .run = run}

const struct fz_op fz_ops_label_encoder[] = {
    ROW("LabelEncoder", ENCODE, 1, 0, "classes_strings default_float default_int64 default_string "
        "default_tensor keys_floats keys_int64s keys_strings keys_tensor values_floats "
        "values_int64s values_strings values_tensor", lower_encoder),
    ROW("CategoryMapper", CATEGORY, 1, 0, "cats_int64s cats_strings default_int64 default_string",
        lower_category),
    ROW("OneHotEncoder", ONE_HOT, 1, 0, "cats_int64s cats_strings zeros", lower_one_hot),
    {0},
};
