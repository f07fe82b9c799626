"""bulla.conf beyond names of keys: default keys, rules that choose keys and context by path, modules, relative paths; 'bulla config check'."""

import json
import os
import subprocess

import pytest

from sealed import snapshot

X = b"content"

CONFIG = """
[keys]
backup = backup.ring
db     = file:db.ring#db
[defaults]
keys   = backup
open-keys = db backup
[rule dumps]
path = {work}/srv/db/*.dump
keys = db
context.env = prod
context.of  = a db: the = of it
[rule databases]
path = {work}/srv/db/*
keys = db backup
[rule all dumps]
path = *.dump
keys = backup db
"""


@pytest.fixture
def home(bulla, work):
    """The user's file, and beside it the keyrings that it names; sources below srv."""
    there = bulla.home / "config/bulla"
    there.mkdir(parents=True)
    for name in ("backup", "db"):
        bulla("key", "new", "-q", there / f"{name}.ring")
    (there / "bulla.conf").write_text(CONFIG.format(work=work))
    for name in ("srv/db/a.dump", "srv/db/sub/b.dump", "srv/db/c", "srv/d", "srv/other/e.dump"):
        (work / name).parent.mkdir(parents=True, exist_ok=True)
        (work / name).write_bytes(X)
    return there


GETS = {  # which rule a file below srv gets, its keys and its context
    "db/a.dump": ("dumps", ["db"], {"env": "prod", "of": "a db: the = of it"}),
    "db/sub/b.dump": ("dumps", ["db"], {"env": "prod", "of": "a db: the = of it"}),
    "db/c": ("databases", ["db", "backup"], {}),
    "d": (None, ["backup"], {}),
    "other/e.dump": ("all dumps", ["backup", "db"], {}),
}


def keys(envelope):
    return [slot["key_name"] for slot in envelope["slots"]]


def envelope(bulla, path):
    (shown,) = bulla.inspect(path)
    return keys(shown), shown["context"]


def checked(bulla, *paths, **how):
    return [json.loads(line) for line in bulla("config", "check", "--json", *paths, **how).stdout.splitlines()]


@pytest.mark.parametrize("jobs", [1, 4])
def test_each_file_of_a_tree_gets_the_keys_of_its_rule(bulla, home, work, jobs):
    for directory in ("out", "back"):
        (work / directory).mkdir()
    bulla("encrypt", "--recursive", f"-j{jobs}", "-o", "out", "srv")
    for name, (_, names, context) in GETS.items():
        assert envelope(bulla, work / f"out/{name}.bulla") == (names, context), name
    bulla("decrypt", "--recursive", "-o", "back", "out")
    assert all((work / "back" / name).read_bytes() == X for name in GETS)


def test_check_says_what_encrypt_does_and_why(bulla, home, work):
    rows = checked(bulla, *(f"srv/{name}" for name in GETS))
    for row, (name, (rule, names, context)) in zip(rows, GETS.items(), strict=True):
        assert (row["path"], row["rule"], [key["name"] for key in row["keys"]], row["context"]) == (f"{work}/srv/{name}", rule, names, context)
        assert row["config"] == str(home / "bulla.conf") and row["status"] == 0
    lines = (home / "bulla.conf").read_text().splitlines()
    assert [lines[row["line"] - 1] for row in rows] == ["[rule dumps]", "[rule dumps]", "[rule databases]", "keys   = backup", "[rule all dumps]"]
    assert rows[0]["keys"] == [{"name": "db", "reference": f"file:{home}/db.ring#db", "file": str(home / "bulla.conf"), "line": 4}]
    assert [row["pattern"] for row in rows] == [f"{work}/srv/db/*.dump"] * 2 + [f"{work}/srv/db/*", None, "*.dump"]


def test_check_for_people(bulla, home, work):
    conf = home / "bulla.conf"
    assert bulla("config", "check").stdout.decode() == f"{conf}: 2 keys, 3 rules\n"
    assert bulla("config", "check", "srv/db/a.dump", "srv/d").stdout.decode() == (
        f"{work}/srv/db/a.dump\n  rule     dumps ({conf}, line 8) for {work}/srv/db/*.dump\n  key      db = file:{home}/db.ring#db ({conf}, line 4)\n"
        f"  context  env=prod\n  context  of=a db: the = of it\n{work}/srv/d\n  rule     none; [defaults] ({conf}, line 6)\n  key      backup = {home}/backup.ring ({conf}, line 3)\n")  # fmt: skip


def test_a_link_is_what_it_leads_to(bulla, home, work):
    """Else who makes one would choose the keys."""
    (work / "srv/link").symlink_to("db")
    (work / "other").symlink_to("srv/db/c")
    assert [row["rule"] for row in checked(bulla, "srv/link/c", "other", "srv/link/new.dump")] == ["databases", "databases", "dumps"]
    bulla("encrypt", "other")
    assert envelope(bulla, work / "other.bulla") == (["db", "backup"], {})


@pytest.mark.parametrize("how", ["standard input", "command", "descriptor"])
def test_what_has_no_path_gets_what_its_result_gets(bulla, home, work, how):
    given = {"standard input": [], "command": ["--from-command", "echo x"], "descriptor": ["/dev/stdin"]}[how]
    bulla("encrypt", *given, "-o", "srv/db/new.bulla", stdin=X)
    assert envelope(bulla, work / "srv/db/new.bulla") == (["db", "backup"], {})
    sealed = bulla("encrypt", *given, "-o", "-", stdin=X).stdout
    (shown,) = bulla.inspect(stdin=sealed)
    assert keys(shown) == ["backup"]


def test_patterns_of_what_looks_odd(bulla, home, work):
    """Dots in a name, and what only the name of an object can have."""
    rules = "".join(f"[rule {n}]\npath = {pattern}\nkeys = db\n" for n, pattern in enumerate(("s3://bucket/a//../*", "*/./b", "/srv/.x/..y/...", ".hidden/*")))
    (home / "bulla.conf").write_text((home / "bulla.conf").read_text() + rules)
    assert [row["rule"] for row in checked(bulla, "s3://bucket/a//../x", "s3://other/./b")] == ["0", "1"]


def test_object_is_known_by_its_name(bulla, home, work):
    (home / "bulla.conf").write_text((home / "bulla.conf").read_text() + "[rule bucket]\npath = s3://bucket/db/*\nkeys = db\n")
    assert [row["rule"] for row in checked(bulla, "s3://bucket/db/x", "s3://bucket/x", "s3://other/a.dump")] == ["bucket", None, "all dumps"]


@pytest.mark.parametrize("way", ["-k", "BULLA_KEY"])
def test_a_key_that_is_given_wins(bulla, home, work, ring, way):
    """And no context comes from the file then."""
    args, env = (["-k", ring], {}) if way == "-k" else ([], {"BULLA_KEY": str(ring)})
    bulla("encrypt", *args, "srv/db/a.dump", "-o", "out", env=env)
    assert envelope(bulla, work / "out") == (["backup"], {}) and bulla("decrypt", "-k", ring, "-o", "-", "out").stdout == X
    assert b"none of the given keys opens it" in bulla("decrypt", "-o", "-", "out", status=5).stderr
    assert b"BULLA_KEY is set: while it is, the config file chooses no key" in bulla("config", "check", "srv/d", env={"BULLA_KEY": "x"}).stderr


def test_a_pair_of_the_command_line_goes_before_that_of_a_rule(bulla, home, work):
    bulla("encrypt", "--context", "env=test", "--context", "more=1", "srv/db/a.dump")
    assert envelope(bulla, work / "srv/db/a.dump.bulla")[1] == {"env": "test", "more": "1", "of": "a db: the = of it"}


def test_keys_that_open(bulla, home, work):
    """Those of open-keys; without it, the default ones; reencrypt seals too, and keeps to the default ones."""
    bulla("encrypt", "srv/db/a.dump", "srv/d")
    for verb in ("verify", "rewrap"):
        bulla(verb, "srv/db/a.dump.bulla", "srv/d.bulla")
    bulla("reencrypt", "srv/d.bulla")
    bulla("reencrypt", "srv/db/a.dump.bulla", status=5)
    (home / "bulla.conf").write_text((home / "bulla.conf").read_text().replace("open-keys = db backup\n", ""))
    bulla("verify", "srv/d.bulla")
    assert b"none of the given keys opens it" in bulla("verify", "srv/db/a.dump.bulla", status=5).stderr


SYSTEM = 'mount -t tmpfs none /etc && mkdir /etc/bulla && cp "$0" /etc/bulla/bulla.conf && exec "$@"'


def test_keys_that_open_are_of_one_file(bulla, home, work):
    """The user's default keys go before the open-keys of the system, whose own they are not."""
    system = bulla.home / "system.conf"
    system.write_text(f"[keys]\ntheirs = {home}/db.ring\n[defaults]\nkeys = theirs\nopen-keys = theirs\n")
    under = ["unshare", "--mount", "/bin/sh", "-c", SYSTEM, system]
    if subprocess.run([*under, "true"], capture_output=True).returncode != 0:
        pytest.skip("no mounts of its own for a program")
    bulla("encrypt", "srv/db/a.dump", "srv/d")
    (home / "bulla.conf").write_text("[keys]\nbackup = backup.ring\n[defaults]\nkeys = backup\n")
    bulla("verify", "srv/d.bulla", under=under)
    bulla("verify", "srv/db/a.dump.bulla", under=under, status=5)
    (home / "bulla.conf").write_text("[keys]\nbackup = backup.ring\n")
    bulla("verify", "srv/db/a.dump.bulla", under=under)
    bulla("verify", "srv/d.bulla", under=under, status=5)


def test_no_key_for_a_path(bulla, home, work):
    text = (home / "bulla.conf").read_text().replace("[defaults]\nkeys   = backup\nopen-keys = db backup\n", "")
    (home / "bulla.conf").write_text(text)
    before = snapshot(work)
    says = f"bulla: no key is given for '{work}/srv/d', and no rule of bulla.conf matches it\nbulla: hint: -k KEY names one; 'bulla config check' shows what a path gets\n"
    assert bulla("encrypt", "srv/d", status=2).stderr.decode() == says
    assert bulla("config", "check", "srv/d", status=10).stderr.decode() == f"bulla: '{work}/srv/d' gets no key: no rule matches it, and there are no default keys\n"
    assert [row["status"] for row in checked(bulla, "srv/d", "srv/db/c", status=3)] == [10, 0]
    assert b"no key is given\n" in bulla("encrypt", stdin=X, status=2).stderr
    assert snapshot(work) == before
    bulla("encrypt", "srv/d", "srv/db/c", status=3)
    assert not (work / "srv/d.bulla").exists() and (work / "srv/db/c.bulla").exists()


def test_keys_of_a_rule_that_is_not_needed_are_not_opened(bulla, home, work):
    (home / "db.ring").unlink()
    bulla("encrypt", "srv/d")
    done = bulla("encrypt", "srv/other/e.dump", "srv/db/c", "srv/db/a.dump", status=3)
    assert done.stderr.decode().count(f"there is no keyring '{home}/db.ring'") == 3
    assert all(f"config file '{home}/bulla.conf', line {line}: " in done.stderr.decode() for line in (10, 15, 18))
    assert not list(work.glob("srv/db/*.bulla"))


def test_keyring_of_a_rule_is_not_written_over(bulla, home, work):
    """Nor removed as a source."""
    before = (home / "db.ring").read_bytes()
    (home / "bulla.conf").write_text((home / "bulla.conf").read_text() + "[rule rings]\npath = *.ring\nkeys = db\n")
    assert b"is the keyring that is used" in bulla("encrypt", "--force", "-o", home / "db.ring", "srv/db/c", status=1).stderr
    assert b"is the keyring that is used and is not removed" in bulla("encrypt", "--remove-source", home / "db.ring", status=1).stderr
    assert (home / "db.ring").read_bytes() == before


def test_version_that_retires_meanwhile(bulla, home, work):
    """A rule's key is looked at again before the result takes its place."""
    command = f"head -c 200000 /dev/zero; {bulla.program} key retire -q {home}/db.ring"
    done = bulla("encrypt", "--from-command", command, "-o", "srv/db/new.dump", status=7)
    assert b"is retired" in done.stderr and not (work / "srv/db/new.dump").exists(), done.stderr


def test_relative_paths_are_meant_from_the_file(bulla, home, work):
    """Of a rule too; whatever the working directory is."""
    (work / "conf/data").mkdir(parents=True)
    bulla("key", "new", "-q", "conf/here.ring")
    (work / "conf/my.conf").write_text("[keys]\nhere = ./here.ring\n[rule data]\npath = data/*\nkeys = here\n")
    (work / "conf/data/x").write_bytes(X)
    for named in ("conf/my.conf", work / "conf/my.conf", work / "conf/../conf/my.conf"):
        env = {"BULLA_CONFIG": str(named)}
        bulla("encrypt", "--force", "conf/data/x", env=env)
        assert envelope(bulla, work / "conf/data/x.bulla") == (["here"], {})
        (row,) = checked(bulla, "conf/data/x", env=env)
        assert row["rule"] == "data" and row["pattern"] == "data/*"
        assert checked(bulla, "srv/d", env=env, status=10)[0]["status"] == 10
    ours, theirs = os.pipe()
    os.write(theirs, b"[keys]\nhere = here.ring\n[defaults]\nkeys = here\n")
    os.close(theirs)
    done = bulla("encrypt", stdin=X, env={"BULLA_CONFIG": f"/dev/fd/{ours}"}, pass_fds=[ours], status=2)
    assert f"config file '/dev/fd/{ours}', line 2: 'here.ring' is no absolute path, and the file has no directory".encode() in done.stderr
    os.close(ours)


BAD = {
    "[defaults]\nkey = a\n": "line 2: unknown option 'key' in [defaults]\nbulla: hint: did you mean 'keys'? bulla.conf(5) has the options",
    "[rule x]\npath = /a\nkeys = a\nmodule = b\n": "line 4: unknown option 'module' in [rule x]\nbulla: hint: bulla.conf(5) has the options",
    "[rule x]\nkeys = a\n": "line 1: rule 'x' has no path",
    "[keys]\n[rule x]\npath = /a\n": "line 2: rule 'x' has no keys",
    "[rule]\npath = /a\n": "line 1: a rule without a name",
    "[ruler x]\npath = /a\n": "line 1: a section other than [keys], [defaults] and [rule NAME]",
    "[rule x]\npath = /a\nkeys = a\n[rule x]\npath = /b\nkeys = a\n": "line 4: the section is given twice",
    "[rule x]\npath =\nkeys = a\n": "line 2: option 'path' is empty",
    "[defaults]\nkeys = a\ncontext. = b\n": "line 3: a context key is empty",
    "[defaults]\ncontext.a = b\n": "line 1: [defaults] has a context, but no keys",
    "[defaults]\nkeys = a\nkeys = b\n": "line 3: the name is given twice in its section",
    "[keys]\na = /x\nb =\n": "line 3: key 'b' is empty",
}
BAD |= {f"[rule x]\npath = {pattern}\nkeys = a\n": f"line 2: no path is like '{pattern}'\nbulla: hint: a path does not end in /"
        for pattern in ("/srv/db/", "/", "/srv//db/*", "/srv/../db/*", "/srv/./db", "../db/*", "db/", "/srv/..", ".", "S3://bucket/*", "*/db/", "s3://bucket/db/")}  # fmt: skip


@pytest.mark.parametrize("text", BAD)
@pytest.mark.parametrize("args", [["encrypt", "srv/d"], ["config", "check"], ["decrypt", "srv/d"]], ids=" ".join)
def test_bad_file(bulla, home, work, text, args):
    before = snapshot(work)
    (home / "bulla.conf").write_text(text)
    done = bulla(*args, status=2)
    assert f"bulla: config file '{home}/bulla.conf', {BAD[text]}" in done.stderr.decode() and done.stdout == b""
    assert snapshot(work) == before


@pytest.mark.parametrize("where", ["keys", "open-keys"])
def test_name_without_a_key(bulla, home, work, where):
    (home / "bulla.conf").write_text(f"[keys]\nbackup = backup.ring\n[defaults]\nkeys = backup\n{where}{'' if where != 'keys' else '2'} = nobody\n".replace("keys = backup\nkeys2", "keys"))
    says = f"config file '{home}/bulla.conf', line {5 if where != 'keys' else 4}: no config file names a key 'nobody'"
    assert says in bulla("config", "check", status=10).stderr.decode()
    if where == "keys":
        assert says in bulla("encrypt", "srv/d", status=10).stderr.decode() and not (work / "srv/d.bulla").exists()


def test_no_file_is_no_answer(bulla, work):
    assert bulla("config", "check", status=10).stderr.startswith(b"bulla: there is no config file\n")


def test_file_of_somebody_else_chooses_nothing(bulla, home, work):
    (home / "bulla.conf").chmod(0o666)
    for args in (["encrypt", "srv/d"], ["config", "check", "srv/d"]):
        done = bulla(*args, status=7)
        assert b"may be from somebody else: others can write file" in done.stderr or b"its group and others can write file" in done.stderr
    assert not (work / "srv/d.bulla").exists()


def test_key_that_is_a_path_needs_no_good_file(bulla, home, work, ring):
    """A restore does not fail for it."""
    (home / "bulla.conf").write_text("nonsense\n")
    bulla("encrypt", "-k", ring, "srv/d")
    bulla("verify", "-k", ring, "srv/d.bulla")
    bulla("status", "srv/d.bulla")


def test_module_and_endpoint(bulla, home, work):
    """What stands in for --module and --endpoint; the option and the environment go first."""
    (home / "bulla.conf").write_text("[keys]\ntoken = pkcs11:token=t;object=o\n[defaults]\nkeys = token\nmodule = ./no-such.so\nendpoint = nonsense:\n")
    says = bulla("encrypt", "srv/d", status=(1, 6, 10)).stderr.decode()
    assert f"{home}/./no-such.so" in says
    assert "/else.so" in bulla("encrypt", "--module", "/else.so", "srv/d", status=(1, 6, 10)).stderr.decode()
    assert "/env.so" in bulla("encrypt", "srv/d", env={"BULLA_PKCS11_MODULE": "/env.so"}, status=(1, 6, 10)).stderr.decode()
    assert "nonsense:" in bulla("encrypt", "-k", "alias/x", "srv/d", env={"AWS_REGION": "eu-west-1", "AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": "y"}, status=(1, 2)).stderr.decode()
    assert not (work / "srv/d.bulla").exists()
