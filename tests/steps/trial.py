"""Random steps on one archive: whatever is done, and killed, and at once, no file is lost that bulla vouched for.

A trial draws its steps from a seed. A step is one to three lists of commands that run beside each other; then every file that they
could change is judged. What runs at once is up to the system, so that one seed does not always give one and the same run.
"""

import collections
import os
import random
import shlex
import subprocess
import threading
import time

from archive import DIRECTORIES, PATIENCE, World, Wrong
from kinds import FILES_MAX, Kinds
from oracle import Rules
from scenes import Scenes

BESIDE = {"encrypt": 10, "encrypt_tree": 2, "encrypt_by_copy": 1, "slow_begin": 6, "slow_end": 8, "rotate": 4, "rotation": 4,
          "export_public": 2, "destroy": 8, "state": 3, "rewrap": 12, "rewrap_by_copy": 5, "rewrap_to": 4, "rewrap_add": 5,
          "rewrap_remove": 3, "reencrypt": 5}
ALONE = {"dry_run": 2, "export": 4, "export_beside": 2, "restore": 3, "restore_beside": 2, "verify": 4, "needs": 4, "link": 3, "symlink": 2,
         "copy_ring": 5, "drop_exports": 3}
SCENES = {"late": 5, "two_destroys": 3, "torn": 2}
STATUSES = {*range(12), -9, 137}  # the last two of what was killed
BACK = 40  # steps that can be played again


class Trial:
    def __init__(self, program, base, seed):
        self.seed, self.random = seed, random.Random(seed)
        self.world = World(program, base)
        self.kinds, self.rules = Kinds(self.world, self.random), Rules(self.world)
        self.scenes, self.following = Scenes(self.kinds), None  # the second: the kind of the next step, if that follows from this
        self.seen = collections.Counter()  # by kind and exit status
        self.log, self.kept = [], []  # lines of shell; kept states, each the name and where its lines begin
        self.steps = 0

    def run(self, steps):
        try:
            self.keep_state()
            self.at_once([self.kinds.encrypt() for _ in range(3)])
            for _ in range(steps):
                self.step()
                self.keep_state()
            self.end()
        except Wrong as wrong:
            raise Wrong(self.report(wrong)) from None
        finally:
            for feed in self.kinds.feeds:
                feed.process.kill()
                feed.process.communicate()

    def step(self):
        self.steps += 1
        self.log.append(f"# step {self.steps}")
        for feed in self.kinds.feeds:
            feed.feed()
        self.make_room()
        kind, self.following = self.following or self.pick({**BESIDE, **ALONE, **SCENES}), None
        if hasattr(self, kind):
            getattr(self, kind)()
        elif kind in SCENES:
            lanes = getattr(self.scenes, kind)() or []
            lanes, self.following = lanes if isinstance(lanes, tuple) else (lanes, None)
            self.at_once(lanes)
        else:
            lanes = [self.draw(kind)]
            while kind in BESIDE and len(lanes) < 3 and self.random.random() < 0.4:
                lanes.append(self.draw(self.pick(BESIDE)))
            self.at_once([lane for lane in lanes if lane])
        if self.steps % BACK == 0:
            self.world.check_content()

    def pick(self, kinds):
        return self.random.choices(list(kinds), list(kinds.values()))[0]

    def draw(self, kind):
        before = len(self.kinds.feeds)
        lane = getattr(self.kinds, kind)()
        for feed in self.kinds.feeds[before:]:
            self.log.append(f"yes {feed.label} | head -c {feed.size} | {self.world.typed(feed.args)} &  # fed in several steps")
        return lane

    def at_once(self, lanes):
        """Runs lists of commands beside each other, and judges."""
        using = set().union(*(op.old for lane in lanes for op in lane), *(feed.old for feed in self.kinds.feeds))
        lanes = [lane for lane in lanes if not any(op.destroys in using for op in lane)]
        ops = [op for lane in lanes for op in lane if op]
        if not ops:
            return
        self.write_sources(ops)
        self.note(lanes)
        before = self.rules.before()
        pauses = [self.random.choice([0, 0, 0.005, 0.02]) for _ in lanes]
        threads = [threading.Thread(target=self.lane, args=pair) for pair in zip(lanes, pauses)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.settle(ops, before)

    def lane(self, ops, pause):
        time.sleep(pause)
        for op in ops:
            process = op.process or self.world.start(op.args, op.under)
            if op.under == ["kill"]:
                process.kill()
            try:
                op.printed, err = process.communicate(timeout=PATIENCE)
                op.said, op.status = err.decode(errors="replace"), process.returncode
            except subprocess.TimeoutExpired:
                process.kill()
                op.said = "it does not end"

    def settle(self, ops, before):
        for op in ops:
            self.log.append(f"#   {op.status}: {self.world.typed(op.args)[:100]}")
            self.seen[op.kind, op.status] += 1
            if op.status not in STATUSES:
                raise Wrong(f"{self.world.typed(op.args)}: exit status {op.status}\n{op.said}")
        destroyed = any(op.destroys for op in ops)
        self.take_made(ops)
        touched = {name for name in self.world.files if any(op.meets(name, name not in before) or name in op.makes for op in ops)}
        found = self.world.readers(self.world.files if destroyed or self.steps % 10 == 0 else touched)
        for name, readers in found.items():
            wrong = self.rules.judge(name, readers, before, ops)
            if wrong:
                raise Wrong(wrong)
            self.world.files[name] = self.world.files[name]._replace(readers=readers)
        if destroyed:
            self.world.check_copies()
        if len(ops) == 1 and ops[0].check:
            ops[0].check(ops[0])
        self.sweep_up(ops)

    def write_sources(self, ops):
        for op in ops:
            for path, (label, size) in op.sources.items():
                self.shell(f"mkdir -p {shlex.quote(os.path.dirname(path))} && yes {label} | head -c {size} > {path}")

    def take_made(self, ops):
        """What was sealed is there if the status says so; else it is there as a whole or not at all, and its source is there."""
        for op in ops:
            for name, file in op.makes.items():
                source, there = name.removesuffix(".bulla"), self.world.path(name).exists()
                if op.status == 0 and not there:
                    raise Wrong(f"'{name}' is not there, and the exit status is 0")
                if op.sources and op.status == 0 and self.world.path(source).exists() == op.removes:
                    raise Wrong(f"'{source}' {'was not' if op.removes else 'was'} removed, and the exit status is 0")
                if op.sources and not there and not self.world.path(source).exists():
                    raise Wrong(f"neither '{source}' nor '{name}' is there")
                if there:
                    self.world.files[name] = file
                if op.sources and self.world.path(source).exists():
                    self.shell(f"rm {source}")
                if file.detached and not there:
                    self.shell(f"rm -f {name}.env")

    def sweep_up(self, ops):
        """What a killed run may leave: files that are no archive's, so that a proof would not pass over them."""
        if any(op.under for op in ops) and not self.kinds.feeds:
            self.shell("find archive keys -name '.bulla-*' -delete")

    # Steps without bulla

    def link(self):
        """A snapshot as of cp -al."""
        names = sorted(name for name, file in self.world.files.items() if not file.detached)
        if names:
            name, link = self.random.choice(names), f"{self.random.choice(DIRECTORIES)}/{self.kinds.fresh('l')}.bulla"
            self.shell(f"ln {name} {link}")
            self.world.files[link] = self.world.files[name]

    def symlink(self):
        if self.world.files and len(self.world.links) < 8:
            name, link = self.random.choice(sorted(self.world.files)), f"{self.random.choice(DIRECTORIES)}/{self.kinds.fresh('y')}.bulla"
            self.shell(f"ln -s {os.path.relpath(name, os.path.dirname(link))} {link}")
            self.world.links[link] = name

    def copy_ring(self):
        """A copy that will be stale. Of many the oldest goes."""
        self.shell(f"cp keys/a.ring copies/{self.kinds.fresh('c')}.ring")
        copies = sorted(self.world.path("copies").iterdir(), key=os.path.getmtime)
        if len(copies) > 5:
            self.shell(f"rm copies/{copies[0].name}")

    def drop_exports(self):
        """Of self-contained files."""
        for name, file in self.world.files.items():
            if not file.detached and self.world.path(f"{name}.env").exists():
                self.shell(f"rm {name}.env")

    def make_room(self):
        if len(self.world.files) < FILES_MAX:
            return
        for name in self.random.sample(sorted(self.world.files), 5):
            gone = [name, *(link for link, target in self.world.links.items() if target == name)]
            self.shell(f"rm -f {' '.join(gone)} {name}.env")
            del self.world.files[name]
            self.world.links = {link: target for link, target in self.world.links.items() if target != name}

    # What a failure is played again by

    def shell(self, line):
        self.log.append(line)
        subprocess.run(["sh", "-c", line], cwd=self.world.directory, check=True)

    def note(self, lanes):
        typed = [" ; ".join(self.world.typed(op.args, op.under) + ("  # slow, its input ends" if op.process else "") for op in lane) for lane in lanes]
        self.log.append(typed[0] if len(typed) == 1 else " & ".join(f"( {lane} )" for lane in typed) + " & wait")

    def keep_state(self):
        """The state of some steps ago is kept, so that what came after can be played again. A slow run has no state to keep."""
        self.kinds.calm = bool(self.kept) and self.steps - self.kept[-1][1] >= BACK
        if self.kinds.feeds or (self.kept and not self.kinds.calm):
            return
        self.world.keep(f"after {self.steps}")
        self.kept.append((f"after {self.steps}", self.steps, len(self.log)))
        for old in self.kept[:-2]:
            subprocess.run(["rm", "-rf", self.world.base / old[0]], check=True)
        self.kept, self.kinds.calm = self.kept[-2:], False

    def report(self, wrong):
        name, _, line = self.kept[0]
        return "\n".join([f"seed {self.seed}, step {self.steps}: {wrong}", f"all is kept in {self.world.base}; to play it again:",
                          f"cd {shlex.quote(str(self.world.base))} && cp -a '{name}' again && cd again", *self.log[line:]])

    def end(self):
        """Slow runs come to their end; then all opens to what it was."""
        while self.kinds.feeds:
            feed = self.kinds.feeds.pop()
            self.at_once([[feed.end()]])
        for name, readers in self.world.readers(self.world.files).items():
            if readers != self.world.files[name].readers:
                raise Wrong(f"'{name}' opens with {sorted(readers)} in the end, and did with {sorted(self.world.files[name].readers)}")
        self.world.check_content()
