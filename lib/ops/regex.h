/* Regular expressions in RE2's syntax, in time linear in the text: all ways through the pattern are
 * followed at once. Not supported, and refused: classes by Unicode property (\p), \C. */
#ifndef FZ_OPS_REGEX_H
#define FZ_OPS_REGEX_H

#include "ops/texts.h"

struct fz_regex {
    struct fz_regex_step *steps;
    struct fz_regex_range *ranges;
    uint32_t n_steps, n_ranges, steps_size, ranges_size;
};

/* FZ_E_VALUE says what is wrong with PATTERN and where; FZ_E_LIMIT: it becomes too large. Release
 * *OUT with fzi_regex_free in either case. */
fz_status_t fzi_regex_compile(const struct fz_string *pattern, struct fz_regex *out);
void fzi_regex_free(struct fz_regex *regex);

/* Bytes of scratch for matching. */
size_t fzi_regex_scratch(const struct fz_regex *regex);
/* True if the pattern matches the whole of S. */
bool fzi_regex_matches(const struct fz_regex *regex, const struct fz_string *s, void *scratch);
/* The first match in S that begins at FROM or behind it; of those that begin at one place the
 * longest. FROM <= S->size. */
bool fzi_regex_find(const struct fz_regex *regex, const struct fz_string *s, size_t from,
                    void *scratch, size_t *begin, size_t *end);

#endif
