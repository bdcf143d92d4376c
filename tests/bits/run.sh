#!/bin/sh
# Holds the promise of the bits: every model has one id and one digest of its outputs, whatever the
# CPU's features, the number of threads and the compiler.
#
# usage: run.sh BUILD_DIR... [MODEL.onnx...]     Takes the digits models, the models that
# tests/models/run.sh has fetched, and those named. Prints a table of what it compared.
set -u
here=$(cd "$(dirname "$0")" && pwd) data=$(cd "$(dirname "$0")/../data" && pwd)
real=${FZ_TEST_BUILD:-/nonexistent}/models
builds= models=
for a; do
    if [ -x "$a/tests/bits/bits" ]; then builds="$builds $a"; else models="$models $(basename "$a" .onnx)=$a"; fi
done
for f in "$data"/digits/*.onnx; do
    name=$(basename "$f" .onnx) set=$data/golden/${name%%.*}/test_data_set_0
    models="$models $name=$f=$set"
done
for f in "$real"/*.onnx; do
    name=$(basename "$f" .onnx)
    [ -d "$data/golden/$name" ] && models="$models $name=$f=$data/golden/$name/test_data_set_0"
done
out=$(mktemp); trap 'rm -f "$out"' EXIT
bad=0
for b in $builds; do
    # shellcheck disable=SC2086
    "$b/tests/bits/bits" $models >>"$out" || { echo "FAIL $b/tests/bits/bits ended with status $?"; bad=1; }
done
[ -n "$builds" ] || { echo "FAIL no build folder was given"; bad=1; }
# One row a model: configurations, distinct ids, distinct outputs.
awk -v bad="$bad" '
    { n[$1]++; if (!seen[$1]++) order[++m] = $1 }
    $2 == "id" && !id[$1, $4]++ { ids[$1]++ }
    $2 == "out" { runs[$1]++; if (!hash[$1, $5]++) outs[$1]++ }
    END {
        printf "%-44s %8s %6s %8s\n", "model", "runs", "ids", "outputs"
        for (i = 1; i <= m; i++) {
            name = order[i]; total += runs[name]
            printf "%-44s %8d %6d %8d\n", name, runs[name], ids[name], outs[name]
            if (ids[name] != 1) { printf "FAIL %s has %d ids\n", name, ids[name]; wrong++ }
            if (outs[name] != 1) { printf "FAIL %s has %d outputs\n", name, outs[name]; wrong++ }
            differing += outs[name] - 1
        }
        if (m == 0) wrong++
        printf "%d passed, %d failed\n", m - (wrong < m ? wrong : m), wrong + bad
        printf "%d configurations, %d differing outputs\n", total, differing
        exit wrong + bad > 0
    }' "$out"
