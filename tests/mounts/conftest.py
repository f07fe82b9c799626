"""What the tests of mounts share: one mount of each kind for all of them, in which each test has a directory."""

import os
import pathlib
import tempfile

import pytest

import mount_kinds


@pytest.fixture(scope="session", params=mount_kinds.KINDS)
def mounted(request):
    with tempfile.TemporaryDirectory(prefix="bulla-mount-") as directory:
        try:
            mount = mount_kinds.make(request.param, pathlib.Path(directory))
        except (mount_kinds.Unavailable, OSError) as error:
            pytest.skip(f"no {request.param} can be had here: {error}")
        yield mount
        mount.remove()


@pytest.fixture
def mount(mounted):
    """A kind of mount, with a directory of this test alone."""
    mounted.here = mounted.at / str(next(mounted.numbers))
    mounted.here.mkdir()
    return mounted


@pytest.fixture(autouse=True)
def usual_umask():
    before = os.umask(0o022)
    yield
    os.umask(before)
