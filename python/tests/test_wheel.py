"""The wheel: built, installed into a fresh environment, run there with nothing but NumPy."""

import os
import pathlib
import platform
import shutil
import subprocess
import sys
import zipfile

import numpy
import pytest

from conftest import DIGITS

ROOT = pathlib.Path(__file__).resolve().parents[1]

PROGRAM = """
import sys, numpy, frozen
assert frozen.__file__.startswith(sys.prefix), frozen.__file__
x = numpy.load(sys.argv[2])
with frozen.Model(sys.argv[1]) as model:
    model.known_answer()
    print((model.run({"input": x})["logits"].argmax(axis=1) == numpy.load(sys.argv[3])).sum())
try:
    store = frozen.Store(sys.argv[4]).init()
    assert store.open(store.put(sys.argv[5], "digits")).id == store.resolve("digits")
except frozen.FileError as error:
    assert "libfrozen-store.so.0 can't be loaded" in str(error), error
print(sorted(line.split("/")[-1].strip() for line in open("/proc/self/maps")
             if "/libfrozen" in line and line.split()[1].startswith("r-x")))
"""


def call(*command):
    """Runs COMMAND away from the sources and without search paths; its output."""
    clean = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "LD_LIBRARY_PATH")}
    result = subprocess.run([str(word) for word in command], capture_output=True, text=True,
                            env={**clean, "PYTHON": sys.executable}, cwd="/")
    assert result.returncode == 0, result.stderr[-3000:]
    return result.stdout


@pytest.fixture(scope="module")
def wheel(request, tmp_path_factory):
    if request.config.getoption("--wheel"):
        return pathlib.Path(request.config.getoption("--wheel"))
    if not shutil.which("meson"):
        pytest.skip("no meson to build a wheel with")
    folder = tmp_path_factory.mktemp("wheel")
    call(ROOT / "build_wheel.sh", folder)
    (path,) = folder.glob("*.whl")
    return path


def test_tag_and_content(wheel):
    assert wheel.name.endswith(f"-py3-none-linux_{platform.machine()}.whl")
    names = set(zipfile.ZipFile(wheel).namelist())
    sources = {f"frozen/{path.name}" for path in (ROOT / "frozen").glob("*.py")}
    libraries = {"frozen/libfrozen.so.0", "frozen/libfrozen-freeze.so.0"}
    if "frozen/libfrozen-store.so.0" in names:
        assert [name for name in names if "/libcrypto.so" in name and name.endswith(".licence")]
    assert sources | libraries | {"frozen/py.typed"} <= names
    assert not [name for name in names if name.endswith((".c", ".pyc", ".a"))]


def test_libraries_need_libc_only(wheel, tmp_path):
    if not shutil.which("readelf"):
        pytest.skip("no readelf")
    zipfile.ZipFile(wheel).extractall(tmp_path)
    for path in tmp_path.glob("frozen/libfrozen*.so.0"):
        needed = [line.split("[")[1].rstrip("]\n") for line in
                  call("readelf", "-d", path).splitlines() if "(NEEDED)" in line]
        assert "[$ORIGIN]" in call("readelf", "-d", path)
        assert needed and not [name for name in needed if not name.startswith(
            ("libc.so", "ld-linux", "libpthread", "libm.so"))
            and not (tmp_path / "frozen" / name).exists()], needed


def test_installed(wheel, tmp_path, cnn):
    call(sys.executable, "-m", "venv", tmp_path / "venv")
    python = tmp_path / "venv" / "bin" / "python"
    call(python, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index", wheel)
    site = call(python, "-c", "import site; print(site.getsitepackages()[0])").strip()
    # NumPy is taken from where these tests have it, so that no network is needed.
    (pathlib.Path(site) / "numpy.pth").write_text(str(pathlib.Path(numpy.__file__).parents[1]))
    shown = call(python, "-c", PROGRAM, DIGITS / "digits_cnn.onnx", DIGITS / "test_x.npy",
                 DIGITS / "test_y.npy", tmp_path / "models", cnn).splitlines()
    expected = sorted(name.split("/")[1] for name in zipfile.ZipFile(wheel).namelist()
                      if name.startswith("frozen/libfrozen"))
    assert len(expected) >= 2 and shown == ["496", str(expected)]
