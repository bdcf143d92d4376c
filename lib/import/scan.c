/* The scan of the wire format: an explicit stack, one pass, every byte looked at once.
 *
 * protobuf-c recurses without a limit and makes about 300 bytes out of a submessage of two, so the
 * scan bounds depth and estimates memory before protobuf-c runs. The skeleton that it writes has
 * lengths of a fixed five bytes, which are filled in when a message ends. */
#include "import/scan.h"

#include "import/wire.h"

enum {
    LENGTH_SIZE = 5,
    DEPTH_MAX = 512,   /* what protobuf-c's recursion takes of the stack stays below 1 MiB */
    MESSAGE_COST = 96, /* beside the struct: allocator headers, a pointer, a scan record */
    COST_BASE = 64 * 1024 * 1024,
    COST_PER_BYTE = 48 /* honest files with the shortest of names reach 30 */
};

struct frame {
    const struct fz_schema *schema;
    const uint8_t *end;  /* of the message in the file */
    size_t start;        /* of its payload in the skeleton */
    uint32_t counts[FZ_SCHEMA_ROWS_MAX];
};

struct scan {
    const uint8_t *base;
    struct fz_wire wire;
    struct frame *stack;
    size_t depth;
    const struct fz_scan_limits *limits;
    uint64_t n_nodes;
    size_t kept; /* bytes of the file that matter for the messages' structure */
    struct fz_skeleton *out;
    size_t capacity;
};

/* Makes room for SIZE more bytes. */
static fz_status_t reserve(struct scan *s, size_t size) {
    struct fz_skeleton *out = s->out;
    if (size <= s->capacity - out->size) return FZ_OK;
    /* protobuf-c counts in int. */
    if (size > INT32_MAX || out->size + size > INT32_MAX)
        return fzi_error(FZ_E_LIMIT, "the model's structure is larger than 2 GiB");
    size_t capacity = (out->size + size) * 2;
    uint8_t *data = fzi_realloc(out->data, capacity);
    if (!data) return fzi_error(FZ_E_NOMEM, "no memory for %zu bytes of structure", capacity);
    out->data = data;
    s->capacity = capacity;
    return FZ_OK;
}

/* The put functions need room that reserve() has made. */
static void put_varint(struct scan *s, uint64_t value) {
    for (; value >= 0x80; value >>= 7) s->out->data[s->out->size++] = (uint8_t)(value | 0x80);
    s->out->data[s->out->size++] = (uint8_t)value;
}

static void put_fixed(struct scan *s, uint64_t value, int width) {
    for (int i = 0; i < width; i++) s->out->data[s->out->size++] = (uint8_t)(value >> (8 * i));
}

static void put_tag(struct scan *s, uint32_t number, uint32_t type) {
    put_varint(s, (uint64_t)number << 3 | type);
}

/* Adds to the estimate and refuses what a file of this size has no honest use for. */
static fz_status_t charge(struct scan *s, size_t cost) {
    s->out->cost += cost;
    size_t kept = s->kept < SIZE_MAX / 64 ? s->kept : SIZE_MAX / 64;
    size_t allowed = COST_BASE + COST_PER_BYTE * kept;
    if (s->out->cost > s->limits->max_memory || s->out->cost > allowed)
        return fzi_error(FZ_E_LIMIT, "the model's messages would take more than %zu bytes "
                         "(max_memory)", s->out->cost);
    return FZ_OK;
}

static const char *path(const struct scan *s) { return s->stack[s->depth - 1].schema->name; }

static size_t position(const struct scan *s) { return (size_t)(s->wire.at - s->base); }

/* Opens a submessage: from here on the scan reads its fields. */
static fz_status_t push(struct scan *s, enum fz_message message, const uint8_t *data, size_t size) {
    const struct fz_schema *schema = fzi_schema(message);
    if (s->depth == s->limits->max_depth || s->depth == DEPTH_MAX)
        return fzi_error(FZ_E_LIMIT, "messages are nested deeper than %zu (max_depth)", s->depth);
    if (message == FZ_MSG_NODE && ++s->n_nodes > s->limits->max_nodes)
        return fzi_error(FZ_E_LIMIT, "the model has more than %llu nodes (max_nodes)",
                         (unsigned long long)s->limits->max_nodes);
    FZ_TRY(charge(s, schema->descriptor->sizeof_message + MESSAGE_COST));
    FZ_TRY(reserve(s, 32));
    struct frame *frame = &s->stack[s->depth++];
    *frame = (struct frame){.schema = schema, .end = data + size, .start = s->out->size};
    if (schema->span) {
        put_tag(s, FZ_SPAN_OFFSET, FZ_WIRE_I64);
        put_fixed(s, (uint64_t)(data - s->base), 8);
        put_tag(s, FZ_SPAN_SIZE, FZ_WIRE_I64);
        put_fixed(s, size, 8);
    }
    s->wire = (struct fz_wire){data, data + size};
    return FZ_OK;
}

/* Ends the innermost message: its length goes in front of its payload, and the scan goes on behind
 * it in the message around it. */
static void pop(struct scan *s) {
    struct frame *frame = &s->stack[--s->depth];
    if (!s->depth) return;
    size_t size = s->out->size - frame->start;
    uint8_t *length = s->out->data + frame->start - LENGTH_SIZE;
    for (int i = 0; i < LENGTH_SIZE; i++)
        length[i] = (uint8_t)((size >> (7 * i) & 0x7F) | (i < LENGTH_SIZE - 1 ? 0x80 : 0));
    s->wire = (struct fz_wire){frame->end, s->stack[s->depth - 1].end};
}

/* The one wire type of a kind. protobuf allows packed runs for numbers that repeat, but the fields
 * of the skeleton that repeat are texts and messages. */
static uint32_t wire_type(uint8_t kind) {
    if (kind == FZ_KIND_INT) return FZ_WIRE_VARINT;
    return kind == FZ_KIND_FLOAT ? FZ_WIRE_I32 : FZ_WIRE_BYTES;
}

/* Names must not hold NULs: as C strings two of them could look the same. */
static fz_status_t put_bytes(struct scan *s, const struct fz_field *field, bool text) {
    if (text && field->size && memchr(field->data, 0, field->size))
        return fzi_error(FZ_E_FORMAT, "a name in %s before byte %zu contains a NUL", path(s),
                         position(s));
    FZ_TRY(charge(s, field->size + MESSAGE_COST));
    FZ_TRY(reserve(s, field->size + 20));
    put_tag(s, field->number, FZ_WIRE_BYTES);
    put_varint(s, field->size);
    if (field->size) memcpy(s->out->data + s->out->size, field->data, field->size);
    s->out->size += field->size;
    return FZ_OK;
}

static fz_status_t put_scalar(struct scan *s, const struct fz_field *field) {
    FZ_TRY(reserve(s, 20));
    put_tag(s, field->number, field->type);
    if (field->type == FZ_WIRE_VARINT) put_varint(s, field->value);
    else put_fixed(s, field->value, 4);
    return FZ_OK;
}

/* The field's row in the schema, or NULL if it is dropped. Counts it. */
static fz_status_t find_row(struct scan *s, const struct fz_field *field,
                            const struct fz_schema_row **out) {
    struct frame *frame = &s->stack[s->depth - 1];
    *out = NULL;
    for (uint32_t i = 0; i < frame->schema->n_rows; i++) {
        const struct fz_schema_row *row = &frame->schema->rows[i];
        if (row->number != field->number) continue;
        if (field->type != wire_type(row->kind))
            return fzi_error(FZ_E_FORMAT, "field %u of %s before byte %zu has wire type %u",
                             field->number, frame->schema->name, position(s), field->type);
        if (frame->counts[i]++ == row->limit)
            return fzi_error(row->limit == 1 ? FZ_E_FORMAT : FZ_E_LIMIT,
                             "a %s has field %u more than %u times, at byte %zu",
                             frame->schema->name, field->number, row->limit, position(s));
        *out = row;
        return FZ_OK;
    }
    return FZ_OK;
}

/* Writes FIELD to the skeleton; a message's length is filled in by pop(). */
static fz_status_t keep(struct scan *s, const struct fz_schema_row *row,
                        const struct fz_field *field) {
    switch (row->kind) {
    case FZ_KIND_TEXT:
    case FZ_KIND_BYTES: return put_bytes(s, field, row->kind == FZ_KIND_TEXT);
    case FZ_KIND_MESSAGE:
        FZ_TRY(reserve(s, 20));
        put_tag(s, field->number, FZ_WIRE_BYTES);
        put_fixed(s, 0, LENGTH_SIZE);
        return push(s, row->message, field->data, field->size);
    default: return put_scalar(s, field);
    }
}

/* One field of the innermost message, or its end. */
static fz_status_t step(struct scan *s) {
    struct fz_field field;
    const struct fz_schema_row *row;
    const uint8_t *before = s->wire.at;
    int more = fzi_wire_next(&s->wire, &field);
    if (more < 0)
        return fzi_error(FZ_E_FORMAT, "a %s is damaged at byte %zu", path(s), position(s));
    if (more == 0) {
        pop(s);
        return FZ_OK;
    }
    FZ_TRY(find_row(s, &field, &row));
    if (!row) return FZ_OK;
    /* A submessage's own fields count when it is their turn. */
    s->kept += (size_t)(s->wire.at - before) - (row->kind == FZ_KIND_MESSAGE ? field.size : 0);
    return keep(s, row, &field);
}

fz_status_t fzi_scan(enum fz_message root, const void *data, size_t size,
                     const struct fz_scan_limits *limits, struct fz_skeleton *out) {
    *out = (struct fz_skeleton){0};
    size_t depth = limits->max_depth < DEPTH_MAX ? limits->max_depth : DEPTH_MAX;
    struct scan s = {.base = data, .limits = limits, .out = out};
    s.stack = fzi_calloc(depth, sizeof *s.stack);
    if (!s.stack) return fzi_error(FZ_E_NOMEM, "no memory for the scan");
    fz_status_t status = push(&s, root, data, size);
    while (status == FZ_OK && s.depth) status = step(&s);
    fzi_free(s.stack);
    if (status != FZ_OK) {
        fzi_free(out->data);
        *out = (struct fz_skeleton){0};
    } else {
        out->cost += s.capacity;
    }
    return status;
}
