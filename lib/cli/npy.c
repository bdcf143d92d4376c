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

static bool parse_descr(const char *header, fz_tensor_t *out) {
    const char *at = field(header, "descr");
    if (!at || *at != '\'') return false;
    at++;
    bool swapped = *at == '>';
    if (strchr("<>|=", *at)) at++;
    for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
        size_t n = strlen(types[i].text);
        if (strncmp(at, types[i].text, n) != 0 || at[n] != '\'') continue;
        out->dtype = types[i].dtype;
        return !swapped || fz_type_bits(out->dtype) == 8;
    }
    return false;
}

static bool parse_shape(const char *header, fz_tensor_t *out) {
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
    out->size = (size_t)n * (size_t)fz_type_bits(out->dtype) / 8;
    return *at == ')';
}

static bool read_header(FILE *file, fz_tensor_t *out) {
    unsigned char head[12];
    if (fread(head, 1, 10, file) != 10 || memcmp(head, "\x93NUMPY", 6) != 0) return false;
    size_t size = head[8] | (size_t)head[9] << 8;
    if (head[6] > 1) {
        if (fread(head + 10, 1, 2, file) != 2) return false;
        size |= (size_t)head[10] << 16 | (size_t)head[11] << 24;
    }
    if (size > 65536) return false;
    char *header = must(calloc(1, size + 1));
    bool good = fread(header, 1, size, file) == size && parse_descr(header, out) &&
                parse_shape(header, out);
    const char *order = good ? field(header, "fortran_order") : NULL;
    good = good && order && strncmp(order, "False", 5) == 0;
    free(header);
    return good;
}

bool read_npy(const char *path, fz_tensor_t *out) {
    *out = (fz_tensor_t){0};
    FILE *file = fopen(path, "rb");
    if (!file) return trouble("cannot open '%s': %s", path, strerror(errno)), false;
    bool good = read_header(file, out);
    if (!good) trouble("'%s' is not a .npy file in C order of a known type", path);
    if (good) {
        out->data = must(malloc(out->size + 64));
        good = fread(out->data, 1, out->size, file) == out->size && fgetc(file) == EOF;
        if (!good) trouble("'%s' is shorter or longer than its header says", path);
    }
    fclose(file);
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
    char header[512], descr[8];
    describe(t, descr, sizeof descr);
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
    if (!file) return trouble("cannot create '%s': %s", path, strerror(errno)), false;
    bool good = fwrite(head, 1, 10, file) == 10 &&
                fwrite(header, 1, (size_t)n, file) == (size_t)n &&
                fwrite(t->data, 1, t->size, file) == t->size;
    good = fclose(file) == 0 && good;
    if (!good) trouble("cannot write '%s': %s", path, strerror(errno));
    return good;
}
