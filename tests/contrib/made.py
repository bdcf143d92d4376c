"""Models as ONNX Runtime's own tools make them: its quantiser (static in both formats, dynamic,
weights of 4 and 8 bits), its transformer optimiser, its half precision converter, and what its
sessions write down after optimising. Each recipe takes a Source and gives a model."""

import contextlib
import dataclasses
import io
import logging
import os
import warnings

import numpy
import onnx
import onnxruntime
from onnxruntime import quantization
from onnxruntime.quantization import QuantFormat, QuantType

import frozen

U8, S8, U16, S16 = (QuantType.QUInt8, QuantType.QInt8, QuantType.QUInt16, QuantType.QInt16)
QDQ, QOP = QuantFormat.QDQ, QuantFormat.QOperator
LEVELS = onnxruntime.GraphOptimizationLevel
BASIC, EXTENDED = LEVELS.ORT_ENABLE_BASIC, LEVELS.ORT_ENABLE_EXTENDED
LAYOUT = getattr(LEVELS, "ORT_ENABLE_LAYOUT", LEVELS.ORT_ENABLE_ALL)


@dataclasses.dataclass
class Source:
    """A float model at PATH, FEEDS to calibrate it with, a FOLDER for what is made. KIND: what the
    transformer optimiser is told, with the numbers of heads and of the hidden layer; "" if it is no
    transformer."""

    path: str
    feeds: list
    folder: str
    kind: str = ""
    heads: int = 0
    hidden: int = 0

    @property
    def name(self):
        return os.path.basename(self.path)[:-len(".onnx")]

    def place(self, suffix):
        return os.path.join(self.folder, f"{self.name}.{suffix}.onnx")


class Reader(quantization.CalibrationDataReader):
    def __init__(self, feeds):
        self._feeds = iter(feeds)

    def get_next(self):
        return next(self._feeds, None)


def prepared(source):
    """The model as the quantiser wants it: with the shapes of its values."""
    place = source.place("prepared")
    if not os.path.exists(place):
        model = onnx.shape_inference.infer_shapes(onnx.load(source.path))
        onnx.save(model, place)
    return place


# ---- the quantiser

def static(form, activations, weights, per_channel=False, **extra):
    def make(source):
        place = source.place("static")
        quantization.quantize_static(
            prepared(source), place, Reader(source.feeds), quant_format=form,
            activation_type=activations, weight_type=weights, per_channel=per_channel,
            extra_options=extra)
        return onnx.load(place)
    return make


def dynamic(weights, per_channel=False, **extra):
    def make(source):
        place = source.place("dynamic")
        quantization.quantize_dynamic(prepared(source), place, weight_type=weights,
                                      per_channel=per_channel, extra_options=extra)
        return onnx.load(place)
    return make


def narrow(bits=4, block=32, symmetric=False, form=QOP, kinds=("MatMul",)):
    def make(source):
        from onnxruntime.quantization import matmul_nbits_quantizer as tools
        model = with_products(onnx.load(source.path))
        if form == QDQ or "Gather" in kinds:  # what it writes then is of opset 21
            model = onnx.version_converter.convert_version(model, 21)
        chosen = tools.DefaultWeightOnlyQuantConfig(
            block_size=block, is_symmetric=symmetric, quant_format=form,
            op_types_to_quantize=kinds, bits=bits)
        quantiser = tools.MatMulNBitsQuantizer(model, bits=bits, algo_config=chosen)
        quantiser.process()
        return quantiser.model.model
    return make


def bnb4(kind):
    """0: FP4, 1: NF4."""
    def make(source):
        from onnxruntime.quantization.matmul_bnb4_quantizer import MatMulBnb4Quantizer
        quantiser = MatMulBnb4Quantizer(with_products(onnx.load(source.path)), kind, 32)
        quantiser.process()
        return quantiser.model.model
    return make


def with_products(model):
    """MODEL with each Gemm of constant weights as a MatMul and an Add: the narrow quantisers know no
    Gemm."""
    constants = {t.name: t for t in model.graph.initializer}
    nodes = []
    for node in model.graph.node:
        flags = {a.name: a for a in node.attribute}
        plain = node.op_type == "Gemm" and node.input[1] in constants and all(
            n not in flags or flags[n].f == 1 for n in ("alpha", "beta")) and not (
            "transA" in flags and flags["transA"].i)
        if not plain:
            nodes.append(node)
            continue
        weights = onnx.numpy_helper.to_array(constants[node.input[1]])
        if "transB" in flags and flags["transB"].i:
            weights = weights.T
        name = node.output[0] + "_weights"
        model.graph.initializer.append(onnx.numpy_helper.from_array(weights.copy(), name))
        product = node.output[0] + "_product" if len(node.input) > 2 else node.output[0]
        nodes.append(onnx.helper.make_node("MatMul", [node.input[0], name], [product],
                                           name=node.output[0] + "_matmul"))
        if len(node.input) > 2:
            nodes.append(onnx.helper.make_node("Add", [product, node.input[2]], node.output))
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    return model


# ---- the optimisers

def transformer(half=False, before=None, approximate=False, raw_mask=False):
    def make(source):
        from onnxruntime.transformers import optimizer
        from onnxruntime.transformers.fusion_options import AttentionMaskFormat, FusionOptions
        options = FusionOptions(source.kind)
        options.enable_gelu_approximation = approximate
        if raw_mask:
            options.use_raw_attention_mask(True)
            options.attention_mask_format = AttentionMaskFormat.AttentionMask
        path = source.path
        if before:
            path = source.place("before")
            onnx.save(before(source), path)
        model = optimizer.optimize_model(path, source.kind, num_heads=source.heads,
                                         hidden_size=source.hidden, optimization_options=options,
                                         opt_level=0)
        if half:
            model.convert_float_to_float16(keep_io_types=True)
        return model.model
    return make


def half(keep):
    def make(source):
        from onnxruntime.transformers import float16
        return float16.convert_float_to_float16(onnx.load(source.path), keep_io_types=keep)
    return make


def optimised(level, before=None):
    """What a session of LEVEL writes down, of the model that BEFORE makes."""
    def make(source):
        place = source.place("optimised")
        model = before(source) if before else onnx.load(source.path)
        options = quiet()
        options.graph_optimization_level = level
        options.optimized_model_filepath = place
        onnxruntime.InferenceSession(model.SerializeToString(), options,
                                     ["CPUExecutionProvider"])
        return onnx.load(place)
    return make


# Recipes by name. FLOAT and HALF keep the meaning; the others quantise.
FLOAT = {
    "basic": optimised(BASIC),
    "extended": optimised(EXTENDED),
}
HALF = {
    "half": half(True),
    "half, inputs and outputs": half(False),
}
QUANTISED = {
    "qdq u8 s8": static(QDQ, U8, S8),
    "qdq u8 s8 channels": static(QDQ, U8, S8, True),
    "qdq s8 s8 channels": static(QDQ, S8, S8, True, ActivationSymmetric=True),
    "qdq s8 s8": static(QDQ, S8, S8),
    "qdq u8 u8": static(QDQ, U8, U8),
    "qdq u16 s8": static(QDQ, U16, S8, UseQDQContribOps=True),
    "qdq s16 s8": static(QDQ, S16, S8, UseQDQContribOps=True),
    "qdq u16 u16": static(QDQ, U16, U16, UseQDQContribOps=True),
    "qdq s16 s16": static(QDQ, S16, S16, UseQDQContribOps=True),
    "qop u8 s8": static(QOP, U8, S8),
    "qop u8 s8 channels": static(QOP, U8, S8, True),
    "qop u8 u8": static(QOP, U8, U8),
    "qop s8 s8": static(QOP, S8, S8),
    "qop s8 s8 channels": static(QOP, S8, S8, True),
    "dynamic s8": dynamic(S8),
    "dynamic s8 channels": dynamic(S8, True),
    "dynamic u8": dynamic(U8),
    "basic of qdq": optimised(BASIC, static(QDQ, U8, S8)),
    "extended of qdq": optimised(EXTENDED, static(QDQ, U8, S8, True)),
    "extended of qdq s8": optimised(EXTENDED, static(QDQ, S8, S8)),
    "layout of qdq": optimised(LAYOUT, static(QDQ, U8, S8)),
    "extended of qop": optimised(EXTENDED, static(QOP, U8, S8)),
    "extended of dynamic": optimised(EXTENDED, dynamic(S8)),
}
NARROW = {
    "4 bits": narrow(),
    "4 bits symmetric": narrow(symmetric=True),
    "4 bits by 16": narrow(block=16),
    "4 bits by 128": narrow(block=128),
    "4 bits qdq": narrow(form=QDQ),
    "4 bits qdq symmetric": narrow(form=QDQ, symmetric=True),
    "4 bits and tables": narrow(kinds=("MatMul", "Gather")),
    "4 bits symmetric and tables": narrow(kinds=("MatMul", "Gather"), symmetric=True),
    "8 bits": narrow(bits=8),
    "8 bits symmetric": narrow(bits=8, symmetric=True),
    "fp4": bnb4(0),
    "nf4": bnb4(1),
}
TRANSFORMER = {
    "fused": transformer(),
    "fused of basic": transformer(before=optimised(BASIC)),
    "fused, gelu approximated": transformer(approximate=True),
    "fused, masks of keys": transformer(raw_mask=True),
}
FUSED_HALF = {"fused half": transformer(half=True)}


ALL = {**FLOAT, **HALF, **QUANTISED, **NARROW, **TRANSFORMER, **FUSED_HALF}


def recipes_for(source):
    return [name for name in ALL if source.kind or (
        name not in TRANSFORMER and name not in FUSED_HALF)]


def quiet():
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    return options


@contextlib.contextmanager
def silence():
    """The tools talk a lot."""
    logging.disable(logging.CRITICAL)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(logging.NOTSET)


def make(recipe, source):
    with silence():
        return recipe(source)


def kinds_of(model):
    """Operators of com.microsoft in MODEL."""
    return sorted({n.op_type for n in model.graph.node if n.domain == "com.microsoft"})


def run_theirs(model, feeds, literal=True):
    """ONNX Runtime's answers; LITERAL: of the nodes one by one."""
    options = quiet()
    options.intra_op_num_threads = 2
    if literal:
        options.graph_optimization_level = LEVELS.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(model, options, ["CPUExecutionProvider"])
    return [session.run(None, feed) for feed in feeds]


FLOOR = 1e-2  # what is smaller counts as this: scores near 0


def noise(want, got):
    """The error's share of the signal, by root mean squares over all answers of floats, or of
    integers where there are no others: those that are picked by floats flip. Infinite where shapes
    or types differ."""
    pairs = [(numpy.asarray(a), numpy.asarray(b))
             for row, other in zip(want, got) for a, b in zip(row, other)]
    if any(a.shape != b.shape or a.dtype != b.dtype for a, b in pairs):
        return float("inf")
    floats = [pair for pair in pairs if pair[0].dtype.kind == "f"]
    pairs = [(a.astype(float), b.astype(float)) for a, b in floats or pairs if a.size]
    error = sum(float(((a - b) ** 2).sum()) for a, b in pairs)
    signal = sum(float(numpy.maximum(a ** 2, FLOOR ** 2).sum()) for a, b in pairs)
    return (error / max(signal, 1e-30)) ** 0.5


def limit(name, loss):
    """How far two evaluations of the model that recipe NAME made may lie apart, where it lies LOSS
    from the float model: rounding, or less than what the quantisation costs."""
    if name in HALF or name in FUSED_HALF:
        return 2e-3
    return max(1e-5, 0.75 * loss) if name in QUANTISED else 1e-5


def compare(name, source, feeds):
    """Makes the model, runs it by both; what differs, the limit, the loss, operators of
    com.microsoft."""
    model = make(ALL[name], source)
    if name == "half, inputs and outputs":
        feeds = [{k: v.astype(numpy.float16) if v.dtype == numpy.float32 else v
                  for k, v in feed.items()} for feed in feeds]
    data = model.SerializeToString()
    theirs = run_theirs(data, feeds)
    plain = [[a.astype(b.dtype) if a.dtype.kind == "f" else a for a, b in zip(row, other)]
             for row, other in zip(run_theirs(source.path, feeds_for(source, feeds)), theirs)]
    with frozen.Model(data) as ours:
        answers = [list(ours.run(feed).values()) for feed in feeds]
    loss = noise(plain, theirs)
    return noise(theirs, answers), limit(name, loss), loss, kinds_of(model)


def feeds_for(source, feeds):
    """FEEDS in the types of the float model's inputs."""
    kinds = {v.name: onnx.helper.tensor_dtype_to_np_dtype(v.type.tensor_type.elem_type)
             for v in onnx.load(source.path, load_external_data=False).graph.input}
    return [{k: v.astype(kinds[k]) for k, v in feed.items()} for feed in feeds]
