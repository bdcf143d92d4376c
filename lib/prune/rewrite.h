/* From what goes to a graph with smaller shapes. */
#ifndef FZ_PRUNE_REWRITE_H
#define FZ_PRUNE_REWRITE_H

#include "prune/depend.h"

/* Shrinks GRAPH, a copy of the one that DEPEND describes (its trace has numbered the values of both
 * alike): constants, groups, sizes of Split, bounds of Slice, targets of Reshape. */
fz_status_t fzi_rewrite(const struct fz_depend *depend, struct fz_graph *graph);
/* FZ_E_INTERNAL unless every value of TRACE's last run, over the shrunk graph, has the shape that
 * DEPEND says. */
fz_status_t fzi_rewrite_check(const struct fz_depend *depend, const struct fz_trace *trace);
/* Takes out nodes whose outputs nobody reads. */
void fzi_rewrite_clean(struct fz_graph *graph);

#endif
