/* libFuzzer target: any bytes as an ONNX model and as a lone tensor. Nothing may break, and what is
 * accepted must be a sound graph. seeds.c writes models to start from. */
#include "import/import.h"
#include "ops/op.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void as_model(const uint8_t *data, size_t size) {
    struct fz_arena arena = {0};
    struct fz_source source;
    struct fz_graph *graph;
    fz_dim_binding_t dims[] = {{"batch", 1}};
    fz_freeze_options_t options = {
        .size = sizeof options,
        .max_nodes = 10000,
        .max_memory = 64 << 20,
        /* The size chooses whether a binding is asked for. */
        .dims = dims,
        .n_dims = size & 1,
    };
    if (fzi_import_memory(data, size, &options, &arena, &source, &graph) == FZ_OK) {
        if (fzi_graph_check(graph) != FZ_OK) abort();
        struct fz_text text = {0};
        fzi_graph_print(graph, &text);
        fzi_text_free(&text);
    } else if (graph || source.files) {
        abort();
    }
    fzi_source_close(&source);
    fzi_arena_free(&arena);
}

static void as_tensor(const uint8_t *data, size_t size) {
    struct fz_arena arena = {.limit = 64 << 20};
    fz_tensor_t t;
    if (fzi_import_tensor(data, size, &arena, &t) == FZ_OK && !t.data) abort();
    fzi_arena_free(&arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    as_model(data, size);
    as_tensor(data, size);
    return 0;
}
