"""Sweeps: one fault at every point in turn. A test run takes a fixed sample of each, tests/sweeps takes them all."""

import collections
import json
import os
import pathlib
import time

ALL = os.environ.get("BULLA_SWEEP") == "all"
REPORTS = os.environ.get("BULLA_SWEEP_REPORTS")  # a directory for what was found, one JSON file a sweep


def sample(points, size):
    """All the points, or as many of them as size, evenly spread, with the first and the last."""
    points = list(points)
    if ALL or len(points) <= size:
        return points
    if size == 1:
        return points[:1]
    return [points[i * (len(points) - 1) // (size - 1)] for i in range(size)]


class Sweep:
    """Counts the outcomes of the points of one sweep, and reports them when it ends well."""

    def __init__(self, group, name):
        self.group, self.name, self.outcomes = group, name, collections.Counter()

    def __enter__(self):
        self.start = time.monotonic()
        return self

    def point(self, outcome):
        """One point was tried, and this came of it, in a word or two: done, refused, old kept."""
        self.outcomes[outcome] += 1

    def __exit__(self, kind, error, trace):
        if kind is not None:
            return
        points, seconds = sum(self.outcomes.values()), round(time.monotonic() - self.start, 1)
        assert points, "a sweep of no points proves nothing"
        if REPORTS:
            report = {"group": self.group, "name": self.name, "points": points, "outcomes": dict(self.outcomes), "seconds": seconds}
            (pathlib.Path(REPORTS) / f"{self.group} {self.name}.json".replace("/", "-")).write_text(json.dumps(report))
