"""The help: complete, and its examples do what they say, word for word."""

import os
import pathlib
import re
import subprocess

import pytest
from empty_bucket import empty_bucket

TOP = pathlib.Path(__file__).resolve().parents[2]
FLOORS = [p for p in TOP.iterdir() if (p / "meson.build").exists() and p.name not in ("tests", "man")]

# In this order the examples of all verbs can be run in one directory.
ORDER = ["key new", "key list", "encrypt", "decrypt", "verify", "inspect", "key rotate", "rewrap", "status",
         "key retire", "key check", "key disable", "key enable", "key destroy", "key export-public", "envelope export", "envelope restore", "reencrypt", "key passphrase", "s3 purge", "s3 abort", "config check", "completion"]  # fmt: skip


def verbs(bulla):
    return [line[2:20].strip() for line in bulla("help").stdout.decode().split("\n\n")[2].splitlines()]


def examples(bulla, verb):
    shown = bulla("help", *verb.split()).stdout.decode().partition("\nExamples:\n\n")[2]
    return [line.strip() for line in shown.splitlines()]


def test_examples_run_word_for_word(bulla, work, tmp_path):
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/bulla").symlink_to(bulla.program)
    (tmp_path / "new").write_text("a long passphrase\n")
    (work / "data/sub").mkdir(parents=True)
    (work / "data/sub/file").write_bytes(b"content")
    subprocess.run(["tar", "-cf", work / "backup.tar", "-C", work, "data"], check=True)
    for directory in ("upload", "restored"):
        (work / directory).mkdir()
    bulla("key", "new", "-q", "offsite.ring")
    (bulla.home / "config/bulla").mkdir(parents=True)
    (bulla.home / "config/bulla/bulla.conf").write_text(f"[keys]\nnightly = {work}/backup.ring\n[defaults]\nkeys = nightly\n")
    environment = bulla.environment | {"PATH": f"{tmp_path}/bin:{os.environ['PATH']}", "BULLA_NEW_PASSPHRASE_FILE": str(tmp_path / "new")}
    assert sorted(verbs(bulla)) == sorted(ORDER)
    with empty_bucket() as bucket:
        for verb in ORDER:
            assert examples(bulla, verb), f"{verb} has none"
            for line in examples(bulla, verb):
                done = subprocess.run(["bash", "-o", "pipefail", "-c", line], cwd=work, env=environment | bucket, capture_output=True, text=True)
                assert done.returncode == 0, (line, done)
    assert (work / "restored/sub/file").read_bytes() == b"content"
    assert (work / "restored.tar").read_bytes() == (work / "backup.tar").read_bytes()


def test_options_of_keys_are_explained_together(bulla):
    keys = bulla("help", "keys").stdout.decode()
    for verb in verbs(bulla):
        folded = bulla("help", *verb.split()).stdout.decode().partition("explains KEY")[2].partition("\nExamples")[0]
        for name in re.findall(r"--[\w-]+", folded):
            assert f"\n      {name} " in keys or f"\n      {name}\n" in keys, (verb, name)


def test_every_variable_is_in_the_table(bulla):
    shown = bulla("help", "environment").stdout.decode()
    texts = [p.read_text() for floor in FLOORS for p in floor.rglob("*.c") if p.name != "help.c"]
    used = {name for text in texts for name in re.findall(r'"((?:BULLA|AWS)_[A-Z0-9_]+)"', text)}
    used |= {name for text in texts for name in re.findall(r'getenv\("(\w+)"\)', text)} - {"BULLA_SANITIZED"}
    table = set(re.findall(r"\b[A-Z][A-Z0-9_]{3,}\b", re.sub(r"^ {20}.*$", "", shown, flags=re.M)))
    assert used <= table, used - table
    assert {name for name in table if name.startswith(("BULLA_", "AWS_"))} <= used


@pytest.mark.parametrize("topic", ["keys", "environment"])
@pytest.mark.parametrize("way", ["help", "--help", "-h"])
def test_topic(bulla, topic, way):
    assert bulla(way, topic).stdout == bulla("help", topic).stdout != b""


def test_version_tells_what_it_is_made_of(bulla):
    first, libraries, stores = bulla("--version").stdout.decode().splitlines()
    assert re.fullmatch(r"bulla \d+\.\d+\.\d+", first)
    assert re.fullmatch(r"libraries: libsodium [\d.]+, OpenSSL [\d.]+, jansson [\d.]+", libraries)
    assert stores.startswith("key stores: keyring; passphrase; PKCS#11") and stores.endswith("; format: 2")


def test_report_has_no_secret(bulla, ring):
    """Names of variables and files, and neither values nor contents."""
    config = bulla.home / "config" / "bulla"
    config.mkdir(parents=True)
    (config / "bulla.conf").write_text("[keys]\nhidden = /a/place\n")
    env = {"BULLA_KEY": "pkcs11:token=t?pin-value=1234", "AWS_SECRET_ACCESS_KEY": "hush", "BULLA_PIN_FILE": "/a/pin"}
    shown = bulla("help", "report", env=env).stdout.decode()
    assert shown.startswith(bulla("--version").stdout.decode())
    assert "variables that are set:" in shown and all(f" {name}" in shown for name in env)
    assert not any(word in shown for word in ("1234", "hush", "/a/p", "hidden"))
    assert re.search(r"^system: Linux \S+ \S+", shown, re.M) and re.search(r"^CPUs: \d+, AES instructions: (yes|no)$", shown, re.M)
    assert str(config) in shown
