"""Operators of com.microsoft, one at a time, against ONNX Runtime."""

import agree
import numpy
import pytest

import frozen

F32 = numpy.float32
check = agree.check


def rng(seed=1):
    return numpy.random.default_rng(seed)


def floats(*shape, seed=1):
    return rng(seed).uniform(-1, 1, shape).astype(F32)


def integers(kind, *shape, seed=1):
    limits = numpy.iinfo(kind)
    return rng(seed).integers(limits.min, limits.max + 1, shape).astype(kind)


def scale(value):
    return numpy.array(value, F32)


def zero(kind, value):
    return numpy.array(value, kind)


BYTES = [(numpy.uint8, 128), (numpy.int8, -3)]


@pytest.mark.parametrize("op", ["QLinearAdd", "QLinearMul"])
@pytest.mark.parametrize("kind,z", BYTES)
@pytest.mark.parametrize("other", [(2, 3, 5), (5,), (1,)])
def test_two(op, kind, z, other):
    check(op, {"a": integers(kind, 2, 3, 5), "as": scale(0.02), "az": zero(kind, z),
               "b": integers(kind, *other, seed=2), "bs": scale(0.03), "bz": zero(kind, z + 1),
               "cs": scale(0.05), "cz": zero(kind, z)},
          constants=("as", "az", "bs", "bz", "cs", "cz"), unit=1)


@pytest.mark.parametrize("kind,z", BYTES)
def test_where(kind, z):
    check("QLinearWhere", {"c": rng().integers(0, 2, (3, 4)).astype(bool),
                           "x": integers(kind, 3, 4), "xs": scale(0.02), "xz": zero(kind, z),
                           "y": integers(kind, 3, 4, seed=2), "ys": scale(0.03),
                           "yz": zero(kind, z), "zs": scale(0.04), "zz": zero(kind, z)},
          ("out",), constants=("xs", "xz", "ys", "yz", "zs", "zz"), unit=1)


@pytest.mark.parametrize("kind,z", BYTES)
@pytest.mark.parametrize("axis", [1, -1])
def test_concat(kind, z, axis):
    check("QLinearConcat", {"ys": scale(0.03), "yz": zero(kind, z),
                            "a": integers(kind, 2, 3, 3), "as": scale(0.02), "az": zero(kind, z),
                            "b": integers(kind, 2, 3, 3, seed=2), "bs": scale(0.03),
                            "bz": zero(kind, z)},
          constants=("ys", "yz", "as", "az", "bs", "bz"), unit=1, axis=axis)


@pytest.mark.parametrize("kind,z", BYTES)
@pytest.mark.parametrize("last", [0, 1])
@pytest.mark.parametrize("pads,inside", [([0, 0, 0, 0], 0), ([1, 1, 1, 1], 0), ([1, 0, 0, 1], 1)])
def test_average_pool(kind, z, last, pads, inside):
    check("QLinearAveragePool",
          {"x": integers(kind, 2, 6, 7, 5), "xs": scale(0.02), "xz": zero(kind, z),
           "ys": scale(0.015), "yz": zero(kind, z)}, constants=("xs", "xz", "ys", "yz"), unit=1,
          kernel_shape=[3, 2], pads=pads, strides=[2, 1], count_include_pad=inside,
          channels_last=last)


@pytest.mark.parametrize("kind,z", BYTES)
@pytest.mark.parametrize("last", [0, 1])
def test_global_average_pool(kind, z, last):
    check("QLinearGlobalAveragePool",
          {"x": integers(kind, 2, 6, 7, 5), "xs": scale(0.02), "xz": zero(kind, z),
           "ys": scale(0.005), "yz": zero(kind, z)}, constants=("xs", "xz", "ys", "yz"), unit=1,
          channels_last=last)


@pytest.mark.parametrize("kind,z", BYTES)
@pytest.mark.parametrize("op,attributes", [("QLinearSigmoid", {}),
                                           ("QLinearLeakyRelu", {"alpha": 0.1})])
def test_one(kind, z, op, attributes):
    check(op, {"x": integers(kind, 300), "xs": scale(0.05), "xz": zero(kind, z),
               "ys": scale(1 / 256 if op == "QLinearSigmoid" else 0.05),
               "yz": zero(kind, 0 if kind == numpy.uint8 else -128)},
          constants=("xs", "xz", "ys", "yz"), unit=1, **attributes)


@pytest.mark.parametrize("kind,z", BYTES)
@pytest.mark.parametrize("axis,opset", [(-1, 13), (1, 13), (1, 12)])
def test_softmax(kind, z, axis, opset):
    check("QLinearSoftmax", {"x": integers(kind, 3, 4, 5), "xs": scale(0.05), "xz": zero(kind, z),
                             "ys": scale(1 / 256),
                             "yz": zero(kind, 0 if kind == numpy.uint8 else -128)},
          constants=("xs", "xz", "ys", "yz"), unit=1, axis=axis, opset=opset)


@pytest.mark.parametrize("quantised", [True, False])
@pytest.mark.parametrize("per_column", [True, False])
@pytest.mark.parametrize("ta,tb", [(0, 0), (0, 1), (1, 1)])
def test_gemm(quantised, per_column, ta, tb):
    a, b = integers(numpy.uint8, 4, 6), integers(numpy.int8, 6, 5)
    n = 5 if per_column else 1
    scales = numpy.linspace(0.01, 0.02, n).astype(F32) if per_column else scale(0.01)
    zeros = numpy.zeros(n, numpy.int8) if per_column else zero(numpy.int8, 0)
    inputs = {"a": a.T.copy() if ta else a, "as": scale(0.02), "az": zero(numpy.uint8, 120),
              "b": b.T.copy() if tb else b, "bs": scales, "bz": zeros,
              "c": rng().integers(-5000, 5000, 5).astype(numpy.int32),
              "ys": scale(0.05) if quantised else None,
              "yz": zero(numpy.uint8, 128) if quantised else None}
    constants = [n for n in inputs if n != "a" and inputs[n] is not None]
    check("QGemm", inputs, constants=constants, unit=1, transA=ta, transB=tb)


@pytest.mark.parametrize("kind", [numpy.uint8, numpy.int8])
def test_nhwc_max_pool(kind):
    check("NhwcMaxPool", {"x": integers(kind, 1, 9, 8, 5)}, kernel_shape=[3, 2],
          strides=[2, 2], pads=[1, 0, 1, 0])


@pytest.mark.parametrize("kind", [numpy.uint8, numpy.int8])
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("per_column", [True, False])
def test_dynamic_quantize_matmul(kind, bias, per_column):
    n = 7 if per_column else 1
    inputs = {"a": floats(3, 5), "b": integers(kind, 5, 7),
              "bs": rng().uniform(0.01, 0.02, n).astype(F32),
              "bz": numpy.full(n, 3, kind) if per_column or kind == numpy.uint8 else None,
              "bias": floats(7) if bias else None}
    constants = [n for n in inputs if n != "a" and inputs[n] is not None]
    check("DynamicQuantizeMatMul", inputs, constants=constants)


@pytest.mark.parametrize("bias", [True, False])
def test_matmul_integer_to_float(bias):
    inputs = {"a": integers(numpy.uint8, 3, 5), "b": integers(numpy.int8, 5, 7),
              "as": scale(0.02), "bs": rng().uniform(0.01, 0.02, 7).astype(F32),
              "az": zero(numpy.uint8, 100), "bz": numpy.zeros(7, numpy.int8),
              "bias": floats(7) if bias else None}
    check("MatMulIntegerToFloat", inputs,
          constants=[n for n in inputs if n not in "a" and inputs[n] is not None])


@pytest.mark.parametrize("kind", [numpy.uint16, numpy.int16])
def test_sixteen_bits(kind):
    z = zero(kind, 30000)
    check("QuantizeLinear", {"x": floats(4, 50), "s": scale(1e-4), "z": z},
          constants=("s", "z"))
    check("DequantizeLinear", {"x": integers(kind, 4, 50), "s": scale(1e-4), "z": z},
          constants=("s", "z"))


@pytest.mark.parametrize("op", ["FusedMatMul", "TransposeMatMul"])
@pytest.mark.parametrize("ta,tb", [(0, 0), (1, 0), (0, 1), (1, 1)])
def test_fused_matmul(op, ta, tb):
    a, b = floats(2, 3, 4), floats(2, 4, 5, seed=2)
    a, b = (a.swapaxes(1, 2).copy() if ta else a), (b.swapaxes(1, 2).copy() if tb else b)
    check(op, {"a": a, "b": b}, transA=ta, transB=tb, alpha=0.5)


@pytest.mark.parametrize("batch_a,batch_b", [(1, 0), (0, 1), (1, 1)])
def test_fused_matmul_batch(batch_a, batch_b):
    a, b = floats(2, 3, 4), floats(2, 4, 5, seed=2)
    a = a.transpose(1, 0, 2).copy() if batch_a else a
    b = b.transpose(1, 0, 2).copy() if batch_b else b
    check("FusedMatMul", {"a": a, "b": b}, transBatchA=batch_a, transBatchB=batch_b)


@pytest.mark.parametrize("activation,numbers", [
    ("Relu", {}), ("Sigmoid", {}), ("Tanh", {}), ("LeakyRelu", {"activation_alpha": 0.1}),
    ("HardSigmoid", {"activation_alpha": 0.3, "activation_beta": 0.4})])
def test_fused_gemm(activation, numbers):
    check("FusedGemm", {"a": floats(3, 4), "b": floats(5, 4, seed=2), "c": floats(5, seed=3)},
          transB=1, alpha=0.5, beta=2.0, activation=activation, **numbers)


@pytest.mark.parametrize("activation,params", [
    ("Relu", None), ("LeakyRelu", [0.1]), ("Clip", [0.0, 0.5]), ("HardSigmoid", [0.2, 0.5]),
    ("Tanh", None)])
@pytest.mark.parametrize("residual", [True, False])
def test_fused_conv(activation, params, residual):
    more = {"activation_params": params} if params else {}
    check("FusedConv", {"x": floats(1, 3, 7, 7), "w": floats(4, 3, 3, 3, seed=2),
                        "b": floats(4, seed=3), "z": floats(1, 4, 7, 7, seed=4) if residual else None},
          constants=("w", "b"), pads=[1, 1, 1, 1], activation=activation, **more)


# ---- activations and norms

@pytest.mark.parametrize("op,inputs", [
    ("BiasGelu", 2), ("FastGelu", 2), ("FastGelu", 1), ("Gelu", 1), ("QuickGelu", 1)])
def test_gelu(op, inputs):
    x = 4 * floats(5, 33)
    check(op, {"x": x, "b": floats(33, seed=2)} if inputs == 2 else {"x": x})


@pytest.mark.parametrize("op,parts", [("SkipLayerNormalization", ("beta", "bias")),
                                      ("SkipLayerNormalization", ("beta",)),
                                      ("SkipSimplifiedLayerNormalization", ("bias",)),
                                      ("SkipSimplifiedLayerNormalization", ())])
def test_skip_norm(op, parts):
    inputs = {"x": floats(2, 5, 32), "skip": floats(2, 5, 32, seed=2), "gamma": floats(32, seed=3)}
    inputs.update({name: floats(32, seed=4) for name in parts})
    check(op, inputs, ("y", "", "", "sum"), epsilon=1e-5)


@pytest.mark.parametrize("domain", ["", "com.microsoft"])
def test_simplified_norm(domain):
    if domain:
        pytest.skip("ONNX Runtime has it in the default domain only")
    check("SimplifiedLayerNormalization", {"x": floats(2, 5, 32), "s": floats(32, seed=2)},
          domain=domain, axis=-1, epsilon=1e-6)


def embedding(kinds, mask, positions):
    ids = rng().integers(0, 20, (2, 6)).astype(numpy.int32)
    return {"ids": ids, "segments": (ids % 2).astype(numpy.int32) if kinds else None,
            "words": floats(20, 16), "places": floats(9, 16, seed=2),
            "kinds": floats(2, 16, seed=3) if kinds else None, "gamma": floats(16, seed=4),
            "beta": floats(16, seed=5),
            "mask": numpy.array([[1] * 6, [1] * 4 + [0] * 2], numpy.int32) if mask else None,
            "positions": rng(7).integers(0, 9, (2, 6)).astype(numpy.int32) if positions else None}


@pytest.mark.parametrize("kinds", [True, False])
@pytest.mark.parametrize("mask", [True, False])
@pytest.mark.parametrize("positions", [True, False])
def test_embed_layer_norm(kinds, mask, positions):
    check("EmbedLayerNormalization", embedding(kinds, mask, positions), ("y", "mask_index", "sum"),
          epsilon=1e-5)


def test_quantised_embed_layer_norm():
    inputs = embedding(True, True, False)
    del inputs["positions"]
    for i, name in enumerate(["words", "places", "kinds", "gamma", "beta"]):
        inputs[name] = integers(numpy.uint8, *inputs[name].shape, seed=i)
    for i, name in enumerate(["ws", "ps", "ks", "gs", "bs"]):
        inputs[name] = scale(0.01 + 0.001 * i)
    for name in ["wz", "pz", "kz", "gz", "bz"]:
        inputs[name] = zero(numpy.uint8, 120)
    check("QEmbedLayerNormalization", inputs, ("y", "mask_index"), epsilon=1e-5,
          constants=[n for n in inputs if n not in ("ids", "segments", "mask")])


# ---- attention

def raw_mask(rank, total=6, queries=6):
    mask = numpy.array([[1] * total, [1] * (total - 2) + [0, 0]], numpy.int32)
    if rank == 3:
        return numpy.repeat(mask[:, None], queries, 1).astype(numpy.int32)
    return mask


MASKS = {"none": None, "lengths": numpy.array([6, 4], numpy.int32),
         "ends and starts": numpy.array([6, 5, 0, 2], numpy.int32),
         "rank 2": raw_mask(2), "rank 3": raw_mask(3)}


@pytest.mark.parametrize("mask", MASKS)
@pytest.mark.parametrize("causal", [0, 1])
def test_attention(mask, causal):
    check("Attention", {"x": floats(2, 6, 16), "w": floats(16, 48, seed=2), "b": floats(48, seed=3),
                        "mask": MASKS[mask]}, constants=("w", "b"), num_heads=4,
          unidirectional=causal)


@pytest.mark.parametrize("causal", [0, 1])
def test_attention_past(causal):
    check("Attention", {"x": floats(2, 3, 16), "w": floats(16, 48, seed=2), "b": floats(48, seed=3),
                        "mask": raw_mask(2, 7), "past": floats(2, 2, 4, 4, 4, seed=4)},
          ("y", "present"), num_heads=4, unidirectional=causal)


def test_attention_bias():
    check("Attention", {"x": floats(2, 6, 16), "w": floats(16, 48, seed=2), "b": floats(48, seed=3),
                        "mask": raw_mask(2), "past": None, "bias": floats(2, 4, 6, 6, seed=5)},
          constants=("w", "b"), num_heads=4)


def test_attention_sizes():
    check("Attention", {"x": floats(2, 6, 16), "w": floats(16, 40, seed=2), "b": floats(40, seed=3)},
          constants=("w", "b"), num_heads=4, qkv_hidden_sizes=[16, 16, 8], scale=0.3)


@pytest.mark.parametrize("past", [True, False])
@pytest.mark.parametrize("kind", [numpy.uint8, numpy.int8])
def test_qattention(past, kind):
    inputs = {"x": integers(numpy.uint8, 2, 3, 16), "w": integers(kind, 16, 48),
              "b": floats(48, seed=3), "xs": scale(0.01), "ws": scale(0.01),
              "mask": raw_mask(2, 5 if past else 3), "xz": zero(numpy.uint8, 128),
              "wz": zero(kind, 0 if kind == numpy.int8 else 128),
              "past": floats(2, 2, 4, 2, 4, seed=4) if past else None}
    check("QAttention", inputs, ("y", "present") if past else ("y",),
          constants=("w", "b", "xs", "ws", "xz", "wz"), num_heads=4, unidirectional=int(past))


@pytest.mark.parametrize("mask", [None, numpy.array([7, 5], numpy.int32), raw_mask(2, 7)],
                         ids=["none", "lengths", "rank 2"])
@pytest.mark.parametrize("bias", [True, False])
def test_multi_head(mask, bias):
    check("MultiHeadAttention",
          {"q": floats(2, 5, 16), "k": floats(2, 7, 16, seed=2), "v": floats(2, 7, 24, seed=3),
           "b": floats(56, seed=4) if bias else None, "mask": mask,
           "add": floats(2, 4, 5, 7, seed=5)}, num_heads=4)


def test_multi_head_joined():
    """ONNX Runtime has no joined queries, keys and values on CPUs: it gets them apart."""
    joined = floats(2, 5, 4, 3, 4)
    with frozen.Model(agree.model("MultiHeadAttention", {"q": joined}, ["y"], num_heads=4)
                      .SerializeToString()) as m:
        ours = m.run({"q": joined})
    apart = {name: joined[:, :, :, i].reshape(2, 5, 16).copy() for i, name in enumerate("qkv")}
    agree.assert_agree(check("MultiHeadAttention", apart, num_heads=4), ours)
    q, both = floats(2, 5, 16), floats(2, 7, 4, 2, 4, seed=2)
    with frozen.Model(agree.model("MultiHeadAttention", {"q": q, "kv": both}, ["y"], num_heads=4)
                      .SerializeToString()) as m:
        ours = m.run({"q": q, "kv": both})
    apart = {name: both[:, :, :, i].reshape(2, 7, 16).copy() for i, name in enumerate("kv")}
    agree.assert_agree(check("MultiHeadAttention", {"q": q, **apart}, num_heads=4), ours)


def test_multi_head_by_heads():
    check("MultiHeadAttention", {"q": floats(2, 5, 16), "k": floats(2, 4, 7, 4, seed=2),
                                 "v": floats(2, 4, 7, 4, seed=3)}, num_heads=4)


@pytest.mark.parametrize("causal", [0, 1])
def test_multi_head_past(causal):
    check("MultiHeadAttention",
          {"q": floats(2, 3, 16), "k": floats(2, 3, 16, seed=2), "v": floats(2, 3, 16, seed=3),
           "b": None, "mask": None, "add": None, "pk": floats(2, 4, 5, 4, seed=4),
           "pv": floats(2, 4, 5, 4, seed=5)}, ("y", "k_out", "v_out"), num_heads=4,
          unidirectional=causal)


def grouped(batch, tokens, past, lengths, total, joined=False, size=16):
    q, k, v = (floats(batch, tokens, n * size, seed=n) for n in (4, 2, 3))
    v = v[:, :, :2 * size].copy()
    half = size // 2
    angles = rng(5).uniform(0, 6, (32, half))
    inputs = {"q": numpy.concatenate([q, k, v], 2) if joined else q, "k": None if joined else k,
              "v": None if joined else v, "pk": floats(batch, 2, past, size, seed=6),
              "pv": floats(batch, 2, past, size, seed=7),
              "last": numpy.array(lengths, numpy.int32) - 1,
              "total": numpy.array(total, numpy.int32),
              "cos": numpy.cos(angles).astype(F32), "sin": numpy.sin(angles).astype(F32)}
    return inputs


GROUPED = {"prompt": (2, 6, 0, [6, 6], 6), "ragged prompt": (2, 6, 0, [6, 4], 6),
           "token": (2, 1, 5, [6, 6], 6), "ragged token": (2, 1, 5, [6, 4], 6),
           "token in a large cache": (2, 1, 12, [6, 4], 6), "more": (1, 3, 4, [7], 7)}


@pytest.mark.parametrize("case", GROUPED)
@pytest.mark.parametrize("rotary", [0, 1])
@pytest.mark.parametrize("joined", [False, True])
def test_group_query(case, rotary, joined):
    inputs = grouped(*GROUPED[case], joined=joined)
    proto = agree.model("GroupQueryAttention", inputs, ["y", "ko", "vo"], num_heads=4,
                        kv_num_heads=2, do_rotary=rotary)
    theirs, ours = agree.run_both(proto, {n: v for n, v in inputs.items() if v is not None})
    ours = list(ours.values())
    # What lies behind the end of a row is rubbish: neither library promises it.
    lengths = inputs["last"] + 1
    tokens = inputs["q"].shape[1]
    for b, n in enumerate(lengths):
        valid = min(n, tokens)
        agree.assert_agree([theirs[0][b, :valid]], [ours[0][b, :valid]])
        for i in (1, 2):
            assert theirs[i].shape == ours[i].shape
            agree.assert_agree([theirs[i][b, :, :n]], [ours[i][b, :, :n]])


@pytest.mark.parametrize("attributes", [{"local_window_size": 3}, {"softcap": 2.0}, {"scale": 0.4},
                                        {"do_rotary": 1, "rotary_interleaved": 1}])
def test_group_query_attributes(attributes):
    check("GroupQueryAttention", grouped(2, 6, 0, [6, 6], 6), ("y", "ko", "vo"), num_heads=4,
          kv_num_heads=2, **attributes)


def test_group_query_bias_and_positions():
    inputs = grouped(1, 2, 4, [6], 6)
    inputs["positions"] = numpy.array([[4, 5]], numpy.int64)
    inputs["bias"] = floats(1, 4, 2, 6, seed=8)
    check("GroupQueryAttention", inputs, ("y", "ko", "vo"), num_heads=4, kv_num_heads=2, do_rotary=1)


@pytest.mark.parametrize("interleaved", [0, 1])
@pytest.mark.parametrize("one", [True, False])
@pytest.mark.parametrize("by_heads", [True, False])
def test_rotary(interleaved, one, by_heads):
    ids = numpy.array([3], numpy.int64) if one else rng().integers(0, 20, (2, 5))
    x = floats(2, 3, 5, 8) if by_heads else floats(2, 5, 24)
    angles = rng(5).uniform(0, 6, (32, 4))
    check("RotaryEmbedding", {"x": x, "ids": ids.astype(numpy.int64),
                              "cos": numpy.cos(angles).astype(F32),
                              "sin": numpy.sin(angles).astype(F32)}, interleaved=interleaved)


@pytest.mark.parametrize("activation", ["none", "silu"])
@pytest.mark.parametrize("past", [True, False])
def test_causal_conv(activation, past):
    check("CausalConvWithState",
          {"x": floats(2, 6, 5), "w": floats(6, 1, 4, seed=2), "b": floats(6, seed=3),
           "past": floats(2, 6, 3, seed=4) if past else None}, ("y", "state"),
          activation=activation)


@pytest.mark.parametrize("rule", ["linear", "gated", "delta", "gated_delta"])
@pytest.mark.parametrize("past", [True, False])
def test_linear_attention(rule, past):
    check("LinearAttention",
          {"q": floats(2, 5, 16), "k": floats(2, 5, 16, seed=2), "v": floats(2, 5, 24, seed=3),
           "past": floats(2, 4, 4, 6, seed=4) if past else None,
           "decay": -abs(floats(2, 5, 4, seed=5)) if "gated" in rule else None,
           "beta": abs(floats(2, 5, 4, seed=6)) if "delta" in rule else None},
          ("y", "state"), q_num_heads=4, kv_num_heads=4, update_rule=rule)


def test_gated_relative_position_bias():
    """There is no CPU implementation to compare with: the definition by NumPy."""
    heads, size, width, tokens = 3, 4, 8, 5
    inputs = {"q": floats(2, tokens, heads * size), "qb": floats(heads * size, seed=2),
              "pos": floats(1, heads, tokens, tokens, seed=3), "w": floats(size, width, seed=4),
              "b": floats(width, seed=5), "a": floats(1, heads, 1, 1, seed=6)}
    with frozen.Model(agree.model("GatedRelativePositionBias", inputs, ["y"],
                                  num_heads=heads).SerializeToString()) as m:
        ours = m.run(inputs)
    x = (inputs["q"] + inputs["qb"]).reshape(2, tokens, heads, size).transpose(0, 2, 1, 3)
    x = (x @ inputs["w"] + inputs["b"]).reshape(2, heads, tokens, 2, width // 2).sum(-1)
    u, r = numpy.split(1 / (1 + numpy.exp(-x)), 2, -1)
    agree.assert_agree([((u * (r * inputs["a"] - 1) + 2) * inputs["pos"]).astype(F32)], ours)


def test_gpu_only():
    """What ONNX Runtime has for GPUs only is refused, and the message says so."""
    proto = agree.model("GemmFastGelu", {"x": floats(2, 3), "w": floats(3, 4)}, ["y"])
    with pytest.raises(frozen.UnsupportedError, match="GPUs.* only"):
        frozen.Model(proto.SerializeToString())


# ---- narrow weights

@pytest.mark.parametrize("table", [0, 1])
@pytest.mark.parametrize("block", [16, 64])
@pytest.mark.parametrize("n,k", [(7, 32), (40, 19)])
def test_matmul_bnb4(table, block, n, k):
    codes = integers(numpy.uint8, (n * k + 1) // 2, seed=2)
    absmax = abs(floats((n * k + block - 1) // block, seed=3))
    check("MatMulBnb4", {"x": floats(2, 3, k), "w": codes, "absmax": absmax},
          constants=("w", "absmax"), K=k, N=n, block_size=block, quant_type=table)


def packed(values, bits):
    """The last dimension packed, the first number in the lowest bits."""
    per = 8 // bits
    wide = numpy.pad(values, [(0, 0)] * (values.ndim - 1) + [(0, -values.shape[-1] % per)])
    wide = wide.reshape(*wide.shape[:-1], -1, per)
    return (wide << (numpy.arange(per) * bits)).sum(-1).astype(numpy.uint8)


@pytest.mark.parametrize("bits", [2, 4, 8])
@pytest.mark.parametrize("zeros", [True, False])
@pytest.mark.parametrize("kind", [numpy.int32, numpy.int64])
@pytest.mark.parametrize("form", [F32, numpy.float16])
def test_gather_block(bits, zeros, kind, form):
    rows, width, block = 11, 48, 16
    data = packed(rng(1).integers(0, 1 << bits, (rows, width)), bits)
    points = packed(rng(2).integers(0, 1 << bits, (rows, width // block)), bits)
    check("GatherBlockQuantized",
          {"data": data, "at": rng(3).integers(-rows, rows, (2, 3)).astype(kind),
           "scales": floats(rows, width // block, seed=4).astype(form),
           "zeros": points if zeros else None},
          constants=("data", "scales") + (("zeros",) if zeros else ()), bits=bits,
          block_size=block, gather_axis=0, quantize_axis=1, tolerance=1e-3 if form != F32 else 1e-6)


@pytest.mark.parametrize("kind", ["uint4", "int4"])
@pytest.mark.parametrize("axes", [(0, 1), (0, 2), (1, 0), (1, 2), (2, 1)])
@pytest.mark.parametrize("zeros", [True, False])
def test_gather_block_nibbles(kind, axes, zeros):
    import ml_dtypes
    kind = getattr(ml_dtypes, kind)
    low, high = (-8, 8) if kind == ml_dtypes.int4 else (0, 16)
    shape, (gather, quantize) = [6, 20, 34], axes
    blocks = list(shape)
    blocks[quantize] = -(-shape[quantize] // 16)
    check("GatherBlockQuantized",
          {"data": rng(1).integers(low, high, shape).astype(kind),
           "at": rng(3).integers(0, shape[gather], 5),
           "scales": floats(*blocks, seed=4),
           "zeros": rng(2).integers(low, high, blocks).astype(kind) if zeros else None},
          constants=("data", "scales") + (("zeros",) if zeros else ()),
          block_size=16, gather_axis=gather, quantize_axis=quantize, tolerance=1e-6)


# ---- recurrent

def lstm_steps(x, w, r, bias, h, c, backwards):
    """One direction by NumPy: the input has one range, each row of the state its own."""
    def quantised(a):
        low, high = min(a.min(), 0), max(a.max(), 0)
        s = F32((high - low) / F32(255)) or F32(1)
        z = numpy.clip(numpy.rint(F32(0 - low) / s), 0, 255)
        return numpy.clip(numpy.rint(a / s) + z, 0, 255) - z, s

    def product(a, weights):
        q, s = quantised(a)
        values, scales = weights
        return (q @ values).astype(F32) * (s * scales)
    steps = range(len(x))
    everything = product(x, w) + bias
    out = numpy.zeros((len(x),) + h.shape, F32)
    sigmoid = lambda a: 1 / (1 + numpy.exp(-a.astype(float)))  # noqa: E731
    for t in reversed(steps) if backwards else steps:
        gates = everything[t] + numpy.stack([product(row, r) for row in h])
        i, o, f, g = numpy.split(gates, 4, -1)
        c = (sigmoid(f) * c + sigmoid(i) * numpy.tanh(g)).astype(F32)
        h = out[t] = (sigmoid(o) * numpy.tanh(c)).astype(F32)
    return out, h, c


@pytest.mark.parametrize("kind", [numpy.uint8, numpy.int8])
@pytest.mark.parametrize("direction", ["forward", "reverse", "bidirectional"])
@pytest.mark.parametrize("per_column", [True, False])
@pytest.mark.parametrize("batch", [1, 3])
def test_dynamic_quantize_lstm(kind, direction, per_column, batch):
    dirs, steps, size, n = 2 if direction == "bidirectional" else 1, 6, 5, 9
    columns = 4 * n if per_column else 1
    scales = [rng(i).uniform(0.002, 0.004, (dirs, columns)).astype(F32) for i in (5, 6)]
    zeros = [numpy.full((dirs, columns), 0 if kind == numpy.int8 else 120, kind) for _ in "wr"]
    squeeze = (lambda a: a) if per_column else (lambda a: a[:, 0])
    x, w, r = floats(steps, batch, size), integers(kind, dirs, size, 4 * n), integers(
        kind, dirs, n, 4 * n, seed=2)
    inputs = {"x": x, "w": w, "r": r, "b": floats(dirs, 8 * n, seed=3), "lens": None,
              "h": floats(dirs, batch, n, seed=4), "c": floats(dirs, batch, n, seed=5), "p": None,
              "ws": squeeze(scales[0]), "wz": squeeze(zeros[0]), "rs": squeeze(scales[1]),
              "rz": squeeze(zeros[1])}
    constants = ("w", "r", "b", "ws", "wz", "rs", "rz")
    proto = agree.model("DynamicQuantizeLSTM", inputs, ["y", "hn", "cn"], constants,
                        hidden_size=n, direction=direction)
    feeds = {"x": x, "h": inputs["h"], "c": inputs["c"]}
    theirs, ours = agree.run_both(proto, feeds)
    # ONNX Runtime gives all rows of the state, or those of a thread, one range.
    agree.assert_agree(theirs, ours, tolerance=2e-2)
    halves = inputs["b"].reshape(dirs, 2, 4 * n).sum(1)
    real = [[(q[d].astype(float) - z[d].astype(float), s[d]) for d in range(dirs)]
            for q, z, s in ((w, zeros[0], scales[0]), (r, zeros[1], scales[1]))]
    wanted = [lstm_steps(x, real[0][d], real[1][d], halves[d], inputs["h"][d], inputs["c"][d],
                         d == 1 or direction == "reverse") for d in range(dirs)]
    agree.assert_agree([numpy.stack([part[0] for part in wanted], 1)]
                       + [numpy.stack([part[i] for part in wanted]) for i in (1, 2)], ours,
                       tolerance=1e-4)


def test_dynamic_quantize_lstm_of_uneven_rows():
    """Rows of a batch do not change each other, but by the range of the input."""
    n, x = 8, floats(5, 3, 4)
    x[0, :, 0], x[0, :, 1] = 1, -1
    inputs = {"x": x, "w": integers(numpy.int8, 1, 4, 4 * n),
              "r": integers(numpy.int8, 1, n, 4 * n, seed=2), "b": None,
              "lens": numpy.array([2, 5, 3], numpy.int32), "h": None, "c": None,
              "p": floats(1, 3 * n, seed=6), "ws": floats(1) * F32(0) + F32(0.003),
              "wz": numpy.zeros(1, numpy.int8), "rs": floats(1) * F32(0) + F32(0.003),
              "rz": numpy.zeros(1, numpy.int8)}
    constants = ("w", "r", "p", "ws", "wz", "rs", "rz")
    proto = agree.model("DynamicQuantizeLSTM", inputs, ["y", "hn", "cn"], constants, hidden_size=n)
    for value in proto.graph.input:
        dims = value.type.tensor_type.shape.dim
        dims[1 if len(dims) == 3 else 0].dim_param = "n"
    theirs, ours = agree.run_both(proto, {"x": x, "lens": inputs["lens"]})
    agree.assert_agree(theirs, ours, tolerance=2e-2)
    with frozen.Model(proto.SerializeToString()) as model:
        for i in range(3):
            alone = model.run({"x": x[:, i:i + 1].copy(), "lens": inputs["lens"][i:i + 1]})
            assert alone["y"].tobytes() == ours["y"][:, :, i:i + 1].tobytes()
            assert alone["cn"].tobytes() == ours["cn"][:, i:i + 1].tobytes()


@pytest.mark.parametrize("kind,z", BYTES)
@pytest.mark.parametrize("last", [0, 1])
@pytest.mark.parametrize("group", [1, 2])
def test_conv(kind, z, last, group):
    x = integers(kind, 2, 6, 7, 9)
    x = x.transpose(0, 2, 3, 1).copy() if last else x
    check("QLinearConv", {"x": x, "xs": scale(0.02), "xz": zero(kind, z),
                          "w": integers(numpy.int8, 4, 6 // group, 3, 3, seed=2),
                          "ws": rng(3).uniform(0.01, 0.02, 4).astype(F32),
                          "wz": numpy.zeros(4, numpy.int8), "ys": scale(0.3), "yz": zero(kind, z),
                          "b": rng(4).integers(-9000, 9000, 4).astype(numpy.int32)},
          constants=("xs", "xz", "w", "ws", "wz", "ys", "yz", "b"), unit=1, group=group,
          channels_last=last, pads=[1, 0, 1, 1], strides=[2, 1])


# ---- what attention has beside

def test_attention_dummy_masks():
    for shape in ((1, 1), (2, 1)):
        check("Attention", {"x": floats(2, 6, 16), "w": floats(16, 48, seed=2),
                            "b": floats(48, seed=3), "mask": numpy.ones(shape, numpy.int32)},
              constants=("w", "b"), num_heads=4)


@pytest.mark.parametrize("op", ["Attention", "MultiHeadAttention"])
def test_lengths_and_their_sums(op):
    """Three lists in one: lengths, and sums of the lengths before, of queries and of keys."""
    mask = numpy.array([6, 4, 0, 6, 12, 0, 6, 10], numpy.int32)
    if op == "Attention":
        check(op, {"x": floats(2, 6, 16), "w": floats(16, 48, seed=2), "b": floats(48, seed=3),
                   "mask": mask}, constants=("w", "b"), num_heads=4)
    else:
        check(op, {"q": floats(2, 6, 16), "k": floats(2, 6, 16, seed=2),
                   "v": floats(2, 6, 16, seed=3), "b": None, "mask": mask}, num_heads=4)


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("past", [0, 3, 8])
def test_multi_head_buffers(bias, past):
    """The past lies in a buffer of nine tokens."""
    check("MultiHeadAttention",
          {"q": floats(2, 1, 16), "k": floats(2, 1, 16, seed=2), "v": floats(2, 1, 16, seed=3),
           "b": floats(48, seed=7) if bias else None, "mask": None, "add": None,
           "pk": floats(2, 4, 9, 4, seed=4), "pv": floats(2, 4, 9, 4, seed=5),
           "n": numpy.array([past], numpy.int32)}, ("y", "ko", "vo"), num_heads=4)


GROUPED_MORE = {
    "smooth": ({}, {"smooth_softmax": 1}),
    "sink": ({"sink": floats(4, seed=9)}, {}),
    "sink and bias": ({"sink": 3 * floats(4, seed=9), "bias": True}, {"softcap": 2.0}),
    "all keys": ({}, {"causal": 0}),
    "window": ({"sink": floats(4, seed=9)}, {"local_window_size": 2}),
    "turned": ({"sink": floats(4, seed=9)}, {"do_rotary": 1})}


@pytest.mark.parametrize("case", ["prompt", "token", "more"])
@pytest.mark.parametrize("form", GROUPED_MORE)
@pytest.mark.parametrize("scores", [0, 1, 2])
def test_group_query_more(case, form, scores):
    batch, tokens, _, _, total = GROUPED[case]
    more, attributes = GROUPED_MORE[form]
    bias = floats(batch, 1, tokens, total, seed=8) if "bias" in more else None
    inputs = {**grouped(*GROUPED[case]), "pos": None, "bias": bias, "sink": more.get("sink")}
    if form == "all keys" and scores:
        pytest.skip("what ONNX Runtime gives then is not said")
    check("GroupQueryAttention", inputs, ("y", "ko", "vo") + (("scores",) if scores else ()),
          num_heads=4, kv_num_heads=2, qk_output=scores, **attributes)


def test_rotary_without_effect():
    """Two attributes that ONNX Runtime reads and does not use."""
    angles = rng(5).uniform(0, 6, (32, 4))
    check("RotaryEmbedding", {"x": floats(2, 5, 24), "ids": rng().integers(0, 20, (2, 5)),
                              "cos": numpy.cos(angles).astype(F32),
                              "sin": numpy.sin(angles).astype(F32)}, scale=0.5,
          is_packed_batching=1)


# ---- text

SENTENCES = ["This is the first document.", "and   this, well; the 2nd one!", "", "a b cc ddd",
             "Ein Häuschen, naïve façade: Ünïcode", "x_y don't e-mail 3.14", "---", "aaaa"]
TOKENIZERS = {
    "characters": {"separators": [""]},
    "one separator": {"separators": [" "]},
    "expressions": {"separators": ["[.,;:!?]+", "\\s+"]},
    "alternatives": {"separators": ["is|s", "th?e?"]},
    "lazy": {"separators": ["a+?"]},
    "words": {"tokenexp": "[a-zA-Z0-9_]+"},
    "words of two": {"tokenexp": "\\b\\w\\w+\\b"},
    "lazy words": {"tokenexp": "\\w{2,3}?"},
    "may be empty": {"tokenexp": "[a-c]*"},
    "begin": {"tokenexp": "^\\w+|\\w$"},
    "first alternative": {"tokenexp": "(?i)th|this|T|the"},
    "no greed": {"tokenexp": "(?U)\\w+s"},
    "quoted": {"tokenexp": "\\Qe-m\\E.*?l"}}


@pytest.mark.parametrize("form", TOKENIZERS)
@pytest.mark.parametrize("mark,least", [(0, 1), (1, 1), (0, 3)])
@pytest.mark.parametrize("shape", [(8,), (4, 2)])
def test_tokenizer(form, mark, least, shape):
    if form == "characters" and least > 1:
        least = 1
    x = numpy.array(SENTENCES, object).reshape(shape)
    node = agree.helper.make_node("Tokenizer", ["x"], ["y"], domain="com.microsoft", mark=mark,
                                  mincharnum=least, pad_value="#", **TOKENIZERS[form])
    kind = agree.TensorProto.STRING
    graph = agree.helper.make_graph(
        [node], "one", [agree.helper.make_tensor_value_info("x", kind, list(shape))],
        [agree.helper.make_tensor_value_info("y", kind, [None] * (len(shape) + 1))])
    imports = [agree.helper.make_opsetid("", 18), agree.helper.make_opsetid("com.microsoft", 1)]
    theirs, ours = agree.run_both(agree.helper.make_model(graph, opset_imports=imports,
                                                          ir_version=10), {"x": x})
    assert theirs[0].shape == ours["y"].shape and (theirs[0] == ours["y"]).all()


# ---- what ai.onnx has taken over, distances and hashes

@pytest.mark.parametrize("metric", ["sqeuclidean", "euclidean"])
@pytest.mark.parametrize("kind", [F32, numpy.float64])
def test_distances(metric, kind):
    check("CDist", {"a": floats(5, 7).astype(kind), "b": floats(4, 7, seed=2).astype(kind)},
          metric=metric)


def test_older_forms():
    x = floats(3, 4, 5)
    check("ExpandDims", {"x": x, "axis": numpy.array(-2, numpy.int32)}, constants=("axis",))
    check("GatherND", {"x": x, "i": numpy.array([[0, 1], [2, 3]], numpy.int64)})
    check("Pad", {"x": x, "p": numpy.array([0, 1, 0, 2, 0, 1], numpy.int64),
                  "v": numpy.array([3], F32)}, constants=("p", "v"), mode="constant")
    check("Pad", {"x": x, "p": numpy.array([0, 1, 0, 2, 0, 1], numpy.int64)}, constants=("p",),
          mode="reflect")
    check("Range", {"a": numpy.array([2], F32), "b": numpy.array([9], F32),
                    "c": numpy.array([1.5], F32)})
    check("Range", {"a": numpy.array(2, numpy.int64), "b": numpy.array(9, numpy.int64)})
    check("Trilu", {"x": x, "k": numpy.array(1, numpy.int64)}, upper=0)
    check("Unique", {"x": numpy.array([2, 1, 1, 3, 4, 3], F32)}, ("y", "at", "n"))
    check("GridSample", {"x": floats(1, 2, 5, 6), "g": floats(1, 3, 4, 2, seed=2)},
          mode="bilinear", padding_mode="border", align_corners=1)


@pytest.mark.parametrize("kind", [numpy.int32, numpy.uint32, numpy.int64, numpy.uint64, F32,
                                  numpy.float64])
@pytest.mark.parametrize("positive", [0, 1])
def test_hash(kind, positive):
    x = (rng().uniform(-1, 1, 9) * 1e6).astype(numpy.int64).astype(kind)
    check("MurmurHash3", {"x": x}, positive=positive, seed=7)


def test_hash_of_texts():
    x = numpy.array(["", "a", "ab", "abc", "abcd", "abcde", "naïve façade"], object)
    proto = agree.helper.make_model(agree.helper.make_graph(
        [agree.helper.make_node("MurmurHash3", ["x"], ["y"], domain="com.microsoft")], "one",
        [agree.helper.make_tensor_value_info("x", agree.TensorProto.STRING, [7])],
        [agree.helper.make_tensor_value_info("y", agree.TensorProto.UINT32, [7])]),
        opset_imports=[agree.helper.make_opsetid("", 18),
                       agree.helper.make_opsetid("com.microsoft", 1)], ir_version=10)
    agree.assert_agree(*agree.run_both(proto, {"x": x}))
