/* Buffers under guard pages, random values, and the comparison of outputs. */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "run.h"

enum { FILL = 0xA5 };

static struct run *of(struct kt *t) { return (struct run *)t; }

void kt_fail(struct kt *t, const char *format, ...) {
    struct run *r = of(t);
    va_list args;
    va_start(args, format);
    vsnprintf(r->message, sizeof r->message, format, args);
    va_end(args);
    siglongjmp(r->out, 1);
}

static size_t page_size(void) { return (size_t)sysconf(_SC_PAGESIZE); }

/* ---- mappings: kept for the next step, for the system is slow to make them */

enum { N_SPARE = 256 };
static struct mapping {
    uint8_t *map;
    size_t size;
} spare[N_SPARE];
static size_t n_spare;

/* ROOM writable bytes between two pages that are not. */
static uint8_t *mapping_take(size_t room) {
    size_t page = page_size(), size = room + 2 * page;
    for (size_t i = n_spare; i-- > 0;)
        if (spare[i].size == size) {
            uint8_t *map = spare[i].map;
            spare[i] = spare[--n_spare];
            return map;
        }
    uint8_t *map = mmap(NULL, size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (map == MAP_FAILED) return NULL;
    mprotect(map + page, room, PROT_READ | PROT_WRITE);
    return map;
}

static void mapping_give(const struct buffer *b) {
    size_t page = page_size();
    if (n_spare == N_SPARE || b->map_size > 1 << 20) {
        munmap(b->map, b->map_size);
        return;
    }
    if (b->locked) mprotect(b->map + page, b->map_size - 2 * page, PROT_READ | PROT_WRITE);
    spare[n_spare++] = (struct mapping){b->map, b->map_size};
}

/* True if all bytes from P up to END are FILL. */
static bool filled(const uint8_t *p, const uint8_t *end) {
    return p == end || (*p == FILL && memcmp(p, p + 1, (size_t)(end - p) - 1) == 0);
}

/* Bytes of B's readable pages outside of the buffer itself must still be FILL. */
static bool surroundings_clean(const struct buffer *b) {
    size_t page = page_size();
    return filled(b->map + page, b->data) &&
           filled(b->data + b->data_size, b->map + b->map_size - page);
}

void kt_release(struct run *r, bool check) {
    bool clean = true;
    for (size_t i = 0; i < r->n_buffers; i++) {
        if (check && !surroundings_clean(&r->buffers[i])) clean = false;
        mapping_give(&r->buffers[i]);
    }
    r->n_buffers = 0;
    if (!clean) kt_fail(&r->kt, "a kernel wrote beside its buffer");
}

/* What a kernel must leave as it was; called before anything else can touch that. */
static void observe(struct run *r) {
    if (!environment_upper_clean()) kt_fail(&r->kt, "upper halves of vector registers are in use");
    if (!r->hostile && !environment_is_plain()) {
        environment_plain();
        kt_fail(&r->kt, "a control word was changed");
    }
}

void kt_step(struct kt *t, const char *format, ...) {
    struct run *r = of(t);
    observe(r);
    kt_release(r, true);
    r->walk++;
    if (r->place == PLACE_START) environment_raise_flags();
    va_list args;
    va_start(args, format);
    vsnprintf(r->step, sizeof r->step, format, args);
    va_end(args);
}

/* Small buffers get a power of two of pages, so that their mappings fit many others. */
static size_t room_for(size_t size) {
    size_t room = page_size();
    if (size > 1 << 16) return (size + room - 1) / room * room;
    while (room < size) room *= 2;
    return room;
}

static void *buffer(struct kt *t, int64_t n, size_t width, size_t align) {
    struct run *r = of(t);
    if (r->n_buffers == sizeof r->buffers / sizeof r->buffers[0])
        kt_fail(t, "too many buffers in one step");
    size_t page = page_size(), size = (size_t)n * width, room = room_for(size + 64);
    struct buffer *b = &r->buffers[r->n_buffers];
    b->map_size = room + 2 * page;
    b->map = mapping_take(room);
    if (!b->map) kt_fail(t, "out of memory");
    memset(b->map + page, FILL, room);
    b->data = b->map + page; /* PLACE_START */
    if (r->place == PLACE_END) b->data += (room - size) / align * align;
    /* An odd factor: as the walk counts to 64 each buffer takes every alignment that it may. */
    if (r->place == PLACE_WALK) b->data += r->walk * (2 * r->n_buffers + 1) * align % 64;
    b->data_size = size;
    b->locked = false;
    r->n_buffers++;
    return b->data;
}

void *kt_buffer(struct kt *t, int64_t n, size_t width) { return buffer(t, n, width, width); }
void *kt_buffer_aligned(struct kt *t, int64_t n, size_t width) { return buffer(t, n, width, 64); }

void kt_protect(struct kt *t) {
    struct run *r = of(t);
    size_t page = page_size();
    for (size_t i = 0; i < r->n_buffers; i++) {
        struct buffer *b = &r->buffers[i];
        if (!b->locked) mprotect(b->map + page, b->map_size - 2 * page, PROT_READ);
        b->locked = true;
    }
}

/* ---- values */

/* splitmix64 (Steele, Lea, Flood 2014). */
uint64_t kt_random(struct kt *t) {
    uint64_t z = of(t)->state += 0x9E3779B97F4A7C15u;
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
    return z ^ (z >> 31);
}

int64_t kt_range(struct kt *t, int64_t lo, int64_t hi) {
    return lo + (int64_t)(kt_random(t) % ((uint64_t)(hi - lo) + 1));
}

static float from_bits(uint32_t u) {
    float f;
    memcpy(&f, &u, 4);
    return f;
}
static double from_bits64(uint64_t u) {
    double f;
    memcpy(&f, &u, 8);
    return f;
}

static float special(struct kt *t, bool finite) {
    static const uint32_t some[] = {
        0x00000000, 0x80000000, 0x00000001, 0x80000001, 0x007FFFFF, 0x807FFFFF, 0x00800000,
        0x80800000, 0x3F800000, 0xBF800000, 0x7F7FFFFF, 0xFF7FFFFF, 0x7F800000, 0xFF800000,
        0x7FC00000, 0xFFC12345, 0x7F800001};
    return from_bits(some[kt_random(t) % (finite ? 12 : sizeof some / sizeof some[0])]);
}

static float wide(struct kt *t) {
    uint64_t u = kt_random(t);
    uint32_t exponent = 127 - 40 + (uint32_t)(u >> 32) % 81;
    return from_bits(((uint32_t)u & 0x807FFFFF) | exponent << 23);
}

/* Exponents 2^-149 .. 2^-60, of either sign. */
static float tiny(struct kt *t) {
    uint64_t u = kt_random(t);
    uint32_t exponent = (uint32_t)(u >> 32) % (127 - 60 + 1);
    if (u >> 40 & 1) exponent = 0;
    return from_bits(((uint32_t)u & 0x807FFFFF) | exponent << 23);
}

/* The largest 2^24 numbers of either sign. */
static float huge(struct kt *t) {
    uint64_t u = kt_random(t);
    return from_bits((0x7F7FFFFF - ((uint32_t)u & 0xFFFFFF)) | ((uint32_t)(u >> 32) & 0x80000000));
}

static float cancelling(struct kt *t) {
    uint64_t u = kt_random(t);
    uint32_t near = 0x4B3C614E + (uint32_t)(u % 7) - 3;
    return from_bits(near | ((uint32_t)(u >> 8) & 0x80000000));
}

static float value(struct kt *t, enum kt_values values) {
    switch (values) {
    case KT_TINY: return tiny(t);
    case KT_HUGE: return huge(t);
    case KT_CANCEL: return cancelling(t);
    case KT_UNIFORM: return (float)(int32_t)((uint32_t)(kt_random(t) >> 40) - 0x800000) / 0x800000;
    case KT_WIDE: return wide(t);
    case KT_SPECIAL:
    case KT_FINITE: return kt_random(t) % 8 == 0 ? special(t, values == KT_FINITE) : wide(t);
    case KT_SMALL: return (float)kt_range(t, -8, 8);
    case KT_BITS:
    case KT_CLASSES: break;
    }
    return from_bits((uint32_t)kt_random(t));
}

void kt_fill_f32(struct kt *t, float *p, int64_t n, enum kt_values values) {
    for (int64_t i = 0; i < n; i++) p[i] = value(t, values);
}

void kt_fill_f64(struct kt *t, double *p, int64_t n, enum kt_values values) {
    for (int64_t i = 0; i < n; i++) {
        uint64_t low = kt_random(t);
        if (values == KT_BITS) p[i] = from_bits64(low);
        else p[i] = (double)value(t, values);
        if (values != KT_WIDE && values != KT_UNIFORM) continue;
        uint64_t u;
        memcpy(&u, &p[i], 8);
        if (p[i] != 0) p[i] = from_bits64(u | (low & 0x1FFFFFFF));
    }
}

void kt_fill_bytes(struct kt *t, void *p, int64_t n) {
    uint8_t *bytes = p;
    for (int64_t i = 0; i < n; i++) bytes[i] = (uint8_t)(kt_random(t) >> 24);
}

void kt_fill_integers(struct kt *t, void *p, int64_t n, size_t width) {
    kt_fill_bytes(t, p, n * (int64_t)width);
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    uint8_t *bytes = p;
    for (int64_t i = 0; i < n; i++, bytes += width)
        for (size_t j = 0; j < width / 2; j++) {
            uint8_t b = bytes[j];
            bytes[j] = bytes[width - 1 - j];
            bytes[width - 1 - j] = b;
        }
#endif
}

float *kt_f32(struct kt *t, int64_t n, enum kt_values values) {
    float *p = kt_buffer(t, n, 4);
    kt_fill_f32(t, p, n, values);
    return p;
}

/* ---- results */

void log_free(struct log *log) {
    free(log->data);
    free(log->entries);
    *log = (struct log){0};
}

static void log_add(struct run *r, const uint8_t *p, size_t size, size_t width) {
    struct log *l = r->log;
    while (l->size + size >= l->capacity) {
        l->capacity = l->capacity ? 2 * l->capacity : 1 << 16;
        l->data = realloc(l->data, l->capacity);
    }
    if (l->n_entries == l->entries_capacity) {
        l->entries_capacity = l->entries_capacity ? 2 * l->entries_capacity : 64;
        l->entries = realloc(l->entries, l->entries_capacity * sizeof *l->entries);
    }
    if (!l->data || !l->entries) kt_fail(&r->kt, "out of memory");
    struct entry *e = &l->entries[l->n_entries++];
    *e = (struct entry){.off = l->size, .size = size, .width = width};
    memcpy(e->step, r->step, sizeof e->step);
    if (size) memcpy(l->data + l->size, p, size);
    l->size += size;
}

static uint64_t element(const uint8_t *p, size_t width) {
    if (width == 1) return *p;
    uint16_t h;
    uint32_t w;
    uint64_t d;
    if (width == 2) return memcpy(&h, p, 2), h;
    if (width == 4) return memcpy(&w, p, 4), w;
    return memcpy(&d, p, 8), d;
}

static void compare(struct run *r, const uint8_t *p, size_t size, size_t width) {
    if (r->cursor == r->reference->n_entries) kt_fail(&r->kt, "more outputs than the baseline");
    const struct entry *e = &r->reference->entries[r->cursor++];
    const uint8_t *want = r->reference->data + e->off;
    if (e->size != size || e->width != width) kt_fail(&r->kt, "output of another size");
    if (!size || memcmp(p, want, size) == 0) return;
    size_t i = 0, n = 0;
    for (size_t j = size / width; j-- > 0;)
        if (memcmp(p + j * width, want + j * width, width) != 0) i = j, n++;
    kt_fail(&r->kt, "element %zu is %0*" PRIx64 " instead of %0*" PRIx64 " (%zu of %zu differ)", i,
            (int)width * 2, element(p + i * width, width), (int)width * 2,
            element(want + i * width, width), n, size / width);
}

static void check(struct run *r, const void *p, int64_t n, size_t width) {
    if (r->reference) compare(r, p, (size_t)n * width, width);
    else log_add(r, p, (size_t)n * width, width);
}

void kt_check(struct kt *t, const void *p, int64_t n, size_t width) {
    observe(of(t));
    check(of(t), p, n, width);
}

void kt_check_f32(struct kt *t, const float *p, int64_t n) {
    observe(of(t));
    uint32_t *u = malloc((size_t)n * 4 + 1);
    if (!u) kt_fail(t, "out of memory");
    if (n) memcpy(u, p, (size_t)n * 4);
    for (int64_t i = 0; i < n; i++)
        if ((u[i] & 0x7FFFFFFF) > 0x7F800000) u[i] = 0x7FC00000;
    check(of(t), u, n, 4);
    free(u);
}

void kt_check_f64(struct kt *t, const double *p, int64_t n) {
    observe(of(t));
    uint64_t *u = malloc((size_t)n * 8 + 1);
    if (!u) kt_fail(t, "out of memory");
    if (n) memcpy(u, p, (size_t)n * 8);
    for (int64_t i = 0; i < n; i++)
        if ((u[i] & 0x7FFFFFFFFFFFFFFF) > 0x7FF0000000000000) u[i] = 0x7FF8000000000000;
    check(of(t), u, n, 8);
    free(u);
}
