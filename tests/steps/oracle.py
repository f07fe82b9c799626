"""What may have become of a file after several commands ran at once: what each vouched for, and no more."""

import itertools
import typing
from dataclasses import dataclass, field

from archive import File


class Reach(typing.NamedTuple):
    """The keys that open a file for sure, and those that may."""

    least: frozenset
    most: frozenset


@dataclass
class Op:
    """One command, and what its exit status 0 says."""

    kind: str
    args: list
    takes: frozenset = frozenset()  # names of files that become what it says if the status is 0
    touches: frozenset = frozenset()  # names that it may change besides
    walks: bool = False  # it may also meet files that are made meanwhile
    becomes: typing.Callable = None  # from the Reach of a file to its new one; None: nothing changes
    makes: dict = field(default_factory=dict)  # the File by each name that there is then
    sources: dict = field(default_factory=dict)  # the content by the name of each plaintext
    removes: bool = False  # --remove-source
    destroys: tuple = ()  # key and version
    moves_back: bool = False  # to older versions of the keys
    old: frozenset = frozenset()  # keys and versions that it may seal to by a stale copy of the ring
    check: typing.Callable = None  # more to see of it, if it ran alone
    under: list = field(default_factory=list)  # a command that runs it, and perhaps kills it
    process: object = None  # it runs already, and waits for the end of its input
    status: int = None
    said: str = ""
    printed: bytes = b""

    def meets(self, name, fresh):
        return name in self.takes or name in self.touches or (fresh and self.walks)

    def must(self, name):
        return self.status == 0 and name in self.takes


def to(keys):
    """It has these keys and no others."""
    return lambda reach: Reach(keys, keys)


def add(keys):
    return lambda reach: Reach(reach.least | keys, reach.most | keys)


def remove(keys):
    return lambda reach: Reach(reach.least - keys, reach.most - keys)


def refresh(reach):
    """What opened it opens it; a slot of a destroyed version may be made anew for the key."""
    return reach


def destroy(key):
    """Who has another key may be all who is left."""
    return lambda reach: Reach(reach.least - {key} or reach.least, reach.most)


def outcomes(start, ops):
    """Every Reach that a file may have; ops is a list of what becomes of it and whether that must be."""
    reached = set()
    for order in itertools.permutations(ops):
        ways = {start}
        for becomes, must in order:
            ways = {becomes(reach) for reach in ways} | (set() if must else ways)
        reached |= ways
    return reached


class Rules:
    """Judges one group of commands."""

    def __init__(self, world):
        self.world = world

    def before(self):
        """The Reach of each file now, and its slots."""
        slots = {name: self.world.slots(name) for name in self.world.files}
        return {name: (Reach(file.readers, file.readers | {key for key, _ in slots[name]}), slots[name])
                for name, file in self.world.files.items()}

    def allowed(self, name, before, ops):
        fresh = name not in before
        if fresh:
            made = next(op.makes[name] for op in ops if name in op.makes)
            before = {name: (Reach(made.readers, made.readers), None)}
        reach, slots = before[name]
        changes = [(op.becomes, op.must(name)) for op in ops if op.becomes and op.meets(name, fresh)]
        still = not changes and not fresh  # its slots are what they were
        for op in ops:
            if op.destroys and (not still or op.destroys in slots):
                changes.append((destroy(op.destroys[0]), False))
        return outcomes(reach, changes)

    def moved_back(self, name, before):
        """The keys of which it has only older versions than it had."""
        if name not in before:
            return None
        was, now = dict(sorted(before[name][1])), dict(sorted(self.world.slots(name)))
        return {key: (was[key], now[key]) for key in was.keys() & now.keys() if now[key] < was[key]}

    def judge(self, name, readers, before, ops):
        """Why what opens a file now is wrong; None if it is right."""
        if not readers:
            return f"'{name}' opens with no key"
        back = self.moved_back(name, before)
        if back and not any(op.moves_back and op.meets(name, False) for op in ops):
            return f"'{name}' was moved back: {back}"
        allowed = self.allowed(name, before, ops)
        if any(reach.least <= readers <= reach.most for reach in allowed):
            return None
        told = " or ".join(f"{sorted(reach.least)}..{sorted(reach.most)}" for reach in allowed)
        return f"'{name}' opens with {sorted(readers)}, and not with {told}"


def made(label, size, keys, detached=False):
    return File(label, size, frozenset(keys), detached)
