"""What bulla may do while it runs: no more than its command line needs, even if hostile code takes it over."""

import ctypes
import errno
import os
import pathlib
import platform
import re
import subprocess

import pytest

from held import held, status_of
from program import SANITIZED
from terminal import on_terminal

HERE = pathlib.Path(__file__).parent
ABI = ctypes.CDLL(None).syscall(444, None, ctypes.c_size_t(0), 1)  # of the kernel's Landlock (landlock_create_ruleset)

pytestmark = [
    pytest.mark.skipif(SANITIZED, reason="the sanitizers look at their own process from another one"),
    pytest.mark.skipif(ABI < 1, reason="this kernel has no Landlock"),
]

on_x86_64 = pytest.mark.skipif(platform.machine() != "x86_64", reason="these are the numbers of x86-64")

# Calls that no run over files may make; where they are not refused, they end by the second.
CALLS = {"run /bin/true": 0, "socket": 0, "signal": 0, "thread-signal": 0, "queue-signal": 0, "peek": 0, "keyring": 0,
         "uring": errno.EFAULT, "type": errno.ENOTTY, "clock": errno.EINVAL, "chmod in/victim": 0, "limit": 0, "owner": 0,
         "owner-ex": 0, "owner-signal": 0, "socket-owner": errno.ENOTTY, "socket-group": errno.ENOTTY,
         "touch in/victim": 0, "touch-high in/victim": 0, "memory": 0, "queue": 0, "semaphore": 0, "named-queue": errno.ENOENT}  # fmt: skip

# What can be done by a descriptor of a file or a directory; each for runs that may do at least this.
LOOKS, MAKES, GIVES = range(3)
BY_DESCRIPTOR = {"fd-chmod": MAKES, "fd-touch": MAKES, "fd-chown": GIVES, "fd-setuid": None, "fd-attribute": None, "fd-flags": None}
OWNERS_KEPT = {"encrypt", "rewrap", "reencrypt", "envelope export", "envelope restore"}  # of results, as far as may be

# And those that do nothing, wherever they are allowed, as they are tried: by their numbers, without sensible arguments.
HEADER = pathlib.Path("/usr/include/x86_64-linux-gnu/asm/unistd_64.h")
NUMBERS = {name: int(number) for name, number in re.findall(r"#define __NR_(\w+) (\d+)", HEADER.read_text() if HEADER.exists() else "")}
NUMBERS |= {"fchmodat2": 452, "setxattrat": 463, "getxattrat": 464, "listxattrat": 465, "removexattrat": 466, "opentreeattr": 467,
            "filegetattr": 468, "filesetattr": 469}  # newer than the header may be
REFUSED = """
execve execveat kill pidfd_getfd pidfd_send_signal process_vm_readv process_vm_writev ptrace rt_sigqueueinfo rt_tgsigqueueinfo tkill
ioprio_set migrate_pages move_pages process_madvise sched_setaffinity sched_setattr sched_setparam sched_setscheduler setpriority
accept accept4 bind connect listen sendmmsg sendmsg sendto socket
add_key bpf io_uring_enter io_uring_register io_uring_setup keyctl open_by_handle_at perf_event_open request_key userfaultfd
mq_open mq_unlink msgctl msgget msgrcv msgsnd semctl semget semop semtimedop shmat shmctl shmget
chroot fsconfig fsmount fsopen fspick mount mount_setattr move_mount open_tree pivot_root setns umount2 unshare
acct adjtimex clock_adjtime clock_settime delete_module finit_module init_module kexec_file_load kexec_load ioperm iopl
reboot setdomainname sethostname settimeofday swapoff swapon
fchmodat fchownat fremovexattr fsetxattr lremovexattr lsetxattr removexattr setxattr chmod chown futimesat lchown utime utimes
fchmodat2 setxattrat removexattrat filesetattr
quotactl quotactl_fd syslog opentreeattr kcmp
fanotify_init inotify_add_watch getxattr lgetxattr listxattr llistxattr getxattrat listxattrat filegetattr
""".split()
X32 = 0x40000000  # and above: the calls of programs with short pointers

# A row for each verb: its arguments, and the directories that it may make files in. The keyring is keys/ring.
VERBS = {
    "encrypt": (["-k", "keys/ring", "in/plain", "-o", "out/a"], ["out"]),
    "decrypt": (["-k", "keys/ring", "in/sealed.bulla", "-o", "out/a"], ["out"]),
    "verify": (["-k", "keys/ring", "in/sealed.bulla"], []),
    "inspect": (["in/sealed.bulla"], []),
    "rewrap": (["-k", "keys/ring", "in/sealed.bulla"], ["in"]),
    "reencrypt": (["-k", "keys/ring", "in/sealed.bulla"], ["in"]),
    "status": (["in/sealed.bulla"], []),
    "key new": (["keys/new.ring"], ["keys"]),
    "key list": (["keys/ring"], []),
    "key rotate": (["keys/ring"], ["keys"]),
    "key retire": (["keys/ring"], ["keys"]),
    "key disable": (["keys/ring#ring:1"], ["keys"]),
    "key enable": (["keys/ring#ring:2"], ["keys"]),
    "key destroy": (["--force", "keys/ring#ring:2", "--check", "in/sealed.bulla"], ["keys"]),
    "key passphrase": (["keys/ring"], ["keys"]),
    "key export-public": (["keys/pair", "-o", "out/public"], ["out"]),
    "key check": (["keys/ring"], []),
    "envelope export": (["in/sealed.bulla", "-o", "out/a"], ["out"]),
    "envelope restore": (["in/sealed.bulla", "--envelope", "out/env"], ["in"]),
    "config check": ([], []),
    "completion": (["answer", "--", "encrypt", "-k", "keys/ring#"], []),
}  # fmt: skip

# These speak to a service, for which the user's settings may name a program: they are not confined.
SERVED = ["s3 abort", "s3 purge"]

# Other forms of the same, for which other files are opened.
FORMS = {
    "encrypt beside": (["encrypt", "-k", "keys/ring", "in/plain"], ["in"]),
    "encrypt to a directory": (["encrypt", "-k", "keys/ring", "in/plain", "-o", "out"], ["out"]),
    "encrypt a tree": (["encrypt", "-r", "-k", "keys/ring", "in", "-o", "out", "-j2"], ["out"]),
    "encrypt a tree beside": (["encrypt", "-r", "-k", "keys/ring", "in"], ["in"]),
    "encrypt and remove": (["encrypt", "--remove-source", "-k", "keys/ring", "in/plain", "-o", "out/a"], ["in", "out"]),
    "encrypt detached": (["encrypt", "-k", "keys/ring", "in/plain", "-o", "-", "--envelope", "out/e"], ["out"]),
    "encrypt over": (["encrypt", "--force", "-k", "keys/ring", "in/plain", "-o", "out/env"], ["out"]),
    "encrypt from standard input": (["encrypt", "-k", "keys/ring"], []),
    "encrypt for a passphrase": (["encrypt", "-k", "passphrase:", "in/plain", "-o", "out/a"], ["out"]),
    "encrypt for a public key": (["encrypt", "-k", "keys/public", "in/plain", "-o", "out/a"], ["out"]),
    "decrypt with its owner": (["decrypt", "--same-owner", "-k", "keys/ring", "in/sealed.bulla", "-o", "out/a"], ["out"]),
    "decrypt to standard output": (["decrypt", "-k", "keys/ring", "in/sealed.bulla", "-o", "-"], []),
    "decrypt and remove": (["decrypt", "--remove-source", "-k", "keys/ring", "in/sealed.bulla", "-o", "out/a"], ["in", "out"]),
    "verify by a name": (["verify", "-k", "named", "in/sealed.bulla"], []),
    "encrypt by a rule": (["encrypt", "--name", "named", "in/plain", "-o", "out/a"], ["out"]),
    "rewrap and only look": (["rewrap", "-n", "-k", "keys/ring", "in/sealed.bulla"], []),
    "rewrap a directory": (["rewrap", "-r", "--to", "keys/pair", "-k", "keys/ring", "in"], ["in"]),
    "encrypt what a list names": (["encrypt", "--files-from", "list", "-k", "keys/ring", "-o", "out"], ["out"]),
}  # fmt: skip


@pytest.fixture(scope="session")
def spy(tmp_path_factory):
    library = tmp_path_factory.mktemp("spy") / "spy.so"
    subprocess.run(["gcc", "-Wall", "-Werror", "-shared", "-fPIC", "-o", library, HERE / "spy.c"], check=True)
    return library


@pytest.fixture
def world(bulla, work):
    """Directories in, out, keys and other; files with no business in a run, victim and fresh ones, are in each."""
    for directory in ("in", "out", "keys", "other"):
        (work / directory / "empty").mkdir(parents=True)
        (work / directory / "victim").write_bytes(b"victim")
    bulla("key", "new", "-q", "keys/ring")
    (work / "in/sealed.bulla").write_bytes(bulla("encrypt", "-k", "keys/ring", stdin=b"text").stdout)
    bulla("envelope", "export", "in/sealed.bulla", "-o", "out/env")
    bulla("key", "rotate", "-q", "keys/ring")
    bulla("key", "rotate", "-q", "keys/ring")
    bulla("key", "disable", "-q", "keys/ring#ring:2")
    bulla("key", "new", "-q", "--kind", "x25519", "keys/pair")
    bulla("key", "export-public", "-q", "keys/pair", "-o", "keys/public")
    (work / "in/plain").write_bytes(b"plain")
    (work / "list").write_bytes(b"in/plain\n")
    (work / "other/pass").write_bytes(b"correct horse")
    config = pathlib.Path(bulla.environment["XDG_CONFIG_HOME"], "bulla")
    config.mkdir(parents=True)
    (config / "bulla.conf").write_text(f"[keys]\nnamed = {work}/keys/ring\n[rule plain]\npath = {work}/in/plain\nkeys = named\n")
    bulla.environment["BULLA_NEW_PASSPHRASE_FILE"] = "other/pass"
    return work


def spied(bulla, spy, args, deeds, confine="", **how):
    """Runs bulla, and then the deeds from within; gives the error of each."""
    ours, theirs = os.pipe()
    env = {"LD_PRELOAD": str(spy), "SPY_TRY": "\n".join(deeds), "SPY_FD": str(theirs), "BULLA_CONFINE": confine}
    bulla(*args, env=env, pass_fds=[theirs], **({"stdin": b"text"} | how))
    os.close(theirs)
    with os.fdopen(ours) as pipe:
        lines = [line.rsplit(" ", 1) for line in pipe.read().splitlines()]
    assert [deed for deed, _ in lines] == list(deeds)
    return {deed: int(number) for deed, number in lines}


def check_confined(bulla, spy, args, makes, reads_all=False):
    """Files are made in the directories given and in no other, no file is read but in those named, and no call of CALLS is allowed."""
    expected = {}
    named = {arg.split("/")[0] for arg in args} | ({"keys"} if "named" in args else set())
    for directory in ("in", "out", "keys", "other"):
        may = 0 if directory in makes else errno.EACCES
        for deed in ("make", "write", "remove"):
            expected[f"{deed} {directory}/{'fresh' if deed == 'make' else 'victim'}"] = may
        expected[f"read {directory}/other"] = 0 if reads_all or directory in named else errno.EACCES
        (bulla.work / directory / "other").write_bytes(b"x")
    for directory in ("in", "out"):
        expected |= {f"cut {directory}/other": 0 if directory in makes else errno.EACCES} if ABI >= 3 else {}
        expected |= {f"{deed} {directory}/{deed}": errno.EACCES for deed in ("fifo", "link", "char", "block", "socket-file")}
        expected[f"remove-directory {directory}/empty"] = errno.EACCES
    may_do = LOOKS if not makes else GIVES if args[0] in OWNERS_KEPT or " ".join(args[:2]) in OWNERS_KEPT or "--same-owner" in args else MAKES
    for directory in ("in", "out", "keys", "other"):
        opens = reads_all or directory in named or directory in makes
        expected[f"list {directory}"] = 0 if opens else errno.EACCES
        for deed, least in BY_DESCRIPTOR.items():
            allowed = 0 if least is not None and may_do >= least else errno.EPERM
            expected |= {f"{deed} {path}": allowed if opens else errno.EACCES for path in (f"{directory}/empty", f"{directory}/other")}
    expected["list /etc"] = 0 if reads_all else errno.EACCES  # and nothing that would stay, were it allowed
    expected |= dict.fromkeys(CALLS, errno.EPERM) | {"own-signal": 0, "own-limit": 0}
    assert spied(bulla, spy, args, expected, "must") == expected


@pytest.mark.parametrize("verb", VERBS)
def test_hostile_code_is_confined(bulla, spy, world, verb):
    args, makes = VERBS[verb]
    check_confined(bulla, spy, [*verb.split(), *args], makes, reads_all=verb == "completion")


@pytest.mark.parametrize("form", FORMS)
def test_hostile_code_is_confined_in_other_forms(bulla, spy, world, form):
    args, makes = FORMS[form]
    check_confined(bulla, spy, args, makes, reads_all="--files-from" in args)


def test_key_by_a_descriptor_opens_nothing(bulla, spy, world):
    """Not the directory of descriptors either, nor the file that the descriptor leads to."""
    expected = {"list /dev/fd": errno.EACCES, "list /proc/self/fd": errno.EACCES, "read /dev/fd/0": errno.EACCES, "list keys": errno.EACCES,
                "read keys/ring": errno.EACCES, "list out": 0}  # fmt: skip
    with open(world / "keys/ring", "rb") as ring:
        assert spied(bulla, spy, ["encrypt", "-k", "fd:0", "in/plain", "-o", "out/a"], expected, "must", stdin_file=ring) == expected


def test_every_call_of_the_filter_has_its_number():
    table = re.search(r"refused\[\] = \{(.*?)\};", (HERE.parents[1] / "base/seccomp.c").read_text(), re.S)[1]
    named = re.findall(r"\b(?:SYS_(\w+)|([A-Z]{4,}\d?)\b)", table)
    assert sorted(call or other.lower() for call, other in named) == sorted(REFUSED)


@on_x86_64
def test_calls_that_are_refused_by_their_numbers(bulla, spy, world):
    expected = {f"syscall {NUMBERS[name]}": errno.EPERM for name in REFUSED} | {f"syscall {X32 + NUMBERS['getpid']}": errno.EPERM}
    done = spied(bulla, spy, ["inspect", "in/sealed.bulla"], [*expected, "foreign"], "must")
    assert done.pop("foreign") in (errno.EPERM, errno.ENOSYS)  # not there in all kernels
    assert done == expected


def test_every_verb_has_its_row(bulla):
    lines = bulla("help").stdout.decode().split("\n\n")[2].splitlines()
    assert sorted(line[2:20].strip() for line in lines) == sorted([*VERBS, *SERVED])


def test_what_is_refused_works_where_nothing_is_confined(bulla, spy, world):
    """Else the tests above could not fail."""
    deeds = {"read other/victim": 0, "write other/victim": 0, "make other/fresh": 0, "cut other/victim": 0, "fifo other/fifo": 0,
             "link other/link": 0, "remove other/victim": 0, "char other/char": 0, "socket-file other/socket": 0,
             "remove-directory other/empty": 0, "list other": 0, "list /etc": 0} | CALLS  # fmt: skip
    deeds |= {f"{deed} {path}": 0 for deed in BY_DESCRIPTOR for path in ("in/sealed.bulla", "in/empty")}
    done = spied(bulla, spy, ["inspect", "in/sealed.bulla"], deeds, "no")
    in_containers = dict.fromkeys(["peek", "keyring", "uring", "clock"], (errno.EPERM, errno.ENOSYS)) | {"named-queue": (errno.ENOSYS,)}
    in_containers |= {deed: (errno.EOPNOTSUPP, errno.ENOTTY) for deed in deeds if deed.startswith(("fd-attribute", "fd-flags"))}  # not of all file systems
    assert not {deed: got for deed, got in done.items() if got != deeds[deed] and got not in in_containers.get(deed, ())}


@on_x86_64
def test_calls_by_their_numbers_fail_otherwise_where_nothing_is_confined(bulla, spy, world):
    """Most: some are only for root, and not in all containers. One would make a queue that stays."""
    done = spied(bulla, spy, ["inspect", "in/sealed.bulla"], [f"syscall {NUMBERS[name]}" for name in REFUSED if name != "msgget"], "no")
    assert 0 not in done.values() and list(done.values()).count(errno.EPERM) < len(REFUSED) // 2


# Files that are there by their turn.


def test_file_that_is_replaced_before_its_turn(bulla, ring, work):
    """Logs are, and who names several files gets them as they are then."""
    os.mkfifo(work / "first")
    (work / "to").mkdir()
    (work / "second").write_bytes(b"old")
    process = bulla.start("encrypt", "-k", ring, "-j1", "first", "second", "-o", "to", env={"BULLA_CONFINE": "must"}, stdin=subprocess.DEVNULL)
    with open(work / "first", "wb"):  # it waits for us there
        (work / "new").write_bytes(b"new")
        (work / "new").rename(work / "second")
    bulla.finish(process)
    assert bulla("decrypt", "-k", ring, "to/second.bulla", "-o", "-").stdout == b"new"


def test_what_has_no_place_in_a_tree_is_read(bulla, ring):
    ours, theirs = os.pipe()
    os.write(theirs, b"from a pipe")
    os.close(theirs)
    sealed = bulla("encrypt", "-k", ring, f"/dev/fd/{ours}", "-o", "-", pass_fds=[ours], env={"BULLA_CONFINE": "must"}).stdout
    os.close(ours)
    assert bulla("decrypt", "-k", ring, stdin=sealed).stdout == b"from a pipe"


def test_links_are_followed(bulla, ring, work):
    for directory in ("a", "b", "c"):
        (work / directory).mkdir()
    (work / "a/file").write_bytes(b"text")
    (work / "b/link").symlink_to("../a/file")
    (work / "to").symlink_to("c")
    bulla("encrypt", "-k", ring, "b/link", "-o", "to", env={"BULLA_CONFINE": "must"})
    bulla("encrypt", "-k", ring, "b/link", env={"BULLA_CONFINE": "must"})
    assert (work / "c/link.bulla").exists() and (work / "b/link.bulla").exists()


def test_keys_of_servers_are_not_read(bulla, spy, world):
    """They lie beside the configuration of OpenSSL, which is."""
    theirs = next((path for path in sorted(pathlib.Path("/etc/ssl/private").glob("*.key")) if os.access(path, os.R_OK)), None)
    theirs = theirs or next((path for path in sorted(pathlib.Path("/etc/ssl/certs").glob("*.crt")) if not path.is_symlink()), None)
    if theirs is None:
        pytest.skip("nothing lies there")
    expected = {f"read {theirs}": errno.EACCES, "read /etc/ssl/openssl.cnf": 0}
    assert spied(bulla, spy, ["verify", "-k", "keys/ring", "in/sealed.bulla"], expected, "must") == expected


def test_credential_that_is_a_link(bulla, spy, world):
    """It is read from where it leads to; no other credential is."""
    (world / "credentials").mkdir()
    (world / "credentials/bulla.passphrase").symlink_to("../other/pass")
    (world / "credentials/another").write_bytes(b"secret")
    bulla("key", "passphrase", "keys/ring")
    del bulla.environment["BULLA_NEW_PASSPHRASE_FILE"]
    bulla.environment["CREDENTIALS_DIRECTORY"] = str(world / "credentials")
    expected = {"read credentials/another": errno.EACCES, "read other/pass": 0}
    assert spied(bulla, spy, ["verify", "-k", "keys/ring", "in/sealed.bulla"], expected, "must") == expected


def test_passphrase_is_asked_on_a_terminal(bulla, work):
    (work / "plain").write_bytes(b"text")
    bulla.environment["BULLA_CONFINE"] = "must"
    on_terminal(bulla, "encrypt", "-k", "passphrase:", "plain", lines=["correct horse\n"] * 2)


# Who is confined how far.


def test_every_thread_is_confined(bulla, ring):
    process = held(bulla, ring, env={"BULLA_CONFINE": "must"})
    tasks = list(pathlib.Path(f"/proc/{process.pid}/task").iterdir())
    assert len(tasks) > 1
    for status in map(status_of, tasks):
        assert (status["NoNewPrivs"], status["Seccomp"], status["Seccomp_filters"]) == ("1", "2", "1")


def test_a_passphrase_command_may_do_what_it_does_elsewhere(bulla, spy, work):
    """Gain privileges, too: it is run by the user."""
    (work / "plain").write_bytes(b"text")
    command = "grep -c 'NoNewPrivs:.0' /proc/self/status; touch made-by-command"
    bulla("encrypt", "-k", "passphrase:", "--new-passphrase-command", command, "plain", env={"BULLA_CONFINE": "must"})
    assert (work / "made-by-command").exists()
    assert bulla("verify", "-k", "passphrase:", "--passphrase-command", "echo 1", "plain.bulla")


def test_a_configuration_by_a_pipe_is_read_once(bulla, ring, work):
    ours, theirs = os.pipe()
    os.write(theirs, f"[keys]\nnightly = {ring}\n".encode())
    os.close(theirs)
    sealed = bulla("encrypt", "-k", "nightly", stdin=b"x", env={"BULLA_CONFIG": f"/dev/fd/{ours}"}, pass_fds=[ours]).stdout
    os.close(ours)
    assert bulla("decrypt", "-k", ring, stdin=sealed).stdout == b"x"


def test_a_kernel_that_cannot_confine(bulla, ring, work):
    """Then the run goes on without, and with "must" it ends before it has touched a file."""
    (work / "plain").write_bytes(b"text")
    for call in ("landlock_create_ruleset", "landlock_add_rule", "landlock_restrict_self", "seccomp"):
        under = ["strace", "-f", "-qq", "-e", "signal=none", "-o", "/dev/stderr", "-e", f"trace={call}", "-e", f"inject={call}:error=ENOSYS"]
        assert b"INJECTED" in bulla("encrypt", "-k", ring, "plain", under=under).stderr
        (work / "plain.bulla").unlink()
        done = bulla("encrypt", "-k", ring, "plain", under=under, env={"BULLA_CONFINE": "must"}, status=8)
        assert b"this kernel cannot confine the run" in done.stderr
        assert not (work / "plain.bulla").exists()


def test_openssl_starts_as_fast_where_nothing_is_confined(bulla, ring):
    """Its configuration, which bulla does not need, is not even opened."""
    under = ["strace", "-f", "-qq", "-o", "/dev/stderr", "-e", "trace=openat"]
    opened = bulla("encrypt", "-k", ring, stdin=b"text", under=under, env={"BULLA_CONFINE": "no"}).stderr
    assert os.fsencode(ring.name) in opened and b"openssl.cnf" not in opened


def test_a_word_that_is_neither(bulla, ring, work):
    done = bulla("verify", "-k", ring, "f", env={"BULLA_CONFINE": "yes"}, status=2)
    assert done.stderr == b"bulla: BULLA_CONFINE is no or must, not 'yes'\n"


def test_machine_that_the_filter_does_not_know(bulla, ring, work, tmp_path):
    """Not the kernel is at fault then. The filter is compiled as it is on such a machine, and bulla is linked with it."""
    program = pathlib.Path(bulla.program)
    built = program.parents[1]
    if not (built / "build.ninja").exists():
        pytest.skip("bulla was not built here")
    command = subprocess.run(["ninja", "-C", built, "-t", "commands", "cmd/bulla"], check=True, capture_output=True, text=True).stdout.splitlines()[-1]
    known = ["-U__x86_64__", "-U__aarch64__"]
    subprocess.run(["gcc", *known, "-I", HERE.parents[1], "-c", HERE.parents[1] / "base/seccomp.c", "-o", tmp_path / "seccomp.o"], check=True)
    words = command.split(" -o cmd/bulla ", 1)
    assert len(words) == 2
    subprocess.run(f"{words[0]} -o {tmp_path}/bulla {tmp_path}/seccomp.o {words[1]}", shell=True, check=True, cwd=built)
    bulla.program = str(tmp_path / "bulla")
    sealed = bulla.seal(ring, b"text")
    done = bulla("decrypt", "-k", ring, sealed, "-o", "out", env={"BULLA_CONFINE": "must"}, status=8)
    assert done.stderr.startswith(b"bulla: there is no filter of system calls for this kind of machine\n") and not (work / "out").exists()
