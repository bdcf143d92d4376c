#!/bin/sh
# usage: run.sh BUILD_DIR
exec "$1/tests/prune/prune_test"
