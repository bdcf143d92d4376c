"""Holds the operators to ONNX's own schemas: every type of every input of every opset version, and
every attribute, of ai.onnx, ai.onnx.ml and the preview domains.

usage: standard.py BUILD_DIR

What an operator takes is what `ops_test --types` has run it with. exceptions.txt names what is
missing on purpose, with the reason; it may name nothing that is there.
"""

import os
import re
import sys

import onnx
import onnx.defs

import operators

HERE = os.path.dirname(os.path.abspath(__file__))
NAMES = {'float': 'float32', 'double': 'float64', 'float4e2m1': 'float4_e2m1fn',
         'float8_e8m0': 'float8_e8m0fnu'}
NEWEST = 28  # opset of ai.onnx


def plain(text):
    """The library's name of 'tensor(T)'; None for sequences, optionals and maps."""
    match = re.fullmatch(r'tensor\((\w+)\)', text)
    if not match:
        return None
    name = re.sub(r'^float8e', 'float8_e', match.group(1))
    return NAMES.get(name, name)


def schemas():
    """The schemas that models may name."""
    return [s for s in onnx.defs.get_all_schemas_with_history()
            if not s.deprecated and (s.domain or s.since_version <= NEWEST)]


def row_of(rows, schema):
    for r in rows:
        since, until = int(r[3]), int(r[4])
        if r[1:3] == [schema.domain, schema.name] and since <= schema.since_version and (
                not until or schema.since_version <= until):
            return r
    return None


def missing_types(schema, row):
    """(input, types) for what of the schema's inputs never ran."""
    for i, value in enumerate(schema.inputs):
        wanted = {plain(t) for t in value.types} - {None}
        lacks = wanted - set(row[8 + min(i, 9)].split())
        if lacks:
            yield value.name, lacks


def literals():
    """String literals of the operators' sources, but for the lists of names."""
    words = set()
    for folder in 'ops', 'passes', 'import':
        path = os.path.join(operators.ROOT, 'lib', folder)
        for name in os.listdir(path):
            if name.endswith(('.c', '.h')):
                words |= set(re.findall(r'"(\w+)"', open(os.path.join(path, name)).read()))
    return words


def missing_attributes(schema, row, read):
    for name in schema.attributes:
        if name not in row[6].split() or name not in read:
            yield name


def lacks(build):
    """'OPERATOR what: word' of all that is missing -> the versions that have it."""
    rows, found, read = operators.listing(build), {}, literals()
    for schema in schemas():
        name = (schema.domain + '.' if schema.domain else '') + schema.name
        row = row_of(rows, schema)
        if not row:
            found.setdefault((name, 'operator', name), []).append(schema.since_version)
            continue
        for attribute in missing_attributes(schema, row, read):
            found.setdefault((name, 'attribute', attribute), []).append(schema.since_version)
        if row[7] == '1':  # composed of others, which have types of their own
            continue
        for value, types in missing_types(schema, row):
            for t in types:
                found.setdefault((name, value, t), []).append(schema.since_version)
    return found


def exceptions():
    """[(operator, what, word, reason)], each a pattern of whole names."""
    rules = []
    for line in open(os.path.join(HERE, 'exceptions.txt')):
        if line.strip() and not line.startswith('#'):
            words, _, reason = line.partition(':')
            operator, what, names = words.split()
            rules.append((operator, what, names.split(','), reason.strip()))
    return rules


def excused(key, rules, used):
    for i, (operator, what, names, _) in enumerate(rules):
        if operator in ('*', key[0]) and what in ('*', key[1]) and key[2] in names:
            used.add(i)
            return True
    return False


def main():
    found, rules, used = lacks(sys.argv[1]), exceptions(), set()
    bad = {key: versions for key, versions in found.items() if not excused(key, rules, used)}
    lines = {}
    for (operator, what, word), versions in sorted(bad.items()):
        lines.setdefault((operator, what, tuple(versions)), []).append(word)
    for (operator, what, versions), words in lines.items():
        print('FAIL %s %s %s: missing in opset %s' % (operator, what, ','.join(words),
                                                      ', '.join(map(str, versions))))
    idle = [rule for i, rule in enumerate(rules) if i not in used]
    for rule in idle:
        print('FAIL exceptions.txt: nothing is missing any more at %s %s %s' %
              (rule[0], rule[1], ','.join(rule[2])))
    total = len({(s.domain, s.name, s.since_version) for s in schemas()})
    print('%d versions of operators of onnx %s; %d gaps, %d named with a reason' %
          (total, onnx.__version__, len(found), len(found) - len(bad)))
    print('%d passed, %d failed' % (total, len(lines) + len(idle)))
    return 1 if lines or idle else 0


if __name__ == '__main__':
    sys.exit(main())
