/* Tensors as .npy files (NumPy's format 1.0: magic, header of a Python literal, raw elements). */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli.h"

struct npy_type {
    int32_t dtype;
    const char *text; /* without the byte order */
};

static const struct npy_type types[] = {
    {FZ_TYPE_F32, "f4"}, {FZ_TYPE_F64, "f8"}, {FZ_TYPE_F16, "f2"}, {FZ_TYPE_I8, "i1"},
    {FZ_TYPE_I16, "i2"}, {FZ_TYPE_I32, "i4"}, {FZ_TYPE_I64, "i8"}, {FZ_TYPE_U8, "u1"},
    {FZ_TYPE_U16, "u2"}, {FZ_TYPE_U32, "u4"}, {FZ_TYPE_U64, "u8"}, {FZ_TYPE_BOOL, "b1"},
    {FZ_TYPE_C64, "c8"}, {FZ_TYPE_C128, "c16"},
};

void free_tensor(fz_tensor_t *t) {
    free(t->data);
    *t = (fz_tensor_t){0};
}

int64_t count_of(const fz_tensor_t *t) {
    int64_t n = 1;
    for (int32_t i = 0; i < t->rank; i++) n *= t->dims[i];
    return n;
}

const char *shape_text(const fz_tensor_t *t, char *buffer, size_t size) {
    int at = snprintf(buffer, size, "%s [", fz_type_name(t->dtype));
    for (int32_t i = 0; i < t->rank && (size_t)at < size; i++)
        at += snprintf(buffer + at, size - (size_t)at, "%s%lld", i ? "," : "",
                       (long long)t->dims[i]);
    if ((size_t)at < size) snprintf(buffer + at, size - (size_t)at, "]");
    return buffer;
}

static double half(uint16_t h) {
    int exponent = h >> 10 & 31;
    double m = h & 1023, sign = h >> 15 ? -1 : 1;
    if (exponent == 31) return h & 1023 ? 0.0 / 0.0 : sign / 0.0;
    double value = exponent ? 1024 + m : m;
    for (int e = exponent ? exponent : 1; e < 25; e++) value /= 2;
    for (int e = 25; e < exponent; e++) value *= 2;
    return sign * value;
}

/* Types of at most 8 bits but int8: packed ones from the low bits up; floats as the numbers of
 * their codes, which are in the order of the values, NaN as NaN. */
static double code(const fz_tensor_t *t, int64_t i) {
    int32_t bits = fz_type_bits(t->dtype);
    if (bits < 1 || bits > 8) return 0;
    int32_t per_byte = 8 / bits, sign = 1 << (bits - 1);
    uint8_t byte = ((const uint8_t *)t->data)[i / per_byte];
    int32_t v = byte >> (int32_t)(i % per_byte) * bits & (2 * sign - 1), size = v & (sign - 1);
    switch (t->dtype) {
    case FZ_TYPE_I4:
    case FZ_TYPE_I2: return v & sign ? v - 2 * sign : v;
    case FZ_TYPE_F8E4M3FN: return size == 0x7F ? NAN : v & sign ? -size : size;
    case FZ_TYPE_F8E5M2: return size > 0x7C ? NAN : v & sign ? -size : size;
    case FZ_TYPE_F4E2M1: return v & sign ? -size : size;
    default: return v;
    }
}

double element(const fz_tensor_t *t, int64_t i) {
    const void *p = t->data;
    switch (t->dtype) {
    case FZ_TYPE_F32: return (double)((const float *)p)[i];
    case FZ_TYPE_F64: return ((const double *)p)[i];
    case FZ_TYPE_F16: return half(((const uint16_t *)p)[i]);
    case FZ_TYPE_BF16: {
        uint32_t bits = (uint32_t)((const uint16_t *)p)[i] << 16;
        float f;
        memcpy(&f, &bits, 4);
        return (double)f;
    }
    case FZ_TYPE_I8: return ((const int8_t *)p)[i];
    case FZ_TYPE_I16: return ((const int16_t *)p)[i];
    case FZ_TYPE_I32: return ((const int32_t *)p)[i];
    case FZ_TYPE_I64: return (double)((const int64_t *)p)[i];
    case FZ_TYPE_U16: return ((const uint16_t *)p)[i];
    case FZ_TYPE_U32: return ((const uint32_t *)p)[i];
    case FZ_TYPE_U64: return (double)((const uint64_t *)p)[i];
    default: return code(t, i);
    }
}

/* ---- strings: a fixed number of UTF-32 characters each, NULs behind the end */

/* The characters of S; TO gets them unless it is NULL. A byte that is no UTF-8 counts as one. */
static size_t to_utf32(const fz_string_t *s, uint32_t *to) {
    size_t n = 0;
    for (size_t at = 0; at < s->size; n++) {
        uint8_t byte = (uint8_t)s->text[at++];
        uint32_t c = byte < 0xC0 ? byte : byte & (byte < 0xE0 ? 31u : byte < 0xF0 ? 15u : 7u);
        while (byte >= 0xC0 && at < s->size && ((uint8_t)s->text[at] & 0xC0) == 0x80)
            c = c << 6 | ((uint8_t)s->text[at++] & 0x3F);
        if (to) to[n] = c;
    }
    return n;
}

/* The strings of T as NumPy has them, *WIDTH characters each, *SIZE bytes; the caller frees it. */
static uint32_t *to_characters(const fz_tensor_t *t, size_t *width, size_t *size) {
    const fz_string_t *strings = t->data;
    size_t n = (size_t)count_of(t);
    *width = 1;
    for (size_t i = 0; i < n; i++)
        if (to_utf32(&strings[i], NULL) > *width) *width = to_utf32(&strings[i], NULL);
    *size = n * *width * 4;
    uint32_t *characters = must(calloc(*size + 1, 1));
    for (size_t i = 0; i < n; i++) to_utf32(&strings[i], characters + i * *width);
    return characters;
}

static size_t put_utf8(uint32_t c, char *to) {
    size_t n = c < 0x80 ? 1 : c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
    for (size_t i = n; i-- > 1; c >>= 6) to[i] = (char)(0x80 | (c & 0x3F));
    to[0] = (char)(n == 1 ? c : (0xF00u >> n & 0xF0) | c);
    return n;
}

/* Makes T, whose elements are WIDTH characters each, a tensor of strings in one block. */
static void from_characters(fz_tensor_t *t, size_t width) {
    size_t n = (size_t)count_of(t);
    const uint32_t *characters = t->data;
    fz_string_t *strings = must(calloc(n * (sizeof *strings + width * 4) + 1, 1));
    char *text = (char *)(strings + n);
    for (size_t i = 0; i < n; i++) {
        size_t used = width;
        while (used > 0 && characters[i * width + used - 1] == 0) used--;
        strings[i].text = text;
        for (size_t j = 0; j < used; j++) text += put_utf8(characters[i * width + j], text);
        strings[i].size = (size_t)(text - strings[i].text);
    }
    free(t->data);
    t->data = strings;
    t->size = n * sizeof *strings;
}

/* The value of 'KEY': in the header, up to LAST. */
static const char *field(const char *header, const char *key) {
    char quoted[32];
    snprintf(quoted, sizeof quoted, "'%s'", key);
    const char *at = strstr(header, quoted);
    if (!at) return NULL;
    at += strlen(quoted);
    while (*at == ' ' || *at == ':') at++;
    return at;
}

/* *WIDTH is the characters of a string, 0 for other types. */
static bool parse_descr(const char *header, fz_tensor_t *out, size_t *width) {
    const char *at = field(header, "descr");
    if (!at || *at != '\'') return false;
    at++;
    bool swapped = *at == '>';
    if (strchr("<>|=", *at)) at++;
    *width = 0;
    if (*at == 'U') {
        long long n = strtoll(at + 1, NULL, 10);
        out->dtype = FZ_TYPE_STRING;
        *width = n > 0 ? (size_t)n : 1;
        return n > 0 && n < 1 << 24 && !swapped;
    }
    for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
        size_t n = strlen(types[i].text);
        if (strncmp(at, types[i].text, n) != 0 || at[n] != '\'') continue;
        out->dtype = types[i].dtype;
        return !swapped || fz_type_bits(out->dtype) == 8;
    }
    return false;
}

static bool parse_shape(const char *header, fz_tensor_t *out, size_t width) {
    const char *at = field(header, "shape");
    if (!at || *at++ != '(') return false;
    int64_t n = 1;
    while (*at && *at != ')') {
        char *end;
        if (*at == ' ' || *at == ',') {
            at++;
            continue;
        }
        long long d = strtoll(at, &end, 10);
        if (end == at || d < 0 || out->rank == FZ_RANK_MAX ||
            __builtin_mul_overflow(n, (int64_t)d, &n) || n > INT64_MAX / 16)
            return false;
        out->dims[out->rank++] = d;
        at = *end == 'L' ? end + 1 : end;
    }
    out->size = width ? 0 : (size_t)n * (size_t)fz_type_bits(out->dtype) / 8;
    if (width && __builtin_mul_overflow((size_t)n, 4 * width, &out->size)) return false;
    return *at == ')';
}

static bool read_header(FILE *file, fz_tensor_t *out, size_t *width) {
    unsigned char head[12];
    if (fread(head, 1, 10, file) != 10 || memcmp(head, "\x93NUMPY", 6) != 0) return false;
    size_t size = head[8] | (size_t)head[9] << 8;
    if (head[6] > 1) {
        if (fread(head + 10, 1, 2, file) != 2) return false;
        size |= (size_t)head[10] << 16 | (size_t)head[11] << 24;
    }
    if (size > 65536) return false;
    char *header = must(calloc(1, size + 1));
    bool good = fread(header, 1, size, file) == size && parse_descr(header, out, width) &&
                parse_shape(header, out, *width);
    const char *order = good ? field(header, "fortran_order") : NULL;
    good = good && order && strncmp(order, "False", 5) == 0;
    free(header);
    return good;
}

bool read_npy(const char *path, fz_tensor_t *out) {
    *out = (fz_tensor_t){0};
    FILE *file = fopen(path, "rb");
    if (!file) return trouble("cannot open '%s': %s", path, strerror(errno)), false;
    size_t width = 0;
    bool good = read_header(file, out, &width);
    if (!good) trouble("'%s' is not a .npy file in C order of a known type", path);
    if (good) {
        out->data = must(malloc(out->size + 64));
        good = fread(out->data, 1, out->size, file) == out->size && fgetc(file) == EOF;
        if (!good) trouble("'%s' is shorter or longer than its header says", path);
    }
    fclose(file);
    if (good && width) from_characters(out, width);
    if (!good) free_tensor(out);
    return good;
}

/* bfloat16 and the 8-bit floats have no NumPy type of their own: raw bytes of their width. */
static void describe(const fz_tensor_t *t, char *text, size_t size) {
    for (size_t i = 0; i < sizeof types / sizeof *types; i++)
        if (types[i].dtype == t->dtype) {
            snprintf(text, size, "%c%s", fz_type_bits(t->dtype) == 8 ? '|' : '<', types[i].text);
            return;
        }
    snprintf(text, size, fz_type_bits(t->dtype) == 16 ? "<u2" : "|u1");
}

bool write_npy(const char *path, const fz_tensor_t *t) {
    char header[512], descr[32];
    const void *data = t->data;
    size_t size = t->size, width;
    uint32_t *characters = NULL;
    if (fz_type_kind(t->dtype) != FZ_KIND_TENSOR)
        return trouble("'%s': a %s has no .npy form", path, fz_type_name(t->dtype)), false;
    describe(t, descr, sizeof descr);
    if (t->dtype == FZ_TYPE_STRING) {
        data = characters = to_characters(t, &width, &size);
        snprintf(descr, sizeof descr, "<U%zu", width);
    }
    int n = snprintf(header, sizeof header, "{'descr': '%s', 'fortran_order': False, 'shape': (",
                     descr);
    for (int32_t i = 0; i < t->rank; i++)
        n += snprintf(header + n, sizeof header - (size_t)n, "%s%lld", i ? ", " : "",
                      (long long)t->dims[i]);
    n += snprintf(header + n, sizeof header - (size_t)n, "%s), }", t->rank == 1 ? "," : "");
    while ((n + 11) % 64) header[n++] = ' ';
    header[n++] = '\n';
    unsigned char head[10] = {0x93, 'N', 'U', 'M', 'P', 'Y', 1, 0, (unsigned char)n,
                              (unsigned char)(n >> 8)};
    FILE *file = fopen(path, "wb");
    if (!file) {
        free(characters);
        return trouble("cannot create '%s': %s", path, strerror(errno)), false;
    }
    bool good = fwrite(head, 1, 10, file) == 10 &&
                fwrite(header, 1, (size_t)n, file) == (size_t)n &&
                fwrite(data, 1, size, file) == size;
    free(characters);
    good = fclose(file) == 0 && good;
    if (!good) trouble("cannot write '%s': %s", path, strerror(errno));
    return good;
}
