"""Streams from and to objects: what is not whole does not look whole."""

import pytest

from sealed import content, flip

DATA = content(200_000)
SIZES = {"small": 1000, "large": 30_000_000}


@pytest.fixture
def three(s3, store, ring, url):
    """Three objects, of which the second is damaged in its last chunk."""
    for name in "abc":
        s3("encrypt", "-k", ring, "-o", f"{url}{name}.bulla", stdin=DATA)
    store.put("b.bulla", flip(store.objects["b.bulla"].body, -1))
    return [f"{url}{name}.bulla" for name in "abc"]


@pytest.mark.parametrize("listed", [False, True], ids=["operands", "a list"])
def test_nothing_follows_an_object_that_failed(s3, store, ring, three, listed):
    """A reader would take it for the continuation; four at once, it could even come first."""
    args = ["--files-from", "-"] if listed else three
    done = s3("decrypt", "-j4", "-k", ring, "-o", "-", *args, stdin="\n".join(three).encode() if listed else b"", status=3)
    assert done.stdout[:200_000] == DATA and done.stdout[200_000:] == DATA[: len(done.stdout) - 200_000] and len(done.stdout) < 400_000
    assert f"'{three[2]}' and what follows it were not opened: standard output ends at the failure".encode() in done.stderr


def test_nothing_follows_an_object_that_is_not_there(s3, ring, three, url):
    done = s3("decrypt", "-k", ring, "-o", "-", url + "nothing.bulla", three[0], status=3)
    assert done.stdout == b"" and b"standard output ends at the failure" in done.stderr


@pytest.mark.parametrize("how", [[], ["--detach"], ["--force"]], ids=["alone", "detached", "in place of an old one"])
@pytest.mark.parametrize("size", SIZES)
def test_no_object_appears_when_a_command_fails(s3, store, ring, url, how, size):
    """Of a large one most is in the bucket by then, as parts."""
    if how == ["--force"]:
        s3("encrypt", "-k", ring, "-o", url + "x.bulla", stdin=DATA)
    before = dict(store.objects)
    text = f"head -c {SIZES[size]} /dev/zero; exit 3"
    done = s3("encrypt", *how, "-k", ring, "-o", url + "x.bulla", "--from-command", text, status=1)
    assert done.stderr == f"bulla: command '{text}' failed with status 3\n".encode()
    assert store.objects == before and store.uploads == {}


def test_standard_input_with_two_uses(s3, store, ring, url):
    """A list of objects, or data for one, and a passphrase."""
    for args in (["encrypt", "-k", "passphrase:", "--new-passphrase-fd", "0", "-o", url + "x.bulla"],
                 ["verify", "-k", "passphrase:", "--passphrase-fd", "0", "--files-from", "-"],
                 ["status", "--inventory", "-", "--files-from", "/dev/stdin"],
                 ["rewrap", "-k", "fd:0", "--inventory", "-"]):  # fmt: skip
        done = s3(*args, stdin=b"data\n", status=2)
        assert b"standard input has two uses: " in done.stderr
    assert store.objects == {} and store.asked == []
