#!/bin/sh
# Negative controls: broken variants of the library that the tests must catch.
# usage: run.sh BUILD_DIR [NAME]...     ends in 'N passed, N failed'; see controls.py
exec /usr/bin/python3 -B "$(dirname "$0")/controls.py" "$@"
