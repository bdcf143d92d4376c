/* Reading a node's attributes. */
#include "graph/graph.h"

const struct fz_attr *fzi_attr(const struct fz_node *node, const char *name) {
    for (uint32_t i = 0; i < node->n_attrs; i++)
        if (strcmp(node->attrs[i].name, name) == 0) return &node->attrs[i];
    return NULL;
}

static const char *const kind_names[] = {
    [FZ_ATTR_INT] = "an integer", [FZ_ATTR_FLOAT] = "a float", [FZ_ATTR_STRING] = "a string",
    [FZ_ATTR_TENSOR] = "a tensor", [FZ_ATTR_GRAPH] = "a graph", [FZ_ATTR_INTS] = "integers",
    [FZ_ATTR_FLOATS] = "floats", [FZ_ATTR_STRINGS] = "strings", [FZ_ATTR_TENSORS] = "tensors",
    [FZ_ATTR_GRAPHS] = "graphs"};

/* *OUT is NULL if there is no such attribute. */
static fz_status_t find(const struct fz_node *node, const char *name, enum fz_attr_kind kind,
                        const struct fz_attr **out) {
    *out = fzi_attr(node, name);
    if (*out && (*out)->kind != kind)
        return fzi_error(FZ_E_FORMAT, "attribute '%s' must be %s, not %s", name, kind_names[kind],
                         kind_names[(*out)->kind]);
    return FZ_OK;
}

fz_status_t fzi_attr_int(const struct fz_node *node, const char *name, int64_t def, int64_t *out) {
    const struct fz_attr *attr;
    FZ_TRY(find(node, name, FZ_ATTR_INT, &attr));
    *out = attr ? attr->i : def;
    return FZ_OK;
}

fz_status_t fzi_attr_float(const struct fz_node *node, const char *name, float def, double *out) {
    const struct fz_attr *attr;
    FZ_TRY(find(node, name, FZ_ATTR_FLOAT, &attr));
    *out = (double)(attr ? attr->f : def);
    return FZ_OK;
}

fz_status_t fzi_attr_ints(const struct fz_node *node, const char *name, const int64_t **out,
                          size_t *n) {
    const struct fz_attr *attr;
    FZ_TRY(find(node, name, FZ_ATTR_INTS, &attr));
    if (attr) *out = attr->ints, *n = attr->n;
    return FZ_OK;
}

fz_status_t fzi_attr_floats(const struct fz_node *node, const char *name, const float **out,
                            size_t *n) {
    const struct fz_attr *attr;
    FZ_TRY(find(node, name, FZ_ATTR_FLOATS, &attr));
    if (attr) *out = attr->floats, *n = attr->n;
    return FZ_OK;
}

fz_status_t fzi_attr_choice(const struct fz_node *node, const char *name,
                            const char *const *names, int64_t def, int64_t *out) {
    const struct fz_attr *attr;
    FZ_TRY(find(node, name, FZ_ATTR_STRING, &attr));
    *out = def;
    if (!attr) return FZ_OK;
    for (int64_t i = 0; names[i]; i++)
        if (strcmp(names[i], attr->s) == 0) {
            *out = i;
            return FZ_OK;
        }
    return fzi_error(FZ_E_UNSUPPORTED, "attribute '%s' has the unknown value '%.200s'", name,
                     attr->s);
}
