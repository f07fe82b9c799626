"""Keyrings and how keys are named: new, list, PATH#NAME, several keys, BULLA_KEY and the config file."""

import json
import os
import pathlib
import stat

import pytest

from program import BOUND
from sealed import edit_ring, make_socket, set_state, snapshot

X = b"content"


# New.


def test_new_keyring(bulla):
    path = bulla.keys / "backup.ring"
    done = bulla("key", "new", path)
    assert done.stdout == b"" and b"made key 'backup' version 1" in done.stderr and b"keep a copy" in done.stderr
    assert path.stat().st_mode == stat.S_IFREG | 0o600
    assert os.listdir(bulla.keys) == ["backup.ring"]
    ring = json.loads(path.read_text())
    (key,) = ring["keys"]
    (version,) = key["versions"]
    assert (ring["bulla-keyring"], key["name"], key["kind"]) == (1, "backup", "symmetric")
    assert (version["version"], version["state"], len(version["key"])) == (1, "active", 64)


@pytest.mark.parametrize("umask", [0, 0o077, 0o777])
def test_keyring_is_private_whatever_the_umask(bulla, umask):
    bulla("key", "new", bulla.keys / "r", umask=umask)
    assert (bulla.keys / "r").stat().st_mode & 0o7777 == 0o600
    bulla("key", "new", f"{bulla.keys}/r#more", umask=umask)
    assert (bulla.keys / "r").stat().st_mode & 0o7777 == 0o600


def test_new_keys_differ(bulla):
    for name in ("r", "s", "r#a"):
        bulla.new_key(name)
    bulla.learn()
    assert len(bulla.secrets) == 3
    assert len({row["id"] for row in bulla.list_keys(bulla.keys / "r", bulla.keys / "s")}) == 3


def test_json_of_a_new_key_is_its_row_in_the_list(bulla):
    (made,) = map(json.loads, bulla("key", "new", "--json", bulla.keys / "r").stdout.splitlines())
    assert [made] == bulla.list_keys(bulla.keys / "r")


DEFAULT_NAMES = {"backup.ring": "backup", "backup": "backup", "a.b.ring": "a.b", "Mixed_9-x.json": "Mixed_9-x"}
DEFAULT_NAMES |= {".hidden": "key", "a b": "key", "ünï.ring": "key", "-x": "key", "n" * 65: "key", "n" * 64: "n" * 64}


@pytest.mark.parametrize("file, name", DEFAULT_NAMES.items())
def test_default_name(bulla, file, name):
    path = bulla.new_key(file)
    assert [row["name"] for row in bulla.list_keys(path)] == [name]


@pytest.mark.parametrize("name", ["nightly", "a", "A.b_c-9", "9", "n" * 64])
def test_named_key_in_a_new_keyring(bulla, name):
    bulla.new_key(f"r#{name}")
    assert [row["name"] for row in bulla.list_keys(bulla.keys / "r")] == [name]


@pytest.mark.parametrize("name", ["", "a b", ".a", "-a", "_a", "n" * 65, "ü"])
def test_what_is_no_name_belongs_to_the_path(bulla, name):
    bulla.new_key(f"r#{name}")
    assert os.listdir(bulla.keys) == [f"r#{name}"]


def test_second_key_joins_the_first(bulla, ring):
    before = json.loads(ring.read_text())["keys"]
    bulla.new_key("backup.ring#second")
    keys = json.loads(ring.read_text())["keys"]
    assert keys[:1] == before and [key["name"] for key in keys] == ["backup", "second"]
    assert os.listdir(bulla.keys) == ["backup.ring"]


@pytest.mark.parametrize("reference, says", [("", "already exists"), ("#backup", "there is a key 'backup' already")])
def test_existing_key_stays(bulla, ring, reference, says):
    before = snapshot(bulla.keys)
    assert says.encode() in bulla("key", "new", f"{ring}{reference}", status=9).stderr
    assert snapshot(bulla.keys) == before


@pytest.mark.parametrize("what", ["file", "directory", "dangling link", "fifo"])
def test_existing_file_is_not_a_place_for_a_keyring(bulla, what):
    path = bulla.keys / "r"
    {"file": path.touch, "directory": path.mkdir, "fifo": lambda: os.mkfifo(path)}.get(
        what, lambda: path.symlink_to("nowhere")
    )()
    before = snapshot(bulla.keys)
    bulla("key", "new", path, status=9)
    assert snapshot(bulla.keys) == before


def test_keyring_in_a_missing_directory(bulla):
    done = bulla("key", "new", "missing/r", status=1)
    assert b"cannot open the directory of 'missing/r': No such file or directory" in done.stderr


def test_keys_made_at_once_are_all_there(bulla):
    names = [f"k{n}" for n in range(20)]
    running = [bulla.start("key", "new", "-q", f"{bulla.keys}/r#{name}") for name in names]
    for process in running:
        bulla.finish(process)
    assert sorted(row["name"] for row in bulla.list_keys(bulla.keys / "r")) == sorted(names)
    assert os.listdir(bulla.keys) == ["r"]


def test_one_of_many_makes_the_keyring(bulla):
    running = [bulla.start("key", "new", "-q", bulla.keys / "r") for _ in range(8)]
    statuses = []
    for process in running:
        bulla.finish(process, status=(0, 9))
        statuses.append(process.returncode)
    assert sorted(statuses) == [0] + [9] * 7
    assert os.listdir(bulla.keys) == ["r"]


# List.


def test_list_shows_keys_and_no_key_bytes(bulla, ring):
    bulla.new_key("backup.ring#second")
    out = bulla("key", "list", ring).stdout.decode().splitlines()
    assert out[0].split() == ["NAME", "VERSION", "STATE", "CREATED", "AGE", "ID", "KIND"]
    keys = json.loads(ring.read_text())["keys"]
    for line, key in zip(out[1:], keys, strict=True):
        assert line.split()[:6] == [key["name"], "1", "active", key["created"], "0d", key["id"]]


def test_list_shows_each_version(bulla, ring):
    def add(r):
        versions = r["keys"][0]["versions"]
        states = [(1, "retired"), (2, "disabled"), (9, "active")]
        gone = {"version": 10, "state": "destroyed", "created": versions[0]["created"]}
        versions[:] = [versions[0] | {"version": n, "state": s} for n, s in states] + [gone]

    edit_ring(ring, add)
    shown = [(row["version"], row["state"]) for row in bulla.list_keys(ring)]
    assert shown == [(1, "retired"), (2, "disabled"), (9, "active"), (10, "destroyed")]


def test_list_of_one_key(bulla, ring):
    bulla.new_key("backup.ring#second")
    assert [row["name"] for row in bulla.list_keys(f"{ring}#second")] == ["second"]
    bulla("key", "list", f"{ring}#third", status=1)


def test_list_of_several_keyrings(bulla, ring):
    other = bulla.new_key("other.ring")
    assert [row["name"] for row in bulla.list_keys(ring, other)] == ["backup", "other"]
    shown = bulla.list_keys(ring, "missing.ring", other, status=3)
    assert [row["name"] for row in shown if "name" in row] == ["backup", "other"]


def test_list_without_a_key(bulla):
    assert b"no key is given" in bulla("key", "list", status=2).stderr


# References.


@pytest.mark.parametrize("prefix", ["", "file:"])
@pytest.mark.parametrize("suffix", ["", "#backup"])
def test_references_to_one_key(bulla, ring, prefix, suffix):
    sealed = bulla.seal(f"{prefix}{ring}{suffix}", X)
    assert bulla.open(ring, sealed) == bulla.open(f"{prefix}{ring}{suffix}", sealed) == X


def test_relative_references(bulla, ring):
    sealed = bulla.seal("../keys/backup.ring", X)
    assert bulla.open("./../keys/backup.ring#backup", sealed) == X


@pytest.mark.parametrize("given", ["-k KEY", "-kKEY", "--key KEY", "--key=KEY", "-qk KEY", "-qkKEY"])
def test_ways_to_give_the_option(bulla, ring, given):
    out = bulla("encrypt", *(word.replace("KEY", str(ring)) for word in given.split()), stdin=X).stdout
    assert bulla("decrypt", "-k", ring, stdin=out).stdout == X


def test_slot_records_the_key(bulla, ring):
    (slot,) = bulla.inspect(bulla.seal(ring, X))[0]["slots"]
    (row,) = bulla.list_keys(ring)
    assert len(slot.pop("wrap")) == 2 * 72
    assert slot == {"method": "keyring-xaes", "code": 1, "understood": True, "key_id": row["id"], "key_version": 1, "key_name": "backup"}


def test_ring_of_two_keys_must_be_told_which_seals(bulla, ring):
    one = bulla.seal(ring, X, name="one")
    bulla.new_key("backup.ring#second")
    done = bulla("encrypt", "-k", ring, "-o", "x", stdin=X, status=2)
    assert b"has 2 keys" in done.stderr and f"name one: {ring}#backup".encode() in done.stderr
    assert not (bulla.work / "x").exists()
    two = bulla.seal(f"{ring}#second", X, name="two")
    assert bulla.open(ring, one) == bulla.open(ring, two) == X
    assert bulla.open(f"{ring}#second", two) == X
    assert bulla.open(f"{ring}#backup", two, status=5) == b""


def test_ring_without_keys(bulla):
    (bulla.keys / "r").write_text('{"bulla-keyring": 1, "keys": []}')
    (bulla.keys / "r").chmod(0o600)
    done = bulla("encrypt", "-k", bulla.keys / "r", stdin=X, status=2)
    assert b"has 0 keys" in done.stderr and done.stdout == b""
    assert bulla.list_keys(bulla.keys / "r") == []


@pytest.mark.parametrize("verb", ["encrypt", "decrypt"])
def test_key_that_is_not_in_the_ring(bulla, ring, verb):
    done = bulla(verb, "-k", f"{ring}#nobody", stdin=X, status=1)
    assert f"keyring '{ring}' has no key 'nobody'".encode() in done.stderr and done.stdout == b""


def test_renamed_and_moved_keyring_opens(bulla, ring):
    """The key is found by its id: names are for people."""
    sealed = bulla.seal(ring, X)
    edit_ring(ring, lambda r: r["keys"][0].update(name="renamed"))
    moved = ring.rename(ring.with_name("moved"))
    assert bulla.open(moved, sealed) == X


# Several keys.


@pytest.mark.parametrize("count", [2, 32])
def test_each_of_several_keys_opens(bulla, count):
    keys = [f"{bulla.keys}/r#k{n}" for n in range(count)]
    for key in keys:
        bulla("key", "new", "-q", key)
    sealed = bulla.seal(keys[0], X, *(word for key in keys[1:] for word in ("-k", key)))
    slots = bulla.inspect(sealed)[0]["slots"]
    assert [slot["key_name"] for slot in slots] == [f"k{n}" for n in range(count)]
    for key in (keys[0], keys[1], keys[-1]):
        assert bulla.open(key, sealed) == X


def test_too_many_keys(bulla, ring):
    done = bulla("encrypt", *(word for _ in range(33) for word in ("-k", ring)), stdin=X, status=2)
    assert b"more than 32 keys" in done.stderr and done.stdout == b""


def test_one_right_key_among_wrong_ones(bulla, ring):
    sealed = bulla.seal(ring, X)
    others = [bulla.new_key(f"other{n}") for n in range(3)]
    options = [word for key in [*others, ring] for word in ("-k", key)]
    assert bulla("decrypt", *options, "-o", "-", sealed).stdout == X


def test_other_key_opens_what_a_disabled_one_may_not(bulla, ring):
    other = bulla.new_key("other.ring")
    sealed = bulla.seal(ring, X, "-k", other)
    set_state(ring, "disabled")
    assert bulla("decrypt", "-k", ring, "-k", other, "-o", "-", sealed).stdout == X


def test_every_named_key_must_be_there(bulla, ring):
    """A key that is named and missing is a mistake to tell, not to pass over: nothing is sealed to fewer keys."""
    done = bulla("encrypt", "-k", ring, "-k", "missing.ring", "-o", "x", stdin=X, status=10)
    assert b"there is no keyring 'missing.ring'" in done.stderr and not (bulla.work / "x").exists()


@pytest.mark.parametrize("verb", [["decrypt"], ["verify"], ["rewrap"], ["key", "list"], ["key", "rotate"]], ids=" ".join)
def test_missing_keyring_is_to_be_brought_back(bulla, ring, verb):
    sealed = bulla.seal(ring, X)
    args = ["./missing"] if verb[0] == "key" else ["-k", "./missing", sealed]
    done = bulla(*verb, *args, status=10)
    assert b"hint: bring its copy back" in done.stderr and b"'bulla inspect FILE'" in done.stderr


@pytest.mark.parametrize("verb", ["encrypt", "decrypt"])
def test_passphrase_without_its_colon(bulla, verb):
    assert b"hint: for a passphrase, write passphrase:\n" in bulla(verb, "-k", "passphrase", stdin=X, status=10).stderr


def test_keys_that_are_not_named_are_not_used(bulla, ring):
    """The file does not choose: a keyring beside it, or in the home directory, opens nothing."""
    sealed = bulla.seal(ring, X)
    for place in (bulla.work, bulla.home):
        (place / "backup.ring").write_bytes(ring.read_bytes())
        (place / "backup.ring").chmod(0o600)
    bulla("decrypt", sealed, "-o", "-", status=2)
    bulla("decrypt", "-k", bulla.new_key("other.ring"), sealed, "-o", "-", status=5)


# The environment and the config file.


def test_environment_stands_in(bulla, ring):
    env = {"BULLA_KEY": str(ring)}
    sealed = bulla("encrypt", stdin=X, env=env).stdout
    assert bulla("decrypt", stdin=sealed, env=env).stdout == X
    assert [row["name"] for row in bulla.list_keys(env=env)] == ["backup"]


def test_option_goes_before_the_environment(bulla, ring):
    env = {"BULLA_KEY": str(bulla.new_key("other.ring"))}
    sealed = bulla.seal(ring, X)
    assert bulla.open(ring, sealed, env=env) == X
    assert bulla("decrypt", sealed, "-o", "-", env=env, status=5).stdout == b""


def test_empty_environment_is_none(bulla):
    assert b"no key is given" in bulla("encrypt", stdin=X, env={"BULLA_KEY": ""}, status=2).stderr


def config(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


PLACES = {"BULLA_CONFIG": "named.conf", "XDG_CONFIG_HOME": "config/bulla/bulla.conf", "HOME": ".config/bulla/bulla.conf"}


@pytest.mark.parametrize("variable", PLACES)
def test_config_file_names_keys(bulla, ring, variable):
    path = config(bulla.home / PLACES[variable], f"# keys\n[keys]\nother = /nowhere\nnightly = {ring}#backup\n")
    env = {"BULLA_CONFIG": {"BULLA_CONFIG": str(path)}, "HOME": {"XDG_CONFIG_HOME": ""}}.get(variable, {})
    sealed = bulla("encrypt", "-k", "nightly", stdin=X, env=env).stdout
    assert bulla("decrypt", stdin=sealed, env=env | {"BULLA_KEY": "nightly"}).stdout == X
    assert [row["name"] for row in bulla.list_keys("nightly", env=env)] == ["backup"]


def test_named_config_goes_before_the_others(bulla, ring):
    config(bulla.home / PLACES["XDG_CONFIG_HOME"], "[keys]\nnightly = /nowhere\n")
    env = {"BULLA_CONFIG": str(config(bulla.home / "mine", f"[keys]\nnightly = {ring}\n"))}
    bulla("encrypt", "-k", "nightly", stdin=X, env=env)


def test_path_is_not_looked_up(bulla, ring, work):
    ring.rename(work / "ring")
    config(bulla.home / PLACES["XDG_CONFIG_HOME"], "[keys]\nring = /nowhere\n./ring = /nowhere\n")
    bulla("encrypt", "-k", "./ring", stdin=X)


BAD_CONFIGS = [
    ("[keys]\nnightly = a\nnightly = b\n", 2, "line 3: the name is given twice in its section"),
    ("[keyz]\nnightly = a\n", 2, "line 1: a section other than [keys], [defaults] and [rule NAME]"),
    ("nightly = a\n", 2, "line 1: nothing may come before the first [section]"),
    ("[keys]\nnightly = a\n[keys]\n", 2, "line 3: the section is given twice"),
    ("[keys]\nother = a\nother = b\nnightly = c\n", 2, "line 3: the name is given twice in its section"),
    ("[keys]\nnightly = a\n  longer\n", 2, "line 3: not 'name = value'"),
    ("[keys]\n= a\n", 2, "line 2: no name before '='"),
    ("[keys]\nnightly\n", 2, "line 2: not 'name = value'"),
    ("[keys\n", 2, "line 1: nothing may come before the first [section]"),
    ("[keys]\nnightly = /nowhere/ring\n", 10, "/nowhere"),
    ("[keys]\nnightly =\n", 2, "line 2: key 'nightly' is empty"),
    ("[keys]\nnight\0ly = a\n", 2, "line 2: not UTF-8"),
    ("[keys]\nnightly = a\0b", 2, "line 2: not UTF-8"),
    ("#" * 2**20 + "\n[keys]\nnightly = a\n", 2, "is longer than 1048576 bytes"),
    ("[keys]\nnightly = \x1b[2J\n", 10, "/config/bulla/\\x1b[2J'"),
    ("[keys]\nnightly = pkcs11:token=x\n", 2, "key 'pkcs11:token=x': it names no module"),
]


@pytest.mark.parametrize("name", ["nightly", "Nightly", "büro", "last"])
def test_what_a_config_may_look_like(bulla, ring, name):
    """A mark in front, lines that end as those of Windows, blanks before names, names that differ by a capital letter;
    what begins with # or ; is no comment where a value is."""
    there = ring.parent / "ring ; of mine"
    ring.rename(there)
    lines = ["; keys", "[keys]", *(f"  {n} = {there if n == name else '/nowhere'}" for n in ("nightly", "Nightly", "büro", "last"))]
    config(bulla.home / PLACES["XDG_CONFIG_HOME"], "\ufeff" + "\r\n".join(lines))
    sealed = bulla("encrypt", "-k", name, stdin=X).stdout
    assert bulla("decrypt", "-k", there, stdin=sealed).stdout == X


@pytest.mark.parametrize("text, status, says", BAD_CONFIGS)
def test_bad_config(bulla, text, status, says):
    path = config(bulla.home / PLACES["XDG_CONFIG_HOME"], text)
    done = bulla("encrypt", "-k", "nightly", stdin=X, status=status)
    assert says.encode() in done.stderr and done.stdout == b"", done.stderr
    if status == 2 and "module" not in says:
        assert f"config file '{path}'".encode() in done.stderr


def test_bad_config_does_not_matter_to_paths(bulla, ring):
    config(bulla.home / PLACES["XDG_CONFIG_HOME"], "nonsense")
    bulla("encrypt", "-k", ring, stdin=X)


def replaced_by_link(path):
    path.unlink()
    path.symlink_to("nothing")


@pytest.mark.parametrize("what, says", [(pathlib.Path.mkdir, "config file: cannot read"), (make_socket, "cannot open config file")], ids=["directory", "socket"])
def test_config_that_is_not_a_file(bulla, what, says):
    """It is not passed over as if it had no keys."""
    what(bulla.home / "bulla.conf")
    done = bulla("encrypt", "-k", "nightly", stdin=X, env={"BULLA_CONFIG": f"{bulla.home}/bulla.conf"}, status=1)
    assert f"{says} '{bulla.home}/bulla.conf'".encode() in done.stderr and done.stdout == b""


def closed(path):
    path.mkdir()
    path.chmod(0)


HOMES = {  # what HOME and XDG_CONFIG_HOME are
    "a file": lambda path: path.write_text("[keys]\n"),
    "closed": closed,
    "a circle of links": lambda path: path.symlink_to(path.name),
    "not there": lambda path: None,
}


@pytest.mark.parametrize("variable", ["HOME", "XDG_CONFIG_HOME"])
@pytest.mark.parametrize("what", HOMES)
def test_home_without_a_config(bulla, what, variable):
    """Which is no failure to read one."""
    HOMES[what](bulla.home / "other")
    env = {"XDG_CONFIG_HOME": ""} | {variable: str(bulla.home / "other")}
    try:
        done = bulla("encrypt", "-k", "nightly", stdin=X, env=env, under=BOUND, status=10)
        assert b"no config file names a key 'nightly'" in done.stderr and done.stdout == b""
    finally:
        if what == "closed":
            (bulla.home / "other").chmod(0o700)


@pytest.mark.parametrize("what, status", [(lambda path: path.chmod(0), 1), (replaced_by_link, 10)], ids=["closed", "a link to nothing"])
def test_config_that_is_there_is_not_passed_over(bulla, ring, what, status):
    path = config(bulla.home / PLACES["XDG_CONFIG_HOME"], f"[keys]\nnightly = {ring}\n")
    what(path)
    done = bulla("encrypt", "-k", "nightly", stdin=X, under=BOUND, status=status)
    assert f"cannot open config file '{path}'".encode() in done.stderr and done.stdout == b""


def test_named_config_must_be_there(bulla):
    done = bulla("encrypt", "-k", "nightly", stdin=X, env={"BULLA_CONFIG": "/nowhere/config"}, status=10)
    assert b"cannot open config file '/nowhere/config': No such file or directory" in done.stderr


# Other key stores.


def test_file_that_looks_like_another_store(bulla):
    bulla("key", "new", "-q", "file:pkcs11:x")
    assert os.listdir(bulla.work) == ["pkcs11:x"]
