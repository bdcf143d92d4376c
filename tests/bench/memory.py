#!/usr/bin/env python3
"""The peak of a process that runs a model, beside what it needs.

usage: memory.py BUILD_DIR [--inputs FILE.json] MODEL.onnx...
FILE.json: {"model": [{"name": ..., "dims": [...]}, ...], ...}; other open dimensions are 1.
Allowed are the file, the inputs, 1.2 times the largest cut of live activations, and 8 MB for the
program and its libraries. Exit status 1 if a model takes more."""
import json
import os
import subprocess
import sys
import tempfile

MB = 1e6


def shapes(known, name):
    """live's arguments for model NAME, whose variants have the inputs of the plain one."""
    rows = known.get(name) or known.get(name.rsplit('.', 1)[0]) or []
    return ['%s=%s' % (r['name'], 'x'.join(map(str, r['dims']))) for r in rows]


def measure(build, model, known, folder):
    name, frozen = os.path.basename(model)[:-len('.onnx')], os.path.join(folder, 'model.fz')
    for command in ([build + '/lib/cli/fz', 'freeze', model, '-o', frozen, '--no-kat'],
                    [build + '/tests/bench/live', frozen, *shapes(known, name)]):
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode:
            raise RuntimeError(done.stderr.strip()[:120])
    return name, json.loads(done.stdout)


def main():
    build, *models = sys.argv[1:]
    known, worst = {}, 0
    if models[0] == '--inputs':
        with open(models[1], encoding='utf-8') as file:
            known = json.load(file)
        models = models[2:]
    print('%-40s %9s %8s %8s %8s %9s %9s' % ('MB', 'file', 'inputs', 'cut', 'arena', 'peak', 'allowed'))
    with tempfile.TemporaryDirectory() as folder:
        for model in models:
            try:
                name, m = measure(build, model, known, folder)
            except RuntimeError as error:
                print('%-40s %s' % (os.path.basename(model), error))
                worst = 1
                continue
            allowed = m['weights'] + m['inputs'] + 1.2 * m['cut'] + 8 * MB
            over = m['peak'] > allowed
            worst |= over
            print('%-40s %9.2f %8.2f %8.2f %8.2f %9.2f %9.2f%s' % (
                name, m['weights'] / MB, m['inputs'] / MB, m['cut'] / MB, m['arena'] / MB,
                m['peak'] / MB, allowed / MB, '  OVER' if over else ''), flush=True)
    sys.exit(worst)


main()
