/* TensorProto to tensor: dimensions, the one place where the data are, and their decoding.
 *
 * Elements are decoded from the message's own bytes in the file. raw_data stays there if it can:
 * constants then cost no second copy of the weights. */
#include "import/importer.h"

#include "import/wire.h"

enum {
    DIMS = 1, FLOAT_DATA = 4, INT32_DATA = 5, STRING_DATA = 6, INT64_DATA = 7, RAW_DATA = 9,
    DOUBLE_DATA = 10, UINT64_DATA = 11,
    COPY_MAX = 65536 /* tensors up to this size are copied, to be aligned to 64 bytes */
};

/* Where a tensor's data lie. */
struct content {
    const uint8_t *span;
    size_t span_size;
    uint32_t field;       /* the field that holds them, 0: none */
    uint32_t n_pieces;    /* how often it occurs */
    struct fz_field last; /* its last occurrence */
};

/* ---- bytes in place */

/* Largest power of two that elements of T must be aligned to. */
static size_t alignment(const fz_tensor_t *t) {
    size_t width = fzi_type_width(t->dtype);
    return width < 8 ? width : 8;
}

/* ONNX says that a bool is 0 or 1, kernels rely on it, and files need not keep to it. */
static bool bools_clean(const uint8_t *data, size_t size) {
    for (size_t i = 0; i < size; i++)
        if (data[i] > 1) return false;
    return true;
}

/* Makes bytes as they stand in the file elements of the host. */
static void convert(fz_tensor_t *t) {
    uint8_t *p = t->data;
    if (t->dtype == FZ_TYPE_BOOL)
        for (size_t i = 0; i < t->size; i++) p[i] = p[i] != 0;
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    size_t width = t->dtype == FZ_TYPE_C64 ? 4 : alignment(t);
    for (size_t i = 0; i < t->size; i += width)
        for (size_t k = 0; k < width / 2; k++) {
            uint8_t swap = p[i + k];
            p[i + k] = p[i + width - 1 - k];
            p[i + width - 1 - k] = swap;
        }
#endif
}

/* Whether DATA can't become T's data where it is, alignment apart. */
static bool must_copy(const struct fz_importer *im, const uint8_t *data, const fz_tensor_t *t) {
    if (im->copy_all || t->size <= COPY_MAX) return true;
    if (t->dtype == FZ_TYPE_BOOL && !bools_clean(data, t->size)) return true;
    return __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__ && alignment(t) > 1;
}

fz_status_t fzi_import_place(struct fz_importer *im, const uint8_t *data, bool may_move,
                             fz_tensor_t *t) {
    size_t off = (uintptr_t)data % alignment(t);
    if (must_copy(im, data, t) || (off && !may_move)) {
        t->data = fzi_arena_alloc(im->arena, t->size);
        if (!t->data) return fzi_import_nomem(im, t->size);
        if (t->size) memcpy(t->data, data, t->size);
        convert(t);
        return FZ_OK;
    }
    /* At most 7 bytes down: a run of more than 64 KiB has a tag and a length of 4 bytes before it,
     * and before these at least 4 more of the same kind, or fields of the same message. All of that
     * has been read for the last time. */
    t->data = (uint8_t *)data - off;
    if (off) memmove(t->data, data, t->size);
    return FZ_OK;
}

/* ---- dimensions */

fz_status_t fzi_import_dims(const struct fz_importer *im, const void *span, size_t size,
                            uint32_t field, const char *name, fz_tensor_t *t) {
    size_t rank;
    int64_t count;
    FZ_TRY(fzi_wire_ints(span, size, field, NULL, NULL, &rank));
    if (rank > FZ_RANK_MAX)
        return fzi_error(FZ_E_UNSUPPORTED, "tensor '%s' has %zu dimensions; %d are supported", name,
                         rank, FZ_RANK_MAX);
    FZ_TRY(fzi_wire_ints(span, size, field, NULL, t->dims, &rank));
    t->rank = (int32_t)rank;
    for (size_t i = 0; i < rank; i++)
        if (t->dims[i] < 0)
            return fzi_error(FZ_E_FORMAT, "tensor '%s' has the dimension %lld", name,
                             (long long)t->dims[i]);
    if (!fzi_dims_count(t->dims, 0, t->rank, &count) || (uint64_t)count > im->max_elements)
        return fzi_error(FZ_E_LIMIT, "tensor '%s' has more than %llu elements (max_elements)", name,
                         (unsigned long long)im->max_elements);
    return fzi_tensor_measure(t);
}

/* ---- elements in typed fields */

/* The field that elements of DTYPE are stored in if they are not raw. */
static uint32_t typed_field(int32_t dtype) {
    switch (dtype) {
    case FZ_TYPE_F32:
    case FZ_TYPE_C64: return FLOAT_DATA;
    case FZ_TYPE_F64:
    case FZ_TYPE_C128: return DOUBLE_DATA;
    case FZ_TYPE_I64: return INT64_DATA;
    case FZ_TYPE_U32:
    case FZ_TYPE_U64: return UINT64_DATA;
    case FZ_TYPE_STRING: return STRING_DATA;
    default: return INT32_DATA;
    }
}

/* How an element of DTYPE is stored in a field of integers. Packed types come in whole bytes,
 * signed or not. */
static struct fz_int_format int_format(int32_t dtype) {
    int bits = fz_type_bits(dtype);
    struct fz_int_format f = {.width = fzi_type_width(dtype)};
    f.narrow = typed_field(dtype) == INT32_DATA;
    f.truth = dtype == FZ_TYPE_BOOL;
    if (bits == 64 || f.truth) {
        f.low = INT64_MIN;
        f.high = INT64_MAX;
    } else if (bits < 8) {
        f.low = -128;
        f.high = 255;
    } else {
        bool is_signed = fzi_type_is_signed(dtype);
        f.low = is_signed ? -((int64_t)1 << (bits - 1)) : 0;
        f.high = ((int64_t)1 << (is_signed ? bits - 1 : bits)) - 1;
    }
    return f;
}

/* Counting first keeps the memory that is asked for below what the file itself has. */
static fz_status_t count_elements(const struct content *c, size_t width, size_t *n) {
    switch (c->field) {
    case STRING_DATA: return fzi_wire_strings(c->span, c->span_size, c->field, NULL, n);
    case FLOAT_DATA:
    case DOUBLE_DATA: return fzi_wire_fixed(c->span, c->span_size, c->field, width, NULL, n);
    default: return fzi_wire_ints(c->span, c->span_size, c->field, NULL, NULL, n);
    }
}

/* The strings' bytes stay in the file unless nothing may. */
static fz_status_t fill_strings(struct fz_importer *im, const struct content *c, fz_tensor_t *t) {
    size_t n;
    struct fz_string *strings = t->data;
    FZ_TRY(fzi_wire_strings(c->span, c->span_size, c->field, strings, &n));
    for (size_t i = 0; i < n && im->copy_all; i++) {
        strings[i].text = fzi_arena_copy(im->arena, strings[i].text, strings[i].size);
        if (!strings[i].text) return fzi_import_nomem(im, strings[i].size);
    }
    return FZ_OK;
}

/* Decodes the values of a typed field into fresh memory. */
static fz_status_t fill_typed(struct fz_importer *im, const struct content *c, const char *name,
                              fz_tensor_t *t) {
    /* The width of an item of the field: of half a complex number, of a whole packed byte. */
    size_t width = c->field == FLOAT_DATA ? 4 : c->field == DOUBLE_DATA ? 8
                                                                        : fzi_type_width(t->dtype);
    size_t n;
    FZ_TRY(count_elements(c, width, &n));
    if (n != t->size / width)
        return fzi_error(FZ_E_FORMAT, "tensor '%s' has %zu values where its dimensions need %zu",
                         name, n, t->size / width);
    t->data = fzi_arena_alloc(im->arena, t->size);
    if (!t->data) return fzi_import_nomem(im, t->size);
    if (c->field == STRING_DATA) return fill_strings(im, c, t);
    if (c->field == FLOAT_DATA || c->field == DOUBLE_DATA)
        return fzi_wire_fixed(c->span, c->span_size, c->field, width, t->data, &n);
    struct fz_int_format format = int_format(t->dtype);
    fz_status_t status = fzi_wire_ints(c->span, c->span_size, c->field, &format, t->data, &n);
    if (status == FZ_OK) return status;
    return fzi_error_context(status, "tensor '%s' of %s", name, fz_type_name(t->dtype));
}

/* ---- the message */

/* Walks the message and notes the field that holds data; two of them contradict each other. */
static fz_status_t find_content(const char *name, struct content *c) {
    struct fz_wire wire = {c->span, c->span + c->span_size};
    struct fz_field field;
    while (fzi_wire_next(&wire, &field) > 0) {
        uint32_t number = field.number;
        bool data = (number >= FLOAT_DATA && number <= INT64_DATA) ||
                    (number >= RAW_DATA && number <= UINT64_DATA);
        /* An empty packed run is no data: some writers leave one in every field. */
        bool empty = field.type == FZ_WIRE_BYTES && !field.size && number != STRING_DATA;
        if (!data || empty) continue;
        if ((c->field && c->field != number) || (number == RAW_DATA && c->field))
            return fzi_error(FZ_E_FORMAT, "tensor '%s' has data in two fields", name);
        if (number == RAW_DATA && field.type != FZ_WIRE_BYTES)
            return fzi_error(FZ_E_FORMAT, "tensor '%s' has damaged raw data", name);
        c->field = number;
        c->n_pieces++;
        c->last = field;
    }
    return FZ_OK;
}

/* True if the elements lie in one run that looks as raw data would. */
static bool is_raw(const struct content *c) {
    return c->field == RAW_DATA || ((c->field == FLOAT_DATA || c->field == DOUBLE_DATA) &&
                                    c->n_pieces == 1 && c->last.type == FZ_WIRE_BYTES);
}

/* The data must fill the dimensions exactly: neither padding nor a rest is accepted. */
static fz_status_t read_content(struct fz_importer *im, bool may_move, const char *name,
                                struct content *c, fz_tensor_t *t) {
    if (c->field && c->field != RAW_DATA && c->field != typed_field(t->dtype))
        return fzi_error(FZ_E_FORMAT, "tensor '%s' of %s has its data in field %u", name,
                         fz_type_name(t->dtype), c->field);
    if (c->field == RAW_DATA && t->dtype == FZ_TYPE_STRING)
        return fzi_error(FZ_E_FORMAT, "tensor '%s' of strings has raw data", name);
    if (c->field && !is_raw(c)) return fill_typed(im, c, name, t);
    if (c->last.size != t->size)
        return fzi_error(FZ_E_FORMAT, "tensor '%s' has %zu bytes where its dimensions need %zu",
                         name, c->last.size, t->size);
    static const uint8_t none[1];
    return fzi_import_place(im, c->field ? c->last.data : none, may_move, t);
}

/* What can be refused before the data are looked at. */
static fz_status_t check_type(const fz_pb_tensor *proto, const char *name) {
    /* Field 3 is also where a SequenceProto or OptionalProto has its values. */
    if (proto->n_segment)
        return fzi_error(FZ_E_UNSUPPORTED, "tensor '%s' is a segment of one, a sequence or an "
                         "optional", name);
    if (proto->data_type == 0)
        return fzi_error(FZ_E_FORMAT, "tensor '%s' has no element type", name);
    if (!fzi_type_valid(proto->data_type))
        return fzi_error(FZ_E_UNSUPPORTED, "tensor '%s' has the unknown element type %d", name,
                         (int)proto->data_type);
    if (proto->data_location < 0 || proto->data_location > 1)
        return fzi_error(FZ_E_FORMAT, "tensor '%s' has the data location %d", name,
                         (int)proto->data_location);
    return FZ_OK;
}

fz_status_t fzi_import_proto_tensor(struct fz_importer *im, const fz_pb_tensor *proto, bool shared,
                                    const char *name, fz_tensor_t *out) {
    FZ_TRY(check_type(proto, name));
    struct content c = {im->base + proto->span_offset, (size_t)proto->span_size, 0, 0, {0}};
    fz_tensor_t t = {.dtype = proto->data_type};
    FZ_TRY(fzi_import_dims(im, c.span, c.span_size, DIMS, name, &t));
    FZ_TRY(find_content(name, &c));
    if (proto->data_location == 1) {
        if (c.field)
            return fzi_error(FZ_E_FORMAT, "tensor '%s' has data of both kinds, own and external",
                             name);
        FZ_TRY(fzi_import_external(im, proto, name, &t));
    } else {
        FZ_TRY(read_content(im, im->may_move && !shared, name, &c, &t));
    }
    *out = t;
    return FZ_OK;
}
