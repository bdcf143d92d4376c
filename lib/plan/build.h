/* Flattens a graph into a plan. */
#ifndef FZ_PLAN_BUILD_H
#define FZ_PLAN_BUILD_H

#include "ops/op.h"
#include "plan/plan.h"

/* Describes GRAPH, whose nodes are all lowered, as a plan with its tables in ARENA. Constants are
 * laid out but stay where they are. TEXTS are N_TEXTS pairs of key and text. */
fz_status_t fzi_plan_build(const struct fz_graph *graph, const char *const *texts, size_t n_texts,
                           struct fz_arena *arena, struct fz_plan_source *out);

#endif
