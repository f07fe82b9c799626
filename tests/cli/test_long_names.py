"""Names as long as the file system takes them: what fits is done like any other, and what does not is told with a way out."""

import os

import pytest

X = b"content"
MOST = 255  # bytes of a name, on the file systems that tests run on
SUFFIX = len(".bulla")


def named(work, size, ending=""):
    path = work / ("é" + "n" * (size - 2 - len(ending)) + ending)
    path.write_bytes(X)
    return path


@pytest.mark.parametrize("size", [MOST - SUFFIX, MOST - SUFFIX - 3, MOST - SUFFIX - 4])
def test_name_that_fits(bulla, ring, work, size):
    """So does that of what is temporary. No envelope can lie beside the two longer ones, and none is needed."""
    plain = named(work, size)
    sealed = plain.with_name(plain.name + ".bulla")
    bulla("encrypt", "-k", ring, "--remove-source", plain)
    for verb in (["status"], ["inspect"], ["verify", "-k", ring], ["reencrypt", "-k", ring], ["rewrap", "-k", ring]):
        bulla(*verb, sealed)
    bulla("key", "rotate", ring)
    bulla("rewrap", "-k", ring, "-r", ".")
    bulla("verify", "-k", ring, "-r", ".")
    bulla("decrypt", "-k", ring, "--remove-source", "-r", ".")
    assert os.listdir(work) == [plain.name] and plain.read_bytes() == X


@pytest.mark.parametrize("size", [MOST - SUFFIX + 1, MOST])
def test_name_that_does_not_fit(bulla, ring, work, size):
    plain = named(work, size)
    said = bulla("encrypt", "-k", ring, "--remove-source", plain, status=1).stderr.decode()
    assert f".bulla' is too long: it has {size + SUFFIX} bytes, and its file system takes {MOST}\nbulla: hint: run it alone, and give a shorter name with -o" in said
    assert os.listdir(work) == [plain.name]
    bulla("encrypt", "-k", ring, "-o", "short.bulla", "--remove-source", plain)
    assert bulla("decrypt", "-k", ring, "-o", "-", "short.bulla").stdout == X


def test_names_in_a_tree(bulla, ring, work):
    """The others are done, and none is lost."""
    tree = work / "t"
    tree.mkdir()
    paths = {size: named(tree, size) for size in range(MOST - SUFFIX - 2, MOST + 1)}
    said = bulla("encrypt", "-k", ring, "-r", "--remove-source", "t", status=3).stderr
    assert said.count(b" is too long: ") == SUFFIX and b"3 sealed, 0 skipped, 6 failed" in said
    assert sorted(os.listdir(tree)) == sorted(p.name + ("" if size + SUFFIX > MOST else ".bulla") for size, p in paths.items())


def test_pair_whose_envelope_does_not_fit(bulla, ring, work):
    """Its body, which would fit, is not made either."""
    plain = named(work, MOST - SUFFIX - 3)
    said = bulla("encrypt", "-k", ring, "--detach", plain, status=1).stderr
    assert b".bulla.env' is too long: it has 256 bytes" in said and b"hint: -o gives both files a shorter name" in said
    assert os.listdir(work) == [plain.name]
    bulla("encrypt", "-k", ring, "--envelope", "short.env", plain)
    assert bulla("decrypt", "-k", ring, "-o", "-", "--envelope", "short.env", f"{plain}.bulla").stdout == X


def test_envelope_that_does_not_fit(bulla, ring, work):
    sealed = named(work, MOST, ".bulla")
    bulla("encrypt", "-k", ring, "--force", "-o", sealed, stdin=X)
    assert b"hint: -o names another output" in bulla("envelope", "export", sealed, status=1).stderr
    assert b"hint: --envelope names the exported envelope" in bulla("envelope", "restore", sealed, status=1).stderr
    bulla("envelope", "export", "-o", "env", sealed)
    sealed.write_bytes(bytes(1024) + sealed.read_bytes()[1024:])
    assert b"both copies" in bulla("decrypt", "-k", ring, "-o", "-", sealed, status=4).stderr
    bulla("envelope", "restore", "-k", ring, "--envelope", "env", sealed)
    assert bulla("decrypt", "-k", ring, "-o", "-", sealed).stdout == X
    assert sorted(os.listdir(work)) == sorted(["env", sealed.name])


def test_name_of_the_user_that_does_not_fit(bulla, ring, work):
    said = bulla("encrypt", "-k", ring, "-o", "n" * (MOST + 1), stdin=X, status=1).stderr
    assert b"File name too long" in said and os.listdir(work) == []
