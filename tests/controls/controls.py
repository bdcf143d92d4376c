#!/usr/bin/env python3
"""Negative controls: shows that the proof of the bits fails where it must.

usage: controls.py BUILD_DIR [--list] [NAME]...     ends in 'N passed, N failed'

Each control breaks a temporary overlay of the sources in one known way (an edit, compiler flags),
compiles the few files that this concerns with the commands of BUILD_DIR, links a test program with
these objects before its libraries, and runs it. It is caught if the program reports a failure of the
kind that the control names; a control that changes nothing, does not compile, or crashes its program
is an error of the control and counts as failed. The sources that ship have no switch for any of this.

First 'sound' does the same with an unpatched copy of every file that a control touches: there every
test must pass, so that a catch is the work of the defect and not of the machinery.
"""
import collections
import concurrent.futures
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile

from variants import CONTROLS, PROGRAMS, UPPER

ROOT = os.path.normpath(os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', '..'))


class Broken(Exception):
    """The control itself does not work."""


def run(command, cwd, limit=120):
    return subprocess.run(command, cwd=cwd, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                          errors='replace', timeout=limit, check=False)


class Build:
    """What a build folder knows: how each object is compiled and each test program linked."""

    def __init__(self, folder):
        self.folder = os.path.abspath(folder)
        with open(os.path.join(folder, 'compile_commands.json'), encoding='utf-8') as f:
            self.commands = json.load(f)
        self.source = os.path.relpath(ROOT, self.folder)
        self.links = {}

    def objects(self, path, levels):
        """The compile commands of source PATH in the kernel libraries of LEVELS, or in any."""
        found = []
        for c in self.commands:
            at = os.path.relpath(os.path.join(c['directory'], c['file']), ROOT)
            level = re.search(r'/libfzk_(\w+)\.a\.p/', c['output'])
            if at == path and '.a.p/' in c['output'] and (not levels or (level and level[1] in levels)):
                found.append(c)
        if not found:
            raise Broken('no object of %s' % path)
        return found

    def link(self, program):
        if program not in self.links:
            r = run(['ninja', '-t', 'commands', program], self.folder)
            self.links[program] = r.stdout.strip().split('\n')[-1]
        return shlex.split(self.links[program])

    def compile(self, command, overlay, to, flags):
        """One object out of OVERLAY instead of the source folder, without -Werror."""
        words, skip = [], False
        for w in shlex.split(command['command']):
            if skip or w == '-Werror' or w in ('-MD', '-MQ', '-MF', '-o'):
                skip = w in ('-MQ', '-MF', '-o')
                continue
            words.append(w.replace(self.source + '/', overlay + '/'))
        at = words.index('-c')
        r = run(words[:at] + flags + ['-fdiagnostics-color=never', '-o', to] + words[at:], self.folder)
        if r.returncode:
            raise Broken('does not compile: ' + r.stdout.strip()[-2000:])

    def program(self, name, objects, to, extra):
        words = self.link(name)
        at = words.index('-o')
        r = run(words[:at] + ['-o', to] + objects + words[at + 2:] + extra, self.folder)
        if r.returncode:
            raise Broken('does not link: ' + r.stdout.strip()[-2000:])


def overlay_of(folder):
    """The sources without tests, as links: patch() puts a file in the place of a link."""
    for part in ('include', 'kernels', 'lib'):
        shutil.copytree(os.path.join(ROOT, part), os.path.join(folder, part), copy_function=os.symlink)
    return folder


def patch(overlay, edits):
    for path, old, new in edits:
        at = os.path.join(overlay, path)
        with open(at, encoding='utf-8') as f:
            text = f.read()
        changed, n = re.subn(old, new, text)
        if not n or changed == text:
            raise Broken('%s has nothing like %s' % (path, old))
        os.remove(at)
        with open(at, 'w', encoding='utf-8') as f:
            f.write(changed)


def build(b, control, folder):
    """The program of CONTROL, with its defect, in FOLDER."""
    overlay, objects = overlay_of(os.path.join(folder, 'source')), []
    patch(overlay, control.edits)
    for path, levels in control.objects:
        for command in b.objects(path, levels):
            objects.append(os.path.join(folder, '%d.o' % len(objects)))
            b.compile(command, overlay, objects[-1], control.flags)
    program = PROGRAMS[control.program]
    b.program(program.target, objects, os.path.join(folder, 'test'), control.libraries)


def execute(b, control, folder):
    """The test's exit status and what it printed."""
    program = PROGRAMS[control.program]
    arguments = [a.format(root=ROOT) for a in program.arguments]
    r = run([os.path.join(folder, 'test')] + arguments + control.cases, b.folder)
    if r.returncode < 0:
        raise Broken('the test died of signal %d' % -r.returncode)
    return r.returncode, r.stdout


def failures(control, status, text):
    """The lines that report a failure: empty if the test found nothing."""
    program = PROGRAMS[control.program]
    if program.judge:
        return program.judge(text)
    lines = [line for line in text.split('\n') if re.match(program.failure, line)]
    if (status != 0) != bool(lines):
        raise Broken('status %d and %d failures: %s' % (status, len(lines), text[-500:]))
    return lines


def try_control(b, control):
    """None if the test caught CONTROL, else why not; and a line on how."""
    with tempfile.TemporaryDirectory() as folder:
        try:
            if control.refused:
                try:
                    build(b, control, folder)
                except Broken as e:
                    if re.search(control.refused, str(e)):
                        return None, 'refused by the compiler'
                    raise
                return 'NOT CAUGHT: it compiles', ''
            build(b, control, folder)
            lines = failures(control, *execute(b, control, folder))
        except (Broken, subprocess.TimeoutExpired) as e:
            return 'the control does not work: %s' % e, ''
    if not lines:
        return 'NOT CAUGHT: every test passed', ''
    good = [line for line in lines if re.search(control.caught, line)]
    if not good:
        return 'NOT CAUGHT by %s, but: %s' % (control.caught, lines[0]), ''
    return None, '%s%s' % (good[0].strip()[:150], ' (+%d)' % (len(lines) - 1) if len(lines) > 1 else '')


def union_of(controls):
    """What any of CONTROLS compiles; None for the levels means all of them."""
    levels = collections.defaultdict(set)
    for path, some in (o for c in controls for o in c.objects):
        levels[path] |= set(some) if some else {None}
    return [(path, None if None in some else tuple(sorted(some))) for path, some in sorted(levels.items())]


def sound_program(b, controls, folder):
    """The failures of one test program with unpatched objects, under all cases of CONTROLS; the number of runs."""
    one = controls[0]._replace(edits=[], flags=[], objects=union_of(controls), libraries=[])
    problems, cases = [], []
    for c in controls:
        if c.cases not in cases:
            cases.append(c.cases)
    try:
        build(b, one, folder)
        for some in cases:
            this = one._replace(cases=some)
            problems += ['%s: %s' % (some, line) for line in failures(this, *execute(b, this, folder))]
    except (Broken, subprocess.TimeoutExpired) as e:
        problems.append(str(e))
    return problems, len(cases)


def sound(b, controls):
    """Every file that CONTROLS touch, unpatched, under every test that they run."""
    problems, runs = [], 0
    for program in PROGRAMS:
        group = [c for c in controls if c.program == program and not c.refused]
        if group:
            with tempfile.TemporaryDirectory() as folder:
                some, n = sound_program(b, group, folder)
                problems, runs = problems + some, runs + n
    return ('; '.join(problems[:3]) if problems else None), '%d runs without a failure' % runs


def features(b):
    """The mask of the CPU's features that have kernels in this build."""
    program = os.path.join(b.folder, PROGRAMS['kernels'].target)
    r = run([program, '--quick', 'reduce_f32/known'], b.folder)
    mask = re.search(r'cpu mask (\d+)', r.stdout)
    return (int(mask[1]) if mask else 0) | (0 if 'skipped: upper halves' in r.stdout else UPPER)


def report(name, problem, how):
    print('%-6s %-28s %s' % ('FAIL' if problem else 'caught', name, problem or how), flush=True)
    return problem is not None


def main():
    arguments = [a for a in sys.argv[1:] if not a.startswith('--')]
    if not arguments:
        sys.exit(__doc__)
    if '--list' in sys.argv:
        for c in CONTROLS:
            print(c.name)
        return 0
    b = Build(arguments[0])
    mask, failed, passed = features(b), 0, 0
    chosen = [c for c in CONTROLS if not arguments[1:] or c.name in arguments[1:]]
    able = [c for c in chosen if c.needs & mask == c.needs]
    for c in chosen:
        if c not in able:
            print('skipped: %s, this CPU or build lacks the kernels that it breaks' % c.name)
    with concurrent.futures.ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool:
        first = pool.submit(sound, b, able)
        results = [pool.submit(try_control, b, c) for c in able]
        problem, how = first.result()
        print('%-6s %-28s %s' % ('FAIL' if problem else 'pass', 'sound', problem or how), flush=True)
        failed, passed = (1, 0) if problem else (0, 1)
        for c, r in zip(able, results):
            bad = report(c.name, *r.result())
            failed, passed = failed + bad, passed + (not bad)
    print('%d passed, %d failed' % (passed, failed))
    return 1 if failed or not able else 0


if __name__ == '__main__':
    sys.exit(main())
