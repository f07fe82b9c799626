"""Seeds for fuzzing: real files, made by the program and by others, and the first words of each other kind of input.

usage: seeds.py BULLA FOLDER
Writes FOLDER/TARGET/NAME. tests/fuzz/run calls it; what of them reaches more than others is in the corpus.
"""

import datetime
import json
import os
import pathlib
import struct
import subprocess
import sys
import tempfile

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

FIXTURES = pathlib.Path(__file__).resolve().parents[1] / "fixtures" / "v1"
ARN = "arn:aws:kms:eu-west-1:111122223333:key/a"
PASSPHRASE = b"fuzz"  # as keyring.c has it


def sized(data):
    data = data.encode() if isinstance(data, str) else data
    return struct.pack(">H", len(data)) + data


def answer(status, body, header=""):
    """What network.c takes for an answer."""
    return b"\0" + struct.pack(">H", status) + sized(header) + sized(body if isinstance(body, (bytes, str)) else json.dumps(body))


def program(bulla, folder):
    """A function that runs bulla there, and gives what it prints."""
    environment = {"PATH": os.environ["PATH"], "HOME": str(folder), "BULLA_PASSPHRASE_FILE": str(folder / "pass"),
                   "BULLA_NEW_PASSPHRASE_FILE": str(folder / "pass")}
    (folder / "pass").write_bytes(PASSPHRASE)

    def run(*args, stdin=b""):
        return subprocess.run([bulla, *map(str, args)], cwd=folder, input=stdin, env=environment, check=True, capture_output=True).stdout

    return run


def public_keys():
    """DER of public keys by name, and a certificate."""
    keys = {"p256": ec.generate_private_key(ec.SECP256R1()), "p384": ec.generate_private_key(ec.SECP384R1()),
            "p521": ec.generate_private_key(ec.SECP521R1()), "rsa2048": rsa.generate_private_key(65537, 2048),
            "rsa1024": rsa.generate_private_key(65537, 1024)}
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "backup")])
    day = datetime.datetime(2026, 1, 1)
    certificate = (x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(keys["p256"].public_key())
                   .serial_number(1).not_valid_before(day).not_valid_after(day.replace(year=2030))
                   .sign(keys["p256"], hashes.SHA256()))
    return {n: k.public_key() for n, k in keys.items()}, certificate.public_bytes(serialization.Encoding.DER)


def der(key):
    return key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)


def pem(key):
    return key.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)


def envelopes(bulla):
    yield "aes", (FIXTURES / "aes.bulla").read_bytes()
    yield "detached", (FIXTURES / "detached.bulla.env").read_bytes()
    bulla("key", "new", "one.ring")
    bulla("key", "new", "two.ring", "--kind", "x25519")
    bulla("key", "export-public", "two.ring", "-o", "two.pub")
    yield "all", bulla("encrypt", "-k", "one.ring", "-k", "two.pub", "--context", "db=prod", "--context", "a=", "--name", "n",
                       "--generation", "7", "--suite", "chacha20", stdin=b"plain")
    yield "passphrase", bulla("encrypt", "-k", "passphrase:hint", stdin=b"")
    for kind, key in public_keys()[0].items():
        if kind in ("p256", "p384", "rsa2048"):
            pathlib.Path(bulla.folder, kind + ".pem").write_bytes(b"Token: t\nSerial: 1\nLabel: l\nCKA_ID: 01\n" + pem(key))
            yield kind, bulla("encrypt", "-k", kind + ".pem", stdin=b"x")
    whole = bulla("encrypt", "-k", "one.ring", stdin=b"")
    yield "second", b"\1" + whole[1:]
    yield "cut", whole[:6000]
    yield "large", bulla("encrypt", "-k", "one.ring", *(w for i in range(12) for w in ("--context", f"k{i:02}=" + "v" * 400)))


def keyrings(bulla):
    yield "fixture", (FIXTURES / "backup.ring").read_bytes()
    bulla("key", "new", "a.ring#one", "--rotate-after", "90d")
    bulla("key", "new", "a.ring#two", "--kind", "x25519")
    for verb in (("rotate", "a.ring#one"), ("rotate", "a.ring#one"), ("disable", "a.ring#one:1"), ("destroy", "a.ring#one:1", "--force")):
        bulla("key", *verb)
    text = (bulla.folder / "a.ring").read_bytes()
    yield "states", text
    bulla("key", "passphrase", "a.ring")
    text = (bulla.folder / "a.ring").read_bytes()
    yield "passphrase", text
    ring = json.loads(text)
    ring["passphrase"] |= {"passes": 1, "memory-kib": 8}
    yield "cheap", json.dumps(ring).encode()
    ring["keys"][0]["versions"][1]["state"] = "gone"
    yield "state", json.dumps(ring).encode()


def public_key_files(bulla):
    bulla("key", "new", "p.ring", "--kind", "x25519")
    yield "file", bulla("key", "export-public", "p.ring", "-o", "-")


def bodies(_):
    yield "small", b"\0" + struct.pack(">I", 100)
    yield "chunk", b"\1" + struct.pack(">I", 16384)
    for what in range(6):
        yield f"change{what}", bytes([16 * (what % 2)]) + struct.pack(">IBI", 40000, what, 20000)
    yield "range", b"\4" + struct.pack(">III", 17000, 100, 40000)
    yield "end", b"\x0c" + struct.pack(">III", 20, 0, 40000)
    yield "beyond", b"\4" + struct.pack(">III", 50000, 0, 40000)
    yield "raw", b"\2" + bytes(80)


def spkis(_):
    keys, certificate = public_keys()
    for name, key in keys.items():
        yield name, b"\0" + der(key)
    numbers = keys["rsa2048"].public_numbers()
    yield "numbers", b"\1" + sized(numbers.n.to_bytes(256, "big")) + b"\1\0\1"
    yield "exponent", b"\1" + sized(numbers.n.to_bytes(256, "big")) + b"\7"
    for name in ("p256", "p384"):
        yield "point-" + name, b"\2" + keys[name].public_bytes(serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint)
    yield "compressed", b"\0" + der(keys["p256"])[:1]
    yield "certificate", b"\3" + certificate


def pems(bulla):
    keys, _ = public_keys()
    for name, key in keys.items():
        yield name, pem(key)
    yield "hints", b"Token: t\r\nSerial: 1\nLabel: l\nCKA_ID: 0102\nCKA_ID: 0\nOther: x\n" + pem(keys["p256"])
    yield "two", pem(keys["p256"]) * 2
    yield "private", b"-----BEGIN PRIVATE KEY-----\n"


def words(_):
    texts = ["2026-11-23T19:05:00Z", "00ff", "a\\b\x1b\u202ec\udc80", ARN, "aws-kms://" + ARN, "https://localhost:8443", "us-gov-west-1",
             "a 'b c' \"d \\\" e\" f\\ g", "<Error><Code>A&amp;B</Code></Error>", "/path/ring#backup:3",
             "pkcs11:token=a;object=b?pin-value=1234&module-name=x", "db=prod"]
    for i, text in enumerate(texts):
        yield f"reader{i}", bytes([i]) + text.encode(errors="surrogateescape")
    others = {0: ["2026-11-23T19:05:00.25+01:30", "2026-02-30T00:00:00Z"], 3: ["arn:aws:kms:eu-west-1:111122223333:alias/x/y"],
              4: ["alias/x", "aws-kms://a", "arn:aws:kms:eu-west-1:111122223333:alias/x", "arn:aws:kms:us-east-1:111122223333:key/mrk-1"],
              5: ["http://127.0.0.1:80/", "http://[::1]", "https://u:p@h", "http://example.org", "https://h/path", "https://h/?q", "ftp://h"],
              6: ["cn-north-1", "eu-west-1", "-x"], 7: ["", "'", "a\\"], 8: ["<Code>&x;</Code>", "<Code>a</Code><Code>b</Code>"],
              9: ["#", "a#b", "a#b:0", "a#b:99999999999", "a#b c"], 10: ["pin-value=1", "x;pin-val%75e=1", "file:a", "arn:x", "alias/x", "passphrase:"],
              11: ["=", "bulla-x=1", "k" * 129 + "=", "k=" + "v" * 513]}
    for i, texts in others.items():
        for n, text in enumerate(texts):
            yield f"other{i}-{n}", bytes([i]) + text.encode()


def uris(_):
    for i, text in enumerate([
            "pkcs11:token=backup;object=key;id=%01%02;type=private?module-path=/usr/lib/m.so&pin-source=file:/run/pin",
            "pkcs11:serial=1;manufacturer=m;model=x;slot-id=1?module-name=softhsm2&pin-value=1234", "pkcs11:", "pkcs11:object=a;object=b",
            "pkcs11:type=cert", "pkcs11:type=secret-key;id=%", "pkcs11:token=a?pin-source=pin", "pkcs11:token=a?module-path=m",
            "pkcs11:x=1", "pkcs11:token", "pkcs11:token=", "pkcs11:token=a;", "pkcs11:?pin-source=file:///p&pin-value=1",
            "pkcs11:?module-path=/m&module-name=m", "pkcs11:library-version=3.1;slot-description=d;library-manufacturer=l",
            "pkcs11:object=" + "a" * 129, "pkcs11:id=" + "%41" * 129, "pkcs11:object=%ff", "pkcs11:token=a?module-path=/m;x"]):
        for how in (0, 3):
            yield f"{i}-{how}", bytes([how]) + text.encode()


def arguments(_):
    for i, line in enumerate([
            "encrypt -k a -rq --context db=prod --context=a=b -o out --suite chacha20 --generation 7 -- -x", "decrypt --offset -5 --length 3 -j2",
            "verify", "inspect --json", "key new a#b --kind x25519 --rotate-after 90d --passphrase", "key", "key nothing", "nothing", "help", "help key new",
            "rewrap --to a --add b --remove c -n --sync none", "encrypt --sync end --remove-source", "key passphrase --remove x", "--help",
            "status --needs a", "encrypt --unknown", "encrypt --force=1", "encrypt -o", "encrypt --output", "encrypt -o a -o b", "encrypt -j 0 x",
            "encrypt -j 99999999999999999999 x", "encrypt -j -1", "encrypt -j ''", "key destroy a:1 --check x --force", "encrypt -Z", "encrypt --help",
            "encrypt --kms-timeout 99999999", "encrypt --oaep md5", "encrypt --max-kdf-mem 9999999", "encrypt --context x", "encrypt --sync x",
            "encrypt -j 9223372036854775808", "encrypt --token-timeout 5 --max-kdf-mem 64 --oaep sha1", "encrypt --passphrase-fd 7", "decrypt -n"]):
        yield str(i), line.replace("''", "").replace(" ", "\0").encode()


def passphrases(_):
    for how in range(6):
        yield f"how{how}", bytes([how]) + b"correct horse\n"
    for name, text in {"empty": b"", "line": b"\n", "long": b"a" * 1025, "longest": b"a" * 1024 + b"\n", "binary": b"\xff\xfe"}.items():
        yield name, b"\0" + text


def configs(_):
    for i, text in enumerate(["[keys]\nbackup = /etc/bulla/b.ring#x\nother=y\n", "[keys]\nbackup=a\nbackup=b\n", "[other]\nbackup=a\n", "backup=a\n", "[keys]\nbackup\n",
                              "[keys]\nother=a\n", "[keys]\nbackup=" + "a" * 300 + "\n", "; comment\n[keys]\nbackup = a ; comment"]):
        yield str(i), text.encode()


CONFIG = ("[default]\nregion = eu-west-1\n[profile backup]\nrole_arn = arn:aws:iam::111122223333:role/r\nsource_profile = base\nexternal_id = x\n"
          "[profile \"base\"]\naws_access_key_id = AKID\naws_secret_access_key: secret\n# c\n  indented = x\n[services x]\na = b\n")
CREDENTIALS = "[default]\naws_access_key_id=AKID\naws_secret_access_key=secret\naws_session_token=token\n[backup]\nregion=us-east-1\n"


def profiles(_):
    yield "both", sized(CONFIG) + CREDENTIALS.encode()
    yield "odd", sized("[profile'x']\nregion=\n[profilex]\n[]\n[\n=\n[default\nregion = a") + b"\n\n;x\n[ default ]\r\nregion = b\r\n"


GOOD = {"AccessKeyId": "AKID", "SecretAccessKey": "secret", "Token": "token", "Expiration": "2099-01-01T00:00:00Z", "Code": "Success"}
STS = ("<R><Credentials><AccessKeyId>AKID</AccessKeyId><SecretAccessKey>secret</SecretAccessKey><SessionToken>token</SessionToken>"
       "<Expiration>2099-01-01T00:00:00Z</Expiration></Credentials></R>")
CALLER = answer(200, "<Arn>arn:aws:iam::111122223333:user/u</Arn>")
DENIED = answer(403, "<E><Code>AccessDenied</Code><Message>no &lt;x&gt;</Message></E>", "x-amzn-RequestId: 17")
LATER = answer(503, "")


def credentials(_):
    def made(how, *answers, config="", shared="", token=""):
        return bytes([how]) + sized(config) + sized(shared) + sized(token) + b"".join(answers)

    process = "[default]\ncredential_process = /bin/prog 'a b'\n"
    good = json.dumps({"Version": 1, "AccessKeyId": "AKID", "SecretAccessKey": "secret", "SessionToken": "t", "Expiration": "2099-01-01T00:00:00Z"})
    role = "[default]\nrole_arn = arn:aws:iam::111122223333:role/r\n"
    instance = (answer(200, "TOKEN"), answer(200, "role-name"), answer(200, GOOD))
    yield "environment", made(1, CALLER)
    yield "denied", made(1, LATER, LATER, DENIED)
    yield "expired", made(1, answer(400, "<Code>ExpiredToken</Code>"), CALLER)
    yield "shared", made(0, CALLER, shared=CREDENTIALS)
    yield "config", made(128, answer(200, STS), CALLER, config=CONFIG)
    yield "role-denied", made(128, DENIED, config=CONFIG)
    yield "process", made(0, sized(good), b"\0", CALLER, config=process)
    yield "process-fails", made(0, sized(good), b"\1", config=process)
    yield "process-odd", made(0, sized("{}"), b"\0", config=process)
    yield "process-quote", made(0, config="[default]\ncredential_process = 'x\n")
    yield "container", made(2, answer(200, GOOD), CALLER)
    yield "container-token", made(6, LATER, LATER, answer(200, GOOD), CALLER, token="Basic x\n")
    yield "container-full", made(32 + 64, answer(404, "no"))
    yield "container-text", made(2, answer(200, "no"))
    yield "instance", made(0, *instance, CALLER)
    yield "instance-none", made(0, b"\7\6")
    yield "instance-old", made(0, answer(404, ""))
    yield "instance-roleless", made(0, answer(200, "TOKEN"), answer(404, ""))
    yield "instance-odd-role", made(0, answer(200, "TOKEN"), answer(200, "a/b"))
    yield "instance-no", made(0, answer(200, "TOKEN"), answer(200, "r"), answer(200, {"Code": "Failed"}))
    yield "instance-six", made(0, *instance, config="[default]\nec2_metadata_service_endpoint_mode = IPv6\nmetadata_service_timeout = 5\n")
    yield "instance-else", made(0, config="[default]\nec2_metadata_service_endpoint = http://example.org\n")
    yield "instance-path", made(0, config="[default]\nec2_metadata_service_endpoint = http://127.0.0.1/x\n")
    yield "web", made(16, answer(200, STS), CALLER, token="jwt\n")
    yield "web-empty", made(16)
    yield "web-long", made(16, token="a" * 20001)
    yield "web-profile", made(0, answer(200, STS), config="[default]\nweb_identity_token_file = token\nrole_arn = r\nrole_session_name = s\n", token="jwt")
    yield "web-no-role", made(0, config="[default]\nweb_identity_token_file = token\n", token="jwt")
    yield "sso", made(0, config="[default]\nsso_session = s\n")
    yield "mfa", made(0, config=role + "source_profile = default\nmfa_serial = m\n")
    yield "self", made(0, answer(200, STS), config=role + "source_profile = default\naws_access_key_id = A\naws_secret_access_key = s\n")
    yield "circle", made(0, config=role + "source_profile = b\n[profile b]\nrole_arn = x\nsource_profile = default\n")
    yield "no-source", made(0, config=role + "source_profile = b\n")
    yield "named-both", made(0, config=role + "source_profile = b\ncredential_source = Environment\n")
    yield "named", made(1, answer(200, STS), config=role + "credential_source = Environment\n")
    yield "named-container", made(2, answer(200, GOOD), answer(200, STS), config=role + "credential_source = EcsContainer\n")
    yield "named-instance", made(0, *instance, answer(200, STS), config=role + "credential_source = Ec2InstanceMetadata\n")
    yield "named-none", made(8, config=role + "credential_source = Environment\n")
    yield "named-odd", made(8, config=role + "credential_source = Else\n")
    yield "none", made(8)
    yield "no-profile", made(128)
    yield "region", made(1, config="[default]\nregion = a.b\n")
    yield "settings", made(1, CALLER, config="[default]\nregion = cn-north-1\nuse_fips_endpoint = true\nuse_dualstack_endpoint=true\nca_bundle=/x\n")
    yield "endpoint", made(1, CALLER, config="[default]\nendpoint_url = https://localhost\n")
    yield "half", made(0, shared="[default]\naws_access_key_id = A\n")
    yield "old", made(0, shared=CREDENTIALS.replace("token=token", "token=t t"))


def kms(_):
    encrypted = {"KeyId": ARN, "CiphertextBlob": "AQIDBA==", "KeyMaterialId": "m1"}
    decrypted = {"KeyId": ARN, "Plaintext": "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="}
    moved = {"SourceKeyId": ARN, "KeyId": ARN, "CiphertextBlob": "AQIDBA==", "DestinationKeyMaterialId": "m2"}
    about = {"KeyMetadata": {"Arn": ARN, "KeyState": "Enabled", "KeyUsage": "ENCRYPT_DECRYPT", "CurrentKeyMaterialId": "m2", "MultiRegion": False}}
    dry = answer(400, {"__type": "DryRunOperationException", "message": "x"})
    for name in range(5):
        yield f"wrap{name}", bytes([name, 0, 0]) + answer(200, encrypted) + b"\1" + answer(200, decrypted)
        yield f"unwrap{name}", bytes([name, 0, 1]) + answer(200, decrypted) + b"\0" + answer(200, encrypted)
        yield f"move{name}", bytes([name, 1, 2]) + answer(200, moved) + b"\2" + answer(200, moved)
        yield f"locate{name}", bytes([name, 0, 3]) + answer(200, about) + b"\3"
    yield "describe", b"\0\0\4" + CALLER + answer(200, about) + dry + answer(200, encrypted) + dry + dry
    yield "describe-denied", b"\0\0\4" + DENIED + answer(400, {"__type": "AccessDeniedException"}) + answer(400, {"__type": "AccessDeniedException"})
    for i, name in enumerate(["AccessDeniedException", "IncorrectKeyException", "InvalidCiphertextException", "NotFoundException", "DisabledException",
                              "ThrottlingException", "com.amazonaws#KMSInternalException", "ExpiredTokenException", "SignatureDoesNotMatch", "Else:http://x"]):
        for verb in (0, 1, 2):
            again = b"".join(answer(400, {"__type" if i % 2 else "code": name, "Message": "because"}, "x-amzn-RequestId:  ab c") for _ in range(3))
            yield f"refused{i}-{verb}", bytes([verb, 0, verb]) + again + bytes([verb])
    yield "telling", b"\0\0\0" + answer(400, {"__type": "X", "message": "kNownSecretAccessKeyOfTheFuzzer1"})
    yield "not-json", b"\0\0\0" + answer(200, "no") + b"\0" + answer(200, "[]")
    yield "redirect", b"\0\0\0" + answer(302, "")
    yield "unreachable", b"\0\0\0\7\6\7\6\7\6\0"
    yield "untrusted", b"\0\0\0\7\x3b\0\7\x4c\0\7\x2a\0\x0f\x1a"
    yield "other-key", b"\0\0\1" + answer(200, decrypted | {"KeyId": ARN + "b"})
    yield "short", b"\0\0\1" + answer(200, decrypted | {"Plaintext": "AAEC"}) + b"\0" + answer(200, encrypted | {"CiphertextBlob": "A"})
    yield "long", b"\0\0\0" + b"\6" + struct.pack(">H", 200) + sized("") + 3 * sized(b" " * 30000)
    yield "material", b"\0\0\3" + answer(200, {"KeyMetadata": about["KeyMetadata"] | {"CurrentKeyMaterialId": "a b", "KeyState": "x" * 40}})


def tokens(_):
    for uri in range(7):
        for handle in (0, 1, 2, 3, 4, 8):
            yield f"{uri}-{handle}", bytes([uri]) + bytes(12) + bytes([1, handle]) + bytes(60)
            yield f"{uri}-{handle}-two", bytes([uri]) + bytes(12) + bytes([2, handle, handle + 4]) + bytes(120)


TARGETS = {"arguments": arguments, "body": bodies, "config": configs, "credentials": credentials, "envelope": envelopes, "keyring": keyrings, "kms": kms,
           "passphrase": passphrases, "pem": pems, "profile": profiles, "public_key": public_key_files, "spki": spkis, "token": tokens,
           "uri": uris, "words": words}


def main():
    bulla, out = os.path.abspath(sys.argv[1]), pathlib.Path(sys.argv[2])
    for target, make in TARGETS.items():
        (out / target).mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory() as folder:
            run = program(bulla, pathlib.Path(folder))
            run.folder = pathlib.Path(folder)
            for name, data in make(run):
                (out / target / name).write_bytes(data)


if __name__ == "__main__":
    main()
