#!/bin/sh
# The list of operators says what the sources say.
#
# usage: run.sh BUILD_DIR [--write]
exec /usr/bin/python3 "$(dirname "$0")/operators.py" "$@"
