"""What the tests of faults share: what makes faults, compiled, and disks."""

import pathlib
import subprocess

import pytest

from disk import disk, ram, small_disk  # noqa: F401 (fixtures)
from step import step_library  # noqa: F401 (a fixture)

HERE = pathlib.Path(__file__).parent
STRICT = ["gcc", "-O2", "-Wall", "-Wextra", "-Werror"]


@pytest.fixture(scope="session")
def tools(tmp_path_factory):
    """A directory with the tracer and a library for LD_PRELOAD."""
    directory = tmp_path_factory.mktemp("tools")
    subprocess.run([*STRICT, "-o", directory / "tracer", HERE / "tracer.c"], check=True)
    subprocess.run([*STRICT, "-shared", "-fPIC", "-o", directory / "failing.so", HERE / "failing.c"], check=True)
    return directory


@pytest.fixture(scope="session")
def named_library(tmp_path_factory):
    """What is loaded into a program that is to find a file system without O_TMPFILE."""
    library = tmp_path_factory.mktemp("named") / "named.so"
    subprocess.run([*STRICT, "-shared", "-fPIC", "-o", library, HERE / "named.c"], check=True)
    return library
