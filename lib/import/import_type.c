/* Declared types and shapes of inputs and outputs; symbolic dimensions and their bindings. */
#include "import/importer.h"

/* The size that the caller binds NAME to; marks the binding as used. */
static fz_status_t bound(struct fz_importer *im, const char *name, int64_t *out, bool *found) {
    *found = false;
    for (size_t i = 0; i < im->n_dims; i++) {
        if (strcmp(im->dims[i].name, name) != 0) continue;
        if (*found && im->dims[i].value != *out)
            return fzi_error(FZ_E_USAGE, "dimension '%s' is bound to two sizes", name);
        *found = im->dim_used[i] = true;
        *out = im->dims[i].value;
    }
    return FZ_OK;
}

/* Appends NAME to the model's symbols. */
static fz_status_t append(struct fz_importer *im, const char *name, int64_t *dim) {
    struct fz_model_info *info = im->info;
    if (info->n_symbols == im->symbols_capacity) {
        size_t capacity = im->symbols_capacity ? im->symbols_capacity * 2 : 16;
        const char **symbols = fzi_arena_array(im->arena, capacity, sizeof *symbols);
        if (!symbols) return fzi_import_nomem(im, capacity * sizeof *symbols);
        if (info->n_symbols) memcpy(symbols, info->symbols, info->n_symbols * sizeof *symbols);
        info->symbols = symbols;
        im->symbols_capacity = capacity;
    }
    const char *copy = fzi_import_text(im, "", name);
    if (!copy) return fzi_import_nomem(im, strlen(name));
    *dim = FZ_DIM_SYMBOL - (int64_t)info->n_symbols;
    info->symbols[info->n_symbols++] = copy;
    return FZ_OK;
}

/* What stands for the symbol NAME in dims: its bound size, or the negative number of the symbol. */
static fz_status_t symbol(struct fz_importer *im, const char *name, int64_t *out) {
    void *found;
    bool has_size;
    if (fzi_names_find(&im->symbols, name, &found)) {
        *out = ((struct fz_symbol *)found)->dim;
        return FZ_OK;
    }
    struct fz_symbol *entry = fzi_arena_alloc(&im->scratch, sizeof *entry);
    if (!entry) return fzi_import_nomem(im, sizeof *entry);
    FZ_TRY(bound(im, name, &entry->dim, &has_size));
    if (!has_size) FZ_TRY(append(im, name, &entry->dim));
    if (fzi_names_add(&im->scratch, &im->symbols, name, entry) < 0)
        return fzi_import_nomem(im, sizeof *entry);
    *out = entry->dim;
    return FZ_OK;
}

/* A size, a symbol, or neither. */
static fz_status_t dimension(struct fz_importer *im, const FziOnnx__DimensionProto *proto,
                             const char *name, int64_t *out) {
    *out = FZ_DIM_UNKNOWN;
    switch (proto->value_case) {
    case FZI_ONNX__DIMENSION_PROTO__VALUE_DIM_VALUE:
        /* Some exporters write -1 for an open dimension. */
        if (proto->dim_value < -1)
            return fzi_error(FZ_E_FORMAT, "'%s' is declared with the dimension %lld", name,
                             (long long)proto->dim_value);
        *out = proto->dim_value;
        return FZ_OK;
    case FZI_ONNX__DIMENSION_PROTO__VALUE_DIM_PARAM:
        /* A question mark is no name: two of them may differ. */
        if (!*proto->dim_param || strcmp(proto->dim_param, "?") == 0) return FZ_OK;
        return symbol(im, proto->dim_param, out);
    default: return FZ_OK;
    }
}

/* A shape without dimensions is a scalar's; an absent one is unknown. */
static fz_status_t shape(struct fz_importer *im, const FziOnnx__TensorShapeProto *proto,
                         const char *name, fz_tensor_t *out) {
    if (proto->n_dim > FZ_RANK_MAX)
        return fzi_error(FZ_E_UNSUPPORTED, "'%s' has %zu dimensions; %d are supported", name,
                         proto->n_dim, FZ_RANK_MAX);
    out->rank = (int32_t)proto->n_dim;
    for (size_t i = 0; i < proto->n_dim; i++)
        FZ_TRY(dimension(im, proto->dim[i], name, &out->dims[i]));
    return FZ_OK;
}

/* What TYPE is if it is nothing that is supported. */
static const char *other_kind(const FziOnnx__TypeProto *type) {
    if (type->sparse_tensor_type) return "sparse tensor";
    return type->opaque_type ? "opaque value" : NULL;
}

static fz_status_t element_type(const FziOnnx__TensorTypeProto *tensor, const char *name,
                                int32_t *out) {
    *out = tensor ? tensor->elem_type : 0;
    if (*out && (fzi_type_is_nested(*out) || !fzi_type_valid(*out)))
        return fzi_error(FZ_E_UNSUPPORTED, "'%s' has the unknown element type %d", name, *out);
    return FZ_OK;
}

/* The scan has bounded the depth. */
fz_status_t fzi_import_type_number(const FziOnnx__TypeProto *type, const char *name,
                                   int32_t *out) {
    const char *kind = type ? other_kind(type) : NULL;
    *out = 0;
    if (kind)
        return fzi_error(FZ_E_UNSUPPORTED, "'%s' is a %s; only tensors, sequences, optionals and "
                                           "maps are supported", name, kind);
    if (!type || type->tensor_type) return element_type(type ? type->tensor_type : NULL, name, out);
    int32_t inner;
    if (type->map_type) {
        FZ_TRY(fzi_import_type_number(type->map_type->value_type, name, &inner));
        *out = fzi_type_map(type->map_type->key_type, inner);
    } else {
        const FziOnnx__HolderTypeProto *holder =
            type->sequence_type ? type->sequence_type : type->optional_type;
        if (!holder) return FZ_OK;
        FZ_TRY(fzi_import_type_number(holder->elem_type, name, &inner));
        *out = fzi_type_nest(type->sequence_type ? FZ_KIND_SEQUENCE : FZ_KIND_OPTIONAL, inner);
    }
    if (*out) return FZ_OK;
    return fzi_error(FZ_E_UNSUPPORTED, "'%s' has a type that is nested too deeply, or names no "
                                       "element type", name);
}

fz_status_t fzi_import_type(struct fz_importer *im, const fz_pb_value_info *proto, bool strict,
                            fz_tensor_t *out) {
    *out = (fz_tensor_t){.rank = FZ_RANK_UNKNOWN};
    const FziOnnx__TypeProto *type = proto->type;
    FZ_TRY(fzi_import_type_number(type, proto->name, &out->dtype));
    if (!out->dtype && strict)
        return fzi_error(FZ_E_FORMAT, "'%s' is declared without an element type", proto->name);
    if (fzi_type_is_nested(out->dtype)) {
        int64_t open = FZ_DIM_UNKNOWN;
        fzi_shape_set(out, 1, &open);
    }
    const FziOnnx__TensorTypeProto *tensor = type ? type->tensor_type : NULL;
    return tensor && tensor->shape ? shape(im, tensor->shape, proto->name, out) : FZ_OK;
}
