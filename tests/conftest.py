"""What every test has: bulla in a world of its own, signals as a shell would leave them, and a deadline."""

import pathlib
import signal
import subprocess

import pytest

from program import SANITIZED, TIMEOUT, Bulla
from sweep import ALL

SWEEP_TIMEOUT = 3600  # seconds that one sweep may take when all its points are tried


@pytest.fixture
def bulla(tmp_path):
    program = Bulla(tmp_path)
    yield program
    program.stop()


@pytest.fixture
def work(bulla):
    """The folder that bulla runs in."""
    return bulla.work


@pytest.fixture
def ring(bulla):
    """A keyring with one key."""
    return bulla.new_key("backup.ring")


def pytest_configure(config):
    config.addinivalue_line("markers", "plain: puts itself before functions before which the sanitizers put themselves too")


def pytest_collection_modifyitems(config, items):
    left_out = [item for item in items if SANITIZED and item.get_closest_marker("plain")]
    config.hook.pytest_deselected(items=left_out)
    items[:] = [item for item in items if item not in left_out]


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
