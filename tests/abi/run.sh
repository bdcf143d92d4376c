#!/bin/sh
# The binary interface against its baseline: exported symbols, SONAMEs, layouts (abi_structs was
# compiled), and the types of all functions where abidiff is installed.
#
# usage: run.sh BUILD_DIR [--write]     --write: makes the baseline of what is there now
set -u
b=$1 here=$(cd "$(dirname "$0")" && pwd) src=$(cd "$(dirname "$0")/../.." && pwd)
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
passed=0 failed=0
good() { echo "pass $1"; passed=$((passed + 1)); }
bad() { echo "FAIL $1"; failed=$((failed + 1)); }

symbols() { nm -D --defined-only "$1" | awk '$2 ~ /[TDBRV]/ { print $3 }' | LC_ALL=C sort; }
for lib in libfrozen libfrozen-freeze libfrozen-store; do
    # The library around stores is built where its packages are; the others always.
    if [ $lib = libfrozen-store ] && [ ! -f "$b/lib/$lib.so" ]; then
        echo "skipped: $lib (not built)"; continue
    fi
    symbols "$b/lib/$lib.so" >"$work/$lib.symbols"
    [ "${2:-}" = --write ] && cp "$work/$lib.symbols" "$here/$lib.symbols"
    if diff "$here/$lib.symbols" "$work/$lib.symbols"; then good "symbols of $lib"
    else bad "symbols of $lib: < baseline, > now"; fi
    if objdump -p "$b/lib/$lib.so" | grep -q "SONAME *$lib\.so\.0$"; then good "soname of $lib"
    else bad "soname of $lib is not $lib.so.0"; fi
done
# Nothing of protobuf-c in the library that only runs models, and a size that embedding can bear.
if objdump -p "$b/lib/libfrozen.so" | grep -q 'NEEDED.*protobuf'; then bad 'libfrozen needs protobuf-c'
else good 'libfrozen needs no protobuf-c'; fi
strip -o "$work/stripped.so" "$b/lib/libfrozen.so"
size=$(wc -c <"$work/stripped.so")
if [ "$size" -lt 2500000 ]; then good "libfrozen has $size bytes, below 2,500,000"
else bad "libfrozen has $size bytes, stripped: not below 2,500,000"; fi
if "$b/tests/abi/abi_structs"; then good 'layouts of public structs'; else bad 'layouts of public structs'; fi

if [ ! -f "$b/lib/libfrozen-store.so" ]; then
    echo 'skipped: abidiff (the baseline has the functions of libfrozen-store, which is not built)'
elif command -v abidw >/dev/null && command -v abidiff >/dev/null; then
    if [ "${2:-}" = --write ]; then
        abidw --headers-dir "$src/include" --drop-private-types --no-show-locs --no-corpus-path \
            --no-comp-dir-path --no-elf-needed --out-file "$here/baseline.abi" "$b/tests/abi/libabi_types.so"
    fi
    abidiff --headers-dir2 "$src/include" --drop-private-types --no-added-syms --no-show-locs \
        "$here/baseline.abi" "$b/tests/abi/libabi_types.so" >"$work/diff" 2>&1
    code=$?
    # Bit 8: an incompatible change, 4: a change to be looked at; 1, 2: abidiff itself failed.
    if [ $code = 0 ]; then good 'abidiff against the baseline'
    else cat "$work/diff"; bad "abidiff against the baseline: status $code"; fi
else echo 'skipped: abidiff (abigail-tools is not installed)'; fi
echo "$passed passed, $failed failed"
[ $failed = 0 ]
