/* Strings: code points and order. */
#include "ops/texts.h"

/* Bytes of the code point that BYTE begins; 0 if it begins none. */
static size_t length_of(uint8_t byte) {
    if (byte < 0x80) return 1;
    if (byte < 0xC2 || byte > 0xF4) return 0;
    return byte < 0xE0 ? 2 : byte < 0xF0 ? 3 : 4;
}

uint32_t fzi_text_next(const struct fz_string *s, size_t *at) {
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    const uint8_t *p = (const uint8_t *)s->text + *at;
    size_t n = length_of(*p), left = s->size - *at;
    uint32_t c = n == 1 ? *p : *p & (0x7Fu >> n);
    bool good = n > 0 && n <= left;
    for (size_t i = 1; good && i < n; i++) {
        good = (p[i] & 0xC0) == 0x80;
        c = c << 6 | (p[i] & 0x3F);
    }
    good = good && c >= least[n] && c <= 0x10FFFF && (c < 0xD800 || c > 0xDFFF);
    *at += good ? n : 1;
    return good ? c : FZ_TEXT_BAD;
}

size_t fzi_text_put(uint32_t c, char *to) {
    size_t n = c < 0x80 ? 1 : c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
    if (!to) return n;
    for (size_t i = n; i-- > 1; c >>= 6) to[i] = (char)(0x80 | (c & 0x3F));
    to[0] = (char)(n == 1 ? c : (0xF00u >> n & 0xF0) | c);
    return n;
}

int fzi_text_compare(const struct fz_string *a, const struct fz_string *b) {
    size_t n = a->size < b->size ? a->size : b->size;
    int order = n ? memcmp(a->text, b->text, n) : 0;
    return order ? order : (a->size > b->size) - (a->size < b->size);
}

char *fzi_text_room(const struct fz_env *env, size_t size) {
    char *room = fzi_arena_alloc(env->heap, size);
    if (!room) fzi_error(FZ_E_LIMIT, "strings need more memory than there is");
    return room;
}
