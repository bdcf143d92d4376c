/* Argument structs of the kernels, one header per family. */
#ifndef FZ_KERNELS_TYPES_H
#define FZ_KERNELS_TYPES_H

#include "gemm.h"
#include "conv.h"
#include "narrow.h"
#include "numeric.h"
#include "qgemm.h"
#include "tree.h"

#endif
