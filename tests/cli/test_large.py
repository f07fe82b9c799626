"""Files larger than 32 bits count: five GiB, of which nothing is stored anywhere, in little memory."""

import os
import subprocess

import pytest

SIZE = 5 * 2**30
MEMORY = 32 * 1024  # KiB


def test_five_gib_come_back(bulla, ring, work):
    """A sparse file through encrypt and decrypt, compared byte for byte by cmp."""
    program = os.environ["BULLA"]
    big = work / "big"
    with open(big, "wb") as file:
        file.truncate(SIZE)
        file.seek(SIZE // 2)
        file.write(b"not only zeros")
    seal = subprocess.Popen([program, "encrypt", "-k", ring, "-o", "-", big], stdout=subprocess.PIPE)
    unseal = subprocess.Popen([program, "decrypt", "-k", ring], stdin=seal.stdout, stdout=subprocess.PIPE)
    compare = subprocess.Popen(["cmp", "-", big], stdin=unseal.stdout)
    seal.stdout.close()
    unseal.stdout.close()
    for process in (seal, unseal, compare):
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        assert process.returncode == 0
        assert process is compare or usage.ru_maxrss < MEMORY
