/* The scan: what a file must pass before protobuf-c may see it. It runs over the wire format
 * without recursion, refuses what is too deep, too many or too large, and makes the skeleton: the
 * same messages without the numbers and weights, which protobuf-c then unpacks. */
#ifndef FZ_SCAN_H
#define FZ_SCAN_H

#include "base/base.h"

#include <protobuf-c/protobuf-c.h>

enum fz_message {
    FZ_MSG_MODEL, FZ_MSG_GRAPH, FZ_MSG_NODE, FZ_MSG_ATTRIBUTE, FZ_MSG_TENSOR, FZ_MSG_SPARSE,
    FZ_MSG_VALUE_INFO, FZ_MSG_TYPE, FZ_MSG_TENSOR_TYPE, FZ_MSG_SHAPE, FZ_MSG_DIM, FZ_MSG_OPSET,
    FZ_MSG_ENTRY, FZ_MSG_FUNCTION, FZ_MSG_HOLDER_TYPE, FZ_MSG_MAP_TYPE, FZ_MSG_EMPTY, FZ_N_MSG
};

enum fz_field_kind { FZ_KIND_INT, FZ_KIND_FLOAT, FZ_KIND_TEXT, FZ_KIND_BYTES, FZ_KIND_MESSAGE };

/* A field that the skeleton keeps. All others are dropped. */
struct fz_schema_row {
    uint16_t number;
    uint8_t kind;    /* fz_field_kind */
    uint8_t message; /* fz_message of a FZ_KIND_MESSAGE */
    uint32_t limit;  /* how often it may occur in one message; 1: it is not repeated */
};

enum { FZ_SCHEMA_ROWS_MAX = 12, FZ_SPAN_OFFSET = 1000, FZ_SPAN_SIZE = 1001 };

struct fz_schema {
    const char *name;
    const ProtobufCMessageDescriptor *descriptor;
    struct fz_schema_row rows[FZ_SCHEMA_ROWS_MAX];
    uint32_t n_rows;
    bool span; /* the skeleton gets the message's offset and size in the file */
};

const struct fz_schema *fzi_schema(enum fz_message message);

struct fz_scan_limits {
    size_t max_depth;  /* of nested messages */
    uint64_t max_nodes;
    size_t max_memory; /* of the skeleton and of what protobuf-c makes from it */
};

struct fz_skeleton {
    uint8_t *data; /* release with fzi_free() */
    size_t size;
    size_t cost;   /* bytes that skeleton and unpacked messages take, estimated from above */
};

/* Scans the message ROOT of SIZE bytes at DATA. On failure *OUT is empty. */
fz_status_t fzi_scan(enum fz_message root, const void *data, size_t size,
                     const struct fz_scan_limits *limits, struct fz_skeleton *out);

#endif
