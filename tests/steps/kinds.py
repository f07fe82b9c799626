"""The kinds of steps: each draws a list of commands that run one after the other, beside those of other steps."""

import oracle
from archive import DUMP, DIRECTORIES, KEYS, MAIN, PARTNER, PUBLIC, Wrong, text
from oracle import Op, made

OWN = [MAIN, DUMP]
# Calls that a run may be killed at: how many of them come before the work begins, and how many more it may be, on average.
CALLS = {"write": (0, 1), "fsync": (0, 1), "fdatasync": (0, 1), "renameat": (0, 0), "linkat": (0, 0), "unlinkat": (0, 0), "flock": (0, 0),
         "utimensat": (0, 0), "pwrite64": (0, 0), "lseek": (0, 1), "openat": (27, 6), "newfstatat": (22, 10), "close": (22, 8),
         "read": (15, 8)}  # fmt: skip
FILES_MAX = 70


def key_args(option, references):
    return [word for reference in references for word in (option, reference)]


def traced(call):
    return ["strace", "-f", "-qq", "-o/dev/null", f"-etrace={call}"]


def name_of(reference):
    return "dump" if reference == PUBLIC else reference.partition("#")[2]


def names_of(references):
    return frozenset(name_of(reference) for reference in references)


class Kinds:
    """Draws steps for a world; one at a time asks what the world is like now."""

    def __init__(self, world, random):
        self.world, self.random = world, random
        self.count = 0
        self.feeds = []  # ends of the pipes of slow runs, see Feed
        self.calm = False  # no slow run begins
        self.exports = []  # (path, name, slots)

    # What steps are made of

    def fresh(self, letter):
        self.count += 1
        return f"{letter}{self.count}"

    def size(self):
        return self.random.choice([0, 30, 400, 5000, 40000, 65480, 65481, 70000, 200000])

    def readers(self):
        """Keys to seal to."""
        sets = [[MAIN], [MAIN], [MAIN], [DUMP], [PUBLIC], [MAIN, PARTNER], [MAIN, DUMP], [MAIN, PUBLIC], [PARTNER, DUMP], [PARTNER]]
        return self.random.choice(sets)

    def stale(self):
        """A copy of ring A of before, or None."""
        copies = sorted(path.name for path in self.world.path("copies").iterdir())
        return f"copies/{self.random.choice(copies)}" if copies else None

    def by_copy(self, copy):
        return frozenset((name, self.world.active(name, copy)) for name in ("main", "dump"))

    def common(self):
        extra = [f"-j{self.random.choice([1, 4])}"] + (["-q"] if self.random.random() < 0.3 else [])
        return extra + (["--sync", "none"] if self.random.random() < 0.2 else [])

    def context(self):
        return self.random.choice([[], [], ["--context", "host=a"], ["--context", "host=b", "--context", "db=x"]])

    def killed(self, op, chance=0.1):
        """The same, killed at some call or after some time, now and then."""
        if self.random.random() < chance:
            call = self.random.choice(sorted(CALLS))
            before, more = CALLS[call]
            number = self.random.choice([0, before]) + 1 + self.random.randint(0, more)  # each thread counts for itself
            op.under = [*traced(call), f"-einject={call}:signal=KILL:when={number}"]
        elif self.random.random() < chance:
            op.under = ["timeout", "-s", "KILL", f"{self.random.uniform(0.002, 0.015):.3f}"]
        return op

    def some(self, most=4):
        """A few files, now and then by a symbolic link; the operands and their names."""
        names = sorted(self.world.files)
        if not names:
            return [], frozenset()
        chosen = self.random.sample(names, min(len(names), self.random.randint(1, most)))
        operands = [next((link for link, target in self.world.links.items() if target == name and self.random.random() < 0.5), name)
                    for name in chosen]
        return operands, frozenset(chosen)

    def below(self, directory):
        return frozenset(name for name in self.world.files if name.startswith(directory + "/"))

    def target(self):
        """Operands: some files, a directory or the whole archive; what they take, whether they walk."""
        way = self.random.random()
        if way < 0.6:
            operands, names = self.some(1 if self.random.random() < 0.5 else 4)
            return operands, names, False
        directories = ["archive"] if way < 0.85 else self.random.sample(DIRECTORIES, 2)
        return ["-r", *directories], frozenset().union(*(self.below(directory) for directory in directories)), True

    def linked(self, names):
        return frozenset().union(*(self.world.same_inode(name) for name in names))

    def change(self, kind, words, becomes, target=None, **how):
        """A command that changes envelopes or files."""
        operands, names, walks = target or self.target()
        if not operands:
            return None
        verb = "reencrypt" if kind.startswith("reencrypt") else "rewrap"
        extra = [word for word in self.common() if verb == "rewrap" or word.startswith(("-j", "-q"))]
        return self.killed(Op(kind, [verb, *words, *extra, *operands], takes=names, touches=self.linked(names), walks=walks,
                              becomes=becomes, **how))

    # Steps

    def encrypt(self):
        keys, directory, detached = self.readers(), self.random.choice(DIRECTORIES), self.random.random() < 0.2
        return self.sealing("encrypt", keys, directory, ["--detach"] if detached else [], detached)

    def encrypt_tree(self):
        directory = f"{self.random.choice(DIRECTORIES)}/{self.fresh('n')}"
        return self.sealing("encrypt -r", self.readers(), directory, [], False, tree=True)

    def encrypt_by_copy(self):
        copy = self.stale()
        if not copy:
            return None
        return self.sealing("encrypt by a copy", [f"{copy}#main"], self.random.choice(DIRECTORIES), [], False, old=self.by_copy(copy))

    def sealing(self, kind, keys, directory, extra, detached, tree=False, **how):
        removes = self.random.random() < 0.4
        sources, makes = {}, {}
        for _ in range(self.random.randint(1, 3)):
            label = self.fresh("f")
            sources[f"{directory}/{label}"] = (label, self.size())
            makes[f"{directory}/{label}.bulla"] = made(*sources[f"{directory}/{label}"], names_of(keys), detached)
        words = [*key_args("-k", keys), *extra, *self.context(), *(["--remove-source", "-j4"] if removes else self.common())]
        words += ["--suite", "chacha20"] if self.random.random() < 0.2 else []
        op = Op(kind, ["encrypt", *words, *(["-r", directory] if tree else sorted(sources))], makes=makes, sources=sources, removes=removes, **how)
        return [self.killed(op)]

    def slow_begin(self):
        if len(self.feeds) >= 3 or self.calm:
            return None
        keys, label, size = self.readers(), self.fresh("s"), self.size()
        copy = self.stale() if self.random.random() < 0.15 else None
        old = self.by_copy(copy) if copy else frozenset()
        keys = [f"{copy}#main"] if copy else keys
        name = f"{self.random.choice(DIRECTORIES)}/{label}.bulla"
        args = ["encrypt", *key_args("-k", keys), *self.context(), "-o", name]
        self.feeds.append(Feed(self.world, args, label, size, name, names_of(keys), old, self.random.randint(1, 6)))
        return []

    def slow_end(self):
        ready = [feed for feed in self.feeds if feed.steps <= 0 or self.calm]
        if not ready:
            return None
        feed = self.random.choice(ready)
        self.feeds.remove(feed)
        return [feed.end(kill=self.random.random() < 0.1)]

    def rotate(self):
        key = self.random.choice([MAIN, MAIN, DUMP])
        return [self.killed(Op("key rotate", ["key", "rotate", "-q", key]))]

    def export_public(self):
        return [Op("key export-public", ["key", "export-public", "-q", "--force", "-o", PUBLIC, DUMP])]

    def rotation(self):
        """All of docs/ROTATION.md in a row."""
        key = self.random.choice(["main", "main", "dump"])
        version = self.world.active(key)
        if version is None:
            return None
        steps = [Op("key rotate", ["key", "rotate", "-q", KEYS[key]])]
        steps += self.export_public() if key == "dump" else []
        steps.append(self.change("rewrap", key_args("-k", KEYS.values()), oracle.refresh, (["-r", "archive"], self.below("archive"), True)))
        return [*steps, self.destroying(key, version)]

    def destroying(self, key, version):
        """Copies of the ring that seal to what is destroyed go before, as docs/ROTATION.md has it: no host may have them."""
        for path in self.world.path("copies").iterdir():
            if (key, version) in self.by_copy(f"copies/{path.name}"):
                path.unlink()
        args = ["key", "destroy", "-q", "--force", "--check", "archive", f"{KEYS[key]}:{version}"]
        return self.killed(Op("key destroy", args, destroys=(key, version)), 0.05)

    def destroy(self, key=None):
        key = key or self.random.choice(["main", "main", "dump"])
        states = self.world.versions(key)
        old = [number for number, state in states.items() if state in ("retired", "disabled")]
        if key == "dump":
            old = [number for number in old if number != self.world.ring(PUBLIC)["version"]]
        return [self.destroying(key, self.random.choice(old[:2]))] if old else None

    def state(self):
        key = self.random.choice(["main", "dump"])
        states = self.world.versions(key)
        word = self.random.choice(["disable", "enable", "enable", "enable", "retire"])
        fitting = [n for n, state in states.items() if state == ("disabled" if word == "enable" else "active" if word == "retire" else "retired")]
        return [Op(f"key {word}", ["key", word, "-q", f"{KEYS[key]}:{self.random.choice(fitting)}"])] if fitting else None

    def rewrap(self):
        keys = self.random.choice([[MAIN], [DUMP], OWN, OWN, [*OWN, PARTNER], [PARTNER]])
        op = self.change("rewrap", key_args("-k", keys), oracle.refresh)
        if op:
            op.check = lambda op: self.see_current(op, names_of(keys))
        return op and [op]

    def see_current(self, op, keys):
        """Nothing is left on an old version of the keys that were given."""
        active = {(key, self.world.active(key)) for key in keys}
        for name in op.takes if op.status == 0 else ():
            left = {slot for slot in self.world.slots(name) if slot[0] in keys} - active
            if left:
                raise Wrong(f"'{name}' is still on {left}")

    def rewrap_by_copy(self):
        copy = self.stale()
        if not copy:
            return None
        keys = [f"{copy}#main"] + ([f"{copy}#dump"] if self.random.random() < 0.5 else [])
        if self.random.random() < 0.2:
            op = self.change("rewrap --to a copy", [*key_args("-k", OWN), "--to", f"{copy}#main"], oracle.to(frozenset({"main"})))
        else:
            op = self.change("rewrap by a copy", key_args("-k", keys), oracle.refresh)
        if op:
            op.old = self.by_copy(copy)
        return op and [op]

    def dry_run(self):
        """Two of three would change much."""
        words = self.random.choice([[], ["--to", DUMP], ["--add", PARTNER]])
        op = self.change("rewrap --dry-run", ["--dry-run", *key_args("-k", OWN), *words], None)
        if not op:
            return None
        before = self.bytes_of(op.touches)
        op.under, op.check = [], lambda op: self.see_untouched(op, before)
        return [op]

    def bytes_of(self, names):
        return {name: self.world.path(name).read_bytes() for name in names}

    def see_untouched(self, op, before):
        if self.bytes_of(op.touches) != before:
            raise Wrong("--dry-run changed files")

    def rewrap_to(self):
        keys = self.random.choice([[MAIN], [MAIN], [DUMP], [PUBLIC], [MAIN, PARTNER], [MAIN, DUMP]])
        op = self.change("rewrap --to", [*key_args("-k", KEYS.values()), *key_args("--to", keys)], oracle.to(names_of(keys)))
        return op and [op]

    def rewrap_add(self):
        key = self.random.choice([PARTNER, PARTNER, PUBLIC, MAIN, DUMP])
        mine = self.random.choice([OWN, [MAIN], list(KEYS.values())])
        share = ["--share-branch"] if self.random.random() < 0.3 else []
        op = self.change("rewrap --add", [*key_args("-k", mine), "--add", key, *share], oracle.add(names_of([key])))
        return op and [op]

    def rewrap_remove(self):
        """All keys are given: of one that is not, bulla could not see that it is destroyed."""
        key = self.random.choice([PARTNER, PARTNER, DUMP, MAIN])
        op = self.change("rewrap --remove", [*key_args("-k", KEYS.values()), "--remove", key], oracle.remove(names_of([key])))
        return op and [op]

    def reencrypt(self):
        keys = self.random.choice([[MAIN], OWN, list(KEYS.values())])
        to = self.random.choice([[], [], [MAIN], [MAIN, PARTNER], [PUBLIC]])
        words = [*key_args("-k", keys), *key_args("--to", to)]
        op = self.change("reencrypt", words, oracle.to(names_of(to or keys)))
        return op and [op]

    # Steps of which no other runs beside

    def export(self):
        operands, names = self.some(1)
        if not names:
            return None
        (name,) = names
        path = f"exports/{self.fresh('e')}.env"
        op = Op("envelope export", ["envelope", "export", "-q", "-o", path, *operands])
        op.check = lambda op: op.status == 0 and self.exports.append((path, name, self.world.slots(name)))
        return [op]

    def export_beside(self):
        names = sorted(name for name, file in self.world.files.items() if not file.detached)
        if not names:
            return None
        name = self.random.choice(names)
        return [Op("envelope export beside", ["envelope", "export", "-q", "--force", name])]

    def restore(self):
        """An envelope of before, unless all that it could be opened by is destroyed: the user loses such a file himself."""
        self.exports = [export for export in self.exports if export[1] in self.world.files]
        if not self.exports:
            return None
        path, name, slots = self.random.choice(self.exports)
        return self.restoring("envelope restore", name, slots, ["--envelope", path])

    def restore_beside(self):
        """'key destroy --check' counts what lies in the archive, so that this loses nothing."""
        names = sorted(name for name, file in self.world.files.items() if not file.detached and self.world.path(f"{name}.env").exists())
        if not names:
            return None
        name = self.random.choice(names)
        return self.restoring("envelope restore beside", name, self.world.slots(f"{name}.env"), [])

    def restoring(self, kind, name, slots, words):
        alive = frozenset(key for key, _ in slots - self.world.destroyed())
        becomes = lambda reach: oracle.Reach(alive, frozenset(key for key, _ in slots))
        args = ["envelope", "restore", "-q", "--force", *key_args("-k", OWN), *words, name]
        op = Op(kind, args, takes=frozenset([name]), touches=self.linked([name]), becomes=becomes, moves_back=True)
        return [self.killed(op)] if alive else None

    def verify(self):
        """What a batch says of a file, verify of it alone says; with any keys, in any order."""
        operands, _ = self.some(12)
        keys = self.random.choice([[MAIN], [DUMP], OWN, [PARTNER], list(KEYS.values()), ["oracle/a.ring"]])
        if not operands:
            return None
        self.world.judge()
        together = self.world.verdicts(keys, operands, f"-j{self.random.choice([1, 4])}")
        for name in self.random.sample(operands, min(3, len(operands))):
            alone = self.world.verdicts(keys, [name])
            if alone[name] != together[name]:
                raise Wrong(f"verify -k {keys} says {together[name]} of '{name}' among {operands}, and {alone[name]} of it alone")
        return []

    def needs(self):
        """0 says that no file would be lost."""
        key = self.random.choice(["main", "dump"])
        version = self.random.choice(sorted(self.world.versions(key)))
        op = Op("status --needs", ["status", "-r", "--needs", f"{KEYS[key]}:{version}", "archive"])
        op.check = lambda op: op.status == 0 and self.see_not_needed(key, version)
        return [op]

    def see_not_needed(self, key, version):
        lost = [name for name, readers in self.world.readers(self.world.files, lacking={(key, version)}).items() if not readers]
        if lost:
            raise Wrong(f"status --needs says 0 of {key}:{version}, and {lost} would be lost with it")


class Feed:
    """A slow run of encrypt: its input comes in pieces, over several steps."""

    def __init__(self, world, args, label, size, name, keys, old, steps):
        self.world, self.args, self.label, self.size, self.name = world, args, label, size, name
        self.keys, self.old, self.steps = keys, old, steps
        self.left = text(label, size)
        self.piece = len(self.left) // (steps + 1) + 1
        self.process = world.start(args, stdin=-1)

    def feed(self):
        self.steps -= 1
        try:
            self.process.stdin.write(self.left[: self.piece])
            self.process.stdin.flush()
        except BrokenPipeError:
            pass
        self.left = self.left[self.piece :]

    def end(self, kill=False):
        while self.left:
            self.feed()
        op = Op("slow encrypt", self.args, makes={self.name: made(self.label, self.size, self.keys)}, old=self.old, process=self.process)
        if kill:
            op.under = ["kill"]
        return op
