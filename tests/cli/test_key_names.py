"""A name of a key with neither '/' nor '.' is one of the config file, whatever files lie in the working directory."""

import pytest

from sealed import snapshot


@pytest.mark.parametrize("verb", [["encrypt", "-k"], ["key", "list"], ["key", "rotate"], ["key", "check"]], ids=" ".join)
@pytest.mark.parametrize("given", ["k", "k#k", "k#k:1", "k:2", "unknown:k"])
def test_file_in_the_working_directory_is_not_meant_by_a_bare_name(bulla, work, verb, given):
    bulla("key", "new", "-q", "./k")
    before = snapshot(work)
    done = bulla(*verb, given, status=10)
    assert f"bulla: no config file names a key '{given}'\n" in done.stderr.decode() and done.stdout == b""
    if given.startswith("k#") or given == "k":
        assert f"hint: for the file of that name, write ./{given}\n" in done.stderr.decode()
    assert snapshot(work) == before


@pytest.mark.parametrize("given", ["./k", "file:k", "k.ring", "./k#k", "sub/k", "k.ring#k:1"])
def test_paths_are_no_names(bulla, work, given):
    (work / "sub").mkdir()
    bulla("key", "new", "-q", "./k#k")
    for copy in ("k.ring", "sub/k"):
        (work / copy).write_bytes((work / "k").read_bytes())
        (work / copy).chmod(0o600)
    assert bulla("encrypt", "-k", given, stdin=b"x", env={"BULLA_CONFIG": "/nowhere"}).stdout


def test_keyring_is_not_made_by_a_bare_name(bulla, work):
    done = bulla("key", "new", "backup", status=10)
    assert done.stderr == b"bulla: no config file names a key 'backup'\nbulla: hint: for the file of that name, write ./backup\n"
    assert not list(work.iterdir())
