"""A session that is lost, as when an HSM fails over: bulla logs in once more by the PIN that it has, and goes on; else status 6."""

import pytest

from sealed import content, snapshot
from terminal import asked as pins_asked
from terminal import on_terminal
from tokens import PIN

X = content(1000)
FINAL_TRY = 0x20000
USES = {"rsa": "C_DecryptInit", "p256": "C_DeriveKey", "aes": "C_DecryptInit"}
LOST = {"handle": 0xB3, "closed": 0xB0, "device": 0x30, "removed": 0x32, "login": 0x101}


@pytest.fixture
def bulla(bulla, softhsm):
    return bulla.at(softhsm)


@pytest.fixture
def asked(bulla):
    """PINs come from a command; the number of times that it was run."""
    path = bulla.home / "asked"
    bulla.command_of_pin = ["--pin-command", f"echo >>{path}; cat {bulla.home}/pin"]
    return lambda: path.read_text().count("\n") if path.exists() else 0


def three(bulla, key):
    """Files of a branch each."""
    return [bulla.seal(key, X, "--context", f"n={n}", name=f"{n}") for n in range(3)]


def count(log, name):
    return [line.split()[2] for line in log.read_text().splitlines()].count(name)


@pytest.mark.parametrize("rv", LOST.values(), ids=LOST)
@pytest.mark.parametrize("kind", USES)
def test_session_that_is_lost_between_two_files(bulla, softhsm, asked, tmp_path, kind, rv):
    """All sessions of the real module end, with their login; the objects get other handles."""
    files, key, log = three(bulla, softhsm.uri(kind)), softhsm.uri(kind, mock=True), tmp_path / "log"
    env = softhsm.mocked(f"{USES[kind]}:2:drop={rv}", log)
    bulla("decrypt", "-j", "1", "-k", key, *bulla.command_of_pin, *files, env=env)
    assert all((bulla.work / name).read_bytes() == X for name in "012")
    assert asked() == 1 and count(log, "C_Login") == 2


@pytest.mark.parametrize("function", ["C_FindObjectsInit", "C_FindObjects", "C_GetAttributeValue", "C_OpenSession", "C_GetMechanismList"])
def test_session_that_is_lost_at_another_call(bulla, softhsm, asked, tmp_path, function):
    files, key, log = three(bulla, softhsm.uri("p256")), softhsm.uri("p256", mock=True), tmp_path / "log"
    bulla("verify", "-j", "1", "-k", key, *files, env=softhsm.mocked(log=log))
    for call in (1, count(log, function)):
        bulla("verify", "-q", "-j", "1", "-k", key, *bulla.command_of_pin, *files, env=softhsm.mocked(f"{function}:{call}:drop=0xb3"))
    assert asked() == 2


@pytest.mark.parametrize("verb", ["rewrap", "reencrypt"])
def test_session_that_is_lost_while_files_are_moved(bulla, softhsm, asked, ring, verb):
    files, key = three(bulla, softhsm.uri("aes")), softhsm.uri("aes", mock=True)
    env = softhsm.mocked("C_DecryptInit:2:drop=0xb3 C_EncryptInit:2:drop=0x30")
    bulla(verb, "-j", "1", "-k", key, "--to", ring, "--to", key, *bulla.command_of_pin, *files, env=env)
    assert asked() == 1 and all(bulla.open(ring, path) == bulla.open(softhsm.uri("aes"), path) == X for path in files)


@pytest.mark.parametrize("kind", USES)
@pytest.mark.parametrize("again", ["C_OpenSession:2+:rv=0x30", "C_Login:2+:rv=0x30", "C_Login:2+:rv=0xa0"])
def test_token_that_does_not_come_back(bulla, softhsm, asked, tmp_path, kind, again):
    """A retry of the run may help: it is not said that the key is not there. A PIN that is refused is not given again."""
    files, key, log = three(bulla, softhsm.uri(kind)), softhsm.uri(kind, mock=True), tmp_path / "log"
    before = snapshot(bulla.work)
    env = softhsm.mocked(f"{USES[kind]}:1:drop=0xb3 {again}", log)
    done = bulla("decrypt", "-j", "1", "-k", key, *bulla.command_of_pin, files[0], env=env, status=6)
    assert snapshot(bulla.work) == before and b"has no private key" not in done.stderr and b"CKR_" in done.stderr
    assert count(log, "C_Login") <= 2
    log.unlink()
    done = bulla("decrypt", "-j", "1", "-k", key, *bulla.command_of_pin, *files, env=env, status=3)
    assert snapshot(bulla.work) == before and b"has no private key" not in done.stderr
    assert asked() == 2 and count(log, "C_Login") <= (2 if "0xa0" in again else 6)


@pytest.fixture
def soon_final(bulla, softhsm, asked, tmp_path):
    """Files of a key, its name and an environment: the session is lost with the second file, and the token then says that one try is left."""
    files, key, log = three(bulla, softhsm.uri("p256")), softhsm.uri("p256", mock=True), tmp_path / "log"
    bulla("verify", "-k", key, *bulla.command_of_pin, files[0], env=softhsm.mocked(log=log))
    looks = count(log, "C_GetTokenInfo")
    log.unlink()
    return files, key, softhsm.mocked(f"C_DeriveKey:2:drop=0xb3 C_GetTokenInfo:{looks + 1}+:flags={FINAL_TRY}", log)


@pytest.mark.parametrize("verb", ["decrypt", "verify"])
def test_last_try_is_not_spent_on_the_pin_that_is_held(bulla, asked, tmp_path, soon_final, verb):
    """Somebody gave wrong ones meanwhile, or the PIN is another by now: only a person may give the last one."""
    files, key, env = soon_final
    done = bulla(verb, "-j", "1", "-k", key, *bulla.command_of_pin, *files, env=env, status=3, start_new_session=True)
    assert b"last try is for a PIN that somebody types" in done.stderr and asked() == 2
    assert count(tmp_path / "log", "C_Login") == 1, "the one of the first file"


def test_last_try_after_a_lost_session_may_be_typed(bulla, tmp_path, soon_final):
    files, key, env = soon_final
    bulla.environment |= env
    shown = on_terminal(bulla, "decrypt", "-j", "1", "-k", key, *files, lines=[PIN + "\n"])
    assert len(pins_asked(shown)) == 1 and all((bulla.work / name).read_bytes() == X for name in "012")
    assert count(tmp_path / "log", "C_Login") == 2


def test_what_made_a_key_is_not_done_twice(bulla, softhsm):
    before = softhsm.tool("--list-objects")
    env = softhsm.mocked("C_GenerateKeyPair:1:after=0xb3")
    bulla("key", "new", softhsm.uri("made", mock=True), env=env, status=6)
    made = [line for line in softhsm.tool("--list-objects").splitlines() if line.split() == ["label:", "made-v0001"]]
    assert len(made) == 2 and before != softhsm.tool("--list-objects"), "one pair: what the module made and did not tell of"


def test_pad_is_asked_again(bulla, softhsm, tmp_path):
    files, key, log = three(bulla, softhsm.uri("p256")), softhsm.uri("p256", mock=True), tmp_path / "log"
    env = softhsm.mocked("C_GetTokenInfo:1+:flags=0x100 C_DeriveKey:2:drop=0xb3", log) | {"MOCK_PINPAD": "pin-Zaubernuss-4711"}
    bulla("decrypt", "-j", "1", "-k", key, *files, env=env)
    assert count(log, "pinpad") == 2 and all((bulla.work / name).read_bytes() == X for name in "012")
