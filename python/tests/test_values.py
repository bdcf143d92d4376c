"""Values that are no tensors of numbers: strings, sequences, optionals, maps, and subgraphs that have
them. Each model is run from ONNX in memory and again from its frozen file."""

import numpy
import pytest

onnx = pytest.importorskip("onnx")

from onnx import TensorProto as T  # noqa: E402
from onnx import helper as h  # noqa: E402

import frozen  # noqa: E402


def tensor(dtype, shape=None):
    return h.make_tensor_type_proto(dtype, shape)


def sequence(of):
    return h.make_sequence_type_proto(of)


def optional(of):
    return h.make_optional_type_proto(of)


def mapping(key, of):
    proto = onnx.TypeProto()
    proto.map_type.key_type = key
    proto.map_type.value_type.CopyFrom(of)
    return proto


def infos(types):
    return [h.make_value_info(name, proto) for name, proto in types.items()]


def graph_of(nodes, inputs, outputs, constants=()):
    return h.make_graph(nodes, "g", infos(inputs), infos(outputs), initializer=list(constants))


def model_of(nodes, inputs, outputs, constants=(), opset=18):
    graph = graph_of(nodes, inputs, outputs, constants)
    return h.make_model(graph, opset_imports=[h.make_opsetid("", opset)], ir_version=8)


def run(model, feed, tmp_path):
    """The results, which a frozen file must give, too, with the same receipt."""
    path = tmp_path / "model.fz"
    (tmp_path / "model.onnx").write_bytes(model.SerializeToString())
    frozen.freeze(tmp_path / "model.onnx", path)
    with frozen.Model(model) as here, frozen.Model(path) as there:
        there.verify()
        if there.text("known-answer") == "seed":
            there.known_answer()
        results, receipt = here.run_with_receipt(feed)
        again, receipt_again = there.run_with_receipt(feed)
        third, receipt_third = there.run_with_receipt(feed)
        assert receipt_again == receipt_third
        assert receipt.replace(here.id, there.id) == receipt_again
        same(results, again)
        same(results, third)
        return results


def same(a, b):
    assert type(a) is type(b)
    if isinstance(a, dict):
        assert a.keys() == b.keys()
        for key in a:
            same(a[key], b[key])
    elif isinstance(a, list):
        assert len(a) == len(b)
        for x, y in zip(a, b):
            same(x, y)
    elif isinstance(a, numpy.ndarray):
        assert a.dtype == b.dtype and a.shape == b.shape
        assert a.tolist() == b.tolist() or a.tobytes() == b.tobytes()
    else:
        assert a == b


TEXTS = [["a", ""], ["\u00e4\u20ac\U0001f600", "nul\0inside"]]


@pytest.mark.parametrize("given", [
    TEXTS, numpy.array(TEXTS), numpy.array(TEXTS, object),
    numpy.array([[text.encode() for text in row] for row in TEXTS], object)])
def test_strings(given, tmp_path):
    nodes = [h.make_node("Concat", ["x", "c"], ["y"], axis=0),
             h.make_node("Equal", ["x", "d"], ["e"]), h.make_node("Identity", ["x"], ["z"])]
    constants = [h.make_tensor("c", T.STRING, [1, 2], [b"const", b""]),
                 h.make_tensor("d", T.STRING, [1], [b"a"])]
    model = model_of(nodes, {"x": tensor(T.STRING, ["n", 2])},
                     {"y": tensor(T.STRING), "e": tensor(T.BOOL), "z": tensor(T.STRING)}, constants,
                     opset=19)
    results = run(model, {"x": given}, tmp_path)
    assert results["y"].tolist() == TEXTS + [["const", ""]] and results["y"].dtype == object
    assert results["e"].tolist() == [[True, False], [False, False]]
    assert results["z"].tolist() == TEXTS


def test_strings_that_are_none():
    model = model_of([h.make_node("Identity", ["x"], ["y"])], {"x": tensor(T.STRING, ["n"])},
                     {"y": tensor(T.STRING, ["n"])})
    with frozen.Model(model) as m:
        assert m.inputs[0].dtype == "string"
        for given in ([1, 2], numpy.zeros(3), [None]):
            with pytest.raises(TypeError, match="input 'x': strings"):
                m.run({"x": given})
        assert m.run({"x": []})["y"].shape == (0,)


VALUES = [
    (sequence(tensor(T.FLOAT)), [numpy.float32([1, 2]), numpy.array(3, "f4")],
     "sequence(float32)"),
    (sequence(tensor(T.FLOAT)), [], "sequence(float32)"),
    (sequence(tensor(T.STRING)), [numpy.array(["a", "bc"], object)], "sequence(string)"),
    (sequence(tensor(T.INT4)), None, "sequence(int4)"),
    (optional(tensor(T.INT64)), numpy.int64([1, 2]), "optional(int64)"),
    (optional(tensor(T.INT64)), None, "optional(int64)"),
    (optional(sequence(tensor(T.BOOL))), [numpy.array([True])], "optional(sequence(bool))"),
    (mapping(T.INT64, tensor(T.FLOAT)), {7: 0.5, -1: 2.0}, "map(int64, float32)"),
    (mapping(T.STRING, tensor(T.INT64)), {"b": 1, "a": 2, "": 3}, "map(string, int64)"),
    (sequence(mapping(T.STRING, tensor(T.STRING))), [{"k": "v"}, {}],
     "sequence(map(string, string))"),
]


@pytest.mark.parametrize("proto,value,name", VALUES)
def test_kinds(proto, value, name, tmp_path):
    model = model_of([h.make_node("Identity", ["x"], ["y"])], {"x": proto}, {"y": proto})
    if name == "sequence(int4)":
        value = [numpy.array([1, -8, 7]).astype(frozen._types.dtype_of(T.INT4))]
    same(run(model, {"x": value}, tmp_path), {"y": value})
    with frozen.Model(model) as m:
        assert (m.inputs[0].dtype, m.inputs[0].shape) == (name, (None,))
        assert m.outputs[0].dtype == name
        with pytest.raises((TypeError, ValueError), match="input 'x': "):
            m.run({"x": object()})
    session = frozen.InferenceSession(model.SerializeToString())
    assert session.get_inputs()[0].type.startswith(
        {"seq": "seq(", "opt": "optional(", "map": "map("}[name[:3]])


def test_receipts_tell_values_apart():
    proto = sequence(tensor(T.STRING))
    model = model_of([h.make_node("Identity", ["x"], ["y"])], {"x": proto}, {"y": proto})
    feeds = [[], [["a"]], [["a"], ["b"]], [["ab"]], [["a", "b"]], [[["a", "b"]]], [["", "ab"]]]
    with frozen.Model(model) as m:
        receipts = {m.run_with_receipt({"x": feed})[1] for feed in feeds}
    assert len(receipts) == len(feeds)


def test_wrong_values():
    proto = sequence(tensor(T.FLOAT))
    model = model_of([h.make_node("Identity", ["x"], ["y"])], {"x": proto}, {"y": proto})
    with frozen.Model(model) as m:
        with pytest.raises(TypeError, match="float32"):
            m.run({"x": [numpy.zeros(2)]})
        assert m.run({"x": [numpy.float32([numpy.nan])]})["y"][0].view("u4") == 0x7FC00000


def test_no_operator_on_tensors_takes_a_sequence():
    proto = sequence(tensor(T.FLOAT))
    model = model_of([h.make_node("Relu", ["x"], ["y"])], {"x": proto}, {"y": proto})
    with pytest.raises(frozen.Error, match="Relu: input 0 cannot be a value of kind sequence"):
        frozen.Model(model)


def test_a_loop_fills_a_sequence(tmp_path):
    body = graph_of([h.make_node("Identity", ["cond"], ["cond_out"]),
                     h.make_node("Add", ["x", "one"], ["x_out"]),
                     h.make_node("SequenceInsert", ["s", "x"], ["s_out"])],
                    {"i": tensor(T.INT64, []), "cond": tensor(T.BOOL, []),
                     "s": sequence(tensor(T.FLOAT)), "x": tensor(T.FLOAT)},
                    {"cond_out": tensor(T.BOOL, []), "s_out": sequence(tensor(T.FLOAT)),
                     "x_out": tensor(T.FLOAT)}, [h.make_tensor("one", T.FLOAT, [], [1])])
    nodes = [h.make_node("SequenceEmpty", [], ["empty"]),
             h.make_node("Loop", ["n", "", "empty", "x"], ["s", "last"], body=body),
             h.make_node("SequenceLength", ["s"], ["length"]),
             h.make_node("ConcatFromSequence", ["s"], ["all"], axis=0, new_axis=1)]
    model = model_of(nodes, {"n": tensor(T.INT64, []), "x": tensor(T.FLOAT, ["k"])},
                     {"s": sequence(tensor(T.FLOAT)), "length": tensor(T.INT64, []),
                      "all": tensor(T.FLOAT)})
    feed = {"n": numpy.int64(200), "x": numpy.float32([0, 10])}
    results = run(model, feed, tmp_path)
    expected = numpy.float32([[i, 10 + i] for i in range(200)])
    same(results["s"], list(expected))
    assert results["length"] == 200 and (results["all"] == expected).all()


def test_branches_give_sequences(tmp_path):
    first = graph_of([h.make_node("SequenceConstruct", ["x"], ["a"])], {},
                     {"a": sequence(tensor(T.FLOAT))})
    second = graph_of([h.make_node("SequenceConstruct", ["x", "x"], ["b"])], {},
                      {"b": sequence(tensor(T.FLOAT))})
    model = model_of([h.make_node("If", ["c"], ["y"], then_branch=first, else_branch=second)],
                     {"c": tensor(T.BOOL, []), "x": tensor(T.FLOAT, ["n"])},
                     {"y": sequence(tensor(T.FLOAT))})
    x = numpy.float32([1, 2])
    same(run(model, {"c": numpy.array(True), "x": x}, tmp_path)["y"], [x])
    same(run(model, {"c": numpy.array(False), "x": x}, tmp_path)["y"], [x, x])


# ---- Scan

def scan_model(opset, axes=(0, 0), directions=(0, 0), out_axis=0, out_direction=0, lengths=False):
    """A running sum of a * b, and of each slice its product, beside a copy of the sum."""
    batch = opset < 9
    body = graph_of([h.make_node("Mul", ["a", "b"], ["p"]),
                     h.make_node("Add", ["s", "p"], ["s_out"]),
                     h.make_node("Identity", ["s_out"], ["o"])],
                    {"s": tensor(T.FLOAT), "a": tensor(T.FLOAT), "b": tensor(T.FLOAT)},
                    {"s_out": tensor(T.FLOAT), "p": tensor(T.FLOAT), "o": tensor(T.FLOAT)})
    attributes = {"body": body, "num_scan_inputs": 2}
    if batch:
        attributes["directions"] = list(directions)
    else:
        attributes.update(scan_input_axes=list(axes), scan_input_directions=list(directions),
                          scan_output_axes=[out_axis, 0],
                          scan_output_directions=[out_direction, 0])
    inputs = ["lengths" if lengths else ""] * batch + ["s0", "a0", "b0"]
    types = {"s0": tensor(T.FLOAT), "a0": tensor(T.FLOAT), "b0": tensor(T.FLOAT)}
    if lengths:
        types["lengths"] = tensor(T.INT64, None)
    return model_of([h.make_node("Scan", inputs, ["y", "ps", "os"], **attributes)], types,
                    {name: tensor(T.FLOAT) for name in ("y", "ps", "os")}, opset=opset)


def expected_scan(s, a, b):
    """Over slices that lie in lists."""
    products, sums = [], []
    for x, y in zip(a, b):
        s = s + x * y
        products.append(x * y)
        sums.append(s)
    return s, products, sums


@pytest.mark.parametrize("axes,directions,out_axis,out_direction", [
    ((0, 0), (0, 0), 0, 0), ((0, 1), (0, 0), 1, 0), ((-1, 0), (1, 0), -1, 1),
    ((1, 1), (1, 1), 0, 1)])
def test_scan(axes, directions, out_axis, out_direction, tmp_path):
    rng = numpy.random.default_rng(1)
    slices = rng.integers(-9, 9, (2, 5, 3)).astype(numpy.float32)
    given = [numpy.stack(part[::-1] if back else part, axis)
             for part, axis, back in zip(slices, axes, directions)]
    s = numpy.float32([1, 2, 3])
    y, products, sums = expected_scan(s, *slices)
    model = scan_model(11, axes, directions, out_axis, out_direction)
    results = run(model, {"s0": s, "a0": given[0], "b0": given[1]}, tmp_path)
    assert (results["y"] == y).all() and (results["os"] == numpy.stack(sums)).all()
    wanted = numpy.stack(products[::-1] if out_direction else products, out_axis)
    assert results["ps"].shape == wanted.shape and (results["ps"] == wanted).all()


@pytest.mark.parametrize("lengths", [None, [4, 0, 2]])
def test_scan_of_a_batch(lengths, tmp_path):
    rng = numpy.random.default_rng(2)
    s = rng.integers(-9, 9, (3, 2)).astype(numpy.float32)
    a, b = rng.integers(-9, 9, (2, 3, 4, 2)).astype(numpy.float32)
    feed = {"s0": s, "a0": a, "b0": b}
    if lengths:
        feed["lengths"] = numpy.int64(lengths)
    results = run(scan_model(8, lengths=bool(lengths)), feed, tmp_path)
    for i in range(3):
        n = lengths[i] if lengths else 4
        y, products, sums = expected_scan(s[i], a[i, :n], b[i, :n])
        padding = [numpy.zeros(2, numpy.float32)] * (4 - n)
        assert (results["y"][i] == y).all()
        assert (results["ps"][i] == numpy.stack(products + padding)).all()
        assert (results["os"][i] == numpy.stack(sums + padding)).all()


def test_scan_refuses():
    a = numpy.zeros((3, 2), numpy.float32)
    with frozen.Model(scan_model(11)) as model:
        with pytest.raises(frozen.ShapeError, match="3 and of 2 slices"):
            model.run({"s0": a[0], "a0": a, "b0": a[:2]})
    with frozen.Model(scan_model(11, axes=(5, 0))) as model:
        with pytest.raises(frozen.ShapeError, match="no axis 5"):
            model.run({"s0": a[0], "a0": a, "b0": a})
    with frozen.Model(scan_model(8, lengths=True)) as model:
        with pytest.raises(frozen.InputValueError, match="9 slices of 3"):
            model.run({"s0": a[:1, 0], "a0": a[None, :, 0], "b0": a[None, :, 0],
                       "lengths": numpy.int64([9])})


# ---- SequenceMap

def map_model():
    body = graph_of([h.make_node("Add", ["x", "y"], ["z"]), h.make_node("Shape", ["x"], ["shape"])],
                    {"x": tensor(T.FLOAT), "y": tensor(T.FLOAT)},
                    {"z": tensor(T.FLOAT), "shape": tensor(T.INT64)})
    types = {"s": sequence(tensor(T.FLOAT)), "t": sequence(tensor(T.FLOAT)), "u": tensor(T.FLOAT)}
    nodes = [h.make_node("SequenceMap", ["s", "t"], ["a", "shapes"], body=body),
             h.make_node("SequenceMap", ["s", "u"], ["b", ""], body=body)]
    return model_of(nodes, types, {"a": types["s"], "b": types["s"],
                                   "shapes": sequence(tensor(T.INT64))})


def test_sequence_map(tmp_path):
    s = [numpy.float32([1, 2]), numpy.float32([[3]])]
    t = [numpy.float32(10), numpy.float32([20, 30])]
    results = run(map_model(), {"s": s, "t": t, "u": numpy.float32(5)}, tmp_path)
    same(results["a"], [s[0] + t[0], s[1] + t[1]])
    same(results["b"], [s[0] + 5, s[1] + 5])
    same(results["shapes"], [numpy.int64([2]), numpy.int64([1, 1])])
    with frozen.Model(map_model()) as model:
        with pytest.raises(frozen.ShapeError, match="2 and of 1 values"):
            model.run({"s": s, "t": t[:1], "u": numpy.float32(5)})


def test_memory_is_bounded_from_run_to_run():
    proto = sequence(tensor(T.FLOAT))
    model = model_of([h.make_node("Identity", ["x"], ["y"])], {"x": proto}, {"y": proto})
    with frozen.Model(model) as m:
        big = [numpy.full(100000, i, numpy.float32) for i in range(5)]
        for _ in range(50):
            same(m.run({"x": big})["y"], big)
