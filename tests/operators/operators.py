"""Writes lib/ops/OPERATORS.md, the list of all operators: opsets, types, rev, kernels.

usage: operators.py BUILD_DIR [--write]    without --write: fails if the file is not up to date.

Operators and types come from `ops_test --types`, kernels from the sources: those that a function of
the operator's file calls, directly or by way of functions of other files of lib/ops.
"""

import os
import re
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
OPS = os.path.join(ROOT, 'lib', 'ops')
TARGET = os.path.join(OPS, 'OPERATORS.md')

HEAD = '''# All operators

Made by `tests/operators/operators.py BUILD --write`; a test holds it to the sources. Types are those that
input 0 may have; half precision is widened to float32 around operators that do not handle it. An operator
without types takes no tensor first, has subgraphs, or shares its body with one that is listed. Kernels are
those of `kernels/kernels.def` that the operator may call.
'''

SETS = [('all', None),
        ('numbers and bool', 'f i u bool'), ('numbers', 'f i u'), ('floats and integers of 8 bits',
        'f int8 uint8'), ('floats', 'f'), ('integers', 'i u')]
MEMBERS = {'f': 'float16 bfloat16 float32 float64', 'i': 'int8 int16 int32 int64',
           'u': 'uint8 uint16 uint32 uint64'}


def expand(words):
    return frozenset(t for w in words.split() for t in MEMBERS.get(w, w).split())


def short(types, everything):
    """A set of types in few words."""
    types = frozenset(types.split())
    if not types:
        return ''
    if types == everything:
        return 'all'
    for name, words in SETS[1:]:
        rest = types - expand(words)
        if expand(words) <= types and len(rest) <= 4:
            return ', '.join([name] + sorted(rest))
    return ', '.join(sorted(types))


def kernels():
    text = open(os.path.join(ROOT, 'kernels', 'kernels.def')).read()
    return set(re.findall(r'^FZK\((\w+),', text, re.M))


START = re.compile(r'^(?:static |inline )*(?:const )?(?:struct )?\w+ \**(\w+)\((?!.*;$)')


def functions():
    """(file, function) -> identifiers in it; what stands outside of functions, macros among it,
    belongs to (file, None)."""
    words = {}
    for name in sorted(os.listdir(OPS)):
        if not name.endswith('.c'):
            continue
        own = None
        for line in open(os.path.join(OPS, name)):
            start = START.match(line)
            if start and own is None:
                own = start.group(1)
            words.setdefault((name, own), set()).update(re.findall(r'\w+', line))
            body = re.match(r'#include "ops/(\w+_body\.h)"', line)
            if body:
                text = open(os.path.join(OPS, body.group(1))).read()
                words[name, own].update(re.findall(r'\w+', text))
            if line.startswith('}'):
                own = None
    return words


def called(file, words):
    """All identifiers that the functions of FILE reach."""
    public = {f: (n, f) for n, f in words if f and f.startswith('fzi_')}
    seen, todo = set(), [key for key in words if key[0] == file]
    while todo:
        key = todo.pop()
        if key in seen or key[1] == 'fzi_op_evaluate':
            continue
        seen.add(key)
        todo.append((key[0], None))
        for word in words[key]:
            if word in public:
                todo.append(public[word])
            elif (key[0], word) in words:
                todo.append((key[0], word))
    return set().union(*(words[key] for key in seen))


def tables(build):
    """The operators' files in the order of the table."""
    text = open(os.path.join(build, 'lib', 'ops', 'op_table.c')).read()
    return re.findall(r'^    fz_ops_(\w+),', text, re.M)


def listing(build):
    """[file, domain, name, since, until, rev, attributes, composed, types of each input] of all rows."""
    tool = os.path.join(build, 'tests', 'ops', 'ops_test')
    out = subprocess.run([tool, '--types'], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                         text=True, check=True).stdout
    files = tables(build)
    rows = [line.split('|') for line in out.splitlines() if line.count('|') == 17]
    return [[files[int(r[0])] + '.c'] + r[1:] for r in rows]


def without_cases(build):
    """Operators of no case of tests/ops and of no graph of tests/passes: the table of tests/bits
    would not know of them."""
    known = set()
    for folder, pattern in (('ops', r'^op ([\w.]+) '), ('passes', r'= ([\w.]+)\(')):
        path = os.path.join(ROOT, 'tests', folder)
        for name in os.listdir(path):
            if name.endswith('.txt'):
                known |= set(re.findall(pattern, open(os.path.join(path, name)).read(), re.M))
    names = {(r[1] + '.' if r[1] else '') + r[2] for r in listing(build)}
    return sorted(names - known - {'frozen.QLSTM'})  # DynamicQuantizeLSTM's


def text_of(build):
    rows = listing(build)
    everything = frozenset(max((r[8].split() for r in rows), key=len))
    known = kernels()
    words = functions()
    lines = [HEAD]
    titles = {'': 'ai.onnx', 'frozen': 'frozen (made by passes only)'}
    cache = {}
    for domain in sorted({r[1] for r in rows}):
        lines.append('## %s\n' % titles.get(domain, domain))
        lines.append('| operator | opsets | types | rev | kernels |\n|---|---|---|---|---|')
        for r in sorted((r for r in rows if r[1] == domain), key=lambda r: (r[2], int(r[3]))):
            if r[0] not in cache:
                cache[r[0]] = ' '.join(sorted(known & called(r[0], words)))
            opsets = r[3] if r[3] == r[4] else r[3] + ('-' + r[4] if r[4] != '0' else ' on')
            lines.append('| %s | %s | %s | %s | %s |' % (r[2], opsets, short(r[8], everything),
                                                         r[5], cache[r[0]]))
        lines.append('')
    return '\n'.join(lines)


def main():
    text = text_of(sys.argv[1])
    if '--write' in sys.argv[2:]:
        open(TARGET, 'w').write(text)
        return 0
    good = os.path.exists(TARGET) and open(TARGET).read() == text
    missing = without_cases(sys.argv[1])
    print('pass every operator has cases' if not missing else
          'FAIL no case has the operators ' + ' '.join(missing))
    print('pass lib/ops/OPERATORS.md is up to date' if good else
          'FAIL lib/ops/OPERATORS.md is not up to date: operators.py BUILD --write')
    passed = good + (not missing)
    print('%d passed, %d failed' % (passed, 2 - passed))
    return 0 if passed == 2 else 1


if __name__ == '__main__':
    sys.exit(main())
