"""Each verb with each option and what is bad for it: one clear, harmless line, the right status, and nothing changed.

What there is to try comes from bulla's own help, so that a new verb or option without a row here fails.
"""

import contextlib
import json
import os
import re

import pytest

from empty_bucket import empty_bucket
from sealed import make_socket, snapshot
from sweep import Sweep, sample

KEYS = "KEYS"  # in front of the name of a file in the keys directory
LONG, DEEP = "n" * 256, "d/" * 3000 + "f"
NASTY = b"\x1b]0;title\x07\r\n\x7f\xff\xe2\x80\xae"

# A command of each verb that would succeed, without its verb.
COMMANDS = {
    "encrypt": ["-k", KEYS + "ring", "plain"],
    "decrypt": ["-k", KEYS + "ring", "sealed.bulla"],
    "verify": ["-k", KEYS + "ring", "sealed.bulla"],
    "inspect": ["sealed.bulla"],
    "rewrap": ["-k", KEYS + "ring", "sealed.bulla"],
    "reencrypt": ["-k", KEYS + "ring", "sealed.bulla"],
    "status": ["sealed.bulla"],
    "key new": [KEYS + "new"],
    "key list": [KEYS + "ring"],
    "key rotate": [KEYS + "ring"],
    "key retire": [KEYS + "ring"],
    "key disable": [KEYS + "ring#ring:1"],
    "key enable": [KEYS + "ring#ring:1"],
    "key destroy": ["--force", KEYS + "gone#gone:1"],
    "key passphrase": ["--new-passphrase-command", "echo new", KEYS + "ring"],
    "key export-public": [KEYS + "pair"],
    "key check": [KEYS + "ring"],
    "envelope export": ["sealed.bulla"],
    "envelope restore": ["--force", "sealed.bulla"],
    "s3 purge": ["--needs", KEYS + "ring", "s3://backups/"],
    "s3 abort": ["s3://backups/"],
    "config check": ["plain"],
    "completion": ["bash"],
}

NUMBERS = [(text, 2, "is not a number") for text in ("-1", "1x", " 1", "+1", "0x10", "1e3", "1.5", "\u0661", NASTY)]
NUMBERS += [(str(number), 2, "is too large") for number in (2**63, 2**64, 10**30)] + [("0", 2, "is not 1 or more")]

BAD_KEYS = [
    (KEYS + "missing", 10, "there is no keyring"),
    (KEYS + "missing/", 10, "cannot open"),
    (KEYS + "ring/", 1, "is not a directory"),
    (KEYS + "ring/x", 1, "cannot open the directory of"),
    (KEYS + "ring#nobody", 1, "has no key 'nobody'"),
    (KEYS + "ring#ring:2", 1, "has no version 2"),
    (KEYS + "ring#ring:4294967296", 10, "there is no keyring"),
    ("file:", 2, "an empty file name"),
    ("#ring", 2, "an empty file name"),
    ("./directory", 7, "is not a regular file"),
    ("./loop", 1, "cannot open keyring './loop': Too many levels of symbolic links"),
    ("fd:", 2, "no descriptor number follows 'fd:'"),
    ("fd:x", 2, "no descriptor number follows 'fd:'"),
    ("fd:-1#ring", 2, "no descriptor number follows 'fd:'"),
    ("FD:0001", 2, "no descriptor number follows 'fd:'"),
    ("fd:99", 2, "descriptor 99 is not open"),
    ("/dev/fd/99#ring", 2, "descriptor 99 is not open"),
    ("credential:ring", 2, "there are no credentials: CREDENTIALS_DIRECTORY is not set"),
    ("credential:", 2, "no name of a credential follows 'credential:'"),
    ("credential:..#ring", 2, "no name of a credential follows 'credential:'"),
    ("credential:a/b", 2, "no name of a credential follows 'credential:'"),
    ("socket.bulla", 7, "is not a regular file"),
    ("./fifo", 7, "is not a regular file"),
    ("./garbage", 11, "is not a bulla keyring, public key or PEM file"),
    ("./" + LONG, 1, "File name too long"),
    (DEEP, 1, "File name too long"),
    (b"./" + NASTY, 10, "there is no keyring"),
    (NASTY, 10, "no config file names a key"),
    ("garbage", 10, "no config file names a key 'garbage'"),
]
OTHER_STORES = [
    (b"passphrase:\xff", 2, "at most 64 bytes of UTF-8"),
    ("passphrase:" + "h" * 65, 2, "at most 64 bytes of UTF-8"),
    ("pkcs11:nonsense", 2, "nonsense"),
    ("arn:aws:kms:nonsense", 2, "nonsense"),
    ("aws-kms://", 2, "aws-kms://"),
]

# What a verb says of an operand instead.
INSTEAD = {
    ("key new", KEYS + "ring#ring:2"): (2, "a new key begins with version 1"),
    ("key new", "./directory"): (9, "'./directory' already exists"),
    ("key new", "./loop"): (9, "'./loop' already exists"),
    ("key new", "socket.bulla"): (9, "'socket.bulla' already exists"),
    ("key new", "./fifo"): (9, "'./fifo' already exists"),
    ("key new", "./garbage"): (9, "'./garbage' already exists"),
    ("key rotate", KEYS + "ring#ring:2"): (2, "a key is rotated, not one of its versions"),
    ("key passphrase", KEYS + "ring#nobody"): (2, "a passphrase is for the whole keyring"),
    ("key passphrase", KEYS + "ring#ring:2"): (2, "a passphrase is for the whole keyring"),
    ("encrypt", "socket.bulla"): (2, "'socket.bulla' ends in .bulla already"),
    ("envelope export", LONG): (1, "is too long"),
    ("envelope restore", "missing.bulla"): (10, "cannot open 'missing.bulla' for writing"),
    ("envelope restore", "directory"): (1, "cannot open 'directory' for writing"),
}
for verb in ("rotate", "retire", "disable", "enable", "destroy", "passphrase"):
    INSTEAD["key " + verb, "./loop"] = (7, "is a symbolic link")

PAIRS = [("novalue", 2, "'novalue' is not K=V"), ("=v", 2, "context key is empty"), (NASTY, 2, "is not K=V"), (NASTY + b"=v", 2, "UTF-8")]
DESCRIPTORS = ["-1", "x", "1x", " 1", str(2**31), "9" * 30, NASTY]
OUTPUTS = [
    ("missing/out", 1, "cannot open the directory of 'missing/out': No such file or directory"),
    ("plain/out", 1, "cannot open the directory of 'plain/out': Not a directory"),
    ("missing/", 1, "cannot open 'missing/': No such file or directory"),
    ("plain/", 1, "'plain/' is not a directory"),
    (LONG, 1, "File name too long"),
    (DEEP, 1, "File name too long"),
    ("fifo", 1, "is not a regular file"),
    ("socket.bulla", 1, "is not a regular file"),
    ("loop", 1, "is a symbolic link"),
]
# Which a verb reads, or makes.
ENVELOPES = [(name, (1, 9, 10), "" if name in ("socket.bulla", "loop") else says) for name, _, says in OUTPUTS if name != "fifo"]
LISTS = [
    ("missing", 10, "cannot open 'missing'"),
    ("directory", 3, "cannot read 'directory': Is a directory"),
    ("socket.bulla", 3, "cannot open 'socket.bulla'"),
    ("loop", 3, "cannot open 'loop'"),
    ("garbage", 3, "a name in 'garbage' has a zero byte in it"),
    (NASTY, 10, "cannot open"),
    (DEEP, 3, "File name too long"),
]
SECONDS = [*NUMBERS, ("86401", 2, "is at most 86400 seconds")]
WORDS = ["no", "EACH", "aes ", "json,none", NASTY]
SHARDS = ["0/1", "2/1", "1", "1/", "/1", "1/0", "-1/2", "1/-2", "1/2/3", " 1/2", "\t1/\n2", f"1/{2**64}", NASTY]
OFFSETS = ["--1", "+1", "1k", " 1", "-", str(2**63), "9" * 30, NASTY]
NO_OBJECT = "the options of objects need an object for -o"
DAYS = ["90", "d", "-1d", "0d", "36501d", "5215w", "1.5d", "9" * 30 + "d", "90 d", NASTY]
NOT_ASKED = []  # what only another key store reads; see its own tests

BAD_FILES = [
    ("", 2, "an empty file name"),
    ("missing.bulla", 10, "'missing.bulla': No such file or directory"),
    ("missing/f.bulla", 10, "cannot open the directory of 'missing/f.bulla'"),
    ("missing/", 10, "cannot open 'missing/': No such file or directory"),
    ("plain/f.bulla", 1, "Not a directory"),
    ("plain/", 1, "'plain/' is not a directory"),
    ("directory", 1, "'directory' is a directory"),
    ("loop", 1, "loop"),
    ("socket.bulla", 1, "socket.bulla"),
    (LONG, 1, "File name too long"),
    (DEEP, 1, "File name too long"),
    (NASTY + b".bulla", 10, "No such file or directory"),
]
NEW_KEYS = [KEYS + "missing", KEYS + "ring#nobody", KEYS + "ring#ring:4294967296", NASTY, b"./" + NASTY]


def usage(texts, says):
    return [(text, 2, says) for text in texts]


# What is bad for each option that takes something.
BAD = {
    "key": BAD_KEYS + OTHER_STORES,
    "to": BAD_KEYS + OTHER_STORES,
    "add": BAD_KEYS + OTHER_STORES,
    "remove": BAD_KEYS + OTHER_STORES,
    "needs": BAD_KEYS + OTHER_STORES,
    "output": OUTPUTS,
    "envelope": ENVELOPES,
    "files-from": LISTS,
    "inventory": [("missing", 10, "cannot open 'missing'"), ("directory", 3, "cannot read 'directory'"), ("garbage", 3, "zero byte"), ("plain", 3, "is not of a list of S3 Inventory")],
    "from-command": usage(["false", NASTY], "--from-command takes no FILE"),
    "shard": usage(SHARDS, "--shard is I/N"),
    "sync": usage(WORDS, "--sync is each"),
    "offset": usage(OFFSETS, "--offset is a number of bytes"),
    "length": NUMBERS,
    "kind": usage(WORDS, "kind"),
    "passphrase-fd": usage(DESCRIPTORS, "is not the number of a descriptor"),
    "new-passphrase-fd": usage(DESCRIPTORS, "is not the number of a descriptor"),
    "pin-fd": usage(DESCRIPTORS, "is not the number of a descriptor"),
    "passphrase-command": NOT_ASKED,
    "new-passphrase-command": NOT_ASKED,
    "pin-command": NOT_ASKED,
    "module": NOT_ASKED,
    "module-args": NOT_ASKED,
    "endpoint": NOT_ASKED,
    "token-timeout": SECONDS,
    "kms-timeout": SECONDS,
    "oaep": usage(WORDS, "--oaep is sha256 or sha1"),
    "max-kdf-mem": [*NUMBERS, ("4097", 2, "is at most 4096 MiB")],
    "rotate-after": usage(DAYS, "--rotate-after is like 90d"),
    "older-than": usage(DAYS, "--older-than is like 12h"),
    "check": [(path, 3, "not all could be looked at") for path in ("missing", "missing/f", "garbage", "socket.bulla", LONG, DEEP, NASTY)],
    "context": PAIRS,
    "require-context": PAIRS,
    "name": [(b"\xff", 2, "the name is not UTF-8"), ("n" * 1025, 2, "name")],
    "require-name": [("other", 7, "it has no name"), (NASTY, 7, "it has no name"), ("n" * 2000, 7, "it has no name")],
    "generation": NUMBERS,
    "min-generation": [*NUMBERS, ("9223372036854775807", 7, "generation")],
    "suite": usage(WORDS, "--suite is aes or chacha20"),
    "jobs": [*NUMBERS, ("65", 2, "is at most 64")],
    "progress": usage(WORDS, "--progress is auto, json or none"),
    "bandwidth": [*NUMBERS, ("4294967296", 2, "is at most 4294967295 KiB")],
    "storage-class": usage(["STANDARD", NASTY], NO_OBJECT),
    "sse-kms-key": usage(["alias/x", NASTY], NO_OBJECT),
    "acl": usage(["private", NASTY], NO_OBJECT),
    "tag": usage(["a=b", "nopair", NASTY], NO_OBJECT),
    "metadata": usage(["a=b", "nopair", NASTY], NO_OBJECT),
    "expected-size": [*NUMBERS, ("1", 2, NO_OBJECT)],
}
REPEATED = {"key", "to", "add", "remove", "check", "needs", "context", "require-context", "tag", "metadata"}
BESIDES = {"offset": ["-o", "out"], "length": ["-o", "out"]}  # what an option needs beside it



@pytest.fixture
def world(bulla, work):
    """The files that the commands name."""
    bulla.new_key("ring")
    bulla("key", "new", "-q", "--kind", "x25519", f"{bulla.keys}/pair")
    bulla("key", "retire", "-q", bulla.new_key("gone"))
    bulla.seal(bulla.keys / "ring", b"sealed", name="sealed")
    bulla("envelope", "export", "sealed.bulla")
    (work / "plain").write_bytes(b"plain")
    (work / "directory").mkdir()
    (work / "loop").symlink_to("loop")
    os.mkfifo(work / "fifo", 0o600)
    make_socket(work / "socket.bulla")
    (work / "garbage").write_bytes(b"\x00\xff" * 100)
    (work / "garbage").chmod(0o600)
    (bulla.home / "config/bulla").mkdir(parents=True)
    (bulla.home / "config/bulla/bulla.conf").write_text(f"[keys]\nnightly = {bulla.keys}/ring\n[rule plain]\npath = */plain\nkeys = nightly\n")
    return work


@pytest.fixture
def options(bulla):
    """For each verb its options with what they take, None for a flag; from the help."""
    verbs = [name.strip() for name in re.findall(r"^  (\w.{17})\w", bulla("help").stdout.decode(), re.MULTILINE)]
    rows = re.compile(r"^  (?:-.,|   ) --([a-z-]+)(?: ([A-Z=/]+))?", re.MULTILINE)
    of_keys = re.compile(r"--([a-z-]+)(?: ([A-Z=/]+))?")
    found = {}
    for verb in verbs:
        own, _, folded = bulla("help", *verb.split()).stdout.decode().partition("\n'bulla help keys' explains")
        found[verb] = dict(rows.findall(own) + of_keys.findall(folded.partition("\nExamples:")[0]))
    return found


def with_option(verb, name, *given):
    """The command of a verb with one more option."""
    return [*verb.split(), *given, *BESIDES.get(name, []), *COMMANDS[verb]]


def values(options):
    """Each option of each verb, with each value that is bad for it."""
    for verb, own in options.items():
        for name in (name for name, takes in own.items() if takes):
            for value, status, says in BAD[name]:
                command = with_option(verb, name, f"--{name}", value)
                yield command[: -1 if name in ("files-from", "inventory") else None], status, says


def forms(options):
    """Each option of each verb: with no value, an empty one, one too many, or twice."""
    for verb, own in options.items():
        for name, takes in own.items():
            if not takes:
                yield with_option(verb, name, f"--{name}=x"), 2, f"--{name} takes no value"
                continue
            yield [*with_option(verb, name), f"--{name}"], 2, f"--{name} needs a value: {takes}"
            yield with_option(verb, name, f"--{name}="), 2, f"--{name} is empty"
            if name not in REPEATED:
                word = {"sync": "none", "progress": "json", "suite": "aes", "oaep": "sha1"}.get(name, "1")
                yield with_option(verb, name, f"--{name}", word, f"--{name}={word}"), 2, f"--{name} is given twice"


def misfits(options):
    """Each verb with each option of others."""
    every = {name: takes for own in options.values() for name, takes in own.items()}
    for verb, own in options.items():
        for name in sorted(every.keys() - own.keys()):
            given = f"--{name}=1" if every[name] else f"--{name}"
            yield with_option(verb, name, given), 2, f"option --{name} does not go with '{verb.split()[-1]}'"


def operands(options):
    """Each verb with each operand that is bad for it."""
    for verb, command in COMMANDS.items():
        bad = BAD_KEYS if KEYS in command[-1] else BAD_FILES
        for value, status, says in bad:
            if verb == "completion":
                yield [verb, value], 2, "'completion' takes bash, zsh or fish"
            elif verb == "config check":
                yield ["config", "check", value], *(((1, 10), "bulla: ") if value else (2, "an empty file name"))
            elif verb.startswith("s3 "):
                yield [*verb.split(), *command[:-1], value], 2, "is no object"
            elif verb != "key new" or value not in NEW_KEYS:
                yield [*verb.split(), *command[:-1], value], *INSTEAD.get((verb, value), (status, says))


def is_clear(stderr):
    """Whole lines of harmless text, each of which says who speaks."""
    text = stderr.decode()
    return text.endswith("\n") and all(line.startswith("bulla: ") and line.isprintable() for line in text[:-1].split("\n"))


@pytest.mark.parametrize("kind, size", [(values, 160), (forms, 60), (misfits, 20), (operands, 60)], ids=lambda value: getattr(value, "__name__", ""))
def test_refused(bulla, world, options, kind, size):
    before = snapshot(bulla.work), snapshot(bulla.keys)
    with Sweep("bad input", kind.__name__) as sweep:
        for args, status, says in sample(kind(options), size):
            args = [word.replace(KEYS, f"{bulla.keys}/") if isinstance(word, str) else word for word in args]
            done = bulla(*args, status=status)
            assert done.stdout == b"" and is_clear(done.stderr) and says in done.stderr.decode(), (args, done)
            sweep.point(f"status {done.returncode}")
    assert (snapshot(bulla.work), snapshot(bulla.keys)) == before


def test_each_verb_and_option_has_a_row(options):
    assert sorted(options) == sorted(COMMANDS)
    assert {name for own in options.values() for name, takes in own.items() if takes} == set(BAD)


@pytest.mark.parametrize("verb", COMMANDS)
def test_the_command_itself_is_good(bulla, world, verb):
    """Or all of the above would be refused for another reason."""
    if verb == "envelope export":
        (world / "sealed.bulla.env").unlink()
    if verb == "key enable":
        bulla("key", "disable", f"{bulla.keys}/ring#ring:1")
    more = ["-o", "out"] if verb in ("decrypt", "key export-public") else []
    with empty_bucket() if verb.startswith("s3 ") else contextlib.nullcontext({}) as env:
        bulla(*verb.split(), *(word.replace(KEYS, f"{bulla.keys}/") for word in COMMANDS[verb]), *more, env=env)


# The command line.

USAGE = [
    ([], "no verb"),
    (["-q", "--key", "KEY"], "no verb"),
    (["frobnicate"], "unknown verb 'frobnicate'"),
    (["encrypt", "-k", "KEY", "--frobnicate"], "unknown option '--frobnicate'"),
    (["encrypt", "-k", "KEY", "-x"], "unknown option '-x'"),
    (["encrypt"], "no key is given"),
    (["decrypt"], "no key is given"),
    (["verify"], "no key is given"),
    (["encrypt", "-k", "KEY", "--key"], "--key needs a value"),
    (["encrypt", "-qx", "-k", "KEY"], "unknown option '-qx'"),
    ([NASTY], "unknown verb '\\x1b]0;title\\x07\\x0d\\x0a\\x7f\\xff\\xe2\\x80\\xae'"),
    (["encrypt", b"--" + NASTY], "unknown option '--\\x1b]0;title"),
    (["key"], "'key' needs a second word"),
    (["key", "frobnicate"], "unknown verb 'key frobnicate'"),
    (["key", "key"], "unknown verb 'key key'"),
    (["key", "envelope", "export"], "unknown verb 'key envelope'"),
    (["encrypt", "--bad", "-h"], "unknown option '--bad'"),
    (["help", "key", "frobnicate"], "unknown verb 'key frobnicate'"),
    (["key", "new"], "'new' takes KEY"),
    (["key", "new", "a", "b"], "'new' takes KEY"),
    (["envelope", "export"], "'export' takes FILE"),
    (["envelope", "restore", "a", "b"], "'restore' takes FILE"),
    (["encrypt", "-k", "KEY", "--json"], "--json and the result cannot both go to standard output"),
    (["decrypt", "-k", "KEY", "--json"], "--json and the result cannot both go to standard output"),
    (["encrypt", "-k", "KEY", "--json", "plain", "-o", "-"], "--json and the result cannot both go to standard output"),
]


@pytest.mark.parametrize("verb, says", [("key destroy", b"do not ask"), ("encrypt", b"replace what"), ("envelope restore", b"older envelope")])
def test_help_of_force_is_of_the_verb(bulla, verb, says):
    help = bulla(*verb.split(), "--help").stdout
    assert says in help and help.count(b"\n      --force ") == 1
    assert sum(text in help for text in (b"do not ask", b"replace what", b"older envelope")) == 1


@pytest.mark.parametrize("group", ["key", "envelope", "config", "s3"])
@pytest.mark.parametrize("way", ["help GROUP", "--help GROUP", "GROUP help", "GROUP --help", "GROUP -h"])
def test_help_of_a_group_has_its_verbs(bulla, group, way):
    overview = [line for line in bulla("help").stdout.splitlines() if line.startswith(b"  ")]
    shown = [line for line in bulla(*way.replace("GROUP", group).split()).stdout.splitlines() if line.startswith(b"  ")]
    assert shown == [line for line in overview if line.startswith(f"  {group} ".encode())] and len(shown) >= 1


@pytest.mark.parametrize("args, says", USAGE, ids=[ascii(args) for args, _ in USAGE])
def test_usage(bulla, ring, work, args, says):
    (work / "plain").write_bytes(b"x")
    before = snapshot(work)
    done = bulla(*(ring if a == "KEY" else a for a in args), stdin=b"x", status=2)
    assert says.encode() in done.stderr and is_clear(done.stderr)
    assert done.stdout == b"" or json.loads(done.stdout)["status"] == 2
    assert snapshot(work) == before


NEAR = {
    "verb": (["encrpyt", "plain"], "did you mean 'encrypt'? 'bulla help' shows the verbs"),
    "verb of a group": (["key", "lst"], "did you mean 'key list'? 'bulla help key' shows the verbs"),
    "group": (["envelop", "export"], "did you mean 'envelope'? 'bulla help' shows the verbs"),
    "option": (["encrypt", "--recursiv", "plain"], "did you mean --recursive? 'bulla encrypt --help' shows the options"),
    "nothing like it": (["shred", "plain"], "'bulla help' shows the verbs"),
    "no option like it": (["encrypt", "--wonderful", "plain"], "'bulla encrypt --help' shows the options"),
    "a short one": (["encrypt", "-Z", "plain"], "'bulla encrypt --help' shows the options"),
}


@pytest.mark.parametrize("args, hint", NEAR.values(), ids=NEAR)
def test_near_miss_gets_a_hint(bulla, work, args, hint):
    assert bulla(*args, status=2).stderr.decode().splitlines()[1] == f"bulla: hint: {hint}"


@pytest.mark.parametrize("asked", ["-h --bad", "-h -k", "-hx", "-qh", "--help --json=x", "-k x --help plain plain", "-h"])
def test_help_is_shown_whatever_follows(bulla, asked):
    """As git does; what comes before it must be right."""
    assert bulla("encrypt", *asked.split()).stdout == bulla("help", "encrypt").stdout


@pytest.mark.parametrize("before", [["-q", "-k"], ["--quiet", "--key"], ["-qk"]], ids=str)
def test_options_may_stand_before_the_verb(bulla, ring, work, before):
    (work / "plain").write_bytes(b"x")
    bulla(*before, ring, "encrypt", "--force", "plain")
    assert bulla(*before, ring, "--output=-", "decrypt", "plain.bulla").stdout == b"x"
    assert bulla("--json", "key", "--quiet", "list", ring).stdout.startswith(b'{"key"')
    assert b"unknown option '--wonderful'" in bulla("--wonderful", "encrypt", "plain", status=2).stderr
    assert b"bulla: no verb\n" in bulla("-k", ring, status=2).stderr
