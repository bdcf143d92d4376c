#!/bin/sh
# The store from outside: what its verbs do, that other OCI tools read it, that neither many writers,
# nor killed ones, nor full or read-only disks leave anything torn.
#
# usage: run.sh BUILD_DIR [--full]     --full: 1,000 killed processes instead of 100
set -u
LC_ALL=C; export LC_ALL
here=$(cd "$(dirname "$0")" && pwd) data=$(cd "$(dirname "$0")/../data" && pwd)
build=$(cd "$1" && pwd)
fz=$build/lib/cli/fz kills=100
[ "${2:-}" = --full ] && kills=1000
"$fz" --help | grep -q 'fz store' || { echo 'skipped: store: the build has no libfrozen-store'; echo '0 passed, 0 failed'; exit 0; }
work=$(mktemp -d)
trap 'umount "$work/small" 2>/dev/null; rm -rf "$work"' EXIT
cd "$work" || exit 1
passed=0 failed=0

verdict() { # GOOD NAME
    if [ "$1" = 0 ]; then passed=$((passed + 1)); echo "pass $2"
    else failed=$((failed + 1)); echo "FAIL $2"; head -n 5 out err 2>/dev/null | sed 's/^/    /'; fi
}
# says STATUS PATTERN ARGUMENT...: fz store must end with STATUS and say PATTERN.
says() {
    status=$1 pattern=$2; shift 2
    "$fz" store "$@" >out 2>err </dev/null
    [ $? = "$status" ] && { [ -z "$pattern" ] || cat out err | grep -q -e "$pattern"; }
    verdict $? "fz store $*: $status, '$pattern'"
}

for m in cnn mlp lstm; do
    "$fz" freeze "$data/digits/digits_$m.onnx" -o $m.fz >$m.id || exit 1
    cut -d' ' -f1 $m.id >id; mv id $m.id
done
cnn=$(cat cnn.id) mlp=$(cat mlp.id) lstm=$(cat lstm.id)

# ---- verbs
says 0 '' init s
says 2 'not empty' init s
says 2 'no store' ls .
says 2 'cannot open' ls /no/such/store
says 0 "$cnn" put s cnn.fz --tag prod
says 0 "$mlp" put s mlp.fz --tag prod
says 0 "$mlp" put s mlp.fz
says 0 "$lstm" put s lstm.fz
says 2 'cannot be a tag' put s lstm.fz --tag ../../etc
says 2 . put s "$data/digits/digits_cnn.onnx"
says 2 . put s /no/such/file
says 0 "$mlp .* prod" ls s
says 0 "tag *$cnn" history s prod
says 2 'no history' history s nobody
says 0 "blobs/sha256/$mlp" path s prod
says 2 'no model' path s nobody
"$fz" store get s prod -o out.fz && cmp out.fz mlp.fz; verdict $? 'get gives the bytes'
# Process ids come back, in containers at once.
for c in 'store get s prod -o again.fz' "freeze $data/digits/digits_mlp.onnx -o again.fz"; do
    rm -f again.fz*
    fz=$fz c=$c sh -c 'touch again.fz.$$.part; exec "$fz" $c' >out 2>err; cmp again.fz mlp.fz
    verdict $? "fz ${c%% -o*}: a killed process of the same number is in nobody's way"
done
[ "$(sha256sum <"s/blobs/sha256/$mlp" | cut -d' ' -f1)" = "$mlp" ]; verdict $? 'a blob is the frozen file'
[ "$(stat -c %a "s/blobs/sha256/$mlp")" = 444 ]; verdict $? 'a blob is read-only'
"$fz" run store:s:prod --input input="$data/digits/test_x.npy" >out 2>err; verdict $? 'fz run store:s:prod'
"$fz" verify "s/blobs/sha256/$mlp" --expect "$mlp" >out 2>err; verdict $? 'a blob opens by its path'
says 0 "$cnn" rollback s prod
says 0 "blobs/sha256/$cnn" path s prod
says 2 'nothing before' rollback s prod
says 0 '' pin s "$lstm"
says 0 "$lstm .* pinned" ls s
says 0 'files' gc s
says 0 "$lstm" ls s
"$fz" store ls s | grep -q "$mlp"; [ $? = 1 ]; verdict $? 'gc removed what nothing names'
says 0 '' pin s "$lstm" --undo
says 0 '3 files' gc s
says 0 '^ok 3 blobs' fsck s

# ---- stores that somebody else made
forge() { # PYTHON: a copy of s whose index I was changed
    rm -rf forged; cp -r s forged
    /usr/bin/python3 -c "
import json
I = json.load(open('forged/index.json')); A = [m['annotations'] for m in I['manifests']]
$1
json.dump(I, open('forged/index.json', 'w'))"
}
tag=org.opencontainers.image.ref.name
forge "for a in A: a['$tag'] = 'x\x1b[31m y'"
says 0 'x?\[31m?y$' ls forged
forge "for a in A: a['$tag'] = '$mlp'"
says 2 'no model' get forged "$mlp" -o forged.fz
forge "I['manifests'].append({'annotations': A[0]}); I['manifests'][0].pop('digest')"
for v in 'ls forged' 'gc forged' 'fsck forged' 'pin forged prod' 'tag forged prod b'; do
    "$fz" store $v >out 2>err; [ $? != 0 ] && grep -q 'no sha256 digest' err out
    verdict $? "fz store $v: an entry without a digest"
done
forge "I['annotations']['io.libfrozen.history.prod'] = 't tag\n\nt\n t tag $mlp\nt tag $mlp$mlp\nt tag $mlp'"
"$fz" store history forged prod >out 2>err; [ "$(cat out)" = "t tag      $mlp" ]
verdict $? 'a history with lines that are none'
forge ''
for f in forged/blobs/sha256/*; do chmod u+w "$f"; echo x >>"$f"; done
says 0 "$cnn" put forged cnn.fz
says 0 '^ok 3 blobs' fsck forged
forge "I['annotations']['big'] = 'x' * (1 << 26)"
says 2 'is too large' tag forged prod b
forge "I['annotations']['big'] = 'x' * ((1 << 26) - 2000)"
for i in 1 2 3 4 5 6 7 8 9; do "$fz" store tag forged prod t$i >out 2>err || break; done
grep -q 'would be larger' err && "$fz" store ls forged >out; verdict $? 'an index at its limit stays readable'
forge ''; rm forged/index.json; mkfifo forged/index.json
timeout 9 "$fz" store ls forged >out 2>err; [ $? = 2 ]; verdict $? 'a FIFO for an index'
forge ''; mkdir elsewhere; echo precious >elsewhere/thesis; echo more >forged/blobs/sha256/thesis
says 0 '0 files' gc forged
mv forged/blobs/sha256/* elsewhere; rmdir forged/blobs/sha256
ln -s ../../elsewhere forged/blobs/sha256
says 0 "$cnn" ls forged
says 2 'cannot open blobs' gc forged
[ -e elsewhere/thesis ]; verdict $? 'gc removes nothing outside the store'

# ---- other tools
if command -v skopeo >/dev/null; then
    copy() { skopeo copy --insecure-policy -q "$@" >out 2>err; }
    copy oci:s:prod oci:other:prod && diff -r s/blobs other/blobs >out; verdict $? 'skopeo: oci to oci'
    copy oci:s:prod dir:plain && copy dir:plain oci:third:prod && diff -r s/blobs third/blobs >out
    verdict $? 'skopeo: oci to dir and back'
    says 0 '^ok 3 blobs' fsck third
    says 0 "$mlp" put third mlp.fz --tag prod
    says 0 "$mlp" path third prod
    cp -r s flipped
    chmod u+w "flipped/blobs/sha256/$cnn"
    /usr/bin/python3 -c "
p = 'flipped/blobs/sha256/$cnn'
b = bytearray(open(p, 'rb').read()); b[len(b) // 2] ^= 1; open(p, 'wb').write(b)"
    copy oci:flipped:prod oci:fourth:prod; [ $? != 0 ]; verdict $? 'skopeo stops at a flipped byte'
    says 1 "$cnn does not have its digest" fsck flipped
    says 1 'does not have its digest' get flipped prod -o out2.fz
    [ ! -e out2.fz ]; verdict $? 'get leaves no damaged file'
    "$fz" run store:flipped:prod --input input="$data/digits/test_x.npy" >out 2>err
    [ $? = 2 ]; verdict $? 'a damaged model does not run'
    says 0 "$cnn" put flipped cnn.fz
    says 0 '^ok 3 blobs' fsck flipped
else
    echo 'skipped: skopeo is not installed'
fi

# ---- many at once, and killed
/usr/bin/python3 "$here/kill.py" "$fz" "$kills" cnn.fz mlp.fz lstm.fz >out 2>err
verdict $? "$kills processes killed: $(tail -n 1 out)"

# ---- full and read-only disks
mkdir small
# Room for one of two models and half of the other.
room=$(($(wc -c <cnn.fz) + $(wc -c <lstm.fz) / 2))
if mount -t tmpfs -o size=$room tmpfs small 2>/dev/null; then
    says 0 '' init small/s
    says 0 "$cnn" put small/s cnn.fz --tag prod
    says 2 'No space left' put small/s lstm.fz --tag prod
    says 0 '^ok 3 blobs' fsck small/s
    says 0 "blobs/sha256/$cnn" path small/s prod
    head -c 300k /dev/zero >small/fill 2>/dev/null
    says 2 'No space left' tag small/s prod canary
    says 0 '^ok 3 blobs' fsck small/s
    rm small/fill
    says 0 '' tag small/s prod canary
    mount -o remount,ro small
    says 2 'Read-only' put small/s mlp.fz
    says 2 'Read-only' tag small/s prod other
    says 2 'Read-only' gc small/s
    says 0 "$cnn .* prod" ls small/s
    says 0 '^ok 3 blobs' fsck small/s
    "$fz" run store:small/s:prod --input input="$data/digits/test_x.npy" >out 2>err
    verdict $? 'a read-only store serves'
    umount small
else
    echo 'skipped: full and read-only disks: mounting a tmpfs is not allowed here'
fi
echo "$passed passed, $failed failed"
[ $failed = 0 ]
