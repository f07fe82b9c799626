"""The examples do what they say, and the library what the program does."""

import ctypes
import io
import os
import pathlib
import subprocess
import threading

import pytest


PLAIN = bytes(range(256)) * 2000
CURRENT, OTHER, DONE = 0, 1, 2
NO_KEY, STORE, POLICY, MISSING, FOREIGN, CANCELLED = 5, 6, 7, 10, 11, 130


# A sanitizer is in a program from its start, and Python has none; valgrind takes none.
plain = pytest.mark.plain


@pytest.fixture
def open_handle(example, library, ring, work, monkeypatch):
    """Makes handles of the example in Python, in the directory of the program."""
    monkeypatch.chdir(work)
    made = []

    def make(*keys, **options):
        made.append(example.Bulla(*(keys or (f"file:{ring}",)), library=str(library), **options))
        return made[-1]

    yield make
    for handle in made:
        handle.close()


def sealed_by(handle, **options):
    sealed = io.BytesIO()
    handle.seal(io.BytesIO(PLAIN), sealed, **options)
    return sealed.getvalue()


def opened_by(handle, sealed, **options):
    opened = io.BytesIO()
    handle.open(io.BytesIO(sealed), opened, **options)
    return opened.getvalue()


def test_the_example_in_c_seals_and_opens(seal, bulla, ring, work):
    run = lambda *args, stdin: subprocess.run([seal, *args, f"file:{ring}"], input=stdin, capture_output=True, cwd=work)
    sealed = run(stdin=PLAIN)
    assert (sealed.returncode, sealed.stderr) == (0, b"")
    (work / "a.bulla").write_bytes(sealed.stdout)
    bulla("decrypt", "-k", ring, "a.bulla")
    assert (work / "a").read_bytes() == PLAIN
    opened = run("-d", stdin=sealed.stdout)
    assert (opened.returncode, opened.stdout, opened.stderr) == (0, PLAIN, b"")
    refused = run("-d", stdin=PLAIN)
    assert (refused.returncode, refused.stdout) == (FOREIGN, b"") and b"seal: 'standard input' is not a sealed file" in refused.stderr


@plain
def test_the_example_in_c_is_clean_under_valgrind(seal, ring, work):
    under = ["valgrind", "--quiet", "--leak-check=full", "--error-exitcode=99"]
    sealed = subprocess.run([*under, seal, f"file:{ring}"], input=b"plain", capture_output=True, cwd=work)
    assert (sealed.returncode, sealed.stderr) == (0, b"")
    opened = subprocess.run([*under, seal, "-d", f"file:{ring}"], input=sealed.stdout, capture_output=True, cwd=work)
    assert (opened.returncode, opened.stdout, opened.stderr) == (0, b"plain", b"")


@plain
def test_the_header_is_one_of_cxx_too(tmp_path, library):
    source = tmp_path / "a.cc"
    source.write_text('#include "bulla.h"\nint main() { return bulla_version() == nullptr; }\n')
    include = f"-I{pathlib.Path(__file__).resolve().parents[2] / 'libbulla'}"
    subprocess.run(["clang++", "-Wall", "-Werror", include, source, library, "-o", tmp_path / "a"], check=True)


@plain
def test_the_example_in_python_seals_and_opens(open_handle, bulla, ring, work):
    with open_handle() as handle:
        sealed = sealed_by(handle, name="a", generation=3, context={"host": "x"})
        assert opened_by(handle, sealed, name="a", generation=3, context={"host": "x"}) == PLAIN
        assert handle.verify(io.BytesIO(sealed)).plain_size == len(PLAIN)
    (work / "a.bulla").write_bytes(sealed)
    bulla("decrypt", "-k", ring, "--require-name", "a", "a.bulla")
    assert (work / "a").read_bytes() == PLAIN


@plain
def test_what_the_program_sealed_opens(open_handle, bulla, ring, work):
    (work / "a").write_bytes(PLAIN)
    bulla("encrypt", "-k", ring, "a")
    assert opened_by(open_handle(), (work / "a.bulla").read_bytes()) == PLAIN


@plain
def test_errors_are_raised(open_handle, example, bulla, work):
    handle, other = open_handle(), open_handle(f"file:{bulla.new_key('other.ring')}")
    sealed = sealed_by(handle)
    wrong = [(lambda: opened_by(other, sealed), NO_KEY, "none of the given keys opens it"),
             (lambda: opened_by(handle, PLAIN), FOREIGN, "is not a sealed file"),
             (lambda: opened_by(handle, sealed, name="b"), POLICY, "'b' is required"),
             (lambda: handle.rewrap("none"), MISSING, "none"),
             (lambda: open_handle("file:none"), MISSING, "there is no keyring 'none'"),
             (lambda: handle.rewrap("none", to=["external:x"]), 2, "external:x")]  # fmt: skip
    for call, status, text in wrong:
        with pytest.raises(example.Error) as raised:
            call()
        assert raised.value.status == status and text in str(raised.value)
        assert " -k " not in raised.value.hint and "--" not in raised.value.hint


@plain
def test_what_a_callback_raises_comes_out(open_handle):
    class Broken(io.BytesIO):
        def read(self, size=-1):
            raise KeyError("gone")

    with pytest.raises(KeyError, match="gone"):
        open_handle().seal(Broken(), io.BytesIO())


@plain
@pytest.mark.parametrize("which", ["source", "sink"])
def test_ctrl_c_in_a_callback_is_not_the_end_of_the_file(open_handle, which):
    class Stopped(io.BytesIO):
        def stop(self, *_):
            raise KeyboardInterrupt

        read = write = stop

    with pytest.raises(KeyboardInterrupt):
        if which == "source":
            open_handle().seal(Stopped(), io.BytesIO())
        else:
            open_handle().seal(io.BytesIO(PLAIN), Stopped())


@plain
def test_a_sink_that_takes_a_part_fails_the_call(open_handle):
    class Short(io.RawIOBase):
        def write(self, chunk):
            return len(chunk) // 2

    with pytest.raises(OSError, match="not all bytes"):
        open_handle().seal(io.BytesIO(PLAIN), Short())


@plain
def test_rotated_keys_are_rewrapped(open_handle, bulla, ring, work):
    (work / "a.bulla").write_bytes(sealed_by(open_handle()))
    assert open_handle().status(io.BytesIO((work / "a.bulla").read_bytes())).due == 0
    bulla("key", "rotate", ring)
    handle = open_handle()
    state = handle.status(io.BytesIO((work / "a.bulla").read_bytes()))
    assert (state.slots, state.old, state.current, state.due) == (1, 1, 0, 1)
    assert handle.rewrap("a.bulla", dry_run=True) == DONE and handle.rewrap("a.bulla") == DONE and handle.rewrap("a.bulla") == CURRENT
    state = handle.status(io.BytesIO((work / "a.bulla").read_bytes()))
    assert (state.old, state.current, state.due) == (0, 1, 0)
    bulla("verify", "-k", ring, "a.bulla")
    assert sorted(os.listdir(work)) == ["a.bulla"]


def of_aws(example, directory, run=None):
    """Options of a handle whose credentials come from a command, with what a program would have in its environment."""
    (directory / "config").write_text("[default]\nregion = eu-central-1\ncredential_process = /bin/give --key\n")
    set_by_program = {b"AWS_CONFIG_FILE": ctypes.create_string_buffer(str(directory / "config").encode())}
    get = example.VARIABLE(lambda arg, name: ctypes.addressof(set_by_program[name]) if name in set_by_program else None)
    return {"variable": get, "kms_endpoint": b"http://127.0.0.1:9", "kms_timeout": 1} | ({"run": example.RUN(run)} if run else {})


@plain
def test_a_command_is_not_run_without_a_callback(open_handle, example, tmp_path):
    with pytest.raises(example.Error, match="'/bin/give' is not run: no command may be run here") as raised:
        sealed_by(open_handle("alias/backup", **of_aws(example, tmp_path)))
    assert raised.value.status == POLICY


@plain
def test_a_command_is_run_by_the_callback(open_handle, example, tmp_path):
    """And the service is not there: an error that a retry may help."""
    ran = []

    def run(arg, argv, seconds, out, room, size):
        ran.append(([argv[0], argv[1], argv[2]], seconds))
        answer = b'{"Version": 1, "AccessKeyId": "AKIDEXAMPLE", "SecretAccessKey": "x"}'
        ctypes.memmove(out, answer, len(answer))
        size[0] = len(answer)
        return 0

    with pytest.raises(example.Error, match="backup") as raised:
        sealed_by(open_handle("alias/backup", **of_aws(example, tmp_path, run)))
    assert raised.value.status == STORE and ran == [([b"/bin/give", b"--key", None], 1)]


@plain
def test_a_cancelled_call_ends(open_handle, example):
    """One that waits for its input, too: the callback is let go first, as a program would do."""
    handle, reached, go = open_handle(), threading.Event(), threading.Event()

    class Slow:
        def read(self, size):
            reached.set()
            go.wait()
            return b"x" * size

    def cancel():
        reached.wait()
        handle.cancel()
        go.set()

    thread = threading.Thread(target=cancel)
    thread.start()
    with pytest.raises(example.Error) as raised:
        handle.seal(Slow(), io.BytesIO())
    thread.join()
    assert raised.value.status == CANCELLED


@plain
def test_a_passphrase_is_asked_for(tmp_path, library):
    """In another process, which nothing but the example is in."""
    examples = pathlib.Path(__file__).resolve().parents[2] / "examples"
    script = f"""
import io, sys
sys.path.insert(0, {str(examples)!r})
import bulla
asked = []
def secret(what, kind):
    asked.append((what, kind))
    return answers.pop(0)
def handle():
    return bulla.Bulla("passphrase:mine", secret=secret, library={str(library)!r})
answers, sealed, opened = [b"hunter2", b"hunter2", b"wrong", None, b"x" * 2000], io.BytesIO(), io.BytesIO()
handle().seal(io.BytesIO(b"plain"), sealed)
handle().open(io.BytesIO(sealed.getvalue()), opened)
assert opened.getvalue() == b"plain" and asked == [("passphrase for mine", 1), ("passphrase for mine", 0)], asked
for status in (5, 7, 7):
    try:
        handle().open(io.BytesIO(sealed.getvalue()), opened)
        sys.exit("it opened")
    except bulla.Error as error:
        assert error.status == status and "hunter2" not in str(error), error
assert not answers and opened.getvalue() == b"plain"
"""
    subprocess.run(["/usr/bin/python3", "-c", script], check=True, cwd=tmp_path)
