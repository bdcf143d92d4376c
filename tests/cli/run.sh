#!/bin/sh
# The fz program from outside: what each verb prints, writes and answers (0 good, 1 the check failed,
# 2 usage or input error), and that errors are one line that says what to do.
#
# usage: run.sh BUILD_DIR
set -u
LC_ALL=C; export LC_ALL
fz=$(cd "$1" && pwd)/lib/cli/fz data=$(cd "$(dirname "$0")/../data" && pwd)
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
cd "$work" || exit 1
onnx=$data/digits/digits_cnn.onnx images=$data/digits/test_x.npy
passed=0 failed=0

verdict() { # GOOD NAME
    if [ "$1" = 0 ]; then passed=$((passed + 1)); echo "pass $2"
    else failed=$((failed + 1)); echo "FAIL $2"; head -n 5 out err | sed 's/^/    /'; fi
}

# says STATUS PATTERN ARGUMENT...: fz must end with STATUS; its output (an error: stderr) holds PATTERN.
says() {
    status=$1 pattern=$2; shift 2
    "$fz" "$@" >out 2>err </dev/null
    code=$? from=out lines=1
    if [ "$status" != 0 ] && [ -s err ]; then from=err lines=$(wc -l <err); fi
    # An assertion, a sanitizer or a crash says more than one line.
    [ $code = "$status" ] && grep -q -e "$pattern" $from && [ "$lines" = 1 ]
    verdict $? "fz $(echo "$*" | sed "s,$data/,,g; s,$work/,,g"): $status, '$pattern'"
}

same() { cmp "$1" "$2" >err 2>&1; verdict $? "$1 is $2"; }

# ---- in general
says 0 '^fz [0-9]*\.[0-9]*\.[0-9]*$' --version
says 0 'fz freeze' --help
for verb in freeze info run verify bench test compare diff export-onnx prune; do
    says 0 "fz $verb" $verb --help
    says 2 . $verb --no-such-option
    [ $verb = test ] || says 2 . $verb /no/such/file
done
says 1 'cannot be opened' test /no/such/folder
says 2 'unknown verb' melt
says 2 . freeze "$onnx"

# ---- audit-int8
"$fz" audit-int8 >out 2>err; [ $? = 0 ] && grep -q '^ok: u8 and s8' out && grep -q '^K at its limit .* 0$' out
verdict $? 'fz audit-int8: every sum is exact'
says 2 usage audit-int8 more

# ---- prune
mkdir calib
cp "$data/digits/calib_x.npy" calib/input.npy
says 0 '^macs .* (4[0-9]\.[0-9] %)' prune "$onnx" -o small.onnx --structured 0.5 --calib calib --report
grep -q '^[0-9]* of 48 stay' out; verdict $? 'the report names what stays'
says 0 '^macs' prune "$onnx" -o again.onnx --structured 0.5 --calib calib
same small.onnx again.onnx
says 0 'float32 \[n,10\]' info small.onnx
says 0 '^time .* ([1-4][0-9]\.[0-9] %)' prune "$onnx" -o quick.onnx --time 0.5 --calib calib
says 0 'samples   none' prune "$onnx" -o blind.onnx --structured 0.3
says 0 'bytes, [2-9][0-9]' prune "$data/digits/digits_vit.onnx" -o zeros.onnx --sparse 2:4 --calib calib
says 0 'stored packed' prune "$data/digits/digits_vit.onnx" -o zeros.fz --sparse block:0.5 --report
says 0 'SparseMatMul' info zeros.fz
says 0 'dense: no kernel wins' prune "$data/digits/digits_mlp.onnx" -o zeros.onnx --sparse 2:4 --report
says 0 '24 of 24 stay\|^macs' prune "$onnx" -o kept.onnx --structured 0.2 --exclude /o/Gemm
for wrong in '--structured 1.5' '--time 1' '--time 0.99' '--structured 0.5 --calib /no/such/folder' '--sparse 4:2' \
    '--sparse block:2' '--structured 0.5 --exclude nothing' '--structured 0.999' \
    "--structured 0.5 --calib $data/digits"; do
    # shellcheck disable=SC2086
    says 2 . prune "$onnx" -o wrong.onnx $wrong
done
says 2 . prune "$onnx" -o /no/such/folder/x.onnx --structured 0.5
[ ! -e wrong.onnx ]; verdict $? 'nothing is written where pruning fails'
rm -r calib ./*.onnx zeros.fz

# ---- freeze, info, verify
says 0 '^[0-9a-f]\{64\} ' freeze "$onnx" -o a.fz
id=$(cut -c1-64 out)
[ "$(sha256sum a.fz | cut -c1-64)" = "$id" ]; verdict $? 'the id is the SHA-256 of the file'
says 0 "$id" freeze -o b.fz "$onnx"
same a.fz b.fz
says 0 . freeze "$onnx" -o two.fz --dim n=2
says 0 'float32 \[2,1,8,8\]' info two.fz
says 0 . freeze "$onnx" -o direct.fz --no-winograd
says 0 . freeze "$onnx" -o kept.fz --keep-onnx
says 0 . freeze "$data/digits/digits_cnn.qdq.onnx" -o literal.fz --literal-qdq
says 2 . freeze "$onnx" -o c.fz --numerics fast
[ ! -e c.fz ]; verdict $? 'nothing is written by a freeze that fails'
says 0 "$id" info a.fz
says 0 "$id" info "$onnx"
says 0 'sha256:' info a.fz --provenance
says 0 layout info a.fz --passes
says 0 "\"id\": \"$id\"" info a.fz --json
/usr/bin/python3 -m json.tool out >err 2>&1; verdict $? 'fz info --json is JSON'
says 0 "^ok $id" verify a.fz
says 0 'known answer equal' verify a.fz --kat --expect "$id"
says 1 expected verify a.fz --expect "$(echo "$id" | tr '0-9a-f' '1-9a-f0')"
says 2 'hex digits' verify a.fz --expect abc
dyn=$(dirname "$onnx")/digits_mlp.dyn.onnx
says 0 . freeze "$dyn" -o tensor.fz --dynamic-range tensor
says 0 . freeze "$dyn" -o rows.fz --dynamic-range per-row
says 0 'one per row' info rows.fz
says 0 'option dynamic-range-per-row' info rows.fz --provenance
says 0 'known answer equal' verify rows.fz --kat
says 2 'tensor or per-row' freeze "$dyn" -o none.fz --dynamic-range row
says 0 . freeze "$onnx" -o mute.fz --no-kat
says 1 'holds no known answer' verify mute.fz --kat
says 0 'none is known' info mute.fz
says 0 'inputs from a seed' info a.fz
# One flipped bit anywhere.
size=$(wc -c <a.fz)
for at in 0 70 200 4100 $((size / 2)) $((size - 1)); do
    /usr/bin/python3 -c "
import sys
b = bytearray(open('a.fz', 'rb').read()); b[$at] ^= 16; open('flipped.fz', 'wb').write(b)"
    says 1 . verify flipped.fz
done
head -c 5000 a.fz >short.fz
says 1 . verify short.fz
: >empty.fz
says 1 . verify empty.fz

# ---- run
says 0 '^0 logits float32 \[497,10\]$' run a.fz --input input="$images" --output-dir one
says 0 . run "$onnx" --input input="$images" --output-dir two --threads 3
same one/output_0.npy two/output_0.npy
says 0 . run direct.fz --input input="$images" --output-dir three
says 2 'input' run a.fz
says 2 . run a.fz --input nobody="$images"
says 2 . run a.fz --input input=/no/such/file
says 2 . run a.fz --input input="$data/digits/test_y.npy"
says 2 . run two.fz --input input="$images"
says 2 . run a.fz --input input="$images" --threads many
says 0 . run a.fz --expect "$id" --input input="$images"
printf 'not numpy' >bad.npy
says 2 . run a.fz --input input=bad.npy

# ---- compare, bench, test
says 0 '0 differ' compare a.fz "$onnx" --input input="$images"
says 0 '0 differ' compare one two
says 1 differ compare a.fz "$data/digits/digits_mlp.onnx" --input input="$images"
says 0 p50 bench a.fz --seconds 0.05
says 0 '"allocs": 0' bench a.fz --seconds 0.05 --json --open map --shape input=4x1x8x8
/usr/bin/python3 -c "
import json
r = json.load(open('out'))
assert all(k in r for k in 'load_ms first_ms p50_ms p90_ms p99_ms runs rss_kb allocs'.split()), r
assert r['runs'] >= 5 and 0 < r['p50_ms'] <= r['p90_ms'] <= r['p99_ms'] and r['rss_kb'] > 0" 2>err
verdict $? 'fz bench --json has its keys'
cp -r "$data/golden/digits_cnn" good
cp "$onnx" good/model.onnx
says 0 '^1 passed, 0 failed$' test good --range 1e-5
cp -r good wrong
cp "$data/digits/digits_cnn.qdq.onnx" wrong/model.onnx
says 1 '^0 passed, 1 failed$' test wrong --range 1e-5
says 1 '^1 passed, 1 failed$' test good wrong --range 1e-5

# ---- diff, export-onnx
says 0 '^same' diff a.fz a.fz
says 1 'option no-winograd: only in B' diff a.fz direct.fz
says 0 . freeze "$onnx" -o kept.fz --keep-onnx
says 0 'bytes' export-onnx kept.fz -o given.onnx
same given.onnx "$onnx"
says 2 'keep-onnx' export-onnx a.fz -o given.onnx
/usr/bin/python3 -c "
import onnx, onnx.numpy_helper
m = onnx.load('$onnx')
t = m.graph.initializer[0]
a = onnx.numpy_helper.to_array(t).copy()
a.flat[3] += 1
t.CopyFrom(onnx.numpy_helper.from_array(a, t.name))
onnx.save(m, 'changed.onnx')"
says 1 '^tensor .*: 1 of [0-9]* elements differ, by up to' diff "$onnx" changed.onnx

# ---- keys, signatures, receipts, logs
if "$fz" --help | grep -q 'fz sign'; then
    says 0 . keygen private.pem public.pem
    says 2 'File exists' keygen private.pem other.pem
    says 0 . keygen private2.pem public2.pem --kind ed25519
    says 0 . keygen private3.pem public3.pem --kind p256
    says 1 'not signed' verify a.fz --key public.pem
    says 0 'a.fz.sig' sign a.fz --key private.pem
    says 0 'signed by the key' verify a.fz --key public.pem
    says 1 'not the signature' verify a.fz --key public2.pem
    says 1 . verify a.fz --key public3.pem
    says 2 'no private key' sign a.fz --key public.pem
    cp a.fz.sig direct.fz.sig
    says 1 'not the signature' verify direct.fz --key public.pem
    id=$("$fz" verify a.fz | cut -d' ' -f2)
    printf 'frozen-model/1\nsha256:%s\n' "$id" >statement
    if command -v openssl >/dev/null; then
        openssl pkeyutl -verify -pubin -inkey public.pem -rawin -in statement -sigfile a.fz.sig \
            >out 2>err
        verdict $? 'openssl agrees with the signature'
    fi
    for n in 1 2 3; do
        says 0 logits run a.fz --input input="$images" --log log --key private.pem \
            --receipt receipt --keep-inputs kept
    done
    [ "$(wc -c <receipt)" -lt 400 ]; verdict $? 'a receipt is short'
    says 0 '^ok 3 entries, all signed, head' audit log --key public.pem
    says 1 'log:1: .*not signed by the key' audit log --key public2.pem
    says 0 '^3 passed, 0 failed$' replay log --inputs kept --model a.fz
    says 0 '^3 passed, 0 failed$' replay log --inputs kept --model a.fz --threads 3
    says 1 'no model' replay log --inputs kept
    says 1 'no inputs' replay log --inputs good --model a.fz
    head=$("$fz" audit log | grep -o '[0-9a-f]*$')
    head -n 2 log >cut
    says 0 '^ok 2 entries' audit cut
    says 1 'no entry' audit cut --head "$head"
    sed 's/"output":"./"output":"0/; s/"output":"0/"output":"1/' log >changed
    says 1 'changed:2: .*does not follow' audit changed
    sed 2d log >removed
    says 1 'removed:2' audit removed
    printf '{"entry' >>cut
    says 1 'cut:3' audit cut
    says 2 'truncate -s' run a.fz --input input="$images" --log cut
    says 2 . audit /no/such/log
    says 2 'no/such/log' replay /no/such/log --inputs kept --model a.fz
    sed '2s/.*/garbage/' log >changed
    says 1 'changed:2: .*no log entry' audit changed
    head -n 1 log | sed 's/=="}/AA"}/' >changed
    says 1 'changed:1: .*not signed by' audit changed --key public.pem
    head -n 1 log | sed 's/"time":"/&x\\n/' >changed
    says 1 'changed:1: .*no log entry' audit changed
    says 2 'log LOG' run a.fz --input input="$images" --key private.pem
    mkfifo pipe
    says 2 'not a regular file' audit pipe
fi

# ---- custom operators from a shared object, which is loaded only where --custom names it
best=$data/custom/digits_best.onnx
if ${CC:-cc} -shared -fPIC -I"$data/../../include" "$data/../../examples/custom/best.c" -o best.so 2>err
then
    says 2 'com.example.Best of opset 1' freeze "$best" -o best.fz
    says 0 '^[0-9a-f]* *best.fz$' freeze "$best" -o best.fz --custom best.so
    says 2 'com.example.Best .*version 1 sha256:9c4e1f52.* not registered' info best.fz
    for verb in 'info best.fz' 'bench best.fz --seconds 0.1' 'diff best.fz best.fz' \
        "compare best.fz $best --input input=$images" "run best.fz --input input=$images"; do
        # shellcheck disable=SC2086
        says 2 'not registered\|com.example.Best' $verb
        # shellcheck disable=SC2086
        says 0 . $verb --custom best.so
    done
    says 1 'com.example.Best .* not registered' verify best.fz --kat
    says 0 'known answer equal' verify best.fz --kat --custom best.so
    says 0 'com.example.Best 1 1' info best.fz --custom "$work/best.so"
    sed 's/\.version = 1/.version = 2/' "$data/../../examples/custom/best.c" >other.c
    ${CC:-cc} -shared -fPIC -I"$data/../../include" other.c -o other.so
    says 2 'version 1 sha256.* registered in version 2 sha256' info best.fz --custom other.so
    says 2 'listed twice' info best.fz --custom best.so --custom other.so
    echo 'int x;' | ${CC:-cc} -shared -xc - -o none.so
    says 2 'does not define frozen_custom_ops' info best.fz --custom none.so
    says 2 'cannot open shared object' info best.fz --custom nowhere.so
else echo 'skipped: custom operators (a C compiler is needed)'
fi

# ---- a model with several faults: all of them, a line each
for verb in "freeze $data/faults/faulty.onnx -o none.fz" "info $data/faults/faulty.onnx"; do
    # shellcheck disable=SC2086
    "$fz" $verb >out 2>err; [ $? = 2 ] && [ "$(wc -l <err)" = 9 ] &&
        grep -q 'not supported, 8 cases' err && grep -q "Frobnicate.*'first' and 1 more.*register" err &&
        grep -q 'RemovePadding.*GPUs' err && grep -q "'mixed' (Add, opset 17)" err && [ ! -s out ]
    verdict $? "fz ${verb%% *}: eight faults"
done
mkdir -p faulty/test_data_set_0; cp "$data/faults/faulty.onnx" faulty/model.onnx
"$fz" test faulty >out 2>err; [ $? = 1 ] && [ "$(grep -c . out)" = 2 ] && grep -q 'FAIL.*8 cases' out
verdict $? 'fz test: eight faults in one line'

# Strings come and go as .npy; the values of a sequence have files of their own.
if python3 - <<'PYTHON' 2>/dev/null
import numpy, onnx
from onnx import TensorProto as T, helper as h
texts = h.make_sequence_type_proto(h.make_tensor_type_proto(T.STRING, None))
nodes = [h.make_node("SequenceConstruct", ["x", "x"], ["s"]), h.make_node("Identity", ["x"], ["y"])]
graph = h.make_graph(nodes, "g", [h.make_tensor_value_info("x", T.STRING, ["n"])],
                     [h.make_tensor_value_info("y", T.STRING, ["n"]), h.make_value_info("s", texts)])
onnx.save(h.make_model(graph, opset_imports=[h.make_opsetid("", 14)], ir_version=8), "text.onnx")
numpy.save("text.npy", numpy.array(["a", "\u00e4\u20ac\U0001f600", ""]))
PYTHON
then
    says 0 '1 s sequence .2.' run text.onnx --input x=text.npy --output-dir texts
    same text.npy texts/output_0.npy
    same text.npy texts/output_1_1.npy
    says 0 . freeze text.onnx -o text.fz
    says 0 'known answer equal' verify text.fz --kat
    says 0 '0 differ' compare text.onnx text.fz --input x=text.npy
else echo "skipped: strings on the command line (python3-onnx and python3-numpy are needed)"
fi
echo "$passed passed, $failed failed"
[ $failed = 0 ]
