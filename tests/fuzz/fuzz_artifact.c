/* Feeds the reader of frozen files. The first byte of an input chooses its form: 0, a whole file
 * whose checksums are made right before it is read; else only the sections, one after another, each
 * behind its size (4 bytes), around which the rest of a file is built. The second form lets small
 * inputs reach the verifier of plans. What is accepted is prepared for running. */
#include "../artifact/sample.h"
#include "base/crc32c.h"
#include "exec/model.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Builds a file from sections; NULL if their sizes make none. */
static uint8_t *build(const uint8_t *data, size_t size, size_t *file_size) {
    struct fz_layout l = {.n_sections = FZ_SECTION_WEIGHTS};
    const uint8_t *at[FZ_SECTION_KINDS] = {NULL};
    for (uint32_t k = 1; k <= l.n_sections && size >= 4; k++) {
        uint32_t n;
        memcpy(&n, data, 4);
        data += 4, size -= 4;
        at[k] = data;
        l.size[k] = n < size ? n : size;
        data += l.size[k], size -= l.size[k];
    }
    if (!fzi_format_layout(&l)) return NULL;
    *file_size = l.file_size;
    uint8_t *file = fzi_alloc_aligned(l.file_size);
    if (!file) return NULL;
    memset(file, 0, l.file_size);
    struct fz_file_header *h = (struct fz_file_header *)file;
    memcpy(h->magic, FZ_MAGIC, sizeof h->magic);
    memcpy(h->profile, "portable/1", 10);
    h->version = FZ_FORMAT_VERSION;
    h->n_sections = l.n_sections;
    h->file_size = l.file_size;
    h->crc_off = l.crc_off;
    h->crc_count = l.crc_count;
    for (uint32_t k = 1; k <= l.n_sections; k++) {
        h->sections[k - 1] = (struct fz_file_section){
            .kind = k, .width = fzi_format_width(k), .off = l.off[k], .size = l.size[k]};
        if (l.size[k]) memcpy(file + l.off[k], at[k], l.size[k]);
    }
    const struct fz_plan_const *consts = (void *)(file + l.off[FZ_SECTION_CONSTS]);
    for (size_t i = 0; i < l.size[FZ_SECTION_CONSTS] / sizeof *consts; i++)
        h->weight_size += consts[i].size;
    return file;
}

/* Touches what the plan promises to be there. */
static void use(struct fz_model *model) {
    struct fz_text text = {0};
    const struct fz_plan *plan = &model->plan;
    for (size_t i = 0; i < plan->n_steps; i++)
        fzi_text_add(&text, "%s %s\n", plan->strings + plan->ops[plan->steps[i].op].name,
                     plan->strings + plan->steps[i].name);
    for (size_t i = 0; i < plan->n_io; i++)
        fzi_text_add(&text, "%s\n", plan->strings + plan->io[i].name);
    fzi_text_free(&text);
    if (fzi_artifact_verify(&model->info, NULL, NULL) != FZ_OK) __builtin_trap();
    uint32_t sum = 0;
    for (size_t i = 0; i < plan->n_consts; i++)
        sum = fzi_crc32c(sum, model->const_data[i], plan->consts[i].size);
    *(volatile uint32_t *)&sum = sum;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size == 0) return 0;
    size_t file_size = size - 1;
    uint8_t *file = data[0] ? build(data + 1, size - 1, &file_size) : fzi_alloc_aligned(file_size);
    if (!file) return 0;
    if (!data[0]) memcpy(file, data + 1, file_size);
    sample_repair(file, file_size);
    struct fz_model model = {0};
    if (fzi_artifact_read(file, file_size, NULL, &model.plan, &model.info) == FZ_OK &&
        fzi_model_prepare(&model, NULL) == FZ_OK)
        use(&model);
    fzi_model_release(&model);
    fzi_free(file);
    return 0;
}
