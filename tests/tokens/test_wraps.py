"""The wraps are what docs/FORMAT.md says: keys that are known are put on a token, and Python opens what bulla sealed to them."""

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

import independent
from sealed import content, layout, with_copies
from tokens import METHODS, NSS, SoftHSM

X = content(40_000)
USAGE = {"rsa": "--usage-decrypt", "p256": "--usage-derive", "p384": "--usage-derive"}


def make_private(kind):
    if kind == "rsa":
        return rsa.generate_private_key(65537, 2048)
    return ec.generate_private_key({"p256": ec.SECP256R1(), "p384": ec.SECP384R1()}[kind])


@pytest.fixture(scope="session")
def privates():
    made = {kind: make_private(kind) for kind in USAGE}
    return made | {"aes": bytes(range(32, 64))}


def put(token, kind, private):
    """Puts a key that is known on the token, with its public half."""
    path, name = token.directory / "key", ["--label", f"known {kind}", "--id", "b" + "0123"[list(METHODS).index(kind)]]
    if kind == "aes":
        path.write_bytes(private)
        token.tool("--write-object", path, "--type", "secrkey", "--key-type", "AES:32", *name)
    else:
        path.write_bytes(private.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption()))
        token.tool("--write-object", path, "--type", "privkey", USAGE[kind], *name)
        path.write_bytes(private.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo))
        token.tool("--write-object", path, "--type", "pubkey", USAGE[kind], *name)
    path.unlink()
    return token.uri(f"known {kind}")


CASES = [(cls, kind) for cls in (SoftHSM, NSS) for kind in METHODS]


@pytest.fixture(params=CASES, ids=[f"{cls.name}-{kind}" for cls, kind in CASES])
def known(request, bulla, privates):
    """A token, the kind of a key on it that is known, and the key."""
    cls, kind = request.param
    token = request.getfixturevalue(cls.name)
    bulla.at(token)
    if kind == "aes":
        bulla.secrets.add(privates["aes"].hex())
    put(token, kind, privates[kind])
    return token, kind, privates[kind]


def test_python_opens_what_bulla_sealed(bulla, known):
    token, kind, private = known
    key = token.uri(f"known {kind}")
    sealed = bulla.seal(key, X)
    envelope, _ = independent.read(sealed)
    assert independent.decode.METHODS[envelope.slots[0].method][0] == METHODS[kind]
    assert independent.opened(sealed, private) == X
    assert bulla("decrypt", "-k", key, "-o", "-", sealed).stdout == X


def test_header_names_the_key(bulla, known):
    token, kind, private = known
    key = token.uri(f"known {kind}")
    content, _ = independent.read(bulla.seal(key, X))
    fields = content.slots[0].fields
    assert fields["token_label"] == token.label and fields["key_label"] == f"known {kind}"
    assert fields["cka_id"].hex() == "b" + "0123"[list(METHODS).index(kind)]
    assert fields["token_serial"] and fields["token_serial"].strip() == fields["token_serial"]
    if kind == "aes":
        from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

        block = Cipher(algorithms.AES(private), modes.ECB()).encryptor().update(bytes(16))
        assert block.startswith(fields["check_value"]) and len(fields["check_value"]) in (0, 3)
    else:
        assert fields["spki_hash"] == independent.spki_hash(private.public_key())


@pytest.mark.parametrize("kind", USAGE)
def test_seal_by_the_public_key_is_the_same(bulla, softhsm, privates, kind, tmp_path):
    """A PEM made elsewhere serves as well as one that bulla exported."""
    pem = tmp_path / "elsewhere.pem"
    public = privates[kind].public_key()
    pem.write_bytes(public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    sealed = bulla.seal(pem, X)
    assert independent.opened(sealed, privates[kind]) == X
    key = put(softhsm, kind, privates[kind])
    assert bulla.at(softhsm)("decrypt", "-k", key, "-o", "-", sealed).stdout == X


def test_each_wrap_is_another(bulla, known):
    """Nonces, seeds and ephemeral keys are drawn each time."""
    token, kind, _ = known
    key = token.uri(f"known {kind}")
    wraps = [independent.read(bulla.seal(key, X, name=name))[0].slots[0].wrap for name in "ab"]
    assert wraps[0] != wraps[1] and wraps[0][:12] != wraps[1][:12]


def test_slot_is_bound_to_its_header(bulla, known, work):
    """Where the method has additional data: another label in the slot, and it does not open."""
    token, kind, private = known
    key = token.uri(f"known {kind}")
    sealed = bulla.seal(key, X)
    raw = sealed.read_bytes()
    copy, label = raw[: layout(raw).region], f"known {kind}".encode()
    assert copy.count(label) == 1
    sealed.write_bytes(with_copies(raw, copy.replace(label, label.replace(b"known", b"KNOWN"))))
    done = bulla("decrypt", "-k", key, "-o", "-", sealed, status=(0, 5, 6))
    assert (done.returncode == 0) == (kind == "rsa") and done.stdout == (X if kind == "rsa" else b"")


# The other methods for RSA and AES.


def method(sealed):
    content, _ = independent.read(sealed)
    return independent.decode.METHODS[content.slots[0].method][0]


def test_sha1_where_it_is_asked_for(bulla, softhsm, privates):
    key = put(softhsm, "rsa", privates["rsa"])
    sealed = bulla.at(softhsm).seal(key, X, "--oaep", "sha1")
    assert method(sealed) == "pkcs11-rsa-oaep-sha1" and b"pkcs11-rsa-oaep-sha1" in bulla("inspect", sealed).stdout
    assert independent.opened(sealed, privates["rsa"]) == X
    assert bulla("decrypt", "-k", key, "-o", "-", sealed).stdout == X
    assert method(bulla.seal(key, X, name="usual")) == "pkcs11-rsa-oaep-sha256"
    bulla("encrypt", "-k", key, "--oaep", "sha512", stdin=X, status=2)


NO_RAW_RSA = "C_GetMechanismList:1+:hide@0x3"
PASSING = {0x30: "CKR_DEVICE_ERROR", 0x32: "CKR_DEVICE_REMOVED", 0xB3: "CKR_SESSION_HANDLE_INVALID", 0xE0: "CKR_TOKEN_NOT_PRESENT"}
PASSING |= {0xA0: "CKR_PIN_INCORRECT", 0x101: "CKR_USER_NOT_LOGGED_IN", 0x80001234: "0x80001234"}


def test_sha1_where_the_token_knows_no_other(bulla, softhsm, privates):
    """It gives no raw numbers, and of OAEP it knows SHA-1 alone."""
    put(softhsm, "rsa", privates["rsa"])
    key = softhsm.uri("known rsa", mock=True)
    bulla.environment |= softhsm.mocked(NO_RAW_RSA)
    done = bulla("encrypt", "-k", key, "-o", "a.bulla", stdin=X)
    assert b"SHA-1 is used" in done.stderr and method(bulla.work / "a.bulla") == "pkcs11-rsa-oaep-sha1"
    assert independent.opened(bulla.work / "a.bulla", privates["rsa"]) == X
    assert bulla("decrypt", "-k", key, "-o", "-", "a.bulla").stdout == X


@pytest.mark.parametrize("function, on", [("C_Decrypt", ""), ("C_DecryptInit", ""), ("C_DecryptInit", "+"), ("C_Login", "+")])
def test_no_sha1_because_the_token_failed(bulla, nss, function, on):
    """NSS knows SHA-256 too. A token that fails once may do better the next time, as where that is tried at once: it is no
    reason for a weaker wrap."""
    key = nss.uri("rsa", mock=True)
    bulla("encrypt", "-k", key, "-o", "a.bulla", stdin=X, env=nss.mocked(NO_RAW_RSA))
    assert method(bulla.work / "a.bulla") == "pkcs11-rsa-oaep-sha256"
    for code, says in PASSING.items():
        faults = f"{NO_RAW_RSA} {function}:1{on}:rv={code}"
        made = bulla.work / "b.bulla"
        done = bulla("encrypt", "-k", key, "-o", made, stdin=X, env=nss.mocked(faults), status=(5, 6) if on else (0, 5, 6))
        assert b"SHA-1" not in done.stderr and made.exists() == (done.returncode == 0)
        if done.returncode != 0:
            assert says.encode() in done.stderr
        else:
            assert method(made) == "pkcs11-rsa-oaep-sha256"
            made.unlink()


@pytest.mark.parametrize("lie", ["flip", "length=31", "length=33", "rv=0x5", "rv=0x40"])
def test_trial_that_gives_another_key(bulla, nss, lie):
    """Each time it is tried: then not by SHA-1 either."""
    env = nss.mocked(f"{NO_RAW_RSA} C_Decrypt:1+:{lie}")
    done = bulla("encrypt", "-k", nss.uri("rsa", mock=True), "-o", "a.bulla", stdin=X, env=env, status=(5, 6))
    assert b"token" in done.stderr and not (bulla.work / "a.bulla").exists()


NO_GCM = "C_GetMechanismList:1+:hide@0x1087 C_GetMechanismInfo:1+:rv=0x70@0x1087"


@pytest.mark.parametrize("cls", [SoftHSM, NSS], ids=["softhsm", "nss"])
def test_key_wrap_where_the_token_has_no_gcm(bulla, request, cls, privates):
    token = request.getfixturevalue(cls.name)
    bulla.at(token).secrets.add(privates["aes"].hex())
    put(token, "aes", privates["aes"])
    key = token.uri("known aes", mock=True)
    for faults in (NO_GCM, ""):
        bulla.environment |= token.mocked(faults)
        sealed = bulla.seal(key, X, "--force")
        assert method(sealed) == ("pkcs11-aes-kw" if faults else "pkcs11-aes-gcm")
        assert independent.opened(sealed, privates["aes"]) == X
        assert bulla("decrypt", "-k", key, "-o", "-", sealed).stdout == X


@pytest.mark.parametrize("kind", ["rsa", "p256", "p384"])
def test_nss_opens_what_the_public_key_sealed(bulla, nss, privates, kind, tmp_path):
    """The same wraps on another implementation."""
    pem = tmp_path / "elsewhere.pem"
    pem.write_bytes(privates[kind].public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    sealed = bulla.seal(pem, X)
    key = put(nss, kind, privates[kind])
    assert bulla.at(nss)("decrypt", "-k", key, "-o", "-", sealed).stdout == X


def test_hpke_in_python_is_that_of_rfc_9180():
    """Appendix A.3.1, with AES-128-GCM."""
    private = ec.derive_private_key(0xF3CE7FDAE57E1A310D87F1EBBDE6F328BE0A99CDBCADF4D6589CF29DE4B8FFD2, ec.SECP256R1())
    enc = "04a92719c6195d5085104f469a8b9814d5838ff72b60501e2c4466e5e67b325ac98536d7b61a1af4b78e5b7f951c0900be863c403ce65c9bfcb9382657222d18c4"
    ciphertext = "5ad590bb8baa577f8619db35a36311226a896e7342a6d836d8b7bcd2f20b6c7f9076ac232e3ab2523f39513434"
    wrap = bytes.fromhex(enc + ciphertext)
    got = independent.hpke_open(independent.P256_HPKE, private, wrap, b"Count-0", b"Ode on a Grecian Urn", (1, 16))
    assert got == b"Beauty is truth, truth beauty"
