"""Steps that go together: what random steps alone would seldom bring about. The names of files and keys are random all the same."""

import oracle
from archive import KEYS, PUBLIC
from kinds import key_args, traced
from oracle import Op

ALL = list(KEYS.values())
BIG = 65536  # bytes of a body from which on an envelope is written where it is


class Scenes:
    def __init__(self, kinds):
        self.kinds, self.world, self.random = kinds, kinds.world, kinds.random

    def rotated(self, *keys):
        """New versions of keys, and their public key files."""
        ops = [Op("key rotate", ["key", "rotate", "-q", KEYS[key]]) for key in keys]
        return ops + (self.kinds.export_public() if "dump" in keys else [])

    def rewrapped(self, operands, names, walks=False):
        return self.kinds.change("rewrap", key_args("-k", ALL), oracle.refresh, (operands, names, walks))

    def others_rewrapped(self, name):
        """All files but that of a name."""
        others = frozenset(self.world.files) - self.world.same_inode(name)
        return [self.rewrapped(sorted(others), others)] if others else []

    def held_up(self, op, calls):
        call = self.random.choice(calls)
        op.under = [*traced(call), f"-einject={call}:delay_enter=90000:when=1"]
        return op

    def late(self):
        """Somebody is about to put a result in its place, and waits; meanwhile its version is rotated, and destroyed if that is allowed."""
        key = self.random.choice(["main", "dump"])
        version = self.world.active(key)
        lane = self.random.choice([self.kinds.encrypt, self.kinds.encrypt, self.kinds.encrypt_tree, self.kinds.rewrap_to, self.kinds.reencrypt])()
        if version is None or not lane:
            return None
        everything = ["-r", "archive"], self.kinds.below("archive"), True
        lane = [self.held_up(lane[0], ["linkat", "renameat", "fsync", "fdatasync", "unlinkat"])]
        return [lane, [*self.rotated(key), self.rewrapped(*everything), self.kinds.destroying(key, version)]]

    def two_destroys(self):
        """Of the two keys of one file, each of which is a way into it until the other is destroyed."""
        names = [name for name, file in self.world.files.items() if file.readers == {"main", "dump"}]
        if not names:
            return None
        name = self.random.choice(sorted(names))
        slots = dict(self.world.slots(name))
        if slots["main"] == self.world.active("main") or slots["dump"] in (self.world.active("dump"), self.world.ring(PUBLIC)["version"]):
            return [[*self.rotated("main", "dump"), *self.others_rewrapped(name)]], "two_destroys"
        lanes = [[self.kinds.destroying(key, slots[key])] for key in ("main", "dump")]
        for lane in lanes:
            lane[0].under = []
        self.held_up(lanes[self.random.randrange(2)][0], ["flock"]).under[-1] = "-einject=flock:delay_enter=60000:when=2"
        return lanes

    def torn(self):
        """A rewrap is killed between the two copies of an envelope; all other files move on, and then the old version is to go."""
        key, version = "main", self.world.active("main")
        names = [name for name, file in self.world.files.items()
                 if file.size > BIG and not file.detached and {n for k, n in self.world.slots(name) if k == key} == {version}]
        if not names or version is None:
            return None
        name = self.random.choice(sorted(names))
        torn = self.rewrapped([name], frozenset([name]))
        torn.under = [*traced("fdatasync"), "-einject=fdatasync:signal=KILL:when=1"]
        torn.args = [word for word in torn.args if word not in ("--sync", "none")]
        return [[*self.rotated(key), torn, *self.others_rewrapped(name), self.kinds.destroying(key, version)]]
