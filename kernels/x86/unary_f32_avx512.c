/* The elementwise functions that look into tables, for AVX-512. */
#include "functions_avx512.h"

#define NAME fzk_unary_f32_avx512
#define REST fzk_unary_f32_v4
#include "tiles/unary_f32_tile.h"
