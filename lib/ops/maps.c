/* ZipMap, CastMap and DictVectorizer of ai.onnx.ml: maps made of rows of numbers, and rows of
 * numbers made of maps. */
#include "ops/move.h"
#include "ops/nested.h"

enum { X, NAMES };

struct params {
    int64_t dtype, length; /* CastMap: what its output is, and how long (0: as the map) */
};

/* Appends the list of strings STRINGS, or else of integers INTS. */
static fz_status_t lower_names(struct fz_lower *lower, struct fz_node *node, const char *strings,
                               const char *ints) {
    const struct fz_attr *words = fzi_attr(node, strings);
    const int64_t *numbers = NULL;
    size_t n = 0;
    if (words && words->kind == FZ_ATTR_STRINGS && words->n)
        return fzi_lower_constant(lower, node, NAMES, FZ_TYPE_STRING, (int64_t)words->n,
                                  words->strings);
    FZ_TRY(fzi_attr_ints(node, ints, &numbers, &n));
    if (!n) return fzi_error(FZ_E_FORMAT, "%s has no keys", node->type);
    return fzi_lower_constant(lower, node, NAMES, FZ_TYPE_I64, (int64_t)n, numbers);
}

static fz_status_t check_names(const struct fz_op *op, const struct fz_call *call) {
    const fz_tensor_t *names = fzi_move_has(call, NAMES) ? call->in[NAMES] : NULL;
    if (!names || names->rank != 1 || names->dims[0] < 1)
        return fzi_error(FZ_E_FORMAT, "%s: the keys are no list", op->name);
    return fzi_infer_type(op, call, NAMES, FZ_T(STRING) | FZ_T(I64));
}

/* ---- ZipMap */

static fz_status_t lower_zip(struct fz_lower *lower, struct fz_node *node, void *params) {
    (void)params;
    return lower_names(lower, node, "classlabels_strings", "classlabels_int64s");
}

static fz_status_t infer_zip(const struct fz_op *op, const struct fz_call *call) {
    const fz_tensor_t *x = call->in[X];
    FZ_TRY(check_names(op, call));
    FZ_TRY(fzi_infer_type(op, call, X, FZ_T(F32)));
    if (x->rank > 2 || x->rank == 0)
        return fzi_error(FZ_E_SHAPE, "%s: an input of rank %d", op->name, x->rank);
    if (x->rank > 0 && x->dims[x->rank - 1] >= 0 &&
        x->dims[x->rank - 1] != call->in[NAMES]->dims[0])
        return fzi_error(FZ_E_SHAPE, "%s: %lld numbers for %lld keys", op->name,
                         (long long)x->dims[x->rank - 1], (long long)call->in[NAMES]->dims[0]);
    int64_t rows = x->rank == 2 ? x->dims[0] : x->rank == 1 ? 1 : FZ_DIM_UNKNOWN;
    return fzi_nested_infer(op, call, 0, FZ_KIND_SEQUENCE,
                            fzi_type_map(call->in[NAMES]->dtype, FZ_TYPE_F32), rows);
}

/* The keys of all rows are one list. */
static fz_status_t run_zip(const struct fz_op *op, const struct fz_call *call) {
    const fz_tensor_t *x = call->in[X], *names = call->in[NAMES];
    struct fz_arena *heap = call->env->heap;
    int64_t n = names->dims[0], rows = x->rank == 2 ? x->dims[0] : 1;
    fz_tensor_t *maps = call->out[0]->data, keys;
    if (rows == 0) return FZ_OK;
    FZ_TRY(fzi_nested_keep(call->env, names, &keys));
    float *numbers = fzi_arena_copy(heap, x->data, x->size);
    fz_tensor_t *parts = fzi_arena_array(heap, (size_t)rows, 2 * sizeof *parts);
    if (!numbers || !parts)
        return fzi_error(FZ_E_LIMIT, "%s: %lld maps need more memory than there is", op->name,
                         (long long)rows);
    for (int64_t r = 0; r < rows; r++) {
        parts[2 * r] = keys;
        parts[2 * r + 1] = (fz_tensor_t){.dtype = FZ_TYPE_F32, .rank = 1, .dims = {n},
                                         .data = numbers + r * n, .size = (size_t)n * 4};
        maps[r] = (fz_tensor_t){.dtype = fz_type_element(call->out[0]->dtype), .rank = 1,
                                .dims = {2}, .data = &parts[2 * r], .size = 2 * sizeof *parts};
    }
    return FZ_OK;
}

/* Input 0 is a map: keys and elements. */
static fz_status_t check_map(const struct fz_op *op, const struct fz_call *call) {
    FZ_TRY(fzi_nested_kind(op, call, X, FZ_KIND_MAP));
    const fz_tensor_t *x = call->in[X];
    if (x->rank < 0 || (x->rank == 1 && (x->dims[0] < 0 || x->dims[0] == 2))) return FZ_OK;
    return fzi_error(FZ_E_SHAPE, "%s: a map does not have two parts", op->name);
}

/* ---- DictVectorizer */

static fz_status_t lower_dict(struct fz_lower *lower, struct fz_node *node, void *params) {
    (void)params;
    return lower_names(lower, node, "string_vocabulary", "int64_vocabulary");
}

static fz_status_t infer_dict(const struct fz_op *op, const struct fz_call *call) {
    const uint64_t elements = FZ_T(F32) | FZ_T(F64) | FZ_T(I64) | FZ_T(STRING);
    FZ_TRY(check_names(op, call));
    FZ_TRY(check_map(op, call));
    int32_t element = fz_type_element(call->in[X]->dtype);
    if (fz_type_key(call->in[X]->dtype) != call->in[NAMES]->dtype || element > 63 ||
        !(elements >> element & 1))
        return fzi_error(FZ_E_TYPE, "%s: the map does not fit the vocabulary", op->name);
    int64_t dims[2] = {1, call->in[NAMES]->dims[0]};
    fzi_infer_shape(call, 0, element, 2, dims);
    return FZ_OK;
}

static bool same_key(const fz_tensor_t *a, int64_t i, const fz_tensor_t *b, int64_t j) {
    if (a->dtype != FZ_TYPE_STRING) return fzi_tensor_int(a, i) == fzi_tensor_int(b, j);
    const struct fz_string *x = (const struct fz_string *)a->data + i;
    const struct fz_string *y = (const struct fz_string *)b->data + j;
    return x->size == y->size && (x->size == 0 || memcmp(x->text, y->text, x->size) == 0);
}

/* Keys that are not in the vocabulary are left out; words that are no keys give 0 or "". */
static fz_status_t run_dict(const struct fz_op *op, const struct fz_call *call) {
    fz_tensor_t keys = fzi_value_item(call->in[X], 0), values = fzi_value_item(call->in[X], 1);
    const fz_tensor_t *names = call->in[NAMES];
    size_t width = fzi_type_width(values.dtype);
    int64_t n = keys.dims[0] < values.dims[0] ? keys.dims[0] : values.dims[0];
    char *y = call->out[0]->data;
    (void)op;
    memset(y, 0, call->out[0]->size);
    for (int64_t i = 0; i < names->dims[0]; i++) {
        if (i % 1024 == 0) FZ_TRY(call->env->poll(call->env));
        for (int64_t j = 0; j < n; j++)
            if (same_key(names, i, &keys, j))
                memcpy(y + (size_t)i * width, (const char *)values.data + (size_t)j * width, width);
    }
    return FZ_OK;
}

/* ---- CastMap */

static fz_status_t lower_cast(struct fz_lower *lower, struct fz_node *node, void *params) {
    static const char *const types[] = {"TO_FLOAT", "TO_INT64", NULL};
    static const char *const forms[] = {"DENSE", "SPARSE", NULL};
    struct params *p = params;
    int64_t type, sparse, length;
    (void)lower;
    FZ_TRY(fzi_attr_choice(node, "cast_to", types, 0, &type));
    FZ_TRY(fzi_attr_choice(node, "map_form", forms, 0, &sparse));
    FZ_TRY(fzi_attr_int(node, "max_map", 1, &length));
    p->dtype = type ? FZ_TYPE_I64 : FZ_TYPE_F32;
    p->length = sparse ? length : 0;
    return FZ_OK;
}

static fz_status_t infer_cast(const struct fz_op *op, const struct fz_call *call) {
    const struct params *p = call->params;
    FZ_TRY(check_map(op, call));
    int32_t dtype = call->in[X]->dtype;
    if (fz_type_key(dtype) != FZ_TYPE_I64 || fz_type_element(dtype) != FZ_TYPE_F32)
        return fzi_error(FZ_E_UNSUPPORTED, "%s: a map that is not of int64 to float32", op->name);
    if ((p->dtype != FZ_TYPE_I64 && p->dtype != FZ_TYPE_F32) || p->length < 0)
        return fzi_error(FZ_E_FORMAT, "%s: parameters", op->name);
    int64_t dims[2] = {1, p->length ? p->length : FZ_DIM_UNKNOWN};
    fzi_infer_shape(call, 0, (int32_t)p->dtype, 2, dims);
    return FZ_OK;
}

static void put(const fz_tensor_t *y, int64_t i, float value) {
    if (y->dtype == FZ_TYPE_F32) ((float *)y->data)[i] = value;
    else if (value != value) ((int64_t *)y->data)[i] = 0;
    else ((int64_t *)y->data)[i] = value >= 0x1p63f ? INT64_MAX
                                   : value < -0x1p63f ? INT64_MIN : (int64_t)value;
}

/* Dense: the elements in the order of the keys. Sparse: each at its key. */
static fz_status_t run_cast(const struct fz_op *op, const struct fz_call *call) {
    const struct params *p = call->params;
    fz_tensor_t keys = fzi_value_item(call->in[X], 0), values = fzi_value_item(call->in[X], 1);
    const int64_t *key = keys.data;
    const float *value = values.data;
    int64_t n = keys.dims[0] < values.dims[0] ? keys.dims[0] : values.dims[0];
    int64_t dims[2] = {1, p->length ? p->length : n};
    FZ_TRY(call->env->resize(call, 0, 2, dims));
    const fz_tensor_t *y = call->out[0];
    if (y->size) memset(y->data, 0, y->size);
    for (int64_t i = 0; i < n; i++) {
        int64_t place = p->length ? key[i] : 0;
        for (int64_t j = 0; j < n && !p->length; j++) place += key[j] < key[i];
        if (place < 0 || place >= dims[1])
            return fzi_error(FZ_E_VALUE, "%s: the key %lld is not below max_map", op->name,
                             (long long)key[i]);
        put(y, place, value[i]);
    }
    return FZ_OK;
}

#define ROW(onnx, inputs, known, how, types, body)                                                 \
    {.name = onnx, .domain = "ai.onnx.ml", .since = 1, .rev = 1, .min_in = 1, .max_in = inputs,    \
     .min_out = 1, .max_out = 1, .attrs = known, .params_size = sizeof(struct params),             \
     .flags = FZ_OP_LATE_SHAPE | FZ_OP_NESTED, .lower = how, .infer = types, .run = body}

const struct fz_op fz_ops_maps[] = {
    ROW("ZipMap", 2, "classlabels_int64s classlabels_strings", lower_zip, infer_zip, run_zip),
    ROW("DictVectorizer", 2, "int64_vocabulary string_vocabulary", lower_dict, infer_dict,
        run_dict),
    ROW("CastMap", 1, "cast_to map_form max_map", lower_cast, infer_cast, run_cast),
    {0},
};
