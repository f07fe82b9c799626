"""A file that is given up where it has a name: what mounts of all kinds keep of one is for tests/mounts."""

import os
import re

import pytest

from sealed import content, flip

PLAIN = content(500_000)


@pytest.fixture
def damaged(bulla, ring, work):
    """Its last chunk does not authenticate."""
    sealed = bulla.seal(ring, PLAIN, name="damaged")
    sealed.write_bytes(flip(sealed.read_bytes(), -1))
    return sealed


def test_file_is_emptied_and_closed_before_its_name_goes(bulla, ring, work, named_library, damaged):
    """Where bytes are stored at the close as where they go with the name."""
    under = ["strace", "-f", "-o", "calls", "-e", "trace=openat,ftruncate,close,unlinkat"]
    bulla("decrypt", "-j1", "-k", ring, "-o", "out", damaged, status=4, under=[*under, "-E", f"LD_PRELOAD={named_library}"])
    calls = (work / "calls").read_text()
    (fd,) = re.findall(r'openat\(\d+, "\.bulla-[0-9a-f]{16}", .*O_CREAT.* = (\d+)', calls)
    end = re.findall(rf"(ftruncate\({fd}, 0\) += 0|close\({fd}\)|unlinkat\(\d+, \"\.bulla-)", calls[calls.index(".bulla-") :])
    assert [call.split("(")[0] for call in end] == ["ftruncate", "close", "unlinkat"]
    assert sorted(os.listdir(work)) == ["calls", "damaged.bulla"]
