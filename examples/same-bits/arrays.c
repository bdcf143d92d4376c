/* Reads .npy files: magic, length of the header, header as a Python literal, elements. */
#include "arrays.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

static const struct {
    const char *text;
    int dtype;
    size_t size;
} types[] = {
    {"'<f4'", 1, 4}, {"'|u1'", 2, 1},  {"'|i1'", 3, 1},  {"'<i4'", 6, 4},
    {"'<i8'", 7, 8}, {"'<f2'", 10, 2}, {"'<f8'", 11, 8}, {"'|b1'", 9, 1},
};

void stop(const char *format, ...) {
    va_list list;
    va_start(list, format);
    vfprintf(stderr, format, list);
    va_end(list);
    fputc('\n', stderr);
    exit(1);
}

/* The type and, in ARRAY->size, the size of one element. */
static int parse_type(const char *header, struct array *array) {
    for (size_t i = 0; i < sizeof types / sizeof *types; i++)
        if (strstr(header, types[i].text)) {
            array->dtype = types[i].dtype;
            array->size = types[i].size;
            return 1;
        }
    return 0;
}

/* 'shape': (2, 3, ) becomes the dimensions, and multiplies the size. */
static int parse_shape(const char *header, struct array *array) {
    const char *at = strstr(header, "'shape': (");
    if (!at) return 0;
    for (at += 10; *at != ')';) {
        char *end;
        long long d = strtoll(at, &end, 10);
        if (end == at || d < 0 || array->rank == RANK_MAX ||
            __builtin_mul_overflow(array->size, (size_t)d, &array->size))
            return 0;
        array->dims[array->rank++] = d;
        at = end + strspn(end, ", ");
    }
    return 1;
}

struct array read_npy(const char *path) {
    struct array array = {0};
    unsigned char head[10];
    char header[65536] = "";
    FILE *file = fopen(path, "rb");
    if (!file || fread(head, 1, 10, file) != 10 || memcmp(head, "\x93NUMPY\x01", 7) != 0)
        stop("%s: not a .npy file of version 1", path);
    size_t length = head[8] | (size_t)head[9] << 8;
    if (fread(header, 1, length, file) != length || !strstr(header, "'fortran_order': False") ||
        !parse_type(header, &array) || !parse_shape(header, &array))
        stop("%s: a header that this program doesn't read", path);
    array.data = malloc(array.size + 1);
    if (!array.data || fread(array.data, 1, array.size, file) != array.size)
        stop("%s: too short for its shape", path);
    fclose(file);
    return array;
}
