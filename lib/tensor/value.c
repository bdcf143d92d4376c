/* Values whose elements hold pointers. */
#include "tensor/value.h"

static const char too_few[] = "a value in a sequence, optional or map lacks bytes";

fz_tensor_t fzi_value_item(const fz_tensor_t *t, int64_t i) {
    fz_tensor_t item = ((const fz_tensor_t *)t->data)[i];
    /* A caller's buffer may be larger than its tensor. */
    if (fzi_tensor_measure(&item) != FZ_OK) item.size = 0;
    return item;
}

/* ---- checking what callers describe */

static fz_status_t check_strings(const fz_tensor_t *t) {
    const struct fz_string *strings = t->data;
    int64_t n = fzi_tensor_count(t);
    for (int64_t i = 0; i < n; i++)
        if (strings[i].size && !strings[i].text)
            return fzi_error(FZ_E_USAGE, "string %lld has no text", (long long)i);
    return FZ_OK;
}

/* A value of type DTYPE that another one holds. */
static fz_status_t check_item(const fz_tensor_t *item, int32_t dtype) {
    fz_tensor_t t = *item;
    if (t.dtype != dtype)
        return fzi_error(FZ_E_TYPE, "it holds a value that is %s, not %s", fz_type_name(t.dtype),
                         fz_type_name(dtype));
    if (t.rank < 0 || t.rank > FZ_RANK_MAX || (fzi_type_is_nested(dtype) && t.rank != 1))
        return fzi_error(FZ_E_SHAPE, "it holds a value of rank %d", t.rank);
    FZ_TRY(fzi_tensor_measure(&t));
    if (item->size < t.size || (t.size && !t.data)) return fzi_error(FZ_E_SHAPE, too_few);
    return fzi_type_has_pointers(dtype) ? fzi_value_check(&t) : FZ_OK;
}

static fz_status_t check_map(const fz_tensor_t *t) {
    const fz_tensor_t *parts = t->data;
    if (t->dims[0] != 2)
        return fzi_error(FZ_E_SHAPE, "a map consists of its keys and its elements");
    FZ_TRY(check_item(&parts[0], fz_type_key(t->dtype)));
    FZ_TRY(check_item(&parts[1], fz_type_element(t->dtype)));
    if (parts[0].rank != 1 || parts[1].rank != 1 || parts[0].dims[0] != parts[1].dims[0])
        return fzi_error(FZ_E_SHAPE, "a map has as many keys as elements, each in one row");
    return FZ_OK;
}

fz_status_t fzi_value_check(const fz_tensor_t *t) {
    if (t->dtype == FZ_TYPE_STRING) return check_strings(t);
    int32_t kind = fz_type_kind(t->dtype);
    if (kind == FZ_KIND_MAP) return check_map(t);
    if (kind == FZ_KIND_OPTIONAL && t->dims[0] > 1)
        return fzi_error(FZ_E_SHAPE, "an optional holds one value or none, not %lld",
                         (long long)t->dims[0]);
    for (int64_t i = 0; i < t->dims[0]; i++)
        FZ_TRY(check_item((const fz_tensor_t *)t->data + i, fz_type_element(t->dtype)));
    return FZ_OK;
}

/* ---- owning */

/* Looking for a NaN, several numbers at a time, is faster than replacing what hardly ever is. */
static bool has_nan(const uint32_t *p, int64_t n) {
    typedef int32_t lanes __attribute__((vector_size(16)));
    lanes any[2] = {{0}, {0}}, x[2];
    int64_t i = 0;
    int32_t found = 0;
    for (; i + 8 <= n; i += 8) {
        memcpy(x, p + i, sizeof x);
        any[0] |= (x[0] & INT32_MAX) > 0x7F800000;
        any[1] |= (x[1] & INT32_MAX) > 0x7F800000;
    }
    for (int l = 0; l < 4; l++) found |= any[0][l] | any[1][l];
    for (; i < n; i++) found |= (p[i] & INT32_MAX) > 0x7F800000;
    return found != 0;
}

void fzi_value_canonicalise(fz_tensor_t *t) {
    int64_t n = fzi_tensor_count(t);
    if (t->dtype == FZ_TYPE_F32) {
        uint32_t *p = t->data;
        if (!has_nan(p, n)) return;
        for (int64_t i = 0; i < n; i++)
            p[i] = (p[i] & 0x7FFFFFFF) > 0x7F800000 ? 0x7FC00000 : p[i];
    } else if (t->dtype == FZ_TYPE_F64) {
        uint64_t *p = t->data;
        for (int64_t i = 0; i < n; i++)
            p[i] = (p[i] & INT64_MAX) > 0x7FF0000000000000 ? 0x7FF8000000000000 : p[i];
    } else if (t->dtype == FZ_TYPE_F16 || t->dtype == FZ_TYPE_BF16) {
        uint16_t *p = t->data, infinity = t->dtype == FZ_TYPE_F16 ? 0x7C00 : 0x7F80;
        uint16_t quiet = t->dtype == FZ_TYPE_F16 ? 0x7E00 : 0x7FC0;
        for (int64_t i = 0; i < n; i++) p[i] = (p[i] & 0x7FFF) > infinity ? quiet : p[i];
    }
}

static fz_status_t no_memory(void) {
    return fzi_error(FZ_E_NOMEM, "no memory for strings or sequences");
}

/* One block holds all texts. */
static fz_status_t own_strings(struct fz_arena *heap, fz_tensor_t *t) {
    struct fz_string *strings = t->data;
    int64_t n = fzi_tensor_count(t);
    size_t total = 0, at = 0;
    for (int64_t i = 0; i < n; i++)
        if (!fzi_add_size(total, strings[i].size, &total)) return no_memory();
    if (total == 0) return FZ_OK;
    char *block = fzi_arena_alloc(heap, total);
    if (!block) return no_memory();
    for (int64_t i = 0; i < n; at += strings[i++].size) {
        if (strings[i].size) memcpy(block + at, strings[i].text, strings[i].size);
        strings[i].text = block + at;
    }
    return FZ_OK;
}

fz_status_t fzi_value_own(struct fz_arena *heap, fz_tensor_t *t) {
    if (t->dtype == FZ_TYPE_STRING) return own_strings(heap, t);
    if (!fzi_type_is_nested(t->dtype)) {
        fzi_value_canonicalise(t);
        return FZ_OK;
    }
    fz_tensor_t *items = t->data;
    for (int64_t i = 0; i < t->dims[0]; i++) {
        items[i] = fzi_value_item(t, i);
        if (items[i].size) items[i].data = fzi_arena_copy(heap, items[i].data, items[i].size);
        if (items[i].size && !items[i].data) return no_memory();
        FZ_TRY(fzi_value_own(heap, &items[i]));
    }
    return FZ_OK;
}
