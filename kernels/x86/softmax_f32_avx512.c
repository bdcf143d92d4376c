/* Softmax and its logarithm for AVX-512. */
#include "functions_avx512.h"

#define REST fzk_unary_f32_v4
#define NAME(kernel) fzk_##kernel##_avx512
#include "tiles/softmax_f32_tile.h"
