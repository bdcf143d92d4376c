/* From a graph's text to an ONNX model, line by line. */
#include "text.h"

#include "base/philox.h"
#include "ops/quant.h"
#include "tensor/tensor.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>

enum { NAME = 128, LIST = 1024 };

_Noreturn void text_fail(const char *text, const char *what) {
    fprintf(stderr, "%s near '%.*s'\n", what, (int)strcspn(text, "\n"), text);
    exit(2);
}

static void skip(const char **at) {
    while (**at == ' ') ++*at;
}

static bool take(const char **at, const char *word) {
    skip(at);
    size_t n = strlen(word);
    if (strncmp(*at, word, n) != 0) return false;
    *at += n;
    return true;
}

static void need(const char **at, const char *word) {
    if (!take(at, word)) text_fail(*at, word);
}

/* A name: everything up to one of STOPS. */
static void read_name(const char **at, const char *stops, char *out) {
    skip(at);
    size_t n = strcspn(*at, stops);
    while (n && (*at)[n - 1] == ' ') n--;
    if (n >= NAME) text_fail(*at, "a long name");
    memcpy(out, *at, n);
    out[n] = 0;
    *at += n;
    skip(at);
}

static int32_t type_of(const char *name) {
    for (int32_t i = 1; i < 64; i++)
        if (fzi_type_valid(i) && strcmp(fz_type_name(i), name) == 0) return i;
    return 0;
}

/* "type[dims]"; DIMS gets the text between the brackets. */
static int32_t read_type(const char **at, char *dims) {
    char name[NAME];
    read_name(at, "[\n", name);
    int32_t dtype = type_of(name);
    if (!dtype) text_fail(*at, "an unknown type");
    need(at, "[");
    read_name(at, "]\n", dims);
    need(at, "]");
    return dtype;
}

/* ---- numbers */

static void put(fz_tensor_t *t, size_t i, double v) {
    void *p = t->data;
    switch (t->dtype) {
    case FZ_TYPE_F32: ((float *)p)[i] = (float)v; break;
    case FZ_TYPE_F64: ((double *)p)[i] = v; break;
    case FZ_TYPE_F16: ((uint16_t *)p)[i] = fzi_f32_to_f16((float)v); break;
    case FZ_TYPE_I64: ((int64_t *)p)[i] = (int64_t)v; break;
    case FZ_TYPE_I32: ((int32_t *)p)[i] = (int32_t)v; break;
    case FZ_TYPE_I8: ((int8_t *)p)[i] = (int8_t)v; break;
    case FZ_TYPE_U8: ((uint8_t *)p)[i] = (uint8_t)v; break;
    case FZ_TYPE_BOOL: ((uint8_t *)p)[i] = v != 0; break;
    case FZ_TYPE_U4:
    case FZ_TYPE_I4:
    case FZ_TYPE_U2:
    case FZ_TYPE_I2: fzi_quant_put(t, (int64_t)i, (int64_t)v); break;
    default: text_fail("", "a type without numbers");
    }
}

static double any(int32_t dtype, uint64_t stream, size_t i) {
    uint32_t x[4];
    fzi_philox(7, stream, i, x);
    if (dtype == FZ_TYPE_F32 || dtype == FZ_TYPE_F64 || dtype == FZ_TYPE_F16)
        return fzi_philox_unit(x[0]);
    if (dtype == FZ_TYPE_U8) return x[0] & 255;
    if (dtype == FZ_TYPE_I8) return (int)(x[0] & 255) - 128;
    if (dtype == FZ_TYPE_U4) return x[0] & 15;
    if (dtype == FZ_TYPE_I4) return (int)(x[0] & 15) - 8;
    if (dtype == FZ_TYPE_U2) return x[0] & 3;
    if (dtype == FZ_TYPE_I2) return (int)(x[0] & 3) - 2;
    if (dtype == FZ_TYPE_BOOL) return x[0] & 1;
    return (int)(x[0] % 201) - 100;
}

void text_fill(fz_tensor_t *t, uint64_t stream) {
    if (fzi_tensor_measure(t) != FZ_OK) text_fail("", "a tensor without a size");
    t->data = calloc(t->size ? t->size : 1, 1);
    for (size_t i = 0, n = (size_t)fzi_tensor_count(t); i < n; i++)
        put(t, i, any(t->dtype, stream, i));
}

static void set_dims(fz_tensor_t *t, const char *dims) {
    t->rank = 0;
    while (*dims) {
        char *end;
        t->dims[t->rank++] = strtoll(dims, &end, 10);
        dims = end + (*end == ',');
    }
}

/* The elements of a constant: "seq A", "fill A", "rand STREAM", or one by one. */
static void read_elements(const char **at, fz_tensor_t *t) {
    bool seq = take(at, "seq"), fill = !seq && take(at, "fill");
    size_t n = (size_t)fzi_tensor_count(t);
    if (!seq && !fill && take(at, "rand")) {
        free(t->data);
        text_fill(t, strtoull(*at, (char **)at, 10));
        return;
    }
    double v = 0;
    memset(t->data, 0, t->size); /* elements below 8 bits are added to their byte */
    for (size_t i = 0; i < n; i++) {
        char *end = (char *)*at;
        skip(at);
        if (i == 0 || (!seq && !fill)) v = strtod(*at, &end);
        else if (seq) v += 1;
        if (end == *at && (i == 0 || (!seq && !fill))) text_fail(*at, "too few elements");
        *at = end;
        put(t, i, v);
    }
    skip(at);
    if (**at && **at != '\n' && **at != '#') text_fail(*at, "too many elements");
}

static struct pb read_constant(const char **at, const char *name) {
    char dims[NAME];
    fz_tensor_t t = {.dtype = read_type(at, dims)};
    set_dims(&t, dims);
    text_fill(&t, 0);
    read_elements(at, &t);
    struct pb m = pb_raw_tensor(name, t.dtype, dims, t.data, t.size);
    free(t.data);
    return m;
}

/* ---- nodes */

/* True if the number at TEXT is written as a float. */
static bool is_float(const char *text, const char *stops) {
    size_t n = strcspn(text, stops), m = strcspn(text, ".eif");
    return m < n;
}

static struct pb read_list(const char **at, const char *name) {
    bool real = is_float(*at, "]\n");
    struct pb m = pb_attr(name, real ? KIND_FLOATS : KIND_INTS);
    while (!take(at, "]")) {
        char *end;
        if (real) pb_f32(&m, ATTR_FLOATS, strtof(*at, &end));
        else pb_int(&m, ATTR_INTS, strtoll(*at, &end, 10));
        if (end == *at) text_fail(*at, "no number");
        *at = end;
        take(at, ",");
    }
    return m;
}

static struct pb read_attr(const char **at) {
    char name[NAME], text[NAME];
    read_name(at, "=\n", name);
    need(at, "=");
    if (take(at, "[")) return read_list(at, name);
    if (take(at, "\"")) {
        read_name(at, "\"\n", text);
        need(at, "\"");
        struct pb m = pb_attr(name, KIND_STRING);
        pb_text(&m, ATTR_S, text);
        return m;
    }
    char *end;
    struct pb m;
    if (is_float(*at, " \n")) {
        m = pb_attr(name, KIND_FLOAT);
        pb_f32(&m, ATTR_F, strtof(*at, &end));
    } else {
        m = pb_attr_int(name, strtoll(*at, &end, 10));
    }
    if (end == *at) text_fail(*at, "no number");
    *at = end;
    return m;
}

/* Names between commas without the blanks; "-" is an absent one. */
static void squeeze(char *list) {
    char *to = list;
    for (const char *c = list; *c; c++)
        if (*c != ' ' && *c != '-') *to++ = *c;
    *to = 0;
}

static void read_list_text(const char **at, const char *stops, char *out) {
    size_t n = strcspn(*at, stops);
    if (n >= LIST) text_fail(*at, "a long list");
    memcpy(out, *at, n);
    out[n] = 0;
    squeeze(out);
    *at += n;
}

static void next_line(const char **at) {
    *at += strcspn(*at, "\n");
    if (**at) ++*at;
}

static struct pb read_graph(const char **at);

/* The next line, if it is "ATTRIBUTE: graph(...)". */
static bool at_subgraph(const char *at, char *name) {
    skip(&at);
    const char *colon = at;
    while (isalnum((unsigned char)*colon) || *colon == '_') colon++;
    if (colon == at || strncmp(colon, ": graph(", 8) != 0) return false;
    snprintf(name, NAME, "%.*s", (int)(colon - at), at);
    return true;
}

static struct pb read_node(const char **at, const char *outs) {
    char type[NAME], ins[LIST], sub[NAME];
    read_name(at, "(\n", type);
    need(at, "(");
    read_list_text(at, ")\n", ins);
    need(at, ")");
    char *dot = strrchr(type, '.');
    struct pb m = pb_node(dot ? dot + 1 : type, ins, outs);
    if (dot) {
        *dot = 0;
        pb_text(&m, NODE_DOMAIN, type);
    }
    for (skip(at); **at && **at != '\n'; skip(at)) pb_msg(&m, NODE_ATTR, read_attr(at));
    next_line(at);
    while (at_subgraph(*at, sub)) {
        *at = strstr(*at, ": graph(") + 2;
        pb_msg(&m, NODE_ATTR, pb_attr_graph(sub, read_graph(at)));
    }
    return m;
}

/* ---- graphs */

static void read_inputs(const char **at, struct pb *g) {
    char name[NAME], dims[NAME];
    need(at, "graph(");
    while (!take(at, ")")) {
        read_name(at, ":,)\n", name);
        if (take(at, ":")) {
            int32_t dtype = read_type(at, dims);
            pb_msg(g, GRAPH_INPUT, pb_value(name, dtype, dims));
        } else {
            pb_msg(g, GRAPH_INPUT, pb_value(name, 0, NULL));
        }
        take(at, ",");
    }
    next_line(at);
}

/* True if a type and not an operator follows. */
static bool at_constant(const char *at) {
    size_t line = strcspn(at, "\n");
    return strcspn(at, "[") < strcspn(at, "(") && strcspn(at, "[") < line;
}

static void read_line(const char **at, struct pb *g) {
    char outs[LIST];
    read_list_text(at, "=\n", outs);
    need(at, "=");
    skip(at);
    if (at_constant(*at)) {
        pb_msg(g, GRAPH_INIT, read_constant(at, outs));
        next_line(at);
    } else {
        pb_msg(g, GRAPH_NODE, read_node(at, outs));
    }
}

static void read_outputs(const char **at, struct pb *g) {
    char name[NAME];
    for (skip(at); **at && **at != '\n'; take(at, ",")) {
        read_name(at, ",\n", name);
        pb_msg(g, GRAPH_OUTPUT, pb_value(name, 0, NULL));
    }
    next_line(at);
}

static struct pb read_graph(const char **at) {
    struct pb g = {0};
    pb_text(&g, GRAPH_NAME, "g");
    read_inputs(at, &g);
    while (!take(at, "return")) {
        if (!**at) text_fail(*at, "a graph without return");
        if (**at == '\n' || **at == '#') next_line(at);
        else read_line(at, &g);
    }
    read_outputs(at, &g);
    return g;
}

struct pb text_model(const char **text, int64_t opset) {
    struct pb m = {0};
    pb_int(&m, MODEL_IR, 8);
    pb_msg(&m, MODEL_OPSET, pb_opset("", opset));
    pb_msg(&m, MODEL_OPSET, pb_opset("com.microsoft", 1));
    pb_msg(&m, MODEL_OPSET, pb_opset("ai.onnx.preview", 1));
    pb_msg(&m, MODEL_GRAPH, read_graph(text));
    return m;
}
