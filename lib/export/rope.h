/* Bytes in the protobuf wire format, as a list of pieces: what is large is referred to, never
 * copied, and a message knows its size before it is written into the one around it. */
#ifndef FZ_ROPE_H
#define FZ_ROPE_H

#include "base/base.h"

struct fz_rope_piece {
    struct fz_rope_piece *next;
    uint8_t *data;
    size_t size, capacity; /* capacity 0: somebody else's bytes */
};

/* Zero but for the arena is empty. What runs out of memory sets FAILED and is checked once. */
struct fz_rope {
    struct fz_arena *arena;
    struct fz_rope_piece *first, *last;
    size_t size;
    bool failed;
};

/* A field of the number FIELD: a varint (negative numbers take ten bytes, as int64 does), binary32,
 * text up to its NUL. */
void fzi_rope_int(struct fz_rope *rope, uint32_t field, int64_t value);
void fzi_rope_float(struct fz_rope *rope, uint32_t field, float value);
void fzi_rope_text(struct fz_rope *rope, uint32_t field, const char *text);
/* SIZE bytes, copied. */
void fzi_rope_bytes(struct fz_rope *rope, uint32_t field, const void *data, size_t size);
/* SIZE bytes that outlive the rope. */
void fzi_rope_refer(struct fz_rope *rope, uint32_t field, const void *data, size_t size);
/* The message INNER, whose pieces ROPE takes over. */
void fzi_rope_message(struct fz_rope *rope, uint32_t field, struct fz_rope *inner);
/* Writes all pieces to FD; FZ_E_IO. PATH is for messages. */
fz_status_t fzi_rope_write(const struct fz_rope *rope, int fd, const char *path);
/* Copies all pieces to DATA, of rope->size bytes. */
void fzi_rope_copy(const struct fz_rope *rope, void *data);

#endif
