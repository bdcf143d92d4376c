/* Numbers as text and back, the same in every locale: the C library's functions see digits and an
 * exponent only, never a decimal point. */
#include "ops/texts.h"

#include <stdio.h>
#include <stdlib.h>

enum { NUMBER_MAX = 48, DIGITS_MAX = 800 };

/* ---- writing */

/* A number's decimal digits: 0.D1 D2 D3 ... * 10^POINT. */
struct decimal {
    char digits[24];
    int n, point;
};

static void find_digits(double x, int n, struct decimal *out) {
    char text[64];
    snprintf(text, sizeof text, "%.*e", n - 1, x);
    out->n = 0;
    char *p = text;
    for (; *p && *p != 'e'; p++)
        if (*p >= '0' && *p <= '9') out->digits[out->n++] = *p;
    out->point = (int)strtol(p + 1, NULL, 10) + 1;
}

/* What the digits mean in the type of BITS bits. */
static double value_of(const struct decimal *d, int32_t bits) {
    char text[64];
    snprintf(text, sizeof text, "%.*se%d", d->n, d->digits, d->point - d->n);
    if (bits == 64) return strtod(text, NULL);
    float f = strtof(text, NULL);
    if (bits == 16) f = fzi_f16_to_f32(fzi_f32_to_f16(f));
    if (bits == -16) f = fzi_bf16_to_f32(fzi_f32_to_bf16(f));
    return (double)f;
}

/* The fewest digits that give X again; BITS is -16 for bfloat16. */
static void shortest(double x, int32_t bits, struct decimal *out) {
    int most = bits == 64 ? 17 : 9;
    for (int n = 1; n <= most; n++) {
        find_digits(x, n, out);
        if (value_of(out, bits) == x) break;
    }
    while (out->n > 1 && out->digits[out->n - 1] == '0') out->n--;
}

/* Within these bounds without an exponent. */
static size_t write_decimal(const struct decimal *d, char *to) {
    enum { LEAST = -3, MOST = 16 };
    size_t at = 0;
    if (d->point < LEAST || d->point > MOST) {
        to[at++] = d->digits[0];
        if (d->n > 1) to[at++] = '.';
        for (int i = 1; i < d->n; i++) to[at++] = d->digits[i];
        return at + (size_t)snprintf(to + at, NUMBER_MAX - at, "e%+03d", d->point - 1);
    }
    if (d->point <= 0) to[at++] = '0';
    for (int i = 0; i < d->point; i++) to[at++] = i < d->n ? d->digits[i] : '0';
    to[at++] = '.';
    for (int i = d->point; i < 0; i++) to[at++] = '0';
    if (d->n <= d->point) to[at++] = '0';
    for (int i = d->point > 0 ? d->point : 0; i < d->n; i++) to[at++] = d->digits[i];
    return at;
}

static size_t write_float(double x, int32_t bits, char *to) {
    struct decimal d;
    size_t at = 0;
    if (x != x) return (size_t)snprintf(to, NUMBER_MAX, "nan");
    if (__builtin_signbit(x)) to[at++] = '-';
    if (__builtin_isinf(x)) return at + (size_t)snprintf(to + at, NUMBER_MAX - at, "inf");
    shortest(x < 0 ? -x : x + 0.0, bits, &d);
    if (x == 0) d = (struct decimal){.digits = "0", .n = 1, .point = 1};
    return at + write_decimal(&d, to + at);
}

static size_t write_number(const fz_tensor_t *t, int64_t i, char *to) {
    int32_t bits = t->dtype == FZ_TYPE_BF16 ? -16 : fz_type_bits(t->dtype);
    if (fzi_type_is_float(t->dtype)) return write_float(fzi_tensor_float(t, i), bits, to);
    if (t->dtype == FZ_TYPE_BOOL)
        return (size_t)snprintf(to, NUMBER_MAX, fzi_tensor_int(t, i) ? "True" : "False");
    if (t->dtype == FZ_TYPE_U64)
        return (size_t)snprintf(to, NUMBER_MAX, "%llu",
                                (unsigned long long)((const uint64_t *)t->data)[i]);
    return (size_t)snprintf(to, NUMBER_MAX, "%lld", (long long)fzi_tensor_int(t, i));
}

fz_status_t fzi_text_from_numbers(const struct fz_env *env, const fz_tensor_t *t,
                                  struct fz_string *out) {
    char text[NUMBER_MAX];
    int64_t n = fzi_tensor_count(t);
    size_t total = 0, at = 0;
    for (int64_t i = 0; i < n; i++) total += out[i].size = write_number(t, i, text);
    char *room = fzi_text_room(env, total);
    if (!room) return FZ_E_LIMIT;
    for (int64_t i = 0; i < n; at += out[i++].size) {
        write_number(t, i, text);
        memcpy(room + at, text, out[i].size);
        out[i].text = room + at;
    }
    return FZ_OK;
}

/* ---- reading */

/* A number as it is written: sign, digits without a point, exponent. */
struct written {
    char text[DIGITS_MAX + 16]; /* "123e-2" */
    bool negative, whole;       /* whole: neither point nor exponent */
    size_t n;                   /* digits */
};

static bool is_digit(char c) { return c >= '0' && c <= '9'; }

static bool is_blank(char c) { return c == ' ' || (c >= '\t' && c <= '\r'); }

static bool is_word(const char *p, size_t n, const char *word) {
    for (size_t i = 0; i < n; i++)
        if (!word[i] || fzi_text_lower((uint8_t)p[i]) != (uint8_t)word[i]) return false;
    return n > 0 && !word[n];
}

/* The digits of a number; *SHIFT is what the exponent loses by the digits behind the point. */
static bool read_digits(const char **p, const char *end, struct written *out, int *shift) {
    bool point = false, any = false;
    *shift = 0;
    for (; *p < end && (is_digit(**p) || (**p == '.' && !point)); ++*p) {
        if (**p == '.') {
            point = true;
            continue;
        }
        any = true;
        if (out->n == DIGITS_MAX) return false;
        if (out->n == 0 && **p == '0' && !point && *p + 1 < end && is_digit((*p)[1])) continue;
        out->text[out->n++] = **p;
        *shift += point;
    }
    out->whole = !point;
    return any;
}

static bool read_exponent(const char **p, const char *end, struct written *out, int *exponent) {
    bool negative = false;
    *exponent = 0;
    if (*p == end || (**p != 'e' && **p != 'E')) return true;
    out->whole = false;
    ++*p;
    if (*p < end && (**p == '-' || **p == '+')) negative = *(*p)++ == '-';
    if (*p == end || !is_digit(**p)) return false;
    for (; *p < end && is_digit(**p); ++*p)
        if (*exponent < 100000) *exponent = 10 * *exponent + (**p - '0');
    if (negative) *exponent = -*exponent;
    return true;
}

/* False if S is no number with an end. */
static bool read_written(const char *p, const char *end, struct written *out) {
    int shift, exponent;
    if (!read_digits(&p, end, out, &shift) || !read_exponent(&p, end, out, &exponent) || p != end)
        return false;
    snprintf(out->text + out->n, sizeof out->text - out->n, "e%d", exponent - shift);
    return true;
}

static fz_status_t no_number(const struct fz_string *s) {
    return fzi_error(FZ_E_VALUE, "'%.*s' is no number", s->size < 60 ? (int)s->size : 60, s->text);
}

static void store_float(fz_tensor_t *out, int64_t i, const char *text, double special, bool minus) {
    double x = text ? strtod(text, NULL) : special;
    float f = text && out->dtype != FZ_TYPE_F64 ? strtof(text, NULL) : (float)x;
    if (minus) x = -x, f = -f;
    if (out->dtype == FZ_TYPE_F64) ((double *)out->data)[i] = x;
    else if (out->dtype == FZ_TYPE_F32) ((float *)out->data)[i] = f;
    else if (out->dtype == FZ_TYPE_F16) ((uint16_t *)out->data)[i] = fzi_f32_to_f16(f);
    else ((uint16_t *)out->data)[i] = fzi_f32_to_bf16(f);
}

static void store_int(fz_tensor_t *out, int64_t i, uint64_t x) {
    size_t width = fzi_type_width(out->dtype);
    uint8_t *to = (uint8_t *)out->data + (size_t)i * width, b8 = (uint8_t)x;
    uint16_t b16 = (uint16_t)x;
    uint32_t b32 = (uint32_t)x;
    if (out->dtype == FZ_TYPE_BOOL) b8 = x != 0;
    memcpy(to, width == 1 ? (void *)&b8 : width == 2 ? (void *)&b16 : width == 4 ? (void *)&b32
                                                                                 : (void *)&x,
           width);
}

/* The number without what stands behind its point; false if the type does not hold it. */
static bool to_int(const struct written *w, int32_t dtype, uint64_t *out) {
    int32_t bits = dtype == FZ_TYPE_BOOL ? 64 : fz_type_bits(dtype);
    bool is_signed = fzi_type_is_signed(dtype);
    uint64_t most = ~0ull >> (64 - bits + is_signed), x = 0;
    if (!w->whole) {
        double d = strtod(w->text, NULL);
        if (dtype == FZ_TYPE_BOOL) return *out = d != 0, true;
        if (!(d < 0x1p64)) return false;
        x = (uint64_t)d;
    } else
        for (size_t i = 0; i < w->n; i++)
            if (__builtin_mul_overflow(x, 10, &x) ||
                __builtin_add_overflow(x, (uint64_t)(w->text[i] - '0'), &x))
                return false;
    if (x > most + (w->negative && is_signed) || (w->negative && x && !is_signed)) return false;
    *out = w->negative ? 0 - x : x;
    return true;
}

fz_status_t fzi_text_to_number(const struct fz_string *s, fz_tensor_t *out, int64_t i) {
    const char *p = s->text, *end = p + s->size;
    struct written w;
    uint64_t x;
    w.n = 0, w.negative = false;
    while (p < end && is_blank(*p)) p++;
    while (p < end && is_blank(end[-1])) end--;
    if (p < end && (*p == '-' || *p == '+')) w.negative = *p++ == '-';
    size_t n = (size_t)(end - p);
    bool real = fzi_type_is_float(out->dtype);
    if (real && (is_word(p, n, "inf") || is_word(p, n, "infinity")))
        return store_float(out, i, NULL, __builtin_inf(), w.negative), FZ_OK;
    if (real && is_word(p, n, "nan"))
        return store_float(out, i, NULL, __builtin_nan(""), false), FZ_OK;
    if (!read_written(p, end, &w)) return no_number(s);
    if (real) return store_float(out, i, w.text, 0, w.negative), FZ_OK;
    if (!to_int(&w, out->dtype, &x)) return no_number(s);
    store_int(out, i, x);
    return FZ_OK;
}
