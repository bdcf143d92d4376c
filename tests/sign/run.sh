#!/bin/sh
# Signatures against other people's: OpenSSF's test vectors, the model-signing package from PyPI in
# both directions, openssl for Ed25519; and damaged, missing and foreign ones.
#
# usage: run.sh BUILD_DIR
set -u
LC_ALL=C; export LC_ALL
data=$(cd "$(dirname "$0")/../data" && pwd)
fz=$(cd "$1" && pwd)/lib/cli/fz
"$fz" --help | grep -q 'fz sign' || { echo 'skipped: signatures: the build has no libfrozen-store'; echo '0 passed, 0 failed'; exit 0; }
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
cd "$work" || exit 1
passed=0 failed=0

verdict() { # GOOD NAME
    if [ "$1" = 0 ]; then passed=$((passed + 1)); echo "pass $2"
    else failed=$((failed + 1)); echo "FAIL $2"; head -n 5 out err 2>/dev/null | sed 's/^/    /'; fi
}
# says STATUS PATTERN ARGUMENT...: fz must end with STATUS and say PATTERN.
says() {
    status=$1 pattern=$2; shift 2
    "$fz" "$@" >out 2>err </dev/null
    [ $? = "$status" ] && cat out err | grep -q -e "$pattern"
    verdict $? "fz $(echo "$*" | sed "s,$data/,,g"): $status, '$pattern'"
}
flip() { # FILE OFFSET
    /usr/bin/python3 -c "
b = bytearray(open('$1', 'rb').read()); b[$2] ^= 1; open('$1', 'wb').write(b)"
}

"$fz" freeze "$data/digits/digits_cnn.onnx" -o a.fz >/dev/null || exit 1
"$fz" freeze "$data/digits/digits_mlp.onnx" -o b.fz >/dev/null || exit 1
for n in 1 2; do
    says 0 secret keygen ed$n.pem ed$n.pub
    says 0 secret keygen ec$n.pem ec$n.pub --kind p256
done
[ "$(stat -c %a ed1.pem)" = 600 ]; verdict $? 'a private key is its owner'"'"'s'
openssl pkey -in ec1.pem -pubout 2>err | cmp - ec1.pub >out; verdict $? 'openssl reads the keys'

# ---- vectors: structure
for f in "$data"/oms/invalid/*.json "$data"/oms/invalid-payload/*.json; do
    case $f in */empty.*) what='no Ed25519 signature' ;; *) what='no Model Signing bundle' ;; esac
    says 1 "$what" verify a.fz --key ec1.pub --signature "$f"
done
says 1 'for 2 files' verify a.fz --key ec1.pub --signature "$data/oms/valid/key.bundle.json"
for f in certificate sigstore; do
    says 1 'unsupported method' verify a.fz --key ec1.pub --signature "$data/oms/valid/$f.bundle.json"
done

# ---- bundles
says 0 a.fz.sig sign a.fz --key ec1.pem --bundle
says 0 'signed by the key' verify a.fz --key ec1.pub
says 1 'not signed by the key' verify a.fz --key ec2.pub
says 1 'not of the kind P-256' verify a.fz --key ed1.pub
says 1 'expected was' verify b.fz --key ec1.pub --signature a.fz.sig
says 2 'not of the kind P-256' sign a.fz --key ed1.pem --bundle
cp a.fz.sig good.sig
# Any flipped bit of the payload or of the signature; elsewhere it must at least not crash.
size=$(wc -c <good.sig) bad=0
for at in $(seq 0 17 $((size - 1))); do
    cp good.sig flipped.sig; flip flipped.sig "$at"
    "$fz" verify a.fz --key ec1.pub --signature flipped.sig >out 2>err
    case $? in 0) echo "$at" >>accepted ;; 1) ;; *) bad=1 ;; esac
done
[ $bad = 0 ]; verdict $? 'flipped bundles are refused or accepted, never worse'
# What is accepted has its flip in the key's hint, the key's id or the names of other members.
/usr/bin/python3 - <<'EOF' >out 2>err
import json, os, sys
text = open('good.sig').read()
bundle = json.loads(text)
signed = [bundle['dsseEnvelope']['payload'], bundle['dsseEnvelope']['signatures'][0]['sig']]
spans = [(text.index(s), text.index(s) + len(s)) for s in signed]
accepted = [int(x) for x in open('accepted')] if os.path.exists('accepted') else []
sys.exit(any(a <= x < b for x in accepted for a, b in spans))
EOF
verdict $? 'no flipped bit of payload or signature is accepted'
venv=${FZ_TEST_BUILD:-$work}/oms
[ -x "$venv/bin/model_signing" ] ||
    { /usr/bin/python3 -m venv "$venv" && "$venv/bin/pip" install -q model-signing pyopenssl; } >log 2>&1
if "$venv/bin/model_signing" --help >out 2>err; then
    "$venv/bin/model_signing" verify key a.fz --signature a.fz.sig --public_key ec1.pub >out 2>err
    verdict $? 'model-signing accepts our bundle'
    "$venv/bin/model_signing" verify key b.fz --signature a.fz.sig --public_key ec1.pub >out 2>err
    [ $? != 0 ]; verdict $? 'model-signing refuses it for another file'
    "$venv/bin/model_signing" sign key b.fz --signature theirs.sig --private_key ec2.pem >out 2>err
    says 0 'signed by the key' verify b.fz --key ec2.pub --signature theirs.sig
    says 1 'not signed by the key' verify b.fz --key ec1.pub --signature theirs.sig
    says 1 'expected was' verify a.fz --key ec2.pub --signature theirs.sig
else
    echo 'skipped: the model-signing package cannot be installed here'
fi

# ---- Ed25519
says 0 a.fz.sig sign a.fz --key ed1.pem
says 0 'signed by the key' verify a.fz --key ed1.pub
says 1 'not of the kind Ed25519' verify a.fz --key ec1.pub
says 2 'not of the kind Ed25519' sign a.fz --key ec1.pem
printf 'frozen-model/1\nsha256:%s\n' "$(sha256sum <a.fz | cut -d' ' -f1)" >statement
openssl pkeyutl -verify -pubin -inkey ed1.pub -rawin -in statement -sigfile a.fz.sig >out 2>err
verdict $? 'openssl accepts our signature'
openssl pkeyutl -sign -inkey ed2.pem -rawin -in statement -out theirs.sig 2>err
says 0 'signed by the key' verify a.fz --key ed2.pub --signature theirs.sig
bad=0
for at in $(seq 0 63); do
    cp a.fz.sig flipped.sig; flip flipped.sig "$at"
    "$fz" verify a.fz --key ed1.pub --signature flipped.sig >out 2>err; [ $? = 1 ] || bad=1
done
[ $bad = 0 ]; verdict $? 'every flipped byte of a signature is refused'
openssl genpkey -algorithm ed25519 -aes256 -pass pass:x -out locked.pem 2>err
says 2 'without a password' sign a.fz --key locked.pem
says 1 'not signed' verify b.fz --key ed1.pub
says 2 'with a key' verify a.fz --signature a.fz.sig
mkfifo pipe
says 2 'not a regular file' verify a.fz --key ed1.pub --signature pipe
# A public key that wants a password: nobody is asked for one.
sed '1a\
Proc-Type: 4,ENCRYPTED\
DEK-Info: AES-128-CBC,00112233445566778899AABBCCDDEEFF\

' ed1.pub >locked.pub
if command -v script >/dev/null; then
    timeout 9 setsid script -qc "'$fz' verify a.fz --key locked.pub" /dev/null </dev/null >out 2>err
    grep -q 'no public key' out && ! grep -q 'pass phrase' out; verdict $? 'no password is asked for'
fi
cp a.fz "$(printf 'm\377.fz')"
says 2 'not UTF-8' sign "$(printf 'm\377.fz')" --key ec1.pem --bundle
echo "$passed passed, $failed failed"
[ $failed = 0 ]
