#!/bin/sh
# fz quantize on the digits models: right answers, equal bytes, samples in every form, budgets,
# reports, and bad input, which leaves no file behind.
#
# usage: run.sh BUILD_DIR     ends in 'N passed, N failed'
set -u
b=$1 here=$(cd "$(dirname "$0")" && pwd) digits=$(cd "$(dirname "$0")/../data/digits" && pwd)
fz=$b/lib/cli/fz
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
passed=0 failed=0
good() { echo "pass $1"; passed=$((passed + 1)); }
bad() { echo "FAIL $1"; failed=$((failed + 1)); }
check() { if [ "$2" = "$3" ]; then good "$1"; else bad "$1: $2 instead of $3"; fi; }

mkdir -p "$work/calib" "$work/test" "$work/out"
cp "$digits/calib_x.npy" "$work/calib/input.npy"
cp "$digits/test_x.npy" "$work/test/input.npy"

# right NAME LEAST OPTIONS...: digits_NAME, quantised by OPTIONS, has LEAST of the 497 images right,
# none of which it was calibrated with.
right() {
    name=$1 least=$2; shift 2
    "$fz" quantize "$digits/digits_$name.onnx" -o "$work/m.fz" --calib "$work/calib" "$@" \
        >/dev/null 2>"$work/log" || { bad "$name $*: $(cat "$work/log")"; return; }
    "$fz" run "$work/m.fz" --input "input=$digits/test_x.npy" --output-dir "$work" >/dev/null
    got=$(/usr/bin/python3 -c "
import sys, numpy
print((numpy.load(sys.argv[1]).argmax(axis=1) == numpy.load(sys.argv[2])).sum())" \
        "$work/output_0.npy" "$digits/test_y.npy")
    if [ "$got" -ge "$least" ]; then good "$name $*: $got of 497 right, at least $least"
    else bad "$name $*: $got of 497 right, at least $least"; fi
}
# As many lost as is allowed: 1 static, 0 with int8 weights, 3 with int4.
for pair in cnn:496 mlp:486 lstm:485 vit:481; do
    name=${pair%:*} float=${pair#*:}
    right "$name" $((float - 1)) --static
    right "$name" "$float" --weight-only int8
    right "$name" $((float - 3)) --weight-only int4
    right "$name" $((float - 1)) --dynamic
done
right cnn 495 --static --method minmax
right cnn 495 --static --method percentile
right cnn 495 --static --symmetric
right vit 480 --static --smooth
right vit 478 --weight-only int4 --rtn --block 16
right cnn 496 --fp16
# The share of right answers is that of the samples; here they are the test set itself.
"$fz" quantize "$digits/digits_vit.onnx" -o "$work/m.fz" --static --calib "$work/test" \
    --labels "$digits/test_y.npy" --max-drop 0.1% --json "$work/m.json" >/dev/null
check 'labelled samples: right before' "$(grep -o '"right_before": [0-9]*' "$work/m.json")" '"right_before": 481'
check 'multiply-accumulates of an open batch are those of a sample' \
    "$(grep -o '"macs": [0-9]*' "$work/m.json")" '"macs": 1118848'
got=$(sed -n 's/.*"right_after": \([0-9]*\).*/\1/p' "$work/m.json")
if [ "$got" -ge 481 ]; then good "a drop of 0.1 % at most: $got right"; else bad "a drop of 0.1 %: $got right"; fi

# ---- channels of uneven reach, samples that are mostly alike
# decibels OPTIONS...: how far the outputs of uneven.onnx, quantised, are from the float ones.
decibels() {
    "$fz" quantize "$work/uneven.onnx" -o "$work/u.onnx" --calib "$work/uneven" --threads 1 \
        --json "$work/u.json" "$@" >/dev/null
    sed -n 's/.*"sqnr": \([0-9]*\)[.0-9]*, "ms.*/\1/p' "$work/u.json"
}
if /usr/bin/python3 -c 'import onnx' 2>/dev/null; then
    /usr/bin/python3 "$here/uneven.py" "$work"
    full=$(decibels --static)
    check 'what is public is levelled by a node of its own, the rest is not' \
        "$(grep -ao '[a-z0-9]*_levelled_QuantizeLinear' "$work/u.onnx" | sort -u)" \
        wilder_levelled_QuantizeLinear
    for pair in '--static --no-equalise:20' '--static --no-bias-correction:3'; do
        option=${pair%:*}
        # shellcheck disable=SC2086
        less=$(decibels $option)
        if [ "$full" -ge $((less + ${pair#*:})) ]; then good "static: $full dB, $option: $less dB"
        else bad "static: $full dB, $option: $less dB"; fi
    done
    full=$(decibels --weight-only int8) less=$(decibels --weight-only int8 --no-bias-correction)
    if [ "$full" -ge $((less + 10)) ]; then good "int8: $full dB, without bias correction: $less dB"
    else bad "int8: $full dB, without bias correction: $less dB"; fi
    got=$(decibels --static --no-equalise --min-sqnr 40)
    kept=$(grep -c 'too sensitive' "$work/u.json")
    if [ "$got" -ge 40 ] && [ "$kept" -gt 0 ] && [ "$kept" -lt 5 ]
    then good "a budget of 40 dB: $got dB, $kept of 5 layers float"
    else bad "a budget of 40 dB: $got dB, $kept of 5 layers float"; fi
else echo 'skipped: channels of uneven reach (python3-onnx is not installed)'; fi

# ---- equal bytes, whatever the form of the samples and the number of threads
static="$digits/digits_cnn.onnx --static --calib $work/calib"
# shellcheck disable=SC2086
a=$("$fz" quantize $static -o "$work/a.onnx" | cut -d' ' -f1)
# shellcheck disable=SC2086
c=$("$fz" quantize $static -o "$work/a.onnx" --threads 3 | cut -d' ' -f1)
check 'twice the same bytes' "$c" "$a"
check 'the digest is that of the file' "$a" "$(sha256sum "$work/a.onnx" | cut -d' ' -f1)"
/usr/bin/python3 - "$work" <<'PY'
import os, sys, zipfile
work = sys.argv[1]
data = open(work + '/calib/input.npy', 'rb').read()
size = 10 + data[8] + 256 * data[9]
with zipfile.ZipFile(work + '/calib.npz', 'w') as file:
    file.writestr('input.npy', data)
with zipfile.ZipFile(work + '/packed.npz', 'w', zipfile.ZIP_DEFLATED) as file:
    file.writestr('input.npy', data)
def varint(n):
    return bytes([n]) if n < 128 else bytes([n & 127 | 128]) + varint(n >> 7)
head = b"{'descr': '<f4', 'fortran_order': False, 'shape': (1, 1, 8, 8), }"
head += b' ' * (-(len(head) + 11) % 64) + b'\n'
os.mkdir(work + '/files')
for i in range(512):
    raw = data[size + 256 * i:size + 256 * i + 256]
    folder = '%s/sets/test_data_set_%d' % (work, i)
    os.makedirs(folder)
    with open(folder + '/input_0.pb', 'wb') as file:
        file.write(b'\x08\x01\x08\x01\x08\x08\x08\x08\x10\x01\x4a' + varint(256) + raw)
    with open('%s/files/%04d.npy' % (work, i), 'wb') as file:
        file.write(b'\x93NUMPY\x01\x00' + bytes([len(head), 0]) + head + raw)
PY
for form in calib.npz files sets; do
    check "samples as $form" "$("$fz" quantize "$digits/digits_cnn.onnx" --static --calib "$work/$form" \
        -o "$work/b.onnx" 2>&1 | cut -d' ' -f1)" "$a"
done

# ---- opsets, names, budgets
for opset in 17 19 21 23; do
    if "$fz" quantize "$digits/digits_vit.onnx" -o "$work/o.onnx" --static --calib "$work/calib" \
        --opset $opset >/dev/null && "$fz" freeze "$work/o.onnx" -o "$work/o.fz" >/dev/null
    then good "opset $opset"; else bad "opset $opset"; fi
done
"$fz" quantize "$digits/digits_vit.onnx" -o "$work/v.onnx" --static --calib "$work/calib" \
    --min-sqnr 45 --json "$work/v.json" --report "$work/v.html" >/dev/null || bad 'a budget'
if /usr/bin/python3 - "$work/v.json" <<'PY'
import json, sys
report = json.load(open(sys.argv[1]))
kept = [layer for layer in report['layers'] if layer['state'] != 'quantised']
assert report['sqnr'] >= 45, report['sqnr']
assert 0 < len(kept) < len(report['layers']), len(kept)
assert all(layer['sqnr_alone'] > 0 for layer in kept)
print('    %.1f dB with %d of %d layers float' % (report['sqnr'], len(kept), len(report['layers'])))
PY
then good 'a budget of 45 dB is met, with some layers float'; else bad 'a budget of 45 dB'; fi
node=$(sed -n 's/.*"name": "\([^"]*\)", "type": "Gemm".*/\1/p' "$work/v.json" | head -n 1)
"$fz" quantize "$digits/digits_vit.onnx" -o "$work/e.onnx" --static --calib "$work/calib" \
    --exclude "$node" --json "$work/e.json" >/dev/null
check "$node is excluded, and it alone" "$(grep -c 'float: excluded' "$work/e.json")" 1
"$fz" quantize "$digits/digits_vit.onnx" -o "$work/e.onnx" --static --calib "$work/calib" \
    --only "$node" --json "$work/e.json" >/dev/null
check "$node alone is quantised" "$(grep -c '"quantised"' "$work/e.json")" 1

# ---- the report in a browser
if command -v chromium >/dev/null; then
    dom=$(chromium --headless --no-sandbox --disable-gpu --user-data-dir="$work/profile" \
        --virtual-time-budget=2000 --dump-dom "file://$work/v.html" 2>"$work/browser.log")
    for part in 'id="summary"' 'id="layers"' 'class="histogram"' 'id="float"' 'too sensitive'; do
        case $dom in *"$part"*) good "the report shows $part" ;; *) bad "the report lacks $part" ;; esac
    done
    check 'a bar for each layer' "$(printf %s "$dom" | grep -o 'class="[qf]" x="300"' | wc -l)" \
        "$(grep -c '"weights"' "$work/v.json")"
    if grep -q 'CONSOLE' "$work/browser.log"; then bad 'the browser complains'
    else good 'the browser says nothing'; fi
else echo 'skipped: the report in a browser (chromium is not installed)'; fi
case $(cat "$work/v.html") in
    *http://*|*https://*|*'<script'*) bad 'the report refers to something outside, or has a script' ;;
    *) good 'the report is one file' ;;
esac

# ---- bad input
# refused STATUS WORDS OPTIONS...: the exit status is STATUS, the message has WORDS, nothing is left.
refused() {
    status=$1 words=$2; shift 2
    message=$("$fz" quantize "$@" 2>&1 >/dev/null)
    code=$?
    left=$(find "$work/out" -type f | wc -l)
    case $message in
        *"$words"*) if [ $code = "$status" ] && [ "$left" = 0 ]; then good "refused: $message"
            else bad "status $code, $left files left: $message"; fi ;;
        *) bad "'$message' does not say '$words'" ;;
    esac
    rm -f "$work"/out/*
}
model=$digits/digits_cnn.onnx out=$work/out/q.onnx
refused 2 'needs samples' "$model" -o "$out" --static
refused 2 'no samples' "$model" -o "$out" --static --calib "$work/nowhere"
refused 2 'cannot be quantised this way' "$model" -o "$out" --static --calib "$work/calib" --op-type Softmax
refused 2 'no node' "$model" -o "$out" --static --calib "$work/calib" --exclude nothing
refused 2 'compressed' "$model" -o "$out" --static --calib "$work/packed.npz"
refused 2 'opsets are only raised' "$model" -o "$out" --dynamic --opset 13
refused 2 'needs opset 21' "$model" -o "$out" --weight-only int4 --opset 17
refused 2 'already' "$digits/digits_cnn.qdq.onnx" -o "$out" --dynamic
refused 2 'ends neither' "$model" -o "$work/out/q.bin" --dynamic
refused 2 'needs labels' "$model" -o "$out" --static --calib "$work/calib" --max-drop 1%
refused 2 'ONNX cannot say it' "$model" -o "$out" --dynamic --per-row
refused 2 'choose one of' "$model" -o "$out" --static --dynamic
refused 2 'labels' "$model" -o "$out" --static --calib "$work/calib" --labels "$digits/test_x.npy"
# A model whose layers all lie inside of a Loop.
if /usr/bin/python3 - "$work/loop.onnx" 2>/dev/null <<'PY'
import sys, onnx
from onnx import TensorProto as T, helper as h, numpy_helper as n
import numpy as np
w = n.from_array(np.eye(4, dtype=np.float32), 'w')
body = h.make_graph(
    [h.make_node('MatMul', ['v', 'w'], ['v2']), h.make_node('Identity', ['go'], ['go2'])], 'body',
    [h.make_tensor_value_info('i', T.INT64, []), h.make_tensor_value_info('go', T.BOOL, []),
     h.make_tensor_value_info('v', T.FLOAT, [4, 4])],
    [h.make_tensor_value_info('go2', T.BOOL, []), h.make_tensor_value_info('v2', T.FLOAT, [4, 4])])
graph = h.make_graph(
    [h.make_node('Loop', ['times', '', 'x'], ['y'], body=body)], 'loop',
    [h.make_tensor_value_info('x', T.FLOAT, [4, 4]), h.make_tensor_value_info('times', T.INT64, [])],
    [h.make_tensor_value_info('y', T.FLOAT, [4, 4])], [w])
onnx.save(h.make_model(graph, opset_imports=[h.make_opsetid('', 13)], ir_version=7), sys.argv[1])
PY
then refused 2 'inside of If, Loop or Scan' "$work/loop.onnx" -o "$out" --dynamic; fi
# A full disk: no file may grow beyond 8 blocks.
for kind in onnx fz; do
    message=$( (ulimit -f 8; trap '' XFSZ; "$fz" quantize "$digits/digits_vit.onnx" -o "$work/out/q.$kind" \
        --weight-only int8) 2>&1)
    check "a full disk leaves no $kind" "$(find "$work/out" -type f | wc -l)" 0
    case $message in *write*) good "refused: $message" ;; *) bad "a full disk: $message" ;; esac
done
# Ctrl-C, while a budget is sought that takes many trials.
"$fz" quantize "$digits/digits_vit.onnx" -o "$work/out/q.onnx" --static --calib "$work/calib" \
    --min-sqnr 60 2>"$work/log" >/dev/null &
pid=$!
sleep 0.3; kill -INT $pid; wait $pid
check 'an interrupt ends the work' "$?" 2
check 'and leaves no file' "$(find "$work/out" -type f | wc -l)" 0
case $(cat "$work/log") in *cancelled*) good 'and says so' ;; *) bad "an interrupt: $(cat "$work/log")" ;; esac

echo "$passed passed, $failed failed"
[ $failed = 0 ]
