"""The runs that are swept: each verb, on files and pipes, with one thread and with several."""

import json

from sealed import content, layout
from world import BETWEEN, NEW, OLD, Scenario, decode

SMALL = content(40_000, "small")  # is replaced by a rewrap
MIDDLE = content(70_000, "middle")  # has its envelope written over in its place
LARGE = content(2_000_000, "large")  # eight batches: from the fifth on, other threads help
OTHER = content(3_000, "other")
TREE = {"a": LARGE, "b": SMALL, "c": OTHER}
RING, NEXT = "keys/a.ring", "keys/b.ring"
K = ("-k", "../keys/a.ring")
PASSPHRASE = b"a passphrase of eleven words that nobody uses anywhere else but here"
FORMER = b"the one that was used until now"
NEW_PASSPHRASE = {"BULLA_NEW_PASSPHRASE_FILE": "../keys/passphrase"}


# What is there before a run.


def both(*parts):
    """Does one after the other."""

    def prepare(world):
        for part in parts:
            part(world)

    return prepare


def rings(world):
    for path in (RING, NEXT):
        world("key", "new", "-q", f"../{path}")


def vault(world):
    """A key pair, and its public key."""
    world("key", "new", "-q", "--kind", "x25519", "../keys/vault.ring")
    world("key", "export-public", "../keys/vault.ring", "-o", "vault.pub")


def plain(data):
    def prepare(world):
        (world.work / "f").write_bytes(data)

    return prepare


def tree(world):
    (world.work / "t").mkdir()
    for name, data in TREE.items():
        (world.work / "t" / name).write_bytes(data)


def file(name, data):
    def prepare(world):
        (world.work / name).write_bytes(data)

    return prepare


def sealed(data, *options):
    """f.bulla, and no plain file."""

    def prepare(world):
        world("encrypt", *K, *options, "-o", "f.bulla", stdin=data)

    return prepare


def sealed_tree(world):
    tree(world)
    world("encrypt", "-r", "--remove-source", *K, "t")


def rotated(world):
    world("key", "rotate", "-q", "../keys/a.ring")


def disabled(world):
    world("key", "disable", "-q", "../keys/a.ring#a:1")


def exported(world):
    world("envelope", "export", "f.bulla")


def damaged(world):
    """The first copy of the envelope is broken."""
    with open(world.work / "f.bulla", "r+b") as sealed_file:
        sealed_file.seek(100)
        sealed_file.write(b"broken")


def destroyed(world):
    """Both are."""
    path = world.work / "f.bulla"
    raw = path.read_bytes()
    path.write_bytes(bytes(layout(raw).body) + raw[layout(raw).body :])


# What is there after it.


def is_plain(path, data):
    """A file with this content, or what was there before."""

    def state(world):
        now = world.read(path)
        if now == world.old(path):
            return OLD
        assert now == data, f"{path} is neither old nor new: {now and len(now)} bytes"
        return NEW

    return state


def is_sealed(path, data, ring=RING, envelope=None):
    """A file that is sealed to the ring and holds this, or what was there before."""

    def state(world):
        now = world.read(path)
        if envelope is not None and now is None and world.read(envelope) is not None:
            return BETWEEN
        if now == world.old(path):
            return OLD
        assert world.opened(path, ring, envelope) == data, f"{path} does not hold what it should"
        return NEW

    return state


def all_of(*states):
    """Old or new if all are, else something between."""

    def state(world):
        found = {one(world) for one in states}
        return found.pop() if len(found) == 1 else BETWEEN

    return state


def source_gone(state, source):
    """The source goes only after its result is there."""

    def both_of(world):
        made, there = state(world), world.read(source) is not None
        assert there or made == NEW, "the source is gone, and the result is not there"
        return BETWEEN if there and made == NEW else made

    return both_of


def is_envelope(path, of):
    """The envelope of a sealed file, in a file of its own."""

    def state(world):
        now, size = world.read(path), decode.read_envelope(world.read(of)).size
        if now is None:
            return OLD
        assert now == world.read(of)[:size]
        return NEW

    return state


def is_moved(path, data, to, before=RING, envelope=None):
    """Sealed to the ring "to" and to it alone in both copies, as before, or between; the body stays as it is."""
    changed = envelope or path

    def state(world):
        if world.read(changed) == world.old(changed):
            return OLD
        read = decode.read_envelope(world.read(changed))
        size = read.size if envelope is None else 0
        assert world.old(path).endswith(world.read(path)[size:]), "the body changed"
        by_new, by_old = (world.opened(path, ring, envelope) for ring in (to, before))
        assert data in (by_new, by_old), "neither the old nor the new key opens it"
        return NEW if by_new == data and read.copies == ["good", "good"] and to_last(world, read, to) else BETWEEN

    return state


def to_last(world, read, ring):
    """Whether a slot is of the last version of a key in the ring."""
    keys = {(key["id"], key["versions"][-1]["version"]) for key in json.loads(world.read(ring))["keys"]}
    return any((slot.fields["key_id"].hex(), slot.fields["key_version"]) in keys for slot in read.copy.content.slots)


def is_ring(path, check):
    """A keyring that check, given its JSON, says True of, or what was there before."""

    def state(world):
        now = world.read(path)
        if now == world.old(path):
            return OLD
        assert check(json.loads(now)), f"{path} is not as wanted"
        decode.read_keyring(now, PASSPHRASE)
        return NEW

    return state


def states(*wanted):
    """The states of the versions of a ring's first key."""
    return lambda ring: [v["state"] for v in ring["keys"][0]["versions"]] == list(wanted)


# What is printed.


def prints_plain(data):
    def output(world, out, complete):
        assert out == data if complete else data.startswith(out), "what came out is not the beginning of the plaintext"

    return output


def prints_sealed(data):
    def output(world, out, complete):
        assert data[:64] not in out
        if complete:
            (world.directory / "out").write_bytes(out)
            assert world.opened("out", RING) == data

    return output


def prints_json(check):
    """Lines of JSON, which must be whole when the run says they are, and of which check, given the last, says True."""

    def output(world, out, complete):
        if complete:
            assert check([json.loads(line) for line in out.splitlines()][-1]), f"this is not all: {out}"

    return output


def prints_all(lines):
    """Lines for a person, which must be these when the run says that they are whole."""

    def output(world, out, complete):
        assert not complete or [line.split() for line in out.decode().splitlines()] == lines, f"this is not all: {out}"

    return output


def prints_nothing(world, out, complete):
    assert out == b""


SEALED = prints_json(lambda facts: facts["copies"] == ["good", "good"] and len(facts["slots"]) == 1 and facts["bytes"] == len(SMALL))
CHECKED = [["../keys/a.ring"], ["store", "keyring"], ["wraps", "yes"], ["unwraps", "yes"]]
HANGS = prints_json(lambda facts: facts["files"] == facts["alone"] == 1)
WIDE = ["--name", "n" * 150] + [f"--context=pad{i}={'x' * 510}" for i in range(7)]  # nearly fills a copy of the envelope


def passphrase(world):
    (world.keys / "passphrase").write_bytes(PASSPHRASE)


def locked(world):
    """The ring has a passphrase already, and another is to be set."""
    (world.keys / "passphrase").write_bytes(FORMER)
    world("key", "passphrase", "-q", "../keys/a.ring", env=NEW_PASSPHRASE)
    (world.keys / "passphrase").rename(world.keys / "former")
    passphrase(world)


SCENARIOS = [
    Scenario("encrypt/file", both(rings, plain(SMALL)), ("encrypt", "-j1", *K, "f"),
             is_sealed("work/f.bulla", SMALL), makes=("work/f.bulla",)),
    Scenario("encrypt/threads", both(rings, plain(LARGE)), ("encrypt", "-j4", *K, "f"),
             is_sealed("work/f.bulla", LARGE), makes=("work/f.bulla",)),
    Scenario("encrypt/pipe", rings, ("encrypt", "-j2", *K), stdin=LARGE, output=prints_sealed(LARGE)),
    Scenario("encrypt/replace", both(rings, plain(SMALL), file("f.bulla", OTHER)), ("encrypt", "--force", *K, "f"),
             is_sealed("work/f.bulla", SMALL), makes=("work/f.bulla",), repeats=True),
    Scenario("encrypt/public key", both(vault, plain(SMALL)), ("encrypt", "-k", "vault.pub", "f"),
             is_sealed("work/f.bulla", SMALL, ring="keys/vault.ring"), makes=("work/f.bulla",)),
    Scenario("encrypt/detach", both(rings, plain(SMALL)), ("encrypt", "--detach", *K, "f"),
             is_sealed("work/f.bulla", SMALL, envelope="work/f.bulla.env"), makes=("work/f.bulla", "work/f.bulla.env"),
             by_hand=lambda world: (world.work / "f.bulla.env").unlink()),
    Scenario("encrypt/no O_TMPFILE", both(rings, plain(SMALL)), ("encrypt", *K, "f"),
             is_sealed("work/f.bulla", SMALL), makes=("work/f.bulla",), named=True),
    Scenario("encrypt/remove source", both(rings, plain(SMALL)), ("encrypt", "--remove-source", *K, "f"),
             source_gone(is_sealed("work/f.bulla", SMALL), "work/f"), makes=("work/f.bulla", "work/f"), again=("--force",)),
    Scenario("encrypt/tree", both(rings, tree), ("encrypt", "-j4", "-r", "--sync=end", *K, "t"),
             all_of(*(is_sealed(f"work/t/{name}.bulla", data) for name, data in TREE.items())),
             makes=tuple(f"work/t/{name}.bulla" for name in TREE), again=("--force",)),
    Scenario("decrypt/file", both(rings, sealed(SMALL)), ("decrypt", "-j1", *K, "f.bulla"), is_plain("work/f", SMALL), makes=("work/f",)),
    Scenario("decrypt/threads", both(rings, sealed(LARGE), plain(OTHER)), ("decrypt", "-j4", "--force", *K, "f.bulla"),
             is_plain("work/f", LARGE), makes=("work/f",), repeats=True),
    Scenario("decrypt/pipe", both(rings, sealed(LARGE)), ("decrypt", "-j2", *K, "-o", "-", "f.bulla"), output=prints_plain(LARGE)),
    Scenario("decrypt/from a pipe", both(rings, sealed(LARGE)), ("decrypt", "-j2", *K, "-o", "f"), is_plain("work/f", LARGE), makes=("work/f",),
             stdin="work/f.bulla"),
    Scenario("decrypt/detached", both(rings, sealed(SMALL, "--detach")), ("decrypt", *K, "f.bulla"), is_plain("work/f", SMALL), makes=("work/f",)),
    Scenario("decrypt/range", both(rings, sealed(LARGE)), ("decrypt", "--offset", "600000", "--length", "900000", *K, "-o", "f", "f.bulla"),
             is_plain("work/f", LARGE[600_000:1_500_000]), makes=("work/f",)),
    Scenario("decrypt/remove source", both(rings, sealed(SMALL)), ("decrypt", "--remove-source", *K, "f.bulla"),
             source_gone(is_plain("work/f", SMALL), "work/f.bulla"), makes=("work/f", "work/f.bulla"), again=("--force",)),
    Scenario("verify/file", both(rings, sealed(LARGE)), ("verify", "-j4", *K, "f.bulla"), output=prints_nothing),
    Scenario("verify/one thread", both(rings, sealed(LARGE)), ("verify", "-j1", *K, "f.bulla"), output=prints_nothing),
    Scenario("verify/from a pipe", both(rings, sealed(LARGE)), ("verify", "-j2", *K), output=prints_nothing, stdin="work/f.bulla"),
    Scenario("rewrap/version", both(rings, sealed(SMALL), rotated), ("rewrap", *K, "f.bulla"),
             is_moved("work/f.bulla", SMALL, to=RING), makes=("work/f.bulla",), repeats=True),
    Scenario("rewrap/in place", both(rings, sealed(MIDDLE), rotated), ("rewrap", *K, "f.bulla"),
             is_moved("work/f.bulla", MIDDLE, to=RING), makes=("work/f.bulla",), repeats=True),
    Scenario("rewrap/unsynced", both(rings, sealed(MIDDLE), rotated), ("rewrap", *K, "--sync=none", "--preserve-times", "f.bulla"),
             is_moved("work/f.bulla", MIDDLE, to=RING), makes=("work/f.bulla",), repeats=True),
    Scenario("rewrap/tree", both(rings, sealed_tree, rotated), ("rewrap", "-j4", "-r", *K, "t"),
             all_of(*(is_moved(f"work/t/{name}.bulla", data, to=RING) for name, data in TREE.items())),
             makes=tuple(f"work/t/{name}.bulla" for name in TREE), repeats=True),
    Scenario("rewrap/other key", both(rings, sealed(SMALL)), ("rewrap", *K, "--to", "../keys/b.ring", "f.bulla"),
             is_moved("work/f.bulla", SMALL, to=NEXT), makes=("work/f.bulla",), repeats=True),
    Scenario("rewrap/grow", both(rings, sealed(MIDDLE, *WIDE)), ("rewrap", *K, "--add", "../keys/b.ring", "f.bulla"),
             is_moved("work/f.bulla", MIDDLE, to=NEXT), makes=("work/f.bulla",), repeats=True),
    Scenario("rewrap/detached", both(rings, sealed(SMALL, "--detach")), ("rewrap", *K, "--to", "../keys/b.ring", "f.bulla"),
             is_moved("work/f.bulla", SMALL, to=NEXT, envelope="work/f.bulla.env"), makes=("work/f.bulla.env",), repeats=True),
    Scenario("reencrypt/file", both(rings, sealed(LARGE)), ("reencrypt", "-j4", *K, "f.bulla"),
             is_sealed("work/f.bulla", LARGE), makes=("work/f.bulla",), repeats=True),
    Scenario("reencrypt/one thread", both(rings, sealed(SMALL)), ("reencrypt", "-j1", *K, "f.bulla"),
             is_sealed("work/f.bulla", SMALL), makes=("work/f.bulla",), repeats=True),
    Scenario("envelope/export", both(rings, sealed(SMALL)), ("envelope", "export", "f.bulla"),
             is_envelope("work/f.bulla.env", "work/f.bulla"), makes=("work/f.bulla.env",)),
    Scenario("envelope/restore", both(rings, sealed(MIDDLE), exported, damaged), ("envelope", "restore", *K, "f.bulla"),
             is_moved("work/f.bulla", MIDDLE, to=RING), makes=("work/f.bulla",), repeats=True),
    Scenario("envelope/restore by key", both(rings, sealed(MIDDLE), exported, destroyed), ("envelope", "restore", *K, "f.bulla"),
             is_moved("work/f.bulla", MIDDLE, to=RING), makes=("work/f.bulla",), repeats=True),
    Scenario("envelope/restore small", both(rings, sealed(SMALL), exported, destroyed), ("envelope", "restore", *K, "f.bulla"),
             is_moved("work/f.bulla", SMALL, to=RING), makes=("work/f.bulla",), repeats=True),
    Scenario("inspect/json", both(rings, sealed(SMALL)), ("inspect", "--json", "f.bulla"), output=SEALED),
    Scenario("status/json", both(rings, sealed(SMALL)), ("status", "--json", "f.bulla"), output=HANGS),
    Scenario("key/new", rings, ("key", "new", "../keys/c.ring"), is_ring("keys/c.ring", states("active")), makes=("keys/c.ring",)),
    Scenario("key/new in a ring", rings, ("key", "new", "--kind", "x25519", "../keys/a.ring#second"),
             is_ring(RING, lambda ring: [key["kind"] for key in ring["keys"]] == ["symmetric", "x25519"]), makes=(RING,)),
    Scenario("key/rotate", rings, ("key", "rotate", "../keys/a.ring"), is_ring(RING, states("retired", "active")), makes=(RING,)),
    Scenario("key/retire", rings, ("key", "retire", "../keys/a.ring"), is_ring(RING, states("retired")), makes=(RING,)),
    Scenario("key/disable", both(rings, rotated), ("key", "disable", "../keys/a.ring#a:1"), is_ring(RING, states("disabled", "active")), makes=(RING,)),
    Scenario("key/enable", both(rings, rotated, disabled), ("key", "enable", "../keys/a.ring#a:1"),
             is_ring(RING, states("retired", "active")), makes=(RING,)),
    Scenario("key/destroy", both(rings, sealed(SMALL), rotated, lambda world: world("rewrap", *K, "f.bulla")),
             ("key", "destroy", "--force", "--check", ".", "../keys/a.ring#a:1"), is_ring(RING, states("destroyed", "active")), makes=(RING,)),
    Scenario("key/passphrase", both(rings, passphrase), ("key", "passphrase", "../keys/a.ring"),
             is_ring(RING, lambda ring: "passphrase" in ring), makes=(RING,), env=NEW_PASSPHRASE),
    Scenario("key/another passphrase", both(rings, locked), ("key", "passphrase", "../keys/a.ring"),
             is_ring(RING, lambda ring: "passphrase" in ring), makes=(RING,),
             env=NEW_PASSPHRASE | {"BULLA_PASSPHRASE_FILE": "../keys/former"}),
    Scenario("key/export-public", vault, ("key", "export-public", "../keys/vault.ring", "-o", "again.pub"),
             lambda world: is_plain("work/again.pub", world.read("work/vault.pub"))(world), makes=("work/again.pub",)),
    Scenario("key/list", rings, ("key", "list", "--json", "../keys/a.ring"), output=prints_json(lambda key: key["state"] == "active")),
    Scenario("key/check", rings, ("key", "check", "../keys/a.ring"), output=prints_all(CHECKED)),
    Scenario("key/check json", rings, ("key", "check", "--json", "../keys/a.ring"),
             output=prints_json(lambda key: key["wraps"] and key["unwraps"])),
]
