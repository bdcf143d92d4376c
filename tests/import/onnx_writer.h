/* Writes ONNX messages byte by byte, good ones and ones that no honest writer would make.
 *
 * A struct pb is a message under construction. pb_msg() takes its child over, so a model is built
 * inside out and released once, at the end. */
#ifndef ONNX_WRITER_H
#define ONNX_WRITER_H

#include "import/import.h"

struct pb {
    uint8_t *data;
    size_t size, capacity;
};

void pb_free(struct pb *m);
void pb_append(struct pb *m, const void *data, size_t size);
void pb_varint(struct pb *m, uint64_t value);
void pb_int(struct pb *m, uint32_t field, int64_t value);
void pb_f32(struct pb *m, uint32_t field, float value);
void pb_f64(struct pb *m, uint32_t field, double value);
void pb_bytes(struct pb *m, uint32_t field, const void *data, size_t size);
/* Numbers of WIDTH bytes, the least byte first. */
void pb_numbers(struct pb *m, uint32_t field, const void *data, size_t size, size_t width);
void pb_text(struct pb *m, uint32_t field, const char *text);
void pb_msg(struct pb *m, uint32_t field, struct pb child);
/* One text for each part of LIST between commas; an empty LIST writes none. */
void pb_texts(struct pb *m, uint32_t field, const char *list);

/* A tensor without data, and one with raw data. DIMS is "2,3", "" for a scalar. */
struct pb pb_tensor(const char *name, int32_t dtype, const char *dims);
struct pb pb_raw_tensor(const char *name, int32_t dtype, const char *dims, const void *data,
                        size_t size);
/* A tensor input or output. A part of DIMS that is no number is a symbol, "?" has neither; NULL
 * DIMS means no shape. */
struct pb pb_value(const char *name, int32_t dtype, const char *dims);
struct pb pb_node(const char *op, const char *inputs, const char *outputs);
/* An attribute of TYPE, without its value. */
struct pb pb_attr(const char *name, int32_t type);
struct pb pb_attr_int(const char *name, int64_t value);
struct pb pb_attr_ref(const char *name, int32_t type, const char *ref);
struct pb pb_attr_graph(const char *name, struct pb graph);
/* A function of domain "f" with one node list to come. */
struct pb pb_function(const char *name, const char *inputs, const char *outputs);
struct pb pb_opset(const char *domain, int64_t version);
/* The model of IR version 8 and opset 17 around GRAPH; its functions may follow. */
struct pb pb_model(struct pb graph);

/* A small model with a bit of everything. */
struct pb pb_rich_model(void);

/* Fields of the messages. */
enum {
    MODEL_IR = 1, MODEL_PRODUCER = 2, MODEL_GRAPH = 7, MODEL_OPSET = 8, MODEL_METADATA = 14,
    MODEL_FUNCTION = 25,
    GRAPH_NODE = 1, GRAPH_NAME = 2, GRAPH_INIT = 5, GRAPH_INPUT = 11, GRAPH_OUTPUT = 12,
    GRAPH_SPARSE = 15,
    NODE_INPUT = 1, NODE_OUTPUT = 2, NODE_NAME = 3, NODE_OP = 4, NODE_ATTR = 5, NODE_DOMAIN = 7,
    ATTR_NAME = 1, ATTR_F = 2, ATTR_I = 3, ATTR_S = 4, ATTR_T = 5, ATTR_G = 6, ATTR_FLOATS = 7,
    ATTR_INTS = 8, ATTR_STRINGS = 9, ATTR_TENSORS = 10, ATTR_TYPE = 20, ATTR_REF = 21,
    ATTR_SPARSE = 22,
    TENSOR_DIMS = 1, TENSOR_TYPE = 2, TENSOR_SEGMENT = 3, TENSOR_FLOATS = 4, TENSOR_INT32S = 5,
    TENSOR_STRINGS = 6, TENSOR_INT64S = 7, TENSOR_NAME = 8, TENSOR_RAW = 9, TENSOR_DOUBLES = 10,
    TENSOR_UINT64S = 11, TENSOR_EXTERNAL = 13, TENSOR_LOCATION = 14,
    FUNCTION_INPUT = 4, FUNCTION_OUTPUT = 5, FUNCTION_ATTR = 6, FUNCTION_NODE = 7,
    FUNCTION_OPSET = 9, FUNCTION_DOMAIN = 10, FUNCTION_DEFAULT = 11,
    KIND_FLOAT = 1, KIND_INT = 2, KIND_STRING = 3, KIND_TENSOR = 4, KIND_GRAPH = 5,
    KIND_FLOATS = 6, KIND_INTS = 7, KIND_STRINGS = 8, KIND_TENSORS = 9, KIND_SPARSE = 11
};

/* ---- expectations; all of these release MODEL */

/* An imported model, until close_import(). */
struct imported {
    struct pb model;
    struct fz_arena arena;
    struct fz_source source;
    struct fz_graph *graph;
};

void open_import(struct pb model, const fz_freeze_options_t *options, struct imported *out);
void close_import(struct imported *import);
/* MODEL must be refused with STATUS and a message that contains WORDS. */
void refuse(struct pb model, fz_status_t status, const char *words);
void refuse_with(struct pb model, const fz_freeze_options_t *options, fz_status_t status,
                 const char *words);
/* MODEL may be taken or refused, but nothing may break. */
void survive(const void *data, size_t size);
/* The graph's text must be TEXT. */
void same_text(const struct fz_graph *graph, const char *text);

#endif
