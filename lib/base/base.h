/* The ground floor: errors, memory, checked arithmetic. Everything may use it; it uses nothing. */
#ifndef FZ_BASE_H
#define FZ_BASE_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <frozen/frozen.h>

#define FZ_COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define FZ_PRINTF(fmt, args) __attribute__((format(printf, fmt, args)))

/* ---- errors: the thread's last message */

/* Sets the thread's message and returns STATUS, so that callers write `return fzi_error(...)`. */
fz_status_t fzi_error(fz_status_t status, const char *format, ...) FZ_PRINTF(2, 3);

/* Puts "context: " in front of the thread's message; returns STATUS. For callers that know more
 * (the node, the file) than the place where the error was found. */
fz_status_t fzi_error_context(fz_status_t status, const char *format, ...) FZ_PRINTF(2, 3);

/* Puts "; detail" behind the thread's message; returns STATUS. */
fz_status_t fzi_error_detail(fz_status_t status, const char *format, ...) FZ_PRINTF(2, 3);

/* The thread's message; "" if there was no error. */
const char *fzi_error_text(void);

/* "FZ_E_SHAPE" say; "FZ_E_?" for an unknown number. */
const char *fzi_status_name(fz_status_t status);

/* Returns from the calling function if EXPR is not FZ_OK. */
#define FZ_TRY(expr)                                                                               \
    do {                                                                                           \
        fz_status_t fz_try_ = (expr);                                                              \
        if (fz_try_ != FZ_OK) return fz_try_;                                                      \
    } while (0)

/* ---- memory: the only callers of malloc; every result is NULL or aligned to 64 bytes for
 * fzi_alloc_aligned and to 16 for the others */

void *fzi_alloc(size_t size);                 /* uninitialised; size 0 gives a unique pointer */
void *fzi_calloc(size_t count, size_t size);  /* zeroed; NULL on overflow */
void *fzi_realloc(void *ptr, size_t size);
void *fzi_alloc_aligned(size_t size);         /* 64-byte aligned; release with fzi_free */
void *fzi_alloc_large(size_t size);           /* the same, of huge pages where there are any */
void fzi_free(void *ptr);

bool fzi_all_zero(const void *data, size_t size);

/* An arena: many small allocations, one release. Zero-initialised is empty. */
struct fz_arena {
    struct fz_arena_block *head;
    size_t used;  /* bytes handed out */
    size_t limit; /* 0: none; else fzi_arena_alloc gives NULL past it */
    size_t n_blocks; /* allocated so far, for counting */
};

void *fzi_arena_alloc(struct fz_arena *arena, size_t size); /* zeroed, 64-byte aligned */
void *fzi_arena_array(struct fz_arena *arena, size_t count, size_t size);
void *fzi_arena_copy(struct fz_arena *arena, const void *data, size_t size);
char *fzi_arena_string(struct fz_arena *arena, const char *text); /* a copy */
char *fzi_arena_format(struct fz_arena *arena, const char *format, ...) FZ_PRINTF(2, 3);
void fzi_arena_free(struct fz_arena *arena);
/* Takes everything back, for a round that will need about as much: the memory stays in one block.
 * The limit and the count stay, too. */
void fzi_arena_reset(struct fz_arena *arena);

/* A growing text, for messages and listings. */
struct fz_text {
    char *data; /* NUL-terminated once something was added */
    size_t size, capacity;
    bool failed; /* out of memory: later additions do nothing */
};
void fzi_text_add(struct fz_text *text, const char *format, ...) FZ_PRINTF(2, 3);
void fzi_text_free(struct fz_text *text);

/* ---- checked arithmetic: false on overflow, *OUT then unspecified */

static inline bool fzi_add_size(size_t a, size_t b, size_t *out) {
    return !__builtin_add_overflow(a, b, out);
}
static inline bool fzi_mul_size(size_t a, size_t b, size_t *out) {
    return !__builtin_mul_overflow(a, b, out);
}
static inline bool fzi_mul_i64(int64_t a, int64_t b, int64_t *out) {
    return !__builtin_mul_overflow(a, b, out);
}
static inline bool fzi_add_i64(int64_t a, int64_t b, int64_t *out) {
    return !__builtin_add_overflow(a, b, out);
}
static inline size_t fzi_align(size_t size, size_t to) { return (size + to - 1) & ~(to - 1); }
static inline int64_t fzi_min_i64(int64_t a, int64_t b) { return a < b ? a : b; }
static inline int64_t fzi_max_i64(int64_t a, int64_t b) { return a > b ? a : b; }
static inline int64_t fzi_ceil_div(int64_t a, int64_t b) { return a / b + (a % b > 0); }

#endif
