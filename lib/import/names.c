/* A crit-bit tree of NUL-terminated keys: a lookup costs at most the bits of its key, whatever the
 * other keys are, so a file can't choose names that collide. */
#include "import/names.h"

struct fz_names_node {
    const char *key; /* of a leaf; NULL: a fork */
    void *value;
    size_t byte; /* a fork: the first byte in which its keys differ ... */
    uint8_t bit; /* ... and the highest differing bit of it, as a mask */
    struct fz_names_node *child[2];
};

/* Which child of FORK the key of SIZE bytes belongs to. A key goes on with NULs. */
static int side(const struct fz_names_node *fork, const char *key, size_t size) {
    uint8_t c = fork->byte < size ? (uint8_t)key[fork->byte] : 0;
    return (c & fork->bit) != 0;
}

/* The only leaf that can hold KEY. */
static struct fz_names_node *leaf_of(const struct fz_names *names, const char *key, size_t size) {
    struct fz_names_node *node = names->root;
    while (node && !node->key) node = node->child[side(node, key, size)];
    return node;
}

bool fzi_names_find(const struct fz_names *names, const char *key, void **out) {
    struct fz_names_node *leaf = leaf_of(names, key, strlen(key));
    if (!leaf || strcmp(leaf->key, key) != 0) return false;
    *out = leaf->value;
    return true;
}

/* Puts LEAF beside the subtree that it first differs from, at FORK's byte and bit. */
static void insert(struct fz_names *names, struct fz_names_node *fork, struct fz_names_node *leaf) {
    size_t size = strlen(leaf->key);
    struct fz_names_node **at = &names->root;
    while (!(*at)->key && ((*at)->byte < fork->byte ||
                           ((*at)->byte == fork->byte && (*at)->bit > fork->bit)))
        at = &(*at)->child[side(*at, leaf->key, size)];
    int own = side(fork, leaf->key, size);
    fork->child[own] = leaf;
    fork->child[!own] = *at;
    *at = fork;
}

/* The nearest key tells where the new one first differs: there a fork goes in. */
int fzi_names_add(struct fz_arena *arena, struct fz_names *names, const char *key, void *value) {
    const struct fz_names_node *near = leaf_of(names, key, strlen(key));
    size_t byte = 0;
    if (near) {
        while (key[byte] && key[byte] == near->key[byte]) byte++;
        if (key[byte] == near->key[byte]) return 0;
    }
    struct fz_names_node *leaf = fzi_arena_alloc(arena, sizeof *leaf);
    struct fz_names_node *fork = near ? fzi_arena_alloc(arena, sizeof *fork) : NULL;
    if (!leaf || (near && !fork)) return -1;
    leaf->key = key;
    leaf->value = value;
    if (near) {
        unsigned differ = (uint8_t)key[byte] ^ (uint8_t)near->key[byte];
        fork->byte = byte;
        fork->bit = (uint8_t)(1u << (31 - __builtin_clz(differ)));
        insert(names, fork, leaf);
    } else {
        names->root = leaf;
    }
    return 1;
}
