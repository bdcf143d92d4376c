#!/usr/bin/env python3
"""Looks for stack accesses in the innermost multiply-add loops of hand-written kernels.

usage: spills.py OBJDUMP MEMBERS ARCHIVE...

MEMBERS is a regular expression over the archives' object files: those that must be clean. A
compiler that runs out of registers in such a loop costs a factor of two without any test failing; this one
fails. A loop is the code between a backward conditional jump and its target; it counts if
it has at least eight multiply-adds (four of tiles) and no other jump back inside.
"""
import re
import subprocess
import sys

MULTIPLY_ADD = re.compile(r"vfmadd\d+ps|vpdpbusd|vpmaddwd|"
                          r"tdpb[su][su]d|"
                          r"fmla\b|(s|us|su)dot\b|usmmla\b|smull2?\b|smlsl2?\b")
# Vectors only: a pointer from the stack is cheap.
STACK = re.compile(r"^v.*\((%rsp|%rbp)|^(ld|st)[pu]?r?\s+q\d+,.*\[sp")
JUMP = re.compile(r"^(?:j(?!mp)\w+\s+|b\.\w+\s+|cbn?z\s+\w+, |tbn?z\s+\w+, #\d+, )"
                  r"([0-9a-f]+) <")


def functions(objdump, archive):
    """Yields (object file, function, [(address, instruction)])."""
    text = subprocess.run([objdump, "-d", "--no-show-raw-insn", archive], check=True,
                          capture_output=True, text=True).stdout
    member, name, code = "", None, []
    for line in text.splitlines():
        head = re.match(r"^[0-9a-f]+ <(.+)>:$", line)
        file = re.match(r"^(\S+):\s+file format", line)
        if (head or file) and name:
            yield member, name, code
            name = None
        if file:
            member = file.group(1)
        elif head:
            name, code = head.group(1), []
        elif name and re.match(r"^\s+[0-9a-f]+:\t", line):
            address, instruction = line.strip().split(":\t", 1)
            code.append((int(address, 16), instruction))
    if name:
        yield member, name, code


def innermost_loops(code):
    """Instructions of every loop that has no other backward jump inside; a function without loops,
    which others call in a loop, is taken whole."""
    index = {address: i for i, (address, _) in enumerate(code)}
    loops = []
    for i, (address, instruction) in enumerate(code):
        jump = JUMP.match(instruction)
        if jump and int(jump.group(1), 16) in index and int(jump.group(1), 16) <= address:
            loops.append((index[int(jump.group(1), 16)], i))
    if not loops:
        yield [instruction for _, instruction in code]
    for first, last in loops:
        if not any(first <= a and b < last for a, b in loops if (a, b) != (first, last)):
            yield [instruction for _, instruction in code[first:last + 1]]


def main():
    loops = bad = 0
    for archive in sys.argv[3:]:
        for member, name, code in functions(sys.argv[1], archive):
            if not re.search(sys.argv[2], member):
                continue
            for loop in innermost_loops(code):
                adds = [i for i in loop if MULTIPLY_ADD.match(i)]
                if len(adds) < (4 if adds and adds[0].startswith("tdp") else 8):
                    continue
                loops += 1
                spills = [i for i in loop if STACK.search(i)]
                if spills:
                    bad += 1
                    print(f"FAIL {member} {name}: {len(spills)} stack accesses in {len(loop)}")
    print(f"{loops - bad} passed, {bad} failed")
    return 1 if bad or not loops else 0


if __name__ == "__main__":
    sys.exit(main())
