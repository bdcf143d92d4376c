/* Softmax and its logarithm for NEON. */
#include "functions_neon.h"

#define NAME(kernel) fzk_##kernel##_neon
#define REST fzk_unary_f32_c
#include "tiles/softmax_f32_tile.h"
