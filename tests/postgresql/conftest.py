"""What the tests with a real PostgreSQL share."""

import pathlib
import sys

import pytest

from cluster import House, Story

sys.path.append(str(pathlib.Path(__file__).resolve().parents[1] / "kms"))  # a small AWS


@pytest.fixture
def house():
    made = House()
    made.keys()
    yield made
    made.stop()


@pytest.fixture(scope="session")
def told():
    """One story for all tests that only read it, or put right what they break."""
    house = House()
    house.keys()
    house.story = Story(house)
    yield house
    house.stop()
