#!/usr/bin/env python3
"""The table of tests/bits/run.sh: a row a model, a column a configuration, in a cell the start of the
SHA-256 of all outputs. A cell that differs from the first of its row is marked with *, one without an
answer is '-'; both fail, and so do a model id that differs and a line that says FAIL.

usage: table.py DIR     A file in DIR, 'NUMBER LABEL', holds a configuration's lines: 'ROW id|out HEX'
"""
import os
import sys

WIDTH = 11  # of a column
ACROSS = 9  # columns side by side


def read(folder):
    """The columns' labels in order, the rows' names in order, {(row, label): {kind: values}}, and the
    number of lines that say FAIL: a row that no configuration could make."""
    labels, rows, cells, lost = [], [], {}, 0
    for name in sorted(os.listdir(folder)):
        label = name.split(' ', 1)[1]
        labels.append(label)
        for line in open(os.path.join(folder, name), encoding='utf-8'):
            words = line.split()
            if len(words) != 3 or words[1] not in ('id', 'out'):
                print(line.rstrip())
                lost += words[:1] == ['FAIL']
                continue
            row, kind, value = words
            if row not in rows:
                rows.append(row)
            cells.setdefault((row, label), {}).setdefault(kind, []).append(value)
    return labels, rows, cells, lost


def wrong(cells, labels, row, label, kind):
    """Values of a cell that are not the row's first, 1 if there is none."""
    want = next((cells[row, l][kind][0] for l in labels if kind in cells.get((row, l), {})), None)
    values = cells.get((row, label), {}).get(kind, [])
    return sum(v != want for v in values) if values or want is None else 1


def main():
    labels, rows, cells, lost = read(sys.argv[1])
    failed, differing, broken = [], 0, set()
    for row in rows:
        for label in labels:
            n = wrong(cells, labels, row, label, 'out')
            differing += n
            if n or wrong(cells, labels, row, label, 'id'):
                broken.add(row)
                failed.append('FAIL %s on %s: %s' % (row, label, cells.get((row, label), 'no answer')))
    margin = max([len(r) for r in rows] + [5]) + 2
    for start in range(0, len(labels), ACROSS):
        part = labels[start:start + ACROSS]
        print(' ' * margin + ''.join(l.split(':')[0].ljust(WIDTH) for l in part))
        print(' ' * margin + ''.join((l + ':').split(':')[1].ljust(WIDTH) for l in part))
        for row in rows:
            texts = []
            for label in part:
                out = cells.get((row, label), {}).get('out', ['-'])[0][:8]
                texts.append(out + ('*' if wrong(cells, labels, row, label, 'out') else ''))
            print(row.ljust(margin) + ''.join(t.ljust(WIDTH) for t in texts).rstrip())
        print()
    print('\n'.join(failed))
    models = [r for r in rows if any('id' in cells.get((r, l), {}) for l in labels)]
    print('%d models, the same id everywhere: %s' % (len(models), 'no' if failed else 'yes'))
    print('%d passed, %d failed' % (len(rows) - len(broken), len(broken) + lost))
    print('%d configurations, %d differing outputs' % (len(labels), differing))
    sys.exit(bool(failed) or bool(lost) or not rows)


main()
