"""Kills processes that work on one store, at random moments, and looks at the store after each.

usage: kill.py FZ N FILE.fz...   Four at a time put, tag, roll back and collect; one of them is killed.
Whatever ended with status 0 must be there, nothing may be torn, and the next gc leaves no draft."""
import os
import random
import signal
import subprocess
import sys
import tempfile
import time

FZ, N, FILES = sys.argv[1], int(sys.argv[2]), sys.argv[3:]
random.seed(int(os.environ.get('SEED', '1')))


def start(*arguments):
    return subprocess.Popen([FZ, 'store', *arguments], stdout=subprocess.PIPE,
                            stderr=subprocess.PIPE, text=True)


def must(*arguments):
    p = start(*arguments)
    out, err = p.communicate()
    if p.returncode != 0:
        sys.exit(f'fz store {" ".join(arguments)}: status {p.returncode}: {out}{err}')
    return out


def operation(store, i):
    """A process at work, and the tag that must be there if it ends well."""
    kind = random.random()
    if kind < 0.6:
        return start('put', store, random.choice(FILES), '--tag', f't{i}'), f't{i}'
    if kind < 0.75:
        return start('tag', store, 'base', f't{i}'), f't{i}'
    if kind < 0.85:
        return start('rollback', store, 'base'), None
    return start('gc', store), None


def main():
    with tempfile.TemporaryDirectory() as folder:
        store = os.path.join(folder, 's')
        must('init', store)
        begun = time.monotonic()
        for file in FILES:
            must('put', store, file, '--tag', 'base')
        typical = (time.monotonic() - begun) / len(FILES)
        there, killed = {'base'}, 0
        for i in range(N):
            group = [operation(store, 4 * i + j) for j in range(4)]
            time.sleep(random.random() * 1.2 * typical)
            group[0][0].send_signal(signal.SIGKILL)
            for process, tag in group:
                out, err = process.communicate()
                killed += process.returncode == -signal.SIGKILL
                if process.returncode == 0 and tag:
                    there.add(tag)
                elif process.returncode > 0 and 'nothing before' not in err:
                    sys.exit(f'{process.args}: status {process.returncode}: {out}{err}')
            must('fsck', store)
            if i % 10 == 9:
                tags = {t for line in must('ls', store).splitlines() for t in line.split()[3:]}
                if there - tags:
                    sys.exit(f'lost: {there - tags}')
        must('gc', store)
        left = [f for f in os.listdir(store) if f.startswith('.draft')]
        blobs = int(must('fsck', store).split()[1])
        models = len(must('ls', store).splitlines())
        if left or blobs != 3 * models:
            sys.exit(f'left over: {left}, {blobs} blobs of {models} models')
        print(f'{killed} killed at work, {len(there)} tags there, nothing torn or left')


main()
