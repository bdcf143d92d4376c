/* The tables of the functions on binary32, for c/ and for the hand-written vector versions.
 *
 * 2^(j/8) as a sum of two numbers, so that its own rounding does not count; and for odd functions
 * that rise to 1, polynomials over 16 cells of |x|. A cell is named by the exponent and leading
 * significand bits of g = fma(|x|, scale, start): bits SHIFT to SHIFT + 3. Near a centre the
 * function is value + u (c[0] + u (c[1] + ...)), u = |x| - centre. Each centre is a number at which
 * the function is within 2^-33 of a binary32 number, value: the rounding of the last addition is
 * nearly the whole error. In the first cell, g < first, the value is |x| itself. The c are minimax
 * over their cell, rounded one after the other. */
#ifndef FZ_KERNELS_TABLES_F32_H
#define FZ_KERNELS_TABLES_F32_H

#include <stdint.h>

static const _Alignas(32) float fzk_exp2_eighths[8] = {
    0x1p0f,         0x1.172b84p0f, 0x1.306fep0f,  0x1.4bfdaep0f,
    0x1.6a09e6p0f, 0x1.8ace54p0f, 0x1.ae89fap0f, 0x1.d5818ep0f};
static const _Alignas(32) float fzk_exp2_rests[8] = {
    0,              -0x1.c15742p-27f, 0x1.4636e2p-25f,  -0x1.593abcp-25f,
    0x1.9fcef4p-26f, 0x1.15506ep-27f,  -0x1.a94b14p-26f, -0x1.822dbcp-27f};

enum { FZK_TANH_DEGREE = 6, FZK_ERF_DEGREE = 5, FZK_TANH_SHIFT = 21, FZK_ERF_SHIFT = 20 };

struct fzk_cells {
    float centre[16], value[16], c[6][16];
    float limit; /* from here on the function is 1 */
    float scale, start, first;
    uint32_t shift;
};

static const _Alignas(64) struct fzk_cells fzk_tanh_cells = {
    .centre = {0, 0x1.d8e5bap-3f, 0x1.89f9bp-2f, 0x1.13ad4cp-1f, 0x1.89f33cp-1f,
        0x1.13b086p0f, 0x1.626872p0f, 0x1.b13758p0f, 0x1.13ad66p1f, 0x1.627572p1f, 0x1.b1341ep1f,
        0x1.00005ap2f, 0x1.3b11fap2f, 0x1.89c0ecp2f, 0x1.d871aep2f, 0x1.153a8cp3f},
    .value = {0, 0x1.d0ab0ep-3f, 0x1.779f2cp-2f, 0x1.f79a5cp-2f, 0x1.4b0f2cp-1f, 0x1.9587bep-1f,
        0x1.c38cdep-1f, 0x1.de6e0ap-1f, 0x1.f2646ep-1f, 0x1.fbfd18p-1f, 0x1.fed32p-1f,
        0x1.ffa818p-1f, 0x1.fff21ep-1f, 0x1.fffedp-1f, 0x1.ffffe6p-1f, 0x1.fffffep-1f},
    .c = {{0x1.685366p-32f, 0x1.e5a49cp-1f, 0x1.bb1b8ap-1f, 0x1.842a02p-1f, 0x1.29efe2p-1f,
           0x1.7d9938p-2f, 0x1.c70cb8p-3f, 0x1.03c1c6p-3f, 0x1.ada8d8p-5f, 0x1.ff712ap-7f,
           0x1.2c87a8p-8f, 0x1.5f81e8p-10f, 0x1.bc4272p-13f, 0x1.3004p-16f, 0x1.9ff09p-20f,
           0x1.0075bcp-23f},
          {-0x1.499572p-23f, -0x1.b8bf7p-3f, -0x1.45147p-2f, -0x1.7dcc5p-2f, -0x1.814ad4p-2f,
           -0x1.2e3eep-2f, -0x1.9152e6p-3f, -0x1.e5736ap-4f, -0x1.a23d74p-5f, -0x1.fb6f56p-7f,
           -0x1.2bd6f6p-8f, -0x1.5f45ap-10f, -0x1.bc3464p-13f, -0x1.2fff52p-16f, -0x1.9e987ap-20f,
           -0x1.0a6cdap-23f},
          {-0x1.555244p-2f, -0x1.11c3dap-2f, -0x1.6059c8p-3f, -0x1.1c1046p-4f, 0x1.93fbd6p-5f,
           0x1.c0c9cp-4f, 0x1.94861ep-4f, 0x1.1874ep-4f, 0x1.07ebe4p-5f, 0x1.4cf3e8p-7f,
           0x1.8de7p-9f, 0x1.d3ab64p-11f, 0x1.2757b6p-13f, 0x1.9466aep-17f, 0x1.151c96p-20f,
           0x1.560948p-24f},
          {-0x1.56872cp-12f, 0x1.0f239ap-3f, 0x1.59ffaap-3f, 0x1.4464c2p-3f, 0x1.7f21b4p-4f,
           0x1.7c6932p-7f, -0x1.64d786p-6f, -0x1.911768p-6f, -0x1.d60116p-7f, -0x1.42719ap-8f,
           -0x1.8a4502p-10f, -0x1.d2666ep-12f, -0x1.274edp-14f, -0x1.94b5f6p-18f,
           -0x1.26c25ap-21f, -0x1.8cc2a6p-27f},
          {0x1.198754p-3f, 0x1.49c278p-4f, 0x1.126b7ap-6f, -0x1.2c2b18p-5f, -0x1.0304eep-4f,
           -0x1.338e36p-5f, -0x1.25907ap-7f, 0x1.68df4cp-9f, 0x1.1ca8dap-8f, 0x1.e72a6cp-10f,
           0x1.39d302p-11f, 0x1.78c49cp-13f, 0x1.f762ecp-16f, 0x1.589586p-19f, 0x1.cd8p-23f,
           0x1.1f893ap-26f},
          {-0x1.8ccea8p-6f, -0x1.0da03p-4f, -0x1.207c8cp-4f, -0x1.560f46p-5f, 0x1.518d4ep-10f,
           0x1.376c38p-6f, 0x1.5dccp-7f, 0x1.928906p-9f, -0x1.2e0bfep-11f, -0x1.16dd62p-11f,
           -0x1.90fab4p-13f, -0x1.f143e8p-15f, -0x1.4dd094p-17f, -0x1.c7447ap-21f,
           -0x1.238004p-26f, -0x1.9e51a6p-25f}},
    .limit = 9.1875f, .scale = 3.25f, .start = 2, .first = 2.5f, .shift = FZK_TANH_SHIFT};

static const _Alignas(64) struct fzk_cells fzk_erf_cells = {
    .centre = {0x1.ddb14ep-1f, 0x1.33254ep0f, 0x1.776e34p0f, 0x1.bbb502p0f,
        0x1.ffff2p0f, 0x1.221d3ep1f, 0x1.444418p1f, 0x1.666442p1f, 0x1.999e24p1f, 0x1.df3562p1f,
        0, 0x1.99833ap-3f, 0x1.556ceep-2f, 0x1.ddce7cp-2f, 0x1.33592p-1f, 0x1.777ecep-1f},
    .value = {0x1.a03f2ap-1f, 0x1.d20d3ep-1f, 0x1.ec80ap-1f, 0x1.f8b592p-1f, 0x1.fd9ad8p-1f,
        0x1.ff4f2ep-1f, 0x1.ffd36cp-1f, 0x1.fff62ap-1f, 0x1.ffff36p-1f, 0x1.fffffcp-1f, 0,
        0x1.c8000ap-3f, 0x1.7371dap-2f, 0x1.f6728ap-2f, 0x1.354a7ap-1f, 0x1.66935ap-1f},
    .c = {{0x1.e3d9eap-2f, 0x1.11e662p-2f, 0x1.0cff8ap-3f, 0x1.ca5684p-5f, 0x1.52a03ep-6f,
           0x1.b26e34p-8f, 0x1.e2d678p-10f, 0x1.d1f4f2p-12f, 0x1.51d544p-15f, 0x1.f0ea42p-21f,
           0x1.06eba8p-3f, 0x1.158b12p0f, 0x1.0278eap0f, 0x1.d0b23ap-1f, 0x1.92edbep-1f,
           0x1.51647cp-1f},
          {-0x1.c36df6p-2f, -0x1.489fdcp-2f, -0x1.8a7f92p-3f, -0x1.8d3544p-4f, -0x1.529fcap-5f,
           -0x1.ec4f0ep-7f, -0x1.31c632p-8f, -0x1.461c2p-10f, -0x1.0cabd4p-13f, -0x1.ccbfp-19f,
           0x1.58573ep-22f, -0x1.bbf958p-3f, -0x1.58b906p-2f, -0x1.b1a954p-2f, -0x1.e3bf4ep-2f,
           -0x1.eee146p-2f},
          {0x1.ddfdc4p-4f, 0x1.5719d2p-3f, 0x1.2806ap-3f, 0x1.7e94dep-4f, 0x1.8b10c6p-5f,
           0x1.4fc0cap-6f, 0x1.dc349ap-8f, 0x1.1cf868p-9f, 0x1.10f4e2p-12f, 0x1.0de61cp-17f,
           -0x1.812bdp-2f, -0x1.54780ap-2f, -0x1.0c0c9ap-2f, -0x1.5dcd9cp-3f, -0x1.2c206ep-4f,
           0x1.105b28p-6f},
          {0x1.7a99f6p-4f, 0x1.c76012p-8f, -0x1.522584p-5f, -0x1.8c53ep-5f, -0x1.1a1622p-5f,
           -0x1.2ba3f4p-6f, -0x1.f98706p-8f, -0x1.5d4f8p-9f, -0x1.ac7852p-12f, -0x1.0ba68ap-16f,
           0x1.4acd2ap-12f, 0x1.af5ab6p-4f, 0x1.3ecc9p-3f, 0x1.720fb2p-3f, 0x1.6f06fap-3f,
           0x1.3d1f4ep-3f},
          {-0x1.1a6a2ap-4f, -0x1.b3c5f2p-5f, -0x1.371c6ep-6f, 0x1.6706bap-8f, 0x1.a9513cp-7f,
           0x1.53022ap-7f, 0x1.6e707p-8f, 0x1.2f1a7ap-9f, 0x1.c3bfecp-12f, 0x1.a18c62p-16f,
           0x1.c60004p-4f, 0x1.77f71p-4f, 0x1.092c62p-4f, 0x1.2a17p-6f, -0x1.4d2376p-6f,
           -0x1.919382p-5f}},
    .limit = 3.96875f, .scale = 0.9375f, .start = 1.25f, .first = 1.375f, .shift = FZK_ERF_SHIFT};

#endif
