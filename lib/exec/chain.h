/* Chains: neighbouring steps that run together, band of rows by band of rows, so that what passes
 * between them stays in a near cache and never is a whole image.
 *
 * A chain is a schedule, no part of the plan: a row's bits do not depend on the band it is computed
 * in. Of each value inside only a window of rows exists. Threads share the rows of the chain's last
 * output; the few rows that both sides of a cut need are computed twice. */
#ifndef FZ_EXEC_CHAIN_H
#define FZ_EXEC_CHAIN_H

#include "exec/session.h"

struct fz_chain;

/* Finds chains in B's steps of the main block, whose shapes are known, for THREADS threads. Fills
 * b->chain_of: for each step its chain or NULL. Its memory is B's. */
fz_status_t fzi_chain_find(struct fz_session *session, struct fz_binding *b);

/* The first step of CHAIN and how many it has. */
uint32_t fzi_chain_first(const struct fz_chain *chain);
uint32_t fzi_chain_steps(const struct fz_chain *chain);
/* Bytes of the arena that the windows and scratch need, and where they are: OFF from its start. */
size_t fzi_chain_size(const struct fz_chain *chain);
void fzi_chain_place(struct fz_chain *chain, uint64_t off);

/* Runs all steps of CHAIN; the arena begins at ARENA. A failure names its step. */
fz_status_t fzi_chain_run(struct fz_session *session, struct fz_chain *chain, char *arena);

#endif
