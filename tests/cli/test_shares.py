"""Shares of one archive: jobs of GNU parallel and of a real Slurm rewrap it without talking to each other."""

import os
import pathlib
import shutil
import socket
import subprocess
import time

import pytest

CONFIG = """
ClusterName=test
SlurmctldHost={host}(127.0.0.1)
AuthType=auth/munge
AuthInfo=socket={directory}/munge/socket
SlurmUser=root
StateSaveLocation={directory}/state
SlurmdSpoolDir={directory}/spool
SlurmctldPidFile={directory}/slurmctld.pid
SlurmdPidFile={directory}/slurmd.pid
SlurmctldLogFile={directory}/slurmctld.log
SlurmdLogFile={directory}/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
SelectType=select/cons_tres
SchedulerParameters=sched_interval=1,sched_min_interval=0
SlurmctldPort={controller}
SlurmdPort={node}
MailProg=/bin/true
ReturnToService=2
NodeName={host} NodeAddr=127.0.0.1 CPUs=2 State=UNKNOWN
PartitionName=all Nodes=ALL Default=YES State=UP
"""


def free_ports(count):
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [s.getsockname()[1] for s in sockets]
    for s in sockets:
        s.close()
    return ports


@pytest.fixture
def slurm(tmp_path):
    """A controller and a node on this machine, from an own configuration; the environment that reaches them."""
    directory = tmp_path / "slurm"
    for name in ("state", "spool", "munge"):
        (directory / name).mkdir(parents=True, mode=0o755)
    (directory / "munge").chmod(0o700)
    (directory / "munge" / "key").write_bytes(os.urandom(1024))
    (directory / "munge" / "key").chmod(0o400)
    controller, node = free_ports(2)
    host = socket.gethostname().split(".")[0]
    config = directory / "slurm.conf"
    config.write_text(CONFIG.format(directory=directory, host=host, controller=controller, node=node))
    version = subprocess.run(["slurmd", "-V"], capture_output=True, text=True, check=True).stdout
    if int(version.split()[1].split(".")[0]) >= 24:  # an older one has no word for it, and does without
        (directory / "cgroup.conf").write_text("CgroupPlugin=disabled\n")
    munge = [f"--{name}={directory}/munge/{file}" for name, file in
             (("key-file", "key"), ("socket", "socket"), ("pid-file", "pid"), ("log-file", "log"), ("seed-file", "seed"))]
    env = os.environ | {"SLURM_CONF": str(config)}
    for command in (["munged", "--force", *munge], ["slurmctld", "-i", "-f", config], ["slurmd", "-f", config, "-N", host]):
        subprocess.run(command, check=True, env=env, capture_output=True)
    yield env
    for pid in ("slurmd.pid", "slurmctld.pid", "munge/pid"):
        if (directory / pid).exists():
            os.kill(int((directory / pid).read_text()), 15)
    time.sleep(0.5)


@pytest.fixture
def archive(bulla, ring, archive):
    """Its key has moved on."""
    bulla("key", "rotate", ring)
    return archive


def check_all_moved(bulla, archive, outputs):
    counts = [int(line.split()[1]) for line in outputs.splitlines() if "were current" in line]
    assert len(counts) == 4 and sum(counts) == 30, outputs
    rows = bulla.inspect(*sorted(archive.rglob("*.bulla")))
    assert {row["slots"][0]["key_version"] for row in rows} == {2}


@pytest.mark.skipif(shutil.which("parallel") is None, reason="GNU parallel is not installed")
def test_shares_by_gnu_parallel(bulla, ring, archive):
    command = ["parallel", "--will-cite", os.environ["BULLA"], "rewrap", "-r", "-k", ring, "--shard", "{}/4", archive]
    done = subprocess.run([*command, ":::", "1", "2", "3", "4"], capture_output=True)
    assert done.returncode == 0, done.stderr
    check_all_moved(bulla, archive, done.stderr.decode())


@pytest.mark.skipif(shutil.which("sbatch") is None, reason="Slurm is not installed")
@pytest.mark.skipif(os.geteuid() != 0, reason="an own Slurm needs root")
def test_shares_by_a_slurm_array(bulla, ring, archive, slurm, tmp_path):
    program = os.environ["BULLA"]
    command = f"'{program}' rewrap -r -k '{ring}' --shard $SLURM_ARRAY_TASK_ID/4 '{archive}'"
    out = tmp_path / "out-%a"
    subprocess.run(["sbatch", "--array=1-4", "-o", out, "--wrap", command], env=slurm, check=True, stdout=subprocess.DEVNULL, timeout=120)
    outputs = [pathlib.Path(str(out).replace("%a", str(n))) for n in range(1, 5)]
    until = time.monotonic() + 120
    while not all(o.exists() and "were current" in o.read_text() for o in outputs):
        assert time.monotonic() < until
        time.sleep(0.1)
    check_all_moved(bulla, archive, "".join(o.read_text() for o in outputs))
