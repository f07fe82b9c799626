"""Modules that fail, lie and hang: each fault ends in a clean error, with nothing written and nothing leaked."""

import os
import resource
import signal
import time

import pytest

from held import status_of
from program import SANITIZED
from sealed import content, snapshot
from tokens import MOCK, NSS

X = content(1000)
HANGS = 40  # seconds: more is a deadlock
KINDS = ["rsa", "p256", "aes"]

CODES = {
    0x02: "CKR_HOST_MEMORY",
    0x05: "CKR_GENERAL_ERROR",
    0x06: "CKR_FUNCTION_FAILED",
    0x30: "CKR_DEVICE_ERROR",
    0x32: "CKR_DEVICE_REMOVED",
    0x54: "CKR_FUNCTION_NOT_SUPPORTED",
    0xB1: "CKR_SESSION_COUNT",
    0xB3: "CKR_SESSION_HANDLE_INVALID",
    0xE0: "CKR_TOKEN_NOT_PRESENT",
    0x101: "CKR_USER_NOT_LOGGED_IN",
    0x80001234: "0x80001234",
}

# What nothing is done without; the rest is cleaning up, or only to learn more.
NEEDED = {
    "C_GetFunctionList", "C_Initialize", "C_GetSlotList", "C_OpenSession", "C_Login", "C_FindObjectsInit", "C_FindObjects",
    "C_DecryptInit", "C_Decrypt", "C_EncryptInit", "C_Encrypt", "C_DeriveKey", "C_GenerateKey", "C_GenerateKeyPair",
}


class Operation:
    """Something that bulla does at a token, and how to tell that it was done."""

    def __init__(self, bulla, token, verb, kind):
        self.bulla, self.token, self.verb, self.kind = bulla, token, verb, kind
        self.key = token.uri(kind, mock=True)
        self.clean = token.mocked()
        self.sealed = bulla.home / f"{verb}-{kind}.bulla"
        bulla("encrypt", "-k", self.key, "-o", self.sealed, stdin=X, env=self.clean)

    def args(self):
        if self.verb == "encrypt":
            return ["encrypt", "-k", self.key, "-o", "out"]
        if self.verb == "decrypt":
            return ["decrypt", "-k", self.key, "-o", "out", self.sealed]
        return ["key", "check", self.key]

    def __call__(self, env, options=(), status=(0, 5, 6), other_key=False, **how):
        """Runs it; what failed has left nothing, and what succeeded has done it. Returns how it ended.

        With other_key, the module may have said that a public key is another than it is: who seals cannot know."""
        before = snapshot(self.bulla.work)
        begun = time.monotonic()
        done = self.bulla(*self.args(), *options, stdin=X, env=env, status=status, timeout=HANGS, **how)
        done.seconds = time.monotonic() - begun
        out = self.bulla.work / "out"
        if done.returncode != 0:
            assert done.stdout == b"" or self.verb == "check"
            assert snapshot(self.bulla.work) == before, "something was left behind"
        elif self.verb != "check":
            done.result = out.read_bytes()
            out.unlink()
            assert done.result == X if self.verb == "decrypt" else other_key or self.opens(done.result)
        return done

    def opens(self, sealed):
        return self.bulla("decrypt", "-k", self.key, stdin=sealed, env=self.clean).stdout == X

    def functions(self):
        """How often each function is called where nothing is wrong."""
        log = self.bulla.home / "log"
        log.unlink(missing_ok=True)
        self(self.token.mocked(log=log), status=0)
        calls = [line.split()[2] for line in log.read_text().splitlines()]
        return {name: calls.count(name) for name in dict.fromkeys(calls)}


@pytest.fixture
def bulla(bulla, softhsm):
    return bulla.at(softhsm)


# Each function is at work in these; sanitizers, which are slow, see less of what is nearly the same.
OPERATIONS = [("decrypt", kind) for kind in KINDS] + [("encrypt", "aes")]
OPERATIONS += [] if SANITIZED else [("encrypt", "rsa"), ("check", "p256")]


@pytest.fixture(params=OPERATIONS, ids="-".join)
def operation(request, bulla, softhsm):
    return Operation(bulla, softhsm, *request.param)


def faults_of(operation):
    """Each function at its first, second and last call and from each of these on, by codes in turn."""
    codes = list(CODES)
    number = 0
    for name, calls in operation.functions().items():
        for call in sorted({1, 2, calls} & set(range(1, calls + 1))):
            for on in ("", "+"):
                number += 1
                yield name, call, on, codes[number * 4 % len(codes)]


def test_each_function_fails_at_each_call(operation, softhsm):
    seen, quiet = set(), []
    for name, call, on, code in faults_of(operation):
        fault = f"{name}:{call}{on}:rv={code}"
        done = operation(softhsm.mocked(fault))
        seen.add(name)
        if done.returncode != 0:
            assert CODES[code].encode() in done.stderr, (fault, done.stderr)
        elif name in NEEDED and on and call == 1:
            quiet.append(fault)
    assert seen >= {"C_Initialize", "C_GetSlotList", "C_OpenSession", "C_FindObjects"}
    assert not quiet, "it went on without what it needs"


def test_each_code_at_the_operation(bulla, softhsm):
    """Where the key is used: what the message says, and which status."""
    for kind, name in (("rsa", "C_Decrypt"), ("p256", "C_DeriveKey"), ("aes", "C_Decrypt")):
        operation = Operation(bulla, softhsm, "decrypt", kind)
        for code, says in CODES.items():
            done = operation(softhsm.mocked(f"{name}:1+:rv={code}"), status=(5, 6))
            assert says.encode() in done.stderr and softhsm.label.encode() in done.stderr, done.stderr
            if code in (0x30, 0x32, 0xE0):
                assert done.returncode == 6, (says, done.stderr)


@pytest.mark.parametrize("kind", KINDS)
def test_token_that_is_removed_in_the_middle(bulla, softhsm, work, kind):
    """Three branch keys; the token goes after the first."""
    key = softhsm.uri(kind, mock=True)
    for name in "abc":
        bulla("encrypt", "-k", key, "-o", f"{name}.bulla", stdin=X, env=softhsm.mocked())
    use = "C_DeriveKey" if kind == "p256" else "C_Decrypt"
    gone = " ".join(f"{name}:2+:rv=0x32" for name in (use, f"{use}Init"))
    done = bulla("decrypt", "-k", key, "-r", ".", env=softhsm.mocked(gone), status=(3, 6), timeout=HANGS)
    made = sorted(path.name for path in work.iterdir() if path.suffix == "")
    assert len(made) <= 1 and all((work / name).read_bytes() == X for name in made)
    assert b"CKR_DEVICE_REMOVED" in done.stderr


LIES = [
    *(f"C_GetSlotList:{n}:length={v}" for n in ("1+", "2") for v in ("0", "1000000", "0xffffffffffffffff", "0x2000000000000001")),
    *(f"C_GetMechanismList:{n}:length={v}" for n in ("1+", "2") for v in ("0", "1000000", "0xffffffffffffffff")),
    *(f"C_FindObjects:1+:length={v}" for v in ("0", "100000", "0xffffffffffffffff")),
    *(f"C_GetAttributeValue:{n}:length={v}" for n in ("1", "2", "1+") for v in ("0", "1", "100000", "0x7fffffffffffffff")),
    *(f"C_GetAttributeValue:1+:length={v}@{t}" for v in ("0", "3", "4096") for t in ("0x3", "0x100", "0x102", "0x120", "0x180", "0x181")),
    *(f"C_GetAttributeValue:1+:junk@{t}" for t in ("0x0", "0x3", "0x100", "0x102", "0x120", "0x122", "0x180", "0x181")),
    *(f"C_GetAttributeValue:1+:flip@{t}" for t in ("0x3", "0x102", "0x120", "0x122", "0x180", "0x181")),
    "C_GetAttributeValue:1+:junk",
    "C_GetTokenInfo:1+:junk",
    "C_GetSlotInfo:1+:junk",
    "C_GetInfo:1+:junk",
    "C_GetMechanismInfo:1+:junk",
    "C_GetMechanismList:1+:junk",
    "C_GetSlotList:2+:junk",
    "C_FindObjects:1+:junk",
    "C_OpenSession:1+:junk",
    "C_Login:1+:after=0x100",
    "C_Initialize:1:after=0x191",
    *(f"C_Decrypt:1+:length={v}" for v in ("0", "1", "31", "33", "100000", "0xffffffffffffffff")),
    "C_Decrypt:1+:flip",
    "C_Decrypt:1+:junk",
    *(f"C_Encrypt:1+:length={v}" for v in ("0", "1", "47", "49", "100000", "0xffffffffffffffff")),
    "C_Encrypt:1+:flip",
    "C_Encrypt:1+:junk",
    "C_DeriveKey:1+:junk",
    "C_DestroyObject:1+:rv=5",
]


def test_lies(operation, softhsm):
    """Whatever is answered: a clean error, or what was asked for. Sanitizers see what was read past the end: they get
    each lie, the others a third."""
    called = operation.functions()
    relevant = [lie for lie in LIES if lie.split(":")[0] in called]
    assert len(relevant) > 40
    for lie in relevant if SANITIZED else relevant[:: 3]:
        try:
            operation(softhsm.mocked(lie), status=(0, 1, 4, 5, 6), other_key=lie.startswith("C_GetAttributeValue"))
        except AssertionError as error:
            raise AssertionError(f"{lie}: {error}") from error


def test_a_wrong_answer_opens_nothing(bulla, softhsm):
    """These must fail, not just may."""
    for kind, lies in {
        "rsa": ["C_Decrypt:1+:flip", "C_Decrypt:1+:junk", "C_Decrypt:1+:length=31", "C_Decrypt:1+:length=100000"],
        "p256": ["C_DeriveKey:1+:junk", "C_GetAttributeValue:1+:length=0@0x11", "C_GetAttributeValue:1+:flip@0x11"],
        "aes": ["C_Decrypt:1+:flip", "C_Decrypt:1+:length=31", "C_Decrypt:1+:length=33", "C_Decrypt:1+:length=100000"],
    }.items():
        operation = Operation(bulla, softhsm, "decrypt", kind)
        for lie in lies:
            operation(softhsm.mocked(lie), status=(5, 6))


def test_a_wrap_that_is_wrong_is_not_written(bulla, softhsm):
    """By an AES key the token wraps: what it gives must have the right size."""
    operation = Operation(bulla, softhsm, "encrypt", "aes")
    for lie in ("C_Encrypt:1+:length=0", "C_Encrypt:1+:length=47", "C_Encrypt:1+:length=49", "C_Encrypt:1+:length=100000"):
        operation(softhsm.mocked(lie), status=(5, 6))


@pytest.mark.parametrize("function, says", [("C_GetSlotList", b"slots"), ("C_FindObjects", b"C_FindObjects: CKR_")])
@pytest.mark.parametrize("count", ["100000", "0xffffffffffffffff", "0x2000000000000001"])
def test_insane_count(bulla, softhsm, function, says, count):
    """More than there was room for: nothing of that is read."""
    for kind in ("rsa", "aes"):
        operation = Operation(bulla, softhsm, "decrypt", kind)
        assert says in operation(softhsm.mocked(f"{function}:1+:length={count}"), status=6).stderr


def test_token_that_answers_nothing_of_use(bulla, softhsm):
    operation = Operation(bulla, softhsm, "decrypt", "rsa")
    done = operation(softhsm.mocked("C_GetSlotList:1+:length=0"), status=6)
    assert b"token" in done.stderr


# Modules that do not answer.

SLOW = ["C_Initialize", "C_GetSlotList", "C_OpenSession", "C_Login", "C_FindObjects", "C_DecryptInit", "C_Decrypt"]
SLOW = SLOW[::3] if SANITIZED else SLOW


@pytest.mark.parametrize("function", SLOW)
def test_module_that_hangs(bulla, softhsm, function):
    operation = Operation(bulla, softhsm, "decrypt", "rsa")
    done = operation(softhsm.mocked(f"{function}:1+:hang"), ["--token-timeout", "1"], status=6)
    assert 0.9 < done.seconds < 15 and b"--token-timeout" in done.stderr
    assert str(MOCK).encode() in done.stderr or b"token" in done.stderr


@pytest.mark.parametrize("kind, function", [("p256", "C_DeriveKey"), ("aes", "C_Decrypt"), ("rsa", "C_Finalize")])
def test_module_that_hangs_late(bulla, softhsm, kind, function):
    operation = Operation(bulla, softhsm, "decrypt", kind)
    done = operation(softhsm.mocked(f"{function}:1+:hang"), ["--token-timeout", "1"], status=(0, 6))
    assert done.seconds < 15 and (done.returncode == 6 or function == "C_Finalize")


def test_another_module_opens_while_one_hangs(bulla, softhsm, templates, tmp_path):
    """Each has a thread of its own."""
    nss = templates.get(NSS).copy(tmp_path / "nss")
    keys = [nss.uri("rsa", mock=True), softhsm.uri("rsa")]
    bulla.environment |= nss.mocked()
    sealed = bulla.seal(keys[0], X, "-k", keys[1])
    bulla.environment |= nss.mocked("C_Decrypt:1+:hang")
    for order in (keys, keys[::-1]):
        done = bulla("decrypt", "-k", order[0], "-k", order[1], "--token-timeout", "1", "-o", "-", sealed, timeout=HANGS)
        assert done.stdout == X


def test_module_that_is_slow_but_answers(bulla, softhsm):
    operation = Operation(bulla, softhsm, "decrypt", "rsa")
    operation(softhsm.mocked("C_Decrypt:1+:sleep=1500"), ["--token-timeout", "20"], status=0)


@pytest.mark.parametrize("value", ["0", "x", "-1", "", "1s"])
def test_timeout_that_is_none(bulla, softhsm, value):
    bulla("encrypt", "-k", softhsm.uri("rsa"), "--token-timeout", value, stdin=X, status=2)


def test_interrupt_while_the_module_hangs(bulla, softhsm):
    operation = Operation(bulla, softhsm, "decrypt", "rsa")
    log = bulla.home / "log"
    process = bulla.start(*operation.args(), env=softhsm.mocked("C_Decrypt:1+:hang", log))
    deadline = time.monotonic() + 20
    while not (log.exists() and "C_Decrypt\n" in log.read_text()):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    begun = time.monotonic()
    bulla.finish(process, status=(130, -2))
    assert time.monotonic() - begun < 10 and os.listdir(bulla.work) == []


def interrupted(bulla, operation, env, log, function, delay):
    """Runs it, with a signal so many seconds after the first call of a function. Returns its exit status."""
    log.unlink(missing_ok=True)
    process = bulla.start(*operation.args(), "--force", env=env)
    deadline = time.monotonic() + 20
    while not (log.exists() and f"{function}\n" in log.read_text()):
        assert time.monotonic() < deadline
        time.sleep(0.001)
    time.sleep(delay)
    process.send_signal(signal.SIGINT)
    _, err = bulla.finish(process, status=(0, 130))
    assert err in (b"", b"bulla: interrupted\n")
    return process.returncode


def test_module_that_works_on_while_the_program_ends(bulla, softhsm):
    """What the end takes away, it must not take from under the module."""
    operation, log = Operation(bulla, softhsm, "decrypt", "rsa"), bulla.home / "log"
    env = softhsm.mocked("C_Decrypt:1+:spin", log)
    for _ in range(3 if SANITIZED else 10):
        assert interrupted(bulla, operation, env, log, "C_Decrypt", 0) == 130
    operation(softhsm.mocked("C_Decrypt:1+:spin"), ["--token-timeout", "1"], status=6)


@pytest.mark.parametrize("kind", KINDS)
def test_interrupt_at_any_time(bulla, softhsm, kind):
    """In a call of the module or between two: it comes at times that are as good as any."""
    operation, log = Operation(bulla, softhsm, "decrypt", kind), bulla.home / "log"
    env = softhsm.mocked(" ".join(f"{name}:1+:sleep=2" for name in ("C_GetAttributeValue", "C_FindObjects", "C_CloseSession")), log)
    for number in range(4 if SANITIZED else 25):
        interrupted(bulla, operation, env, log, "C_Initialize", number * 0.0037)


# Fallback.


def test_token_without_read_only_sessions(bulla, softhsm):
    """CloudHSM is one; CKR_SESSION_READ_WRITE_SO_EXISTS and its like are others' words for it."""
    operation = Operation(bulla, softhsm, "decrypt", "rsa")
    done = operation(softhsm.mocked("C_OpenSession:1:rv=0xb5"), status=(0, 6))
    assert done.returncode == 0 or b"CKR_SESSION_READ_ONLY" in done.stderr


def test_keyring_is_taken_where_the_module_fails(bulla, softhsm, ring):
    key = softhsm.uri("rsa", mock=True)
    sealed = bulla.work / "two.bulla"
    bulla("encrypt", "-k", key, "-k", ring, "-o", sealed, stdin=X, env=softhsm.mocked())
    for fault in ("C_GetFunctionList:1+:null", "C_Initialize:1+:rv=5", "C_Login:1+:rv=0x30", "C_Decrypt:1+:rv=0x32"):
        for keys in ([key, ring], [ring, key]):
            done = bulla("decrypt", "-k", keys[0], "-k", keys[1], "-o", "-", sealed, env=softhsm.mocked(fault), timeout=HANGS)
            assert done.stdout == X, fault


# Making keys.


@pytest.mark.parametrize("kind, function", [("p256", "C_GenerateKeyPair"), ("aes256", "C_GenerateKey")])
def test_key_that_cannot_be_made(bulla, softhsm, kind, function):
    before = softhsm.tool("--list-objects")
    for code, says in CODES.items():
        env = softhsm.mocked(f"{function}:1+:rv={code}")
        done = bulla("key", "new", softhsm.uri("new", mock=True), "--kind", kind, env=env, status=(5, 6, 8))
        assert says.encode() in done.stderr and softhsm.tool("--list-objects") == before


CKA_EXTRACTABLE, CKA_SENSITIVE = 0x162, 0x103


@pytest.mark.parametrize("attribute", [CKA_EXTRACTABLE, CKA_SENSITIVE])
@pytest.mark.parametrize("kind", ["p256", "aes256"])
def test_key_that_can_be_taken_out_is_not_kept(bulla, softhsm, kind, attribute):
    before = softhsm.tool("--list-objects")
    env = softhsm.mocked(f"C_GetAttributeValue:1+:flip@{attribute}")
    done = bulla("key", "new", softhsm.uri("new", mock=True), "--kind", kind, env=env, status=7)
    assert b"can be taken out" in done.stderr and softhsm.tool("--list-objects") == before


# Memory.


if not SANITIZED:  # valgrind does not run what a sanitizer is in

    @pytest.mark.parametrize("kind, fault", [
        ("rsa", ""), ("p256", "C_DeriveKey:1+:rv=0x30"), ("aes", "C_Decrypt:1+:length=100000"),
    ])  # fmt: skip
    def test_under_valgrind(bulla, softhsm, kind, fault):
        operation = Operation(bulla, softhsm, "decrypt", kind)
        under = ["valgrind", "--quiet", "--error-exitcode=99", "--leak-check=full", "--errors-for-leak-kinds=definite"]
        done = operation(softhsm.mocked(fault), under=under, status=(0, 5, 6))
        assert (done.returncode == 0) == (fault == "")


def hung(bulla, softhsm):
    """A decryption that waits for its module, with the PIN in memory."""
    operation = Operation(bulla, softhsm, "decrypt", "rsa")
    log = bulla.home / "log"
    process = bulla.start(*operation.args(), env=softhsm.mocked("C_Decrypt:1+:hang", log))
    while not (log.exists() and "C_Decrypt\n" in log.read_text()):
        time.sleep(0.05)
    return process


def test_no_core_is_dumped_with_a_pin_in_it(bulla, softhsm):
    """A module that crashes takes the process with it; what was in memory is not to lie on the disk."""
    process = hung(bulla, softhsm)
    limits = resource.prlimit(process.pid, resource.RLIMIT_CORE)
    assert limits[0] == 0
    process.kill()


if not SANITIZED:  # a sanitized run is not confined

    def test_a_module_gains_no_privileges(bulla, softhsm):
        """Not by programs that it starts either. Its files and its daemons are its own business."""
        process = hung(bulla, softhsm)
        status = status_of(f"/proc/{process.pid}")
        assert (status["NoNewPrivs"], status["Seccomp"]) == ("1", "0")
        process.kill()
