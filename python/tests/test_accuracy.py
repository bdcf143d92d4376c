"""Top-1 accuracy on the 497 labelled images, float and integer forms."""

import pytest

import frozen
from conftest import DIGITS

RIGHT = {"cnn": 496, "mlp": 486, "lstm": 485, "vit": 481}  # of 497: 99.80, 97.79, 97.59, 96.78 %
INTEGER = ["cnn.qdq", "cnn.dyn", "mlp.qdq", "mlp.dyn", "lstm.dyn", "vit.qdq", "vit.dyn"]


def count_right(name, images, labels):
    with frozen.Model(DIGITS / f"digits_{name}.onnx") as model:
        scores = model.run({"input": images})["logits"]
    assert scores.shape == (497, 10)
    return int((scores.argmax(axis=1) == labels).sum())


@pytest.mark.parametrize("name", RIGHT)
def test_float(name, images, labels):
    assert count_right(name, images, labels) == RIGHT[name]


@pytest.mark.parametrize("name", INTEGER)
def test_integer_loses_two_images_at_most(name, images, labels):
    assert count_right(name, images, labels) >= RIGHT[name.split(".")[0]] - 2
