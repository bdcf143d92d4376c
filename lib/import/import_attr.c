/* Attributes of every kind, references to those of a function's call, and Constant's value. */
#include "import/importer.h"

#include "import/wire.h"

/* The kinds as ONNX numbers them. */
enum {
    PB_NONE, PB_FLOAT, PB_INT, PB_STRING, PB_TENSOR, PB_GRAPH, PB_FLOATS, PB_INTS, PB_STRINGS,
    PB_TENSORS, PB_GRAPHS, PB_SPARSE, PB_SPARSES, PB_TYPE, PB_N_KINDS
};

enum { FIELD_FLOATS = 7, FIELD_INTS = 8, FIELD_STRINGS = 9 };

/* What an attribute of each kind becomes: a sparse tensor is a dense one from here on, a type its
 * number. */
static const enum fz_attr_kind kinds[PB_N_KINDS] = {
    [PB_FLOAT] = FZ_ATTR_FLOAT, [PB_INT] = FZ_ATTR_INT, [PB_STRING] = FZ_ATTR_STRING,
    [PB_TENSOR] = FZ_ATTR_TENSOR, [PB_GRAPH] = FZ_ATTR_GRAPH, [PB_FLOATS] = FZ_ATTR_FLOATS,
    [PB_INTS] = FZ_ATTR_INTS, [PB_STRINGS] = FZ_ATTR_STRINGS, [PB_TENSORS] = FZ_ATTR_TENSORS,
    [PB_GRAPHS] = FZ_ATTR_GRAPHS, [PB_SPARSE] = FZ_ATTR_TENSOR, [PB_TYPE] = FZ_ATTR_INT,
};

/* A string may hold NULs; one more stands behind it. */
static fz_status_t set_string(struct fz_importer *im, const fz_pb_attr *proto,
                              struct fz_attr *out) {
    char *text = fzi_arena_alloc(im->arena, proto->s.len + 1);
    if (!text) return fzi_import_nomem(im, proto->s.len);
    if (proto->s.len) memcpy(text, proto->s.data, proto->s.len);
    out->s = text;
    out->n = proto->s.len;
    return FZ_OK;
}

/* A list of numbers or texts, from the attribute's bytes in the file. */
static fz_status_t set_list(struct fz_importer *im, const fz_pb_attr *proto, struct fz_attr *out) {
    const uint8_t *span = im->base + proto->span_offset;
    size_t size = (size_t)proto->span_size, n;
    size_t width = out->kind == FZ_ATTR_FLOATS ? 4 : out->kind == FZ_ATTR_INTS
                                                   ? 8 : sizeof(struct fz_string);
    if (out->kind == FZ_ATTR_FLOATS) FZ_TRY(fzi_wire_fixed(span, size, FIELD_FLOATS, 4, NULL, &n));
    else if (out->kind == FZ_ATTR_INTS)
        FZ_TRY(fzi_wire_ints(span, size, FIELD_INTS, NULL, NULL, &n));
    else FZ_TRY(fzi_wire_strings(span, size, FIELD_STRINGS, NULL, &n));
    void *data = fzi_arena_array(im->arena, n, width);
    if (!data) return fzi_import_nomem(im, n * width);
    out->n = n;
    switch (out->kind) {
    case FZ_ATTR_FLOATS:
        out->floats = data;
        return fzi_wire_fixed(span, size, FIELD_FLOATS, 4, data, &n);
    case FZ_ATTR_INTS:
        out->ints = data;
        return fzi_wire_ints(span, size, FIELD_INTS, NULL, data, &n);
    default:
        out->strings = data;
        return fzi_wire_strings(span, size, FIELD_STRINGS, data, &n);
    }
}

/* N tensors. SHARED: a function's body may be built again. */
static fz_status_t set_tensors(struct fz_importer *im, fz_pb_tensor *const *items, size_t n,
                               bool shared, struct fz_attr *out) {
    fz_tensor_t *tensors = fzi_arena_array(im->arena, n, sizeof *tensors);
    if (!tensors) return fzi_import_nomem(im, n * sizeof *tensors);
    for (size_t i = 0; i < n; i++)
        FZ_TRY(fzi_import_proto_tensor(im, items[i], shared, out->name, &tensors[i]));
    out->tensors = tensors;
    out->n = n;
    return FZ_OK;
}

/* No operator takes a sparse attribute: it becomes a dense tensor. */
static fz_status_t set_sparse(struct fz_importer *im, const fz_pb_attr *proto,
                              struct fz_attr *out) {
    fz_tensor_t *t = fzi_arena_alloc(im->arena, sizeof *t);
    if (!t) return fzi_import_nomem(im, sizeof *t);
    out->tensors = t;
    out->n = 1;
    return fzi_import_sparse(im, proto->sparse_tensor, out->name, t);
}

/* Subgraphs see the names of SCOPE. */
static fz_status_t set_graphs(struct fz_importer *im, struct fz_scope *scope,
                              fz_pb_graph *const *items, size_t n, struct fz_attr *out) {
    struct fz_graph **graphs = fzi_arena_array(im->arena, n, sizeof *graphs);
    if (!graphs) return fzi_import_nomem(im, n * sizeof *graphs);
    for (size_t i = 0; i < n; i++)
        FZ_TRY(fzi_import_graph(im, items[i], scope, NULL, &graphs[i]));
    out->graphs = graphs;
    out->n = n;
    return FZ_OK;
}

/* Whether the message that an attribute of TYPE needs is there. */
static bool complete(const fz_pb_attr *proto) {
    switch (proto->type) {
    case PB_TENSOR: return proto->t;
    case PB_GRAPH: return proto->g;
    case PB_SPARSE: return proto->sparse_tensor;
    case PB_TYPE: return proto->tp;
    default: return true;
    }
}

static fz_status_t set_type(const fz_pb_attr *proto, struct fz_attr *out) {
    int32_t dtype;
    FZ_TRY(fzi_import_type_number(proto->tp, proto->name, &dtype));
    out->i = dtype;
    return FZ_OK;
}

/* The value that PROTO itself holds. */
static fz_status_t set_value(struct fz_importer *im, struct fz_scope *scope,
                             const fz_pb_attr *proto, struct fz_attr *out) {
    bool shared = scope->call;
    if (proto->type <= PB_NONE)
        return fzi_error(FZ_E_FORMAT, "attribute '%s' has no type", proto->name);
    if (proto->type >= PB_N_KINDS || proto->type == PB_SPARSES)
        return fzi_error(FZ_E_UNSUPPORTED, "attribute '%s' has the unknown type %d", proto->name,
                         (int)proto->type);
    if (!complete(proto)) return fzi_error(FZ_E_FORMAT, "attribute '%s' is empty", proto->name);
    out->kind = kinds[proto->type];
    out->i = proto->i;
    out->f = proto->f;
    switch (proto->type) {
    case PB_STRING: return set_string(im, proto, out);
    case PB_FLOATS:
    case PB_INTS:
    case PB_STRINGS: return set_list(im, proto, out);
    case PB_TENSOR: return set_tensors(im, &proto->t, 1, shared, out);
    case PB_TENSORS: return set_tensors(im, proto->tensors, proto->n_tensors, shared, out);
    case PB_SPARSE: return set_sparse(im, proto, out);
    case PB_TYPE: return set_type(proto, out);
    case PB_GRAPH: return set_graphs(im, scope, &proto->g, 1, out);
    case PB_GRAPHS: return set_graphs(im, scope, proto->graphs, proto->n_graphs, out);
    default: return FZ_OK;
    }
}

/* The attribute of the function's call that PROTO refers to, or the function's default for it. An
 * attribute that is in neither is left out: *FOUND is then false. */
static fz_status_t resolve_reference(struct fz_importer *im, struct fz_scope *scope,
                                     const fz_pb_attr *proto, struct fz_attr *out, bool *found) {
    const struct fz_call *call = scope->call;
    if (!call)
        return fzi_error(FZ_E_FORMAT, "attribute '%s' refers to '%s' outside of a function",
                         proto->name, proto->ref_attr_name);
    const char *name = out->name;
    *found = true;
    for (uint32_t i = 0; i < call->n_attrs; i++) {
        if (strcmp(call->attrs[i].name, proto->ref_attr_name) != 0) continue;
        *out = call->attrs[i];
        out->name = name;
        return FZ_OK;
    }
    for (size_t i = 0; i < call->function->n_attribute_proto; i++) {
        const fz_pb_attr *item = call->function->attribute_proto[i];
        if (strcmp(item->name, proto->ref_attr_name) != 0) continue;
        if (item->type == PB_GRAPH || item->type == PB_GRAPHS)
            return fzi_error(FZ_E_UNSUPPORTED, "attribute '%s' of a function is a graph",
                             item->name);
        return set_value(im, scope, item, out);
    }
    *found = false;
    return FZ_OK;
}

/* *FOUND is false if PROTO refers to an attribute that neither call nor function gives. The type is
 * compared, because the operator will look for the one that the body declares. */
static fz_status_t build_attr(struct fz_importer *im, struct fz_scope *scope,
                              const fz_pb_attr *proto, struct fz_attr *out, bool *found) {
    *found = true;
    if (!*proto->name) return fzi_error(FZ_E_FORMAT, "an attribute has no name");
    out->name = fzi_import_text(im, "", proto->name);
    if (!out->name) return fzi_import_nomem(im, strlen(proto->name));
    if (!*proto->ref_attr_name) return set_value(im, scope, proto, out);
    FZ_TRY(resolve_reference(im, scope, proto, out, found));
    bool fits = proto->type <= PB_NONE || (proto->type < PB_N_KINDS &&
                                           kinds[proto->type] == out->kind);
    if (*found && !fits)
        return fzi_error(FZ_E_FORMAT, "attribute '%s' has another type than '%s', which it refers "
                         "to", proto->name, proto->ref_attr_name);
    return FZ_OK;
}

fz_status_t fzi_import_attrs(struct fz_importer *im, struct fz_scope *scope,
                             const fz_pb_node *proto, struct fz_attr **out, uint32_t *n) {
    struct fz_attr *attrs = fzi_arena_array(im->arena, proto->n_attribute, sizeof *attrs);
    if (!attrs) return fzi_import_nomem(im, proto->n_attribute * sizeof *attrs);
    *out = attrs;
    *n = 0;
    for (size_t i = 0; i < proto->n_attribute; i++) {
        bool found;
        for (size_t k = 0; k < i; k++)
            if (strcmp(proto->attribute[i]->name, proto->attribute[k]->name) == 0)
                return fzi_error(FZ_E_FORMAT, "attribute '%s' is given twice",
                                 proto->attribute[i]->name);
        FZ_TRY(build_attr(im, scope, proto->attribute[i], &attrs[*n], &found));
        if (found) ++*n;
        else attrs[*n] = (struct fz_attr){0};
    }
    return FZ_OK;
}

/* ---- Constant */

/* A tensor of DTYPE with the N elements at DATA, a scalar if SCALAR. */
static fz_status_t from_list(struct fz_importer *im, int32_t dtype, const void *data, size_t n,
                             bool scalar, fz_tensor_t *out) {
    *out = (fz_tensor_t){.dtype = dtype, .rank = scalar ? 0 : 1};
    if (!scalar) out->dims[0] = (int64_t)n;
    FZ_TRY(fzi_tensor_measure(out));
    out->data = fzi_arena_alloc(im->arena, out->size);
    if (!out->data) return fzi_import_nomem(im, out->size);
    if (out->size) memcpy(out->data, data, out->size);
    return FZ_OK;
}

/* An attribute of the right name and kind, and only one: anything else would be a guess. */
fz_status_t fzi_import_constant(struct fz_importer *im, const struct fz_attr *attrs, uint32_t n,
                                fz_tensor_t *out) {
    static const struct {
        const char *name;
        enum fz_attr_kind kind;
    } forms[] = {
        {"value", FZ_ATTR_TENSOR}, {"sparse_value", FZ_ATTR_TENSOR},
        {"value_float", FZ_ATTR_FLOAT}, {"value_floats", FZ_ATTR_FLOATS},
        {"value_int", FZ_ATTR_INT}, {"value_ints", FZ_ATTR_INTS},
        {"value_string", FZ_ATTR_STRING}, {"value_strings", FZ_ATTR_STRINGS},
    };
    if (n != 1) return fzi_error(FZ_E_FORMAT, "a Constant needs one value, it has %u", n);
    size_t form = 0;
    while (form < FZ_COUNT(forms) && strcmp(forms[form].name, attrs->name) != 0) form++;
    if (form == FZ_COUNT(forms) || forms[form].kind != attrs->kind)
        return fzi_error(FZ_E_FORMAT, "a Constant has no value but '%s'", attrs->name);
    struct fz_string string = {attrs->s, attrs->n};
    switch (attrs->kind) {
    case FZ_ATTR_FLOAT: return from_list(im, FZ_TYPE_F32, &attrs->f, 1, true, out);
    case FZ_ATTR_FLOATS: return from_list(im, FZ_TYPE_F32, attrs->floats, attrs->n, false, out);
    case FZ_ATTR_INT: return from_list(im, FZ_TYPE_I64, &attrs->i, 1, true, out);
    case FZ_ATTR_INTS: return from_list(im, FZ_TYPE_I64, attrs->ints, attrs->n, false, out);
    case FZ_ATTR_STRING: return from_list(im, FZ_TYPE_STRING, &string, 1, true, out);
    case FZ_ATTR_STRINGS:
        return from_list(im, FZ_TYPE_STRING, attrs->strings, attrs->n, false, out);
    default: *out = attrs->tensors[0]; return FZ_OK;
    }
}
