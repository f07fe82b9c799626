"""PINs: where they come from, that one is asked for once and tried once, and what a token says of the tries that are left."""

import os
import shlex

import pytest

from sealed import content
from terminal import asked, on_terminal
from tokens import PIN, TPM, WRONG_PIN, need_tpm

X = content(1000)
COUNT_LOW, FINAL_TRY, LOCKED, TO_BE_CHANGED, PINPAD = 0x10000, 0x20000, 0x40000, 0x80000, 0x100


@pytest.fixture
def bulla(bulla):
    """No PIN comes from anywhere but where a test says, and there is no terminal to ask on."""
    del bulla.environment["BULLA_PIN_FILE"]
    return bulla


@pytest.fixture
def sealed(bulla, softhsm):
    path = bulla.work / "plain.bulla"
    env = {"BULLA_PIN_FILE": str(bulla.home / "pin")}
    bulla.at(softhsm)("encrypt", "-k", softhsm.uri("rsa"), "-o", path, stdin=X, env=env)
    return path


@pytest.fixture
def log(bulla, softhsm):
    """What is asked of the module, where the mock stands in front of it."""
    path = bulla.home / "log"
    bulla.environment |= softhsm.mocked(log=path)
    return path


def count(log, name):
    return [line.split()[2] for line in log.read_text().splitlines()].count(name) if log.exists() else 0


def right(bulla):
    return {"BULLA_PIN_FILE": str(bulla.home / "pin")}


def wrong(bulla):
    return {"BULLA_PIN_FILE": str(bulla.home / "wrong")}


def opens(bulla, key, sealed, *options, **how):
    done = bulla("decrypt", "-k", key, *options, "-o", "-", sealed, start_new_session=True, **how)
    assert done.stdout == (b"" if how.get("status") else X)
    return done


# Sources.


def by_fd(bulla):
    read, write = os.pipe()
    os.write(write, PIN.encode())
    os.close(write)
    return ["--pin-fd", str(read)], {}, {"pass_fds": [read]}, {}


def by_command(bulla):
    return ["--pin-command", f"cat {shlex.quote(str(bulla.home / 'pin'))}"], {}, {}, {}


def by_variable(bulla):
    return [], right(bulla), {}, {}


def by_credential(bulla):
    (bulla.home / "bulla.pin").write_text(PIN)
    return [], {"CREDENTIALS_DIRECTORY": str(bulla.home)}, {}, {}


def by_uri_file(bulla):
    return [], {}, {}, {"pin_source": f"file:{bulla.home}/pin"}


def by_uri_of_this_host(bulla):
    return [], {}, {}, {"pin_source": f"file://localhost{bulla.home}/pin"}


def by_uri_path(bulla):
    return [], {}, {}, {"pin_source": f"{bulla.home}/pin"}


def by_uri_value(bulla):
    return ["--allow-pin-in-uri"], {}, {}, {"pin_value": PIN}


SOURCES = [by_fd, by_command, by_variable, by_credential, by_uri_file, by_uri_of_this_host, by_uri_path, by_uri_value]


@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize("kind", ["rsa", "aes"])
def test_source_of_a_pin(bulla, softhsm, source, kind):
    bulla.at(softhsm)
    args, env, how, attributes = source(bulla)
    key = softhsm.uri(kind)
    sealed = bulla("encrypt", "-k", key, stdin=X, env=right(bulla)).stdout
    key = softhsm.uri(kind, **attributes)
    done = bulla("decrypt", "-k", key, *args, stdin=sealed, env=env, start_new_session=True, **how)
    assert done.stdout == X


@pytest.mark.parametrize("tail, status", [("", 0), ("\n", 0), ("\n\n", (2, 5)), (" ", 5)], ids=repr)
def test_one_line_end_does_not_count(bulla, softhsm, sealed, tail, status):
    (bulla.home / "pin").write_text(PIN + tail)
    done = bulla("decrypt", "-k", softhsm.uri("rsa"), "-o", "-", sealed, env=right(bulla), status=status)
    assert done.stdout == (X if status == 0 else b"")


def test_option_goes_before_the_environment(bulla, softhsm, sealed):
    opens(bulla, softhsm.uri("rsa"), sealed, "--pin-command", f"cat {bulla.home}/pin", env=wrong(bulla))


def test_reference_goes_before_the_environment(bulla, softhsm, sealed):
    opens(bulla, softhsm.uri("rsa", pin_source=f"file:{bulla.home}/pin"), sealed, env=wrong(bulla))


BAD = {"empty": b"", "a line end": b"\n", "too long": b"x" * 5000, "a zero byte": b"pin\0pin"}


@pytest.mark.parametrize("text", BAD.values(), ids=BAD)
def test_pin_that_is_none(bulla, softhsm, sealed, log, text):
    (bulla.home / "bad").write_bytes(text)
    opens(bulla, softhsm.uri("rsa", mock=True), sealed, env={"BULLA_PIN_FILE": str(bulla.home / "bad")}, status=2)
    assert count(log, "C_Login") == 0, "what is no PIN counts as a try"


BAD_SOURCES = [
    (["--pin-command", "cat nothing; false"], {}, {}, 1),
    (["--pin-command", "/nowhere/command"], {}, {}, 1),
    (["--pin-command", "true"], {}, {}, 2),
    (["--pin-fd", "x"], {}, {}, 2),
    (["--pin-fd", "99"], {}, {}, 2),
    ([], {"BULLA_PIN_FILE": "/nowhere/file"}, {}, 10),
    ([], {"BULLA_PIN_FILE": "/"}, {}, 1),
    ([], {}, {"pin_source": "file:/nowhere/file"}, 10),
    ([], {}, {"pin_source": "https://example.org/pin"}, 2),
    ([], {}, {"pin_source": "file://elsewhere/pin"}, 2),
    ([], {}, {"pin_source": "file://localhost.example.org/pin"}, 2),
    ([], {}, {"pin_source": "file:////pin"}, 2),
]


@pytest.mark.parametrize("args, env, attributes, status", BAD_SOURCES, ids=str)
def test_source_that_fails(bulla, softhsm, sealed, log, args, env, attributes, status):
    opens(bulla, softhsm.uri("rsa", mock=True, **attributes), sealed, *args, env=env, status=status)
    assert count(log, "C_Login") == 0


EDITED = {  # what editors and systems put into a file of a PIN
    "CRLF": (PIN.encode() + b"\r\n", b"has a line end in it"),
    "CR": (PIN.encode() + b"\r", b"has a line end in it"),
    "second line": (PIN.encode() + b"\n# of the HSM\n", b"has a line end in it"),
    "empty second line": (PIN.encode() + b"\n\n", b"has a line end in it"),
    "first line empty": (b"\n" + PIN.encode(), b"has a line end in it"),
    "tab": (PIN.encode() + b"\t\n", b"has a control character in it"),
    "BOM": (b"\xef\xbb\xbf" + PIN.encode() + b"\n", b"begins with a byte order mark"),
}


@pytest.mark.parametrize("held, says", EDITED.values(), ids=EDITED)
@pytest.mark.parametrize("source", [by_fd, by_command, by_variable, by_credential, by_uri_file])
def test_pin_that_an_editor_changed_is_not_tried(bulla, softhsm, sealed, log, source, held, says):
    args, env, how, attributes = source(bulla)
    for name in ("pin", "bulla.pin"):
        (bulla.home / name).write_bytes(held)
    if "pass_fds" in how:
        args = ["--pin-fd", "0"]
        how = {"stdin": held}
    done = opens(bulla, softhsm.uri("rsa", mock=True, **attributes), sealed, *args, env=env, status=2, **how)
    assert b"the PIN of token 'bulla lab' " + says in done.stderr and b"it was not tried; a PIN file has one line, as echo writes it\n" in done.stderr
    assert count(log, "C_Login") == 0


@pytest.mark.parametrize("held, says", EDITED.values(), ids=EDITED)
def test_check_names_what_is_wrong_with_a_pin_that_comes_once(bulla, softhsm, log, held, says):
    """The key check looks for the private key and then opens: the second question found the descriptor read to its end."""
    bulla.environment.pop("BULLA_PIN_FILE", None)
    done = bulla("key", "check", "--pin-fd", "0", softhsm.uri("rsa", mock=True), stdin=held, status=2)
    assert b"the PIN of token 'bulla lab' " + says in done.stderr and b"is empty" not in done.stderr + done.stdout
    assert count(log, "C_Login") == 0


@pytest.mark.parametrize("held, says", [(b"\n", "is empty"), (b"1" * 1025, "is longer than 1024 bytes"), (b"\xff", "is not UTF-8")])
def test_pin_source_that_holds_no_pin(bulla, softhsm, sealed, log, held, says):
    path = bulla.home / "pin-source"
    path.write_bytes(held)
    done = opens(bulla, softhsm.uri("rsa", mock=True, pin_source=f"file:{path}"), sealed, status=2)
    assert f"the PIN from '{path}' {says}" in done.stderr.decode() and count(log, "C_Login") == 0


@pytest.mark.parametrize("source", ["pin-source", "BULLA_PIN_FILE"])
def test_pin_file_that_others_may_write(bulla, softhsm, sealed, log, source):
    """It would cost a try, and whoever wrote it would know whether he guessed the PIN."""
    path = bulla.home / "pin"
    mode = path.stat().st_mode
    path.chmod(0o666)
    from_uri = source == "pin-source"
    key = softhsm.uri("rsa", mock=True, **({"pin_source": f"file:{path}"} if from_uri else {}))
    done = opens(bulla, key, sealed, env={} if from_uri else right(bulla), status=7)
    kind = "pin-source" if from_uri else "PIN file"
    assert f"{kind} '{path}' may be from somebody else: its group and others can write file" in done.stderr.decode()
    assert count(log, "C_Login") == 0
    path.chmod(mode)
    opens(bulla, key, sealed, env={} if from_uri else right(bulla))


def test_without_a_source_there_is_no_guess(bulla, softhsm, sealed, log):
    done = opens(bulla, softhsm.uri("rsa", mock=True), sealed, status=2)
    assert b"there is no terminal to ask for the" in done.stderr and b"PIN" in done.stderr
    assert b"BULLA_PIN_FILE" in done.stderr and count(log, "C_Login") == 0


def test_passphrase_is_no_pin(bulla, softhsm, sealed):
    env = {"BULLA_PASSPHRASE_FILE": str(bulla.home / "pin")}
    opens(bulla, softhsm.uri("rsa"), sealed, "--passphrase-command", f"cat {bulla.home}/pin", env=env, status=2)


def test_pin_in_the_reference_is_refused(bulla, softhsm, sealed, log):
    """Others of the machine see it in the list of processes."""
    done = opens(bulla, softhsm.uri("rsa", mock=True, pin_value=PIN), sealed, status=2)
    assert b"--allow-pin-in-uri" in done.stderr and count(log, "C_Login") == 0


@pytest.mark.parametrize("pin", [PIN, WRONG_PIN], ids=["right", "wrong"])
@pytest.mark.parametrize("args", [["decrypt", "-o", "-"], ["encrypt", "--json"], ["rewrap", "--json"]], ids=str)
def test_pin_in_the_reference_is_not_repeated(bulla, softhsm, sealed, pin, args):
    """Bulla.check looks for it in all that is printed."""
    for extra in ([], ["--allow-pin-in-uri"]):
        key = softhsm.uri("rsa", pin_value=pin)
        bulla(args[0], "-k", key, *extra, *args[1:], sealed, status=(0, 2, 5))
    bulla("key", "check", "--json", key, status=(2,))
    bulla("key", "check", "--allow-pin-in-uri", key, status=(0, 5))
    bulla("key", "list", "--allow-pin-in-uri", key, status=(0, 5))
    bulla("decrypt", "-k", softhsm.uri("nothing", pin_value=pin), "--allow-pin-in-uri", sealed, status=(5, 6))
    bulla("decrypt", "-k", softhsm.uri("rsa", pin_value=pin, unheard_of="x"), "--allow-pin-in-uri", sealed, status=2)
    bulla("decrypt", "-k", f"{key}&pin-value={pin}", "--allow-pin-in-uri", sealed, status=2)


def test_pin_is_in_no_argument_and_no_environment_of_a_child(bulla, softhsm, sealed):
    spy = f"cat /proc/$PPID/cmdline /proc/$PPID/environ /proc/self/environ >{bulla.home}/seen; cat {bulla.home}/pin"
    opens(bulla, softhsm.uri("rsa"), sealed, "--pin-command", spy)
    seen = (bulla.home / "seen").read_bytes()
    assert b"PATH" in seen and PIN.encode() not in seen


# The terminal.


def test_terminal_asks_once(bulla, softhsm, sealed):
    (bulla.work / "plain").unlink(missing_ok=True)
    shown = on_terminal(bulla, "decrypt", "-k", softhsm.uri("rsa"), sealed.name, lines=[PIN + "\n"])
    (question,) = asked(shown)
    assert "PIN" in question and softhsm.label in question
    assert (bulla.work / "plain").read_bytes() == X


def test_wrong_one_typed_is_not_asked_for_again(bulla, softhsm, sealed, log):
    key = softhsm.uri("rsa", mock=True)
    shown = on_terminal(bulla, "decrypt", "-k", key, sealed.name, lines=[WRONG_PIN + "\n", PIN + "\n"], status=5)
    assert len(asked(shown)) == 1 and count(log, "C_Login") == 1
    assert b"CKR_PIN_INCORRECT" in shown and not (bulla.work / "plain").exists()


@pytest.mark.parametrize("typed, status", [("\n", 2), ("\x04", 2), ("\x03", 130)], ids=["empty", "end", "interrupt"])
def test_nothing_typed(bulla, softhsm, sealed, log, typed, status):
    on_terminal(bulla, "decrypt", "-k", softhsm.uri("rsa", mock=True), sealed.name, lines=[typed], status=status)
    assert count(log, "C_Login") == 0 and not (bulla.work / "plain").exists()


# Standard input is the user's data.


@pytest.mark.parametrize("kind", ["rsa", "p256", "aes"])
def test_standard_input_is_never_a_pin(bulla, softhsm, kind):
    """No source and no terminal, and the PIN stands in front of the data: nothing takes it."""
    bulla.at(softhsm)
    sealed = bulla("encrypt", "-k", softhsm.uri(kind), stdin=X, env=right(bulla)).stdout
    stdin = PIN.encode() + b"\n" + sealed
    bulla("decrypt", "-k", softhsm.uri(kind), stdin=stdin, status=(2, 11), start_new_session=True)


@pytest.mark.parametrize("kind", ["rsa", "p256"])
def test_key_that_wants_the_pin_for_each_use(bulla, softhsm, kind, log):
    """The PIN that opened the session serves again, without a prompt. SoftHSM wants no PIN for a derivation."""
    softhsm.make(kind, "careful", "--always-auth")
    key = softhsm.uri("careful", mock=True)
    first = b"1234\n" + X
    sealed = bulla("encrypt", "-k", key, stdin=first, env=right(bulla), start_new_session=True).stdout
    log.unlink()
    done = bulla("decrypt", "-k", key, stdin=sealed, env=right(bulla), start_new_session=True)
    assert done.stdout == first
    assert count(log, "C_Login") == 1 and count(log, "C_Login_context") == (0 if kind == "p256" else 1)


def test_key_that_wants_the_pin_for_each_use_asks_for_it_once(bulla, softhsm, log):
    softhsm.make("rsa", "careful", "--always-auth")
    key, command = softhsm.uri("careful", mock=True), f"echo >>{bulla.home}/asked; cat {bulla.home}/pin"
    bulla("encrypt", "-k", key, "-o", "a.bulla", stdin=X, env=right(bulla))
    bulla("encrypt", "-k", key, "-o", "b.bulla", stdin=X, env=right(bulla))
    bulla("verify", "-q", "-k", key, "--pin-command", command, "a.bulla", "b.bulla")
    assert (bulla.home / "asked").read_text() == "\n" and count(log, "C_Login_context") >= 2


# Once.


def test_right_pin_is_asked_for_once(bulla, softhsm, log, work):
    """Two keys of a token, one to open and one to seal, and several branch keys."""
    keys = [softhsm.uri(kind, mock=True) for kind in ("rsa", "aes")]
    for name in "abc":
        bulla("encrypt", "-k", keys[0], "-o", f"{name}.bulla", stdin=X, env=right(bulla))
    log.unlink(missing_ok=True)
    command = f"echo >>{bulla.home}/asked; cat {bulla.home}/pin"
    bulla("rewrap", "-k", keys[0], "--to", keys[1], "--pin-command", command, "-r", ".")
    assert (bulla.home / "asked").read_text() == "\n" and count(log, "C_Login") == 1


@pytest.mark.parametrize("verb", ["decrypt", "verify", "rewrap", "reencrypt"])
def test_wrong_pin_is_asked_for_and_tried_once(bulla, softhsm, log, work, verb):
    """Three files, two references to the same token, one wrong PIN."""
    keys = [softhsm.uri(kind, mock=True) for kind in ("rsa", "p256")]
    for name in "abc":
        bulla("encrypt", "-k", keys[0], "-k", keys[1], "-o", f"{name}.bulla", stdin=X, env=right(bulla))
    before = {path: path.read_bytes() for path in work.iterdir()}
    log.unlink(missing_ok=True)
    command = f"echo >>{bulla.home}/asked; cat {bulla.home}/wrong"
    to = ["--to", softhsm.uri("aes", mock=True)] if verb == "rewrap" else []
    done = bulla(verb, "-k", keys[0], "-k", keys[1], *to, "--pin-command", command, "-r", ".", status=(3, 5))
    assert (bulla.home / "asked").read_text() == "\n"
    assert count(log, "C_Login") == 1, "a wrong PIN was tried again"
    assert b"CKR_PIN_INCORRECT" in done.stderr
    assert {path: path.read_bytes() for path in work.iterdir()} == before


@pytest.mark.parametrize("name", ["softhsm", "nss"])
def test_wrong_pin(bulla, request, name, work):
    token = request.getfixturevalue(name)
    bulla.at(token)
    bulla("encrypt", "-k", token.uri("rsa"), "-o", "a.bulla", stdin=X, env=right(bulla))
    done = bulla("decrypt", "-k", token.uri("rsa"), "a.bulla", env=wrong(bulla), status=5)
    assert b"PIN" in done.stderr and b"CKR_PIN_INCORRECT" in done.stderr and token.label.encode() in done.stderr
    assert os.listdir(work) == ["a.bulla"]
    assert bulla("decrypt", "-k", token.uri("rsa"), "-o", "-", "a.bulla", env=right(bulla)).stdout == X


def test_sealing_asks_for_no_pin(bulla, softhsm, log):
    """Public objects are read without a login."""
    for kind in ("rsa", "p256", "p384"):
        bulla("encrypt", "-k", softhsm.uri(kind, mock=True), stdin=X, start_new_session=True)
    assert count(log, "C_Login") == 0
    done = bulla("encrypt", "-k", softhsm.uri("aes", mock=True), stdin=X, start_new_session=True, status=2)
    assert b"PIN" in done.stderr and done.stdout == b"" and count(log, "C_Login") == 0


def test_private_objects_are_not_seen_without_a_login(bulla, softhsm, log):
    """What cannot be told from a key that is not there is not called one."""
    key = softhsm.uri("aes", mock=True)
    done = bulla("key", "list", key, start_new_session=True, status=(0, 2))
    assert count(log, "C_Login") == 0
    assert b"not there" not in done.stderr or b"PIN" in done.stderr


def test_keys_are_not_forgotten_when_a_login_fails(bulla, softhsm, work):
    """The first file takes a key that a login alone shows, and there is no PIN yet; the second one that was seen before."""
    bulla.at(softhsm)
    bulla("key", "new", "--kind", "aes256", softhsm.uri("hidden"), env=right(bulla))
    bulla("encrypt", "-k", softhsm.uri("hidden"), "-o", "a.bulla", stdin=X, env=right(bulla))
    pem = bulla("key", "export-public", "-o", "-", softhsm.uri("rsa")).stdout
    (bulla.home / "bare.pem").write_bytes(pem[pem.index(b"-----BEGIN") :])
    bulla("encrypt", "-k", bulla.home / "bare.pem", "-o", "b.bulla", stdin=X)
    command = f"mkdir {bulla.home}/asked 2>/dev/null && exit 1; cat {bulla.home}/pin"
    done = bulla("decrypt", "-j", "1", "-k", softhsm.uri(), "--pin-command", command, "a.bulla", "b.bulla", status=3)
    assert b"PIN command failed" in done.stderr
    assert (work / "b").read_bytes() == X and not (work / "a").exists()


# What the token says of the tries that are left.


def test_few_tries_left_are_told_before_trying(bulla, softhsm, sealed):
    env = softhsm.mocked(f"C_GetTokenInfo:1+:flags={COUNT_LOW}") | right(bulla)
    done = opens(bulla, softhsm.uri("rsa", mock=True), sealed, env=env)
    assert b"warning" in done.stderr and b"PIN" in done.stderr and b"wrong" in done.stderr.lower()
    quiet = softhsm.mocked() | right(bulla)
    assert b"warning" not in opens(bulla, softhsm.uri("rsa", mock=True), sealed, env=quiet).stderr


@pytest.mark.parametrize("source", SOURCES)
def test_last_try_is_for_nobody_but_a_person(bulla, softhsm, sealed, log, source):
    """Whatever a PIN would be read from, it is left alone: if it is wrong, the token is locked."""
    args, env, how, attributes = source(bulla)
    env |= softhsm.mocked(f"C_GetTokenInfo:1+:flags={FINAL_TRY}", log)
    done = opens(bulla, softhsm.uri("rsa", mock=True, **attributes), sealed, *args, env=env, status=7, **how)
    assert b"there is no terminal to ask for the PIN of token 'bulla lab'" in done.stderr and count(log, "C_Login") == 0
    assert b"this is the last try" in done.stderr and b"last try is for a PIN that somebody types" in done.stderr


def test_last_try_may_be_typed(bulla, softhsm, sealed, log):
    """Though a file has a PIN, the terminal is asked."""
    bulla.environment |= softhsm.mocked(f"C_GetTokenInfo:1+:flags={FINAL_TRY}", log) | wrong(bulla)
    key = softhsm.uri("rsa", mock=True, pin_source=f"file:{bulla.home}/wrong")
    shown = on_terminal(bulla, "decrypt", "-k", key, sealed.name, lines=[PIN + "\n"])
    assert len(asked(shown)) == 1 and (bulla.work / "plain").read_bytes() == X and count(log, "C_Login") == 1


def test_few_tries_left_are_told_before_asking(bulla, softhsm, sealed):
    bulla.environment |= softhsm.mocked(f"C_GetTokenInfo:1+:flags={FINAL_TRY}")
    key = softhsm.uri("rsa", mock=True)
    shown = on_terminal(bulla, "decrypt", "-k", key, sealed.name, lines=[PIN + "\n"])
    assert b"warning" in shown and shown.index(b"warning") < shown.index(asked(shown)[0].encode())


def test_real_token_tells_of_a_wrong_try(bulla, softhsm, sealed):
    opens(bulla, softhsm.uri("rsa"), sealed, env=wrong(bulla), status=5)
    done = opens(bulla, softhsm.uri("rsa"), sealed, env=right(bulla))
    assert b"warning" in done.stderr and b"PIN" in done.stderr
    assert b"warning" not in opens(bulla, softhsm.uri("rsa"), sealed, env=right(bulla)).stderr


def test_locked_token_is_not_tried(bulla, softhsm, sealed, log):
    env = softhsm.mocked(f"C_GetTokenInfo:1+:flags={LOCKED}", log) | right(bulla)
    done = opens(bulla, softhsm.uri("rsa", mock=True), sealed, env=env, status=(5, 6))
    assert b"locked" in done.stderr and count(log, "C_Login") == 0


@pytest.mark.parametrize("rv, name", [(0xA4, b"CKR_PIN_LOCKED"), (0xA3, b"CKR_PIN_EXPIRED"), (0x102, b"CKR_USER_PIN_NOT_INITIALIZED")])
def test_token_that_refuses_every_pin(bulla, softhsm, sealed, log, rv, name):
    env = softhsm.mocked(f"C_Login:1+:rv={rv}", log) | right(bulla)
    done = opens(bulla, softhsm.uri("rsa", mock=True), sealed, env=env, status=(5, 6))
    assert name in done.stderr and count(log, "C_Login") == 1


def test_key_pad(bulla, softhsm, sealed, log):
    """The token asks by itself; the PIN is not for this program to know."""
    faults = softhsm.mocked(f"C_GetTokenInfo:1+:flags={PINPAD}", log) | {"MOCK_PINPAD": PIN}
    done = opens(bulla, softhsm.uri("rsa", mock=True), sealed, env=faults)
    assert count(log, "pinpad") == 1 and count(log, "C_Login") == 1
    faults["MOCK_PINPAD"] = WRONG_PIN
    log.unlink()
    done = opens(bulla, softhsm.uri("rsa", mock=True), sealed, env=faults, status=5)
    assert count(log, "pinpad") == 1 and b"CKR_PIN_INCORRECT" in done.stderr


def test_tpm_that_locks(bulla, tmp_path, work):
    """The real thing: it gives no warning, and after a few wrong tries refuses the right one."""
    need_tpm()
    token = TPM(tmp_path / "tpm")
    try:
        token.make("rsa")
        bulla.at(token)
        bulla("encrypt", "-k", token.uri("rsa"), "-o", "a.bulla", stdin=X, env=right(bulla))
        assert opens(bulla, token.uri("rsa"), work / "a.bulla", env=right(bulla))
        seen = [opens(bulla, token.uri("rsa"), work / "a.bulla", env=wrong(bulla), status=5).stderr]
        while b"CKR_PIN_LOCKED" not in seen[-1] and len(seen) < 10:
            seen.append(opens(bulla, token.uri("rsa"), work / "a.bulla", env=wrong(bulla), status=(5, 6)).stderr)
        assert len(seen) >= 3 and all(b"CKR_PIN_INCORRECT" in one for one in seen[:-1])
        done = opens(bulla, token.uri("rsa"), work / "a.bulla", env=right(bulla), status=(5, 6))
        assert b"CKR_PIN_LOCKED" in done.stderr and b"unlock" in done.stderr
        assert os.listdir(work) == ["a.bulla"]
    finally:
        token.stop()
