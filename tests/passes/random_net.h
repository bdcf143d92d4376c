/* Random graphs of many nodes as text. */
#ifndef PASSES_RANDOM_NET_H
#define PASSES_RANDOM_NET_H

#include "base/base.h"

/* Writes net number SEED: of floats, or of BYTES, whose operators keep their bits in every form. */
void random_net(bool bytes, uint64_t seed, struct fz_text *out);

#endif
