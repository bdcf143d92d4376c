/* SparseTensorProto to a dense tensor: the library has no sparse values. */
#include "import/importer.h"

enum { DIMS = 3 };

/* Position in T that row I of INDICES names: a linear index, or a number a dimension. -1: none. */
static int64_t position(const fz_tensor_t *indices, int64_t i, const fz_tensor_t *t) {
    int64_t count = fzi_tensor_count(t), at = 0;
    if (indices->rank == 1) {
        at = fzi_tensor_int(indices, i);
        return at < 0 || at >= count ? -1 : at;
    }
    for (int32_t k = 0; k < t->rank; k++) {
        int64_t index = fzi_tensor_int(indices, i * t->rank + k);
        if (index < 0 || index >= t->dims[k]) return -1;
        at = at * t->dims[k] + index;
    }
    return at;
}

/* Indices are linear ones or rows of coordinates, one for each value. */
static fz_status_t check(const fz_tensor_t *values, const fz_tensor_t *indices,
                         const char *name, const fz_tensor_t *t) {
    if (values->dtype == FZ_TYPE_STRING || fz_type_bits(values->dtype) < 8)
        return fzi_error(FZ_E_UNSUPPORTED, "sparse tensor '%s' cannot have elements of %s", name,
                         fz_type_name(values->dtype));
    bool linear = indices->rank == 1;
    bool rows = indices->rank == 2 && indices->dims[1] == t->rank;
    if (values->rank != 1 || indices->dtype != FZ_TYPE_I64 || (!linear && !rows) ||
        indices->dims[0] != values->dims[0])
        return fzi_error(FZ_E_FORMAT, "sparse tensor '%s': values and indices do not fit", name);
    return FZ_OK;
}

/* Positions must rise, as ONNX asks for: that also rules out two values for one place. */
fz_status_t fzi_import_sparse(struct fz_importer *im, const fz_pb_sparse *proto, const char *name,
                              fz_tensor_t *out) {
    fz_tensor_t values, indices, t = {0};
    if (!proto->values || !proto->indices)
        return fzi_error(FZ_E_FORMAT, "sparse tensor '%s' lacks values or indices", name);
    /* Both are shared, so they stay as they are in the file. */
    FZ_TRY(fzi_import_proto_tensor(im, proto->values, true, name, &values));
    FZ_TRY(fzi_import_proto_tensor(im, proto->indices, true, name, &indices));
    t.dtype = values.dtype;
    FZ_TRY(fzi_import_dims(im, im->base + proto->span_offset, (size_t)proto->span_size, DIMS, name,
                           &t));
    FZ_TRY(check(&values, &indices, name, &t));
    t.data = fzi_arena_alloc(im->arena, t.size);
    if (!t.data) return fzi_import_nomem(im, t.size);
    size_t width = fzi_type_width(t.dtype);
    int64_t last = -1;
    for (int64_t i = 0; i < values.dims[0]; i++) {
        int64_t at = position(&indices, i, &t);
        if (at <= last)
            return fzi_error(FZ_E_FORMAT, "sparse tensor '%s': index %lld is out of range or order",
                             name, (long long)i);
        memcpy((char *)t.data + (size_t)at * width, (const char *)values.data + (size_t)i * width,
               width);
        last = at;
    }
    *out = t;
    return FZ_OK;
}
