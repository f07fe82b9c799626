#!/usr/bin/python3
"""Measures bulla against its neighbours: in each row the commands take turns, and their medians are compared.

usage: run [--dir DIR]... [--size MIB]... [--files N] [--large-files N] [--objects N] [--rounds N] [--only WORD] [--json OUT] [--plot OUT]

A file of each size is sealed and opened in each directory, in the first size and directory against every neighbour, then against cp and
age; the other rows are of the first. Those of S3 are against a versitygw on this machine: of PATH, or of tests/servers/run. What is not installed is left out, and that is said. Nothing is judged here: numbers are for
people, tests are elsewhere.
"""

import argparse
import itertools
import json
import mmap
import os
import pathlib
import platform
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

MIB = 2**20
STARTS = 50  # of a program, for one figure
HELD = 256 * MIB  # of memory, at a time
GPG = "gpg -q --batch --pinentry-mode loopback --passphrase x"
SLOW = {"aws-encryption-cli": 1}  # rounds
AWS = "aws-encryption-cli -S --suppress-metadata"


def free_memory():
    return next(int(line.split()[1]) * 1024 for line in open("/proc/meminfo") if line.startswith("MemFree:"))


def touched(size):
    memory = mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    memory.madvise(mmap.MADV_HUGEPAGE)
    for at in range(0, size, mmap.PAGESIZE):
        memory[at] = 1
    return memory


class Bench:
    def __init__(self, options, directory, size, first):
        self.options, self.size, self.first = options, size, first
        self.bulla = os.path.abspath(options.bulla)
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix="bulla-bench-", dir=directory))
        self.tools = pathlib.Path(tempfile.mkdtemp(prefix="bulla-bench-tools-"))
        self.largest = size * MIB  # bytes that a command of the rows to come makes
        self.place = f"{size} MiB on {self.file_system()}"
        self.rows, self.missing, self.held, self.kms, self.s3 = [], [], [], None, None
        self.environment = {**os.environ, "GNUPGHOME": str(self.tools / "gnupg"), "LC_ALL": "C"}
        self.environment["RCLONE_CONFIG"] = str(self.tools / "rclone.conf")
        self.environment.pop("BULLA_KEY", None)

    def close(self):
        for server in (self.kms, self.s3):
            if server:
                server.kill()
                server.wait()
        shutil.rmtree(self.directory)
        shutil.rmtree(self.tools)

    def file_system(self):
        return subprocess.run(["stat", "-f", "-c", "%T", self.directory], capture_output=True, text=True, check=True).stdout.strip()

    def sh(self, command):
        self.hold()
        self.run(command)

    def run(self, command):
        subprocess.run(["bash", "-c", f"set -e -o pipefail; {command}"], cwd=self.directory, env=self.environment, check=True,
                       stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)

    def has(self, tool):
        if shutil.which(tool):
            return True
        if tool not in self.missing:
            self.missing.append(tool)
        return False

    def prepare(self):
        """Input that does not compress, and a key for everybody."""
        with open(self.directory / "in", "wb") as file:
            for _ in range(self.size):
                file.write(os.urandom(MIB))
        (self.directory / "small").write_bytes(os.urandom(1024))
        self.sh(f"{self.bulla} key new -q {self.tools}/ring && {self.bulla} key new -q {self.tools}/other")
        self.age = {"age": shutil.which("age"), "age, newest": os.environ.get("AGE_NEWEST")}
        self.age = {name: path for name, path in self.age.items() if path}
        if not self.age:
            self.missing.append("age")
        if self.has("age-keygen"):
            self.sh(f"age-keygen -o {self.tools}/age.key && age-keygen -y {self.tools}/age.key > {self.tools}/age.pub")
        if self.has("gpg"):
            (self.tools / "gnupg").mkdir(mode=0o700)
        if self.has("rclone"):
            self.sh(f"rclone config create c crypt remote={self.directory}/rclone password=$(rclone obscure secret)")
        if self.has("openssl"):
            self.sh(f"openssl req -x509 -newkey rsa:2048 -nodes -subj /CN=x -keyout {self.tools}/cms.key "
                    f"-out {self.tools}/cms.pem -days 30")
        if self.first and self.has("aws-encryption-cli") and self.has("moto_server"):
            self.start_kms()

    def start_kms(self):
        """A key service on this machine, for the one peer that cannot do without."""
        port = 5990
        self.environment |= {"AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}", "AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": "x",
                             "AWS_DEFAULT_REGION": "us-east-1"}
        self.kms = subprocess.Popen(["moto_server", "-p", str(port)], env=self.environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        create = "aws kms create-key --endpoint-url $AWS_ENDPOINT_URL --query KeyMetadata.Arn --output text"
        self.sh(f"for i in $(seq 60); do {create} > {self.tools}/arn && exit; sleep 0.5; done; exit 1")
        self.arn = (self.tools / "arn").read_text().strip()

    def start_s3(self):
        """A server of S3 on this machine, with its data in the directory, and what each program needs to find it. False if there is none."""
        self.environment["PATH"] += os.pathsep + str(pathlib.Path(os.environ.get("BULLA_BUILD", "build-tests")).absolute() / "servers")
        program = shutil.which("versitygw", path=self.environment["PATH"])
        if program is None or not self.has("aws"):
            self.missing += ["versitygw"] if program is None else []
            return False
        port, names = 5991, {"ROOT_ACCESS_KEY": "bench", "ROOT_SECRET_KEY": "benchsecret"}
        (self.directory / "s3/data").mkdir(parents=True)
        self.s3 = subprocess.Popen([program, "--port", f"127.0.0.1:{port}", "posix", self.directory / "s3/data"], env=self.environment | names,
                                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        url = f"http://127.0.0.1:{port}"
        self.environment |= {"AWS_ENDPOINT_URL_S3": url, "AWS_ACCESS_KEY_ID": "bench", "AWS_SECRET_ACCESS_KEY": "benchsecret", "AWS_REGION": "us-east-1",
                             "AWS_DEFAULT_REGION": "us-east-1", "AWS_EC2_METADATA_DISABLED": "true"}
        self.sh("for i in $(seq 60); do aws s3 mb s3://bench && exit; sleep 0.5; done; exit 1")
        self.environment.pop("AWS_CA_BUNDLE", None)  # rclone fails by it
        self.environment["RCLONE_EXPECT_CONTINUE_TIMEOUT"] = "0"  # or it waits a second for each part: this server does not say "continue"
        if self.has("rclone"):
            self.sh(f"rclone config create s s3 provider=Other endpoint={url} env_auth=true && "
                    "rclone config create sc crypt remote=s:bench/crypt password=$(rclone obscure secret)")
        return True

    def objects(self, count):
        """One large object, up and down, and many small ones."""
        if (self.options.only and self.options.only not in "S3, up and down") or not self.start_s3():
            return
        self.largest = 8 * self.size * MIB  # a server on this machine holds parts, what it joins them to, and more
        b, t, clean = self.bulla, self.tools, "aws s3 rm --quiet --recursive s3://bench/"
        rclone = [("rclone", "s:bench/r"), ("rclone crypt", "sc:r")] if self.has("rclone") else []
        self.row(f"S3, up {self.size} MiB", [("bulla", f"{b} encrypt -q -k {t}/ring -o s3://bench/b in", clean),
                                             ("aws s3 cp", "aws s3 cp --quiet in s3://bench/a", clean)] +
                 [(name, f"rclone copyto in {place}", clean) for name, place in rclone])
        self.sh(f"{b} encrypt -q -k {t}/ring -o s3://bench/b in; aws s3 cp --quiet in s3://bench/a")
        for _, place in rclone:
            self.sh(f"rclone copyto in {place}")
        self.row(f"S3, down {self.size} MiB", [("bulla", f"{b} decrypt -q -k {t}/ring -o o.plain s3://bench/b", "cmp in o.plain; rm o.plain"),
                                               ("aws s3 cp", "aws s3 cp --quiet s3://bench/a o.a", "rm o.a")] +
                 [(name, f"rclone copyto {place} o.r", "rm o.r") for name, place in rclone])
        self.sh(clean)
        (self.directory / "many").mkdir()
        for number in range(count):
            (self.directory / f"many/f{number}").write_bytes(os.urandom(4096))
        self.row(f"S3, up {count} objects of 4 KiB", [("bulla", f"{b} encrypt -q -k {t}/ring -r -o s3://bench/m/ many", clean),
                                                      ("aws s3 cp", "aws s3 cp --quiet --recursive many s3://bench/m/", clean)] +
                 [(name, f"rclone copy many {place}m", clean) for name, place in rclone], rounds=self.options.many_rounds)
        self.sh(f"{b} encrypt -q -k {t}/ring -r -o s3://bench/m/ many; aws s3 cp --quiet --recursive many s3://bench/a/")
        for _, place in rclone:
            self.sh(f"rclone copy many {place}m")
        self.row(f"S3, down {count} objects of 4 KiB", [("bulla", f"mkdir o.d && {b} decrypt -q -k {t}/ring -r -o o.d s3://bench/m/", "diff -r many o.d; rm -r o.d"),
                                                        ("aws s3 cp", "aws s3 cp --quiet --recursive s3://bench/a/ o.d", "rm -r o.d")] +
                 [(name, f"rclone copy {place}m o.d", "rm -r o.d") for name, place in rclone], rounds=self.options.many_rounds)
        self.rotate_objects(count)
        self.sh(f"rm -r many; {clean}")

    def rotate_objects(self, count):
        """The objects of s3://bench/m/ to another key: where they are, or by way of this machine."""
        b, t = self.bulla, self.tools
        back = f"{b} rewrap -q -k {t}/other --to {t}/ring -r s3://bench/m/"
        by_hand = (f"aws s3 cp --quiet --recursive s3://bench/m/ o.d && {b} rewrap -q --sync=none -k {t}/ring --to {t}/other -r o.d && "
                   "aws s3 cp --quiet --recursive o.d s3://bench/m/")  # fmt: skip
        self.row(f"S3, rewrap {count} objects of 4 KiB", [("bulla", f"{b} rewrap -q -k {t}/ring --to {t}/other -r s3://bench/m/", back),
                                                          ("download, rewrap, upload", by_hand, f"rm -r o.d; {back}")], rounds=self.options.many_rounds)

    def start(self, command):
        """Starts a program and waits for its end, without a shell in between."""
        output = (os.POSIX_SPAWN_OPEN, 1, self.tools / "output", os.O_WRONLY | os.O_CREAT, 0o600)
        command = [shutil.which(command[0]), *map(str, command[1:])]
        status = os.waitpid(os.posix_spawn(command[0], command, self.environment, file_actions=[output]), 0)[1]
        if status != 0:
            raise subprocess.CalledProcessError(status, command, stderr=b"failed")

    def starts(self, what, commands):
        """As a row, of many starts of each program."""
        if self.options.only and self.options.only not in what:
            return
        times = {name: [] for name in commands}
        os.chdir(self.directory)
        for _ in range(STARTS):
            for name, command in commands.items():
                begun = time.perf_counter()
                self.start(command)
                times[name].append(time.perf_counter() - begun)
        self.add(what, times)

    def hold(self):
        """Holds the memory that no command needs. A virtual machine gives free memory back to its host, and whoever uses it
        next pays for that with seconds; so little is left free, and that little is touched before each command."""
        free, need = free_memory(), self.largest * 5 // 4 + 1024 * MIB
        while free < need and self.held:
            free += len(self.held.pop())
        while free >= need + HELD:
            self.held.append(touched(HELD))
            free -= HELD

    def row(self, what, commands, rounds=None):
        """Runs all commands in turns, another first in each round; each is (name, command, command that cleans up)."""
        if self.options.only and self.options.only not in what:
            return
        times = {name: [] for name, _, _ in commands}
        for number in range(rounds or self.options.rounds):
            first = number % len(commands)
            for name, command, clean in commands[first:] + commands[:first]:
                os.sync()  # or it waits for what another has written
                self.hold()
                touched(max(MIB, free_memory() - HELD))
                begun = time.perf_counter()
                self.run(command)
                times[name].append(time.perf_counter() - begun)
                if clean:
                    self.sh(clean)
        self.add(what, times)

    def add(self, what, times):
        medians = {name: statistics.median(taken) for name, taken in times.items()}
        self.rows.append({"what": what, "seconds": medians, "all": times})
        mine = medians["bulla"]
        for name, median in medians.items():
            ratio = "" if name == "bulla" else f"bulla takes {mine / median:.2f} x that"
            print(f"{what:34} {name:18} {median:9.4f} s  {ratio}", flush=True)

    def encrypt(self):
        b, t = self.bulla, self.tools
        mine = ("bulla", f"{b} encrypt -q -k {t}/ring -o o.bulla in", "rm o.bulla")
        peers = [("cp", "cp in o.cp", "rm o.cp"), ("cp + sync", "cp in o.cp && sync o.cp", "rm o.cp")]
        peers += [(name, f"{age} -R {t}/age.pub -o o.age in", "rm o.age") for name, age in self.age.items()]
        if self.first and self.has("gpg"):
            peers.append(("gpg", f"{GPG} --compress-algo none --cipher-algo AES256 -o o.gpg -c in", "rm o.gpg"))
        if self.first and self.has("openssl"):
            peers.append(("openssl enc", "openssl enc -aes-256-ctr -pbkdf2 -pass pass:x -in in -out o.enc", "rm o.enc"))
            peers.append(("openssl cms", f"openssl cms -encrypt -stream -binary -outform DER -aes-256-gcm -in in -out o.cms {t}/cms.pem", "rm o.cms"))
        if self.first and self.has("rclone"):
            peers.append(("rclone crypt", "rclone copyto in c:o", "rm -r rclone"))
        if self.kms:
            peers.append(("aws-encryption-cli", f"{AWS} --encrypt -i in -o o.aws --wrapping-keys key={self.arn}", "rm o.aws"))
        for peer in peers:
            self.row(f"encrypt {self.place}", [mine, peer], rounds=SLOW.get(peer[0]))

    def decrypt(self):
        """What each peer opens is sealed for its row alone: all at once would be more than a memory holds."""
        b, t = self.bulla, self.tools
        self.sh(f"{b} encrypt -q -k {t}/ring -o s.bulla in")
        mine = ("bulla", f"{b} decrypt -q -k {t}/ring -o o.plain s.bulla", "cmp in o.plain; rm o.plain")
        peers = [("cp", "true", "cp in o.plain"), ("cp + sync", "true", "cp in o.plain && sync o.plain")]
        peers += [(name, f"{age} -R {t}/age.pub -o s.x in", f"{age} -d -i {t}/age.key -o o.plain s.x") for name, age in self.age.items()]
        if self.first and self.has("gpg"):
            peers.append(("gpg", f"{GPG} --compress-algo none --cipher-algo AES256 -o s.x -c in", f"{GPG} -o o.plain -d s.x"))
        if self.first and self.has("openssl"):
            enc, cms = "openssl enc -aes-256-ctr -pbkdf2 -pass pass:x", "openssl cms -binary"
            peers.append(("openssl enc", f"{enc} -in in -out s.x", f"{enc} -d -in s.x -out o.plain"))
            peers.append(("openssl cms", f"{cms} -encrypt -stream -outform DER -aes-256-gcm -in in -out s.x {t}/cms.pem",
                          f"{cms} -decrypt -inform DER -inkey {t}/cms.key -in s.x -out o.plain"))
        if self.first and self.has("rclone"):
            peers.append(("rclone crypt", "rclone copyto in c:s", "rclone copyto c:s o.plain"))
        if self.kms:
            peers.append(("aws-encryption-cli", f"{AWS} --encrypt -i in -o s.x --wrapping-keys key={self.arn}",
                          f"{AWS} --decrypt -i s.x -o o.plain --wrapping-keys key={self.arn}"))
        for name, seal, command in peers:
            self.sh(seal)
            self.row(f"decrypt {self.place}", [mine, (name, command, "rm o.plain")], rounds=SLOW.get(name))
            self.sh("rm -rf s.x rclone")
        self.row(f"verify {self.place}", [("bulla", f"{b} verify -q -k {t}/ring s.bulla", ""), ("cp", "cp in o.cp", "rm o.cp")])

    def threads(self):
        b, t = self.bulla, self.tools
        for verb, command, clean in (("encrypt", "encrypt -q -k {t}/ring -o o.x in", "rm o.x"), ("verify", "verify -q -k {t}/ring s.bulla", "")):
            command = command.format(t=t)
            self.row(f"threads: {verb}", [("bulla", f"{b} {command} -j2", clean), ("bulla -j1", f"{b} {command} -j1", clean)])

    def pipe(self):
        b, t = self.bulla, self.tools
        self.row(f"pipe {self.place}", [
            ("bulla", f"cat in | {b} encrypt -q -k {t}/ring > o.bulla", "rm o.bulla"),
            ("cat | cat", "cat in | cat > o.cat", "rm o.cat")])
        self.row(f"pipe, decrypt {self.place}", [
            ("bulla", f"cat s.bulla | {b} decrypt -q -k {t}/ring > o.plain", "rm o.plain"),
            ("cat | cat", "cat s.bulla | cat > o.cat", "rm o.cat")])

    def many(self, count, size, label):
        if self.options.only and self.options.only not in f"rewrap {count} files of {label}":
            return
        b, t = self.bulla, self.tools
        directory = self.directory / "many"
        directory.mkdir()
        self.largest = count * size
        for number in range(count):
            (directory / f"f{number}").write_bytes(os.urandom(size))
        commands = [("bulla", f"mkdir o.d && {b} encrypt -q --sync=none -k {t}/ring -r -o o.d many", "rm -r o.d"),
                    ("bulla --sync=each", f"mkdir o.d && {b} encrypt -q -k {t}/ring -r -o o.d many", "rm -r o.d"),
                    ("cp -r", "cp -r many o.d", "rm -r o.d")]
        commands += [(f"{name}, in a loop", f"mkdir o.d && for f in many/*; do {age} -R {t}/age.pub -o o.d/${{f##*/}} $f; done", "rm -r o.d")
                     for name, age in self.age.items()]
        self.row(f"{count} files of {label}", commands, rounds=self.options.many_rounds)
        self.sh(f"mkdir o.d && {b} encrypt -q --sync=none -k {t}/ring -r -o o.d many")
        self.row(f"rewrap {count} files of {label}", [
            ("bulla", f"{b} rewrap -q -k {t}/ring --to {t}/other -r o.d", f"{b} rewrap -q --sync=none -k {t}/other --to {t}/ring -r o.d"),
            ("bulla --sync=none", f"{b} rewrap -q --sync=none -k {t}/ring --to {t}/other -r o.d",
             f"{b} rewrap -q --sync=none -k {t}/other --to {t}/ring -r o.d")], rounds=self.options.many_rounds)
        self.sh("rm -r o.d many")

    def quick(self):
        b, t = self.bulla, self.tools
        commands = {"bulla": [b, "encrypt", "-q", "--force", "-k", t / "ring", "-o", "o.s", "small"]}
        commands |= {name: [age, "-R", t / "age.pub", "-o", "o.age", "small"] for name, age in self.age.items()}
        self.starts("start, 1 KiB", commands | {"/bin/true": ["/bin/true"]})
        self.sh(f"{b} encrypt -q -k {t}/ring -o small.bulla small")
        self.starts("start, inspect", {"bulla": [b, "inspect", "small.bulla"]})
        self.starts("start, key list", {"bulla": [b, "key", "list", t / "ring"]})

    def raw(self):
        """What AES alone does in one thread, in MiB/s."""
        if self.options.only and self.options.only not in "openssl speed" or not self.has("openssl"):
            return
        done = subprocess.run(["openssl", "speed", "-elapsed", "-seconds", "2", "-bytes", "16384", "-evp", "aes-256-gcm"],
                              capture_output=True, text=True, env=self.environment)
        rate = float(done.stdout.split()[-1].rstrip("k")) * 1000 / MIB
        self.rows.append({"what": "openssl speed aes-256-gcm", "MiB/s": rate})
        print(f"{'openssl speed aes-256-gcm':34} {rate:.0f} MiB/s, one thread, 16 KiB at a time")

    def ranges(self):
        b, t = self.bulla, self.tools
        middle = self.size * MIB // 2
        self.row(f"1 MiB out of {self.place}", [
            ("bulla", f"{b} decrypt -q -k {t}/ring -o o.part --offset={middle} --length={MIB} s.bulla", "rm o.part"),
            ("dd of the plain", f"dd if=in of=o.part bs=1M skip={middle // MIB} count=1", "rm o.part")])

    def files(self):
        self.prepare()
        self.encrypt()
        self.decrypt()

    def rest(self):
        self.threads()
        self.raw()
        self.pipe()
        self.ranges()
        self.quick()
        self.objects(self.options.objects)
        self.sh("rm -f s.bulla in")
        self.many(self.options.files, 4096, "4 KiB")
        self.many(self.options.large_files, MIB, "1 MiB")


def machine():
    names = [line.split(":", 1)[1].strip() for line in open("/proc/cpuinfo") if line.startswith("model name")]
    return (f"{len(os.sched_getaffinity(0))} CPUs {names[0] if names else platform.machine()}, Linux {platform.release()}, "
            f"{time.strftime('%Y-%m-%d')}, load {os.getloadavg()[0]:.1f}")


def plot(rows, about, path):
    """Bars of MiB a second, for the rows in which a large file of the first place is sealed or opened."""
    groups = {}
    for row in rows:
        if row["what"].startswith(("encrypt", "decrypt", "pipe ")):
            for name, seconds in row["seconds"].items():
                groups.setdefault(row["what"], {}).setdefault(name, seconds)
    assert groups, "nothing to plot"
    place = next(iter(groups)).split(" ", 1)[1]
    groups = {what: seconds for what, seconds in groups.items() if what.endswith(place)}
    lines, y = [], 40
    speeds = {what: {name: int(re.search(r"(\d+) MiB", what)[1]) / taken for name, taken in seconds.items()} for what, seconds in groups.items()}
    fastest = max(speed for row in speeds.values() for speed in row.values())
    for what, row in speeds.items():
        lines.append(f'<text x="10" y="{y}" font-weight="bold">{what}, MiB/s</text>')
        for name, speed in row.items():
            y += 18
            width, color = 460 * speed / fastest, "#8a4b2a" if name == "bulla" else "#b9b2a6"
            lines.append(f'<text x="120" y="{y}" text-anchor="end">{name}</text>')
            lines.append(f'<rect x="128" y="{y - 11}" width="{width:.0f}" height="13" fill="{color}"/>')
            lines.append(f'<text x="{134 + width:.0f}" y="{y}">{speed:.0f}</text>')
        y += 32
    lines.append(f'<text x="10" y="{y}" font-size="10" fill="#666">{about}</text>')
    with open(path, "w") as out:
        out.write(f'<svg xmlns="http://www.w3.org/2000/svg" width="680" height="{y + 14}" font-family="sans-serif" font-size="12">\n'
                  '<rect width="100%" height="100%" fill="white"/>\n' + "\n".join(lines) + "\n</svg>\n")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("bulla")
    parser.add_argument("--dir", action="append", help="a directory; default: /dev/shm and /var/tmp")
    parser.add_argument("--size", action="append", type=int, help="of a file, in MiB; default: 1024 and 4096")
    parser.add_argument("--files", type=int, default=10000)
    parser.add_argument("--large-files", type=int, default=10000)
    parser.add_argument("--objects", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--many-rounds", type=int, default=1, help="for the rows of many files")
    parser.add_argument("--only", help="rows with this word in their name")
    parser.add_argument("--json")
    parser.add_argument("--plot")
    options = parser.parse_args()
    about, rows, missing = machine(), [], []
    print(about, flush=True)
    for number, (directory, size) in enumerate(itertools.product(options.dir or ["/dev/shm", "/var/tmp"], options.size or [1024, 4096])):
        bench = Bench(options, directory, size, number == 0)
        try:
            bench.files()
            if number == 0:
                bench.rest()
        except subprocess.CalledProcessError as error:
            sys.exit(f"{error.cmd[-1]}: {error.stderr.decode(errors='replace')}")
        finally:
            bench.close()
        rows += bench.rows
        missing += [tool for tool in bench.missing if tool not in missing]
    for tool in missing:
        print(f"left out: {tool}")
    if options.json:
        pathlib.Path(options.json).write_text(json.dumps({"machine": about, "rows": rows}, indent=1))
    if options.plot:
        plot(rows, about, options.plot)


if __name__ == "__main__":
    main()
