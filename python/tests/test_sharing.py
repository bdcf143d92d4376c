"""Receipts of runs, and one copy of a model in several processes."""

import json
import os
import socket
import subprocess
import sys

import pytest

import frozen
from conftest import DIGITS


def test_receipts(cnn, images):
    with frozen.Model(cnn) as model, frozen.Model(cnn, threads=3) as other:
        outputs, receipt = model.run_with_receipt({"input": images[:4]})
        assert outputs["logits"].tobytes() == model.run({"input": images[:4]})["logits"].tobytes()
        assert other.run_with_receipt({"input": images[:4]}, [])[1] == receipt
        assert model.run_with_receipt({"input": images[1:5]})[1] != receipt
        parsed = json.loads(receipt)
        assert parsed["model"] == model.id and parsed["type"] == "frozen-receipt/1"
        assert json.dumps(parsed, sort_keys=True, separators=(",", ":")) == receipt
        # A failing run makes none, and spoils none that follows.
        with pytest.raises(frozen.ShapeError):
            model.run_with_receipt({"input": images[0]})
        assert model.run_with_receipt({"input": images[:4]})[1] == receipt


WORKER = """
import socket, sys, numpy
sys.path.insert(0, sys.argv[1])
import frozen
if sys.argv[2]: frozen.load(sys.argv[2])
_, (fd,), _, _ = socket.recv_fds(socket.socket(fileno=int(sys.argv[3])), 1, 1)
with frozen.Model.from_fd(fd, expect=sys.argv[4]) as model:
    x = numpy.load(sys.argv[5])[:4]
    print(model.run({"input": x})["logits"].tobytes().hex())
"""


def test_sharing_with_another_process(request, cnn, images):
    with frozen.Model(cnn) as model, pytest.raises(frozen.UnsupportedError):
        model.export_fd()
    folder = request.config.getoption("--library") or ""
    package = os.path.dirname(os.path.dirname(os.path.abspath(frozen.__file__)))
    ours, theirs = socket.socketpair()
    with frozen.Model(cnn, share=True) as model, ours, theirs:
        fd = model.export_fd()
        with pytest.raises(OSError):
            os.write(fd, b"x")
        worker = subprocess.Popen(
            [sys.executable, "-c", WORKER, package, folder, str(theirs.fileno()), model.id,
             str(DIGITS / "test_x.npy")], pass_fds=[theirs.fileno()],
            stdout=subprocess.PIPE, text=True)
        socket.send_fds(ours, [b"m"], [fd])
        os.close(fd)
        said = worker.communicate()[0].strip()
        assert said == model.run({"input": images[:4]})["logits"].tobytes().hex()
        with pytest.raises(frozen.FileError):
            frozen.Model.from_fd(fd)
