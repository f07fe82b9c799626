#!/usr/bin/python3
"""Many small files of tests as one: a tar archive, the same bytes for the same files.

usage: tarball.py unpack ARCHIVE DIRECTORY    make DIRECTORY anew, with what is in the archive
       tarball.py pack ARCHIVE DIRECTORY      make the archive of the files below DIRECTORY
"""

import io
import pathlib
import shutil
import sys
import tarfile


def packed(files):
    """The archive of these files, a dictionary of their names and bytes."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for name in sorted(files):
            member = tarfile.TarInfo(name)
            member.size = len(files[name])
            tar.addfile(member, io.BytesIO(files[name]))
    return out.getvalue()


def members(path):
    """What packed was given."""
    with tarfile.open(path, "r:") as tar:
        return {member.name: tar.extractfile(member).read() for member in tar}


def unpack(path, directory):
    shutil.rmtree(directory, ignore_errors=True)
    for name, content in members(path).items():
        file = pathlib.Path(directory, name)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)


def pack(path, directory):
    files = {str(p.relative_to(directory)): p.read_bytes() for p in pathlib.Path(directory).rglob("*") if p.is_file()}
    pathlib.Path(path).write_bytes(packed(files))


if __name__ == "__main__":
    if len(sys.argv) != 4 or sys.argv[1] not in ("pack", "unpack"):
        sys.exit(__doc__)
    {"pack": pack, "unpack": unpack}[sys.argv[1]](*sys.argv[2:])
