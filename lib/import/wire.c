/* Reading the protobuf wire format. */
#include "import/wire.h"

#include "tensor/tensor.h"

/* Seven bits a byte, lowest first; more than 64 bits are refused, padding with zeros is not. */
bool fzi_wire_varint(struct fz_wire *wire, uint64_t *out) {
    uint64_t value = 0;
    const uint8_t *p = wire->at;
    for (unsigned shift = 0; shift < 64 && p < wire->end; shift += 7) {
        uint8_t byte = *p++;
        /* The tenth byte holds only the top bit. */
        if (shift == 63 && byte > 1) return false;
        value |= (uint64_t)(byte & 0x7F) << shift;
        if (byte < 0x80) {
            wire->at = p;
            *out = value;
            return true;
        }
    }
    return false;
}

static uint64_t little_endian(const uint8_t *p, size_t width) {
    uint64_t value = 0;
    for (size_t i = 0; i < width; i++) value |= (uint64_t)p[i] << (8 * i);
    return value;
}

/* Takes SIZE bytes as the payload of OUT. */
static bool take(struct fz_wire *wire, uint64_t size, struct fz_field *out) {
    if (size > (uint64_t)(wire->end - wire->at)) return false;
    out->data = wire->at;
    out->size = (size_t)size;
    wire->at += size;
    return true;
}

static bool take_fixed(struct fz_wire *wire, size_t width, struct fz_field *out) {
    if (!take(wire, width, out)) return false;
    out->value = little_endian(out->data, width);
    return true;
}

/* Tags hold the number and the wire type. Groups (3 and 4) have been out of use for so long that no
 * ONNX file has them; protobuf's own limit on numbers is 29 bits. */
int fzi_wire_next(struct fz_wire *wire, struct fz_field *out) {
    if (wire->at == wire->end) return 0;
    uint64_t tag, size;
    *out = (struct fz_field){0};
    if (!fzi_wire_varint(wire, &tag) || tag > UINT32_MAX || tag < 8) return -1;
    out->number = (uint32_t)(tag >> 3);
    out->type = tag & 7;
    bool good = false;
    switch (out->type) {
    case FZ_WIRE_VARINT: good = fzi_wire_varint(wire, &out->value); break;
    case FZ_WIRE_I64: good = take_fixed(wire, 8, out); break;
    case FZ_WIRE_I32: good = take_fixed(wire, 4, out); break;
    case FZ_WIRE_BYTES: good = fzi_wire_varint(wire, &size) && take(wire, size, out); break;
    }
    return good ? 1 : -1;
}

static fz_status_t wrong(uint32_t number) {
    return fzi_error(FZ_E_FORMAT, "field %u is not encoded as its type is", (unsigned)number);
}

struct int_sink {
    struct fz_int_format format;
    uint8_t *out; /* NULL: count only */
    size_t n;
    int64_t bad; /* the value that is not allowed */
};

/* Stores one value, or only counts it. */
static bool put_int(struct int_sink *sink, uint64_t varint) {
    size_t width = sink->format.width;
    int64_t value = sink->format.narrow ? (int32_t)varint : (int64_t)varint;
    uint8_t *at = sink->out ? sink->out + sink->n * width : NULL;
    sink->n++;
    if (!at) return true;
    sink->bad = value;
    if (value < sink->format.low || value > sink->format.high) return false;
    if (sink->format.truth) value = value != 0;
    uint8_t v8 = (uint8_t)value;
    uint16_t v16 = (uint16_t)value;
    uint32_t v32 = (uint32_t)value;
    const void *from = width == 1 ? (void *)&v8 : width == 2 ? (void *)&v16
                                              : width == 4 ? (void *)&v32 : (void *)&value;
    memcpy(at, from, width);
    return true;
}

/* The elements of one packed run: 1, or 0 if one is not allowed, or -1 if the run is damaged. */
static int put_packed(struct int_sink *sink, const struct fz_field *field) {
    struct fz_wire run = {field->data, field->data + field->size};
    while (run.at < run.end) {
        uint64_t value;
        if (!fzi_wire_varint(&run, &value)) return -1;
        if (!put_int(sink, value)) return 0;
    }
    return 1;
}

fz_status_t fzi_wire_ints(const void *data, size_t size, uint32_t number,
                          const struct fz_int_format *format, void *out, size_t *n) {
    struct fz_wire wire = {data, (const uint8_t *)data + size};
    struct fz_field field;
    struct int_sink sink = {{8, false, false, INT64_MIN, INT64_MAX}, out, 0, 0};
    if (format) sink.format = *format;
    for (int more; (more = fzi_wire_next(&wire, &field)) != 0;) {
        if (more < 0) return fzi_error(FZ_E_FORMAT, "a message is damaged");
        if (field.number != number) continue;
        int good = -1;
        if (field.type == FZ_WIRE_VARINT) good = put_int(&sink, field.value);
        else if (field.type == FZ_WIRE_BYTES) good = put_packed(&sink, &field);
        if (good < 0) return wrong(number);
        if (!good) return fzi_error(FZ_E_FORMAT, "%lld is out of range", (long long)sink.bad);
    }
    *n = sink.n;
    return FZ_OK;
}

/* Writes N values of WIDTH little-endian bytes at DATA to OUT in the host's byte order. */
static void copy_fixed(char *out, const uint8_t *data, size_t n, size_t width) {
    for (size_t i = 0; i < n; i++) {
        uint64_t value = little_endian(data + i * width, width);
        uint32_t low = (uint32_t)value;
        if (width == 4) memcpy(out + i * 4, &low, 4);
        else memcpy(out + i * 8, &value, 8);
    }
}

/* A single value and a packed run differ in their wire type only. */
fz_status_t fzi_wire_fixed(const void *data, size_t size, uint32_t number, size_t width,
                           void *out, size_t *n) {
    struct fz_wire wire = {data, (const uint8_t *)data + size};
    struct fz_field field;
    *n = 0;
    for (int more; (more = fzi_wire_next(&wire, &field)) != 0;) {
        if (more < 0) return fzi_error(FZ_E_FORMAT, "a message is damaged");
        if (field.number != number) continue;
        bool single = field.type == (width == 4 ? FZ_WIRE_I32 : FZ_WIRE_I64);
        if ((!single && field.type != FZ_WIRE_BYTES) || field.size % width) return wrong(number);
        size_t count = field.size / width;
        if (out) copy_fixed((char *)out + *n * width, field.data, count, width);
        *n += count;
    }
    return FZ_OK;
}

fz_status_t fzi_wire_strings(const void *data, size_t size, uint32_t number,
                             struct fz_string *out, size_t *n) {
    struct fz_wire wire = {data, (const uint8_t *)data + size};
    struct fz_field field;
    *n = 0;
    for (int more; (more = fzi_wire_next(&wire, &field)) != 0;) {
        if (more < 0) return fzi_error(FZ_E_FORMAT, "a message is damaged");
        if (field.number != number) continue;
        if (field.type != FZ_WIRE_BYTES) return wrong(number);
        if (out) out[*n] = (struct fz_string){(const char *)field.data, field.size};
        ++*n;
    }
    return FZ_OK;
}
