/* Writes models and tensors for fuzz_import to start from: seeds FOLDER. Small models of your own
 * may be put beside them. */
#include "../import/onnx_writer.h"

#include <stdio.h>

static int write_seed(const char *folder, const char *name, struct pb m) {
    char path[4096];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *file = fopen(path, "wb");
    size_t n = file ? fwrite(m.data, 1, m.size, file) : 0;
    int bad = !file || fclose(file) != 0 || n != m.size;
    if (bad) fprintf(stderr, "can't write %s\n", path);
    pb_free(&m);
    return bad;
}

static struct pb bound_dimension(void) {
    struct pb g = {0};
    pb_msg(&g, GRAPH_NODE, pb_node("Relu", "x", "y"));
    pb_msg(&g, GRAPH_INPUT, pb_value("x", 1, "batch,?,n"));
    pb_msg(&g, GRAPH_OUTPUT, pb_value("y", 1, NULL));
    return pb_model(g);
}

static struct pb external(void) {
    struct pb g = {0}, t = pb_tensor("w", FZ_TYPE_F32, "1"), entry = {0};
    pb_text(&entry, 1, "location");
    pb_text(&entry, 2, "side");
    pb_msg(&t, TENSOR_EXTERNAL, entry);
    pb_int(&t, TENSOR_LOCATION, 1);
    pb_msg(&g, GRAPH_INIT, t);
    pb_msg(&g, GRAPH_OUTPUT, pb_value("w", 1, NULL));
    return pb_model(g);
}

static struct pb strings(void) {
    struct pb m = pb_tensor("s", FZ_TYPE_STRING, "2");
    pb_texts(&m, TENSOR_STRINGS, "one,two");
    return m;
}

int main(int argc, char **argv) {
    if (argc != 2) return 2;
    int bad = write_seed(argv[1], "rich.onnx", pb_rich_model());
    bad |= write_seed(argv[1], "bound.onnx", bound_dimension());
    bad |= write_seed(argv[1], "external.onnx", external());
    bad |= write_seed(argv[1], "strings.pb", strings());
    bad |= write_seed(argv[1], "raw.pb", pb_raw_tensor("r", FZ_TYPE_BOOL, "3", "\1\0\2", 3));
    return bad;
}
