"""The independent decoder in this process, as a program and as a library: most of a process's time is spent on starting it."""

import io
import pathlib
import subprocess
import sys
import types
import unittest.mock

sys.path.insert(0, str(pathlib.Path(__file__).parent))
import decode as program  # noqa: E402

DECODER = pathlib.Path(program.__file__)


def decode(*args, stdin=b""):
    """What decode.py does with these arguments."""
    out, err, given = io.TextIOWrapper(io.BytesIO()), io.StringIO(), types.SimpleNamespace(buffer=io.BytesIO(stdin))
    with unittest.mock.patch.multiple(sys, argv=[str(DECODER), *map(str, args)], stdout=out, stderr=err, stdin=given):
        status = program.main()
        out.flush()
    return subprocess.CompletedProcess(args, status, out.buffer.getvalue(), err.getvalue().encode())


def open_body(data, offset, core, data_key):
    """The plaintext of the body that begins there; raises Damaged."""
    source = program.Source(io.BytesIO(data))
    derived, matches = program.find_body(source, [offset], core, data_key)
    pieces = [piece.plaintext for piece in program.open_chunks(source, core.suite, derived)]
    program.check(matches and None not in pieces, "the body is damaged")
    return b"".join(pieces)
