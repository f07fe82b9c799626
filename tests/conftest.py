"""What every test has: bulla in a world of its own, signals as a shell would leave them, and a deadline."""

import os
import pathlib
import signal
import subprocess

import pytest

from program import SANITIZED, TIMEOUT, Bulla
from sweep import ALL, sample

CASES = int(os.environ.get("BULLA_CASES", "5" if SANITIZED else "0"))  # of one test, 0 = all; with BULLA_SWEEP=all it is all
SWEEP_TIMEOUT = 3600  # seconds that one sweep may take when all its points are tried


@pytest.fixture
def bulla(tmp_path):
    program = Bulla(tmp_path)
    yield program
    program.stop()


@pytest.fixture
def work(bulla):
    """The directory that bulla runs in."""
    return bulla.work


@pytest.fixture
def ring(bulla):
    """A keyring with one key."""
    return bulla.new_key("backup.ring")


def pytest_configure(config):
    config.addinivalue_line("markers", "plain: is for a program without sanitizers, which put themselves before functions and take memory of their own")


def pytest_collection_modifyitems(config, items):
    """A program under the sanitizers takes five times as long to start, and many cases of one test take the same way through it."""
    tests = {}
    for item in items:
        if not (SANITIZED and item.get_closest_marker("plain")):
            tests.setdefault(item.nodeid.partition("[")[0], []).append(item)
    kept = {item for cases in tests.values() for item in (sample(cases, CASES) if CASES else cases)}
    config.hook.pytest_deselected(items=[item for item in items if item not in kept])
    items[:] = [item for item in items if item in kept]


@pytest.fixture(scope="session")
def late(tmp_path_factory):
    """The environment in which passphrases cost nothing, and a signal comes just before what is named; see cli/late.c."""
    library = tmp_path_factory.mktemp("late") / "late.so"
    source = pathlib.Path(__file__).parent / "cli" / "late.c"
    subprocess.run(["gcc", "-Wall", "-Werror", "-shared", "-fPIC", "-o", library, source, "-ldl"], check=True)
    return lambda what="": {"LD_PRELOAD": str(library), "LATE": what}


@pytest.fixture(autouse=True, scope="session")
def default_signals():
    """As a shell starts programs in the foreground: what is ignored here, a child would ignore too."""
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT})
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT):
        signal.signal(number, signal.SIG_DFL)


@pytest.fixture(autouse=True)
def deadline(request):
    """A test that hangs fails."""

    def late(number, frame):
        raise TimeoutError(f"{request.node.name} takes too long")

    signal.signal(signal.SIGALRM, late)
    signal.alarm(TIMEOUT if not ALL else SWEEP_TIMEOUT)
    yield
    signal.alarm(0)
