"""What botocore makes of the same files and environment: the other opinion of the tests."""

import functools
import json
import os
import pathlib
import subprocess

import pytest

import moto
from program import BOUND

DEBIANS = "/usr/bin/python3"  # its botocore is the one that the tests are written with

# A line of JSON asks, and one answers: [environment, what]. Each is looked at in a child, with botocore already there.
LOOK = """
import json, os, sys, botocore.session

def found(what):
    session = botocore.session.Session()
    if what == "credentials":
        session.get_scoped_config()
        found = session.get_credentials()
        return {"found": found and found.get_frozen_credentials().access_key}
    if what == "token":
        return {"found": session.get_credentials().get_frozen_credentials().token}
    made = session.create_client(what, "us-east-1")
    return {"found": made.meta.endpoint_url, "attempts": (made.meta.config.retries or {}).get("total_max_attempts")}

for line in iter(sys.stdin.readline, ""):
    if os.fork() == 0:
        environment, what = json.loads(line)
        os.environ.clear()
        os.environ.update(environment)
        try:
            answer = found(what)
        except Exception as why:
            answer = {"refused": type(why).__name__ + ": " + str(why)}
        print(json.dumps(answer), flush=True)
        os._exit(0)
    os.wait()
"""


def newest():
    """A Python whose botocore is of today, which knows settings that Debian's does not: moto brings it."""
    program, why = moto.install()
    if program is None:
        pytest.skip(why)
    return pathlib.Path(program).parent / "python"


@functools.cache
def looker(python):
    """The process that looks, one for all tests of a worker; it ends with the worker's end of the pipe."""
    return subprocess.Popen([*BOUND, python, "-c", LOOK], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def look(environment, what="credentials", python=DEBIANS):
    """What botocore finds, by {"found": …}, or why it refuses. what is a service whose endpoint is asked for, "credentials" or "token"."""
    process = looker(python)
    print(json.dumps([{k: os.fspath(v) for k, v in environment.items()}, what]), file=process.stdin, flush=True)
    return json.loads(process.stdout.readline())
