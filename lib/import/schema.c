/* The messages and fields of ONNX that are kept, in tables for the scan. They say the same as
 * onnx.proto and add how often a field may occur. */
#include "import/scan.h"

#include "onnx.pb-c.h"

enum {
    MANY = 0x7FFFFFFF, /* bounded by the memory limit only */
    N_OPERANDS = 65536,
    N_ATTRIBUTES = 1024,
    N_DIMS = 1024,
    N_ENTRIES = 65536,
    N_OPSETS = 256
};

/* Rows: fields that occur once, and lists with how often they may. */
#define INT(number) {number, FZ_KIND_INT, 0, 1}
#define TEXT(number) {number, FZ_KIND_TEXT, 0, 1}
#define TEXTS(number, limit) {number, FZ_KIND_TEXT, 0, limit}
#define ONE(number, message) {number, FZ_KIND_MESSAGE, FZ_MSG_##message, 1}
#define LIST(number, message, limit) {number, FZ_KIND_MESSAGE, FZ_MSG_##message, limit}

static const struct fz_schema schemas[FZ_N_MSG] = {
    [FZ_MSG_MODEL] = {"ModelProto", &fzi_onnx__model_proto__descriptor,
        {INT(1), TEXT(2), TEXT(3), TEXT(6), ONE(7, GRAPH), LIST(8, OPSET, N_OPSETS),
         LIST(14, ENTRY, N_ENTRIES), LIST(25, FUNCTION, MANY)}, 8, false},
    [FZ_MSG_GRAPH] = {"GraphProto", &fzi_onnx__graph_proto__descriptor,
        {LIST(1, NODE, MANY), TEXT(2), LIST(5, TENSOR, MANY), LIST(11, VALUE_INFO, N_OPERANDS),
         LIST(12, VALUE_INFO, N_OPERANDS), LIST(15, SPARSE, MANY)}, 6, false},
    [FZ_MSG_NODE] = {"NodeProto", &fzi_onnx__node_proto__descriptor,
        {TEXTS(1, N_OPERANDS), TEXTS(2, N_OPERANDS), TEXT(3), TEXT(4),
         LIST(5, ATTRIBUTE, N_ATTRIBUTES), TEXT(7), TEXT(8)}, 7, false},
    [FZ_MSG_ATTRIBUTE] = {"AttributeProto", &fzi_onnx__attribute_proto__descriptor,
        {TEXT(1), {2, FZ_KIND_FLOAT, 0, 1}, INT(3), {4, FZ_KIND_BYTES, 0, 1}, ONE(5, TENSOR),
         ONE(6, GRAPH), LIST(10, TENSOR, MANY), LIST(11, GRAPH, MANY), ONE(14, TYPE), INT(20),
         TEXT(21), ONE(22, SPARSE)}, 12, true},
    [FZ_MSG_TENSOR] = {"TensorProto", &fzi_onnx__tensor_proto__descriptor,
        {INT(2), LIST(3, EMPTY, MANY), TEXT(8), LIST(13, ENTRY, 64), INT(14)}, 5, true},
    [FZ_MSG_SPARSE] = {"SparseTensorProto", &fzi_onnx__sparse_tensor_proto__descriptor,
        {ONE(1, TENSOR), ONE(2, TENSOR)}, 2, true},
    [FZ_MSG_VALUE_INFO] = {"ValueInfoProto", &fzi_onnx__value_info_proto__descriptor,
        {TEXT(1), ONE(2, TYPE)}, 2, false},
    [FZ_MSG_TYPE] = {"TypeProto", &fzi_onnx__type_proto__descriptor,
        {ONE(1, TENSOR_TYPE), ONE(4, HOLDER_TYPE), ONE(5, MAP_TYPE), ONE(7, EMPTY), ONE(8, EMPTY),
         ONE(9, HOLDER_TYPE)}, 6, false},
    [FZ_MSG_HOLDER_TYPE] = {"TypeProto.Sequence", &fzi_onnx__holder_type_proto__descriptor,
        {ONE(1, TYPE)}, 1, false},
    [FZ_MSG_MAP_TYPE] = {"TypeProto.Map", &fzi_onnx__map_type_proto__descriptor,
        {INT(1), ONE(2, TYPE)}, 2, false},
    [FZ_MSG_TENSOR_TYPE] = {"TypeProto.Tensor", &fzi_onnx__tensor_type_proto__descriptor,
        {INT(1), ONE(2, SHAPE)}, 2, false},
    [FZ_MSG_SHAPE] = {"TensorShapeProto", &fzi_onnx__tensor_shape_proto__descriptor,
        {LIST(1, DIM, N_DIMS)}, 1, false},
    [FZ_MSG_DIM] = {"TensorShapeProto.Dimension", &fzi_onnx__dimension_proto__descriptor,
        {INT(1), TEXT(2)}, 2, false},
    [FZ_MSG_OPSET] = {"OperatorSetIdProto", &fzi_onnx__operator_set_id_proto__descriptor,
        {TEXT(1), INT(2)}, 2, false},
    [FZ_MSG_ENTRY] = {"StringStringEntryProto", &fzi_onnx__string_string_entry_proto__descriptor,
        {TEXT(1), TEXT(2)}, 2, false},
    [FZ_MSG_FUNCTION] = {"FunctionProto", &fzi_onnx__function_proto__descriptor,
        {TEXT(1), TEXTS(4, N_OPERANDS), TEXTS(5, N_OPERANDS), TEXTS(6, N_ATTRIBUTES),
         LIST(7, NODE, MANY), LIST(9, OPSET, N_OPSETS), TEXT(10),
         LIST(11, ATTRIBUTE, N_ATTRIBUTES), TEXT(13)}, 9, false},
    [FZ_MSG_EMPTY] = {"an unused message", &fzi_onnx__empty__descriptor, {{0, 0, 0, 0}}, 0, false},
};

const struct fz_schema *fzi_schema(enum fz_message message) { return &schemas[message]; }
