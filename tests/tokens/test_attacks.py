"""Others may write to a token, and one token may look like another: what then must not be lost, sealed to, tried or printed."""

import os

import pytest

from sealed import content
from tokens import PIN, WRONG_PIN

X = content(1000)
NO_CHECK_VALUE = "C_GetAttributeValue:1+:length=0@0x90"
SHORT_CHECK_VALUE = "C_GetAttributeValue:1+:length=1@0x90"
PROXY = "/usr/lib/x86_64-linux-gnu/libp11-kit.so.0"  # which p11-kit-proxy.so is a link to


def contexts(bulla, key, count, *options):
    """Files of a branch key each."""
    return [bulla.seal(key, X, "--context", f"n={n}", *options, name=f"{n}") for n in range(count)]


def calls(log, name):
    return [line.split()[2] for line in log.read_text().splitlines()].count(name) if log.exists() else 0


# AES keys of one CKA_ID.


@pytest.fixture(params=[NO_CHECK_VALUE, SHORT_CHECK_VALUE], ids=["none", "short"])
def twins(request, bulla, softhsm):
    """Two tokens, each with an AES key of the same label and CKA_ID, that tell no check value."""
    softhsm.add_token("second lab")
    softhsm.make("aes", "twin", id="01")
    first, softhsm.label = softhsm.label, "second lab"
    softhsm.make("aes", "twin", id="01")
    softhsm.label = first
    bulla.environment |= softhsm.mocked(request.param)
    return softhsm.uri("twin", mock=True), softhsm.uri("twin", mock=True, token="second lab")


def slots(bulla, sealed):
    return [slot["token_label"] for slot in bulla.inspect(sealed)[0]["slots"]]


def test_key_of_another_token_is_not_taken_for_the_new_one(bulla, softhsm, twins):
    one, two = twins
    sealed = bulla.seal(one, X)
    bulla("rewrap", "-k", one, "--to", two, sealed)
    assert slots(bulla, sealed) == ["second lab"]
    assert bulla.open(two, sealed) == X and bulla.open(one, sealed, status=5) == b""


def test_key_of_another_token_is_added_and_removed_alone(bulla, softhsm, twins):
    one, two = twins
    sealed = bulla.seal(one, X)
    bulla("rewrap", "-k", one, "--add", two, sealed)
    assert slots(bulla, sealed) == [softhsm.label, "second lab"]
    assert bulla.open(one, sealed) == X == bulla.open(two, sealed)
    bulla("rewrap", "-k", one, "--remove", two, sealed)
    assert slots(bulla, sealed) == [softhsm.label] and bulla.open(one, sealed) == X


def test_nothing_is_removed_for_the_key_of_another_token(bulla, twins):
    one, two = twins
    sealed = bulla.seal(one, X)
    before = sealed.read_bytes()
    bulla("rewrap", "-k", one, "--remove", two, sealed)
    assert sealed.read_bytes() == before


def test_reencryption_does_not_drop_the_key_of_another_token(bulla, ring, twins):
    one, two = twins
    sealed = bulla.seal(one, X, "-k", ring)
    before = sealed.read_bytes()
    done = bulla("reencrypt", "-k", ring, "-k", two, sealed, status=7)
    assert b"sealed to keys that were not given" in done.stderr and sealed.read_bytes() == before


def test_other_key_of_the_same_token_and_id_is_not_taken_for_it(bulla, softhsm):
    for version in ("0001", "0002"):
        softhsm.make("aes", f"twin-v{version}", id="01")
    bulla.environment |= softhsm.mocked(NO_CHECK_VALUE)
    one, two = (softhsm.uri(f"twin-v{version}", mock=True) for version in ("0001", "0002"))
    sealed = bulla.seal(one, X)
    bulla("rewrap", "-k", one, "--to", two, sealed)
    assert bulla.open(two, sealed) == X and bulla.open(one, sealed, status=5) == b""


def test_key_without_a_check_value_is_known_again(bulla, twins):
    """On its own token nothing has changed."""
    one, _ = twins
    sealed = bulla.seal(one, X)
    before = sealed.read_bytes()
    bulla("rewrap", "-k", one, "--to", one, sealed)
    assert sealed.read_bytes() == before and bulla.open(one, sealed) == X


def test_key_that_moved_to_another_token_is_tried(bulla, softhsm, tmp_path):
    """The same key under the same CKA_ID on a token of another name opens the file."""
    value = tmp_path / "value"
    value.write_bytes(bytes(range(32)))
    softhsm.add_token("second lab")
    first = softhsm.label
    for softhsm.label in (first, "second lab"):
        how = ["--write-object", value, "--type", "secrkey", "--key-type", "AES:32", "--usage-decrypt"]
        softhsm.tool(*how, "--label", "copied", "--id", "02")
    softhsm.label = first
    bulla.environment |= softhsm.mocked(NO_CHECK_VALUE)
    sealed = bulla.seal(softhsm.uri("copied", mock=True), X)
    assert bulla.open(softhsm.uri("copied", mock=True, token="second lab"), sealed) == X


def test_keys_are_found_by_one_file_while_another_looks_at_them(bulla, softhsm):
    """The one key of this token is seen after the login, which the first of the threads to seal does."""
    softhsm.add_token("lone")
    first, softhsm.label = softhsm.label, "lone"
    softhsm.make("aes")
    key, softhsm.label = bulla.at(softhsm) and softhsm.uri(), first
    sealed = contexts(bulla, key, 12)
    before = [path.read_bytes() for path in sealed]
    bulla("reencrypt", "-j", "4", "-k", key, *sealed)
    assert all(path.read_bytes() != old for path, old in zip(sealed, before))
    assert all(bulla.open(key, path) == X for path in sealed)


# A PIN for each use.


@pytest.fixture
def careful(bulla, softhsm, tmp_path):
    """A key that wants its PIN for each use, with what is asked of the module in a log."""

    def make(kind):
        softhsm.make(kind, "careful", "--always-auth")
        bulla.environment |= softhsm.mocked(log=tmp_path / "log")
        return softhsm.uri("careful", mock=True), tmp_path / "log"

    return make


@pytest.mark.parametrize("rv", [0xA0, 0xA2, 0xA4], ids=hex)
@pytest.mark.parametrize("hidden", ["", " C_GetMechanismList:1+:hide@3"], ids=["raw", "oaep"])
def test_pin_that_is_refused_for_a_use_is_not_tried_again(bulla, careful, softhsm, rv, hidden):
    """Neither where the token gives the raw number, nor where it undoes OAEP itself."""
    key, log = careful("rsa")
    contexts(bulla, key, 6, *(["--oaep", "sha1"] if hidden else []))
    log.unlink(missing_ok=True)
    done = bulla("verify", "-r", "-k", key, ".", env=softhsm.mocked(f"C_Login_context:1+:rv={rv}{hidden}", log), status=(3, 5))
    assert done.stderr.count(b"CKR_PIN_") >= 6 and calls(log, "C_Login_context") == 1


def test_pin_that_nobody_looked_at_is_not_given_for_a_use(bulla, careful, softhsm):
    """The token says that somebody is logged in already, and never saw the PIN."""
    key, log = careful("rsa")
    (sealed,) = contexts(bulla, key, 1)
    log.unlink(missing_ok=True)
    env = softhsm.mocked("C_Login:1+:after=0x100", log)
    done = bulla("verify", "-k", key, sealed, env=env, status=6)
    assert b"CKR_USER_NOT_LOGGED_IN" in done.stderr and calls(log, "C_Login_context") == 0


def test_token_is_known_again_behind_a_proxy(bulla, softhsm, tmp_path):
    """p11-kit-proxy gives the slots other numbers, but it is one token that counts its wrong PINs."""
    modules = bulla.home / ".config" / "pkcs11" / "modules"
    modules.mkdir(parents=True)
    sealed = [bulla.at(softhsm).seal(softhsm.uri(kind), X, name=kind) for kind in ("rsa", "p256")]
    direct, proxied = softhsm.uri("rsa"), softhsm.uri("p256", module_path=PROXY)
    assert bulla.open(proxied, sealed[1]) == X
    asked = f"echo >>{tmp_path}/asked; cat {bulla.home}/wrong"
    bulla("verify", "-k", direct, "-k", proxied, "--pin-command", asked, *sealed, status=(3, 5))
    assert (tmp_path / "asked").read_text() == "\n"


# A public key put there without a PIN.


@pytest.fixture
def family(bulla, softhsm):
    """Two versions of a key, and one of its bare name that somebody planted."""
    bulla.at(softhsm)
    bulla("key", "new", "-q", "--kind", "p256", softhsm.uri("backup"))
    bulla("key", "rotate", "-q", softhsm.uri("backup"))
    pem = bulla.home / "planted.pem"
    bulla("key", "export-public", "-o", pem, softhsm.uri("p256"))
    der = bulla.home / "planted.der"
    os.system(f"openssl pkey -pubin -in {pem} -outform DER -out {der} 2>/dev/null")
    return lambda label, id="dead": softhsm.tool("--write-object", der, "--type", "pubkey", "--label", label, "--id", id, login=False)


def test_planted_key_does_not_take_the_place_of_versions(bulla, softhsm, family):
    key = softhsm.uri("backup")
    old = bulla.seal(softhsm.uri("backup-v0001"), X)
    family("backup")
    for done in (
        bulla("encrypt", "-k", key, stdin=X, status=2),
        bulla("rewrap", "-k", softhsm.uri("backup-v0001"), "--to", key, old, status=2),
        bulla("key", "export-public", key, status=2),
        bulla("decrypt", "-o", "-", "-k", key, old, status=2),
        bulla("key", "rotate", key, status=2),
    ):
        assert done.stdout == b"" and b"'backup'" in done.stderr and b"'backup-v0002'" in done.stderr
        assert b"id=%DE%AD" in done.stderr and b"object=backup-v0002" in done.stderr
    assert bulla.open(softhsm.uri("backup-v0001"), old) == X


def test_named_more_closely_both_can_be_used(bulla, softhsm, family):
    family("backup")
    sealed = bulla("encrypt", "-k", softhsm.uri("backup", id=b"\xde\xad"), stdin=X).stdout
    assert bulla("decrypt", "-k", softhsm.uri("p256"), stdin=sealed).stdout == X
    sealed = bulla("encrypt", "-k", softhsm.uri("backup-v0002"), stdin=X).stdout
    assert bulla("decrypt", "-k", softhsm.uri("backup-v0002"), stdin=sealed).stdout == X


def test_type_tells_a_key_from_versions_of_another_type(bulla, softhsm, family):
    softhsm.make("aes", "backup")
    bulla("encrypt", "-k", softhsm.uri("backup"), stdin=X, status=2)
    sealed = bulla("encrypt", "-k", softhsm.uri("backup", type="secret-key"), stdin=X).stdout
    assert bulla("decrypt", "-k", softhsm.uri("backup", type="secret-key"), stdin=sealed).stdout == X


def test_planted_key_like_a_version_of_a_version_does_no_harm(bulla, softhsm, family):
    family("backup-v0002-v0001")
    sealed = bulla("encrypt", "-k", softhsm.uri("backup-v0002"), stdin=X).stdout
    assert bulla("decrypt", "-k", softhsm.uri("backup"), stdin=sealed).stdout == X


# PINs in references of another spelling: Bulla.check looks for them in all that is printed.

SPELLINGS = [
    "PKCS11:token=x?pin-value={}",
    "pkcs11:token=x?PIN-VALUE={}",
    "pkcs11:token=x?pin-val%75e={}",
    "pkcs11:token=x;pin-value={}",
    "pkcs11:token=x;object=y&pin-value={}",
    "pkcs11:token=x?module-path=/x;pin-value={}",
    "pkcs11:token=x?pin-value%3d{}",
    "pkcs11:token=x?pin-value=1;{}&module-path=/x",
    "pkcs11:token=x?pin-value=1&{}&module-path=/x",
    "pkcs11:token=x?x-vendor-pin={}",
    "file:pkcs11:token=x?pin-value={}",
    "FILE:PKCS11:token=x?pin-value={}",
    "./pkcs11:token=x?pin-value={}",
    " pkcs11:token=x?pin-value={}",
    "pkcs1:token=x?pin-value={}",
    "passphrase:pkcs11:token=x?pin-value={}",
    "arn:aws:kms?pin-value={}",
]


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_pin_in_a_reference_is_not_printed(bulla, spelling):
    key = spelling.format(PIN)
    for args in (["encrypt", "-k", key], ["key", "new", key], ["key", "list", key], ["key", "check", "--json", key]):
        for extra in ([], ["--allow-pin-in-uri"]):
            done = bulla(*args, *extra, stdin=X, status=(2, 6))
            assert done.stderr and PIN.encode() not in done.stdout + done.stderr
    assert os.listdir(bulla.work) == []


@pytest.mark.parametrize("scheme", ["PKCS11:", "Pkcs11:"])
def test_scheme_in_another_case(bulla, softhsm, scheme):
    bulla.at(softhsm)
    key = softhsm.uri("rsa").replace("pkcs11:", scheme)
    sealed = bulla("encrypt", "-k", key, stdin=X).stdout
    assert bulla("decrypt", "-k", key, stdin=sealed).stdout == X


def test_what_is_no_secret_is_shown(bulla, softhsm):
    key = "pkcs11:token=x;object=y;id=%01?module-path=/nowhere/module.so&pin-source=file:/z"
    done = bulla("encrypt", "-k", key, stdin=X, status=6)
    assert b"***" not in done.stderr and b"/nowhere/module.so" in done.stderr
    done = bulla("encrypt", "-k", "pkcs11:token=x;object=y;serial=", stdin=X, status=2)
    assert b"'pkcs11:token=x;object=y;serial='" in done.stderr


def test_wrong_pin_stays_unseen_too(bulla):
    bulla("encrypt", "-k", f"Pkcs11:token=x?Pin-Value={WRONG_PIN}", stdin=X, status=2)
