/* Dimensions, their parts, and what is one with what: a union-find over trees. */
#include "prune/dim.h"

struct fz_dim *fzi_dim_new(struct fz_arena *arena, int64_t size) {
    struct fz_dim *dim = fzi_arena_alloc(arena, sizeof *dim);
    if (dim) dim->size = size;
    return dim;
}

static bool give_parts(struct fz_arena *arena, struct fz_dim *dim, enum fz_dim_form form,
                       struct fz_dim *const *parts, uint32_t n) {
    dim->parts = fzi_arena_copy(arena, parts, n * sizeof *parts);
    if (!dim->parts) return false;
    dim->form = form;
    dim->n_parts = n;
    if (dim->fixed)
        for (uint32_t i = 0; i < n; i++) fzi_dim_fix(parts[i]);
    return true;
}

struct fz_dim *fzi_dim_of(struct fz_arena *arena, enum fz_dim_form form,
                          struct fz_dim *const *parts, uint32_t n) {
    if (n == 1) return parts[0];
    int64_t size = form == FZ_DIM_PRODUCT;
    for (uint32_t i = 0; i < n; i++)
        size = form == FZ_DIM_PRODUCT ? size * parts[i]->size : size + parts[i]->size;
    struct fz_dim *dim = fzi_dim_new(arena, size);
    return dim && give_parts(arena, dim, form, parts, n) ? dim : NULL;
}

struct fz_dim *fzi_dim_find(struct fz_dim *dim) {
    while (dim->same) dim = dim->same;
    return dim;
}

void fzi_dim_fix(struct fz_dim *dim) {
    dim = fzi_dim_find(dim);
    if (dim->fixed) return;
    dim->fixed = true;
    for (uint32_t i = 0; i < dim->n_parts; i++) fzi_dim_fix(dim->parts[i]);
}

bool fzi_dims_add(struct fz_arena *arena, struct fz_dims *list, struct fz_dim *dim) {
    if (list->n == list->capacity) {
        uint32_t capacity = list->capacity ? 2 * list->capacity : 8;
        struct fz_dim **items = fzi_arena_array(arena, capacity, sizeof *items);
        if (!items) return false;
        if (list->n) memcpy(items, list->items, list->n * sizeof *items);
        list->items = items;
        list->capacity = capacity;
    }
    list->items[list->n++] = dim;
    return true;
}

/* Adds DIM, or its parts if it has FORM. */
static bool flatten(struct fz_arena *arena, struct fz_dims *list, struct fz_dim *dim,
                    enum fz_dim_form form) {
    dim = fzi_dim_find(dim);
    if (dim->form != form) return fzi_dims_add(arena, list, dim);
    for (uint32_t i = 0; i < dim->n_parts; i++)
        if (!flatten(arena, list, dim->parts[i], form)) return false;
    return true;
}

bool fzi_dims_add_leaves(struct fz_arena *arena, struct fz_dims *list, struct fz_dim *dim) {
    dim = fzi_dim_find(dim);
    if (dim->form == FZ_DIM_WHOLE) return fzi_dims_add(arena, list, dim);
    for (uint32_t i = 0; i < dim->n_parts; i++)
        if (!fzi_dims_add_leaves(arena, list, dim->parts[i])) return false;
    return true;
}

/* Refines the whole dimension DIM into two parts of FORM, the first of SIZE; *OUT is it. */
static bool refine(struct fz_arena *arena, struct fz_dim *dim, enum fz_dim_form form, int64_t size,
                   struct fz_dim **first, struct fz_dim **rest) {
    *first = fzi_dim_new(arena, size);
    *rest = fzi_dim_new(arena, form == FZ_DIM_PRODUCT ? dim->size / size : dim->size - size);
    struct fz_dim *parts[] = {*first, *rest};
    return *first && *rest && give_parts(arena, dim, form, parts, 2);
}

/* ---- unify */

static void link_dims(struct fz_dim *from, struct fz_dim *to) {
    bool fixed = from->fixed || to->fixed;
    from->same = to;
    to->fixed = false;
    if (fixed) fzi_dim_fix(to);
}

static void give_up(struct fz_dim *a, struct fz_dim *b) {
    fzi_dim_fix(a);
    fzi_dim_fix(b);
}

/* Cuts the larger one of X and Y, the next parts of two equal dimensions of FORM, to the size of
 * the smaller one. False if it can't be cut there. */
static bool match(struct fz_arena *arena, enum fz_dim_form form, struct fz_dim **x,
                  struct fz_dim **x_rest, int64_t size, bool *ok) {
    struct fz_dim *big = *x;
    bool fits = big->form == FZ_DIM_WHOLE && (form == FZ_DIM_CONCAT || big->size % size == 0);
    if (!fits) return false;
    *ok = refine(arena, big, form, size, x, x_rest);
    return *ok;
}

/* Unifies the parts of A and B, both of FORM. False if they don't fit; *OK is memory. */
static bool align(struct fz_arena *arena, struct fz_dim *a, struct fz_dim *b, enum fz_dim_form form,
                  bool *ok) {
    struct fz_dims la = {0}, lb = {0};
    *ok = flatten(arena, &la, a, form) && flatten(arena, &lb, b, form);
    uint32_t i = 0, j = 0;
    struct fz_dim *x = NULL, *y = NULL, *rest = NULL;
    while (*ok && ((x || i < la.n) && (y || j < lb.n))) {
        if (!x) x = fzi_dim_find(la.items[i++]);
        if (!y) y = fzi_dim_find(lb.items[j++]);
        rest = NULL;
        if (x->size == y->size) {
            *ok = fzi_dim_unify(arena, x, y);
            x = y = NULL;
        } else if (x->size > y->size) {
            if (!match(arena, form, &x, &rest, y->size, ok)) return false;
            *ok = fzi_dim_unify(arena, x, y);
            x = rest, y = NULL;
        } else {
            if (!match(arena, form, &y, &rest, x->size, ok)) return false;
            *ok = fzi_dim_unify(arena, x, y);
            y = rest, x = NULL;
        }
    }
    return true;
}

bool fzi_dim_unify(struct fz_arena *arena, struct fz_dim *a, struct fz_dim *b) {
    a = fzi_dim_find(a);
    b = fzi_dim_find(b);
    bool ok = true;
    if (a == b) return true;
    if (a->size != b->size) return give_up(a, b), true;
    if (b->form == FZ_DIM_WHOLE) return link_dims(b, a), true;
    if (a->form == FZ_DIM_WHOLE) return link_dims(a, b), true;
    if (a->form != b->form || !align(arena, a, b, a->form, &ok)) return give_up(a, b), ok;
    /* Aligning the parts may have made them one already. */
    a = fzi_dim_find(a);
    b = fzi_dim_find(b);
    if (ok && a != b) link_dims(b, a);
    return ok;
}

/* ---- cut */

/* Makes OFFSET a boundary between the parts of DIM; *FITS is false if it can't be one. */
static bool bound(struct fz_arena *arena, struct fz_dim *dim, int64_t offset, bool *fits) {
    struct fz_dim *first, *rest;
    dim = fzi_dim_find(dim);
    *fits = true;
    if (offset == 0 || offset == dim->size) return true;
    if (dim->form == FZ_DIM_WHOLE) return refine(arena, dim, FZ_DIM_CONCAT, offset, &first, &rest);
    *fits = dim->form == FZ_DIM_CONCAT;
    if (!*fits) return true;
    for (uint32_t i = 0; i < dim->n_parts; i++) {
        if (offset <= dim->parts[i]->size) return bound(arena, dim->parts[i], offset, fits);
        offset -= dim->parts[i]->size;
    }
    return true;
}

struct fz_dim *fzi_dim_cut(struct fz_arena *arena, struct fz_dim *dim, int64_t first,
                           int64_t size) {
    bool fits, fits_too;
    dim = fzi_dim_find(dim);
    if (first == 0 && size == dim->size) return dim;
    if (!bound(arena, dim, first, &fits) || !bound(arena, dim, first + size, &fits_too))
        return NULL;
    if (!fits || !fits_too || size == 0) {
        struct fz_dim *out = fzi_dim_new(arena, size);
        fzi_dim_fix(dim);
        if (out) fzi_dim_fix(out);
        return out;
    }
    struct fz_dims parts = {0}, inside = {0};
    if (!flatten(arena, &parts, dim, FZ_DIM_CONCAT)) return NULL;
    int64_t at = 0;
    for (uint32_t i = 0; i < parts.n; at += parts.items[i++]->size)
        if (at >= first && at < first + size && !fzi_dims_add(arena, &inside, parts.items[i]))
            return NULL;
    return fzi_dim_of(arena, FZ_DIM_CONCAT, inside.items, inside.n);
}

/* ---- reshape */

/* Takes parts from the list ALL at *AT until their product is SIZE. *FITS is false where no parts
 * give it. */
static struct fz_dim *take(struct fz_arena *arena, struct fz_dims *all, uint32_t *at, int64_t size,
                           bool *fits) {
    struct fz_dims taken = {0};
    int64_t left = size;
    while (left > 1) {
        struct fz_dim *next = *at < all->n ? fzi_dim_find(all->items[*at]) : NULL;
        *fits = next && next->size > 0;
        if (!*fits) return NULL;
        if (left % next->size != 0) {
            struct fz_dim *first, *rest;
            *fits = next->form == FZ_DIM_WHOLE && next->size % left == 0;
            if (!*fits || !refine(arena, next, FZ_DIM_PRODUCT, left, &first, &rest)) return NULL;
            all->items[*at] = rest;
            if (!fzi_dims_add(arena, &taken, first)) return NULL;
            left = 1;
            continue;
        }
        if (!fzi_dims_add(arena, &taken, next)) return NULL;
        left /= next->size;
        ++*at;
    }
    return taken.n ? fzi_dim_of(arena, FZ_DIM_PRODUCT, taken.items, taken.n)
                   : fzi_dim_new(arena, size);
}

static bool give_up_reshape(struct fz_arena *arena, const struct fz_dims *in, const int64_t *sizes,
                            uint32_t n, struct fz_dim **out) {
    for (uint32_t i = 0; i < in->n; i++) fzi_dim_fix(in->items[i]);
    for (uint32_t i = 0; i < n; i++) {
        out[i] = fzi_dim_new(arena, sizes[i]);
        if (!out[i]) return false;
        fzi_dim_fix(out[i]);
    }
    return true;
}

bool fzi_dim_reshape(struct fz_arena *arena, const struct fz_dims *in, const int64_t *sizes,
                     uint32_t n, struct fz_dim **out) {
    struct fz_dims all = {0};
    uint32_t at = 0;
    for (uint32_t i = 0; i < in->n; i++)
        if (in->items[i]->size != 1 && !flatten(arena, &all, in->items[i], FZ_DIM_PRODUCT))
            return false;
    for (uint32_t i = 0; i < n; i++) {
        bool fits = sizes[i] > 0;
        if (fits) out[i] = take(arena, &all, &at, sizes[i], &fits);
        if (!fits) return give_up_reshape(arena, in, sizes, n, out);
        if (!out[i]) return false;
    }
    return true;
}

/* ---- what goes */

int64_t fzi_dim_kept(struct fz_dim *dim) {
    dim = fzi_dim_find(dim);
    if (dim->form == FZ_DIM_WHOLE) {
        int64_t n = dim->size;
        for (int64_t i = 0; dim->gone && i < dim->size; i++) n -= dim->gone[i];
        return n;
    }
    int64_t n = dim->form == FZ_DIM_PRODUCT;
    for (uint32_t i = 0; i < dim->n_parts; i++) {
        int64_t kept = fzi_dim_kept(dim->parts[i]);
        n = dim->form == FZ_DIM_PRODUCT ? n * kept : n + kept;
    }
    return n;
}

/* Walks DIM's indices [first, first + size * stride) by STRIDE, each REPEATed, and marks those
 * whose index of a leaf goes. LEAF: that leaf's I only. */
struct walk {
    uint8_t *mark;
    const struct fz_dim *leaf;
    int64_t index;
};

static bool goes(const struct walk *w, const struct fz_dim *dim, int64_t i) {
    return w->leaf ? dim == w->leaf && i == w->index : dim->gone && dim->gone[i];
}

/* OUTER copies of DIM, each index of which stands for INNER elements; DIM begins at AT of a period
 * of PERIOD elements. */
static void mark(const struct walk *w, struct fz_dim *dim, int64_t outer, int64_t period,
                 int64_t at, int64_t inner) {
    dim = fzi_dim_find(dim);
    if (dim->form == FZ_DIM_WHOLE) {
        for (int64_t o = 0; o < outer; o++)
            for (int64_t i = 0; i < dim->size; i++)
                if (goes(w, dim, i))
                    memset(w->mark + o * period + at + i * inner, 1, (size_t)inner);
        return;
    }
    if (dim->form == FZ_DIM_CONCAT) {
        for (uint32_t p = 0; p < dim->n_parts; p++) {
            mark(w, dim->parts[p], outer, period, at, inner);
            at += dim->parts[p]->size * inner;
        }
        return;
    }
    /* A product that is a part of something repeats outer * (parts before) times; each
     * repetition of the whole lies a period apart, and the inner ones follow one another. */
    for (int64_t o = 0; o < outer; o++) {
        int64_t size = dim->size * inner, before = 1;
        struct walk part = *w;
        part.mark = w->mark + o * period + at;
        for (uint32_t p = 0; p < dim->n_parts; p++) {
            size /= dim->parts[p]->size;
            mark(&part, dim->parts[p], before, size * dim->parts[p]->size, 0, size);
            before *= dim->parts[p]->size;
        }
    }
}

void fzi_dim_gone(struct fz_dim *dim, uint8_t *gone) {
    dim = fzi_dim_find(dim);
    memset(gone, 0, (size_t)dim->size);
    mark(&(struct walk){gone, NULL, 0}, dim, 1, dim->size, 0, 1);
}

void fzi_dim_hit(struct fz_dim *dim, const struct fz_dim *leaf, int64_t i, uint8_t *hit) {
    dim = fzi_dim_find(dim);
    mark(&(struct walk){hit, leaf, i}, dim, 1, dim->size, 0, 1);
}
