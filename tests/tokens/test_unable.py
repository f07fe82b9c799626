"""Keys that cannot open what is sealed to them: nothing is sealed or moved to one that is seen to be so, and no old slot goes for one."""

import os
import subprocess

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from sealed import content, snapshot
from tokens import LIBRARIES, PIN

X = content(1000)
ECDH, RSA_RAW, RSA_OAEP = 0x1050, 0x3, 0x9
SIGNER = ["--keypairgen", "--key-type", "EC:prime256v1", "--usage-sign"]
NO_LOGIN_NEEDED = "C_GetTokenInfo:1+:clear=4"


@pytest.fixture
def bulla(bulla, softhsm):
    return bulla.at(softhsm)


def put_private(token, private, label, id):
    path = token.directory / "key"
    path.write_bytes(private.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption()))
    token.tool("--write-object", path, "--type", "privkey", "--usage-derive", "--label", label, "--id", id)


def put_public(token, private, label, id, *usage):
    path = token.directory / "key"
    path.write_bytes(private.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo))
    token.tool("--write-object", path, "--type", "pubkey", *usage, "--label", label, "--id", id, login=False)


def imported(token):
    pem = token.directory / "imported.pem"
    private = ec.generate_private_key(ec.SECP256R1())
    pem.write_bytes(private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    token.util("--import", pem, "--token", token.label, "--pin", PIN, "--label", "unable", "--id", "e1")


def signer(token):
    token.tool(*SIGNER, "--label", "unable", "--id", "e1")


def rsa_signer(token):
    token.tool("--keypairgen", "--key-type", "rsa:2048", "--usage-sign", "--label", "unable", "--id", "e1", faults="C_GenerateKeyPair:1:unfit")


def public_half(token):
    put_public(token, ec.generate_private_key(ec.SECP256R1()), "unable", "e1")


WAYS = [imported, signer, rsa_signer, public_half]


@pytest.fixture(params=WAYS, ids=lambda way: way.__name__)
def unable(request, softhsm):
    """The reference of a key that opens nothing."""
    request.param(softhsm)
    return softhsm.uri("unable")


@pytest.mark.parametrize("change", [["rewrap", "--to"], ["rewrap", "--add"], ["reencrypt", "--to"]], ids=" ".join)
def test_no_old_slot_goes_for_a_key_that_opens_nothing(bulla, ring, unable, change):
    sealed = [bulla.seal(ring, X, name=name) for name in "ab"]
    before = snapshot(bulla.work)
    done = bulla(change[0], "-k", ring, change[1], unable, *sealed, status=3)
    assert done.stderr.count(b"'unable'") + done.stderr.count(b"does not open what is sealed to it") >= 2
    assert all(f"bulla: '{path}': ".encode() in done.stderr for path in sealed), "a failure that does not name its file"
    assert snapshot(bulla.work) == before and bulla.open(ring, sealed[0]) == X
    bulla(change[0], "-k", ring, change[1], unable, sealed[0], status=5)
    assert snapshot(bulla.work) == before


def test_who_seals_is_warned_once_where_nothing_shows_that_it_opens(bulla, unable, work):
    """No PIN is asked for, so that is all that can be said."""
    del bulla.environment["BULLA_PIN_FILE"]
    for name in "abc":
        (work / name).write_bytes(X)
    done = bulla("encrypt", "-k", unable, "a", "b", "c", start_new_session=True)
    assert done.stderr.count(b"warning") == 1 and b"key 'unable': nothing shows that token 'bulla lab' can open" in done.stderr
    assert b"'bulla key check'" in done.stderr


@pytest.mark.parametrize("kind", ["rsa", "p256", "p384", "aes"])
def test_who_seals_to_a_good_key_is_not_warned(bulla, softhsm, kind):
    bulla("key", "new", "-q", "--kind", {"rsa": "rsa2048", "aes": "aes256"}.get(kind, kind), softhsm.uri("made"))
    for name in (kind, "made"):
        assert bulla("encrypt", "-k", softhsm.uri(name), stdin=X).stderr == b""


def test_check_does_not_end_well(bulla, unable):
    done = bulla("key", "check", unable, status=5)
    assert b"yes" not in done.stdout.split(b"unwraps")[-1] and done.stderr


@pytest.mark.parametrize("what", ["wrong PIN", "no PIN"])
def test_check_does_not_end_well_without_the_pin(bulla, softhsm, what):
    env = {"BULLA_PIN_FILE": str(bulla.home / "wrong") if what == "wrong PIN" else ""}
    for kind in ("rsa", "p256"):
        bulla("key", "check", softhsm.uri(kind), env=env, status=5 if what == "wrong PIN" else 2, start_new_session=True)


def test_check_of_a_key_that_only_seals_ends_well(bulla, softhsm):
    bulla("key", "export-public", "-o", "x.pem", softhsm.uri("p256"))
    assert b"a public key only seals" in bulla("key", "check", "x.pem").stdout


# What is seen without a PIN.


@pytest.fixture
def sealing(bulla, ring):
    """Each way to seal to a key, and to hand it on; none asks for a PIN, and each leaves all as it was."""
    del bulla.environment["BULLA_PIN_FILE"]
    sealed = bulla.seal(ring, X)

    def refused(key, says, **how):
        before = snapshot(bulla.work)
        for args in (["encrypt", "-o", "out", "-k", key], ["rewrap", "-k", ring, "--to", key, sealed], ["reencrypt", "-k", ring, "--to", key, sealed],
                     ["key", "export-public", "-o", "out", key]):  # fmt: skip
            done = bulla(*args, stdin=X, status=5, start_new_session=True, **how)
            assert says in done.stderr.decode() and done.stdout == b"" and snapshot(bulla.work) == before

    return refused


@pytest.mark.parametrize("kind, hidden, says", [
    ("p256", f"hide@{ECDH}", "it has no ECDH (CKM_ECDH1_DERIVE)"),
    ("p384", f"hide@{ECDH}", "it has no ECDH (CKM_ECDH1_DERIVE)"),
    ("rsa", f"hide={RSA_OAEP}@{RSA_RAW}", "it has no RSA decryption (CKM_RSA_X_509 or CKM_RSA_PKCS_OAEP)"),
])  # fmt: skip
def test_token_without_the_mechanism(bulla, softhsm, sealing, kind, hidden, says):
    sealing(softhsm.uri(kind, mock=True), says, env=softhsm.mocked(f"C_GetMechanismList:1+:{hidden}"))


def test_private_key_that_is_seen_to_be_for_something_else(bulla, softhsm, sealing):
    softhsm.tool(*SIGNER, "--label", "signer", "--id", "e2", faults="C_GenerateKeyPair:1:open")
    sealing(softhsm.uri("signer"), "the private key 'signer' on token 'bulla lab' has CKA_DERIVE false")


def test_private_key_that_is_seen_to_be_good(bulla, softhsm, sealing):
    softhsm.tool("--keypairgen", "--key-type", "EC:prime256v1", "--usage-derive", "--label", "open", "--id", "e2", faults="C_GenerateKeyPair:1:open")
    done = bulla("encrypt", "-k", softhsm.uri("open"), stdin=X, start_new_session=True)
    assert done.stderr == b""


def test_private_key_that_is_seen_to_be_missing(bulla, softhsm, sealing):
    """A token that needs no login shows all it has."""
    sealing(softhsm.uri("p256", mock=True), "token 'bulla lab' has no private key for the public key 'p256'", env=softhsm.mocked(NO_LOGIN_NEEDED))


def test_tpm_that_knows_no_ecdh(bulla, tpm, sealing):
    """The real thing: tpm2-pkcs11 makes keys of P-256 and cannot derive by them."""
    bulla.at(tpm)
    tpm.tool(*SIGNER, "--label", "signer", "--id", "e3")
    sealing(tpm.uri("signer"), "it has no ECDH (CKM_ECDH1_DERIVE)")


# A token at the other end of a socket.


@pytest.fixture
def remote(bulla, softhsm, tmp_path):
    """SoftHSM behind 'p11-kit server', which hands on only those mechanisms whose parameters it knows."""
    client, address = LIBRARIES / "pkcs11" / "p11-kit-client.so", tmp_path / "socket"
    command = ["p11-kit", "server", "--foreground", "--name", address, "--provider", softhsm.module, f"pkcs11:token={softhsm.label.replace(' ', '%20')}"]
    server = subprocess.Popen(command, env={"PATH": os.environ["PATH"], **softhsm.env}, stdout=subprocess.DEVNULL)
    while not address.exists():
        assert server.poll() is None, "the server does not start"
    bulla.environment["P11_KIT_SERVER_ADDRESS"] = f"unix:path={address}"
    yield lambda name: softhsm.uri(name, module_path=client)
    server.kill()
    server.wait()


def test_server_that_may_hand_on_ecdh(bulla, remote, request):
    """By what its token says: p11-kit 0.24 knows no ECDH, 0.25 does."""
    client = ["pkcs11-tool", "--module", LIBRARIES / "pkcs11" / "p11-kit-client.so", "--list-mechanisms"]
    if b"ECDH1-DERIVE," in subprocess.run(client, env=bulla.setting()["env"], check=True, capture_output=True).stdout:
        assert bulla.open(remote("p256"), bulla.seal(remote("p256"), X)) == X
    else:
        request.getfixturevalue("sealing")(remote("p256"), "it has no ECDH (CKM_ECDH1_DERIVE)")


def test_server_that_hands_on_rsa(bulla, remote):
    sealed = bulla.seal(remote("rsa"), X)
    assert bulla.open(remote("rsa"), sealed) == X


# Several private keys of one CKA_ID.


@pytest.mark.parametrize("kind", ["p256", "rsa"])
def test_twins_are_told_apart_by_their_labels(bulla, softhsm, ring, kind):
    """A private key of EC shows nothing of its public half."""
    for label in ("one", "two"):
        softhsm.make(kind, label, id="f1")
    for label, other in (("one", "two"), ("two", "one")):
        key = softhsm.uri(label)
        sealed = bulla.seal(key, X, name=label)
        assert bulla.open(key, sealed) == bulla.open(softhsm.uri(), sealed) == X
        bulla("decrypt", "-k", softhsm.uri(other), "-o", "-", sealed, status=5)
        bulla("rewrap", "-k", key, "--add", ring, sealed)
        bulla("rewrap", "-k", ring, "--to", key, sealed)
        assert bulla.open(key, sealed) == X


def test_twins_that_nothing_tells_apart_are_tried(bulla, softhsm):
    privates = {label: ec.generate_private_key(ec.SECP256R1()) for label in ("one", "two", "three")}
    for label, private in privates.items():
        put_private(softhsm, private, f"a half of {label}", "f2")
        put_public(softhsm, private, label, "f2", "--usage-derive")
    for label in privates:
        assert bulla.open(softhsm.uri(label), bulla.seal(softhsm.uri(label), X, name=label)) == X


def test_twin_that_may_not_derive_does_not_stand_in_the_way(bulla, softhsm):
    softhsm.tool(*SIGNER, "--label", "signer", "--id", "f3")
    softhsm.make("p256", "good", id="f3")
    key = softhsm.uri("good")
    assert bulla.open(key, bulla.seal(key, X)) == X
    bulla("key", "check", key)


def test_another_key_behind_the_public_one_is_no_way_to_open(bulla, softhsm, ring):
    """A public half with the CKA_ID and the label of a private key that is not its own."""
    softhsm.tool("--delete-object", "--type", "pubkey", "--label", "p256")
    put_public(softhsm, ec.generate_private_key(ec.SECP256R1()), "p256", "a2")
    sealed = bulla.seal(ring, X)
    before = snapshot(bulla.work)
    done = bulla("rewrap", "-k", ring, "--to", softhsm.uri("p256"), sealed, status=5)
    assert b"the new pkcs11 key does not open what is sealed to it" in done.stderr and snapshot(bulla.work) == before


# Who moves files to a public key alone.


@pytest.mark.parametrize("verb", ["rewrap", "reencrypt"])
def test_who_moves_files_to_a_key_that_only_seals_is_told(bulla, softhsm, ring, verb):
    bulla("key", "export-public", "-q", "-o", bulla.home / "x.pem", softhsm.uri("p256"))
    sealed = [bulla.seal(ring, X, name=name) for name in "ab"]
    done = bulla(verb, "-k", ring, "--to", bulla.home / "x.pem", *sealed)
    assert done.stderr.count(b"warning") == 1 and b"a key that only seals replaces others" in done.stderr
    assert bulla.open(softhsm.uri("p256"), sealed[1]) == X


def test_pin_is_wanted_once_for_a_run_that_moves_files(bulla, softhsm, ring, tmp_path):
    """Four contexts are four branches: the new key opens one of them."""
    log = tmp_path / "log"
    sealed = [bulla.seal(ring, X, "--context", f"n={n}", name=f"{n}") for n in range(4)]
    bulla.environment |= softhsm.mocked(log=log)
    key = softhsm.uri("p256", mock=True)
    bulla("rewrap", "-k", ring, "--to", key, *sealed)
    calls = [line.split()[2] for line in log.read_text().splitlines()]
    assert (calls.count("C_Login"), calls.count("C_DeriveKey")) == (1, 1)
    assert all(bulla.open(key, path) == X for path in sealed)
