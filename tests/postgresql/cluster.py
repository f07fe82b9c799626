"""A real PostgreSQL, under a user of its own, with the scripts of docs/postgresql as they are."""

import glob
import os
import pathlib
import pwd
import shutil
import subprocess
import tempfile
import time

from program import COMPLAINTS

HERE = pathlib.Path(__file__).resolve().parent
SCRIPTS = HERE.parents[1] / "docs" / "postgresql"
BIN = max(glob.glob("/usr/lib/postgresql/*/bin"), key=lambda path: int(path.split("/")[4]))
USER = "postgres" if os.geteuid() == 0 else pwd.getpwuid(os.geteuid()).pw_name  # PostgreSQL refuses to be root
AS_USER = ["setpriv", f"--reuid={USER}", f"--regid={USER}", "--clear-groups"] if os.geteuid() == 0 else []
SUM = "select count(*), md5(string_agg(id || v, ',' order by id)) from t"
WAIT = 60  # seconds until something must have happened

CONF = """
listen_addresses = ''
unix_socket_directories = '{home}'
wal_level = replica
archive_mode = on
archive_command = '{command}'
fsync = off
autovacuum = off
log_min_messages = debug2
"""


def until(what, so):
    end = time.monotonic() + WAIT
    while not so():
        assert time.monotonic() < end, what
        time.sleep(0.05)


class House:
    """A directory of that user, with bulla, keys, an archive and clusters."""

    def __init__(self):
        self.home = pathlib.Path(tempfile.mkdtemp(prefix="bulla-pg-"))
        self.home.chmod(0o755)
        self.archive, self.ring, self.public = self.home / "disk" / "wal", self.home / "vault.ring", self.home / "vault.pub"
        self.bin, self.running = self.home / "bin", None
        self.bin.mkdir()
        for path in [pathlib.Path(os.environ["BULLA"]), *SCRIPTS.iterdir()]:
            shutil.copy(path, self.bin)
        if AS_USER:
            shutil.chown(self.home, USER)
        self.environment = {"PATH": f"{self.bin}:{BIN}:/usr/bin:/bin", "HOME": str(self.home), "PGHOST": str(self.home), "PGUSER": USER, "LC_ALL": "C"}

    def run(self, *args, status=0, env=None, **how):
        """Runs a program as that user; it ends with this status, or with one of these."""
        wanted = status if isinstance(status, tuple) else (status,)
        setting = {"cwd": self.home, "env": self.environment | (env or {}), "capture_output": True, "stdin": subprocess.DEVNULL, "timeout": WAIT}
        done = subprocess.run([*AS_USER, *map(str, args)], **setting | how)
        assert done.returncode in wanted, (args, done.returncode, done.stderr)
        assert not COMPLAINTS.search(done.stderr or b""), done.stderr
        return done

    def keys(self):
        self.run("mkdir", "-p", self.archive)
        self.run("bulla", "key", "new", "-q", "--kind", "x25519", self.ring)
        self.run("bulla", "key", "export-public", "-o", self.public, self.ring)

    def archive_command(self):
        return f'archive-wal {self.archive} "%p" "%f" {self.public}'

    def restore_command(self, *keys):
        return f'restore-wal {self.archive} "%f" "%p" {" ".join(map(str, keys))}'

    def quiet(self):
        """Stops the cluster that runs, if any: they have one socket."""
        if self.running:
            self.running.control("stop", "-m", "immediate", status=(0, 1))
        self.running = None

    def stop(self):
        self.quiet()
        shutil.rmtree(self.home)


class Cluster:
    def __init__(self, house, name):
        self.house, self.data, self.log = house, house.home / name, house.home / f"{name}.log"

    def control(self, verb, *args, **how):
        """pg_ctl; what it starts must not hold our pipes."""
        how = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "capture_output": False} | how
        return self.house.run("pg_ctl", "-D", self.data, "-l", self.log, "-t", WAIT, "-w", verb, *args, **how)

    def make(self, command):
        self.house.run("initdb", "-D", self.data, "-A", "trust", "-N", "--wal-segsize=4", "-U", USER)
        self.configure(CONF.format(home=self.house.home, command=command))

    def configure(self, text):
        with open(self.data / "postgresql.auto.conf", "a") as conf:
            conf.write(text)

    def sql(self, text, database="postgres"):
        return self.house.run("psql", "-X", "-q", "-At", "-v", "ON_ERROR_STOP=1", "-d", database, "-c", text).stdout.decode().strip()

    def sum(self):
        return self.sql(SUM)

    def said(self):
        return self.log.read_text()

    def restore(self, base, command, *lines):
        """As docs/POSTGRESQL.md has it, up to the start."""
        tar = self.house.home / f"{self.data.name}.tar"
        self.house.run("bulla", "decrypt", "-k", self.house.ring, "--require-name", "base", "-o", tar, base)
        self.house.run("mkdir", "-m", "700", self.data)
        self.house.run("tar", "-xf", tar, "-C", self.data)
        self.house.run("pg_verifybackup", "-n", self.data)
        self.configure("\n".join(["", "archive_mode = off", f"restore_command = '{command}'", *lines, ""]))
        self.house.run("touch", self.data / "recovery.signal")

    def start(self, *args, **how):
        """With a new log."""
        self.house.quiet()
        self.house.running = self
        self.log.unlink(missing_ok=True)
        self.control("start", *args, **how)

    def stop(self, how):
        self.control("stop", "-m", how)
        self.house.running = None

    def starts(self):
        """Whether it starts, recovers and serves. It may be read before it has recovered."""
        self.start(status=(0, 1))
        until("recovery does not end", lambda: not self.runs() or self.serves())
        return self.runs()

    def runs(self):
        return self.control("status", status=(0, 3)).returncode == 0

    def serves(self):
        ask = ["psql", "-X", "-At", "-d", "postgres", "-c", "select pg_is_in_recovery()"]
        return self.house.run(*ask, status=(0, 2)).stdout == b"f\n"


class Story:
    """300,000 rows, of which a base backup has the first third, and a mistake."""

    def __init__(self, house):
        first = Cluster(house, "first")
        first.make(house.archive_command())
        first.start()
        first.sql("create table t (id int primary key, v text)")
        self.add(first, 1, 100_000)
        self.base = house.home / "disk" / "base.tar.bulla"
        command = "pg_basebackup -D - -Ft -X fetch -c fast"
        house.run("bulla", "encrypt", "-k", house.public, "--name", "base", "--from-command", command, "-o", self.base)
        self.add(first, 100_001, 200_000)
        self.add(first, 200_001, 300_000)
        self.good, self.time = first.sum(), first.sql("select clock_timestamp()")
        first.sql("delete from t where id % 3 = 0")
        self.after = first.sum()
        last = first.sql("select pg_walfile_name(pg_switch_wal())")
        until("WAL is not archived", (house.archive / f"{last}.bulla").exists)
        first.stop("fast")
        self.segments = sorted(path for path in house.archive.iterdir() if len(path.name) == 30)

    def add(self, cluster, low, high):
        cluster.sql(f"insert into t select g, md5(g::text) from generate_series({low}, {high}) g")
