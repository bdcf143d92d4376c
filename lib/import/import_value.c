/* Serialised SequenceProto, OptionalProto and MapProto, the files of ONNX's test folders. They do
 * not say what they are, so the caller does; their fields have the same numbers. Types are nested
 * FZ_KINDS_MAX deep at most, which bounds the recursion. */
#include "import/import.h"
#include "import/wire.h"

enum { ITEM_TENSOR = 3, ITEM_SEQUENCE = 5, ITEM_MAP = 6, ITEM_OPTIONAL = 7 };
enum { MAP_KEYS = 3, MAP_TEXT_KEYS = 4, MAP_VALUES = 5 };

struct message {
    const void *data;
    size_t size;
};

static fz_status_t damaged(void) {
    return fzi_error(FZ_E_FORMAT, "the file is no value of the type that is asked for");
}

static fz_status_t no_memory(void) { return fzi_error(FZ_E_NOMEM, "no memory for a value"); }

/* The field that holds values of DTYPE. */
static uint32_t field_of(int32_t dtype) {
    switch (fz_type_kind(dtype)) {
    case FZ_KIND_SEQUENCE: return ITEM_SEQUENCE;
    case FZ_KIND_OPTIONAL: return ITEM_OPTIONAL;
    case FZ_KIND_MAP: return ITEM_MAP;
    default: return ITEM_TENSOR;
    }
}

/* The messages in field NUMBER of M; ITEMS may be NULL, to count only. */
static fz_status_t find(const struct message *m, uint32_t number, struct message *items,
                        size_t *n) {
    struct fz_wire wire = {m->data, (const uint8_t *)m->data + m->size};
    struct fz_field field;
    int more;
    *n = 0;
    while ((more = fzi_wire_next(&wire, &field)) > 0) {
        if (field.number != number) continue;
        if (field.type != FZ_WIRE_BYTES) return damaged();
        if (items) items[*n] = (struct message){field.data, field.size};
        ++*n;
    }
    return more < 0 ? damaged() : FZ_OK;
}

static fz_status_t list(const struct message *m, uint32_t number, struct fz_arena *arena,
                        struct message **items, size_t *n) {
    FZ_TRY(find(m, number, NULL, n));
    *items = fzi_arena_array(arena, *n, sizeof **items);
    if (!*items) return no_memory();
    return find(m, number, *items, n);
}

/* OUT becomes a value of DTYPE that holds N others; its elements are all zeros. */
static fz_status_t make(struct fz_arena *arena, int32_t dtype, size_t n, fz_tensor_t *out) {
    *out = (fz_tensor_t){.dtype = dtype, .rank = 1, .dims = {(int64_t)n}};
    return fzi_tensor_alloc(arena, out);
}

/* Elements that tensors of one element each hold, as one tensor. */
static fz_status_t join(struct fz_arena *arena, const fz_tensor_t *items, size_t n, int32_t dtype,
                        fz_tensor_t *out) {
    size_t width = fzi_type_width(dtype);
    FZ_TRY(make(arena, dtype, n, out));
    for (size_t i = 0; i < n; i++) {
        if (items[i].dtype != dtype || items[i].size != width || fz_type_bits(dtype) % 8)
            return damaged();
        memcpy((char *)out->data + i * width, items[i].data, width);
    }
    return FZ_OK;
}

static fz_status_t read_keys(const struct message *m, int32_t dtype, struct fz_arena *arena,
                             fz_tensor_t *out) {
    size_t n;
    if (dtype == FZ_TYPE_STRING) {
        FZ_TRY(fzi_wire_strings(m->data, m->size, MAP_TEXT_KEYS, NULL, &n));
        FZ_TRY(make(arena, dtype, n, out));
        return fzi_wire_strings(m->data, m->size, MAP_TEXT_KEYS, out->data, &n);
    }
    const struct fz_int_format format = {.width = fzi_type_width(dtype), .low = INT64_MIN,
                                         .high = INT64_MAX};
    FZ_TRY(fzi_wire_ints(m->data, m->size, MAP_KEYS, NULL, NULL, &n));
    FZ_TRY(make(arena, dtype, n, out));
    return fzi_wire_ints(m->data, m->size, MAP_KEYS, &format, out->data, &n);
}

static fz_status_t read_value(const struct message *m, int32_t dtype, struct fz_arena *arena,
                              fz_tensor_t *out);

/* The values in M's field for values of DTYPE, as an array. */
static fz_status_t read_items(const struct message *m, int32_t dtype, struct fz_arena *arena,
                              fz_tensor_t **items, size_t *n) {
    struct message *found;
    FZ_TRY(list(m, field_of(dtype), arena, &found, n));
    *items = fzi_arena_array(arena, *n, sizeof **items);
    if (!*items) return no_memory();
    for (size_t i = 0; i < *n; i++) FZ_TRY(read_value(&found[i], dtype, arena, &(*items)[i]));
    return FZ_OK;
}

/* Keys, and a sequence of tensors of one element each. */
static fz_status_t read_map(const struct message *m, int32_t dtype, struct fz_arena *arena,
                            fz_tensor_t *out) {
    struct message *values;
    fz_tensor_t *items = NULL;
    size_t n_values, n = 0;
    FZ_TRY(list(m, MAP_VALUES, arena, &values, &n_values));
    if (n_values > 1) return damaged();
    if (n_values) FZ_TRY(read_items(values, fz_type_element(dtype), arena, &items, &n));
    FZ_TRY(make(arena, dtype, 2, out));
    fz_tensor_t *parts = out->data;
    FZ_TRY(read_keys(m, fz_type_key(dtype), arena, &parts[0]));
    FZ_TRY(join(arena, items, n, fz_type_element(dtype), &parts[1]));
    return parts[0].dims[0] == parts[1].dims[0] ? FZ_OK : damaged();
}

static fz_status_t read_value(const struct message *m, int32_t dtype, struct fz_arena *arena,
                              fz_tensor_t *out) {
    fz_tensor_t *items;
    size_t n;
    int32_t kind = fz_type_kind(dtype);
    if (kind == FZ_KIND_TENSOR) return fzi_import_tensor(m->data, m->size, arena, out);
    if (kind == FZ_KIND_MAP) return read_map(m, dtype, arena, out);
    FZ_TRY(read_items(m, fz_type_element(dtype), arena, &items, &n));
    if (kind == FZ_KIND_OPTIONAL && n > 1) return damaged();
    *out = (fz_tensor_t){.dtype = dtype, .rank = 1, .dims = {(int64_t)n}, .data = n ? items : NULL,
                         .size = n * sizeof *items};
    return FZ_OK;
}

fz_status_t fzi_import_value(const void *data, size_t size, int32_t dtype, struct fz_arena *arena,
                             fz_tensor_t *out) {
    fz_status_t status = read_value(&(struct message){data, size}, dtype, arena, out);
    if (status != FZ_OK) *out = (fz_tensor_t){0};
    return status;
}
