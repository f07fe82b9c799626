#!/usr/bin/env python3
"""Adds the toy to the list of all key stores: all that a store outside its own directory takes.

usage: add_line.py keystore/store_list.c OUT"""

import pathlib
import sys

source, target = map(pathlib.Path, sys.argv[1:])
text = source.read_text()
for before, line in (("\nconst struct keystore", '#include "tests/toystore/toy.h"\n'), ("    NULL,\n", "    &toy_store,\n")):
    assert text.count(before) == 1
    text = text.replace(before, line + before)
target.write_text(text)
