"""What the library does when memory is out, and what it gives out: symbols, and nothing to the process that it is in."""

import concurrent.futures
import os
import pathlib
import re
import subprocess

import pytest

from sweep import ALL, sample

TOP = pathlib.Path(__file__).resolve().parents[2]
FAULTS = TOP / "tests" / "faults"
PLAIN = b"plain" * 40000
POINTS, OPENSSL_STRIDE = 60, 37  # tried in an ordinary run, of one program; of OpenSSL's own every so manieth
FOR_EVER = str(2**63)


@pytest.fixture(scope="session")
def failing(tmp_path_factory):
    made = tmp_path_factory.mktemp("failing") / "failing.so"
    subprocess.run(["gcc", "-O2", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC", "-o", made, FAULTS / "failing.c"], check=True)
    return made


@pytest.mark.parametrize("way", ["seal", "open"])
def test_an_allocation_that_fails_is_an_error(way, seal, failing, bulla, ring, work):
    """Each one, alone and with all after it: never an end by a signal, never another error, never a whole result with one."""
    sealed = subprocess.run([seal, f"file:{ring}"], input=PLAIN, capture_output=True, cwd=work, check=True).stdout
    args, given = ([], PLAIN) if way == "seal" else (["-d"], sealed)

    def run(number, first=None, last=None):
        report = work.parent / f"report-{way}-{number}"
        env = {"LD_PRELOAD": str(failing), "FAILING_REPORT": str(report)}
        env |= {"FAILING_FIRST": str(first), "FAILING_LAST": str(last)} if first is not None else {}
        done = subprocess.run([seal, *args, f"file:{ring}"], input=given, capture_output=True, cwd=work, env=env)
        return done, report.read_text()

    done, report = run(0)
    assert done.returncode == 0
    rows = [tuple(map(int, line.split())) for line in report.splitlines()]
    points = [n for n, by_openssl in rows if not by_openssl or n % OPENSSL_STRIDE == 0]
    points = [(n, last) for n in points for last in (str(n), FOR_EVER)]
    points = points if ALL else sample(points, POINTS)

    def attempt(number, point):
        done, report = run(number + 1, *point)
        assert report, point
        assert done.returncode in (0, 1), (point, done)
        whole = subprocess.run([seal, "-d", f"file:{ring}"], input=done.stdout, capture_output=True, cwd=work).stdout if way == "seal" else done.stdout
        assert (whole == PLAIN) if done.returncode == 0 else done.stderr, (point, done.stderr)

    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        list(pool.map(attempt, range(len(points)), points))
    assert sorted(os.listdir(work)) == []


def functions(header):
    return sorted(set(re.findall(r"\b(bulla_\w+)\(", re.sub(r"/\*.*?\*/", "", header, flags=re.S))))


def test_only_what_the_header_names_is_given_out(library):
    lines = subprocess.run(["nm", "-D", "--defined-only", library], capture_output=True, text=True, check=True).stdout.splitlines()
    names = sorted(line.split()[2] for line in lines if " A " not in line)
    assert names == [f"{name}@@BULLA_0" for name in functions((TOP / "libbulla/bulla.h").read_text())] and len(names) > 10


def test_the_static_library_shows_no_more(library, seal, bulla, ring, work, tmp_path):
    """And is linked as pkg-config says."""
    archive = library.parent / "libbulla.a"
    lines = subprocess.run(["nm", "-g", "--defined-only", archive], capture_output=True, text=True, check=True).stdout.splitlines()
    names = [line.split()[2] for line in lines if len(line.split()) == 3]
    assert sorted(names) == functions((TOP / "libbulla/bulla.h").read_text())
    private = re.search(r"^Libs.private: (.*)$", (library.parents[1] / "meson-private/bulla.pc").read_text(), re.M).group(1).split()
    needs = subprocess.run(["pkg-config", "--libs", "libsodium", "libcrypto", "jansson"], capture_output=True, text=True, check=True).stdout.split()
    how = ["-std=c11", f"-I{TOP / 'libbulla'}", TOP / "examples/seal.c", archive, *needs, *[word for word in private if word.startswith("-l")]]
    subprocess.run(["gcc", *how, "-o", tmp_path / "seal"], check=True)
    sealed = subprocess.run([tmp_path / "seal", f"file:{ring}"], input=PLAIN, capture_output=True, cwd=work, check=True).stdout
    assert subprocess.run([seal, "-d", f"file:{ring}"], input=sealed, capture_output=True, cwd=work, check=True).stdout == PLAIN


def test_the_program_gives_nothing_out(bulla):
    lines = subprocess.run(["nm", "-D", "--defined-only", bulla.program], capture_output=True, text=True, check=True).stdout.splitlines()
    assert not [line for line in lines if "@GLIBC" not in line]  # of which the program has its copies


def test_the_header_stands_alone(tmp_path):
    source = tmp_path / "a.c"
    source.write_text('#include "bulla.h"\nint main(void) { struct bulla_options o = {BULLA_INIT(struct bulla_options)}; return o.size == 0; }\n')
    subprocess.run(["gcc", "-std=c11", "-Wall", "-Wextra", "-Wpedantic", "-Werror", f"-I{TOP / 'libbulla'}", "-c", source, "-o", tmp_path / "a.o"], check=True)
    assert re.findall(r"#include\s+(\S+)", (TOP / "libbulla/bulla.h").read_text()) == ["<stddef.h>", "<stdint.h>"]


def test_each_class_of_error_is_documented():
    """In the header and in docs/LIBRARY.md, by number."""
    header, text = (TOP / "libbulla/bulla.h").read_text(), (TOP / "docs/LIBRARY.md").read_text()
    classes = re.findall(r"^    (BULLA_\w+) = (\d+),?\s", re.search(r"enum bulla_status \{(.*?)\};", header, re.S).group(1), re.M)
    assert len(classes) == 13 and all(f"| {number} | `{name}` |" in text for name, number in classes)
    internal = dict(re.findall(r"ERR_(\w+) = (\d+)", (TOP / "base/err.h").read_text()))
    assert sorted(internal.values()) == sorted(number for _, number in classes)
