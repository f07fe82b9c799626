"""What a core dump or another user's 'ps' would show of a running bulla: no secret key, no token, no branch key."""

import json
import re
import time

import pytest

from faults import stall
from kms_files import CONTENT
from program import SANITIZED


def would_be_dumped(pid):
    """The memory that a core dump would hold: what is private, mapped and not marked to be left out."""
    maps = re.findall(r"^([0-9a-f]+)-([0-9a-f]+) (\S+) .*?\n(?:\w+:.*\n)*?VmFlags: (.*)\n", open(f"/proc/{pid}/smaps").read(), re.M)
    with open(f"/proc/{pid}/mem", "rb", 0) as memory:
        for start, end, mode, flags in maps:
            if mode[0] != "r" or "dd" in flags.split() or "io" in flags.split():
                continue
            try:
                memory.seek(int(start, 16))
                yield memory.read(int(end, 16) - int(start, 16))
            except (OSError, ValueError, OverflowError):
                pass  # [vvar] and the like


def found(pid, secrets):
    whole = b"\0".join(would_be_dumped(pid))
    assert b"/proc" in whole or len(whole) > 100_000, "nothing could be read"
    return [name for name, secret in secrets.items() if secret in whole]


@pytest.fixture
def waiting(imds, anonymous, aws, key):
    """A run with credentials of the instance that has asked KMS and waits for the rest of its input."""
    anonymous.environment["LOOPBACK_DUMPABLE"] = "1"  # so that the tests may look
    sealed = anonymous("encrypt", "-k", key.arn, stdin=CONTENT).stdout
    process = anonymous.start("decrypt", "-k", key.arn)
    process.stdin.write(sealed[:20_000])
    process.stdin.flush()
    end = time.monotonic() + 30
    while aws.calls["Decrypt"] == 0 and time.monotonic() < end:
        time.sleep(0.02)
    time.sleep(0.2)
    return process, sealed


if not SANITIZED:  # sanitizers keep what was freed

    def test_memory_of_a_run(waiting, imds, anonymous, cloud):
        process, sealed = waiting
        branch_key = cloud.plaintexts[-1]
        secrets = {"secret key": imds.principal.secret.encode(), "session token": imds.principal.token.encode(),
                   "metadata token": imds.token.encode(), "branch key": branch_key}  # fmt: skip
        leaked = found(process.pid, secrets)
        out, _ = anonymous.finish(process, sealed[20_000:])
        assert out == CONTENT and leaked == []


def test_command_line_and_limits(aws, bulla, key, cloud):
    """No argument holds a secret, and there are no core dumps."""
    aws.fault("Encrypt", stall(30))
    process = bulla.start("encrypt", "-k", key.arn, "-o", "x.bulla")
    process.stdin.write(b"x")
    process.stdin.close()
    process.stdin = None
    end = time.monotonic() + 30
    while aws.calls["Encrypt"] == 0 and time.monotonic() < end:
        time.sleep(0.02)
    arguments = open(f"/proc/{process.pid}/cmdline", "rb").read()
    limits = open(f"/proc/{process.pid}/limits").read()
    assert not any(secret.encode() in arguments for secret in cloud.secrets)
    assert re.search(r"Max core file size +0 +0 ", limits)


def test_files_that_a_run_leaves(imds, anonymous, cloud, key):
    """Credentials are cached nowhere."""
    anonymous.seal(key.arn, CONTENT)
    for path in anonymous.home.parent.rglob("*"):
        if path.is_file():
            raw = path.read_bytes()
            assert not any(secret.encode() in raw for secret in cloud.secrets | {imds.token}), path


def test_secrets_in_the_words_of_a_server(bulla, cloud, aws, key):
    """What KMS says may repeat what it was sent; that is not printed."""

    def echo(answer, request):
        sent = {"__type": "ValidationException", "message": f"{request.headers['X-Amz-Security-Token']} {request.content.get('Plaintext')}"}
        return type(answer)(400, json.dumps(sent).encode(), {})

    session = cloud.session(cloud.role("night", "kms:*"))
    aws.fault("Encrypt", echo, times=9)
    done = bulla("encrypt", "-k", key.arn, "-o", "-", stdin=b"x", env=session.environment(), status=7)
    assert b"ValidationException" in done.stderr
