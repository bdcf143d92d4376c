/* Feeds the reader of frozen files; what it accepts is prepared for running. */
#include "base/crc32c.h"
#include "exec/model.h"
#include "image.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

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
    size_t file_size;
    uint8_t *file = image_make(data, size, &file_size);
    struct fz_model model = {0};
    if (!file) return 0;
    if (fzi_artifact_read(file, file_size, NULL, NULL, &model.plan, &model.info) == FZ_OK &&
        fzi_model_prepare(&model, NULL) == FZ_OK)
        use(&model);
    fzi_model_release(&model);
    fzi_free(file);
    return 0;
}
