"""What KMS refuses, and what is wrong in an answer: said with names, never retried in vain, never believed."""

import re

import pytest

import faults
from faults import error, members, status, without
from kms_files import CONTENT, opened

# The exit statuses are the rows of docs/KMS.md, "When it fails".
NO_KEY, STORE, POLICY = 5, 6, 7

REFUSALS = [  # name, exit status, what else is said
    ("AccessDeniedException", POLICY, "a policy must allow kms:"),
    ("NotFoundException", NO_KEY, "there is no such key in this account and region"),
    ("DisabledException", POLICY, "'aws kms enable-key' enables it"),
    ("KMSInvalidStateException", POLICY, "waiting for its deletion"),
    ("InvalidKeyUsageException", POLICY, "the key must be symmetric"),
    ("InvalidGrantTokenException", POLICY, ""),
    ("IncorrectKeyException", NO_KEY, "it was sealed to another key"),
    ("InvalidCiphertextException", NO_KEY, "is not as it was sealed"),
    ("UnrecognizedClientException", POLICY, "AWS does not know these credentials"),
    ("InvalidSignatureException", POLICY, "the secret key is wrong, or the clock"),
    ("RequestExpired", POLICY, "set the clock of this machine"),
    ("RequestTimeTooSkewed", POLICY, "set the clock of this machine"),
    ("RequestInTheFuture", POLICY, "set the clock of this machine"),
    ("MissingAuthenticationTokenException", POLICY, ""),
    ("ValidationException", POLICY, ""),
    ("NobodyKnowsThisException", POLICY, ""),
]

OTHER, NO_ARN, NOT_JSON, LONG = "another key answered", "the answer has no ARN of a key", "the answer is not JSON", "is longer than 65536 bytes"
WRONG = {  # fault, exit status, what is said
    "another key": (members(KeyId="arn:aws:kms:us-east-1:111122223333:key/00000000-0000-0000-0000-000000000000"), POLICY, OTHER),
    "another account": (members(KeyId="arn:aws:kms:us-east-1:999999999999:key/x"), POLICY, OTHER),
    "no ARN": (members(KeyId="x"), POLICY, NO_ARN),
    "ARN is a number": (members(KeyId=7), POLICY, NO_ARN),
    "no key": (without("KeyId"), POLICY, NO_ARN),
    "a list": (faults.a_list, STORE, NOT_JSON),
    "not JSON": (faults.not_json, STORE, NOT_JSON),
    "empty": (faults.empty, STORE, NOT_JSON),
    "big": (faults.big, POLICY, LONG),
    "deep": (faults.deep, POLICY, LONG),
    "twice": (faults.duplicate, STORE, NOT_JSON),
    "zero bytes": (faults.zero_bytes, STORE, NOT_JSON),
    "not UTF-8": (faults.latin, STORE, NOT_JSON),
    "a success that is none": (status(204, b""), POLICY, "HTTP status 204"),
    "a page of a gateway": (status(200), STORE, "the answer is not JSON (request without an id)"),
    "status 300": (status(300), POLICY, "HTTP status 300, a redirect, which is not followed"),
    "status 404": (status(404), POLICY, "HTTP status 404"),
}
WRONG_PLAINTEXT = {
    "too short": members(Plaintext=b"x" * 31),
    "too long": members(Plaintext=b"x" * 33),
    "none": without("Plaintext"),
    "empty": members(Plaintext=""),
    "not base64": members(Plaintext="!" * 44),
    "a cut base64": members(Plaintext="AAAA" * 10 + "AAA"),
    "a number": members(Plaintext=5),
    "another key": members(Plaintext=b"x" * 32),
}
WRONG_BLOB = {
    "none": without("CiphertextBlob"),
    "empty": members(CiphertextBlob=""),
    "not base64": members(CiphertextBlob="#"),
    "too long": members(CiphertextBlob=b"x" * 6145),
}


@pytest.fixture
def sealed(bulla, key):
    return bulla.seal(key.arn, CONTENT)


@pytest.mark.parametrize("name, expected, hint", REFUSALS)
def test_refusals(bulla, aws, key, sealed, name, expected, hint):
    """One call; the message has the name, the key and the request, and says what to do."""
    seen = []

    def refuse(answer, request):
        seen.append(error(name, "words of KMS")(answer, request))
        return seen[-1]

    aws.fault("Decrypt", refuse, times=9)
    done = opened(bulla, key, sealed=sealed, status=expected)
    request_id = seen[0].headers["x-amzn-RequestId"]
    assert aws.calls["Decrypt"] == len(seen) == 1 and done.stdout == b""
    for word in (name, key.arn, request_id, hint):
        assert word.encode() in done.stderr, word
    # What KMS says of a signature repeats the request that was signed, with its token.
    assert (b"words of KMS" in done.stderr) == (name != "InvalidSignatureException")
    aws.fault("Encrypt", refuse, times=9)
    bulla("encrypt", "-k", key.arn, "-o", "out.bulla", stdin=b"x", status=expected)
    assert aws.calls["Encrypt"] == 2 and not (bulla.work / "out.bulla").exists()


@pytest.mark.parametrize("code", [409, 429, 500, 503])
@pytest.mark.parametrize("name, expected", [("KMSInvalidStateException", POLICY), ("DisabledException", POLICY), ("NotFoundException", NO_KEY)])
def test_what_stays_is_not_tried_again_whatever_the_http_status(bulla, aws, key, sealed, name, expected, code):
    """Gateways and stand-ins answer with 500 for all that is refused."""
    aws.fault("Decrypt", error(name, "words of KMS", code), times=9)
    done = opened(bulla, key, sealed=sealed, status=expected)
    assert aws.calls["Decrypt"] == 1 and b"later" not in done.stderr and done.stdout == b""


@pytest.mark.parametrize("verb", ["Encrypt", "Decrypt"])
def test_hint_names_the_permission(bulla, cloud, aws, key, sealed, verb):
    nobody = cloud.user("nobody", "kms:DescribeKey").environment()
    words = ["encrypt", "-o", "-"] if verb == "Encrypt" else ["decrypt", "-o", "-", sealed]
    done = bulla(*words, "-k", key.arn, stdin=b"x", env=nobody, status=7)
    assert re.search(rb"hint: .*kms:%s" % verb.encode(), done.stderr) and aws.calls[verb] == (2 if verb == "Encrypt" else 1)


@pytest.mark.parametrize("shape", ['{"__type":"com.amazonaws.kms#DisabledException","message":"m"}', '{"__type":"DisabledException","Message":"m"}',
                                   '{"__type":"DisabledException"}', '{"__type":"DisabledException","message":null}'])  # fmt: skip
@pytest.mark.parametrize("code", [400, 403])
def test_shapes_of_a_refusal(bulla, aws, key, sealed, shape, code):
    aws.fault("Decrypt", status(code, shape.encode()), times=9)
    done = opened(bulla, key, sealed=sealed, status=7)
    assert b"DisabledException" in done.stderr and b"amazonaws.kms#" not in done.stderr and aws.calls["Decrypt"] == 1


def test_refusal_in_a_header(bulla, aws, key, sealed):
    """Gateways answer without a body."""
    aws.fault("Decrypt", lambda answer, request: type(answer)(400, b"", {"x-amzn-ErrorType": "DisabledException:http://x/"}), times=9)
    assert b"HTTP status 400" in opened(bulla, key, sealed=sealed, status=POLICY).stderr
    assert aws.calls["Decrypt"] == 1


def test_escapes_of_the_server_do_not_steer_the_terminal(bulla, aws, key, sealed):
    aws.fault("Decrypt", error("AccessDeniedException", "\x1b[2Jhello\x07\u202e\n\nbulla: all is well"), times=9)
    done = opened(bulla, key, sealed=sealed, status=7)
    assert not re.search(rb"[\x00-\x09\x0b-\x1f]", done.stderr) and "\u202e".encode() not in done.stderr
    assert b"\nbulla: all is well" not in done.stderr


def test_long_words_of_the_server_are_cut(bulla, aws, key, sealed):
    aws.fault("Decrypt", error("AccessDeniedException", "x" * 60_000), times=9)
    assert len(opened(bulla, key, sealed=sealed, status=7).stderr) < 4000


@pytest.mark.parametrize("what", WRONG)
def test_wrong_answers_to_decrypt(bulla, aws, key, sealed, what):
    fault, expected, words = WRONG[what]
    aws.fault("Decrypt", fault, times=9)
    done = opened(bulla, key, sealed=sealed, status=expected)
    assert words.encode() in done.stderr and done.stdout == b"" and len(done.stderr) < 4000 and aws.calls["Decrypt"] == 1


@pytest.mark.parametrize("what", WRONG)
def test_wrong_answers_to_encrypt(bulla, aws, key, what):
    fault, expected, words = WRONG[what]
    aws.fault("Encrypt", fault, times=9)
    done = bulla("encrypt", "-k", key.arn, "-o", "out.bulla", stdin=b"x", status=expected)
    assert words.encode() in done.stderr and aws.calls["Encrypt"] == 1 and not (bulla.work / "out.bulla").exists()


@pytest.mark.parametrize("what", WRONG_PLAINTEXT)
def test_wrong_plaintexts(bulla, aws, key, sealed, what):
    """One that is no branch key is not to be trusted; another branch key just does not open the file."""
    aws.fault("Decrypt", WRONG_PLAINTEXT[what], times=9)
    assert opened(bulla, key, sealed=sealed, status=5 if what == "another key" else 7).stdout == b""


@pytest.mark.parametrize("what", WRONG_BLOB)
@pytest.mark.parametrize("operation", ["Encrypt", "ReEncrypt"])
def test_wrong_blobs(bulla, cloud, aws, key, sealed, what, operation):
    before = sealed.read_bytes()
    aws.fault(operation, WRONG_BLOB[what], times=9)
    made = bulla("encrypt", "-k", key.arn, "-o", "out.bulla", stdin=b"x", status=POLICY if operation == "Encrypt" else 0)
    moved = bulla("rewrap", "-k", key.arn, "--to", cloud.key().arn, sealed, status=POLICY if operation == "ReEncrypt" else 0)
    said = {"Encrypt": made, "ReEncrypt": moved}[operation].stderr
    assert f"kms:{operation}: the answer has no CiphertextBlob".encode() in said
    assert (sealed.read_bytes() == before) == (operation == "ReEncrypt")


@pytest.mark.parametrize("end", ["KeyId", "SourceKeyId"])
def test_wrong_arns_of_a_rewrap(bulla, cloud, aws, key, sealed, end):
    """Both ends are compared."""
    before, other = sealed.read_bytes(), cloud.key()
    aws.fault("ReEncrypt", members(**{end: "arn:aws:kms:us-east-1:999999999999:key/x"}), times=9)
    done = bulla("rewrap", "-k", key.arn, "--to", other.arn, sealed, status=POLICY)
    assert f"key '{(key if end == 'SourceKeyId' else other).arn}': {OTHER}".encode() in done.stderr
    assert sealed.read_bytes() == before


def test_headers_without_end(bulla, aws, key, sealed):
    aws.fault("Decrypt", faults.many_headers, times=9)
    done = opened(bulla, key, sealed=sealed, options=["--kms-timeout", "5"], status=7)
    assert b"or its headers than 32768" in done.stderr and done.stdout == b""


def test_request_id_is_bounded_and_escaped(bulla, aws, key, sealed):
    def refuse(answer, request):
        return type(answer)(400, b'{"__type":"DisabledException"}', {"x-amzn-RequestId": "\x1b[2J" + "r" * 7000})

    aws.fault("Decrypt", refuse, times=9)
    done = opened(bulla, key, sealed=sealed, status=7)
    assert b"\x1b" not in done.stderr and len(done.stderr) < 4000


@pytest.mark.parametrize("material, expected", [("", 0), ("x" * 200, 0), ("\u0000", STORE), (7, 0), ("\x1b[2J", 0), (None, 0)])
def test_strange_material_ids(bulla, aws, key, material, expected):
    """It is for status alone: what is not an id must not make a file that does not open."""
    for operation, change in (("DescribeKey", {"KeyMetadata": {"Arn": key.arn, "KeyState": "Enabled", "KeyUsage": "ENCRYPT_DECRYPT", "CurrentKeyMaterialId": material}}),
                              ("Encrypt", {"KeyMaterialId": material}), ("Decrypt", {"KeyMaterialId": material})):  # fmt: skip
        aws.fault(operation, members(**change), times=9)
    done = bulla("encrypt", "-k", key.arn, "-o", "out.bulla", stdin=CONTENT, status=expected)
    if expected == 0:
        assert opened(bulla, key, sealed="out.bulla").stdout == CONTENT
        assert b"\x1b" not in bulla("status", "out.bulla").stdout
    else:  # JSON may not have it
        assert NOT_JSON.encode() in done.stderr and not (bulla.work / "out.bulla").exists()
