#!/usr/bin/env python3
"""Holds the rules of the tree: who may include whom, file lengths, one test per operator, prefixes of
exported symbols, forbidden flags, public headers that compile alone in every standard.

usage: check.py SOURCE_DIR [BUILD_DIR]     ends in 'N passed, N failed'
"""
import glob
import os
import re
import shutil
import subprocess
import sys
import tempfile

ORDER = ['base', 'tensor', 'graph', 'ops', 'import', 'passes', 'plan', 'artifact', 'seal', 'exec',
         'export', 'freeze', 'quantize', 'prune', 'sign', 'log', 'store', 'api', 'cli']
SOURCES = ('.c', '.h')
LONGEST = 1000
STANDARDS = [('cc', s) for s in ('c99', 'c11', 'c17')] + [('c++', s) for s in ('c++98', 'c++11', 'c++17')]
root = sys.argv[1]
build = sys.argv[2] if len(sys.argv) > 2 else None
passed = failed = 0


def check(name, problems):
    global passed, failed
    problems = list(problems)
    if problems:
        failed += 1
        print('FAIL', name)
        for p in problems[:20]:
            print('    ' + p)
    else:
        passed += 1
        print('pass', name)


def files(folder, endings=SOURCES):
    for where, _, names in os.walk(os.path.join(root, folder)):
        for n in sorted(names):
            if n.endswith(endings):
                yield os.path.relpath(os.path.join(where, n), root)


def read(path):
    with open(os.path.join(root, path), encoding='utf-8') as f:
        return f.read()


def includes(path):
    return re.findall(r'^\s*#\s*include\s+["<]([^">]+)[">]', read(path), re.M)


def upward():
    for path in files('lib'):
        own = path.split('/')[1]
        for inc in includes(path):
            other = inc.split('/')[0]
            if other in ORDER and '/' in inc and ORDER.index(other) > ORDER.index(own):
                yield '%s includes %s' % (path, inc)


def kernels_alone():
    for path in files('kernels'):
        for inc in includes(path):
            if inc.split('/')[0] in ORDER and '/' in inc:
                yield '%s includes %s' % (path, inc)


def cli_public():
    for path in files('lib/cli'):
        for inc in includes(path):
            if '/' in inc and not inc.startswith(('frozen/', 'sys/', 'cli')):
                yield '%s includes %s' % (path, inc)


def protobuf_only_in_import():
    for folder in ('lib', 'kernels'):
        for path in files(folder):
            if not path.startswith('lib/import/') and any('pb-c' in i or 'protobuf' in i for i in includes(path)):
                yield path


def lengths():
    for folder in ('include', 'lib', 'kernels', 'tests', 'examples', 'python'):
        for path in files(folder, SOURCES + ('.py', '.go', '.rs', '.js', '.java', '.lua', '.cpp')):
            n = read(path).count('\n')
            if n > LONGEST:
                yield '%s has %d lines' % (path, n)


def widths():
    for path in files('include'):
        for i, line in enumerate(read(path).split('\n'), 1):
            if len(line) > 80:
                yield '%s:%d is wider than 80 columns' % (path, i)
    for folder in ('lib', 'kernels'):
        for path in files(folder):
            for i, line in enumerate(read(path).split('\n'), 1):
                if len(line) > 100 and not path.endswith('kernels.def'):
                    yield '%s:%d is wider than 100 columns' % (path, i)


def operators():
    listed = re.search(r"operators = '''(.*?)'''", read('lib/ops/meson.build'), re.S).group(1).split()
    for name in listed:
        if not os.path.exists(os.path.join(root, 'tests/ops/%s.txt' % name)) and name not in (
                'if', 'loop', 'scan', 'sequence_map'):
            yield 'tests/ops/%s.txt is missing' % name


def silence():
    """The library never prints, exits, aborts or reads the environment."""
    bad = re.compile(r'\b(printf|puts|putchar|fprintf|exit|abort|getenv|perror)\s*\(')
    for folder in ('lib', 'kernels'):
        for path in files(folder, ('.c',)):
            if path.startswith('lib/cli/'):
                continue
            for m in bad.finditer(re.sub(r'/\*.*?\*/|"(?:\\.|[^"\\])*"', '', read(path), flags=re.S)):
                yield '%s calls %s' % (path, m.group(1))


def one_malloc():
    bad = re.compile(r'\b(malloc|calloc|realloc|free|aligned_alloc)\s*\(')
    for path in files('lib', ('.c',)):
        if path.startswith(('lib/cli/', 'lib/base/')):
            continue
        for m in bad.finditer(re.sub(r'/\*.*?\*/', '', read(path), flags=re.S)):
            yield '%s calls %s' % (path, m.group(1))


def flags():
    for path in files('.', ('meson.build',)):
        if path.startswith(('build', 'b-')):  # what tests install
            continue
        for bad in ('-ffast-math', '-Ofast', '-funsafe-math', '-fopenmp'):
            if bad in read(path):
                yield '%s uses %s' % (path, bad)


def headers():
    compilers = {'cc': shutil.which('cc') or 'cc', 'c++': shutil.which('c++') or 'c++'}
    with tempfile.TemporaryDirectory() as tmp:
        for path in files('include', ('.h',)):
            for kind, standard in STANDARDS:
                source = os.path.join(tmp, 'one.' + ('c' if kind == 'cc' else 'cpp'))
                with open(source, 'w') as f:
                    f.write('#include <frozen/%s>\nint one(void);\nint one(void) { return 1; }\n' % os.path.basename(path))
                # C++98 has no long long: the exact-width types need it.
                extra = ['-Wno-long-long'] if standard == 'c++98' else []
                r = subprocess.run([compilers[kind], '-std=' + standard, '-Wall', '-Wextra', '-Wpedantic', '-Werror', *extra,
                                    '-I', os.path.join(root, 'include'), '-c', source, '-o', os.path.join(tmp, 'one.o')],
                                   capture_output=True, text=True)
                if r.returncode:
                    yield '%s as %s: %s' % (path, standard, r.stderr.split('\n')[0])


def exported():
    for lib in ('libfrozen', 'libfrozen-freeze'):
        path = os.path.join(build, 'lib', lib + '.so')
        if not os.path.exists(path):
            continue
        out = subprocess.run(['nm', '-D', '--defined-only', path], capture_output=True, text=True, check=True).stdout
        for line in out.splitlines():
            kind, name = line.split()[-2:]
            name = name.split('@')[0]
            if kind in 'TDBR' and not name.startswith(('fz_', 'FROZEN')):
                yield '%s exports %s' % (lib, name)


def no_libm():
    """No function of libm is called at run time: its bits differ from system to system."""
    known = re.compile(r'^((a?(sin|cos|tan)h?|atan2|sincos|exp|exp2|exp10|expm1|log|log2|log10|log1p|logb|pow|'
                       r'sqrt|cbrt|hypot|erfc?|[lt]gamma|fma|fmod|remainder|remquo|ldexp|frexp|scalbl?n|modf|'
                       r'l?l?rint|l?l?round|roundeven|nearbyint|floor|ceil|trunc|fdim|fmin|fmax|nextafter)'
                       r'(f|l|f16|f32|f64|f128)?|_ZGV.*)$')
    for path in sorted(glob.glob(os.path.join(build, 'lib', 'libfrozen*.so'))):
        name = os.path.basename(path)
        out = subprocess.run(['nm', '-D', '--undefined-only', path], capture_output=True, text=True, check=True).stdout
        for symbol in (line.split()[-1].split('@')[0] for line in out.splitlines()):
            if known.match(symbol):
                yield '%s needs %s' % (name, symbol)
        out = subprocess.run(['readelf', '-d', path], capture_output=True, text=True, check=True).stdout
        if 'libm.so' in out or 'libmvec' in out:
            yield '%s needs libm' % name


def tone():
    """The project speaks of itself alone."""
    bad = re.compile(r'\b(TODO|FIXME|XXX)\b')
    for folder in ('include', 'lib', 'kernels'):
        for path in files(folder):
            for i, line in enumerate(read(path).split('\n'), 1):
                if bad.search(line):
                    yield '%s:%d: %s' % (path, i, line.strip()[:80])


def named(pattern, folder, endings=SOURCES):
    """What PATTERN finds in the files of tests/FOLDER."""
    return {n for path in files('tests/' + folder, endings) for n in re.findall(pattern, read(path), re.M)}


def is_test(cited):
    """True if CITED names a test: FOLDER/NAME, FOLDER/FILE or FOLDER/FILE: the beginning of a comment or case."""
    folder, name = cited.split('/', 1)
    file, _, text = name.partition(': ')
    if os.path.exists(os.path.join(root, 'tests', folder, file)):
        lines = re.findall('^(?:# |case )(.*)', read('tests/%s/%s' % (folder, file)), re.M) if text else []
        return not text or any(line.startswith(text) for line in lines)
    if folder == 'kernels':
        return name in named(r'^ *\{"(\w+/\w+)", KT_KERNEL', folder)
    if folder == 'controls':
        return name in named(r"^control\('(\w+)'", folder, ('.py',))
    if folder == 'invariance':
        return name in named(r'\{"([^"]+)", check_', folder)
    if folder == 'style':
        return name in named(r"check\('([^']+)'", folder, ('.py',))
    return name in named(r'cmocka_unit_test(?:_\w+)?\((\w+)', folder)


def proofs():
    """Every rule of the kernels' contract names its tests, and there is no name without a test."""
    contract = read('kernels/README.md').split('\n## The contract', 1)[1].split('\n## How it is proven')[0]
    for rule in re.split(r'\n\n|\n(?=- \*\*)', contract):
        name, _, tests = rule.strip().partition('\nProof: ' if not rule.startswith('-') else '\n  Proof: ')
        if not tests and name.startswith(('**', '- **')):
            yield '%s has no proof' % name.split('**')[1]
        for cited in re.findall(r'`([^`]+)`', tests):
            if not is_test(' '.join(cited.split())):
                yield '%s: there is no test %s' % (name.strip('- *').split('**')[0][:40], cited)


check('includes run one way', upward())
check('kernels include nothing of lib', kernels_alone())
check('fz includes public headers only', cli_public())
check('only import sees protobuf', protobuf_only_in_import())
check('no file over %d lines' % LONGEST, lengths())
check('lines fit', widths())
check('every operator file has its test', operators())
check('the library is silent', silence())
check('malloc has one home', one_malloc())
check('no forbidden flags', flags())
check('public headers compile alone', headers())
check('nothing left to do in comments', tone())
check('every rule of the bits names its tests', proofs())
if build:
    check('exported symbols start with fz_', exported())
    check('no libm at run time', no_libm())
print('%d passed, %d failed' % (passed, failed))
sys.exit(1 if failed else 0)
