"""The archives of small files: packed anew, each is the same to the byte."""

import pathlib
import sys

import pytest

TESTS = pathlib.Path(__file__).resolve().parents[1]
sys.path.insert(0, str(TESTS))

import tarball  # noqa: E402


@pytest.mark.parametrize("name, least", [("kit/vectors.tar", 400), ("fuzz/corpus.tar", 900)])
def test_archive_is_what_packing_its_files_makes(tmp_path, name, least):
    tarball.unpack(TESTS / name, tmp_path / "files")
    tarball.pack(tmp_path / "again.tar", tmp_path / "files")
    assert (tmp_path / "again.tar").read_bytes() == (TESTS / name).read_bytes()
    assert len(tarball.members(TESTS / name)) >= least
