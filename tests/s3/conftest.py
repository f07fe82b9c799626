"""bulla against an S3 of our own on loopback."""

import pathlib
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "kms"))  # the listener and the checks of signatures
sys.path.insert(0, str(pathlib.Path(__file__).parent))

from store import BUCKET, SECRET, Store, variables  # noqa: E402


@pytest.fixture
def store():
    server = Store()
    yield server
    server.close()


@pytest.fixture
def s3(bulla, store, ring):
    """bulla with credentials for the bucket; no output may hold the secret key."""
    bulla.environment |= variables(store.url)
    plain_check = bulla.check

    def check(*outputs):
        plain_check(*outputs)
        assert not any(SECRET[:12].encode() in output for output in outputs), "the secret key was printed"

    bulla.check = check
    return bulla


@pytest.fixture
def url():
    return f"s3://{BUCKET}/"
