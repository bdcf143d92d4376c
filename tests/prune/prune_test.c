/* Pruning, from the algebra of dimensions to the files that come out. */
#include "prune_cases.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static char folder[] = "/tmp/prune_test.XXXXXX";

const char *temporary(const char *name) {
    static char paths[4][128];
    static unsigned next;
    char *path = paths[next++ % 4];
    snprintf(path, sizeof paths[0], "%s/%s", folder, name);
    return path;
}

void write_model(const char *text, const char *path) {
    struct pb model = text_model(&text, 17);
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(model.data, 1, model.size, file), model.size);
    assert_int_equal(fclose(file), 0);
    pb_free(&model);
}

static void remove_files(void) {
    static const char *const names[] = {"in.onnx", "out.onnx", "again.onnx"};
    for (size_t i = 0; i < FZ_COUNT(names); i++) unlink(temporary(names[i]));
    rmdir(folder);
}

int main(void) {
    struct CMUnitTest all[64];
    size_t n = 0;
    if (!mkdtemp(folder)) return 2;
    for (size_t i = 0; i < n_dim_cases; i++) all[n++] = dim_cases[i];
    for (size_t i = 0; i < n_fit_cases; i++) all[n++] = fit_cases[i];
    int failed = _cmocka_run_group_tests("prune", all, n, NULL, NULL);
    remove_files();
    printf("%zu passed, %d failed\n", n - (size_t)failed, failed);
    return failed != 0;
}
