/* Writes the sample plan to folder ARGV[1], in both forms that fuzz_artifact reads; the frozen
 * files behind it in the arguments too. */
#include <stdio.h>

#include <fcntl.h>
#include <unistd.h>

#include "../artifact/sample.h"

static void add(const char *folder, const char *name, int form, const uint8_t *data, size_t size) {
    char path[4096];
    snprintf(path, sizeof path, "%s/%s-%d", folder, name, form);
    FILE *file = fopen(path, "wb");
    if (!file) return;
    fputc(form, file);
    if (form == 0) fwrite(data, 1, size, file);
    const struct fz_file_header *h = (const struct fz_file_header *)data;
    for (uint32_t k = 0; form && k < FZ_SECTION_WEIGHTS; k++) {
        uint32_t n = (uint32_t)h->sections[k].size;
        fwrite(&n, 1, 4, file);
        fwrite(data + h->sections[k].off, 1, n, file);
    }
    fclose(file);
}

int main(int argc, char **argv) {
    static const char *const names[] = {"small", "big", "small-onnx", "big-onnx"};
    if (argc < 2) return 2;
    for (unsigned i = 0; i < 4; i++) {
        size_t size;
        uint8_t *data = sample_file(i, &size);
        if (!data) return 1;
        add(argv[1], names[i], 0, data, size);
        add(argv[1], names[i], 1, data, size);
        fzi_free(data);
    }
    for (int i = 2; i < argc; i++) {
        size_t size;
        char name[16];
        int fd = open(argv[i], O_RDONLY);
        uint8_t *data = fd < 0 ? NULL : sample_read(fd, &size);
        if (!data) return 1;
        snprintf(name, sizeof name, "file%d", i);
        add(argv[1], name, 1, data, size);
        fzi_free(data);
        close(fd);
    }
    return 0;
}
