#!/bin/sh
# Instructions of Arm kernels per vector of four results (of products: per vector of multiply-adds),
# counted by qemu, the reference beside the best version.
#
# usage: insns.sh BUILD [QEMU OPTION...]     BUILD: a cross build (tests/cross/aarch64.ini), compiled
set -eu
build=$1
shift
source=$(cd "$(dirname "$0")/../.." && pwd)
out=$build/insns
mkdir -p "$out"
${CC:-cc} -O2 -shared -fPIC -o "$out/plugin.so" "$source/tests/bench/insns_plugin.c"
aarch64-linux-gnu-gcc -std=gnu17 -O2 -Wall -Wextra -I "$source/kernels" -o "$out/calls" \
    "$source/tests/bench/insns_calls.c" -Wl,--start-group "$build"/kernels/libfzk_*.a -Wl,--end-group
qemu-aarch64 "$@" -L /usr/aarch64-linux-gnu -plugin "$out/plugin.so" "$out/calls" > "$out/counts"
awk '{ n = NF; label = ""; for (i = 1; i < n - 5; i++) label = label (i > 1 ? " " : "") $i }
     $(n - 5) == "c" { c[label] = $(n - 3) / $(n - 4); next }
     { v = $(n - 4)
       printf "%-34s c %7.2f   best %7.2f   loads %5.2f   stores %5.2f\n", label, c[label],
              $(n - 3) / v, $(n - 1) / v, $n / v }' "$out/counts"
