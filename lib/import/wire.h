/* Reading the protobuf wire format, one field at a time. */
#ifndef FZ_WIRE_H
#define FZ_WIRE_H

#include "base/base.h"

/* The wire types that a field may have. Groups are refused. */
enum { FZ_WIRE_VARINT = 0, FZ_WIRE_I64 = 1, FZ_WIRE_BYTES = 2, FZ_WIRE_I32 = 5 };

/* What is left to read: the bytes [AT, END). */
struct fz_wire {
    const uint8_t *at, *end;
};

struct fz_field {
    uint32_t number;
    uint32_t type;       /* FZ_WIRE_ */
    uint64_t value;      /* of a VARINT, I64 or I32 */
    const uint8_t *data; /* the payload: of BYTES, and of I64 and I32 as they stand */
    size_t size;         /* bytes at DATA */
};

/* Reads a varint; false if it is cut off or longer than 64 bits. */
bool fzi_wire_varint(struct fz_wire *wire, uint64_t *out);
/* Reads a field: 1, or 0 at the end, or -1 if the bytes are no field. */
int fzi_wire_next(struct fz_wire *wire, struct fz_field *out);

/* How integers are stored and which are allowed. */
struct fz_int_format {
    size_t width;      /* bytes of one stored integer: 1, 2, 4, 8 */
    bool narrow;       /* an int32 field: only the low 32 bits of a varint count */
    bool truth;        /* stored as 0 or 1 */
    int64_t low, high; /* what a value may be */
};

/* The elements of the repeated field NUMBER of the message of SIZE bytes at DATA, packed or not.
 * The message has passed the scan. OUT may be NULL, to count only. FZ_E_FORMAT if a packed run or a
 * wire type is wrong. FORMAT may be NULL: plain int64. */
fz_status_t fzi_wire_ints(const void *data, size_t size, uint32_t number,
                          const struct fz_int_format *format, void *out, size_t *n);
/* Those of fixed size have WIDTH 4 or 8 and are stored in the host's byte order. */
fz_status_t fzi_wire_fixed(const void *data, size_t size, uint32_t number, size_t width,
                           void *out, size_t *n);
/* The parts of a repeated field of strings as pairs of pointer and size. */
struct fz_string;
fz_status_t fzi_wire_strings(const void *data, size_t size, uint32_t number,
                             struct fz_string *out, size_t *n);

#endif
