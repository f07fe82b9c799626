"""bulla, stopped before each call that works on files: what happens in between is up to the test."""

import os
import pathlib
import re
import subprocess
import typing

import pytest

from program import SANITIZED

WRITES = {"write", "pwrite64", "fsync", "fdatasync", "syncfs", "fchmod", "futimens", "mkdirat", "unlinkat", "linkat", "renameat", "renameat2"}
READS = {"read", "pread64"}


def title(scene):
    """The name of a class, in words."""
    return re.sub(r"(?<!^)(?=[A-Z])", " ", scene.__name__).lower()


class Call(typing.NamedTuple):
    name: str
    device: int
    inode: int
    thread: int


@pytest.fixture(scope="session")
def step_library(tmp_path_factory):
    """What is loaded into a program that is to be stopped."""
    library = tmp_path_factory.mktemp("step") / "step.so"
    source = pathlib.Path(__file__).with_name("step.c")
    subprocess.run(["gcc", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC", "-o", library, source], check=True)
    return library


class Stepped:
    """A run of bulla: a loop over it stops at each call, with the program waiting; what the loop leaves is not yet done."""

    def __init__(self, bulla, library, *args, env=None, left_out=None, **how):
        """The calls for which left_out is true are not done, but seem to be."""
        self.bulla, self.left_out = bulla, left_out or (lambda call: False)
        self.waits = False  # true while the loop wants the call to come again, after those of other threads
        self.asked, out = os.pipe()
        answers, self.answer = os.pipe()
        env = {"LD_PRELOAD": str(library), "STEP_FDS": f"{out} {answers}"} | (env or {})
        if SANITIZED:
            env["ASAN_OPTIONS"] = bulla.environment.get("ASAN_OPTIONS", "") + ":verify_asan_link_order=0"
        self.process = bulla.start(*args, env=env, pass_fds=(out, answers), **how)
        os.close(out)
        os.close(answers)
        self.lines = os.fdopen(self.asked)

    def __iter__(self):
        for line in self.lines:
            name, *numbers = line.split()
            call = Call(name, *map(int, numbers))
            self.skips = self.left_out(call)
            yield call
            os.write(self.answer, b"w" if self.waits else b"s" if self.skips else b"g")

    def go_on(self):
        """Runs to its end, with no more stops; returns the exit status and what was said."""
        os.write(self.answer, b"g")
        for _ in self:
            pass
        return self.end()

    def end(self):
        """The exit status of a run that came to its end, and what was said."""
        out, err = self.process.communicate()
        self.bulla.check(out or b"", err)
        self.close()
        return self.process.returncode, err.decode(errors="replace")

    def kill(self):
        self.process.kill()
        self.process.communicate()
        self.close()

    def close(self):
        self.lines.close()
        os.close(self.answer)
