"""Tokens by way of the library, each in a process of its own, for a module belongs to all of a process."""

import os
import pathlib
import subprocess

import pytest

from sealed import content
from tokens import PIN

X = content(1000)
TOP = pathlib.Path(__file__).resolve().parents[2]
LIBRARY = pathlib.Path(os.environ.get("BULLA", "/")).resolve().parents[1] / "libbulla" / "libbulla.so.0" if "BULLA" in os.environ else None

# What each script begins with: handles, and a call of which the status is told.
BEGIN = f"""
import io, sys, threading, time
sys.path.insert(0, {str(TOP / "examples")!r})
import bulla

def handle(*keys, pin={PIN.encode()!r}, **options):
    return bulla.Bulla(*keys, secret=lambda what, kind: pin() if callable(pin) else pin, library={str(LIBRARY)!r}, **options)

def status(call, *args):
    try:
        call(*args)
        return 0
    except bulla.Error as error:
        return error.status

def opened(handle, path):
    return status(lambda: handle.open(io.BytesIO(open(path, "rb").read()), io.BytesIO()))
"""

# A sanitizer is in a program from its start, and Python has none.
pytestmark = pytest.mark.plain


@pytest.fixture
def script(bulla, softhsm):
    """Runs a script in the directory of the sealed files, with the mock before the token."""
    bulla.at(softhsm)

    def run(text, faults="", **names):
        given = "".join(f"{name} = {value!r}\n" for name, value in names.items())
        env = {"PATH": os.environ["PATH"], **softhsm.mocked(faults)}
        done = subprocess.run(["/usr/bin/python3", "-c", BEGIN + given + text], cwd=bulla.work, env=env, capture_output=True, timeout=60)
        assert (done.returncode, done.stderr) == (0, b""), done.stderr.decode()
        return done.stdout.decode().split()

    return run


def test_key_of_a_token_that_is_away_is_not_another_key(bulla, softhsm, script, ring):
    """It cannot be said that nothing is to be done for a key that was not looked at."""
    path, key = bulla.seal(softhsm.uri("p256"), X, "-k", ring), softhsm.uri("p256", mock=True)
    before = path.read_bytes()
    text = """
away = key.replace("bulla%20lab", "another")
both = handle(ring, away)
print(status(lambda: both.status(open(path, "rb"))), status(lambda: both.rewrap(path)), status(lambda: both.rewrap(path, dry_run=True)))
print(status(lambda: handle(ring, key).status(open(path, "rb"))))
"""
    assert script(text, key=key, ring=f"file:{ring}", path=str(path)) == ["6", "6", "6", "0"]
    assert path.read_bytes() == before


def test_cancelled_call_leaves_the_module_to_others(bulla, softhsm, script):
    """The module answers in its own time, which another handle does not pay for."""
    path = bulla.seal(softhsm.uri("rsa"), X)
    text = """
one = handle(key)
threading.Timer(0.3, one.cancel).start()
print(opened(one, path))
one._library.bulla_resume(one._handle)
print(opened(one, path), opened(handle(key), path))
"""
    assert script(text, "C_Decrypt:1:sleep=1500", key=softhsm.uri("rsa", mock=True), path=str(path)) == ["130", "0", "0"]


def test_call_that_waits_for_another_is_cancelled(bulla, softhsm, script):
    path = bulla.seal(softhsm.uri("rsa"), X)
    text = """
asked, cancelled = threading.Event(), threading.Event()

def slow_person():
    asked.set()
    cancelled.wait()
    return b"%s"

one, two, said = handle(key, pin=slow_person), handle(key), []
first = threading.Thread(target=lambda: said.append(opened(one, path)))
first.start()
asked.wait()
threading.Timer(0.3, two.cancel).start()
print(opened(two, path))
cancelled.set()
first.join()
print(*said)
"""
    assert script(text % PIN, key=softhsm.uri("rsa", mock=True), path=str(path)) == ["130", "0"]


def test_login_belongs_to_the_process(bulla, softhsm, script):
    """A handle that knows no PIN opens too, while another has logged in; by itself it does not."""
    path = bulla.seal(softhsm.uri("rsa"), X)
    text = """
print(opened(handle(key, pin=None), path))
one = handle(key)
print(opened(one, path), opened(handle(key, pin=None), path))
"""
    assert script(text, key=softhsm.uri("rsa"), path=str(path)) == ["7", "0", "0"]


def test_wrong_pin_is_not_tried_again(bulla, softhsm, script):
    path = bulla.seal(softhsm.uri("rsa"), X)
    text = """
asked = []
one = handle(key, pin=lambda: asked.append(1) or b"no such PIN")
print(opened(one, path), opened(one, path), len(asked), opened(handle(key), path))
"""
    assert script(text, key=softhsm.uri("rsa"), path=str(path)) == ["5", "5", "1", "0"]
