"""A real PostgreSQL that archives by archive-wal, dies in between, and is backed up; and the example of the README."""

import pathlib
import re

import pytest

from cluster import Cluster, until
from sealed import flip

README = pathlib.Path(__file__).resolve().parents[2] / "README.md"

@pytest.fixture
def first(house):
    """A cluster that archives."""
    cluster = Cluster(house, "first")
    cluster.make(house.archive_command())
    return cluster


def filled(cluster):
    """The name of a segment that was filled just now, and is to be archived."""
    cluster.sql("create table if not exists s as select 1; insert into s select 2")
    return cluster.sql("select pg_walfile_name(pg_switch_wal())")


def is_done(cluster, name):
    """Whether PostgreSQL knows that it is archived."""
    return (cluster.data / "pg_wal" / "archive_status" / f"{name}.done").exists()


def test_crash_between_sealed_and_done_does_not_jam_archiving(house, first):
    """It is sealed, and PostgreSQL dies before it knows."""
    sealed = house.home / "sealed"
    command = house.archive_command()
    first.configure(f"archive_command = '{command} && {{ touch {sealed}; exec sleep 600; }}'\n")
    first.start()
    name = filled(first)
    until("it is not sealed", sealed.exists)
    assert (house.archive / f"{name}.bulla").exists() and not is_done(first, name)
    first.stop("immediate")
    first.configure(f"archive_command = '{command}'\n")
    first.start()
    until("it is not done", lambda: is_done(first, name))
    second = filled(first)
    until("the second is not done", lambda: is_done(first, second))
    house.run("bulla", "verify", "-q", "-k", house.ring, "-r", house.archive)


def test_archiving_continues_when_it_was_killed(house, first):
    """In the middle of bulla, once, as by the kernel when memory is short."""
    real, mark = house.home / "real", house.home / "died"
    (house.bin / "bulla").rename(real)
    (house.bin / "bulla").write_text(f'#!/bin/sh\n[ -e {mark} ] || {{ touch {mark}; kill -9 $$; }}\nexec {real} "$@"\n')
    (house.bin / "bulla").chmod(0o755)
    first.start()
    name = filled(first)
    until("it does not fail", lambda: "archive command failed with exit code 137" in first.said())
    assert not is_done(first, name) and list(house.archive.iterdir()) == []
    first.stop("immediate")
    first.start()  # sooner than PostgreSQL starts an archiver anew
    until("it is not done", lambda: is_done(first, name))
    house.run("bulla", "verify", "-q", "-k", house.ring, house.archive / f"{name}.bulla")


def test_archive_of_another_cluster_is_left_alone(house, first):
    """Two clusters that archive to one place: the second fails aloud."""
    first.start()
    name = filled(first)
    until("it is not done", lambda: is_done(first, name))
    before = {path: path.read_bytes() for path in house.archive.iterdir()}
    other = Cluster(house, "other")
    other.make(house.archive_command())
    other.start()
    filled(other)
    until("it does not fail", lambda: "does another cluster archive to" in other.said())
    assert {path: path.read_bytes() for path in house.archive.iterdir()} == before


def test_old_segments_are_removed_by_their_sealed_names(house, first):
    first.start()
    names = [filled(first) for _ in range(3)]
    until("they are not done", lambda: is_done(first, names[-1]))
    house.run("pg_archivecleanup", "-x", ".bulla", house.archive, names[1])
    assert sorted(path.name for path in house.archive.iterdir()) == [f"{name}.bulla" for name in names[1:]]


def base(house, status=0):
    command = "pg_basebackup -D - -Ft -X fetch -c fast"
    return house.run("bulla", "encrypt", "-k", house.public, "--from-command", command, "-o", house.home / "base", status=status)


def test_base_backup_that_fails_leaves_nothing(house, first):
    """There is no server; or there is more than one stream can hold."""
    assert b"failed with status 1" in base(house, status=1).stderr
    first.start()
    house.run("mkdir", house.home / "space")
    first.sql(f"create tablespace space location '{house.home}/space'")
    said = base(house, status=1).stderr
    assert b"can only write single tablespace to stdout" in said and b"failed with status 1" in said
    first.sql("drop tablespace space")
    assert not (house.home / "base").exists()
    base(house)


def test_example_of_the_readme_restores_all_or_nothing(house, first):
    """Also where the backup is damaged, and the database has changed."""
    lines = re.findall(r"^    ((?:bulla|pg_restore) .*mydb\.dump.*)$", README.read_text(), re.M)
    seal, unseal, restore = (line.replace("/etc/bulla/backup.ring", str(house.ring)) for line in lines)
    first.start()
    first.sql("create database mydb")
    first.sql("create table t as select g as id, md5(g::text) as v from generate_series(1, 50000) g", "mydb")
    first.sql("create table u as select 1", "mydb")
    house.run("sh", "-c", seal)
    first.sql("delete from t; drop table u", "mydb")
    sealed = house.home / "mydb.dump.bulla"
    good = sealed.read_bytes()
    sealed.write_bytes(flip(good, len(good) // 2))
    house.run("sh", "-ec", f"{unseal}\n{restore}", status=4)
    assert first.sql("select count(*) from t", "mydb") == "0" and not (house.home / "mydb.dump").exists()
    sealed.write_bytes(good)
    house.run("sh", "-ec", f"{unseal}\n{restore}")
    assert first.sql("select count(*), (select count(*) from u) from t", "mydb") == "50000|1"
