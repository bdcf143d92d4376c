/* malloc's only callers: plain and aligned blocks, arenas, growing texts. */
#include "base/base.h"

#include <stdio.h>
#include <stdlib.h>
#if defined(__linux__)
#include <sys/mman.h>
#endif

void *fzi_alloc(size_t size) { return malloc(size ? size : 1); }
void *fzi_calloc(size_t count, size_t size) { return calloc(count ? count : 1, size ? size : 1); }
void *fzi_realloc(void *ptr, size_t size) { return realloc(ptr, size ? size : 1); }
void fzi_free(void *ptr) { free(ptr); }

void *fzi_alloc_aligned(size_t size) {
    if (size > SIZE_MAX - 64) return NULL;
    return aligned_alloc(64, size ? fzi_align(size, 64) : 64);
}

/* A new huge page costs as much as some 100 small ones and stands for 512. The advice is a wish. */
void *fzi_alloc_large(size_t size) {
    enum { HUGE_PAGE = 2 << 20 };
#if defined(MADV_HUGEPAGE)
    if (size >= HUGE_PAGE && size <= SIZE_MAX - HUGE_PAGE) {
        void *data = aligned_alloc(HUGE_PAGE, fzi_align(size, HUGE_PAGE));
        if (data) madvise(data, size / HUGE_PAGE * HUGE_PAGE, MADV_HUGEPAGE);
        if (data) return data;
    }
#endif
    return fzi_alloc_aligned(size);
}

/* Zero at its start and equal to itself one byte on: memcmp reads whole vectors. */
bool fzi_all_zero(const void *data, size_t size) {
    const uint8_t *p = data;
    return size == 0 || (p[0] == 0 && memcmp(p, p + 1, size - 1) == 0);
}

struct fz_arena_block {
    struct fz_arena_block *next;
    size_t used, capacity; /* of data */
    char pad[40];
    char data[];           /* 64-byte aligned, because the block is */
};
_Static_assert(offsetof(struct fz_arena_block, data) == 64, "arena data must stay aligned");

/* The first block is small: many an arena holds little, and pages that are new cost more than what
 * is done with them. */
static struct fz_arena_block *grow(struct fz_arena *arena, size_t size) {
    size_t least = (arena->head ? 65536 : 8192) - sizeof(struct fz_arena_block);
    size_t capacity = size > least ? size : least;
    if (capacity > SIZE_MAX - 2 * sizeof(struct fz_arena_block)) return NULL;
    struct fz_arena_block *block = fzi_alloc_aligned(sizeof *block + capacity);
    if (!block) return NULL;
    block->used = 0;
    block->capacity = capacity;
    arena->n_blocks++;
    /* A block for one large thing goes behind the head, which still has room for small ones. */
    if (size > 65536 / 2 && arena->head) {
        block->next = arena->head->next;
        arena->head->next = block;
    } else {
        block->next = arena->head;
        arena->head = block;
    }
    return block;
}

void *fzi_arena_alloc(struct fz_arena *arena, size_t size) {
    if (size > SIZE_MAX - 64) return NULL;
    size = fzi_align(size ? size : 1, 64);
    if (arena->limit && (size > arena->limit || arena->used > arena->limit - size)) return NULL;
    struct fz_arena_block *block = arena->head;
    if (!block || block->capacity - block->used < size) block = grow(arena, size);
    if (!block) return NULL;
    void *result = block->data + block->used;
    block->used += size;
    arena->used += size;
    return memset(result, 0, size);
}

void *fzi_arena_array(struct fz_arena *arena, size_t count, size_t size) {
    size_t total;
    return fzi_mul_size(count, size, &total) ? fzi_arena_alloc(arena, total) : NULL;
}

void *fzi_arena_copy(struct fz_arena *arena, const void *data, size_t size) {
    void *copy = fzi_arena_alloc(arena, size);
    if (copy && size) memcpy(copy, data, size);
    return copy;
}

char *fzi_arena_string(struct fz_arena *arena, const char *text) {
    return fzi_arena_copy(arena, text, strlen(text) + 1);
}

char *fzi_arena_format(struct fz_arena *arena, const char *format, ...) {
    va_list args, again;
    va_start(args, format);
    va_copy(again, args);
    int n = vsnprintf(NULL, 0, format, args);
    va_end(args);
    char *text = n < 0 ? NULL : fzi_arena_alloc(arena, (size_t)n + 1);
    if (text) vsnprintf(text, (size_t)n + 1, format, again);
    va_end(again);
    return text;
}

void fzi_arena_free(struct fz_arena *arena) {
    for (struct fz_arena_block *block = arena->head, *next; block; block = next) {
        next = block->next;
        fzi_free(block);
    }
    *arena = (struct fz_arena){0};
}

void fzi_arena_reset(struct fz_arena *arena) {
    size_t used = arena->used, limit = arena->limit, n_blocks = arena->n_blocks;
    if (arena->head && arena->head->next) {
        fzi_arena_free(arena);
        *arena = (struct fz_arena){.limit = limit, .n_blocks = n_blocks};
        (void)grow(arena, used); /* if there is no memory now, there may be later */
    }
    if (arena->head) arena->head->used = 0;
    arena->used = 0;
}

void fzi_text_add(struct fz_text *text, const char *format, ...) {
    va_list args, again;
    va_start(args, format);
    va_copy(again, args);
    int n = vsnprintf(NULL, 0, format, args);
    va_end(args);
    size_t need = text->size + (n < 0 ? 0 : (size_t)n) + 1;
    if (!text->failed && need > text->capacity) {
        size_t capacity = need * 2;
        char *data = fzi_realloc(text->data, capacity);
        if (data) text->data = data, text->capacity = capacity;
        else text->failed = true;
    }
    if (!text->failed && n >= 0) {
        vsnprintf(text->data + text->size, (size_t)n + 1, format, again);
        text->size += (size_t)n;
    }
    va_end(again);
}

void fzi_text_free(struct fz_text *text) {
    fzi_free(text->data);
    *text = (struct fz_text){0};
}
