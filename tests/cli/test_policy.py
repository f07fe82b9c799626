"""Name, generation and context are stored and shown, and what does not match is refused before anything comes out."""

import pytest

from sealed import content, flip, layout, snapshot, with_copies

STORED = ["--name", "nightly", "--generation", "7", "--context", "db=prod", "--context", "a=", "--context", "x=1=2"]
CONTEXT = {"db": "prod", "a": "", "x": "1=2"}

MATCHING = [
    ["--require-name", "nightly"],
    ["--min-generation", "7"],
    ["--min-generation", "1"],
    ["--require-context", "db=prod"],
    ["--require-context", "a="],
    ["--require-context", "x=1=2", "--require-context", "db=prod"],
    ["--require-name", "nightly", "--min-generation", "6", "--require-context", "db=prod"],
]

REFUSING = [
    (["--require-name", "weekly"], "its name is 'nightly', not 'weekly'"),
    (["--require-name", "nightl"], "its name is 'nightly', not 'nightl'"),
    (["--min-generation", "8"], "its generation is 7, older than 8"),
    (["--min-generation", "9223372036854775807"], "older than 9223372036854775807"),
    (["--require-context", "db=test"], "its context has db='prod', not 'test'"),
    (["--require-context", "db=pro"], "not 'pro'"),
    (["--require-context", "a=b"], "its context has a='', not 'b'"),
    (["--require-context", "DB=prod"], "its context has no 'DB'"),
    (["--require-context", "d=prod"], "its context has no 'd'"),
    (["--require-context", "db=prod", "--require-context", "missing=x"], "its context has no 'missing'"),
]


def ids(cases):
    return [" ".join(c[0] if isinstance(c, tuple) else c) for c in cases]


@pytest.fixture
def sealed(bulla, ring):
    return bulla.seal(ring, content(100_000), *STORED)


def test_inspect_shows_what_is_stored(bulla, sealed):
    lines = bulla("inspect", sealed).stdout.decode().splitlines()
    shown = [" ".join(line.split()) for line in lines]
    for line in ("name nightly", "generation 7", "context a=", "db=prod", "x=1=2"):
        assert line in shown
    (json,) = bulla.inspect(sealed)
    assert (json["name"], json["generation"], json["context"]) == ("nightly", 7, CONTEXT)


def test_nothing_stored_is_shown_as_nothing(bulla, ring):
    sealed = bulla.seal(ring, b"x")
    (json,) = bulla.inspect(sealed)
    assert (json["name"], json["generation"], json["context"]) == (None, None, {})
    text = bulla("inspect", sealed).stdout
    assert b"  name " not in text and b"generation" not in text and b"context" not in text


@pytest.mark.parametrize("options", MATCHING, ids=ids(MATCHING))
@pytest.mark.parametrize("verb", ["decrypt", "verify"])
def test_what_matches_is_opened(bulla, ring, sealed, verb, options):
    done = bulla(verb, "-k", ring, *options, stdin=sealed.read_bytes())
    assert done.stdout == (content(100_000) if verb == "decrypt" else b"")


@pytest.mark.parametrize("options, says", REFUSING, ids=ids(REFUSING))
@pytest.mark.parametrize("verb", ["decrypt", "verify"])
def test_what_differs_is_refused(bulla, ring, work, sealed, verb, options, says):
    before = snapshot(work)
    for args, source in (([sealed], b""), ([], sealed.read_bytes())):
        done = bulla(verb, "-k", ring, *options, *args, stdin=source, status=7)
        assert done.stdout == b"" and says.encode() in done.stderr
    assert snapshot(work) == before


REQUIRING = [["--min-generation", "1"], ["--require-name", "x"], ["--require-context", "a="]]


@pytest.mark.parametrize("options", REQUIRING, ids=" ".join)
def test_file_without_is_refused(bulla, ring, work, options):
    sealed = bulla.seal(ring, b"x")
    before = snapshot(work)
    bulla("decrypt", "-k", ring, *options, sealed, status=7)
    assert snapshot(work) == before


def test_refused_file_does_not_replace(bulla, ring, work, sealed):
    (work / "plain").write_bytes(b"newer")
    before = snapshot(work)
    bulla("decrypt", "-k", ring, "--force", "--remove-source", "--min-generation", "8", sealed, status=7)
    assert snapshot(work) == before


def test_refused_file_does_not_stop_a_batch(bulla, ring, work):
    for number in (1, 2, 3):
        bulla.seal(ring, b"x", "--generation", str(number), name=f"g{number}")
    done = bulla("decrypt", "-k", ring, "--min-generation", "2", *work.glob("*.bulla"), status=3)
    assert b"2 opened, 0 not sealed, 0 skipped, 1 failed" in done.stderr
    assert sorted(p.name for p in work.iterdir() if p.suffix != ".bulla") == ["g2", "g3"]


def test_stored_values_are_authenticated(bulla, ring, sealed):
    """A forged generation, in both copies and with its checksum made right, does not open."""
    data = sealed.read_bytes()
    at = layout(data)
    assert data[at.generation : at.generation + 8] == (7).to_bytes(8, "big")
    sealed.write_bytes(with_copies(data, flip(data[: at.region], at.generation + 7, 3)))
    assert bulla.inspect(sealed)[0]["generation"] == 15
    bulla("decrypt", "-k", ring, "--min-generation", "8", sealed, status=5)


@pytest.mark.parametrize("number", [1, 2**31, 2**63 - 1])
def test_generation_takes_63_bits(bulla, ring, number):
    sealed = bulla.seal(ring, b"x", "--generation", str(number))
    assert b" %d\n" % number in bulla("inspect", sealed).stdout
    assert str(bulla.inspect(sealed)[0]["generation"]) == str(number)
    bulla("verify", "-k", ring, "--min-generation", str(number), sealed)


# Limits.

TOO_MUCH = [
    (["--context", f"{'k' * 129}=v"], "context key is longer than 128 bytes"),
    (["--context", f"{'ü' * 65}=v"], "context"),
    (["--context", f"k={'v' * 513}"], "context value is longer than 512 bytes"),
    (["--context", "=v"], "context"),
    (["--context", "bulla-x=v"], "bulla-"),
    (["--context", "bulla-=v"], "bulla-"),
    (["--context", "a=1", "--context", "a=2"], "'a'"),
    (["--context", "a=1", "--context", "a=1"], "'a'"),
    (["--context", b"\xff=v"], "UTF-8"),
    (["--context", b"k=\xc3"], "UTF-8"),
    (["--context", b"k=\xed\xa0\x80"], "UTF-8"),
    (["--context", b"k=\xc0\x80"], "UTF-8"),
    (["--name", "n" * 1025], "name"),
    (["--name", "ü" * 513], "name"),
    (["--name", b"\xff"], "UTF-8"),
    (["--name", b"\xf5\x80\x80\x80"], "UTF-8"),
]


def pairs(count, option="--context"):
    return [word for n in range(count) for word in (option, f"k{n}=v{n}")]


TOO_MUCH.append((pairs(33), "32"))


@pytest.mark.parametrize("options, says", TOO_MUCH, ids=[str(number) for number in range(len(TOO_MUCH))])
def test_what_is_beyond_a_limit_is_refused(bulla, ring, work, options, says):
    (work / "f").write_bytes(b"x")
    before = snapshot(work)
    done = bulla("encrypt", "-k", ring, *options, "f", status=2)
    assert says.encode() in done.stderr, done.stderr
    assert snapshot(work) == before


ALL = [
    (["--context", f"{'k' * 128}={'v' * 512}"], {"k" * 128: "v" * 512}, None),
    (pairs(32), {f"k{n}": f"v{n}" for n in range(32)}, None),
    (["--context", "bulla=v", "--context", "Bulla-x=v"], {"bulla": "v", "Bulla-x": "v"}, None),
    (["--context", "ünï=cödé"], {"ünï": "cödé"}, None),
    (["--context", "a=1", "--context", "ab=2"], {"a": "1", "ab": "2"}, None),
    (["--name", "n" * 1024], {}, "n" * 1024),
    (["--name", "ü" * 512], {}, "ü" * 512),
]


@pytest.mark.parametrize("options, context, name", ALL, ids=[str(number) for number in range(len(ALL))])
def test_what_reaches_a_limit_is_kept(bulla, ring, options, context, name):
    sealed = bulla.seal(ring, b"x", *options)
    (shown,) = bulla.inspect(sealed)
    assert (shown["context"], shown["name"]) == (context, name)
    bulla("verify", "-k", ring, sealed)


def test_everything_at_its_limit_at_once(bulla, ring):
    """32 pairs of 128 and 512 bytes and a name of 1024: the envelope grows, and opens from a pipe and from a file."""
    options = ["--name", "n" * 1024]
    for n in range(32):
        options += ["--context", f"{n:03}{'k' * 125}={'v' * 512}"]
    sealed = bulla.seal(ring, b"x", *options)
    (shown,) = bulla.inspect(sealed)
    assert (len(shown["context"]), shown["region"]) == (32, 32768)
    assert bulla("decrypt", "-k", ring, stdin=sealed.read_bytes()).stdout == b"x"
    bulla("verify", "-k", ring, sealed)


def test_order_of_pairs_does_not_matter(bulla, ring):
    forward, backward = pairs(20), [w for n in reversed(range(20)) for w in ("--context", f"k{n}=v{n}")]
    one, two = bulla.inspect(bulla.seal(ring, b"x", *forward, name="f"), bulla.seal(ring, b"x", *backward, name="b"))
    pairs_of = [list(shown["context"].items()) for shown in (one, two)]
    assert pairs_of[0] == pairs_of[1] == sorted(pairs_of[0]) and len(pairs_of[0]) == 20


# What comes from a file may hold anything, and goes to a terminal.

NASTY = ["\x1b]0;pwned\x07", "\x1b[2J", "line\nbreak", "\r", "\x7f", "\u009b31m", "\u202egnp.exe", "\u2028"]
NASTY += ["back\\slash"]


@pytest.mark.parametrize("text", NASTY, ids=ascii)
def test_terminal_escapes_are_escaped(bulla, ring, text):
    sealed = bulla.seal(ring, b"x", "--name", text, "--context", f"k{text}={text}")
    (shown,) = bulla.inspect(sealed)
    assert (shown["name"], shown["context"]) == (text, {f"k{text}": text})
    outputs = [
        bulla("inspect", sealed).stdout,
        bulla("inspect", "--json", sealed).stdout,
        bulla("decrypt", "-k", ring, "--require-name", "other", sealed, status=7).stderr,
        bulla("decrypt", "-k", ring, "--require-context", f"k{text}=other", sealed, status=7).stderr,
        bulla("decrypt", "-k", ring, "--require-context", f"{text}=other", sealed, status=7).stderr,
    ]
    escaped = "".join(f"\\x{byte:02x}" for byte in text[:1].encode() if not text[:1].isalnum())
    for number, output in enumerate(outputs):
        assert text.encode() not in output
        assert all(byte >= 0x20 or byte == 0x0A for byte in output) and b"\x7f" not in output
        assert b"\xe2\x80\xae" not in output and b"\xc2\x9b" not in output
        if number != 1:
            assert escaped.encode() in output


@pytest.mark.parametrize("name", [b"\x1b[2J", b"\xff\n", b"a\\b"], ids=ascii)
def test_file_names_are_escaped(bulla, ring, work, name):
    for done in (
        bulla("encrypt", "-k", ring, name, status=10),
        bulla("encrypt", "-k", name, "x", status=10),
        bulla("encrypt", "-k", ring, "--suite", name, "x", status=2),
        bulla(name, status=2),
    ):
        assert name not in done.stderr
        assert all(byte >= 0x20 or byte == 0x0A for byte in done.stderr) and b"\xff" not in done.stderr


def test_key_names_of_a_file_are_escaped(bulla, ring):
    """A slot's key name is any text, whatever bulla itself would write there."""
    data = bulla.seal(ring, b"x").read_bytes()
    forged = data[: layout(data).region].replace(b"\x00\x06backup", b"\x00\x06\x1b[31m\n")
    out = bulla("inspect", stdin=with_copies(data, forged)).stdout
    assert b"\x1b" not in out and b"\\x1b[31m\\x0a" in out
