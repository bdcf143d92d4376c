#!/bin/sh
# The same model and the same input on five kinds of CPU, by libfrozen and by ONNX Runtime: which
# outputs are the same bits?
#
# usage: same-bits.sh [--work DIR] [--build DIR] [--images N] [--without-arm] [MODEL.onnx INPUTS]...
#   INPUTS: .npy files in the order of the model's inputs, with commas between them. Without models:
#           a small vision transformer that reads handwritten digits, in float and in int8.
#   --work DIR      keeps builds and packages in DIR for the next time; otherwise they are removed
#   --build DIR     a finished build of this checkout
#   --images N      reads the first N digits, 100 if nothing is said
#   --without-arm   leaves out the two Arm CPUs
#
# CPUs that are not there are emulated by qemu-user, whose arithmetic is the real ones'. ONNX Runtime
# comes from its npm package; both libraries use one thread. What is missing is installed from Debian.
# The exit status is 0 if libfrozen's outputs are the same everywhere.
set -eu
LC_ALL=C; export LC_ALL
root=$(cd "$(dirname "$0")/.." && pwd)
digits=$root/tests/data/digits
package=onnxruntime-node@1.30.0
work= build= images=100 arm=yes columns=1
while [ $# -gt 0 ]; do
  case $1 in
    --work) work=$2; shift 2 ;;
    --build) build=$(cd "$2" && pwd); shift 2 ;;
    --images) images=$2; shift 2 ;;
    --without-arm) arm=no; shift ;;
    -*) sed -n '5,12s/^# \{0,1\}//p' "$0"; exit 2 ;;
    *) break ;;
  esac
done

scratch=$(mktemp -d); trap 'rm -rf "$scratch"' EXIT; trap 'exit 1' HUP INT TERM
if [ -n "$work" ]; then mkdir -p "$work"; work=$(cd "$work" && pwd); else work=$scratch; fi

# ---- what is needed

missing() {
  list='cc:gcc meson:meson ninja:ninja-build pkg-config:pkg-config protoc-c:protobuf-c-compiler
    npm:npm'
  [ $arm = no ] || list="$list aarch64-linux-gnu-gcc:gcc-aarch64-linux-gnu"
  for pair in $list; do
    command -v "${pair%%:*}" >/dev/null 2>&1 || echo "${pair##*:}"
  done
  [ -f /usr/include/stdio.h ] || echo libc6-dev
  pkg-config --exists libprotobuf-c 2>/dev/null || echo libprotobuf-c-dev
  [ -n "$(qemu x86_64)" ] || echo qemu-user
  [ $arm = no ] || [ -f /usr/aarch64-linux-gnu/include/stdio.h ] || echo libc6-dev-arm64-cross
  [ $arm = no ] || [ -f /usr/aarch64-linux-gnu/lib/libstdc++.so.6 ] || echo libstdc++6-arm64-cross
}

as_root() { if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi; }

# quietly COMMAND...: its messages are shown if it fails, which ends this program.
quietly() {
  "$@" >"$scratch/log" 2>&1 || { tail -n 30 "$scratch/log" >&2; echo "failed: $*" >&2; exit 1; }
}

install_missing() {
  packages=$(missing | sort -u | xargs)
  [ -n "$packages" ] || return 0
  command -v apt-get >/dev/null 2>&1 || {
    echo "please install what Debian calls $packages, then run this again" >&2; exit 1; }
  echo "installing $packages" >&2
  quietly as_root apt-get -q update
  # shellcheck disable=SC2086
  quietly as_root env DEBIAN_FRONTEND=noninteractive apt-get -q -y install \
    --no-install-recommends $packages
}

# The emulator of an architecture, by the name that it has here.
qemu() { command -v "qemu-$1" || command -v "qemu-$1-static" || true; }

# ---- both libraries and the two programs that call them, for x86-64 and for Arm

build_frozen() {
  if [ -z "$build" ]; then
    build=$work/x86_64
    echo "building libfrozen, which takes a minute or two" >&2
    [ -f "$build/build.ninja" ] ||
      quietly meson setup "$build" "$root" --buildtype=release -Dtests=false
    quietly ninja -C "$build" lib/cli/fz
  fi
  [ $arm = no ] && return
  echo "building libfrozen for Arm" >&2
  [ -f "$work/aarch64/build.ninja" ] ||
    quietly meson setup "$work/aarch64" "$root" --cross-file "$root/tests/cross/aarch64.ini" \
      --buildtype=release -Dtests=false -Dfreeze=disabled -Dcrypto=disabled -Dblas=disabled
  quietly ninja -C "$work/aarch64"
}

fetch_ort() {
  ort=$work/${package%@*}/package/bin
  [ -d "$ort" ] && return
  echo "fetching $package" >&2
  mkdir -p "$work/${package%@*}"
  (cd "$work/${package%@*}" && quietly npm pack --silent --ignore-scripts "$package" &&
    quietly tar -xzf ./*.tgz --wildcards 'package/bin/*/linux/*' && rm -f ./*.tgz) || exit 1
}

# programs CC BUILD ARCH: scratch/ARCH/run_frozen and run_ort.
programs() {
  mkdir -p "$scratch/$3"
  quietly "$1" -O2 -I"$root/include" "$root/examples/same-bits/run_frozen.c" \
    "$root/examples/same-bits/arrays.c" -o "$scratch/$3/run_frozen" -L"$2/lib" \
    -Wl,-rpath,"$2/lib" -lfrozen
  quietly "$1" -O2 "$root/examples/same-bits/run_ort.c" "$root/examples/same-bits/arrays.c" \
    -o "$scratch/$3/run_ort" -ldl
}

# ---- the CPUs

native() {
  for flag in avx512_vnni=AVX-512-VNNI avx512f=AVX-512 avx_vnni=AVX-VNNI avx2=AVX2; do
    grep -qw "${flag%%=*}" /proc/cpuinfo && { echo "this CPU (${flag#*=})"; return; }
  done
  echo 'this CPU'
}

# arm_root CPU PART FEATURES: a root of an Arm system with Debian's libraries and the /proc/cpuinfo
# of that CPU; without one, ONNX Runtime reads that of the x86-64 and crashes.
arm_root() {
  mkdir -p "$scratch/$1/proc"
  ln -s /usr/aarch64-linux-gnu/lib "$scratch/$1/lib"
  sed -n 's/^processor.*: *//p' /proc/cpuinfo | while read -r n; do
    printf 'processor\t: %s\nFeatures\t: %s\nCPU implementer\t: 0x41\n' "$n" "$3"
    printf 'CPU architecture: 8\nCPU variant\t: 0x0\nCPU part\t: %s\nCPU revision\t: 0\n\n' "$2"
  done >"$scratch/$1/proc/cpuinfo"
}

# One CPU a line: architecture, what runs its programs, name.
list_cpus() {
  printf '%s\t%s\t%s\n' x86_64 env "$(native)" x86_64 "$(qemu x86_64) -cpu Haswell" 'Haswell (AVX2)' \
    x86_64 "$(qemu x86_64) -cpu Nehalem" 'Nehalem (SSE4.2)'
  [ $arm = no ] && return
  base='fp asimd evtstrm aes pmull sha1 sha2 crc32'
  arm_root cortex-a72 0xd08 "$base cpuid"
  arm_root neoverse-n1 0xd0c "$base atomics fphp asimdhp cpuid asimdrdm lrcpc dcpop asimddp"
  printf '%s\t%s\t%s\n' \
    aarch64 "$(qemu aarch64) -cpu cortex-a72 -L $scratch/cortex-a72" 'Cortex-A72 (NEON)' \
    aarch64 "$(qemu aarch64) -cpu neoverse-n1 -L $scratch/neoverse-n1" 'Neoverse N1 (dotprod)'
}

# ---- runs

# The first images of the file of digits: its header of 128 bytes says how many there are.
some_digits() {
  head -c 128 "$digits/test_x.npy" | sed "s/(497,/$(printf '(%3d,' "$images")/"
  tail -c +129 "$digits/test_x.npy" | head -c $((images * 256))
}

# run OUT COMMAND...: the first digits of the SHA-256 of OUT, which COMMAND writes, or how it ended.
run() {
  out=$1; shift; code=0
  "$@" 2>"$out.log" || code=$?
  if [ $code = 0 ]; then sha256sum "$out" | cut -c 1-8; return; fi
  rm -f "$out"
  echo "$*: status $code, $(tail -n 1 "$out.log")" >>"$scratch/trouble"
  case $code in
    132) echo SIGILL ;; 134) echo SIGABRT ;; 139) echo SIGSEGV ;; *) echo failed ;;
  esac
}

# difference A B: the largest difference of two files of floats, and how many of their rows have
# their highest value in another place.
difference() {
  [ -f "$1" ] && [ -f "$2" ] || { echo '- 0'; return; }
  for f in "$1" "$2"; do od -An -v -tf4 -w$((4 * columns)) "$f" >"$f.txt"; done
  paste "$1.txt" "$2.txt" | awk '
    { n = NF / 2; a = b = 1
      for (i = 1; i <= n; i++) {
        d = $i - $(n + i); if (d < 0) d = -d; if (d > most) most = d
        if ($i > $a) a = i
        if ($(n + i) > $(n + b)) b = i
      }
      if (a != b) others++ }
    END { printf "%.2g %d\n", most, others }'
}

# One line a CPU and model: number of the CPU, of the model, both digests, difference, other answers.
# ONNX Runtime gets a home of its own, for it leaves files there and in the folder of temporary files.
measure() {
  cpu=0
  while IFS='	' read -r arch emulator name; do
    cpu=$((cpu + 1)) library=$(echo "$ort"/*/linux/x64/libonnxruntime.so*)
    [ $arch = x86_64 ] || library=$(echo "$ort"/*/linux/arm64/libonnxruntime.so*)
    echo "running on $name" >&2
    model=0
    while IFS='	' read -r onnx inputs; do
      model=$((model + 1)) to=$scratch/out.$model.$cpu
      # shellcheck disable=SC2086
      ours=$(run "$to.frozen" $emulator "$scratch/$arch/run_frozen" "$scratch/$model.fz" \
        "$to.frozen" $inputs </dev/null)
      # shellcheck disable=SC2086
      theirs=$(run "$to.ort" env HOME="$scratch" TMPDIR="$scratch" $emulator \
        "$scratch/$arch/run_ort" "$library" "$onnx" "$to.ort" $inputs </dev/null)
      echo "$cpu $model $ours $theirs $(difference "$scratch/out.$model.1.ort" "$to.ort")"
    done <"$scratch/models"
  done <"$scratch/cpus"
}

# ---- the table

table() {
  version=$(env HOME="$scratch" TMPDIR="$scratch" \
    "$scratch/x86_64/run_ort" "$(echo "$ort"/*/linux/x64/libonnxruntime.so*)")
  awk -F'\t' -v ort="ORT $version" \
    -v models="$scratch/models" -v cpus="$scratch/cpus" -v images="$images" '
    function row(name, cells, rest) {
      for (m = 1; m <= n_models; m++) rest = rest "  " sprintf(" %-10s%-12s%-8s", \
        cells[m, 1], cells[m, 2], cells[m, 3])
      sub(/ *$/, "", rest); printf "%-24s%s\n", name, rest
    }
    BEGIN {
      while ((getline <models) > 0) { n_models++; sub(/.*\//, "", $1); model[n_models] = $1 }
      while ((getline <cpus) > 0) cpu[++n_cpus] = $3
      FS = " "
    }
    { ours[$1, $2] = $3; theirs[$1, $2] = $4; off[$1, $2] = $5; others[$1, $2] = $6
      if (!seen["ours", $2, $3]++) kinds[$2, 1]++
      if (!seen["theirs", $2, $4]++) kinds[$2, 2]++ }
    END {
      line = sprintf("%-24s", "")
      for (m = 1; m <= n_models; m++) line = line sprintf("   %-30s", model[m])
      sub(/ *$/, "", line); print line
      for (m = 1; m <= n_models; m++) {
        cell[m, 1] = "libfrozen"; cell[m, 2] = ort; cell[m, 3] = "off by" }
      row("", cell)
      for (c = 1; c <= n_cpus; c++) {
        for (m = 1; m <= n_models; m++) {
          cell[m, 1] = ours[c, m]; cell[m, 2] = theirs[c, m]
          cell[m, 3] = c == 1 ? "" : off[c, m] }
        row(cpu[c], cell)
      }
      for (m = 1; m <= n_models; m++) {
        cell[m, 1] = kinds[m, 1]; cell[m, 2] = kinds[m, 2]; cell[m, 3] = ""
        if (kinds[m, 1] != 1) wrong = 1 }
      row("different outputs", cell)
      for (c = 1; c <= n_cpus; c++) for (m = 1; m <= n_models; m++) if (others[c, m])
        printf "%s on %s: ONNX Runtime reads %d of %d images as other digits than on this CPU\n", \
          model[m], cpu[c], others[c, m], images
      exit wrong
    }' "$scratch/results"
}

main() {
  [ "$(uname -m)" = x86_64 ] || { echo 'this program runs on x86-64' >&2; exit 1; }
  install_missing
  if [ $# = 0 ]; then
    columns=10
    some_digits >"$scratch/digits.npy"
    set -- "$digits/digits_vit.onnx" "$scratch/digits.npy" \
      "$digits/digits_vit.qdq.onnx" "$scratch/digits.npy"
  fi
  build_frozen
  fetch_ort
  programs cc "$build" x86_64
  [ $arm = no ] || programs aarch64-linux-gnu-gcc "$work/aarch64" aarch64
  model=0
  while [ $# -gt 1 ]; do
    model=$((model + 1))
    quietly "$build/lib/cli/fz" freeze "$1" -o "$scratch/$model.fz"
    printf '%s\t%s\n' "$1" "$(echo "$2" | tr , ' ')" >>"$scratch/models"
    shift 2
  done
  list_cpus >"$scratch/cpus"
  : >"$scratch/trouble"
  measure >"$scratch/results"
  echo >&2
  code=0; table || code=1
  cat "$scratch/trouble"
  if grep -q run_frozen "$scratch/trouble"; then code=1; fi
  return $code
}

main "$@"
