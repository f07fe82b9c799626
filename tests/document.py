"""What a document tells people to type, for tests that type it."""

import pathlib
import re
import textwrap

DOCS = pathlib.Path(__file__).parents[1] / "docs"


def section(name, title):
    """The text below a heading of docs/NAME."""
    return re.search(rf"^## {title}\n(.*?)(?=^## |\Z)", (DOCS / name).read_text(), re.M | re.S)[1]


def blocks(text):
    """The blocks of code, in their order."""
    return [textwrap.dedent(block) for block in re.findall(r"(?<=\n\n)((?:    .*\n|\n(?=\n*    ))+)", text)]
