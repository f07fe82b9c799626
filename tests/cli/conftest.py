"""What the tests of the command line share."""

import pytest


@pytest.fixture
def archive(bulla, ring, work):
    """Thirty sealed files in directories."""
    for number in range(30):
        directory = work / "archive" / str(number % 4)
        directory.mkdir(parents=True, exist_ok=True)
        (directory / f"file {number}").write_bytes(b"%d" % number)
    bulla("encrypt", "-k", ring, "-r", "--remove-source", "archive")
    return work / "archive"
