"""The manual pages: made without a warning, and of all that the program has."""

import pathlib
import re
import shutil
import subprocess

import pytest

TOP = pathlib.Path(__file__).resolve().parents[2]
PAGES = {p.name.removesuffix(".scd"): p for p in (TOP / "man").glob("*.scd")}

pytestmark = pytest.mark.skipif(shutil.which("scdoc") is None or shutil.which("man") is None, reason="there is no scdoc, or no man")


def shown(bulla, page, width=80):
    """What a reader sees of a page."""
    made = bulla.home / page
    subprocess.run([TOP / "man/generate", PAGES[page], bulla.program, made], check=True, env=bulla.environment)
    done = subprocess.run(["man", "-l", "--warnings", "-E", "UTF-8", made], capture_output=True, text=True, check=True,
                          env=bulla.environment | {"MANWIDTH": str(width), "LC_ALL": "C.UTF-8", "MAN_KEEP_FORMATTING": ""})  # fmt: skip
    assert done.stderr == ""
    return re.sub(r".\x08", "", done.stdout)


@pytest.mark.parametrize("width", [60, 80, 132])
@pytest.mark.parametrize("page", PAGES)
def test_page_is_made_without_a_warning(bulla, page, width):
    text = shown(bulla, page, width)
    assert "\nNAME\n" in text and not re.search(r"^ *@\w", text, re.M) and len(text) > 700


def test_every_verb_has_its_options_and_examples(bulla):
    text = {page: " ".join(shown(bulla, page, 1000).split()) for page in ("bulla.1", "bulla-key.1", "bulla-envelope.1", "bulla-config.1", "bulla-s3.1", "bulla-keys.7")}
    for line in bulla("help").stdout.decode().split("\n\n")[2].splitlines():
        verb = line[2:20].split()
        page = text[f"bulla-{verb[0]}.1" if len(verb) > 1 else "bulla.1"]
        own, _, rest = bulla("help", *verb).stdout.decode().partition("\n'bulla help keys' explains")
        for name in re.findall(r"^  (?:-\w,|   ) (--[\w-]+)", own, re.M):
            assert re.search(rf"(?<![\w-]){name}(?![\w-])", page), (verb, name)
        for example in (rest or own).partition("\nExamples:\n\n")[2].splitlines():
            assert " ".join(example.split()) in page, (verb, example)


def test_statuses_are_those_of_the_help(bulla):
    text, overview = shown(bulla, "bulla.1"), bulla("help").stdout.decode()
    numbers = re.findall(r"^ {7}(\d+)$", text.partition("\nEXIT STATUS\n")[2].partition("\nENVIRONMENT\n")[0], re.M)
    assert numbers == re.findall(r"\b(\d+) ", overview.partition("exit status: ")[2].replace("\n", " ")) and len(numbers) == 13


def test_format_is_whole(bulla):
    text, document = shown(bulla, "bulla-format.5", 1000), (TOP / "docs/FORMAT.md").read_text()
    for heading in re.findall(r"^#{2,} (.*)$", document, re.M):
        assert re.search(rf"^ *{re.escape(heading)}$", text, re.M), heading
    words = len(re.sub(r"[|`*#-]+", " ", document).split())
    assert 0.9 < len(text.split()) / words < 1.3
