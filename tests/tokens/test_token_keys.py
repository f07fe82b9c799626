"""Keys are made on the token, rotated, listed and exported there."""

import json
import os
import re
import shutil
import subprocess
import uuid

import pytest

from program import SANITIZED
from sealed import content
from tokens import METHODS, SoftHSM

X = content(1000)
KINDS = {
    "rsa2048": "pkcs11-rsa-oaep-sha256",
    "rsa3072": "pkcs11-rsa-oaep-sha256",
    "rsa4096": "pkcs11-rsa-oaep-sha256",
    "p256": "pkcs11-p256-hpke",
    "p384": "pkcs11-p384-hpke",
    "aes256": "pkcs11-aes-gcm",
}
FAST = ["rsa2048", "p256", "p384", "aes256"]
CASES = [("softhsm", kind) for kind in FAST] + [("nss", kind) for kind in FAST] + [("tpm", "rsa2048")]
FEWER = [("softhsm", "p256"), ("softhsm", "aes256"), ("nss", "p384"), ("nss", "aes256"), ("tpm", "rsa2048")]
CASES = FEWER if SANITIZED else CASES
EACH = pytest.mark.parametrize("made", CASES, ids="-".join, indirect=True)
SOME = pytest.mark.parametrize("made", FEWER, ids="-".join, indirect=True)


@pytest.fixture
def made(request, bulla, tmp_path):
    """A token, a kind, and the name of a key that bulla made there."""
    name, kind = request.param
    token = request.getfixturevalue(name)
    label = f"made in {tmp_path.name}"
    bulla.at(token)
    bulla("key", "new", token.uri(label), "--kind", kind)
    return token, kind, label


def objects(token, label):
    """What the token says of the objects of a label."""
    text = token.tool("--list-objects")
    return [part for part in re.split(r"\n(?=\S)", text) if f"  {label}\n" in part]


@EACH
def test_new_key(bulla, made):
    token, kind, label = made
    sealed = bulla.seal(token.uri(f"{label}-v0001"), X)
    (slot,) = bulla.inspect(sealed)[0]["slots"]
    assert (slot["method"], slot["key_label"]) == (KINDS[kind], f"{label}-v0001")
    assert len(slot["CKA_ID"]) == 32 and len(set(slot["CKA_ID"])) > 2
    assert bulla.open(token.uri(f"{label}-v0001"), sealed) == X


@EACH
def test_new_key_stays_on_the_token(bulla, made):
    token, kind, label = made
    found = objects(token, f"{label}-v0001")
    private = [part for part in found if not part.startswith("Public")]
    assert len(private) == 1 and len(found) == (1 if kind == "aes256" else 2)
    assert "sensitive" in private[0] and "never extractable" in private[0] or token.name == "nss" and "sensitive" in private[0]
    assert not {"sign", "verify"} & set(re.findall(r"\w+", private[0])), "one key, one purpose"


@SOME
def test_a_name_is_given_once(bulla, made):
    token, kind, label = made
    before = len(objects(token, f"{label}-v0001"))
    done = bulla("key", "new", token.uri(label), "--kind", kind, status=9)
    assert label.encode() in done.stderr and len(objects(token, f"{label}-v0001")) == before


@SOME
def test_rotate(bulla, made):
    token, kind, label = made
    old, new = token.uri(f"{label}-v0001"), token.uri(f"{label}-v0002")
    sealed = bulla.seal(old, X)
    bulla("key", "rotate", token.uri(label))
    assert objects(token, f"{label}-v0001") and objects(token, f"{label}-v0002")
    slots = [bulla.inspect(bulla.seal(key, X, name=name))[0]["slots"][0] for key, name in ((old, "old"), (new, "new"))]
    assert slots[0]["CKA_ID"] != slots[1]["CKA_ID"] and slots[0]["method"] == slots[1]["method"]
    bulla("rewrap", "-k", old, "--to", new, sealed)
    assert bulla.open(new, sealed) == X and bulla.open(old, sealed, status=5) == b""


@SOME
def test_rewrap_after_a_rotation(bulla, made, work):
    """The name without a version: it opens by any, and seals by the highest. One operation for a branch key."""
    token, kind, label = made
    key = token.uri(label)
    (work / "many").mkdir()
    for number in range(5):
        (work / "many" / str(number)).write_bytes(X)
    bulla("encrypt", "-k", token.uri(f"{label}-v0001"), "-r", "--remove-source", "many")
    bulla("key", "rotate", key)
    done = bulla("rewrap", "-k", token.uri(f"{label}-v0001"), "--to", token.uri(f"{label}-v0002"), "-r", "many")
    assert b"5 rewrapped" in done.stderr and b"1 unwraps and 1 wraps" in done.stderr
    assert {row["slots"][0]["key_label"] for row in bulla.inspect(*(work / "many").iterdir())} == {f"{label}-v0002"}


@SOME
def test_list(bulla, made):
    token, kind, label = made
    bulla("key", "rotate", token.uri(label))
    rows = [row for row in bulla.list_keys(token.uri()) if label in json.dumps(row)]
    assert len(rows) == 2
    shown = bulla("key", "list", token.uri()).stdout.decode()
    assert f"{label}-v0001" in shown and f"{label}-v0002" in shown or label in shown


@pytest.mark.parametrize("kind", ["rsa3072", "rsa4096"])
def test_large_rsa_keys(bulla, softhsm, kind):
    bulla.at(softhsm)
    bulla("key", "new", "-q", softhsm.uri("large"), "--kind", kind)
    key = softhsm.uri("large-v0001")
    sealed = bulla.seal(key, X)
    (slot,) = bulla.inspect(sealed)[0]["slots"]
    assert slot["method"] == KINDS[kind] and bulla.open(key, sealed) == X


@pytest.mark.parametrize("kind", ["rsa1024", "rsa2047", "p521", "x25519", "symmetric", "aes128"])
def test_kind_that_is_none(bulla, softhsm, kind):
    before = softhsm.tool("--list-objects")
    done = bulla.at(softhsm)("key", "new", softhsm.uri("new"), "--kind", kind, status=2)
    assert b"rsa2048" in done.stderr and softhsm.tool("--list-objects") == before


def test_kind_that_the_token_cannot_make(bulla, tpm):
    done = bulla.at(tpm)("key", "new", tpm.uri("new"), "--kind", "aes256", status=(5, 6, 8))
    assert b"aes256" in done.stderr and tpm.label.encode() in done.stderr


@pytest.mark.parametrize("attribute", [{}, {"id": b"\x01"}], ids=["no name", "an id"])
def test_new_key_needs_a_name_and_no_more(bulla, softhsm, attribute):
    before = softhsm.tool("--list-objects")
    key = softhsm.uri("new" if attribute else None, **attribute)
    bulla.at(softhsm)("key", "new", key, "--kind", "p256", status=(0, 2))
    if not attribute:
        assert softhsm.tool("--list-objects") == before


def test_key_new_with_a_wrong_pin_makes_nothing(bulla, softhsm):
    before = softhsm.tool("--list-objects")
    env = {"BULLA_PIN_FILE": str(bulla.home / "wrong")}
    bulla.at(softhsm)("key", "new", softhsm.uri("new"), "--kind", "p256", env=env, status=5)
    bulla("key", "rotate", softhsm.uri("rsa"), env=env, status=(2, 5))
    assert softhsm.tool("--list-objects") == before


@pytest.mark.parametrize("verb", ["retire", "disable", "enable", "destroy", "passphrase"])
def test_what_a_token_does_not_know(bulla, softhsm, verb):
    before = softhsm.tool("--list-objects")
    force = ["--force"] if verb == "destroy" else []
    bulla.at(softhsm)("key", verb, *force, softhsm.uri("rsa"), status=(2, 8))
    assert softhsm.tool("--list-objects") == before


# Public keys.


def test_export_needs_no_pin(bulla, softhsm):
    bulla.at(softhsm)
    del bulla.environment["BULLA_PIN_FILE"]
    for kind in ("rsa", "p256", "p384"):
        bulla("key", "export-public", "-o", f"{kind}.pem", softhsm.uri(kind), start_new_session=True)
        assert (bulla.work / f"{kind}.pem").read_bytes().count(b"-----BEGIN PUBLIC KEY-----") == 1


def test_export_does_not_write_over_a_file(bulla, softhsm):
    (bulla.work / "x.pem").write_bytes(b"mine")
    bulla.at(softhsm)("key", "export-public", "-o", "x.pem", softhsm.uri("rsa"), status=9)
    assert (bulla.work / "x.pem").read_bytes() == b"mine"


def test_aes_key_has_no_public_half(bulla, softhsm):
    done = bulla.at(softhsm)("key", "export-public", "-o", "x.pem", softhsm.uri("aes"), status=1)
    assert b"public" in done.stderr and os.listdir(bulla.work) == []


BAD_PEMS = {
    "no base64": b"-----BEGIN PUBLIC KEY-----\n!!!!\n-----END PUBLIC KEY-----\n",
    "cut": None,
    "twice": None,
}


@pytest.mark.parametrize("what", BAD_PEMS)
def test_pem_that_is_none(bulla, softhsm, what):
    bulla.at(softhsm)("key", "export-public", "-o", "x.pem", softhsm.uri("rsa"))
    whole = (bulla.work / "x.pem").read_bytes()
    made = {"cut": whole[: len(whole) // 2], "twice": whole * 2}
    (bulla.work / "x.pem").write_bytes(made.get(what, BAD_PEMS[what]))
    done = bulla("encrypt", "-k", bulla.work / "x.pem", stdin=X, status=4)
    assert done.stdout == b""


@pytest.mark.parametrize("kind", ["ed25519", "p521", "rsa1024", "private"])
def test_pem_of_a_key_that_bulla_cannot_use(bulla, kind):
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

    key = {
        "ed25519": ed25519.Ed25519PrivateKey.generate,
        "p521": lambda: ec.generate_private_key(ec.SECP521R1()),
        "rsa1024": lambda: rsa.generate_private_key(65537, 1024),
        "private": lambda: rsa.generate_private_key(65537, 2048),
    }[kind]()
    if kind == "private":
        pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    else:
        pem = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    (bulla.work / "x.pem").write_bytes(pem)
    done = bulla("encrypt", "-k", bulla.work / "x.pem", stdin=X, status=(4, 8))
    assert done.stdout == b"" and b"x.pem" in done.stderr


# What is told.


def test_check_tells_what_a_key_can_do(bulla, softhsm):
    bulla.at(softhsm)
    for kind in METHODS:
        told = json.loads(bulla("key", "check", "--json", softhsm.uri(kind)).stdout)
        assert told["wraps"] and told["unwraps"] and softhsm.label in json.dumps(told)


def test_check_of_a_public_key(bulla, softhsm):
    bulla.at(softhsm)("key", "export-public", "-o", "x.pem", softhsm.uri("p256"))
    told = json.loads(bulla("key", "check", "--json", bulla.work / "x.pem").stdout)
    assert (told["wraps"], told["unwraps"], told["status"]) == (True, False, 0)


def test_list_shows_tokens_keys_and_what_bulla_can_use(bulla, softhsm):
    softhsm.tool("--keypairgen", "--key-type", "EC:edwards25519", "--usage-sign", "--label", "edwards", "--id", "d1")
    shown = bulla.at(softhsm)("key", "list", f"pkcs11:?module-path={softhsm.module}").stdout.decode()
    assert softhsm.label in shown and all(kind in shown for kind in METHODS)


def test_list_cannot_steer_the_terminal(bulla, softhsm):
    softhsm.make("rsa", "\x1b[2Jclear")
    done = bulla.at(softhsm)("key", "list", softhsm.uri())
    assert b"\x1b" not in done.stdout + done.stderr and b"[2Jclear" in done.stdout
    sealed = bulla.seal(softhsm.uri("\x1b[2Jclear"), X)
    assert b"\x1b" not in bulla("inspect", sealed).stdout


def multiply(token, name, count):
    """Makes a key of SoftHSM's many, by copies of its file."""
    (only,) = (f for f in token.directory.rglob("*.object") if name.encode() in f.read_bytes())
    for n in range(count - 1):
        shutil.copy(only, only.with_name(f"{uuid.UUID(int=n)}.object"))


@pytest.fixture
def many(bulla, tmp_path):
    """A token without keys, which is to have many."""
    token = SoftHSM(tmp_path / "token")
    bulla.at(token)
    return token


def test_list_of_many_keys_is_whole(bulla, many):
    many.make("aes", "one of many")
    multiply(many, "one of many", 600)
    keys = [line for line in bulla.list_keys(many.uri()) if line.get("key label") == "one of many"]
    assert len(keys) == 600 and keys[599].keys() == keys[0].keys()


def test_list_of_too_many_keys_is_refused(bulla, many):
    many.make("aes", "one of many")
    multiply(many, "one of many", 1025)
    done = bulla("key", "list", many.uri(), status=2)
    assert done.stdout == b"" and b"more than 1024 keys are named by" in done.stderr


def test_key_among_more_objects_than_one_search_had_room_for(bulla, many):
    """Its versions are looked for among all objects."""
    many.make("aes", "one of many")
    multiply(many, "one of many", 4200)
    many.make("p256", "wanted-v0001")
    sealed = bulla.seal(many.uri("wanted"), X)
    assert bulla.open(many.uri("wanted"), sealed) == X


def test_list_of_many_keys_that_bulla_cannot_use_is_whole(bulla, many):
    many.tool("--keygen", "--key-type", "AES:16", "--label", "one of many", "--id", "d3")
    multiply(many, "one of many", 1030)
    keys = [line for line in bulla.list_keys(many.uri()) if line.get("key label") == "one of many"]
    assert len(keys) == 1030


NO_MEMORY = """
#define _GNU_SOURCE
#include <dlfcn.h>
#include <string.h>
char *strdup(const char *text)
{
    char *(*real)(const char *) = (char *(*)(const char *))dlsym(RTLD_NEXT, "strdup");
    return strcmp(text, "check value") == 0 ? 0 : real(text);
}
"""


@pytest.mark.plain
def test_list_without_memory_for_a_fact_fails(bulla, softhsm, tmp_path):
    library = tmp_path / "no_memory.so"
    subprocess.run(["gcc", "-shared", "-fPIC", "-x", "c", "-", "-o", library], input=NO_MEMORY.encode(), check=True)
    done = bulla.at(softhsm)("key", "list", softhsm.uri(), env={"LD_PRELOAD": str(library)}, status=1)
    assert done.stdout == b"" and b"out of memory" in done.stderr
