#!/bin/sh
# Pruning of trained models: what it takes out and what it costs.
#
# usage: prune.sh BUILD_DIR [--speed]     --speed: times runs as well; the machine should be idle
set -u
b=$(cd "$1" && pwd) here=$(cd "$(dirname "$0")" && pwd) data=$(cd "$(dirname "$0")/../data" && pwd)
shift
fz="${FZ_UNDER:-} $b/lib/cli/fz"
exec /usr/bin/python3 "$here/prune.py" "${fz# }" "$data/digits" "$@"
