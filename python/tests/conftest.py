"""Where the tests find the library and the models.

pytest --library FOLDER takes the libraries from a build or an installation; without it those of the
installed wheel or of the system are used.
"""

import pathlib
import sys

import numpy
import pytest

DIGITS = pathlib.Path(__file__).resolve().parents[2] / "tests" / "data" / "digits"

try:
    import frozen
except ImportError:
    sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
    import frozen


def pytest_addoption(parser):
    parser.addoption("--library", help="the folder of libfrozen.so.0 and libfrozen-freeze.so.0")
    parser.addoption("--wheel", help="a wheel to test instead of building one")


def pytest_configure(config):
    if config.getoption("--library"):
        frozen.load(config.getoption("--library"))


@pytest.fixture(scope="session")
def images():
    return numpy.load(DIGITS / "test_x.npy")


@pytest.fixture(scope="session")
def labels():
    return numpy.load(DIGITS / "test_y.npy")


@pytest.fixture(scope="session")
def cnn_onnx():
    return DIGITS / "digits_cnn.onnx"


@pytest.fixture(scope="session")
def cnn(tmp_path_factory, cnn_onnx):
    """The frozen file of the convolutional network."""
    path = tmp_path_factory.mktemp("frozen") / "cnn.fz"
    frozen.freeze(cnn_onnx, path)
    return path
