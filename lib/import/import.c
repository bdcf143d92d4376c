/* ONNX in, graph out: the entry points. */
#include "import/importer.h"

#include "base/sha256.h"
#include "import/scan.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

enum { IR_OLDEST = 3, IR_NEWEST = 14, OPSET_NEWEST = 28 };

fz_status_t fzi_import_nomem(const struct fz_importer *im, size_t size) {
    size_t used = im->arena->used, more = size < SIZE_MAX / 2 ? size + 4096 : size;
    bool full = im->arena->limit && (used >= im->arena->limit || im->arena->limit - used < more);
    if (full || (im->scratch.limit && im->scratch.limit - im->scratch.used < more))
        return fzi_error(FZ_E_LIMIT, "the model's structures and copied tensors would take more "
                         "memory than max_memory allows");
    return fzi_error(FZ_E_NOMEM, "no memory for %zu bytes", size);
}

const char *fzi_import_text(struct fz_importer *im, const char *prefix, const char *text) {
    size_t a = strlen(prefix), b = strlen(text);
    char *copy = fzi_arena_alloc(im->arena, a + b + 1);
    if (!copy) return NULL;
    memcpy(copy, prefix, a);
    memcpy(copy + a, text, b);
    return copy;
}

const char *fzi_import_domain(const char *domain) {
    return strcmp(domain, "ai.onnx") == 0 ? "" : domain;
}

/* protobuf-c's memory: fzi_alloc(), with a note of whether it failed. */
static void *pb_alloc(void *failed, size_t size) {
    void *block = fzi_alloc(size);
    if (!block) *(bool *)failed = true;
    return block;
}

static void pb_free(void *failed, void *block) {
    (void)failed;
    fzi_free(block);
}

/* Scans ROOT in the importer's bytes and unpacks its skeleton; COST gets the memory it takes. */
static fz_status_t unpack(const struct fz_importer *im, enum fz_message root, size_t max_memory,
                          ProtobufCMessage **out, size_t *cost) {
    struct fz_scan_limits limits = {(size_t)im->max_depth, im->max_nodes, max_memory};
    struct fz_skeleton skeleton;
    *out = NULL;
    FZ_TRY(fzi_scan(root, im->base, im->base_size, &limits, &skeleton));
    bool failed = false;
    ProtobufCAllocator allocator = {pb_alloc, pb_free, &failed};
    /* An empty skeleton has no bytes to point at. */
    static const uint8_t none[1];
    *out = protobuf_c_message_unpack(fzi_schema(root)->descriptor, &allocator, skeleton.size,
                                     skeleton.data ? skeleton.data : none);
    *cost = skeleton.cost;
    fzi_free(skeleton.data);
    if (*out) return FZ_OK;
    if (failed) return fzi_error(FZ_E_NOMEM, "no memory for the model's messages");
    return fzi_error(FZ_E_FORMAT, "the messages are damaged");
}

/* Gives the messages back. protobuf-c needs an allocator for that as well. */
static void release(ProtobufCMessage *message) {
    bool failed;
    ProtobufCAllocator allocator = {pb_alloc, pb_free, &failed};
    if (message) protobuf_c_message_free_unpacked(message, &allocator);
}

static uint64_t or_default(uint64_t value, uint64_t otherwise) {
    return value ? value : otherwise;
}

/* An importer with the limits of OPTIONS, which may be NULL. A limit of 0 means the default. */
static struct fz_importer importer(const fz_freeze_options_t *options, struct fz_arena *arena) {
    static const fz_freeze_options_t defaults;
    const fz_freeze_options_t *o = options ? options : &defaults;
    return (struct fz_importer){
        .arena = arena,
        .folder = -1,
        .max_nodes = or_default(o->max_nodes, 1000000),
        .max_depth = or_default(o->max_depth, 64),
        .max_elements = or_default(o->max_elements, (uint64_t)1 << 40),
        .max_file_size = or_default(o->max_file_size, (uint64_t)64 << 30),
        .dims = o->dims,
        .n_dims = o->n_dims,
    };
}

/* Kept apart from the other limits: it is split between messages, graph and tables. */
static size_t memory_limit(const fz_freeze_options_t *options) {
    uint64_t limit = or_default(options ? options->max_memory : 0, (uint64_t)4 << 30);
    return limit < SIZE_MAX / 2 ? (size_t)limit : SIZE_MAX / 2;
}

/* ---- the model */

fz_status_t fzi_import_fault(struct fz_importer *im, fz_status_t status) {
    if (status != FZ_E_UNSUPPORTED) return status;
    fzi_faults_add(&im->faults, status, NULL, fzi_error_text(), NULL);
    return FZ_OK;
}

/* Newer IR versions may mean other things by the same fields, so they are refused. */
static fz_status_t check_versions(const fz_pb_model *model) {
    if (model->ir_version <= 0 || !model->graph)
        return fzi_error(FZ_E_FORMAT, "this is no ONNX model: it has no %s",
                         model->graph ? "IR version" : "graph");
    if (model->ir_version < IR_OLDEST || model->ir_version > IR_NEWEST)
        return fzi_error(FZ_E_UNSUPPORTED,
                         "the model has IR version %lld; %d to %d are supported: re-export it",
                         (long long)model->ir_version, IR_OLDEST, IR_NEWEST);
    return FZ_OK;
}

/* Used by models and functions alike: no domain twice, ai.onnx in range. */
static fz_status_t check_opsets(const struct fz_opsets *opsets) {
    for (size_t i = 0; i < opsets->n; i++) {
        const char *domain = fzi_import_domain(opsets->items[i]->domain);
        int64_t version = opsets->items[i]->version;
        if (!*domain && (version < 1 || version > OPSET_NEWEST))
            return fzi_error(FZ_E_UNSUPPORTED,
                             "the model needs opset %lld of ai.onnx; 1 to %d are supported: "
                             "re-export it at opset %d, or convert it",
                             (long long)version, OPSET_NEWEST, OPSET_NEWEST);
        if (version < 0 || version > INT32_MAX)
            return fzi_error(FZ_E_FORMAT, "domain '%s' has opset %lld", domain, (long long)version);
        for (size_t j = 0; j < i; j++)
            if (strcmp(domain, fzi_import_domain(opsets->items[j]->domain)) == 0 &&
                opsets->items[j]->version != version)
                return fzi_error(FZ_E_FORMAT, "domain '%s' is imported twice", domain);
    }
    return FZ_OK;
}

/* Keys and values alternate in the list. */
static fz_status_t set_metadata(struct fz_importer *im, const fz_pb_model *model) {
    struct fz_model_info *info = im->info;
    size_t n = model->n_metadata_props;
    info->metadata = fzi_arena_array(im->arena, n, 2 * sizeof *info->metadata);
    if (!info->metadata) return fzi_import_nomem(im, n * 2 * sizeof *info->metadata);
    for (size_t i = 0; i < n; i++) {
        const fz_pb_entry *entry = model->metadata_props[i];
        const char *texts[2] = {entry->key, entry->value};
        for (int k = 0; k < 2; k++) {
            const char *copy = fzi_import_text(im, "", texts[k]);
            if (!copy) return fzi_import_nomem(im, strlen(texts[k]));
            info->metadata[2 * i + (size_t)k] = (struct fz_string){copy, strlen(copy)};
        }
    }
    info->n_metadata = (uint32_t)n;
    return FZ_OK;
}

/* What the frozen file's provenance says about where the model is from. */
static fz_status_t set_info(struct fz_importer *im, const fz_pb_model *model) {
    struct fz_model_info *info = im->info;
    info->ir_version = model->ir_version;
    info->producer = fzi_import_text(im, "", model->producer_name);
    info->producer_version = fzi_import_text(im, "", model->producer_version);
    info->doc = fzi_import_text(im, "", model->doc_string);
    info->graph_name = fzi_import_text(im, "", model->graph->name);
    if (!info->producer || !info->producer_version || !info->doc || !info->graph_name)
        return fzi_import_nomem(im, strlen(model->doc_string));
    return set_metadata(im, model);
}

/* A binding that can't be right is the caller's mistake, whatever the model is. */
static fz_status_t check_bindings(const struct fz_importer *im) {
    for (size_t i = 0; i < im->n_dims; i++)
        if (!im->dims[i].name || im->dims[i].value < 0)
            return fzi_error(FZ_E_USAGE, "dimension binding %zu has no name or a negative size", i);
    return FZ_OK;
}

/* A binding that no dimension has used is a misspelt name, most likely. */
static fz_status_t check_bindings_used(const struct fz_importer *im) {
    for (size_t i = 0; i < im->n_dims; i++)
        if (!im->dim_used[i])
            return fzi_error(FZ_E_USAGE, "the model has no dimension '%s' to bind",
                             im->dims[i].name);
    return FZ_OK;
}

/* From messages to the graph. Everything that it refuses leaves arenas to their owners. */
static fz_status_t build(struct fz_importer *im, const fz_pb_model *model, struct fz_graph **out) {
    struct fz_opsets opsets = {model->opset_import, model->n_opset_import};
    FZ_TRY(check_versions(model));
    FZ_TRY(check_opsets(&opsets));
    for (size_t i = 0; i < model->n_functions; i++)
        FZ_TRY(check_opsets(&(struct fz_opsets){model->functions[i]->opset_import,
                                                model->functions[i]->n_opset_import}));
    FZ_TRY(check_bindings(im));
    im->dim_used = fzi_arena_array(&im->scratch, im->n_dims, sizeof *im->dim_used);
    if (!im->dim_used) return fzi_import_nomem(im, im->n_dims);
    FZ_TRY(fzi_import_functions(im, model));
    FZ_TRY(fzi_import_graph(im, model->graph, NULL, &opsets, out));
    FZ_TRY(fzi_faults_raise(&im->faults));
    FZ_TRY(set_info(im, model));
    return check_bindings_used(im);
}

/* Imports the model in the importer's bytes; the graph's memory comes out of MAX_MEMORY too. */
static fz_status_t run(struct fz_importer *im, size_t max_memory, struct fz_graph **out) {
    ProtobufCMessage *message;
    size_t cost, old_limit = im->arena->limit;
    FZ_TRY(unpack(im, FZ_MSG_MODEL, max_memory, &message, &cost));
    size_t rest = max_memory - (cost < max_memory ? cost : max_memory - 1);
    size_t limit = im->arena->used + rest;
    im->arena->limit = old_limit && old_limit < limit ? old_limit : limit;
    im->scratch.limit = rest;
    fz_status_t status = build(im, (const fz_pb_model *)message, out);
    /* What comes of leaving out what is not supported is no news. */
    if (fzi_fault_is(status) && im->faults.n) status = fzi_faults_raise(&im->faults);
    fzi_faults_free(&im->faults);
    im->arena->limit = old_limit;
    fzi_import_close_side_files(im);
    fzi_arena_free(&im->scratch);
    release(message);
    if (status != FZ_OK) *out = NULL;
    return status;
}

fz_status_t fzi_import_memory(const void *data, size_t size, const fz_freeze_options_t *options,
                              struct fz_arena *arena, struct fz_source *source,
                              struct fz_graph **out) {
    *out = NULL;
    *source = (struct fz_source){0};
    struct fz_importer im = importer(options, arena);
    if (!size) return fzi_error(FZ_E_FORMAT, "this is no ONNX model: it is empty");
    if (size > im.max_file_size)
        return fzi_error(FZ_E_LIMIT, "the model has %zu bytes (max_file_size)", size);
    source->onnx = data;
    source->onnx_size = size;
    fzi_sha256(data, size, source->digest);
    im.source = source;
    im.base = data;
    im.base_size = size;
    fz_status_t status = run(&im, memory_limit(options), out);
    if (status != FZ_OK) fzi_source_close(source);
    return status;
}

/* ---- the file */

/* Opens the model for reading and learns its size. O_NONBLOCK keeps a FIFO from blocking; what is
 * no regular file is refused right after. */
static fz_status_t open_model(const char *path, uint64_t max_size, int *out, size_t *size) {
    struct stat st;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    if (fd < 0) return fzi_error(FZ_E_IO, "can't open '%s': %s", path, strerror(errno));
    fz_status_t status = FZ_OK;
    if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
        status = fzi_error(FZ_E_IO, "'%s' is no regular file", path);
    else if (st.st_size <= 0)
        status = fzi_error(FZ_E_FORMAT, "'%s' is no ONNX model: it is empty", path);
    else if ((uint64_t)st.st_size > max_size || (uint64_t)st.st_size > SIZE_MAX / 2)
        status = fzi_error(FZ_E_LIMIT, "'%s' has %lld bytes (max_file_size)", path,
                           (long long)st.st_size);
    if (status != FZ_OK) {
        close(fd);
        return status;
    }
    *out = fd;
    *size = (size_t)st.st_size;
    return FZ_OK;
}

/* Reads the whole model into a block of SOURCE: a mapped file could change under the import. */
static fz_status_t load(const char *path, uint64_t max_size, struct fz_source *source) {
    int fd = -1;
    size_t size = 0;
    FZ_TRY(open_model(path, max_size, &fd, &size));
    void *data = fzi_source_block(source, size);
    fz_status_t status = data ? fzi_import_read(fd, data, size, 0, path)
                              : fzi_error(FZ_E_NOMEM, "no memory for the %zu bytes of '%s'", size,
                                          path);
    close(fd);
    if (status != FZ_OK) return status;
    source->onnx = data;
    source->onnx_size = size;
    fzi_sha256(data, size, source->digest);
    return FZ_OK;
}

/* The folder that side files are looked up in, or -1. */
static int open_folder(struct fz_arena *scratch, const char *path) {
    const char *slash = strrchr(path, '/');
    char *folder = fzi_arena_string(scratch, slash ? path : ".");
    if (!folder) return -1;
    if (slash) folder[slash == path ? 1 : slash - path] = 0;
    return open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

fz_status_t fzi_import_file(const char *path, const fz_freeze_options_t *options,
                            struct fz_arena *arena, struct fz_source *source,
                            struct fz_graph **out) {
    *out = NULL;
    *source = (struct fz_source){0};
    struct fz_importer im = importer(options, arena);
    fz_status_t status = load(path, im.max_file_size, source);
    if (status == FZ_OK) {
        im.source = source;
        im.base = source->onnx;
        im.base_size = source->onnx_size;
        /* The original bytes must survive if they are to be stored. */
        im.may_move = !(options && options->flags & FZ_FREEZE_KEEP_ONNX);
        im.folder = open_folder(&im.scratch, path);
        status = run(&im, memory_limit(options), out);
        if (im.folder >= 0) close(im.folder);
        fzi_arena_free(&im.scratch);
    }
    if (status != FZ_OK) fzi_source_close(source);
    return status;
}

/* ---- a lone tensor */

fz_status_t fzi_import_tensor(const void *data, size_t size, struct fz_arena *arena,
                              fz_tensor_t *out) {
    *out = (fz_tensor_t){0};
    struct fz_importer im = importer(NULL, arena);
    static const uint8_t none[1];
    im.base = size ? data : none;
    im.base_size = size;
    im.copy_all = true;
    ProtobufCMessage *message;
    size_t cost;
    FZ_TRY(unpack(&im, FZ_MSG_TENSOR, memory_limit(NULL), &message, &cost));
    const fz_pb_tensor *proto = (const fz_pb_tensor *)message;
    fz_status_t status = fzi_import_proto_tensor(&im, proto, true, proto->name, out);
    fzi_arena_free(&im.scratch);
    release(message);
    if (status != FZ_OK) *out = (fz_tensor_t){0};
    return status;
}
