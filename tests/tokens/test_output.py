"""Standard output is bulla's alone: what a module prints there, at whatever time, is in no backup, no plaintext and no key."""

import pytest

from sealed import content

X = content(100_000)
SAYS = b"the module has something to say\n"
WHEN = {"when it ends": "print=0", "at once": "print=1", "past the stream": "print=2"}


@pytest.fixture(params=WHEN.values(), ids=WHEN)
def chatty(request, bulla, softhsm):
    """A module that prints when it starts, and each time its sessions are looked at."""
    bulla.environment |= softhsm.mocked(f"C_Initialize:1:{request.param} C_GetMechanismList:1+:{request.param}")
    return softhsm


@pytest.mark.parametrize("kind", ["rsa", "p256", "aes"])
def test_what_a_module_prints_is_in_no_data(bulla, chatty, kind):
    key = chatty.uri(kind, mock=True)
    sealed = bulla("encrypt", "-k", key, stdin=X)
    assert SAYS not in sealed.stdout and SAYS in sealed.stderr
    opened = bulla("decrypt", "-k", key, stdin=sealed.stdout)
    assert opened.stdout == X and SAYS in opened.stderr


def test_what_a_module_prints_is_in_no_result(bulla, chatty):
    key = chatty.uri("p256", mock=True)
    pem = bulla("key", "export-public", "-o", "-", key)
    quiet = bulla("key", "export-public", "-o", "-", key, env={"MOCK_FAULTS": ""})
    assert pem.stdout == quiet.stdout and SAYS in pem.stderr and SAYS not in quiet.stderr
    bulla.seal(key, X)
    for args in (["key", "check", "--json", key], ["key", "list", "--json", key], ["verify", "--json", "-k", key, "plain.bulla"]):
        done = bulla(*args)
        assert done.stdout and SAYS not in done.stdout and SAYS in done.stderr


def test_standard_output_that_is_a_file(bulla, chatty, work):
    """Nothing is written over in it, and nothing stands behind the data."""
    key = chatty.uri("rsa", mock=True)
    with open(work / "out", "wb") as out:
        bulla("encrypt", "-k", key, stdin=X, stdout=out)
    assert bulla.open(key, work / "out") == X
    with open(work / "back", "wb") as out:
        bulla("decrypt", "-k", key, "-o", "-", "out", stdout=out)
    assert (work / "back").read_bytes() == X


def test_standard_output_that_is_closed_takes_nothing(bulla, chatty, work):
    """It fails as ever, and no other file gets the descriptor."""
    sealed = bulla.seal(chatty.uri("rsa", mock=True), X)
    under = ["sh", "-c", 'exec "$@" >&-', "sh"]
    done = bulla("decrypt", "-k", chatty.uri("rsa", mock=True), "-o", "-", sealed, under=under, status=1)
    assert b"standard output" in done.stderr and [path.name for path in work.iterdir()] == [sealed.name]


def test_a_program_that_is_started_gets_no_way_to_standard_output(bulla, softhsm, work):
    """Its own output is a pipe to bulla; of bulla's it has no descriptor."""
    bulla.at(softhsm)
    del bulla.environment["BULLA_PIN_FILE"]
    sealed = bulla.seal(softhsm.uri("rsa"), X)
    spy = f"ls -l /proc/self/fd >{bulla.home}/seen; cat {bulla.home}/pin"
    with open(work / "out", "wb") as out:
        bulla("decrypt", "-k", softhsm.uri("rsa"), "--pin-command", spy, "-o", "-", sealed, stdout=out)
    seen = (bulla.home / "seen").read_text()
    assert (work / "out").read_bytes() == X and "/seen" in seen and "/out" not in seen


def test_what_a_module_prints_is_in_no_result_of_later_verbs(bulla, chatty):
    """Data of a command, of a part of a file, with a new body; lines of JSON for programs."""
    key = chatty.uri("rsa", mock=True)
    sealed = bulla("encrypt", "-k", key, "--from-command", "head -c 70000 /dev/zero", "-o", "-")
    assert SAYS not in sealed.stdout and SAYS in sealed.stderr
    (bulla.work / "s.bulla").write_bytes(sealed.stdout)
    part = bulla("decrypt", "-k", key, "--offset", "10", "--length", "50", "-o", "-", "s.bulla")
    assert part.stdout == bytes(50) and SAYS in part.stderr
    for verb in ("verify", "reencrypt", "rewrap", "decrypt"):
        done = bulla(verb, "--json", "-k", key, "s.bulla")
        assert done.stdout and SAYS not in done.stdout and SAYS in done.stderr
    assert (bulla.work / "s").read_bytes() == bytes(70_000)
