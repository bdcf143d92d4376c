/* The weights' side of Winograd F(2x2, 3x3), for freeze. */
#include "kernel.h"

/* G = [1 0 0; 1/2 1/2 1/2; 1/2 -1/2 1/2; 0 0 1] times a column (A, B, C); terms left to right. */
static void times_g(double out[4], double a, double b, double c) {
    out[0] = a;
    out[1] = (0.5 * a + 0.5 * b) + 0.5 * c;
    out[2] = (0.5 * a - 0.5 * b) + 0.5 * c;
    out[3] = c;
}

void fzk_winograd_weights(float u[16], const float g[9]) {
    double rows[3][4]; /* columns of G g */
    for (int j = 0; j < 3; j++)
        times_g(rows[j], (double)g[j], (double)g[3 + j], (double)g[6 + j]);
    for (int i = 0; i < 4; i++) {
        double row[4];
        times_g(row, rows[0][i], rows[1][i], rows[2][i]);
        for (int j = 0; j < 4; j++) u[i * 4 + j] = (float)row[j];
    }
}
