"""The readers of foreign bytes: each function of their files is said to be one or not (tests/fuzz/readers.py)."""

import re
import sys

import pytest
from test_house import TOP, code

sys.path.insert(0, str(TOP / "tests" / "fuzz"))
from readers import OTHERS, READERS  # noqa: E402

FUNCTION = re.compile(r"^(\w[^;{}=]*\))\n\{\n(.*?)^\}", re.M | re.S)
ATTRIBUTE = re.compile(r"__attribute__\(\(.*\)\)")
BRANCH = re.compile(r"\b(if|for|while|case)\b|\?|&&|\|\|")


def functions(text):
    """The functions of a source, and whether each has a branch that is not of a macro."""
    return {re.search(r"(\w+)\(", ATTRIBUTE.sub("", m[1]))[1]: bool(BRANCH.search(m[2])) for m in FUNCTION.finditer(text)}


def others(path):
    return {name for names in OTHERS.get(path, {}).values() for name in names.split()}


@pytest.mark.parametrize("path", READERS)
def test_what_is_named_exists_and_what_has_branches_is_named(path):
    there = functions(code(TOP / path))
    named = {*(READERS[path] or ()), *others(path)}
    assert there and named <= set(there)
    if READERS[path] is not None:
        assert {name for name, branches in there.items() if branches} <= named, "a reader, or why not?"


def test_no_function_is_both():
    assert not [path for path in OTHERS if path not in READERS or set(READERS[path] or ()) & others(path)]


def test_functions_are_found():
    assert functions("static int\nf(int a,\n  int b)\n{\n    return a ? b : 0;\n}\n\n__attribute__((format(printf, 1, 2))) static void g(char *c, ...)\n{\n    h(c);\n}\n") == {
        "f": True, "g": False}
