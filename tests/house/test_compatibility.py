"""docs/COMPATIBILITY.md lists nothing that no test runs: each test that it names is there."""

import pathlib
import re

import pytest


ROOT = pathlib.Path(__file__).resolve().parents[2]
TEXT = (ROOT / "docs/COMPATIBILITY.md").read_text()
IN = re.compile(r"Tests are (?:all )?in\s+(tests/\w+)")


def rows():
    """Each row's section, the directory of that section's tests, and the cell that names them."""
    for section in TEXT.split("\n## ")[1:]:
        title, directory = section.split("\n")[0], IN.search(section)
        for line in section.splitlines():
            if line.startswith("|") and not re.match(r"\|[ :|-]+\|$", line):
                cell = line.strip("| ").split("|")[-1].strip()
                if cell != "test":
                    yield title, directory and directory.group(1), cell


CELLS = list(rows())


@pytest.mark.parametrize("title, directory, cell", CELLS, ids=lambda value: str(value)[:40])
def test_tests_are_there(title, directory, cell):
    if cell == "all" or re.fullmatch(r"(all of )?tests/\w+(, (all of )?tests/\w+)*", cell):
        assert all((ROOT / name).is_dir() for name in re.findall(r"tests/\w+", cell))
        return
    sources = ""
    for name in re.findall(r"[\w/]+\.(?:py|c)\b|tests/\w+(?![\w/.])", cell):
        path = ROOT / name if name.startswith("tests/") else ROOT / directory / name
        assert path.exists(), f"{name} in '{title}'"
        sources += path.read_text() if path.is_file() else ""
    every = sources + "".join(p.read_text() for p in (ROOT / directory).glob("*.py"))
    for test in re.findall(r"\btest_\w+\b(?!\.(?:py|c)\b)", cell):
        assert f"def {test}(" in every, f"{test} in '{title}'"


def test_there_are_rows():
    assert len(CELLS) > 80
