/* Regular expressions: a parser that emits steps as it reads, and a machine that is in all states
 * at once. Jumps are relative, so that a repeated part is copied or moved as it is. */
#include "ops/regex.h"

enum { STEPS_MAX = 20000, RANGES_MAX = 100000, DEPTH_MAX = 200, REPEAT_MAX = 1000 };
enum { CODE_MAX = 0x10FFFF };

enum kind {
    SET,    /* a code point of ranges [a, a + b) */
    SPLIT,  /* go on at +a and at +b */
    JUMP,   /* go on at +a */
    BEGIN, END, LINE_BEGIN, LINE_END, WORD_EDGE, NO_WORD_EDGE, /* the place is such a one */
    DONE
};

struct fz_regex_step {
    uint8_t kind;
    bool negated, folds; /* SET: none of the ranges; the case of letters does not matter */
    int32_t a, b;
};

struct fz_regex_range {
    uint32_t first, last;
};

struct parser {
    struct fz_regex *out;
    const struct fz_string *pattern;
    size_t at;
    int depth;
    bool folds, dot_all, multiline;
};

static fz_status_t bad(const struct parser *p, const char *why) {
    return fzi_error(FZ_E_VALUE, "the pattern '%.*s' is no regular expression: %s at byte %zu",
                     p->pattern->size < 100 ? (int)p->pattern->size : 100, p->pattern->text, why,
                     p->at);
}

/* ---- emitting */

static fz_status_t too_large(void) {
    return fzi_error(FZ_E_LIMIT, "the regular expression is too large");
}

static fz_status_t reserve(struct fz_regex *r, uint32_t more) {
    if (more > STEPS_MAX || r->n_steps > STEPS_MAX - more) return too_large();
    if (r->n_steps + more <= r->steps_size) return FZ_OK;
    uint32_t size = 2 * (r->n_steps + more) + 16;
    struct fz_regex_step *steps = fzi_realloc(r->steps, size * sizeof *steps);
    if (!steps) return fzi_error(FZ_E_NOMEM, "no memory for a regular expression");
    r->steps = steps;
    r->steps_size = size;
    return FZ_OK;
}

static fz_status_t emit(struct parser *p, enum kind kind, int32_t a, int32_t b) {
    FZ_TRY(reserve(p->out, 1));
    p->out->steps[p->out->n_steps++] = (struct fz_regex_step){(uint8_t)kind, false, false, a, b};
    return FZ_OK;
}

/* Puts a step before those from AT on, which are moved as a whole. */
static fz_status_t insert(struct parser *p, uint32_t at, enum kind kind, int32_t a, int32_t b) {
    struct fz_regex *r = p->out;
    FZ_TRY(reserve(r, 1));
    memmove(&r->steps[at + 1], &r->steps[at], (r->n_steps - at) * sizeof *r->steps);
    r->steps[at] = (struct fz_regex_step){(uint8_t)kind, false, false, a, b};
    r->n_steps++;
    return FZ_OK;
}

static fz_status_t add_range(struct parser *p, uint32_t first, uint32_t last) {
    struct fz_regex *r = p->out;
    if (r->n_ranges == RANGES_MAX) return too_large();
    if (r->n_ranges == r->ranges_size) {
        uint32_t size = 2 * r->ranges_size + 16;
        struct fz_regex_range *ranges = fzi_realloc(r->ranges, size * sizeof *ranges);
        if (!ranges) return fzi_error(FZ_E_NOMEM, "no memory for a regular expression");
        r->ranges = ranges;
        r->ranges_size = size;
    }
    r->ranges[r->n_ranges++] = (struct fz_regex_range){first, last};
    return FZ_OK;
}

/* A step for the ranges from FIRST on. */
static fz_status_t emit_set(struct parser *p, uint32_t first, bool negated) {
    FZ_TRY(emit(p, SET, (int32_t)first, (int32_t)(p->out->n_ranges - first)));
    struct fz_regex_step *step = &p->out->steps[p->out->n_steps - 1];
    step->negated = negated;
    step->folds = p->folds;
    return FZ_OK;
}

static fz_status_t emit_char(struct parser *p, uint32_t c) {
    uint32_t first = p->out->n_ranges;
    FZ_TRY(add_range(p, c, c));
    return emit_set(p, first, false);
}

/* ---- reading the pattern */

static bool more(const struct parser *p) { return p->at < p->pattern->size; }

static char peek(const struct parser *p) { return more(p) ? p->pattern->text[p->at] : 0; }

static bool take(struct parser *p, char c) {
    if (!more(p) || p->pattern->text[p->at] != c) return false;
    p->at++;
    return true;
}

static bool take_text(struct parser *p, const char *text) {
    size_t n = strlen(text);
    if (p->pattern->size - p->at < n || memcmp(p->pattern->text + p->at, text, n) != 0)
        return false;
    p->at += n;
    return true;
}

static uint32_t next(struct parser *p) { return fzi_text_next(p->pattern, &p->at); }

/* ---- classes */

static const struct named {
    const char *name;
    const char *pairs; /* firsts and lasts of ranges */
} classes[] = {
    {"alnum", "09AZaz"}, {"alpha", "AZaz"}, {"ascii", "\1\177"}, {"blank", "\t\t  "},
    {"cntrl", "\1\37\177\177"}, {"digit", "09"}, {"graph", "!~"}, {"lower", "az"},
    {"print", " ~"}, {"punct", "!/:@[`{~"}, {"space", "\t\r  "}, {"upper", "AZ"},
    {"word", "09AZ__az"}, {"xdigit", "09AFaf"},
};

/* Adds the ranges of PAIRS, or with NEGATED what lies between them; they ascend. */
static fz_status_t add_pairs(struct parser *p, const char *pairs, bool zero, bool negated) {
    uint32_t from = 0;
    if (zero && !negated) FZ_TRY(add_range(p, 0, 0));
    if (zero) from = 1;
    for (; *pairs; pairs += 2) {
        uint32_t first = (uint8_t)pairs[0], last = (uint8_t)pairs[1];
        if (!negated) FZ_TRY(add_range(p, first, last));
        else if (first > from) FZ_TRY(add_range(p, from, first - 1));
        from = last + 1;
    }
    return negated ? add_range(p, from, CODE_MAX) : FZ_OK;
}

/* \d, \s, \w and their opposites; *FOUND is false if C is none. */
static fz_status_t add_perl(struct parser *p, char c, bool *found) {
    *found = true;
    switch (c) {
    case 'd': case 'D': return add_pairs(p, "09", false, c == 'D');
    case 's': case 'S': return add_pairs(p, "\t\n\f\r  ", false, c == 'S');
    case 'w': case 'W': return add_pairs(p, "09AZ__az", false, c == 'W');
    default: *found = false; return FZ_OK;
    }
}

/* [:name:] or [:^name:], behind the first bracket. */
static fz_status_t add_named(struct parser *p) {
    bool negated = take(p, '^');
    for (size_t i = 0; i < FZ_COUNT(classes); i++) {
        size_t before = p->at;
        if (take_text(p, classes[i].name) && take_text(p, ":]")) {
            bool zero = strcmp(classes[i].name, "ascii") == 0 ||
                        strcmp(classes[i].name, "cntrl") == 0;
            return add_pairs(p, classes[i].pairs, zero, negated);
        }
        p->at = before;
    }
    return bad(p, "an unknown class");
}

static int digit_of(char c) {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : 99;
}

/* The code point behind \x. */
static fz_status_t read_hex(struct parser *p, uint32_t *out) {
    bool braces = take(p, '{');
    *out = 0;
    for (int n = 0; braces ? !take(p, '}') : n < 2; n++) {
        int digit = digit_of(peek(p));
        if (digit > 15 || *out > CODE_MAX) return bad(p, "a wrong \\x");
        *out = *out * 16 + (uint32_t)digit;
        p->at++;
    }
    return *out <= CODE_MAX ? FZ_OK : bad(p, "a code point that is too large");
}

/* The code point that an escape behind the backslash stands for. */
static fz_status_t read_escape(struct parser *p, uint32_t *out) {
    static const char names[] = "afnrtv", values[] = "\a\f\n\r\t\v";
    if (!more(p)) return bad(p, "a backslash ends it");
    if (take(p, 'x')) return read_hex(p, out);
    char c = peek(p);
    const char *name = strchr(names, c);
    if (c >= '0' && c <= '7') {
        *out = 0;
        for (int n = 0; n < 3 && digit_of(peek(p)) < 8; n++, p->at++)
            *out = *out * 8 + (uint32_t)digit_of(peek(p));
        return c == '0' || *out > 7 ? FZ_OK : bad(p, "a backward reference");
    }
    bool letter = digit_of(c) < 16 || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
    if (name && c) *out = (uint8_t)values[name - names];
    else if (letter) return bad(p, "an escape that is unknown or not supported");
    else {
        *out = next(p);
        return FZ_OK;
    }
    p->at++;
    return FZ_OK;
}

/* One end of a range in brackets. */
static fz_status_t read_end(struct parser *p, uint32_t *out) {
    if (take(p, '\\')) return read_escape(p, out);
    if (!more(p)) return bad(p, "a bracket that is not closed");
    *out = next(p);
    return FZ_OK;
}

static fz_status_t read_item(struct parser *p) {
    uint32_t first, last;
    bool found = false;
    if (take_text(p, "[:")) return add_named(p);
    if (peek(p) == '\\' && p->at + 1 < p->pattern->size) {
        FZ_TRY(add_perl(p, p->pattern->text[p->at + 1], &found));
        if (found) return p->at += 2, FZ_OK;
    }
    FZ_TRY(read_end(p, &first));
    last = first;
    bool range = peek(p) == '-' && p->at + 1 < p->pattern->size &&
                 p->pattern->text[p->at + 1] != ']';
    if (range) {
        p->at++;
        FZ_TRY(read_end(p, &last));
    }
    return first <= last ? add_range(p, first, last) : bad(p, "a range that runs backwards");
}

static fz_status_t read_brackets(struct parser *p) {
    uint32_t first = p->out->n_ranges;
    bool negated = take(p, '^');
    do {
        if (!more(p)) return bad(p, "a bracket that is not closed");
        FZ_TRY(read_item(p));
    } while (!take(p, ']'));
    return emit_set(p, first, negated);
}

/* ---- atoms, repetitions, alternatives */

static fz_status_t read_alternatives(struct parser *p);

static fz_status_t emit_dot(struct parser *p) {
    uint32_t first = p->out->n_ranges;
    if (!p->dot_all) FZ_TRY(add_range(p, '\n', '\n'));
    return emit_set(p, first, true);
}

/* Flags between "(?" and ")" or ":"; *GROUP says that a group follows. */
static fz_status_t read_flags(struct parser *p, bool *group) {
    bool value = true;
    for (;;) {
        char c = peek(p);
        if (!more(p)) return bad(p, "a group that is not closed");
        p->at++;
        if (c == ':' || c == ')') {
            *group = c == ':';
            return FZ_OK;
        }
        if (c == '-' && value) value = false;
        else if (c == 'i') p->folds = value;
        else if (c == 's') p->dot_all = value;
        else if (c == 'm') p->multiline = value;
        else if (c != 'U') return bad(p, "an unknown flag"); /* greed changes no match */
    }
}

static fz_status_t read_name(struct parser *p) {
    size_t start = p->at;
    while (more(p) && peek(p) != '>') {
        char c = peek(p);
        if (c != '_' && digit_of(c) > 9 && !(c >= 'a' && c <= 'z') && !(c >= 'A' && c <= 'Z'))
            return bad(p, "a wrong name of a group");
        p->at++;
    }
    return p->at > start && take(p, '>') ? FZ_OK : bad(p, "a wrong name of a group");
}

/* Behind the parenthesis. Flags hold to the end of the group that they stand in. */
static fz_status_t read_group(struct parser *p) {
    struct parser outer = *p;
    bool group = true;
    if (p->depth >= DEPTH_MAX) return bad(p, "groups are nested too deeply");
    if (take_text(p, "?P<") || take_text(p, "?<")) FZ_TRY(read_name(p));
    else if (take(p, '?')) FZ_TRY(read_flags(p, &group));
    if (!group) return FZ_OK;
    p->depth++;
    FZ_TRY(read_alternatives(p));
    if (!take(p, ')')) return bad(p, "a group that is not closed");
    p->depth--;
    p->folds = outer.folds, p->dot_all = outer.dot_all, p->multiline = outer.multiline;
    return FZ_OK;
}

static fz_status_t read_backslash(struct parser *p) {
    uint32_t first = p->out->n_ranges, c;
    bool found;
    if (take(p, 'A')) return emit(p, BEGIN, 0, 0);
    if (take(p, 'z')) return emit(p, END, 0, 0);
    if (take(p, 'b')) return emit(p, WORD_EDGE, 0, 0);
    if (take(p, 'B')) return emit(p, NO_WORD_EDGE, 0, 0);
    FZ_TRY(add_perl(p, peek(p), &found));
    if (found) return p->at++, emit_set(p, first, false);
    FZ_TRY(read_escape(p, &c));
    return emit_char(p, c);
}

static fz_status_t read_atom(struct parser *p) {
    if (take(p, '(')) return read_group(p);
    if (take(p, '[')) return read_brackets(p);
    if (take(p, '.')) return emit_dot(p);
    if (take(p, '^')) return emit(p, p->multiline ? LINE_BEGIN : BEGIN, 0, 0);
    if (take(p, '$')) return emit(p, p->multiline ? LINE_END : END, 0, 0);
    if (take(p, '\\')) return read_backslash(p);
    if (strchr("*+?", peek(p)) && peek(p)) return bad(p, "a repetition of nothing");
    return emit_char(p, next(p));
}

static fz_status_t copy_steps(struct parser *p, uint32_t from, uint32_t n) {
    FZ_TRY(reserve(p->out, n));
    if (n) memcpy(&p->out->steps[p->out->n_steps], &p->out->steps[from],
                  n * sizeof *p->out->steps);
    p->out->n_steps += n;
    return FZ_OK;
}

/* The steps from AT on MIN to MAX times; MAX < 0: any number of times. */
static fz_status_t repeat(struct parser *p, uint32_t at, int64_t min, int64_t max) {
    uint32_t n = p->out->n_steps - at;
    if (max == 0) return p->out->n_steps = at, FZ_OK;
    for (int64_t i = 1; i < min; i++) FZ_TRY(copy_steps(p, at, n));
    if (max < 0 && min > 0) return emit(p, SPLIT, -(int32_t)n, 1);
    if (max < 0) {
        FZ_TRY(insert(p, at, SPLIT, 1, (int32_t)n + 2));
        return emit(p, JUMP, -(int32_t)n - 1, 0);
    }
    if (min == 0) FZ_TRY(insert(p, at, SPLIT, 1, (int32_t)n + 1));
    uint32_t from = min ? at : at + 1;
    for (int64_t i = min ? min : 1; i < max; i++) {
        FZ_TRY(emit(p, SPLIT, 1, (int32_t)n + 1));
        FZ_TRY(copy_steps(p, from, n));
    }
    return FZ_OK;
}

static bool read_count(struct parser *p, int64_t *out) {
    size_t start = p->at;
    for (*out = 0; digit_of(peek(p)) < 10 && more(p); p->at++)
        if (*out <= REPEAT_MAX) *out = *out * 10 + digit_of(peek(p));
    return p->at > start;
}

/* {n}, {n,} or {n,m}; false, and nothing read, if it is none: then the brace is a character. */
static bool read_counts(struct parser *p, int64_t *min, int64_t *max) {
    size_t start = p->at;
    if (take(p, '{') && read_count(p, min)) {
        *max = *min;
        if (take(p, ',') && !read_count(p, max)) *max = -1;
        if (take(p, '}')) return true;
    }
    p->at = start;
    return false;
}

static fz_status_t read_repetition(struct parser *p, uint32_t at, bool *found) {
    int64_t min = 0, max = -1;
    *found = true;
    if (take(p, '*')) max = -1;
    else if (take(p, '+')) min = 1;
    else if (take(p, '?')) max = 1;
    else if (!read_counts(p, &min, &max)) {
        *found = false;
        return FZ_OK;
    }
    (void)take(p, '?'); /* lazy: the same full and longest matches */
    if (min > REPEAT_MAX || max > REPEAT_MAX || (max >= 0 && min > max))
        return bad(p, "a wrong number of repetitions");
    return repeat(p, at, min, max);
}

/* A repetition behind the quotation is one of its last character. */
static fz_status_t read_quoted(struct parser *p, uint32_t *at) {
    while (more(p) && !take_text(p, "\\E")) {
        *at = p->out->n_steps;
        FZ_TRY(emit_char(p, next(p)));
    }
    return FZ_OK;
}

static fz_status_t read_sequence(struct parser *p) {
    while (more(p) && peek(p) != '|' && peek(p) != ')') {
        uint32_t at = p->out->n_steps;
        bool repeated;
        if (take_text(p, "\\Q")) FZ_TRY(read_quoted(p, &at));
        else FZ_TRY(read_atom(p));
        FZ_TRY(read_repetition(p, at, &repeated));
        if (repeated && peek(p) && strchr("*+", peek(p)))
            return bad(p, "a repetition of a repetition");
    }
    return FZ_OK;
}

/* Each alternative but the last: SPLIT to it or behind it, and at its end a JUMP behind them all.
 * The jumps form a chain until that place is known: each holds the distance to the one before. */
static fz_status_t read_alternatives(struct parser *p) {
    uint32_t last = 0;
    bool chained = false;
    for (;;) {
        uint32_t at = p->out->n_steps;
        FZ_TRY(read_sequence(p));
        if (!take(p, '|')) break;
        FZ_TRY(insert(p, at, SPLIT, 1, (int32_t)(p->out->n_steps - at) + 2));
        uint32_t jump = p->out->n_steps;
        FZ_TRY(emit(p, JUMP, chained ? (int32_t)(jump - last) : 0, 0));
        last = jump;
        chained = true;
    }
    while (chained) {
        struct fz_regex_step *jump = &p->out->steps[last];
        uint32_t back = (uint32_t)jump->a;
        jump->a = (int32_t)(p->out->n_steps - last);
        chained = back != 0;
        last -= back;
    }
    return FZ_OK;
}

fz_status_t fzi_regex_compile(const struct fz_string *pattern, struct fz_regex *out) {
    struct parser p = {.out = out, .pattern = pattern};
    *out = (struct fz_regex){0};
    FZ_TRY(read_alternatives(&p));
    if (more(&p)) return bad(&p, "a parenthesis that was not opened");
    return emit(&p, DONE, 0, 0);
}

void fzi_regex_free(struct fz_regex *regex) {
    fzi_free(regex->steps);
    fzi_free(regex->ranges);
    *regex = (struct fz_regex){0};
}

/* ---- the machine */

/* A step that the machine is in, and where the match would begin. */
struct place {
    size_t begin;
    uint32_t step;
};

/* Places come in the order of their beginnings, so that a step is entered from the first one. */
struct machine {
    const struct fz_regex *regex;
    const struct fz_string *s;
    struct place *now, *then;
    uint32_t *stack;   /* steps */
    uint32_t *seen;    /* the round in which a step was entered */
    uint32_t n_now, n_then, round;
    bool whole;        /* only a match to the end counts */
    bool done;
    size_t begin, end; /* of the match, when done */
};

size_t fzi_regex_scratch(const struct fz_regex *regex) {
    return (size_t)regex->n_steps * (2 * sizeof(struct place) + 3 * sizeof(uint32_t));
}

static bool is_word(const struct fz_string *s, size_t at) {
    char c = at < s->size ? s->text[at] : 0;
    return c == '_' || digit_of(c) < 10 || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/* Whether AT is such a place as KIND says. */
static bool is_place(const struct fz_string *s, enum kind kind, size_t at) {
    switch (kind) {
    case BEGIN: return at == 0;
    case END: return at == s->size;
    case LINE_BEGIN: return at == 0 || s->text[at - 1] == '\n';
    case LINE_END: return at == s->size || s->text[at] == '\n';
    default: break;
    }
    bool edge = is_word(s, at) != (at > 0 && is_word(s, at - 1));
    return edge == (kind == WORD_EDGE);
}

static void push(struct machine *m, uint32_t *n, uint32_t step) {
    if (m->seen[step] == m->round) return;
    m->seen[step] = m->round;
    m->stack[(*n)++] = step;
}

static void finish(struct machine *m, size_t begin, size_t at) {
    if ((m->whole && at != m->s->size) || (m->done && m->begin < begin)) return;
    m->done = true;
    m->begin = begin;
    m->end = at;
}

/* Enters STEP and all that follows from it without a character. */
static void enter(struct machine *m, uint32_t step, size_t at, size_t begin) {
    uint32_t n = 0;
    push(m, &n, step);
    while (n > 0) {
        uint32_t i = m->stack[--n];
        const struct fz_regex_step *x = &m->regex->steps[i];
        if (x->kind == SET) m->then[m->n_then++] = (struct place){begin, i};
        else if (x->kind == DONE) finish(m, begin, at);
        else if (x->kind == JUMP) push(m, &n, i + (uint32_t)x->a);
        else if (x->kind == SPLIT) {
            push(m, &n, i + (uint32_t)x->a);
            push(m, &n, i + (uint32_t)x->b);
        } else if (is_place(m->s, x->kind, at)) push(m, &n, i + 1);
    }
}

static bool in_ranges(const struct fz_regex *r, const struct fz_regex_step *x, uint32_t c) {
    for (int32_t i = 0; i < x->b; i++)
        if (c >= r->ranges[x->a + i].first && c <= r->ranges[x->a + i].last) return true;
    return false;
}

static bool takes(const struct fz_regex *r, const struct fz_regex_step *x, uint32_t c) {
    bool found = in_ranges(r, x, c);
    if (!found && x->folds)
        found = in_ranges(r, x, fzi_text_lower(c)) || in_ranges(r, x, fzi_text_upper(c));
    return found != x->negated;
}

static struct machine start(const struct fz_regex *regex, const struct fz_string *s,
                            void *scratch) {
    size_t n = regex->n_steps;
    struct place *places = scratch;
    uint32_t *room = (uint32_t *)(places + 2 * n);
    memset(room, 0, n * sizeof *room);
    return (struct machine){.regex = regex, .s = s, .now = places, .then = places + n,
                            .seen = room, .stack = room + n, .round = 1};
}

/* Reads the character at *AT. What begins behind a match that there is need not go on. */
static void step(struct machine *m, size_t *at) {
    uint32_t c = fzi_text_next(m->s, at);
    struct place *swap = m->now;
    m->now = m->then, m->n_now = m->n_then;
    m->then = swap, m->n_then = 0;
    m->round++;
    for (uint32_t i = 0; i < m->n_now && !(m->done && m->now[i].begin > m->begin); i++)
        if (takes(m->regex, &m->regex->steps[m->now[i].step], c))
            enter(m, m->now[i].step + 1, *at, m->now[i].begin);
}

bool fzi_regex_matches(const struct fz_regex *regex, const struct fz_string *s, void *scratch) {
    struct machine m = start(regex, s, scratch);
    size_t at = 0;
    m.whole = true;
    enter(&m, 0, 0, 0);
    while (at < s->size && m.n_then) step(&m, &at);
    return at == s->size && m.done;
}

bool fzi_regex_find(const struct fz_regex *regex, const struct fz_string *s, size_t from,
                    void *scratch, size_t *begin, size_t *end) {
    struct machine m = start(regex, s, scratch);
    size_t at = from;
    enter(&m, 0, at, at);
    while (at < s->size && (m.n_then || !m.done)) {
        step(&m, &at);
        if (!m.done) enter(&m, 0, at, at);
    }
    *begin = m.begin;
    *end = m.end;
    return m.done;
}
