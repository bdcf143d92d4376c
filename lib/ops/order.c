/* A stable merge sort of places, bottom up: no recursion, no allocation. */
#include "ops/order.h"

static void merge(const int64_t *from, int64_t *to, int64_t begin, int64_t middle, int64_t end,
                  fz_order_fn compare, const void *arg) {
    int64_t a = begin, b = middle;
    for (int64_t i = begin; i < end; i++) {
        bool left = a < middle && (b >= end || compare(arg, from[a], from[b]) <= 0);
        to[i] = left ? from[a++] : from[b++];
    }
}

void fzi_order_sort(int64_t *order, int64_t *temp, int64_t n, fz_order_fn compare,
                    const void *arg) {
    int64_t *from = order, *to = temp;
    for (int64_t width = 1; width < n; width *= 2) {
        for (int64_t begin = 0; begin < n; begin += 2 * width) {
            int64_t middle = fzi_min_i64(begin + width, n);
            merge(from, to, begin, middle, fzi_min_i64(middle + width, n), compare, arg);
        }
        int64_t *swap = from;
        from = to;
        to = swap;
    }
    if (from != order) memcpy(order, from, (size_t)n * sizeof *order);
}
