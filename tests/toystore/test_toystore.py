"""A key store of the test suite's own: a directory, a line in the list of all, and its code in FORMAT.md are all that it takes to
seal, open, rewrap, configure, complete and explain."""

import os
import pathlib

import pytest

X = b"what is sealed\n"
WORD = ["--toy-word", "Sesame"]


@pytest.fixture
def toy(bulla):
    """The same program with one store more."""
    program = pathlib.Path(bulla.program).parents[1] / "tests" / "bulla_toy"
    assert os.access(program, os.X_OK)
    bulla.plain, bulla.program, bulla.has_schemas = bulla.program, str(program), False
    return bulla


@pytest.fixture
def sealed(toy, work):
    (work / "a").write_bytes(X)
    toy("encrypt", "-k", "toy:bear", *WORD, "a")
    return work / "a.bulla"


def test_seals_and_opens(toy, sealed):
    assert toy("decrypt", "-k", "toy:bear", *WORD, "-o", "-", sealed).stdout == X
    slot = toy.inspect(sealed)[0]["slots"][0]
    assert (slot["method"], slot["code"], slot["understood"], slot["toy_name"], slot["rounds"]) == ("toy", 0xFF01, True, "bear", 1)


def test_another_word_or_name_does_not_open(toy, sealed):
    for key in (["toy:bear", "--toy-word", "sesame"], ["toy:lion", *WORD]):
        assert b"none of the given keys opens" in toy("decrypt", "-k", *key, "-o", "out", sealed, status=5).stderr
    assert not (toy.work / "out").exists()


def test_a_changed_slot_does_not_open(toy, sealed):
    whole = sealed.read_bytes()
    assert whole.count(b"bear") == 2, "one in each copy of the envelope"
    sealed.write_bytes(whole.replace(b"bear", b"beer"))
    for name in ("toy:bear", "toy:beer"):
        assert b"damaged" in toy("decrypt", "-k", name, *WORD, "-o", "out", sealed, status=4).stderr
    assert not (toy.work / "out").exists()


def test_options_of_each_kind(toy, work):
    sealed = toy("encrypt", "-k", "toy:bear", "--toy-word", "SESAME", "--toy-case", "lower", "--toy-rounds", "9", stdin=X).stdout
    assert toy("decrypt", "-k", "toy:bear", "--toy-word", "sesame", stdin=sealed).stdout == X
    assert toy.inspect(stdin=sealed)[0]["slots"][0]["rounds"] == 9
    assert b"--toy-rounds is at most 9 rounds" in toy("encrypt", "-k", "toy:bear", *WORD, "--toy-rounds", "10", stdin=X, status=2).stderr
    assert b"--toy-case is as-it-is or lower, not 'upper'" in toy("encrypt", "-k", "toy:bear", "--toy-case", "upper", stdin=X, status=2).stderr
    assert b"--toy-rounds" in toy("decrypt", "-k", "toy:bear", "--toy-rounds", "2", stdin=sealed, status=2).stderr, "it is for sealing"
    assert b"toy 'bear' has no word" in toy("decrypt", "-k", "toy:bear", stdin=sealed, status=2).stderr


def test_environment_and_configuration_stand_in(toy, work, sealed):
    assert toy("decrypt", "-k", "toy:bear", "-o", "-", sealed, env={"BULLA_TOY_WORD": "Sesame"}).stdout == X
    config = toy.home / "config" / "bulla"
    config.mkdir(parents=True)
    (config / "bulla.conf").write_text("[keys]\nbear = toy:bear\n[defaults]\nkeys = bear\ntoy-word = Sesame\n")
    assert toy("decrypt", "-o", "-", sealed).stdout == X
    toy("decrypt", "-o", "-", sealed, env={"BULLA_TOY_WORD": "other"}, status=5)
    (config / "bulla.conf").write_text("[defaults]\ntoy-rounds = 3\n")
    assert b"unknown option 'toy-rounds'" in toy("decrypt", "-o", "-", sealed, status=2).stderr


def test_rewrap_to_it_and_away_from_it(toy, sealed, ring):
    toy("rewrap", "-k", "toy:bear", *WORD, "--to", ring, sealed)
    assert toy("decrypt", "-k", ring, "-o", "-", sealed).stdout == X
    toy("decrypt", "-k", "toy:bear", *WORD, "-o", "-", sealed, status=5)
    toy("rewrap", "-k", ring, "--to", "toy:lion", *WORD, sealed)
    assert toy("decrypt", "-k", "toy:lion", *WORD, "-o", "-", sealed).stdout == X


def test_cap_of_its_method(toy):
    keys = [word for name in "abc" for word in ("-k", f"toy:{name}")]
    assert b"an envelope has at most 2 toys" in toy("encrypt", *keys, *WORD, stdin=X, status=2).stderr


def test_what_it_does_not_do(toy):
    assert b"the toy key store does not make keys" in toy("key", "new", "toy:bear", status=8).stderr


def test_check_help_version_and_completion(toy):
    checked = toy("key", "check", "toy:bear", *WORD).stdout
    assert b"toy" in checked and b"wraps" in checked
    shown = toy("help", "keys").stdout
    assert b"toy:NAME" in shown and b"toy keys:" in shown and b"--toy-word WORD" in shown
    assert b"BULLA_TOY_WORD" in toy("help", "environment").stdout
    assert b" toy;" in toy("--version").stdout
    assert b"--toy-rounds N" in toy("encrypt", "--help").stdout and b"--toy-rounds" not in toy("decrypt", "--help").stdout


def test_without_it_the_slot_is_carried_along(toy, ring, work):
    """A bulla that lacks the store: another key opens, and where none does it is the build that is at fault."""
    (work / "b").write_bytes(X)
    toy("encrypt", "-k", "toy:bear", "-k", ring, *WORD, "b")
    toy("encrypt", "-k", "toy:bear", *WORD, "-o", "c.bulla", "b")
    toy.program = toy.plain
    assert toy("decrypt", "-k", ring, "-o", "-", "b.bulla").stdout == X
    toy("decrypt", "-k", ring, "-o", "-", "c.bulla", status=8)
    slot = toy.inspect("c.bulla")[0]["slots"][0]
    assert (slot["method"], slot["code"], slot["understood"]) == ("unknown", 0xFF01, False)
    assert b"--toy-word" in toy("decrypt", "-k", ring, *WORD, "c.bulla", status=2).stderr
