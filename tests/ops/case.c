/* Reads operator test cases. */
#include "case.h"

#include <stdlib.h>

static const struct {
    const char *name;
    int32_t dtype;
} type_names[] = {
    {"f32", FZ_TYPE_F32}, {"f64", FZ_TYPE_F64}, {"f16", FZ_TYPE_F16}, {"bf16", FZ_TYPE_BF16},
    {"i8", FZ_TYPE_I8}, {"i16", FZ_TYPE_I16}, {"i32", FZ_TYPE_I32}, {"i64", FZ_TYPE_I64},
    {"u8", FZ_TYPE_U8}, {"u16", FZ_TYPE_U16}, {"u32", FZ_TYPE_U32}, {"u64", FZ_TYPE_U64},
    {"bool", FZ_TYPE_BOOL}, {"str", FZ_TYPE_STRING}, {"c64", FZ_TYPE_C64}, {"i4", FZ_TYPE_I4},
    {"u4", FZ_TYPE_U4}, {"i2", FZ_TYPE_I2}, {"u2", FZ_TYPE_U2}, {"f4e2m1", FZ_TYPE_F4E2M1},
    {"f8e4m3fn", FZ_TYPE_F8E4M3FN}, {"f8e4m3fnuz", FZ_TYPE_F8E4M3FNUZ},
    {"f8e5m2", FZ_TYPE_F8E5M2}, {"f8e5m2fnuz", FZ_TYPE_F8E5M2FNUZ}, {"f8e8m0", FZ_TYPE_F8E8M0},
    {"c128", FZ_TYPE_C128},
};

static bool blank(char c) { return c == ' ' || c == '\t' || c == '\n' || c == '\r'; }

static const char *skip(const char *p) {
    while (blank(*p)) p++;
    return p;
}

/* Copies the word at *P that ends at a blank or at one of STOP; *P moves behind it. */
static char *word(struct fz_arena *arena, const char **p, const char *stop) {
    const char *begin = *p = skip(*p), *end = begin;
    while (*end && !blank(*end) && !strchr(stop, *end)) end++;
    char *copy = fzi_arena_alloc(arena, (size_t)(end - begin) + 1);
    memcpy(copy, begin, (size_t)(end - begin));
    *p = end;
    return copy;
}

/* The text between quotes at *P. */
static char *quoted(struct fz_arena *arena, const char **p) {
    const char *begin = ++*p, *end = strchr(begin, '"');
    if (!end) return NULL;
    char *copy = fzi_arena_alloc(arena, (size_t)(end - begin) + 1);
    memcpy(copy, begin, (size_t)(end - begin));
    *p = end + 1;
    return copy;
}

static bool parse_type(const char *name, int32_t *dtype) {
    for (size_t i = 0; i < FZ_COUNT(type_names); i++)
        if (strcmp(type_names[i].name, name) == 0) {
            *dtype = type_names[i].dtype;
            return true;
        }
    return false;
}

static bool parse_dims(const char **p, fz_tensor_t *t) {
    *p = skip(*p);
    if (**p != '[') return false;
    ++*p;
    for (t->rank = 0; **p && **p != ']';) {
        char *end;
        if (t->rank == FZ_RANK_MAX) return false;
        t->dims[t->rank++] = strtoll(*p, &end, 10);
        if (end == *p) return false;
        *p = *end == ',' ? end + 1 : end;
    }
    if (**p != ']') return false;
    ++*p;
    return true;
}

/* Stores the low bits of BITS as element I. */
static void store_bits(fz_tensor_t *t, int64_t i, uint64_t bits) {
    int32_t width = fz_type_bits(t->dtype);
    uint8_t *data = t->data;
    if (width < 8) {
        int64_t at = i * width;
        data[at / 8] |= (uint8_t)((bits & ((1u << width) - 1)) << at % 8);
        return;
    }
    uint8_t b8 = (uint8_t)bits;
    uint16_t b16 = (uint16_t)bits;
    uint32_t b32 = (uint32_t)bits;
    const void *from = width == 8 ? (void *)&b8 : width == 16 ? (void *)&b16
                     : width == 32 ? (void *)&b32 : (void *)&bits;
    memcpy(data + (size_t)i * (size_t)(width / 8), from, (size_t)(width / 8));
}

/* A number in the bits of DTYPE. Minifloats take decimal integers as bits, too. */
static bool parse_number(int32_t dtype, const char *text, uint64_t *bits) {
    char *end;
    if (strncmp(text, "0x", 2) == 0) {
        *bits = strtoull(text, &end, 16);
    } else if (dtype == FZ_TYPE_F64) {
        double d = strtod(text, &end);
        memcpy(bits, &d, 8);
    } else if (dtype == FZ_TYPE_F32 || dtype == FZ_TYPE_F16 || dtype == FZ_TYPE_BF16) {
        float f = strtof(text, &end);
        uint32_t b;
        memcpy(&b, &f, 4);
        *bits = dtype == FZ_TYPE_F32 ? b : dtype == FZ_TYPE_F16 ? fzi_f32_to_f16(f)
                                                                : fzi_f32_to_bf16(f);
    } else {
        *bits = text[0] == '-' ? (uint64_t)strtoll(text, &end, 10) : strtoull(text, &end, 10);
    }
    return end != text && *end == 0;
}

static bool store(struct fz_arena *arena, fz_tensor_t *t, int64_t i, const char **p) {
    *p = skip(*p);
    if (t->dtype == FZ_TYPE_STRING) {
        if (**p != '"') return false;
        char *text = quoted(arena, p);
        if (!text) return false;
        ((struct fz_string *)t->data)[i] = (struct fz_string){text, strlen(text)};
        return true;
    }
    uint64_t bits;
    if (!parse_number(t->dtype, word(arena, p, ",>;}"), &bits)) return false;
    store_bits(t, i, bits);
    return true;
}

/* `seq A` counts up from A, `fill A` repeats it: for tensors too large to write down. */
static bool parse_generated(struct fz_arena *arena, const char **p, fz_tensor_t *t, bool counts) {
    int64_t first = strtoll(word(arena, p, ">"), NULL, 10), n = fzi_tensor_count(t);
    for (int64_t i = 0; i < n; i++) {
        char text[32];
        uint64_t bits;
        snprintf(text, sizeof text, "%lld", (long long)(counts ? first + i : first));
        if (!parse_number(t->dtype, text, &bits)) return false;
        store_bits(t, i, bits);
    }
    return true;
}

static bool parse_tensor(struct fz_arena *arena, const char **p, fz_tensor_t *t) {
    if (!parse_type(word(arena, p, "["), &t->dtype) || !parse_dims(p, t)) return false;
    if (fzi_tensor_alloc(arena, t) != FZ_OK) return false;
    *p = skip(*p);
    if (strncmp(*p, "seq ", 4) == 0 || strncmp(*p, "fill ", 5) == 0) {
        bool counts = **p == 's';
        *p += counts ? 4 : 5;
        return parse_generated(arena, p, t, counts);
    }
    int64_t n = fzi_tensor_count(t), width = (int64_t)fz_type_bits(t->dtype);
    if (width > 64 || t->dtype == FZ_TYPE_C64) {
        /* Complex numbers are pairs. */
        fz_tensor_t parts = *t;
        parts.dtype = t->dtype == FZ_TYPE_C64 ? FZ_TYPE_F32 : FZ_TYPE_F64;
        for (int64_t i = 0; i < 2 * n; i++)
            if (!store(arena, &parts, i, p)) return false;
        return true;
    }
    for (int64_t i = 0; i < n; i++)
        if (!store(arena, t, i, p)) return false;
    return true;
}

/* "seq T", "opt T", "map K T" or the name of an element type, which *P stands at. */
static bool parse_kind(struct fz_arena *arena, const char **p, int32_t *dtype) {
    const char *name = word(arena, p, "[{");
    int32_t inner, key;
    if (parse_type(name, dtype)) return true;
    if (strcmp(name, "map") == 0) {
        if (!parse_kind(arena, p, &key) || !parse_kind(arena, p, &inner)) return false;
        *dtype = fzi_type_map(key, inner);
        return *dtype != 0;
    }
    bool sequence = strcmp(name, "seq") == 0;
    if ((!sequence && strcmp(name, "opt") != 0) || !parse_kind(arena, p, &inner)) return false;
    *dtype = fzi_type_nest(sequence ? FZ_KIND_SEQUENCE : FZ_KIND_OPTIONAL, inner);
    return *dtype != 0;
}

/* What a value of kind T holds: "{A; B}", tensors with their types and others without. */
static bool parse_items(struct fz_arena *arena, const char **p, fz_tensor_t *t) {
    enum { MAX = 64 };
    fz_tensor_t *items = fzi_arena_array(arena, MAX, sizeof *items);
    int64_t n = 0;
    *p = skip(*p);
    if (*(*p)++ != '{') return false;
    for (*p = skip(*p); **p != '}'; n++) {
        if (!**p || n == MAX) return false;
        items[n].dtype = fz_type_element(t->dtype);
        if (**p == '{' ? !parse_items(arena, p, &items[n]) : !parse_tensor(arena, p, &items[n]))
            return false;
        *p = skip(*p);
        if (**p == ';') *p = skip(*p + 1);
    }
    ++*p;
    fzi_shape_set(t, 1, &n);
    t->data = items;
    return fzi_tensor_measure(t) == FZ_OK;
}

static bool is_tensor(struct fz_arena *arena, const char *p) {
    int32_t dtype;
    return parse_type(word(arena, &p, "["), &dtype);
}

static bool parse_value(struct fz_arena *arena, const char **p, fz_tensor_t *t) {
    if (is_tensor(arena, *p)) return parse_tensor(arena, p, t);
    return parse_kind(arena, p, &t->dtype) && parse_items(arena, p, t);
}

static bool looks_float(const char *text) {
    return strpbrk(text, ".ein") != NULL && strncmp(text, "0x", 2) != 0;
}

/* [..] holds integers, or floats if one of them looks so, or strings. */
static bool parse_list(struct fz_arena *arena, const char **p, struct fz_attr *attr) {
    enum { MAX = 65536 };
    char **items = calloc(MAX, sizeof *items);
    bool strings = false, floats = false, good = true;
    for (*p = skip(*p + 1); good && **p != ']'; *p = skip(*p)) {
        good = **p && attr->n < MAX;
        if (!good) break;
        strings = strings || **p == '"';
        items[attr->n] = **p == '"' ? quoted(arena, p) : word(arena, p, ",]");
        good = items[attr->n] != NULL;
        if (good) floats = floats || (!strings && looks_float(items[attr->n]));
        attr->n++;
        if (**p == ',') ++*p;
    }
    ++*p;
    struct fz_string *s = fzi_arena_array(arena, attr->n, sizeof *s);
    int64_t *ints = fzi_arena_array(arena, attr->n, sizeof *ints);
    float *f = fzi_arena_array(arena, attr->n, sizeof *f);
    for (size_t i = 0; good && i < attr->n; i++) {
        if (strings) s[i] = (struct fz_string){items[i], strlen(items[i])};
        else if (floats) f[i] = strtof(items[i], NULL);
        else ints[i] = strtoll(items[i], NULL, 0);
    }
    free(items);
    attr->kind = strings ? FZ_ATTR_STRINGS : floats ? FZ_ATTR_FLOATS : FZ_ATTR_INTS;
    attr->strings = s, attr->floats = f, attr->ints = ints;
    return good;
}

static bool parse_attr_value(struct fz_arena *arena, const char **p, struct fz_attr *attr) {
    if (**p == '[') return parse_list(arena, p, attr);
    if (**p == '"') {
        attr->kind = FZ_ATTR_STRING;
        attr->s = quoted(arena, p);
        attr->n = attr->s ? strlen(attr->s) : 0;
        return attr->s != NULL;
    }
    if (**p == '<') {
        fz_tensor_t *t = fzi_arena_alloc(arena, sizeof *t);
        ++*p;
        attr->kind = FZ_ATTR_TENSOR;
        attr->tensors = t;
        attr->n = 1;
        if (!parse_tensor(arena, p, t)) return false;
        *p = skip(*p);
        return *(*p)++ == '>';
    }
    const char *text = word(arena, p, "");
    attr->kind = looks_float(text) ? FZ_ATTR_FLOAT : FZ_ATTR_INT;
    attr->f = strtof(text, NULL);
    attr->i = strtoll(text, NULL, 0);
    return *text != 0;
}

static bool parse_op(struct fz_arena *arena, const char *p, struct op_case *c) {
    char *name = word(arena, &p, ""), *dot = strrchr(name, '.');
    c->domain = "";
    c->name = name;
    if (dot) *dot = 0, c->domain = name, c->name = dot + 1;
    c->opset = (int32_t)strtol(word(arena, &p, ""), NULL, 10);
    for (p = skip(p); *p; p = skip(p)) {
        struct fz_attr *attr = &c->attrs[c->n_attrs];
        if (c->n_attrs++ == CASE_MAX_ATTRS) return false;
        attr->name = word(arena, &p, "=");
        if (*p++ != '=' || !parse_attr_value(arena, &p, attr)) return false;
    }
    return c->opset > 0;
}

static bool parse_operand(struct fz_arena *arena, const char *p, struct case_tensor *list,
                          uint32_t *n, uint32_t max) {
    if (*n == max) return false;
    struct case_tensor *operand = &list[(*n)++];
    p = skip(p);
    if (*p == '-') {
        operand->absent = true;
        return true;
    }
    return parse_value(arena, &p, &operand->t) && *skip(p) == 0;
}

const char *case_status_name(fz_status_t status) {
    static const char *const names[] = {
        "FZ_OK", "FZ_E_USAGE", "FZ_E_NOMEM", "FZ_E_IO", "FZ_E_FORMAT", "FZ_E_UNSUPPORTED",
        "FZ_E_DIGEST", "FZ_E_CORRUPT", "FZ_E_SHAPE", "FZ_E_TYPE", "FZ_E_LIMIT", "FZ_E_UNVERIFIED",
        "FZ_E_CANCELLED", "FZ_E_DEADLINE", "FZ_E_VALUE", "FZ_E_PROFILE", "FZ_E_SYSTEM",
        "FZ_E_INTERNAL"};
    return status >= 0 && (size_t)status < FZ_COUNT(names) ? names[status] : "?";
}

static bool parse_status(const char *name, fz_status_t *out) {
    for (*out = FZ_E_USAGE; *out <= FZ_E_INTERNAL; ++*out)
        if (strcmp(case_status_name(*out), name) == 0) return true;
    return false;
}

/* A line behind `op`. */
static bool parse_line(struct fz_arena *arena, const char *p, struct op_case *c) {
    const char *verb = word(arena, &p, "~");
    if (strcmp(verb, "in") == 0) return parse_operand(arena, p, c->in, &c->n_in, CASE_MAX_IN);
    if (strcmp(verb, "refuse") == 0) return parse_status(word(arena, &p, ""), &c->refuse);
    if (strcmp(verb, "out") != 0) return false;
    uint32_t at = c->n_out;
    if (*p == '~' && at < CASE_MAX_OUT) {
        p++;
        c->out[at].tolerance = strtod(word(arena, &p, ""), NULL);
    }
    return parse_operand(arena, p, c->out, &c->n_out, CASE_MAX_OUT);
}

/* Puts the next line that is neither empty nor a comment, with its continuation lines, into
 * reader->text. */
static bool next_line(struct case_reader *reader) {
    struct fz_text text = {0};
    for (;;) {
        if (!reader->ahead || !reader->ahead[0]) {
            if (getline(&reader->ahead, &reader->ahead_size, reader->file) < 0) break;
            reader->line++;
        }
        const char *line = reader->ahead;
        bool more = blank(line[0]) && *skip(line), content = *skip(line) && *skip(line) != '#';
        if (text.size && content && !more) break;
        if (!text.size) reader->start = reader->line;
        if (content) fzi_text_add(&text, "%s", line);
        reader->ahead[0] = 0;
    }
    free(reader->text);
    reader->text = text.data;
    return text.data != NULL;
}

int case_read(struct case_reader *reader, struct fz_arena *arena, struct op_case *out) {
    memset(out, 0, sizeof *out);
    out->arena = arena;
    while (reader->text || next_line(reader)) {
        bool is_op = strncmp(reader->text, "op ", 3) == 0;
        if (is_op && out->line) return 1;
        if (is_op) out->line = reader->start;
        bool good = is_op ? parse_op(arena, reader->text + 3, out)
                          : out->line && parse_line(arena, reader->text, out);
        if (!good) {
            fprintf(stderr, "%s: line %d: cannot read: %.60s\n", reader->path, reader->start,
                    reader->text);
            return -1;
        }
        free(reader->text);
        reader->text = NULL;
    }
    return out->line ? 1 : 0;
}
