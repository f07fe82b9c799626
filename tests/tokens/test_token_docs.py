"""docs/HSM.md keeps its word: its lines open a file without bulla, by the token's own tools and the independent decoder."""

import pathlib
import re
import subprocess
from urllib.parse import quote

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from document import blocks, section
from sealed import content
from tokens import IDS, MOCK

DECODER = pathlib.Path(__file__).parents[1] / "decoder" / "decode.py"
X = content(40_000)
BY_TOKEN, PADDED, BY_ENGINE, BY_FILE = blocks(section("HSM.md", "When bulla is gone"))
SHOW, OPEN = BY_TOKEN[: BY_TOKEN.index("pkcs11-tool")], BY_TOKEN[BY_TOKEN.index("python3 decode.py --branch-key") :]


def type_in(bulla, *lines, token=None):
    """Runs the lines of the document in the directory of the sealed file; the names that stand for others are put in."""
    script = "".join(lines)
    if token:
        script = re.sub(r"\bMODULE\b", str(MOCK), script).replace("--token-label lab", f"--token-label '{token.label}'")
        script = script.replace("CKA_ID", IDS["rsa"]).replace("--login", f"--login --pin {token.pin}")
        script = script.replace("token=lab;object=KEY_LABEL", f"token={quote(token.label)};object=rsa;pin-value={token.pin}")
    env = {"PATH": "/usr/bin:/bin", "HOME": str(bulla.home), **(token.mocked() if token else {})}
    (bulla.work / "decode.py").write_bytes(DECODER.read_bytes())
    done = subprocess.run(["bash", "-e", "-o", "pipefail", "-c", script], env=env, cwd=bulla.work, capture_output=True)
    assert done.returncode == 0, done.stderr
    return (bulla.work / "dump").read_bytes()


def test_by_oaep_of_the_token(bulla, tpm):
    bulla.at(tpm).seal(tpm.uri("rsa"), X, name="dump")
    assert type_in(bulla, BY_TOKEN, token=tpm) == X


def test_by_oaep_with_sha1(bulla, softhsm):
    assert "--hash-algorithm SHA-1 --mgf MGF1-SHA1" in section("HSM.md", "When bulla is gone")
    bulla.at(softhsm).seal(softhsm.uri("rsa"), X, "--oaep", "sha1", name="dump")
    lines = BY_TOKEN.replace("SHA256", "SHA-1").replace("MGF1-SHA-1", "MGF1-SHA1")
    assert "--hash-algorithm SHA-1 --mgf MGF1-SHA1" in lines
    assert type_in(bulla, lines, token=softhsm) == X


@pytest.mark.parametrize("name", ["softhsm", "nss"])
def test_by_the_padded_number(bulla, request, name):
    """It does not need what SoftHSM, and NSS for OpenSC before 0.26, refuse: that is seen first."""
    token = request.getfixturevalue(name)
    bulla.at(token).seal(token.uri("rsa"), X, name="dump")
    try:
        plain = type_in(bulla, BY_TOKEN, token=token)
    except AssertionError as refused:
        assert re.search("C_DecryptInit failed: rv = (CKR_ARGUMENTS_BAD|CKR_MECHANISM_PARAM_INVALID)", str(refused))
    else:
        assert name == "nss" and plain == X
    assert type_in(bulla, PADDED, OPEN, token=token) == X


@pytest.mark.parametrize("name", ["softhsm", "nss"])
def test_by_the_engine_of_libp11(bulla, request, name):
    """Another implementation that people have, which shares no code with bulla: by a key that is on a token alone."""
    token = request.getfixturevalue(name)
    bulla.at(token).seal(token.uri("rsa"), X, name="dump")
    assert type_in(bulla, SHOW, BY_ENGINE, OPEN, token=token) == X


def test_by_the_private_key_itself(bulla):
    private = rsa.generate_private_key(65537, 2048)
    pem = bulla.work / "public.pem"
    pem.write_bytes(private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    (bulla.work / "private.pem").write_bytes(private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    bulla.seal(pem, X, name="dump")
    assert type_in(bulla, SHOW, BY_FILE, OPEN) == X


def test_another_key_gives_nothing(bulla, softhsm):
    """The branch key is checked against the branch id: a wrong one opens nothing."""
    bulla.at(softhsm).seal(softhsm.uri("rsa"), X, name="dump")
    (bulla.work / "branch.key").write_bytes(bytes(32))
    with pytest.raises(AssertionError, match="the branch key is not the one of this file"):
        type_in(bulla, OPEN, token=softhsm)
    assert (bulla.work / "dump").read_bytes() == b""
