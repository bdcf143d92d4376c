/* fz verify on a host that computes other bits: WRONG names the kernel that is spoiled. */
#include "../../lib/cli/cli.h"

int main(int argc, char **argv) { return verb_verify(argc - 1, argv + 1); }
