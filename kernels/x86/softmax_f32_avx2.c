/* Softmax and its logarithm for AVX2. */
#include "functions_avx2.h"

#define REST fzk_unary_f32_v3
#define NAME(kernel) fzk_##kernel##_avx2
#include "tiles/softmax_f32_tile.h"
