"""frozen.InferenceSession against frozen.Model and, where it is installed, ONNX Runtime."""

import numpy
import pytest

import frozen


def test_same_bits_as_the_model(cnn, cnn_onnx, images):
    with frozen.Model(cnn) as model:
        expected = model.run({"input": images})["logits"].tobytes()
    for source in (cnn, str(cnn_onnx), cnn_onnx.read_bytes()):
        session = frozen.InferenceSession(source, providers=["CPUExecutionProvider"])
        for names in (None, [], ["logits"]):
            (result,) = session.run(names, {"input": images})
            assert result.tobytes() == expected


def test_description(cnn_onnx):
    session = frozen.InferenceSession(cnn_onnx)
    (given,), (made,) = session.get_inputs(), session.get_outputs()
    assert (given.name, given.type, given.shape) == ("input", "tensor(float)", ["n", 1, 8, 8])
    assert (made.name, made.type, made.shape) == ("logits", "tensor(float)", ["n", 10])
    assert session.get_providers() == ["CPUExecutionProvider"]
    meta = session.get_modelmeta()
    assert meta.producer_name == "pytorch" and meta.graph_name == "torch_jit"
    assert meta.custom_metadata_map == {}


def test_options(cnn, images):
    options = frozen.SessionOptions()
    options.intra_op_num_threads = 2
    options.graph_optimization_level = frozen.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = frozen.InferenceSession(cnn, options)
    assert session.run(["logits"], {"input": images[:2]})[0].shape == (2, 10)
    assert session.get_session_options() is options
    with pytest.raises(ValueError, match="unknown output"):
        session.run(["x"], {"input": images[:2]})


@pytest.mark.parametrize("name", ["cnn", "mlp", "lstm", "vit"])
def test_against_onnx_runtime(name, cnn_onnx, images):
    runtime = pytest.importorskip("onnxruntime")
    source = str(cnn_onnx.with_name(f"digits_{name}.onnx"))
    theirs = runtime.InferenceSession(source, providers=["CPUExecutionProvider"])
    ours = frozen.InferenceSession(source)
    for mine, other in zip(ours.get_inputs() + ours.get_outputs(),
                           theirs.get_inputs() + theirs.get_outputs()):
        assert (mine.name, mine.type) == (other.name, other.type)
    (a,), (b,) = ours.run(None, {"input": images}), theirs.run(None, {"input": images})
    assert a.dtype == b.dtype and a.shape == b.shape
    assert numpy.abs(a - b).max() <= 1e-5 * numpy.ptp(b)
