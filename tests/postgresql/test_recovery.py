"""Recovery from an archive of sealed WAL, as docs/POSTGRESQL.md has it; what is wrong with the archive stops it, and does not end it."""

import contextlib
import itertools

import pytest

from cloud import REGION, Cloud
from cluster import Cluster, until
from held import gone
from sealed import flip
from server import Server

NUMBERS = itertools.count(1)


def second(told, *lines, command=None):
    made = Cluster(told, f"second{next(NUMBERS)}")
    made.restore(told.story.base, command or told.restore_command(told.ring), *lines)
    return made


def test_recovery_to_a_point_in_time(told):
    """Just before a mistake."""
    cluster = second(told, f"recovery_target_time = '{told.story.time}'", "recovery_target_action = promote")
    assert cluster.starts() and cluster.sum() == told.story.good and told.story.good.startswith("300000|")


def test_recovery_to_the_end(told):
    """No more WAL is the end, and no failure: status 1 of the script."""
    cluster = second(told)
    assert cluster.starts() and cluster.sum() == told.story.after and told.story.after.startswith("200000|")
    assert "exited with exit code 1" in cluster.said() and "code 255" not in cluster.said()


@contextlib.contextmanager
def moved(path, to=None):
    """What is elsewhere for a while."""
    away = to or path.with_name(path.name + ".away")
    path.rename(away)
    try:
        yield
    finally:
        away.rename(path)


@contextlib.contextmanager
def changed(path, change):
    """A file that has another content for a while."""
    good = path.read_bytes()
    path.write_bytes(change(good))
    try:
        yield
    finally:
        path.write_bytes(good)


@contextlib.contextmanager
def locked(path):
    mode = path.stat().st_mode
    path.chmod(0)
    try:
        yield
    finally:
        path.chmod(mode)


@contextlib.contextmanager
def not_mounted(told):
    """The directory is there, and nothing is in it."""
    with moved(told.archive, told.archive.with_name("elsewhere")):
        told.run("mkdir", told.archive)
        try:
            yield
        finally:
            told.archive.rmdir()


def damaged(told):
    return changed(told.story.segments[-2], lambda good: flip(good, len(good) // 2))


def cut(told):
    return changed(told.story.segments[-2], lambda good: good[: len(good) // 2])


def swapped(told):
    """An older segment under the name of another."""
    return changed(told.story.segments[-2], lambda good: told.story.segments[-3].read_bytes())


# What is wrong, the status that PostgreSQL gets, and what its log has.
WRONG = {
    "damaged": (damaged, 255, "does not authenticate"),
    "cut short": (cut, 255, "cut short"),
    "swapped": (swapped, 255, "its name is '000000"),
    "locked": (lambda told: locked(told.story.segments[-2]), 255, "Permission denied"),
    "gap": (lambda told: moved(told.story.segments[-2]), 255, "files are missing"),
    "no archive": (lambda told: moved(told.archive), 255, "is it mounted?"),
    "not mounted": (not_mounted, 255, "is it mounted?"),
    "archive locked": (lambda told: locked(told.archive), 255, "is it mounted?"),
    "no key": (lambda told: moved(told.ring), 255, "there is no keyring"),
    "no bulla": (lambda told: moved(told.bin / "bulla"), 255, "bulla: not found"),
    "no script": (lambda told: moved(told.bin / "restore-wal"), 127, "restore-wal: not found"),
}


def assert_stopped(cluster, status, says):
    """It does not serve, and has begun no history of its own."""
    assert not cluster.starts()
    said = cluster.said()
    assert "FATAL:  could not restore file" in said and says in said
    assert f"exit code {status}" in said or (status == 127 and "command not found" in said)
    assert "selected new timeline" not in said and "ready to accept connections" not in said


@pytest.fixture(scope="session")
def stopped(told):
    """A cluster that never gets all that it needs to recover."""
    return second(told)


@pytest.mark.parametrize("wrong, status, says", WRONG.values(), ids=WRONG)
def test_what_is_wrong_stops_recovery(told, stopped, wrong, status, says):
    with wrong(told):
        assert_stopped(stopped, status, says)


def test_recovery_continues_when_all_is_put_right(told, stopped):
    with damaged(told):
        assert_stopped(stopped, 255, "does not authenticate")
    assert stopped.starts() and stopped.sum() == told.story.after


def test_key_that_is_not_the_one_stops_recovery(told):
    other = told.home / "other.ring"
    told.run("bulla", "key", "new", "-q", other)
    cluster = second(told, command=told.restore_command(other))
    assert_stopped(cluster, 255, "none of the given keys opens it")


def test_key_store_that_is_away_stops_recovery(told):
    """One segment is sealed to a key of AWS KMS, which then cannot be reached."""
    cloud = Cloud()
    server, arn = Server(cloud), cloud.key().arn
    access = cloud.user("backup", "kms:*").environment() | {"AWS_ENDPOINT_URL_KMS": server.url, "AWS_REGION": REGION}
    path = told.story.segments[-2]
    with changed(path, lambda good: good):
        told.run("bulla", "rewrap", "-q", "-k", told.ring, "--to", arn, path, env=access)
        setting = " ".join(f"{name}={value}" for name, value in access.items())
        cluster = second(told, command=f"{setting} {told.restore_command(told.ring, arn)}")
        server.close()
        assert_stopped(cluster, 255, "kms:Decrypt: cannot reach")


def test_server_shuts_down_in_the_middle_of_a_restore(told):
    """What it waits for ends too, and that is no failure of the archive."""
    cluster = second(told)
    running = told.home / "running"
    with moved(told.bin / "bulla"):
        (told.bin / "bulla").write_text(f"#!/bin/sh\necho $$ >{running}\nexec sleep 600\n")
        (told.bin / "bulla").chmod(0o755)
        cluster.start("-W")
        until("nothing is restored", running.exists)
        cluster.stop("fast")
        (told.bin / "bulla").unlink()
    until("it is not stopped", lambda: gone(running.read_text().strip()))
    assert "database system is shut down" in cluster.said() and "FATAL:  could not restore" not in cluster.said()
    assert cluster.starts() and cluster.sum() == told.story.after
