#!/bin/sh
# Known answers fail closed on a host that computes other bits: the library, then fz verify.
#
# usage: run.sh BUILD_DIR     ends in 'N passed, N failed'
set -u
b=$1 data=$(cd "$(dirname "$0")/../data" && pwd)
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
"$b/tests/answers/answers" "$data/digits" >"$work/log" || true
sed '$d' "$work/log"
passed=$(sed -n '$s/^\([0-9]*\) passed.*/\1/p' "$work/log") failed=$(sed -n '$s/.* \([0-9]*\) failed$/\1/p' "$work/log")
passed=${passed:-0} failed=${failed:-1}

verdict() {
    if [ "$1" = 0 ]; then passed=$((passed + 1)); echo "ok   $2"
    else failed=$((failed + 1)); echo "FAIL $2"; sed 's/^/    /' "$work/out" "$work/err"; fi
}

# verify KERNEL STATUS OPTION: what fz verify of m.fz says and ends with. Where the status is bad,
# nothing is said to be good.
verify() {
    WRONG=$1 "$b/tests/answers/wrong_verify" "$work/m.fz" $3 >"$work/out" 2>"$work/err"
    code=$?
    [ $code = "$2" ] || return 1
    if [ "$2" = 0 ]; then grep -q '^ok ' "$work/out" && [ ! -s "$work/err" ]
    else [ ! -s "$work/out" ] && grep -q "output 'logits': sha256 [0-9a-f]\{64\}, the file says [0-9a-f]\{64\}" "$work/err"; fi
}

for pair in cnn=gemm cnn=rounding lstm=gemm mlp.qdq=qgemm cnn.dyn=qgemm; do
    name=${pair%=*} kernel=${pair#*=}
    "$b/lib/cli/fz" freeze "$data/digits/digits_$name.onnx" -o "$work/m.fz" >"$work/out" 2>"$work/err"
    verdict $? "freeze $name"
    verify none 0 --kat; verdict $? "verify --kat $name, a good host"
    verify "$kernel" 1 --kat; verdict $? "verify --kat $name, wrong $kernel"
    verify "$kernel" 0 ''; verdict $? "verify $name, wrong $kernel: the file itself is whole"
done
echo "$passed passed, $failed failed"
[ "$failed" = 0 ]
