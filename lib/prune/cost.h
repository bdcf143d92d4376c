/* What nodes cost: multiply-accumulates, and the time that they and all else take, as far as it can
 * be told without a machine. Time is counted in multiply-accumulates of a large product. */
#ifndef FZ_PRUNE_COST_H
#define FZ_PRUNE_COST_H

#include "prune/depend.h"

/* A product of dimensions and a factor. */
struct fz_cost {
    struct fz_dims dims;
    uint64_t factor;
    bool macs;      /* real multiply-accumulates; else time alone */
    int32_t vector; /* which of the dimensions vectors run along, in whole ones; -1: none */
};

enum { FZ_COSTS_PER_NODE = 3 };

/* Appends what NODE costs to COSTS, FZ_COSTS_PER_NODE at most; *N counts. False: no memory. */
bool fzi_cost_find(struct fz_depend *depend, const struct fz_node *node, struct fz_cost *costs,
                   uint32_t *n);
/* By the indices that stay. */
uint64_t fzi_cost_macs(const struct fz_cost *cost);
uint64_t fzi_cost_time(const struct fz_cost *cost);

#endif
