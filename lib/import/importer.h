/* What the files of the import share. An import is one struct fz_importer on the stack of
 * fzi_import_file(); names and tables live in its scratch arena, the graph in the caller's. */
#ifndef FZ_IMPORTER_H
#define FZ_IMPORTER_H

#include "base/faults.h"
#include "import/import.h"
#include "import/names.h"
#include "onnx.pb-c.h"

typedef FziOnnx__ModelProto fz_pb_model;
typedef FziOnnx__GraphProto fz_pb_graph;
typedef FziOnnx__NodeProto fz_pb_node;
typedef FziOnnx__AttributeProto fz_pb_attr;
typedef FziOnnx__TensorProto fz_pb_tensor;
typedef FziOnnx__SparseTensorProto fz_pb_sparse;
typedef FziOnnx__ValueInfoProto fz_pb_value_info;
typedef FziOnnx__FunctionProto fz_pb_function;
typedef FziOnnx__OperatorSetIdProto fz_pb_opset;
typedef FziOnnx__StringStringEntryProto fz_pb_entry;

/* A block of memory that constants point into. */
struct fz_source_file {
    struct fz_source_file *next;
    void *data; /* NULL: the caller's, not to be released */
    size_t size;
};

/* A side file while the import runs. */
struct fz_side_file {
    struct fz_side_file *next;
    const char *location;
    int fd;
    size_t size;
    size_t n_read;            /* bytes of all ranges so far */
    const uint8_t *whole;     /* the file, if a checksum was asked for ... */
    char sha1[41];            /* ... and its digest */
    struct fz_side_range *ranges;
};

struct fz_symbol {
    int64_t dim;  /* what stands for it in dims: its number or its bound size */
};

struct fz_importer {
    struct fz_arena *arena;
    struct fz_arena scratch;
    struct fz_source *source;     /* NULL: a lone tensor */
    const uint8_t *base;          /* the bytes that spans refer to */
    size_t base_size;
    bool may_move;                /* the bytes are ours to shift */
    bool copy_all;                /* nothing may point into the bytes */
    int folder;                   /* of the model, -1: external data are refused */
    uint64_t max_nodes, max_depth, max_elements, max_file_size;
    uint64_t n_nodes, depth;
    const fz_dim_binding_t *dims;
    size_t n_dims;
    bool *dim_used;
    struct fz_model_info *info;
    struct fz_names symbols;      /* -> struct fz_symbol */
    size_t symbols_capacity;
    struct fz_names functions;    /* "domain\nname\noverload" -> fz_pb_function */
    struct fz_names side_names;   /* location -> struct fz_side_file */
    struct fz_names range_names;  /* "location\noffset\nsize" -> its bytes */
    struct fz_side_file *side_files;
    struct fz_faults faults;      /* what is not supported: told when all of the model was seen */
};

/* The operator sets that a model or a function imports. */
struct fz_opsets {
    fz_pb_opset *const *items;
    size_t n;
};

/* A call of a function whose body is being built. */
struct fz_call {
    const struct fz_call *caller;
    const fz_pb_function *function;
    const struct fz_attr *attrs; /* of the calling node */
    uint32_t n_attrs;
};

/* Where names are looked up: a graph's or a function body's, then outwards. */
struct fz_scope {
    struct fz_scope *outer;        /* NULL: the main graph or a function's body */
    struct fz_graph *graph;        /* what nodes and values are added to */
    struct fz_names values;        /* -> struct fz_value, NULL for an absent input */
    struct fz_names given;         /* a function's outputs -> the caller's values */
    const char *prefix;            /* of the names of nodes and values, "" or "call/" */
    const struct fz_call *call;    /* NULL outside of functions */
    struct fz_opsets opsets;
};

/* No memory for SIZE bytes: FZ_E_LIMIT if it was the budget that ran out, else FZ_E_NOMEM. */
fz_status_t fzi_import_nomem(const struct fz_importer *im, size_t size);
/* FZ_OK for FZ_E_UNSUPPORTED, whose message is noted: the import goes on to find the rest. */
fz_status_t fzi_import_fault(struct fz_importer *im, fz_status_t status);
/* A copy of PREFIX and TEXT in the graph's arena, NULL without memory. */
const char *fzi_import_text(struct fz_importer *im, const char *prefix, const char *text);
/* "" for ai.onnx. */
const char *fzi_import_domain(const char *domain);

/* A TensorProto as a tensor; NAME is for messages. SHARED: the message may be read again. */
fz_status_t fzi_import_proto_tensor(struct fz_importer *im, const fz_pb_tensor *proto, bool shared,
                                    const char *name, fz_tensor_t *out);
/* A SparseTensorProto as a dense tensor. */
fz_status_t fzi_import_sparse(struct fz_importer *im, const fz_pb_sparse *proto, const char *name,
                              fz_tensor_t *out);
/* SIZE bytes of elements at DATA as T's data, in place or copied, aligned for its type. */
fz_status_t fzi_import_place(struct fz_importer *im, const uint8_t *data, bool may_move,
                             fz_tensor_t *t);
/* Reads T's dims from FIELD of the message of SIZE bytes at SPAN, and measures T. */
fz_status_t fzi_import_dims(const struct fz_importer *im, const void *span, size_t size,
                            uint32_t field, const char *name, fz_tensor_t *t);

/* Finds T's bytes in the side file that PROTO names. */
fz_status_t fzi_import_external(struct fz_importer *im, const fz_pb_tensor *proto, const char *name,
                                fz_tensor_t *t);
void fzi_import_close_side_files(struct fz_importer *im);
/* Reads the regular file FD of SIZE bytes, from OFFSET on, into DATA; FZ_E_IO names NAME. */
fz_status_t fzi_import_read(int fd, void *data, size_t size, uint64_t offset, const char *name);
/* A fresh block that the source owns, or NULL. */
void *fzi_source_block(struct fz_source *source, size_t size);

/* The declared type and shape of an input or output. STRICT: it must have an element type. */
fz_status_t fzi_import_type(struct fz_importer *im, const fz_pb_value_info *proto, bool strict,
                            fz_tensor_t *out);

/* The number of a declared type; 0 if it names none. NAME is for messages. */
fz_status_t fzi_import_type_number(const FziOnnx__TypeProto *type, const char *name, int32_t *out);

/* The attributes of PROTO, those that refer to the attributes of a function's call resolved. */
fz_status_t fzi_import_attrs(struct fz_importer *im, struct fz_scope *scope,
                             const fz_pb_node *proto, struct fz_attr **out, uint32_t *n);
/* The value of a Constant node. */
fz_status_t fzi_import_constant(struct fz_importer *im, const struct fz_attr *attrs, uint32_t n,
                                fz_tensor_t *out);

/* Builds a graph; OUTER is NULL for the main graph. */
fz_status_t fzi_import_graph(struct fz_importer *im, const fz_pb_graph *proto,
                             struct fz_scope *outer, const struct fz_opsets *opsets,
                             struct fz_graph **out);
/* Makes the values of the nodes' outputs, then the nodes. */
fz_status_t fzi_import_nodes(struct fz_importer *im, struct fz_scope *scope,
                             fz_pb_node *const *nodes, size_t n);
/* The value that NAME stands for in SCOPE; an empty name gives NULL. */
fz_status_t fzi_import_lookup(const struct fz_scope *scope, const char *name,
                              struct fz_value **out);

/* Enters the model's functions into the importer's table. */
fz_status_t fzi_import_functions(struct fz_importer *im, const fz_pb_model *model);
/* The function that PROTO calls, or NULL. */
fz_status_t fzi_import_find_function(struct fz_importer *im, const fz_pb_node *proto,
                                     const fz_pb_function **out);
/* Builds FUNCTION's body in place of the call PROTO, which has ATTRS. */
fz_status_t fzi_import_inline(struct fz_importer *im, struct fz_scope *scope,
                              const fz_pb_node *proto, const fz_pb_function *function,
                              const struct fz_attr *attrs, uint32_t n_attrs);

/* Puts GRAPH's nodes behind the producers of what they read. FZ_E_FORMAT names one of a cycle. */
fz_status_t fzi_import_sort(struct fz_importer *im, struct fz_graph *graph);

#endif
