#!/bin/sh
# Holds the promise that one model and one input have one answer, whatever surrounds the run.
#
# usage: run.sh BUILD_DIR [--full] [MODEL.onnx...]     Takes the digits models, the models that
# tests/models/run.sh has fetched (without --full: a text reader, a voice detector and what runs as
# quickly), and those named. FZ_UNDER is put before the program. Ends in 'N passed, N failed'.
set -u
b=$1; shift
data=$(cd "$(dirname "$0")/../data" && pwd) real=${FZ_TEST_BUILD:-$b}/models
full= models=
for a; do
    if [ "$a" = --full ]; then full=$a; else models="$models $(basename "$a" .onnx)=$a"; fi
done
for f in "$data"/digits/*.onnx; do
    name=$(basename "$f" .onnx)
    models="$models $name=$f=$data/golden/${name%%.*}/test_data_set_0"
done
for f in "$real"/*.onnx; do
    name=$(basename "$f" .onnx) set=
    case $full$name in --full*|ch_PP-OCRv4_rec_infer|silero_vad_v5|alexa_v0.1) ;; *) continue ;; esac
    [ -d "$data/golden/$name" ] && set==$data/golden/$name/test_data_set_0
    [ -f "$f" ] && models="$models $name=$f$set"
done
[ -n "$full" ] || echo "skipped: the other fetched models, unless --full"
# shellcheck disable=SC2086
exec ${FZ_UNDER:-} "$b/tests/invariance/invariance" $full $models
