/* A map from names to pointers whose worst case no choice of names makes slow. */
#ifndef FZ_NAMES_H
#define FZ_NAMES_H

#include "base/base.h"

/* Zero-initialised is empty. Its memory is the arena's that fzi_names_add() is given. */
struct fz_names {
    struct fz_names_node *root;
};

/* True if KEY is in NAMES; *OUT is then what it maps to, which may be NULL. */
bool fzi_names_find(const struct fz_names *names, const char *key, void **out);
/* Maps KEY, which must outlive NAMES, to VALUE: 1, or 0 if KEY is there already (then nothing
 * changes), or -1 without memory. */
int fzi_names_add(struct fz_arena *arena, struct fz_names *names, const char *key, void *value);

#endif
