"""Files larger than 32 bits count: five GiB, of which nothing is stored anywhere."""

import os
import subprocess

SIZE = 5 * 2**30


def test_five_gib_come_back(bulla, ring, work):
    """A sparse file through encrypt and decrypt, compared byte for byte by cmp."""
    program = os.environ["BULLA"]
    big = work / "big"
    with open(big, "wb") as file:
        file.truncate(SIZE)
        file.seek(2**32 + 2**25)
        file.write(b"not only zeros")
    seal = subprocess.Popen([program, "encrypt", "-k", ring, "-o", "-", big], stdout=subprocess.PIPE)
    unseal = subprocess.Popen([program, "decrypt", "-k", ring], stdin=seal.stdout, stdout=subprocess.PIPE)
    compare = subprocess.Popen(["cmp", "-", big], stdin=unseal.stdout)
    seal.stdout.close()
    unseal.stdout.close()
    assert [process.wait() for process in (compare, unseal, seal)] == [0, 0, 0]
