"""How pytest in a folder beside this file finds the library: its conftest.py takes these two over."""

import pathlib
import sys

ROOT = pathlib.Path(__file__).resolve().parents[1]

try:
    import frozen
except ImportError:
    sys.path.insert(0, str(ROOT / "python"))
    import frozen


def pytest_addoption(parser):
    parser.addoption("--library", help="the folder of libfrozen.so.0 and libfrozen-freeze.so.0")


def pytest_configure(config):
    folder = config.getoption("--library")
    if folder is None and (ROOT / "build" / "lib" / "libfrozen.so.0").exists():
        folder = str(ROOT / "build" / "lib")
    if folder:
        frozen.load(folder)
