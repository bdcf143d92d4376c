/* Protobuf messages as lists of pieces. */
#include "export/rope.h"

#include <errno.h>
#include <unistd.h>

enum { VARINT = 0, BYTES = 2, FIXED32 = 5, SMALLEST = 192, LARGEST = 65536 };

/* A new piece behind the last one; NULL without memory. */
static struct fz_rope_piece *append(struct fz_rope *rope) {
    struct fz_rope_piece *piece = fzi_arena_alloc(rope->arena, sizeof *piece);
    if (!piece) return rope->failed = true, NULL;
    if (rope->last) rope->last->next = piece;
    else rope->first = piece;
    rope->last = piece;
    return piece;
}

/* Pieces of own bytes grow with the rope, so that small messages stay small. */
static void put(struct fz_rope *rope, const void *data, size_t size) {
    struct fz_rope_piece *piece = rope->last;
    if (rope->failed || !size) return;
    if (!piece || piece->capacity - piece->size < size || !piece->capacity) {
        size_t wanted = rope->size < SMALLEST ? SMALLEST : rope->size < LARGEST ? rope->size
                                                                                : LARGEST;
        if (wanted < size) wanted = size;
        piece = append(rope);
        if (!piece) return;
        piece->data = fzi_arena_alloc(rope->arena, wanted);
        if (!piece->data) {
            rope->failed = true;
            return;
        }
        piece->capacity = wanted;
    }
    memcpy(piece->data + piece->size, data, size);
    piece->size += size;
    rope->size += size;
}

static void varint(struct fz_rope *rope, uint64_t value) {
    uint8_t bytes[10];
    size_t n = 0;
    for (; value > 127; value >>= 7) bytes[n++] = (uint8_t)(value | 128);
    bytes[n++] = (uint8_t)value;
    put(rope, bytes, n);
}

static void tag(struct fz_rope *rope, uint32_t field, uint32_t type) {
    varint(rope, (uint64_t)field << 3 | type);
}

void fzi_rope_int(struct fz_rope *rope, uint32_t field, int64_t value) {
    tag(rope, field, VARINT);
    varint(rope, (uint64_t)value);
}

void fzi_rope_float(struct fz_rope *rope, uint32_t field, float value) {
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    uint8_t bytes[4] = {(uint8_t)bits, (uint8_t)(bits >> 8), (uint8_t)(bits >> 16),
                        (uint8_t)(bits >> 24)};
    tag(rope, field, FIXED32);
    put(rope, bytes, sizeof bytes);
}

void fzi_rope_bytes(struct fz_rope *rope, uint32_t field, const void *data, size_t size) {
    tag(rope, field, BYTES);
    varint(rope, size);
    put(rope, data, size);
}

void fzi_rope_text(struct fz_rope *rope, uint32_t field, const char *text) {
    fzi_rope_bytes(rope, field, text, strlen(text));
}

void fzi_rope_refer(struct fz_rope *rope, uint32_t field, const void *data, size_t size) {
    tag(rope, field, BYTES);
    varint(rope, size);
    struct fz_rope_piece *piece = size && !rope->failed ? append(rope) : NULL;
    if (!piece) return;
    piece->data = (uint8_t *)(uintptr_t)data;
    piece->size = size;
    rope->size += size;
}

void fzi_rope_message(struct fz_rope *rope, uint32_t field, struct fz_rope *inner) {
    tag(rope, field, BYTES);
    varint(rope, inner->size);
    rope->failed |= inner->failed;
    if (rope->failed || !inner->first) return;
    if (rope->last) rope->last->next = inner->first;
    else rope->first = inner->first;
    rope->last = inner->last;
    rope->size += inner->size;
    *inner = (struct fz_rope){.arena = inner->arena};
}

fz_status_t fzi_rope_write(const struct fz_rope *rope, int fd, const char *path) {
    for (const struct fz_rope_piece *piece = rope->first; piece; piece = piece->next)
        for (size_t at = 0; at < piece->size;) {
            ssize_t n = write(fd, piece->data + at, piece->size - at);
            if (n < 0 && errno == EINTR) continue;
            if (n <= 0) return fzi_error(FZ_E_IO, "cannot write '%s': %s", path, strerror(errno));
            at += (size_t)n;
        }
    return FZ_OK;
}

void fzi_rope_copy(const struct fz_rope *rope, void *data) {
    uint8_t *to = data;
    for (const struct fz_rope_piece *piece = rope->first; piece; piece = piece->next) {
        if (piece->size) memcpy(to, piece->data, piece->size);
        to += piece->size;
    }
}
