"""Models that ONNX Runtime's own tools make of the digits nets: a slice of what full.py does."""

import pathlib

import made
import numpy
import pytest

DIGITS = pathlib.Path(__file__).resolve().parents[1] / "data" / "digits"

# Recipes by net: each at least once, on a net that has what it changes.
CASES = {
    "cnn": ["basic", "extended", "half", "qdq u8 s8", "qdq u8 s8 channels", "qdq s8 s8",
            "qop u8 s8", "qop s8 s8 channels", "qop u8 u8", "dynamic u8", "layout of qdq",
            "extended of qop", "qdq u16 s8", "4 bits qdq"],
    "mlp": ["qdq s8 s8 channels", "qdq s16 s8", "qdq u16 u16", "dynamic s8 channels", "4 bits",
            "4 bits by 16", "8 bits", "fp4", "extended of qdq s8", "half, inputs and outputs"],
    "lstm": ["dynamic s8", "dynamic s8 channels", "dynamic u8", "extended of dynamic",
             "4 bits symmetric", "qdq u8 u8", "qop s8 s8"],
    "vit": ["extended", "qop u8 s8 channels", "extended of qdq", "basic of qdq", "dynamic s8",
            "qdq s16 s16", "4 bits by 128", "8 bits symmetric", "nf4", "4 bits and tables",
            "4 bits symmetric and tables", "4 bits qdq symmetric", *made.TRANSFORMER,
            *made.FUSED_HALF]}


@pytest.fixture(scope="session")
def sources(tmp_path_factory):
    images = numpy.load(DIGITS / "test_x.npy").astype(numpy.float32)
    feeds = [{"input": images[i:i + 1]} for i in range(16)]
    folder = str(tmp_path_factory.mktemp("made"))
    made_of = {net: made.Source(str(DIGITS / f"digits_{net}.onnx"), feeds, folder) for net in CASES}
    made_of["vit"].kind, made_of["vit"].heads, made_of["vit"].hidden = "vit", 4, 64
    return made_of, [{"input": images[64:96]}]


@pytest.mark.parametrize("net,name", [(net, name) for net in CASES for name in CASES[net]])
def test_made(sources, net, name):
    made_of, feeds = sources
    if "bits" in name:
        pytest.importorskip("onnx_ir")
    if "fused" in name:
        pytest.importorskip("sympy")
    apart, limit, _, _ = made.compare(name, made_of[net], feeds)
    assert apart <= limit


def test_every_recipe_is_tried():
    assert {name for names in CASES.values() for name in names} == set(made.ALL)
