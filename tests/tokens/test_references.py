"""pkcs11: references: RFC 7512 as it is written, and what is refused; tokens and keys that cannot be told apart."""

import json
import os
import pathlib
import shutil
import signal
import subprocess
import time
from urllib.parse import quote

import pytest

from program import BOUND
from sealed import content
from tokens import IDS, MOCK, NSS, PIN, SoftHSM

X = content(1000)
HANGS = 40  # seconds: more is a deadlock


@pytest.fixture
def bulla(bulla, softhsm):
    return bulla.at(softhsm)


def seal(bulla, key, status=0, **how):
    done = bulla("encrypt", "-k", key, stdin=X, status=status, **how)
    assert (len(done.stdout) > len(X)) == (done.returncode == 0) == bool(done.stdout)
    return done


def test_every_attribute_that_is_right(bulla, softhsm):
    serial = next(line.split(":")[1].strip() for line in softhsm.tool("-L", login=False).splitlines() if "serial num" in line)
    key = softhsm.uri("rsa", id=b"\xa1", type="private", serial=serial, manufacturer="SoftHSM project", model="SoftHSM v2")
    assert bulla("decrypt", "-k", key, stdin=seal(bulla, key).stdout).stdout == X


WRONG = {
    "token": "another lab",
    "serial": "0000",
    "manufacturer": "nobody",
    "model": "none",
    "object": "nothing",
    "id": b"\xff",
}


@pytest.mark.parametrize("attribute", WRONG)
def test_attribute_that_is_wrong(bulla, softhsm, attribute):
    key = softhsm.uri("rsa", **{attribute: WRONG[attribute]}) if attribute != "object" else softhsm.uri("nothing")
    done = seal(bulla, key, status=(5, 6))
    assert b"hint" in done.stderr.lower() or b"\n" in done.stderr.strip()
    assert b"pkcs11:" in done.stderr or b"token" in done.stderr


def with_path(softhsm, path):
    return f"pkcs11:{path}?module-path={softhsm.module}"


def with_query(softhsm, query):
    return f"pkcs11:token={quote(softhsm.label)};object=rsa?{query}"


BAD_PATHS = {
    "twice": "token=a;token=a;object=rsa",
    "twice, unlike": "token=a;token=bulla%20lab;object=rsa",
    "object twice": "token=bulla%20lab;object=rsa;object=p256",
    "id twice": "token=bulla%20lab;id=%a1;id=%a1",
    "unknown": "token=bulla%20lab;object=rsa;colour=red",
    "unknown vendor's": "token=bulla%20lab;object=rsa;x-colour=red",
    "case": "Token=bulla%20lab;object=rsa",
    "no value": "token;object=rsa",
    "empty part": "token=bulla%20lab;;object=rsa",
    "broken escape": "token=bulla%2;object=rsa",
    "broken escape in id": "token=bulla%20lab;id=%zz",
    "a space": "token=bulla lab;object=rsa",
    "a space in front": "token=bulla%20lab;object= rsa",
    "a space behind": "token=bulla%20lab;object=rsa ",
    "a tab": "token=bulla%20lab;object=r\tsa",
    "a line end": "token=bulla%20lab;object=rsa\n",
    "a zero byte": "token=bulla%20lab;object=rsa%00-of-another",
    "a zero byte in a token": "token=bulla%20lab%00;object=rsa",
    "a zero byte in a serial": "token=bulla%20lab;object=rsa;serial=%00",
    "of another type": "token=bulla%20lab;object=rsa;type=cert",
    "no such type": "token=bulla%20lab;object=rsa;type=thing",
    "a query's": f"token=bulla%20lab;object=rsa;pin-value={PIN}",
}


@pytest.mark.parametrize("path", BAD_PATHS.values(), ids=BAD_PATHS)
def test_path_that_is_refused(bulla, softhsm, path):
    seal(bulla, with_path(softhsm, path), status=2)


M = "module-path=" + str(SoftHSM.module)
BAD_QUERIES = {
    "twice": f"{M}&{M}",
    "source twice": f"{M}&pin-source=file:/a&pin-source=file:/b",
    "name twice": "module-name=softhsm2&module-name=softhsm2",
    "unknown": f"{M}&colour=red",
    "relative path": "module-path=libsofthsm2.so",
    "relative path with a slash": "module-path=./libsofthsm2.so",
    "name that is a path": "module-name=../softhsm2",
    "both": f"{M}&module-name=opensc-pkcs11",
    "two PINs": f"{M}&pin-source=file:/a&pin-value={PIN}",
    "a path's": f"{M}&object=rsa",
    "a space in a path": "module-path=" + str(SoftHSM.module).replace("lib/", "l ib/"),
    "a zero byte in a path": f"{M}%00.so",
    "a zero byte in a name": "module-name=softhsm2%00",
    "a zero byte in a source": f"{M}&pin-source=file:/a%00b",
    "a zero byte in a PIN": f"{M}&pin-value={PIN}%00",
    "a space in a PIN": f"{M}&pin-value={PIN[:3]} {PIN[3:]}",
}


@pytest.mark.parametrize("query", BAD_QUERIES.values(), ids=BAD_QUERIES)
@pytest.mark.parametrize("option", [[], ["--allow-pin-in-uri"]], ids=["", "allowed"])
def test_query_that_is_refused(bulla, softhsm, query, option):
    bulla("encrypt", *option, "-k", with_query(softhsm, query), stdin=X, status=2)


@pytest.mark.parametrize("junk", ["pkcs11:", "pkcs11:?", "pkcs11:;", "pkcs11:%", "pkcs11:object=\x1b[2J", "pkcs11:" + 5000 * "x"])
def test_junk(bulla, junk):
    done = seal(bulla, junk, status=(2, 5, 6))
    assert b"\x1b" not in done.stderr and len(done.stderr) < 4000


def test_bytes_of_any_kind_are_for_an_id(bulla, softhsm):
    softhsm.make("rsa", "zeros", id="00ff2000")
    key = softhsm.uri(None, id=b"\x00\xff\x20\x00")
    assert bulla("decrypt", "-k", key, stdin=seal(bulla, key).stdout).stdout == X
    assert b"write a blank as %20" in seal(bulla, with_path(softhsm, "token=bulla lab"), status=2).stderr


def test_label_with_every_kind_of_character(bulla, softhsm):
    label = "ä &;=?%/:#'\"\\~*"
    softhsm.make("rsa", label)
    key = softhsm.uri(label)
    assert bulla("decrypt", "-k", key, stdin=seal(bulla, key).stdout).stdout == X


def test_escapes_of_a_label_are_not_needed_where_the_standard_says_so(bulla, softhsm):
    softhsm.make("rsa", "a-b_c.d:e")
    seal(bulla, with_path(softhsm, "token=bulla%20lab;object=a-b_c.d:e"))


# Modules.


@pytest.mark.parametrize("what", ["missing", "directory", "text", "library"])
def test_module_that_is_none(bulla, softhsm, tmp_path, what):
    path = tmp_path / "module.so"
    if what == "directory":
        path.mkdir()
    elif what == "text":
        path.write_text("not a library")
    elif what == "library":
        shutil.copy("/lib/x86_64-linux-gnu/libm.so.6", path)
    done = seal(bulla, softhsm.uri("rsa", module_path=path), status=6)
    assert str(path).encode() in done.stderr


@pytest.mark.parametrize("faults", ["null", "holes", "rv=5", "rv=0x54"])
def test_module_without_functions(bulla, softhsm, faults):
    env = softhsm.mocked(f"C_GetFunctionList:1+:{faults}")
    done = seal(bulla, softhsm.uri("rsa", mock=True), status=(5, 6), env=env)
    assert str(MOCK).encode() in done.stderr


@pytest.mark.parametrize("version", [0x0200, 0x0228, 0x0300, 0x0302, 0x0363], ids=hex)
def test_module_of_any_version_2_or_3(bulla, softhsm, version):
    """SoftHSM 2.7 says 3.2 of the list that has the functions of 2.40."""
    env = softhsm.mocked(f"C_GetFunctionList:1+:version={version}")
    for kind in ("rsa", "p256", "aes"):
        key = softhsm.uri(kind, mock=True)
        assert bulla("decrypt", "-k", key, stdin=seal(bulla, key, env=env).stdout, env=env).stdout == X


@pytest.mark.parametrize("version, says", [(0x0100, b"1.0"), (0x0400, b"4.0"), (0xFFFF, b"255.255")], ids=str)
def test_module_of_another_version(bulla, softhsm, version, says):
    env = softhsm.mocked(f"C_GetFunctionList:1+:version={version}")
    done = seal(bulla, softhsm.uri("rsa", mock=True), status=6, env=env)
    assert str(MOCK).encode() in done.stderr and b"is of version " + says in done.stderr


@pytest.mark.parametrize("kind", ["rsa", "p256"])
def test_module_that_asks_the_process_for_functions(bulla, softhsm, kind):
    """It finds its own: the program has none for it."""
    key = softhsm.uri(kind, mock=True)
    env = softhsm.mocked("C_GetFunctionList:1+:glass")
    assert bulla("decrypt", "-k", key, stdin=seal(bulla, key, env=env).stdout, env=env).stdout == X


@pytest.mark.plain
def test_program_exports_nothing(bulla):
    """What it did would be found by every library in it; copies of the C library's variables are no functions of ours."""
    shown = subprocess.run(["nm", "-D", "--defined-only", bulla.program], capture_output=True, check=True).stdout.decode()
    assert [line for line in shown.splitlines() if "@GLIBC" not in line] == []


@pytest.fixture
def configured(bulla, tmp_path):
    """Runs bulla where p11-kit's configuration is this: module names and what their files say."""
    system = tmp_path / "modules"
    system.mkdir()
    own = ["unshare", "-m"] if os.geteuid() == 0 else ["unshare", "-rm"]
    mount = f'mount --bind {system} /usr/share/p11-kit/modules && exec "$@"'

    def under(**modules):
        for name, text in modules.items():
            (system / f"{name}.module").write_text(text)
        return [*own, "sh", "-c", mount, "sh"]

    return under


HANGING = "#include <unistd.h>\nstatic void __attribute__((constructor)) hang(void) { for (;;) pause(); }\n"


@pytest.fixture
def hanging(tmp_path):
    """A library that hangs when it is loaded."""
    path = tmp_path / "hanging.so"
    subprocess.run(["gcc", "-shared", "-fPIC", "-x", "c", "-", "-o", path], input=HANGING.encode(), check=True)
    return path


def test_module_by_name_loads_no_other(bulla, softhsm, configured, hanging):
    own = f"# of the tests\n\n  module :  {softhsm.module}  \npriority: 1\n"
    under = configured(aaa=f"module: {hanging}\n", lab=own, zzz=f"module: {hanging}\ncritical: yes\n")
    key = softhsm.uri("rsa", module_path=None, module_name="lab")
    sealed = seal(bulla, key, under=under, timeout=HANGS).stdout
    assert bulla("decrypt", "-k", key, stdin=sealed, under=under, timeout=HANGS).stdout == X


def test_module_by_name_that_hangs(bulla, softhsm, configured, hanging):
    key = softhsm.uri("rsa", module_path=None, module_name="aaa")
    under = configured(aaa=f"module: {hanging}\n")
    done = bulla("encrypt", "-k", key, "--token-timeout", "1", stdin=X, under=under, timeout=HANGS, status=6)
    assert b"did not answer for 1 seconds" in done.stderr and done.stdout == b""


@pytest.mark.parametrize("by_name", [True, False], ids=["name", "path"])
def test_module_that_hangs_ends_with_the_program(bulla, softhsm, configured, hanging, by_name):
    how = {"module_name": "aaa", "module_path": None} if by_name else {"module_path": hanging}
    process = bulla.start("encrypt", "-k", softhsm.uri("rsa", **how), "-o", "out", under=configured(aaa=f"module: {hanging}\n"))
    deadline = time.monotonic() + HANGS
    while str(hanging) not in pathlib.Path(f"/proc/{process.pid}/maps").read_text():
        assert time.monotonic() < deadline
        time.sleep(0.01)
    process.send_signal(signal.SIGTERM)
    bulla.finish(process, status=130)
    assert os.listdir(bulla.work) == []


def test_configuration_that_others_may_write(bulla, softhsm, configured, tmp_path):
    key = softhsm.uri("rsa", module_path=None, module_name="lab")
    under = configured(lab=f"module: {softhsm.module}\n")
    seal(bulla, key, under=under)
    (tmp_path / "modules/lab.module").chmod(0o666)
    done = seal(bulla, key, under=under, status=7)
    assert b"module file '/usr/share/p11-kit/modules/lab.module' may be from somebody else" in done.stderr and done.stdout == b""


@pytest.mark.parametrize("text", ["", "module:\n", "remote: |p11-kit remote\n", "# module: /x.so\n", "modules: /x.so\n"], ids=repr)
def test_configuration_without_a_module(bulla, softhsm, configured, text):
    done = seal(bulla, softhsm.uri("rsa", module_path=None, module_name="lab"), under=configured(lab=text), status=6)
    assert b"p11-kit has no module 'lab'" in done.stderr and b"/etc/pkcs11/modules" in done.stderr


def test_arguments_of_a_configured_module(bulla, templates, configured, tmp_path):
    nss = templates.get(NSS).copy(tmp_path / "nss")
    under = configured(lab=f"module: {nss.module}\nx-init-reserved: {nss.arguments}\n")
    bulla.environment.pop("BULLA_PKCS11_INIT_ARGS", None)
    key = nss.uri("rsa", module_path=None, module_name="lab")
    assert bulla("decrypt", "-k", key, stdin=seal(bulla, key, under=under).stdout, under=under).stdout == X


def test_module_by_name_is_found_in_the_directory_of_modules(bulla, softhsm, configured):
    """One that is there, and has no token of SoftHSM's: it says so, or cannot begin without readers of cards."""
    done = seal(bulla, softhsm.uri("rsa", module_path=None, module_name="lab"), under=configured(lab="module: opensc-pkcs11.so\n"), status=6)
    assert b"/pkcs11/opensc-pkcs11.so'" in done.stderr and b"cannot load" not in done.stderr


def test_module_by_name(bulla, softhsm):
    """As Debian's package of SoftHSM tells p11-kit."""
    key = softhsm.uri("rsa", module_path=None, module_name="softhsm2")
    assert bulla("decrypt", "-k", key, stdin=seal(bulla, key).stdout).stdout == X


def test_name_of_no_module(bulla, softhsm):
    done = seal(bulla, softhsm.uri("rsa", module_path=None, module_name="no-such-module"), status=6)
    assert b"no-such-module" in done.stderr


def test_module_is_not_for_a_file_to_choose(bulla, softhsm):
    """No path is in what bulla writes."""
    sealed = seal(bulla, softhsm.uri("rsa")).stdout
    assert b"libsofthsm" not in sealed and b".so" not in sealed[:8192] and b"module" not in sealed[:8192]


# What modules make of the standard.


@pytest.fixture
def early(softhsm):
    """A key of P-256 whose x begins with 0x3f, as DER of a point would: one of 256."""
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

    private, path = None, softhsm.directory / "key"
    while private is None or private.public_key().public_numbers().x >> 248 != 0x3F:
        private = ec.generate_private_key(ec.SECP256R1())
    path.write_bytes(private.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption()))
    softhsm.tool("--write-object", path, "--type", "privkey", "--usage-derive", "--label", "early", "--id", "c5")
    path.write_bytes(private.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo))
    softhsm.tool("--write-object", path, "--type", "pubkey", "--usage-derive", "--label", "early", "--id", "c5")
    return softhsm.uri("early", mock=True)


@pytest.mark.parametrize("how", ["", "C_GetAttributeValue:1+:bare"], ids=["DER", "bare"])
def test_point_that_looks_like_der(bulla, softhsm, early, how):
    bulla.environment |= softhsm.mocked(how)
    for key in (early, softhsm.uri("p256", mock=True), softhsm.uri("p384", mock=True)):
        assert bulla("decrypt", "-k", key, stdin=seal(bulla, key).stdout).stdout == X


@pytest.mark.parametrize("function", ["C_GetTokenInfo", "C_GetSlotInfo", "C_GetInfo"])
def test_names_that_are_padded_by_zeros(bulla, softhsm, function):
    bulla.environment |= softhsm.mocked(f"{function}:1+:zeros")
    key = softhsm.uri("rsa", mock=True, manufacturer="SoftHSM project", library_manufacturer="SoftHSM", slot_manufacturer="SoftHSM project")
    sealed = seal(bulla, key).stdout
    assert bulla("decrypt", "-k", key, stdin=sealed).stdout == X
    (slot,) = bulla.inspect(stdin=sealed)[0]["slots"]
    assert slot["token_label"] == softhsm.label
    listed = bulla("key", "list", f"pkcs11:?module-path={MOCK}").stdout
    assert b"token=bulla%20lab" in listed and b"%00" not in listed


# Tokens that this user does not get to see.


@pytest.mark.parametrize("what", ["no settings", "no tokens", "unreadable"])
def test_settings_of_another_user(bulla, softhsm, what):
    conf, tokens = softhsm.directory / "softhsm2.conf", softhsm.directory / "tokens"
    if what == "no settings":
        conf.unlink()
    elif what == "no tokens":
        shutil.rmtree(tokens)
        tokens.mkdir()
    else:
        tokens.chmod(0)
    done = seal(bulla, softhsm.uri("rsa"), status=6, under=BOUND)
    tokens.chmod(0o700)
    assert b"SOFTHSM2_CONF" in done.stderr and b"user" in done.stderr


# What cannot be told apart.


def serials(token):
    lines = token.util("--show-slots").splitlines()
    return [line.split(":")[1].strip() for line in lines if "Serial number" in line and line.split(":")[1].strip()]


def test_two_tokens_of_one_label(bulla, softhsm):
    first = set(serials(softhsm))
    softhsm.add_token(softhsm.label)
    (second,) = set(serials(softhsm)) - first
    done = seal(bulla, softhsm.uri("rsa"), status=(2, 5))
    assert all(f"serial={serial}".encode() in done.stderr for serial in (*first, second)), "the URIs that tell them apart"
    (first,) = first
    key = softhsm.uri("rsa", serial=first)
    assert bulla("decrypt", "-k", key, stdin=seal(bulla, key).stdout).stdout == X
    seal(bulla, softhsm.uri("rsa", serial=second), status=5)


def ids(done):
    return [part.split("'")[0] for part in done.stderr.decode().split("id=")[1:]]


@pytest.mark.parametrize("kind", ["rsa", "p256", "aes"])
def test_two_keys_of_one_label(bulla, softhsm, kind):
    softhsm.make(kind, kind, id="c1c2")
    done = seal(bulla, softhsm.uri(kind), status=(2, 5))
    assert b"%c1%c2" in done.stderr.lower() and b"id=" in done.stderr
    key = softhsm.uri(kind, id=b"\xc1\xc2")
    assert bulla("decrypt", "-k", key, stdin=seal(bulla, key).stdout).stdout == X


def test_two_keys_of_one_version(bulla, softhsm):
    """The two are named, not any two."""
    for label, id in (("backup-v0001", "c1"), ("backup-v0002", "c2"), ("backup-v0002", "c3"), ("backup-v0003", "c4")):
        softhsm.make("p256", label, id=id)
    done = seal(bulla, softhsm.uri("backup"), status=2)
    assert b"has version 2 twice" in done.stderr and done.stderr.count(b"object=backup-v0002") == 2
    assert sorted(part[:3].lower() for part in ids(done)) == ["%c2", "%c3"]
    for hint in (part.split("'")[0] for part in done.stderr.decode().split("'pkcs11:serial")[1:]):
        assert bulla("decrypt", "-k", f"pkcs11:serial{hint}", stdin=seal(bulla, f"pkcs11:serial{hint}").stdout).stdout == X


def test_two_keys_of_one_id(bulla, softhsm):
    """The private key is told from the other one by more than its id."""
    softhsm.make("rsa", "twin", id=IDS["rsa"])
    for name in ("rsa", "twin"):
        key = softhsm.uri(name)
        done = bulla("encrypt", "-k", key, stdin=X, status=(0, 2, 5))
        if done.returncode == 0:
            assert bulla("decrypt", "-k", key, stdin=done.stdout).stdout == X
    done = bulla("encrypt", "-k", softhsm.uri(None, id=b"\xa1"), stdin=X, status=(2, 5))


def test_no_key_is_taken_by_guess(bulla, softhsm):
    """The token alone says where to look for the key of a slot; to seal, one key must be named."""
    done = seal(bulla, softhsm.uri(), status=(2, 5))
    assert done.stderr.count(b"object=") == 2 and b"token=bulla%20lab" in done.stderr


CKA_DECRYPT, CKA_DERIVE = 0x105, 0x10C


@pytest.mark.parametrize("kind, function", [("rsa", "C_DecryptInit"), ("p256", "C_DeriveKey"), ("aes", "C_DecryptInit")])
def test_key_that_may_not_be_used(bulla, softhsm, kind, function):
    """CKR_KEY_FUNCTION_NOT_PERMITTED, and the attribute that says so beforehand."""
    key = softhsm.uri(kind, mock=True)
    sealed = seal(bulla, key, env=softhsm.mocked()).stdout
    forbidden = " ".join(f"C_GetAttributeValue:1+:flip@{a}" for a in (CKA_DERIVE if kind == "p256" else CKA_DECRYPT,))
    env = softhsm.mocked(f"{function}:1+:rv=0x68 {forbidden}")
    done = bulla("decrypt", "-k", key, stdin=sealed, env=env, status=5)
    assert b"CKR_KEY_FUNCTION_NOT_PERMITTED" in done.stderr and done.stdout == b""
    told = json.loads(bulla("key", "check", "--json", key, env=env, status=(0, 5)).stdout)
    assert told["unwraps"] is (kind == "aes"), "by key wrap it may"


def test_key_of_a_type_that_bulla_cannot_use(bulla, softhsm):
    """It is passed by in lists and refused by name; the others of the token work beside it."""
    softhsm.tool("--keypairgen", "--key-type", "EC:edwards25519", "--usage-sign", "--label", "edwards", "--id", "d1")
    softhsm.tool("--keypairgen", "--key-type", "EC:secp521r1", "--usage-derive", "--label", "large", "--id", "d2")
    softhsm.tool("--keygen", "--key-type", "AES:16", "--label", "small", "--id", "d3")
    softhsm.tool("--keypairgen", "--key-type", "rsa:1024", "--usage-decrypt", "--label", "short", "--id", "d4")
    for kind in ("rsa", "p256", "aes"):
        key = softhsm.uri(kind)
        assert bulla("decrypt", "-k", key, stdin=seal(bulla, key).stdout).stdout == X
    for name in ("edwards", "large", "small", "short"):
        seal(bulla, softhsm.uri(name), status=(5, 8))


def test_uninitialised_token(bulla, softhsm):
    done = seal(bulla, f"pkcs11:object=rsa?module-path={softhsm.module}", status=(0, 2, 5))
    done = seal(bulla, softhsm.uri("rsa", token=""), status=(2, 5, 6))
    assert done.stdout == b""


def test_missing_token(bulla, softhsm, tmp_path):
    empty = tmp_path / "empty.conf"
    (tmp_path / "none").mkdir()
    empty.write_text(f"directories.tokendir = {tmp_path}/none\nobjectstore.backend = file\n")
    sealed = bulla.seal(softhsm.uri("rsa"), X)
    before = os.listdir(bulla.work)
    for args in (["encrypt", "-o", "out"], ["decrypt", "-o", "out"], ["verify"], ["rewrap"]):
        done = bulla(args[0], "-k", softhsm.uri("rsa"), *args[1:], sealed, env={"SOFTHSM2_CONF": str(empty)}, status=6)
        assert quote(softhsm.label).encode() in done.stderr and os.listdir(bulla.work) == before
