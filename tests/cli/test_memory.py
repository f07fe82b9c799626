"""Where key bytes are while bulla works: in memory that is not swapped nor dumped, and that others cannot look into."""

import os
import pathlib
import re
import resource
import signal
import subprocess
import sys
import time

import pytest

from held import held, hold, status_of
from sealed import SUITES, content

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "decoder"))
import decode  # noqa: E402

NOBODY = 65534
PIECE = 16  # bytes of a key or passphrase that no memory but locked one holds
FED = [3 << 20, 1_100_000]  # bytes of a body: long after a thread was started to help, and just then


def test_the_process_is_closed_to_others_of_the_same_user(bulla):
    """What cannot be dumped belongs to root in /proc, and no debugger of its user gets at it."""
    as_nobody = {"user": NOBODY, "group": NOBODY, "extra_groups": []} if os.geteuid() == 0 else {}
    program = os.open(bulla.program, os.O_RDONLY)  # nobody may not be able to walk to it
    process = bulla.start("inspect", executable=f"/proc/self/fd/{program}", pass_fds=[program], **as_nobody)
    other = subprocess.Popen(["sleep", "60"], **as_nobody)
    bulla.started.append(other)
    while "inspect" not in pathlib.Path(f"/proc/{process.pid}/cmdline").read_text() or not status_of(pathlib.Path(f"/proc/{process.pid}"))["State"].startswith("S"):
        time.sleep(0.01)
    owner = [os.stat(f"/proc/{p.pid}/environ").st_uid for p in (process, other)]
    assert owner == [0, NOBODY if as_nobody else os.geteuid()]


def test_no_core_is_left_by_a_crash(bulla, ring, work):
    process = held(bulla, ring, preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_CORE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY)))
    process.send_signal(signal.SIGABRT)
    ended = os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    assert (ended.si_code, ended.si_status) == (os.CLD_KILLED, signal.SIGABRT)
    assert not list(work.glob("*core*"))


@pytest.mark.parametrize("limits, warns", [("0:0", 1), ("0:8388608", 0)])
def test_limit_of_locked_memory(bulla, ring, work, limits, warns):
    """The soft limit is raised; where the hard one is too low, that is said once."""
    bound = ["setpriv", "--bounding-set=-ipc_lock"] if os.geteuid() == 0 else []
    for name in "abc":
        (work / name).write_bytes(b"text")
    done = bulla("encrypt", "-k", ring, "a", "b", "c", under=[*bound, "prlimit", f"--memlock={limits}"])
    assert done.stderr.count(b"key bytes could not be locked into memory") == warns


def keys_of(ring, sealed):
    """Every key that opens a sealed file, found by the independent decoder."""
    envelope = decode.read_envelope(sealed)
    content = envelope.copy.content
    master = bytes.fromhex(re.search(r'"key"\s*:\s*"([0-9a-f]{64})"', ring.read_text())[1])
    branch = decode.open_branch_key(content, content.slots[0], master)
    data = decode.open_data_key(content, branch)
    body = decode.derive_body(data, content.core, sealed[envelope.size :][:24])[:32]
    derived = decode.derive_branch(branch, content.core)
    return {"master": master, "branch": branch, "wrap": derived.wrap_key, "tag": derived.tag_key, "data": data, "body": body}


def holds(memory, secret):
    """Whether a piece of a secret is there, raw or in hex."""
    pieces = [secret[at : at + PIECE] for at in range(0, len(secret) - PIECE + 1, PIECE)]
    return any(piece in memory or piece.hex().encode() in memory for piece in pieces)


def places(pid, secrets):
    """Where each secret lies in a process: pairs of its name and the flags of the memory (proc(5), VmFlags)."""
    found, areas = [], re.split(r"^(?=[0-9a-f]+-[0-9a-f]+ )", pathlib.Path(f"/proc/{pid}/smaps").read_text(), flags=re.M)[1:]
    with open(f"/proc/{pid}/mem", "rb", 0) as memory:
        for area in areas:
            start, end = (int(n, 16) for n in area.split()[0].split("-"))
            flags = re.search(r"^VmFlags: (.*)$", area, re.M)[1].split()
            if "rd" not in flags or "[v" in area.splitlines()[0]:
                continue
            memory.seek(start)
            held = memory.read(end - start)
            found += [(name, flags) for name, secret in secrets.items() if holds(held, secret)]
    return found


def check_places(pid, secrets, expected):
    found = places(pid, secrets)
    assert {name for name, _ in found} == set(expected)
    assert not [(name, flags) for name, flags in found if not {"lo", "dd"} <= set(flags)]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may look into the process")
@pytest.mark.parametrize("fed", FED)
@pytest.mark.parametrize("suite", SUITES)
def test_keys_lie_only_in_locked_memory(bulla, ring, work, suite, fed):
    """Not in what OpenSSL makes of them either. The data key is needed no more once the body is being opened, but the branch is for the next file that is sealed."""
    sealed = bulla("encrypt", "-k", ring, "--suite", suite, stdin=content(4 << 20)).stdout
    process = hold(bulla, "decrypt", "-k", ring, "-o", "out", given=sealed[:fed])
    check_places(process.pid, keys_of(ring, sealed), ["master", "branch", "body"])
    process = hold(bulla, "encrypt", "-k", ring, "--suite", suite, given=content(fed), stdout=open(work / "sealed", "wb"))
    sealed = (work / "sealed").read_bytes()
    check_places(process.pid, keys_of(ring, sealed), ["master", "branch", "wrap", "tag", "body"])


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may look into the process")
def test_a_passphrase_lies_only_in_locked_memory(bulla, work):
    (work / "pass").write_bytes(b"Zq8-Kc1w vX0.pTr9 mB3+eLd7 uYs5\n")
    files = {"BULLA_PASSPHRASE_FILE": "pass", "BULLA_NEW_PASSPHRASE_FILE": "pass"}
    sealed = bulla("encrypt", "-k", "passphrase:", stdin=content(4 << 20), env=files).stdout
    process = hold(bulla, "decrypt", "-k", "passphrase:", "-o", "out", given=sealed[: 3 << 20], env=files)
    check_places(process.pid, {"passphrase": b"Zq8-Kc1w vX0.pTr9 mB3+eLd7 uYs5"}, ["passphrase"])
