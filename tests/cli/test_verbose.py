"""--verbose: what is done with which key and why, on standard error, and no secret. bulla() searches all of it for key bytes."""

import re

import pytest

from program import pieces

X = b"what nobody but the owner should see"
PHRASE = "correct horse battery"


def told(done):
    return done.stderr.decode().splitlines()


def test_seal_and_open(bulla, ring, work):
    other = bulla.new_key("other.ring")
    (work / "plain").write_bytes(X)
    done = bulla("encrypt", "-v", "-k", other, "-k", ring, "plain")
    lines = told(done)
    assert lines[0] == "bulla: keys come from -k" and lines[1:3] == [f"bulla: key '{key}': opened, of the keyring key store" for key in (other, ring)]
    wrapped = re.findall(r"^bulla: 'plain': key '(.*)': wrapped the new branch key ([0-9a-f]{16})\.\.\.$", done.stderr.decode(), re.M)
    branch = bulla.inspect("plain.bulla")[0]["branch_id"]
    assert wrapped == [(str(other), branch[:16]), (str(ring), branch[:16])]
    done = bulla("decrypt", "--verbose", "-k", ring, "-o", "-", "plain.bulla")
    assert done.stdout == X
    assert [line.partition(f"key '{ring}': ")[2].split(", of ")[0] for line in told(done)[2:]] == ["slot 0", "slot 1"]
    assert told(done)[2].endswith(": not of this key") and told(done)[3].endswith(": it opens") and X not in done.stderr


def test_why_it_does_not_open(bulla, ring, work):
    sealed = bulla.seal(bulla.new_key("other.ring"), X)
    lines = told(bulla("decrypt", "-v", "-k", ring, "-o", "-", sealed, status=5))
    assert re.fullmatch(rf"bulla: '{sealed}': key '{ring}': slot 0, of other v1 \([0-9a-f]{{32}}\): not of this key", lines[2])


def test_cached_branch(bulla, ring, archive):
    lines = told(bulla("rewrap", "-v", "-r", "-k", ring, "--to", bulla.new_key("other.ring"), "archive"))
    assert sum("no key is asked" in line for line in lines) >= 29 and sum("it opens" in line for line in lines) == 1
    assert sum("wrapped the new branch key" in line for line in lines) == 1


@pytest.mark.parametrize("source", ["file", "command", "descriptor"])
def test_where_a_passphrase_comes_from(bulla, work, source):
    """And not what it is, nor the command, which may have it in it."""
    (work / "pass").write_text(PHRASE + "\n")
    args, env, says = {
        "file": ([], {"BULLA_NEW_PASSPHRASE_FILE": "pass"}, "from file 'pass'"),
        "command": (["--new-passphrase-command", f"echo {PHRASE}"], {}, "from the passphrase command"),
        "descriptor": (["--new-passphrase-fd", "0"], {}, "from descriptor 0"),
    }[source]
    (work / "plain").write_bytes(X)
    done = bulla("encrypt", "-v", "-k", "passphrase:a hint", *args, "plain", stdin=PHRASE.encode(), env=env)
    assert says in done.stderr.decode() and PHRASE.encode() not in done.stderr
    assert "key 'passphrase:a hint': opened, of the passphrase key store" in done.stderr.decode()


def test_pin_in_a_reference(bulla):
    given = "pkcs11:token=t;object=o?module-path=/nowhere.so&pin-value=4711081"
    done = bulla("key", "check", "-v", "--allow-pin-in-uri", given, status=(1, 6, 10))
    assert b"4711081" not in done.stderr + done.stdout


def test_config(bulla, ring, work):
    conf = bulla.home / "config/bulla/bulla.conf"
    conf.parent.mkdir(parents=True)
    conf.write_text(f"[keys]\nnightly = {ring}\n[defaults]\nkeys = nightly\n[rule plain]\npath = */plain\nkeys = nightly\n")
    for name in ("plain", "other"):
        (work / name).write_bytes(X)
    lines = told(bulla("encrypt", "-v", "plain"))
    assert lines[:2] == [f"bulla: 'plain': rule 'plain' matches '{work}/plain': config file '{conf}', line 5",
                         f"bulla: 'plain': key 'nightly' is '{ring}': config file '{conf}', line 2"]  # fmt: skip
    assert told(bulla("encrypt", "-v", "other"))[0] == f"bulla: 'other': no rule matches it: default keys of config file '{conf}', line 4"
    assert f"bulla: keys come from config file '{conf}', line 4" in told(bulla("verify", "-v", "other.bulla"))
    assert "bulla: keys come from BULLA_KEY" in told(bulla("verify", "-v", "other.bulla", env={"BULLA_KEY": str(ring)}))


def test_nothing_more_without_it_and_results_are_the_same(bulla, ring, work):
    sealed = bulla.seal(ring, X)
    assert bulla("decrypt", "-k", ring, "-o", "-", sealed).stderr == b""
    assert bulla("verify", "--json", "-v", "-k", ring, sealed).stdout == bulla("verify", "--json", "-k", ring, sealed).stdout


def test_not_with_quiet(bulla, ring, work):
    assert bulla("encrypt", "-qv", "-k", ring, stdin=X, status=2).stderr == b"bulla: --quiet does not go with --verbose\n"


def test_the_search_finds_keys(bulla, ring):
    """Or the tests above would prove nothing."""
    bulla.learn()
    (key,) = bulla.secrets
    with pytest.raises(AssertionError):
        bulla.check(b"bulla: " + pieces(key)[1].encode())
