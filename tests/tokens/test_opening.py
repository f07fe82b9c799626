"""What is sealed to a key of a token opens with it: on each token, by each kind of key."""

import json
import os
import pathlib
import shutil
import tempfile

import pytest

from program import SANITIZED
from sealed import content, flip, layout, snapshot, with_copies
from tokens import METHODS, NSS, SoftHSM

X = content(40_000)


def slots(bulla, sealed):
    return bulla.inspect(sealed)[0]["slots"]


def calls_in(done):
    """What the last line of --json says of calls to the token."""
    return json.loads(done.stdout.splitlines()[-1])["key_calls"]


def test_seals_and_opens(bulla, case, work):
    token, kind = case
    sealed = bulla.seal(token.uri(kind), X)
    (slot,) = slots(bulla, sealed)
    assert (slot["method"], slot["token_label"], slot["key_label"]) == (METHODS[kind], token.label, kind)
    assert bulla.open(token.uri(kind), sealed) == X
    bulla("verify", "-q", "-k", token.uri(kind), sealed)
    assert os.listdir(work) == [sealed.name]


def test_opens_by_the_name_of_the_token_alone(bulla, case):
    """The slot tells which of its keys it needs."""
    token, kind = case
    sealed = bulla.seal(token.uri(kind), X)
    assert bulla.open(token.uri(), sealed) == X


def test_rewrap_by_the_name_of_the_token_alone_leaves_the_slots_of_two_of_its_keys(bulla, softhsm):
    bulla.environment |= softhsm.env
    for number, name in enumerate(("one", "two"), 1):
        softhsm.make("p256", name, id=f"{number:02}")
    sealed = bulla.seal(softhsm.uri("one"), X, "-k", softhsm.uri("two"))
    before = sealed.read_bytes()
    done = bulla("rewrap", "-k", softhsm.uri("one").replace(";object=one", ""), sealed)
    assert b"0 rewrapped, 1 were current" in done.stderr and sealed.read_bytes() == before


def test_another_key_of_the_token_does_not_open(bulla, case, work):
    token, kind = case
    token = token if token.name == "tpm" else token.copy(work.parent / "other")
    bulla.at(token)
    token.make(kind, f"other {kind} of {work.parent.name}")
    sealed = bulla.seal(token.uri(kind), X)
    done = bulla("decrypt", "-k", token.uri(f"other {kind} of {work.parent.name}"), "-o", "out", sealed, status=5)
    assert b"none of the given keys opens it" in done.stderr and os.listdir(work) == [sealed.name]


def test_changed_wrap_does_not_open(bulla, case, work):
    token, kind = case
    sealed = bulla.seal(token.uri(kind), X)
    raw = sealed.read_bytes()
    at = layout(raw)
    sealed.write_bytes(with_copies(raw, flip(raw[: at.region], at.tag - 1)))
    bulla("decrypt", "-k", token.uri(kind), "-o", "out", sealed, status=5)
    assert os.listdir(work) == [sealed.name]


def test_pipe(bulla, case):
    token, kind = case
    sealed = bulla("encrypt", "-k", token.uri(kind), stdin=X).stdout
    assert bulla("decrypt", "-k", token.uri(kind), stdin=sealed).stdout == X


def test_key_from_the_environment(bulla, case):
    token, kind = case
    env = {"BULLA_KEY": token.uri(kind)}
    assert bulla("decrypt", env=env, stdin=bulla("encrypt", env=env, stdin=X).stdout).stdout == X


def test_key_check(bulla, case):
    token, kind = case
    told = json.loads(bulla("key", "check", "--json", token.uri(kind)).stdout)
    assert (told["store"], told["wraps"], told["unwraps"], told["status"]) == ("pkcs11", True, True, 0)
    shown = bulla("key", "check", token.uri(kind)).stdout.decode()
    assert kind in shown and "wraps               yes" in shown and "unwraps             yes" in shown


# Hosts with the public key alone.

PUBLIC_CASES = ["softhsm-rsa", "softhsm-p256", "softhsm-p384", "nss-rsa", "nss-p256", "nss-p384", "tpm-rsa"]
PUBLIC_CASES = PUBLIC_CASES[::3] if SANITIZED else PUBLIC_CASES


@pytest.fixture(params=PUBLIC_CASES)
def public(request, bulla, work):
    """A token, a kind of key, and the exported PEM of that key."""
    name, kind = request.param.split("-")
    token = request.getfixturevalue(name)
    bulla.at(token)
    path = bulla.home / "backup.pem"
    bulla("key", "export-public", "-q", "-o", path, token.uri(kind))
    return token, kind, path


def without_modules():
    """A host that has no module, no token and no PIN: it is another world but for the file of the key."""
    return {"SOFTHSM2_CONF": "/nowhere", "TPM2_PKCS11_STORE": "/nowhere", "BULLA_PIN_FILE": "/nowhere"}


def test_host_without_a_module_seals(bulla, public, work):
    token, kind, pem = public
    (work / "plain").write_bytes(X)
    trace = bulla.home / "trace"
    under = ["strace", "-f", "-qq", "-e", "trace=open,openat", "-o", trace] if not SANITIZED else []
    bulla("encrypt", "-k", pem, "-o", "a.bulla", "plain", env=without_modules(), under=under, start_new_session=True)
    if under:
        seen = trace.read_text()
        assert "plain" in seen and "softhsm" not in seen and "softokn" not in seen and "tpm2" not in seen
    (slot,) = slots(bulla, "a.bulla")
    assert slot["method"] == METHODS[kind]
    assert bulla.open(token.uri(kind), "a.bulla") == bulla.open(token.uri(), "a.bulla") == X


def test_public_key_opens_nothing(bulla, public, work):
    token, kind, pem = public
    sealed = bulla.seal(pem, X)
    done = bulla("decrypt", "-k", pem, "-o", "out", sealed, status=5)
    assert b"none of the given keys opens it" in done.stderr and os.listdir(work) == [sealed.name]
    hint = done.stderr.decode().split("-k '")[1].split("'")[0]
    assert bulla.open(f"{hint}?module-path={token.module}", sealed) == X, "the hint, pasted"


@pytest.mark.parametrize("keep, says", [
    ([b"Token"], b"-k 'pkcs11:token=bulla%20lab'\n"),
    ([b"Label"], b"-k 'pkcs11:object=p256'\n"),
    ([b"Token", b"Label"], b"-k 'pkcs11:token=bulla%20lab;object=p256'\n"),
    ([], b"-k pkcs11:... names it\n"),
])  # fmt: skip
def test_hint_has_what_the_public_key_file_has(bulla, softhsm, keep, says):
    bulla.at(softhsm)
    pem, bare = bulla.home / "backup.pem", bulla.home / "bare.pem"
    bulla("key", "export-public", "-q", "-o", pem, softhsm.uri("p256"))
    lines = pem.read_bytes().splitlines(keepends=True)
    front = [line for line in lines[: lines.index(b"-----BEGIN PUBLIC KEY-----\n")] if line.split(b":")[0] in keep]
    assert len(front) == len(keep)
    bare.write_bytes(b"".join(front + lines[lines.index(b"-----BEGIN PUBLIC KEY-----\n") :]))
    done = bulla("decrypt", "-k", bare, "-o", "out", bulla.seal(pem, X), status=5)
    assert says in done.stderr


def test_name_of_a_public_key(bulla, tmp_path):
    from cryptography.hazmat.primitives.asymmetric import rsa
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    pem = tmp_path / "odd.pem"
    public = rsa.generate_private_key(65537, 2560).public_key()
    pem.write_bytes(public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    told = json.loads(bulla("key", "check", "--json", pem, status=(0, 5)).stdout)
    assert told["store"] == "spki" and told["kind"] == "rsa2560"


def test_exported_key_is_what_the_token_says(bulla, public):
    from cryptography.hazmat.primitives.serialization import load_pem_public_key

    from independent import read, spki_hash

    token, kind, pem = public
    key = load_pem_public_key(pem.read_bytes())
    assert b"-----BEGIN PUBLIC KEY-----\n" in pem.read_bytes()
    for name in (pem, token.uri(kind)):
        content, _ = read(bulla.seal(name, X, "--force"))
        assert content.slots[0].fields["spki_hash"] == spki_hash(key)


# One operation for a run.


def token_operations(log):
    """How often the private key was used, as the module saw it."""
    calls = [line.split()[2] for line in log.read_text().splitlines()] if log.exists() else []
    return sum(calls.count(name) for name in ("C_Decrypt", "C_DeriveKey", "C_UnwrapKey"))


@pytest.fixture
def fast_directory(tmp_path):
    """A directory in memory where there is room for ten thousand files, since each is synced: that is not what is tested."""
    memory = pathlib.Path("/dev/shm")
    room = memory.is_dir() and shutil.disk_usage(memory).free > 500 << 20
    directory = pathlib.Path(tempfile.mkdtemp(dir=memory if room else tmp_path))
    yield directory
    shutil.rmtree(directory)


@pytest.mark.parametrize("kind, files", [("rsa", 10_000), ("p256", 200), ("aes", 200)])
def test_one_operation_opens_a_run(bulla, softhsm, fast_directory, tmp_path, kind, files):
    """Ten thousand files sealed in one run."""
    files = min(files, 300) if SANITIZED else files
    directory, log = fast_directory, tmp_path / "log"
    for number in range(files):
        (directory / f"{number:05}").write_bytes(b"%d" % number)
    key = softhsm.uri(kind, mock=True)
    bulla.environment |= softhsm.mocked(log=log)
    sealed = bulla("encrypt", "-k", key, "-r", "--remove-source", "--json", "-j", "2", directory)
    assert len(sealed.stdout.splitlines()) >= files
    log.unlink(missing_ok=True)
    done = bulla("decrypt", "-k", key, "-r", "--remove-source", "--json", "-j", "2", directory)
    assert calls_in(done) == 1 and token_operations(log) == 1
    assert all((directory / f"{number:05}").read_bytes() == b"%d" % number for number in range(files))
    calls = [line.split() for line in log.read_text().splitlines()]
    assert len({thread for _, thread, _ in calls}) == 1, "more than one thread talks to the token"
    assert [name for _, _, name in calls].count("C_Login") == 1


def test_each_run_has_its_operation(bulla, softhsm, work, tmp_path):
    log = tmp_path / "log"
    bulla.environment |= softhsm.mocked(log=log)
    key = softhsm.uri("rsa", mock=True)
    for name in "abc":
        bulla.seal(key, X, name=name)
    log.unlink(missing_ok=True)
    done = bulla("verify", "-k", key, "-r", "--json", ".")
    assert calls_in(done) == token_operations(log) == 3


# Two keys.


@pytest.mark.parametrize("gone", [0, 1])
def test_one_token_of_two_is_enough(bulla, softhsm, tmp_path, work, gone):
    other = SoftHSM(tmp_path / "second", "second lab")
    other.make("p256")
    conf = (other.directory / "softhsm2.conf").read_text()
    both = work.parent / "both"
    shutil.copytree(softhsm.directory / "tokens", both / "tokens")
    shutil.copytree(other.directory / "tokens", both / "tokens", dirs_exist_ok=True)
    (both / "softhsm2.conf").write_text(conf.replace(str(other.directory), str(both)))
    keys = [softhsm.uri("rsa"), other.uri("p256")]
    bulla.environment["SOFTHSM2_CONF"] = str(both / "softhsm2.conf")
    sealed = bulla.seal(keys[0], X, "-k", keys[1])
    assert len(slots(bulla, sealed)) == 2
    env = [other, softhsm][gone].env
    for order in (keys, keys[::-1]):
        done = bulla("decrypt", "-k", order[0], "-k", order[1], "-o", "-", sealed, env=env)
        assert done.stdout == X and b"warning" in done.stderr
    done = bulla("decrypt", "-k", keys[gone], "-o", "out", sealed, env=env, status=6)
    assert os.listdir(work) == [sealed.name]


def test_keyring_opens_while_the_token_is_away(bulla, softhsm, ring, work):
    bulla.at(softhsm)
    sealed = bulla.seal(ring, X, "-k", softhsm.uri("rsa"))
    away = {"SOFTHSM2_CONF": "/nowhere"}
    for keys in ([ring, softhsm.uri("rsa")], [softhsm.uri("rsa"), ring]):
        assert bulla.open(keys[0], sealed, "-k", keys[1], env=away) == X


# Rewrap.


@pytest.mark.parametrize("kind", ["rsa", "p256", "p384", "aes"])
@pytest.mark.parametrize("cls", [SoftHSM, NSS], ids=["softhsm", "nss"])
def test_rewrap_between_keyring_and_token(bulla, request, cls, kind, ring):
    token = request.getfixturevalue(cls.name)
    bulla.at(token)
    sealed, key = bulla.seal(ring, X), token.uri(kind)
    body = sealed.read_bytes()[8192:]
    done = bulla("rewrap", "-k", ring, "--to", key, sealed)
    assert b"1 rewrapped" in done.stderr and b"1 unwraps and 1 wraps" in done.stderr
    assert bulla.open(key, sealed) == X and bulla.open(ring, sealed, status=5) == b""
    done = bulla("rewrap", "-k", key, "--to", ring, sealed)
    assert b"1 rewrapped" in done.stderr
    assert bulla.open(ring, sealed) == X and bulla.open(key, sealed, status=5) == b""
    assert sealed.read_bytes()[8192:] == body


@pytest.mark.parametrize("kinds", [("rsa", "aes"), ("p256", "rsa"), ("aes", "p384")], ids="-".join)
def test_rewrap_from_token_to_token(bulla, softhsm, templates, tmp_path, kinds):
    """And back. NSS is reached by the mock, which gives it, and it alone, the arguments it needs."""
    nss = templates.get(NSS).copy(tmp_path / "nss")
    bulla.environment |= softhsm.env | nss.mocked()
    one, two = softhsm.uri(kinds[0]), nss.uri(kinds[1], mock=True)
    sealed = bulla.seal(one, X)
    for source, target in ((one, two), (two, one)):
        done = bulla("rewrap", "-k", source, "--to", target, sealed)
        assert b"1 rewrapped" in done.stderr and b"1 unwraps and 1 wraps" in done.stderr
        assert bulla.open(target, sealed) == X and bulla.open(source, sealed, status=5) == b""
    bulla("rewrap", "-k", one, "--add", two, sealed)
    assert bulla.open(one, sealed) == bulla.open(two, sealed) == X


def test_rewrap_costs_one_operation_for_a_branch_key(bulla, softhsm, work, tmp_path, ring):
    """Two runs sealed twenty files each."""
    log = tmp_path / "log"
    bulla.environment |= softhsm.mocked(log=log)
    key = softhsm.uri("rsa", mock=True)
    for run in "ab":
        (work / run).mkdir()
        for number in range(20):
            (work / run / str(number)).write_bytes(b"%d" % number)
        bulla("encrypt", "-k", key, "-r", "--remove-source", run)
    log.unlink(missing_ok=True)
    done = bulla("rewrap", "-k", key, "--to", softhsm.uri("p256", mock=True), "-r", "--json", "-j", "2", ".")
    assert b"40 rewrapped, 0 were current, 0 of other keys, 0 left; 2 unwraps and 1 wraps" in done.stderr
    operations = token_operations(log)
    assert operations == 3, "wrapping takes the public key alone, but the new key must be seen to open"
    log.unlink()
    bulla("rewrap", "-k", softhsm.uri("p256", mock=True), "--to", ring, "-r", ".")
    assert token_operations(log) == 1, "all are of one branch now"
    bulla("verify", "-k", ring, "-r", ".")


def test_dry_run_of_a_rewrap(bulla, softhsm, ring):
    bulla.at(softhsm)
    sealed = bulla.seal(ring, X)
    before = snapshot(sealed.parent)
    bulla("rewrap", "-n", "-k", ring, "--to", softhsm.uri("rsa"), sealed)
    assert snapshot(sealed.parent) == before


def test_reencrypt(bulla, case, ring):
    token, kind = case
    sealed = bulla.seal(ring, X)
    bulla("reencrypt", "-k", ring, "--to", token.uri(kind), sealed)
    assert bulla.open(token.uri(kind), sealed) == X
    bulla("reencrypt", "-k", token.uri(kind), sealed)
    assert bulla.open(token.uri(kind), sealed) == X and bulla.open(ring, sealed, status=5) == b""


@pytest.mark.parametrize("kinds", [("rsa", "p256"), ("p256", "p384"), ("aes", "rsa"), ("aes", "p256")], ids="-".join)
@pytest.mark.parametrize("modules", [1, 2])
def test_reencrypt_with_two_keys_at_once(bulla, softhsm, templates, tmp_path, work, kinds, modules):
    """Each context is a branch key of its own, so that the threads use both keys all the time."""
    other = softhsm if modules == 1 else templates.get(NSS).copy(tmp_path / "nss")
    bulla.environment |= softhsm.env | (other.mocked() if modules == 2 else {})
    one, two = softhsm.uri(kinds[0]), other.uri(kinds[1], mock=modules == 2)
    files = [bulla.seal(one, b"%d" % n, "--context", f"n={n}", name=f"{n:02}") for n in range(20)]
    for source, target in ((one, two), (two, one)):
        done = bulla("reencrypt", "-j", "4", "-k", source, "--to", target, *files)
        assert b"warning" not in done.stderr
        bulla("verify", "-j", "4", "-k", target, *files)
        bulla("verify", "-k", source, files[0], status=5)
    assert [bulla.open(one, path) for path in files[::7]] == [b"%d" % n for n in range(0, 20, 7)]


def test_envelope_is_put_back_by_a_token(bulla, case):
    token, kind = case
    sealed = bulla.seal(token.uri(kind), X)
    bulla("envelope", "export", sealed)
    raw = sealed.read_bytes()
    sealed.write_bytes(bytes(layout(raw).body) + raw[layout(raw).body :])
    bulla("envelope", "restore", "-k", token.uri(kind), sealed)
    assert sealed.read_bytes() == raw


def test_status_counts_files_of_a_token(bulla, case, work):
    token, kind = case
    bulla.seal(token.uri(kind), X)
    shown = bulla("status", "-r", ".").stdout.decode()
    assert kind in shown


def test_verbose_tells_each_operation_and_no_pin(bulla, case, work):
    """TokenBulla searches what was told for PINs."""
    token, kind = case
    (work / "plain").write_bytes(X)
    bulla("encrypt", "-v", "-k", token.uri(kind), "plain")
    done = bulla("verify", "-v", "-k", token.uri(kind), "plain.bulla")
    assert done.stderr.decode().count("bulla: the token ") == 1 and b": it opens\n" in done.stderr
    assert b"from file '" in done.stderr and b"PIN" in done.stderr
