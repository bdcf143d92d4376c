#!/bin/sh
# From a bare Debian to a frozen model that reads digits: examples/quickstart.sh [BUILD_FOLDER]
# Installs what is missing, builds, freezes a small convolutional network trained on handwritten
# digits, runs it on images that it has not seen, and checks its known answer.
set -eu
LC_ALL=C.UTF-8; export LC_ALL # numbers have points
root=$(cd "$(dirname "$0")/.." && pwd)
build=${1:-$root/build-quickstart}
digits=$root/tests/data/digits

missing() {
  for pair in cc:gcc meson:meson ninja:ninja-build pkg-config:pkg-config \
    protoc-c:protobuf-c-compiler; do
    command -v "${pair%%:*}" >/dev/null 2>&1 || echo "${pair##*:}"
  done
  # The headers of libc come apart from the compiler.
  [ -f /usr/include/stdio.h ] || echo libc6-dev
  { pkg-config --exists libprotobuf-c; } 2>/dev/null || echo libprotobuf-c-dev
  { pkg-config --exists libcrypto; } 2>/dev/null || echo libssl-dev
}

as_root() {
  if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi
}

packages=$(missing | sort -u | xargs)
if [ -n "$packages" ]; then
  if ! command -v apt-get >/dev/null 2>&1; then
    echo "please install what Debian calls $packages, then run this again" >&2
    exit 1
  fi
  echo "installing $packages"
  # shellcheck disable=SC2086
  as_root apt-get update -q >"$build.log" 2>&1 &&
    as_root env DEBIAN_FRONTEND=noninteractive \
      apt-get install -q -y --no-install-recommends $packages >>"$build.log" 2>&1 ||
    { tail -n 30 "$build.log" >&2; exit 1; }
fi

echo "building in $build, which takes a minute or two"
if ! { { [ -f "$build/build.ninja" ] ||
  meson setup "$build" "$root" --buildtype=release -Dtests=false; } &&
  ninja -C "$build" lib/cli/fz; } >"$build.log" 2>&1; then
  tail -n 30 "$build.log" >&2
  exit 1
fi
rm -f "$build.log"
fz=$build/lib/cli/fz

model=$build/digits_cnn.fz
echo "freezing digits_cnn.onnx"
"$fz" freeze "$digits/digits_cnn.onnx" -o "$model" >/dev/null
"$fz" run "$model" --input "input=$digits/test_x.npy" --output-dir "$build" >/dev/null

# The first image: 8 rows of 8 pixels, each from 0 (paper) to 1 (ink).
echo
od -An -v -tf4 -w32 -j128 -N256 "$digits/test_x.npy" |
  awk '{row = ""; for (i = 1; i <= 8; i++) {c = substr(" .:*#", int($i * 4.5) + 1, 1); row = row c c}
        print "   " row}'

# An .npy file of this kind is a header of 128 bytes and then the numbers: 10 scores for each
# image, of which the highest is the prediction, and one byte for each true digit.
od -An -v -tf4 -w40 -j128 "$build/output_0.npy" |
  awk '{best = 1; for (i = 2; i <= 10; i++) if ($i > $best) best = i; print best - 1}' \
    >"$build/predicted"
od -An -v -tu1 -w1 -j128 "$digits/test_y.npy" | tr -d ' ' >"$build/true"
paste "$build/predicted" "$build/true" | awk '
  NR <= 16 {p = p " " $1; t = t " " $2}
  $1 == $2 {right++}
  END {
    printf "\nimage      "; for (i = 1; i <= 16; i++) printf "%3d", i
    n = split(p, a, " "); printf "\npredicted  "; for (i = 1; i <= n; i++) printf "%3d", a[i]
    n = split(t, a, " "); printf "\ntrue digit "; for (i = 1; i <= n; i++) printf "%3d", a[i]
    printf "\nright: %d of %d images\n\n", right, NR
  }'

"$fz" info "$model" | awk '
  $1 == "id" {print "model id    " $2}
  $1 == "protected" {sub(/^protected */, ""); print "protection  " $0}'
printf 'proof       '
"$fz" verify --kat "$model"
