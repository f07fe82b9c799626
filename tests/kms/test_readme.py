"""README's commands, in order and word for word, in a root that looks like that of a host with backups, a token and AWS KMS."""

import os
import pathlib
import re
import subprocess

import pytest

from document import blocks
from sealed import content

README = (pathlib.Path(__file__).resolve().parents[2] / "README.md").read_text()
ELSEWHERE = ("pg_restore", "./first-steps", "./tests/run")  # blocks that other tests run
SOFTHSM = pathlib.Path("/usr/lib/softhsm/libsofthsm2.so")
CHUNK = 16384

# What README takes for granted. Directories of the system are other ones for the shell alone.
HOST = """
set -e -o pipefail
mount --make-rprivate /
mkdir "$ROOMS/etc" "$ROOMS/work"
mount -t overlay -o lowerdir=/etc,upperdir="$ROOMS/etc",workdir="$ROOMS/work" none /etc
for place in /srv /mnt /root; do mount -t tmpfs none $place; done
mkdir -p /srv/data/sub /mnt/upload /mnt/usb /mnt/to-s3
echo content >/srv/data/sub/file
tar -cf backup.tar -C / srv/data
"""
SPOIL = """
bulla encrypt -q -k /etc/bulla/backup.ring -o damaged.bulla large
printf '\\377\\377' | dd of=damaged.bulla bs=1 seek=$((8192 + 56 + 11 * 16400 + 5000)) conv=notrunc status=none
"""


def script():
    for block in blocks(README):
        if any(name in block for name in ELSEWHERE):
            continue
        if "damaged.bulla" in block:
            yield SPOIL
        for line in block.splitlines():
            # The one command that must not end with 0.
            yield f"{line.split('  #')[0].rstrip()} || [ $? = 4 ]" if "> before" in line else line


@pytest.mark.skipif(os.geteuid() != 0 or not SOFTHSM.exists(), reason="takes root, for mounts, and SoftHSM")
def test_commands_of_the_readme(bulla, cloud, user, tmp_path):
    for alias in ("backup", "backup-2027"):
        cloud.alias(f"alias/{alias}", cloud.key())
    for name, text in (("pin", "1234\n"), ("new", "a long passphrase\n"), ("softhsm2.conf", f"directories.tokendir = {tmp_path}/tokens\n")):
        (tmp_path / name).write_text(text)
        (tmp_path / name).chmod(0o600)
    for directory in ("tokens", "bin", "rooms"):
        (tmp_path / directory).mkdir()
    (tmp_path / "bin/bulla").symlink_to(bulla.program)
    (bulla.work / "large").write_bytes(content(20 * CHUNK))
    environment = bulla.environment | {
        "PATH": f"{tmp_path}/bin:{os.environ['PATH']}", "ROOMS": str(tmp_path / "rooms"), "SOFTHSM2_CONF": str(tmp_path / "softhsm2.conf"),
        "BULLA_PIN_FILE": str(tmp_path / "pin"), "BULLA_NEW_PASSPHRASE_FILE": str(tmp_path / "new"),
    }  # fmt: skip
    subprocess.run(["softhsm2-util", "--init-token", "--free", "--label", "lab", "--pin", "1234", "--so-pin", "123456"], env=environment,
                   check=True, capture_output=True)  # fmt: skip
    check = "cmp restored.tar backup.tar; cmp token.tar backup.tar; cmp /srv/restored/sub/file /srv/data/sub/file; ls /mnt/to-s3/sub/file.bulla"
    text = "\n".join([HOST, *script(), check])
    rooms = tmp_path / "rooms"
    subprocess.run(["mount", "-t", "tmpfs", "none", rooms], check=True)
    try:
        done = subprocess.run(["unshare", "-m", "bash", "-c", text], cwd=bulla.work, env=environment, capture_output=True, text=True)
    finally:
        subprocess.run(["umount", rooms], check=True)
    assert done.returncode == 0, done.stderr
    assert (bulla.work / "before").read_bytes() == content(20 * CHUNK)[: 11 * CHUNK]
    assert (bulla.work / "after").read_bytes() == content(20 * CHUNK)[12 * CHUNK :]


def test_readme_is_short():
    assert len(README.splitlines()) <= 150


def test_every_link_leads_somewhere():
    directory = pathlib.Path(__file__).resolve().parents[2]
    for path in [directory / "README.md", directory / "CONTRIBUTING.md", directory / "CHANGELOG.md", *(directory / "docs").glob("*.md")]:
        for link in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", path.read_text()):
            assert (path.parent / link).exists(), (path.name, link)
