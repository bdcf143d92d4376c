#!/bin/sh
# Structure-aware mutants of frozen files: none may crash, hang or take too much memory.
#
# usage: run.sh BUILD_DIR [COUNT [SEED]]     COUNT: 20,000 by default; the whole proof is 10,000,000,
# in one go or in slices: another SEED gives other mutants
set -u
b=$(cd "$1" && pwd) data=$(cd "$(dirname "$0")/../data" && pwd)
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
for m in cnn.qdq lstm vit.dyn; do
    "$b/lib/cli/fz" freeze "$data/digits/digits_$m.onnx" -o "$work/$m.fz" --no-kat >/dev/null || exit 1
done
"$b/tests/artifact/mutants" --seed "${3:-1}" "${2:-20000}" "$work"/*.fz
