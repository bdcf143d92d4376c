#!/usr/bin/env python3
"""How fast a frozen file opens: sealed with one thread and with two, and mapped, interleaved.

usage: open.py FZ FILE.fz [ROUNDS]    Prints the best and the median of ROUNDS (default 7) processes
each, in ms and in GB of file a second. Beside it the speed of SHA-256 alone, by openssl, in the same
run: the id of a file is its SHA-256, so no sealed open is faster than that."""
import json
import os
import re
import statistics
import subprocess
import sys


def load_ms(fz, path, *options):
    text = subprocess.run([fz, 'bench', path, '--json', '--seconds', '0', *options], check=True,
                          capture_output=True, text=True).stdout
    return json.loads(text)['load_ms']


def sha256_speed():
    text = subprocess.run(['openssl', 'speed', '-bytes', '262144', '-seconds', '1', '-evp', 'sha256'],
                          capture_output=True, text=True).stdout
    found = re.search(r'^sha256\s+([0-9.]+)k', text, re.M | re.I)
    return float(found.group(1)) * 1e3 if found else 0


def main():
    fz, path = sys.argv[1:3]
    rounds = int(sys.argv[3]) if len(sys.argv) > 3 else 7
    size = os.path.getsize(path)
    rows = {'sealed, 1 thread': ['--threads', '1'], 'sealed, 2 threads': ['--threads', '2'],
            'mapped': ['--open', 'map']}
    times = {name: [] for name in rows}
    hashes = []
    for _ in range(rounds):
        for name, options in rows.items():
            times[name].append(load_ms(fz, path, *options))
        hashes.append(sha256_speed())
    print(f'{os.path.basename(path)}: {size} bytes; SHA-256 alone: best {max(hashes) / 1e9:.2f} GB/s')
    for name, ms in times.items():
        best, middle = min(ms), statistics.median(ms)
        print(f'{name:18} best {best:8.2f} ms {size / best / 1e6:8.2f} GB/s   '
              f'median {middle:8.2f} ms {size / middle / 1e6:8.2f} GB/s')


main()
