"""Seeds for fuzzing: real files, made by the program and by others, and the first words of each other kind of input.

usage: seeds.py BULLA DIRECTORY
Writes DIRECTORY/TARGET/NAME. tests/fuzz/run calls it; what of them reaches more than others is in the corpus.
"""

import json
import os
import pathlib
import struct
import subprocess
import sys
import tempfile

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa, x25519

from aws_seeds import credentials, kms, profiles, s3
from parts import ARN, broken_json, sized
from seed_files import FIXTURES, der, envelopes, pem, public_keys, rewraps

P256_GENERATOR = bytes.fromhex("046b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c296"
                               "4fe342e2fe1a7f9b8ee7eb4a7c0f9e162bce33576b315ececbb6406837bf51f5")
PASSPHRASE = b"fuzz"  # as keyring.c has it


def program(bulla, directory):
    """A function that runs bulla there, and gives what it prints."""
    environment = {"PATH": os.environ["PATH"], "HOME": str(directory), "BULLA_PASSPHRASE_FILE": str(directory / "pass"),
                   "BULLA_NEW_PASSPHRASE_FILE": str(directory / "pass")}
    (directory / "pass").write_bytes(PASSPHRASE)

    def run(*args, stdin=b""):
        return subprocess.run([bulla, *map(str, args)], cwd=directory, input=stdin, env=environment, check=True, capture_output=True).stdout

    run.directory = directory
    return run


def keyrings(bulla):
    yield "fixture", (FIXTURES / "backup.ring").read_bytes()
    bulla("key", "new", "a.ring#one", "--rotate-after", "90d")
    bulla("key", "new", "a.ring#two", "--kind", "x25519")
    for verb in (("rotate", "a.ring#one"), ("rotate", "a.ring#one"), ("disable", "a.ring#one:1"), ("destroy", "a.ring#one:1", "--force")):
        bulla("key", *verb)
    states = (bulla.directory / "a.ring").read_bytes()
    yield "states", states
    bulla("key", "passphrase", "a.ring")
    text = (bulla.directory / "a.ring").read_bytes()
    yield "passphrase", text
    ring = json.loads(text)
    ring["passphrase"] |= {"passes": 1, "memory-kib": 8}
    yield "cheap", json.dumps(ring).encode()
    ring = json.loads((FIXTURES / "backup.ring").read_text())
    for key, value in (("rotate-after-days", 1 << 20), ("rotate-after-days", 0)):
        yield f"also-days{value}", json.dumps(ring | {"keys": [ring["keys"][0] | {key: value}]}).encode()
    for value in (0, (1 << 32) + 1):
        versions = [ring["keys"][0]["versions"][0] | {"version": value}]
        yield f"also-version{value}", json.dumps(ring | {"keys": [ring["keys"][0] | {"versions": versions}]}).encode()
    # Much memory for few bytes, and then a string.
    yield "also-arrays", f'[{"[]," * 1149}"{"a" * 60}"]'.ljust(6000).encode()
    for name, text in (("cheap", json.dumps(ring)), ("open", (FIXTURES / "backup.ring").read_text()), ("states", states)):
        for i, made in enumerate(broken_json(text)):
            yield f"{name}-broken{i}", made


def public_key_files(bulla):
    bulla("key", "new", "p.ring", "--kind", "x25519")
    text = bulla("key", "export-public", "p.ring", "-o", "-")
    yield "file", text
    yield "not-json", text[:-3]
    for i, made in enumerate(broken_json(text)):
        yield f"broken{i}", made


def bodies(_):
    yield "small", b"\0" + struct.pack(">I", 100)
    yield "chunk", b"\1" + struct.pack(">I", 16384)
    for what in range(6):
        yield f"change{what}", bytes([16 * (what % 2)]) + struct.pack(">IBI", 40000, what, 20000)
    yield "range", b"\4" + struct.pack(">III", 17000, 100, 40000)
    yield "end", b"\x0c" + struct.pack(">III", 20, 0, 40000)
    yield "beyond", b"\4" + struct.pack(">III", 50000, 0, 40000)
    yield "batches", b"\0" + struct.pack(">IBI", 280000, 0, 999)
    yield "batches-whole", b"\0" + struct.pack(">I", 280000)
    yield "batches-drop", b"\x11" + struct.pack(">IBI", 280000, 5, 1)
    yield "range-across", b"\4" + struct.pack(">III", 5, 270000, 280000)
    yield "range-damaged", b"\4" + struct.pack(">IIIBI", 5, 10, 40000, 0, 8 * 40100)
    yield "range-cut", b"\4" + struct.pack(">IIIBI", 5, 10, 40000, 1, 58)
    yield "range-none", b"\4" + struct.pack(">III", 40000, 0, 40000)
    yield "range-all", b"\x0c" + struct.pack(">III", 40000, 0, 40000)
    for at in (0, 55, 56, 60, 71, 72, 16400 + 56, 16400 + 60):
        yield f"cut{at}", b"\0" + struct.pack(">IBI", 16500, 1, at)
    yield "append", b"\0" + struct.pack(">IBI", 16380, 2, 3)
    yield "prefix", b"\0" + struct.pack(">IBI", 100, 0, 9)
    yield "raw", b"\2" + bytes(80)
    for i, size in enumerate((0, 55, 56, 71, 72, 16400 + 56 + 16, 1 << 38, (1 << 38) * 16400 + 56 + 16, (1 << 38) * 16400 + 56 - 16400 + 16, (1 << 64) - 1)):
        yield f"size{i}", b"\x20" + struct.pack(">Q", size)


def spkis(_):
    keys, certificate = public_keys()
    for name, key in keys.items():
        yield name, b"\0" + der(key)
    numbers = keys["rsa2048"].public_numbers()
    yield "numbers", b"\1" + sized(numbers.n.to_bytes(256, "big")) + b"\1\0\1"
    for e in (3, 5, 17, 257):
        yield f"exponent{e}", b"\1" + sized(numbers.n.to_bytes(256, "big")) + e.to_bytes(2, "big")
    for name, n in {"even": numbers.n - 1, "odd-bits": numbers.n >> 1 | 1, "large": numbers.n << 2300 | 1, "prime": (1 << 2203) - 1, "small": 15}.items():
        yield "numbers-" + name, b"\1" + sized(n.to_bytes((n.bit_length() + 7) // 8, "big")) + b"\1\0\1"
    yield "also-numbers-none", b"\1" + sized(b"") + b"\3"
    yield "numbers-no-exponent", b"\1" + sized(b"\xff" * 256)
    yield "also-numbers-long-exponent", b"\1" + sized(b"\xff" * 256) + b"\xff" * 33
    yield "numbers-too-long", b"\1" + sized(b"\xff" * 521) + b"\3"
    yield "rsa-exponent", b"\0" + der(rsa.RSAPublicNumbers(7, numbers.n).public_key())
    yield "rsa-4160", b"\0" + der(rsa.RSAPublicNumbers(3, numbers.n << 2112 | 1).public_key())
    yield "x25519", b"\0" + der(x25519.X25519PrivateKey.generate().public_key())
    yield "trailing", b"\0" + der(keys["p256"]) + b"\0"
    yield "too-long", b"\0" + bytes(1025)
    point = keys["p256"].public_bytes(serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint)
    yield "off-curve", b"\2" + point[:-1] + bytes([point[-1] ^ 1])
    yield "no-point", b"\2" + point[:-1]
    short = keys["p256"].public_bytes(serialization.Encoding.X962, serialization.PublicFormat.CompressedPoint)
    yield "compressed-key", b"\0\x30\x39" + der(keys["p256"])[2:23] + b"\x03\x22\0" + short
    explicit = subprocess.run(["openssl", "ecparam", "-name", "prime256v1", "-genkey", "-param_enc", "explicit", "-noout"], check=True, capture_output=True).stdout
    explicit = subprocess.run(["openssl", "pkey", "-pubout", "-outform", "DER"], input=explicit, check=True, capture_output=True).stdout
    yield "explicit", b"\0" + explicit
    # A curve without a name, whose generator is the key itself: its private key is 1 (CVE-2020-0601).
    yield "also-other-generator", b"\0" + explicit.replace(P256_GENERATOR, explicit[-len(P256_GENERATOR) :])
    yield "not-a-certificate", b"\3\x30\0"
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
    yield "odd-hints", b"x\n\n\r\nToken: \xff\nToken: " + b"a" * 33 + b"\nSerial: 12345678901234567\nCKA_ID: " + b"0" * 260 + b"\nCKA_ID: 0g\nCKA_ID: 012\n" + pem(keys["p256"])
    yield "cut", pem(keys["p256"])[:-30]
    yield "base64", pem(keys["p256"]).replace(b"M", b"!", 1)
    yield "end", pem(keys["p256"]).replace(b"END", b"FIN")
    yield "not-a-key", b"-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n"
    yield "hints-last", b"Token: t" + pem(keys["p384"]) + b"-----BEGIN "
    yield "private", b"-----BEGIN PRIVATE KEY-----\n"


def words(_):
    for i, text in enumerate(("@", "@@Aa", "Cabc", "Cab", "A", "")):
        yield f"wire{i}", b"\x0c" + text.encode()
    yield "also-no-endpoint", b"\5"
    for i, text in enumerate(("ftp://h", "https://h/#f")):
        yield f"also-endpoint{i}", b"\5" + text.encode()
    for text in ("us-gov-w", "eu-westa"):
        yield "also-fips-" + text, b"\6" + text.encode()
    texts = ["2026-11-23T19:05:00Z", "00ff", "a\\b\x1b\u202ec\udc80", ARN, "aws-kms://" + ARN, "https://localhost:8443", "us-gov-west-1",
             "a 'b c' \"d \\\" e\" f\\ g", "<Error><Code>A&amp;B</Code></Error>", "/path/ring#backup:3",
             "pkcs11:token=a;object=b?pin-value=1234&module-name=x", "db=prod"]
    for i, text in enumerate(texts):
        yield f"reader{i}", bytes([i]) + text.encode(errors="surrogateescape")
    for i, text in enumerate([b"\xc3", b"\xc3(", b"\xc0\x80", b"\xf4\x90\x80\x80", b"\xed\xa0\x80", b"\xee\x80\x80", b"\xff", b"\x7f", b"\xc2\x85", b"\xc2\xa0", b"\xd8\x9c",
                              b"\xe2\x80\x8b", b"\xe2\x80\xa8", b"\xe2\x80\xb0", b"\xe2\x81\xa0", b"\xe2\x82\xac", b"\xef\xbb\xbf", b"\xf0\x9f\x98\x80", b"\xf3\xa0\x80\x81",
                              b"\xf3\xb0\x80\x80", b"\xe2\x80\x80"]):
        yield f"utf8-{i}", b"\2" + text + b"abcdefg"
        yield f"context-{i}", b"\x0b" + text + b"=" + text
    others = {1: ["00FF", "0g", "0", "ab" * 40], 0: ["2026-11-23T19:05:00.25+01:30", "2026-02-30T00:00:00Z", "1969-12-31T23:59:59Z", "2026-11-23T19:05:00-02:00", "2026-11-23T19:05:00+1",
                  "2026-11-23T19:05:00*01:00", "2026-11-23 19:05:00ZZ", "2026-1-23T19:05:00ZZ", "1970-01-01T00:00:00+23:00", "2026-11-23T19:05:00"], 3: ["arn:aws:kms:eu-west-1:111122223333:alias/x/y", "arn:aws", "urn:aws:kms:r:111122223333:key/a", "arn:aws:s3:r:111122223333:key/a", "arn:A:kms:r:111122223333:key/a",
                  "arn:aws:kms:-r:111122223333:key/a", "arn:aws:kms:r:1:key/a", "arn:aws:kms:r:1111222233a3:key/a", "arn:aws:kms:r:111122223333:x", "a" * 513,
                  "arn:aws:kms:r:111122223333:key/", "arnx:aws:kms:r:1:key/a", "arn:aws:kms:" + "r" * 40 + ":1:key/a"],
              4: ["a" * 513, "alias/a:b", "aws-kms://arn:x", "arn:aws:kms:eu-west-1:111122223333:key/a", "arn:aws:kms:eu-west-1:111122223333:key/b", "aws-kms://b",
                  "arn:aws-cn:kms:eu-west-1:111122223333:key/a", "arn:aws:kms:eu-west-1:999922223333:key/a", "arn:aws:kms:us-east-1:111122223333:key/a",
                  "arn:aws-cn:kms:eu-west-1:111122223333:alias/x", "arn:aws:kms:eu-west-1:999922223333:alias/x", "alias/x", "aws-kms://a", "arn:aws:kms:eu-west-1:111122223333:alias/x", "arn:aws:kms:us-east-1:111122223333:key/mrk-1"],
              5: ["http://127.0.0.1:80/", "http://[::1]", "https://u:p@h", "http://example.org", "https://h/path", "https://h/?q", "https://u@h", "http://[fe80::1]", "https://" + "h" * 300, "https://" + "h" * 250 + ":65535", "https://[::1]x",
                  "https://H.Example/", "https://h?q", "https://:p@h", "//", "http://localhost/", "https://h/a//b", "https://h/%20", "https://h/" + "p" * 128],
              6: ["cn-north-1", "eu-west-1", "-x"], 7: ["", "'", "a\\", "a " * 70, '"a\\', '"a\\b\\\\"', "'\"' \"'\"", "  a\tb\n"], 8: ["<Code>" + "a" * 70 + "</Code>", "<Code>&amp;&lt;&gt;&quot;&apos;</Code>", "<Code>a", "</Code>", "<Code>&x;</Code>", "<Code>a</Code><Code>b</Code>"],
              9: ["#", "a#b", "a#b:", "a#b:1x", "a#" + "b" * 70, "a#b:7", "a#b:0", "a#b:99999999999", "a#b c"], 10: ["pin-value=1", "x;pin-val%75e=1", "file:a", "arn:x", "alias/x", "passphrase:", "xpkcs11:a=b", "pkcs11:a", "pkcs11:;a%3d", "pkcs11:token=a;;tokem=b", "x?pin-value", "apin-value=1", "FILE:a", "aws-kms:a", "/dev/null",
                   "pkcs11:x?pin-value=a;b=c&token=d", "pkcs11:to=ken", "pkcs11:tokens=1", "a%b", "file:pin-value=1"],
              11: ["k=" + "v" * 1100, "keykey=v", "\u00e4=1", "=", "bulla-x=1", "k" * 129 + "=", "k=" + "v" * 513]}
    for i, texts in others.items():
        for n, text in enumerate(texts):
            yield f"{'also-' if i == 10 else ''}other{i}-{n}", bytes([i]) + text.encode()


def uris(_):
    for i, text in enumerate([
            "pkcs11:token=backup;object=key;id=%01%02;type=private?module-path=/usr/lib/m.so&pin-source=file:/run/pin",
            "pkcs11:serial=1;manufacturer=m;model=x;slot-id=1?module-name=softhsm2&pin-value=1234", "pkcs11:", "pkcs11:object=a;object=b",
            "pkcs11:type=cert", "pkcs11:type=secret-key;id=%", "pkcs11:token=a?pin-source=pin", "pkcs11:token=a?module-path=m",
            "pkcs11:x=1", "pkcs11:token", "pkcs11:token=", "pkcs11:token=a;", "pkcs11:?pin-source=file:///p&pin-value=1",
            "pkcs11:?module-path=/m&module-name=m", "pkcs11:library-version=3.1;slot-description=d;library-manufacturer=l",
            "pkcs11:object=" + "a" * 129, "pkcs11:id=" + "%41" * 129, "pkcs11:object=%ff", "a-x", "a-v1", "a-v0001", "backup-v0002", "a-v000x", "a-v9999999999", "a-v0001x", "pkcs11:" + "a" * 4100, "pkcs11:?&", "pkcs11:;;",
            "pkcs11:token=a?module-path=/m&pin-value=1&pin-value=2", "pkcs11:token=a?", "pkcs11:id=%41?module-name=a/b", "pkcs11:slot-id=x", "pkcs11:?module-path=m", "pkcs11:token=a?module-path=/m;x"]):
        for how in (0, 2, 3):
            yield f"{i}-{how}", bytes([how]) + text.encode()


def arguments(_):
    for i, line in enumerate([
            "encrypt -k a -rq --context db=prod --context=a=b -o out --suite chacha20 --generation 7 -- -x", "decrypt --offset -5 --length 3 -j2",
            "verify", "decrypt -r --same-owner -o out in", "inspect --json", "key new a#b --kind x25519 --rotate-after 90d --passphrase", "key", "key nothing", "nothing", "help", "help key new",
            "rewrap --to a --add b --remove c -n --sync none", "encrypt --sync end --remove-source", "key passphrase --remove x", "--help", "status --needs a", "encrypt --unknown", "encrypt --force=1", "encrypt -o", "encrypt --output", "encrypt -o a -o b", "encrypt -j 0 x",
            "encrypt -j 99999999999999999999 x", "encrypt -j -1", "encrypt -j ''", "key destroy a:1 --check x --force", "encrypt -Z", "encrypt --help",
            "encrypt --kms-timeout 99999999", "encrypt --oaep md5", "encrypt --max-kdf-mem 9999999", "encrypt --context x", "encrypt --sync x",
            "encrypt -j 9223372036854775808", "encrypt --token-timeout 5 --max-kdf-mem 64 --oaep sha1", "encrypt --passphrase-fd 7", "decrypt -n", "", "-h", "encrypt -j 1 -j 2", "encrypt --jobs=", "key new", "key new a b", "key new -Z a",
            "key new --force a", "encrypt -qk a -0", "encrypt -", "encrypt -kq -j18446744073709551616", "encrypt -j 18446744073709551615", "help nothing", "help key", "encrypt --sync none", "encrypt --sync each", "encrypt -j0", "encrypt -j9x"]):
        yield str(i), line.replace("''", "").replace(" ", "\0").encode()
    for i, line in enumerate(("key key", "key help", "key --help", "key -h", "help key nothing", "--help encrypt", "-h nothing", "encrypt -o  x", "encrypt --jobs= x", "key", "",
                              "-q encrypt x", "--quiet -k a encrypt x", "-qk a key list", "key -q list a", "--key=a encrypt x", "-ka encrypt", "--unknown encrypt",
                              "-- encrypt", "-k", "help keys", "help environment", "encrpyt x", "key lst", "encrypt --recursiv x", "encrypt --passphrase-fd x",
                              "encrypt --passphrase-fd 99999999999", "encrypt --jobs 65", "encrypt --suite chacha20 --suite aes", "encrypt --sync", "-Z encrypt",
                              "-k a -k b -o c --passphrase-fd 7 --context a=b encrypt --suite=aes x", "rewrap --remove a --remove b x")):
        yield f"also-{i}", line.replace(" ", "\0").encode()


def passphrases(_):
    yield from ((f"how{how}", bytes([how]) + b"correct horse\n") for how in range(6))
    yield from ((f"odd{how}", bytes([how]) + b"7x") for how in (8, 9, 16, 17))
    for name, text in {"one": b"a", "empty": b"", "line": b"\n", "long": b"a" * 1025, "longest": b"a" * 1024 + b"\n", "binary": b"\xff\xfe"}.items():
        yield name, b"\0" + text
    for name, text in {"mark": b"\xef\xbb\xbfa\n", "lines": b"a\r\n", "return": b"a\r", "blank before": b" a", "blank after": b"a\t", "plain": b"abc\n"}.items():
        yield f"new {name}", b"\2" + text
        yield f"new {name} in a file", b"\3" + text


def configs(_):
    for i, text in enumerate(["[keys]\nbackup = /etc/bulla/b.ring#x\nother=y\n", "[keys]\nbackup=a\nbackup=b\n", "[other]\nbackup=a\n", "backup=a\n", "[keys]\nbackup\n",
                              "[keys]\nother=a\n", "[keys]\nbackup=" + "a" * 300 + "\n", "; comment\n[keys]\nbackup = a ; comment",
                              "", "[keys]\nbackup=\0a\n", "[keys]\nbackup=" + "a" * 5000 + "\n", "[keys]\nbackup=a", "[keys]\nbackup=\n",
                              "\ufeff[keys]\r\n  backup = a\r\n    b\xfcro : b\r", "[keys]\n= a\n", "[keys]\n[keys]\n", "[Keys\n", "[]\n", "[keys]\nBackup=a\n#\n",
                              "[keys]\nbackup = /b\n[defaults]\nkeys = backup  b\nopen-keys = b\nmodule = /m.so\nmodule-args = x y\nendpoint = http://h\ncontext.k = v\n",
                              "[rule z]\npath = /srv/*\nkeys = b\n[rule a]\npath = *.dump\nkeys = a b\ncontext.k = v\n", "[rule a]\npath = db/[a-z]?*\nkeys = b\n",
                              "[rule]\nkeys = a\n", "[rule  ]\nkeys = a\n", "[rules x]\n", "[rule x]\nkeys = a\n", "[rule x]\npath = /a\n", "[defaults]\nkeyz = a\n",
                              "[defaults]\nkeys =\n", "[defaults]\nmodule = ./m.so\n", "[defaults]\nmodule = p11\n", "[defaults]\ncontext.k = v\n",
                              "[defaults]\nkeys = a\ncontext. = v\n", "[rule x]\npath = /a\nkeys = a\n[rule x]\n", "[keys]\nbackup = file:/b\n", "[keys]\nbackup = pkcs11:x\n",
                              "[keys]\nbackup = fd:3\n", "[rule x]\npath = /srv/[\nkeys = a\nopen-keys = b\n"]):
        yield str(i), text.encode()


def tokens(_):
    """All goes well until one call, or what it says, is another; what the bytes mean is in token.c."""
    number = struct.Struct(">I").pack
    odd = [b"\xf0", b"\xf4", b"\1", b"\7", b"\xfc", b"\xfd\xff" + number(0x11), b"\xf8" + number(1), b"\xf8" + number(3), b"\xf8" + number(100000), b"\xf0" + number(100000),
           *(b"\xe0" + sized(v) for v in (b"\0", b"abc", bytes(5000))), b"\1\0", b"\1\1", b"\2\0\4", b"\2\1\5",
           *(found + bytes(3) + half for found in (b"\2\0\4", b"\2\1\5") for half in (b"\xfc", b"\xfc\xfc", b"\xe0" + sized(b"abc"), b"\xe0" + sized(b"\0" * 65)))]
    for uri, handle, without in ((4, 2, 0), (4, 2, 8), (4, 2, 24), (0, 0, 0), (0, 1, 0), (4, 130, 0), (4, 130, 8), (0, 129, 0), (0, 3, 0), (5, 4, 0), (6, 0, 0), (7, 0, 0), (8, 0, 0),
                                 (1, 0, 0), (2, 3, 0), (3, 8, 0)):
        good = bytes([uri]) + bytes(8) + bytes([without]) + bytes(3) + bytes([1, handle]) + bytes(80)
        yield f"{uri}-{handle}-{without}", good
        if (uri, handle) in ((4, 2), (0, 0), (0, 1), (4, 130), (5, 4)):
            for at in range(2, 56):
                for i, said in enumerate(odd):
                    yield f"{uri}-{handle}-{without}-{at}-{i}", good[:at] + said + good[at + 1 :]
        if (uri, handle) in ((4, 2), (0, 0)):
            for hole in range(1, 69):
                yield f"{uri}-{handle}-{without}-hole{hole}", good[:1] + bytes([hole]) + good[2:]
    good = bytes([4]) + bytes(12) + bytes([1, 2]) + bytes(80)
    yield from (("also-slots", good[:3] + b"\xf6" + good[4:]), ("also-damaged", good[:40] + b"\xfa" + good[41:]), ("also-info6", b"\6" + good[1:]), ("also-info7", b"\7" + good[1:]))
    yield "also-halves", bytes(13) + bytes([1, 0]) + bytes(16) + b"\2\0\4" + bytes(3) + 2 * (b"\xe0" + sized(bytes(65))) + bytes(48)
    yield "also-many", bytes(13) + b"\1\0\0" + b"".join(b"\xf8" + bytes(32) + b"\0" for _ in range(130)) + bytes(500)
    # The token undoes OAEP, gives a raw number or derives; each call goes well, fails, lies or is not there.
    fails, claims = [b"\xf0", b"\xfa"], [b"\xf8" + number(n) for n in (0, 32, 1000)]
    for how, key, without, found, calls in (("oaep", 1, 1, 31, {36: fails, 38: claims, 40: fails}), ("raw", 1, 0, 33, {38: fails, 40: claims, 42: fails}), ("derive", 0, 0, 31, {36: fails, 37: [b"\xfc\xf0", b"\xe0" + sized(bytes(31)), *claims], 38: fails})):
        good = bytes(9) + bytes([without, 0, 0, 0, 1, key]) + bytes(found - 15) + bytes([1, key]) + bytes(90)
        yield from ((f"also-{how}-hole{hole}", good[:1] + bytes([hole]) + good[2:]) for hole in (0, 23, 34, 35, 63))
        yield from ((f"also-{how}-{at}-{i}", good[:at] + said[i] + good[at + 1 :]) for at, said in calls.items() for i in range(len(said)))


TARGETS = {"arguments": arguments, "body": bodies, "config": configs, "credentials": credentials, "envelope": envelopes, "keyring": keyrings, "kms": kms,
           "passphrase": passphrases, "pem": pems, "profile": profiles, "s3": s3, "public_key": public_key_files, "rewrap": rewraps, "spki": spkis, "token": tokens,
           "uri": uris, "words": words}


def main():
    bulla, out = os.path.abspath(sys.argv[1]), pathlib.Path(sys.argv[2])
    for target, make in TARGETS.items():
        (out / target).mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory() as directory:
            for name, data in make(program(bulla, pathlib.Path(directory))):
                (out / target / name).write_bytes(data)


if __name__ == "__main__":
    main()
