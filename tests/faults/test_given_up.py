"""A file that is given up where it has a name: what mounts of all kinds keep of one is for tests/mounts."""

import os
import re

import pytest

from sealed import content, flip

PLAIN = content(500_000)


# Ways to give up plaintext that is written already: which byte is damaged, options, status. Of a part, the last chunk is looked at first.
WAYS = {
    "damaged": (-1, ["-j1"], 4),
    "damaged, several threads": (-1, ["-j4"], 4),
    "a damaged part": (400_000, ["-j1", "--offset", "10"], 4),
    "in place of an old file": (-1, ["-j1", "--force"], 4),
    "no more room": (-1, ["-j1"], 1),
}


@pytest.mark.parametrize("way", WAYS)
def test_file_is_emptied_and_closed_before_its_name_goes(bulla, ring, work, named_library, way):
    """Where bytes are stored at the close as where they go with the name."""
    at, options, status = WAYS[way]
    sealed = bulla.seal(ring, PLAIN, name="damaged")
    sealed.write_bytes(flip(sealed.read_bytes(), at))
    old = {"out": b"old"} if "--force" in options else {}
    for name, text in old.items():
        (work / name).write_bytes(text)
    under = ["strace", "-f", "-o", "calls", "-e", "trace=openat,ftruncate,close,unlinkat", "-E", f"LD_PRELOAD={named_library}"]
    under += ["prlimit", "--fsize=200000" if way == "no more room" else "--fsize=unlimited"]
    bulla("decrypt", *options, "-k", ring, "-o", "out", sealed, status=status, under=under)
    calls = (work / "calls").read_text()
    (fd,) = re.findall(r'openat\(\d+, "\.bulla-[0-9a-f]{16}", .*O_CREAT.* = (\d+)', calls)
    end = re.findall(rf"(ftruncate\({fd}, 0\) += 0|close\({fd}\)|unlinkat\(\d+, \"\.bulla-)", calls[calls.index(".bulla-") :])
    assert [call.split("(")[0] for call in end] == ["ftruncate", "close", "unlinkat"]
    assert sorted(os.listdir(work)) == sorted(["calls", "damaged.bulla", *old])
    assert {name: (work / name).read_bytes() for name in old} == old
