"""The library beside the program under test, the example in C built against it, and the one in Python."""

import importlib.util
import os
import pathlib
import subprocess

import pytest

from program import SANITIZED

TOP = pathlib.Path(__file__).resolve().parents[2]
STRICT = ["gcc", "-O2", "-g", "-Wall", "-Wextra", "-Wpedantic", "-Werror"]


@pytest.fixture(scope="session")
def library():
    """libbulla.so, as the build made it."""
    return pathlib.Path(os.environ["BULLA"]).resolve().parents[1] / "libbulla" / "libbulla.so.0"


@pytest.fixture(scope="session")
def seal(tmp_path_factory, library):
    """The example in C, as C11."""
    program = tmp_path_factory.mktemp("example") / "seal"
    sanitizers = ["-fsanitize=address,undefined"] if SANITIZED else []
    how = ["-std=c11", f"-I{TOP / 'libbulla'}", str(TOP / "examples/seal.c"), str(library), f"-Wl,-rpath,{library.parent}"]
    subprocess.run([*STRICT, *sanitizers, *how, "-o", program], check=True)
    return program


@pytest.fixture(scope="session")
def example():
    """The example in Python, as a module."""
    spec = importlib.util.spec_from_file_location("bulla", TOP / "examples" / "bulla.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
