/* Strings: code points, letter case, order, numbers. */
#ifndef FZ_OPS_TEXTS_H
#define FZ_OPS_TEXTS_H

#include "ops/op.h"

/* What stands for bytes that are no UTF-8. */
enum { FZ_TEXT_BAD = 0xFFFD };

/* The code point at AT < S->size, which moves behind it. A byte that is no UTF-8 is FZ_TEXT_BAD. */
uint32_t fzi_text_next(const struct fz_string *s, size_t *at);
/* Writes C, unless TO is NULL, and returns its 1 to 4 bytes. */
size_t fzi_text_put(uint32_t c, char *to);

/* The other case of C by Unicode's simple mapping, C itself if it has none. No locale is asked. */
uint32_t fzi_text_lower(uint32_t c);
uint32_t fzi_text_upper(uint32_t c);

/* By bytes, which for UTF-8 is by code points; a beginning comes first. */
int fzi_text_compare(const struct fz_string *a, const struct fz_string *b);
static inline bool fzi_text_equal(const struct fz_string *a, const struct fz_string *b) {
    return a->size == b->size && (a->size == 0 || memcmp(a->text, b->text, a->size) == 0);
}

/* SIZE bytes of the heap for texts; NULL sets the error. */
char *fzi_text_room(const struct fz_env *env, size_t size);

/* The elements of numeric or bool tensor T as strings in the heap: OUT has room for them. Floats as
 * NumPy writes them: the fewest digits that mean the same number. */
fz_status_t fzi_text_from_numbers(const struct fz_env *env, const fz_tensor_t *t,
                                  struct fz_string *out);
/* Reads a string as a number of OUT's type, its element I; FZ_E_VALUE if it is none. */
fz_status_t fzi_text_to_number(const struct fz_string *s, fz_tensor_t *out, int64_t i);

#endif
