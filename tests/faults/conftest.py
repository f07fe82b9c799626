"""What the tests of faults share: what makes faults, compiled, and disks."""

import pathlib
import subprocess

import pytest

from disk import disk, ram, small_disk  # noqa: F401 (fixtures)
from step import step_library  # noqa: F401 (a fixture)

HERE = pathlib.Path(__file__).parent


@pytest.fixture(scope="session")
def tools(tmp_path_factory):
    """A folder with the tracer and the library for LD_PRELOAD."""
    folder = tmp_path_factory.mktemp("tools")
    strict = ["gcc", "-O2", "-Wall", "-Wextra", "-Werror"]
    subprocess.run([*strict, "-o", folder / "tracer", HERE / "tracer.c"], check=True)
    subprocess.run([*strict, "-shared", "-fPIC", "-o", folder / "failing.so", HERE / "failing.c"], check=True)
    return folder
