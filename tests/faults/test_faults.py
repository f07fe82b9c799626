"""Faults at every point of every verb: allocations and system calls that fail, short counts, the end by a signal.

After each the destination is old or new and complete, the exit status is honest, nothing is left behind, nothing crashed, and no
key is in anything that was printed or left.
"""

import collections
import concurrent.futures
import functools
import os
import ssl

import pytest

import calls
from scenarios import SCENARIOS
from sweep import Sweep, sample
from world import Template, World

AT_ONCE = 2 * len(os.sched_getaffinity(0))
WRITE = calls.number("write")
FOR_EVER = str(2**63)
SAMPLE = {"allocations": 4, "calls": 8, "for ever": 4, "counts": 3, "kills": 8}  # points of each scenario in an ordinary run
# OpenSSL asks for some 7500 pieces of memory in each run that needs it, most of them to list its algorithms, always in the same way.
# In one scenario each of them fails; in the others every 37th.
# OpenSSL 3.5 waits for itself when one of its first two fails.
OPENSSL, STRIDE = "verify/file", 37


class Run:
    """A scenario with the tools: runs it with one fault, in a world of its own."""

    def __init__(self, scenario, tools, named_library):
        self.scenario, self.tools, self.template = scenario, tools, Template(scenario.prepare)
        self.preloaded = [str(named_library)] if scenario.named else []

    def traced(self, *what):
        """The outcome of a run under the tracer."""
        with World(self.template) as world:
            report = world.home / "report"
            under = [str(self.tools / "tracer"), str(report), *map(str, what)]
            done = self.scenario.run(world, under=under, env={"LD_PRELOAD": ":".join(self.preloaded)})
            outcome = self.scenario.judge(world, done, killed=what[0] == "kill", mute=what[1:2] == (WRITE,))
            return outcome if report.read_text() else "not reached", report.read_text()

    def failing(self, name, first, last, error):
        """The outcome of a run in which these calls of a name fail."""
        outcome = self.traced("error", calls.number(name), first, last, calls.code(error))[0]
        assert outcome != "done" or name not in calls.FATAL or error == "EINTR", "nobody saw it"
        return outcome

    def allocating(self, first=None, last=None):
        """The outcome of a run in which these allocations fail, and what the library for LD_PRELOAD says of it."""
        with World(self.template) as world:
            report = world.home / "report"
            env = {"LD_PRELOAD": ":".join([str(self.tools / "failing.so"), *self.preloaded]), "FAILING_REPORT": str(report)}
            if first is not None:
                env |= {"FAILING_FIRST": str(first), "FAILING_LAST": str(last)}
            done = self.scenario.run(world, env=env)
            outcome = self.scenario.judge(world, done)
            return (outcome if report.read_text() else "not reached"), report.read_text()

    @functools.cached_property
    def recorded(self):
        """The system calls of a run without faults, by name."""
        outcome, report = self.traced("record")
        assert outcome == "done"
        return [calls.names()[int(line)] for line in report.split()]


@pytest.fixture(scope="module", params=SCENARIOS, ids=lambda scenario: scenario.name)
def run(request, tools, named_library):
    return Run(request.param, tools, named_library)


def sweep(group, run, points, attempt):
    """Tries all the points, some at once; tells of all that are not as they should be."""
    wrong = []
    with Sweep(group, run.scenario.name) as counted, concurrent.futures.ThreadPoolExecutor(AT_ONCE) as pool:
        tries = {pool.submit(attempt, *point): point for point in points}
        for done in concurrent.futures.as_completed(tries):
            try:
                counted.point(done.result())
            except Exception as error:  # whatever it is, the other points are tried
                wrong.append(f"{tries[done]}: {type(error).__name__}: {error}")
        assert not wrong, f"{len(wrong)} of {len(tries)} points:\n" + "\n".join(sorted(wrong)[:40])


def test_allocations_that_fail(run):
    """Each one, alone and with all behind it."""
    outcome, report = run.allocating()
    assert outcome == "done"
    rows = [tuple(map(int, line.split())) for line in report.splitlines()]
    points = [n for n, by_openssl in rows if not by_openssl or n % STRIDE == 0 or run.scenario.name == OPENSSL]
    waits = [n for n, by_openssl in rows if by_openssl][:2] if ssl.OPENSSL_VERSION_INFO >= (3, 5) else []
    points = [(n, last) for n in points for last in (n, FOR_EVER) if not any(n <= wait <= int(last) for wait in waits)]
    sweep("allocation fails", run, sample(points, SAMPLE["allocations"]), lambda n, last: run.allocating(n, last)[0])


def test_calls_that_fail(run):
    """Each one, with each error that it may have."""
    seen = collections.Counter()
    points = []
    for name in run.recorded:
        seen[name] += 1
        points += [(name, seen[name], error) for error in calls.errors(name)]

    def attempt(name, n, error):
        return run.failing(name, n, n, error)

    sweep("system call fails", run, sample(points, SAMPLE["calls"]), attempt)


def test_calls_that_keep_failing(run):
    """From the first of its kind on: nothing can be written any more, synced, locked, drawn."""
    points = [(name, error) for name in dict.fromkeys(run.recorded) for error in calls.errors(name)
              if error not in ("EINTR", "EAGAIN", "EWOULDBLOCK")]  # fmt: skip

    def attempt(name, error):
        return run.failing(name, 1, FOR_EVER, error)

    sweep("system call keeps failing", run, sample(points, SAMPLE["for ever"]), attempt)


def test_short_counts(run):
    """Each read and write does half of what it is asked, alone and always: nothing of it is seen."""
    seen = collections.Counter(name for name in run.recorded if name in calls.SHORT)
    points = [(name, n, n) for name, count in seen.items() for n in range(1, count + 1)]
    points += [(name, 1, FOR_EVER) for name in seen]

    def attempt(name, first, last):
        outcome = run.traced("short", calls.number(name), first, last)[0]
        assert outcome in ("done", "not reached"), outcome
        return outcome

    sweep("short count", run, sample(points, SAMPLE["counts"]), attempt)


def test_interrupted_calls(run):
    """Each call that may wait is interrupted, alone: it is made again; but not by the C library, where lines are printed."""
    seen = collections.Counter(name for name in run.recorded if name in (*calls.SHORT, "getrandom"))
    points = [(name, n) for name, count in seen.items() for n in range(1, count + 1)]

    def attempt(name, n):
        outcome = run.failing(name, n, n, "EINTR")
        assert outcome in ("done", "not reached") or (name == "write" and outcome == "failed, nothing made"), outcome
        return outcome

    sweep("interrupted call", run, sample(points, SAMPLE["counts"]), attempt)


def test_kill_at_each_call(run):
    """SIGKILL: the destination is old or new, and what was broken off is just started again."""
    points = [(n,) for n in range(1, len(run.recorded) + 1)]
    sweep("kill -9", run, sample(points, SAMPLE["kills"]), lambda n: run.traced("kill", n)[0])
