#!/usr/bin/env python3
"""A run with two threads on two CPUs, one of which another process keeps busy, beside an idle machine.

usage: busy.py FZ FILE.fz... [--rounds N] [--seconds S]
Interleaved: idle, then beside a process that computes all the time on one of the two CPUs. Prints the
medians of p50 and p99. Exit status 1 if a median run beside the neighbour takes more than 3 times as
long as an idle one. With one CPU there is nothing to measure."""
import argparse
import json
import os
import statistics
import subprocess
import sys

LIMIT = 3
NEIGHBOUR = 'import os\nos.sched_setaffinity(0, {%d})\nprint(flush=True)\nwhile True: pass'


def bench(fz, path, cpus, seconds):
    text = subprocess.run(['taskset', '-c', cpus, fz, 'bench', path, '--json', '--threads', '2',
                           '--seconds', str(seconds)], check=True, capture_output=True, text=True)
    return json.loads(text.stdout)


def beside(cpu, measure):
    """MEASURE() while a process spins on CPU."""
    with subprocess.Popen([sys.executable, '-c', NEIGHBOUR % cpu], stdout=subprocess.PIPE) as other:
        other.stdout.readline()
        try:
            return measure()
        finally:
            other.kill()


def main():
    p = argparse.ArgumentParser()
    p.add_argument('fz')
    p.add_argument('files', nargs='+')
    p.add_argument('--rounds', type=int, default=3)
    p.add_argument('--seconds', type=float, default=1)
    a = p.parse_args()
    cpus = sorted(os.sched_getaffinity(0))[:2]
    if len(cpus) < 2:
        sys.exit('busy.py: needs two CPUs')
    names, worst = ','.join(map(str, cpus)), 0
    print('%-28s %10s %10s %8s %10s %10s' % ('ms', 'idle p50', 'busy p50', 'ratio', 'idle p99', 'busy p99'))
    for path in a.files:
        rows = {'idle': [], 'busy': []}
        for _ in range(a.rounds):
            rows['idle'].append(bench(a.fz, path, names, a.seconds))
            rows['busy'].append(beside(cpus[1], lambda: bench(a.fz, path, names, a.seconds)))
        mid = lambda kind, key: statistics.median(r[key] for r in rows[kind])
        ratio = mid('busy', 'p50_ms') / mid('idle', 'p50_ms')
        worst = max(worst, ratio)
        print('%-28s %10.3f %10.3f %7.2fx %10.3f %10.3f' % (
            os.path.basename(path), mid('idle', 'p50_ms'), mid('busy', 'p50_ms'), ratio,
            mid('idle', 'p99_ms'), mid('busy', 'p99_ms')), flush=True)
    sys.exit(worst > LIMIT)


main()
